"""The source without processes: with an etcd that wants certificates and a password, and with what is none."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import fastdns.plugins.etcd.client as client_module
import fastdns.plugins.etcd.source as source_module
from fastdns.http import failover
from fastdns.metrics.measured import WatcherMetrics
from fastdns.plugins.etcd.config import Config
from fastdns.plugins.etcd.metrics import MEASURES
from fastdns.plugins.etcd.source import EtcdSource
from fastdns.tls import client_context
from tests.plugins.etcd.stepping import NUMBER, Stepping, shown
from tests.plugins.etcd.support import Etcd, coded, needs_etcd
from tests.plugins.forward.certificates import Authority

pytestmark = pytest.mark.native

# One member's answers, by path.
Play = Callable[[str, dict[str, Any]], Awaitable[AsyncIterator[bytes] | bytes | int]]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow each other at once."""
    monkeypatch.setattr(failover, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(failover, "MOST_WAIT_S", 0.05)


class Followed:
    """A source that runs, and a step on what it writes."""

    def __init__(self, **options: Any) -> None:
        self.metrics = WatcherMetrics(MEASURES)
        self.stepping = Stepping()
        self.config = Config(zones=("z.",), **options)
        self.source = EtcdSource(NUMBER, self.config, self.stepping.writer, self.metrics)

    async def __aenter__(self) -> Followed:
        self.task = asyncio.create_task(self.source.run())
        return self

    async def __aexit__(self, *error: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def until(self, what: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not what():
                assert not self.task.done(), self.task.result()
                await asyncio.sleep(0.005)

    async def until_answer(self, name: str, *addresses: str) -> None:
        """Wait until a name has these addresses."""
        wanted = [f"{name} 300 IN A {address}" for address in addresses]
        await self.until(lambda: shown(self.stepping.ask(name))[1] == wanted)

    def counted(self, name: str) -> float:
        """A counter, all labels together."""
        return sum(values[0] for (of, _), values in self.metrics.series.items() if of == name)


# ----------------------------------------------------------------------------------------------- a real etcd


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Etcd, tuple[str, ...]]]:
    """An etcd with TLS and a user, who may read what the zone has, and no more; and the file of the CA."""
    folder = tmp_path_factory.mktemp("secured")
    authority = Authority(folder)
    tls = client_context(cafile=str(authority.ca))
    with Etcd(folder, (*authority.issue("server", ("127.0.0.1",)), authority.ca), tls) as etcd:
        for path, request in [
            ("/v3/auth/user/add", {"name": "root", "password": "r"}),
            ("/v3/auth/user/grant", {"user": "root", "role": "root"}),
            ("/v3/auth/user/add", {"name": "dns", "password": "secret"}),
            ("/v3/auth/role/add", {"name": "reader"}),
            ("/v3/auth/role/grant", {"name": "reader", "perm": {
                "permType": "READ", "key": coded("/skydns/z"), "range_end": coded("/skydns/z0"),
            }}),
            ("/v3/auth/user/grant", {"user": "dns", "role": "reader"}),
            ("/v3/auth/enable", {}),
        ]:  # fmt: skip
            etcd.call(path, request)
        etcd.token = etcd.call("/v3/auth/authenticate", {"name": "root", "password": "r"})["token"]
        etcd.put("/skydns/z/a", {"host": "10.0.0.1"})
        yield etcd, (str(authority.ca),)


@needs_etcd
async def test_a_certificate_of_the_client(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("client", ("127.0.0.1",))
    tls = client_context(cafile=str(authority.ca))
    tls.load_cert_chain(*pair)
    with Etcd(tmp_path, (*authority.issue("server", ("127.0.0.1",)), authority.ca), tls, certified=True) as etcd:
        etcd.put("/skydns/z/a", {"host": "10.0.0.1"})
        async with Followed(endpoints=(etcd.url,), tls=(str(authority.ca),)) as followed:
            await followed.until(lambda: followed.counted("fastdns_etcd_errors_total"))
        assert "nothing has been read yet" in caplog.text
        async with Followed(endpoints=(etcd.url,), tls=(*map(str, pair), str(authority.ca))) as followed:
            await followed.until_answer("a.z.", "10.0.0.1")


@needs_etcd
async def test_credentials(secured: tuple[Etcd, tuple[str, ...]]) -> None:
    etcd, files = secured
    # Without a scheme: the option tls decides.
    options = {"endpoints": (f"//127.0.0.1:{etcd.port}",), "tls": files}
    async with Followed(**options, username="dns", password="secret") as followed:
        await followed.until_answer("a.z.", "10.0.0.1")
        etcd.put("/skydns/z/b", {"host": "10.0.0.2"})
        await followed.until_answer("b.z.", "10.0.0.2")


@needs_etcd
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"username": "dns", "password": "wrong"}, "authentication failed"),
        ({}, "user name is empty"),
        ({"username": "dns", "password": "secret", "path": ""}, "permission denied"),
        ({"tls": ()}, "certificate verify failed"),
    ],
    ids=["a wrong password", "no password", "keys that are not for it", "an authority that is not trusted"],
)
async def test_what_is_refused(
    secured: tuple[Etcd, tuple[str, ...]], options: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    etcd, files = secured
    given = {"endpoints": (etcd.url,), "tls": files, **options}
    async with Followed(**given) as followed:
        await followed.until(lambda: said in caplog.text)
        assert "nothing has been read yet" in caplog.text
        await followed.until(lambda: followed.counted("fastdns_etcd_errors_total") > 2)
        assert caplog.text.count(said) == 1, "said once"
        assert shown(followed.stepping.ask("a.z."))[0] == "SERVFAIL"


@needs_etcd
async def test_a_token_that_etcd_has_forgotten(secured: tuple[Etcd, tuple[str, ...]]) -> None:
    etcd, files = secured
    config = Config(("z.",), endpoints=(etcd.url,), tls=files, username="dns", password="secret")
    client = client_module.Client(config, etcd.url)
    request = {"key": coded("/skydns/z/a")}
    assert (await client.call("/v3/kv/range", request, client_module.Range)).count == "1"
    client.token = "old.1"
    assert (await client.call("/v3/kv/range", request, client_module.Range)).count == "1"
    await client.close()


@needs_etcd
async def test_many_keys_come_in_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "PAGE_KEYS", 64)
    # 64 of the large ones have more bytes than that.
    monkeypatch.setattr(client_module, "MAX_ANSWER_BYTES", 60_000)
    with Etcd(tmp_path) as etcd:
        hosts = [f"10.0.{number >> 8}.{number & 255}" for number in range(700)]
        etcd.put_all({f"/skydns/z/many/{host}": {"host": host} for host in hosts})
        etcd.put_all({f"/skydns/z/n{number}": {"text": "x" * 3000} for number in range(99)})
        async with Followed(endpoints=(etcd.url,)) as followed:
            await followed.until(lambda: len(followed.stepping.ask("many.z.").answer) == 700)
            assert followed.source.page_keys == 8


