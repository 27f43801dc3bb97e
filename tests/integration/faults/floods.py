"""Hostile clients of every transport, as many and as fast as they can, in a process of its own.

    python -m tests.integration.faults.floods --at '{"tcp": 53, "https": 443}' --names '["https resets"]'

Each client has an address of 127.1.0.0/16. It runs until stdin ends, and prints one JSON object: by flood, how many
connections it has opened, and how many frames, streams, datagrams or bytes it has sent.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import random
import select
import socket
import ssl
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec

import dns.message
import hpack

from tests.integration.faults.sender import SenderProcess
from tests.transports.http_clients import get_fields
from tests.transports.test_https import FLOODS as HTTP2_FRAMES
from tests.transports.test_https import HEADERS, SETTINGS, encoded, frame

HAS_QUIC = find_spec("qh3") is not None
if HAS_QUIC:
    from tests.transports.h3_client import H3Client
    from tests.transports.quic_client import QuicClient

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
QUERY = dns.message.make_query("s1.shop.svc.cluster.local.", "A", id=0).to_wire()
# Of one flood.
THREADS = 2
# Frames that are sent together.
BATCH = 64
PATIENCE_S = 0.5
LORIS_CONNECTIONS = 100
LORIS_S = 0.3
# Datagrams of a flood, each second of each thread.
DATAGRAMS = 10_000
FLIGHTS = 50
IP_PKTINFO = 8
ALPN = {"tls": "dot", "https": "h2", "grpc": "h2"}
OVER_TLS = tuple(ALPN)


class Stopped(Exception):
    """The flood is over."""


@dataclass
class Attack:
    """One flood. at: the ports of schemes."""

    at: Mapping[str, int]
    stopping: threading.Event
    rng: random.Random = field(default_factory=random.Random)
    sent: Counter[str] = field(default_factory=Counter)

    def source(self) -> str:
        """An address of this host."""
        return f"127.1.{self.rng.randrange(256)}.{self.rng.randrange(1, 255)}"

    def go_on(self) -> None:
        """Raises Stopped."""
        if self.stopping.is_set():
            raise Stopped

    def connect(self, scheme: str) -> socket.socket:
        """A connection over TCP."""
        self.go_on()
        sock = socket.socket()
        # So that the ports of connections that are over are free.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.settimeout(PATIENCE_S)
        try:
            sock.bind((self.source(), 0))
            sock.connect(("127.0.0.1", self.at[scheme]))
        except OSError:
            sock.close()
            raise
        self.sent["connections"] += 1
        return sock

    def shaken(self, scheme: str) -> socket.socket:
        """A connection with TLS, where the transport has it."""
        sock = self.connect(scheme)
        if scheme not in ALPN:
            return sock
        try:
            return context(scheme).wrap_socket(sock, server_hostname="dns.example")
        except OSError:
            sock.close()
            raise


def context(scheme: str) -> ssl.SSLContext:
    """A client's, which trusts everybody."""
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    found.check_hostname = False
    found.verify_mode = ssl.CERT_NONE
    found.set_alpn_protocols([ALPN[scheme]])
    return found


def hello(scheme: str) -> bytes:
    """The first message of a handshake."""
    made = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context(scheme).wrap_bio(ssl.MemoryBIO(), made, server_hostname="dns.example").do_handshake()
    return made.read()


# Over TCP


def frames(attack: Attack, scheme: str, make: Callable[[], Iterator[bytes]], settings: bytes = b"") -> None:
    """Frames of HTTP/2, until the server closes the connection; each second one reads what is said."""
    reads = attack.rng.random() < 0.5
    with attack.shaken(scheme) as sock:
        sock.sendall(PREFACE + frame(SETTINGS, 0, settings))
        made = make()
        while batch := b"".join(itertools.islice(made, BATCH)):
            attack.go_on()
            sock.sendall(batch)
            attack.sent["frames"] += BATCH
            attack.sent["bytes"] += len(batch)
            if reads:
                sock.settimeout(0.0)
                with contextlib.suppress(ssl.SSLWantReadError, BlockingIOError):
                    while sock.recv(65536):
                        pass
                sock.settimeout(PATIENCE_S)


def huge_headers() -> Iterator[bytes]:
    """Fields of 60 KB, in a frame and its continuations, again and again."""
    fields = [*get_fields(QUERY), *((f"x-{number}", "y" * 5000) for number in range(12))]
    # This library takes seconds for Huffman's code of it.
    block = hpack.Encoder().encode(fields, huffman=False)
    parts = [block[at : at + 16384] for at in range(0, len(block), 16384)]
    for stream in itertools.count(1, 2):
        for number, part in enumerate(parts):
            flags = 4 if number == len(parts) - 1 else 0
            yield frame(9 if number else HEADERS, stream, part, flags | (0 if number else 1))


