"""Messages as bytes, against dnslib: a second implementation that shares no code with dnspython."""

from __future__ import annotations

import dnslib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dns._messages import build_reply, parse_query

pytestmark = pytest.mark.native

# dnslib reads labels as text; these are what it does not escape.
ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
labels = st.text(alphabet=ALPHABET, min_size=1, max_size=20)
names = st.lists(labels, min_size=1, max_size=8).map(lambda parts: ".".join(parts) + ".")
options = st.lists(st.tuples(st.sampled_from([3, 10, 12, 65001]), st.binary(max_size=12)), max_size=3)
subnets = st.none() | st.binary(min_size=3, max_size=3).map(lambda octets: b"\0\1\x18\0" + octets)
ECHOED = {3, 9, 10, 11}


def wire(text: str) -> bytes:
    """A name in uncompressed wire form, by dnslib."""
    buffer = dnslib.buffer.Buffer()
    for label in dnslib.DNSLabel(text).label:
        buffer.append(bytes((len(label),)) + label)
    return bytes(buffer.data) + b"\0"


@settings(max_examples=300, deadline=None)
@given(names, st.integers(1, 65535), st.integers(0, 65535), st.integers(0, 65535), options, subnets, st.booleans())
def test_queries_of_dnslib_are_read_as_they_were_meant(
    name: str, qtype: int, ident: int, udp: int, opts: list[tuple[int, bytes]], subnet: bytes | None, do: bool
) -> None:
    if subnet is not None:
        opts = [*opts[:1], (8, subnet), *opts[1:]]
    record = dnslib.DNSRecord(dnslib.DNSHeader(id=ident, rd=1), q=dnslib.DNSQuestion(name, qtype))
    record.add_ar(
        dnslib.EDNS0(udp_len=udp, flags="do" if do else "", opts=[dnslib.EDNSOption(c, d) for c, d in opts])
    )
    verdict, details = parse_query(bytes(record.pack()))
    assert verdict == "accepted"
    assert (details["id"], details["qtype"], details["udp_bytes"], details["do"]) == (ident, qtype, udp, do)
    assert details["qname"] == wire(name).lower()
    assert details["subnet"] == (subnet or b"")
    kept = [(code, data) for code, data in opts if code in ECHOED]
    assert details["options"] == b"".join(
        code.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data for code, data in kept
    )


@settings(max_examples=200, deadline=None)
@given(
    names,
    st.lists(st.tuples(names, names, st.integers(0, 2**31 - 1)), max_size=30),
    st.lists(st.binary(min_size=4, max_size=4), max_size=20),
    st.booleans(),
)
def test_replies_read_back_by_dnslib(
    qname: str, chain: list[tuple[str, str, int]], addresses: list[bytes], edns: bool
) -> None:
    query = dnslib.DNSRecord(dnslib.DNSHeader(id=7, rd=1), q=dnslib.DNSQuestion(qname, dnslib.QTYPE.A))
    if edns:
        query.add_ar(dnslib.EDNS0(udp_len=4096))
    answer = [(wire(owner), 5, ttl, b"", wire(target), b"", True) for owner, target, ttl in chain]
    answer += [(None, 1, 5, address, None, b"", False) for address in addresses]
    reply = build_reply(bytes(query.pack()), aa=True, answer=answer)
    assert reply is not None
    message = dnslib.DNSRecord.parse(reply)
    assert message.header.id == 7 and message.header.aa and message.header.rd and not message.header.tc
    assert str(message.q.qname) == qname
    read = [(str(rr.rname), rr.ttl, bytes(rr.rdata.data) if rr.rtype == 1 else str(rr.rdata)) for rr in message.rr]
    assert read == [(owner, ttl, target) for owner, target, ttl in chain] + [
        (qname, 5, address) for address in addresses
    ]
    assert (len(message.ar) == 1) == edns


@settings(max_examples=300, deadline=None)
@given(names, st.lists(st.tuples(names, names), min_size=5, max_size=60), st.sampled_from([512, 700, 1232]))
def test_truncated_replies_are_whole_messages(
    qname: str, records: list[tuple[str, str]], max_bytes: int
) -> None:
    query = bytes(dnslib.DNSRecord(dnslib.DNSHeader(id=7), q=dnslib.DNSQuestion(qname, 1)).pack())
    answer = [(wire(owner), 5, 1, b"", wire(target), b"", True) for owner, target in records]
    reply = build_reply(query, answer=answer, max_bytes=max_bytes)
    assert reply is not None and len(reply) <= max_bytes
    message = dnslib.DNSRecord.parse(reply)
    assert message.header.tc == (len(message.rr) < len(records))
    assert [str(rr.rname) for rr in message.rr] == [owner for owner, _ in records][: len(message.rr)]
