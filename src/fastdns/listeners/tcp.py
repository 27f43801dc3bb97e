"""DNS over TCP (RFC 7766): moves bytes between connections and the chain, on the slow thread's event loop.

A message is two bytes of length and as many bytes. Queries on a connection are answered as they finish, in any
order (RFC 7766 section 6.2.1.1). Connections take turns of so many queries: none keeps the others, or the thread's
other duties, waiting. A connection ends when it is idle, when its peer does not read, when it has asked as often as
it may, or when it has been quiet for longest and a new one needs its place.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from fastdns._slow import PARKED

LENGTH = struct.Struct(">H")
MAX_MESSAGE_BYTES = 65535
# Of replies that wait for one peer to read; its queries are not read meanwhile.
WRITE_HIGH_BYTES = 256 * 1024
CHECK_S = 0.5
# From drain to the end of every connection, whatever it waits for. Less than the supervisor's patience.
DRAIN_S = 4.0

# Of one connection's queries that wait for upstreams; the next ones are not read meanwhile.
MAX_WAITING = 128
# Of one connection's queries before it is the next one's turn.
TURN_QUERIES = 16

Deliver = Callable[[bytes | None], None]
# message, client address, its port, deliver: the reply, None for silence, or PARKED: deliver gets either later.
Serve = Callable[[bytes, bytes, int, Deliver], object]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a connection may take. Times are in seconds; max_queries -1 has no limit."""

    read_s: float = 3.0
    write_s: float = 5.0
    idle_s: float = 10.0
    max_queries: int = -1
    max_connections: int = 4096


