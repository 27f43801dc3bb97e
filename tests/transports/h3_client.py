"""A client of HTTP/3 on a QuicClient."""

from __future__ import annotations

from typing import Any

from qh3.h3.connection import H3Connection
from qh3.h3.events import DataReceived, HeadersReceived
from qh3.quic import events

from tests.transports.quic_client import QuicClient

Response = tuple[int, dict[bytes, bytes], bytes]
MEDIA_TYPE = b"application/dns-message"


class H3Client(QuicClient):
    """Requests, and what came of each, by its stream."""

    def __init__(self, port: int, authority: str | None = None, **options: Any) -> None:
        super().__init__(port, authority, alpn="h3", **options)
        self.responses: dict[int, Response] = {}
        self.http: H3Connection | None = None

    def on(self, event: Any) -> None:
        super().on(event)
        if isinstance(event, events.HandshakeCompleted):
            self.http = H3Connection(self.quic)
        if self.http is None or self.over:
            return
        for told in self.http.handle_event(event):
            if isinstance(told, HeadersReceived):
                fields = dict(told.headers)
                self.responses[told.stream_id] = (int(fields[b":status"]), fields, b"")
            elif isinstance(told, DataReceived):
                status, fields, content = self.responses[told.stream_id]
                self.responses[told.stream_id] = (status, fields, content + told.data)
            if isinstance(told, HeadersReceived | DataReceived) and told.stream_ended:
                self.ended.add(told.stream_id)

    def request(
        self,
        method: bytes,
        path: bytes,
        content: bytes | None = None,
        media_type: bytes = MEDIA_TYPE,
        more: tuple[tuple[bytes, bytes], ...] = (),
        *,
        ended: bool = True,
    ) -> int:
        """Send a request; returns its stream."""
        assert self.http is not None
        stream = self.quic.get_next_available_stream_id()
        fields = [(b":method", method), (b":scheme", b"https"), (b":authority", b"dns.example"), (b":path", path)]
        if content is not None:
            fields.append((b"content-type", media_type))
        self.http.send_headers(stream, [*fields, *more], end_stream=ended and content is None)
        if content is not None:
            self.http.send_data(stream, content, end_stream=ended)
        return stream

    def response(self, stream: int) -> Response:
        """What came of a request."""
        self.run(lambda: self.over or stream in self.ended or stream in self.resets)
        return self.responses[stream]
