"""Keeps zones of the store equal to hosted zones: the source of plugins that have them.

A hosted zone that could never be listed is published without records, so that its names get SERVFAIL. One that
cannot be listed any more is served on as it was; why is said once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from fastdns.dns.names import wire_name
from fastdns.errors import SourceError, StoreFull
from fastdns.hostedzones.asking import Place, list_zones
from fastdns.hostedzones.config import Listing
from fastdns.rrsets._draft import Draft
from fastdns.rrsets._writer import ZoneWriter
from fastdns.rrsets.publishing import publish
from fastdns.skipped import SkippedLines
from fastdns.zonefiles.frames import Read

if TYPE_CHECKING:
    from fastdns.memory._store import Writer

# While a hosted zone could never be listed, it is tried again so soon, then after twice the time, up to refresh.
FIRST_RETRY_S = 1.0
SETTLE_NS = 20_000_000


def placed(listings: Sequence[Listing]) -> list[list[Place]]:
    """Where the hosted zones of each listing are in the store. Those with one name are layers, in their order."""
    names = [hosted.zone for listing in listings for hosted in listing.zones]
    layers: dict[str, Iterator[int]] = {
        name: iter(range(1, names.count(name) + 1)) for name in set(names) if names.count(name) > 1
    }
    return [
        [Place(hosted, next(layers[hosted.zone]) if hosted.zone in layers else 0) for hosted in listing.zones]
        for listing in listings
    ]


class HostedSource:
    """The hosted zones of a block. module: lists them (child.py). provider: as log lines name it.

    count: called with "listed" or "failed" for each hosted zone that was asked for.
    """

    def __init__(
        self,
        number: int,
        module: str,
        provider: str,
        listings: Sequence[Listing],
        writer: Writer,
        log: logging.Logger,
        count: Callable[[str], None],
    ) -> None:
        self.number = number
        self.module = module
        self.provider = provider
        self.listings = list(zip(listings, placed(listings), strict=True))
        self.store = ZoneWriter(writer, number, max_changes=0)
        self.log = log
        self.count = count
        self.skipped = SkippedLines()
        # Of each place: what was said last.
        self.complaints: dict[Place, str] = {}
        self.never_listed = {place for _, places in self.listings for place in places}
        self.never_tried = len(self.listings)

    def restore(self) -> None:
        """What a predecessor has published is served on. A name that several hosted zones have is an empty zone."""
        served = self.store.zones()
        places = {place.stored_as: place for place in self.never_listed}
        empty = {wire_name(place.hosted.zone) for place in self.never_listed} - places.keys()
        for name in served.keys() - places.keys() - empty:
            self.store.remove(name)
        for name in empty - served.keys():
            self.store.replace(Draft(name))
        for name, place in places.items():
            if name not in served:
                self.store.replace(place.draft())
            elif self.store.counts(name)[0]:
                self.never_listed.discard(place)
        if not self.listings:
            self.store.writer.set_source(self.number, synced=True)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for listing, places in self.listings:
                group.create_task(self.follow(listing, places))

    async def follow(self, listing: Listing, places: list[Place]) -> None:
        """List, and list again when the time is over."""
        retry_s = FIRST_RETRY_S
        await self.refresh(listing, places)
        self.never_tried -= 1
        if not self.never_tried:
            self.store.writer.set_source(self.number, synced=True)
        while True:
            if self.never_listed.isdisjoint(places):
                await asyncio.sleep(listing.refresh_s)
            else:
                await asyncio.sleep(min(retry_s, listing.refresh_s))
                retry_s *= 2
            await self.refresh(listing, places)

    async def refresh(self, listing: Listing, places: list[Place]) -> None:
        """Ask for hosted zones, and publish what they have. What fails leaves what is served."""
        left = list(places)
        try:
            async with aclosing(list_zones(self.module, listing, places)) as drafts:
                async for place, read, draft in drafts:
                    await self.take(place, read, draft)
                    left.remove(place)
        except SourceError as error:
            for place in left:
                self.note_failure(place, str(error))

    async def take(self, place: Place, read: Read, draft: Draft) -> None:
        """What became of one hosted zone."""
        if read.error:
            self.note_failure(
                place, f"failed to list resource records for {place.hosted} from {self.provider}: {read.error}"
            )
            return
        try:
            await publish(self.store, draft)
        except (StoreFull, SourceError) as error:
            self.note_failure(place, str(error))
            return
        self.count("listed")
        self.never_listed.discard(place)
        if self.complaints.pop(place, ""):
            self.log.info("%s: %d records", place.hosted, read.rrs)
        lines = [f"{place.hosted}: {line}; it is left out" for line in read.said]
        if read.left_out > len(read.said):
            lines.append(f"{place.hosted}: {read.left_out - len(read.said)} more records are left out")
        self.skipped.note(self.log, str(place.hosted), lines)

    def note_failure(self, place: Place, error: str) -> None:
        """Say why a hosted zone is not listed, once while it stays so."""
        self.count("failed")
        if self.complaints.get(place) != error:
            self.complaints[place] = error
            self.log.error("Failed to update zones [%s]: %s", place.hosted.zone, error)

    def tick(self) -> None:
        """A second has passed."""
        self.store.settle(SETTLE_NS)

    async def close(self) -> None:
        """Nothing stays open when run has ended."""
