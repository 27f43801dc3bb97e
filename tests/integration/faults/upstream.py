"""Upstreams that are wrong in one way each and keep up with a flood, in a process of their own.

    python -m tests.integration.faults.upstream slow garbage ...

Prints a port for each kind, and runs until stdin ends. Every answer is 192.0.2.1.

    black_hole   nothing is read, over UDP or TCP      garbage    half a kilobyte of noise under the right ID
    slow         the answer comes after SLOW_S         tcp_only   truncated over UDP, answered over TCP
    servfail     SERVFAIL at once                      good       the answer at once
"""

from __future__ import annotations

import contextlib
import ctypes
import random
import selectors
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from tests.plugins.forward.engine.bursts import Header, Part
from tests.support import ROOT

SLOW_S = 0.5
# Where the network has it: what comes meanwhile is answered together, which leaves CPU to the server under test.
AWAY_S = 0.001
KINDS = ("black_hole", "slow", "garbage", "tcp_only", "servfail", "good")
# Of one call, for messages of up to so many bytes, and struct sockaddr_in.
BATCH = 64
ROOM = 1024
NAME_BYTES = 16
LIBC = ctypes.CDLL(None, use_errno=True)
RECORD = bytes.fromhex("c00c000100010000012c0004c0000201")
# Its bytes, and the peer's struct sockaddr_in.
Datagram = tuple[bytes, bytes]


class Upstreams:
    """``with Upstreams("slow", ...) as ups: ups.to["slow"]``: address and port of each kind."""

    def __init__(self, *kinds: str) -> None:
        self.kinds = kinds
        self.to: dict[str, str] = {}

    def __enter__(self) -> Upstreams:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.faults.upstream", *self.kinds],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        for kind, port in zip(self.kinds, self.process.stdout.readline().split(), strict=True):
            self.to[kind] = f"127.0.0.1:{port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.communicate(timeout=30)


