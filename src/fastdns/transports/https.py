"""DNS over HTTPS (RFC 8484): requests of HTTP/2 or HTTP/1.1 on one connection, and their responses.

The version is known by the first bytes: a client of HTTP/2 begins with the preface (RFC 9113 section 3.4). Without
TLS the same is spoken in plain text, as CoreDNS does it. The requests of one connection of HTTP/2 are answered as
they finish, in any order; those of HTTP/1.1 one after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

from fastdns.transports import Peer, Serve
from fastdns.transports._doh2 import DohHttp2
from fastdns.transports._http2 import PREFACE
from fastdns.transports._slow import PARKED, Messages
from fastdns.transports.clients import Clients
from fastdns.transports.limits import Limits
from fastdns.transports.stream import MAX_WAITING, WRITE_MOST_BYTES, ClientStream

if TYPE_CHECKING:
    from fastdns.transports.places import Places

OK, NO_REPLY = 200, 500
# output has said all that there is where it says less than this.
FULL_BYTES = 32 * 1024
# What both versions begin with for as long as it may be the preface.
BEGINNING = PREFACE[:4]


class Http(Protocol):
    """One version of HTTP on a connection: bytes in, requests out; responses in, bytes out.

    session_bytes: that it holds for as long as the connection is open. request_bytes: of requests, and of their
    replies that are not sent. unsent_bytes: of these replies.
    """

    @property
    def session_bytes(self) -> int: ...
    @property
    def request_bytes(self) -> int: ...
    @property
    def unsent_bytes(self) -> int: ...

    @property
    def unserved(self) -> int:
        """How many requests next has for now."""

    @property
    def is_over(self) -> bool:
        """Whether the connection is to be closed after what output has."""

    def receive(self, data: bytes | bytearray | memoryview) -> None:
        """Take what has come."""

    def next(self) -> tuple[int, bytes | int] | None:
        """The next request: its stream, and its message or the status of its refusal. None: there is none."""

    def answer(self, stream: int, status: int, reply: bytes | None) -> bool:
        """Respond to a request that next has told of. False where the client has given it up."""

    def output(self) -> bytes:
        """What is to be sent next."""

    def goodbye(self) -> None:
        """Tell the client that nothing more is taken."""


class HttpsConnection(ClientStream):
    """Requests in, responses out. count: of each response, by its status. places: of its listener. max_streams: of
    HTTP/2 at a time."""

    def __init__(
        self,
        serve: Serve,
        limits: Limits,
        clients: Clients,
        serve_at: Callable[[bytes], Serve] | None = None,
        peer: Peer | None = None,
        *,
        count: Callable[[int], object],
        places: Places,
        max_streams: int = MAX_WAITING,
    ) -> None:
        super().__init__(serve, limits, clients, serve_at, peer)
        self.count = count
        self.places = places
        self.max_streams = max_streams
        # Until it is known which version it is: what has come.
        self.beginning = b""
        # What was counted last as held.
        self.counted = 0
        self.http: Http | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.transport is not None:
            self.places.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.places.remove(self)
        super().connection_lost(exc)

    def version(self, beginning: bytes) -> Http | None:
        """What is spoken on a connection that begins like this; None where that is not known yet."""
        if beginning.startswith(BEGINNING):
            return DohHttp2(self.max_streams)
        if BEGINNING.startswith(beginning):
            return None
        from fastdns.transports.http1 import Http1

        # The next request waits in its place until this one is answered.
        self.max_waiting = 1
        return Http1()

    def take(self, data: bytes | bytearray | memoryview) -> None:
        if self.http is None:
            data = self.beginning + bytes(data)
            self.http = self.version(data)
            if self.http is None:
                self.beginning = data
                return
            self.beginning = b""
        self.http.receive(data)
        self.answer_pending()

    def unserved(self) -> int:
        return self.http.unserved if self.http is not None else 0

    def pending_bytes(self) -> int:
        return self.http.request_bytes if self.http is not None else len(self.beginning)

    def data_received(self, data: bytes | bytearray | memoryview) -> None:
        self.take(data)
        http, transport = self.http, self.transport
        if (
            http is None
            or transport is None
            or http.request_bytes
            or http.session_bytes + self.layer_bytes != self.counted
            or transport.get_write_buffer_size()
        ):
            self.clients.held.count(self)

    def held_bytes(self) -> int:
        self.counted = 0
        if self.transport is not None and not self.aborted:
            session = self.http.session_bytes if self.http is not None else 0
            self.counted = super().held_bytes() + session
        return self.counted

    def answer_pending(self) -> None:
        http = self.http
        if self.deferred or http is None:
            return
        asked = self.asked
        # All that there is to send has been sent.
        flushed = False
        left = begun = self.clients.turns.allowance(self.owner)
        while left and self.takes_more() and (request := http.next()) is not None:
            left -= 1
            self.asked += 1
            stream, message = request
            if isinstance(message, int):
                flushed = self.respond(stream, message, None)
                continue
            reply = self.serve(message, self.address, self.port, partial(self.deliver, stream))
            if reply is PARKED:
                self.waiting += 1
            else:
                flushed = self.respond_with(stream, reply)
            if 0 <= self.limits.max_queries <= self.asked:
                http.goodbye()
                self.finish_for("max_queries")
                flushed = False
        self.owner.left -= begun - left
        if not flushed and self.transport is not None and not self.closing:
            self.flush()
        if self.transport is None or self.closing:
            return
        if self.asked > asked:
            self.clients.touch(self)
            self.places.touch(self)
        if not left and http.unserved and self.takes_more():
            self.deferred = True
            self.clients.turns.defer(self)
        self.read_on()
        self.settle(progress=self.asked > asked)

    def respond_with(self, stream: int, reply: object) -> bool:
        """Respond with a reply, or with the status of one that there is none of. False: the client is gone."""
        if isinstance(reply, bytes):
            return self.respond(stream, OK, reply)
        if isinstance(reply, Messages):
            # A response has one message (RFC 8484 section 6).
            reply.close("peer")
        return self.respond(stream, NO_REPLY, None)

    def respond(self, stream: int, status: int, reply: bytes | None) -> bool:
        """Respond to a request, if its client still waits for it."""
        assert self.http is not None
        if not self.http.answer(stream, status, reply):
            return False
        self.count(status)
        # Each response leaves as one TLS record, in one write with others: dnsperf loses those that share a record.
        self.flush()
        return True

    def deliver(self, stream: int, reply: bytes | Messages | None) -> bool:
        """Respond to a request whose query has waited for an upstream. Returns False where the client is gone."""
        self.waiting -= 1
        if self.transport is None or self.closing:
            return False
        sent = self.respond_with(stream, reply)
        self.answer_pending()
        if not self.closing:
            self.read_on()
            self.settle(progress=True)
        self.clients.held.count(self)
        return sent

    def flush(self) -> None:
        """Send what there is, and has room in the client's windows. A client that gives them none is closed."""
        assert self.http is not None
        while not (self.paused or self.closing) and (data := self.http.output()):
            self.send(data, 1)
            if len(data) < FULL_BYTES:
                # There is no more.
                break
        if self.transport is None or self.closing:
            return
        if self.http.unsent_bytes > WRITE_MOST_BYTES and not self.paused:
            self.end("unread")
        elif self.http.is_over:
            self.close(self.why)

    def close(self, why: str) -> None:
        if self.transport is not None and not self.closing and self.http is not None:
            self.http.goodbye()
            if not self.paused and (data := self.http.output()):
                self.transport.write(data)
        super().close(why)
