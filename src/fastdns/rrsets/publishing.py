"""Publishing a zone of any size while the event loop goes on."""

from __future__ import annotations

import asyncio

from fastdns.rrsets._draft import Draft
from fastdns.rrsets._writer import Replacement, ZoneWriter

# How long the event loop is held at a time.
SLICE_NS = 1_000_000
# Readers leave the version before within a batch of queries. Who does not is left to the owner's calls of settle.
SETTLE_TRIES = 1000
SETTLE_AGAIN_S = 0.001


async def publish(writer: ZoneWriter, draft: Draft, serial: int | None = None, *, whole: bool = True) -> int:
    """Replace a zone in slices. Returns how many names changed; all of it is served then.

    serial: see ZoneWriter.replace. whole: the draft is the whole zone, else its names are the ones to change.
    The draft is put in order in a thread. No other change of this zone begins before the end. Where the task is
    cancelled, what was begun is undone. Raises StoreFull and SourceError; the version that is served stays then.

    The owner of the writer calls ``writer.settle(SLICE_NS)`` each second, for what readers hold for longer.
    """
    await asyncio.to_thread(draft.prepare)
    replacement = Replacement(writer, draft, serial, whole)
    try:
        while not replacement.step(SLICE_NS):
            await asyncio.sleep(0)
    except asyncio.CancelledError:
        replacement.give_up()
        raise
    await settle(writer)
    return replacement.changed


async def remove(writer: ZoneWriter, zone: bytes) -> bool:
    """Serve a zone no longer, and remove it in slices. Returns whether there was one."""
    removed = writer.remove(zone, SLICE_NS)
    await settle(writer)
    return removed


async def settle(writer: ZoneWriter) -> None:
    """Remove in slices what changes have left."""
    for _ in range(SETTLE_TRIES):
        if not writer.settle(SLICE_NS):
            break
        await asyncio.sleep(SETTLE_AGAIN_S)