def answer(wire: bytes) -> bytes:
    """The question with its address, without OPT record."""
    end = wire.index(b"\0", 12) + 5
    return wire[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + wire[12:end] + RECORD


def bare(wire: bytes, flags: bytes) -> bytes:
    """The question without an answer."""
    end = wire.index(b"\0", 12) + 5
    return wire[:2] + flags + b"\0\1\0\0\0\0\0\0" + wire[12:end]


class Batch:
    """Datagrams in numbers, by recvmmsg(2) and sendmmsg(2): CPU that they take, the server does not have."""

    def __init__(self) -> None:
        self.room = ctypes.create_string_buffer(BATCH * ROOM)
        self.names = ctypes.create_string_buffer(BATCH * NAME_BYTES)
        self.parts = (Part * BATCH)()
        self.headers = (Header * BATCH)()
        for index, (part, header) in enumerate(zip(self.parts, self.headers, strict=True)):
            part.base = ctypes.addressof(self.room) + index * ROOM
            part.size = ROOM
            header.name = ctypes.addressof(self.names) + index * NAME_BYTES
            header.name_len = NAME_BYTES
            header.parts = ctypes.addressof(part)
            header.part_count = 1
        self.bytes = memoryview(self.room).cast("B")
        self.name_bytes = memoryview(self.names).cast("B")

    def receive(self, udp: socket.socket) -> list[Datagram]:
        """What lies in a socket, BATCH at most."""
        count = LIBC.recvmmsg(udp.fileno(), ctypes.byref(self.headers), BATCH, socket.MSG_DONTWAIT, None)
        return [
            (
                bytes(self.bytes[index * ROOM : index * ROOM + self.headers[index].length]),
                bytes(self.name_bytes[index * NAME_BYTES : (index + 1) * NAME_BYTES]),
            )
            for index in range(count)
        ]

    def send(self, udp: socket.socket, datagrams: Sequence[Datagram]) -> None:
        """Send them, BATCH at most; what cannot be sent is lost, as in a network."""
        for index, (wire, name) in enumerate(datagrams):
            self.bytes[index * ROOM : index * ROOM + len(wire)] = wire
            self.name_bytes[index * NAME_BYTES : (index + 1) * NAME_BYTES] = name
            self.parts[index].size = len(wire)
        sent = 0
        while sent < len(datagrams):
            rest = ctypes.byref(self.headers, sent * ctypes.sizeof(Header))
            sent += max(1, LIBC.sendmmsg(udp.fileno(), rest, len(datagrams) - sent, socket.MSG_DONTWAIT))


class Serving:
    """All of them, in one loop."""

    def __init__(self, kinds: list[str]) -> None:
        self.selector = selectors.DefaultSelector()
        self.incoming, self.outgoing = Batch(), Batch()
        self.later: deque[tuple[float, socket.socket, list[Datagram]]] = deque()
        self.noise = random.Random(1)
        self.keep: list[socket.socket] = []
        self.streams: dict[socket.socket, bytearray] = {}
        ports = []
        for kind in kinds:
            udp, tcp = self.pair()
            ports.append(udp.getsockname()[1])
            if kind != "black_hole":
                self.selector.register(udp, selectors.EVENT_READ, kind)
                self.selector.register(tcp, selectors.EVENT_READ, "listener")
        self.selector.register(sys.stdin, selectors.EVENT_READ, "end")
        print(*ports, flush=True)

    def pair(self) -> tuple[socket.socket, socket.socket]:
        """A port for UDP and TCP."""
        while True:
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            udp.bind(("127.0.0.1", 0))
            tcp = socket.socket()
            with contextlib.suppress(OSError):
                tcp.bind(udp.getsockname())
                tcp.listen(512)
                for one in (udp, tcp):
                    one.setblocking(False)
                    self.keep.append(one)
                return udp, tcp
            udp.close()
            tcp.close()

    def run(self) -> None:
        """Until stdin ends."""
        while True:
            limit_s = max(0.0, self.later[0][0] - time.monotonic()) if self.later else 1.0
            time.sleep(AWAY_S)
            for key, _ in self.selector.select(limit_s):
                if key.data == "end":
                    return
                if key.data == "listener":
                    self.accept(key.fileobj)
                elif key.data == "stream":
                    self.read(key.fileobj)
                else:
                    self.serve(key.data, key.fileobj)
            while self.is_due():
                _, udp, replies = self.later.popleft()
                while len(replies) < BATCH and self.is_due() and self.later[0][1] is udp:
                    replies += self.later.popleft()[2]
                for first in range(0, len(replies), BATCH):
                    self.outgoing.send(udp, replies[first : first + BATCH])

    def is_due(self) -> bool:
        """Whether a reply that comes late is to be sent now."""
        return bool(self.later) and self.later[0][0] <= time.monotonic()

    def serve(self, kind: str, udp: Any) -> None:
        """What lies in a socket."""
        for _ in range(4):
            replies = [(self.reply(kind, wire), peer) for wire, peer in self.incoming.receive(udp)]
            if kind == "slow":
                self.later.append((time.monotonic() + SLOW_S, udp, replies))
            else:
                self.outgoing.send(udp, replies)
            if len(replies) < BATCH:
                break

    def reply(self, kind: str, wire: bytes) -> bytes:
        """What comes back over UDP."""
        if kind == "garbage":
            return wire[:2] + b"\x81\x80" + self.noise.randbytes(500)
        if kind == "tcp_only":
            return bare(wire, b"\x83\x80")
        if kind == "servfail":
            return bare(wire, b"\x81\x82")
        return answer(wire)

    def accept(self, listener: Any) -> None:
        """A connection."""
        with contextlib.suppress(OSError):
            stream, _ = listener.accept()
            stream.setblocking(False)
            self.streams[stream] = bytearray()
            self.selector.register(stream, selectors.EVENT_READ, "stream")

    def read(self, stream: Any) -> None:
        """What has come over a connection; every kind answers over TCP."""
        pending = self.streams[stream]
        try:
            data = stream.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        pending += data
        out = bytearray()
        while len(pending) >= 2 and len(pending) >= 2 + (size := struct.unpack_from(">H", pending)[0]):
            reply = answer(bytes(pending[2 : 2 + size]))
            out += struct.pack(">H", len(reply)) + reply
            del pending[: 2 + size]
        try:
            stream.sendall(out)
        except OSError:
            data = b""
        if not data:
            self.selector.unregister(stream)
            del self.streams[stream]
            stream.close()


if __name__ == "__main__":
    Serving(sys.argv[1:]).run()
