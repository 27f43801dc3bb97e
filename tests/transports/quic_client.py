"""A client of DNS over QUIC: qh3 on a socket of its own, which tells all that happens, and may break every rule."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

from qh3.quic import events
from qh3.quic.configuration import QuicConfiguration
from qh3.quic.connection import QuicConnection

from tests.transports.support import frame

PATIENCE_S = 5.0


class QuicClient:
    """A connection. authority: the file with what it trusts; none: everybody."""

    def __init__(
        self,
        port: int,
        authority: str | None = None,
        *,
        alpn: str = "doq",
        name: str = "dns.example",
        local: str = "127.0.0.1",
        **options: Any,
    ) -> None:
        configuration = QuicConfiguration(
            is_client=True, alpn_protocols=[alpn], server_name=name, cafile=authority,
            verify_mode=None if authority else 0, **options,
        )  # fmt: skip
        self.quic = QuicConnection(configuration=configuration)
        self.server = ("127.0.0.1", port)
        self.local = local
        self.prefix = b""
        self.connected = False
        self.sent = self.got = 0
        self.data: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.resets: dict[int, int] = {}
        self.closed: events.ConnectionTerminated | None = None
        self.shaken = False
        self.rebind()

    def rebind(self) -> None:
        """Go on from another port, as a client does whose NAT has forgotten it."""
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((self.local, 0))
        self.sock.setblocking(False)

    def only_from(self, address: str) -> None:
        """Ask an address of the server, and take nothing from others."""
        self.server = (address, self.server[1])
        self.sock.connect(self.server)
        self.connected = True

    def connect(self) -> QuicClient:
        self.quic.connect(self.server, now=time.monotonic())
        self.run(lambda: self.shaken or self.over)
        return self

    @property
    def over(self) -> bool:
        """Whether the server has closed the connection, or the client has given up."""
        return self.closed is not None or self.quic._close_event is not None

    @property
    def close_code(self) -> int | None:
        """The code with which the server has closed."""
        event = self.closed or self.quic._close_event
        return event.error_code if event is not None else None

    def send(self) -> None:
        for data, _ in self.quic.datagrams_to_send(time.monotonic()):
            self.sent += len(data)
            if self.connected:
                self.sock.send(self.prefix + data)
            else:
                self.sock.sendto(self.prefix + data, self.server)

    def step(self) -> None:
        """Send what there is, and take what has come."""
        self.send()
        try:
            while True:
                data, sender = self.sock.recvfrom(65535)
                self.got += len(data)
                self.quic.receive_datagram(data, sender, time.monotonic())
        except BlockingIOError:
            pass
        at = self.quic.get_timer()
        if at is not None and at <= time.monotonic():
            self.quic.handle_timer(time.monotonic())
        while (event := self.quic.next_event()) is not None:
            self.on(event)
        self.send()

    def on(self, event: Any) -> None:
        if isinstance(event, events.StreamDataReceived):
            self.data[event.stream_id] = self.data.get(event.stream_id, b"") + event.data
            if event.end_stream:
                self.ended.add(event.stream_id)
        elif isinstance(event, events.StreamReset):
            self.resets[event.stream_id] = event.error_code
        elif isinstance(event, events.ConnectionTerminated):
            self.closed = event
        elif isinstance(event, events.HandshakeCompleted):
            self.shaken = True

    def run(self, until: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
        """Go on until something is so. Raises TimeoutError."""
        ends = time.monotonic() + patience_s
        while not until():
            if time.monotonic() > ends:
                raise TimeoutError(f"data {self.data}, closed {self.closed}")
            self.step()
            time.sleep(0.001)

    def stream(self, data: bytes, *, ended: bool = True) -> int:
        """Send bytes on a new stream."""
        stream = self.quic.get_next_available_stream_id()
        self.quic.send_stream_data(stream, data, ended)
        return stream

    def ask(self, *messages: bytes) -> list[bytes]:
        """The replies to messages that leave together, each on a stream."""
        streams = [self.stream(frame(message)) for message in messages]
        self.run(lambda: self.over or all(one in self.ended or one in self.resets for one in streams))
        return [self.data.get(one, b"") for one in streams]

    def close(self) -> None:
        self.quic.close(0)
        self.send()
        self.sock.close()
