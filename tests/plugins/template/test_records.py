"""Records of their text: what is read, beside dnspython's reader, and what is none."""

from __future__ import annotations

import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.IN.A
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.dns.names import wire_name_as_written
from fastdns.plugins.template import records
from fastdns.plugins.template._records import has_layout, parse_head, parse_record

pytestmark = pytest.mark.native

# Rdata by type. Both read them alike.
RDATA = """
A 192.0.2.1
A ( 192.0.2.1 )
A 192.0.2.1 ; a comment
AAAA 2001:db8::0001
AAAA ::ffff:192.0.2.1
AFSDB 1 b.example.
AVC "a"
CAA 0 issue "letsencrypt.org; policy=ev"
CAA 128 iodef mailto:a@b.example
CDNSKEY 257 3 13 AwEAAQ==
CDS 1 8 2 AABBccddAABBccddAABBccddAABBccddAABBccddAABBccddAABBccddAABBccdd
CNAME b.example.
CNAME A\\.b\\032c.example.
DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=
DLV 1 8 2 aabbccddaabbccddaabbccddaabbccddaabbccddaabbccddaabbccddaabbccdd
DNAME b.example.
DNSKEY 256 3 8 AwEA AQ==
DS 1 8 2 aabbccddaabbccddaabbccddaabbccdd aabbccddaabbccddaabbccddaabbccdd
HINFO "a b" c
HTTPS 0 b.example.
HTTPS 1 .
HTTPS 1 . port=8443 alpn=h2,h3 ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=2001:db8::1
HTTPS 1 . alpn="h2,h3" no-default-alpn
HTTPS 1 . mandatory=port,alpn port=1 alpn=h2
HTTPS 1 . alpn="f\\\\\\\\oo\\\\,bar,h2"
HTTPS 1 . key667=hello
HTTPS 1 . ech=AEj+DQBEAQAgACAdd+scUi0IYFsXnUIU7ko2Nd9+F8M26pAGZVpz/KrWPgAEAAEAAWQVZWNoLXNpdGVzLmV4YW1wbGUubmV0AAA=
HTTPS 1 . dohpath=/dns-query{?dns} ohttp
KX 10 b.example.
LP 10 b.example.
MX 10 b.example.
MX 0 .
NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:info@example.com!" .
NINFO "a" b
NS b.example.
NSAP-PTR b.example.
OPENPGPKEY AwEAAQ==
PTR b.example.
RESINFO qnamemin exterr=15,16 infourl=https://a.example
RP b.example. c.example.
RT 10 b.example.
SMIMEA 3 1 1 0d6fcb040d6fcb040d6fcb040d6fcb040d6fcb040d6fcb040d6fcb040d6fcb04
SOA b.example. c.example. 1 2 3 4 5
SOA b.example. c.example. (1 60 60 60 60)
SOA b.example. c.example. ( 2026010100 1h 15m 4w 1d )
SPF "v=spf1 -all"
SRV 1 2 3 b.example.
SSHFP 1 2 0d6fcb040d6fcb040d6fcb040d6fcb040d6fcb040d6fcb040d6fcb040d6fcb04
SVCB 1 b.example. port=53
TLSA 3 1 1 0d6fcb040d6fcb040d6fcb040d6fcb04 0d6fcb040d6fcb040d6fcb040d6fcb04
TXT a
TXT "a b" c "d;e" ""
TXT "a\\"b\\\\c\\065"
URI 10 1 "ftp://ftp1.example.com/public"
X25 "311061700956"
ZONEMD 2018031500 1 240 fefefefefefefefefefefefefefe
TYPE65280 \\# 3 aabbcc
TYPE65280 \\# 0
LOC 51 30 12.748 N 0 7 39.611 W 0.00m
CERT 1 2 3 AAAA
NSEC b.example. A AAAA
L32 10 192.0.2.1
""".strip().splitlines()


@pytest.mark.parametrize("line", RDATA)
def test_rdata(line: str) -> None:
    kind, text = line.split(" ", 1)
    number = dns.rdatatype.from_text(kind)
    wanted = dns.rdata.from_text(dns.rdataclass.IN, number, text, relativize=False).to_wire()
    assert records.read(f"a.example. 60 IN {line}".encode()) == (b"\1a\7example\0", 60, number, wanted)


@pytest.mark.parametrize(
    ("line", "rdata"),
    [
        ("MB b.example.", b"\1b\7example\0"),
        ("MINFO b. c.", b"\1b\0\1c\0"),
        ("TALINK b. c.", b"\1b\0\1c\0"),
        ("HINFO a", b"\1a\0"),
        ('HTTPS 1 . key667="hello\\210qoo" key1234=', b"\0\1\0\2\x9b\0\x09hello\xd2qoo\4\xd2\0\0"),
    ],
)
def test_rdata_that_dnspython_does_not_read(line: str, rdata: bytes) -> None:
    found = records.read(f"a. 60 IN {line}".encode())
    assert found is not None
    assert found[3] == rdata


