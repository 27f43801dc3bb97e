"""Stanzas from text, queries, and asks that can be awaited."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec

import uvloop

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.parser import parse as parse_text
from fastdns.plugins.forward.config import Config, Stanza, parse
from fastdns.plugins.forward.streams import Streams
from fastdns.plugins.forward.upstreams import Upstream

P = ParamSpec("P")
QUESTION = b"\3www\7example\0\0\1\0\1"


def config_of(text: str, root: str = ".") -> tuple[Config, list[str]]:
    """The configuration of a block's directives, by ``;`` instead of newlines, and the warnings."""
    block = parse_text(". {\n" + text.replace(";", "\n") + "\n}\n", "Corefile", {}, ("forward",)).blocks[0]
    context = BlockContext(zones=(".",), file="Corefile", root=root)
    return parse(Dispenser("forward", block.directives["forward"], "Corefile"), context), context.warnings


def stanza_of(text: str = "forward . 127.0.0.1", root: str = ".") -> Stanza:
    """The only directive."""
    (stanza,) = config_of(text, root)[0].stanzas
    return stanza


def query(number: int = 0x1234, tail: bytes = b"") -> bytes:
    """A query with this ID for www.example. A, and something behind it."""
    return struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + QUESTION + tail


def reply_to(message: bytes, tail: bytes = b"") -> bytes:
    """A reply: the query with QR and RA set, and something behind it."""
    return message[:2] + b"\x81\x80" + message[4:] + tail


@dataclass
class Answer:
    """What an ask has ended with."""

    reply: bytes | None
    error: str


class Asker:
    """Asks over Streams, and notes that each ask ends once."""

    def __init__(self, streams: Streams) -> None:
        self.streams = streams
        self.ended = 0

    async def ask(self, message: bytes = query(), timeout_s: float = 5.0, index: int = 0) -> Answer:
        """One ask, to its end."""
        return await self.begin(message, timeout_s, index)[0]

    def begin(
        self, message: bytes = query(), timeout_s: float = 5.0, index: int = 0
    ) -> tuple[asyncio.Future[Answer], Any]:
        """One ask: its answer to come, and what cancels it."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def done(reply: bytes | None, error: str) -> None:
            self.ended += 1
            answer.set_result(Answer(reply, error))

        cancel = self.streams.ask(index, message, timeout_s, done)
        assert not answer.done(), "done was called before ask has returned"
        return answer, cancel

    def count(self, name: str, proto: str = "tcp", index: int = 0) -> int:
        """A counter of an upstream."""
        return self.streams.counters.get((name, self.streams.pools[index].to, proto), 0)


@contextlib.asynccontextmanager
async def asking(
    upstreams: Upstream | Sequence[Upstream], text: str = "", tls: str = ""
) -> AsyncIterator[Asker]:
    """Streams with options, by ``;``, which are closed in the end and then have nothing left."""
    options = f"{text};tls {tls}" if tls else text
    stanza = stanza_of(f"forward . tls://127.0.0.1 {{;{options};}}")
    streams = Streams(
        [upstreams] if isinstance(upstreams, Upstream) else upstreams, stanza, asyncio.get_running_loop()
    )
    try:
        yield Asker(streams)
    finally:
        await streams.close()
        for pool in streams.pools:
            assert not (pool.connections or pool.usable or pool.waiting or pool.dials)


async def until(what: Any, limit_s: float = 5.0) -> None:
    """Wait until what() is true."""
    async with asyncio.timeout(limit_s):
        while not what():
            await asyncio.sleep(0.005)


def on_uvloop(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Run a test on the loop that a worker has, for 30 s at most."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def main() -> None:
            async with asyncio.timeout(30):
                await test(*args, **kwargs)

        uvloop.run(main())

    return run
