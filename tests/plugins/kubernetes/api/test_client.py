"""The client's rules: credentials, retries, limits, what is counted."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fastdns import __version__
from fastdns.bench.apiserver import ApiServer
from fastdns.errors import SourceError
from fastdns.http.client import Session
from fastdns.plugins.kubernetes.api import bodies, errors
from fastdns.plugins.kubernetes.api import client as api
from fastdns.plugins.kubernetes.api.client import Client
from fastdns.plugins.kubernetes.api.connection import from_endpoint, resolve
from fastdns.plugins.kubernetes.api.errors import TooManyRequests, Unauthorized, Unreachable
from fastdns.plugins.kubernetes.api.limits import RateLimiter
from tests.plugins.kubernetes.api.support import CountingMetrics, decoded, options

NAMESPACES = "/api/v1/namespaces"


@asynccontextmanager
async def connected(server: ApiServer, folder: Path, **more: Any) -> AsyncIterator[tuple[Client, list[int]]]:
    """A client in a pod, and a list that grows by one with every resolving."""
    environ = server.service_account(folder)
    resolved: list[int] = []

    async def connection() -> Any:
        resolved.append(1)
        return await resolve(options(), environ=environ, service_account=folder)

    async with Client(connection, **more) as client:
        yield client, resolved


async def test_a_list(server: ApiServer, tmp_path: Path) -> None:
    metrics = CountingMetrics()
    async with connected(server, tmp_path, metrics=metrics) as (client, _):
        found = decoded(await client.get(NAMESPACES, {"limit": "1"}))
        assert client.host_url == server.url
    assert found["kind"] == "NamespaceList" and len(found["items"]) == 1
    assert metrics.requests == {(f"127.0.0.1:{server.port}", "200", "GET"): 1}
    assert metrics.waits_s == [0.0]
    assert __version__


@pytest.mark.parametrize("protobuf", [False, True])
async def test_the_pages_of_a_listing_come_over_one_connection(
    server: ApiServer, tmp_path: Path, protobuf: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start beside 10,200 Services made 45 TLS handshakes with a server that lists by pages."""
    opened: list[int] = []
    connect = Session._connect

    async def counting(self: Session) -> Any:
        opened.append(1)
        return await connect(self)

    monkeypatch.setattr(Session, "_connect", counting)
    async with connected(server, tmp_path) as (client, _):
        for _ in range(5):
            async with client.listing("/api/v1/services", {"limit": "1"}, protobuf=protobuf) as chunks:
                assert b"".join([chunk async for chunk in chunks])
    assert len(opened) == 1


async def test_a_rotated_token_is_read_again(server: ApiServer, tmp_path: Path) -> None:
    async with connected(server, tmp_path) as (client, resolved):
        await client.get(NAMESPACES, {})
        server.rotate_token()
        server.service_account(tmp_path)
        await client.get(NAMESPACES, {})
        assert len(resolved) == 1, "the file told of it before the server did"


async def test_requests_that_are_refused_together_resolve_once(server: ApiServer, tmp_path: Path) -> None:
    environ = server.service_account(tmp_path)
    resolved: list[int] = []

    async def connection() -> Any:
        resolved.append(1)
        # Only who resolves again learns the new token.
        server.service_account(tmp_path)
        return await resolve(options(), environ=environ, service_account=tmp_path)

    async with Client(connection) as client:
        await client.get(NAMESPACES, {})
        client._refreshed_at -= 10
        old = server.token
        server.rotate_token()
        (tmp_path / "token").write_text(old)
        await asyncio.gather(*(client.get(NAMESPACES, {}) for _ in range(4)))
    assert len(resolved) == 2
    assert [request.status for request in server.requests].count(401) == 4


async def test_refused_for_good(server: ApiServer, tmp_path: Path) -> None:
    async with connected(server, tmp_path) as (client, resolved):
        server.faults.set("unauthorized")
        with pytest.raises(Unauthorized, match="401: Unauthorized"):
            await client.get(NAMESPACES, {})
        assert len(resolved) == 2


