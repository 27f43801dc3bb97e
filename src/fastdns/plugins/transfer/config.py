"""The options of transfer: who may have which zones, and is told when they change."""

from __future__ import annotations

from dataclasses import dataclass

from fastdns.corefile.context import BlockContext, Secondaries
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import one, to_host_port, to_zones
from fastdns.netaddrs import canonical_address

EVERYBODY = "*"
PORT = 53


@dataclass(frozen=True, slots=True)
class Rule:
    """One directive. zones: they, and the zones below them, are given to hosts; with everybody to all clients.

    hosts: addresses and ports; they are also told of changes. source: the address that they are told from; "": any.
    """

    zones: tuple[str, ...]
    hosts: tuple[tuple[str, int], ...] = ()
    everybody: bool = False
    source: str = ""


@dataclass(frozen=True, slots=True)
class Config:
    """All directives of a block."""

    rules: tuple[Rule, ...]

    @property
    def secondaries(self) -> tuple[Secondaries, ...]:
        """Who is told of what."""
        return tuple(Secondaries(rule.zones, rule.hosts, rule.source) for rule in self.rules)


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Every occurrence is a rule. Raises CorefileError."""
    return Config(tuple(_rule(d, block) for _ in d.occurrences()))


def _rule(d: Dispenser, block: BlockContext) -> Rule:
    zones = to_zones(d, d.remaining_args()) or block.zones
    hosts: dict[tuple[str, int], None] = {}
    everybody, source, named = False, "", False
    while d.next_block():
        with d.mistakes.noted():
            if d.text == "to":
                named = True
                texts = d.remaining_args()
                if not texts:
                    raise d.arg_error("one or more addresses, or *")
                everybody = everybody or EVERYBODY in texts
                hosts |= dict.fromkeys(to_host_port(d, text, PORT) for text in texts if text != EVERYBODY)
            elif d.text == "source":
                source = _source(d, source)
            else:
                raise d.error(f"unknown option {d.text!r}; expected to or source")
    if not named:
        raise d.error("'to' is required: who may have the zones")
    return Rule(zones, tuple(hosts), everybody, source)


def _source(d: Dispenser, before: str) -> str:
    text = one(d)
    if before:
        raise d.error("source already specified")
    address = canonical_address(text)
    if address is None:
        raise d.error(f"invalid source address {text!r}")
    return address
