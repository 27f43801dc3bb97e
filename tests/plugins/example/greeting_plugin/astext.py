"""astext: the addresses of a name, as text: a step in Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock
from fastdns.corefile.options import at_most_one, to_int
from fastdns.plugins.api import Plugin, Runtime
from fastdns.plugins.python import PythonStep, Request

if TYPE_CHECKING:
    from dnslib import DNSRecord


@dataclass(frozen=True, slots=True)
class Config:
    """ttl_s: of the answers."""

    ttl_s: int = 30


class AddressesAsText(PythonStep):
    """Answers TXT with what the whole server answers to A. Other questions are the next plugin's."""

    def __init__(self, ttl_s: int) -> None:
        self.ttl_s = ttl_s

    async def serve(self, request: Request) -> DNSRecord | None:
        # The server imports dnslib before it starts workers, and only where there is a step in Python.
        from dnslib import QTYPE, RR, TXT

        if request.qtype != QTYPE.TXT:
            return None
        name = request.question.qname
        found = await request.ask(name, "A")
        reply = request.record.reply()
        reply.header.rcode = found.header.rcode
        for rr in found.rr:
            if rr.rtype == QTYPE.A:
                reply.add_answer(RR(name, QTYPE.TXT, ttl=self.ttl_s, rdata=TXT(str(rr.rdata))))
        return reply


class AsText(Plugin):
    """astext [TTL]"""

    name = "astext"
    before = "cache"

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        config = Config()
        for _ in tokens.occurrences(once=True):
            text = at_most_one(tokens)
            config = Config() if text is None else Config(to_int(tokens, text, "the TTL in seconds", 0, 86400))
        return config

    def python_step(self, config: Config, block: ServerBlock, runtime: Runtime) -> PythonStep:
        return AddressesAsText(config.ttl_s)


plugin = AsText()
