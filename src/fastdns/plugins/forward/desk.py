"""Between the engines' rings and the streams: takes what the engines want asked, and gives back the answers."""

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

# Requests of one engine in one iteration of the loop: others have theirs in between, clients over TCP among them.
TAKE_MOST = 128
# How long an answer waits that finds the ring back full.
RETRY_S = 0.01


class Desk:
    """One for the worker; only for the thread of its loop."""

    def __init__(
        self, routes: Routes, loop: asyncio.AbstractEventLoop, max_connections: int | None = None
    ) -> None:
        """max_connections: to one upstream, where there may be fewer than usual."""
        self.routes = routes
        self.max_connections = max_connections
        self.loop = loop
        self.streams: dict[int, Streams] = {}
        # Address of an upstream to the reason of its last failure, for the log.
        self.reasons: dict[str, str] = {}
        # Rings that have been given answers, and whose threads are to be woken.
        self.given: set[StreamRings] = set()
        # Of counters, what publish has added up elsewhere.
        self.published: dict[tuple[str, str, str], int] = {}

    def attach(self, rings: StreamRings) -> None:
        """Serve an engine from now on."""
        self.loop.add_reader(rings.request_fd, self.take, rings)

    def take(self, rings: StreamRings) -> None:
        """Ask what an engine wants asked."""
        taken = rings.take_requests(TAKE_MOST)
        if len(taken) == TAKE_MOST:
            self.loop.call_soon(self.take, rings)
        for ticket, upstream, message, timeout_s in taken:
            route = self.routes.upstreams[upstream]
            give = partial(self.give, rings, ticket, route.upstream.to)
            try:
                self.of(route.stanza).ask(route.place, message, timeout_s, give)
            except UpstreamError as error:
                # Its TLS files have gone since the start; they are tried again with the next question.
                give(None, Shortage(error))

    def of(self, stanza: int) -> Streams:
        """The streams of a stanza, made when they are first needed."""
        if stanza not in self.streams:
            from fastdns.plugins.forward.streams import Streams

            upstreams = [self.routes.upstreams[place].upstream for place in self.routes.of_stanza(stanza)]
            self.streams[stanza] = Streams(
                upstreams, self.routes.stanzas[stanza], self.loop, self.max_connections
            )
        return self.streams[stanza]

    def give(self, rings: StreamRings, ticket: bytes, to: str, reply: bytes | None, reason: str) -> None:
        """Give an engine what came of a request."""
        if reply is None:
            self.reasons[to] = reason
            log.debug("%s: %s", to, reason)
        if not rings.give_answer(ticket, reply, isinstance(reason, Shortage)):
            self.loop.call_later(RETRY_S, self.give, rings, ticket, to, reply, reason)
        elif rings not in self.given:
            self.given.add(rings)
            self.loop.call_soon(self.wake, rings)

    def wake(self, rings: StreamRings) -> None:
        """Wake an engine's thread for all that was given in this iteration of the loop."""
        self.given.discard(rings)
        rings.wake()

    def counters(self) -> dict[tuple[str, str, str], int]:
        """Connections reused and dialed, over all stanzas: (name, address, protocol) to a count."""
        total: dict[tuple[str, str, str], int] = {}
        for streams in self.streams.values():
            for key, count in streams.counters.items():
                total[key] = total.get(key, 0) + count
        return total

    def publish(self, stats: Stats, slot: int) -> None:
        """Add what is new in counters to those of the slot, where a scrape finds it."""
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
