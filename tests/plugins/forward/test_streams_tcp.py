"""Asks over TCP: whatever an upstream does, each ask ends once, with the right reply or a reason in time."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Iterator

import pytest

from fastdns.plugins.forward import pool, streams
from fastdns.plugins.forward.pool import HITS, MISSES
from fastdns.plugins.forward.texts import STOPPED
from fastdns.plugins.forward.upstreams import Upstream
from tests.plugins.forward.servers import Peer, StreamServer, frame
from tests.plugins.forward.support import asking, on_uvloop, query, reply_to, until
from tests.support import has_address, occupied


@contextlib.contextmanager
def full_backlog(port: int) -> Iterator[None]:
    """Connections that fill the queue of a listener that accepts nothing, until the kernel drops what comes."""
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        yield


# Replies


@on_uvloop
async def test_a_reply() -> None:
    async with StreamServer() as server, asking(server.upstream()) as asker:
        answer = await asker.ask(query(7))
        assert answer.reply == reply_to(query(7))
        assert answer.error == ""
        assert server.queries == [query(7)]


@on_uvloop
async def test_ipv6() -> None:
    if not has_address("::1"):
        pytest.skip("this host has no ::1")
    async with StreamServer(host="::1") as server, asking(server.upstream()) as asker:
        assert (await asker.ask()).reply == reply_to(query())
    async with asking(Upstream("dns", "::1", server.port)) as asker:
        assert (await asker.ask()).error == f"dial tcp [::1]:{server.port}: connect: connection refused"


@pytest.mark.parametrize("tail", [b"", b"x" * 40_000, b"x" * (65535 - len(query()))])
def test_long_messages(tail: bytes) -> None:
    @on_uvloop
    async def run() -> None:
        async with StreamServer() as server, asking(server.upstream()) as asker:
            message = query(1, tail)
            assert (await asker.ask(message)).reply == reply_to(message)
            assert server.queries == [message]

    run()


@on_uvloop
async def test_a_reply_byte_by_byte() -> None:
    async def dribble(peer: Peer) -> None:
        while True:
            for byte in frame(reply_to(await peer.read())):
                peer.writer.write(bytes((byte,)))
                await asyncio.sleep(0)

    async with StreamServer(dribble) as server, asking(server.upstream()) as asker:
        for number in range(3):
            assert (await asker.ask(query(number))).reply == reply_to(query(number))
        assert len(server.peers) == 1


@on_uvloop
async def test_a_slow_reply() -> None:
    async def slow(peer: Peer) -> None:
        message = await peer.read()
        await asyncio.sleep(0.2)
        peer.write(reply_to(message))
        await peer.wait_for_end()

    async with StreamServer(slow) as server, asking(server.upstream()) as asker:
        assert (await asker.ask()).reply == reply_to(query())


@on_uvloop
async def test_messages_with_another_id_are_skipped() -> None:
    async def confuse(peer: Peer) -> None:
        message = await peer.read()
        peer.write(reply_to(query(1)), reply_to(query(2)), reply_to(message))
        await peer.serve()

    async with StreamServer(confuse) as server, asking(server.upstream()) as asker:
        assert (await asker.ask(query(7))).reply == reply_to(query(7))
        assert (await asker.ask(query(8))).reply == reply_to(query(8))
        assert len(server.peers) == 1


# What goes wrong


@on_uvloop
async def test_nobody_listens() -> None:
    with occupied() as port:
        pass
    async with asking(Upstream("dns", "127.0.0.1", port)) as asker:
        answer = await asker.ask()
    assert answer.reply is None
    assert answer.error == f"dial tcp 127.0.0.1:{port}: connect: connection refused"


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"", "^EOF$"),
        (b"\0", "^unexpected EOF$"),
        (b"\0\x40half a message", "^unexpected EOF$"),
        (b"\0\0", "^dns: short read$"),
        (b"\0\4abcd", "^dns: short read$"),
        (frame(reply_to(query(1))) * 30, "^dns: id mismatch$"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "^unexpected EOF$"),
    ],
)
def test_an_upstream_that_closes(sent: bytes, error: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.read()
        peer.writer.write(sent)

    @on_uvloop
    async def run() -> None:
        async with StreamServer(script) as server, asking(server.upstream()) as asker:
            answer = await asker.ask(query(7))
            assert answer.reply is None
            assert answer.error == error.strip("^$")
            # It was new: nothing is asked twice.
            assert len(server.queries) == 1
            await until(lambda: server.open == 0)

    run()


@on_uvloop
async def test_an_upstream_that_resets() -> None:
    async def script(peer: Peer) -> None:
        await peer.read()
        sock = peer.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.writer.transport.abort()

    async with StreamServer(script) as server, asking(server.upstream()) as asker:
        error = (await asker.ask()).error
        assert error.startswith("read tcp 127.0.0.1:")
        assert error.endswith(f"->127.0.0.1:{server.port}: read: connection reset by peer")


@on_uvloop
async def test_an_upstream_that_closes_at_once() -> None:
    async def script(peer: Peer) -> None:
        return

    async with StreamServer(script) as server, asking(server.upstream()) as asker:
        answer = await asker.ask()
        assert answer.reply is None
        assert answer.error == "EOF" or answer.error.endswith("connection reset by peer")
        assert len(server.peers) == 1


@on_uvloop
async def test_a_silent_upstream() -> None:
    async with StreamServer(Peer.wait_for_end) as server, asking(server.upstream()) as asker:
        begun = asyncio.get_running_loop().time()
        error = (await asker.ask(timeout_s=0.2)).error
        assert asyncio.get_running_loop().time() - begun >= 0.19
        assert error.startswith("read tcp 127.0.0.1:")
        assert error.endswith(f"->127.0.0.1:{server.port}: i/o timeout")
        # What comes late must not be taken for the reply to another query.
        await until(lambda: server.open == 0)


@on_uvloop
async def test_half_a_reply_and_silence() -> None:
    async def script(peer: Peer) -> None:
        message = await peer.read()
        peer.writer.write(frame(reply_to(message))[:-1])
        await peer.wait_for_end()

    async with StreamServer(script) as server, asking(server.upstream()) as asker:
        assert (await asker.ask(timeout_s=0.1)).error.endswith("i/o timeout")
        await until(lambda: server.open == 0)


@on_uvloop
async def test_an_upstream_that_accepts_nothing() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        with full_backlog(port):
            async with asking(Upstream("dns", "127.0.0.1", port)) as asker:
                error = (await asker.ask(timeout_s=0.3)).error
                assert error == f"dial tcp 127.0.0.1:{port}: i/o timeout"
                await until(lambda: not asker.streams.pools[0].dials)


@on_uvloop
async def test_more_than_was_asked_for_ends_the_connection() -> None:
    async def script(peer: Peer) -> None:
        while True:
            message = await peer.read()
            peer.write(reply_to(message), reply_to(query(9)))

    async with StreamServer(script) as server, asking(server.upstream()) as asker:
        assert (await asker.ask(query(7))).reply == reply_to(query(7))
        assert (await asker.ask(query(9, b"other"))).reply == reply_to(query(9, b"other"))
        assert len(server.peers) == 2


@on_uvloop
async def test_what_an_idle_connection_says_ends_it() -> None:
    async def script(peer: Peer) -> None:
        peer.write(reply_to(await peer.read()))
        await asyncio.sleep(0.05)
        peer.write(reply_to(query(9)))
        await peer.serve()

    async with StreamServer(script) as server, asking(server.upstream()) as asker:
        await asker.ask()
        await until(lambda: server.open == 0)
        assert (await asker.ask(query(9, b"other"))).reply == reply_to(query(9, b"other"))


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("192.0.2.1", "bind: cannot assign requested address"),
        ("::1", "bind: address family for hostname not supported"),
    ],
)
def test_a_source_address_that_cannot_be_had(source: str, error: str) -> None:
    @on_uvloop
    async def run() -> None:
        async with asking(Upstream("dns", "127.0.0.1", 9), f"source_address {source}") as asker:
            shown = f"[{source}]" if ":" in source else source
            assert (await asker.ask()).error == f"dial tcp {shown}:0->127.0.0.1:9: {error}"

    run()


@on_uvloop
async def test_a_source_address() -> None:
    async with StreamServer() as server, asking(server.upstream(), "source_address 127.0.0.9") as asker:
        assert (await asker.ask()).reply
        assert server.peers[0].writer.get_extra_info("peername")[0] == "127.0.0.9"


# Reuse


@on_uvloop
async def test_a_connection_serves_again() -> None:
    async with StreamServer() as server, asking(server.upstream()) as asker:
        for number in range(5):
            assert (await asker.ask(query(number))).reply == reply_to(query(number))
        assert len(server.peers) == 1
        assert (asker.count(HITS), asker.count(MISSES)) == (4, 1)


@on_uvloop
async def test_a_connection_has_one_query_at_a_time_and_the_longest_idle_serves_first() -> None:
    async def slow(peer: Peer) -> None:
        while True:
            message = await peer.read()
            await asyncio.sleep(0.05)
            peer.write(reply_to(message))

    async with StreamServer(slow) as server, asking(server.upstream()) as asker:
        await asyncio.gather(*(asker.ask(query(number)) for number in range(3)))
        assert [len(peer.queries) for peer in server.peers] == [1, 1, 1]
        order = [connection.local for connection in asker.streams.pools[0].usable]
        for _ in range(6):
            await asker.ask()
        assert [len(peer.queries) for peer in server.peers] == [3, 3, 3]
        assert [connection.local for connection in asker.streams.pools[0].usable] == order


@on_uvloop
async def test_a_connection_that_the_upstream_has_closed_costs_no_query() -> None:
    async def one_reply(peer: Peer) -> None:
        peer.write(reply_to(await peer.read()))

    async with StreamServer(one_reply) as server, asking(server.upstream()) as asker:
        for number in range(5):
            assert (await asker.ask(query(number))).reply == reply_to(query(number))
            await until(lambda: server.open == 0)


@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_that_is_closed_while_a_query_is_on_its_way(reset: bool) -> None:
    async def script(peer: Peer) -> None:
        peer.write(reply_to(await peer.read()))
        if peer.number == 1:
            await peer.read()
            if reset:
                linger = struct.pack("ii", 1, 0)
                peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                peer.writer.transport.abort()
            return
        await peer.serve()

    @on_uvloop
    async def run() -> None:
        async with StreamServer(script) as server, asking(server.upstream()) as asker:
            assert (await asker.ask(query(1))).reply == reply_to(query(1))
            assert (await asker.ask(query(2))).reply == reply_to(query(2))
            assert [len(peer.queries) for peer in server.peers] == [2, 1]

    run()


@on_uvloop
async def test_a_query_that_ends_every_connection_is_asked_twice_at_most() -> None:
    async def script(peer: Peer) -> None:
        message = await peer.read()
        while message != query(666):
            peer.write(reply_to(message))
            message = await peer.read()

    async with StreamServer(script) as server, asking(server.upstream()) as asker:
        # One after the other: a second connection, which has served nobody, would end it at the first time.
        for number in range(5):
            await asker.ask(query(number))
        assert (await asker.ask(query(666))).error == "EOF"
        assert server.queries.count(query(666)) == 2


@on_uvloop
async def test_half_a_reply_over_a_connection_that_has_served_is_an_error() -> None:
    async def script(peer: Peer) -> None:
        peer.write(reply_to(await peer.read()))
        peer.writer.write(frame(reply_to(await peer.read()))[:-1])

    async with StreamServer(script) as server, asking(server.upstream()) as asker:
        await asker.ask(query(1))
        assert (await asker.ask(query(2))).error == "unexpected EOF"
        assert len(server.peers) == 1


@on_uvloop
async def test_an_idle_connection_expires() -> None:
    async with StreamServer() as server, asking(server.upstream(), "expire 100ms") as asker:
        await asker.ask()
        await asyncio.sleep(0.15)
        # Before the sweep has come round.
        await asker.ask()
        assert len(server.peers) == 2
        await until(lambda: server.open == 0)
        assert not asker.streams.pools[0].connections


@on_uvloop
async def test_a_busy_connection_does_not_expire() -> None:
    async with StreamServer() as server, asking(server.upstream(), "expire 200ms") as asker:
        for _ in range(6):
            await asker.ask()
            await asyncio.sleep(0.05)
        assert len(server.peers) == 1


@on_uvloop
async def test_an_old_connection_is_left_however_busy() -> None:
    async with StreamServer() as server, asking(server.upstream(), "expire 100ms;max_age 200ms") as asker:
        for _ in range(12):
            assert (await asker.ask()).reply
            await asyncio.sleep(0.03)
        assert 2 <= len(server.peers) <= 4
        await until(lambda: server.open <= 1)


@on_uvloop
async def test_expire_0_never_reuses() -> None:
    async with StreamServer() as server, asking(server.upstream(), "expire 0s") as asker:
        for _ in range(3):
            assert (await asker.ask()).reply
        assert len(server.peers) == 3
        assert asker.count(HITS) == 0
        await until(lambda: server.open == 0)


@on_uvloop
async def test_max_idle_conns() -> None:
    async with StreamServer() as server, asking(server.upstream(), "max_idle_conns 2") as asker:
        await asyncio.gather(*(asker.ask(query(number)) for number in range(6)))
        await until(lambda: server.open == 2)
        assert len(asker.streams.pools[0].usable) == 2


@on_uvloop
async def test_nothing_wakes_up_where_nothing_is_idle() -> None:
    async with StreamServer() as server, asking(server.upstream(), "expire 100ms") as asker:
        assert asker.streams.sweeper is None
        await asker.ask()
        assert asker.streams.sweeper is not None
        await until(lambda: asker.streams.sweeper is None and server.open == 0)


# Bounds


@on_uvloop
async def test_a_query_takes_the_connection_that_is_free_first() -> None:
    async with StreamServer() as server, asking(server.upstream()) as asker:
        one, _ = asker.begin(query(1))
        await until(lambda: server.open)
        # Its dial is under way; the first connection is quicker.
        two, _ = asker.begin(query(2))
        assert (await one).reply == reply_to(query(1))
        assert (await two).reply == reply_to(query(2))
        assert len(server.queries) == 2


@on_uvloop
async def test_queries_wait_for_a_connection_where_there_are_as_many_as_may_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool, "MAX_CONNECTIONS", 3)
    monkeypatch.setattr(pool, "MAX_WAITING", 5)

    async def slow(peer: Peer) -> None:
        while True:
            message = await peer.read()
            await asyncio.sleep(0.1)
            peer.write(reply_to(message))

    async with StreamServer(slow) as server, asking(server.upstream()) as asker:
        # They wait for their dials first, so as many as may wait can be asked at a time.
        first = [asker.begin(query(number))[0] for number in range(3)]
        await until(lambda: len(server.queries) == 3)
        rest = [asker.begin(query(number))[0] for number in range(3, 9)]
        answers = await asyncio.gather(*first, *rest)
        assert [answer.reply for answer in answers[:8]] == [reply_to(query(number)) for number in range(8)]
        assert answers[8].error == f"5 queries wait for a connection to 127.0.0.1:{server.port}"
        assert len(server.peers) == 3


@on_uvloop
async def test_a_refused_ask_that_is_cancelled_hears_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MAX_CONNECTIONS", 1)
    monkeypatch.setattr(pool, "MAX_WAITING", 1)
    async with StreamServer(Peer.wait_for_end) as server, asking(server.upstream()) as asker:
        asker.begin(timeout_s=0.5)
        refused, cancel = asker.begin()
        cancel()
        second, _ = asker.begin()
        assert "wait for a connection" in (await second).error
        assert not refused.done()


@on_uvloop
async def test_a_query_that_waits_runs_out_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MAX_CONNECTIONS", 1)
    async with StreamServer(Peer.wait_for_end) as server, asking(server.upstream()) as asker:
        first, _ = asker.begin(timeout_s=0.4)
        await until(lambda: server.open)
        second, _ = asker.begin(timeout_s=0.1)
        assert (await second).error == f"all 1 connections to 127.0.0.1:{server.port} are busy: i/o timeout"
        assert (await first).error.endswith("i/o timeout")


@on_uvloop
async def test_an_upstream_that_goes_silent_does_not_keep_its_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MAX_CONNECTIONS", 4)
    silent = True

    async def script(peer: Peer) -> None:
        while True:
            message = await peer.read()
            if not silent:
                peer.write(reply_to(message))

    async with StreamServer(script) as server, asking(server.upstream()) as asker:
        answers = await asyncio.gather(*(asker.ask(query(number), timeout_s=0.2) for number in range(40)))
        assert all("i/o timeout" in answer.error for answer in answers)
        silent = False
        answers = await asyncio.gather(*(asker.ask(query(number)) for number in range(40)))
        assert all(answer.reply for answer in answers)
        assert server.open <= 4


@on_uvloop
async def test_ten_thousand_asks() -> None:
    async with StreamServer() as server, asking(server.upstream()) as asker:
        for _ in range(10):
            answers = await asyncio.gather(*(asker.ask(query(number)) for number in range(1000)))
            assert [answer.reply for answer in answers] == [reply_to(query(number)) for number in range(1000)]
        assert asker.ended == 10_000
        assert len(server.peers) <= pool.MAX_CONNECTIONS
        assert asker.count(HITS) + asker.count(MISSES) >= 10_000


# Cancelling and closing


@on_uvloop
async def test_a_cancelled_ask_hears_nothing() -> None:
    async with StreamServer(Peer.wait_for_end) as server, asking(server.upstream()) as asker:
        answer, cancel = asker.begin(timeout_s=0.2)
        await until(lambda: server.open)
        cancel()
        cancel()
        await until(lambda: server.open == 0)
        await asyncio.sleep(0.3)
        assert not answer.done()


@on_uvloop
async def test_cancelled_before_it_is_sent() -> None:
    async with StreamServer() as server, asking(server.upstream()) as asker:
        answer, cancel = asker.begin()
        cancel()
        await asyncio.sleep(0.1)
        assert not answer.done()
        assert not server.queries
        assert (await asker.ask()).reply


@on_uvloop
async def test_a_cancelled_dial_does_not_cost_the_next_ask_its_own() -> None:
    async with StreamServer() as server, asking(server.upstream(), "expire 0s") as asker:
        for _ in range(50):
            _, cancel = asker.begin()
            await asyncio.sleep(0)
            cancel()
            answer, _ = asker.begin(timeout_s=2)
            assert (await answer).reply
        assert server.queries == [query()] * 50


@on_uvloop
async def test_cancelling_an_ask_that_has_ended_does_nothing() -> None:
    async with StreamServer() as server, asking(server.upstream()) as asker:
        answer, cancel = asker.begin()
        assert (await answer).reply
        cancel()
        assert (await asker.ask()).reply
        assert len(server.peers) == 1


@on_uvloop
async def test_closing_ends_every_ask() -> None:
    with occupied() as port:
        upstreams = [Upstream("dns", "127.0.0.1", port)]
        async with StreamServer(Peer.wait_for_end) as server, asking([server.upstream(), *upstreams]) as asker:
            answers = [asker.begin()[0] for _ in range(3)]
            await until(lambda: server.open == 3)
            answers += [asker.begin(index=1)[0], asker.begin()[0]]
            await asker.streams.close()
            assert {(await answer).error for answer in answers} == {STOPPED}
            assert (await asker.ask()).error == STOPPED
            assert asker.ended == 6
            await until(lambda: server.open == 0)


@on_uvloop
async def test_an_ask_may_follow_from_the_end_of_another() -> None:
    async with StreamServer() as server, asking(server.upstream()) as asker:
        seen: list[bytes | None] = []
        finished = asyncio.Event()

        def next_one(reply: bytes | None, error: str) -> None:
            seen.append(reply)
            if len(seen) == 100:
                finished.set()
            else:
                asker.streams.ask(0, query(len(seen)), 5, next_one)

        asker.streams.ask(0, query(0), 5, next_one)
        await finished.wait()
        assert seen == [reply_to(query(number)) for number in range(100)]
        assert len(server.peers) == 1


@on_uvloop
async def test_several_upstreams_have_connections_of_their_own() -> None:
    async with StreamServer() as one, StreamServer() as two, asking([one.upstream(), two.upstream()]) as asker:
        assert (await asker.ask(query(1), index=0)).reply
        assert (await asker.ask(query(2), index=1)).reply
        assert (one.queries, two.queries) == ([query(1)], [query(2)])
        assert asker.count(MISSES, index=0) == asker.count(MISSES, index=1) == 1


@on_uvloop
async def test_a_connection_that_never_ends_does_not_keep_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """close() waited for ever where the loop did not say that a connection had ended, as with one of TLS."""

    class Kept(set):  # type: ignore[type-arg]
        def discard(self, connection: object) -> None:
            pass

    monkeypatch.setattr(streams, "CLOSE_S", 0.05)
    async with StreamServer() as server, asking(server.upstream()) as asker:
        assert (await asker.ask(query())).reply
        (kept,) = asker.streams.pools
        kept.connections = Kept(kept.connections)
        await asyncio.wait_for(asker.streams.close(), 10)
