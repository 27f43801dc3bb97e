"""Kubernetes objects from YAML files that are watched: the embedded default, without an API server.

Paths are files, or folders whose ``*.yaml``, ``*.yml`` and ``*.json`` are read (not their subfolders). A file holds
any number of documents; ``kind: List`` is unfolded. Service, EndpointSlice, Namespace, Pod and ServiceImport
count, other kinds are skipped. An object without namespace is in ``default``; a namespace in which an object
stands exists.

A file that cannot be read or understood is an error with its file and line, and its last good content goes on being
served. So is a file that is emptied, a named file that vanishes, or a whole folder; a file that leaves a watched
folder takes its objects with it. A file that is being written is left until it is whole.

A field that cannot be served, such as an address that is none, is left out alone: the rest of its object is served.
It is said with file, line, object and field, once, and counted; so is it said when the field is right again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import msgspec
import yaml

from fastdns.errors import SourceError
from fastdns.plugins.kubernetes.objects import TYPES, KubernetesObject, Metadata, Namespace
from fastdns.plugins.kubernetes.selectors import Selector, parse_selector
from fastdns.plugins.kubernetes.sink import Resource, Sink
from fastdns.plugins.kubernetes.validity import mend

log = logging.getLogger("plugin/kubernetes")

SUFFIXES = (".yaml", ".yml", ".json")
# A change is looked for so often even where the file system reports none.
POLL_S = 2.0
# watchfiles wakes up this often to see whether anything was reported, and waits as long for what comes together.
STEP_MS = 50
DEBOUNCE_MS = 30
# A file that was written to within this time may not be whole yet: its writer may have emptied it first.
SETTLE_S = 0.03
# And one that was written to in place and has lost objects within this time: the rest of it may be on its way.
LOSS_S = 0.3
MAX_DEPTH = 100
TOO_DEEP = f"nested deeper than {MAX_DEPTH}"
# libyaml since 0.2.6, where its look ahead meets what is deeper than its own limit.
LIBRARY_TOO_DEEP = "exceeded maximum nesting depth"
MAX_FILE_BYTES = 256 * 1024 * 1024
# Fields of one file, of those that are said at a time; further ones are only counted.
MAX_SAID = 10

MULTICLUSTER_LABEL = "multicluster.kubernetes.io/service-name"
KINDS = {
    ("v1", "Service"): Resource.SERVICE,
    ("v1", "Namespace"): Resource.NAMESPACE,
    ("v1", "Pod"): Resource.POD,
    ("discovery.k8s.io", "EndpointSlice"): Resource.SLICE,
    ("multicluster.x-k8s.io", "ServiceImport"): Resource.IMPORT,
}
NAMES = {kind for _, kind in KINDS}

Key = tuple[Resource, str, str]
# What tells that a file may have changed: modification time, size, inode, and the resolved path.
Signature = tuple[int, int, int, str]


class Loader(yaml.CSafeLoader):
    """Safe YAML in which a date stays text, as Kubernetes reads it. The C library recurses without a bound."""

    depth = 0

    def descend_resolver(self, current_node: Any, current_index: Any) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=TOO_DEEP, problem_mark=current_node.start_mark)

    def ascend_resolver(self) -> None:
        self.depth -= 1


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A field that is not served. field: of which object; where: file and line; what: what it is one of."""

    resource: Resource
    field: str
    where: str
    text: str
    what: str


@dataclass(frozen=True, slots=True)
class Found:
    """One object, where it stands, and what of it is left out."""

    key: Key
    obj: KubernetesObject
    where: str
    left_out: tuple[LeftOut, ...] = ()


def line_of(node: Any, path: str) -> int:
    """The line of what a validation error's path (``$.spec.ports[0].port``) leads to, as far as it leads."""
    line = int(node.start_mark.line) + 1
    for name, index in re.findall(r"\.([A-Za-z0-9_-]+)|\[(\d+|\.\.\.)\]", path):
        if name and isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == name:
                    node, line = value, int(key.start_mark.line) + 1
                    break
            else:
                break
        elif index.isdigit() and isinstance(node, yaml.SequenceNode) and int(index) < len(node.value):
            node = node.value[int(index)]
            line = int(node.start_mark.line) + 1
        else:
            break
    return line