@pytest.mark.parametrize(
    ("text", "ttl_s", "why"),
    [
        ("a.example. 60 IN A 192.0.2.1", 60, "TTL and class"),
        ("a.example. IN 60 A 192.0.2.1", 60, "class and TTL"),
        ("a.example. 60 A 192.0.2.1", 60, "no class"),
        ("a.example. IN A 192.0.2.1", 3600, "no TTL"),
        ("a.example. A 192.0.2.1", 3600, "neither"),
        ("a.example 60 in a 192.0.2.1", 60, "no dot, lower case"),
        ("a.example.\t60\tIN\tA\t192.0.2.1", 60, "tabs"),
        ("a.example. 1h30m IN A 192.0.2.1", 5400, "units"),
        ("a.example. 1W2D3H4M5S IN A 192.0.2.1", 788645, "all units"),
        ("a.example. 4294967295 IN A 192.0.2.1", 4294967295, "the largest"),
        ("a.example. 60 CLASS1 TYPE1 192.0.2.1", 60, "numbers"),
        ("\n ; nothing\n\na.example. 60 IN A 192.0.2.1 ; that is all\nb. IN A 192.0.2.2", 60, "the first record"),
        ("a.example. ( 60 IN\n A\n 192.0.2.1 )", 60, "lines"),
        ("\\097.example. 60 IN A 192.0.2.1", 60, "an escape"),
    ],
)  # fmt: skip
def test_heads(text: str, ttl_s: int, why: str) -> None:
    assert records.read(text.encode()) == (b"\1a\7example\0", ttl_s, 1, b"\xc0\0\2\1"), why


@pytest.mark.parametrize(
    ("text", "owner"),
    [
        (".", b"\0"),
        ("@", b"\0"),
        ("*.a.", b"\1*\1a\0"),
        ("a\\.b.c", b"\3a.b\1c\0"),
        ("a\\ \\@\\\\.", b"\4a @\\\0"),
        ("x" * 63, b"\x3f" + b"x" * 63 + b"\0"),
        ("60", b"\00260\0"),
        ("A", b"\1A\0"),
    ],
)
def test_owners(text: str, owner: bytes) -> None:
    found = records.read(f"{text} 60 IN TXT a".encode())
    assert found is not None
    assert found[0] == owner


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "; a",
        "a.",
        "a. 60",
        "a. 60 IN",
        "a. 60 IN A",
        "a. 60 IN FOO 1",
        "a. 1x IN A 192.0.2.1",
        "a. 60 60 IN A 192.0.2.1",
        "a. 60 IN IN A 192.0.2.1",
        "a. 4294967296 IN A 192.0.2.1",
        "a. 99999999999999999999999 IN A 192.0.2.1",
        " 60 IN A 192.0.2.1",
        " a. 60 IN A 192.0.2.1",
        '"a." 60 IN A 192.0.2.1',
        "a..b. 60 IN A 192.0.2.1",
        ".a. 60 IN A 192.0.2.1",
        ".. 60 IN A 192.0.2.1",
        "a\\999. 60 IN A 192.0.2.1",
        "a. 60 IN A 192.0.2.1\\",
        f"{'x' * 64}. 60 IN A 192.0.2.1",
        f"{'.'.join(['x' * 63] * 4)}. 60 IN A 192.0.2.1",
        "$TTL 60",
        "$ORIGIN a.",
        "$INCLUDE /etc/passwd",
        "$generate 1-2 a$ A 192.0.2.$",
        "a. 60 IN A 192.0.2",
        "a. 60 IN A 192.0.2.01",
        "a. 60 IN A 192.0.2.256",
        "a. 60 IN A ::1",
        "a. 60 IN A 192.0.2.1 b",
        'a. 60 IN A "192.0.2.1"',
        "a. 60 IN A ( 192.0.2.1",
        "a. 60 IN A 192.0.2.1 )",
        "a. 60 IN AAAA 192.0.2.1",
        "a. 60 IN AAAA 1::2::3",
        "a. 60 IN AAAA fe80::1%eth0",
        "a. 60 IN CNAME",
        'a. 60 IN CNAME "b."',
        "a. 60 IN CNAME b. c.",
        "a. 60 IN MX b.",
        "a. 60 IN MX 65536 b.",
        "a. 60 IN MX -1 b.",
        "a. 60 IN SRV 1 2 b.",
        "a. 60 IN SOA b. c. 1 2 3 4",
        "a. 60 IN SOA b. c. 1h 2 3 4 5",
        "a. 60 IN TXT",
        'a. 60 IN TXT "a',
        "a. 60 IN TXT a\\256",
        "a. 60 IN CAA 0 issue",
        "a. 60 IN CAA 256 issue a",
        'a. 60 IN CAA 0 "issue" a',
        "a. 60 IN CAA 0 issue a b",
        "a. 60 IN DS 1 8 2 abc",
        "a. 60 IN DS 1 8 2",
        "a. 60 IN DNSKEY 1 3 8 A",
        "a. 60 IN DNSKEY 1 3 8 AA=A",
        "a. 60 IN HTTPS 1 . foo=1",
        "a. 60 IN HTTPS 1 . port=1 port=2",
        "a. 60 IN HTTPS 1 . port=",
        "a. 60 IN HTTPS 1 . port=65536",
        "a. 60 IN HTTPS 1 . alpn=",
        "a. 60 IN HTTPS 1 . alpn=h2,,h3",
        "a. 60 IN HTTPS 1 . ipv4hint=::1",
        "a. 60 IN HTTPS 1 . mandatory=port,port port=1",
        "a. 60 IN HTTPS 1 . mandatory=mandatory",
        "a. 60 IN HTTPS 1 . no-default-alpn=1",
        'a. 60 IN HTTPS 1 . alpn="h2"port=1',
        "a. 60 IN HTTPS 1 . key065=1",
        "a. 60 IN TYPE65280 \\# 3 aabb",
        "a. 60 IN TYPE65280 aabb",
        "a. 60 IN TYPE65536 \\# 0",
        "a. 60 IN TYPE \\# 0",
        "a. 60 IN LOC here",
        "a. 60 IN HINFO a b c",
    ],
)
def test_what_is_no_record(text: str) -> None:
    assert records.read(text.encode()) is None


