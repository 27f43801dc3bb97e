"""Follows one zone at its primaries.

    never transferred ── a look fails: again after 0.25 s, then after twice as long, at most 10 s, or on NOTIFY
          │ transferred
        held ── a look: at the refresh time, at most an hour, on NOTIFY, and at once where a predecessor has left it
          │       fails: again at the retry time
          │ no primary has answered for the expire time
       expired ── as held, but any version is taken; names get SERVFAIL

The times are those of the zone's SOA record (RFC 1035 section 3.3.13). A look that fails changes nothing. A primary
that fails in the way that it failed before is not named again in the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import struct
import time
from dataclasses import dataclass, field
from typing import Protocol

from fastdns.dns.names import text_name
from fastdns.errors import FastdnsError
from fastdns.plugins.secondary import catalog
from fastdns.plugins.secondary._incoming import Incoming
from fastdns.plugins.secondary.asking import Primary
from fastdns.plugins.secondary.differences import draft_of_changes
from fastdns.plugins.secondary.looking import Look, Seen, look
from fastdns.rrsets._draft import Draft
from fastdns.rrsets._writer import ZoneWriter
from fastdns.rrsets.publishing import publish
from fastdns.threads import in_thread

log = logging.getLogger("plugin/secondary")

FIRST_RETRY_S, MOST_RETRY_S = 0.25, 10.0
REFRESH_JITTER_S, RETRY_JITTER_S = 5.0, 2.0
MAX_REFRESH_S = 3600
# However many NOTIFYs come.
BETWEEN_LOOKS_S = 0.1

SOA = 6
# Of an SOA record: serial, refresh, retry, expire, minimum.
NUMBERS = struct.Struct("!5I")


class Source(Protocol):
    """What a zone needs of what it belongs to."""

    @property
    def store(self) -> ZoneWriter: ...

    def places(self, primary: Primary) -> asyncio.Semaphore:
        """How many questions a primary is asked at a time."""

    def count(self, result: str) -> None:
        """A look has ended."""

    def has_expired(self) -> None:
        """A zone has expired."""

    async def has_changed(self, zone: Zone, members: list[catalog.Member]) -> None:
        """A new version is served. members: of a catalog."""


@dataclass(eq=False)
class Zone:
    """name: in wire form. is_catalog: its members are wanted. catalog, member, owner: of a catalog's member: the
    catalog, in wire form, its id, and the catalog that it changes to.

    serial: of the version that is served; None: there is none. is_partial: something of it is left out.
    answered: when a primary has answered last. told: a NOTIFY has come.
    """

    source: Source
    name: bytes
    primaries: tuple[Primary, ...]
    is_catalog: bool = False
    catalog: bytes = b""
    member: str = ""
    owner: bytes = b""
    serial: int | None = None
    times: tuple[int, int, int] = (0, 0, 0)
    is_partial: bool = False
    answered: float = 0.0
    expired: bool = False
    told: asyncio.Event = field(default_factory=asyncio.Event)
    said: dict[str, str] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None

    @property
    def text(self) -> str:
        return text_name(self.name)

    # What outlives the watcher

    def take_over(self) -> None:
        """Go on with what a predecessor has published. Not to call before the zone is in the store."""
        apex = self.source.store.rrsets(self.name, b"")
        memo = json.loads(self.source.store.remembered(self.name) or b"{}")
        if SOA not in apex or "answered" not in memo:
            return
        self.read_soa(apex[SOA][1][0])
        self.answered = memo["answered"]
        self.is_partial = memo["is_partial"]

    def remember(self) -> None:
        """Have a successor know what the zone's records do not say."""
        memo = {
            "answered": self.answered,
            "is_partial": self.is_partial,
            "catalog": self.catalog.hex(),
            "member": self.member,
            "owner": self.owner.hex(),
        }
        with contextlib.suppress(FastdnsError):
            # A full store: the successor transfers the zone anew.
            self.source.store.remember(self.name, json.dumps(memo).encode())

    def read_soa(self, rdata: bytes) -> None:
        """Take the serial and the times of the version that is served."""
        self.serial, refresh_s, retry_s, expire_s, _ = NUMBERS.unpack(rdata[-NUMBERS.size :])
        self.times = min(max(refresh_s, 1), MAX_REFRESH_S), max(retry_s, 1), max(expire_s, 1)

    # Following

    def start(self) -> None:
        """Follow the zone from now on."""
        self.task = asyncio.get_running_loop().create_task(self.keep_following())

    def stop(self) -> None:
        """Follow it no longer."""
        if self.task is not None:
            self.task.cancel()

    async def keep_following(self) -> None:
        """Follow the zone, whatever fails."""
        while True:
            try:
                await self.follow()
            except Exception:
                log.exception("following %s failed; it is tried again in %g s", self.text, MOST_RETRY_S)
                await asyncio.sleep(MOST_RETRY_S)

    async def follow(self) -> None:
        """Transfer the zone, and again when it changes."""
        retry_s = FIRST_RETRY_S
        while self.serial is None and not self.expired:
            if error := await self.look():
                if self.is_new("", error):
                    said = "All '%s' masters failed to transfer, retrying in %gs: %s"
                    log.warning(said, self.text, retry_s, error)
                await self.wait(retry_s)
                retry_s = min(2 * retry_s, MOST_RETRY_S)
            else:
                await self.wait(self.until_refresh_s())
        failing = False
        while True:
            error = await self.look()
            if error and self.is_new("", error):
                log.warning("Failed %s check %s", "retry" if failing else "refresh", error)
            failing = bool(error)
            if error:
                await self.expire_in_time()
                await self.wait(self.times[1] + random.uniform(0, RETRY_JITTER_S))
            else:
                await self.wait(self.until_refresh_s())

    def until_refresh_s(self) -> float:
        return self.times[0] + random.uniform(0, REFRESH_JITTER_S)

    async def wait(self, wait_s: float) -> None:
        """Wait so long, until a NOTIFY comes or until the zone expires."""
        await asyncio.sleep(min(wait_s, BETWEEN_LOOKS_S))
        if self.serial is not None and not self.expired:
            wait_s = min(wait_s, max(0.0, self.answered + self.times[2] - time.monotonic()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self.told.wait()
        self.told.clear()

    async def expire_in_time(self) -> None:
        """Serve the zone no longer if no primary has answered for too long."""
        if self.expired or time.monotonic() < self.answered + self.times[2]:
            return
        self.expired = True
        # Any version is taken, whatever its serial is.
        self.serial = None
        log.error("Zone %s is expired", self.text)
        self.source.has_expired()
        await publish(self.source.store, Draft(self.name))

    # Looking

    async def look(self) -> str:
        """Ask the primaries, and serve what is new. Returns why none of them has answered."""
        seen = await look(
            Look(
                self.name,
                self.primaries,
                self.source.places,
                self.serial,
                self.is_catalog,
                None if self.is_catalog or self.is_partial else self.draft_of_changes,
            )
        )
        self.say(seen)
        try:
            error = await self.serve(seen)
        except FastdnsError as failure:
            error = str(failure)
        if error:
            self.source.count("failed")
            return error
        wrong = seen.failed.keys() | seen.older.keys()
        self.said = {primary: why for primary, why in self.said.items() if primary in wrong}
        self.answered = time.monotonic()
        self.remember()
        return ""

    async def draft_of_changes(self, incoming: Incoming) -> Draft:
        return await draft_of_changes(self.source.store, self.name, incoming)

    async def serve(self, seen: Seen) -> str:
        """Publish what a look has found. Returns why nothing is known. Raises StoreFull, SourceError."""
        if seen.incoming is None or seen.draft is None:
            if seen.answered:
                self.source.count("unchanged")
                return ""
            return next(reversed(seen.failed.values()), "there is no primary")
        incoming = seen.incoming
        members: list[catalog.Member] = []
        if self.is_catalog:
            # In a thread: a catalog of thousands of members takes a tenth of a second.
            members = await in_thread(lambda: catalog.members_of(self.name, incoming.kept))
        await publish(self.source.store, seen.draft, whole=incoming.whole)
        self.read_soa(incoming.soa)
        self.expired = False
        self.is_partial = incoming.is_partial
        for line in incoming.said:
            log.warning("%s: %s; it is left out", self.text, line)
        if incoming.left_out > len(incoming.said):
            log.warning("%s: %d records are left out in all", self.text, incoming.left_out)
        log.info("Transferred: %s from %s", self.text, seen.primary)
        self.source.count("transferred" if incoming.whole else "changed")
        await self.source.has_changed(self, members)
        return ""

    def say(self, seen: Seen) -> None:
        """Say what is wrong with primaries, where it has not been said."""
        for primary, why in seen.failed.items():
            if self.is_new(primary, why):
                log.error("Failed to transfer `%s' from %s: %s", self.text, primary, why)
        for primary, serial in seen.older.items():
            if self.is_new(primary, f"serial {serial}"):
                said = "%s has serial %d of %s, which is not newer than %d: it is not transferred"
                log.warning(said, primary, serial, self.text, self.serial or 0)

    def is_new(self, what: str, text: str) -> bool:
        """Whether something was not said last."""
        before = self.said.get(what)
        self.said[what] = text
        return before != text
