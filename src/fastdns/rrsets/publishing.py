"""Publishing a zone of any size while the event loop goes on."""

from __future__ import annotations

import asyncio

from fastdns.rrsets._draft import Draft
from fastdns.rrsets._writer import ZoneWriter

# How long the event loop is held at a time.
SLICE_NS = 1_000_000


async def publish(writer: ZoneWriter, draft: Draft, serial: int | None = None) -> int:
    """Replace a zone in slices. Returns how many names changed; the zone is served then.

    serial: see ZoneWriter.replace. What the version before had is removed by ZoneWriter.settle, which whoever owns
    the writer calls each second, with SLICE_NS.

    The draft is put in order in a thread. No other change of this zone begins before the end. Where the task is
    cancelled, what was begun is undone. Raises StoreFull and SourceError; the version that is served stays then.
    """
    await asyncio.to_thread(draft.prepare)
    replacement = writer.replacement(draft, serial)
    try:
        while not replacement.step(SLICE_NS):
            await asyncio.sleep(0)
    except asyncio.CancelledError:
        replacement.give_up()
        raise
    return replacement.changed
