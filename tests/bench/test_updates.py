"""Files of dynamic updates, against the messages that dnspython makes."""

from __future__ import annotations

import dns.message
import dns.rdatatype
import dns.update
import pytest

from fastdns.bench.errors import BenchError
from fastdns.bench.messages import edns
from fastdns.bench.updates import parse_updates


def made(text: str) -> bytes:
    [update] = parse_updates(text.splitlines(True), "file")
    return update.message


def test_every_kind_of_line() -> None:
    """The man page of dnsperf has these; relative names, absolute ones, and names in data."""
    update = dns.update.UpdateMessage("example.com", id=0)
    update.present("a")
    update.present("a", "A")
    update.present("a", "A", "1.2.3.4")
    update.absent("x")
    update.absent("x", "A")
    update.add("x", 3600, "A", "10.1.2.3")
    update.add("m", 60, "MX", "10 mail.example.com.")
    update.add("m", 60, "CNAME", "other.org.")
    update.add("t", 60, "TXT", '"a b" c')
    update.add("x.other.", 0, "AAAA", "2001:db8::1")
    update.delete("y", "A", "10.1.2.3")
    update.delete("z", "A")
    update.delete("w")
    text = """\
; a comment
example.com
require a
require a A
require a A 1.2.3.4

prohibit x
prohibit x A
add x 3600 A 10.1.2.3
add m 60 MX 10 mail
add m 60 CNAME other.org.
add t 60 TXT "a b" c
add x.other. 0 AAAA 2001:db8::1
delete y A 10.1.2.3
delete z A
delete w
send
"""
    # It compresses names.
    assert dns.message.from_wire(made(text)).to_wire() == update.to_wire()


def test_updates_have_edns_where_that_is_wanted() -> None:
    opt = edns(dnssec_ok=True)
    [plain], [more] = (parse_updates(["a.\n", "send\n"], "file", one) for one in (b"", opt))
    assert (plain.zone, plain.message) == ("a.", made("a\nsend"))
    assert more.message == plain.message[:11] + b"\1" + plain.message[12:] + opt


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "file: no updates: blocks of lines that begin with a zone and end with send expected"),
        ("a.example A\n", "file:1 - the name of a zone expected, got 'a.example A'"),
        ("a\nadd x 1 A 192.0.2.1\n", "file: the last update has no send"),
        ("a\nupdate x\n", "file:2 - require, prohibit, add, delete or send expected, got 'update'"),
        ("a\nadd x A 192.0.2.1\n", "file:2 - add NAME TTL TYPE RDATA expected"),
        ("a\nadd x 2147483648 A 192.0.2.1\n", "file:2 - add NAME TTL TYPE RDATA expected"),
        ("a\nadd x 1 A\n", "file:2 - add NAME TTL TYPE RDATA expected"),
        ("a\nadd x 1 A 192.0.2.1 a\n", "file:2 - Expected 4 octets in 'a'"),
        ("a\nadd x 1 NS b c\n", "file:2 - the data of one record expected, got 'b c'"),
        ("a\nadd x 1 A 192.0.2\n", "file:2 - Expected 4 octets in '192.0.2'"),
        ("a\nadd x 1 NOPE a\n", "file:2 - 'NOPE' is not a record type"),
        ("a\nprohibit x A 192.0.2.1\n", "file:2 - prohibit NAME [TYPE] expected"),
        ("a\nrequire\n", "file:2 - require NAME [TYPE [RDATA]] expected"),
        ("a\ndelete\n", "file:2 - delete NAME [TYPE [RDATA]] expected"),
        ("a\ndelete x..y\n", "file:2 - 'x..y.a.' is not a domain name"),
        ("a..b\n", "file:1 - 'a..b.' is not a domain name"),
    ],
)
def test_a_wrong_line_is_said_with_its_place(text: str, says: str) -> None:
    with pytest.raises(BenchError) as caught:
        parse_updates(text.splitlines(True), "file")
    assert str(caught.value).startswith(says)


def test_types_are_those_of_the_registry() -> None:
    assert made("a\ndelete x TYPE65280\nsend").endswith(b"\1x\1a\0\xff\0\0\xff" + bytes(6))
    assert made("a\nadd x 1 TYPE65280 \\# 2 abcd\nsend").endswith(b"\xff\0\0\1\0\0\0\1\0\2\xab\xcd")
    assert dns.rdatatype.from_text("TYPE65280") == 65280
