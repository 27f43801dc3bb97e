"""The options of acl: who may ask for what."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import to_zones
from fastdns.dns import mnemonics

ACTIONS = ("allow", "block", "filter", "drop")
EVERY = "*"
# A network with a netmask is none.
_NETWORK = re.compile(r"[0-9a-fA-F.:]+(?:/[0-9]{1,3})?")
_MAPPED = ipaddress.ip_address("::ffff:0:0").packed[:12]
_TYPES = {name: number for number, name in mnemonics.TYPES.items()}

# The packed network address, 4 or 16 bytes, and the prefix length.
Network = tuple[bytes, int]


@dataclass(frozen=True, slots=True)
class Policy:
    """What becomes of queries of these types from these networks. None: of all types, from everywhere."""

    action: str
    qtypes: frozenset[int] | None = None
    networks: tuple[Network, ...] | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """The first policy that a query for a name in these zones meets decides; without one, the next rule does."""

    zones: tuple[str, ...]
    policies: tuple[Policy, ...]


@dataclass(frozen=True, slots=True)
class Config:
    """The rules of one server block, in order."""

    rules: tuple[Rule, ...]


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Every occurrence is a rule. Raises CorefileError."""
    rules = []
    for _ in d.occurrences():
        zones = to_zones(d, d.remaining_args()) or block.zones
        policies = []
        while d.next_block():
            with d.mistakes.noted():
                policies.append(_policy(d))
        rules.append(Rule(zones, tuple(policies)))
    return Config(tuple(rules))


def _policy(d: Dispenser) -> Policy:
    action = d.text.lower()
    if action not in ACTIONS:
        raise d.error(f"unexpected {d.text!r}; expected {', '.join(ACTIONS[:-1])} or {ACTIONS[-1]}")
    sections = _sections(d)
    types, sources = sections["type"], sections["net"]
    qtypes = frozenset(_qtype(d, text) for text in types if text != EVERY)
    networks = tuple(_network(d, text) for text in sources if text != EVERY)
    return Policy(action, None if EVERY in types else qtypes, None if EVERY in sources else networks)


def _sections(d: Dispenser) -> dict[str, list[str]]:
    """The words behind ``type`` and behind ``net``; EVERY where the section is missing."""
    found: dict[str, list[str]] = {"type": [], "net": []}
    section, count = "", 0
    for word in d.remaining_args():
        if word.lower() in found:
            if section and not count:
                break
            section, count = word.lower(), 0
        elif not section:
            raise d.error(f"unexpected {word!r}; expected type or net")
        else:
            found[section].append(word)
            count += 1
    if section and not count:
        raise d.error(f"expected at least one word behind {section}")
    return {name: words or [EVERY] for name, words in found.items()}


def _qtype(d: Dispenser, text: str) -> int:
    if text not in _TYPES:
        raise d.error(f"{text!r} is no query type; expected one such as A or ANY, in upper case")
    return _TYPES[text]


def _network(d: Dispenser, text: str) -> Network:
    try:
        if not _NETWORK.fullmatch(text):
            raise ValueError
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise d.error(f"invalid network {text!r}; expected one such as 10.0.0.0/8, 192.0.2.1 or fd00::/8") from None
    packed, length = network.network_address.packed, network.prefixlen
    if packed.startswith(_MAPPED) and length >= 96:
        return packed[12:], length - 96
    return packed, length
