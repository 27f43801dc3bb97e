"""Connections of DNS over TCP and TLS, also behind a proxy's header: in pieces, damaged, half closed, reset,
unread, and with records that no library of TLS makes. Each is one hostile client beside one that is served all the
while.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import random
import socket
import ssl
import struct
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fastdns.metrics._stats import Stats
from fastdns.metrics.handshakes import HandshakeCounts
from fastdns.servertls import ServerTls, made
from fastdns.tls import bare_client_context
from fastdns.transports._openssl import may_use
from fastdns.transports._proxies import Proxies
from fastdns.transports._slow import PARKED
from fastdns.transports._sockets import Sockets
from fastdns.transports._tls import TlsLayer
from fastdns.transports.clients import Clients
from fastdns.transports.limits import Limits
from fastdns.transports.proxied import USE, ProxiedConnection
from fastdns.transports.tcp import TcpConnection
from fastdns.transports.tls import Handshakes, TlsConnection
from tests.fuzz.findings import Finding, LiveMemory
from tests.fuzz.headers import made as proxy_header
from tests.plugins.forward.certificates import Authority
from tests.transports.support import frame

MESSAGE = b"\x12\x34\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1"
SMALL_BYTES = 40
# Connections of one server, which then has to be as it was before the first.
CONNECTIONS = 50
SETTLED_ROUNDS = 1000
MAX_HELD_BYTES = 1 << 20
# Turns of the event loop in which something that comes to an end has done so.
MOST_TURNS = 2000
RECORD, ALERT, HANDSHAKE, APPLICATION = 20, 21, 22, 23
KEY_UPDATE = b"\x18\0\0\1"
KINDS = ("tcp", "tls", "ssl")


def fuzz_streams(count: int, seed: int) -> int:
    """Be count hostile clients; returns how many questions beside them were answered. Raises Finding."""
    rng = random.Random(seed)
    memory = LiveMemory(SETTLED_ROUNDS)
    answered = 0
    with tempfile.TemporaryDirectory() as folder:
        for begin in range(0, count, CONNECTIONS):
            numbers = range(begin, min(count, begin + CONNECTIONS))
            answered += asyncio.run(group(rng, Path(folder), numbers, seed, memory))
    return answered


async def group(rng: random.Random, folder: Path, numbers: range, seed: int, memory: LiveMemory) -> int:
    """The clients of one server."""
    server = Server(folder, rng)
    answered = 0
    try:
        good = server.connect("tcp")
        for number in numbers:
            try:
                await hostile(rng, server)
                answered += await asked(server, good)
                server.look()
            except Finding as finding:
                raise Finding(f"{finding}; connection {number} of seed {seed}") from finding.__cause__
            memory.look(number)
        good.close()
        try:
            await server.rest()
        except Finding as finding:
            raise Finding(f"{finding}; connections {numbers} of seed {seed}") from None
    finally:
        server.close()
    return answered


class Server:
    """What accepts connections, on the loop that runs. They come by pairs of sockets."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.rng = rng
        self.loop = asyncio.get_running_loop()
        self.errors: list[Any] = []
        self.loop.set_exception_handler(lambda _, context: self.errors.append(context))
        self.clients = Clients(self.loop, 30, Stats(1), 0, MAX_HELD_BYTES)
        self.sockets = Sockets(self.loop, self.clients.turns)
        self.waiting: list[Callable[[bytes | None], object]] = []
        authority = Authority(folder)
        authority.issue("server", ("dns.example",))
        files = ServerTls(str(folder / "server.crt"), str(folder / "server.key"))
        context = made(files, ("dot",))
        handshakes = Handshakes(self.loop, HandshakeCounts())
        limits = Limits(read_s=60.0, idle_s=60.0, write_s=60.0)
        tcp = partial(TcpConnection, self.serve, limits, self.clients)
        layer = TlsLayer if may_use(context) else TlsConnection
        self.kinds: dict[str, Callable[..., Any]] = {
            "tcp": tcp,
            "tls": partial(layer, tcp, lambda: context, handshakes),
            "ssl": partial(TlsConnection, tcp, lambda: context, handshakes),
        }
        for name, connect in list(self.kinds.items()):
            proxies = Proxies([], USE, 0, 0)
            self.kinds[f"proxied {name}"] = partial(
                ProxiedConnection, lambda peer, connect=connect: connect(peer=peer), proxies, limits, self.clients
            )
        self.keylog = folder / "keys"
        self.keylog.unlink(missing_ok=True)
        self.trusting = bare_client_context()
        self.trusting.load_verify_locations(authority.ca)
        self.trusting.minimum_version = ssl.TLSVersion.TLSv1_3
        self.trusting.keylog_filename = str(self.keylog)

    def serve(self, message: bytes, client: bytes, port: int, deliver: Callable[..., object]) -> object:
        if len(message) < SMALL_BYTES:
            return message
        if len(self.waiting) < 20 and self.rng.random() < 0.3:
            self.waiting.append(deliver)
            return PARKED
        return self.rng.choice((None, message, (message * 30)[:65535]))

    def answer_late(self, most: int) -> None:
        """Answer so many questions that wait."""
        for _ in range(min(most, len(self.waiting))):
            deliver = self.waiting.pop(self.rng.randrange(len(self.waiting)))
            deliver(self.rng.choice((None, b"late" * 300)))

    def connect(self, kind: str) -> socket.socket:
        """A client's end of a connection."""
        ours, theirs = socket.socketpair()
        for one in (ours, theirs):
            one.setblocking(False)
        peer = (f"192.0.2.{self.rng.randrange(1, 9)}", self.rng.randrange(1024, 65536))
        self.sockets.connect(theirs, peer, self.kinds[kind]())
        return ours

    def secret(self) -> bytes:
        """What the client of the last handshake encrypts with."""
        lines = [line.split() for line in self.keylog.read_text().splitlines()]
        return bytes.fromhex([words[2] for words in lines if words[0] == "CLIENT_TRAFFIC_SECRET_0"][-1])

    def look(self) -> None:
        """Nothing was raised, and the bounds hold. Raises Finding."""
        if self.errors:
            context = self.errors[0]
            raise Finding(f"the server raises {context}") from context.get("exception")
        if self.clients.held.total > MAX_HELD_BYTES:
            raise Finding(f"{self.clients.held.total} bytes are held")
        if len(self.clients.open) + len(self.clients.closing) > self.clients.max_connections:
            raise Finding(f"{len(self.clients.open)} connections are open")

    async def rest(self) -> None:
        """All clients are gone: soon nothing is left of them. Raises Finding."""
        self.answer_late(len(self.waiting))
        for _ in range(MOST_TURNS):
            await asyncio.sleep(0)
            if not self.clients.busy:
                break
        self.look()
        left = (len(self.clients.open), len(self.clients.by_address), self.clients.held.total, self.sockets.open)
        if any(left):
            raise Finding(f"left behind: connections, clients, bytes, sockets: {left}")

    def close(self) -> None:
        self.clients.timer.cancel()
        self.sockets.close()


