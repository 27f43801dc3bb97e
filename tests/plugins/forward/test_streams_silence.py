"""Connections that have died without a word, as a NAT or a host that is gone leaves them: no client waits long."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

import pytest

from fastdns.plugins.forward import pool
from fastdns.plugins.forward.asks import MAX_PATIENCE_S, MIN_PATIENCE_S, Usual
from tests.plugins.forward.certificates import Authority
from tests.plugins.forward.servers import HttpServer, Peer, StreamServer
from tests.plugins.forward.support import Answer, Asker, asking, on_uvloop, query, reply_to, until

# Of one query: patience, and a dial on a busy machine. Its own time is 5 s.
SOON_S = 2.0


class Scene:
    """An upstream of which connections can die."""

    def __init__(self, asker: Asker, server: Scripted | HttpServer) -> None:
        self.asker = asker
        self.server = server

    async def use(self, count: int) -> None:
        """So many queries at a time, all answered."""
        answers = [self.asker.begin(query(number))[0] for number in range(count)]
        assert all(answer.reply for answer in await asyncio.gather(*answers))

    def die(self) -> None:
        """All connections that there are say nothing any more."""
        self.server.dead = len(self.server.peers)


class Scripted(StreamServer):
    """A server over TCP or TLS. dead: so many of the first connections read on, and say nothing."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(self.serve, tls)
        self.dead = 0
        # How long each reply takes.
        self.takes_s = 0.0

    async def serve(self, peer: Peer) -> None:
        while True:
            message = await peer.read()
            await asyncio.sleep(self.takes_s)
            if peer.number > self.dead:
                peer.write(reply_to(message))


@contextlib.asynccontextmanager
async def scene(transport: str, authority: Authority, options: str = "") -> AsyncIterator[Scene]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("silence"))
    server = HttpServer(context) if transport == "https" else Scripted(context if transport == "tls" else None)
    async with server, asking(server.upstream(), options, str(authority.ca)) as asker:
        yield Scene(asker, server)


@pytest.mark.parametrize("transport", ["dns", "tls", "https"])
@pytest.mark.parametrize("pooled", [1, 8])
def test_a_query_over_a_dead_connection_is_asked_again_soon(
    authority: Authority, transport: str, pooled: int
) -> None:
    """One cost the client 4 s, two or more 5 s and SERVFAIL."""

    @on_uvloop
    async def run() -> None:
        async with scene(transport, authority) as here:
            await here.use(pooled)
            # So that what was said before is over.
            await asyncio.sleep(0.05)
            here.die()
            loop = asyncio.get_running_loop()
            begun = loop.time()
            assert (await here.asker.ask(query(0x999))).reply == reply_to(query(0x999))
            assert loop.time() - begun < SOON_S
            dead = here.server.dead
            # The others have died as well: nothing waits for them any more.
            for number in range(pooled):
                begun = loop.time()
                assert (await here.asker.ask(query(number))).reply
                assert loop.time() - begun < MIN_PATIENCE_S
            assert len(here.server.peers) == dead + 1

    run()


@pytest.mark.parametrize("transport", ["dns", "tls", "https"])
def test_eight_queries_over_eight_dead_connections(authority: Authority, transport: str) -> None:
    @on_uvloop
    async def run() -> None:
        async with scene(transport, authority) as here:
            await here.use(8)
            await asyncio.sleep(0.05)
            here.die()
            loop = asyncio.get_running_loop()
            begun = loop.time()
            await here.use(8)
            assert loop.time() - begun < SOON_S
            await until(lambda: here.server.open == len(here.server.peers) - here.server.dead)

    run()


@pytest.mark.parametrize(("transport", "most"), [("dns", "MAX_CONNECTIONS"), ("https", "MAX_HTTP2_CONNECTIONS")])
def test_a_pool_that_is_full_of_dead_connections(
    authority: Authority, transport: str, most: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no place for a fresh one until one of them is given up."""
    monkeypatch.setattr(pool, most, 4 if transport == "dns" else 1)

    @on_uvloop
    async def run() -> None:
        async with scene(transport, authority) as here:
            await here.use(4)
            await asyncio.sleep(0.05)
            here.die()
            loop = asyncio.get_running_loop()
            begun = loop.time()
            await here.use(4)
            assert loop.time() - begun < SOON_S
            assert here.server.open <= (4 if transport == "dns" else 1) + here.server.dead

    run()


@pytest.mark.parametrize("transport", ["dns", "tls"])
def test_a_reply_that_only_is_late_counts(authority: Authority, transport: str) -> None:
    """It is asked for again over another connection, and the first reply counts; the slow connection stays."""

    @on_uvloop
    async def run() -> None:
        async with scene(transport, authority) as here:
            assert isinstance(here.server, Scripted)
            await here.use(1)
            here.server.takes_s = MAX_PATIENCE_S + 0.4
            answer = await here.asker.ask(query(7))
            assert answer == Answer(reply_to(query(7)), "")
            assert len(here.server.queries) == 3
            here.server.takes_s = 0.0
            await here.use(2)
            assert here.server.peers[0].queries[-1] in (query(0), query(1)), "the slow one serves again"

    run()


def test_an_upstream_that_is_slow_to_everybody_is_not_asked_twice(authority: Authority) -> None:
    @on_uvloop
    async def run() -> None:
        async with scene("dns", authority) as here:
            assert isinstance(here.server, Scripted)
            here.server.takes_s = 0.7
            for number in range(4):
                assert (await here.asker.ask(query(number))).reply
            assert len(here.server.queries) == 4

    run()


def test_an_upstream_that_is_gone_altogether(authority: Authority) -> None:
    """No fresh connection either: the error is that of the one that was asked first."""

    @on_uvloop
    async def run() -> None:
        async with scene("dns", authority) as here:
            await here.use(1)
            here.die()
            here.server.dead = 99
            answer = await here.asker.ask(query(7), timeout_s=1.0)
            assert answer.reply is None
            assert answer.error.startswith("read tcp ") and answer.error.endswith(": i/o timeout")

    run()


def test_a_dial_that_fails_leaves_the_old_connection_its_chance(authority: Authority) -> None:
    @on_uvloop
    async def run() -> None:
        async with scene("dns", authority) as here:
            assert isinstance(here.server, Scripted)
            await here.use(1)
            here.server.takes_s = MAX_PATIENCE_S + 0.4
            asked, _ = here.asker.begin(query(7))
            await until(lambda: len(here.server.queries) == 2)
            here.server.server.close()
            assert (await asked).reply == reply_to(query(7))

    run()


def test_a_cancelled_ask_leaves_both_connections(authority: Authority) -> None:
    @on_uvloop
    async def run() -> None:
        async with scene("dns", authority) as here:
            await here.use(1)
            here.die()
            here.server.dead = 99
            answer, cancel = here.asker.begin(query(7))
            await until(lambda: len(here.server.peers) == 2 and here.server.peers[1].queries)
            cancel()
            await until(lambda: here.server.open == 0)
            assert not answer.done()

    run()


def test_what_is_usual() -> None:
    usual = Usual()
    assert usual.patience_s == MAX_PATIENCE_S, "nothing is known"
    for _ in range(50):
        usual.measure(0.002)
    assert usual.patience_s == MIN_PATIENCE_S
    usual.measure(3.0)
    assert usual.patience_s < 2 * MAX_PATIENCE_S, "one slow reply is no rule"
    for _ in range(50):
        usual.measure(1.0)
    assert 1.0 < usual.patience_s <= 1.6
