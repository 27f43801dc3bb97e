"""Follows the zones of one block at their primary servers.

A zone that was never transferred is published without records, so that its names get SERVFAIL; so is one that has
expired. A transfer that fails leaves what is served. The times are those of the zone's SOA record (RFC 1035 section
3.3.13): refresh, then retry until a primary answers, and expire since one has answered last.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastdns.dns.names import text_name, wire_name
from fastdns.errors import FastdnsError
from fastdns.plugins.secondary.config import Config, SecondaryZone
from fastdns.plugins.secondary.fetching import fetch
from fastdns.plugins.secondary.frames import Job, Transferred
from fastdns.plugins.secondary.telling import open_receiver, read
from fastdns.rrsets._draft import Draft
from fastdns.rrsets._writer import MAX_CHANGES, ZoneWriter
from fastdns.rrsets.notifying import Notifier, is_in
from fastdns.rrsets.publishing import publish

if TYPE_CHECKING:
    from fastdns.memory._store import Writer

log = logging.getLogger("plugin/secondary")

FIRST_RETRY_S, MOST_RETRY_S = 0.25, 10.0
REFRESH_JITTER_S, RETRY_JITTER_S = 5.0, 2.0
SETTLE_NS = 20_000_000
# Transfers of one source at a time.
MAX_AT_ONCE = 4
MAX_MEMBERS = 10_000


@dataclass(eq=False)
class Zone:
    """A zone that is followed. catalog, member: of a catalog's member. times: of its SOA record, in seconds.

    answered: when a primary has answered last. told: a NOTIFY has come.
    """

    config: SecondaryZone
    catalog: bytes = b""
    member: str = ""
    serial: int | None = None
    times: tuple[int, int, int] = (0, 0, 0)
    answered: float = 0.0
    expired: bool = False
    told: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    @property
    def text(self) -> str:
        return self.config.zone


class SecondarySource:
    """The zones of a block. count: called with "transferred", "unchanged" or "failed" for each look at primaries.

    members: by catalog, its members that are allowed: (id, the catalog that they change to).
    """

    def __init__(self, number: int, config: Config, writer: Writer, count: Callable[[str], None]) -> None:
        self.number = number
        self.count = count
        self.config = config
        self.store = ZoneWriter(writer, number, max_changes=MAX_CHANGES if config.secondaries else 0)
        self.notifier = Notifier(config.secondaries)
        self.zones = {wire_name(one.zone): Zone(one) for one in config.zones}
        self.members: dict[bytes, dict[bytes, tuple[str, bytes]]] = {}
        self.places = asyncio.Semaphore(MAX_AT_ONCE)

    def restore(self) -> None:
        """What a predecessor has published is served on; members of catalogs until their catalog is known."""
        served = self.store.zones()
        for name in served:
            if name not in self.zones and not self.config.has_catalog:
                self.store.remove(name)
        for name in self.zones:
            if name not in served:
                self.store.replace(Draft(name))
        # Zones that are not transferred yet do not keep a server from starting.
        self.store.writer.set_source(self.number, synced=True)

    async def run(self) -> None:
        for name in list(self.zones):
            self.start(name)
        try:
            receiver = open_receiver(self.number)
        except OSError as error:
            log.warning("NOTIFY is not heard: %s; zones are refreshed at their times", error.strerror)
            await asyncio.Event().wait()
            return
        loop = asyncio.get_running_loop()
        with contextlib.closing(receiver):
            while True:
                self.take_notify(*read(await loop.sock_recv(receiver, 512)))

    def start(self, name: bytes) -> None:
        """Follow a zone from now on."""
        zone = self.zones[name]
        zone.task = asyncio.get_running_loop().create_task(self.keep_following(name, zone))

    def take_notify(self, client: bytes, name: bytes) -> None:
        """A primary says that a zone has changed."""
        zone = self.zones.get(name)
        if zone is None or not client:
            return
        address = str(ipaddress.ip_address(client))
        if address in {host for host, _ in zone.config.primaries}:
            log.info("Notify from %s for %s: checking transfer", address, zone.text)
            zone.told.set()
        else:
            log.info("Dropping notify from %s for %s", address, zone.text)

    async def keep_following(self, name: bytes, zone: Zone) -> None:
        """Follow a zone, whatever fails."""
        while True:
            try:
                await self.follow(name, zone)
            except Exception:
                log.exception("following %s failed; it is tried again in %g s", zone.text, MOST_RETRY_S)
                await asyncio.sleep(MOST_RETRY_S)

    async def follow(self, name: bytes, zone: Zone) -> None:
        """Transfer a zone, and again when it changes."""
        retry_s = FIRST_RETRY_S
        while zone.serial is None:
            error = await self.look(name, zone)
            if error:
                log.warning("All '%s' masters failed to transfer, retrying in %gs: %s", zone.text, retry_s, error)
                await asyncio.sleep(retry_s)
                retry_s = min(2 * retry_s, MOST_RETRY_S)
        while True:
            refresh_s, again_s, expire_s = zone.times
            failing = False
            while True:
                wait_s = again_s + random.uniform(0, RETRY_JITTER_S) if failing else (
                    refresh_s + random.uniform(0, REFRESH_JITTER_S))  # fmt: skip
                if not zone.expired:
                    wait_s = min(wait_s, max(0.0, zone.answered + expire_s - time.monotonic()))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await zone.told.wait()
                zone.told.clear()
                error = await self.look(name, zone)
                if not error:
                    break
                log.warning("Failed %s check %s", "retry" if failing else "refresh", error)
                failing = True
                if not zone.expired and time.monotonic() >= zone.answered + expire_s:
                    zone.expired = True
                    log.error("Zone %s is expired", zone.text)
                    await publish(self.store, Draft(name))

    async def look(self, name: bytes, zone: Zone) -> str:
        """Ask the primaries, and serve what is new. Returns why none of them has answered."""
        # An expired zone is transferred, whatever its serial is.
        known = None if zone.expired else zone.serial
        try:
            async with self.places:
                catalog = zone.config.members is not None
                done, draft = await fetch(Job(zone.text, list(zone.config.primaries), known, catalog))
            for line in done.failed:
                log.error("Failed to transfer `%s' from %s", zone.text, line)
            if done.error:
                self.count("failed")
                return done.error
            if not done.unchanged:
                await publish(self.store, draft)
        except FastdnsError as error:
            self.count("failed")
            return str(error)
        zone.answered = time.monotonic()
        self.count("unchanged" if done.unchanged else "transferred")
        if not done.unchanged:
            self.take(name, zone, done)
        return ""

    def take(self, name: bytes, zone: Zone, done: Transferred) -> None:
        """A new version is served."""
        zone.serial, zone.expired = done.serial, False
        zone.times = max(done.refresh_s, 1), max(done.retry_s, 1), max(done.expire_s, 1)
        for line in done.said:
            log.warning("%s; it is left out", line)
        log.info("Transferred: %s from %s", zone.text, done.primary)
        self.notifier.changed(name)
        if zone.config.members is not None:
            self.apply_catalog(name, zone, done.members)

    # Catalogs

    def apply_catalog(self, catalog: bytes, zone: Zone, listed: list[tuple[str, str, str]]) -> None:
        """Follow the members of a catalog, and serve those no longer that it does not list any more."""
        allowed = [wire_name(one) for one in zone.config.members or ()]
        now: dict[bytes, tuple[str, bytes]] = {}
        rejected = 0
        for member, text, owner in listed:
            name = wire_name(text)
            if (allowed and not any(is_in(name, one) for one in allowed)) or len(now) >= MAX_MEMBERS:
                rejected += 1
                continue
            now[name] = member, wire_name(owner) if owner else b""
        if rejected:
            said = "Skipped %d member zones from catalog %s: outside configured member zones"
            log.warning(said, rejected, zone.text)
        self.members[catalog] = now
        for name, (member, _) in now.items():
            self.take_member(catalog, zone, name, member)
        for name, there in list(self.zones.items()):
            if there.catalog == catalog and name not in now:
                log.info("Removed catalog member zone %s from catalog %s", there.text, zone.text)
                self.drop(name)
        if all(wire_name(one.zone) in self.members for one in self.config.zones if one.members is not None):
            for name in self.store.zones().keys() - self.zones.keys():
                # Of a predecessor's, or what was being published when it was dropped.
                with contextlib.suppress(RuntimeError):
                    self.store.remove(name)
        log.info("Parsed catalog zone %s with %d member zones", zone.text, len(listed))

    def take_member(self, catalog: bytes, zone: Zone, name: bytes, member: str) -> None:
        """Follow a member, unless it is another's. One whose id has changed begins anew (RFC 9432 section 5.4)."""
        there = self.zones.get(name)
        text = text_name(name)
        if there is not None and there.catalog == catalog and there.member == member:
            return
        keeps = False
        if there is not None and there.catalog != catalog:
            before = self.members.get(there.catalog, {}).get(name)
            if not there.catalog or before is None or before[1] != catalog:
                log.warning("Skipping catalog member zone %s from %s: zone already exists", text, zone.text)
                return
            keeps = before[0] == there.member == member
        if there is not None and not keeps:
            self.drop(name)
        elif there is not None and there.task is not None:
            there.task.cancel()
        made = Zone(SecondaryZone(text, zone.config.primaries), catalog, member)
        self.zones[name] = made
        if name not in self.store.zones():
            self.store.replace(Draft(name))
        self.start(name)
        log.info("Added catalog member zone %s from catalog %s", text, zone.text)

    def drop(self, name: bytes) -> None:
        """Follow a zone no longer, and serve it no longer. One that is being published is removed later."""
        zone = self.zones.pop(name)
        if zone.task is not None:
            zone.task.cancel()
        with contextlib.suppress(RuntimeError):
            self.store.remove(name)

    def tick(self) -> None:
        """A second has passed."""
        self.store.settle(SETTLE_NS)

    async def close(self) -> None:
        """The source has ended."""
        tasks = [zone.task for zone in self.zones.values() if zone.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.notifier.close()