class Records:
    """Records of TLS 1.3 by TLS_AES_256_GCM_SHA384 (RFC 8446 section 5.2)."""

    def __init__(self, secret: bytes) -> None:
        self.secret = secret
        self.begin()

    def begin(self) -> None:
        self.key, self.iv = self.derived(b"key", 32), self.derived(b"iv", 12)
        self.number = 0

    def derived(self, label: bytes, size: int) -> bytes:
        """HKDF-Expand-Label (RFC 8446 section 7.1) of no more than one block."""
        label = b"tls13 " + label
        info = struct.pack("!HB", size, len(label)) + label + b"\0\1"
        return hmac.digest(self.secret, info, "sha384")[:size]

    def made(self, kind: int, content: bytes, padding: int = 0) -> bytes:
        """One record."""
        inner = content + bytes([kind]) + bytes(padding)
        head = b"\x17\3\3" + (len(inner) + 16).to_bytes(2)
        nonce = int.from_bytes(self.iv) ^ self.number
        self.number += 1
        return head + AESGCM(self.key).encrypt(nonce.to_bytes(12), inner, head)

    def key_update(self, *, asks: bool) -> bytes:
        """A change of keys (RFC 8446 section 4.6.3). asks: for the server's as well."""
        record = self.made(HANDSHAKE, KEY_UPDATE + bytes([asks]))
        self.secret = self.derived(b"traffic upd", 48)
        self.begin()
        return record


async def turns(rng: random.Random) -> None:
    """The server has some time."""
    for _ in range(rng.choice((0, 1, 1, 3))):
        await asyncio.sleep(0)


async def hostile(rng: random.Random, server: Server) -> None:
    """One client."""
    kind = rng.choice(KINDS)
    proxied = "proxied " if rng.random() < 0.3 else ""
    sock = server.connect(proxied + kind)
    try:
        if proxied:
            await say(rng, server, sock, proxy_header(rng))
        if kind == "tcp":
            await say(rng, server, sock, b"".join(messages(rng)))
        else:
            await over_tls(rng, server, sock)
        with contextlib.suppress(OSError):
            if rng.random() < 0.3:
                sock.shutdown(socket.SHUT_WR)
                await turns(rng)
            if rng.random() < 0.7:
                sock.recv(1 << 20)
        server.answer_late(rng.choice((0, 1, 20)))
        await turns(rng)
    finally:
        # What is unread makes it a reset.
        sock.close()


