"""How metrics and logs name what serves."""

from __future__ import annotations

from collections.abc import Iterator

from fastdns.corefile.model import Listener, ServerConfig

# The zone of queries that no plugin saw, as no name of a zone can be.
DROPPED = "dropped"
# The label proto, in the order of the counters (serve/_context.pxd: proto_of); beside each the label family.
PROTOS = ("udp", "tcp")
PROTOS_AND_FAMILIES = tuple((proto, family) for proto in PROTOS for family in ("1", "2"))


def server_name(listener: Listener) -> str:
    """A listener: dns://:53, dns://[::1]:53."""
    address = f"[{listener.address}]" if ":" in listener.address else listener.address
    return f"{listener.transport}://{address}:{listener.port}"


def block_of_zones(config: ServerConfig) -> Iterator[tuple[tuple[str, str, str], int]]:
    """The labels server, zone and view of each zone of each listener, and the index of its block.

    Blocks with the same labels are counted together.
    """
    for listener in config.listeners:
        server = server_name(listener)
        for zone, index in listener.zones:
            yield (server, zone, config.blocks[index].view), index


def counted_zones(config: ServerConfig) -> list[tuple[str, str, str]]:
    """The labels server, zone and view of all that is counted apart."""
    found = [(server_name(listener), DROPPED, "") for listener in config.listeners]
    found += [labels for labels, index in block_of_zones(config) if config.blocks[index].settings.counted]
    return list(dict.fromkeys(found))
