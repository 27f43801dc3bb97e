"""Asks over QUIC and over HTTP/3: many on one connection, each ends once whatever the upstream does."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("qh3")

from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.plugins.forward.pool import HITS, MISSES
from fastdns.plugins.forward.quic import MAX_STREAMS
from fastdns.plugins.forward.texts import STOPPED
from fastdns.plugins.forward.upstreams import Upstream
from fastdns.transports import clients, quic
from fastdns.transports._slow import PARKED
from tests.plugins.forward.certificates import Authority
from tests.plugins.forward.support import Asker, asking, on_uvloop, query, reply_to
from tests.support import Server, wait_until
from tests.transports import test_doh3
from tests.transports.test_quic import Serving

Act = Callable[[Serving, Asker], Any]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    authority = Authority(tmp_path_factory.mktemp("quic"))
    authority.issue("server", ("dns.example", "127.0.0.1"))
    return authority


@pytest.fixture(autouse=True)
def quick_checks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(clients, "CHECK_S", 0.05)
    monkeypatch.setattr(quic, "CHECK_S", 0.05)
    yield


@dataclass(frozen=True)
class Kind:
    """One of the transports on QUIC. proto: its label in metrics."""

    scheme: str
    serving: type[Serving]
    proto: str
    authority: Authority


KINDS = {"quic": (Serving, "quic"), "https3": (test_doh3.Serving, "https")}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, authority: Authority) -> Kind:
    return Kind(request.param, *KINDS[request.param], authority)


def reply(message: bytes, client: bytes, port: int, deliver: object) -> object:
    """The question is asked with ID 0, and comes back so."""
    assert message[:2] == b"\0\0"
    return reply_to(message)


def scene(
    kind: Kind, act: Act, serve: Any = reply, options: str = "", name: str | None = "dns.example",
    **bounds: Any,
) -> None:  # fmt: skip
    """Run an act with an upstream of ours."""
    with kind.serving(kind.authority, serve, **bounds) as serving:

        @on_uvloop
        async def run() -> None:
            upstream = Upstream(kind.scheme, "127.0.0.1", serving.port, name)
            async with asking(upstream, options, str(kind.authority.ca)) as asker:
                await act(serving, asker)

        run()


def is_reply(message: bytes, wire: bytes | None) -> bool:
    """Whether it is the reply, but for the padding of the question."""
    assert wire is not None
    return wire[:2] == message[:2] and wire[2:4] == b"\x81\x80" and message[12:] in wire


def test_many_asks_on_one_connection(kind: Kind) -> None:
    async def act(serving: Serving, asker: Asker) -> None:
        assert is_reply(query(7), (await asker.ask(query(7))).reply)
        answers = await asyncio.gather(*[asker.begin(query(number))[0] for number in range(60)])
        assert all(is_reply(query(number), answer.reply) for number, answer in enumerate(answers))
        assert asker.ended == 61 and asker.count(MISSES, kind.proto) == 1 and asker.count(HITS, kind.proto) == 60
        assert serving.on_loop(lambda: len(serving.clients.open)) == 1

    scene(kind, act)


def test_a_name_that_is_the_address(kind: Kind) -> None:
    async def act(serving: Serving, asker: Asker) -> None:
        assert (await asker.ask()).reply is not None

    scene(kind, act, name=None)


def test_another_name(kind: Kind) -> None:
    async def act(serving: Serving, asker: Asker) -> None:
        answer = await asker.ask()
        assert answer.reply is None and "tls: failed to verify certificate" in answer.error

    scene(kind, act, name="other.example")


def test_another_authority(kind: Kind, tmp_path: Path) -> None:
    async def act(serving: Serving, asker: Asker) -> None:
        answer = await asker.ask()
        assert answer.reply is None and "tls: failed to verify certificate" in answer.error

    other = Authority(tmp_path)
    with kind.serving(kind.authority, reply) as serving:

        @on_uvloop
        async def run() -> None:
            async with asking(Upstream(kind.scheme, "127.0.0.1", serving.port), "", str(other.ca)) as asker:
                await act(serving, asker)

        run()


def test_nobody_is_there(kind: Kind) -> None:
    """The kernel says so at once; where nobody answers at all, the ask's time is over."""

    @on_uvloop
    async def run() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            port = silent.getsockname()[1]
            async with asking(Upstream(kind.scheme, "127.0.0.1", port)) as asker:
                assert "i/o timeout" in (await asker.ask(timeout_s=0.3)).error
        begun = time.monotonic()
        async with asking(Upstream(kind.scheme, "127.0.0.1", port)) as asker:
            assert "connection refused" in (await asker.ask()).error
        assert time.monotonic() - begun < 3

    run()


def test_more_asks_than_streams(kind: Kind) -> None:
    """The upstream allows two streams: others wait, or have another connection; none is lost."""

    async def act(serving: Serving, asker: Asker) -> None:
        await asker.ask()
        answers = await asyncio.gather(*[asker.begin(query(number))[0] for number in range(40)])
        assert all(answer.reply for answer in answers), answers

    scene(kind, act, max_streams=2)


