"""Sends spans to a collector, on a worker's event loop: in batches, bounded, and never waiting with a query."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

from fastdns.http.client import TRANSPORT_ERRORS, Session
from fastdns.plugins.trace._step import TraceRing
from fastdns.plugins.trace.config import DATADOG, Config
from fastdns.plugins.trace.spans import Span, body_of, spans_of
from fastdns.tls import client_context

log = logging.getLogger("plugin/trace")

LOOK_S = 0.05
# Traces that are looked at before others on this loop have their turn.
MOST_TRACES = 200
# Of one request. zipkin-go has 5 s.
TIMEOUT_S = 5.0
LAST_S = 0.5
WARN_S = 10.0
MAX_ANSWER_BYTES = 1 << 16
Failures = (*TRANSPORT_ERRORS, ValueError)


class Collector:
    """Where the spans of one configuration go. count: told of spans that were sent, dropped, or could not be sent.

    At most config.backlog spans wait; then the oldest are dropped, as in zipkin-go.
    """

    def __init__(self, config: Config, count: Callable[..., None]) -> None:
        self.config = config
        self.count = count
        self.waiting: deque[Span] = deque()
        self.due_s = 0.0
        self.warn_at = 0.0
        parts = urlsplit(config.url)
        self.target = parts.path + (f"?{parts.query}" if parts.query else "")
        tls = client_context() if parts.scheme == "https" else None
        # A request that is sent twice would tell everything twice.
        self.session = Session(
            f"{parts.scheme}://{parts.netloc}", tls=tls, connect_timeout_s=TIMEOUT_S, fresh_after_s=2 * TIMEOUT_S
        )
        self.sending: asyncio.Task[None] | None = None

    def add(self, spans: Sequence[Span]) -> None:
        """Let spans wait for a batch to fill."""
        if not self.waiting:
            self.due_s = time.monotonic() + self.config.interval_s
        self.waiting.extend(spans)
        over = len(self.waiting) - self.config.backlog
        if over > 0:
            for _ in range(over):
                self.waiting.popleft()
            self.count(dropped=over)

    def look(self) -> None:
        """Send a batch where one is due, and none is on its way."""
        if not self.waiting or (self.sending is not None and not self.sending.done()):
            return
        if len(self.waiting) >= self.config.batch or time.monotonic() >= self.due_s:
            self.sending = asyncio.get_running_loop().create_task(self.send())

    async def send(self) -> None:
        """One batch."""
        batch = [self.waiting.popleft() for _ in range(min(self.config.batch, len(self.waiting)))]
        self.due_s = time.monotonic() + self.config.interval_s
        headers = {"Content-Type": "application/json"}
        if self.config.kind == DATADOG:
            headers["X-Datadog-Trace-Count"] = str(len({span.trace for span in batch}))
        try:
            async with asyncio.timeout(TIMEOUT_S):
                response = await self.session.post(
                    self.target, headers, body_of(batch, self.config), silence_s=TIMEOUT_S
                )
                await response.read(MAX_ANSWER_BYTES)
            if not 200 <= response.status < 300:
                raise ValueError(f"status {response.status} {response.reason}")
        except Failures as error:
            self.count(failed=len(batch))
            self.warn(error)
        else:
            self.count(sent=len(batch))

    def warn(self, error: BaseException) -> None:
        """Say why spans could not be sent, at a bounded rate."""
        now = time.monotonic()
        if now >= self.warn_at:
            self.warn_at = now + WARN_S
            said = "i/o timeout" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
            log.warning("failed to send spans to %s: %s", self.config.url, said)

    async def close(self) -> None:
        """Send what is left, within a short time."""
        try:
            async with asyncio.timeout(LAST_S):
                while self.waiting or (self.sending is not None and not self.sending.done()):
                    if self.sending is None or self.sending.done():
                        self.sending = asyncio.get_running_loop().create_task(self.send())
                    await self.sending
        except TimeoutError:
            self.count(dropped=len(self.waiting))
        await self.session.close()


class Sending:
    """All traces of a worker. configs: by block, with the names of its steps. protos: by number of a transport."""

    def __init__(
        self, configs: Mapping[int, tuple[Config, Sequence[str]]], rings: Sequence[TraceRing],
        count: Callable[..., None], protos: Sequence[str],
    ) -> None:  # fmt: skip
        self.rings = rings
        self.count = count
        self.protos = protos
        self.names = {block: names for block, (_, names) in configs.items()}
        # Blocks that are configured alike share a collector.
        made = {config: Collector(config, count) for config, _ in configs.values()}
        self.collectors = {block: made[config] for block, (config, _) in configs.items()}
        self.dropped = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.turn()
            await asyncio.sleep(LOOK_S)

    def turn(self) -> None:
        """Take what the threads have traced, and send what is due."""
        since_1970_ns = time.time_ns() - time.monotonic_ns()
        for ring in self.rings:
            for _ in range(MOST_TRACES):
                event = ring.take()
                if event is None:
                    break
                block = event[0]
                self.collectors[block].add(spans_of(event, self.names[block], since_1970_ns, self.protos))
        dropped = sum(ring.dropped for ring in self.rings)
        if dropped > self.dropped:
            self.count(dropped=dropped - self.dropped)
            self.dropped = dropped
        for collector in set(self.collectors.values()):
            collector.look()

    async def close(self) -> None:
        """All queries have been answered."""
        self.turn()
        for collector in set(self.collectors.values()):
            await collector.close()
