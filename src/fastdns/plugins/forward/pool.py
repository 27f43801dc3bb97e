"""The connections to one upstream over TCP, TLS or HTTPS, and the asks that wait for one.

Over TCP and TLS a connection serves one ask at a time; over HTTP/2 it serves many. For an ask that finds no
connection one is dialed; the ask is sent over whichever becomes free first. Where a connection that was open before
is silent for longer than usual, its ask is sent over another one as well (``Pool.doubt``).

Bounds, for one upstream in one worker: MAX_CONNECTIONS or MAX_HTTP2_CONNECTIONS, and MAX_WAITING asks; an ask ends
with its time, a dial after DIAL_S. One reply is buffered a connection or stream.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from typing import cast

from fastdns.plugins.forward.asks import Ask, Usual
from fastdns.plugins.forward.config import HTTPS, Stanza
from fastdns.plugins.forward.connection import StreamConnection
from fastdns.plugins.forward.dial import DialError, dial
from fastdns.plugins.forward.framed import FramedConnection
from fastdns.plugins.forward.texts import STOPPED, dialing
from fastdns.plugins.forward.upstreams import Shortage, Upstream

MAX_CONNECTIONS = 128
MAX_HTTP2_CONNECTIONS = 4
MAX_WAITING = 1024
# CoreDNS gives up a query after 5 s; no ask waits for longer.
DIAL_S = 5.0

# What is counted: asks that found a connection, and connections that were dialed.
HITS, MISSES = "proxy_conn_cache_hits", "proxy_conn_cache_misses"


def kind_of(scheme: str) -> type[StreamConnection]:
    """The class of the connections to an upstream with this scheme."""
    if scheme != HTTPS:
        return FramedConnection
    # Only who has an https upstream pays for the import, and no ask waits for it.
    from fastdns.plugins.forward.http2 import Http2Connection

    return Http2Connection


class Pool:
    """The connections to one upstream, and the asks that wait for one.

    usable: those that can take an ask now, the one that has waited longest first. dials: those under way, as many
    as asks wait; over HTTP/2 one at most, as all asks will share it.

    context: None for connections without TLS. count: called with HITS or MISSES. on_idle: called when a connection
    has become idle, so that sweep is called later. max_connections: where there may be fewer than usual.
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
        # Connections that have said nothing since are in doubt: one of them was silent for longer than usual.
        self.doubted_before = 0.0
        self.dials: dict[asyncio.Task[None], None] = {}
        self.dialing = dialing(stanza.source_address, self.to)
        # The error of an ask that finds no room.
        self.full_error = Shortage(f"{MAX_WAITING} queries wait for a connection to {self.to}")

    # Asks

    def start(self, ask: Ask) -> None:
        """Send an ask, over a connection that there is or will be. Not where the pool is full."""
        connection = self.take()
        if connection is not None:
            self.send(connection, ask, pooled=True)
        else:
            self.wait(ask)

    def is_full(self) -> bool:
        """Whether an ask finds neither a connection nor room to wait for one."""
        return len(self.waiting) >= MAX_WAITING and self.take() is None

    def wait(self, ask: Ask) -> None:
        """Keep an ask until a connection can take it."""
        self.waiting[ask] = None
        ask.holder = self
        self.dial_as_needed()

    def ask_again(self, ask: Ask) -> bool:
        """Start an ask once more, over another connection. Returns False where it has been asked twice."""
        if ask.asked_again or self.closed:
            return False
        ask.asked_again = True
        ask.be_patient(None)
        self.wait(ask)
        return True

    def abandon(self, ask: Ask) -> str:
        """An ask does not wait any longer, and neither does what was dialed for it."""
        del self.waiting[ask]
        if not self.dials:
            return Shortage(f"all {len(self.connections)} connections to {self.to} are busy: i/o timeout")
        if len(self.dials) > self.wanted_dials:
            task = next(iter(self.dials))
            del self.dials[task]
            task.cancel()
        return f"{self.dialing}: i/o timeout"

    def send(self, connection: StreamConnection, ask: Ask, *, pooled: bool) -> None:
        """Hand an ask to a connection that has room for it. pooled: it has been open for a while."""
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
        """A connection that was open before is silent for longer than usual: ask over another one as well."""
        if ask.holder is not connection or self.closed:
            return
        heard_at = connection.heard_at
        if heard_at > ask.sent_at:
            # The reply is on its way in parts, or others have theirs: it is alive, and slow.
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
        """Whether a connection may be dead, as another one that has been as quiet as it seems to be."""
        return connection.used_at <= self.doubted_before

    def make_room(self) -> None:
        """Where there are as many connections as may be, close one that is in doubt."""
        if len(self.connections) + len(self.dials) < self.max_connections:
            return
        doubted = [one for one in self.connections if self.is_doubted(one) and not one.retired]
        if doubted:
            one = min(doubted, key=lambda one: (not one.idle, one.used_at))
            one.end(f"{one.reading}: i/o timeout", again=True)

    def trust(self) -> None:
        """A connection in doubt has answered after all."""
        self.doubted_before = 0.0

    def bury(self, connection: StreamConnection, sent_at: float) -> None:
        """The same query was answered over another connection first: this one has died, and so have its like."""
        if connection.heard_at > sent_at:
            return
        dead = [one for one in self.connections if one.heard_at <= sent_at]
        for one in dead:
            one.end(f"{one.reading}: i/o timeout", again=True)

    # Connections

    def take(self) -> StreamConnection | None:
        """The usable connection that has waited longest; closes those that have expired."""
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
        """A connection is new, or has room again: it takes asks that wait, or is kept for later, or closed."""
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
        """Whether a connection that becomes idle is one too many."""
        if self.stanza.expire_s == 0:
            return True
        limit = self.stanza.max_idle_conns
        return 0 < limit <= sum(one.idle for one in self.usable if one is not connection)

    def sweep(self) -> None:
        """Close what has been idle for too long, or is too old."""
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
        """How many dials should be under way."""
        if not self.kind.shared:
            return len(self.waiting)
        # A connection that has not said yet how many asks it takes may take them all.
        return 0 if any(one.opening for one in self.connections) else min(len(self.waiting), 1)

    def dial_as_needed(self) -> None:
        """Begin the dials that are missing."""
        room = self.max_connections - len(self.connections) - len(self.dials)
        for _ in range(min(room, self.wanted_dials - len(self.dials))):
            self.count(MISSES)
            self.dials[self.loop.create_task(self.dial())] = None

    async def dial(self) -> None:
        """Make one connection. If that fails, so does the ask that has waited longest; over HTTP/2 all do."""
        error = ""
        try:
            async with asyncio.timeout(DIAL_S):
                connection = await dial(
                    self.loop, self.upstream, self.stanza, self.context, partial(self.kind, self)
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
