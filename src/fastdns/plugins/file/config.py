"""The options of file: zone files, and how they are followed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastdns.corefile.context import BlockContext, Secondaries
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import Option, duration, flag, read_options, store, to_zones

RELOAD_S = 60.0


@dataclass(frozen=True, slots=True)
class ZoneFile:
    """A zone, and the file that holds it, resolved against the root. reload_s: how often the file is looked at, 0:
    never again. by_mtime: a newer file is read whatever its serial."""

    zone: str
    file: str
    reload_s: float = RELOAD_S
    by_mtime: bool = False


@dataclass(frozen=True, slots=True)
class Config:
    """All *file* directives of a block. fallthrough: zones whose unknown names go to the next plugin; None: none
    do. secondaries: who transfers the zones."""

    files: tuple[ZoneFile, ...]
    fallthrough: tuple[str, ...] | None = None
    secondaries: tuple[Secondaries, ...] = ()

    @property
    def zones(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(one.zone for one in self.files)


def parse(d: Dispenser, block: BlockContext) -> Config:
    """A directive for each file. As in CoreDNS, reload and reload_by_mtime also hold for the directives behind, the
    last fallthrough counts, and so does the last file of a zone. Raises CorefileError."""
    by_zone: dict[str, ZoneFile] = {}
    fields: dict[str, Any] = {"reload_s": RELOAD_S, "by_mtime": False, "fallthrough": None}
    for _ in d.occurrences():
        if not d.next_arg():
            raise d.arg_error("a zone file, and optionally its zones")
        file = block.resolve(d.text)
        zones = to_zones(d, d.remaining_args()) or block.zones
        read_options(d, OPTIONS, fields)
        if fields.pop("upstream", None):
            block.warnings.append(
                "plugin/file: upstream does nothing: names elsewhere are looked up through the server itself"
            )
        for zone in zones:
            by_zone.pop(zone, None)
            by_zone[zone] = ZoneFile(zone, file, fields["reload_s"], fields["by_mtime"])
    return Config(tuple(by_zone.values()), fields["fallthrough"], block.secondaries)


def fallthrough(d: Dispenser) -> tuple[str, ...]:
    """Zones; all where none is named."""
    return to_zones(d, d.remaining_args()) or (".",)


def upstream(d: Dispenser) -> bool:
    """Once an option; CoreDNS reads it, and does nothing with it."""
    d.remaining_args()
    return True


OPTIONS: dict[str, Option] = {
    "reload": store("reload_s", duration()),
    "reload_by_mtime": store("by_mtime", flag),
    "fallthrough": store("fallthrough", fallthrough),
    "upstream": store("upstream", upstream),
}
