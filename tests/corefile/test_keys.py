"""Keys and zones: schemes, ports, CIDR notation, names."""

from __future__ import annotations

from dataclasses import dataclass

import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdns.corefile.keys import Key, KeyProblem, is_preferred, is_reverse, normalize, parse_key, parse_zones


@dataclass(frozen=True)
class Case:
    text: str
    key: Key
    why: str


def key(*zones: str, port: int | None = None, scheme: str = "dns") -> Key:
    return Key(scheme, zones, port)


CASES = [
    Case(".", key("."), why="the root"),
    Case(".:53", key(".", port=53), why="the root and a port"),
    Case("Example.ORG", key("example.org."), why="lowercased and fully qualified"),
    Case("example.org.:1053", key("example.org.", port=1053), why="fully qualified, with a port"),
    Case(".:+53", key(".", port=53), why="a signed port"),
    Case(".:0", key(".", port=0), why="port 0"),
    Case("dns://example.org", key("example.org."), why="the scheme of plain DNS"),
    Case("tls://example.org", key("example.org.", scheme="tls"), why="tls"),
    Case("https3://.:444", key(".", port=444, scheme="https3"), why="https3 is not https"),
    Case("http://example.org", key("http://example.org."), why="an unknown scheme is a part of the zone"),
    Case("a:b", key("a:b."), why="what follows the colon is no number"),
    Case("x,y", key("x,y."), why="a comma without a space is a part of the zone"),
    Case("{whoami}", key("{whoami}."), why="braces that stand alone only"),
    Case("É.org", key("\\195\\137.org."), why="bytes outside ASCII"),
    Case("a\\.b.org", key("a\\.b.org."), why="an escaped dot"),
    Case("\\065.org", key("a.org."), why="a decimal escape"),
    Case("10.0.0.0/8", key("10.in-addr.arpa."), why="IPv4 on a boundary"),
    Case("10.0.0.0/24:53", key("0.0.10.in-addr.arpa.", port=53), why="CIDR with a port"),
    Case("10.0.0.1/32", key("1.0.0.10.in-addr.arpa."), why="a single address"),
    Case("10.1.2.3/16", key("1.10.in-addr.arpa."), why="host bits are dropped"),
    Case("10.0.0.0/15", key("0.10.in-addr.arpa.", "1.10.in-addr.arpa."), why="IPv4 off a boundary"),
    Case("0.0.0.0/0", key("in-addr.arpa."), why="all of IPv4"),
    Case("2001:db8::/32", key("8.b.d.0.1.0.0.2.ip6.arpa."), why="IPv6 on a boundary"),
    Case("2001:DB8::/32:53", key("8.b.d.0.1.0.0.2.ip6.arpa.", port=53), why="IPv6 with a port"),
    Case(
        "2001:db8::/30",
        key(*(f"{digit}.b.d.0.1.0.0.2.ip6.arpa." for digit in "89ab")),
        why="IPv6 off a boundary",
    ),
    Case("10.0.0.0/33", key("10.0.0.0/33."), why="no CIDR: too long"),
    Case("10.0.0.0/255.0.0.0", key("10.0.0.0/255.0.0.0."), why="no CIDR: a netmask"),
    Case("010.0.0.0/8", key("010.0.0.0/8."), why="no CIDR: a leading zero"),
    Case("10.0.0.0", key("10.0.0.0."), why="an address is a name"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_keys(case: Case) -> None:
    assert parse_key(case.text) == case.key


def test_a_25_is_128_zones() -> None:
    zones = parse_key("10.0.0.128/25").zones
    assert len(zones) == 128
    assert zones[0] == "128.0.0.10.in-addr.arpa."
    assert zones[-1] == "255.0.0.10.in-addr.arpa."


@dataclass(frozen=True)
class Bad:
    text: str
    problem: str
    why: str


BAD = [
    Bad("", "empty", why="empty"),
    Bad("example.org:", "after the last colon", why="trailing colon"),
    Bad("dns://", "empty", why="only a scheme"),
    Bad(":53", "port without a zone", why="only a port"),
    Bad(".:65536", "not within 0 to 65535", why="port too large"),
    Bad(".:-1", "not within 0 to 65535", why="negative port"),
    Bad(".:" + "9" * 5000, "not within 0 to 65535", why="port of many digits"),
    Bad("a..b", "not a valid domain name", why="empty label"),
    Bad(".a", "not a valid domain name", why="leading dot"),
    Bad("..", "not a valid domain name", why="two dots"),
    Bad("a" * 64, "over 63 bytes", why="label too long"),
    Bad("é" * 32, "over 63 bytes", why="label too long in UTF-8"),
    Bad(".".join(["a" * 63] * 4), "over 255 bytes", why="name too long"),
    Bad("a." * 128, "too long: 256 bytes", why="text too long"),
    Bad("a\\", "lone backslash", why="lone backslash"),
    Bad("a\\256", "no byte", why="escape over 255"),
    Bad("::/0", "invalid CIDR", why="IPv6 that begins with a colon"),
    Bad("0:1::/32", "invalid CIDR", why="IPv6 that begins with a zero"),
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.why)
def test_bad_keys(case: Bad) -> None:
    with pytest.raises(KeyProblem, match=case.problem):
        parse_key(case.text)


def test_zone_arguments_drop_scheme_and_port() -> None:
    assert parse_zones(["tls://A.b:5", "10.0.0.0/23"]) == (
        "a.b.",
        "0.0.10.in-addr.arpa.",
        "1.0.10.in-addr.arpa.",
    )


@given(st.text())
def test_any_text_is_a_key_or_a_problem(text: str) -> None:
    try:
        zones = parse_key(text).zones
    except (KeyProblem, UnicodeEncodeError):
        return
    for zone in zones:
        assert normalize(zone) == zone


@given(st.lists(st.binary(min_size=1, max_size=8), min_size=1, max_size=5))
def test_normalizing_agrees_with_dnspython(labels: list[bytes]) -> None:
    name = dns.name.Name([*labels, b""])
    expected = dns.name.Name([label.lower() for label in [*labels, b""]])
    assert dns.name.from_text(normalize(name.to_text())) == expected


@pytest.mark.parametrize(
    ("zone", "preferred"),
    [
        (".", True),
        ("example.org.", True),
        ("a-b.c1.", True),
        ("10.in-addr.arpa.", True),
        ("8.b.d.0.ip6.arpa.", True),
        ("_tcp.service.", False),
        ("-dash.com.", False),
        ("dash-.com.", False),
        ("1a.com.", False),
        ("x,y.", False),
    ],
)
def test_preferred_syntax(zone: str, preferred: bool) -> None:
    assert is_preferred(zone) is preferred


def test_reverse_zones() -> None:
    assert is_reverse("in-addr.arpa.")
    assert is_reverse("10.in-addr.arpa.")
    assert is_reverse("ip6.arpa.")
    assert not is_reverse("xin-addr.arpa.")
    assert not is_reverse("cluster.local.")
