"""The connections to one upstream over TCP, TLS, HTTPS or QUIC, and the asks that wait for one.

Over TCP and TLS a connection carries one ask at a time; over HTTP/2 and QUIC it carries many. If an ask finds no
connection, one is dialed; the ask is sent over the first connection that becomes free. If a reused connection is
silent for the adaptive timeout, its ask is sent over another connection as well (``Pool.doubt``).

Limits for one upstream in one worker: MAX_CONNECTIONS or MAX_HTTP2_CONNECTIONS connections, and MAX_WAITING waiting
asks. An ask ends at its timeout, a dial after DIAL_S. A connection or stream buffers at most one reply.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from typing import cast

from fastdns.plugins.forward.asks import Ask, Usual
from fastdns.plugins.forward.config import HTTPS, HTTPS3, QUIC, Stanza
from fastdns.plugins.forward.connection import StreamConnection
from fastdns.plugins.forward.dial import DialError, dial
from fastdns.plugins.forward.framed import FramedConnection
from fastdns.plugins.forward.texts import STOPPED, dialing
from fastdns.plugins.forward.upstreams import Shortage, Upstream

MAX_CONNECTIONS = 128
MAX_HTTP2_CONNECTIONS = 4
MAX_WAITING = 1024
# CoreDNS ends a query after 5 s; no ask waits longer than that.
DIAL_S = 5.0

# The names of the counters: asks that found a connection, and connections that were dialed.
HITS, MISSES = "proxy_conn_cache_hits", "proxy_conn_cache_misses"


def kind_of(scheme: str) -> type[StreamConnection]:
    """The class of the connections to an upstream with this scheme: imported only if there is one, before the first
    ask."""
    if scheme == HTTPS:
        from fastdns.plugins.forward.http2 import Http2Connection

        return Http2Connection
    if scheme == HTTPS3:
        from fastdns.plugins.forward.http3 import Http3Connection

        return Http3Connection
    if scheme == QUIC:
        from fastdns.plugins.forward.doq import DoqConnection

        return DoqConnection
    return FramedConnection


class Pool:
    """The connections to one upstream, and the asks that wait for one.

    usable: connections that can carry another ask now, the longest idle first. dials: outstanding dials, one for
    each waiting ask; over HTTP/2 and QUIC at most one, because all asks share the connection.

    context: None for connections without TLS. count: called with HITS or MISSES. on_idle: called when a connection
    becomes idle, so that the owner calls sweep later. max_connections: a lower limit than the usual one.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        upstream: Upstream,
        stanza: Stanza,
        context: ssl.SSLContext | None,
        count: Callable[[str], None],
        on_idle: Callable[[], None],
        max_connections: int | None = None,
    ) -> None:
        self.loop = loop
        self.stanza = stanza
        self.upstream = upstream
        self.count = count
        self.on_idle = on_idle
        self.to = upstream.to
        self.kind = kind_of(upstream.transport)
        self.context = context
        self.closed = False
        most = MAX_HTTP2_CONNECTIONS if self.kind.shared else MAX_CONNECTIONS
        self.max_connections = min(most, max_connections or most)
        self.connections: set[StreamConnection] = set()
        self.usable: dict[StreamConnection, None] = {}
        self.waiting: dict[Ask, None] = {}
        self.usual = Usual()
        # Connections that were last used before this time are suspected to be dead; 0.0: none is.
        self.doubted_before = 0.0
        self.dials: dict[asyncio.Task[None], None] = {}
        self.dialing = dialing(stanza.source_address, self.to)
        # The error of an ask if MAX_WAITING asks wait already.
        self.full_error = Shortage(f"{MAX_WAITING} queries wait for a connection to {self.to}")

    # Asks

    def start(self, ask: Ask) -> None:
        """Send an ask over a usable connection, or let it wait for one. The pool must not be full."""
        connection = self.take()
        if connection is not None:
            self.send(connection, ask, pooled=True)
        else:
            self.wait(ask)

    def is_full(self) -> bool:
        """Whether there is neither a usable connection nor room to wait for one."""
        return len(self.waiting) >= MAX_WAITING and self.take() is None

    def wait(self, ask: Ask) -> None:
        """Let an ask wait until a connection can carry it."""
        self.waiting[ask] = None
        ask.holder = self
        self.dial_as_needed()

    def ask_again(self, ask: Ask) -> bool:
        """Start an ask again, over another connection. Returns False if that was done before."""
        if ask.asked_again or self.closed:
            return False
        ask.asked_again = True
        ask.be_patient(None)
        self.wait(ask)
        return True

    def abandon(self, ask: Ask) -> str:
        """An ask stops waiting. A dial that is not needed any more is cancelled."""
        del self.waiting[ask]
        if not self.dials:
            return Shortage(f"all {len(self.connections)} connections to {self.to} are busy: i/o timeout")
        if len(self.dials) > self.wanted_dials:
            task = next(iter(self.dials))
            del self.dials[task]
            task.cancel()
        return f"{self.dialing}: i/o timeout"

    def send(self, connection: StreamConnection, ask: Ask, *, pooled: bool) -> None:
        """Send an ask over a connection that has room for it. pooled: the connection was used before."""
        if connection.asked:
            self.count(HITS)
        if pooled and not ask.asked_again:
            ask.be_patient(self.loop.call_later(self.usual.patience_s, self.doubt, connection, ask))
        connection.asked += 1
        ask.holder = connection
        ask.sent_at = self.loop.time()
        connection.send(ask)
        if not connection.has_room:
            self.usable.pop(connection, None)

    # Doubts

    def doubt(self, connection: StreamConnection, ask: Ask) -> None:
        """A reused connection was silent for the adaptive timeout: send the ask over another one as well."""
        if ask.holder is not connection or self.closed:
            return
        heard_at = connection.heard_at
        if heard_at > ask.sent_at:
            # Parts of the reply, or other replies, have arrived: the connection is alive but slow.
            again_s = max(0.0, heard_at + self.usual.patience_s - self.loop.time())
            ask.sent_at = heard_at
            ask.be_patient(self.loop.call_later(again_s, self.doubt, connection, ask))
            return
        self.doubted_before = max(self.doubted_before, ask.sent_at)
        ask.be_patient(None)
        ask.asked_again = True
        ask.silent, ask.silent_since = connection, ask.sent_at
        self.make_room()
        self.wait(ask)

    def is_doubted(self, connection: StreamConnection) -> bool:
        """Whether a connection is suspected: it was last used before a connection that seems to be dead."""
        return connection.used_at <= self.doubted_before

    def make_room(self) -> None:
        """If the limit on connections is reached, close a suspected one."""
        if len(self.connections) + len(self.dials) < self.max_connections:
            return
        doubted = [one for one in self.connections if self.is_doubted(one) and not one.retired]
        if doubted:
            one = min(doubted, key=lambda one: (not one.idle, one.used_at))
            one.end(f"{one.reading}: i/o timeout", again=True)

    def trust(self) -> None:
        """A suspected connection has answered: suspect none."""
        self.doubted_before = 0.0

    def bury(self, connection: StreamConnection, sent_at: float) -> None:
        """A query was answered over another connection first: close this one and all that were silent as long."""
        if connection.heard_at > sent_at:
            return
        dead = [one for one in self.connections if one.heard_at <= sent_at]
        for one in dead:
            one.end(f"{one.reading}: i/o timeout", again=True)

    # Connections

    def take(self) -> StreamConnection | None:
        """The usable connection that has been idle for longest. Closes expired ones."""
        now = self.loop.time()
        while self.usable:
            connection = next(iter(self.usable))
            if not connection.has_expired(now):
                break
            connection.retire()
        if not self.doubted_before:
            return next(iter(self.usable), None)
        return next((one for one in self.usable if not (self.is_doubted(one) or one.has_expired(now))), None)

    def offer(self, connection: StreamConnection) -> None:
        """A connection is new or has room again: send waiting asks over it, keep it for later, or close it."""
        if connection.retired or connection.has_aged(self.loop.time()):
            connection.retire()
            return
        while connection.has_room and self.waiting and not self.is_doubted(connection):
            ask = next(iter(self.waiting))
            del self.waiting[ask]
            self.send(connection, ask, pooled=connection.asked > 0)
        if connection.idle and self.has_enough_idle(connection):
            connection.retire()
        elif connection.has_room:
            self.usable[connection] = None
            if connection.idle:
                self.on_idle()
        else:
            self.usable.pop(connection, None)

    def has_enough_idle(self, connection: StreamConnection) -> bool:
        """Whether there are enough idle connections without this one."""
        if self.stanza.expire_s == 0:
            return True
        limit = self.stanza.max_idle_conns
        return 0 < limit <= sum(one.idle for one in self.usable if one is not connection)

    def sweep(self) -> None:
        """Close connections that have been idle for too long or are too old."""
        now = self.loop.time()
        for connection in [one for one in self.usable if one.has_expired(now)]:
            connection.retire()

    def stop(self) -> None:
        """End all asks, dials and connections, for good."""
        self.closed = True
        dials, self.dials = self.dials, {}
        for task in dials:
            task.cancel()
        waiting, self.waiting = self.waiting, {}
        for ask in waiting:
            ask.finish(self, None, STOPPED)
        for connection in list(self.connections):
            connection.end(STOPPED)

    # Dials

    @property
    def wanted_dials(self) -> int:
        """How many dials should be outstanding."""
        if not self.kind.shared:
            return len(self.waiting)
        # A new connection whose limit is not known yet may have room for all of them.
        return 0 if any(one.opening for one in self.connections) else min(len(self.waiting), 1)

    def dial_as_needed(self) -> None:
        """Begin the dials that are missing."""
        room = self.max_connections - len(self.connections) - len(self.dials)
        for _ in range(min(room, self.wanted_dials - len(self.dials))):
            self.count(MISSES)
            self.dials[self.loop.create_task(self.dial())] = None

    async def dial(self) -> None:
        """Open one connection. If that fails, the longest waiting ask fails; over HTTP/2 all of them do."""
        error = ""
        try:
            async with asyncio.timeout(DIAL_S):
                connection = await dial(
                    self.loop, self.upstream, self.stanza, self.context, partial(self.kind, self),
                    datagrams=self.kind.datagrams,
                )
            error = connection.ending
        except TimeoutError:
            error = f"{self.dialing}: i/o timeout"
        except DialError as problem:
            error = problem.reason
        finally:
            self.dials.pop(cast("asyncio.Task[None]", asyncio.current_task()), None)
        if error:
            for ask in list(self.waiting)[: None if self.kind.shared else 1]:
                del self.waiting[ask]
                ask.fail(self, error)
        else:
            self.offer(connection)
        self.dial_as_needed()
