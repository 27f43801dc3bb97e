"""Messages as bytes, against dnspython."""

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns._wire import build_reply, parse_query

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
