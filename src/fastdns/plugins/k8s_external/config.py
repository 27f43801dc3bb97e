"""The options of k8s_external: the zones outside of the cluster, and what stands in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.keys import is_reverse
from fastdns.corefile.options import Option, flag, integer, one, read_options, store, to_zones
from fastdns.dns.names import wire_name

MAX_TTL_S = 3600


@dataclass(frozen=True, slots=True)
class Config:
    """zones: origins. primary: the zone into which PTR records point: the first one that is no reverse zone.

    apex: the label below which the zones' nameserver stands. fallthrough: zones whose unknown names go to the next
    plugin; None for none.
    """

    zones: tuple[str, ...]
    primary: str
    apex: str = "dns"
    ttl_s: int = 5
    headless: bool = False
    fallthrough: tuple[str, ...] | None = None


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Occurrences are merged; the zones of the last one count. Raises CorefileError."""
    fields: dict[str, Any] = {}
    for _ in d.occurrences():
        zones = to_zones(d, d.remaining_args()) or block.zones
        fields["zones"] = zones
        fields["primary"] = next((zone for zone in zones if not is_reverse(zone)), zones[0])
        read_options(d, OPTIONS, fields, ENDING)
    return Config(**fields)


def _apex(d: Dispenser) -> str:
    text = one(d)
    try:
        name = wire_name(text)
    except ValueError:
        name = b""
    if not name or name[0] + 2 != len(name):
        raise d.error(f"the apex {text!r} is no DNS label")
    return text.rstrip(".").lower()


def _fallthrough(d: Dispenser) -> tuple[str, ...]:
    return to_zones(d, d.remaining_args()) or (".",)


OPTIONS: dict[str, Option] = {
    "apex": store("apex", _apex),
    "ttl": store("ttl_s", integer(0, MAX_TTL_S)),
    "headless": store("headless", flag),
    "fallthrough": store("fallthrough", _fallthrough),
}

# Options after which CoreDNS accepts the closing brace on the same line: see read_options.
ENDING = {"apex": 1, "ttl": 1, "headless": 0, "fallthrough": 0}
