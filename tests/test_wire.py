"""Messages as bytes, against dnspython."""

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns._wire import error_reply
from tests.dns._messages import build_reply, parse_query

pytestmark = pytest.mark.native

labels = st.text(
    alphabet="abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", min_size=1, max_size=20
)
names = st.lists(labels, min_size=0, max_size=8).map(lambda parts: ".".join(parts) + ".")
rrtypes = st.sampled_from(["A", "AAAA", "SRV", "PTR", "TXT", "SOA", "NS", "MX", "ANY", "TYPE65280"])


@settings(max_examples=300, deadline=None)
@given(names, rrtypes, st.integers(0, 65535), st.booleans(), st.booleans())
def test_queries_of_dnspython_are_read_as_they_were_meant(name, rrtype, ident, edns, do):
    query = dns.message.make_query(
        name, rrtype, use_edns=0 if edns else None, want_dnssec=edns and do, id=ident
    )
    verdict, details = parse_query(query.to_wire())
    assert verdict == "accepted"
    assert details["id"] == ident
    assert details["qname"] == dns.name.from_text(name.lower()).to_wire()
    assert details["qtype"] == query.question[0].rdtype
    assert details["has_opt"] == edns
    assert details["do"] == (edns and do)
    assert details["labels"] == len(query.question[0].name.labels) - 1


@settings(max_examples=1000, deadline=None)
@given(st.binary(max_size=600))
def test_any_bytes_are_met_with_a_verdict(message):
    verdict, _ = parse_query(message)
    reply = build_reply(message)
    assert (reply is None) == (verdict == "ignored")
    assert error_reply(message, 2, 512) == build_reply(message, rcode=2, max_bytes=512)
    if reply is not None:
        assert reply[:2] == message[:2]
        assert reply[2] & 0x80
        dns.message.from_wire(reply)


@pytest.mark.parametrize(
    ("message", "verdict", "why"),
    [
        (b"", "ignored", "nothing"),
        (b"\0" * 11, "ignored", "shorter than a header"),
        (b"\0\1\x80\0\0\1\0\0\0\0\0\0\0\0\1\0\1", "ignored", "a response"),
        (b"\0\1\0\0\0\0\0\0\0\0\0\0", "rejected", "no question"),
        (b"\0\1\0\0\0\2\0\0\0\0\0\0\0\0\1\0\1\0\0\1\0\1", "rejected", "two questions"),
        (b"\0\1\0\0\0\1\0\2\0\0\0\0\0\0\1\0\1", "rejected", "two answers"),
        (b"\0\1\0\0\0\1\0\0\0\0\0\3\0\0\1\0\1", "rejected", "three additional records"),
        (b"\0\1\0\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1", "rejected", "a question that points at itself"),
        (b"\0\1\0\0\0\1\0\0\0\0\0\0\x40abc\0\0\1\0\1", "rejected", "a label type that does not exist"),
        (b"\0\1\0\0\0\1\0\0\0\0\0\0\0\0\1\0", "rejected", "cut inside the question"),
        (b"\0\1\0\0\0\1\0\0\0\0\0\1\0\0\1\0\1\0\0\x29\x10\0\0\0\0\0\0\5ab", "rejected", "OPT past the end"),
        (b"\0\1\x28\0\0\1\0\0\0\0\0\0\0\0\1\0\1", "rejected", "UPDATE"),
        (b"\0\1\x20\0\0\1\0\0\0\0\0\0\0\0\1\0\1", "accepted", "NOTIFY rides the chain"),
        (b"\0\1\0\0\0\1\0\0\0\0\0\0\0\0\1\0\1tail", "accepted", "trailing bytes are nobody's business"),
    ],
)
def test_acceptance(message, verdict, why):
    assert parse_query(message)[0] == verdict, why


