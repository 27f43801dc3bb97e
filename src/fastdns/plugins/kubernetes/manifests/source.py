"""Kubernetes objects from YAML files that are watched: a cluster without an API server.

Paths are files, or folders whose ``*.yaml``, ``*.yml`` and ``*.json`` are read (not their subfolders). What a file
says counts at once when it is whole (files.py). A namespace in which an object stands exists.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable

import msgspec

from fastdns.plugins.kubernetes.manifests.files import SETTLE_S, ManifestFiles
from fastdns.plugins.kubernetes.manifests.parsing import Key
from fastdns.plugins.kubernetes.objects import TYPES, KubernetesObject, Metadata, Namespace
from fastdns.plugins.kubernetes.selectors import Selector, parse_selector
from fastdns.plugins.kubernetes.sink import Resource, Sink

log = logging.getLogger("plugin/kubernetes")

# A change is looked for so often even where the file system reports none.
POLL_S = 2.0
# watchfiles wakes up this often to see whether anything was reported, and waits as long for what comes together.
STEP_MS = 50
DEBOUNCE_MS = 30


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
        self.files = ManifestFiles(paths, on_left_out=on_left_out)
        self.sink = sink
        self.resources = tuple(resources)
        self.labels: Selector | None = parse_selector(labels) if labels else None
        self.namespace_labels: Selector | None = parse_selector(namespace_labels) if namespace_labels else None
        self.published: dict[Key, bytes] = {}
        self.synced = False

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
        for found in self.files.found():
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
        self.take(self.files.read_changed())

    def take(self, changed: bool) -> None:
        """Publish what has been read, where it has changed and is complete."""
        if changed and (self.synced or self.files.complete):
            self.publish()

    # ---------------------------------------------------------------------------------------------- running

    async def run(self) -> None:
        """Serve the files until cancelled. Large ones take their time: they are read beside the event loop."""
        await self.look()
        async for _ in self.changes():
            await self.look()

    async def look(self) -> None:
        """Publish what the files say now; wait for those that are being written."""
        self.take(await asyncio.to_thread(self.files.read_changed))
        while self.files.unsettled:
            await asyncio.sleep(SETTLE_S)
            self.take(await asyncio.to_thread(self.files.read_changed))

    async def changes(self) -> AsyncIterator[None]:
        """Yields when a file may have changed: at once where the system reports it, else each POLL_S."""
        from watchfiles import awatch

        while True:
            folders = {path if path.is_dir() else path.parent for path in self.files.paths}
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
