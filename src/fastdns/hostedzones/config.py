"""What the directives of plugins with hosted zones have in common."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.keys import KeyProblem, normalize
from fastdns.corefile.options import to_zones

REFRESH_S = 60.0
# Of one name: see _step.pyx.
MAX_LAYERS = 255


@dataclass(frozen=True, slots=True)
class HostedZone:
    """zone: its name, normalized. id: what the provider knows it by, as the Corefile has it."""

    zone: str
    id: str

    def __str__(self) -> str:
        return f"{self.zone}:{self.id}"


@dataclass(frozen=True, slots=True)
class Listing:
    """Hosted zones that are listed together, each time that refresh_s is over.

    access: how the provider is asked, a frozen dataclass of JSON's types. Its secrets are the fields that repr does
    not show.
    """

    zones: tuple[HostedZone, ...]
    access: Any
    refresh_s: float = REFRESH_S

    def secrets(self) -> list[str]:
        """What nobody may read in the log."""
        return [value for one in fields(self.access) if not one.repr and (value := getattr(self.access, one.name))]


@dataclass(frozen=True, slots=True)
class Config:
    """The directives of a block. fallthrough: zones whose unknown names go to the next plugin."""

    listings: tuple[Listing, ...]
    fallthrough: tuple[str, ...] = ()

    @property
    def zones(self) -> tuple[str, ...]:
        """The names of all hosted zones, each once."""
        return tuple(dict.fromkeys(one.zone for listing in self.listings for one in listing.zones))


def to_zone(d: Dispenser, text: str) -> str:
    """The name of a hosted zone, normalized."""
    try:
        return normalize(text)
    except KeyProblem as problem:
        raise d.error(str(problem)) from None


def split(d: Dispenser, text: str, parts: int, what: str) -> list[str]:
    """The parts of an argument, which colons separate; colons beyond that are of the last one."""
    found = text.split(":", parts - 1)
    if len(found) < parts or not all(found):
        raise d.error(f"invalid {what} {text!r}")
    return found


def check_layers(d: Dispenser, zones: Iterable[HostedZone]) -> None:
    """Raises CorefileError where too many hosted zones have one name."""
    counts: dict[str, int] = {}
    for one in zones:
        counts[one.zone] = counts.get(one.zone, 0) + 1
        if counts[one.zone] > MAX_LAYERS:
            raise d.error(f"over {MAX_LAYERS} hosted zones have the name {one.zone}")


def fallthrough(d: Dispenser) -> tuple[str, ...]:
    """Zones; all where none is named."""
    return to_zones(d, d.remaining_args()) or (".",)


def upstream(d: Dispenser) -> bool:
    """Once an option; CoreDNS reads it, and does nothing with it."""
    d.remaining_args()
    return True


def warn_of_upstream(name: str) -> str:
    """What is said of it."""
    return f"plugin/{name}: upstream does nothing: names elsewhere are looked up through the server itself"


def overlap(zones: Iterable[HostedZone], named: Iterable[str]) -> tuple[str, ...]:
    """What of some hosted zones is in the zones that their fallthrough names."""
    named = tuple(named)
    found: dict[str, None] = {}
    for one in zones:
        for zone in named:
            inner, outer = (one.zone, zone) if len(one.zone) >= len(zone) else (zone, one.zone)
            if outer == "." or inner == outer or inner.endswith(f".{outer}"):
                found[inner] = None
    return tuple(found)
