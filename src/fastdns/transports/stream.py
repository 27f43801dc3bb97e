"""What connections of clients have in common, whatever stands on the stream: places, turns, bounds, and their end.

A connection is closed when it is idle, when its client does not read, when it has asked as often as it may, or when
``Clients`` says so.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections import deque
from collections.abc import Callable
from typing import cast

from fastdns.transports import Peer, Serve
from fastdns.transports._slow import Messages
from fastdns.transports.client import Client
from fastdns.transports.clients import Clients
from fastdns.transports.limits import Limits
from fastdns.transports.unsent import Unsent

# What is read at once, of one connection.
READ_BYTES = 16 * 1024
# At so many bytes of replies that its client has not read, no more queries of a connection are read.
WRITE_HIGH_BYTES = 64 * 1024
# Replies to earlier queries still come. At so many bytes the connection is closed.
WRITE_MOST_BYTES = 512 * 1024
# Queries of one connection that wait for upstreams. With so many of them no more queries are read.
MAX_WAITING = 128

# Everything is read into this buffer, and copied out of it before anything else is read.
BUFFER = bytearray(READ_BYTES)


class ClientStream(asyncio.BufferedProtocol):
    """The connection of one client. What stands on the stream is a derived class's: take, answer_pending, and how
    much has come that is not served.

    serve_at: of a listener on every address, what serves the messages of a connection to one of them. peer: for
    whom a proxy has made the connection.
    """

    def __init__(
        self,
        serve: Serve,
        limits: Limits,
        clients: Clients,
        serve_at: Callable[[bytes], Serve] | None = None,
        peer: Peer | None = None,
    ) -> None:
        self.serve = serve
        self.serve_at = serve_at
        self.limits = limits
        self.clients = clients
        self.peer = peer
        self.transport: asyncio.Transport | None = None
        self.address = b"\0\0\0\0"
        self.port = 0
        self.owner = Client(self.address)
        # What a layer around it takes for as long as it is open.
        self.layer_bytes = 0
        self.asked = 0
        self.waiting = 0
        self.max_waiting = MAX_WAITING
        self.paused = False
        # Replies of several messages that are being sent, one after the other. Other queries wait meanwhile.
        self.series: deque[Messages] | None = None
        self.reading = True
        # Its next queries wait for the client's next turn.
        self.deferred = False
        # The client sends no more.
        self.ended = False
        # Nothing more is served: it closes when all that was asked is answered.
        self.finishing = False
        self.closing = False
        self.aborted = False
        self.why = "peer"
        self.deadline = float("inf")
        self.unsent = Unsent()

    # What a derived class does

    def take(self, data: bytes | memoryview) -> None:
        """Keep what has come, and answer what may be answered now."""
        raise NotImplementedError

    def answer_pending(self) -> None:
        """Answer every whole query that has come, unless replies are left unread or the client has to wait."""
        raise NotImplementedError

    def unserved(self) -> int:
        """How many whole queries have come that are not served."""
        raise NotImplementedError

    def send_next(self) -> None:
        """Send the next message of a reply of several, where it has such replies: see Series."""
        raise NotImplementedError

    def pending_bytes(self) -> int:
        """What is held in memory of queries, whole or not; 0 where nothing of a query has come."""
        raise NotImplementedError

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        peer = self.peer or transport.get_extra_info("peername") or ("0.0.0.0", 0)
        self.address = ipaddress.ip_address(peer[0].partition("%")[0]).packed
        self.port = peer[1]
        if self.serve_at is not None and (local := transport.get_extra_info("sockname")):
            self.serve = self.serve_at(ipaddress.ip_address(local[0].partition("%")[0]).packed)
        self.owner = self.clients.client(self.address)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)
        self.deadline = self.clients.loop.time() + self.limits.read_s
        self.clients.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if exc is not None and self.paused:
            # The event loop does not tell any more how much of it the kernel had taken.
            self.clients.failed("unread", self.unsent.replies())
        self.clients.failed("unserved", self.unserved())
        self.clients.gone(self, self.why)

    def get_buffer(self, sizehint: int) -> bytearray:
        return BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(memoryview(BUFFER)[:nbytes])

    def data_received(self, data: bytes | memoryview) -> None:
        """Take what has come."""
        self.take(data)
        self.clients.held.count(self)

    def eof_received(self) -> bool:
        # Closing sends the replies that are there. Other queries are answered first.
        self.ended = True
        return self.waiting > 0 or bool(self.series) or (self.unserved() > 0 and not self.finishing)

    def pause_writing(self) -> None:
        self.paused = True
        if self.closing:
            return
        self.deadline = self.clients.loop.time() + self.limits.write_s
        self.read_on()
        self.clients.leaves_unread(self)

    def resume_writing(self) -> None:
        self.paused = False
        self.clients.reads_again(self)
        if self.closing:
            return
        if self.transport is not None:
            if self.series:
                self.clients.series.add(self)
            self.answer_pending()
            if not self.closing:
                self.read_on()
                self.settle(progress=True)
            self.clients.held.count(self)

    # Queries and replies

    def catch_up(self) -> None:
        """Serve what was deferred: the client has its next turn."""
        self.deferred = False
        if self.transport is not None and not self.closing:
            self.answer_pending()
            self.clients.held.count(self)

    def takes_more(self) -> bool:
        """Whether another message may be answered now."""
        return (
            self.transport is not None
            and not (self.paused or self.closing or self.finishing or self.series)
            and self.waiting < self.max_waiting
        )

    def send(self, data: bytes, replies: int) -> None:
        """Send replies. Closes the connection instead where the client leaves too many unread."""
        transport = self.transport
        assert transport is not None
        unsent = transport.get_write_buffer_size()
        if unsent > WRITE_MOST_BYTES:
            self.clients.failed("unread", replies)
            self.end("unread")
            return
        self.unsent.update(unsent)
        self.unsent.add(len(data), replies)
        transport.write(data)

    def read_on(self) -> None:
        """Read, unless there is enough to do: then what the client sends stays in its own buffers."""
        wanted = not (self.paused or self.deferred or self.series or self.waiting >= self.max_waiting)
        if self.transport is not None and wanted != self.reading and not self.ended:
            self.reading = wanted
            if wanted:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def held_bytes(self) -> int:
        """What it holds in memory now: queries that are not whole or not served, and replies that are not read."""
        if self.transport is None or self.aborted:
            return 0
        self.unsent.update(self.transport.get_write_buffer_size())
        return self.layer_bytes + self.pending_bytes() + self.unsent.held_bytes()

    # Its end

    def settle(self, *, progress: bool) -> None:
        """Set the deadline that follows from what the connection waits for, or close it."""
        if self.paused:
            return
        if self.waiting or self.deferred or self.series:
            # Each of these ends in time.
            self.deadline = float("inf")
        elif self.finishing or (self.ended and not self.unserved()):
            self.close(self.why)
        elif self.clients.draining and not self.pending_bytes():
            self.close("drained")
        elif progress:
            # A message that comes byte by byte has as long as an idle connection, not longer.
            self.deadline = self.clients.loop.time() + self.limits.idle_s

    def finish_for(self, why: str) -> None:
        """Take no more queries."""
        self.finishing = True
        self.why = why

    def close_when_quiet(self) -> None:
        """Close now, unless a first query, half a message or unread replies are on their way."""
        if self.asked and not (self.pending_bytes() or self.paused or self.waiting or self.series):
            self.close("drained")

    def close(self, why: str) -> None:
        """Take no more queries, and close after sending what is left."""
        if self.transport is not None and not self.closing:
            self.closing = True
            self.why = why
            if self.transport.get_write_buffer_size():
                self.clients.finish(self, self.limits.write_s)
            else:
                self.clients.remove(self)
            self.transport.close()

    def end(self, why: str) -> None:
        """Close at once. Replies that the client has not read are lost."""
        transport = self.transport
        if transport is None:
            return
        if unsent := transport.get_write_buffer_size():
            self.clients.failed("unread", self.unsent.replies(unsent))
            self.unsent.clear()
            if not self.closing:
                self.why = why
            self.closing = self.aborted = True
            transport.abort()
        else:
            self.close(why)

    def time_out(self, why: str) -> None:
        """Close: the deadline is over, for a client that asks nothing or for one that does not read."""
        if self.paused or self.closing:
            self.end("unread" if self.paused and why == "idle" else why)
        else:
            self.close(why)
