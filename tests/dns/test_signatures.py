"""Transaction signatures, with dnspython on the other side."""

from __future__ import annotations

import struct
from typing import Any
from unittest import mock

import dns.edns
import dns.message
import dns.name
import dns.rrset
import dns.tsig
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.dns._signatures import KeyRing, Signer

pytestmark = pytest.mark.native

NAME, SECRET = dns.name.from_text("Key.Example."), bytes(range(40))
RING = KeyRing({b"\3key\7example\0": SECRET, b"\1a\0": b"x", b"\5other\7example\0": b"y" * 200})
NOW = 1_700_000_000
ALGORITHMS = [
    dns.tsig.HMAC_SHA1, dns.tsig.HMAC_SHA224, dns.tsig.HMAC_SHA256, dns.tsig.HMAC_SHA384, dns.tsig.HMAC_SHA512,
    dns.tsig.HMAC_SHA256_128, dns.tsig.HMAC_SHA384_192, dns.tsig.HMAC_SHA512_256,
]  # fmt: skip
BADSIG, BADKEY, BADTIME = 16, 17, 18


def clock(when_s: float = NOW) -> Any:
    """What time dnspython has meanwhile."""
    return mock.patch("dns.message.time.time", return_value=when_s)


def key(algorithm: dns.name.Name = dns.tsig.HMAC_SHA256, name: dns.name.Name = NAME) -> dns.tsig.Key:
    """A key of dnspython's."""
    return dns.tsig.Key(name, SECRET, algorithm)


def request(
    with_key: dns.tsig.Key | None = None, qname: str = "a.example.", when_s: float = NOW, **more: Any
) -> tuple[dns.message.Message, bytes]:
    """A signed request of dnspython's, and its bytes."""
    message = dns.message.make_query(qname, "A", **more)
    signing = with_key or key()
    message.use_tsig(signing, signing.name)
    with clock(when_s):
        return message, message.to_wire()


def reply_of(message: dns.message.Message, records: int = 1) -> bytes:
    """A reply without a signature."""
    plain = dns.message.make_query(message.question[0].name, "A", id=message.id)
    reply = dns.message.make_response(plain)
    reply.answer = [
        dns.rrset.from_text(message.question[0].name, 5, "IN", "A", f"10.0.0.{number}") for number in range(records)
    ]
    return reply.to_wire()


def read(wire: bytes, message: dns.message.Message, with_key: dns.tsig.Key | None = None) -> dns.message.Message:
    """dnspython reads, and verifies, a reply. Raises dns.tsig's errors."""
    with clock():
        return dns.message.from_wire(wire, keyring=with_key or key(), request_mac=message.mac)


def signer_of(wire: bytes, now_s: float = NOW) -> Signer:
    """What the replies to a signed request are signed with."""
    signer = RING.verify(wire, now_s)
    assert signer is not None
    return signer


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=str)
@pytest.mark.parametrize("edns", [None, 0])
def test_requests_and_replies(algorithm: dns.name.Name, edns: int | None) -> None:
    message, wire = request(key(algorithm), use_edns=edns)
    signer = signer_of(wire)
    assert signer.error == 0
    plain = reply_of(message)
    signed = signer.sign(plain, NOW)
    assert len(signed) == len(plain) + signer.size
    assert read(signed, message, key(algorithm)).had_tsig


@settings(max_examples=200, deadline=None)
@given(
    st.binary(min_size=1, max_size=200), st.sampled_from(ALGORITHMS), st.integers(-400, 400), st.integers(0, 40),
    st.binary(max_size=400),
)  # fmt: skip
def test_any_secret_time_and_size(
    secret: bytes, algorithm: dns.name.Name, late_s: int, records: int, padding: bytes
) -> None:
    with_key = dns.tsig.Key(NAME, secret, algorithm)
    options = [dns.edns.GenericOption(12, padding)]
    message, wire = request(with_key, use_edns=0, options=options)
    signer = KeyRing({b"\3key\7example\0": secret}).verify(wire, NOW + late_s)
    assert signer is not None
    assert signer.error == (BADTIME if abs(late_s) > 300 else 0)
    if not signer.error:
        assert read(signer.sign(reply_of(message, records), NOW), message, with_key).had_tsig


def test_a_message_without_a_signature() -> None:
    for edns in (None, 0):
        assert RING.verify(dns.message.make_query("a.example.", "A", use_edns=edns).to_wire(), NOW) is None
    assert RING.verify(b"", NOW) is None


def record_at(wire: bytes) -> int:
    """Where the TSIG record of a request of dnspython's begins."""
    return wire.rindex(b"\3Key")


