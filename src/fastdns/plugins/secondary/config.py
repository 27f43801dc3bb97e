"""The options of secondary: zones, and the primary servers that have them."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastdns.corefile.context import BlockContext, Secondaries
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import to_host_port, to_zones

PORT = 53


@dataclass(frozen=True, slots=True)
class SecondaryZone:
    """A zone. primaries: addresses and ports, in the order in which they are asked. members: of a catalog zone, the
    zones below which its members are taken, none: all are; None: it is no catalog."""

    zone: str
    primaries: tuple[tuple[str, int], ...] = ()
    members: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """All *secondary* directives of a block. fallthrough: zones whose unknown names go to the next plugin; None:
    none do. secondaries: who transfers the zones from here."""

    zones: tuple[SecondaryZone, ...]
    fallthrough: tuple[str, ...] | None = None
    secondaries: tuple[Secondaries, ...] = field(default=())

    @property
    def has_catalog(self) -> bool:
        """Whether zones come and go with a catalog."""
        return any(one.members is not None for one in self.zones)


def parse(d: Dispenser, block: BlockContext) -> Config:
    """A directive for some zones. As in CoreDNS, the last fallthrough counts, and a zone that stands in two
    directives has the primaries of the last one, and the member zones of both. Raises CorefileError."""
    by_zone: dict[str, SecondaryZone] = {}
    fallthrough: tuple[str, ...] | None = None
    for _ in d.occurrences():
        zones = to_zones(d, d.remaining_args()) or block.zones
        primaries: list[tuple[str, int]] = []
        members: tuple[str, ...] | None = None
        while d.next_block():
            with d.mistakes.noted():
                if d.text == "transfer":
                    primaries += _primaries(d)
                elif d.text == "catalog":
                    members = _merged(members, to_zones(d, d.remaining_args()))
                elif d.text == "fallthrough":
                    fallthrough = to_zones(d, d.remaining_args()) or (".",)
                else:
                    raise d.error(f"unknown option {d.text!r}; expected transfer, catalog or fallthrough")
        if not primaries:
            raise d.error("secondary zones require a transfer from property")
        for zone in zones:
            before = by_zone[zone].members if zone in by_zone else None
            by_zone[zone] = SecondaryZone(zone, tuple(primaries), _merged(before, members))
    return Config(tuple(by_zone.values()), fallthrough, block.secondaries)


def _primaries(d: Dispenser) -> list[tuple[str, int]]:
    args = d.remaining_args()
    if len(args) < 2:
        raise d.arg_error("from and one or more addresses")
    if args[0] != "from":
        raise d.error(f"unknown property {args[0]!r}; expected from")
    if "*" in args:
        raise d.error("can't use '*' in transfer from")
    return [to_host_port(d, text, PORT) for text in args[1:]]


def _merged(before: tuple[str, ...] | None, more: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The member zones of two lines. One without zones takes all members, whatever the other one says."""
    if before is None or more is None:
        return more if before is None else before
    return tuple(dict.fromkeys((*before, *more))) if before and more else ()
