"""HTTP as probes and scrapers speak it: requests as bytes, whole and in pieces, and everything that is refused."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from fastdns.http import server_connection
from fastdns.http.answers import Answer, Request, text
from fastdns.http.places import MAX_CONNECTIONS, MAX_HANDSHAKES, MAX_TLS_CONNECTIONS, Places
from fastdns.http.server_connection import ServerConnection
from fastdns.http.turns import Turns
from tests.certificates import write_certificate


async def answering(request: Request) -> Answer:
    return text(f"{request.method} {request.path}")


async def failing(request: Request) -> Answer:
    raise ValueError("not today")


@asynccontextmanager
async def serving(
    tls: ssl.SSLContext | None = None, max_connections: int = MAX_CONNECTIONS, **handlers: Any
) -> AsyncIterator[tuple[int, dict[ServerConnection, None]]]:
    """A server on a port of 127.0.0.1, and its server_connection. handlers: by path without the slash."""
    places = Places(Turns(), max_connections)
    opened = places.open
    by_path = {f"/{name}": handler for name, handler in (handlers or {"health": answering}).items()}
    server = await asyncio.get_running_loop().create_server(
        lambda: ServerConnection(by_path, places, tls), "127.0.0.1", 0
    )
    try:
        yield server.sockets[0].getsockname()[1], opened
    finally:
        server.close()
        for one in list(opened):
            one.abort()


async def said(port: int, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """All that comes back for these bytes until the server ends the connection, without the dates."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await asyncio.sleep(pause_s)
    async with asyncio.timeout(5):
        data = await reader.read(-1)
    writer.close()
    return b"\r\n".join(line for line in data.split(b"\r\n") if not line.startswith(b"Date: "))


GET = b"GET /health?x=1 HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: Close\r\n\r\n"


def ok(*, last: bool, body: bytes = b"GET /health") -> bytes:
    end = b"Connection: close\r\n" if last else b""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 11\r\n"
    return head + end + b"\r\n" + body


@pytest.mark.parametrize("step", [1, 7, 1000], ids=["byte by byte", "in pieces", "whole"])
async def test_requests_on_one_connection(step: int) -> None:
    data = GET + GET + LAST
    async with serving() as (port, _):
        got = await said(port, *(data[at : at + step] for at in range(0, len(data), step)))
    assert got == ok(last=False) * 2 + ok(last=True)


async def test_a_head_has_no_body() -> None:
    async with serving() as (port, _):
        got = await said(port, LAST.replace(b"GET", b"HEAD"))
    assert got == ok(last=True, body=b"").replace(b"Length: 11", b"Length: 12")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET  HTTP/1.1\r\n\r\n", 400),
        (b"GET /health\r\n\r\n", 400),
        (b"GET /health HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"GET /health FTP/1.1\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nno host: x\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20000 + b"\r\n\r\n", 431),
        (b"GET /none HTTP/1.0\r\n\r\n", 404),
        (b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 405),
        (b"POST /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 405),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 200),
        (b"GET /fails HTTP/1.0\r\n\r\n", 500),
    ],
)
async def test_what_ends_a_connection(request_: bytes, status: int) -> None:
    """A body is not read, so nothing behind it may be taken for a request."""
    async with serving(health=answering, fails=failing) as (port, opened):
        got = await said(port, request_ + GET)
        assert got.startswith(f"HTTP/1.1 {status} ".encode())
        assert got.count(b"HTTP/1.1 ") == 1
        assert not opened


async def test_a_head_without_an_end_is_bounded() -> None:
    async with serving() as (port, _):
        assert (await said(port, b"x" * 20000)).startswith(b"HTTP/1.1 431 ")


async def test_who_closes_its_side_gets_its_answer() -> None:
    waits = asyncio.Event()

    async def slow(request: Request) -> Answer:
        await waits.wait()
        return text("GET /health")

    async with serving(health=slow) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        writer.write_eof()
        await asyncio.sleep(0.05)
        waits.set()
        assert (await reader.read(-1)).endswith(b"GET /health")
        writer.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def test_the_longest_quiet_one_makes_room() -> None:
    async with serving(max_connections=2) as (port, opened):
        first = await asyncio.open_connection("127.0.0.1", port)
        second = await asyncio.open_connection("127.0.0.1", port)
        await until(lambda: len(opened) == 2)
        first[1].write(GET)
        await first[0].readuntil(b"GET /health")
        third = await asyncio.open_connection("127.0.0.1", port)
        assert await second[0].read(1) == b""
        assert len(opened) == 2
        for _, writer in (first, second, third):
            writer.close()