def test_another_secret() -> None:
    message, wire = request(dns.tsig.Key(NAME, b"another", dns.tsig.HMAC_SHA256))
    signer = signer_of(wire)
    assert signer.error == BADSIG
    with pytest.raises(dns.tsig.PeerBadSignature):
        read(signer.sign(reply_of(message), NOW), message)


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [
        ("nobody.example.", dns.tsig.HMAC_SHA256),
        ("key.example.a.", dns.tsig.HMAC_SHA256),
        ("key.", dns.tsig.HMAC_SHA256),
        (".", dns.tsig.HMAC_SHA256),
        ("key.example.", dns.tsig.HMAC_MD5),
    ],
)
def test_a_key_or_an_algorithm_that_nobody_knows(name: str, algorithm: dns.name.Name) -> None:
    with_key = dns.tsig.Key(dns.name.from_text(name), SECRET, algorithm)
    message, wire = request(with_key)
    signer = signer_of(wire)
    assert signer.error == BADKEY
    with pytest.raises(dns.tsig.PeerBadKey):
        read(signer.sign(reply_of(message), NOW), message, with_key)


def test_another_time_is_told_with_a_signature() -> None:
    """RFC 8945 section 5.2.3: the client's time is signed, and the server's beside it."""
    message, wire = request(when_s=NOW - 1000)
    signer = signer_of(wire)
    assert signer.error == BADTIME
    signed = signer.sign(reply_of(message), NOW)
    with pytest.raises(dns.tsig.PeerBadTime):
        read(signed, message)
    # The server's time is the other data, behind which nothing stands.
    assert signed[-6:] == struct.pack(">HI", NOW >> 32, NOW & 0xFFFFFFFF)
    assert struct.pack(">HI", 0, NOW - 1000) in signed


def test_time_has_48_bits() -> None:
    late = 2**32 + 5
    _, wire = request(when_s=late)
    assert signer_of(wire, late + 300).error == 0
    assert signer_of(wire, late + 301).error == BADTIME
    assert signer_of(wire, 5).error == BADTIME


def test_messages_of_a_stream() -> None:
    """RFC 8945 section 5.3.1, as dnspython verifies the messages of a transfer."""
    message, wire = request()
    signer = signer_of(wire)
    context = None
    for number in range(5):
        signed = signer.sign(reply_of(message, number), NOW)
        with clock():
            read_back = dns.message.from_wire(
                signed, keyring=key(), request_mac=message.mac, multi=True, tsig_ctx=context
            )
        assert read_back.had_tsig
        context = read_back.tsig_ctx


def test_the_original_id_counts() -> None:
    """A forwarder has asked with an ID of its own."""
    _, wire = request()
    assert signer_of(b"\xab\xcd" + wire[2:]).error == 0


def test_names_in_any_case() -> None:
    upper = dns.tsig.Key(dns.name.from_text("KEY.EXAMPLE."), SECRET, dns.tsig.HMAC_SHA256)
    message, wire = request(upper)
    assert signer_of(wire).error == 0
    assert signer_of(wire.replace(b"hmac-sha256", b"HMAC-Sha256")).error == 0
    assert read(signer_of(wire).sign(reply_of(message), NOW), message).had_tsig


# The parts of a request: before its TSIG record, the record's head, its RDATA.
HEAD = b"\0\1\1\0\0\1\0\0\0\0\0\1" + b"\1a\7example\0\0\1\0\1"
OWNER = b"\3key\7example\0"
ALGORITHM = b"\x0bhmac-sha256\0"


def record(rdata: bytes, *, rrtype: int = 250, rclass: int = 255, owner: bytes = OWNER, length: int = -1) -> bytes:
    return owner + struct.pack(">HHIH", rrtype, rclass, 0, len(rdata) if length < 0 else length) + rdata


def tsig_rdata(mac: bytes = bytes(32), algorithm: bytes = ALGORITHM, number: int = 1) -> bytes:
    return algorithm + struct.pack(">HIHH", 0, NOW, 300, len(mac)) + mac + struct.pack(">HHH", number, 0, 0)


RIGHT = record(tsig_rdata())
OPT = b"\0\0\x29\4\xd0\0\0\0\0\0\0"


def head(an: int = 0, ns: int = 0, ar: int = 1) -> bytes:
    return HEAD[:6] + struct.pack(">HHH", an, ns, ar) + HEAD[12:]


