"""A versioned object store: one global resourceVersion, and per resource a log of events that gets compacted.

Rules kept, as a real API server keeps them:
- every change takes the next resourceVersion, whatever the resource;
- a list is a snapshot at one resourceVersion, and can be had again at that version until it is compacted;
- a watch from a version sees every later change once, in order; from before the log's start it is Gone;
- a deleted object's last event carries its last state under the version of its deletion.

Objects are serialized once a version. Not thread-safe: everything happens on the loop that serves.
"""

from __future__ import annotations

import random
import time
import uuid
from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from fastdns.bench.apiserver.kinds import BY_NAME, KINDS, Kind
from fastdns.bench.apiserver.selectors import Test

# Events in the log of each resource; when there are a quarter more, the oldest are removed.
WINDOW = 10_000
# Older states of a resource, kept for pages that are still being read.
MAX_SNAPSHOTS = 8
# The order in which Go serializes ObjectMeta.
_META_ORDER = (
    "name", "generateName", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp",
    "deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations", "ownerReferences",
    "finalizers", "managedFields",
)  # fmt: skip

Object = dict[str, Any]
encode = msgspec.json.Encoder().encode
encode_sorted = msgspec.json.Encoder(order="sorted").encode


class Gone(Exception):
    """The requested version was compacted."""

    def __init__(self, asked: int, oldest: int) -> None:
        super().__init__(f"too old resource version: {asked} ({oldest})")
        self.asked = asked
        self.oldest = oldest


class Version(msgspec.Struct, gc=False):
    """One object as of one resourceVersion: its metadata and what follows it, serialized."""

    key: str
    rv: int
    meta: bytes
    rest: bytes
    labels: dict[str, str]
    fields: dict[str, str]
    # The whole object in protobuf, once a client has asked for it.
    protobuf: bytes = b""

    def at(self, rv: int) -> Version:
        """The same state with another version, as a deletion event shows it."""
        old, new = b'"resourceVersion":"%d"' % self.rv, b'"resourceVersion":"%d"' % rv
        return Version(self.key, rv, self.meta.replace(old, new, 1), self.rest, self.labels, self.fields)


class Event(msgspec.Struct, gc=False):
    """One change; ``old`` is the state before it. A hidden change is stored but never sent (a lying server)."""

    rv: int
    new: Version | None
    old: Version | None
    hidden: bool = False


class Selector(msgspec.Struct):
    """The objects that a request selects."""

    namespace: str = ""
    labels: list[Test] = []
    fields: list[Test] = []

    @property
    def empty(self) -> bool:
        return not (self.labels or self.fields)

    def matches(self, version: Version | None) -> bool:
        if version is None or (self.namespace and not version.key.startswith(self.namespace + "/")):
            return False
        return all(test(version.labels) for test in self.labels) and all(
            test(version.fields) for test in self.fields
        )


class Snapshot(msgspec.Struct):
    """The keys of a resource in order, and their states."""

    keys: list[str]
    versions: Mapping[str, Version]

    def page(self, selector: Selector, start: str, limit: int) -> tuple[list[Version], str, int]:
        """At most ``limit`` (0: all) objects from key ``start``; the next key (or "") and how many remain."""
        prefix = selector.namespace + "/" if selector.namespace else ""
        first = bisect_left(self.keys, max(prefix, start))
        # "0" follows "/", so this is the first key behind the namespace.
        last = bisect_left(self.keys, selector.namespace + "0") if prefix else len(self.keys)
        if selector.empty:
            end = min(last, first + limit) if limit else last
            found = [self.versions[key] for key in self.keys[first:end]]
            return found, self.keys[end - 1] + "\0" if end < last else "", last - end
        found = []
        for key in self.keys[first:last]:
            version = self.versions[key]
            if selector.matches(version):
                if limit and len(found) == limit:
                    return found, found[-1].key + "\0", 1
                found.append(version)
        return found, "", 0


class Table:
    """One resource: its current objects, and the log of the changes that led to them."""

    def __init__(self, kind: Kind, rv: int, window: int) -> None:
        self.kind = kind
        self.current: dict[str, Version] = {}
        self.compacted = rv
        self.window = window
        self.wake: set[Callable[[], None]] = set()
        self._events: list[Event] = []
        self._rvs: list[int] = []
        self._keys: list[str] | None = None
        self._snapshots: OrderedDict[int, Snapshot] = OrderedDict()

    @property
    def keys(self) -> list[str]:
        """The keys of the current objects in the order of lists; not to be changed."""
        if self._keys is None:
            self._keys = sorted(self.current)
        return self._keys

    def apply(self, event: Event) -> None:
        """Applies a change, logs it and wakes the watches."""
        if event.new is not None:
            if event.old is None and self._keys is not None:
                insort(self._keys, event.new.key)
            self.current[event.new.key] = event.new
        elif event.old is not None:
            del self.current[event.old.key]
            if self._keys is not None:
                del self._keys[bisect_left(self._keys, event.old.key)]
        self._events.append(event)
        self._rvs.append(event.rv)
        if len(self._events) > self.window + self.window // 4:
            self.compact(keep=self.window)
        for wake in self.wake:
            wake()

    def compact(self, keep: int = 0) -> None:
        """Forgets all but the last ``keep`` events."""
        drop = len(self._events) - keep
        if drop > 0:
            self.compacted = self._rvs[drop - 1]
            del self._events[:drop], self._rvs[:drop]
        for rv in [rv for rv in self._snapshots if rv < self.compacted]:
            del self._snapshots[rv]

    def since(self, rv: int) -> list[Event]:
        """The events after a version; Gone where some of them are forgotten."""
        if rv < self.compacted:
            raise Gone(rv, self.compacted)
        return self._events[bisect_right(self._rvs, rv) :]

    def snapshot(self, rv: int | None = None) -> Snapshot:
        """The state now, or at a version; Gone where that is forgotten. To be used at once."""
        if rv is None or not self._rvs or self._rvs[-1] <= rv:
            if rv is not None and rv < self.compacted:
                raise Gone(rv, self.compacted)
            return Snapshot(self.keys, self.current)
        if rv not in self._snapshots:
            before: dict[str, Version | None] = {}
            for event in self.since(rv):
                state = event.old or event.new
                if state is not None:
                    before.setdefault(state.key, event.old)
            merged = self.current | before
            versions = {key: version for key, version in merged.items() if version is not None}
            self._snapshots[rv] = Snapshot(sorted(versions), versions)
            while len(self._snapshots) > MAX_SNAPSHOTS:
                self._snapshots.popitem(last=False)
        return self._snapshots[rv]


