"""Clients of HTTP for tests, on the bytes of a connection: h2's for version 2, and text for version 1.1."""

from __future__ import annotations

import base64
import ctypes
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.settings

MEDIA_TYPE = b"application/dns-message"
Fields = Sequence[tuple[str, str]]


@dataclass
class Response:
    """What has come of one. reset: the code of RST_STREAM."""

    fields: dict[str, str] = field(default_factory=dict)
    content: bytes = b""
    ended: bool = False
    reset: int | None = None

    @property
    def status(self) -> int:
        return int(self.fields[":status"])


def has_nghttp2() -> bool:
    """Whether this host has the library that HTTP/2 is served with."""
    try:
        ctypes.CDLL("libnghttp2.so.14")
    except OSError:
        return False
    return True


def get_target(message: bytes) -> str:
    return "/dns-query?dns=" + base64.urlsafe_b64encode(message).rstrip(b"=").decode()


def post_fields(message: bytes, path: str = "/dns-query") -> list[tuple[str, str]]:
    return [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "dns.example"),
        (":path", path),
        ("content-type", MEDIA_TYPE.decode()),
        ("content-length", str(len(message))),
    ]


def get_fields(message: bytes, method: str = "GET") -> list[tuple[str, str]]:
    return [
        (":method", method),
        (":scheme", "https"),
        (":authority", "dns.example"),
        (":path", get_target(message)),
        ("accept", MEDIA_TYPE.decode()),
    ]


class Http2Client:
    """Bytes out, bytes in; what has come by stream. window: of the connection and of each stream."""

    def __init__(self, window: int = 1 << 30) -> None:
        config = h2.config.H2Configuration(
            client_side=True, header_encoding="utf-8", validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )  # fmt: skip
        self.h2 = h2.connection.H2Connection(config)
        self.h2.local_settings = h2.settings.Settings(
            client=True, initial_values={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: min(window, (1 << 31) - 1)}
        )
        self.h2.initiate_connection()
        if window > 65535:
            self.h2.increment_flow_control_window(window)
        self.responses: dict[int, Response] = {}
        # The code of GOAWAY.
        self.gone: int | None = None

    def post(self, message: bytes, fields: Fields | None = None, *, end: bool = True) -> int:
        stream = self.h2.get_next_available_stream_id()
        self.responses[stream] = Response()
        self.h2.send_headers(stream, fields or post_fields(message))
        self.h2.send_data(stream, message, end_stream=end)
        return stream

    def get(self, message: bytes, fields: Fields | None = None) -> int:
        stream = self.h2.get_next_available_stream_id()
        self.responses[stream] = Response()
        self.h2.send_headers(stream, fields or get_fields(message), end_stream=True)
        return stream

    def sent(self) -> bytes:
        return self.h2.data_to_send()

    def receive(self, data: bytes) -> None:
        for event in self.h2.receive_data(data):
            stream = getattr(event, "stream_id", None)
            response = self.responses.get(stream or 0, Response())
            if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
                response.fields.update(event.headers or ())
            elif isinstance(event, h2.events.DataReceived):
                response.content += event.data or b""
            elif isinstance(event, h2.events.StreamEnded):
                response.ended = True
            elif isinstance(event, h2.events.StreamReset):
                response.reset = int(event.error_code or 0)
            elif isinstance(event, h2.events.ConnectionTerminated):
                self.gone = int(event.error_code or 0)


def http1_request(method: str, target: str, content: bytes = b"", *fields: str) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "host: dns.example", *fields]
    if content or method == "POST":
        lines += [f"content-length: {len(content)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def http1_post(message: bytes) -> bytes:
    return http1_request("POST", "/dns-query", message, "content-type: " + MEDIA_TYPE.decode())


def http1_responses(data: bytes) -> list[Response]:
    """The responses on a connection, each of which says how long it is."""
    found = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        fields = {":status": first.split()[1]}
        for line in lines:
            name, _, value = line.partition(": ")
            fields[name.lower()] = value
        size = int(fields.get("content-length", 0)) if fields[":status"] != "100" else 0
        found.append(Response(fields, data[:size], ended=len(data) >= size))
        data = data[size:]
    return found


class Http2Socket:
    """``with Http2Socket(connected socket) as http``: requests of version 2, each with its response."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.client = Http2Client()

    def __enter__(self) -> Http2Socket:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def response(self, stream: int) -> Response:
        """The response on a stream, whole."""
        self.sock.sendall(self.client.sent())
        while not self.client.responses[stream].ended:
            data = self.sock.recv(65536)
            assert data, "the server has closed the connection"
            self.client.receive(data)
            self.sock.sendall(self.client.sent())
        return self.client.responses[stream]