MALFORMED = [
    (head(ar=2) + RIGHT + OPT, "not the last record"),
    (head(ar=2) + RIGHT + RIGHT, "two of them"),
    (head(an=1, ar=0) + RIGHT, "in the answer"),
    (head(ns=1, ar=0) + RIGHT, "in the authority section"),
    (head(an=1, ar=1) + RIGHT + OPT, "in the answer, with another record behind it"),
    (head() + record(tsig_rdata(), rclass=1), "of class IN"),
    (head() + record(tsig_rdata()[:-1]), "RDATA that is cut"),
    (head() + record(tsig_rdata() + b"\0"), "a byte behind the RDATA"),
    (head() + record(tsig_rdata(), length=300), "RDATA beyond the end"),
    (head() + record(b""), "no RDATA"),
    (head() + record(tsig_rdata(algorithm=b"\xc0\xff")), "an algorithm that points forward"),
    (head() + record(tsig_rdata(algorithm=b"\x40a")), "an algorithm with a label of a type that there is not"),
    (head() + record(tsig_rdata(), owner=b"\xc0\x1d"), "an owner that points at itself"),
    (head() + record(tsig_rdata(), owner=b"\xc0\x02"), "an owner that points into the header"),
    (head() + record(tsig_rdata(), owner=(b"\x3f" + b"x" * 63) * 4 + b"\0"), "an owner of 257 bytes"),
    (head() + record(tsig_rdata(bytes(33))), "a MAC that is too long"),
    (head() + record(tsig_rdata(bytes(15))), "less than half of a MAC"),
    (head() + record(tsig_rdata(b"")), "no MAC"),
    (head() + record(tsig_rdata(bytes(9), b"\x09hmac-sha1\0")), "fewer than 10 bytes"),
    (head() + record(tsig_rdata(bytes(17), b"\x0fhmac-sha256-128\0")), "more than the algorithm's bits"),
    (head(), "a record that is missing"),
]


@pytest.mark.parametrize(("wire", "why"), MALFORMED, ids=[why for _, why in MALFORMED])
def test_malformed(wire: bytes, why: str) -> None:
    with pytest.raises(ValueError, match="malformed"):
        RING.verify(wire, NOW)


@pytest.mark.parametrize("size", [16, 17, 31, 32])
def test_a_part_of_a_mac_will_do(size: int) -> None:
    """RFC 8945 section 5.2.2.1. The reply's MAC begins with what was sent."""
    message, wire = request()
    mac = message.mac[:size]
    shorter = wire[: record_at(wire)] + record(tsig_rdata(mac, number=message.id))
    signer = signer_of(shorter)
    assert signer.error == 0
    signed = signer.sign(reply_of(message), NOW)
    with clock():
        assert dns.message.from_wire(signed, keyring=key(), request_mac=mac).had_tsig
    wrong = bytearray(shorter)
    wrong[shorter.index(mac) + size - 1] ^= 1
    assert signer_of(bytes(wrong)).error == BADSIG


def test_names_may_be_compressed() -> None:
    """The owner points at the question, the algorithm at the owner."""
    ring = KeyRing({b"\7example\0": SECRET})
    wire = head() + record(tsig_rdata(), owner=b"\xc0\x0e")
    signer = ring.verify(wire, NOW)
    assert signer is not None and signer.error == BADSIG


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_no_changed_byte_is_accepted(data: st.DataObject) -> None:
    """What is signed cannot be changed: but for case of names, and the ID, which the record repeats."""
    _, wire = request(use_edns=0)
    at = data.draw(st.integers(2, len(wire) - 1))
    changed = bytearray(wire)
    changed[at] ^= data.draw(st.integers(1, 255))
    ttl = record_at(wire) + len(b"\3Key\xc0\x0e") + 4
    try:
        signer = RING.verify(bytes(changed), NOW)
    except ValueError:
        return
    if signer is None or signer.error:
        return
    # TTL of the TSIG record is signed as zero; letters of its names in any case.
    assert bytes(changed).lower() == wire.lower() or ttl <= at < ttl + 4, at


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=120), st.integers(0, 2), st.integers(0, 2), st.integers(0, 3))
def test_any_bytes(rest: bytes, an: int, ns: int, ar: int) -> None:
    for prefix in (b"", OWNER, RIGHT[:24], RIGHT[:40]):
        try:
            signer = RING.verify(head(an, ns, ar) + prefix + rest, NOW)
        except ValueError:
            continue
        assert signer is None or signer.error in (BADKEY, BADSIG)


def test_many_keys() -> None:
    names = [dns.name.from_text(f"k{number}.example.") for number in range(200)]
    ring = KeyRing({name.to_wire(): name.to_wire() * 3 for name in names})
    for name in names:
        _, wire = request(dns.tsig.Key(name, name.to_wire() * 3, dns.tsig.HMAC_SHA512))
        signer = ring.verify(wire, NOW)
        assert signer is not None and signer.error == 0, name


def test_what_a_signer_takes() -> None:
    signer = signer_of(request()[1])
    for message in (b"", bytes(11), bytes(65536 - signer.size)):
        with pytest.raises(ValueError, match="a message of 12 to"):
            signer.sign(message)
    assert len(signer.sign(bytes(65535 - signer.size))) == 65535


def test_names_of_keys() -> None:
    with pytest.raises(ValueError, match="1 to 255 bytes, got 256"):
        KeyRing({b"x" * 256: b"y"})