V4, V6 = b"\0\1", b"\0\2"
SUBNETS = [
    ([V4 + b"\x18\0\xc0\0\2"], True, "192.0.2.0/24"),
    ([V4 + b"\x19\0\xc0\0\2\x80"], True, "192.0.2.128/25"),
    ([V4 + b"\x20\0\xc0\0\2\1"], True, "192.0.2.1/32"),
    ([V6 + b"\x38\0" + b"\x20\1\r\xb8\0\0\1"], True, "2001:db8:0:100::/56"),
    ([V6 + b"\x80\0" + bytes(16)], True, "::/128"),
    ([V4 + b"\0\0"], True, "0.0.0.0/0: use no subnet"),
    ([V6 + b"\0\0"], True, "::/0: use no subnet"),
    ([b"\0\0\0\0"], True, "so dig says it, without a family"),
    ([b""], False, "an empty one"),
    ([V4 + b"\x18"], False, "three bytes"),
    ([V4 + b"\x18\0\xc0\0\2"] * 2, False, "two of them"),
    ([V4 + b"\x18\0\xc0\0\2", b""], False, "one, and an empty one"),
    ([b"", V4 + b"\x18\0\xc0\0\2"], False, "an empty one, and one"),
    ([V4 + b"\0\0"] * 2, False, "two that say nothing"),
    ([V4 + b"\x18\0\xc0\0"], False, "too few octets"),
    ([V4 + b"\x18\0\xc0\0\2\0"], False, "too many octets"),
    ([V4 + b"\x17\0\xc0\0\3"], False, "a bit behind the prefix"),
    ([V4 + b"\x21\0\xc0\0\2\1\0"], False, "33 bits of IPv4"),
    ([V6 + b"\x81\0" + bytes(17)], False, "129 bits of IPv6"),
    ([V4 + b"\x18\x18\xc0\0\2"], False, "a scope, which replies tell"),
    ([b"\0\3\x08\0\x0a"], False, "a family that nobody knows"),
    ([b"\1\1\x18\0\xc0\0\2"], False, "another one"),
    ([b"\0\0\x08\0\x0a"], False, "an address without a family"),
]


@pytest.mark.parametrize(("subnets", "well_formed", "why"), SUBNETS, ids=[why for _, _, why in SUBNETS])
def test_a_client_subnet_is_one_and_well_formed(subnets, well_formed, why):
    """RFC 7871 section 6. Of two the first was the key of a cache, and both were asked with."""
    options = [dns.edns.GenericOption(8, data) for data in subnets]
    verdict, details = parse_query(dns.message.make_query("a.", "A", use_edns=0, options=options).to_wire())
    assert verdict == ("accepted" if well_formed else "rejected")
    assert details.get("rcode") == (None if well_formed else dns.rcode.FORMERR)
    assert details["subnet"] == (subnets[0] if well_formed else b"")


def test_compression_pointer_loops_in_records_end():
    head = b"\0\1\0\0\0\1\0\0\0\0\0\1\1a\0\0\1\0\1"
    for owner in (b"\xc0\x13", b"\xc0\x15\xc0\x13", b"\xc0\xff", b"\xc0\x00"):
        assert parse_query(head + owner + b"\0\1\0\1\0\0\0\0\0\0")[0] == "rejected"
    assert parse_query(head + b"\xc0\x0c" + b"\0\1\0\1\0\0\0\0\0\0")[0] == "accepted"


def wire(text):
    return dns.name.from_text(text).to_wire()


@settings(max_examples=200, deadline=None)
@given(
    names,
    st.lists(st.tuples(names, names, st.binary(max_size=20)), max_size=30),
    st.sampled_from([512, 600, 1232, 65535]),
    st.booleans(),
)
def test_replies_read_back_by_dnspython(qname, records, max_bytes, edns):
    query = dns.message.make_query(qname, "A", use_edns=0 if edns else None)
    answer = [(wire(o), 5, 30, b"", wire(t), b"", True) for o, t, _ in records]
    extra = [(None, 33, 30, b"\0\0\0\1\0\2", wire(t), b"", False) for _, t, _ in records]
    reply = build_reply(query.to_wire(), aa=True, answer=answer, additional=extra, max_bytes=max_bytes)
    assert len(reply) <= max_bytes
    message = dns.message.from_wire(reply, one_rr_per_rrset=True)
    got = [(r.name.to_text(), r[0].to_text()) for r in message.answer]
    want = [(dns.name.from_text(o).to_text(), dns.name.from_text(t).to_text()) for o, t, _ in records]
    assert got == want[: len(got)]
    if not message.flags & dns.flags.TC:
        assert len(got) == len(want)
        assert len(message.additional) == len(records)
    assert (message.edns == 0) == edns


@pytest.mark.parametrize("max_bytes", [511, 65536])
def test_the_room_of_an_error_reply(max_bytes):
    with pytest.raises(ValueError, match="512 to 65535"):
        error_reply(dns.message.make_query("a.example.", "A").to_wire(), 2, max_bytes)


def test_an_error_reply_to_a_query():
    """With its question and OPT record; BADVERS, whose code needs the OPT record, too."""
    query = dns.message.make_query("a.example.", "A", use_edns=0)
    for code in (dns.rcode.SERVFAIL, dns.rcode.BADVERS):
        reply = dns.message.from_wire(error_reply(query.to_wire(), code, 512))
        assert reply.rcode() == code and reply.question == query.question and reply.edns == 0