class Connections:
    """The open connections of one worker, the longest quiet first. Closes what has run out of time.

    One timer serves all connections: deadlines are looked at each CHECK_S.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, max_connections: int) -> None:
        self.loop = loop
        self.max_connections = max_connections
        self.open: dict[Connection, None] = {}
        # Those that still send what their peers have to read, and will take no more queries.
        self.closing: set[Connection] = set()
        self.draining = False
        self.ends = float("inf")
        self.evicted = 0
        self.timer = loop.call_later(CHECK_S, self.check)

    def add(self, connection: Connection) -> None:
        """Take a new connection; the longest quiet one makes room."""
        self.open[connection] = None
        if len(self.open) > self.max_connections:
            self.evicted += 1
            next(iter(self.open)).make_room()

    def touch(self, connection: Connection) -> None:
        """A connection has asked something: it is the least quiet one now."""
        if self.open.pop(connection, 0) is None:
            self.open[connection] = None

    def finish(self, connection: Connection) -> None:
        """A connection only sends what is left, and has write_s for it."""
        self.open.pop(connection, None)
        self.closing.add(connection)
        connection.deadline = self.loop.time() + connection.limits.write_s

    def remove(self, connection: Connection) -> None:
        """A connection is gone."""
        self.open.pop(connection, None)
        self.closing.discard(connection)

    def check(self) -> None:
        """Close what is past its deadline; cut off what does not read."""
        now = self.loop.time()
        over = now >= self.ends
        for connection in [one for one in (*self.closing, *self.open) if over or now >= one.deadline]:
            connection.time_out()
        self.timer = self.loop.call_later(CHECK_S, self.check)

    def drain(self) -> None:
        """Close every connection as soon as what it has asked is answered and sent."""
        self.draining = True
        self.ends = self.loop.time() + DRAIN_S
        for connection in list(self.open):
            connection.close_when_quiet()

    @property
    def busy(self) -> bool:
        """Whether any connection is left."""
        return bool(self.open or self.closing)


class Connection(asyncio.Protocol):
    """One peer: frames in, frames out."""

    def __init__(self, serve: Serve, limits: Limits, connections: Connections) -> None:
        self.serve = serve
        self.limits = limits
        self.connections = connections
        self.transport: asyncio.Transport | None = None
        self.client = b"\0\0\0\0"
        self.client_port = 0
        self.pending = bytearray()
        self.asked = 0
        self.waiting = 0
        self.paused = False
        self.reading = True
        # It is the others' turn, then this one's again.
        self.queued = False
        # Nothing more is read: it closes when all that was asked is answered.
        self.finishing = False
        self.closing = False
        self.deadline = float("inf")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        transport = self.transport
        peer = transport.get_extra_info("peername") or ("0.0.0.0", 0)
        self.client = ipaddress.ip_address(peer[0].partition("%")[0]).packed
        self.client_port = peer[1]
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)
        self.deadline = self.connections.loop.time() + self.limits.read_s
        self.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.connections.remove(self)

    def data_received(self, data: bytes) -> None:
        if not self.finishing:
            self.pending += data
            self.answer_pending()

    def answer_pending(self) -> None:
        """Answer the whole messages that have come, of a turn, unless the peer leaves replies unread."""
        if self.queued:
            return
        at = turn = 0
        replies = bytearray()
        size = len(self.pending)
        while self.takes_more() and size - at >= 2:
            (length,) = LENGTH.unpack_from(self.pending, at)
            if size - at - 2 < length:
                break
            if turn == TURN_QUERIES:
                self.queued = True
                self.connections.loop.call_soon(self.next_turn)
                break
            message = bytes(self.pending[at + 2 : at + 2 + length])
            at += 2 + length
            turn += 1
            self.asked += 1
            reply = self.serve(message, self.client, self.client_port, self.deliver)
            if reply is PARKED:
                self.waiting += 1
            elif isinstance(reply, bytes):
                replies += LENGTH.pack(len(reply))
                replies += reply
            if len(replies) >= WRITE_HIGH_BYTES:
                # May pause us: what is left of the input waits.
                cast(asyncio.Transport, self.transport).write(bytes(replies))
                replies.clear()
            if 0 <= self.limits.max_queries <= self.asked:
                self.finishing = True
        del self.pending[:at]
        if self.transport is None or self.closing:
            return
        if replies:
            self.transport.write(bytes(replies))
        if at:
            self.connections.touch(self)
        self.read_on()
        self.settle(progress=bool(at))

    def next_turn(self) -> None:
        """The others have had theirs."""
        self.queued = False
        if self.transport is not None and not self.closing:
            self.answer_pending()

    def read_on(self) -> None:
        """Read, or not while there is enough to do: what is not read here waits at the peer's."""
        wanted = not (self.paused or self.queued or self.waiting >= MAX_WAITING)
        if self.transport is not None and wanted != self.reading:
            self.reading = wanted
            if wanted:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def takes_more(self) -> bool:
        """Whether another message may be answered now."""
        return (
            self.transport is not None
            and not (self.paused or self.closing or self.finishing)
            and self.waiting < MAX_WAITING
        )

    def deliver(self, reply: bytes | None) -> None:
        """The reply to a query that has waited for an upstream."""
        self.waiting -= 1
        if self.transport is None or self.closing:
            return
        if reply is not None:
            self.transport.write(LENGTH.pack(len(reply)) + reply)
        if self.pending:
            self.answer_pending()
        if not self.closing:
            self.read_on()
            self.settle(progress=True)

    def settle(self, *, progress: bool) -> None:
        """Set the deadline that follows from what the connection waits for, or close it."""
        if self.paused:
            return
        if self.waiting:
            # Each of them ends in time.
            self.deadline = float("inf")
        elif self.finishing or (self.connections.draining and not self.pending):
            self.close()
        elif progress:
            # A message that dribbles in has as long as an idle connection, not longer.
            self.deadline = self.connections.loop.time() + self.limits.idle_s

    def pause_writing(self) -> None:
        self.paused = True
        if self.closing:
            return
        self.deadline = self.connections.loop.time() + self.limits.write_s
        self.read_on()

    def resume_writing(self) -> None:
        self.paused = False
        if self.closing:
            return
        if self.transport is not None:
            self.answer_pending()
            if not self.closing:
                self.read_on()
                self.settle(progress=True)

    def eof_received(self) -> bool:
        # What has been asked and is answered, closing sends; the rest is answered first.
        self.finishing = True
        return self.waiting > 0

    def close_when_quiet(self) -> None:
        """Close now, unless a first query, half a message or unread replies are on their way."""
        if self.asked and not (self.pending or self.paused or self.waiting):
            self.close()

    def close(self) -> None:
        """Take no more queries, and close after sending what is left."""
        if self.transport is not None and not self.closing:
            self.closing = True
            self.connections.finish(self)
            self.transport.close()

    def make_room(self) -> None:
        """Close at once: another connection needs the place."""
        if self.transport is not None and self.transport.get_write_buffer_size():
            self.transport.abort()
        self.close()

    def time_out(self) -> None:
        """The deadline is over: for a peer that asks nothing, or for one that does not read."""
        if self.transport is not None and (self.paused or self.closing):
            self.transport.abort()
        self.close()
