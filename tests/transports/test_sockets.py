"""The sockets of connections: whose turn it is, what becomes of errors, protocols in Python, and accepting."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from functools import partial
from typing import Any

import pytest
import uvloop

from fastdns.metrics._stats import Stats
from fastdns.transports import accepting
from fastdns.transports._slow import PARKED
from fastdns.transports.clients import Clients
from fastdns.transports.limits import Limits
from fastdns.transports.stream import WRITE_HIGH_BYTES
from fastdns.transports.tcp import TcpConnection
from fastdns.transports.turns import QUERIES
from tests.transports.support import Accepted, cut, frame

pytestmark = pytest.mark.native


class Server:
    """A listening socket whose connections are made by make, with the clients as its argument."""

    def __init__(self, make: Any) -> None:
        self.make = make

    async def __aenter__(self) -> Server:
        loop = asyncio.get_running_loop()
        self.errors: list[str] = []
        loop.set_exception_handler(lambda _, context: self.errors.append(repr(context["exception"])))
        self.stats = Stats(1)
        self.clients = Clients(loop, 1000, self.stats, 0)
        self.accepted = Accepted(partial(self.make, self.clients), self.clients)
        await self.accepted.begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.accepted.end()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.accepted.address)

    async def everybody_is_gone(self) -> None:
        while self.accepted.sockets.open:
            await asyncio.sleep(0.01)


def plain(clients: Clients, serve: Any = cut) -> TcpConnection:
    return TcpConnection(serve, Limits(read_s=20, idle_s=20), clients)


def on_uvloop(main: Any) -> None:
    uvloop.run(asyncio.wait_for(main(), 20))


# --------------------------------------------------------------------------------------------------- turns


def test_all_connections_of_one_client_get_their_replies() -> None:
    """Many more than a turn has: who is passed over is not read, and is asked again."""

    async def main() -> None:
        async with Server(plain) as server:
            opened = [await server.connect() for _ in range(5 * QUERIES)]
            for round_ in range(3):
                for _, writer in opened:
                    writer.write(frame(b"%d" % round_) * 2)
                for reader, _ in opened:
                    assert await reader.readexactly(12) == frame(b"re:%d" % round_) * 2
            for _, writer in opened:
                writer.close()
            await server.everybody_is_gone()
            assert not server.errors

    on_uvloop(main)


def test_who_never_stops_asking_leaves_turns_to_other_connections_of_its_client() -> None:
    async def main() -> None:
        async with Server(plain) as server:
            flood_reader, flood = await server.connect()
            reader, writer = await server.connect()
            stopped = False

            async def ask() -> None:
                while not stopped:
                    flood.write(frame(b"x") * 2000)
                    await flood.drain()

            async def read() -> int:
                answers = 0
                while data := await flood_reader.read(1 << 16):
                    answers += len(data)
                return answers // len(frame(b"re:x"))

            asking, reading = asyncio.create_task(ask()), asyncio.create_task(read())
            for _ in range(50):
                writer.write(frame(b"q"))
                assert await reader.readexactly(6) == frame(b"re:q")
            stopped = True
            await asking
            flood.write_eof()
            assert await reading > 50 * QUERIES // 2
            writer.close()
            await server.everybody_is_gone()

    on_uvloop(main)


def test_replies_that_come_later() -> None:
    """In another order, alone and several in one turn of the loop."""

    async def main() -> None:
        waiting: list[tuple[bytes, Any]] = []

        def serve(message: bytes, address: bytes, port: int, deliver: Any) -> object:
            waiting.append((message, deliver))
            return PARKED

        async with Server(partial(plain, serve=serve)) as server:
            reader, writer = await server.connect()
            for count in (1, 20):
                writer.write(b"".join(frame(b"%02d" % n) for n in range(count)))
                while len(waiting) < count:
                    await asyncio.sleep(0.01)
                for message, deliver in reversed(waiting):
                    assert deliver(b"re:" + message) is True
                waiting.clear()
                expected = b"".join(frame(b"re:%02d" % n) for n in reversed(range(count)))
                assert await reader.readexactly(len(expected)) == expected
            writer.write(frame(b"q"))
            while not waiting:
                await asyncio.sleep(0.01)
            writer.close()
            # Its silence is waited for.
            assert waiting[0][1](None) is True
            await server.everybody_is_gone()
            assert not server.errors

    on_uvloop(main)


# -------------------------------------------------------------------------------------------------- errors


def test_an_error_of_ours_ends_one_connection() -> None:
    def serve(message: bytes, *_: object) -> bytes:
        if message == b"bad":
            raise ValueError("it went wrong")
        return b"re:" + message

    async def main() -> None:
        async with Server(partial(plain, serve=serve)) as server:
            reader, writer = await server.connect()
            other_reader, other = await server.connect()
            writer.write(frame(b"bad"))
            assert await reader.read(-1) == b""
            other.write(frame(b"q"))
            assert await other_reader.readexactly(6) == frame(b"re:q")
            assert server.errors == ["ValueError('it went wrong')"]
            other.close()
            await server.everybody_is_gone()

    on_uvloop(main)


@pytest.mark.parametrize("how", ["reset", "closed", "half closed"])
def test_a_client_that_goes(how: str) -> None:
    """With a reset while replies are unread, in the midst of a message, or for one direction only."""

    async def main() -> None:
        async with Server(plain) as server:
            loop = asyncio.get_running_loop()
            with socket.socket() as client:
                client.setblocking(False)
                await loop.sock_connect(client, server.accepted.address)
                await loop.sock_sendall(client, frame(b"q" * 60000) * 3 + b"\0")
                await loop.sock_recv(client, 1)
                if how == "reset":
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    client.close()
                elif how == "closed":
                    client.close()
                else:
                    client.shutdown(socket.SHUT_WR)
                    size = 1
                    while data := await loop.sock_recv(client, 1 << 16):
                        size += len(data)
                    assert size == 3 * (2 + 3 + 60000)
                await server.everybody_is_gone()
            assert not server.clients.busy
            assert not server.errors

    on_uvloop(main)


# -------------------------------------------------------------------------------------- protocols in Python


class Doubling(asyncio.BufferedProtocol):
    """Sends back twice what it gets, through a buffer of three bytes; asks for a pause now and then."""

    def __init__(self, clients: Clients) -> None:
        self.buffer = bytearray(3)
        self.heard: list[str] = []
        made.append(self)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        assert transport.get_extra_info("peername")[0] == "127.0.0.1"
        assert transport.get_extra_info("sockname")[0] == "127.0.0.1"
        assert transport.get_extra_info("cipher", "none") == "none"
        assert transport.get_protocol() is self

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.transport.write(self.buffer[:nbytes] * 2)
        if self.buffer[0] == ord("p"):
            self.transport.pause_reading()
            asyncio.get_running_loop().call_later(0.05, self.transport.resume_reading)

    def pause_writing(self) -> None:
        self.heard.append("pause")

    def resume_writing(self) -> None:
        self.heard.append("resume")

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.heard.append("lost")


made: list[Doubling] = []


def test_a_protocol_in_python() -> None:
    async def main() -> None:
        made.clear()
        async with Server(Doubling) as server:
            reader, writer = await server.connect()
            for sent, wanted in ((b"abcd", b"abcabcdd"), (b"pq", b"pqpq"), (b"xyz", b"xyzxyz")):
                writer.write(sent)
                assert await reader.readexactly(len(wanted)) == wanted
            writer.close()
            await server.everybody_is_gone()
            assert made[0].heard == ["lost"]
            assert made[0].transport.is_closing()
            made[0].transport.write(b"too late")
            made[0].transport.close()
            assert not server.errors

    on_uvloop(main)


def test_it_is_told_to_wait_and_to_go_on() -> None:
    async def main() -> None:
        made.clear()
        async with Server(Doubling) as server:
            reader, writer = await server.connect()
            writer.write(b"a")
            await reader.readexactly(2)
            transport = made[0].transport
            data = os.urandom(8 << 20)
            transport.write(data)
            assert transport.get_write_buffer_size() > WRITE_HIGH_BYTES
            assert made[0].heard == ["pause"]
            assert await reader.readexactly(len(data)) == data
            assert made[0].heard == ["pause", "resume"]
            transport.write(data)
            transport.close()
            assert transport.is_closing()
            assert await reader.readexactly(len(data)) == data
            assert await reader.read(-1) == b""
            writer.close()
            await server.everybody_is_gone()
            assert made[0].heard[:3] == ["pause", "resume", "pause"]
            assert made[0].heard[-1] == "lost"

    on_uvloop(main)


# ----------------------------------------------------------------------------------------------- accepting


def test_without_descriptors_it_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(accepting, "RETRY_S", 0.01)

    class Scarce:
        """A listening socket for which there is no descriptor at first."""

        def __init__(self, real: socket.socket) -> None:
            self.real = real
            self.failures = [errno.ECONNABORTED, errno.EMFILE, errno.ENFILE]

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

        def accept(self) -> Any:
            if self.failures:
                number = self.failures.pop(0)
                raise OSError(number, os.strerror(number))
            return self.real.accept()

    async def main() -> None:
        async with Server(plain) as server:
            server.accepted.server.listening = Scarce(server.accepted.listening)
            reader, writer = await server.connect()
            writer.write(frame(b"q"))
            assert await reader.readexactly(6) == frame(b"re:q")
            writer.close()
            await server.everybody_is_gone()

    on_uvloop(main)
    assert [record.getMessage() for record in caplog.records] == ["cannot accept connections: Too many open files"]


def test_who_waits_when_it_closes_is_served() -> None:
    async def main() -> None:
        async with Server(plain) as server:
            with socket.create_connection(server.accepted.address) as client:
                client.sendall(frame(b"q"))
                server.accepted.server.close(10)
                client.setblocking(False)
                reply = await asyncio.get_running_loop().sock_recv(client, 100)
                assert reply == frame(b"re:q")
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(server.accepted.address)
            await server.everybody_is_gone()

    on_uvloop(main)
