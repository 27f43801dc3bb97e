"""DNS over HTTPS on real sockets, as a worker has them: many at once, who does not read, and its TLS records."""

from __future__ import annotations

import asyncio
import ssl
from functools import partial
from typing import Any

import pytest
import uvloop

from fastdns.metrics._stats import Stats
from fastdns.metrics.handshakes import HandshakeCounts
from fastdns.servertls import ServerTls, made
from fastdns.tls import bare_client_context
from fastdns.transports import _nghttp2, clients
from fastdns.transports._slow import PARKED
from fastdns.transports._tls import TlsLayer
from fastdns.transports.clients import Clients
from fastdns.transports.https import HttpsConnection
from fastdns.transports.limits import Limits
from fastdns.transports.places import Places
from fastdns.transports.tls import Handshakes, TlsConnection
from fastdns.transports.turns import QUERIES
from tests.plugins.forward.certificates import Authority
from tests.transports.http_clients import Http2Client, has_nghttp2, http1_post, http1_responses
from tests.transports.support import Accepted

pytestmark = pytest.mark.native

HEADER = bytes(12)
HEADERS_FRAME = 1
FRAME_HEAD_BYTES = 9


@pytest.fixture(scope="module", autouse=True)
def library() -> None:
    if not has_nghttp2():
        pytest.skip("there is no libnghttp2")
    _nghttp2.load()


def reply_to(message: bytes, client: bytes = b"", port: int = 0, deliver: object = None) -> bytes:
    return b"re:" + message


class Listening:
    """A server on a free port. layer: its TLS; None has it in plain text."""

    def __init__(self, authority: Authority, layer: Any, serve: Any = reply_to, **limits: Any) -> None:
        folder = authority.directory
        self.context = made(ServerTls(str(folder / "server.crt"), str(folder / "server.key")), ("h2",))
        self.trusting = bare_client_context()
        self.trusting.load_verify_locations(authority.ca)
        self.layer = layer
        self.serve = serve
        self.limits = Limits(**limits)

    async def __aenter__(self) -> Listening:
        loop = asyncio.get_running_loop()
        self.errors: list[str] = []
        loop.set_exception_handler(lambda _, context: self.errors.append(repr(context["exception"])))
        self.stats = Stats(1)
        self.statuses: list[int] = []
        self.clients = Clients(loop, 200, self.stats, 0)
        connect: Any = partial(
            HttpsConnection, self.serve, self.limits, self.clients, count=self.statuses.append, places=Places(100)
        )
        if self.layer is not None:
            connect = partial(self.layer, connect, lambda: self.context, Handshakes(loop, HandshakeCounts()))
        self.accepted = Accepted(connect, self.clients)
        await self.accepted.begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.accepted.end()
        assert not self.errors

    async def connect(self) -> Client:
        client = Client(self)
        client.reader, client.writer = await asyncio.open_connection(*self.accepted.address)
        if self.layer is not None:
            await client.shake_hands()
        return client

    async def everybody_is_gone(self) -> None:
        while self.clients.busy:
            await asyncio.sleep(0.01)
        assert self.clients.held.total == 0


