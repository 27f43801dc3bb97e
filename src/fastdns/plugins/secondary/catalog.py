"""Catalog zones: zones whose records name other zones (RFC 9432)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from fastdns.dns.names import text_name
from fastdns.errors import SourceError

VERSION = b"2"
NS, PTR, TXT = 2, 12, 16
# What members_of wants to know of a zone.
TYPES = frozenset((NS, PTR, TXT))
MAX_MEMBERS = 10_000
# A member has groups and other properties beside its own record.
MAX_RRS = 20 * MAX_MEMBERS


class Member(NamedTuple):
    """A zone that a catalog lists. zone, owner: in wire form; owner: the catalog that it changes to, or nothing."""

    id: str
    zone: bytes
    owner: bytes


def labels_of(name: bytes) -> list[bytes]:
    """The labels of a name in wire form."""
    labels = []
    at = 0
    while name[at]:
        labels.append(name[at + 1 : at + 1 + name[at]])
        at += name[at] + 1
    return labels


def strings_of(rdata: bytes) -> bytes:
    """The strings of a TXT record as one."""
    strings = b""
    at = 0
    while at < len(rdata):
        strings += rdata[at + 1 : at + 1 + rdata[at]]
        at += rdata[at] + 1
    return strings


def members_of(zone: bytes, records: Iterable[tuple[bytes, int, bytes]]) -> list[Member]:
    """The members of a catalog, by id. zone, and owners of records (owner, type, rdata): in lower-case wire form.

    Raises SourceError for what is no catalog of version 2.
    """
    origin = text_name(zone)
    versions: list[bytes] = []
    zones: dict[str, list[bytes]] = {}
    owners: dict[str, list[bytes]] = {}
    has_name_servers = False
    below = b"\5zones" + zone
    for name, rrtype, rdata in records:
        if rrtype == NS:
            has_name_servers = has_name_servers or name == zone
        elif rrtype == TXT:
            if name == b"\7version" + zone:
                versions.append(strings_of(rdata))
        elif name.endswith(below):
            labels = labels_of(name)[: -len(labels_of(below))]
            member = labels[-1].decode("latin-1") if labels else ""
            if len(labels) == 1:
                zones.setdefault(member, []).append(rdata.lower())
            elif len(labels) == 2 and labels[0] == b"coo":
                owners.setdefault(member, []).append(rdata.lower())
    if not has_name_servers:
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
    return [Member(member, named[0], owners.get(member, [b""])[0]) for member, named in sorted(zones.items())]
