"""HTTP to the API server: bodies however they come, connections that are used again, proxies, and all that ends."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import uvloop

from fastdns.bench.apiserver import ApiServer
from fastdns.http.client import MAX_ATTEMPTS, TRANSPORT_ERRORS, Frozen, Proof, Session
from tests.plugins.kubernetes.api.support import until

LOOPS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
OK = b"HTTP/1.1 200 OK\r\n"
Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(answer: Answering) -> AsyncIterator[int]:
    """A server that does with each connection what it is told."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def session(port: int, **more: Any) -> Session:
    return Session(f"http://127.0.0.1:{port}", **{"tls": None, "connect_timeout_s": 5.0, **more})


def saying(*parts: bytes, then_close: bool = False) -> Answering:
    """Answers every request with the same parts, one after the other."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                for part in parts:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0.001)
                if then_close:
                    break
        writer.close()

    return answer


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (OK + b"Content-Length: 5\r\n\r\nabcde", b"abcde"),
        (OK + b"Content-Length: 0\r\n\r\n", b""),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nab", b"ab"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", b"no"),
        (OK + b"\r\nuntil it closes", b"until it closes"),
    ],
    ids=["a length", "nothing", "chunks", "a hint first", "a refusal", "no length"],
)
@pytest.mark.parametrize("step", [1, 1000], ids=["byte by byte", "whole"])
async def test_a_body(answer: bytes, body: bytes, step: int) -> None:
    parts = [answer[at : at + step] for at in range(0, len(answer), step)]
    async with serving(saying(*parts, then_close=b"until" in body)) as port:
        one = session(port)
        response = await one.get("/x", {}, silence_s=5)
        assert response.status == int(answer.rpartition(b"HTTP/1.1 ")[2][:3])
        assert await response.read() == body
        assert await response.read_some() == b""
        response.end()
        await one.close()


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 5\r\n\r\nabc",
        OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nab",
        OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
        OK + b"Content-Len",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        OK + b"X: " + b"x" * 1_000_000 + b"\r\n\r\n",
        b"",
    ],
)
async def test_what_breaks_off_or_is_no_http(answer: bytes) -> None:
    async with serving(saying(answer, then_close=True)) as port:
        one = session(port)
        with pytest.raises(TRANSPORT_ERRORS):
            await (await one.get("/x", {}, silence_s=5)).read()
        await one.close()


@pytest.mark.parametrize("answer", [b"", OK, OK + b"Content-Length: 5\r\n\r\nabc"])
async def test_silence(answer: bytes) -> None:
    async with serving(saying(answer)) as port:
        one = session(port)
        with pytest.raises(TimeoutError):
            await (await one.get("/x", {}, silence_s=0.1)).read()
        await one.close()


async def test_a_connection_is_used_again_after_a_whole_answer_only() -> None:
    peers = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer)
        await saying(OK + b"Content-Length: 200000\r\n\r\n" + b"x" * 200_000)(reader, writer)

    async with serving(answer) as port:
        one = session(port)
        for _ in range(2):
            response = await one.get("/x", {}, silence_s=5)
            assert len(await response.read()) == 200_000
            response.end()
        assert len(peers) == 1
        (await one.get("/x", {}, silence_s=5)).end()
        (await one.get("/x", {}, silence_s=5)).end()
        assert len(peers) == 2
        await one.close()


async def test_an_answer_that_is_ended_twice_gives_its_connection_back_once() -> None:
    """The second end found it idle, took it for one whose answer was not read, and closed it: each page of a
    listing had a connection of its own."""
    peers = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer)
        await saying(OK + b"Content-Length: 2\r\n\r\nab")(reader, writer)

    async with serving(answer) as port:
        one = session(port)
        ended = []
        for _ in range(3):
            response = await one.get("/x", {}, silence_s=5)
            assert await response.read() == b"ab"
            response.end()
            response.end()
            for earlier in ended:
                earlier.end()
            ended.append(response)
        # Nor does an earlier one end what the connection does now.
        response = await one.get("/x", {}, silence_s=5)
        ended[0].end()
        assert await response.read() == b"ab"
        assert len(peers) == 1
        await one.close()


async def test_a_connection_that_was_closed_while_it_was_idle_is_replaced() -> None:
    """Also where that is only found out when it is used again."""
    asked = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.append(1)
        writer.write(OK + b"Content-Length: 2\r\n\r\nab")
        if len(asked) == 1:
            # The next request meets a server that has gone.
            await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with serving(answer) as port:
        one = session(port)
        for _ in range(3):
            response = await one.get("/x", {}, silence_s=5)
            assert await response.read() == b"ab"
            response.end()
            await asyncio.sleep(0.02)
        assert len(asked) == 3
        await one.close()


async def test_closing_breaks_off_what_is_under_way() -> None:
    async with serving(saying(OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")) as port:
        one = session(port)
        response = await one.get("/x", {}, silence_s=30)
        assert await response.read_some() == b"abc"
        reading = asyncio.create_task(response.read_some())
        await asyncio.sleep(0.02)
        await one.close()
        async with asyncio.timeout(5):
            with pytest.raises(TRANSPORT_ERRORS):
                await reading
        response.end()
        with pytest.raises(TRANSPORT_ERRORS):
            await one.get("/x", {}, silence_s=5)


async def test_what_is_sent() -> None:
    heads = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(OK + b"Content-Length: 0\r\n\r\n")
        writer.close()

    async with serving(answer) as port:
        to = f"127.0.0.1:{port}"
        for url, proxy in ((f"http://{to}/k8s", None), ("http://api.example:81/k8s", f"http://me:p%40ss@{to}")):
            one = Session(url, tls=None, proxy_url=proxy, connect_timeout_s=5)
            await one.get("/api?limit=1", {"Accept": "a/b"}, silence_s=5)
            await one.close()
    assert [head.split("\r\n")[:-2] for head in heads] == [
        ["GET /k8s/api?limit=1 HTTP/1.1", f"Host: {to}", "Accept: a/b"],
        [
            "GET http://api.example:81/k8s/api?limit=1 HTTP/1.1",
            "Host: api.example:81",
            "Accept: a/b",
            "Proxy-Authorization: Basic bWU6cEBzcw==",
        ],
    ]


@contextlib.asynccontextmanager
async def proxy(status: bytes, heads: list[bytes]) -> AsyncIterator[int]:
    """A proxy that connects to whatever it is asked for, where its status is 200."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        heads.append(head)
        writer.write(b"HTTP/1.1 " + status + b"\r\n\r\n")
        if not status.startswith(b"200"):
            writer.close()
            return
        host, _, port = head.split(b" ")[1].decode().rpartition(":")
        there, back = await asyncio.open_connection(host, int(port))
        await asyncio.gather(copy(reader, back), copy(there, writer))

    async with serving(answer) as port:
        yield port


