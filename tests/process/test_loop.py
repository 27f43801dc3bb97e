"""The supervisor's loop tells how long its iterations take."""

from __future__ import annotations

import asyncio
import time

from fastdns.metrics.delays import BOUNDS_S, LoopDelays
from fastdns.process.loop import timed_loop


def test_an_iteration_that_takes_long_is_counted_as_such() -> None:
    delays = LoopDelays()

    async def body() -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        # Waiting is no delay.
        await asyncio.sleep(0.3)
        time.sleep(0.12)  # noqa: ASYNC251
        await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=lambda: timed_loop(delays)) as runner:
        runner.run(body())
    assert sum(delays.buckets) >= 22
    assert delays.max_s >= 0.12 and delays.sum_s >= delays.max_s
    assert sum(delays.buckets[BOUNDS_S.index(0.1) + 1 :]) >= 1
    assert delays.buckets[0] >= 10