def messages(rng: random.Random) -> Iterator[bytes]:
    """Queries with their lengths; now and then lengths that lie."""
    lies = rng.choice((0.0, 0.0, 0.1))
    for _ in range(rng.choice((1, 4, 30, 300))):
        message = MESSAGE + rng.randbytes(rng.choice((0, 0, 0, 30, 3000)))
        yield rng.randrange(65536).to_bytes(2) + message if rng.random() < lies else frame(message)


async def say(rng: random.Random, server: Server, sock: socket.socket, data: bytes) -> bool:
    """Send bytes in pieces; reads what comes, or does not. Returns whether the connection is still there."""
    data = damaged(rng, data) if rng.random() < 0.1 else data
    size = rng.choice((1, 2, 17, 1000, 20_000, 20_000))
    if size < 17:
        data = data[:600]
    reads = rng.random() < 0.7
    at = stuck = 0
    while at < len(data) and stuck < 50:
        try:
            at += sock.send(data[at : at + size])
        except BlockingIOError:
            stuck += 1
        except OSError:
            return False
        if reads:
            with contextlib.suppress(OSError):
                if not sock.recv(65536):
                    return False
        await turns(rng)
        if rng.random() < 0.02:
            server.answer_late(3)
    return True


def damaged(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data or b"x")
    for _ in range(rng.choice((1, 3))):
        changed[rng.randrange(min(len(changed), rng.choice((6, 60, 60_000))))] = rng.randrange(256)
    return bytes(changed)


async def over_tls(rng: random.Random, server: Server, sock: socket.socket) -> None:
    """A handshake, true or not, and records behind it."""
    come, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = server.trusting.wrap_bio(come, out, server_hostname="dns.example")
    for _ in range(50):
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            if not await pass_on(rng, server, sock, out.read()):
                return
            await asyncio.sleep(0)
            with contextlib.suppress(BlockingIOError):
                try:
                    come.write(sock.recv(65536))
                except ConnectionError:
                    return
        except ssl.SSLError:
            return
    else:
        return
    if await pass_on(rng, server, sock, out.read()):
        await say(rng, server, sock, b"".join(records(rng, Records(server.secret()))))


async def pass_on(rng: random.Random, server: Server, sock: socket.socket, data: bytes) -> bool:
    """Send what TLS has made, seldom as another one would."""
    if rng.random() < 0.05:
        data = damaged(rng, data)
    size = rng.choice((1, 50, 5000)) if rng.random() < 0.2 else 5000
    for at in range(0, len(data), size):
        try:
            sock.send(data[at : at + size])
        except OSError:
            return False
        await turns(rng)
    return True


def records(rng: random.Random, made: Records) -> Iterator[bytes]:
    """Records of queries; and of nothing, changes of keys, alerts and other messages, one by one or in floods."""
    flood = rng.choice((0.0, 0.01, 0.9))
    other = rng.choice((empty, key_update, key_update, padded, alert, handshake))
    for message in messages(rng):
        if rng.random() < flood:
            for _ in range(rng.choice((1, 1, 100))):
                yield other(rng, made)
        if rng.random() < 0.1:
            at = rng.randrange(len(message))
            yield made.made(APPLICATION, message[:at])
            message = message[at:]
        yield made.made(APPLICATION, message)


def empty(rng: random.Random, made: Records) -> bytes:
    return made.made(APPLICATION, b"")


def padded(rng: random.Random, made: Records) -> bytes:
    return made.made(APPLICATION, b"", rng.choice((100, 16_000, 16_384, 17_000)))


def key_update(rng: random.Random, made: Records) -> bytes:
    return made.key_update(asks=rng.random() < 0.5)


def alert(rng: random.Random, made: Records) -> bytes:
    return made.made(ALERT, bytes([rng.randrange(3), rng.choice((0, 10, 90, 100, 255))]))


def handshake(rng: random.Random, made: Records) -> bytes:
    """A message that belongs into no connection that is open, such as a second ClientHello."""
    kind = rng.choice((0, 1, 4, 8, 11, 15, 20, 24, 24, 254))
    content = rng.randbytes(rng.choice((0, 1, 4, 300)))
    return made.made(rng.choice((HANDSHAKE, HANDSHAKE, RECORD)), bytes([kind]) + len(content).to_bytes(3) + content)


async def asked(server: Server, good: socket.socket) -> int:
    """A question of the client that is served all the while. Returns 1. Raises Finding."""
    good.send(frame(MESSAGE))
    got = b""
    for _ in range(MOST_TURNS):
        await asyncio.sleep(0)
        with contextlib.suppress(BlockingIOError):
            got += good.recv(65536)
            if got == frame(MESSAGE):
                return 1
    raise Finding(f"a client beside a hostile one got {got!r}")