@LOOPS
def test_tls_through_a_proxy(run: Callable[..., Any]) -> None:
    async def body() -> None:
        heads: list[bytes] = []
        async with ApiServer(tls=True) as server, proxy(b"200 Connection established", heads) as port:
            assert server.ca_file is not None
            one = Session(
                server.url,
                tls=ssl.create_default_context(cafile=str(server.ca_file)),
                proxy_url=f"http://u:p@127.0.0.1:{port}",
                connect_timeout_s=5,
            )
            for _ in range(2):
                response = await one.get("/version", {"Authorization": f"Bearer {server.token}"}, silence_s=5)
                assert response.status == 200
                assert b"gitVersion" in await response.read()
                response.end()
            await one.close()
            assert len(heads) == 1
            assert heads[0].startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n".encode())
            assert b"Proxy-Authorization: Basic dTpw\r\n" in heads[0]
            # The token is for the server only.
            assert server.token.encode() not in heads[0]

    run(body())


@pytest.mark.parametrize("count", [1, 20_000], ids=["a little", "more than is read at once"])
@LOOPS
def test_a_proxy_does_not_speak_for_the_server(run: Callable[..., Any], count: int) -> None:
    lie = OK + b"Content-Length: 4\r\n\r\nfake"

    async def body() -> None:
        async with ApiServer(tls=True) as server, proxy(b"200 OK\r\n\r\n" + lie * count, []) as port:
            one = Session(
                server.url,
                tls=ssl.create_default_context(cafile=str(server.ca_file)),
                proxy_url=f"http://127.0.0.1:{port}",
                connect_timeout_s=5,
            )
            with pytest.raises(ConnectionError, match="the proxy says more than it was asked"):
                await one.get("/version", {}, silence_s=5)
            await one.close()

    run(body())


