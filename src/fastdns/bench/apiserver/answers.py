"""Responses to lists and watches as bytes: whole objects, or only their metadata if the client asks for that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from fastdns.bench.apiserver.kinds import Kind
from fastdns.bench.apiserver.store import Event, Selector, Version, encode

# Objects that are joined into one piece of a list.
_BATCH = 64
_PARTIAL_OPEN = b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":'
_END = {"k8s.io/initial-events-end": "true"}


class Form:
    """How the objects of one resource are written: in JSON."""

    content_type = stream_type = "application/json"

    def __init__(self, kind: Kind, partial: bool) -> None:
        self.kind = kind
        self.partial = partial
        self._item_open = _PARTIAL_OPEN if partial else kind.item_open
        self._object_open = _PARTIAL_OPEN if partial else kind.object_open

    def list_(self, versions: Sequence[Version], rv: int, token: str, remaining: int | None) -> Iterator[bytes]:
        """A list, in pieces."""
        meta: dict[str, str | int] = {"resourceVersion": str(rv)}
        if token:
            meta["continue"] = token
            if remaining is not None:
                meta["remainingItemCount"] = remaining
        if self.kind.custom and not self.partial:
            head: dict[str, object] = {"apiVersion": self.kind.api_version, "items": []}
            tail = {"kind": f"{self.kind.kind}List", "metadata": dict(sorted(meta.items()))}
            last = b"]," + encode(tail)[1:] + b"\n"
        else:
            name, version = f"{self.kind.kind}List", self.kind.api_version
            if self.partial:
                name, version = "PartialObjectMetadataList", "meta.k8s.io/v1"
            head = {"kind": name, "apiVersion": version, "metadata": meta, "items": []}
            last = b"]}\n"
        lead = encode(head)[:-2]
        for start in range(0, len(versions), _BATCH):
            items = b",".join([self._item(version) for version in versions[start : start + _BATCH]])
            yield lead + items
            lead = b","
        yield last if versions else lead + last

    def _item(self, version: Version) -> bytes:
        return self._item_open + version.meta + (b"}" if self.partial else version.rest)

    def added(self, versions: Iterable[Version]) -> Iterator[bytes]:
        """The initial events of a watch, in pieces."""
        lines: list[bytes] = []
        for version in versions:
            lines.append(self.line("ADDED", version))
            if len(lines) == _BATCH:
                yield b"".join(lines)
                lines.clear()
        if lines:
            yield b"".join(lines)

    def line(self, what: str, version: Version) -> bytes:
        """One event of a watch."""
        rest = b"}}\n" if self.partial else version.rest + b"}\n"
        return b'{"type":"%s","object":%s%s%s' % (what.encode(), self._object_open, version.meta, rest)

    def event(self, event: Event, selector: Selector) -> bytes:
        """The type of a change for a watcher: an object that starts or stops to match is added or deleted."""
        was, now = selector.matches(event.old), selector.matches(event.new)
        if now and event.new is not None:
            return self.line("MODIFIED" if was else "ADDED", event.new)
        if was and event.old is not None:
            return self.line("DELETED", event.old.at(event.rv))
        return b""

    def bookmark(self, rv: int, *, end: bool = False) -> bytes:
        """A bookmark; ``end`` is the one that ends the initial events."""
        meta: dict[str, object] = {"resourceVersion": str(rv)}
        if end:
            meta["annotations"] = _END
        if self.kind.custom:
            meta = dict(sorted(meta.items()))
        rest = b"}" if self.partial else self.kind.empty
        return b'{"type":"BOOKMARK","object":%s%s%s}\n' % (self._object_open, encode(meta), rest)

    def error(self, status: dict[str, object]) -> bytes:
        """An ERROR event."""
        return error_line(status)


def error_line(status: dict[str, object]) -> bytes:
    """An ERROR event."""
    return b'{"type":"ERROR","object":%s}\n' % encode(status)


def pretty(data: bytes) -> bytes:
    """JSON as the API server writes it for a browser or curl."""
    return msgspec.json.format(data, indent=2)
