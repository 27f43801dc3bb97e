"""Notices what a watch has lost: compares each resource with a fresh listing of names and versions.

Rules:
- A check lists names and versions only (PartialObjectMetadataList) and compares them with the reflector's
  digest.
- An object counts as different only if the watch has brought nothing about it since the check began, and only after
  the watch had settle_s to deliver events that were in flight. If the watch broke meanwhile, there is no result.
- After a difference the resource is listed again, by pages. A difference that remains after that is logged once and
  left alone: the server then gives two answers to the same question.
- A listing that is older than the watch, or another uid of the kube-system namespace, means another cluster:
  everything is listed again.
- A check that fails logs nothing: the reflectors notice an outage by themselves. A check without an answer is
  repeated soon, not after a whole period.
- Where a connection is silent the check is made over a new one (http/client.py). Watches that were silent as
  long are then opened again. A difference has the other resources' silent watches opened anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator

import msgspec

from fastdns.counted import counted
from fastdns.plugins.kubernetes.api.client import METADATA_JSON, Client
from fastdns.plugins.kubernetes.api.digest import Digest, key_of, version_of
from fastdns.plugins.kubernetes.api.errors import ApiError
from fastdns.plugins.kubernetes.api.formats import UNREADABLE, ListMetadata
from fastdns.plugins.kubernetes.api.reflector import Reflector

log = logging.getLogger("plugin/kubernetes")

# From the end of one check to the start of the next. With what a check and a listing take, a lost event is repaired
# within 60 s, also where the check first meets a connection that is dead.
PERIOD_MIN_S = 40.0
PERIOD_MAX_S = 50.0
# The same after a check that was not answered.
RETRY_S = 2.0
SETTLE_S = 1.0
PAGE_OBJECTS = 500
# Keys that are compared in one iteration of the event loop.
KEYS_AT_ONCE = 2000
IDENTITY_NAMESPACE = "kube-system"


class ObjectMetadata(msgspec.Struct, gc=False):
    """The fields of an object that show whether it changed."""

    name: str = ""
    namespace: str = ""
    resourceVersion: str = ""
    uid: str = ""


class ObjectWithMetadata(msgspec.Struct, gc=False):
    metadata: ObjectMetadata


class MetadataPage(msgspec.Struct):
    """One page with raw items, so that one invalid item does not prevent the check of the others."""

    metadata: ListMetadata
    items: list[msgspec.Raw] | None = None

    def readable(self) -> Iterator[ObjectMetadata]:
        """The items that can be decoded."""
        for item in self.items or ():
            with contextlib.suppress(*UNREADABLE):
                yield OBJECTS.decode(item).metadata


PAGES = msgspec.json.Decoder(MetadataPage)
OBJECTS = msgspec.json.Decoder(ObjectWithMetadata)

# The results of a check.
SAME = ""
INCONSISTENT = "inconsistent"
REPLACED = "replaced"


class ConsistencyCheck:
    """Compares one reflector with the server."""

    def __init__(
        self,
        reflector: Reflector,
        client: Client,
        *,
        settle_s: float = SETTLE_S,
        page_objects: int = PAGE_OBJECTS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._reflector = reflector
        self._client = client
        self._settle_s = settle_s
        self._page_objects = page_objects
        self._sleep = sleep
        # The differences that the last listing should have repaired: (key, the server's version).
        self._repaired: set[tuple[int, int | None]] = set()
        self._reported = False

    async def run(self) -> str:
        """One check: SAME, INCONSISTENT or REPLACED. Raises ApiError, Unreachable or SourceError."""
        reflector = self._reflector
        watch = reflector.watching
        if watch is None:
            return SAME
        before = reflector.version
        touched: set[int] = set()
        reflector.touched = touched
        try:
            differences, version = await self._compare()
            if reflector.watching is not watch:
                return SAME
            if is_older(version, before):
                return REPLACED
            if differences:
                await self._sleep(self._settle_s)
                if reflector.watching is not watch:
                    return SAME
            lost = {(key, seen) for key, seen in differences.items() if key not in touched}
        finally:
            reflector.touched = None
        if not lost:
            self._repaired.clear()
            return SAME
        if lost <= self._repaired:
            if not self._reported:
                self._reported = True
                log.warning(
                    "%d of %s still differ after they were listed again: the API server contradicts itself; "
                    "they are not listed again for this difference",
                    len(lost),
                    reflector.name,
                )
            return SAME
        self._repaired, self._reported = lost, False
        log.warning("the watch of %s missed %s; all is listed again", reflector.name, counted(len(lost), "change"))
        return INCONSISTENT

    async def _compare(self) -> tuple[dict[int, int | None], str]:
        """The keys that differ, each with the server's version (None: the server does not have it); and the version
        of the list.

        The comparison is made page by page: comparing a large cluster at once would delay its changes.
        """
        watched, held = self._reflector.watched, self._reflector.digest
        params = {**watched.selectors(), "limit": str(self._page_objects)}
        listed = Digest()
        differences: dict[int, int | None] = {}
        while True:
            page = await list_metadata(self._client, watched.path, params)
            for meta in page.readable():
                key, version = key_of(meta.namespace, meta.name), version_of(meta.resourceVersion)
                listed.set(key, version)
                if held.get(key) != version:
                    differences[key] = version
            if not page.metadata.continue_:
                break
            params["continue"] = page.metadata.continue_
            await asyncio.sleep(0)
        for at, key in enumerate(held.keys()):
            if listed.get(key) is None:
                differences[key] = None
            if at % KEYS_AT_ONCE == 0:
                await asyncio.sleep(0)
        return differences, page.metadata.resourceVersion


async def list_metadata(client: Client, path: str, params: dict[str, str]) -> MetadataPage:
    """One page of names and versions. Raises ApiError, Unreachable or SourceError."""
    body = await client.get(path, params, accept=METADATA_JSON)
    try:
        return PAGES.decode(body)
    except UNREADABLE as e:
        raise ApiError(200, f"the metadata of {path} cannot be read: {e}") from e


async def identity(client: Client) -> str | None:
    """The uid of kube-system, which differs in every cluster; None if RBAC or the server does not allow to read it.

    It is listed, not fetched by name: CoreDNS's role may list namespaces, but not get them.
    """
    params = {"fieldSelector": f"metadata.name={IDENTITY_NAMESPACE}", "limit": "1"}
    try:
        page = await list_metadata(client, "/api/v1/namespaces", params)
    except ApiError as e:
        if e.code in (401, 429) or e.code >= 500:
            raise
        return None
    for meta in page.readable():
        if meta.name == IDENTITY_NAMESPACE:
            return meta.uid or None
    return None


def is_older(version: str, than: str) -> bool:
    """Whether version is certainly older. Versions that are not numbers cannot be compared (KEP-5504)."""
    return version.isdecimal() and than.isdecimal() and int(version) < int(than)
