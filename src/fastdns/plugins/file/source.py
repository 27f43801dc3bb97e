"""Follows the zone files of one block."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastdns.dns.names import wire_name
from fastdns.plugins.file.config import Config
from fastdns.rrsets._draft import Draft
from fastdns.zonefiles.following import Zone, ZoneFollower
from fastdns.zonefiles.frames import Read

if TYPE_CHECKING:
    from fastdns.memory._store import Writer

log = logging.getLogger("plugin/file")


class FileSource(ZoneFollower):
    """Looks at each file as often as its directive says. refuse: called with what is wrong at the first look."""

    def __init__(
        self, number: int, config: Config, writer: Writer, count: Callable[[str], None],
        refuse: Callable[[str], None],
    ) -> None:  # fmt: skip
        super().__init__(number, writer, log, count, config.secondaries)
        self.refuse = refuse
        self.read_once = False
        self.files = {wire_name(one.zone): one for one in config.files}

    def restore(self) -> None:
        """What a predecessor has published is served on."""
        self.keep_only(self.files)
        self.follow({name: Zone(one.zone, one.file, one.by_mtime) for name, one in self.files.items()})

    async def run(self) -> None:
        await self.refresh(self.zones.values())
        self.read_once = True
        if self.complaint:
            self.refuse(self.complaint)
        self.say_synced()
        intervals = {one.reload_s for one in self.files.values() if one.reload_s}
        due = {interval_s: time.monotonic() + interval_s for interval_s in intervals}
        while due:
            interval_s = min(due, key=lambda each: due[each])
            await asyncio.sleep(max(0.0, due[interval_s] - time.monotonic()))
            await self.refresh(self.zones[name] for name, one in self.files.items() if one.reload_s == interval_s)
            due[interval_s] = max(due[interval_s] + interval_s, time.monotonic())
        await asyncio.Event().wait()

    async def take(self, zone: Zone, read: Read, draft: Draft) -> None:
        """At first, a mistake ends a start or a reload of the Corefile. A file that is missing may still come."""
        may_come = read.unreadable and self.files[wire_name(zone.name)].reload_s
        if read.error and not self.read_once and not may_come:
            self.refuse(read.error)
        await super().take(zone, read, draft)
