"""HTTP/2 (RFC 9113) of a client: many requests on one connection, without the connection.

Imported only where something asks over HTTP/2, because the library h2 takes 1.5 MB of memory.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

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
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from fastdns.errors import FastdnsError

# RFC 9113 section 6.5.2 recommends that a peer allows no fewer.
MAX_STREAMS = 100
# The limit on bytes in a row that yield no event, such as an incomplete frame. h2 would keep 16 MiB.
MAX_MEANINGLESS_BYTES = 1024 * 1024
# The limit on requests and acknowledgements that a server leaves unread.
MAX_UNSENT_BYTES = 1024 * 1024
# RFC 9113 section 5.1.1
MAX_STREAM_ID = 2**31 - 1

Fields = Iterable[tuple[str, str]]
# Whose a request is.
Asker = TypeVar("Asker")


class Http2Error(FastdnsError):
    """The server breaks the rules of HTTP/2: the connection is to be closed when what is outgoing has been sent."""


class FrameTooLargeError(Http2Error):
    """The server sends much that means nothing yet."""


@dataclass(slots=True)
class Request(Generic[Asker]):
    """One request and the response so far. asker: whose it is. unsent: the part of its body that flow control holds
    back. trailers: fields behind the body.
    """

    asker: Asker
    sent_at: float
    unsent: bytes = b""
    body: bytearray = field(default_factory=bytearray)
    trailers: Mapping[bytes, bytes] = field(default_factory=dict)


class User(Protocol[Asker]):
    """What becomes of requests. Whoever is told of the end of one may send others, and reset others."""

    def head(self, request: Request[Asker], headers: Mapping[bytes, bytes]) -> str:
        """The fields of a response. Returns why the request fails for them; "": it does not."""

    def complete(self, request: Request[Asker]) -> None:
        """The response is whole."""

    def failed(self, request: Request[Asker], why: str) -> None:
        """The request was reset here: the response is not as it should be."""

    def refused(self, request: Request[Asker], stream_id: int, code: object) -> None:
        """The server has reset the request. code: of RFC 9113 section 7."""

    def ends(self) -> None:
        """Responses may still follow, but nothing can be sent any more."""

    def gone(self, code: object) -> None:
        """The server closes the connection. What is unanswered gets no answer."""

    def room(self) -> None:
        """The server may accept more streams than before."""


class Outgoing:
    """What a connection with Http2Streams writes to its transport: requests of one iteration of the event loop
    together."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport | None
    streams: Http2Streams[Any]
    flushing: asyncio.Handle | None = None

    def unread(self) -> None:
        """The server leaves too much unread."""
        raise NotImplementedError

    def flush_soon(self) -> None:
        """Write in this iteration of the event loop."""
        if self.flushing is None:
            self.flushing = self.loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write the pending output of the protocol."""
        if self.flushing is not None:
            self.flushing.cancel()
            self.flushing = None
        data = self.streams.outgoing()
        if self.transport is None or not data:
            return
        self.transport.write(data)
        if self.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self.unread()


class Http2Streams(Generic[Asker]):
    """The requests of one connection. max_body_bytes: of a response.

    opening: before the server's SETTINGS have come, only one stream is used.
    """

    def __init__(self, user: User[Asker], max_body_bytes: int) -> None:
        self.user = user
        self.max_body_bytes = max_body_bytes
        self.http = _client()
        self.requests: dict[int, Request[Asker]] = {}
        self.meaningless_bytes = 0
        self.opening = True

    def begin(self) -> None:
        """The connection is there."""
        self.http.initiate_connection()

    @property
    def has_room(self) -> bool:
        """Whether there may be one more request now."""
        most = 1 if self.opening else min(MAX_STREAMS, self.http.remote_settings.max_concurrent_streams)
        return len(self.requests) < most

    @property
    def used_up(self) -> bool:
        """Whether the connection has no number left for a request."""
        return self.http.highest_outbound_stream_id + 2 > MAX_STREAM_ID

    def outgoing(self) -> bytes:
        """What is to be written."""
        return self.http.data_to_send()

    def ask(self, asker: Asker, now: float, headers: list[tuple[str, str]], body: bytes = b"") -> None:
        """Send a request; there is room for it."""
        stream_id = self.http.get_next_available_stream_id()
        request = self.requests[stream_id] = Request(asker, now, body)
        self.http.send_headers(stream_id, headers, end_stream=not body)
        self.push(stream_id, request)

    def push(self, stream_id: int, request: Request[Asker]) -> None:
        """Send as much of a body as flow control allows."""
        while request.unsent:
            room = min(self.http.local_flow_control_window(stream_id), self.http.max_outbound_frame_size)
            if room <= 0:
                return
            data, request.unsent = request.unsent[:room], request.unsent[room:]
            self.http.send_data(stream_id, data, end_stream=not request.unsent)

    def cancel(self, asker: Asker) -> Request[Asker]:
        """Let a request go whose response is not needed."""
        stream_id, request = next(item for item in self.requests.items() if item[1].asker is asker)
        self.reset(stream_id)
        return request

    def take_requests(self) -> list[Request[Asker]]:
        """Let all go, and return them."""
        requests, self.requests = self.requests, {}
        return [*requests.values()]

    def reset(self, stream_id: int) -> None:
        """Cancel a request."""
        del self.requests[stream_id]
        with self.unless_ended():
            self.http.reset_stream(stream_id, ErrorCodes.CANCEL)

    def unless_ended(self) -> contextlib.suppress:
        """For actions on a stream that the server may have ended already, in data that is not handled yet."""
        return contextlib.suppress(ProtocolError)

    # Responses

    def receive(self, data: bytes) -> None:
        """Handle what has come. Raises Http2Error."""
        try:
            events = self.http.receive_data(data)
        except ProtocolError as error:
            raise Http2Error(str(error)) from error
        # Responses in the same data are still handled.
        if any(isinstance(event, ConnectionTerminated) for event in events):
            self.user.ends()
        self.meaningless_bytes = 0 if events else self.meaningless_bytes + len(data)
        if self.meaningless_bytes > MAX_MEANINGLESS_BYTES:
            raise FrameTooLargeError("frame too large")
        for event in events:
            handle = HANDLERS.get(type(event))
            if handle is not None:
                handle(self, event)

    def on_response(self, event: Any) -> None:
        """Header fields. A response without a body has its end behind them, or in them."""
        request = self.requests.get(event.stream_id)
        if request is not None and (why := self.user.head(request, dict(event.headers))):
            self.fail(event.stream_id, why)

    def on_data(self, event: Any) -> None:
        """Part of a body."""
        with self.unless_ended():
            self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        request = self.requests.get(event.stream_id)
        if request is None:
            return
        request.body += event.data
        if len(request.body) > self.max_body_bytes:
            self.fail(event.stream_id, "http: response body too large")

    def on_trailers(self, event: Any) -> None:
        """Fields behind the body."""
        if (request := self.requests.get(event.stream_id)) is not None:
            request.trailers = dict(event.headers)

    def on_end(self, event: Any) -> None:
        """The response is complete."""
        request = self.requests.get(event.stream_id)
        if request is None:
            return
        if request.unsent:
            # The server has replied before it read the whole request.
            self.reset(event.stream_id)
        else:
            del self.requests[event.stream_id]
        self.user.complete(request)

    def on_reset(self, event: Any) -> None:
        """The server resets a request."""
        if (request := self.requests.pop(event.stream_id, None)) is not None:
            self.user.refused(request, event.stream_id, event.error_code)

    def on_goaway(self, event: Any) -> None:
        """The server closes the connection: h2 reads no further data."""
        self.user.gone(event.error_code)

    def on_settings(self, event: Any) -> None:
        """The server has sent its limits."""
        self.opening = False
        self.on_room(event)

    def on_room(self, event: Any) -> None:
        """The server may accept more data or streams than before."""
        for stream_id, request in self.requests.items():
            with self.unless_ended():
                self.push(stream_id, request)
        self.user.room()

    def fail(self, stream_id: int, why: str) -> None:
        """End one request with an error. Other requests of the connection go on."""
        request = self.requests.get(stream_id)
        # The end of another one may have cancelled this one.
        if request is not None:
            self.reset(stream_id)
            self.user.failed(request, why)


HANDLERS: dict[type[Event], Callable[[Http2Streams[Any], Any], None]] = {
    ResponseReceived: Http2Streams.on_response,
    DataReceived: Http2Streams.on_data,
    TrailersReceived: Http2Streams.on_trailers,
    StreamEnded: Http2Streams.on_end,
    StreamReset: Http2Streams.on_reset,
    ConnectionTerminated: Http2Streams.on_goaway,
    WindowUpdated: Http2Streams.on_room,
    RemoteSettingsChanged: Http2Streams.on_settings,
}


def _client() -> H2Connection:
    """The client's side of a connection, with server push disabled."""
    # Our own header fields need no validation, which would cost as much as everything else.
    config = H2Configuration(
        client_side=True, header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
    )
    http = H2Connection(config)
    wanted = {SettingCodes.ENABLE_PUSH: 0, SettingCodes.MAX_HEADER_LIST_SIZE: 16 * 1024}
    http.local_settings = Settings(client=True, initial_values=wanted)
    return http
