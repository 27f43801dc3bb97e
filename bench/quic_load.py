"""``python -m bench.quic_load PORT SECONDS CONNECTIONS EACH``: asks over QUIC, and prints how many answers came.

Each connection keeps so many questions outstanding, each on a stream of its own. qh3 does the work, in one process:
it costs more than the server, so this is no measure of how fast a server is, only of what it uses.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time

from qh3.quic import events
from qh3.quic.configuration import QuicConfiguration
from qh3.quic.connection import QuicConnection

from fastdns.bench.messages import Query, message
from fastdns.dns._framing import framed

NAME = "a.example.org"


class Connection:
    """One, and its socket."""

    def __init__(self, port: int, data: bytes, each: int) -> None:
        configuration = QuicConfiguration(is_client=True, alpn_protocols=["doq"], server_name=NAME, verify_mode=0)
        self.quic = QuicConnection(configuration=configuration)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.connect(("127.0.0.1", port))
        self.sock.setblocking(False)
        self.data = data
        self.each = each
        self.answered = 0
        self.quic.connect(("127.0.0.1", port), now=time.monotonic())
        self.send()

    def ask(self, count: int) -> None:
        """So many questions."""
        for _ in range(count):
            self.quic.send_stream_data(self.quic.get_next_available_stream_id(), self.data, True)

    def read(self) -> None:
        """Take what has come, and ask again for each answer."""
        datagrams = []
        try:
            while len(datagrams) < 32:
                datagrams.append(self.sock.recv(2048))
        except BlockingIOError:
            pass
        self.quic.receive_many_datagrams(datagrams, self.sock.getpeername(), time.monotonic())
        self.follow()

    def follow(self) -> None:
        """Act on what QUIC tells, and send."""
        while (event := self.quic.next_event()) is not None:
            if isinstance(event, events.HandshakeCompleted):
                self.ask(self.each)
            elif isinstance(event, events.StreamDataReceived) and event.end_stream:
                self.answered += 1
                self.ask(1)
            elif isinstance(event, events.ConnectionTerminated):
                sys.exit(f"bench.quic_load: the server has closed a connection: {event}")
        self.send()

    def send(self) -> None:
        """Send what there is."""
        for data, _ in self.quic.datagrams_to_send(time.monotonic()):
            self.sock.send(data)

    def on_time(self, now: float) -> None:
        """Let time pass."""
        at = self.quic.get_timer()
        if at is not None and at <= now:
            self.quic.handle_timer(now)
            self.follow()


def main(argv: list[str]) -> None:
    port, seconds, connections, each = map(int, argv)
    query = message(Query(NAME, "A"))
    # RFC 9250 section 4.2.1: the ID is 0.
    data = framed(bytes(2) + query[2:])
    selector = selectors.DefaultSelector()
    some = [Connection(port, data, each) for _ in range(connections)]
    for connection in some:
        selector.register(connection.sock, selectors.EVENT_READ, connection)
    ends = time.monotonic() + seconds
    while (now := time.monotonic()) < ends:
        for key, _ in selector.select(0.01):
            key.data.read()
        for connection in some:
            connection.on_time(now)
    print(sum(connection.answered for connection in some))


if __name__ == "__main__":
    main(sys.argv[1:])
