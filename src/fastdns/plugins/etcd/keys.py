"""The keys of etcd and the names that they are: /skydns/local/skydns/web is web.skydns.local., below /skydns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from os.path import commonpath

from fastdns.dns.names import joined, wire_name


def labels_of(wire: bytes) -> list[bytes]:
    """The labels of a name in wire form, the root's left out."""
    labels: list[bytes] = []
    at = 0
    while wire[at]:
        labels.append(wire[at + 1 : at + 1 + wire[at]])
        at += 1 + wire[at]
    return labels


def key_of(zone: str, path: str) -> bytes:
    """The key of a zone, as text or wire form, below a path."""
    return path.encode() + b"".join(b"/" + label for label in reversed(labels_of(wire_name(zone))))


@dataclass(frozen=True, slots=True)
class Keys:
    """Which keys are followed: one range that holds those of all zones, and the zones' own keys."""

    path: bytes
    zones: tuple[bytes, ...]
    start: bytes
    end: bytes

    @classmethod
    def of(cls, zones: Iterable[str], path: str) -> Keys:
        """The keys of these zones below a path."""
        keys = tuple(key_of(zone, path) for zone in zones)
        common = commonpath([key + b"/" for key in keys]).rstrip(b"/")
        # The key itself and all below it. What else is between them ("/skydns-old") is no name of a zone.
        return cls(path.encode(), keys, common or b"\0", common + b"0" if common else b"\0")

    def name_of(self, key: bytes) -> bytes | None:
        """The name of a key in wire form, in its own case; None: it is in no zone. Raises ValueError: it is no
        name.

        A dot in an element separates labels as a slash does, and one slash at the end means nothing.
        """
        if not any(key == zone or key.startswith(zone + b"/") for zone in self.zones):
            return None
        elements = key[len(self.path) :].removesuffix(b"/").split(b"/")[1:]
        labels = [label for element in reversed(elements) for label in element.split(b".")]
        return joined(labels, key.decode(errors="backslashreplace")) if labels else b"\0"
