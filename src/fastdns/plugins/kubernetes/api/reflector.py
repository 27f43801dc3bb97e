"""Keeps a sink equal to one resource of the API server: lists it, then watches it, until cancelled.

Rules:
- No object is kept. The reflector keeps the last resourceVersion, and a digest for the consistency check.
- A listing is a stream of initial events if the server offers that, else pages. It asks for the server's
  current state, never for ``resourceVersion=0``: that state may be older than what is served already, and
  servers then ignore ``limit``. If a server refuses streams, the reflector remembers it until that server has
  been away.
- A listing calls begin, upsert and end of the sink. One that breaks off does not call end, so nothing is
  removed; the next one calls begin again. The old records are served meanwhile.
- A watch does not resume from the version of an initial event, but from the bookmark that ends these events.
- Each batch of events that is in the buffer ends with one flush. Then other tasks run.
- 410, as a status, as an event or for a continue token, leads to a new listing. A watch that breaks off or
  falls silent resumes from the last version. After a failure the reflector waits, with exponential backoff and
  jitter, and longer if the server says so.
- If a listing is silent while the server answers other requests, it is asked for again at once. An open watch
  is opened again when another task has noticed the silence (``reopen``).
- An object that cannot be read is skipped: it is named in the log once, and counted. The log also says when it
  can be read again. What was known of it is served until the next listing.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from fastdns.errors import FastdnsError, SourceError
from fastdns.plugins.kubernetes.api.client import Client
from fastdns.plugins.kubernetes.api.digest import Digest, key_of, version_of
from fastdns.plugins.kubernetes.api.errors import (
    ApiError,
    BadRequest,
    Forbidden,
    Gone,
    NotFound,
    ServerError,
    Stalled,
    Unreachable,
    api_error,
)
from fastdns.plugins.kubernetes.api.formats import (
    PROTOBUF_RESOURCES,
    UNREADABLE,
    Format,
    ListMetadata,
    Name,
    Status,
    format_of,
)
from fastdns.plugins.kubernetes.api.metrics import Metrics
from fastdns.plugins.kubernetes.api.skipped import SkippedObjects
from fastdns.plugins.kubernetes.objects import TYPES, Metadata
from fastdns.plugins.kubernetes.resources import Watched
from fastdns.plugins.kubernetes.sink import Sink

log = logging.getLogger("plugin/kubernetes")

PAGE_OBJECTS = 500
# Objects given to the sink in one iteration of the event loop.
SLICE_OBJECTS = 100
BACKOFF_FIRST_S = 0.1
# A server that was away for long is noticed, and listed, within 5 s after it responds again.
BACKOFF_MAX_S = 4.0
# The server sends bookmarks about every minute.
SILENCE_S = 75.0
# Initial events start at once. If a server announces but does not send them, pages are requested.
INITIAL_SILENCE_S = 30.0
WATCH_MIN_S = 240.0
WATCH_MAX_S = 480.0
# A watch that ends earlier than this, without an event, counts as a failure.
SHORT_WATCH_S = 1.0
# A watch that was open for longer than this was no failure.
LONG_WATCH_S = 10.0
LOG_INTERVAL_S = 30.0
OPTIONAL_RETRY_S = 60.0
PAGE_TRIES = 4
# How many streamed listings may fail in a row, and how many watches may end at once, before another way is tried.
STREAM_FAILURES = 2
BARREN_WATCHES = 5
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class Contact(Protocol):
    """Learns from each reflector whether the server responds, and knows what the server supports."""

    streams_lists: bool

    def reached(self, name: str) -> None: ...

    def lost(self, name: str, error: SourceError) -> None: ...

    def broken(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Timing:
    """All waiting times. Tests shorten them."""

    backoff_first_s: float = BACKOFF_FIRST_S
    backoff_max_s: float = BACKOFF_MAX_S
    silence_s: float = SILENCE_S
    initial_silence_s: float = INITIAL_SILENCE_S
    watch_min_s: float = WATCH_MIN_S
    watch_max_s: float = WATCH_MAX_S
    optional_retry_s: float = OPTIONAL_RETRY_S
    page_objects: int = PAGE_OBJECTS
    rand: Callable[[], float] = field(default=random.random)
    sleep: Callable[[float], Awaitable[None]] = field(default=asyncio.sleep)


def backoff_s(failures: int, rand: float, first_s: float = BACKOFF_FIRST_S, max_s: float = BACKOFF_MAX_S) -> float:
    """The wait after so many failures in a row (1 or more). It doubles, and is between half of that and all of it.

    rand is uniform in [0, 1).
    """
    whole = min(max_s, first_s * 2.0 ** min(failures - 1, 32))
    return whole * (0.5 + 0.5 * rand)


class Silent(Exception):
    """An open watch was silent for too long. Another one must be opened."""


class Broken(Unreachable):
    """An open watch ended early. That alone is no outage."""


class Reflector:
    """Runs until it is cancelled: see the rules of the module."""

    def __init__(
        self,
        watched: Watched,
        client: Client,
        sink: Sink,
        contact: Contact,
        *,
        metrics: Metrics,
        timing: Timing | None = None,
    ) -> None:
        self.watched = watched
        self.name = watched.name or watched.resource.name.lower()
        self.version = ""
        self.digest = Digest()
        # The number of complete listings.
        self.listings = 0
        # During a consistency check: the keys of objects that changed since it began.
        self.touched: set[int] | None = None
        self._client = client
        self._sink = sink
        self._contact = contact
        self._metrics = metrics
        self._timing = timing or Timing()
        self._protobuf = watched.resource in PROTOBUF_RESOURCES
        # By whether the response is in protobuf.
        self._formats = {
            answer: format_of(watched.resource, is_protobuf=answer) for answer in {False, self._protobuf}
        }
        self._failures = 0
        self._stream_failures = 0
        self._barren_watches = 0
        self._stream: Stream | None = None
        self._logged_at = float("-inf")
        self._cycle: asyncio.Task[None] | None = None
        # Why the running cycle is cancelled; "" if it is not.
        self._again_why = ""
        # When the open watch last received data, by the monotonic clock.
        self._heard_s = 0.0
        self._degraded = False
        # Whether the current listing by pages has called begin of the sink.
        self._sink_begun = False
        self._skipped = SkippedObjects(watched.resource.name.lower(), self.name, metrics)

    # Called by others

    @property
    def watching(self) -> object | None:
        """A token for the open watch that follows a complete listing, or None if there is none."""
        stream = self._stream
        return stream if stream is not None and not stream.listing else None

    def relist(self, why: str, *, by_pages: bool = False) -> None:
        """List again. The old records are served until the new listing is complete."""
        self.version = ""
        if by_pages:
            self._stream_failures = STREAM_FAILURES
        self._metrics.relist(self.name, why)
        self._again(why)

    def reopen(self, since_s: float) -> bool:
        """Open the watch again, from its last version, if it was silent since since_s. Returns whether it was.

        since_s: by the monotonic clock. For a watch whose connection may have died unnoticed.
        """
        if self.watching is None or self._heard_s >= since_s:
            return False
        self._again("frozen")
        return True

    def _again(self, why: str) -> None:
        self._again_why = why
        if self._cycle is not None:
            self._cycle.cancel()

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            self._cycle = asyncio.ensure_future(self._once())
            try:
                await self._cycle
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not self._again_why or (task is not None and task.cancelling()):
                    raise
            finally:
                self._again_why = ""
                self._cycle = None

    # One round

    async def _once(self) -> None:
        """One listing or one watch, and the wait after a failure."""
        timing = self._timing
        wait_s = 0.0
        begun_s = time.monotonic()
        silent = False
        try:
            if not self.version:
                await self._list()
            await self._watch()
            self._failures = 0
            return
        except Silent:
            return
        except Gone as e:
            log.info("listing %s again: %s", self.name, e.message)
            self._metrics.relist(self.name, "gone")
            self.version = ""
            # Only the first relist is immediate: a server that rejects every version must not be flooded.
            self._failures += 1
            if self._failures == 1:
                return
        except (Forbidden, NotFound) as e:
            self._failures += 1
            if not self.watched.needed:
                await self._degrade(e)
                return
            self._log(f"cannot list or watch {self.name}: {e.message}")
        except ApiError as e:
            self._failures += 1
            wait_s = e.retry_after_s or 0.0
            if e.code >= 500 or e.code in (401, 429):
                self._contact.lost(self.name, e)
            else:
                self._log(f"cannot list or watch {self.name}: {e}")
        except Broken as e:
            self._failures += 1
            log.debug("the watch of %s: %s", self.name, e)
            silent = isinstance(e.__cause__, Stalled)
            self._contact.broken()
        except SourceError as e:
            self._failures += 1
            silent = isinstance(e, Stalled)
            self._contact.lost(self.name, e)
        except Exception:
            # A bug, here or in the sink, must not end the reflector.
            self._failures += 1
            self.version = ""
            log.exception("unexpected error while following %s; they are listed again", self.name)
        finally:
            self._stream = None
        pause_s = backoff_s(self._failures, timing.rand(), timing.backoff_first_s, timing.backoff_max_s)
        if silent:
            # The time of the silence counts as a part of the pause.
            pause_s = max(timing.backoff_first_s, pause_s - (time.monotonic() - begun_s))
        await timing.sleep(max(wait_s, pause_s))

    async def _degrade(self, error: ApiError) -> None:
        """Continue without an optional resource that does not exist or is forbidden, and request it again later."""
        if not self._degraded:
            self._degraded = True
            log.warning(
                "continuing without %s; they are asked for again about every minute: %s", self.name, error.message
            )
            # An empty listing counts as known. Records of an earlier listing are kept.
            if not self.listings:
                self._sink.begin(self.watched.resource)
                self._sink.end(self.watched.resource)
                self._sink.flush()
        await self._timing.sleep(self._timing.optional_retry_s * (0.5 + 0.5 * self._timing.rand()))

    def _log(self, text: str, error: Exception | None = None) -> None:
        now = time.monotonic()
        if now - self._logged_at >= LOG_INTERVAL_S:
            self._logged_at = now
            log.error("%s", text, exc_info=error)

    # Listing

    async def _list(self) -> None:
        """List by pages, unless the watch starts with a listing."""
        if self._streams():
            return
        for tries in range(3):
            try:
                # The third attempt is without pages, as in client-go: the continue token expired twice.
                await self._list_pages(self._timing.page_objects if tries < 2 else 0)
                return
            except Gone as e:
                if tries == 2:
                    raise
                log.info("listing %s again from the first page: %s", self.name, e.message)

    def _streams(self) -> bool:
        # After two failed or silent streams in a row, pages are used: they make progress in small steps.
        return self._contact.streams_lists and self._stream_failures < STREAM_FAILURES

    async def _list_pages(self, limit: int) -> None:
        params = self.watched.selectors()
        if limit:
            params["limit"] = str(limit)
        digest = Digest()
        self._sink_begun = False
        while True:
            metadata = await self._page(params, digest)
            params["continue"] = metadata.continue_
            if not metadata.continue_:
                break
        if not metadata.resourceVersion:
            raise ServerError(200, f"the list of {self.name} has no resourceVersion")
        self._finish(metadata.resourceVersion, digest)

    async def _page(self, params: Mapping[str, str], digest: Digest) -> ListMetadata:
        """Apply one page, item by item as they arrive. After a failure this page is requested again, not the first
        one. Its first items are then applied twice, which changes nothing."""
        asked = {name: value for name, value in params.items() if value}
        for tries in range(1, PAGE_TRIES + 1):
            try:
                async with self._client.listing(self.watched.path, asked, protobuf=self._protobuf) as chunks:
                    form = self._formats[chunks.is_protobuf]
                    listing = form.listing()
                    async for chunk in chunks:
                        items = listing.feed(chunk)
                        self._contact.reached(self.name)
                        if not self._sink_begun:
                            self._sink_begun = True
                            self._begin()
                        for at in range(0, len(items), SLICE_OBJECTS):
                            self._take_items(form, items[at : at + SLICE_OBJECTS], digest)
                            await asyncio.sleep(0)
                return listing.metadata()
            except UNREADABLE as e:
                raise ServerError(200, f"the list of {self.name} cannot be read: {e}") from e
            except (ServerError, Unreachable):
                if tries == PAGE_TRIES or not params.get("continue"):
                    raise
                timing = self._timing
                await timing.sleep(backoff_s(tries, timing.rand(), timing.backoff_first_s, timing.backoff_max_s))
        raise AssertionError

    def _take_items(self, form: Format, items: list[bytes], digest: Digest) -> None:
        """Give objects to the sink, and flush it."""
        resource, sink = self.watched.resource, self._sink
        for item in items:
            try:
                obj = form.object_of(item)
            except UNREADABLE as e:
                self._malformed(form, item, e, digest)
                continue
            meta = obj.metadata
            key = key_of(meta.namespace, meta.name)
            digest.set(key, version_of(meta.resourceVersion))
            if key in self._skipped.present:
                self._skipped.right(key, where_of(meta))
            try:
                sink.upsert(resource, obj)
            except Exception as e:
                self._rejected(meta, e)
        sink.flush()

    def _begin(self) -> None:
        self._sink.begin(self.watched.resource)

    def _finish(self, version: str, digest: Digest) -> None:
        self._sink.end(self.watched.resource)
        self._sink.flush()
        self.version = version
        self.digest = digest
        for key in [key for key in self._skipped.present if digest.get(key) is None]:
            self._skipped.gone(key)
        self.listings += 1
        self._stream_failures = 0
        if self._degraded:
            self._degraded = False
            log.info("%s can be read now", self.name)

    # Watching

    async def _watch(self) -> None:
        """Watch from the last version, or list by initial events first. Returns when the server ends the watch."""
        timing = self._timing
        listing = not self.version
        seconds = int(timing.watch_min_s + (timing.watch_max_s - timing.watch_min_s) * timing.rand())
        params = {
            "watch": "1",
            **self.watched.selectors(),
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }
        if listing:
            params["sendInitialEvents"] = "true"
            params["resourceVersionMatch"] = "NotOlderThan"
        else:
            params["resourceVersion"] = self.version
        started = time.monotonic()
        self._stream = stream = Stream(self, listing)
        opened = False
        try:
            silence_s = timing.initial_silence_s if listing else timing.silence_s
            async with self._client.watch(
                self.watched.path,
                params,
                silence_s=silence_s,
                is_owed=lambda: stream.listing,
                protobuf=self._protobuf,
            ) as batches:
                stream.format = self._formats[batches.is_protobuf]
                opened = True
                self._heard_s = time.monotonic()
                self._contact.reached(self.name)
                async for batch in batches:
                    self._heard_s = time.monotonic()
                    stream.take(batch)
                    self._contact.reached(self.name)
                    # Buffered batches arrive without a pause: let other tasks run between them.
                    await asyncio.sleep(0)
        except BadRequest as e:
            if not listing:
                # A version that the server cannot parse is treated like one that is too old.
                raise Gone(410, e.message) from e
            self._refused(e)
            return
        except (ServerError, Unreachable) as e:
            if stream.refused:
                self._refused(e)
                return
            if stream.listing:
                # A server that was not reached says nothing about what it supports.
                self._stream_failures += opened or isinstance(e, Stalled)
            elif isinstance(e, Stalled) and opened:
                log.debug("the watch of %s was silent for %g s", self.name, timing.silence_s)
                raise Silent from e
            if opened and isinstance(e, Unreachable):
                if not stream.listing and time.monotonic() - started >= LONG_WATCH_S:
                    # A proxy closes idle connections: no reason to wait longer each time.
                    self._failures = 0
                raise Broken(str(e)) from e
            raise
        if stream.listing:
            self._stream_failures += 1
            raise Broken("it ended before all initial events had arrived")
        if stream.took or time.monotonic() - started >= SHORT_WATCH_S:
            self._barren_watches = 0
            return
        self._barren_watches += 1
        if self._barren_watches >= BARREN_WATCHES:
            self._barren_watches = 0
            raise Gone(410, "the API server ends each watch at once")
        raise Broken("it ended at once")

    def _refused(self, error: SourceError) -> None:
        if self._contact.streams_lists:
            self._contact.streams_lists = False
            log.info("the API server does not stream lists; they are read by pages: %s", error)

    def _malformed(self, form: Format, raw: bytes, error: Exception, digest: Digest) -> None:
        """Log an object that is skipped, and keep its version, so that a check does not report it as missing."""
        meta = form.name_of(raw)
        key = key_of(meta.namespace, meta.name)
        if meta.name:
            digest.set(key, version_of(meta.resourceVersion))
            if self.touched is not None:
                self.touched.add(key)
        self._skipped.skip(key, where_of(meta), error)

    def _rejected(self, meta: Metadata, error: Exception) -> None:
        """Log an exception of the sink for one object. Other objects are not affected."""
        log.error("%s %s/%s is not served: %s", self.name, meta.namespace, meta.name, error)
        if not isinstance(error, FastdnsError):
            self._log(f"the unexpected error for {self.name} {meta.namespace}/{meta.name}:", error)


def where_of(meta: Metadata | Name) -> str:
    """The name of an object for the log."""
    return f"{meta.namespace}/{meta.name}" if meta.namespace else meta.name or "without a name"


class Stream:
    """The state of one watch: parses its lines, and calls the sink. It does no input or output."""

    def __init__(self, reflector: Reflector, listing: bool) -> None:
        self.listing = listing
        self.took = False
        # The server sent an error before the first object: it cannot list by initial events.
        self.refused = False
        self._reflector = reflector
        self.format = reflector._formats[False]
        self._digest = Digest() if listing else reflector.digest
        self._begun = False

    def take(self, batch: list[bytes]) -> None:
        """Apply one batch of lines, and flush. Raises ApiError for an ERROR event."""
        reflector = self._reflector
        sink, resource = reflector._sink, reflector.watched.resource
        decode = self.format.event_of
        skipped = reflector._skipped
        digest, touched = self._digest, reflector.touched
        try:
            for line in batch:
                if not line or line.isspace():
                    continue
                try:
                    event = decode(line)
                except UNREADABLE as e:
                    self._odd(line, e)
                    continue
                kind, obj = event.type, event.object
                if kind == "ERROR":
                    self._error(line)
                meta = obj.metadata
                if kind == "ADDED" or kind == "MODIFIED":
                    self._start()
                    key = key_of(meta.namespace, meta.name)
                    digest.set(key, version_of(meta.resourceVersion))
                    if key in skipped.present:
                        skipped.right(key, where_of(meta))
                    try:
                        sink.upsert(resource, obj)
                    except Exception as e:
                        reflector._rejected(meta, e)
                elif kind == "DELETED":
                    self._start()
                    key = key_of(meta.namespace, meta.name)
                    digest.discard(key)
                    skipped.gone(key)
                    try:
                        sink.delete(resource, obj)
                    except Exception as e:
                        reflector._rejected(meta, e)
                elif kind == "BOOKMARK":
                    self._bookmark(meta)
                    continue
                else:
                    log.warning("a watch of %s: an event of unknown type %r is ignored", reflector.name, kind[:40])
                    continue
                if touched is not None:
                    touched.add(key)
                self._advance(meta.resourceVersion)
        finally:
            sink.flush()

    def _start(self) -> None:
        if self.listing and not self._begun:
            self._begun = True
            self._reflector._begin()

    def _advance(self, version: str) -> None:
        self.took = True
        if not self.listing and version:
            self._reflector.version = version
            self._reflector._failures = 0

    def _bookmark(self, meta: Metadata) -> None:
        if not self.listing:
            self._advance(meta.resourceVersion)
        elif meta.annotations is not None and meta.annotations.get(INITIAL_EVENTS_END) == "true":
            self._start()
            self.listing = False
            self.took = True
            self._reflector._finish(meta.resourceVersion, self._digest)

    def _error(self, line: bytes) -> None:
        """Raise the exception of an ERROR event."""
        try:
            status = self.format.status_of(line)
        except UNREADABLE:
            status = Status(message=line[:200].decode("utf-8", "replace"), code=500)
        self.refused = self.listing and not self._begun
        raise api_error(status.code or 500, status.message)

    def _odd(self, line: bytes, error: Exception) -> None:
        """Handle a line that cannot be decoded: an ERROR event, an invalid object, or a truncated line."""
        try:
            kind, raw = self.format.raw_event_of(line)
        except UNREADABLE:
            # A watch from the last version would return the same line again.
            raise Gone(410, f"a line of its watch is not a valid event: {error}") from error
        if kind == "ERROR":
            self._error(line)
        self._start()
        meta = self.format.name_of(raw)
        if kind == "DELETED" and meta.name:
            # For a deletion, only the name is needed.
            self._delete(meta)
        else:
            self._reflector._malformed(self.format, raw, error, self._digest)
        self.took = True
        self._advance(meta.resourceVersion)

    def _delete(self, meta: Name) -> None:
        """Remove an object of which only the name can be read."""
        reflector = self._reflector
        key = key_of(meta.namespace, meta.name)
        self._digest.discard(key)
        reflector._skipped.gone(key)
        if reflector.touched is not None:
            reflector.touched.add(key)
        resource = reflector.watched.resource
        named: Any = TYPES[resource](metadata=Metadata(name=meta.name, namespace=meta.namespace))
        try:
            reflector._sink.delete(resource, named)
        except Exception as e:
            reflector._rejected(named.metadata, e)