@pytest.mark.parametrize("value", ["s3cret\nHost: y", "s3cret\n", "s3cret\xe9"])
async def test_a_header_that_cannot_be_sent_does_not_show(value: str) -> None:
    """A token of two lines stood in the log."""
    async with serving(saying(OK)) as port:
        one = session(port)
        with pytest.raises(TRANSPORT_ERRORS, match="a header cannot be sent") as error:
            await one.get("/x", {"Authorization": f"Bearer {value}"}, silence_s=5)
        assert "s3cret" not in str(error.value) and error.value.__suppress_context__
        await one.close()


async def test_a_proxy_that_refuses() -> None:
    heads: list[bytes] = []
    async with proxy(b"407 Who are you", heads) as port:
        one = Session(
            "https://192.0.2.1:6443",
            tls=ssl.create_default_context(),
            proxy_url=f"http://127.0.0.1:{port}",
            connect_timeout_s=5,
        )
        with pytest.raises(OSError, match="the proxy says 407 Who are you"):
            await one.get("/x", {}, silence_s=5)


async def test_a_certificate_that_is_not_trusted() -> None:
    async with ApiServer(tls=True) as server:
        one = Session(server.url, tls=ssl.create_default_context(), connect_timeout_s=5)
        with pytest.raises(ssl.SSLCertVerificationError):
            await one.get("/x", {}, silence_s=5)


async def test_a_certificate_is_for_the_name_that_was_asked() -> None:
    """Of the right authority, but another server's."""
    async with ApiServer(tls=True) as server:
        tls = ssl.create_default_context(cafile=str(server.ca_file))
        one = Session(server.url, tls=tls, server_hostname="other.example", connect_timeout_s=5)
        with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
            await one.get("/x", {}, silence_s=5)
        await one.close()


