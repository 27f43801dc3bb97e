"""The values of geoip: where each stands in a record of the database."""

from __future__ import annotations

from fastdns.plugins.geoip._database import GeoValue
from fastdns.plugins.geoip.databases import ASN, CITY, Opened

# Schema, keys, and what it is where a record has none.
VALUES: dict[str, tuple[str, tuple[str, ...], str]] = {
    "city/name": (CITY, ("city", "names", "en"), ""),
    "country/code": (CITY, ("country", "iso_code"), ""),
    "country/name": (CITY, ("country", "names", "en"), ""),
    "country/is_in_european_union": (CITY, ("country", "is_in_european_union"), "false"),
    "continent/code": (CITY, ("continent", "code"), ""),
    "continent/name": (CITY, ("continent", "names", "en"), ""),
    "latitude": (CITY, ("location", "latitude"), ""),
    "longitude": (CITY, ("location", "longitude"), ""),
    "timezone": (CITY, ("location", "time_zone"), ""),
    "postalcode": (CITY, ("postal", "code"), ""),
    # Of each element of the array.
    "subdivisions/code": (CITY, ("subdivisions", "", "iso_code"), ""),
    "asn/number": (ASN, ("autonomous_system_number",), "0"),
    "asn/org": (ASN, ("autonomous_system_organization",), ""),
}


def make_value(name: str, opened: Opened, edns_subnet: bool) -> GeoValue | None:
    """The value of that name, behind "geoip/"; None where the database has no such."""
    schema, keys, otherwise = VALUES.get(name, ("", (), ""))
    if schema not in opened.schemas:
        return None
    return GeoValue(opened.database, [key.encode() for key in keys], otherwise.encode(), edns_subnet)