class Client:
    """HTTP/2 on TLS on memory, and a socket. records: what each record with application data had."""

    def __init__(self, listening: Listening) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = listening.trusting.wrap_bio(self.incoming, self.outgoing, server_hostname="dns.example")
        self.plain = listening.layer is None
        self.http = Http2Client()
        self.records: list[bytes] = []
        self.behind = b""

    async def shake_hands(self) -> None:
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self.writer.write(self.outgoing.read())
                self.incoming.write(await self.reader.read(65536))
            else:
                self.writer.write(self.outgoing.read())
                return

    def send(self, data: bytes) -> None:
        if self.plain:
            self.writer.write(data)
        elif data:
            self.tls.write(data)
            self.writer.write(self.outgoing.read())

    async def receive(self) -> bytes:
        """What has come next, decrypted, one record at a time; nothing is the end."""
        data = await self.reader.read(65536)
        if self.plain or not data:
            return data
        self.behind += data
        found = b""
        while len(self.behind) >= 5 and len(self.behind) >= (end := 5 + int.from_bytes(self.behind[3:5], "big")):
            self.incoming.write(self.behind[:end])
            self.behind = self.behind[end:]
            try:
                record = self.tls.read(65536)
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLZeroReturnError:
                break
            self.records.append(record)
            found += record
        return found if found or self.reader.at_eof() else await self.receive()

    async def responses(self, streams: list[int]) -> list[bytes]:
        """The contents of these, when all are whole."""
        self.send(self.http.sent())
        while not all(self.http.responses[stream].ended for stream in streams):
            data = await self.receive()
            assert data, "the server has closed the connection"
            self.http.receive(data)
            self.send(self.http.sent())
        assert {self.http.responses[stream].status for stream in streams} == {200}
        return [self.http.responses[stream].content for stream in streams]


LAYERS = pytest.mark.parametrize("layer", [None, TlsLayer, TlsConnection], ids=["plain", "OpenSSL", "ssl"])


def on_uvloop(main: Any) -> None:
    uvloop.run(asyncio.wait_for(main(), 30))


@LAYERS
def test_more_at_once_than_a_turn_has(authority: Authority, layer: Any) -> None:
    """On several connections of one client, with contents of several sizes."""
    messages = [HEADER + b"%d" % n * (1 + n % 10 * 20) for n in range(3 * QUERIES)]

    async def main() -> None:
        async with Listening(authority, layer) as listening:
            opened = [await listening.connect() for _ in range(4)]
            for client in opened:
                # It learns how many streams it may have.
                await client.responses([client.http.post(HEADER)])
            for _ in range(2):
                found = await asyncio.gather(
                    *(client.responses([client.http.post(message) for message in messages]) for client in opened)
                )
                assert found == [[b"re:" + message for message in messages]] * 4
            for client in opened:
                client.writer.close()
            await listening.everybody_is_gone()
            assert set(listening.statuses) == {200}
            assert listening.stats.failed(0) == {}

    on_uvloop(main)


@pytest.mark.parametrize("layer", [TlsLayer, TlsConnection], ids=["OpenSSL", "ssl"])
def test_each_response_is_a_record_of_its_own(authority: Authority, layer: Any) -> None:
    """dnsperf loses responses that share one."""

    async def main() -> None:
        async with Listening(authority, layer) as listening:
            client = await listening.connect()
            await client.responses([client.http.get(HEADER)])
            client.records.clear()
            await client.responses([client.http.get(HEADER + b"%d" % n) for n in range(QUERIES)])
            kinds = []
            for record in client.records:
                kinds.append([])
                while record:
                    kinds[-1].append(record[3])
                    record = record[FRAME_HEAD_BYTES + int.from_bytes(record[:3], "big") :]
            assert [found.count(HEADERS_FRAME) for found in kinds if HEADERS_FRAME in found] == [1] * QUERIES
            client.writer.close()
            await listening.everybody_is_gone()

    on_uvloop(main)


@LAYERS
def test_replies_that_come_later(authority: Authority, layer: Any) -> None:
    """In another order, alone and several in one turn of the loop; and for a request that was given up."""

    async def main() -> None:
        waiting: list[tuple[bytes, Any]] = []

        def serve(message: bytes, address: bytes, port: int, deliver: Any) -> object:
            waiting.append((message, deliver))
            return PARKED

        async def parked(count: int) -> None:
            while len(waiting) < count:
                await asyncio.sleep(0.01)

        async with Listening(authority, layer, serve) as listening:
            client = await listening.connect()
            for count in (1, 20):
                streams = [client.http.post(HEADER + b"%d" % n) for n in range(count)]
                client.send(client.http.sent())
                await parked(count)
                for message, deliver in reversed(waiting):
                    assert deliver(b"re:" + message) is True
                waiting.clear()
                assert await client.responses(streams) == [b"re:" + HEADER + b"%d" % n for n in range(count)]
            given_up = client.http.post(HEADER)
            client.send(client.http.sent())
            await parked(1)
            client.http.h2.reset_stream(given_up)
            client.http.post(HEADER)
            client.send(client.http.sent())
            await parked(2)
            assert waiting[0][1](b"too late") is False
            client.writer.close()
            assert waiting[1][1](b"in time") is True
            await listening.everybody_is_gone()

    on_uvloop(main)


