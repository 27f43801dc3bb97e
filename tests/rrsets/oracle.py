"""What a zone is, by the words of the RFCs and without haste: a dictionary of names."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping

RRsets = dict[int, tuple[int, list[bytes]]]

A, NS, CNAME, SOA, TXT, AAAA, DNAME = 1, 2, 5, 6, 16, 28, 39

Labels = tuple[bytes, ...]  # from the name upwards
Content = dict[Labels, RRsets]


def wire(labels: Iterable[bytes]) -> bytes:
    """Labels as a relative name."""
    return b"".join(bytes((len(label),)) + label for label in labels)


def absolute(text: str) -> bytes:
    """A name in wire form."""
    return wire(part.encode() for part in text.rstrip(".").split(".") if part) + b"\0"


def soa(serial: int) -> bytes:
    return absolute("ns.test.") + absolute("host.test.") + struct.pack("!5I", serial, 7200, 1800, 86400, 300)


def labels_of(name: bytes) -> Labels:
    found = []
    at = 0
    while at < len(name) and name[at]:
        found.append(name[at + 1 : at + 1 + name[at]])
        at += name[at] + 1
    return tuple(found)


def above(labels: Labels) -> Iterator[Labels]:
    """The name, and those above it up to the apex."""
    for at in range(len(labels) + 1):
        yield labels[at:]


def exists(content: Mapping[Labels, object], labels: Labels) -> bool:
    """Whether a name exists, if only for one below it (RFC 4592 section 2.2.2)."""
    return any(other[len(other) - len(labels) :] == labels for other in content if len(other) >= len(labels))


def order(labels: Labels) -> tuple[bytes, ...]:
    """By what names are ordered: RFC 4034 section 6.1."""
    return tuple(reversed(labels))


def lookup(content: Content, labels: Labels) -> tuple[str, Labels, RRsets]:
    """(what is found, the name that it is about, its RRsets)."""
    for at in range(len(labels), -1, -1):
        here = content.get(labels[at:], {})
        if NS in here and at < len(labels):
            return "delegated", labels[at:], here
        if DNAME in here and at:
            return "renamed", labels[at:], here
    if labels in content:
        return "found", labels, content[labels]
    if exists(content, labels):
        return "empty", labels, {}
    encloser = next(name for name in above(labels) if not name or exists(content, name))
    wildcard = (b"*", *encloser)
    if exists(content, wildcard):
        return "wildcard", encloser, content.get(wildcard, {})
    return "missing", encloser, {}
