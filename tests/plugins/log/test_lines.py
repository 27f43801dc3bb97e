"""Lines as CoreDNS 1.14.7 writes them: what it printed for the same queries, but for addresses, ports and times."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdns.dns import mnemonics
from fastdns.dns._texts import address_text
from fastdns.plugins.log._lines import OPS, LineReader
from fastdns.plugins.log._values import duration_text
from fastdns.plugins.log.format import COMBINED, PLACEHOLDERS, Part, parse_format
from tests.plugins.log.support import Serving, lines, query, timeless

pytestmark = pytest.mark.native

IPV6 = ipaddress.ip_address("2001:db8::1").packed
A, SOA = 1, 6


def message(name: str | bytes = "www.example.org.", kind: str | int = "A", *, flags: int = dns.flags.RD,
            opcode: int = 0, **options: Any) -> bytes:  # fmt: skip
    """A query with ID 4711; name as text, or as the bytes of its first label."""
    owner = dns.name.Name([name, b"x", b""]) if isinstance(name, bytes) else name
    made = dns.message.make_query(owner, kind, **options)
    made.id = 4711
    made.flags = flags
    made.set_opcode(dns.opcode.Opcode(opcode))
    return made.to_wire()


@dataclass(frozen=True)
class Served:
    """A query to whoami, and its line in the common format."""

    message: bytes
    line: str
    why: str
    how: dict[str, Any] = field(default_factory=dict)


SERVED = [
    Served(
        message("www.Example.ORG"),
        '127.0.0.1:0 - 4711 "A IN www.example.org. udp 33 false 512" NOERROR qr,aa,rd 103 Ts',
        why="without EDNS the size is 512; the name in lower case",
    ),
    Served(
        message("www.Example.ORG", "TYPE1234", use_edns=0, payload=1232, want_dnssec=True),
        '127.0.0.1:0 - 4711 "TYPE1234 IN www.example.org. udp 44 true 1232" NOERROR qr,aa,rd 103 Ts',
        why="a type without a name, DO; the reply's size is without OPT",
    ),
    Served(
        message("www.Example.ORG", "AAAA", use_edns=0, payload=100),
        '127.0.0.1:0 - 4711 "AAAA IN www.example.org. udp 44 false 512" NOERROR qr,aa,rd 103 Ts',
        why="less than 512 bytes counts as 512",
    ),
    Served(
        message("tcp.example", use_edns=0, payload=1400),
        '127.0.0.1:0 - 4711 "A IN tcp.example. tcp 40 false 65535" NOERROR qr,aa,rd 91 Ts',
        why="TCP takes all there is",
        how={"tcp": True},
    ),
    Served(
        message("six.example", use_edns=0, payload=1232),
        '[2001:db8::1]:49868 - 4711 "A IN six.example. udp 40 false 1232" NOERROR qr,aa,rd 103 Ts',
        why="IPv6 in brackets",
        how={"client": IPV6, "client_port": 49868},
    ),
    Served(
        message(".", "NS"),
        '127.0.0.1:0 - 4711 "NS IN . udp 17 false 512" NOERROR qr,aa,rd 55 Ts',
        why="the root",
    ),
    Served(
        message(b"A.b c\"d'e$f@g;h(i)j\\k\0l\nm\x7fn\xff\xe9~!"),
        r'127.0.0.1:0 - 4711 "A IN a\.b\ c\"d\'e$f\@g\;h\(i\)j\\k\000l\010m\127n\255\233~!.x. udp 51 false 512" '
        "NOERROR qr,aa,rd 157 Ts",
        why="no byte of a name can end the line or the quotes",
    ),
    Served(
        message("notify.example", "SOA", opcode=4),
        '127.0.0.1:0 - 4711 "SOA IN notify.example. udp 32 false 512" NOERROR qr,aa 100 Ts',
        why="RD is not repeated to NOTIFY",
    ),
    Served(
        message("rd.example", flags=0),
        '127.0.0.1:0 - 4711 "A IN rd.example. udp 28 false 512" NOERROR qr,aa 88 Ts',
        why="RD is not set",
    ),
    Served(
        message("cd.example", flags=dns.flags.RD | dns.flags.CD | dns.flags.AD | 0x40),
        '127.0.0.1:0 - 4711 "A IN cd.example. udp 28 false 512" NOERROR qr,aa,rd,cd 88 Ts',
        why="CD is repeated, AD and the reserved bit are not",
    ),
    Served(
        message("a.example", "AXFR"),
        '127.0.0.1:0 - 4711 "AXFR IN a.example. udp 27 false 512" NOERROR qr,aa,rd 85 Ts',
        why="a transfer over UDP",
    ),
    Served(
        message("cookie.example", use_edns=0, payload=1232, options=[dns.edns.GenericOption(10, b"12345678")]),
        '127.0.0.1:0 - 4711 "A IN cookie.example. udp 55 false 1232" NOERROR qr,aa,rd 100 Ts',
        why="options count for the query's size only",
    ),
    Served(
        message("ecs.example", use_edns=0, payload=1232, options=[dns.edns.ECSOption("10.0.0.0", 24)]),
        '127.0.0.1:0 - 4711 "A IN ecs.example. udp 51 false 1232" NOERROR qr,aa,rd 91 Ts',
        why="all bytes of the query count, where CoreDNS leaves out the client subnet",
    ),
    Served(
        message("trail.example") + b"xxxxx",
        '127.0.0.1:0 - 4711 "A IN trail.example. udp 31 false 512" NOERROR qr,aa,rd 97 Ts',
        why="what stands behind the message does not count",
    ),
]


@pytest.mark.parametrize("case", SERVED, ids=[case.why for case in SERVED])
def test_common_format(case: Served) -> None:
    assert Serving().lines(case.message, **case.how) == [case.line]


@dataclass(frozen=True)
class Replied:
    """A reply as a plugin leaves it, and how a format shows it."""

    format: str
    text: str
    why: str
    reply: dict[str, Any] = field(default_factory=dict)
    message: bytes = message()


REPLY = "{rcode} {>rflags} {rsize}"
SMALL = [(A, b"\1\2\3\4")]
LARGE = [(16, b"\xff" + b"x" * 255)] * 2
ALMOST = [(16, b"\xe0" + b"x" * 224)] * 2
REPLIED = [
    Replied(REPLY, "NXDOMAIN qr,aa,rd 33", reply={"rcode": 3, "aa": True}, why="written without records"),
    Replied(REPLY, "REFUSED qr,aa,rd 33", reply={"rcode": 5, "aa": True}, why="REFUSED that a plugin wrote"),
    Replied(REPLY, "SERVFAIL qr,rd 33", reply={"rcode": 2, "written": False}, why="SERVFAIL that none wrote"),
    Replied(
        REPLY,
        "REFUSED qr,rd 33",
        reply={"rcode": 5, "written": False, "aa": True, "answer": SMALL},
        why="what was begun is not sent with a bare reply",
    ),
    Replied(REPLY, "- - 0", reply={"written": False}, why="a dropped query"),
    Replied(REPLY, "- - 0", reply={"written": False, "rcode": 3}, why="dropped with any other response code"),
    Replied(REPLY, "YXDOMAIN qr,rd 33", reply={"rcode": 6}, why="a rare response code"),
    Replied(REPLY, "BADSIG qr,rd 33", reply={"rcode": 16}, why="BADVERS has the number of BADSIG"),
    Replied(REPLY, "BADKEY qr,rd 33", reply={"rcode": 17}, why="a response code of more than four bits"),
    Replied(REPLY, "3841 qr,rd 33", reply={"rcode": 3841}, why="a response code without a name"),
    Replied(REPLY, "12 qr,rd 33", reply={"rcode": 12}, why="a low response code without a name"),
    Replied(
        REPLY, "NOERROR qr,aa,rd,ra,ad 64", reply={"aa": True, "ra": True, "ad": True, "answer": SMALL},
        why="flags in the order of the header; the owner counts in full",
    ),
    Replied(
        REPLY, "NOERROR qr,tc,rd 599", reply={"answer": LARGE},
        why="what does not fit is truncated; its size is that of the whole",
    ),
    Replied(
        REPLY, "NOERROR qr,rd 599", reply={"answer": LARGE}, message=message(use_edns=0, payload=1232),
        why="it fits into what the client takes",
    ),
    Replied(REPLY, "NOERROR qr,rd 599", reply={"answer": LARGE, "tcp": True}, why="it fits over TCP"),
    Replied(
        REPLY, "NOERROR qr,rd 83", reply={"answer": SMALL, "options": b"\0\3\0\4abcd"},
        message=message(use_edns=0), why="an upstream's OPT record counts",
    ),
    Replied(
        REPLY, "NOERROR qr,rd 529", reply={"answer": SMALL * 16},
        why="more than 512 bytes, but compressed it fits",
    ),
    Replied(
        REPLY, "NOERROR qr,rd 529", reply={"answer": SMALL * 16}, message=message(use_edns=0, payload=512),
        why="compressed it fits beside the OPT record",
    ),
    Replied(
        REPLY, "NOERROR qr,rd 537", reply={"answer": ALMOST}, why="compressed it just fits",
    ),
    Replied(
        REPLY, "NOERROR qr,tc,rd 537", reply={"answer": ALMOST}, message=message(use_edns=0, payload=512),
        why="the OPT record leaves no room for all",
    ),
    Replied(
        COMBINED,
        '127.0.0.1:0 - 4711 "A IN www.example.org. udp 33 false 512" NOERROR qr,rd 33 Ts "0"',
        why="combined",
    ),
    Replied("{>opcode}", "4", message=message(opcode=4), why="an opcode is a number"),
    Replied("{remote} {port}", "127.0.0.1 65535", reply={"client_port": 65535}, why="address and port apart"),
    Replied("{local}", "-", why="a listener that nobody has named"),
    Replied("{host} {>ID} {Type}", "{host} {>ID} {Type}", why="unknown placeholders stay"),
    Replied("{ {name} }", "{ www.example.org. }", why="braces around a placeholder"),
    Replied("{{name}}", "{www.example.org.}", why="braces at a placeholder"),
    Replied("{name", "{name", why="no closing brace"),
    Replied("name} {type}", "name} A", why="no opening brace"),
    Replied("{/forward/upstream} {/log/class} {/}", "- - -", why="values that the step has not put into the event"),
    Replied("{name}\n", "www.example.org.", why="a newline of its own is the line's"),
    Replied("é{type}", "éA", why="text that is not ASCII"),
]


@pytest.mark.parametrize("case", REPLIED, ids=[case.why for case in REPLIED])
def test_replies_and_formats(case: Replied) -> None:
    assert timeless(lines(case.format, case.message, **case.reply)) == [case.text]


@pytest.mark.parametrize(
    ("address", "text"),
    [("", "[::]"), ("10.0.0.1", "10.0.0.1"), ("fd00::1", "[fd00::1]")],
    ids=["every address", "IPv4", "IPv6"],
)
def test_local_is_the_address_of_the_listener(address: str, text: str) -> None:
    assert Serving(text="{local}", address=address).lines(query()) == [text]


def test_every_type_class_and_response_code_has_its_name() -> None:
    for number in range(65536):
        if number in (41, 250, 251, 252) or (number > 600 and number not in (32768, 32769, 65535)):
            continue
        text = mnemonics.TYPES.get(number, f"TYPE{number}")
        assert lines("{type}", message(kind=number)) == [text]
    for number in range(0, 65536, 7):
        raw = message()[:-2] + number.to_bytes(2, "big")
        assert lines("{class}", raw) == [mnemonics.CLASSES.get(number, f"CLASS{number}")]
    for number in range(100):
        assert lines("{rcode}", message(), rcode=number) == [mnemonics.RCODES.get(number, str(number))]


def test_class_any_is_a_number_as_any_is_a_type() -> None:
    assert lines("{class} {type}", message(kind="ANY")[:-2] + b"\0\xff") == ["CLASS255 ANY"]
    assert lines("{class}", message()[:-2] + b"\0\3") == ["CH"]


@pytest.mark.parametrize("number", [number for number in mnemonics.TYPES if number not in (0, 23, 65535)])
def test_types_are_named_as_elsewhere(number: int) -> None:
    known = dns.rdatatype.to_text(dns.rdatatype.RdataType.make(number))
    assert known in (mnemonics.TYPES[number], f"TYPE{number}")


@pytest.mark.parametrize(
    ("took_ns", "text"),
    [
        (0, "0s"),
        (1, "0.000000001s"),
        (222_234, "0.000222234s"),
        (187_340, "0.00018734s"),
        (500_000_000, "0.5s"),
        (1_000_000_000, "1s"),
        (12_000_000_100, "12.0000001s"),
        (2**64 - 1, "18446744073.709551615s"),
    ],
)
def test_durations(took_ns: int, text: str) -> None:
    assert duration_text(took_ns).decode() == text


def test_a_duration_counts_from_the_arrival() -> None:
    (text,) = lines("{duration}", message(), took_ns=3_000_000_000)
    assert 3.0 <= float(text.removesuffix("s")) < 4.0


@given(st.lists(st.sampled_from([0, 0, 0, 1, 0xFFFF, 0xABC]) | st.integers(0, 65535), min_size=8, max_size=8))
def test_ipv6_addresses(groups: list[int]) -> None:
    address = ipaddress.IPv6Address(b"".join(group.to_bytes(2, "big") for group in groups))
    # Those that are IPv4's never come: there is a socket for each family.
    if address.ipv4_mapped is None:
        assert address_text(address.packed).decode() == f"[{address}]"


@given(st.binary(min_size=4, max_size=4))
def test_ipv4_addresses(address: bytes) -> None:
    assert address_text(address).decode() == str(ipaddress.IPv4Address(address))


@given(st.lists(st.binary(min_size=1, max_size=63), max_size=4).filter(lambda labels: sum(map(len, labels)) < 240))
def test_no_name_can_forge_a_line(labels: list[bytes]) -> None:
    name = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    raw = b"\x12\x67\1\0\0\1\0\0\0\0\0\0" + name + b"\0\1\0\1"
    (text,) = lines("<{name}>", raw)
    assert text.isascii() and text.isprintable()
    shown = text[1:-1]
    assert re.search(r'(?<!\\)(\\\\)*[ "]', shown) is None, "a blank or a quote that is not escaped"
    parsed = dns.name.from_text(shown).labels if labels else (b"",)
    assert parsed == (*(label.lower() for label in labels), b"")


PIECES = st.sampled_from([*PLACEHOLDERS, "{", "}", "{/a}", "x"])


@given(st.text(st.sampled_from("{}/>a "), max_size=12) | st.lists(PIECES).map("".join))
def test_formats_lose_nothing(text: str) -> None:
    parts = parse_format(text)
    back = "".join(f"{{/{part.value}}}" if part.value else part.placeholder + part.literal for part in parts)
    assert back == text.replace("{/}", "-")
    assert all(part.placeholder in PLACEHOLDERS for part in parts if not part.literal and not part.value)


def test_the_placeholders_are_coredns_s() -> None:
    assert set(OPS) - {""} == set(PLACEHOLDERS)
    assert {part.placeholder for part in parse_format(COMBINED)} - {""} == set(PLACEHOLDERS) - {"{local}"}


def test_longest_values_fit_their_bounds() -> None:
    name = (b"\x3f" + b"\xff" * 63) * 3 + b"\x3d" + b"\xff" * 61 + b"\0"
    raw = b"\xff\xff\1\0\0\1\0\0\0\0\0\0" + name + b"\xff\xfe\xff\xfe"
    for placeholder, most in PLACEHOLDERS.items():
        (text,) = lines(
            placeholder, raw, rcode=65535, client=b"\xff" * 16, client_port=65535, answer=LARGE * 100
        )
        assert len(text) <= most, placeholder


def test_a_format_that_makes_too_long_lines_is_refused() -> None:
    with pytest.raises(ValueError, match="a line has to fit"):
        LineReader({0: [(Part("", "x" * 200_000),)]})