def test_a_long_text_is_several_strings() -> None:
    found = records.read(b"a. 60 IN TXT " + b"x" * 300)
    assert found is not None
    assert found[3] == b"\xff" + b"x" * 255 + b"\x2d" + b"x" * 45


@pytest.mark.parametrize("line", ["NS", "CNAME", "PTR", "MX 10", "MB"])
def test_names_of_rfc_1035_may_be_compressed(line: str) -> None:
    found = parse_record(f"a. {line} b.example.".encode())
    assert found is not None
    assert isinstance(found[3], tuple)
    assert found[3][1] == b"\1b\7example\0"


@pytest.mark.parametrize("kind", ["SRV", "DNAME", "NAPTR", "HTTPS", "RP", "KX", "AFSDB"])
def test_other_names_are_not(kind: str) -> None:
    line = next(line for line in RDATA if line.startswith(f"{kind} "))
    found = parse_record(f"a. {line}".encode())
    assert found is not None
    assert isinstance(found[3], tuple)
    assert found[3][1:] == (b"", b"")


def test_heads_of_templates() -> None:
    assert parse_head(b" 60 IN A 1") == (60, 1, 8)
    assert parse_head(b" IN HTTPS") == (3600, 65, 9)
    assert parse_head(b" 60 IN ") is None
    assert parse_head(b" 60 IN (A") is None
    assert not has_layout(dns.rdatatype.LOC)
    assert has_layout(dns.rdatatype.HTTPS)


WORDS = (
    "a.", "60", "IN", "A", "TXT", "SOA", "HTTPS", "CAA", "192.0.2.1", '"', "(", ")", ";", "\n", "\\", "\\065", " ",
    "\t", "b.c", "alpn=h2", "port=1", "mandatory=port", "ech=AA==", "TYPE65280", "\\#", "0", "2", "aa", "::1", ",",
    "=", "x" * 70, "é", "\x00", "DNSKEY", "AAA=", "NAPTR", "@", ".",
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=20), st.sampled_from(("", " ")))
def test_any_text_is_a_record_or_none(words: list[str], between: str) -> None:
    found = parse_record(("a. " + between.join(words)).encode())
    if found is not None:
        owner, _, _, rdata = found
        assert owner.endswith(b"\0")
        assert len(owner) <= 255
        assert isinstance(rdata, bytes) or len(b"".join(rdata)) <= 65535


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=5))
def test_any_name_is_read_as_it_is_printed(labels: list[bytes]) -> None:
    from fastdns.dns.names import text_name

    wire = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    text = text_name(wire)
    assert wire_name_as_written(text) == wire
    found = parse_record(f"{text} 0 IN CNAME {text}".encode())
    assert found is not None
    assert (found[0], found[3]) == (wire, (b"", wire, b""))
