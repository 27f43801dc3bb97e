"""Connections to upstreams over HTTPS by HTTP/3 (RFC 9114) as RFC 8484 uses it: a request on a stream."""

from __future__ import annotations

from dataclasses import dataclass, field

from qh3.h3.connection import ErrorCode
from qh3.h3.events import DataReceived, GoawayReceived, H3Event, HeadersReceived
from qh3.quic.events import StreamDataReceived, StreamReset

from fastdns.dns._framing import MAX_MESSAGE_BYTES
from fastdns.http.http3 import MAX_CONTROL_BYTES, MOST_HEADER_BYTES, Http3
from fastdns.plugins.forward import doh
from fastdns.plugins.forward.asks import Ask
from fastdns.plugins.forward.connection import Owner
from fastdns.plugins.forward.quic import QuicConnection, Request, canceled
from fastdns.transports.table import HTTPS3

# RFC 9000 section 2.1: the bit of streams that only one side writes.
UNIDIRECTIONAL = 2
NOT_WHOLE = "http3: a response that is not whole"


@dataclass(slots=True)
class Http3Request(Request):
    """received: bytes of the stream so far. headed: the response has begun, and is one of RFC 8484. length: of the
    body, as its fields have it; b"": they do not."""

    received: int = 0
    headed: bool = False
    length: bytes = b""
    body: bytearray = field(default_factory=bytearray)


class Http3Connection(QuicConnection):
    """Each ask is a request with the message in its body (POST) or in its path (GET)."""

    alpn = HTTPS3.alpn[0]
    # The longest message, its fields, frames around them.
    stream_bytes = MAX_MESSAGE_BYTES + 2 * MOST_HEADER_BYTES
    no_error, protocol_error = int(ErrorCode.H3_NO_ERROR), int(ErrorCode.H3_GENERAL_PROTOCOL_ERROR)
    cancelled = int(ErrorCode.H3_REQUEST_CANCELLED)

    requests: dict[int, Http3Request]  # type: ignore[assignment]

    def __init__(self, pool: Owner) -> None:
        super().__init__(pool)
        self.http: Http3 | None = None

    def begin(self) -> None:
        self.http = Http3(self.quic)

    def write(self, stream: int, ask: Ask) -> Http3Request:
        assert self.http is not None
        fields, body = doh.request(self.pool.upstream, self.pool.stanza.doh_method, ask.message)
        headers = [(name.encode(), value.encode()) for name, value in fields]
        self.http.send_headers(stream, headers, end_stream=not body)
        if body:
            self.http.send_data(stream, body, end_stream=True)
        return Http3Request(ask, self.loop.time())

    def drop(self, stream: int) -> None:
        if self.http is not None:
            self.http.drop(stream)

    # Responses

    def on_data(self, stream: int, data: bytes, ended: bool) -> None:
        http = self.http
        if http is None:
            return
        if stream & UNIDIRECTIONAL:
            for event in http.handle_event(StreamDataReceived(data, ended, stream)):
                self.on_control(event)
            if http.control_bytes(stream) > MAX_CONTROL_BYTES:
                self.break_off("http3: frame too large")
            return
        request = self.requests.get(stream)
        if request is None:
            # Of a request that was cancelled.
            return
        request.received += len(data)
        for event in http.handle_event(StreamDataReceived(data, ended, stream)):
            if stream in self.requests:
                self.on_response(stream, request, event)
        if request.received > self.stream_bytes:
            self.refuse(stream, "http: response body too large")
        elif ended and stream in self.requests and not http.broken:
            self.refuse(stream, NOT_WHOLE)

    def on_control(self, event: H3Event) -> None:
        """The upstream says something about the connection."""
        if isinstance(event, GoawayReceived):
            self.go_away(event.stream_id)
        else:
            self.break_off("http3: a push that was not asked for")

    def on_response(self, stream: int, request: Http3Request, event: H3Event) -> None:
        """Part of a response: fields, some of its body, or fields behind it."""
        if isinstance(event, HeadersReceived) and not request.headed:
            fields = dict(event.headers)
            why = doh.refusal(fields[b":status"], fields.get(b"content-type", b""))
            if why:
                self.refuse(stream, why)
                return
            request.headed, request.length = True, fields.get(b"content-length", b"")
        elif isinstance(event, DataReceived):
            request.body += event.data
            if len(request.body) > MAX_MESSAGE_BYTES:
                self.refuse(stream, "http: response body too large")
                return
        elif not isinstance(event, HeadersReceived):
            # A status below 200, which says nothing here.
            return
        if not event.stream_ended:
            return
        if request.length and request.length != b"%d" % len(request.body):
            self.refuse(stream, NOT_WHOLE)
        else:
            self.drop(stream)
            self.replied(stream, bytes(request.body))

    def refuse(self, stream: int, why: str) -> None:
        """A response is not as it should be: its request fails."""
        request = self.requests.get(stream)
        self.cancel(stream)
        if request is not None:
            self.pool.offer(self)
            request.ask.fail(self, why)

    def on_reset(self, stream: int, code: int) -> None:
        if self.http is not None:
            # The upstream may not end the streams on which it speaks of the connection.
            self.http.handle_event(StreamReset(code, stream))
            self.drop(stream)
        request = self.requests.pop(stream, None)
        if request is None:
            return
        self.pool.offer(self)
        if code == ErrorCode.H3_REQUEST_REJECTED:
            # RFC 9114 section 4.1.1: it may be sent again.
            self.start_again(request.ask, canceled(stream, code))
        else:
            request.ask.fail(self, canceled(stream, code))

    def go_away(self, first: int) -> None:
        """The upstream takes no more requests, and none from a stream on (RFC 9114 section 5.2)."""
        left = [self.requests.pop(stream) for stream in list(self.requests) if stream >= first]
        self.retire()
        for request in left:
            self.start_again(request.ask, "http3: server sent GOAWAY and closed the connection")
