"""A connection to an upstream: what TCP, TLS, HTTP/2 and QUIC have in common."""

from __future__ import annotations

import asyncio
from typing import ClassVar, Protocol, cast

from fastdns.plugins.forward import texts
from fastdns.plugins.forward.asks import Ask, Usual
from fastdns.plugins.forward.config import Stanza
from fastdns.plugins.forward.upstreams import Upstream, host_port

HEADER_BYTES = 12


class Owner(Protocol):
    """What a connection needs of its pool.

    connections: all that are open. usable: those that can take an ask now.
    """

    loop: asyncio.AbstractEventLoop
    upstream: Upstream
    stanza: Stanza
    to: str
    usual: Usual
    connections: set[StreamConnection]
    usable: dict[StreamConnection, None]

    def offer(self, connection: StreamConnection) -> None:
        """A connection has room again."""

    def dial_as_needed(self) -> None:
        """A connection has ended, or accepts more asks than before."""

    def ask_again(self, ask: Ask) -> bool:
        """Start an ask again over another connection. Returns False if that is not allowed."""

    def is_doubted(self, connection: StreamConnection) -> bool:
        """Whether a connection is suspected to be dead."""

    def trust(self) -> None:
        """A suspected connection has answered."""

    def bury(self, connection: StreamConnection, sent_at: float) -> None:
        """A query was sent over this connection at sent_at, and was answered over another connection."""


class StreamConnection(asyncio.Protocol):
    """It is in its pool from connection_made to connection_lost.

    shared: whether it serves many asks at a time. alpn: the protocol that a TLS handshake must agree on.
    datagrams: its socket is one of UDP, and TLS its own affair.
    """

    shared: ClassVar[bool] = False
    alpn: ClassVar[str | None] = None
    datagrams: ClassVar[bool] = False

    def __init__(self, pool: Owner) -> None:
        self.pool = pool
        self.loop = pool.loop
        self.transport: asyncio.Transport | None = None
        self.local = ""
        # used_at: when the last reply came; heard_at: when anything came.
        self.created_at = self.used_at = self.heard_at = self.loop.time()
        self.asked = self.answered = 0
        # The upstream has not said yet how many asks the connection accepts.
        self.opening = False
        # It accepts no more asks.
        self.retired = False
        # Why it has ended.
        self.ending = ""

    # What kinds of connections differ in

    @property
    def idle(self) -> bool:
        """Whether it has no asks."""
        raise NotImplementedError

    @property
    def has_room(self) -> bool:
        """Whether it can take an ask now."""
        raise NotImplementedError

    def send(self, ask: Ask) -> None:
        """Send the query of an ask; it has room."""
        raise NotImplementedError

    def abandon(self, ask: Ask) -> str:
        """Let an ask go. Returns what it was waiting for, as an error text."""
        raise NotImplementedError

    def take_asks(self) -> list[Ask]:
        """Let all asks go, and return them."""
        raise NotImplementedError

    # What they share

    @property
    def reading(self) -> str:
        """How the error of a read begins."""
        return f"read tcp {self.local}->{self.pool.to}"

    def has_aged(self, now: float) -> bool:
        """Whether max_age is over."""
        return 0 < self.pool.stanza.max_age_s < now - self.created_at

    def has_expired(self, now: float) -> bool:
        """Whether it should take no more asks: too old, or idle for too long."""
        return self.has_aged(now) or (self.idle and now - self.used_at > self.pool.stanza.expire_s)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        self.local = host_port(*self.transport.get_extra_info("sockname")[:2])
        self.pool.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.pool.connections.discard(self)
        self.ending = self.read_error(exc)
        self.end(self.ending, again=self.is_stale(exc))
        self.pool.dial_as_needed()

    def is_stale(self, exc: Exception | None) -> bool:
        """Whether the upstream closed a reused connection, probably before it read the last query."""
        return self.answered > 0 and (exc is None or isinstance(exc, ConnectionError))

    def read_error(self, exc: Exception | None) -> str:
        """The error of an ask whose connection ends."""
        return texts.read_error(self.reading, exc, self.pool.upstream)

    def retire(self) -> None:
        """Take no more asks, and close once those on it have ended."""
        self.retired, self.opening = True, False
        self.pool.usable.pop(self, None)
        if self.idle and self.transport is not None:
            self.transport.close()

    def note_reply(self, sent_at: float) -> None:
        """A reply has arrived to a query that was sent at sent_at."""
        if self.pool.is_doubted(self):
            self.pool.trust()
        self.answered += 1
        self.used_at = self.loop.time()
        self.pool.usual.measure(self.used_at - sent_at)

    def deliver(self, ask: Ask, reply: bytes) -> None:
        """Give an ask its reply. The connection has let the ask go already."""
        silent, since = ask.silent, ask.silent_since
        ask.finish(self, reply, "")
        if silent is not None and silent is not self:
            self.pool.bury(cast(StreamConnection, silent), since)

    def end(self, error: str, *, again: bool = False) -> None:
        """Close at once. With again, its asks start over on another connection if they may; else they end."""
        self.retired, self.opening = True, False
        self.pool.usable.pop(self, None)
        if self.transport is not None:
            self.transport.abort()
        for ask in self.take_asks():
            if again:
                self.start_again(ask, error)
            else:
                ask.fail(self, error)

    def start_again(self, ask: Ask, error: str) -> None:
        """The upstream has not acted on an ask, which the connection has let go: start it over if it may."""
        if ask.silent is self or not self.pool.ask_again(ask):
            ask.fail(self, error)
