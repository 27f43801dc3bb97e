"""The options of dns64: the prefix of IPv4 addresses, and who gets them."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import Option, at_most_one, flag, one, read_options, store

# RFC 6052 section 2.1: the Well-Known Prefix.
WELL_KNOWN = ipaddress.IPv6Network("64:ff9b::/96")
MIN_LENGTH = 32
MAX_LENGTH = 96


@dataclass(frozen=True, slots=True)
class Config:
    """prefix: of the addresses that stand for IPv4 ones. translate_all: also where a name has AAAA records.

    allow_ipv4: also for clients that ask over IPv4.
    """

    prefix: ipaddress.IPv6Network = WELL_KNOWN
    translate_all: bool = False
    allow_ipv4: bool = False


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Occurrences are merged; the last prefix counts. Raises CorefileError."""
    fields: dict[str, Any] = {}
    for _ in d.occurrences():
        text = at_most_one(d)
        if text is not None:
            fields["prefix"] = _to_prefix(d, text)
        read_options(d, OPTIONS, fields, ENDING)
    return Config(**fields)


def _to_prefix(d: Dispenser, text: str) -> ipaddress.IPv6Network:
    try:
        if "/" not in text or "%" in text:
            raise ValueError
        prefix = ipaddress.IPv6Network(text, strict=False)
    except ValueError:
        raise d.error(f"{text!r} is no IPv6 prefix; one looks like {WELL_KNOWN}") from None
    if prefix.prefixlen % 8 or not MIN_LENGTH <= prefix.prefixlen <= MAX_LENGTH:
        raise d.error(
            f"invalid prefix length {text!r}; expected {MIN_LENGTH} to {MAX_LENGTH} bits, a multiple of 8"
        )
    return prefix


def _prefix(d: Dispenser) -> ipaddress.IPv6Network:
    return _to_prefix(d, one(d, "an IPv6 prefix, such as 64:ff9b::/96"))


OPTIONS: dict[str, Option] = {
    "prefix": store("prefix", _prefix),
    "translate_all": store("translate_all", flag),
    "allow_ipv4": store("allow_ipv4", flag),
}

# Options after which CoreDNS accepts the closing brace on the same line: see read_options.
ENDING: dict[str, int] = {}
