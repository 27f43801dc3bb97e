"""Other servers' replies as clients get them, against dnspython: every type, ways of compression, damage."""

from __future__ import annotations

import random
import struct

import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dns._messages import copy_reply
from tests.fuzz.replies import RDATA, exchange, expected, record, view

pytestmark = pytest.mark.native

QUERY = dns.message.make_query("www.example.org.", "A", id=77)
NAME = QUERY.question[0].name.to_wire()


def reply_with(*records: bytes, counts: tuple[int, int, int] = (0, 0, 0), flags: int = 0x8180) -> bytes:
    """A reply to QUERY with records as bytes; all answers, unless counts says otherwise."""
    counts = counts if any(counts) else (len(records), 0, 0)
    return struct.pack(">HHHHHH", 1, flags, 1, *counts) + NAME + b"\0\1\0\1" + b"".join(records)


def rr(kind: int, rdata: bytes, owner: bytes = b"\xc0\x0c", ttl_s: int = 5) -> bytes:
    return owner + struct.pack(">HHIH", kind, 1, ttl_s, len(rdata)) + rdata


# Of the question, where the first record begins.
END = len(reply_with())


@settings(max_examples=200, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([None, 0, 30, 2**31 - 1]))
def test_a_reply_means_the_same_as_before(rng: random.Random, ttl_s: int | None) -> None:
    one = exchange(rng)
    copied = copy_reply(one.query, one.reply, ttl_s=ttl_s)
    assert copied is not None
    assert view(copied, strictly=True) == expected(one.query, view(one.reply), ttl_s)


@pytest.mark.parametrize("kind", list(RDATA))
def test_every_type(kind: str) -> None:
    """Some of each, several in one message: what one says can be compressed against another's."""
    rng = random.Random(kind)
    for _ in range(10):
        reply = dns.message.make_response(QUERY, our_payload=0)
        for _ in range(3):
            owner = rng.choice(("www.example.org.", "other.example.net."))
            reply.answer.append(record(rng, owner))
            reply.answer[-1] = dns.rrset.from_text(owner, 7, "IN", kind, RDATA[kind](rng))
        wire = reply.to_wire(max_size=65535)
        for ttl_s in (None, 9):
            copied = copy_reply(QUERY.to_wire(), wire, ttl_s=ttl_s)
            assert copied is not None
            assert view(copied, strictly=True) == expected(QUERY.to_wire(), view(wire), ttl_s)


ORG, EXAMPLE = b"\3org\0", b"\7example\3org\0"
WWW = b"\3www" + EXAMPLE
# Compressed, and expanded. Of types whose names somebody compresses though RFC 3597 section 4 forbids it, too.
# Behind the name of the NXT is a bitmap as NSEC has it: the reader that this compares with knows no other.
COMPRESSED = [
    ("NS", b"\xc0\x0c", WWW),
    ("CNAME", b"\1a\xc0\x10", b"\1a" + EXAMPLE),
    ("PTR", b"\xc0\x18", ORG),
    ("SOA", b"\xc0\x0c\1a\xc0\x10" + bytes(20), WWW + b"\1a" + EXAMPLE + bytes(20)),
    ("MX", b"\0\5\xc0\x0c", b"\0\5" + WWW),
    ("RP", b"\1m\xc0\x0c\1t\xc0\x10", b"\1m" + WWW + b"\1t" + EXAMPLE),
    ("AFSDB", b"\0\1\xc0\x10", b"\0\1" + EXAMPLE),
    ("RT", b"\0\1\xc0\x10", b"\0\1" + EXAMPLE),
    ("KX", b"\0\1\xc0\x10", b"\0\1" + EXAMPLE),
    ("PX", b"\0\1\xc0\x10\1b\xc0\x10", b"\0\1" + EXAMPLE + b"\1b" + EXAMPLE),
    ("SRV", b"\0\1\0\2\0\3\xc0\x10", b"\0\1\0\2\0\3" + EXAMPLE),
    ("DNAME", b"\xc0\x10", EXAMPLE),
    ("NAPTR", b"\0\1\0\2\1u\3E2U\0\1n\xc0\x0c", b"\0\1\0\2\1u\3E2U\0\1n" + WWW),
    ("SIG", bytes(18) + b"\xc0\x10sig", bytes(18) + EXAMPLE + b"sig"),
    ("NXT", b"\xc0\x0c\0\1\x40", WWW + b"\0\1\x40"),
    ("MD", b"\1a\xc0\x10", b"\1a" + EXAMPLE),
    ("MF", b"\xc0\x0c", WWW),
    ("MB", b"\xc0\x0c", WWW),
    ("MG", b"\xc0\x10", EXAMPLE),
    ("MR", b"\xc0\x18", ORG),
    ("MINFO", b"\xc0\x0c\1a\xc0\x10", WWW + b"\1a" + EXAMPLE),
    ("A6", b"\x40" + bytes(8) + b"\xc0\x10", b"\x40" + bytes(8) + EXAMPLE),
    ("A6", b"\x80\xc0\x0c", b"\x80" + WWW),
    ("A6", b"\0" + bytes(range(16)), b"\0" + bytes(range(16))),
]