def signature_of(path: Path) -> Signature:
    """What a file looks like now. Raises OSError."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino, str(path.resolve())


def decoded(data: bytes, path: Path) -> str:
    """A file's text. Raises SourceError with file and line where it is not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SourceError(f"{path}:{line} - not UTF-8: {error.reason}, 0x{data[error.start]:02x}") from None


def documents(text: str, file: str) -> Iterator[tuple[Any, Any]]:
    """(content, node) of each document, lists unfolded. Raises SourceError with file and line."""
    loader = Loader(text)
    line = 1
    try:
        while loader.check_node():
            node = loader.get_node()
            line = cast(Any, node).start_mark.line + 1
            content = loader.construct_document(node)
            if isinstance(content, dict) and str(content.get("kind", "")).endswith("List") and "items" in content:
                items = next(value for key, value in cast(Any, node).value if key.value == "items")
                if not isinstance(content["items"], list | None):
                    raise SourceError(f"{file}:{items.start_mark.line + 1} - items: a list of objects expected")
                yield from zip(content["items"] or (), items.value, strict=False)
            elif content is not None:
                yield content, node
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else line
        problem = error.problem or error.context
        if problem == LIBRARY_TOO_DEEP:
            problem = TOO_DEEP
        raise SourceError(f"{file}:{line} - not valid YAML: {problem}") from None
    except yaml.reader.ReaderError as error:
        line = text.encode()[: error.position].count(b"\n") + 1
        problem = f"character #x{error.character:02x}, {error.reason}"
        raise SourceError(f"{file}:{line} - not valid YAML: {problem}") from None
    except SourceError:
        raise
    # A value that its tag does not allow (!!int x, !!bool x, a number of too many digits) raises anything at all.
    except Exception as error:
        raise SourceError(f"{file}:{line} - not valid YAML: {error}") from None
    finally:
        loader.dispose()


def resource_of(content: dict[str, Any], where: str) -> Resource | None:
    """The resource that an object is of, or None where it is nothing to DNS. Raises SourceError."""
    kind = content.get("kind")
    version = content.get("apiVersion")
    if not isinstance(kind, str) or not isinstance(version, str):
        raise SourceError(f"{where} - apiVersion and kind expected")
    resource = KINDS.get((version if version == "v1" else version.partition("/")[0], kind))
    if resource is None and kind in NAMES:
        raise SourceError(f"{where} - {kind} of apiVersion {version!r} is not known")
    return resource


def parse_manifests(text: str, file: str) -> list[Found]:
    """Every object of one file. Raises SourceError with file and line."""
    found: list[Found] = []
    for content, node in documents(text, file):
        where = f"{file}:{node.start_mark.line + 1}"
        if not isinstance(content, dict):
            raise SourceError(f"{where} - an object with apiVersion, kind and metadata expected")
        resource = resource_of(content, where)
        if resource is None:
            log.debug("%s: %s is nothing to DNS", where, content.get("kind"))
            continue
        try:
            obj = msgspec.convert(content, TYPES[resource])
        except msgspec.ValidationError as error:
            problem, _, path = str(error).partition(" - at ")
            line = line_of(node, path.strip("`"))
            at = f" at {path}" if path else ""
            raise SourceError(f"{file}:{line} - {content['kind']}: {problem}{at}") from None
        if not obj.metadata.name:
            raise SourceError(f"{where} - {content['kind']}: metadata.name expected")
        if resource == Resource.NAMESPACE:
            obj.metadata.namespace = ""
        else:
            obj.metadata.namespace = obj.metadata.namespace or "default"
        if resource == Resource.SLICE and MULTICLUSTER_LABEL in (obj.metadata.labels or {}):
            resource = Resource.IMPORT_SLICE
        namespace, name = obj.metadata.namespace, obj.metadata.name
        whose = f"{content['kind']} {namespace}/{name}" if namespace else f"{content['kind']} {name}"
        left_out = tuple(
            LeftOut(
                resource,
                f"{whose}: {problem.path}",
                f"{file}:{line_of(node, f'$.{problem.path}')}",
                problem.text,
                problem.what,
            )
            for problem in mend(resource, obj)
        )
        found.append(Found((resource, namespace, name), obj, where, left_out))
    return found


@dataclass(slots=True)
class File:
    """What is known of one file: when it was read, and what it held."""

    signature: Signature | None = None
    found: list[Found] = field(default_factory=list)
    read: bool = False


