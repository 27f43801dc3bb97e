"""Connections to upstreams over HTTPS: HTTP/2 (RFC 9113) as RFC 8484 uses it, with many asks at a time.

Imported only if a stanza has an https upstream, because the library h2 takes 1.5 MB of memory.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from fastdns.dns._framing import MAX_MESSAGE_BYTES
from fastdns.plugins.forward.asks import Ask
from fastdns.plugins.forward.config import DOH_PATH, HTTPS, PORTS
from fastdns.plugins.forward.connection import HEADER_BYTES, Owner, StreamConnection
from fastdns.plugins.forward.texts import SHORT
from fastdns.plugins.forward.upstreams import host_port

# RFC 9113 section 6.5.2 recommends that a peer allows no fewer.
MAX_STREAMS = 100
# If an ask times out on a connection that was silent for so long, the connection gets no new asks.
SILENCE_S = 1.0
# The limit on requests and acknowledgements that an upstream leaves unread.
MAX_UNSENT_BYTES = 1024 * 1024
# The limit on bytes in a row that yield no event, such as an incomplete frame. h2 would keep 16 MiB.
MAX_MEANINGLESS_BYTES = 1024 * 1024
# RFC 9113 section 5.1.1
MAX_STREAM_ID = 2**31 - 1

DOH_TYPE = "application/dns-message"


@dataclass(slots=True)
class Request:
    """One request and the response so far. unsent: the part of its body that flow control holds back."""

    ask: Ask
    sent_at: float
    unsent: bytes = b""
    body: bytearray = field(default_factory=bytearray)


class Http2Connection(StreamConnection):
    """Each ask is a request with the message in its body (POST) or in its path (GET)."""

    shared = True
    alpn = "h2"

    def __init__(self, pool: Owner) -> None:
        super().__init__(pool)
        self.http = _http2_client()
        self.requests: dict[int, Request] = {}
        self.flushing: asyncio.Handle | None = None
        self.meaningless_bytes = 0
        self.opening = True

    @property
    def idle(self) -> bool:
        return not self.requests

    @property
    def has_room(self) -> bool:
        # Before the upstream's SETTINGS arrive, only one stream is used.
        most = 1 if self.opening else min(MAX_STREAMS, self.http.remote_settings.max_concurrent_streams)
        return len(self.requests) < most and not self.retired and self.transport is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.http.initiate_connection()
        self.flush()

    # Requests

    def send(self, ask: Ask) -> None:
        stream_id = self.http.get_next_available_stream_id()
        # RFC 8484 section 4.1: ID 0, so that HTTP caches see equal requests.
        message = b"\0\0" + ask.message[2:]
        request = self.requests[stream_id] = Request(ask, self.loop.time())
        if self.pool.stanza.doh_method == "GET":
            encoded = base64.urlsafe_b64encode(message).rstrip(b"=").decode()
            self.http.send_headers(stream_id, self.headers("GET", f"{DOH_PATH}?dns={encoded}"), end_stream=True)
        else:
            headers = self.headers("POST", DOH_PATH)
            headers += [("content-type", DOH_TYPE), ("content-length", str(len(message)))]
            self.http.send_headers(stream_id, headers)
            request.unsent = message
            self.push(stream_id, request)
        if stream_id + 2 > MAX_STREAM_ID:
            self.retire()
        if self.flushing is None:
            # Requests of one iteration of the event loop are written together.
            self.flushing = self.loop.call_soon(self.flush)

    def headers(self, method: str, path: str) -> list[tuple[str, str]]:
        """The header fields of a request."""
        upstream = self.pool.upstream
        host = host_port(upstream.verified_name, upstream.port)
        authority = host.removesuffix(f":{PORTS[HTTPS]}")
        return [
            (":method", method), (":scheme", "https"), (":authority", authority), (":path", path),
            ("accept", DOH_TYPE),
        ]  # fmt: skip

    def push(self, stream_id: int, request: Request) -> None:
        """Send as much of a body as flow control allows."""
        while request.unsent:
            room = min(self.http.local_flow_control_window(stream_id), self.http.max_outbound_frame_size)
            if room <= 0:
                return
            data, request.unsent = request.unsent[:room], request.unsent[room:]
            self.http.send_data(stream_id, data, end_stream=not request.unsent)

    def flush(self) -> None:
        """Write the pending output of the protocol."""
        if self.flushing is not None:
            self.flushing.cancel()
            self.flushing = None
        data = self.http.data_to_send()
        if self.transport is None or not data:
            return
        self.transport.write(data)
        if self.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self.end(f"write tcp {self.local}->{self.pool.to}: i/o timeout")

    def abandon(self, ask: Ask) -> str:
        stream_id, request = next(item for item in self.requests.items() if item[1].ask is ask)
        self.reset(stream_id)
        self.flush()
        if self.used_at <= request.sent_at < self.loop.time() - SILENCE_S:
            # The upstream may be gone, or stuck. New asks use another connection.
            self.retire()
        else:
            self.pool.offer(self)
        return "context deadline exceeded"

    def take_asks(self) -> list[Ask]:
        requests, self.requests = self.requests, {}
        return [request.ask for request in requests.values()]

    def reset(self, stream_id: int) -> None:
        """Cancel a request whose response is not needed."""
        del self.requests[stream_id]
        with self.unless_ended():
            self.http.reset_stream(stream_id, ErrorCodes.CANCEL)

    def unless_ended(self) -> contextlib.suppress:
        """For actions on a stream that the upstream may have ended already, in data that is not handled yet."""
        return contextlib.suppress(ProtocolError)

    # Responses

    def data_received(self, data: bytes) -> None:
        self.heard_at = self.loop.time()
        try:
            events = self.http.receive_data(data)
        except ProtocolError as error:
            # Sends the GOAWAY with the error to the upstream.
            self.flush()
            self.end(f"http2: {error}", again=self.answered > 0)
            return
        # Responses in the same data are still handled, but nothing can be sent any more.
        self.retired |= any(isinstance(event, ConnectionTerminated) for event in events)
        self.meaningless_bytes = 0 if events else self.meaningless_bytes + len(data)
        if self.meaningless_bytes > MAX_MEANINGLESS_BYTES:
            self.end("http2: frame too large")
        for event in events:
            handle = HANDLERS.get(type(event))
            if handle is not None:
                handle(self, event)
        self.flush()

    def on_response(self, event: Any) -> None:
        """Header fields: a response with a wrong status or content type fails its request."""
        headers = dict(event.headers)
        status = headers[b":status"].decode("ascii", "replace")
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("ascii", "replace")
        if status != "200":
            self.fail_request(event.stream_id, f"unexpected status {status}; want 200")
        elif kind != DOH_TYPE:
            self.fail_request(event.stream_id, f'unexpected content type "{kind}"; want "{DOH_TYPE}"')

    def on_data(self, event: Any) -> None:
        """Part of a message."""
        with self.unless_ended():
            self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        request = self.requests.get(event.stream_id)
        if request is None:
            return
        request.body += event.data
        if len(request.body) > MAX_MESSAGE_BYTES:
            self.fail_request(event.stream_id, "http: response body too large")

    def on_end(self, event: Any) -> None:
        """The response is complete."""
        request = self.requests.get(event.stream_id)
        if request is None:
            return
        if len(request.body) < HEADER_BYTES:
            self.fail_request(event.stream_id, SHORT)
            return
        if request.unsent:
            # The upstream has replied before it read the whole request.
            self.reset(event.stream_id)
        else:
            del self.requests[event.stream_id]
        self.note_reply(request.sent_at)
        self.pool.offer(self)
        self.deliver(request.ask, request.ask.message[:2] + bytes(request.body[2:]))

    def on_reset(self, event: Any) -> None:
        """The upstream resets a request. With REFUSED_STREAM it may be sent again (RFC 9113 section 8.7)."""
        request = self.requests.pop(event.stream_id, None)
        if request is None:
            return
        self.pool.offer(self)
        lives_on = request.ask.silent is self
        if event.error_code != ErrorCodes.REFUSED_STREAM or lives_on or not self.pool.ask_again(request.ask):
            code = getattr(event.error_code, "name", event.error_code)
            request.ask.fail(self, f"stream error: stream ID {event.stream_id}; {code}; received from peer")

    def on_goaway(self, event: Any) -> None:
        """The upstream closes the connection. Unanswered asks start again, because h2 reads no further data."""
        code = getattr(event.error_code, "name", event.error_code)
        self.end(f"http2: server sent GOAWAY and closed the connection; ErrCode={code}", again=True)

    def on_settings(self, event: Any) -> None:
        """The upstream has sent its limits."""
        self.opening = False
        self.on_room(event)

    def on_room(self, event: Any) -> None:
        """The upstream may accept more data or streams than before."""
        for stream_id, request in self.requests.items():
            with self.unless_ended():
                self.push(stream_id, request)
        self.pool.offer(self)
        self.pool.dial_as_needed()

    def fail_request(self, stream_id: int, error: str) -> None:
        """End one request with an error. Other requests of the connection go on."""
        request = self.requests.get(stream_id)
        # The end of another ask may have cancelled this one.
        if request is not None:
            self.reset(stream_id)
            self.pool.offer(self)
            request.ask.fail(self, error)


HANDLERS: dict[type[Event], Callable[[Http2Connection, Any], None]] = {
    ResponseReceived: Http2Connection.on_response,
    DataReceived: Http2Connection.on_data,
    StreamEnded: Http2Connection.on_end,
    StreamReset: Http2Connection.on_reset,
    ConnectionTerminated: Http2Connection.on_goaway,
    WindowUpdated: Http2Connection.on_room,
    RemoteSettingsChanged: Http2Connection.on_settings,
}


def _http2_client() -> H2Connection:
    """The client's side of a connection, with server push disabled."""
    # Our own header fields need no validation, which would cost as much as everything else.
    config = H2Configuration(
        client_side=True, header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
    )
    http = H2Connection(config)
    wanted = {SettingCodes.ENABLE_PUSH: 0, SettingCodes.MAX_HEADER_LIST_SIZE: 16 * 1024}
    http.local_settings = Settings(client=True, initial_values=wanted)
    return http
