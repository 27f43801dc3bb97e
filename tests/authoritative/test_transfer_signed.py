"""Transfers whose request is signed: each message is, as RFC 8945 section 5.3.1 has it. dnspython verifies."""

from __future__ import annotations

import dns.message
import dns.rcode
import dns.tsig
import pytest

from fastdns.dns._signatures import KeyRing
from fastdns.plugins.tsig._step import TsigStep
from fastdns.transports._slow import Messages
from tests.authoritative.asking import axfr, ixfr
from tests.authoritative.test_transfer import ORIGIN, shape, zone
from tests.authoritative.transferring import CLIENT, Primary
from tests.plugins.tsig.messages import NAME, SECRET, Said, key, read
from tests.serve.support import wire

pytestmark = pytest.mark.native

RING = KeyRing({wire(NAME): SECRET})
LINES = "".join(f"host{number} 60 IN A 192.0.2.1\n" for number in range(3000))


def primary() -> Primary:
    made = Primary(TsigStep(RING, [ORIGIN], None, None))
    made.publish(zone(1, LINES))
    made.publish(zone(2, LINES))
    return made


def signed(query: dns.message.Message, by: dns.tsig.Key) -> bytes:
    query.use_tsig(by, by.name)
    return query.to_wire()


def ask(server: Primary, message: bytes) -> object:
    return server.slow.serve(0, message, CLIENT, 5300, lambda _: None)


@pytest.mark.parametrize(
    "algorithm", [dns.tsig.HMAC_SHA1, dns.tsig.HMAC_SHA256, dns.tsig.HMAC_SHA512, dns.tsig.HMAC_SHA256_128]
)
@pytest.mark.parametrize(("query", "more"), [(axfr, 5), (lambda origin: ixfr(origin, 1), 1)], ids=["AXFR", "IXFR"])
def test_each_message_is_signed(algorithm: dns.name.Name, query: object, more: int) -> None:
    """The first one with the request's MAC, each later one with the MAC of the one before."""
    asked = query(ORIGIN)  # type: ignore[operator]
    by = key(algorithm=algorithm)
    reply = ask(primary(), signed(asked, by))
    assert isinstance(reply, Messages)
    context, messages = None, []
    while message := reply.next():
        assert isinstance(message, bytes) and len(message) <= 16384 + 256
        read_one = dns.message.from_wire(
            message, keyring=by, request_mac=asked.mac, tsig_ctx=context, multi=True, xfr=True,
            one_rr_per_rrset=True,
        )  # fmt: skip
        assert read_one.had_tsig
        context = read_one.tsig_ctx
        messages.append(read_one)
    assert message == b""
    assert len(messages) >= more
    assert [shape(messages)[at] for at in (0, -1)] == ["SOA 2", "SOA 2"]


def test_two_transfers_at_once_have_their_own_signatures() -> None:
    server = primary()
    both = []
    for _ in range(2):
        asked = axfr(ORIGIN)
        reply = ask(server, signed(asked, key()))
        assert isinstance(reply, Messages)
        both.append((asked, reply, [None]))
    for _ in range(4):
        for asked, reply, context in both:
            message = reply.next()
            assert isinstance(message, bytes)
            found = dns.message.from_wire(
                message, keyring=key(), request_mac=asked.mac, tsig_ctx=context[0], multi=True, xfr=True
            )
            context[0] = found.tsig_ctx


def test_a_message_of_the_greatest_size_has_room_for_its_signature() -> None:
    server = Primary(TsigStep(RING, [ORIGIN], None, None))
    # A zone takes no larger RRset.
    server.publish(zone(1, "huge 60 IN TXT " + " ".join(["y" * 255] * 253) + "\n"))
    reply = ask(server, signed(axfr(ORIGIN), key()))
    assert isinstance(reply, Messages)
    sizes = []
    while message := reply.next():
        assert isinstance(message, bytes)
        sizes.append(len(message))
    assert message == b"" and 64768 < max(sizes) <= 65535


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (key(secret=b"other"), Said("NOTAUTH", "BADSIG")),
        (key("other."), Said("NOTAUTH", "BADKEY")),
    ],
)
def test_who_has_not_the_key_gets_nothing(by: dns.tsig.Key, expected: Said) -> None:
    asked = axfr(ORIGIN)
    reply = ask(primary(), signed(asked, by))
    assert isinstance(reply, bytes) and read(reply, asked, by) == expected


def test_who_has_not_signed_gets_nothing() -> None:
    reply = ask(primary(), axfr(ORIGIN).to_wire())
    assert isinstance(reply, bytes)
    assert dns.message.from_wire(reply).rcode() == dns.rcode.REFUSED
