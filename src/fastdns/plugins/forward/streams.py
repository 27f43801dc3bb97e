"""Upstreams over TCP (RFC 7766), TLS (RFC 7858) and HTTPS (RFC 8484), on the slow thread's event loop.

An Ask is one query to one upstream; it ends once. Each upstream has a Pool of connections and of asks that wait for
one. Over TCP and TLS a connection serves one ask at a time; over HTTP/2 it serves many, each in a stream. For an
ask that finds no connection one is dialed; it is sent over whichever becomes free first. An ask over a connection
that was open already, and is silent for longer than usual, is sent over another one as well (Pool.doubt).

Bounds, for one upstream in one worker: MAX_CONNECTIONS or MAX_HTTP2_CONNECTIONS, MAX_STREAMS a connection, and
MAX_WAITING asks; an ask ends with its time, a dial after DIAL_S. One reply is buffered a connection or stream.
Error texts are those of Go, which CoreDNS shows: ``read tcp A->B: i/o timeout``.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import importlib
import os
import re
import socket
import ssl
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from fastdns.netaddrs import socket_address, zone_of
from fastdns.plugins.forward.asks import Ask, Done, Usual
from fastdns.plugins.forward.config import DNS, HTTPS, PORTS, Stanza
from fastdns.plugins.forward.upstreams import Shortage, Upstream, host_port, tls_context

if TYPE_CHECKING:
    from h2.connection import H2Connection

MAX_CONNECTIONS = 128
MAX_HTTP2_CONNECTIONS = 4
# RFC 9113 section 6.5.2: no peer should allow fewer.
MAX_STREAMS = 100
MAX_WAITING = 1024
# CoreDNS gives up a query after 5 s; no ask waits for longer.
DIAL_S = 5.0
# To exchange close_notify (RFC 8446 section 6.1) before the socket is closed.
TLS_SHUTDOWN_S = 1.0
# For connections to end after close; what has not ended then is aborted.
CLOSE_S = 2.0
# How often idle connections are looked at, if there are any.
SWEEP_S = 1.0
# An HTTP/2 connection that has answered nothing for so long when an ask on it runs out of time gets no new ones.
SILENCE_S = 1.0
# Messages with another ID before the reply; a peer that sends more of them is not in step with us.
MAX_STRAYS = 16
# Of requests and acknowledgements that a peer leaves unread.
MAX_UNSENT_BYTES = 1024 * 1024
# Of what is no whole frame, or means nothing, and of which h2 would keep 16 MiB.
MAX_MEANINGLESS_BYTES = 1024 * 1024

LENGTH = struct.Struct(">H")
HEADER_BYTES = 12
MAX_MESSAGE_BYTES = 65535

# The proto label of CoreDNS's metrics.
PROTO = {"dns": "tcp", "tls": "tcp-tls", "https": "https"}
HITS, MISSES = "proxy_conn_cache_hits", "proxy_conn_cache_misses"

STOPPED = Shortage("proxy: transport stopped")
# What a call fails with for want of descriptors, memory or ports of ours.
SHORTAGES = {
    errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN, errno.EADDRINUSE,
}  # fmt: skip
SHORT = "dns: short read"

DOH_PATH = "/dns-query"
DOH_TYPE = "application/dns-message"
# RFC 9113 sections 5.1.1 and 7.
MAX_STREAM_ID = 2**31 - 1
REFUSED_STREAM, CANCEL = 7, 8

# X509_V_ERR_* of OpenSSL, in Go's words.
_VERIFY_ERRORS = {
    2: "certificate signed by unknown authority",
    9: "certificate has expired or is not yet valid",
    10: "certificate has expired or is not yet valid",
    18: "certificate signed by unknown authority",
    19: "certificate signed by unknown authority",
    20: "certificate signed by unknown authority",
    21: "certificate signed by unknown authority",
    62: "certificate is not valid for {name}",
    64: "certificate is not valid for {name}",
}
_ALERT = re.compile(r"_ALERT_(\w+)")


class Streams:
    """The upstreams of a stanza over streams. Only for the thread of its loop.

    counters: (name, upstream's ``to``, proto) to a count, for HITS and MISSES: asks that found a connection, and
    connections that were dialed.
    """

    def __init__(
        self,
        upstreams: Sequence[Upstream],
        stanza: Stanza,
        loop: asyncio.AbstractEventLoop,
        max_connections: int | None = None,
    ) -> None:
        """Raises UpstreamError where the stanza's TLS files cannot be used. Nothing is dialed before an ask.

        max_connections: of one upstream, where there may be fewer than usual.
        """
        self.max_connections = max_connections
        self.loop = loop
        self.stanza = stanza
        self.counters: dict[tuple[str, str, str], int] = {}
        self.closed = False
        self.sweeper: asyncio.TimerHandle | None = None
        contexts = {kind: _context(kind, stanza) for kind in {one.transport for one in upstreams} - {DNS}}
        self.pools = [Pool(self, upstream, contexts.get(upstream.transport)) for upstream in upstreams]

    def ask(self, upstream_index: int, message: bytes, timeout_s: float, done: Done) -> Callable[[], None]:
        """Send a query to an upstream; over HTTPS with ID 0 instead of its own.

        message: 12 to 65535 bytes. timeout_s covers all of it, the dial included. done: called once, never before
        ask has returned, with the reply, which has the ID of the message, and ""; or with None and the reason, a
        Shortage where the upstream was not asked. Nothing else in the reply is looked at. Returns what cancels the
        ask, after which done is not called.
        """
        pool = self.pools[upstream_index]
        if pool.prefix:
            done = partial(_tell, done, pool.prefix)
        if self.closed or pool.is_full():
            return self.loop.call_soon(done, None, STOPPED if self.closed else pool.full_error).cancel
        ask = Ask(self.loop, message, timeout_s, done)
        pool.start(ask)
        return ask.cancel

    async def close(self) -> None:
        """End every ask with STOPPED, and every connection. Later asks end so, too."""
        self.closed = True
        if self.sweeper is not None:
            self.sweeper.cancel()
        dials = [task for pool in self.pools for task in pool.dials]
        for pool in self.pools:
            pool.stop()
        await asyncio.gather(*dials, return_exceptions=True)
        # A peer may leave its part of the goodbye out for ever.
        ends = self.loop.time() + CLOSE_S
        while (left := [one for pool in self.pools for one in pool.connections]) and self.loop.time() < ends:
            await asyncio.sleep(0.001)
        for connection in left:
            if connection.transport is not None:
                connection.transport.abort()
        if left:
            # The loop tells connections in its next turn. It has been seen not to tell one over TLS at all.
            await asyncio.sleep(0.001)
            for pool in self.pools:
                pool.connections.clear()

    def count(self, name: str, upstream: Upstream) -> None:
        """One more."""
        key = (name, upstream.to, PROTO[upstream.transport])
        self.counters[key] = self.counters.get(key, 0) + 1

    def watch_idle(self) -> None:
        """A connection has become idle: look after it."""
        if self.sweeper is None and not self.closed:
            self.sweeper = self.loop.call_later(SWEEP_S, self.sweep)

    def sweep(self) -> None:
        """Close what has been idle for too long."""
        self.sweeper = None
        for pool in self.pools:
            pool.sweep()
        if any(connection.idle for pool in self.pools for connection in pool.usable):
            self.watch_idle()


class Pool:
    """The connections to one upstream, and the asks that wait for one.

    usable: those that can take an ask now, the one that has waited longest first. dials: those under way, as many
    as asks wait; over HTTP/2 one at most, as all asks will share it.
    """

    def __init__(self, streams: Streams, upstream: Upstream, context: ssl.SSLContext | None) -> None:
        self.streams = streams
        self.loop = streams.loop
        self.stanza = streams.stanza
        self.upstream = upstream
        self.to = upstream.to
        self.context = context
        self.shared = upstream.transport == HTTPS
        most = MAX_HTTP2_CONNECTIONS if self.shared else MAX_CONNECTIONS
        self.max_connections = min(most, streams.max_connections or most)
        self.connections: set[Connection] = set()
        self.usable: dict[Connection, None] = {}
        self.waiting: dict[Ask, None] = {}
        self.usual = Usual()
        # Connections that have said nothing since are in doubt: one of them was silent for longer than usual.
        self.doubted_before = 0.0
        self.dials: dict[asyncio.Task[None], None] = {}
        self.prefix = ""
        # The error of an ask that finds no room.
        self.full_error = Shortage(f"{MAX_WAITING} queries wait for a connection to {self.to}")
        if self.shared:
            # What Go puts before every error of an HTTP request.
            self.prefix = f'{self.stanza.doh_method.capitalize()} "https://{self.to}{DOH_PATH}": '
            # A megabyte and a half: only who has an https upstream pays for it, and no ask waits for the import.
            importlib.import_module("h2.connection")

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
        """Start an ask once more, on another connection than the one that its peer has closed. False: not twice."""
        if ask.asked_again or self.streams.closed:
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

    def send(self, connection: Connection, ask: Ask, *, pooled: bool) -> None:
        """Hand an ask to a connection that has room for it. pooled: it has been open for a while."""
        if connection.asked:
            self.streams.count(HITS, self.upstream)
        if pooled and not ask.asked_again:
            ask.be_patient(self.loop.call_later(self.usual.patience_s, self.doubt, connection, ask))
        connection.asked += 1
        ask.holder = connection
        ask.sent_at = self.loop.time()
        connection.send(ask)
        if not connection.has_room:
            self.usable.pop(connection, None)

    # Doubts

    def doubt(self, connection: Connection, ask: Ask) -> None:
        """A connection that was open before is silent for longer than usual: ask over another one as well."""
        if ask.holder is not connection or self.streams.closed:
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

    def is_doubted(self, connection: Connection) -> bool:
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

    def bury(self, connection: Connection, sent_at: float) -> None:
        """The same query was answered over another connection first: this one has died, and so have its like."""
        if connection.heard_at > sent_at:
            return
        dead = [one for one in self.connections if one.heard_at <= sent_at]
        for one in dead:
            one.end(f"{one.reading}: i/o timeout", again=True)

    # Connections

    def take(self) -> Connection | None:
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

    def offer(self, connection: Connection) -> None:
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
                self.streams.watch_idle()
        else:
            self.usable.pop(connection, None)

    def has_enough_idle(self, connection: Connection) -> bool:
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
        """End all asks, dials and connections."""
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
    def dialing(self) -> str:
        """How the error of a dial begins."""
        source = self.stanza.source_address
        return f"dial tcp {host_port(source, 0)}->{self.to}" if source else f"dial tcp {self.to}"

    @property
    def wanted_dials(self) -> int:
        """How many dials should be under way."""
        if not self.shared:
            return len(self.waiting)
        # A connection that has not said yet how many asks it takes may take them all.
        return 0 if any(one.opening for one in self.connections) else min(len(self.waiting), 1)

    def dial_as_needed(self) -> None:
        """Begin the dials that are missing."""
        room = self.max_connections - len(self.connections) - len(self.dials)
        for _ in range(min(room, self.wanted_dials - len(self.dials))):
            self.streams.count(MISSES, self.upstream)
            self.dials[self.loop.create_task(self.dial())] = None

    async def dial(self) -> None:
        """Make one connection. If that fails, so does the ask that has waited longest; over HTTP/2 all do."""
        error = ""
        try:
            async with asyncio.timeout(DIAL_S):
                connection = await self.connect()
            error = connection.ending
        except TimeoutError:
            error = f"{self.dialing}: i/o timeout"
        except DialError as problem:
            error = problem.reason
        finally:
            self.dials.pop(cast("asyncio.Task[None]", asyncio.current_task()), None)
        if error:
            for ask in list(self.waiting)[: None if self.shared else 1]:
                del self.waiting[ask]
                ask.fail(self, error)
        else:
            self.offer(connection)
        self.dial_as_needed()

    async def connect(self) -> Connection:
        """A connection that is open, its handshake done. Raises DialError."""
        upstream = self.upstream
        step = "socket"
        try:
            sock = socket.socket(_family(upstream.address), socket.SOCK_STREAM)
            try:
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self.stanza.source_address is not None:
                    step = "bind"
                    if zone_of(self.stanza.source_address) and sock.family != socket.AF_INET6:
                        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
                    sock.bind(socket_address(self.stanza.source_address, 0))
                step = "connect"
                # As text with its zone: of a socket's address in numbers the loop takes two.
                await self.loop.sock_connect(sock, (upstream.address, upstream.port))
                step = "handshake"
                return await self.handshake(sock)
            except BaseException:
                sock.close()
                raise
        except OSError as error:
            raise DialError(self.dial_error(step, error)) from None

    async def handshake(self, sock: socket.socket) -> Connection:
        """The connection over a socket that is connected; with TLS if the upstream has that."""
        make = Http2Connection if self.shared else FramedConnection
        if self.context is None:
            return (await self.loop.create_connection(lambda: make(self), sock=sock))[1]
        transport, connection = await self.loop.create_connection(
            lambda: make(self),
            sock=sock,
            ssl=self.context,
            server_hostname=self.upstream.verified_name,
            ssl_shutdown_timeout=TLS_SHUTDOWN_S,
        )
        protocol = transport.get_extra_info("ssl_object").selected_alpn_protocol()
        if self.shared and protocol != "h2":
            connection.end("")
            raise DialError(f'http2: unexpected ALPN protocol "{protocol or ""}"; want "h2"')
        return connection

    def dial_error(self, step: str, error: OSError) -> str:
        """Go's text for a dial that has failed at a step."""
        if isinstance(error, ssl.SSLError):
            return _tls_error(error, self.upstream)
        if step == "handshake" and not error.errno:
            # asyncio says so of a peer that closes.
            return "EOF"
        # Negative: getaddrinfo's, for a source address of the other family.
        text = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
        reason = f"{self.dialing}: {step}: {text.lower()}"
        return Shortage(reason) if error.errno in SHORTAGES else reason


class DialError(Exception):
    """A connection that could not be had; reason is the error of the asks that wait for it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Connection(asyncio.Protocol):
    """What connections have in common. Its pool knows it from connection_made to connection_lost."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.loop = pool.loop
        self.transport: asyncio.Transport | None = None
        self.local = ""
        # used_at: when the last reply came; heard_at: when anything came.
        self.created_at = self.used_at = self.heard_at = self.loop.time()
        self.asked = self.answered = 0
        # It has still to say how many asks it takes.
        self.opening = False
        # It takes no more asks.
        self.retired = False
        # Why it has ended.
        self.ending = ""

    # What kinds of connections differ in

    @property
    def idle(self) -> bool:
        """Whether no ask is on it."""
        raise NotImplementedError

    @property
    def has_room(self) -> bool:
        """Whether it can take an ask now."""
        raise NotImplementedError

    def send(self, ask: Ask) -> None:
        """Send the query of an ask; it has room."""
        raise NotImplementedError

    def abandon(self, ask: Ask) -> str:
        """Part from an ask; returns what it has waited for, as an error."""
        raise NotImplementedError

    def take_asks(self) -> list[Ask]:
        """Part from all asks."""
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
        """Whether the peer, which has answered here before, has closed it without a look at the last query."""
        return self.answered > 0 and (exc is None or isinstance(exc, ConnectionError))

    def read_error(self, exc: Exception | None) -> str:
        """Go's text for a connection that ends while a reply is awaited."""
        if isinstance(exc, ssl.SSLError):
            return _tls_error(exc, self.pool.upstream)
        if isinstance(exc, OSError) and exc.errno:
            return f"{self.reading}: read: {os.strerror(exc.errno).lower()}"
        return str(exc) if exc else "EOF"

    def retire(self) -> None:
        """Take no more asks, and close once those on it have ended."""
        self.retired, self.opening = True, False
        self.pool.usable.pop(self, None)
        if self.idle and self.transport is not None:
            self.transport.close()

    def note_reply(self, sent_at: float) -> None:
        """A reply has come to what was sent then."""
        if self.pool.is_doubted(self):
            self.pool.trust()
        self.answered += 1
        self.used_at = self.loop.time()
        self.pool.usual.measure(self.used_at - sent_at)

    def deliver(self, ask: Ask, reply: bytes) -> None:
        """Give an ask its reply; the connection has let it go."""
        silent, since = ask.silent, ask.silent_since
        ask.finish(self, reply, "")
        if silent is not None and silent is not self:
            self.pool.bury(cast(Connection, silent), since)

    def end(self, error: str, *, again: bool = False) -> None:
        """Close at once. The asks on it end with the error, or are asked again elsewhere where that may be."""
        self.retired, self.opening = True, False
        self.pool.usable.pop(self, None)
        if self.transport is not None:
            self.transport.abort()
        for ask in self.take_asks():
            if ask.silent is self or not (again and self.pool.ask_again(ask)):
                ask.fail(self, error)


class FramedConnection(Connection):
    """TCP or TLS: messages after two bytes of length (RFC 1035 section 4.2.2), one ask at a time."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self.ask: Ask | None = None
        self.sent_at = 0.0
        self.pending = bytearray()
        self.strays = 0

    @property
    def idle(self) -> bool:
        return self.ask is None

    @property
    def has_room(self) -> bool:
        return self.ask is None and not self.retired and self.transport is not None

    def send(self, ask: Ask) -> None:
        assert self.transport is not None
        self.ask = ask
        self.sent_at = self.loop.time()
        self.strays = 0
        self.transport.write(LENGTH.pack(len(ask.message)) + ask.message)

    def abandon(self, ask: Ask) -> str:
        # The reply may still come: nothing else can be asked here.
        self.ask = None
        self.end("")
        return f"{self.reading}: i/o timeout"

    def take_asks(self) -> list[Ask]:
        ask, self.ask = self.ask, None
        return [] if ask is None else [ask]

    def data_received(self, data: bytes) -> None:
        self.heard_at = self.loop.time()
        self.pending += data
        while self.ask is not None and (message := self.next_message()) is not None:
            self.take(message, self.ask)
        if self.ask is None and self.pending:
            # More than was asked for: it would be taken for the reply to the next query.
            self.end("")

    def next_message(self) -> bytes | None:
        """Take one whole message out of what has come."""
        if len(self.pending) < LENGTH.size:
            return None
        end = LENGTH.size + LENGTH.unpack_from(self.pending)[0]
        if len(self.pending) < end:
            return None
        message = bytes(self.pending[LENGTH.size : end])
        del self.pending[:end]
        return message

    def take(self, message: bytes, ask: Ask) -> None:
        """One message from the peer: the reply, or another one, which is skipped."""
        if len(message) < HEADER_BYTES:
            self.end(SHORT)
        elif message[:2] == ask.message[:2]:
            self.ask = None
            self.note_reply(self.sent_at)
            if not self.pending:
                self.pool.offer(self)
            self.deliver(ask, message)
        elif self.strays < MAX_STRAYS:
            self.strays += 1
        else:
            self.end("dns: id mismatch")

    def is_stale(self, exc: Exception | None) -> bool:
        # Half a reply is a look at the query.
        return not self.pending and super().is_stale(exc)

    def read_error(self, exc: Exception | None) -> str:
        return "unexpected EOF" if exc is None and self.pending else super().read_error(exc)


@dataclass(slots=True)
class Exchange:
    """One request and its response. unsent: of the request's body, what flow control has held back."""

    ask: Ask
    sent_at: float
    unsent: bytes = b""
    body: bytearray = field(default_factory=bytearray)


class Http2Connection(Connection):
    """HTTP/2 (RFC 9113) as RFC 8484 uses it: an ask is a request with the message in its body, or in its path."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self.http = _http2_client()
        self.exchanges: dict[int, Exchange] = {}
        self.flushing: asyncio.Handle | None = None
        self.meaningless_bytes = 0
        self.opening = True

    @property
    def idle(self) -> bool:
        return not self.exchanges

    @property
    def has_room(self) -> bool:
        # One stream is always allowed; the peer's SETTINGS are on their way.
        most = 1 if self.opening else min(MAX_STREAMS, self.http.remote_settings.max_concurrent_streams)
        return len(self.exchanges) < most and not self.retired and self.transport is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.http.initiate_connection()
        self.flush()

    # Requests

    def send(self, ask: Ask) -> None:
        stream_id = self.http.get_next_available_stream_id()
        # RFC 8484 section 4.1: ID 0, so that HTTP caches see equal requests.
        message = b"\0\0" + ask.message[2:]
        exchange = self.exchanges[stream_id] = Exchange(ask, self.loop.time())
        if self.pool.stanza.doh_method == "GET":
            encoded = base64.urlsafe_b64encode(message).rstrip(b"=").decode()
            self.http.send_headers(stream_id, self.headers("GET", f"{DOH_PATH}?dns={encoded}"), end_stream=True)
        else:
            headers = self.headers("POST", DOH_PATH)
            headers += [("content-type", DOH_TYPE), ("content-length", str(len(message)))]
            self.http.send_headers(stream_id, headers)
            exchange.unsent = message
            self.push(stream_id, exchange)
        if stream_id + 2 > MAX_STREAM_ID:
            self.retire()
        if self.flushing is None:
            # What is asked together goes out together.
            self.flushing = self.loop.call_soon(self.flush)

    def headers(self, method: str, path: str) -> list[tuple[str, str]]:
        """The header fields of a request."""
        upstream = self.pool.upstream
        host = host_port(upstream.verified_name, upstream.port)
        authority = host.removesuffix(f":{PORTS[HTTPS]}")
        return [
            (":method", method), (":scheme", "https"), (":authority", authority), (":path", path),
            ("accept", DOH_TYPE),
        ]  # fmt: skip

    def push(self, stream_id: int, exchange: Exchange) -> None:
        """Send as much of a body as the peer takes."""
        while exchange.unsent:
            room = min(self.http.local_flow_control_window(stream_id), self.http.max_outbound_frame_size)
            if room <= 0:
                return
            data, exchange.unsent = exchange.unsent[:room], exchange.unsent[room:]
            self.http.send_data(stream_id, data, end_stream=not exchange.unsent)

    def flush(self) -> None:
        """Write what the protocol has to say."""
        if self.flushing is not None:
            self.flushing.cancel()
            self.flushing = None
        data = self.http.data_to_send()
        if self.transport is None or not data:
            return
        self.transport.write(data)
        if self.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self.end(f"write tcp {self.local}->{self.pool.to}: i/o timeout")

    def abandon(self, ask: Ask) -> str:
        stream_id, exchange = next(item for item in self.exchanges.items() if item[1].ask is ask)
        self.reset(stream_id)
        self.flush()
        if self.used_at <= exchange.sent_at < self.loop.time() - SILENCE_S:
            # The peer may be gone without a word, or out of step. New asks take another connection.
            self.retire()
        else:
            self.pool.offer(self)
        return "context deadline exceeded"

    def take_asks(self) -> list[Ask]:
        exchanges, self.exchanges = self.exchanges, {}
        return [exchange.ask for exchange in exchanges.values()]

    def reset(self, stream_id: int) -> None:
        """Part from a request whose response is not wanted."""
        del self.exchanges[stream_id]
        with self.unless_ended():
            self.http.reset_stream(stream_id, CANCEL)

    def unless_ended(self) -> contextlib.suppress:
        """For what is said on a stream: the peer may have ended it, or the connection, by what comes next."""
        from h2.exceptions import ProtocolError

        return contextlib.suppress(ProtocolError)

    # Responses

    def data_received(self, data: bytes) -> None:
        from h2.exceptions import ProtocolError

        self.heard_at = self.loop.time()
        try:
            events = [(type(event).__name__, event) for event in self.http.receive_data(data)]
        except ProtocolError as error:
            # Tells the peer which rule it has broken.
            self.flush()
            self.end(f"http2: {error}", again=self.answered > 0)
            return
        # Responses that come with it still count, but nothing can be sent any more.
        self.retired |= any(name == "ConnectionTerminated" for name, _ in events)
        self.meaningless_bytes = 0 if events else self.meaningless_bytes + len(data)
        if self.meaningless_bytes > MAX_MEANINGLESS_BYTES:
            self.end("http2: frame too large")
        for name, event in events:
            handle = _EVENTS.get(name)
            if handle is not None:
                handle(self, event)
        self.flush()

    def on_response(self, event: Any) -> None:
        """Header fields: only a response of the right kind is read on."""
        headers = dict(event.headers)
        status = headers[b":status"].decode("ascii", "replace")
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("ascii", "replace")
        if status != "200":
            self.fail_exchange(event.stream_id, f"unexpected status {status}; want 200")
        elif kind != DOH_TYPE:
            self.fail_exchange(event.stream_id, f'unexpected content type "{kind}"; want "{DOH_TYPE}"')

    def on_data(self, event: Any) -> None:
        """Part of a message."""
        with self.unless_ended():
            self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        exchange = self.exchanges.get(event.stream_id)
        if exchange is None:
            return
        exchange.body += event.data
        if len(exchange.body) > MAX_MESSAGE_BYTES:
            self.fail_exchange(event.stream_id, "http: response body too large")

    def on_end(self, event: Any) -> None:
        """The response is whole."""
        exchange = self.exchanges.get(event.stream_id)
        if exchange is None:
            return
        if len(exchange.body) < HEADER_BYTES:
            self.fail_exchange(event.stream_id, SHORT)
            return
        if exchange.unsent:
            # The peer has replied without reading all of it.
            self.reset(event.stream_id)
        else:
            del self.exchanges[event.stream_id]
        self.note_reply(exchange.sent_at)
        self.pool.offer(self)
        self.deliver(exchange.ask, exchange.ask.message[:2] + bytes(exchange.body[2:]))

    def on_reset(self, event: Any) -> None:
        """The peer gives up a request; RFC 9113 section 8.7: one that it has refused may be sent again."""
        exchange = self.exchanges.pop(event.stream_id, None)
        if exchange is None:
            return
        self.pool.offer(self)
        lives_on = exchange.ask.silent is self
        if event.error_code != REFUSED_STREAM or lives_on or not self.pool.ask_again(exchange.ask):
            code = getattr(event.error_code, "name", event.error_code)
            exchange.ask.fail(self, f"stream error: stream ID {event.stream_id}; {code}; received from peer")

    def on_goaway(self, event: Any) -> None:
        """The peer will close the connection. What it has not answered yet is asked again: h2 reads no further."""
        code = getattr(event.error_code, "name", event.error_code)
        self.end(f"http2: server sent GOAWAY and closed the connection; ErrCode={code}", again=True)

    def on_settings(self, event: Any) -> None:
        """The peer says how much it takes."""
        self.opening = False
        self.on_room(event)

    def on_room(self, event: Any) -> None:
        """The peer may take more: data, or streams."""
        for stream_id, exchange in self.exchanges.items():
            with self.unless_ended():
                self.push(stream_id, exchange)
        self.pool.offer(self)
        self.pool.dial_as_needed()

    def fail_exchange(self, stream_id: int, error: str) -> None:
        """One response is of no use; others on the connection may be."""
        exchange = self.exchanges.get(stream_id)
        # Whoever has heard of another response may have cancelled this ask meanwhile.
        if exchange is not None:
            self.reset(stream_id)
            self.pool.offer(self)
            exchange.ask.fail(self, error)


# By name, as h2 is not imported before it is needed.
_EVENTS: dict[str, Callable[[Http2Connection, Any], None]] = {
    "ResponseReceived": Http2Connection.on_response,
    "DataReceived": Http2Connection.on_data,
    "StreamEnded": Http2Connection.on_end,
    "StreamReset": Http2Connection.on_reset,
    "ConnectionTerminated": Http2Connection.on_goaway,
    "WindowUpdated": Http2Connection.on_room,
    "RemoteSettingsChanged": Http2Connection.on_settings,
}


def _http2_client() -> H2Connection:
    """The client's side of a connection that wants no pushes."""
    from h2.config import H2Configuration
    from h2.connection import H2Connection
    from h2.settings import SettingCodes, Settings

    # What we send needs no check, and a check costs as much as all the rest.
    config = H2Configuration(
        client_side=True, header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
    )
    http = H2Connection(config)
    wanted = {SettingCodes.ENABLE_PUSH: 0, SettingCodes.MAX_HEADER_LIST_SIZE: 16 * 1024}
    http.local_settings = Settings(client=True, initial_values=wanted)
    return http


def _context(transport: str, stanza: Stanza) -> ssl.SSLContext:
    context = tls_context(stanza)
    if transport == HTTPS:
        context.set_alpn_protocols(["h2"])
    return context


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _tell(done: Done, prefix: str, reply: bytes | None, error: str) -> None:
    text = f"{prefix}{error}" if error else ""
    done(reply, Shortage(text) if isinstance(error, Shortage) else text)


def _tls_error(error: ssl.SSLError, upstream: Upstream) -> str:
    """What Go says of a handshake that fails, as far as OpenSSL tells us why."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = _VERIFY_ERRORS.get(error.verify_code, error.verify_message)
        return f"tls: failed to verify certificate: x509: {reason.replace('{name}', upstream.verified_name)}"
    reason = error.reason or str(error)
    if reason == "WRONG_VERSION_NUMBER":
        return "tls: first record does not look like a TLS handshake"
    alert = _ALERT.search(reason)
    if alert is not None:
        return f"remote error: tls: {alert[1].lower().replace('_', ' ')}"
    return f"tls: {reason.lower().replace('_', ' ')}"
