"""DNS over TCP (RFC 7766): moves messages between connections and the chain, on the event-loop thread.

Queries on a connection are answered as they finish, in any order (RFC 7766 section 6.2.1.1).
"""

from __future__ import annotations

import sys
from collections import deque

from fastdns.dns._framing import count_messages, framed
from fastdns.transports._framed import FramedConnection
from fastdns.transports._slow import PARKED, Messages
from fastdns.transports.stream import ClientStream


class TcpConnection(FramedConnection, ClientStream):
    """Frames in, frames out. FramedConnection is the way of a query that is answered at once."""

    def connection_lost(self, exc: Exception | None) -> None:
        while self.series:
            self.series.popleft().close(self.why)
        super().connection_lost(exc)

    def unserved(self) -> int:
        return count_messages(self.pending)

    def pending_bytes(self) -> int:
        return sys.getsizeof(self.pending) if self.pending else 0

    def begin_series(self, reply: Messages) -> None:
        """Send a reply of several messages from now on."""
        if self.series is None:
            self.series = deque()
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