class Store:
    """The objects of a cluster."""

    def __init__(self, *, rv: int = 200, window: int = WINDOW, seed: int = 1) -> None:
        self.rv = rv
        self.tables = {plural: Table(kind, rv, window) for plural, kind in KINDS.items()}
        # Whether a change is kept from watchers.
        self.hide: Callable[[str, str], bool] | None = None
        self._random = random.Random(seed)

    def put(self, obj: Object, *, hidden: bool = False) -> int:
        """Creates or replaces an object; gives the version it got."""
        kind = BY_NAME[obj["kind"]]
        meta = obj["metadata"]
        namespace = meta.get("namespace", "default") if kind.namespaced else ""
        key = f"{namespace}/{meta['name']}" if namespace else meta["name"]
        table = self.tables[kind.plural]
        old = table.current.get(key)
        dump = encode_sorted if kind.custom else encode
        rest = dump({name: obj[name] for name in obj if name not in ("kind", "apiVersion", "metadata")})
        rest = b"," + rest[1:] if len(rest) > 2 else b"}"
        full = dict(meta)
        self.rv += 1
        full["resourceVersion"] = str(self.rv)
        if namespace:
            full["namespace"] = namespace
        before = msgspec.json.decode(old.meta) if old else {}
        full["uid"] = before.get("uid") or meta.get("uid") or self.uid()
        full["creationTimestamp"] = (
            before.get("creationTimestamp") or meta.get("creationTimestamp") or timestamp(time.time())
        )
        if kind.generation:
            dying = "deletionTimestamp" in full and "deletionTimestamp" not in before
            changed = old is None or old.rest != rest or dying
            full["generation"] = before.get("generation", meta.get("generation", 1) - 1) + (1 if changed else 0)
        new = Version(
            key,
            self.rv,
            dump({name: full[name] for name in _META_ORDER if name in full}),
            rest,
            full.get("labels") or {},
            _fields(kind, obj, namespace),
        )
        self._apply(table, Event(self.rv, new, old, hidden))
        return self.rv

    def put_all(self, objects: Iterable[Object]) -> None:
        for obj in objects:
            self.put(obj)

    def patch(self, resource: str, namespace: str, name: str, change: Object, *, hidden: bool = False) -> int:
        """Merges a change (JSON merge patch, RFC 7386) into an object."""
        return self.put(merge(self.get(resource, namespace, name), change), hidden=hidden)

    def delete(self, resource: str, namespace: str, name: str, *, grace_s: int = 0, hidden: bool = False) -> int:
        """Deletes an object, or with ``grace_s`` only marks it so; KeyError where there is none."""
        table = self.tables[resource]
        old = table.current[key_of(namespace, name)]
        if grace_s:
            obj = self.get(resource, namespace, name)
            obj["metadata"]["deletionTimestamp"] = timestamp(time.time() + grace_s)
            obj["metadata"]["deletionGracePeriodSeconds"] = grace_s
            return self.put(obj, hidden=hidden)
        self.rv += 1
        self._apply(table, Event(self.rv, None, old, hidden))
        return self.rv

    def get(self, resource: str, namespace: str, name: str) -> Object:
        """An object as a dictionary of its own; KeyError where there is none."""
        table = self.tables[resource]
        version = table.current[key_of(namespace, name)]
        obj: Object = msgspec.json.decode(table.kind.object_open + version.meta + version.rest)
        return obj

    def keys(self, resource: str) -> list[str]:
        """``namespace/name`` of each object, in order; not to be changed."""
        return self.tables[resource].keys

    def count(self, resource: str) -> int:
        return len(self.tables[resource].current)

    def compact(self, keep: int = 0) -> None:
        """Forgets old versions: watches and pages from before are Gone."""
        for table in self.tables.values():
            table.compact(keep)
            if not keep:
                table.compacted = self.rv

    def uid(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def _apply(self, table: Table, event: Event) -> None:
        if self.hide is not None and not event.hidden:
            state = event.new or event.old
            event.hidden = state is not None and self.hide(table.kind.plural, state.key)
        table.apply(event)


def key_of(namespace: str, name: str) -> str:
    return f"{namespace}/{name}" if namespace else name


def timestamp(seconds: float) -> str:
    """A moment as metav1.Time writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def merge(target: Any, change: Any) -> Any:
    """RFC 7386: dictionaries merge, null removes, everything else replaces."""
    if not isinstance(change, dict):
        return change
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in change.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name), value)
    return result


def _fields(kind: Kind, obj: Object, namespace: str) -> dict[str, str]:
    fields = {"metadata.name": obj["metadata"]["name"], "metadata.namespace": namespace}
    for path in kind.fields:
        part, name = path.split(".")
        value = (obj.get(part) or {}).get(name)
        if value is not None:
            fields[path] = str(value).lower() if isinstance(value, bool) else str(value)
    return fields
