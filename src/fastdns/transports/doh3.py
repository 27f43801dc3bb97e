"""DNS over HTTPS by HTTP/3 (RFC 8484, RFC 9114): a request a stream. ``doh`` has what it asks, and the response."""

from __future__ import annotations

from typing import Any

from qh3.h3.connection import ErrorCode, ProtocolError
from qh3.h3.events import DataReceived, HeadersReceived
from qh3.quic.connection import QuicConnectionError
from qh3.quic.events import StopSendingReceived, StreamDataReceived, StreamReset

from fastdns.dns._framing import MAX_MESSAGE_BYTES
from fastdns.http.http3 import MAX_CONTROL_BYTES, MAX_HEADER_BYTES, MOST_HEADER_BYTES, Http3
from fastdns.transports._doh import question
from fastdns.transports.doh import answered, refused
from fastdns.transports.doq import EXCESSIVE, UNIDIRECTIONAL
from fastdns.transports.quic_connection import QuicConnection

OK, TOO_LARGE, HEADERS_TOO_LARGE, NO_REPLY = 200, 413, 431, 500
FIELD_EXTRA_BYTES = 32
# What a stream may bring: headers, the longest message, frames around it.
STREAM_BYTES = 2 * MOST_HEADER_BYTES
# Control, encoder, decoder, and some that say nothing (RFC 9114 section 6.2).
UNI_STREAMS = 8


class Request:
    """One that is not whole. status: of its refusal, as far as that is known."""

    __slots__ = ("content", "media_type", "method", "received", "status", "target")

    def __init__(self) -> None:
        self.method = self.target = b""
        self.media_type: bytes | None = None
        self.content = bytearray()
        self.status = 0
        # Bytes of the stream.
        self.received = 0


class Doh3Connection(QuicConnection):
    """Requests in, responses out."""

    stream_bytes = STREAM_BYTES
    uni_streams = UNI_STREAMS

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.http: Http3 | None = None
        self.requests: dict[int, Request] = {}
        # Streams whose requests have the method HEAD, until they are answered.
        self.heads: set[int] = set()

    def begin(self, protocol: str) -> None:
        self.http = Http3(self.session)

    # Requests

    def stream_data(self, stream: int, data: bytes, ended: bool) -> None:
        http = self.http
        if http is None:
            return
        if not stream & UNIDIRECTIONAL:
            request = self.requests.get(stream)
            if request is None:
                request = self.requests[stream] = Request()
                self.begun[stream] = self.loop.time()
            request.received += len(data)
            self.begun_bytes += len(data)
        for event in http.handle_event(StreamDataReceived(data, ended, stream)):
            if isinstance(event, HeadersReceived):
                self.headers(event.stream_id, event.headers)
            elif isinstance(event, DataReceived):
                self.content(event.stream_id, event.data)
            else:
                continue
            if event.stream_ended:
                self.whole(event.stream_id)
        if stream & UNIDIRECTIONAL and http.control_bytes(stream) > MAX_CONTROL_BYTES:
            self.close("held_bytes")

    def headers(self, stream: int, headers: list[tuple[bytes, bytes]]) -> None:
        """The fields of a request; or what follows its content, which says nothing here."""
        request = self.requests.get(stream)
        if request is None or request.method:
            return
        size = 0
        for name, value in headers:
            size += len(name) + len(value) + FIELD_EXTRA_BYTES
            if name == b":method":
                request.method = value
            elif name == b":path":
                request.target = value
            elif name == b"content-type":
                request.media_type = value
        if size > MAX_HEADER_BYTES:
            request.status = HEADERS_TOO_LARGE

    def content(self, stream: int, data: bytes) -> None:
        """Some of the content of a request."""
        request = self.requests.get(stream)
        if request is None:
            return
        if len(request.content) + len(data) > MAX_MESSAGE_BYTES:
            request.status = request.status or TOO_LARGE
            request.content.clear()
        elif not request.status:
            request.content += data

    def whole(self, stream: int) -> None:
        """A request has ended."""
        request = self.requests.get(stream)
        if request is None:
            return
        self.stream_gone(stream)
        if request.method == b"HEAD":
            self.heads.add(stream)
        status, message = request.status, b""
        if not status:
            status, message = question(request.method, request.target, request.media_type, bytes(request.content))
        if status != OK:
            self.refuse(stream, status)
            return
        self.ready.append((stream, message))
        self.ready_bytes += len(message)

    def stream_gone(self, stream: int) -> None:
        self.heads.discard(stream)
        request = self.requests.pop(stream, None)
        if request is not None:
            self.begun_bytes -= request.received
            self.begun.pop(stream, None)

    def forget_stream(self, stream: int) -> None:
        if self.http is not None:
            # What follows on the stream is none of a request.
            self.http.handle_event(StreamReset(0, stream))
            self.http.handle_event(StopSendingReceived(0, stream))
        super().forget_stream(stream)

    # Responses

    def respond(self, stream: int, status: int, fields: list[tuple[bytes, bytes]], content: bytes) -> None:
        """Send a response."""
        http = self.http
        if http is None:
            return
        self.count(status)
        head = stream in self.heads
        self.heads.discard(stream)
        bare = head or not content
        self.written += len(content)
        self.unsent.append(stream)
        try:
            http.send_headers(stream, [(b":status", b"%d" % status), *fields], end_stream=bare)
            if not bare:
                http.send_data(stream, content, end_stream=True)
        except (ProtocolError, QuicConnectionError, ValueError):
            # The client has given the stream up.
            return

    def refuse(self, stream: int, status: int) -> None:
        """Respond with a status alone."""
        self.respond(stream, status, *refused(status))

    def reply(self, stream: int, reply: bytes) -> None:
        self.respond(stream, OK, *answered(reply))

    def silence(self, stream: int) -> None:
        self.refuse(stream, NO_REPLY)

    # Its end

    def time_out(self, why: str) -> None:
        if self.begun and not self.paused and why == "idle":
            # A request that does not end.
            self.close("idle", int(ErrorCode.H3_REQUEST_INCOMPLETE))
        else:
            super().time_out(why)

    def close_code(self, why: str) -> int:
        return int(ErrorCode.H3_EXCESSIVE_LOAD if why in EXCESSIVE else ErrorCode.H3_NO_ERROR)