class ManifestSource:
    """Keeps a sink equal to what the files say. labels and namespace_labels select as the API server would."""

    def __init__(
        self,
        paths: Iterable[str],
        sink: Sink,
        *,
        resources: Iterable[Resource],
        labels: str | None = None,
        namespace_labels: str | None = None,
        on_left_out: Callable[[str, str], None] = lambda resource, what: None,
    ) -> None:
        self.paths = [Path(path) for path in paths]
        self.sink = sink
        self.resources = tuple(resources)
        self.labels: Selector | None = parse_selector(labels) if labels else None
        self.namespace_labels: Selector | None = parse_selector(namespace_labels) if namespace_labels else None
        self.files: dict[Path, File] = {}
        self.published: dict[Key, bytes] = {}
        self.synced = False
        self.complaints: dict[Path, str] = {}
        # By file: what is left out of it now.
        self.left_out: dict[Path, dict[tuple[str, str], LeftOut]] = {}
        self.on_left_out = on_left_out
        # Whether a file is left for later, as it is being written.
        self.unsettled = False

    # ---------------------------------------------------------------------------------------------- reading

    def listed(self) -> dict[Path, bool]:
        """Every file to read; True where it was named itself."""
        listed: dict[Path, bool] = {}
        for path in self.paths:
            if path.is_dir():
                with contextlib.suppress(OSError):
                    for entry in sorted(path.iterdir()):
                        if entry.suffix in SUFFIXES and entry.is_file():
                            listed.setdefault(entry, False)
            else:
                listed[path] = True
                # A folder that is gone, and perhaps will be back, denies nothing that it held.
                listed.update((known, False) for known in self.files if known.parent == path)
        return listed

    def read_changed(self) -> bool:
        """Read what has changed since the last time. Returns whether anything has."""
        listed = self.listed()
        changed = self.unsettled = False
        for gone in [path for path in self.files if path not in listed]:
            del self.files[gone]
            self.complaints.pop(gone, None)
            self.left_out.pop(gone, None)
            changed = True
        for path in listed:
            file = self.files.setdefault(path, File())
            try:
                signature = signature_of(path)
                if signature == file.signature:
                    continue
                found = self.read(path, file, signature)
                if found is None:
                    self.unsettled = True
                    continue
                file.found = found
                file.signature = signature
                file.read = True
                changed = True
                if self.complaints.pop(path, None) is not None:
                    log.info("%s is right again, and is served as it is now", path)
                self.note(path, found)
            except SourceError as error:
                file.signature = signature
                self.complain(path, str(error), file.read)
            except OSError as error:
                file.signature = None
                self.complain(path, f"{path} cannot be read: {error}", file.read)
        return changed

    @staticmethod
    def read(path: Path, file: File, signature: Signature) -> list[Found] | None:
        """The objects of a file with this signature, or None while it is written. Raises as parsing does."""
        modified_ns, size, *place = signature
        quiet_s = time.time() - modified_ns / 1e9
        # The first time there is nothing better.
        if file.read and 0 <= quiet_s < SETTLE_S:
            return None
        if size > MAX_FILE_BYTES:
            raise SourceError(f"{path} has {size} bytes; at most {MAX_FILE_BYTES} are read")
        data = path.read_bytes()
        if len(data) != size or signature_of(path) != signature:
            return None
        found = parse_manifests(decoded(data, path), str(path))
        if file.read and (file.signature is None or place == list(file.signature[2:])):
            lost = {one.key for one in file.found} - {one.key for one in found}
            if lost and 0 <= quiet_s < LOSS_S:
                return None
        if file.found and not data:
            # Truncated by who then has nothing to say, or no room on the disk to say it.
            raise SourceError(f"{path} is empty")
        return found

    def complain(self, path: Path, text: str, served: bool) -> None:
        """Log an error once until it changes."""
        if self.complaints.get(path) != text:
            self.complaints[path] = text
            log.error("%s%s", text, "; what it held before is served on" if served else "")

    def note(self, path: Path, found: list[Found]) -> None:
        """Say and count what of a file is newly left out, and say what is right again."""
        before = self.left_out.get(path, {})
        now = {(one.field, one.text): one for each in found for one in each.left_out}
        new = [one for key, one in now.items() if key not in before]
        for one in new:
            self.on_left_out(one.resource.name.lower(), one.what)
        for one in new[:MAX_SAID]:
            log.warning("%s - %s: %s; it is left out", one.where, one.field, one.text)
        if len(new) > MAX_SAID:
            log.warning("%s: %d more fields are left out", path, len(new) - MAX_SAID)
        wrong = {which for which, _ in now}
        right = [which for which in dict.fromkeys(which for which, _ in before) if which not in wrong]
        for which in right[:MAX_SAID]:
            log.info("%s - %s is not wrong any more", path, which)
        if len(right) > MAX_SAID:
            log.info("%s: %d more fields are not wrong any more", path, len(right) - MAX_SAID)
        if now:
            self.left_out[path] = now
        else:
            self.left_out.pop(path, None)

    # ------------------------------------------------------------------------------------------- publishing

    def selected(self, resource: Resource, meta: Metadata) -> bool:
        """Whether the block's selectors take an object."""
        if resource in (Resource.NAMESPACE, Resource.IMPORT):
            return self.namespace_labels is None or self.namespace_labels.matches(meta.labels)
        if resource == Resource.IMPORT_SLICE:
            return True
        return self.labels is None or self.labels.matches(meta.labels)

    def wanted(self) -> dict[Key, KubernetesObject]:
        """Every object that is to be served, by key."""
        wanted: dict[Key, KubernetesObject] = {}
        first: dict[Key, str] = {}
        namespaces: set[str] = set()
        for file in self.files.values():
            for found in file.found:
                resource, namespace, _ = found.key
                if found.key in first:
                    log.warning(
                        "%s - already defined in %s; the first one is served", found.where, first[found.key]
                    )
                    continue
                first[found.key] = found.where
                namespaces.add(namespace)
                if resource in self.resources and self.selected(resource, found.obj.metadata):
                    wanted[found.key] = found.obj
        if self.namespace_labels is None:
            for name in namespaces - {""}:
                key = (Resource.NAMESPACE, "", name)
                if key not in first:
                    wanted[key] = Namespace(Metadata(name=name))
        return wanted

    def publish(self) -> None:
        """Bring the sink up to date: everything the first time, differences later."""
        wanted = self.wanted()
        digests = {key: msgspec.json.encode(obj) for key, obj in wanted.items()}
        if not self.synced:
            for resource in self.resources:
                self.sink.begin(resource)
                for key, obj in wanted.items():
                    if key[0] == resource:
                        self.sink.upsert(resource, obj)
                self.sink.end(resource)
            self.synced = True
        else:
            for key in [key for key in self.published if key not in wanted]:
                resource, namespace, name = key
                self.sink.delete(resource, TYPES[resource](metadata=Metadata(name=name, namespace=namespace)))
            for key, obj in wanted.items():
                if self.published.get(key) != digests[key]:
                    self.sink.upsert(key[0], obj)
        self.published = digests
        self.sink.flush()

    def refresh(self) -> None:
        """Look at the files once, and publish what they say now.

        Nothing is published before every file could be read once: a missing file must not deny its names.
        """
        self.take(self.read_changed())

    def take(self, changed: bool) -> None:
        """Publish what has been read, where it has changed and is complete."""
        if changed and (self.synced or all(file.read for file in self.files.values())):
            self.publish()

    # ---------------------------------------------------------------------------------------------- running

    async def run(self) -> None:
        """Serve the files until cancelled. Large ones take their time: they are read beside the event loop."""
        await self.look()
        async for _ in self.changes():
            await self.look()

    async def look(self) -> None:
        """Publish what the files say now; wait for those that are being written."""
        self.take(await asyncio.to_thread(self.read_changed))
        while self.unsettled:
            await asyncio.sleep(SETTLE_S)
            self.take(await asyncio.to_thread(self.read_changed))

    async def changes(self) -> AsyncIterator[None]:
        """Yields when a file may have changed: at once where the system reports it, else each POLL_S."""
        from watchfiles import awatch

        while True:
            folders = {path if path.is_dir() else path.parent for path in self.paths}
            folders |= {folder.resolve() for folder in folders}
            existing = [folder for folder in folders if folder.is_dir()]
            if existing:
                with contextlib.suppress(OSError):
                    async for _ in awatch(
                        *existing,
                        watch_filter=None,
                        debounce=DEBOUNCE_MS,
                        step=STEP_MS,
                        rust_timeout=int(POLL_S * 1000),
                        yield_on_timeout=True,
                        recursive=False,
                    ):
                        yield
                        if any(not folder.is_dir() for folder in existing):
                            break
            yield
            await asyncio.sleep(POLL_S)
