"""Connections to upstreams over QUIC (RFC 9000), with many asks at a time: each on a stream of its own.

What is said on streams is the subclass's (doq.py, http3.py). They are imported only if a stanza has an upstream
with quic:// or https3://, because they need qh3.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from qh3.quic import events
from qh3.quic.configuration import QuicConfiguration
from qh3.quic.connection import QuicConnection as Session
from qh3.quic.connection import QuicConnectionError

from fastdns.plugins.forward.asks import Ask
from fastdns.plugins.forward.connection import HEADER_BYTES, Owner, StreamConnection
from fastdns.plugins.forward.texts import SHORT
from fastdns.plugins.forward.upstreams import host_port

# qh3 logs what each peer does wrong.
logging.getLogger("quic").setLevel(logging.CRITICAL)

# Asks at a time on one connection, if the upstream allows as many.
MAX_STREAMS = 100
# If an ask times out on a connection that was silent for so long, the connection gets no new asks.
SILENCE_S = 1.0
# What an upstream may send on all streams that are open.
CONNECTION_BYTES = 1 << 20


@dataclass(slots=True)
class Request:
    """One query that has been sent, until its reply is whole."""

    ask: Ask
    sent_at: float


class QuicConnection(StreamConnection, asyncio.DatagramProtocol):
    """It is the protocol of a UDP socket that is connected to the upstream.

    stream_bytes: what an upstream may send on a stream. no_error, protocol_error, cancelled: the codes of the end
    of a connection, and of a stream whose reply is not needed.
    """

    shared = True
    datagrams = True
    alpn: ClassVar[str]
    stream_bytes: ClassVar[int]
    no_error: ClassVar[int]
    protocol_error: ClassVar[int]
    cancelled: ClassVar[int]

    def __init__(self, pool: Owner) -> None:
        super().__init__(pool)
        stanza, upstream = pool.stanza, pool.upstream
        configuration = QuicConfiguration(
            is_client=True,
            alpn_protocols=[self.alpn],
            server_name=upstream.verified_name,
            verify_mode=ssl.CERT_REQUIRED,
            cafile=stanza.tls.ca,
            # Before it is over, the pool has closed a connection that is idle.
            idle_timeout=stanza.expire_s + 5.0,
            max_data=CONNECTION_BYTES,
            max_stream_data=self.stream_bytes,
        )
        if stanza.tls.certificate is not None:
            configuration.load_cert_chain(stanza.tls.certificate, stanza.tls.key)
        self.quic = Session(configuration=configuration)
        self.requests: dict[int, Request] = {}
        # Done when the handshake is: with "" or with why it has failed.
        self.shaken: asyncio.Future[str] = self.loop.create_future()
        self.flushing: asyncio.Handle | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.opening = True

    # What subclasses say

    def begin(self) -> None:
        """The handshake is complete."""

    def write(self, stream: int, ask: Ask) -> Request:
        """Send the query of an ask on a new stream, and end it. Raises QuicConnectionError or ValueError."""
        raise NotImplementedError

    def on_data(self, stream: int, data: bytes, ended: bool) -> None:
        """Something has come on a stream, which may be of no request any more."""
        raise NotImplementedError

    def on_reset(self, stream: int, code: int) -> None:
        """The upstream sends no more on a stream."""
        self.fail(stream, canceled(stream, code))

    def drop(self, stream: int) -> None:
        """Nothing of a stream is needed any more."""

    # What is asked of every connection

    @property
    def reading(self) -> str:
        return f"read udp {self.local}->{self.pool.to}"

    @property
    def idle(self) -> bool:
        return not self.requests

    @property
    def has_room(self) -> bool:
        if self.retired or self.transport is None or self.opening or len(self.requests) >= MAX_STREAMS:
            return False
        most, _, opened, _ = self.quic._core.stream_limits
        return bool(opened < most)

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.local = host_port(*transport.get_extra_info("sockname")[:2])
        self.pool.connections.add(self)
        self.quic.connect(transport.get_extra_info("peername"), now=self.loop.time())
        self.flush()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.heard_at = self.loop.time()
        with self.unless_broken():
            self.quic.receive_datagram(data, addr, now=self.loop.time())
        self.follow()

    def error_received(self, exc: Exception) -> None:
        # Nobody is there, or no way leads there.
        self.lose(self.read_error(exc))

    def connection_lost(self, exc: Exception | None) -> None:
        self.lose(self.read_error(exc))

    def lose(self, error: str) -> None:
        """It has ended, for what reason ever."""
        again = self.answered > 0
        transport, self.transport = self.transport, None
        if self.timer is not None:
            self.timer.cancel()
        self.pool.connections.discard(self)
        self.ending = error
        if not self.shaken.done():
            self.shaken.set_result(error)
        self.end(error, again=again)
        if transport is not None:
            transport.abort()
            self.pool.dial_as_needed()

    # Queries

    def send(self, ask: Ask) -> None:
        try:
            stream = self.quic.get_next_available_stream_id()
            self.requests[stream] = self.write(stream, ask)
        except (QuicConnectionError, ValueError) as error:
            ask.fail(self, f"quic: {error}")
            self.retire()
            return
        if self.flushing is None:
            # Queries of one iteration of the event loop leave together.
            self.flushing = self.loop.call_soon(self.flush)

    def abandon(self, ask: Ask) -> str:
        stream, request = next(item for item in self.requests.items() if item[1].ask is ask)
        self.cancel(stream)
        self.flush()
        if self.used_at <= request.sent_at < self.loop.time() - SILENCE_S:
            # The upstream may be gone, or stuck. New asks use another connection.
            self.retire()
        else:
            self.pool.offer(self)
        return "context deadline exceeded"

    def cancel(self, stream: int) -> None:
        """Tell the upstream that a reply is not needed."""
        self.requests.pop(stream, None)
        self.drop(stream)
        with self.unless_broken():
            self.quic.stop_stream(stream, self.cancelled)

    def take_asks(self) -> list[Ask]:
        requests, self.requests = self.requests, {}
        return [request.ask for request in requests.values()]

    def unless_broken(self) -> contextlib.suppress:
        """For actions on a connection that may have been closed."""
        return contextlib.suppress(QuicConnectionError, ValueError, AssertionError)

    def flush(self) -> None:
        """Send what QUIC has to say, and set the clock for what it has to do later."""
        if self.flushing is not None:
            self.flushing.cancel()
            self.flushing = None
        if self.transport is None:
            return
        with self.unless_broken():
            for data, _ in self.quic.datagrams_to_send(now=self.loop.time()):
                cast(asyncio.DatagramTransport, self.transport).sendto(data)
        at = self.quic.get_timer()
        if self.timer is not None:
            self.timer.cancel()
        self.timer = None if at is None else self.loop.call_at(at, self.on_time)

    def on_time(self) -> None:
        """QUIC has something to do."""
        self.timer = None
        with self.unless_broken():
            self.quic.handle_timer(now=self.loop.time())
        self.follow()

    # Replies

    def follow(self) -> None:
        """Act on what QUIC tells."""
        while (event := self.quic.next_event()) is not None:
            if isinstance(event, events.StreamDataReceived):
                self.on_data(event.stream_id, event.data, event.end_stream)
            elif isinstance(event, events.StreamReset):
                self.on_reset(event.stream_id, event.error_code)
            elif isinstance(event, events.HandshakeCompleted):
                self.opening = False
                self.begin()
                if not self.shaken.done():
                    self.shaken.set_result("")
        closed = self.quic._close_event
        self.flush()
        if self.transport is None:
            return
        if closed is not None:
            self.lose(closing(closed, self.pool.upstream.verified_name))
        elif not self.opening and self not in self.pool.usable and self.has_room:
            self.pool.offer(self)

    def replied(self, stream: int, reply: bytes) -> None:
        """The reply to a query is whole; its ID is 0."""
        request = self.requests.pop(stream)
        if len(reply) < HEADER_BYTES:
            self.pool.offer(self)
            request.ask.fail(self, SHORT)
            return
        self.note_reply(request.sent_at)
        self.pool.offer(self)
        self.deliver(request.ask, request.ask.message[:2] + reply[2:])

    def fail(self, stream: int, error: str) -> None:
        """The upstream has no reply to a query, if the stream has one."""
        request = self.requests.pop(stream, None)
        if request is not None:
            self.pool.offer(self)
            request.ask.fail(self, error)

    # Its end

    def break_off(self, error: str) -> None:
        """The upstream breaks the protocol."""
        self.bid_farewell(self.protocol_error)
        self.lose(error)

    def bid_farewell(self, code: int) -> None:
        """Say that the connection is over."""
        with self.unless_broken():
            self.quic.close(code)
        self.flush()

    def retire(self) -> None:
        self.retired, self.opening = True, False
        self.pool.usable.pop(self, None)
        if self.idle and self.transport is not None:
            self.bid_farewell(self.no_error)
            self.lose("")

    def end(self, error: str, *, again: bool = False) -> None:
        if self.transport is not None:
            self.bid_farewell(self.no_error)
        super().end(error, again=again)


def canceled(stream: int, code: int) -> str:
    """The error text of a stream that the upstream has reset."""
    return f"quic: stream {stream} canceled by remote with error code {code}"


def closing(event: Any, name: str) -> str:
    """The error text of a connection that either side has closed. An application's end concerns no frame."""
    reason = event.reason_phrase
    if event.frame_type is not None and event.error_code >= 0x100:
        # RFC 9001 section 4.8: an alert of TLS.
        return f"tls: failed to verify certificate: x509: {reason} ({name})" if reason else "tls: handshake failure"
    return f"quic: connection closed with error code {int(event.error_code)}" + (f": {reason}" if reason else "")