def questions() -> Iterator[bytes]:
    """As many as can be said."""
    block = encoded(get_fields(QUERY))
    return (frame(HEADERS, stream, block, 5) for stream in itertools.count(1, 2))


def messages(attack: Attack, scheme: str) -> None:
    """Queries on and on, whose replies are not read."""
    data = (len(QUERY).to_bytes(2) + QUERY) * BATCH
    with attack.shaken(scheme) as sock:
        while True:
            attack.go_on()
            sock.sendall(data)
            attack.sent["queries"] += BATCH


def connections(attack: Attack, scheme: str) -> None:
    """Opened and reset."""
    attack.connect(scheme).close()


def hellos(attack: Attack, scheme: str) -> None:
    """Handshakes that the server signs, and that never end."""
    first = hello(scheme)
    for _ in range(100):
        with attack.connect(scheme) as sock:
            sock.sendall(first)
            sock.recv(1)


def no_hellos(attack: Attack, scheme: str) -> None:
    """What is no handshake, or is a damaged one."""
    data = bytearray(hello(scheme))
    for _ in range(100):
        with attack.connect(scheme) as sock:
            changed = data.copy()
            changed[attack.rng.randrange(len(changed))] ^= 1 + attack.rng.randrange(255)
            sock.sendall(changed if attack.rng.random() < 0.7 else attack.rng.randbytes(2000))
            with contextlib.suppress(TimeoutError):
                sock.settimeout(0.05)
                sock.recv(1)


def loris(attack: Attack, scheme: str) -> None:
    """Many connections that say a byte now and then: of a handshake, or of a query behind one."""
    query = len(QUERY).to_bytes(2) + QUERY if scheme in ("tcp", "tls") else PREFACE + frame(SETTINGS) * 99
    waiting: dict[socket.socket, bytes] = {}
    try:
        while True:
            while len(waiting) < LORIS_CONNECTIONS:
                late = attack.rng.random() < 0.5
                with contextlib.suppress(OSError):
                    sock = attack.shaken(scheme) if late else attack.connect(scheme)
                    waiting[sock] = hello(scheme) if scheme in ALPN and not late else query
                    sock.settimeout(0.0)
            for sock, rest in list(waiting.items()):
                attack.go_on()
                try:
                    sock.send(rest[:1])
                    attack.sent["bytes"] += 1
                    waiting[sock] = rest[1:] or query
                except OSError:
                    del waiting[sock]
                    sock.close()
            attack.stopping.wait(LORIS_S)
    finally:
        for sock in waiting:
            sock.close()


# Over QUIC


def from_source(sock: socket.socket, data: bytes, source: str, port: int) -> None:
    """A datagram that comes from another address of this host."""
    control = struct.pack("=I4s4s", 0, socket.inet_aton(source), bytes(4))
    with contextlib.suppress(OSError):
        sock.sendmsg([data], [(socket.IPPROTO_IP, IP_PKTINFO, control)], 0, ("127.0.0.1", port))


def first_flights(alpn: str) -> list[list[bytes]]:
    """The first datagrams of handshakes, each of another connection."""
    found = []
    for _ in range(FLIGHTS):
        client = QuicClient(9, alpn=alpn)
        client.sock.close()
        client.quic.connect(client.server, now=0.0)
        found.append([data for data, _ in client.quic.datagrams_to_send(0.0)])
    return found


def datagrams(attack: Attack, scheme: str, make: Callable[[random.Random, bytes], bytes]) -> None:
    """First flights from everywhere, at a steady rate. make: of each, what is sent."""
    flights = first_flights("doq" if scheme == "quic" else "h3")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("0.0.0.0", 0))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        begun, count = time.monotonic(), 0
        while True:
            attack.go_on()
            due = int((time.monotonic() - begun) * DATAGRAMS) - count
            if due > DATAGRAMS // 10:
                # This process has had no CPU.
                begun += due / DATAGRAMS
                due = 0
            ends = count + due
            while count < ends:
                source = attack.source()
                for data in attack.rng.choice(flights):
                    from_source(sock, make(attack.rng, data), source, attack.at[scheme])
                    count += 1
                    attack.sent["datagrams"] += 1
            time.sleep(0.002)


def as_it_is(rng: random.Random, data: bytes) -> bytes:
    return data


def another_connection(rng: random.Random, data: bytes) -> bytes:
    """Nobody can decrypt it, as its keys come from the ID."""
    return data[:6] + rng.randbytes(data[5]) + data[6 + data[5] :]


def damaged(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(3):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed[: rng.choice((len(data), rng.randrange(1, len(data))))])


def short(rng: random.Random, data: bytes) -> bytes:
    """Of a connection that is not there."""
    return bytes([0x40 | rng.randrange(64)]) + rng.randbytes(60)


