"""Upstreams that say anything at all: each ask ends once, nothing is raised, other upstreams are none the worse."""

from __future__ import annotations

import logging
import random
import ssl
from collections.abc import Iterator

import pytest

from tests.plugins.forward.certificates import Authority
from tests.plugins.forward.servers import HttpServer, Peer, Request, StreamServer, frame
from tests.plugins.forward.support import asking, on_uvloop, query, reply_to

ROUNDS = 150
HTTP2_FRAMES = range(12)


@pytest.fixture(params=[1, 2])
def chance(request: pytest.FixtureRequest) -> random.Random:
    return random.Random(request.param)


@pytest.fixture(autouse=True)
def nothing_is_raised(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """An exception in a callback goes to the log of asyncio."""
    with caplog.at_level(logging.ERROR, "asyncio"):
        yield
    assert not [record.getMessage() for record in caplog.records if record.name == "asyncio"]


def mangled(chance: random.Random, data: bytes) -> bytes:
    """data with some bytes changed, and cut or repeated somewhere."""
    found = bytearray(data)
    for _ in range(chance.randrange(4)):
        found[chance.randrange(len(found))] = chance.randrange(256)
    at = chance.randrange(len(found))
    return bytes(chance.choice([found, found[:at], found[at:] + found[:at], found + found, found[:at] + data]))


def http2_frame(chance: random.Random) -> bytes:
    """A frame of a kind that may come, with anything in it."""
    payload = chance.randbytes(chance.choice([0, 1, 4, 5, 6, 8, 30]))
    head = len(payload).to_bytes(3, "big") + bytes((chance.choice(HTTP2_FRAMES), chance.randrange(64)))
    return head + chance.choice([0, 1, 2, 3, 5]).to_bytes(4, "big") + payload


@on_uvloop
async def test_mangled_messages(chance: random.Random) -> None:
    async def script(peer: Peer) -> None:
        peer.writer.write(mangled(chance, frame(reply_to(await peer.read()))))
        if chance.random() < 0.5:
            await peer.wait_for_end()

    async with (
        StreamServer(script) as bad,
        StreamServer() as good,
        asking([bad.upstream(), good.upstream()]) as asker,
    ):
        for number in range(ROUNDS):
            answer = await asker.ask(query(number), timeout_s=0.05)
            assert (answer.reply is None) == bool(answer.error)
            if answer.reply is not None:
                assert answer.reply[:2] == query(number)[:2]
        assert asker.ended == ROUNDS
        assert (await asker.ask(index=1)).reply == reply_to(query())


@on_uvloop
async def test_mangled_http2(authority: Authority, chance: random.Random) -> None:
    def answer(request: Request) -> None:
        for _ in range(chance.randrange(1, 6)):
            request.peer.send_raw(http2_frame(chance))
        if not request.peer.transport.is_closing() and chance.random() < 0.5:
            request.reply()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("garbage"))
    async with HttpServer(context, answer) as server, asking(server.upstream(), tls=str(authority.ca)) as asker:
        for number in range(ROUNDS):
            got = await asker.ask(query(number), timeout_s=0.05)
            assert (got.reply is None) == bool(got.error)
        assert asker.ended == ROUNDS
        server.answer = Request.reply
        # What is left of the last connection may cost one more.
        answers = [await asker.ask(timeout_s=2) for _ in range(2)]
        assert answers[1].reply == reply_to(query())