# --------------------------------------------------------------------------------------------- a played one


@contextlib.asynccontextmanager
async def playing(play: Play) -> AsyncIterator[str]:
    """An HTTP server whose answers are played: the whole body, its parts, or the status of an error."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                size = next(int(line.split(":")[1]) for line in head if line.lower().startswith("content-length"))
                answer = await play(head[0].split()[1], json.loads(await reader.readexactly(size)))
                if isinstance(answer, int):
                    writer.write(f"HTTP/1.1 {answer} No\r\nContent-Length: 0\r\n\r\n".encode())
                elif isinstance(answer, bytes):
                    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer)}\r\n\r\n".encode() + answer)
                else:
                    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                    async for part in answer:
                        writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
                        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def listing(keys: dict[str, Any], revision: int = 5, **more: Any) -> bytes:
    kvs = [{"key": coded(key), "value": coded(json.dumps(value)), "version": "1"} for key, value in keys.items()]
    header = {"cluster_id": "1", "revision": str(revision)}
    return json.dumps({"header": header, "kvs": kvs, "count": str(len(keys)), **more}).encode()


async def lines(*messages: object, then: asyncio.Event | None = None) -> AsyncIterator[bytes]:
    for message in messages:
        text = message if isinstance(message, bytes) else json.dumps({"result": message}).encode()
        yield text + b"\n"
    await (then or asyncio.Event()).wait()


CREATED = {"header": {"revision": "5"}, "created": True}


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"[]", b"{", b"null", b'"text"', b"[" * 100_000, 500, 404, b'{"kvs":[{"key":"%"}]}',
        b'{"kvs":[{"key":7}]}', b'{"header":{"revision":"x"},"count":"0"}',
        b'{"header":{"revision":"99999999999999999999"},"count":"0"}', b'{"count":"99999999"}',
        b'{"error":"no","code":7,"message":"no"}garbage',
    ],
)  # fmt: skip
async def test_a_listing_that_is_none(answer: bytes | int, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is served of it, and the source goes on: a listing that is right is taken."""
    right = False

    async def play(path: str, request: dict[str, Any]) -> AsyncIterator[bytes] | bytes | int:
        if not right:
            return answer
        return lines(CREATED) if path == "/v3/watch" else listing({"/skydns/z/a": {"host": "10.0.0.1"}})

    async with playing(play) as url, Followed(endpoints=(url,)) as followed:
        await followed.until(lambda: followed.counted("fastdns_etcd_errors_total") >= 2)
        assert shown(followed.stepping.ask("a.z."))[0] == "SERVFAIL"
        right = True
        await followed.until_answer("a.z.", "10.0.0.1")
    assert caplog.text.count("nothing has been read yet") == 1


