"""A worker's QUIC without a network: a clock that stands still, datagrams as bytes, and clients that are qh3's.

What comes from each address and what is sent to it is counted: an address that has not shown that it is one gets
three times what has come from it, at most (RFC 9000 section 8).
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import random
import socket
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from qh3.quic import events
from qh3.quic.configuration import QuicConfiguration
from qh3.quic.connection import QuicConnection as Quic
from qh3.quic.connection import QuicConnectionError
from qh3.tls import CipherSuite, Epoch

from fastdns import servertls
from fastdns.metrics._stats import Stats
from fastdns.metrics.handshakes import HandshakeCounts
from fastdns.servertls import ServerTls
from fastdns.transports import quic, quic_connection
from fastdns.transports._slow import PARKED
from fastdns.transports.clients import Clients
from fastdns.transports.doh3 import Doh3Connection
from fastdns.transports.doq import DoqConnection
from fastdns.transports.limits import Limits
from fastdns.transports.places import Places
from fastdns.transports.quic import Connections, QuicEndpoint
from fastdns.transports.quic_connection import Pool, QuicConnection
from fastdns.transports.quic_ids import Owner
from fastdns.transports.quic_session import Configuration
from fastdns.transports.quic_tls import QuicTls
from fastdns.transports.socket_names import Address, address_of, name_of
from fastdns.transports.table import HTTPS3, QUIC
from tests.fuzz.findings import Finding
from tests.plugins.forward.certificates import Authority

HOST = "192.0.2.53"
PORT = 853
# Turns of the event loop until nothing is due. More of them mean that something goes on for ever.
MOST_TURNS = 10_000
AMPLIFICATION = 3
MAX_STREAMS = 64
IDLE_S = 100.0
SMALL_BYTES = 20
Datagram = tuple[bytes, bytes, bytes]
# Of a client whose connection is over, or which breaks the rules.
OWN_ERRORS = (QuicConnectionError, ValueError)


class Timer:
    """What is due at a time."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """An event loop whose time is told to go on. What its callbacks raise comes out."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.soon: list[Callable[[], object]] = []
        self.due: list[tuple[float, int, Timer]] = []
        self.numbers = itertools.count()
        self.readers: dict[int, Callable[[], object]] = {}

    def time(self) -> float:
        return self.now

    def call_soon(self, call: Callable[[], object]) -> None:
        self.soon.append(call)

    def call_at(self, when: float, call: Callable[[], object]) -> Timer:
        timer = Timer(call)
        heapq.heappush(self.due, (when, next(self.numbers), timer))
        return timer

    def call_later(self, delay: float, call: Callable[[], object]) -> Timer:
        return self.call_at(self.now + delay, call)

    def add_reader(self, fd: int, call: Callable[[], object]) -> None:
        self.readers[fd] = call

    def remove_reader(self, fd: int) -> None:
        self.readers.pop(fd, None)

    def run(self) -> None:
        """Everything that is due now, and what comes of it."""
        for _ in range(MOST_TURNS):
            for call in list(self.readers.values()):
                call()
            soon, self.soon = self.soon, []
            while self.due and self.due[0][0] <= self.now:
                timer = heapq.heappop(self.due)[2]
                if not timer.cancelled:
                    soon.append(timer.call)
            if not soon:
                return
            for call in soon:
                call()
        raise Finding("the event loop does not come to rest")


class Network:
    """The socket of one worker: what has come, and what was sent. Both are counted by address for all workers."""

    def __init__(self, came: Counter[bytes], went: Counter[bytes]) -> None:
        self.came = came
        self.went = went
        self.coming: list[Datagram] = []
        self.sent: list[tuple[bytes, bytes]] = []

    def receive(self) -> list[Datagram]:
        taken, self.coming = self.coming[:32], self.coming[32:]
        return taken

    def send(self, data: bytes, name: bytes, control: bytes) -> None:
        self.went[name] += len(data)
        self.sent.append((data, name))


