"""DNS over TLS on real sockets: however records arrive, the replies are those of TCP; who breaks off ends alone."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvloop

from fastdns.metrics._stats import Stats
from fastdns.metrics.handshakes import HandshakeCounts
from fastdns.servertls import ServerTls, made
from fastdns.tls import bare_client_context
from fastdns.transports import clients
from fastdns.transports._openssl import may_use
from fastdns.transports._tls import SESSION_BYTES, TlsLayer
from fastdns.transports.clients import Clients
from fastdns.transports.limits import Limits
from fastdns.transports.tcp import TcpConnection
from fastdns.transports.tls import SESSION_BYTES as SSL_SESSION_BYTES
from fastdns.transports.tls import Handshakes, TlsConnection
from tests.plugins.forward.certificates import Authority
from tests.transports.support import Accepted, cut, frame

pytestmark = pytest.mark.native


@pytest.fixture(autouse=True)
def quick_checks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(clients, "CHECK_S", 0.05)
    yield


@pytest.fixture(autouse=True, params=[TlsLayer, TlsConnection], ids=["OpenSSL", "ssl"])
def layer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever does the cryptography."""
    monkeypatch.setattr(Listening, "layer", request.param)


def server_files(authority: Authority) -> ServerTls:
    folder = authority.directory
    return ServerTls(str(folder / "server.crt"), str(folder / "server.key"))


def trusting(authority: Authority) -> ssl.SSLContext:
    context = bare_client_context()
    context.load_verify_locations(authority.ca)
    return context


class Listening:
    """A server on a free port, on uvloop. layer: its TLS, by OpenSSL's functions or by Python's ssl."""

    layer: Any = TlsLayer

    def __init__(self, authority: Authority, serve: Any = cut, max_connections: int = 200, **limits: Any) -> None:
        self.context = made(server_files(authority), ("dot",))
        self.trusting = trusting(authority)
        self.serve = serve
        self.limits = Limits(**limits)
        self.max_connections = max_connections

    async def __aenter__(self) -> Listening:
        loop = asyncio.get_running_loop()
        self.stats = Stats(1)
        self.counts = HandshakeCounts()
        self.clients = Clients(loop, self.max_connections, self.stats, 0)
        inner = partial(TcpConnection, self.serve, self.limits, self.clients)
        connect = partial(self.layer, inner, lambda: self.context, Handshakes(loop, self.counts))
        self.accepted = Accepted(connect, self.clients, own_sockets=True)
        self.address = self.accepted.address
        await self.accepted.begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.accepted.end()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.address, ssl=self.trusting, server_hostname="dns.example")

    async def everybody_is_gone(self) -> None:
        while self.clients.busy:
            await asyncio.sleep(0.01)


def on_uvloop(main: Any) -> None:
    uvloop.run(asyncio.wait_for(main(), 30))


