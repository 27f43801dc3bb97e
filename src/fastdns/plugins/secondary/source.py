"""The zones of one block, which come from primary servers, and those that their catalogs list.

A zone that was never transferred is published without records, so that its names get SERVFAIL; so is one that has
expired. What a predecessor has left in the store is served on, and followed from there: a successor asks for the
serial, and transfers nothing that it has.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastdns.dns.names import text_name, wire_name
from fastdns.plugins.secondary.asking import Primary
from fastdns.plugins.secondary.catalog import MAX_MEMBERS, Member
from fastdns.plugins.secondary.config import Config
from fastdns.plugins.secondary.following import Zone
from fastdns.plugins.secondary.telling import open_receiver, read
from fastdns.rrsets._draft import Draft
from fastdns.rrsets._writer import MAX_CHANGES, ZoneWriter
from fastdns.rrsets.notifying import Notifier, is_in

if TYPE_CHECKING:
    from fastdns.memory._store import Writer

log = logging.getLogger("plugin/secondary")

SETTLE_NS = 20_000_000
# Of one primary: a transfer takes memory.
MAX_AT_ONCE = 4
# Of a catalog, before other work of the event loop has its turn.
MEMBERS_AT_A_TIME = 20


class SecondarySource:
    """count: called with the result of each look at primaries, and with "expired"."""

    def __init__(self, number: int, config: Config, writer: Writer, count: Callable[[str], None]) -> None:
        self.number = number
        self.count = count
        self.config = config
        self.store = ZoneWriter(writer, number, max_changes=MAX_CHANGES if config.secondaries else 0)
        self.notifier = Notifier(config.secondaries)
        self.zones: dict[bytes, Zone] = {}
        # Zones below which the members of a catalog are taken; none: all are.
        self.allowed: dict[bytes, list[bytes]] = {}
        # Catalogs whose present members are known, and these members, also those that are not taken.
        self.listed: dict[bytes, dict[bytes, Member]] = {}
        self.one_catalog = asyncio.Lock()
        self.has_dropped = False
        self.asked_at_once: dict[Primary, asyncio.Semaphore] = {}
        for one in config.zones:
            name = wire_name(one.zone)
            self.zones[name] = Zone(self, name, one.primaries, one.members is not None)
            if one.members is not None:
                self.allowed[name] = [wire_name(zone) for zone in one.members]

    # What a source is

    def restore(self) -> None:
        """What a predecessor has published is served on."""
        served = self.store.zones()
        for name in served:
            self.restore_member(name)
        self.store.remove_all(served.keys() - self.zones.keys())
        for name, zone in self.zones.items():
            self.put_if_missing(name)
            zone.take_over()
        self.say_synced()

    def restore_member(self, name: bytes) -> None:
        """A zone that a catalog had listed."""
        memo = json.loads(self.store.remembered(name) or b"{}")
        catalog = self.zones.get(bytes.fromhex(memo.get("catalog", "")))
        if catalog is None or not catalog.is_catalog or name in self.zones:
            return
        member = Member(memo["member"], name, bytes.fromhex(memo["owner"]))
        self.listed.setdefault(catalog.name, {})[name] = member
        self.zones[name] = self.made(catalog, member)

    def put_if_missing(self, name: bytes) -> None:
        """Have a zone without records where there is none."""
        if name not in self.store:
            replacement = self.store.replacement(Draft(name))
            while not replacement.step(SETTLE_NS):
                pass

    def say_synced(self) -> None:
        """Say that all zones of the Corefile are served: a reload that would forget one waits for it.

        With a catalog, names that are in no zone are the next plugin's from the start.
        """
        if self.allowed or all(zone.serial is not None for zone in self.zones.values()):
            self.store.writer.set_source(self.number, synced=True)

    async def run(self) -> None:
        for zone in list(self.zones.values()):
            zone.start()
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

    def take_notify(self, client: bytes, name: bytes) -> None:
        """A primary says that a zone has changed."""
        zone = self.zones.get(name)
        if zone is None or not client:
            return
        address = str(ipaddress.ip_address(client))
        if address not in {host.partition("%")[0] for host, _ in zone.primaries}:
            log.info("Dropping notify from %s for %s", address, zone.text)
        elif not zone.told.is_set():
            log.info("Notify from %s for %s: checking transfer", address, zone.text)
            zone.told.set()

    def tick(self) -> None:
        """A second has passed."""
        if self.has_dropped:
            self.remove_dropped()
        self.store.settle(SETTLE_NS)

    async def close(self) -> None:
        """The source has ended."""
        tasks = [zone.task for zone in self.zones.values() if zone.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.notifier.close()

    # What a zone needs

    def places(self, primary: Primary) -> asyncio.Semaphore:
        """How many questions a primary is asked at a time: one that stalls holds up no other's zones."""
        return self.asked_at_once.setdefault(primary, asyncio.Semaphore(MAX_AT_ONCE))

    def has_expired(self) -> None:
        """A zone has expired."""
        self.count("expired")

    async def has_changed(self, zone: Zone, members: list[Member]) -> None:
        """A new version is served."""
        self.say_synced()
        self.notifier.changed(zone.name)
        if zone.is_catalog:
            async with self.one_catalog:
                await self.apply_catalog(zone, members)

    # Catalogs

    def made(self, catalog: Zone, member: Member) -> Zone:
        of_catalog = catalog.primaries, False, catalog.name
        return Zone(self, member.zone, *of_catalog, member=member.id, owner=member.owner)

    async def apply_catalog(self, catalog: Zone, members: list[Member]) -> None:
        """Follow the members of a catalog, and serve those no longer that it does not list any more."""
        allowed = self.allowed[catalog.name]
        taken: dict[bytes, Member] = {}
        for member in members:
            if len(taken) < MAX_MEMBERS and (not allowed or any(is_in(member.zone, one) for one in allowed)):
                taken[member.zone] = member
        if len(taken) < len(members):
            said = "Skipped %d member zones from catalog %s: outside configured member zones"
            log.warning(said, len(members) - len(taken), catalog.text)
        before = self.listed.get(catalog.name, {})
        self.listed[catalog.name] = taken
        for number, member in enumerate(taken.values()):
            if number % MEMBERS_AT_A_TIME == 0:
                await asyncio.sleep(0)
            self.take_member(catalog, member, before)
        for zone in list(self.zones.values()):
            if zone.catalog == catalog.name and zone.name not in taken:
                log.info("Removed catalog member zone %s from catalog %s", zone.text, catalog.text)
                self.drop(zone)
        self.take_from_others(catalog)
        self.remove_dropped()
        log.info("Parsed catalog zone %s with %d member zones", catalog.text, len(members))

    def take_from_others(self, catalog: Zone) -> None:
        """What a catalog has given up or handed over goes to the other catalogs that list it."""
        for other, listed in self.listed.items():
            for member in listed.values() if other != catalog.name else ():
                there = self.zones.get(member.zone)
                if there is None or (there.catalog == catalog.name and there.owner == other):
                    self.take_member(self.zones[other], member, listed)

    def take_member(self, catalog: Zone, member: Member, before: dict[bytes, Member]) -> None:
        """Follow a member, unless it is another's. One whose id has changed begins anew (RFC 9432 section 5.4)."""
        there = self.zones.get(member.zone)
        text = text_name(member.zone)
        if there is not None and there.catalog == catalog.name and there.member == member.id:
            if there.owner != member.owner:
                there.owner = member.owner
                there.remember()
            return
        keeps = False
        if there is not None and there.catalog != catalog.name:
            if not there.catalog or there.owner != catalog.name:
                if member.zone not in before:
                    log.warning("Skipping catalog member zone %s from %s: zone already exists", text, catalog.text)
                return
            keeps = there.member == member.id
        made = self.made(catalog, member)
        if there is not None:
            there.stop()
        if there is not None and keeps:
            made.serial, made.times, made.is_partial = there.serial, there.times, there.is_partial
            made.answered, made.expired = there.answered, there.expired
        else:
            self.store.remove_all([member.zone])
        self.zones[member.zone] = made
        self.put_if_missing(member.zone)
        made.remember()
        made.start()
        log.info("Added catalog member zone %s from catalog %s", text, catalog.text)

    def drop(self, zone: Zone) -> None:
        """Follow a zone no longer; remove_dropped is to follow."""
        del self.zones[zone.name]
        zone.stop()
        self.has_dropped = True

    def remove_dropped(self) -> None:
        """Serve the zones no longer that are not followed any more; one that is being published, a second later."""
        dropped = self.store.zones().keys() - self.zones.keys()
        self.store.remove_all(dropped)
        self.has_dropped = any(name in self.store for name in dropped)