class Server:
    """Two workers, of one listener of DNS over QUIC or of HTTP/3. They answer small questions at once, with the
    question; others as well, or later, or with more, or not."""

    def __init__(self, folder: Path, rng: random.Random, *, h3: bool) -> None:
        self.rng = rng
        self.waiting: list[Callable[[bytes | None], object]] = []
        self.loop = Loop()
        loop = cast(asyncio.AbstractEventLoop, self.loop)
        self.came: Counter[bytes] = Counter()
        self.went: Counter[bytes] = Counter()
        # Addresses of which it is known that they are clients'.
        self.proved: set[bytes] = set()
        self.stats = Stats(1)
        self.clients = Clients(loop, 20, self.stats, 0, 4 << 20)
        self.pool = Pool(loop, 100)
        self.statuses: Counter[int] = Counter()
        transport = HTTPS3 if h3 else QUIC
        kind: type[QuicConnection] = Doh3Connection if h3 else DoqConnection
        files = ServerTls(str(folder / "server.crt"), str(folder / "server.key"))
        self.known_as = (files, transport.alpn)
        # An attack takes less time.
        limits = Limits(idle_s=IDLE_S)
        configuration = QuicTls(
            files, transport.alpn, Configuration, idle_timeout=limits.idle_s, max_streams=MAX_STREAMS,
            max_uni_streams=kind.uni_streams, max_data=2 * kind.stream_bytes, max_stream_data=kind.stream_bytes,
        )  # fmt: skip
        places = Places(10)

        def connect(*args: Any, **options: Any) -> QuicConnection:
            options |= {
                "serve": self.serve, "limits": limits, "clients": self.clients, "pool": self.pool,
                "places": places, "count": self.count,
            }  # fmt: skip
            return kind(*args, **options)

        owners = Owner(0, 7), Owner(1, 7)
        self.workers = [Connections(loop, owner, len(owners), HandshakeCounts()) for owner in owners]
        self.networks = [Network(self.came, self.went) for _ in owners]
        self.endpoints = []
        for worker, network in zip(self.workers, self.networks, strict=True):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            endpoint = QuicEndpoint(sock, worker, configuration.current, connect)
            self.loop.remove_reader(sock.fileno())
            endpoint.datagrams = network  # type: ignore[assignment]
            endpoint.send = network.send
            self.endpoints.append(endpoint)

    def serve(self, message: bytes, client: bytes, port: int, deliver: Callable[..., object]) -> object:
        if len(message) < SMALL_BYTES:
            return message
        if len(self.waiting) < 50 and self.rng.random() < 0.3:
            self.waiting.append(deliver)
            return PARKED
        return self.rng.choice((None, message, (message * 50)[:65535]))

    def answer_late(self, most: int) -> None:
        """Answer so many questions that wait."""
        for _ in range(min(most, len(self.waiting))):
            deliver = self.waiting.pop(self.rng.randrange(len(self.waiting)))
            deliver(self.rng.choice((None, b"late" * 300)))

    def count(self, status: int) -> None:
        self.statuses[status] += 1

    def take(self, data: bytes, name: bytes, worker: int = 0) -> None:
        """A datagram has come to a worker's socket."""
        if data:
            self.came[name] += len(data)
            self.networks[worker].coming.append((data, name, b""))

    def go_on(self, seconds: float = 0.0) -> None:
        """Take what has come; time passes. Raises Finding."""
        ends = self.loop.now + seconds
        try:
            while True:
                self.run()
                if self.loop.now >= ends:
                    break
                self.loop.now = min(ends, max(self.loop.due[0][0], self.loop.now)) if self.loop.due else ends
        except (Finding, KeyboardInterrupt):
            raise
        # A panic of Rust's is no Exception.
        except BaseException as error:
            raise Finding(f"the server raises {error!r}") from error
        self.look()

    def run(self) -> None:
        """What is to be done now."""
        for endpoint, network in zip(self.endpoints, self.networks, strict=True):
            while network.coming:
                endpoint.read()
        self.loop.run()

    def sent(self) -> list[tuple[bytes, bytes]]:
        """Datagrams that were sent since it was asked last, and where to."""
        found = []
        for network in self.networks:
            found += network.sent
            network.sent = []
        return found

    def look(self) -> None:
        """The bounds hold. Raises Finding."""
        for name, size in self.went.items():
            if name not in self.proved and size > AMPLIFICATION * self.came[name]:
                raise Finding(f"{size} bytes for {self.came[name]} of {address_of(name)}")
        for worker in self.workers:
            if len(worker.half_open) > quic.MAX_HALF_OPEN or len(worker.over) > quic.MAX_CLOSING:
                raise Finding(f"{len(worker.half_open)} half-open connections, {len(worker.over)} closed")
            unread = sum(len(one.unread) for one in worker.half_open)
            if unread > len(worker.half_open) * quic_connection.MAX_HANDSHAKE_DATAGRAMS:
                raise Finding(f"{unread} datagrams of handshakes")
        if self.clients.held.total > self.clients.held.max_bytes:
            raise Finding(f"{self.clients.held.total} bytes are held")
        if len(self.clients.open) + len(self.clients.closing) > self.clients.max_connections:
            raise Finding(f"{len(self.clients.open)} connections are open")

    def rest(self) -> None:
        """All clients are gone: after a while nothing is left of them. Raises Finding."""
        self.answer_late(len(self.waiting))
        self.go_on(2 * IDLE_S)
        self.sent()
        left = {
            "connection IDs": sum(len(worker.by_cid) for worker in self.workers),
            "handshakes": sum(len(worker.half_open) + len(worker.of_client) for worker in self.workers),
            "closed connections": sum(len(worker.over) for worker in self.workers),
            "connections": len(self.clients.open) + len(self.clients.closing) + len(self.clients.by_address),
            "bytes": self.clients.held.total,
            "waiting": len(self.pool.waiting) + len(self.clients.unread) + len(self.clients.turns.behind),
        }
        if any(left.values()):
            raise Finding(f"left behind: {left}")
        self.came.clear()
        self.went.clear()
        self.proved.clear()

    def close(self) -> None:
        for endpoint in self.endpoints:
            endpoint.close()
        for worker in self.workers:
            worker.close()
        servertls.SERVED.pop(self.known_as)