class Piecewise:
    """A client whose bytes leave as they are told to: TLS on memory, and a socket."""

    def __init__(self, listening: Listening) -> None:
        self.listening = listening
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = listening.trusting.wrap_bio(self.incoming, self.outgoing, server_hostname="dns.example")

    async def __aenter__(self) -> Piecewise:
        self.reader, self.writer = await asyncio.open_connection(*self.listening.address)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()

    async def send(self, size: int = 1 << 20) -> None:
        """What TLS has to say, in segments of this size."""
        data = self.outgoing.read()
        for at in range(0, len(data), size):
            self.writer.write(data[at : at + size])
            await asyncio.sleep(0)

    async def shake_hands(self, size: int = 1 << 20) -> None:
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self.send(size)
                self.incoming.write(await self.reader.read(65536))
            else:
                await self.send(size)
                return

    async def read(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            try:
                part = self.tls.read(65536)
            except ssl.SSLWantReadError:
                data = await self.reader.read(65536)
                if not data:
                    break
                self.incoming.write(data)
            else:
                found += part
        return found


@pytest.mark.parametrize("size", [1, 2, 7, 511, 4096, 1 << 20], ids=lambda size: f"{size} bytes a segment")
def test_records_in_any_segments(authority: Authority, size: int) -> None:
    """A record is many segments, and a segment many records; a message is in parts of several records."""
    messages = [b"q%d" % n * random.Random(n).randrange(1, 40 if size < 500 else 4000) for n in range(30)]

    async def main() -> None:
        async with Listening(authority) as listening, Piecewise(listening) as client:
            await client.shake_hands(size)
            stream = b"".join(map(frame, messages))
            rng = random.Random(size)
            at = 0
            while at < len(stream):
                length = rng.choice([1, 2, 3, 100, 5000])
                client.tls.write(stream[at : at + length])
                at += length
            expected = b"".join(frame((b"re:" + message)[:65535]) for message in messages)
            sending = asyncio.create_task(client.send(size))
            assert await client.read(len(expected)) == expected
            await sending

    on_uvloop(main)


def test_the_largest_messages_both_ways(authority: Authority) -> None:
    async def main() -> None:
        async with Listening(authority) as listening:
            reader, writer = await listening.connect()
            for message in (b"x" * 65535, b"", b"y" * 16384, b"z"):
                writer.write(frame(message))
                if message:
                    expected = frame((b"re:" + message)[:65535])
                    assert await reader.readexactly(len(expected)) == expected
            writer.close()

    on_uvloop(main)


def test_five_hundred_at_once_and_the_end(authority: Authority) -> None:
    """close_notify (RFC 8446 section 6.1) is the end of the queries, not of the replies."""

    async def main() -> None:
        async with Listening(authority) as listening, Piecewise(listening) as client:
            await client.shake_hands()
            client.tls.write(b"".join(frame(b"%d" % n) for n in range(500)))
            with pytest.raises(ssl.SSLWantReadError):
                client.tls.unwrap()
            await client.send()
            expected = b"".join(frame(b"re:%d" % n) for n in range(500))
            found = b""
            while len(found) < len(expected):
                client.incoming.write(await client.reader.read(65536))
                with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                    while part := client.tls.read(65536):
                        found += part
            assert found == expected
            await listening.everybody_is_gone()
            assert listening.stats.failed(0) == {}

    on_uvloop(main)


def test_the_socket_s_end_without_that_of_tls(authority: Authority) -> None:
    """Many clients close so. What they have asked is answered if they still read."""

    async def main() -> None:
        async with Listening(authority) as listening, Piecewise(listening) as client:
            await client.shake_hands()
            client.tls.write(frame(b"q") * 3)
            await client.send()
            client.writer.write_eof()
            assert await client.read(3 * 6) == frame(b"re:q") * 3
            await listening.everybody_is_gone()

    on_uvloop(main)


@pytest.mark.parametrize(
    ("limits", "handshake", "sends"),
    [
        pytest.param({"read_s": 0.3}, False, b"", id="no handshake"),
        pytest.param({"read_s": 0.3}, False, b"\x16\x03\x01", id="a part of one"),
        pytest.param({"read_s": 0.5}, True, b"", id="no query"),
        pytest.param({"read_s": 60, "idle_s": 0.3}, True, frame(b"q"), id="idle"),
        pytest.param({"max_queries": 1}, True, frame(b"q"), id="asked as often as allowed"),
    ],
)
def test_closed_by_us(authority: Authority, limits: dict[str, Any], handshake: bool, sends: bytes) -> None:
    """With close_notify, where there was a handshake: nothing has been cut off."""

    async def main() -> None:
        async with Listening(authority, **limits) as listening, Piecewise(listening) as client:
            if handshake:
                await client.shake_hands()
                if sends:
                    client.tls.write(sends)
                    await client.send()
                    assert await client.read(6) == frame(b"re:q")
                client.incoming.write(await client.reader.read(-1))
                # The end is said, not torn off: of that this would raise.
                client.incoming.write_eof()
                assert client.tls.read(1) == b""
            else:
                client.writer.write(sends)
                assert await client.reader.read(-1) == b""
            await listening.everybody_is_gone()

    on_uvloop(main)


@pytest.mark.parametrize(
    "sends",
    [
        b"\0\x1d" + b"\0" * 29,
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x40\x01" + b"\0" * 0x4001,
        b"\x16\x03\x01\0\4\1\0\xff\xff",
        b"\x15\x03\x03\0\2\2\x28",
        b"\xff" * 70_000,
    ],
    ids=["DNS without TLS", "HTTP", "a record too long", "a hello that is none", "an alert", "noise"],
)
def test_what_is_no_tls_ends_the_connection(authority: Authority, sends: bytes) -> None:
    async def main() -> None:
        async with Listening(authority, read_s=1) as listening:
            reader, writer = await asyncio.open_connection(*listening.address)
            writer.write(sends)
            try:
                said = await reader.read(-1)
            except ConnectionResetError:
                said = b""
            # An alert at most (RFC 8446 section 6.2).
            assert said == b"" or said[0] == 21
            writer.close()
            await listening.everybody_is_gone()

    on_uvloop(main)


def test_hostile_records_after_the_handshake(authority: Authority) -> None:
    """Bits that are flipped anywhere, records that are left out or repeated: the connection ends, and no other."""

    async def main() -> None:
        async with Listening(authority, read_s=25, idle_s=25) as listening:
            reader, writer = await listening.connect()
            rng = random.Random(11)
            for _ in range(60):
                async with Piecewise(listening) as client:
                    await client.shake_hands()
                    client.tls.write(frame(b"q" * 20))
                    data = bytearray(client.outgoing.read())
                    harm = rng.choice(["flip", "twice", "short"])
                    if harm == "flip":
                        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
                    elif harm == "twice":
                        data *= 2
                    else:
                        del data[rng.randrange(len(data)) :]
                    client.writer.write(bytes(data))
                    client.writer.write_eof()
                    await asyncio.wait_for(client.reader.read(-1), 10)
            writer.write(frame(b"still"))
            assert await reader.readexactly(10) == frame(b"re:still")
            writer.close()
            await listening.everybody_is_gone()

    on_uvloop(main)


def test_a_client_that_does_not_read(authority: Authority) -> None:
    """Nothing more is read from it, memory stays bounded, and it is cut off."""

    async def main() -> None:
        async with Listening(authority, write_s=0.3, idle_s=60) as listening, Piecewise(listening) as client:
            await client.shake_hands()
            asked = 0
            with pytest.raises((ConnectionResetError, BrokenPipeError)):
                while asked < 10_000:
                    client.tls.write(frame(b"q" * 60000))
                    client.writer.write(client.outgoing.read())
                    await client.writer.drain()
                    asked += 1
            assert asked < 500
            assert listening.clients.held.total <= clients.MAX_HELD_BYTES
            await listening.everybody_is_gone()

    on_uvloop(main)


def test_handshakes_take_turns_with_queries(authority: Authority) -> None:
    """One step a turn of the loop: whoever is connected is answered between two of them."""

    async def main() -> None:
        async with Listening(authority) as listening:
            reader, writer = await listening.connect()
            order: list[str] = []
            step = Handshakes.next

            def noted(self: Handshakes) -> None:
                order.append("handshake")
                step(self)

            Handshakes.next = noted  # type: ignore[method-assign]
            try:
                hello = Piecewise(listening)
                with pytest.raises(ssl.SSLWantReadError):
                    hello.tls.do_handshake()
                first = hello.outgoing.read()
                others = [await asyncio.open_connection(*listening.address) for _ in range(40)]
                for _, other in others:
                    other.write(first)
                for _ in range(40):
                    writer.write(frame(b"q"))
                    await reader.readexactly(6)
                    order.append("query")
                while order.count("handshake") < 40:
                    await asyncio.sleep(0.01)
            finally:
                Handshakes.next = step  # type: ignore[method-assign]
            # Not all of them before the first answer.
            assert "query" in order[:30]
            for _, other in others:
                other.close()
            writer.close()

    on_uvloop(main)


def test_idle_sessions_are_held_bytes(authority: Authority) -> None:
    """Each takes memory while nothing is asked: as many are open as the bound has room for."""

    async def main() -> None:
        async with Listening(authority) as listening:
            session = SESSION_BYTES if Listening.layer is TlsLayer else SSL_SESSION_BYTES
            listening.clients.held.max_bytes = 10 * session
            others = [await asyncio.open_connection(*listening.address) for _ in range(30)]
            while listening.stats.failed(0) or len(listening.clients.open) > 10:
                await asyncio.sleep(0.01)
            assert 0 < listening.clients.held.total <= 10 * session
            for _, other in others:
                other.close()
            await listening.everybody_is_gone()
            assert listening.clients.held.total == 0

    on_uvloop(main)


def test_parts_of_records_are_held_bytes(authority: Authority) -> None:
    """A session keeps room for a record whose rest has still to come."""
    if Listening.layer is not TlsLayer:
        pytest.skip("Python's ssl does not tell")

    async def main() -> None:
        async with Listening(authority, read_s=25) as listening, contextlib.AsyncExitStack() as stack:
            clients_ = [await stack.enter_async_context(Piecewise(listening)) for _ in range(5)]
            rest = []
            for client in clients_:
                await client.shake_hands()
                client.tls.write(frame(b"q" * 10000))
                data = client.outgoing.read()
                client.writer.write(data[:9000])
                rest.append(data[9000:])
            while listening.clients.held.total < 5 * (SESSION_BYTES + 16384):
                await asyncio.sleep(0.01)
            for client, data in zip(clients_, rest, strict=True):
                client.writer.write(data)
                assert len(await client.read(10005)) == 10005
            assert listening.clients.held.total == 5 * SESSION_BYTES

    on_uvloop(main)


def test_a_session_is_resumed(authority: Authority) -> None:
    async def main() -> None:
        async with Listening(authority) as listening:
            first = Piecewise(listening)
            async with first:
                await first.shake_hands()
                first.tls.write(frame(b"q"))
                await first.send()
                assert await first.read(6) == frame(b"re:q")
                session = first.tls.session
            second = Piecewise(listening)
            second.tls.session = session
            async with second:
                await second.shake_hands()
                assert second.tls.session_reused

    on_uvloop(main)


def test_versions_before_1_2_are_refused(authority: Authority) -> None:
    context = made(server_files(authority), ("dot",))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.maximum_version == ssl.TLSVersion.MAXIMUM_SUPPORTED


def test_contexts_from_which_openssl_calls_python(authority: Authority, tmp_path: Path) -> None:
    """It would look for an object of Python's ssl at the session, where there is none."""
    assert may_use(made(server_files(authority), ("dot",)))
    for name, value in (("keylog_filename", str(tmp_path / "keys")), ("sni_callback", lambda *_: None)):
        context = made(server_files(authority), ("dot",))
        setattr(context, name, value)
        assert not may_use(context), name
    assert not may_use(object())  # type: ignore[arg-type]