async def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_connection, "PATIENCE_S", 0.05)
    async with serving() as (port, opened):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /health HT")
        assert await reader.read(1) == b""
        assert not opened
        writer.close()


async def test_requests_that_are_sent_ahead_are_bounded() -> None:
    """While one is answered, no more than a head of what comes next is kept."""
    waits = asyncio.Event()

    async def slow(request: Request) -> Answer:
        await waits.wait()
        return text("GET /health")

    async with serving(health=slow) as (port, opened):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET * 200_000)
        await until(lambda: any(one.http.ahead_bytes > server_connection.MAX_HEAD_BYTES for one in opened))
        await asyncio.sleep(0.1)
        (one,) = opened
        assert one.http.ahead_bytes < 1 << 20
        waits.set()
        for _ in range(3):
            await reader.readuntil(b"GET /health")
        writer.transport.abort()


async def test_answers_that_are_not_read_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that asks on and reads nothing filled the supervisor's memory, and patience never ended."""
    monkeypatch.setattr(server_connection, "PATIENCE_S", 0.5)
    answered = 0

    async def large(request: Request) -> Answer:
        nonlocal answered
        answered += 1
        return text("x" * 1_000_000)

    async with serving(health=large) as (port, opened):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(GET * 2_000)
        await until(lambda: any(one.unread for one in opened))
        unread = answered
        await asyncio.sleep(0.1)
        assert answered == unread, "nothing more until the peer has read"
        await until(lambda: not opened)
        writer.transport.abort()


async def test_who_reads_late_gets_all_answers() -> None:
    async def large(request: Request) -> Answer:
        return text("x" * 5_000_000)

    async with serving(health=large) as (port, opened):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(GET * 5 + LAST)
        await until(lambda: any(one.unread for one in opened))
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(20):
            assert (await reader.read(-1)).count(b"HTTP/1.1 200 OK") == 6
        writer.close()


@pytest.mark.parametrize(
    ("head", "goes_on"),
    [
        (b"GET /health HTTP/1.1\r\nHost: x", True),
        (b"GET /health HTTP/1.0", False),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: x\r\nConnection: close", False),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 0", True),
    ],
)
async def test_whether_it_goes_on(head: bytes, goes_on: bool) -> None:
    async with serving() as (port, _):
        got = await said(port, head + b"\r\n\r\n" + LAST)
        assert got.count(b"HTTP/1.1 200 OK") == 1 + goes_on


async def test_headers_have_lowercased_names() -> None:
    seen: list[Request] = []

    async def seeing(request: Request) -> Answer:
        seen.append(request)
        return text("")

    async with serving(metrics=seeing) as (port, _):
        await said(port, b"GET /metrics HTTP/1.0\r\nACCEPT: a\r\naccept:  b \r\n\r\n")
    assert seen == [Request("GET", "/metrics", {"accept": "a, b"})]


def contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's, and that of a client which trusts it."""
    write_certificate(folder)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return server, ssl.create_default_context(cafile=str(folder / "cert.pem"))


async def test_over_tls(tmp_path: Path) -> None:
    """Also what comes with the end of the handshake, and what is refused."""
    server, client = contexts(tmp_path)
    async with serving(tls=server) as (port, opened):
        for request_, status in ((LAST, b"200"), (b"nonsense\r\n\r\n", b"400")):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=client, server_hostname="localhost"
            )
            writer.write(request_)
            async with asyncio.timeout(5):
                assert (await reader.read(-1)).startswith(b"HTTP/1.1 " + status)
            writer.close()
        await until(lambda: not opened)


