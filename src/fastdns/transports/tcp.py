"""DNS over TCP (RFC 7766): moves messages between connections and the chain, on the event-loop thread.

Queries on a connection are answered as they finish, in any order (RFC 7766 section 6.2.1.1).
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from fastdns.dns._framing import append_framed, count_messages, framed, message_at
from fastdns.transports import Peer, Serve
from fastdns.transports._slow import PARKED, Messages
from fastdns.transports.clients import Clients
from fastdns.transports.limits import Limits
from fastdns.transports.stream import READ_BYTES, WRITE_HIGH_BYTES, ClientStream


class TcpConnection(ClientStream):
    """Frames in, frames out."""

    def __init__(
        self,
        serve: Serve,
        limits: Limits,
        clients: Clients,
        serve_at: Callable[[bytes], Serve] | None = None,
        peer: Peer | None = None,
    ) -> None:
        super().__init__(serve, limits, clients, serve_at, peer)
        self.pending = bytearray()

    def connection_lost(self, exc: Exception | None) -> None:
        while self.series:
            self.series.popleft().close(self.why)
        super().connection_lost(exc)

    def take(self, data: bytes | memoryview) -> None:
        if not self.finishing:
            self.pending += data
            self.answer_pending()
        elif len(self.pending) < READ_BYTES:
            # To be counted.
            self.pending += data

    def unserved(self) -> int:
        return count_messages(self.pending)

    def pending_bytes(self) -> int:
        return sys.getsizeof(self.pending) if self.pending else 0

    def answer_pending(self) -> None:
        """Answer every whole message that has come, unless replies are left unread or the client has to wait."""
        if self.deferred:
            return
        at = count = 0
        replies = bytearray()
        left = begun = self.clients.turns.allowance(self.owner)
        while self.takes_more() and (message := message_at(self.pending, at)) is not None:
            if not left:
                self.deferred = True
                break
            left -= 1
            at += 2 + len(message)
            self.asked += 1
            reply = self.serve(message, self.address, self.port, self.deliver)
            if reply is PARKED:
                self.waiting += 1
            elif isinstance(reply, bytes):
                append_framed(replies, reply)
                count += 1
            elif isinstance(reply, Messages):
                self.begin_series(reply)
            if len(replies) >= WRITE_HIGH_BYTES:
                # May pause this connection: then the rest of the input waits.
                self.send(bytes(replies), count)
                replies.clear()
                count = 0
            if 0 <= self.limits.max_queries <= self.asked:
                self.finish_for("max_queries")
        self.owner.left -= begun - left
        del self.pending[:at]
        if self.transport is None or self.closing:
            return
        if replies:
            self.send(bytes(replies), count)
        if at:
            self.clients.touch(self)
        if self.deferred:
            self.clients.turns.defer(self)
        self.read_on()
        self.settle(progress=bool(at))

    def begin_series(self, reply: Messages) -> None:
        """Send a reply of several messages from now on."""
        self.series.append(reply)
        if len(self.series) == 1:
            self.clients.series.add(self)

    def send_next(self) -> None:
        """Send the next message of a reply of several. A client that does not read gets none."""
        if self.transport is None or self.closing or self.paused or not self.series:
            return
        message = self.series[0].next()
        if message is PARKED:
            self.clients.series.add(self)
            return
        if not isinstance(message, bytes):
            # It cannot go on. The client must not take what it has for the whole.
            self.end("unread")
            return
        if message:
            self.send(framed(message), 0)
        else:
            self.series.popleft()
        if self.closing:
            return
        if self.series and not self.paused:
            self.clients.series.add(self)
        elif not self.series:
            self.answer_pending()
        if not self.closing:
            self.read_on()
            self.settle(progress=True)
        self.clients.held.count(self)

    def deliver(self, reply: bytes | Messages | None) -> bool:
        """Send the reply to a query that has waited for an upstream. Returns False where the client is gone."""
        self.waiting -= 1
        if self.transport is None or self.closing:
            return False
        if isinstance(reply, Messages):
            self.begin_series(reply)
        elif reply is not None:
            self.send(framed(reply), 1)
        if self.pending:
            self.answer_pending()
        if not self.closing:
            self.read_on()
            self.settle(progress=True)
        self.clients.held.count(self)
        return True
