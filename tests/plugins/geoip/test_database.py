"""Look-ups in databases: each size of record, both IP versions, every type; files that are hostile."""

from __future__ import annotations

import ipaddress
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.plugins.geoip._database import Database
from fastdns.plugins.geoip.databases import schemas_of
from tests.plugins.geoip.writer import CITIES, database

pytestmark = pytest.mark.native


def look_up(found: Database, address: str, *keys: str) -> str | None:
    text = found.text(ipaddress.ip_address(address).packed, [key.encode() for key in keys])
    return None if text is None else text.decode()


@pytest.mark.parametrize("pointers", [False, True], ids=["plain", "pointers"])
@pytest.mark.parametrize("record_bits", [24, 28, 32])
def test_what_is_found(record_bits: int, pointers: bool) -> None:
    found = Database(database(CITIES, record_bits=record_bits, pointers=pointers))
    assert (found.kind, found.ip_version) == ("GeoLite2-City", 6)
    assert look_up(found, "127.0.0.1", "city", "names", "en") == "Cambridge"
    assert look_up(found, "127.0.0.3", "city", "names", "de") == "Cambridge (de)"
    assert look_up(found, "127.0.0.4", "city", "names", "en") is None
    assert look_up(found, "127.0.0.4", "country", "is_in_european_union") == "true"
    assert look_up(found, "127.0.0.1", "location", "latitude") == "52.2242"
    assert look_up(found, "127.0.0.4", "location", "latitude") == "-0.0000001"
    assert look_up(found, "127.0.0.1", "subdivisions", "", "iso_code") == "ENG,TWH"
    assert look_up(found, "127.0.0.1", "subdivisions", "", "names", "en") == ",x"
    assert look_up(found, "2001:db8:ffff::1", "city", "names", "en") == "Six"
    assert look_up(found, "2001:db8::", "subdivisions", "", "iso_code") is None
    for address in ("126.255.255.255", "127.0.0.5", "2001:db9::", "::1"):
        assert look_up(found, address, "city", "names", "en") is None
    # What is no text and no number.
    assert look_up(found, "127.0.0.1", "city") is None
    assert look_up(found, "127.0.0.1", "city", "names", "en", "more") is None


def test_a_database_of_ipv4_has_no_ipv6() -> None:
    found = Database(database({"10.0.0.0/8": {"a": "ten"}}, ip_version=4, record_bits=24))
    assert look_up(found, "10.1.2.3", "a") == "ten"
    assert look_up(found, "2001:db8::1", "a") is None


HOSTS = st.dictionaries(st.ip_addresses(), st.integers(0, 2**32 - 1), min_size=1, max_size=20)


@given(
    HOSTS,
    st.sampled_from([24, 28, 32]),
    st.ip_addresses(),
)
@settings(max_examples=50, deadline=None)
def test_as_a_table(hosts: dict[Any, int], record_bits: int, other: Any) -> None:
    # An IPv4 address of an IPv6 tree stands at ::/96, and is found at ::ffff:0:0/96 as well.
    hosts = {host: number for host, number in hosts.items() if host.version == 4 or int(host) >> 48}
    records = {f"{host}/{host.max_prefixlen}": {"n": number} for host, number in hosts.items()}
    if records:
        found = Database(database(records, record_bits=record_bits))
        for host, number in hosts.items():
            assert look_up(found, str(host), "n") == str(number)
        if other not in hosts and (other.version == 4 or int(other) >> 48):
            assert look_up(found, str(other), "n") is None


@pytest.mark.parametrize("seed", range(10))
def test_hostile_files(seed: int) -> None:
    """Any byte may be any other: what is read lies within the file, and ends."""
    rng = random.Random(seed)
    whole = database(CITIES, record_bits=rng.choice([24, 28, 32]))
    for _ in range(300):
        raw = bytearray(whole[: rng.choice([len(whole)] * 3 + [rng.randrange(len(whole))])])
        for _ in range(rng.randrange(1, 8)):
            raw[rng.randrange(len(raw))] = rng.choice([0, 0xFF, 0xE0, 0x20, 0x3F, rng.randrange(256)])
        try:
            found = Database(bytes(raw))
        except ValueError:
            continue
        for address in ("127.0.0.1", "127.0.0.4", "2001:db8::1", "203.0.113.9"):
            for keys in (("city", "names", "en"), ("subdivisions", "", "iso_code"), ("location", "latitude")):
                found.text(ipaddress.ip_address(address).packed, [key.encode() for key in keys])


def test_fields_that_are_nested_or_lead_in_circles_end() -> None:
    deep: Any = "x"
    for _ in range(100):
        deep = [deep]
    found = Database(database({"10.0.0.0/8": {"deep": deep, "last": "here"}}))
    assert look_up(found, "10.0.0.1", "last") is None, "nobody looks behind what is nested so deep"
    raw = bytearray(database({"10.0.0.0/8": {"a": [["b"] * 200] * 200, "last": "here"}}, pointers=False))
    assert look_up(Database(bytes(raw)), "10.0.0.1", "last") is None, "nor behind more fields than a record has"
    assert look_up(Database(bytes(raw)), "10.0.0.1", "a") is None


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"\xab\xcd\xefMaxMind.com", database(CITIES)[-250:]])
def test_what_is_no_database(content: bytes) -> None:
    with pytest.raises(ValueError, match="it"):
        Database(content)


@pytest.mark.parametrize(
    ("kind", "schemas"),
    [
        ("GeoLite2-City", ("city",)), ("GeoIP2-Country", ("city",)), ("GeoIP2-Enterprise", ("city",)),
        ("DBIP-Location-ISP (compat=Enterprise)", ("city",)), ("GeoLite2-ASN", ("asn",)), ("GeoIP2-ISP", ("asn",)),
        ("GeoIP2-Domain", ()), ("ipinfo something", ("city", "asn")),
    ],
)  # fmt: skip
def test_what_a_database_holds(kind: str, schemas: tuple[str, ...]) -> None:
    assert schemas_of(kind) == schemas