async def test_who_has_not_shaken_hands_is_counted(tmp_path: Path) -> None:
    server, client = contexts(tmp_path)
    async with serving(tls=server, max_connections=2) as (port, opened):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        await until(lambda: len(opened) == 2)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname="localhost")
        assert await silent[0][0].read(1) == b""
        assert len(opened) == 2
        writer.write(LAST)
        assert (await reader.read(-1)).startswith(b"HTTP/1.1 200 ")
        for _, one in (*silent, (reader, writer)):
            one.close()


@pytest.mark.parametrize("data", [b"", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["silence", "no TLS"])
async def test_a_handshake_that_does_not_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(server_connection, "HANDSHAKE_S", 0.1)
    server, _ = contexts(tmp_path)
    async with serving(tls=server) as (port, opened):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(data)
        async with asyncio.timeout(5):
            # An alert at most.
            assert b"HTTP" not in await reader.read(-1)
        await until(lambda: not opened)
        writer.close()


# ------------------------------------------------------------------------------------- what one client may take


class Peer:
    """A connection, as its endpoint sees it."""

    def __init__(self, places: Places, client: str, tls: object = None) -> None:
        self.places = places
        self.client = client
        self.tls = tls
        self.ended = False

    def abort(self) -> None:
        self.ended = True
        self.places.remove(cast(ServerConnection, self))

    def touch(self) -> Peer:
        self.places.touch(cast(ServerConnection, self))
        return self


def test_the_client_with_most_connections_makes_room() -> None:
    """Each new one of a flood took the place of the longest quiet: a probe's, before it was answered."""
    places = Places(Turns(), max_connections=4)
    probe = Peer(places, "probe").touch()
    flood = [Peer(places, "flood").touch() for _ in range(20)]
    assert not probe.ended and len(places.open) == 4
    assert [peer.ended for peer in flood] == [True] * 17 + [False] * 3
    other = Peer(places, "other").touch()
    assert not (probe.ended or other.ended) and sum(not peer.ended for peer in flood) == 2


def test_handshakes_at_a_time_are_bounded() -> None:
    """Each takes milliseconds of the supervisor's loop, all of them at once where their peers wish so."""
    places = Places(Turns(), max_connections=1000)
    shaking = []
    for number in range(50):
        shaking.append(Peer(places, f"client {number % 2}", tls=object()).touch())
        places.shakes_hands(cast(ServerConnection, shaking[-1]))
    assert len(places.shaking) == MAX_HANDSHAKES == sum(not peer.ended for peer in shaking)
    assert not shaking[-1].ended
    settled = [Peer(places, "scraper", tls=object()).touch() for _ in range(200)]
    assert sum(not peer.ended for peer in [*settled, *shaking]) == MAX_TLS_CONNECTIONS


async def test_an_answer_is_kept_once_whoever_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each connection that did not read had a copy of its own, in full."""
    body = b"x" * 20_000_000

    async def large(request: Request) -> Answer:
        return Answer(body)

    async with serving(health=large) as (port, opened):
        peers = [await asyncio.open_connection("127.0.0.1", port) for _ in range(10)]
        for _, writer in peers:
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(GET)
        await until(lambda: len(opened) == 10 and all(one.unread for one in opened))
        for one in opened:
            assert one.transport is not None and one.left is not None and one.left.obj is body
            assert one.transport.get_write_buffer_size() <= 2 * server_connection.WRITE_BYTES + 1000
        for _, writer in peers:
            writer.transport.abort()


async def test_heads_that_do_not_end_take_bounded_memory() -> None:
    async with serving() as (port, opened):
        peers = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        for _, writer in peers:
            writer.write(b"GET /health HTTP/1.1\r\nX: " + b"x" * 15_000)
        await until(lambda: len(opened) == 20 and all(one.http.ahead_bytes for one in opened))
        kept = [one.http.ahead_bytes for one in opened]
        assert max(kept) <= server_connection.MAX_HEAD_BYTES + server_connection.READ_BYTES
        for _, writer in peers:
            writer.transport.abort()


async def test_pipelined_requests_are_answered_after_the_peer_has_closed_its_side() -> None:
    async with serving() as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET * 3)
        writer.write_eof()
        assert (await reader.read(-1)).count(b"HTTP/1.1 200 OK") == 3
        writer.close()
