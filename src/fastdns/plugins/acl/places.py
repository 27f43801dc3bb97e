"""Whose counters stand where: a place for each (server, zone, view), and one for what a server and view allow."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from fastdns.corefile.labels import server_name
from fastdns.corefile.model import ServerConfig
from fastdns.errors import FastdnsError
from fastdns.netaddrs import is_wildcard
from fastdns.plugins.acl._counters import PLACES, Counters

# Server, zone and view. The zone "": what was allowed, in all zones.
Labels = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Listening:
    """A listener of a block. address: b"" for every address. places: of the zones of all rules, in order; and of
    what is allowed."""

    address: bytes
    port: int
    places: tuple[int, ...]


@dataclass(slots=True)
class Places:
    """For the life of the server: what a configuration has had a place for keeps it."""

    counters: Counters = field(default_factory=Counters)
    of: dict[Labels, int] = field(default_factory=dict)

    def place(self, labels: Labels) -> int:
        """The place of labels. Raises FastdnsError where there is no more."""
        if labels not in self.of and len(self.of) == PLACES:
            raise FastdnsError(
                f"plugin/acl: at most {PLACES} combinations of listener, zone and view are counted, and those of "
                "earlier configurations stay; write fewer zones, or restart the server"
            )
        return self.of.setdefault(labels, len(self.of))

    def listening(self, config: ServerConfig) -> dict[int, tuple[Listening, ...]]:
        """The listeners of each block that has acl, by the block's index."""
        found: dict[int, tuple[Listening, ...]] = {}
        for block, options in config.with_plugin("acl"):
            zones = [zone for rule in options.rules for zone in rule.zones]
            found[block.index] = tuple(
                Listening(
                    b"" if is_wildcard(listener.address) else _packed(listener.address),
                    listener.port,
                    tuple(self.place((server_name(listener), zone, block.view)) for zone in [*zones, ""]),
                )
                for listener in config.listeners
                if any(index == block.index for _, index in listener.zones)
            )
        return found


def _packed(address: str) -> bytes:
    """Without the zone of a link-local one."""
    return ipaddress.ip_address(address.partition("%")[0]).packed
