"""The end of the query log in a worker: takes events out of the rings and writes their lines to standard output.

Runs on the slow thread's event loop and never waits: while nobody reads standard output, events stay in the rings,
and what finds them full is dropped and counted. How many is said in a line of its own.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence

from fastdns.corefile.model import ServerConfig
from fastdns.netaddrs import is_wildcard
from fastdns.plugins.log._lines import LineReader
from fastdns.plugins.log._ring import LogRing
from fastdns.plugins.log.config import Config
from fastdns.plugins.log.output import Output
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable

# Queries of each thread that can wait for their line: about 8,000 over UDP.
HOT_RING_BYTES = 1 << 20
SLOW_RING_BYTES = 1 << 18
# Of each serving thread; a worker has two.
LINES_S = 100_000
MAX_LINES_S = 10_000_000
# How late a line may be, and how soon a full pipe that is being read is tried again.
INTERVAL_S = 0.05
RETRY_S = 0.002
# Batches of lines (128 KiB) of each ring that are written before others on this thread have their turn.
MAX_BATCHES = 8
WARN_S = 10.0
# How long the last lines are waited for when the worker ends.
LAST_S = 0.5


class QueryLog:
    """The query log of one worker. start it, and close it after the last query has been served.

    hot and slow: what serves on the UDP thread, and on the event loop's. lines_s: the most lines a second of each
    of the two. count_dropped: told of lines that got lost behind the rings; those before are in the counters.
    """

    def __init__(
        self,
        config: ServerConfig,
        tables: Sequence[ServerTable],
        hot: Worker,
        slow: Sequence[Worker],
        *,
        lines_s: int = LINES_S,
        count_dropped: Callable[[int], object] = lambda lines: None,
        fd: int = 1,
    ) -> None:
        formats: Mapping[int, Config] = {block.index: options for block, options in config.with_plugin("log")}
        self.reader = LineReader(
            {index: [rule.parts for rule in options.rules] for index, options in formats.items()}
        )
        for table, listener in zip(tables, config.listeners, strict=True):
            self.reader.add_listener(table, "" if is_wildcard(listener.address) else listener.address)
        self.wake_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        hot_ring = LogRing(HOT_RING_BYTES, lines_s, self.wake_fd)
        slow_ring = LogRing(SLOW_RING_BYTES, lines_s, self.wake_fd)
        hot_ring.attach(hot)
        for worker in slow:
            slow_ring.attach(worker)
        self.rings = (hot_ring, slow_ring)
        self.output = Output(fd)
        self.lines_s = lines_s
        self.count_dropped = count_dropped
        self.counted_lost = 0
        self.told_dropped = 0
        self.warn_at = 0.0
        self.delay_s = INTERVAL_S
        self.loop: asyncio.AbstractEventLoop | None = None
        self.timer: asyncio.TimerHandle | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Write from now on: every INTERVAL_S, and where a ring is half full."""
        self.loop = loop
        loop.add_reader(self.wake_fd, self.on_half_full)
        self.tick()

    def close(self) -> None:
        """Write what is left, for LAST_S at most while nobody reads."""
        if self.loop is not None:
            self.loop.remove_reader(self.wake_fd)
        if self.timer is not None:
            self.timer.cancel()
        ends = time.monotonic() + LAST_S
        while not self.transfer() and (left_s := ends - time.monotonic()) > 0:
            self.output.wait(left_s)
        self.warn(time.monotonic(), last=True)
        self.output.close()
        os.close(self.wake_fd)

    def on_half_full(self) -> None:
        """A ring has become half full."""
        os.eventfd_read(self.wake_fd)
        if self.timer is not None:
            self.timer.cancel()
        self.tick()

    def tick(self) -> None:
        """Write what there is, and come again; less often while nobody reads."""
        before = self.output.written_bytes
        if self.transfer():
            self.delay_s = INTERVAL_S
        elif self.output.written_bytes != before:
            self.delay_s = RETRY_S
        else:
            self.delay_s = min(2 * self.delay_s, INTERVAL_S)
        assert self.loop is not None
        self.timer = self.loop.call_later(self.delay_s, self.tick)

    def transfer(self) -> bool:
        """Write lines until the rings are empty, standard output is full, or others shall have their turn.

        Returns whether they are empty.
        """
        if not (self.output.flush() and self.warn(time.monotonic())):
            return False
        # Where standard output takes less than comes, each ring is the first in turn.
        self.rings = self.rings[::-1]
        done = True
        for ring in self.rings:
            for _ in range(MAX_BATCHES):
                lines = self.reader.read(ring)
                if not lines:
                    break
                if not self.output.write(lines):
                    return False
            else:
                done = False
        return done

    def warn(self, now_s: float, *, last: bool = False) -> bool:
        """Say how many queries were not logged, once in WARN_S or for the last time. Returns as Output.flush."""
        lost = self.output.lost_lines
        if lost != self.counted_lost:
            self.count_dropped(lost - self.counted_lost)
            self.counted_lost = lost
        dropped = sum(ring.dropped for ring in self.rings) + lost
        if dropped == self.told_dropped or self.output.pending or not (last or now_s >= self.warn_at):
            return not self.output.pending
        count = dropped - self.told_dropped
        self.told_dropped = dropped
        self.warn_at = now_s + WARN_S
        return self.output.write(
            b"[WARNING] plugin/log: %d queries not logged: more than %d a second, or nobody read them\n"
            % (count, self.lines_s)
        )