@pytest.mark.parametrize(("kind", "rdata", "expanded"), COMPRESSED, ids=[kind for kind, _, _ in COMPRESSED])
def test_names_in_rdata_are_expanded(kind: str, rdata: bytes, expanded: bytes) -> None:
    """Also against names that stand in other records."""
    number = int(dns.rdatatype.from_text(kind))
    first, last = b"\5first" + EXAMPLE, b"\4last\5first" + EXAMPLE
    wire = reply_with(
        rr(16, b"\1x", b"\5first\xc0\x10"), rr(number, rdata), rr(number, rdata, b"\4last\xc0" + bytes((END,)))
    )
    plain = reply_with(rr(16, b"\1x", first), rr(number, expanded), rr(number, expanded, last))
    for ttl_s in (None, 9):
        copied = copy_reply(QUERY.to_wire(), wire, ttl_s=ttl_s)
        assert copied is not None
        assert view(copied, strictly=True) == expected(QUERY.to_wire(), view(plain), ttl_s)


# Every reader knows these, and where they have names.
WELL_KNOWN = ("NS", "CNAME", "PTR", "SOA", "MX")
OPAQUE = [one for one in COMPRESSED if one[0] not in WELL_KNOWN]


@pytest.mark.parametrize(("kind", "rdata", "expanded"), OPAQUE, ids=[kind for kind, _, _ in OPAQUE])
def test_names_are_whole_for_readers_that_know_no_such_type(kind: str, rdata: bytes, expanded: bytes) -> None:
    """Who takes rdata as it comes (RFC 3597) got a pointer into a message that it no longer has: MB, MINFO, …"""
    wire = reply_with(rr(int(dns.rdatatype.from_text(kind)), rdata))
    for ttl_s in (None, 9):
        copied = copy_reply(QUERY.to_wire(), wire, ttl_s=ttl_s)
        assert copied is not None
        assert copied.endswith(struct.pack(">H", len(expanded)) + expanded)


BAD = [
    (reply_with(counts=(1, 0, 0)), "an answer is promised and missing"),
    (reply_with(rr(1, bytes(4)), counts=(1, 1, 0)), "an authority record is"),
    (reply_with(rr(1, bytes(4)), counts=(1, 0, 65535)), "65,535 additional ones are"),
    (reply_with(rr(1, bytes(4), struct.pack(">H", 0xC000 | END))), "an owner that points to itself"),
    (reply_with(rr(1, bytes(4), struct.pack(">H", 0xC000 | END + 2))), "an owner that points forward"),
    (reply_with(rr(1, bytes(4), b"\xc0\x0b")), "an owner that points into the header"),
    (reply_with(rr(1, bytes(4), b"\xff\xff")), "an owner that points behind the end"),
    (reply_with(rr(1, bytes(4), b"\1a" + struct.pack(">H", 0xC000 | END))), "an owner that is its own end"),
    (reply_with(rr(1, bytes(4), b"\x40a\0")), "a label type that is not in use"),
    (reply_with(rr(1, bytes(4), b"\x3f" + b"z" * 63 + b"\0")[:40]), "an owner that is cut"),
    (reply_with(rr(1, bytes(4), (b"\x3f" + b"z" * 63) * 4 + b"\0")), "an owner of 257 bytes"),
    (reply_with(rr(1, bytes(4), (b"\x3f" + b"z" * 63) * 3 + b"\x3a" + b"y" * 58 + b"\xc0\x0c")),
     "an owner of 255 bytes and more, for its pointer"),
    (reply_with(rr(1, bytes(4))[:-1]), "rdata that is cut"),
    (reply_with(rr(15, b"\0")), "an MX without a name"),
    (reply_with(rr(15, b"\0\5")), "an MX whose name would be behind it"),
    (reply_with(rr(2, b"\3ab")), "a name that goes beyond its rdata"),
    (reply_with(rr(7, b"\3ab")), "an MB whose name does"),
    (reply_with(rr(14, b"\xc0\x0c")), "a MINFO with one name"),
    (reply_with(rr(38, b"\x40" + bytes(8))), "an A6 without its name"),
    (reply_with(rr(38, b"\x40" + bytes(7))), "an A6 that is cut"),
    (reply_with(rr(6, b"\xc0\x0c")), "a SOA with one name"),
    (reply_with(rr(35, b"\0\1\0\1\0\0")), "a NAPTR without its last string"),
    (reply_with(rr(35, b"\0\1\0\1\0\0\0")), "a NAPTR without a name"),
    (reply_with(rr(35, b"\0\1\0\1\0\0\5ab")), "a NAPTR whose string goes beyond it"),
    (reply_with(rr(41, b"\0\x0a\0\5abc", b"\0")), "an EDNS option that goes beyond its record"),
    (reply_with(rr(41, b"\0\x0a\0", b"\0")), "an EDNS option that is cut"),
    (reply_with(rr(2, struct.pack(">H", 0xC000 | END + 12))), "a name that points to itself"),
]  # fmt: skip


