"""A gRPC server for DNS messages whose answers are a test's: over TCP or a Unix socket, with or without TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import dns.message
import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from fastdns.plugins.grpc.packets import message_of, packet

# What is said to a query: a message, bytes of a body as they are, a code of gRPC, "reset", or nothing.
Said = dns.message.Message | bytes | int | str | None
Script = Callable[[dns.message.Message], Said]


class GrpcServer:
    """``with GrpcServer(script) as server``: asked has every query, and connections how many there were.

    context: of TLS. path: of a socket, in place of a port. streams: that are taken at a time.
    """

    def __init__(
        self, script: Script, *, port: int = 0, path: Path | None = None, context: ssl.SSLContext | None = None,
        streams: int = 100,
    ) -> None:  # fmt: skip
        self.script = script
        self.context = context
        self.streams = streams
        self.asked: list[dns.message.Message] = []
        self.connections = 0
        self.most_at_a_time = 0
        self.open: list[socket.socket] = []
        if path is not None:
            self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.listener.bind(str(path))
        else:
            self.listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind(("127.0.0.1", port))
            self.port = self.listener.getsockname()[1]
        self.listener.listen()

    @property
    def to(self) -> str:
        """As a Corefile names it."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> GrpcServer:
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
        # It wakes the thread that accepts.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def end(self) -> None:
        """Close the connections."""
        for one in self.open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
                one.close()
        self.open.clear()

    def accept(self) -> None:
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            if plain.family == socket.AF_INET:
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            threading.Thread(target=self.serve, args=(plain,), daemon=True).start()

    def serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError, h2.exceptions.ProtocolError):
            stream = plain if self.context is None else self.context.wrap_socket(plain, server_side=True)
            self.open.append(stream)
            Peer(self, stream).run()


class Peer:
    """One connection."""

    def __init__(self, server: GrpcServer, stream: socket.socket) -> None:
        self.server = server
        self.stream = stream
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        self.http = h2.connection.H2Connection(config)
        most = {h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: server.streams}
        self.http.local_settings = h2.settings.Settings(client=False, initial_values=most)
        self.bodies: dict[int, bytearray] = {}

    def run(self) -> None:
        self.http.initiate_connection()
        self.send()
        while data := self.stream.recv(65536):
            self.receive(data)

    def receive(self, data: bytes) -> None:
        for event in self.http.receive_data(data):
            self.take(event)
        self.send()

    def send(self) -> None:
        self.stream.sendall(self.http.data_to_send())

    def take(self, event: Any) -> None:
        if isinstance(event, h2.events.RequestReceived):
            headers = dict(event.headers)
            assert headers[":path"] == "/coredns.dns.DnsService/Query" and headers["te"] == "trailers"
            assert headers["content-type"] == "application/grpc" and headers[":method"] == "POST"
            self.bodies[event.stream_id] = bytearray()
            self.server.most_at_a_time = max(self.server.most_at_a_time, len(self.bodies))
        elif isinstance(event, h2.events.DataReceived):
            self.bodies[event.stream_id] += event.data
            self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            query = dns.message.from_wire(message_of(bytes(self.bodies[event.stream_id])))
            self.server.asked.append(query)
            said = self.server.script(query)
            if said is None:
                return
            del self.bodies[event.stream_id]
            self.say(event.stream_id, said)

    def say(self, stream: int, said: Said) -> None:
        head = [(":status", "200"), ("content-type", "application/grpc")]
        if said == "reset":
            self.http.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
        elif said == "html":
            self.http.send_headers(stream, [(":status", "502"), ("content-type", "text/html")], end_stream=True)
        elif isinstance(said, int):
            trailers = [("grpc-status", str(said)), ("grpc-message", "as the%20test wants")]
            self.http.send_headers(stream, head + trailers, end_stream=True)
        else:
            body = said if isinstance(said, bytes) else packet(said.to_wire(max_size=65535))  # type: ignore[union-attr]
            self.http.send_headers(stream, head)
            while body:
                room = min(self.http.local_flow_control_window(stream), self.http.max_outbound_frame_size)
                if not room:
                    # The client makes room when it has read.
                    self.send()
                    self.receive(self.stream.recv(65536))
                    continue
                self.http.send_data(stream, body[:room])
                body = body[room:]
            self.http.send_headers(stream, [("grpc-status", "0")], end_stream=True)
