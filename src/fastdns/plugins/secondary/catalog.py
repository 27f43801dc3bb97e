"""Catalog zones: zones whose records name other zones (RFC 9432)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import dns.name
import dns.rdatatype

from fastdns.errors import SourceError

VERSION = b"2"


def members_of(origin: dns.name.Name, records: Iterable[tuple[dns.name.Name, Any]]) -> list[tuple[str, str, str]]:
    """(id, zone, the catalog that it changes to or "") of each member, by id.

    records: PTR, TXT and NS records of a catalog zone. Raises SourceError for what is no catalog of version 2.
    """
    versions: list[bytes] = []
    zones: dict[str, list[str]] = {}
    owners: dict[str, list[str]] = {}
    name_servers = 0
    below = dns.name.Name([b"zones", *origin.labels])
    for name, rdata in records:
        if rdata.rdtype == dns.rdatatype.NS:
            name_servers += name == origin
        elif rdata.rdtype == dns.rdatatype.TXT:
            if name == dns.name.Name([b"version", *origin.labels]):
                versions.append(b"".join(rdata.strings))
        elif name.is_subdomain(below):
            labels = [label.decode("latin-1").lower() for label in name.labels[: -len(below.labels)]]
            target = rdata.target.to_text().lower()
            if len(labels) == 1:
                zones.setdefault(labels[0], []).append(target)
            elif len(labels) == 2 and labels[0] == "coo":
                owners.setdefault(labels[1], []).append(target)
    if not name_servers:
        raise SourceError(f"catalog zone {origin} has no NS record")
    if len(versions) != 1:
        raise SourceError(f"catalog zone {origin} must have exactly one version TXT record")
    if versions[0] != VERSION:
        raise SourceError(f"catalog zone {origin} has unsupported version {versions[0].decode('latin-1')!r}")
    for member, named in zones.items():
        if len(named) != 1:
            raise SourceError(f"catalog member {member}.zones.{origin} must have exactly one PTR record")
        if len(owners.get(member, ())) > 1:
            raise SourceError(f"catalog member {member} has more than one coo PTR record")
    if len({named[0] for named in zones.values()}) != len(zones):
        raise SourceError(f"catalog zone {origin} lists a zone twice")
    return [(member, named[0], owners.get(member, [""])[0]) for member, named in sorted(zones.items())]