def streams(attack: Attack, scheme: str) -> None:
    """Opened and reset at once."""
    client = quic_client(attack, scheme)
    begin = partial(client.stream, b"\0", ended=False)
    if scheme == "https3":
        begin = partial(client.request, b"GET", b"/")
    try:
        while not client.over:
            attack.go_on()
            for _ in range(20):
                try:
                    stream = begin()
                    client.quic.reset_stream(stream, 0)
                except ValueError:
                    # As many as there may be.
                    break
                attack.sent["streams"] += 1
            client.step()
            time.sleep(0.001)
    finally:
        client.close()


def slow_streams(attack: Attack, scheme: str) -> None:
    """Connections with streams that have a byte each, and no end."""
    waiting = []
    try:
        while True:
            attack.go_on()
            if len(waiting) < 20:
                waiting.append(client := quic_client(attack, scheme))
                with contextlib.suppress(ValueError):
                    for _ in range(50):
                        client.stream(b"\1", ended=False)
                        attack.sent["streams"] += 1
            for client in waiting:
                client.step()
            waiting = [client for client in waiting if not client.over]
            time.sleep(0.01)
    finally:
        for client in waiting:
            client.close()


def quic_client(attack: Attack, scheme: str):  # type: ignore[no-untyped-def]
    """A client whose handshake is complete."""
    attack.go_on()
    kind = H3Client if scheme == "https3" else QuicClient
    client = kind(attack.at[scheme], local=attack.source())
    try:
        client.connect()
    except TimeoutError as error:
        client.sock.close()
        raise OSError(str(error)) from None
    attack.sent["connections"] += 1
    return client


Flood = Callable[[Attack], None]


def on(scheme: str, run: Callable[..., None], *args: object) -> tuple[str, Flood]:
    return scheme, lambda attack: run(attack, scheme, *args)


# By name, the scheme that it needs and what it does.
FLOODS: dict[str, tuple[str, Flood]] = {
    **{
        f"{scheme} {name}": on(scheme, frames, make)
        for scheme in ("https", "grpc")
        for name, make in {**HTTP2_FRAMES, "huge headers": huge_headers, "questions": questions}.items()
    },
    # Windows of no bytes: replies wait.
    "https windows of zero": on("https", frames, questions, b"\0\4\0\0\0\0"),
    **{f"{scheme} messages": on(scheme, messages) for scheme in ("tcp", "tls")},
    **{f"{scheme} connections": on(scheme, connections) for scheme in ("tcp", *OVER_TLS)},
    **{f"{scheme} slow loris": on(scheme, loris) for scheme in ("tcp", *OVER_TLS)},
    **{f"{scheme} hellos": on(scheme, hellos) for scheme in ("tls", "https")},
    **{f"{scheme} no hellos": on(scheme, no_hellos) for scheme in ("tls", "https")},
    "quic initials": on("quic", datagrams, as_it_is),
    "quic initials of nobody": on("quic", datagrams, another_connection),
    "quic damaged initials": on("quic", datagrams, damaged),
    "quic packets of nobody": on("quic", datagrams, short),
    **{f"{scheme} streams": on(scheme, streams) for scheme in ("quic", "https3")},
    **{f"{scheme} slow streams": on(scheme, slow_streams) for scheme in ("quic", "https3")},
}
if not HAS_QUIC:
    FLOODS = {name: flood for name, flood in FLOODS.items() if flood[0] not in ("quic", "https3")}


class Flooding(SenderProcess):
    """``with Flooding(ports, names) as flooding: ...``: while the block runs; ``flooding.sent`` after it."""

    def __init__(self, at: Mapping[str, int], names: Iterable[str]) -> None:
        super().__init__("tests.integration.faults.floods", at=json.dumps(dict(at)), names=json.dumps(list(names)))
        self.sent: dict[str, dict[str, int]] = {}

    def take(self, out: str) -> None:
        self.sent = json.loads(out)


def run(attack: Attack, flood: Flood) -> None:
    """Again and again."""
    with contextlib.suppress(Stopped):
        while True:
            attack.go_on()
            try:
                flood(attack)
            except OSError:
                # The server has closed the connection, as it should.
                attack.sent["ended"] += 1


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--at", type=json.loads, required=True)
    parser.add_argument("--names", type=json.loads, required=True)
    args = parser.parse_args()
    # Who measures has the CPU first.
    os.nice(10)
    stopping = threading.Event()
    threads, attacks = [], {}
    for name in args.names:
        attacks[name] = Attack(args.at, stopping)
        threads += [threading.Thread(target=run, args=(attacks[name], FLOODS[name][1])) for _ in range(THREADS)]
    print("begun", flush=True)
    for thread in threads:
        thread.start()
    select.select([sys.stdin], [], [])
    stopping.set()
    for thread in threads:
        thread.join()
    json.dump({name: attack.sent for name, attack in attacks.items()}, sys.stdout)


if __name__ == "__main__":
    main()
