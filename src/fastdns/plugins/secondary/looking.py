"""One look at the primaries of a zone: their serial, and where it is newer, the zone or what has changed in it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from fastdns.dns.names import text_name
from fastdns.errors import FastdnsError
from fastdns.plugins.secondary import catalog
from fastdns.plugins.secondary._incoming import Incoming, newer
from fastdns.plugins.secondary.asking import MAX_RRS, Primary, serial_at, transfer
from fastdns.rrsets._draft import Draft
from fastdns.rrsets.notifying import joined
from fastdns.threads import in_thread

log = logging.getLogger("plugin/secondary")

# For all that is asked of one primary.
LIMIT_S = 600.0
FAILURES = (OSError, EOFError, FastdnsError, MemoryError)


@dataclass(frozen=True, slots=True)
class Look:
    """zone: in wire form. serial: of the version that is there, which only a newer one replaces; None: there is
    none. draft_of_changes: makes a draft of differences; None: the whole zone is wanted. places: of each primary,
    how many may be asked at a time."""

    zone: bytes
    primaries: tuple[Primary, ...]
    places: Callable[[Primary], asyncio.Semaphore]
    serial: int | None = None
    is_catalog: bool = False
    draft_of_changes: Callable[[Incoming], Awaitable[Draft]] | None = None


@dataclass(slots=True)
class Seen:
    """What a look has come to. primary: which has a newer version; then incoming and draft are there.

    answered: a primary has said that there is nothing newer. failed: by primary, why it has not answered. older: by
    primary, the serial that is older than ours.
    """

    primary: str = ""
    incoming: Incoming | None = None
    draft: Draft | None = None
    answered: bool = False
    failed: dict[str, str] = field(default_factory=dict)
    older: dict[str, int] = field(default_factory=dict)


async def look(job: Look) -> Seen:
    """Ask one primary after the other, until one has a newer version."""
    seen = Seen()
    for primary in job.primaries:
        name = joined(primary)
        try:
            async with job.places(primary), asyncio.timeout(LIMIT_S):
                serial = await serial_at(primary, job.zone)
                if job.serial is None or newer(serial, job.serial):
                    incoming, draft = await new_version(job, primary)
                    serial = incoming.serial
                    if draft is not None and (job.serial is None or newer(serial, job.serial)):
                        seen.primary, seen.incoming, seen.draft = name, incoming, draft
                        return seen
        except FAILURES as error:
            seen.failed[name] = reason(error)
            continue
        seen.answered = True
        if serial != job.serial:
            seen.older[name] = serial
    return seen


async def new_version(job: Look, primary: Primary) -> tuple[Incoming, Draft | None]:
    """What a primary has. Where differences cannot be had or do not fit, it is the whole zone."""
    if job.draft_of_changes is not None and job.serial is not None:
        try:
            incoming = await transfer(primary, job.zone, serial=job.serial)
            if not incoming.whole:
                changed = newer(incoming.serial, job.serial)
                return incoming, await job.draft_of_changes(incoming) if changed else None
            return await finished(incoming)
        except FAILURES as error:
            said = "Failed to transfer the differences of `%s' from %s: %s; transferring the whole zone"
            log.info(said, text_name(job.zone), joined(primary), reason(error))
    wanted = catalog.TYPES if job.is_catalog else frozenset()
    most = catalog.MAX_RRS if job.is_catalog else MAX_RRS
    return await finished(await transfer(primary, job.zone, wanted=wanted, max_rrs=most))


async def finished(incoming: Incoming) -> tuple[Incoming, Draft]:
    await in_thread(incoming.finish)
    return incoming, incoming.draft


def reason(error: BaseException) -> str:
    """Why a primary has not answered."""
    if isinstance(error, asyncio.IncompleteReadError):
        return "the connection has ended before the transfer"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if isinstance(error, TimeoutError):
        return "timeout"
    return str(error) or type(error).__name__