async def test_too_many_requests_waits_as_told(server: ApiServer, tmp_path: Path) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with connected(server, tmp_path, sleep=sleep) as (client, _):
        server.faults.set("too_many", times=2, retry_after_s=3)
        await client.get(NAMESPACES, {})
        assert len(slept) == 2 and all(3.0 <= seconds <= 3.3 for seconds in slept)
        server.faults.set("too_many")
        with pytest.raises(TooManyRequests):
            await client.get(NAMESPACES, {})
        assert server.faults.hits["too_many"] == 13


async def test_a_server_that_is_away(server: ApiServer, tmp_path: Path) -> None:
    metrics = CountingMetrics()
    async with connected(server, tmp_path, metrics=metrics) as (client, _):
        server.faults.set("refuse")
        with pytest.raises(Unreachable, match=r"[Cc]onnect"):
            await client.get(NAMESPACES, {})
    assert list(metrics.requests) == [(f"127.0.0.1:{server.port}", "<error>", "GET")]


async def test_a_server_that_says_nothing(server: ApiServer, tmp_path: Path) -> None:
    async with connected(server, tmp_path, response_timeout_s=0.2) as (client, _):
        server.faults.set("hang")
        started = time.monotonic()
        with pytest.raises(Unreachable):
            await client.get(NAMESPACES, {})
        assert time.monotonic() - started < 2
        server.faults.clear()


async def test_a_certificate_of_another_ca(server: ApiServer, tmp_path: Path) -> None:
    async with ApiServer(tls=True) as other:
        environ = server.service_account(tmp_path)
        environ["KUBERNETES_SERVICE_PORT"] = str(other.port)

        async def connection() -> Any:
            return await resolve(options(), environ=environ, service_account=tmp_path)

        async with Client(connection) as client:
            with pytest.raises(Unreachable, match="certificate is not trusted"):
                await client.get(NAMESPACES, {})
            # What a rotated CA looks like: the next try reads it.
            assert other.ca_file is not None
            (tmp_path / "ca.crt").write_bytes(other.ca_file.read_bytes())
            (tmp_path / "token").write_text(other.token)
            with pytest.raises(Unreachable, match="certificate is not trusted"):
                await client.get(NAMESPACES, {})
            await client.get(NAMESPACES, {})


async def test_client_certificates(server: ApiServer) -> None:
    cert, key = server.client_certificate()

    async def connection() -> Any:
        return from_endpoint(server.url, (str(cert), str(key), str(server.ca_file)))

    async with Client(connection) as client:
        await client.get(NAMESPACES, {})
    assert server.requests[-1].user == "kubernetes-admin"


async def test_broken_credentials_are_a_source_error(tmp_path: Path) -> None:
    async def connection() -> Any:
        return await resolve(options(kubeconfig=str(tmp_path / "none")), environ={})

    async with Client(connection) as client:
        with pytest.raises(SourceError, match="none: no such file"):
            await client.get(NAMESPACES, {})


async def test_in_flight_requests_are_limited_but_watches_are_not(server: ApiServer, tmp_path: Path) -> None:
    async with (
        connected(server, tmp_path, max_inflight=1) as (client, _),
        client.watch(NAMESPACES, {"watch": "1"}, silence_s=5),
    ):
        server.faults.set("hang", verb="list")
        tasks = [asyncio.create_task(client.get(NAMESPACES, {})) for _ in range(3)]
        await asyncio.sleep(0.1)
        assert server.faults.hits["hang"] == 1
        server.faults.clear()
        await asyncio.gather(*tasks)


async def test_an_endless_line_is_refused(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "MAX_ITEM_BYTES", 100)

    class Content:
        async def read_some(self) -> bytes:
            return b"x" * 60

    content: Any = Content()
    with pytest.raises(SourceError, match="more than 100 bytes"):
        async for _ in api.lines(content):
            pass


@pytest.mark.parametrize(
    ("cut", "event"),
    [(api.lines, b"x" * 60 + b"\n"), (api.frames, (60).to_bytes(4, "big") + b"x" * 60)],
    ids=["JSON", "protobuf"],
)
async def test_a_watch_may_bring_more_than_a_list(
    monkeypatch: pytest.MonkeyPatch, cut: Callable[[Any], AsyncIterator[list[bytes]]], event: bytes
) -> None:
    """The bound of a list ended watches in protobuf, which go on for minutes."""
    monkeypatch.setattr(api, "MAX_LIST_BYTES", 100)

    class Content:
        left = 10

        async def read_some(self) -> bytes:
            self.left -= 1
            return event if self.left >= 0 else b""

    assert sum([len(batch) async for batch in cut(Content())]) == 10


