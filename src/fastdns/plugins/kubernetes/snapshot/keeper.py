"""Decides when the snapshot of a cluster is read and written. file.py has the format of the file.

Rules:
- The first watcher reads it once, at its start, before anything is listed.
- It is written after the first complete listing, after changes, and at the end. While nothing changes it is still
  written from time to time, so that it does not become too old to be used.
- It is written at most every MIN_INTERVAL_S seconds, and at BYTES_S bytes a second on average.
- A failure to write is logged once until writing succeeds again, and tried again later. The old file stays.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

from fastdns.counted import counted
from fastdns.errors import SourceError, StoreFull
from fastdns.memory._store import Store
from fastdns.plugins.kubernetes.records._sink import ClusterWriter
from fastdns.plugins.kubernetes.snapshot._restore import restore
from fastdns.plugins.kubernetes.snapshot.file import (
    UID_CHARACTERS,
    Head,
    fingerprint,
    read_snapshot,
    write_snapshot,
)

log = logging.getLogger("plugin/kubernetes")

MIN_INTERVAL_S = 10.0
BYTES_S = 1 << 20
# A file that is still true is written again before it has this part of its greatest age, or an hour.
REFRESH_PART = 8
REFRESH_MAX_S = 3600.0
RETRY_MAX_S = 300.0


class SnapshotMetrics(Protocol):
    """Counts snapshots by result: "written", "failed", "served" or "refused"."""

    def snapshot(self, zone: str, result: str) -> None: ...


class SnapshotKeeper:
    """Reads and writes the snapshot of one cluster. options: of its kubernetes block, which has a snapshot."""

    def __init__(
        self,
        options: Any,
        sink: ClusterWriter,
        metrics: SnapshotMetrics,
        *,
        write: Callable[[str, Head, Store, int], int] = write_snapshot,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path: str = options.snapshot
        self.max_age_s: float = options.snapshot_max_age_s
        self.zone: str = options.primary
        self.fingerprint = fingerprint(options)
        self.sink = sink
        self.records = sink.records
        self.store = sink.records.writer.store
        self.metrics = metrics
        self.write = write
        self.clock = clock
        # Of the cluster that the snapshot served is of; "" where it does not say, or nothing is served from it.
        self.uid = ""
        # What to say once it is certain that this server starts.
        self.announcement = ""
        self.written_changes = -1
        self.written_as_of = 0.0
        self.next_at = float("-inf")
        self.failures = 0
        self.writing: asyncio.Task[None] | None = None

    # Reading

    def restore(self) -> bool:
        """Serve the file, unless a predecessor has served anything. Returns whether it is served now."""
        number = self.records.source
        if self.store.source(number)[0] or self.store.restored_at(number):
            return False
        try:
            found = read_snapshot(self.path, self.fingerprint, self.max_age_s, self.store.size_bytes)
            if found is None:
                log.info("there is no snapshot %s yet", self.path)
                return False
            head, body = found
            try:
                services, left_out = restore(self.records, body, head.id_seed)
            except (SourceError, StoreFull) as error:
                raise SourceError(f"{self.path}: {error}") from None
        except SourceError as error:
            log.error("the snapshot is not used: %s", error)
            self.metrics.snapshot(self.zone, "refused")
            return False
        for offset, serial in enumerate(head.serials):
            if serial:
                self.records.writer.set_source(number + offset, soa_serial=serial)
        self.records.writer.set_source(number, restored_at=max(1, head.as_of))
        self.uid = head.uid
        self.metrics.snapshot(self.zone, "served")
        if left_out:
            records = counted(left_out, "record", ("is", "are"))
            log.warning("the snapshot %s is damaged: %s left out", self.path, records)
        age_s = max(0, int(time.time()) - head.as_of)
        self.announcement = (
            f"serving {services} Services of {self.zone} as of {age_s} s ago, from the snapshot {self.path}, "
            "until the API server has listed them"
        )
        return True

    def is_of_another(self, uid: str) -> bool:
        """Whether the snapshot that is served is of another cluster than this one. Both must say of which."""
        return bool(self.uid and uid) and self.uid != uid[:UID_CHARACTERS]

    # Writing

    @property
    def changes(self) -> int:
        """A number that differs after each change of the records."""
        return sum(self.store.source(self.records.source + offset)[2] for offset in (0, 1))

    def due(self, as_of: float) -> bool:
        """Whether to write now. as_of: when the API server was last heard, in Unix seconds."""
        if not self.sink.synced or self.writing is not None or self.clock() < self.next_at:
            return False
        refresh_s = min(REFRESH_MAX_S, self.max_age_s / REFRESH_PART)
        return self.changes != self.written_changes or as_of - self.written_as_of >= refresh_s

    def tick(self, as_of: float, uid: str) -> None:
        """Call each second: starts to write when it is time. uid: of the cluster, "" if it is not known."""
        if self.due(as_of):
            self.writing = asyncio.get_running_loop().create_task(self.write_once(as_of, uid))

    async def write_once(self, as_of: float, uid: str) -> None:
        """Write the file, in a thread."""
        number = self.records.source
        changes = self.changes
        serials = self.store.source(number)[1], self.store.source(number + 1)[1]
        head = Head(self.fingerprint, int(as_of), self.records.id_seed, serials, uid)
        try:
            size = await asyncio.to_thread(self.write, self.path, head, self.store, number)
        except Exception as error:
            self.has_failed(error)
        else:
            if self.failures:
                log.info("the snapshot %s can be written again", self.path)
            self.failures = 0
            self.written_changes, self.written_as_of = changes, as_of
            self.next_at = self.clock() + max(MIN_INTERVAL_S, size / BYTES_S)
            self.metrics.snapshot(self.zone, "written")
        finally:
            self.writing = None

    def has_failed(self, error: Exception) -> None:
        """Log and count it, and try again later."""
        if not self.failures:
            expected = isinstance(error, OSError)
            why = error.strerror if isinstance(error, OSError) else error
            log.error(
                "the snapshot %s cannot be written: %s; the previous one is kept, and writing is tried again",
                self.path, why, exc_info=None if expected else error,
            )  # fmt: skip
        self.failures += 1
        self.next_at = self.clock() + min(RETRY_MAX_S, MIN_INTERVAL_S * 2.0 ** min(self.failures - 1, 16))
        self.metrics.snapshot(self.zone, "failed")

    async def close(self, as_of: float, uid: str) -> None:
        """The source has ended: write the file once more if it is out of date."""
        if self.writing is not None:
            await self.writing
        if self.sink.synced and (self.changes != self.written_changes or as_of > self.written_as_of):
            await self.write_once(as_of, uid)
