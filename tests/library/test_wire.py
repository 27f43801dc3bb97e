"""Messages in Python: read and written as dnspython has them; damaged ones are errors and nothing else."""

from __future__ import annotations

import contextlib

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdns import MessageError, Record, read_query, read_reply, write_query, write_reply

pytestmark = pytest.mark.native

TEXTS = {
    "A": "192.0.2.1",
    "AAAA": "2001:db8::1",
    "CNAME": "other.example.org.",
    "MX": "10 mail.example.org.",
    "NS": "ns.example.org.",
    "SOA": "ns.example.org. root.example.org. 1 3600 600 86400 60",
    "SRV": "0 50 80 web.example.org.",
    "TXT": '"one" "two words"',
    "CAA": '0 issue "ca.example"',
    "DNAME": "target.example.org.",
    "NAPTR": '100 10 "u" "sip" "!^.*$!sip:x@example.org!" .',
}


@pytest.mark.parametrize("edns", [False, True])
def test_a_query_is_what_dnspython_reads(edns: bool) -> None:
    message = write_query("Www.Example.org", "AAAA", id=4321, edns=edns, dnssec_ok=edns, recursion_desired=False)
    read = dns.message.from_wire(message)
    assert (read.id, str(read.question[0])) == (4321, "Www.Example.org. IN AAAA")
    assert (read.edns, bool(read.ednsflags & dns.flags.DO)) == ((0, True) if edns else (-1, False))
    query = read_query(message)
    assert (query.id, query.name, query.type, query.qclass) == (4321, "Www.Example.org.", "AAAA", 1)
    assert (query.edns, query.dnssec_ok, query.recursion_desired) == (edns, edns, False)
    assert query.udp_bytes == (1232 if edns else 512)


@pytest.mark.parametrize("rdtype", TEXTS)
def test_records_are_those_of_dnspython(rdtype: str) -> None:
    record = Record.from_text("name.example.org", rdtype, TEXTS[rdtype], ttl_s=77)
    assert record.text == TEXTS[rdtype]
    message = write_reply(write_query("name.example.org", rdtype, id=5), answer=[record], authoritative=True)
    read = dns.message.from_wire(message)
    wanted = dns.rrset.from_text("name.example.org.", 77, "IN", rdtype, TEXTS[rdtype])
    assert read.answer == [wanted] and read.answer[0].ttl == 77
    assert bool(read.flags & dns.flags.AA) and read.id == 5
    # And what dnspython writes, with its compression, is read.
    reply = dns.message.make_response(dns.message.make_query("name.example.org", rdtype))
    reply.answer.append(wanted)
    assert read_reply(reply.to_wire()).answer == (record,)


def test_names_are_compressed_and_sections_kept_apart() -> None:
    query = write_query("www.example.org", "CNAME", edns=False)
    soa = Record.from_text("example.org", "SOA", TEXTS["SOA"])
    made = write_reply(query, rcode="NXDOMAIN", authority=[soa], recursion_available=True)
    read = dns.message.from_wire(made)
    assert read.rcode() == dns.rcode.NXDOMAIN and not read.answer and len(read.authority) == 1
    # The question's, and the second name of the SOA record, which the server writes whole.
    assert made.count(b"\x07example") == 2 and b"\x02ns\xc0" in made
    reply = read_reply(made)
    assert (reply.rcode, reply.answer, reply.authority) == ("NXDOMAIN", (), (soa,))


def test_what_does_not_fit_is_left_out() -> None:
    query = write_query("www.example.org", "TXT", edns=False)
    records = [Record("www.example.org", "TXT", 60, bytes([200]) + b"x" * 200) for _ in range(9)]
    small = read_reply(write_reply(query, answer=records))
    assert small.truncated and len(small.answer) == 2
    whole = read_reply(write_reply(query, answer=records, max_bytes=65535))
    assert not whole.truncated and len(whole.answer) == 9


@pytest.mark.parametrize(
    ("message", "rcode", "why"),
    [
        (b"", None, "no header"),
        (b"\0" * 12, "FORMERR", "no question"),
        (write_query("a", "A")[:-3], "FORMERR", "cut off"),
        (b"\0\0\x28\0" + write_query("a", "A")[4:], "NOTIMP", "an update"),
        (write_reply(write_query("a", "A")), None, "a reply"),
        (b"\0" * 70000, None, "longer than a message can be"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_is_no_query(message: bytes, rcode: str | None, why: str) -> None:
    with pytest.raises(MessageError) as caught:
        read_query(message)
    assert caught.value.rcode == rcode


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: write_query("a..b", "A"),
        lambda: write_query("x" * 64, "A"),
        lambda: write_query("a", "NOTYPE"),
        lambda: write_query("a", "A", id=65536),
        lambda: write_reply(b"short"),
        lambda: write_reply(write_query("a", "A"), rcode="NOSUCH"),
        lambda: write_reply(write_query("a", "A"), max_bytes=100),
        lambda: write_reply(write_query("a", "A"), max_bytes=10**9),
        lambda: write_reply(write_query("a", "A"), answer=[Record("a", "MX", 60, b"\0")]),
        lambda: write_reply(write_query("a", "A"), answer=[Record("a", "NS", 60, b"\x05ab")]),
        lambda: write_reply(write_query("a", "A"), answer=[Record("a", "A", 2**31, b"1234")]),
        lambda: write_reply(write_query("a", "A"), answer=[Record("a", "A", -1, b"1234")]),
        lambda: write_reply(write_query("a", "A"), answer=[Record("a", "TXT", 1, b"x" * 70000)]),
        lambda: Record.from_text("a", "A", "300.0.0.1"),
        lambda: read_reply(b""),
        lambda: read_reply(write_query("a", "A")),
    ],
)
def test_what_cannot_be_made_is_an_error(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(MessageError):
        wrong()


def damaged(message: bytes, at: int, bits: int, length: int) -> bytes:
    """A message with a changed byte, cut off or with bytes behind it."""
    made = bytearray(message)
    made[at % len(made)] ^= bits
    return bytes(made[:length]) if length < len(made) else bytes(made) + b"\0" * (length - len(made))


GOOD = write_reply(
    write_query("www.example.org", "MX"),
    answer=[Record.from_text("www.example.org", rdtype, TEXTS[rdtype]) for rdtype in TEXTS],
    max_bytes=65535,
)


@given(st.integers(0, 500), st.integers(0, 255), st.integers(0, 600))
def test_damaged_messages_are_errors_or_messages(at: int, bits: int, length: int) -> None:
    for read, message in ((read_query, write_query("www.example.org", "A")), (read_reply, GOOD)):
        with contextlib.suppress(MessageError):
            read(damaged(message, at, bits, length))


@given(st.binary(max_size=300))
def test_any_bytes_are_errors_or_messages(message: bytes) -> None:
    for read in (read_query, read_reply):
        with contextlib.suppress(MessageError):
            read(message)
