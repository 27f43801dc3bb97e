"""Plugins whose steps in Python do what the first label of a name says; ``outer`` runs before the cache, ``inner``
behind it. See ``installed`` in support.py: a server finds them as it finds those of any other package.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from typing import Any

from dnslib import QTYPE, RR, TXT, A, DNSLabel, DNSRecord

from fastdns.plugins.api import Plugin
from fastdns.plugins.python import PythonStep, Request, Silence, label_of, text_of

log = logging.getLogger("fastdns")


def answer(request: Request, *texts: str) -> DNSRecord:
    reply = request.record.reply()
    for text in texts:
        reply.add_answer(RR(request.question.qname, QTYPE.TXT, ttl=60, rdata=TXT(text)))
    return reply


class Scripted(PythonStep):
    """Words of the label, between hyphens: a command, and its argument. Names of no command: the next plugin's."""

    def __init__(self, plugin: str, timeout_s: float, words: frozenset[str]) -> None:
        self.plugin = plugin
        self.broken = "broken" in words
        self.timeout_s = timeout_s
        self.cacheable = "cacheable" in words
        self.calls = 0
        self.running = 0
        self.cancelled = 0
        self.seen: Counter[str] = Counter()

    async def start(self) -> None:
        if self.broken:
            raise OSError("no such thing")

    async def close(self) -> None:
        log.info("step of %s closed, %d calls cancelled", self.plugin, self.cancelled)

    async def serve(self, request: Request) -> Any:
        self.calls += 1
        self.running += 1
        try:
            command, _, argument = str(request.question.qname).partition(".")[0].partition("-")
            method = getattr(self, f"do_{command.lower()}", None)
            if method is None or not request.question.qname.matchSuffix(DNSLabel(f"{self.plugin}.test")):
                return None
            return await method(request, argument)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1

    async def do_say(self, request: Request, argument: str) -> DNSRecord:
        return answer(request, argument)

    async def do_who(self, request: Request, argument: str) -> DNSRecord:
        way = "stream" if request.stream else "datagram"
        local = ".".join(map(str, request.local))
        return answer(request, request.client_address, way, request.server, request.zone, f"at {local}")

    async def do_count(self, request: Request, argument: str) -> DNSRecord:
        return answer(request, f"calls={self.calls}", f"running={self.running}", f"cancelled={self.cancelled}")

    async def do_sleep(self, request: Request, argument: str) -> DNSRecord:
        await asyncio.sleep(int(argument) / 1000)
        return answer(request, "awake")

    async def do_block(self, request: Request, argument: str) -> DNSRecord:
        """What no step may do: the event loop stands, and the interpreter is busy."""
        ends = time.monotonic() + int(argument) / 1000
        while time.monotonic() < ends:
            pass
        return answer(request, "busy")

    async def do_stubborn(self, request: Request, argument: str) -> DNSRecord:
        ends = asyncio.get_running_loop().time() + int(argument) / 1000
        while (left := ends - asyncio.get_running_loop().time()) > 0:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(left)
        return answer(request, "late")

    async def do_brief(self, request: Request, argument: str) -> DNSRecord:
        """How often it was asked, with a TTL of 1 s; from the second time on after a second."""
        self.seen[argument] += 1
        if self.seen[argument] > 1:
            await asyncio.sleep(1)
        reply = answer(request, str(self.seen[argument]))
        reply.rr[0].ttl = 1
        return reply

    async def do_silence(self, request: Request, argument: str) -> DNSRecord:
        raise Silence

    async def do_raise(self, request: Request, argument: str) -> DNSRecord:
        raise ValueError("it went wrong")

    async def do_cancelled(self, request: Request, argument: str) -> DNSRecord:
        raise asyncio.CancelledError

    async def do_next(self, request: Request, argument: str) -> DNSRecord:
        reply = await request.next()
        for rr in reply.rr:
            rr.ttl = 7
        return reply

    async def do_ask(self, request: Request, argument: str) -> DNSRecord:
        """What the server says to ARGUMENT.asked.test and ARGUMENT.more.test, one after the other."""
        reply = answer(request)
        for zone in ("asked.test.", "more.test."):
            found = await request.ask(f"{argument}.{zone}", "A")
            reply.header.rcode = found.header.rcode
            for rr in found.rr:
                reply.add_answer(RR(request.question.qname, QTYPE.TXT, ttl=rr.ttl, rdata=TXT(f"{zone} {rr.rdata}")))
        return reply

    async def do_bytes(self, request: Request, argument: str) -> DNSRecord:
        """Its name as text, and whose addresses the server knows below it, asked by text and by label."""
        name = request.question.qname
        reply = answer(request, request.qname)
        for form in (f"{text_of(name)}asked.test.", DNSLabel((*name.label, b"asked", b"test"))):
            for rr in (await request.ask(form, "A")).rr:
                text = TXT(f"{rr.rdata} of {type(form).__name__}")
                reply.add_answer(RR(label_of(text_of(rr.rname)), QTYPE.TXT, ttl=60, rdata=text))
        return reply

    async def do_again(self, request: Request, argument: str) -> DNSRecord:
        """Asks itself, without end."""
        found = await request.ask(request.question.qname, "TXT")
        found.header.id = request.record.header.id
        return found

    async def do_large(self, request: Request, argument: str) -> DNSRecord:
        return answer(request, *(f"{number:05}" + "x" * 200 for number in range(int(argument))))

    async def do_address(self, request: Request, argument: str) -> DNSRecord:
        reply = request.record.reply()
        reply.add_answer(RR(request.question.qname, QTYPE.A, ttl=60, rdata=A("192.0.2.77")))
        return reply

    async def do_bad(self, request: Request, argument: str) -> Any:
        if argument == "text":
            return "no record"
        if argument == "question":
            return DNSRecord.question("other.test.").reply()
        if argument == "query":
            return request.record
        if argument == "pack":
            reply = request.record.reply()
            reply.add_answer(RR(DNSLabel([b"x" * 64]), QTYPE.TXT, rdata=TXT("x")))
            return reply
        reply = answer(request)
        reply.header.opcode = 4
        return reply


class ScriptedPlugin(Plugin):
    def __init__(self, name: str, before: str, after: str) -> None:
        self.name = name
        self.before = before
        self.after = after

    def parse(self, tokens: Any, context: Any) -> list[str]:
        """NAME TIMEOUT [cacheable] [broken]"""
        words: list[str] = []
        for _ in tokens.occurrences(once=True):
            while tokens.next_arg():
                words.append(tokens.text)
        return words

    def python_step(self, config: list[str], block: Any, runtime: Any) -> PythonStep:
        return Scripted(self.name, float(config[0]), frozenset(config[1:]))


outer = ScriptedPlugin("outer", "cache", "")
inner = ScriptedPlugin("inner", "", "cache")
