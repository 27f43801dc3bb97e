"""Connections to upstreams over HTTPS: HTTP/2 as RFC 8484 uses it, with many asks at a time.

Imported only if a stanza has an https upstream: http/http2.py takes 1.5 MB of memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from h2.errors import ErrorCodes

from fastdns.dns._framing import MAX_MESSAGE_BYTES
from fastdns.http.http2 import FrameTooLargeError, Http2Error, Http2Streams, Outgoing, Request
from fastdns.plugins.forward import doh
from fastdns.plugins.forward.asks import Ask
from fastdns.plugins.forward.connection import HEADER_BYTES, Owner, StreamConnection
from fastdns.plugins.forward.texts import SHORT

# If an ask times out on a connection that was silent for so long, the connection gets no new asks.
SILENCE_S = 1.0


class Http2Connection(Outgoing, StreamConnection):
    """Each ask is a request with the message in its body (POST) or in its path (GET)."""

    shared = True
    alpn = "h2"

    def __init__(self, pool: Owner) -> None:
        super().__init__(pool)
        self.streams: Http2Streams[Ask] = Http2Streams(self, MAX_MESSAGE_BYTES)
        self.opening = True

    @property
    def idle(self) -> bool:
        return not self.streams.requests

    @property
    def has_room(self) -> bool:
        return self.streams.has_room and not self.retired and self.transport is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.streams.begin()
        self.flush()

    # Requests

    def send(self, ask: Ask) -> None:
        headers, body = doh.request(self.pool.upstream, self.pool.stanza.doh_method, ask.message)
        self.streams.ask(ask, self.loop.time(), headers, body)
        if self.streams.used_up:
            self.retire()
        self.flush_soon()

    def unread(self) -> None:
        self.end(f"write tcp {self.local}->{self.pool.to}: i/o timeout")

    def abandon(self, ask: Ask) -> str:
        request = self.streams.cancel(ask)
        self.flush()
        if self.used_at <= request.sent_at < self.loop.time() - SILENCE_S:
            # The upstream may be gone, or stuck. New asks use another connection.
            self.retire()
        else:
            self.pool.offer(self)
        return "context deadline exceeded"

    def take_asks(self) -> list[Ask]:
        return [request.asker for request in self.streams.take_requests()]

    # Responses

    def data_received(self, data: bytes) -> None:
        self.heard_at = self.loop.time()
        try:
            self.streams.receive(data)
        except Http2Error as error:
            # Sends the GOAWAY with the error to the upstream.
            self.flush()
            again = self.answered > 0 and not isinstance(error, FrameTooLargeError)
            self.end(f"http2: {error}", again=again)
            return
        self.flush()

    def head(self, request: Request[Ask], headers: Mapping[bytes, bytes]) -> str:
        """A response with a wrong status or content type fails its request."""
        return doh.refusal(headers[b":status"], headers.get(b"content-type", b""))

    def complete(self, request: Request[Ask]) -> None:
        """A response is whole."""
        if len(request.body) < HEADER_BYTES:
            self.failed(request, SHORT)
            return
        self.note_reply(request.sent_at)
        self.pool.offer(self)
        self.deliver(request.asker, request.asker.message[:2] + bytes(request.body[2:]))

    def failed(self, request: Request[Ask], why: str) -> None:
        """A response is none."""
        self.pool.offer(self)
        request.asker.fail(self, why)

    def refused(self, request: Request[Ask], stream_id: int, code: object) -> None:
        """With REFUSED_STREAM a request may be sent again (RFC 9113 section 8.7)."""
        self.pool.offer(self)
        name = getattr(code, "name", code)
        error = f"stream error: stream ID {stream_id}; {name}; received from peer"
        if code == ErrorCodes.REFUSED_STREAM:
            self.start_again(request.asker, error)
        else:
            request.asker.fail(self, error)

    def ends(self) -> None:
        """Nothing can be sent any more."""
        self.retired = True

    def gone(self, code: object) -> None:
        """The upstream closes the connection. Unanswered asks start again."""
        name = getattr(code, "name", code)
        self.end(f"http2: server sent GOAWAY and closed the connection; ErrCode={name}", again=True)

    def room(self) -> None:
        """The upstream may accept more data or streams than before."""
        self.opening = self.streams.opening
        self.pool.offer(self)
        self.pool.dial_as_needed()