@pytest.mark.parametrize(
    "message",
    [
        b"", b"{}", b"nonsense", b'{"error":{"message":"no"}}', {"canceled": True, "cancel_reason": "no"},
        {"events": [{"kv": {"key": "%%%"}}]}, {"header": {"revision": "x"}, "events": [{"kv": {"key": ""}}]},
        b"x" * 200_000,
    ],
    ids=["nothing", "no result", "no JSON", "an error", "canceled", "no base64", "no number", "too much"],
)  # fmt: skip
async def test_a_watch_that_is_none(message: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read stays, and the next watch is right."""
    monkeypatch.setattr(client_module, "MAX_EVENTS_BYTES", 100_000)
    watches = 0

    async def play(path: str, request: dict[str, Any]) -> AsyncIterator[bytes] | bytes | int:
        nonlocal watches
        if path != "/v3/watch":
            return listing({} if "min_mod_revision" in request else {"/skydns/z/a": {"host": "10.0.0.1"}})
        watches += 1
        if watches == 1:
            over = asyncio.Event()
            if message == b"":
                over.set()
            return lines(CREATED, message, then=over)
        event = {"kv": {"key": coded("/skydns/z/b"), "value": coded('{"host":"10.0.0.2"}'), "version": "1"}}
        return lines(CREATED, {"header": {"revision": "6"}, "events": [event]})

    async with playing(play) as url, Followed(endpoints=(url,)) as followed:
        await followed.until_answer("a.z.", "10.0.0.1")
        if message == b"":
            followed.task.cancel()
            return
        await followed.until_answer("b.z.", "10.0.0.2")
        assert shown(followed.stepping.ask("a.z."))[1], "it is still there"


@pytest.mark.parametrize("key", ["a", "b"], ids=["a value", "a key"])
async def test_a_watch_that_is_silent(
    key: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """etcd has changed, and the watch does not say it: the keys are listed again."""
    monkeypatch.setattr(source_module, "CHECK_EVERY_S", 0.02)
    monkeypatch.setattr(source_module, "CHECK_GRACE_S", 0.02)
    keys = {"/skydns/z/a": {"host": "10.0.0.1"}}
    revisions = {"/skydns/z/a": 5}

    async def play(path: str, request: dict[str, Any]) -> AsyncIterator[bytes] | bytes | int:
        if path == "/v3/watch":
            return lines(CREATED)
        least = int(request.get("min_mod_revision", 0))
        found = {key: value for key, value in keys.items() if revisions[key] >= least}
        count, now = str(len(keys)), max(revisions.values())
        return listing({} if request.get("count_only") else found, now, count=count)

    async with playing(play) as url, Followed(endpoints=(url,)) as followed:
        await followed.until_answer("a.z.", "10.0.0.1")
        keys[f"/skydns/z/{key}"] = {"host": "10.0.0.2"}
        revisions[f"/skydns/z/{key}"] = 6
        await followed.until_answer(f"{key}.z.", "10.0.0.2")
        assert "its watch does not say what has changed" in caplog.text


async def test_bad_keys_are_said_a_bounded_number_of_times(caplog: pytest.LogCaptureFixture) -> None:
    keys = {f"/skydns/z/n{number}": [number] for number in range(5000)}

    async def play(path: str, request: dict[str, Any]) -> AsyncIterator[bytes] | bytes | int:
        return lines(CREATED) if path == "/v3/watch" else listing(keys)

    with caplog.at_level(logging.WARNING):
        async with playing(play) as url, Followed(endpoints=(url,)) as followed:
            await followed.until(lambda: shown(followed.stepping.ask("n1.z."))[0] == "NOERROR")
            assert followed.counted("fastdns_etcd_left_out_total") == 5000
            assert len(followed.source.left_out.known) == 1000
    assert len(caplog.records) == 11
    assert "4990 more keys are left out" in caplog.text
