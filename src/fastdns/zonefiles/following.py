"""Keeps zones of the store equal to zone files: what a plugin's source does with them.

A zone that could never be read is published without records, so that its names get SERVFAIL. One that cannot be
read any more is served on as it was; why is said once. A file is read again when it has changed, or a file that it
includes; by its serial, or by its time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fastdns.counted import counted
from fastdns.dns.names import wire_name
from fastdns.errors import FastdnsError, SourceError, StoreFull
from fastdns.rrsets._draft import Draft
from fastdns.rrsets._writer import MAX_CHANGES, ZoneWriter
from fastdns.rrsets.notifying import Notifier, Secondaries
from fastdns.zonefiles.asking import read_files
from fastdns.zonefiles.frames import Job, Read

if TYPE_CHECKING:
    from fastdns.memory._store import Writer

# How long the watcher's other work waits for one slice of a zone's publication, and how much of what was is removed
# in one go.
SLICE_NS = 2_000_000
SETTLE_NS = 20_000_000

# What tells that a file may have changed.
Signature = tuple[int, int, int, str]


def signature_of(file: str) -> Signature | None:
    """What a file looks like now; None: there is none."""
    try:
        status = Path(file).stat()
        return status.st_mtime_ns, status.st_size, status.st_ino, str(Path(file).resolve())
    except (OSError, RuntimeError):
        return None


@dataclass(slots=True)
class Zone:
    """A zone that is followed. by_time: a newer file is read whatever its serial.

    serial: of what is served, as this process has read it. signatures: of the files as they were when they were
    read. complaint: what was said last.
    """

    name: str
    file: str
    by_time: bool = False
    serial: int | None = None
    signatures: dict[str, Signature | None] = field(default_factory=dict)
    complaint: str = ""

    def changed(self) -> bool:
        """Whether it has to be read."""
        return not self.signatures or any(signature_of(file) != was for file, was in self.signatures.items())


class ZoneFollower:
    """The zones of one source. Its log lines are CoreDNS's, where it has any.

    count: called with "loaded" or "failed" for each file that was read. secondaries: who transfers the zones, and
    is told of new versions; without them no history is kept.
    """

    def __init__(
        self,
        number: int,
        writer: Writer,
        log: logging.Logger,
        count: Callable[[str], None],
        secondaries: Sequence[Secondaries] = (),
    ) -> None:
        self.log = log
        self.number = number
        self.count = count
        self.store = ZoneWriter(writer, number, max_changes=MAX_CHANGES if secondaries else 0)
        self.notifier = Notifier(secondaries)
        self.zones: dict[bytes, Zone] = {}
        # Of no single zone: what was said last.
        self.complaint = ""

    def say_failed(self, zone: Zone, read: Read) -> None:
        """A file could not be read."""
        if read.unreadable:
            self.log.error('Failed to open zone "%s" in "%s": %s', zone.name, zone.file, read.error)
        else:
            self.log.error('Parsing zone "%s": %s', zone.name, read.error)

    def say_loaded(self, zone: Zone, read: Read, *, again: bool) -> None:
        """A zone is served, or a newer version of it."""
        if again:
            self.log.info(
                'Successfully reloaded zone "%s" in "%s" with %d SOA serial', zone.name, zone.file, read.serial
            )

    def keep_only(self, names: Iterable[bytes]) -> list[bytes]:
        """Serve no other zones than these. Returns those that were."""
        gone = [name for name in self.store.zones() if name not in set(names)]
        for name in gone:
            self.store.remove(name)
            self.zones.pop(name, None)
        return gone

    def follow(self, zones: Mapping[bytes, Zone]) -> None:
        """Follow zones from now on: those that are not served yet get SERVFAIL."""
        served = self.store.zones()
        for name, zone in zones.items():
            self.zones[name] = zone
            if name not in served:
                self.store.replace(Draft(name))

    async def refresh(self, zones: Iterable[Zone]) -> None:
        """Read those that have changed, and publish them. A file that fails leaves what is served."""
        due = [zone for zone in zones if zone.changed()]
        before = {zone.name: signature_of(zone.file) for zone in due}
        jobs = [Job(zone.file, zone.name, None if zone.by_time else zone.serial) for zone in due]
        by_job = {(zone.file, zone.name): zone for zone in due}
        try:
            async for job, read, draft in read_files(jobs):
                zone = by_job[job.file, job.zone]
                zone.signatures = {file: signature_of(file) for file in read.files[1:]}
                zone.signatures |= {zone.file: before[zone.name]}
                if read.error and not read.error.startswith(zone.file):
                    # What is wrong is in another file, or this one cannot be opened.
                    zone.signatures = {}
                await self.take(zone, read, draft)
            self.complaint = ""
        except SourceError as error:
            # They are read again.
            self.count("failed")
            if str(error) != self.complaint:
                self.complaint = str(error)
                self.log.error("%s", error)

    async def take(self, zone: Zone, read: Read, draft: Draft) -> None:
        """What became of reading one file."""
        if read.unchanged:
            return
        if not read.error:
            try:
                again = zone.serial is not None
                await self.publish(draft)
                self.notifier.changed(draft.zone)
                zone.serial = read.serial
                zone.complaint = ""
                self.count("loaded")
                self.say_left_out(zone, read)
                self.say_loaded(zone, read, again=again)
                return
            except (StoreFull, SourceError) as error:
                read = Read(error=str(error))
                # The store may have room later.
                zone.signatures = {}
        self.count("failed")
        if zone.complaint != read.error:
            zone.complaint = read.error
            self.say_failed(zone, read)

    def say_left_out(self, zone: Zone, read: Read) -> None:
        """Say what of a file is not served."""
        for line in read.said:
            self.log.warning("%s; it is left out", line)
        if read.left_out > len(read.said):
            more = counted(read.left_out - len(read.said), "more record", ("is", "are"))
            self.log.warning("%s: %s left out", zone.file, more)

    async def publish(self, draft: Draft) -> None:
        """Make a draft the zone, between the watcher's other work. Raises StoreFull and SourceError."""
        replacement = self.store.replacement(draft)
        try:
            while not replacement.step(SLICE_NS):
                await asyncio.sleep(0)
        except FastdnsError:
            raise
        except BaseException:
            replacement.give_up()
            raise

    def tick(self) -> None:
        """A second has passed."""
        self.store.settle(SETTLE_NS)

    async def close(self) -> None:
        """The source has ended."""
        await self.notifier.close()

    def say_synced(self) -> None:
        """Every file was looked at once."""
        self.store.writer.set_source(self.number, synced=True)


def zones_of(pairs: Iterable[tuple[str, str]], *, by_time: bool = False) -> dict[bytes, Zone]:
    """Zones by their names in wire form, from (name, file)."""
    return {wire_name(name): Zone(name, file, by_time) for name, file in pairs}