@pytest.mark.parametrize(("wire", "why"), BAD, ids=[why for _, why in BAD])
def test_a_damaged_reply_is_none(wire: bytes, why: str) -> None:
    assert copy_reply(QUERY.to_wire(), wire) is None
    assert copy_reply(QUERY.to_wire(), wire, ttl_s=5) is None


GOOD = [
    (reply_with(rr(1, bytes(4), (b"\x3f" + b"z" * 63) * 3 + b"\x2e" + b"y" * 46 + b"\xc0\x10")), 1,
     "an owner of 255 bytes with its pointer"),
    (reply_with(*[rr(1, bytes(4), b"\0")] * 4000), 4000, "4,000 records"),
    (reply_with(rr(1, bytes(4)) + b"\1\2\3\4", counts=(1, 0, 0)), 1, "bytes behind the message"),
    (reply_with(rr(41, b"", b"\0"), rr(1, bytes(4))), 1, "an OPT record among the answers"),
    (reply_with(rr(1, b"")), 1, "an address of no bytes: not ours to judge"),
]  # fmt: skip


@pytest.mark.parametrize(("wire", "answers", "why"), GOOD, ids=[why for _, _, why in GOOD])
def test_an_odd_reply_is_passed_on(wire: bytes, answers: int, why: str) -> None:
    copied = copy_reply(QUERY.to_wire(), wire)
    assert copied is not None
    assert struct.unpack_from(">H", copied, 6) == (answers,)


def test_a_long_chain_of_pointers_ends() -> None:
    """Each leads backwards, as it must; so many that the way takes longer than it may."""
    chain = b"\xc0\x0c" + b"".join(struct.pack(">H", 0xC000 | (END + 10 + 2 * n)) for n in range(300))
    wire = reply_with(rr(16, chain, b"\0"), rr(1, bytes(4), struct.pack(">H", 0xC000 | (END + 10 + 2 * 300))))
    assert copy_reply(QUERY.to_wire(), wire) is None


@pytest.mark.parametrize("max_bytes", [512, 513, 600, 1232, 4096])
def test_what_does_not_fit_is_left_out_whole(max_bytes: int) -> None:
    rng = random.Random(max_bytes)
    for _ in range(40):
        one = exchange(rng)
        copied = copy_reply(one.query, one.reply, max_bytes=max_bytes)
        assert copied is not None
        assert len(copied) <= max_bytes
        seen, whole = view(copied, strictly=True), expected(one.query, view(one.reply), None)
        if seen != whole:
            assert seen.flags & dns.flags.TC
            for some, every in zip(seen.sections, whole.sections, strict=True):
                assert some == every[: len(some)]


def test_exchanges_are_what_they_say() -> None:
    """The generator itself: its replies are to its questions."""
    one = exchange(random.Random(5))
    asked, reply = view(one.query), view(one.reply)
    assert reply.question.lower() == asked.question.lower()
    assert one.reply[12 : one.question_end].lower() == asked.question.lower()
