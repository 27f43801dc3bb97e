"""A cache as a Corefile configures it, an upstream that says what it is told to, and a clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset

from fastdns.corefile import load
from fastdns.corefile.model import ServerBlock
from fastdns.metrics._stats import Stats, layout
from fastdns.plugins.cache._step import CacheStep
from fastdns.plugins.cache.counters import NAMES
from fastdns.plugins.cache.shared import new_cache
from fastdns.serve._worker import Worker
from fastdns.serve._zones import NativeStep, ServerTable
from tests.plugins.cache._trial import PARKED, ScriptedUpstream, Trial

NS = 1_000_000_000
START_NS = 100_000 * NS
NAME = "www.example.org."
# As a client sends it: it says that it wants recursion.
RD = dns.flags.RD

SOA = "example.org. {} IN SOA ns.example.org. hostmaster.example.org. 1 7200 3600 1209600 77"
A = "www.example.org. {} IN A 192.0.2.1"


def soa(ttl_s: int) -> str:
    """The SOA record of a negative answer. Its minimum, 77, is nobody's TTL."""
    return SOA.format(ttl_s)


def a(ttl_s: int, last: int = 1, owner: str = NAME) -> str:
    """An address."""
    return f"{owner} {ttl_s} IN A 192.0.2.{last}"


def cname(ttl_s: int, target: str, owner: str = NAME) -> str:
    """An alias."""
    return f"{owner} {ttl_s} IN CNAME {target}"


def block_of(directive: str, zones: str = ".") -> ServerBlock:
    """A server block with a cache directive (``;`` instead of newlines) and somebody who answers."""
    text = f"{zones} {{\n" + directive.replace(";", "\n") + "\nwhoami\n}\n"
    return load(text, environ={}).blocks[0]


def question(
    qname: str = NAME,
    qtype: str = "A",
    *,
    do: bool = False,
    cd: bool = False,
    ad: bool = False,
    rd: bool = True,
    edns: bool = False,
    subnet: str | None = None,
    subnet_bytes: bytes | None = None,
    opcode: int = 0,
) -> dns.message.Message:
    """What a client sends."""
    query = dns.message.make_query(qname, qtype, flags=RD if rd else 0, id=4711)
    query.set_opcode(opcode)
    if cd:
        query.flags |= dns.flags.CD
    if ad:
        query.flags |= dns.flags.AD
    options: list[dns.edns.Option] = []
    if subnet is not None:
        options.append(dns.edns.ECSOption.from_text(subnet))
    if subnet_bytes is not None:
        options.append(dns.edns.GenericOption(dns.edns.OptionType.ECS, subnet_bytes))
    if do or edns or options:
        query.use_edns(0, dns.flags.DO if do else 0, 1232, options=options)
    return query


@dataclass(frozen=True)
class Said:
    """What an upstream says. Records are in presentation form; flags beside QR, by name."""

    answer: Sequence[str] = ()
    authority: Sequence[str] = ()
    additional: Sequence[str] = ()
    rcode: str = "NOERROR"
    flags: str = "RD RA"
    options: Sequence[dns.edns.Option] = field(default_factory=tuple)

    def to(self, query: dns.message.Message) -> bytes:
        """The reply to a query as a message."""
        reply = dns.message.make_response(query)
        reply.flags = dns.flags.QR | dns.flags.from_text(self.flags)
        reply.set_rcode(dns.rcode.from_text(self.rcode))
        for name in ("answer", "authority", "additional"):
            getattr(reply, name).extend(rrset(text) for text in getattr(self, name))
        if query.edns >= 0:
            reply.use_edns(0, query.ednsflags, 4096, options=list(self.options))
        return reply.to_wire(max_size=65535)


# What a server knows without recursion: whom to ask.
REFERRAL = Said((), ["org. 3600 IN NS ns.nic.example."], flags="RA")


def rrset(text: str) -> dns.rrset.RRset:
    """One record."""
    owner, ttl, rdclass, rdtype, rdata = text.split(None, 4)
    return dns.rrset.from_text(owner, int(ttl), rdclass, rdtype, rdata)