@contextlib.contextmanager
def serving(folder: Path, rng: random.Random, *, h3: bool) -> Iterator[Server]:
    """A server with a certificate of its own, in a folder."""
    Authority(folder).issue("server", ("dns.example",))
    server = Server(folder, rng, h3=h3)
    try:
        yield server
    finally:
        server.close()


def is_retry(data: bytes) -> bool:
    """Whether a datagram of a server is a Retry."""
    return data[0] & 0xF0 == 0xF0 and data[1:5] == b"\0\0\0\1"


class Client(Quic):  # type: ignore[misc]
    """One of a server. It keeps what its packets are encrypted with, so that a test makes packets of its own."""

    def __init__(self, server: Server, address: Address, alpn: str) -> None:
        configuration = QuicConfiguration(
            is_client=True, alpn_protocols=[alpn], server_name="dns.example", verify_mode=0,
            cipher_suites=[CipherSuite.AES_128_GCM_SHA256],
        )  # fmt: skip
        super().__init__(configuration=configuration)
        self.server = server
        self.name = name_of(address)
        self.keys: tuple[bytes, bytes, bytes] | None = None
        self.shaken = False
        self.got: defaultdict[int, bytearray] = defaultdict(bytearray)
        self.whole: set[int] = set()
        # Of packets that are made by hand; qh3 comes nowhere near.
        self.number = 100_000

    def _call_core(self, operation: Callable[..., Any], *args: Any) -> Any:
        if args[:2] == ("send", int(Epoch.ONE_RTT)):
            self.keys = args[3:6]
        return super()._call_core(operation, *args)

    @property
    def over(self) -> bool:
        return self._close_event is not None

    def begin(self) -> list[bytes]:
        """The first datagrams."""
        self.connect((HOST, PORT), now=self.server.loop.now)
        return self.flight()

    def flight(self) -> list[bytes]:
        """What it has to send."""
        with contextlib.suppress(*OWN_ERRORS):
            return [data for data, _ in self.datagrams_to_send(self.server.loop.now)]
        return []

    def time_passes(self) -> list[bytes]:
        """What it sends as nothing has come for some time."""
        with contextlib.suppress(*OWN_ERRORS):
            self.handle_timer(self.server.loop.now)
        return self.flight()

    def take(self, data: bytes) -> None:
        """A datagram of the server has come."""
        with contextlib.suppress(*OWN_ERRORS):
            self.receive_datagram(data, (HOST, PORT), self.server.loop.now)
        if is_retry(data):
            # The next packets have its token.
            self.server.proved.add(self.name)
        while (event := self.next_event()) is not None:
            if isinstance(event, events.HandshakeCompleted):
                self.shaken = True
                self.server.proved.add(self.name)
            elif isinstance(event, events.StreamDataReceived):
                self.got[event.stream_id] += event.data
                if event.end_stream:
                    self.whole.add(event.stream_id)

    def packet(self, payload: bytes, *, cid: bytes = b"", phase: int = 0) -> bytes:
        """A packet with frames that qh3 has not made (RFC 9001 section 5)."""
        assert self.keys is not None
        key, iv, protection = self.keys
        self.number += 1
        number = self.number.to_bytes(4)
        head = bytes([0x43 | phase << 2]) + (cid or self.peer_cid) + number
        nonce = int.from_bytes(iv) ^ self.number
        data = AESGCM(key).encrypt(nonce.to_bytes(12), payload + bytes(max(0, 4 - len(payload))), head)
        mask = Cipher(algorithms.AES(protection), modes.ECB()).encryptor().update(data[:16])
        number = bytes(a ^ b for a, b in zip(number, mask[1:5], strict=True))
        return bytes([head[0] ^ mask[0] & 0x1F]) + head[1:-4] + number + data

    @property
    def peer_cid(self) -> bytes:
        """The ID that the server has chosen."""
        for worker in self.server.workers:
            for cid, connection in worker.by_cid.items():
                if connection.name == self.name and quic.owner_of(cid) is not None:
                    return cid
        return bytes(quic.CID_BYTES)
