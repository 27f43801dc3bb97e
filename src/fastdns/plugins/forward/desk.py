"""The dispatcher between the engines and the streams: takes requests from their rings, and puts replies back."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

from fastdns.plugins.forward.engine._streams import StreamRings
from fastdns.plugins.forward.upstreams import Shortage, UpstreamError

if TYPE_CHECKING:
    from fastdns.metrics._stats import Stats
    from fastdns.plugins.forward.routes import Routes
    from fastdns.plugins.forward.streams import Streams

log = logging.getLogger("plugin/forward")

# Requests of one engine in one iteration of the event loop. A bound, so that TCP clients are not delayed.
TAKE_MOST = 128
# If the ring of replies is full, a reply is tried again after this time.
RETRY_S = 0.01


class Desk:
    """One for each worker. It is used only on the event-loop thread."""

    def __init__(
        self, routes: Routes, loop: asyncio.AbstractEventLoop, max_connections: int | None = None
    ) -> None:
        """max_connections: the limit for one upstream, if it is lower than the usual one."""
        self.routes = routes
        self.max_connections = max_connections
        self.loop = loop
        self.streams: dict[int, Streams] = {}
        # Address of an upstream to the reason of its last failure, for the log.
        self.reasons: dict[str, str] = {}
        # Rings with new replies, whose threads must be woken.
        self.given: set[StreamRings] = set()
        # The counts that publish has added to the shared counters already.
        self.published: dict[tuple[str, str, str], int] = {}

    def attach(self, rings: StreamRings) -> None:
        """Start to serve an engine."""
        self.loop.add_reader(rings.request_fd, self.take, rings)

    def take(self, rings: StreamRings) -> None:
        """Send the requests of an engine to the streams."""
        taken = rings.take_requests(TAKE_MOST)
        if len(taken) == TAKE_MOST:
            self.loop.call_soon(self.take, rings)
        for ticket, upstream, message, timeout_s in taken:
            route = self.routes.upstreams[upstream]
            give = partial(self.give, rings, ticket, route.upstream.to)
            try:
                self.of(route.stanza).ask(route.place, message, timeout_s, give)
            except UpstreamError as error:
                # Its TLS files disappeared after the start. The next query tries them again.
                give(None, Shortage(error))

    def of(self, stanza: int) -> Streams:
        """The streams of a stanza, created at the first request."""
        if stanza not in self.streams:
            from fastdns.plugins.forward.streams import Streams

            upstreams = [self.routes.upstreams[place].upstream for place in self.routes.of_stanza(stanza)]
            self.streams[stanza] = Streams(
                upstreams, self.routes.stanzas[stanza], self.loop, self.max_connections
            )
        return self.streams[stanza]

    def give(self, rings: StreamRings, ticket: bytes, to: str, reply: bytes | None, reason: str) -> None:
        """Give an engine the reply to a request, or why there is none."""
        if reply is None:
            self.reasons[to] = reason
            log.debug("%s: %s", to, reason)
        if not rings.give_answer(ticket, reply, isinstance(reason, Shortage)):
            self.loop.call_later(RETRY_S, self.give, rings, ticket, to, reply, reason)
        elif rings not in self.given:
            self.given.add(rings)
            self.loop.call_soon(self.wake, rings)

    def wake(self, rings: StreamRings) -> None:
        """Wake an engine's thread once for all replies of this iteration of the event loop."""
        self.given.discard(rings)
        rings.wake()

    def counters(self) -> dict[tuple[str, str, str], int]:
        """Reused and new connections of all stanzas: (name, address, protocol) to a count."""
        total: dict[tuple[str, str, str], int] = {}
        for streams in self.streams.values():
            for key, count in streams.counters.items():
                total[key] = total.get(key, 0) + count
        return total

    def publish(self, stats: Stats, slot: int) -> None:
        """Add the growth of the counters to the shared counters of the slot."""
        total = self.counters()
        if total == self.published:
            return
        from fastdns.plugins.forward.pool import HITS

        slots = {route.upstream.to: route.slot for route in self.routes.upstreams}
        for (name, to, proto), count in total.items():
            more = count - self.published.get((name, to, proto), 0)
            stats.count_connections(slot, slots[to], proto, name == HITS, more)
        self.published = total

    async def close(self) -> None:
        """End everything."""
        for streams in self.streams.values():
            await streams.close()
