"""The templates of a block, natively and in Python: the same reply to every question."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import dns.edns
import dns.flags
import dns.message
import dns.rcode

from fastdns.corefile import load
from fastdns.metrics._labelled import LabelledCounters
from fastdns.metrics._stats import Stats
from fastdns.metrics.reasons import REASONS
from fastdns.plugins.api import Runtime
from fastdns.plugins.python import Request
from fastdns.plugins.template import counters as counting
from fastdns.plugins.template.config import Config
from fastdns.plugins.template.python_step import TemplatesInPython
from fastdns.process.assembly import build_tables
from fastdns.serve._worker import Worker

SERVER = "dns://:53"


class Both:
    """The templates of a block for both zones, native and in Python."""

    def __init__(self, options: str, values: Mapping[str, str] = {}) -> None:
        """values: that Python is given; the native step reads those of the block's plugins."""
        config = load(f". {{\n{options}\nprometheus\nwhoami\n}}", environ={})
        found = config.blocks[0].plugins["template"]
        assert isinstance(found, Config)
        assert not found.python
        self.values = values
        self.counters = [LabelledCounters(), LabelledCounters()]
        for one in self.counters:
            counting.register(one, config)
        stats = Stats(1)
        stats.reserve_zones(1)
        zone_slots = {(SERVER, ".", ""): 0}
        tables, _ = build_tables(config, Runtime(prepared={"template": self.counters[0]}), zone_slots)
        self.worker = Worker(tables[0], None, 0, stats, 0)
        self.python = TemplatesInPython(found, self.counters[1])

    def natively(self, query: dns.message.Message) -> dns.message.Message:
        raw = self.worker.serve(query.to_wire())
        assert raw is not None
        return dns.message.from_wire(raw)

    def in_python(self, query: dns.message.Message) -> dns.message.Message | None:
        """None: the next plugin's."""
        message = query.to_wire()
        name_end = 12 + len(query.question[0].name.to_wire() or b"")
        opt = (name_end + 4, len(message) - name_end - 4)

        async def send(asked: bytes | None) -> bytes | None:
            assert asked is not None
            reply = self.worker.serve(asked)
            assert reply is None or isinstance(reply, bytes)
            return reply

        request = Request(
            message, b"\x7f\0\0\1", 5353, False, SERVER, b"", 5.0, self.values, 0, ((b"\0", "."),), name_end, opt,
            send,
        )  # fmt: skip
        reply = asyncio.run(self.python.serve(request))
        return None if reply is None else dns.message.from_wire(bytes(reply.pack()))

    def counted(self) -> list[dict[tuple[object, ...], int]]:
        found = []
        for one in self.counters:
            sums: dict[tuple[object, ...], int] = {}
            for key, count in one.counts():
                sums[key] = sums.get(key, 0) + count
            found.append(sums)
        return found

    def check(self, name: str, kind: str = "A", *, edns: bool = False) -> dns.message.Message:
        """Ask both, and compare. Returns the reply."""
        query = dns.message.make_query(name, kind, use_edns=0 if edns else None)
        native = self.natively(query)
        python = self.in_python(query)
        if python is None:
            # whoami has answered.
            assert native.additional
            return native
        assert summary(native) == summary(python)
        return native


def summary(reply: dns.message.Message) -> tuple[object, ...]:
    """All of a reply but its size, and what the chain says of a failure: the name of its reason."""
    sections = [
        sorted(rrset.to_text() for rrset in section)
        for section in (reply.answer, reply.authority, reply.additional)
    ]
    reasons = {reason.name for reason in REASONS}
    errors = [
        (int(one.code), one.text)
        for one in reply.options
        if isinstance(one, dns.edns.EDEOption) and one.text not in reasons
    ]
    return (dns.rcode.to_text(reply.rcode()), reply.flags & (dns.flags.AA | dns.flags.TC), sections, errors)