@LAYERS
def test_who_does_not_read_for_a_while(authority: Authority, layer: Any) -> None:
    """The server stops to read, and goes on where the client does. Nothing is lost."""

    async def main() -> None:
        def serve(message: bytes, *_: object) -> bytes:
            return message + bytes(60000)

        async with Listening(authority, layer, serve) as listening:
            client, other = await listening.connect(), await listening.connect()
            asked = [HEADER + b"%d" % n for n in range(100)]
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            streams = [client.http.post(message) for message in asked]
            client.send(client.http.sent())
            while not listening.clients.unread:
                await asyncio.sleep(0.01)
            assert await other.responses([other.http.post(HEADER)]) == [HEADER + bytes(60000)]
            client.writer.transport.resume_reading()  # type: ignore[attr-defined]
            assert await client.responses(streams) == [message + bytes(60000) for message in asked]
            for one in (client, other):
                one.writer.close()
            await listening.everybody_is_gone()
            assert listening.stats.failed(0) == {}

    on_uvloop(main)


@LAYERS
def test_who_never_reads_is_closed(authority: Authority, layer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "CHECK_S", 0.05)

    async def main() -> None:
        async with Listening(authority, layer, lambda *_: bytes(60000), write_s=0.2) as listening:
            client = await listening.connect()
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            for _ in range(120):
                client.http.post(HEADER)
            client.send(client.http.sent())
            while not listening.clients.unread:
                await asyncio.sleep(0.01)
            await listening.everybody_is_gone()
            assert sum(listening.stats.failed(0).values()) > 0
            client.writer.close()

    on_uvloop(main)


@LAYERS
def test_version_1(authority: Authority, layer: Any) -> None:
    async def main() -> None:
        async with Listening(authority, layer) as listening:
            client = await listening.connect()
            asked = [HEADER + b"%d" % n for n in range(2 * QUERIES)]
            client.send(b"".join(map(http1_post, asked)))
            data = b""
            while data.count(b"HTTP/1.1") < len(asked) or not data.endswith(asked[-1]):
                data += await client.receive()
            assert [one.content for one in http1_responses(data)] == [b"re:" + message for message in asked]
            client.writer.close()
            await listening.everybody_is_gone()

    on_uvloop(main)


def test_an_error_of_ours_ends_one_connection(authority: Authority) -> None:
    """What was gathered for it goes to nobody else."""

    def serve(message: bytes, *_: object) -> bytes:
        if message.endswith(b"bad"):
            raise ValueError("it went wrong")
        return b"re:" + message

    async def main() -> None:
        async with Listening(authority, None, serve) as listening:
            client, other = await listening.connect(), await listening.connect()
            assert await other.responses([other.http.post(HEADER)]) == [b"re:" + HEADER]
            client.http.post(HEADER + b"good")
            client.http.post(HEADER + b"bad")
            client.send(client.http.sent())
            assert b"good" not in await client.reader.read(-1)
            assert await other.responses([other.http.post(HEADER)]) == [b"re:" + HEADER]
            assert listening.errors == ["ValueError('it went wrong')"]
            listening.errors.clear()
            for one in (client, other):
                one.writer.close()
            await listening.everybody_is_gone()

    on_uvloop(main)