def silent_at_first(connections: int, peers: list[asyncio.StreamWriter], body: bytes = b"ab") -> Answering:
    """Takes so many connections without a word; the later ones are answered."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer)
        if len(peers) > connections:
            await saying(OK + b"Content-Length: %d\r\n\r\n" % len(body) + body)(reader, writer)

    return answer


async def test_a_silent_connection_is_asked_again_over_a_new_one() -> None:
    peers: list[asyncio.StreamWriter] = []
    async with serving(silent_at_first(4, peers)) as port:
        one = session(port, fresh_after_s=0.05)
        response = await one.get("/x", {}, silence_s=30)
        assert await response.read() == b"ab"
        assert len(peers) == 5
        await until(lambda: len(one._open) == 1, what="what was given up is closed")
        await one.close()


async def test_tls_that_is_never_answered_is_asked_again_over_a_new_connection() -> None:
    """The server accepted and said nothing: the next connection came after 10 s."""
    async with ApiServer(tls=True) as server:
        server.faults.set("silent")
        await asyncio.sleep(0)
        one = Session(server.url, tls=server.client_context(), connect_timeout_s=30.0, fresh_after_s=0.1)
        asking = asyncio.create_task(one.get("/version", {}, silence_s=30))
        while server.faults.hits["silent"] < 2:
            await asyncio.sleep(0.01)
        server.faults.clear()
        async with asyncio.timeout(5):
            assert (await asking).status == 200
        await one.close()


async def test_a_slow_server_is_waited_for() -> None:
    """It answers each connection late: the oldest request must not be given up for newer ones."""
    peers = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer)
        await asyncio.sleep(0.5)
        await saying(OK + b"Content-Length: 2\r\n\r\nab")(reader, writer)

    async with serving(answer) as port:
        one = session(port, fresh_after_s=0.05)
        response = await one.get("/x", {}, silence_s=5)
        assert await response.read() == b"ab"
        assert response._connection.writer.get_extra_info("sockname") == peers[0].get_extra_info("peername")
        await until(lambda: len(one._open) == 1)
        await one.close()


async def test_connections_of_one_request_are_bounded() -> None:
    open_now, most = 0, 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        with contextlib.suppress(ConnectionError):
            while await reader.read(1000):
                pass
        open_now -= 1
        writer.close()

    async with serving(answer) as port:
        one = session(port, fresh_after_s=0.05)
        with pytest.raises(TimeoutError):
            await one.get("/x", {}, silence_s=1.0)
        # The one that is given up and the one that follows may overlap.
        assert 2 <= most <= MAX_ATTEMPTS + 1
        await until(lambda: not one._open)
        await one.close()


async def test_a_pooled_connection_that_is_silent_takes_its_like_with_it() -> None:
    """Half-open: what waits in the pool is dead, each of them another wait."""
    peers: list[asyncio.StreamWriter] = []
    frozen: list[float] = []
    dead = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer)
        mine = len(peers)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                if mine <= 3 and dead.is_set():
                    await reader.read()
                writer.write(OK + b"Content-Length: 2\r\n\r\nab")
        writer.close()

    async with serving(answer) as port:
        one = session(port, fresh_after_s=0.1, on_frozen=frozen.append)
        responses = [await one.get("/x", {}, silence_s=5) for _ in range(3)]
        for response in responses:
            await response.read()
            response.end()
        assert len(one._idle) == 3
        dead.set()
        before = time.monotonic()
        response = await one.get("/x", {}, silence_s=30)
        assert await response.read() == b"ab"
        response.end()
        await until(lambda: len(one._open) == len(one._idle) == 1)
        assert len(peers) == 4
        assert len(frozen) == 1 and before <= frozen[0] <= time.monotonic() - 0.1
        await one.close()


@pytest.mark.parametrize("answers", [True, False], ids=["another answer proves it", "the server is silent"])
async def test_a_body_that_stops_is_given_up_once_the_server_answers_others(answers: bool) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        if asked.startswith(b"GET /proof"):
            if answers:
                writer.write(OK + b"Content-Length: 2\r\n\r\nab")
        else:
            writer.write(OK + b"Content-Length: 5\r\n\r\nabc")
        await reader.read()
        writer.close()

    async with serving(answer) as port:
        one = session(port, fresh_after_s=0.05)
        response = await one.get("/x", {}, silence_s=1.0)
        response.proof = Proof("/proof", {})
        assert await response.read_some() == b"abc"
        with pytest.raises(TimeoutError) as error:
            await response.read_some()
        assert isinstance(error.value, Frozen) is answers
        response.end()
        await until(lambda: len(one._open) == len(one._idle) == answers)
        await one.close()


async def test_a_body_that_owes_nothing_may_be_silent() -> None:
    """An idle watch, of a server that answers others."""
    async with serving(saying(OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")) as port:
        one = session(port, fresh_after_s=0.02)
        response = await one.get("/x", {}, silence_s=0.4)
        response.proof = Proof("/proof", {}, lambda: False)
        assert await response.read_some() == b"abc"
        with pytest.raises(TimeoutError) as error:
            await response.read_some()
        assert not isinstance(error.value, Frozen)
        await one.close()
