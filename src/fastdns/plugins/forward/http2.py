"""Connections to upstreams over HTTPS: HTTP/2 as RFC 8484 uses it, with many asks at a time.

Imported only if a stanza has an https upstream: http/http2.py takes 1.5 MB of memory.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping

from h2.errors import ErrorCodes

from fastdns.dns._framing import MAX_MESSAGE_BYTES
from fastdns.http.http2 import FrameTooLargeError, Http2Error, Http2Streams, Outgoing, Request
from fastdns.plugins.forward.asks import Ask
from fastdns.plugins.forward.config import DOH_PATH, HTTPS, PORTS
from fastdns.plugins.forward.connection import HEADER_BYTES, Owner, StreamConnection
from fastdns.plugins.forward.texts import SHORT
from fastdns.plugins.forward.upstreams import host_port

# If an ask times out on a connection that was silent for so long, the connection gets no new asks.
SILENCE_S = 1.0

DOH_TYPE = "application/dns-message"


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
        # RFC 8484 section 4.1: ID 0, so that HTTP caches see equal requests.
        message = b"\0\0" + ask.message[2:]
        if self.pool.stanza.doh_method == "GET":
            encoded = base64.urlsafe_b64encode(message).rstrip(b"=").decode()
            self.streams.ask(ask, self.loop.time(), self.headers("GET", f"{DOH_PATH}?dns={encoded}"))
        else:
            headers = self.headers("POST", DOH_PATH)
            headers += [("content-type", DOH_TYPE), ("content-length", str(len(message)))]
            self.streams.ask(ask, self.loop.time(), headers, message)
        if self.streams.used_up:
            self.retire()
        self.flush_soon()

    def headers(self, method: str, path: str) -> list[tuple[str, str]]:
        """The header fields of a request."""
        upstream = self.pool.upstream
        host = host_port(upstream.verified_name, upstream.port)
        authority = host.removesuffix(f":{PORTS[HTTPS]}")
        return [
            (":method", method), (":scheme", "https"), (":authority", authority), (":path", path),
            ("accept", DOH_TYPE),
        ]  # fmt: skip

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
        status = headers[b":status"].decode("ascii", "replace")
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("ascii", "replace")
        if status != "200":
            return f"unexpected status {status}; want 200"
        return "" if kind == DOH_TYPE else f'unexpected content type "{kind}"; want "{DOH_TYPE}"'

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
        ask = request.asker
        self.pool.offer(self)
        lives_on = ask.silent is self
        if code != ErrorCodes.REFUSED_STREAM or lives_on or not self.pool.ask_again(ask):
            name = getattr(code, "name", code)
            ask.fail(self, f"stream error: stream ID {stream_id}; {name}; received from peer")

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
