"""Follows the directory of one block: zones come and go with its files."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastdns.dns.names import text_name
from fastdns.plugins.auto.config import Config
from fastdns.plugins.auto.scan import scan
from fastdns.threads import in_thread
from fastdns.zonefiles.following import Zone, ZoneFollower
from fastdns.zonefiles.frames import Read

if TYPE_CHECKING:
    from fastdns.memory._store import Writer

log = logging.getLogger("plugin/auto")


class AutoSource(ZoneFollower):
    """Looks at the directory, and at the files that it has.

    A zone that could never be read is not served: the next plugin has its names. Zones stay where the whole
    directory is gone.
    """

    def __init__(
        self,
        number: int,
        config: Config,
        writer: Writer,
        count: Callable[[str], None],
    ) -> None:
        super().__init__(number, writer, log, count, config.secondaries)
        self.directory = config.directory
        self.reload_s = config.reload_s
        # What was said at the last look.
        self.problems: set[str] = set()

    def restore(self) -> None:
        """What a predecessor has published is served on."""

    async def run(self) -> None:
        await self.look()
        self.say_synced()
        while self.reload_s:
            await asyncio.sleep(self.reload_s)
            await self.look()
        await asyncio.Event().wait()

    async def look(self) -> None:
        """Serve the zones that the directory has now."""
        directory = self.directory
        if directory is None:
            return
        found = await in_thread(lambda: scan(directory))
        if found is None:
            self.say_problems([f"Directory does not exist: {directory.path}"])
            return
        self.say_problems(found.problems)
        for name in self.keep_only(found.zones):
            log.info("Deleting zone `%s'", text_name(name))
        for name, (origin, file) in found.zones.items():
            zone = self.zones.setdefault(name, Zone(origin, file))
            if zone.file != file:
                zone.file, zone.signatures = file, {}
        for name in self.zones.keys() - found.zones.keys():
            del self.zones[name]
        await self.refresh(self.zones.values())

    def say_problems(self, problems: list[str]) -> None:
        """Each once, for as long as it lasts."""
        for problem in problems:
            if problem not in self.problems:
                log.warning("%s", problem)
        self.problems = set(problems)

    def say_failed(self, zone: Zone, read: Read) -> None:
        if read.unreadable:
            log.warning("Opening %s failed: %s", zone.file, read.error)
        else:
            log.warning("Parse zone `%s': %s", zone.name, read.error)

    def say_loaded(self, zone: Zone, read: Read, *, again: bool) -> None:
        if again:
            super().say_loaded(zone, read, again=again)
        else:
            log.info("Inserting zone `%s' from: %s", zone.name, zone.file)