def test_silence_and_cancelling(kind: Kind) -> None:
    """Who is cancelled, or whose time is over, has its stream given up, and others have their answers."""
    waiting: list[Any] = []

    def serve(message: bytes, client: bytes, port: int, deliver: Any) -> object:
        if len(waiting) < 2:
            waiting.append(deliver)
            return PARKED
        return reply_to(message)

    async def act(serving: Serving, asker: Asker) -> None:
        late, _ = asker.begin(query(1), 0.3)
        _, cancel = asker.begin(query(2))
        while len(waiting) < 2:
            await asyncio.sleep(0.005)
        assert is_reply(query(3), (await asker.ask(query(3))).reply)
        cancel()
        assert "deadline exceeded" in (await late).error or "timeout" in (await late).error
        assert is_reply(query(4), (await asker.ask(query(4))).reply)
        assert asker.ended == 3
        await asyncio.sleep(0.05)
        assert serving.on_loop(lambda: [deliver(b"x" * 12) for deliver in waiting]) == [False, False]

    scene(kind, act, serve)


WRONG = {"no reply": None, "short": b"\0\0short", "not a reply": b""}


@pytest.mark.parametrize("wire", WRONG.values(), ids=WRONG)
def test_what_is_no_reply(kind: Kind, wire: bytes | None) -> None:
    async def act(serving: Serving, asker: Asker) -> None:
        answer = await asker.ask()
        assert answer.reply is None and answer.error and asker.ended == 1

    scene(kind, act, lambda *_: wire)


def test_a_long_reply(kind: Kind) -> None:
    async def act(serving: Serving, asker: Asker) -> None:
        answer = await asker.ask(query(9))
        assert answer.reply == b"\0\x09" + bytes(65533)

    scene(kind, act, lambda *_: bytes(65535))


def test_an_upstream_that_closes(kind: Kind) -> None:
    """An idle connection that the upstream has closed is not used again; asks on it start again on another."""
    waiting: list[Any] = []

    def serve(message: bytes, client: bytes, port: int, deliver: Any) -> object:
        if message.endswith(b"wait") and not waiting:
            waiting.append(deliver)
            return PARKED
        return reply_to(message)

    async def act(serving: Serving, asker: Asker) -> None:
        await asker.ask()
        serving.on_loop(lambda: [one.close("drained") for one in list(serving.clients.open)])  # type: ignore[attr-defined]
        await asyncio.sleep(0.1)
        assert (await asker.ask()).reply is not None
        assert asker.count(MISSES, kind.proto) == 2

    scene(kind, act, serve)


def test_a_worker_that_has_forgotten_the_connection(kind: Kind) -> None:
    """It resets the connection; the ask starts again on another one."""

    async def act(serving: Serving, asker: Asker) -> None:
        await asker.ask()
        worker = serving.workers[0]
        serving.on_loop(lambda: [worker.remove(one) for one in set(worker.by_cid.values())])
        assert (await asker.ask()).reply is not None

    scene(kind, act)


def test_the_end(kind: Kind) -> None:
    async def act(serving: Serving, asker: Asker) -> None:
        await asker.ask(timeout_s=0.5)
        answer, _ = asker.begin()
        await asker.streams.close()
        assert (await answer).error.endswith(STOPPED)
        assert (await asker.ask()).error.endswith(STOPPED)

    scene(kind, act, lambda *_: PARKED)
    assert MAX_STREAMS == 100


# Whole servers


def test_from_server_to_server(tmp_path: Path, kind: Kind) -> None:
    """forward asks another fastdns; over UDP and over TCP, checks of health included."""
    text = f"""\
.:DNS_PORT {{
    bind 127.0.0.1
    forward . {kind.scheme}://127.0.0.1:OTHER_PORT {{
        tls_servername dns.example
        tls {kind.authority.ca}
        health_check 0.2s
    }}
    prometheus 127.0.0.1:METRICS_PORT
}}
{kind.scheme}://.:OTHER_PORT {{
    bind 127.0.0.1
    tls {kind.authority.directory}/server.crt {kind.authority.directory}/server.key
    template IN A . {{
        answer "{{{{ .Name }}}} 60 IN A 192.0.2.1"
    }}
}}
"""
    with Server(tmp_path, text, workers=1) as server:
        for number in range(20):
            assert server.addresses(f"a{number}.example") == ["192.0.2.1"]
            assert server.addresses(f"b{number}.example", tcp=True) == ["192.0.2.1"]
        wait_until(lambda: server.total("coredns_proxy_conn_cache_hits_total", proto=kind.proto) >= 30)
        assert server.total("coredns_proxy_healthcheck_failures_total") == 0


@pytest.mark.parametrize(
    ("text", "port", "name"),
    [
        ("https3://192.0.2.1", 443, None),
        ("https3://192.0.2.1%dns.example:8443", 8443, "dns.example"),
        ("quic://192.0.2.1", 853, None),
        ("quic://192.0.2.1:8853", 8853, None),
        ("quic://192.0.2.1%dns.example", 853, "dns.example"),
        ("quic://[2001:db8::1]:853", 853, None),
    ],
)
def test_options(text: str, port: int, name: str | None) -> None:
    [block] = load(f". {{\nforward . {text}\n}}\n", environ={}).blocks
    [to] = block.plugins["forward"].stanzas[0].to
    assert (to.transport, to.port, to.server_name) == (text.partition(":")[0], port, name)


@pytest.mark.parametrize("scheme", KINDS)
def test_without_qh3(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    from fastdns.plugins.forward import config

    monkeypatch.setattr(config, "find_spec", lambda name: None)
    with pytest.raises(CorefileError, match=r"needs the package qh3: install fastdns\[quic\]"):
        load(f". {{\nforward . {scheme}://192.0.2.1\n}}\n", environ={})
