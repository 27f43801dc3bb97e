"""Which zones are served at which address: blocks that share one form a server, and some cannot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fastdns.corefile.model import Listener, ServerBlock
from fastdns.errors import CorefileError


class Endpoint(NamedTuple):
    """A zone at an address; "" is every address. block is the index of its server block."""

    transport: str
    address: str
    port: int
    zone: str
    block: int

    def __str__(self) -> str:
        bound = f" on {self.address}" if self.address else ""
        return f"{self.transport}://{self.zone}:{self.port}{bound}"


def group(endpoints: Iterable[Endpoint], blocks: Sequence[ServerBlock]) -> tuple[Listener, ...]:
    """The listeners in order of appearance. Raises CorefileError for a zone that is served twice."""
    seen: dict[tuple[str, int, str], dict[str, Endpoint]] = {}
    zones: dict[tuple[str, str, int], list[tuple[str, int]]] = {}
    for endpoint in endpoints:
        served = seen.setdefault((endpoint.transport, endpoint.port, endpoint.zone), {})
        block = blocks[endpoint.block]
        if endpoint.address in served:
            raise CorefileError(f"cannot serve {endpoint} - it is already defined", block.file, block.line)
        # What is bound to every address would take the queries of the other, or lose its own to it.
        other = served.get("") if endpoint.address else next(iter(served.values()), None)
        if other is not None:
            message = f"cannot serve {endpoint} - zone overlap listener capacity with {other}"
            raise CorefileError(message, block.file, block.line)
        served[endpoint.address] = endpoint
        address = (endpoint.transport, endpoint.address, endpoint.port)
        zones.setdefault(address, []).append((endpoint.zone, endpoint.block))
    return tuple(Listener(*address, tuple(served)) for address, served in zones.items())