def test_the_rate_limiter_counts_as_client_go_does() -> None:
    now = 0.0
    limiter = RateLimiter(2.0, 3, lambda: now)
    assert [limiter.reserve() for _ in range(5)] == pytest.approx([0, 0, 0, 0.5, 1.0])
    now = 10.0
    assert [limiter.reserve() for _ in range(4)] == pytest.approx([0, 0, 0, 0.5])
    assert [RateLimiter(0, 0).reserve() for _ in range(100)] == [0.0] * 100
    only_burst = RateLimiter(0, 1, lambda: now)
    assert [only_burst.reserve(), only_burst.reserve()] == pytest.approx([0, 0.2])


@pytest.mark.parametrize("code", [500, 502, 504, 418])
def test_every_other_code_is_a_server_error(code: int) -> None:
    assert type(errors.api_error(code, "x")) is errors.ServerError


async def test_a_redirect_is_not_followed() -> None:
    """The token would go with it."""
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        to = writer.get_extra_info("sockname")[1]
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/x\r\nContent-Length: 0\r\n\r\n" % to)
        writer.close()

    async with listening(answer) as client:
        with pytest.raises(errors.ServerError, match="302: Found"):
            await client.get(NAMESPACES, {})
    assert len(asked) == 1


@asynccontextmanager
async def listening(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[Client]:
    """A client of a server that does with each connection what it is told."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)

    async def connection() -> Any:
        return from_endpoint(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", None)

    async with Client(connection) as client:
        yield client
    server.close()


def dribbling(head: bytes, part: bytes = b"x") -> Callable[..., Awaitable[None]]:
    """Answers with a head and then with one part after the other, without end."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.01)

    return answer


async def test_a_list_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "MAX_LIST_BYTES", 1 << 20)
    async with listening(dribbling(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 200_000)) as client:
        with pytest.raises(Unreachable, match="more than 1048576 bytes"):
            await client.get(NAMESPACES, {})


@pytest.mark.parametrize(
    ("module", "bound", "status", "error"),
    [
        (api, "LIST_TIMEOUT_S", b"200 OK", errors.Stalled),
        (bodies, "REFUSAL_TIMEOUT_S", b"503 Later", errors.ServerError),
    ],
)
async def test_who_dribbles_is_not_heard_for_ever(
    monkeypatch: pytest.MonkeyPatch, module: Any, bound: str, status: bytes, error: type[Exception]
) -> None:
    """Each byte ends a silence: these bounds are of the whole answer."""
    monkeypatch.setattr(module, bound, 0.1)
    async with listening(dribbling(b"HTTP/1.1 " + status + b"\r\nContent-Length: 60000\r\n\r\n")) as client:
        async with asyncio.timeout(5):
            with pytest.raises(error):
                await client.get(NAMESPACES, {})


async def test_credentials_of_one_server_do_not_go_to_another() -> None:
    """A kubeconfig that names another server after 401: its token went to the old one."""
    tokens: dict[str, list[str]] = {"old": [], "new": []}
    servers = {}

    def answering(name: str, status: bytes) -> Callable[..., Awaitable[None]]:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            tokens[name] += [line.split()[-1] for line in head.split("\r\n") if line.startswith("Authorization")]
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
            writer.close()

        return answer

    servers["old"] = await asyncio.start_server(answering("old", b"401 No"), "127.0.0.1", 0)
    servers["new"] = await asyncio.start_server(answering("new", b"200 OK"), "127.0.0.1", 0)
    names = iter(("old", "new"))

    async def connection() -> Any:
        name = next(names)
        url = f"127.0.0.1:{servers[name].sockets[0].getsockname()[1]}"
        return dataclasses.replace(from_endpoint(url, None), headers=(("Authorization", f"Bearer of-{name}"),))

    async with Client(connection) as client:
        await client.get(NAMESPACES, {})
    for server in servers.values():
        server.close()
    assert tokens == {"old": ["of-old"], "new": ["of-new"]}