def records(section: Iterable[dns.rrset.RRset]) -> list[str]:
    """A section's records in presentation form, in their order."""
    return [f"{one.name} {one.ttl} {one.to_text().split(None, 2)[2]}" for one in section]


def with_ttl(texts: Iterable[str], ttl_s: int) -> list[str]:
    """The same records with another TTL."""
    found = []
    for text in texts:
        owner, _, rest = text.split(None, 2)
        found.append(f"{owner} {ttl_s} {rest}")
    return found


class Cached:
    """A server with ``cache`` and a scripted upstream. at_s counts from when it was made."""

    def __init__(
        self, directive: str = "cache", zones: str = ".", *, outer: Sequence[NativeStep] = (), cache: Any = None
    ) -> None:
        self.config = block_of(directive, zones).plugins["cache"]
        self.cache = new_cache(self.config) if cache is None else cache
        self.upstream = ScriptedUpstream()
        self.step = CacheStep(self.cache, self.config)
        self.stats = Stats(1)
        table = ServerTable([(".", 0, 0)], [[*outer, self.step, self.upstream]])
        self.worker = Worker(table, stats=self.stats)
        self.trial = Trial(self.worker, self.upstream)

    def say(self, said: Said | None, query: dns.message.Message | None = None, *, local: bool = False) -> None:
        """What the upstream says from now on. None: nothing, so that there is SERVFAIL and an error."""
        query = query or question()
        self.upstream.answer(None if said is None else said.to(query), local=local)

    def ask(self, query: dns.message.Message | None = None, at_s: float = 0.0) -> dns.message.Message:
        """Ask, and get an answer at once."""
        reply = self.try_to_ask(query, at_s)
        assert isinstance(reply, dns.message.Message), f"not answered at once: {reply}"
        return reply

    def try_to_ask(self, query: dns.message.Message | None = None, at_s: float = 0.0) -> Any:
        """Ask: a message, None for silence, or PARKED."""
        query = query or question()
        return self.parsed(query, self.trial.ask(query.to_wire(), START_NS + int(at_s * NS)))

    def resume(
        self, said: Said | None = None, query: dns.message.Message | None = None, at_s: float = 0.0, **how: bool
    ) -> Any:
        """Serve a query that waited, now that the upstream has said something."""
        query = query or question()
        reply = None if said is None else said.to(query)
        return self.parsed(query, self.trial.resume(query.to_wire(), START_NS + int(at_s * NS), reply, **how))

    @staticmethod
    def parsed(query: dns.message.Message, raw: Any) -> Any:
        """A reply as a message; it must fit its query."""
        if raw is None or raw is PARKED:
            return raw
        reply = dns.message.from_wire(raw, one_rr_per_rrset=True)
        assert reply.id == query.id
        assert reply.question[0].to_text() == query.question[0].to_text()
        assert (reply.edns >= 0) == (query.edns >= 0)
        return reply

    def fill(self, said: Said, query: dns.message.Message | None = None, at_s: float = 0.0) -> dns.message.Message:
        """Ask with an upstream that answers so."""
        self.say(said, query)
        return self.ask(query, at_s)

    @property
    def counters(self) -> dict[str, int]:
        """What has been counted, without the zeros."""
        at, _ = layout()["plugins"]
        values = (self.stats.zone_values([0], 0) or [])[at:]
        return {name: value for name, value in zip(NAMES, values, strict=False) if value}

    @property
    def entries(self) -> tuple[int, int]:
        """How many success and denial hold."""
        return self.cache.entries("success"), self.cache.entries("denial")


# What tests of refreshing begin with, and what they get.
OLD, NEW = Said([a(60)]), Said([a(300, 2)])
NXDOMAIN = Said((), [soa(600)], rcode="NXDOMAIN")
NODATA = Said((), [soa(600)])
SERVFAIL = Said(rcode="SERVFAIL")
EDNS_DO = question(do=True)


def address(reply: dns.message.Message) -> str:
    """The first record of an answer, as text."""
    return records(reply.answer)[0]
