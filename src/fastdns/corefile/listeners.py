"""Which zones are served at which address: blocks that share one form a server, and some cannot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fastdns.corefile.model import Listener, ServerBlock
from fastdns.errors import CorefileError
from fastdns.netaddrs import WILDCARDS, is_wildcard
from fastdns.transports.table import GRPC, HTTPS, TLS, of_scheme

# Without a certificate CoreDNS serves these unencrypted.
UNENCRYPTED = (TLS.scheme, HTTPS.scheme, GRPC.scheme)


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
    """The listeners in order of appearance. Raises CorefileError for a zone that is served twice.

    As in CoreDNS, a block that takes only some queries (Settings.view) may have a zone that another block has.
    """
    seen: dict[tuple[str, int, str], dict[str, Endpoint]] = {}
    kept: list[Endpoint] = []
    for endpoint in endpoints:
        served = seen.setdefault((endpoint.transport, endpoint.port, endpoint.zone), {})
        block = blocks[endpoint.block]
        takes_all = block.settings.view is None
        if endpoint.address not in served:
            # What is bound to every address would take the queries of the other, or lose its own to it.
            other = served.get("") if endpoint.address else next(iter(served.values()), None)
            if other is not None:
                message = f"cannot serve {endpoint} - zone overlap listener capacity with {other}"
                raise CorefileError(message, block.file, block.line)
        elif takes_all:
            raise CorefileError(f"cannot serve {endpoint} - it is already defined", block.file, block.line)
        if takes_all:
            served[endpoint.address] = endpoint
        kept.append(endpoint)
    return listeners(kept)


def unreached(listeners: Iterable[Listener], blocks: Sequence[ServerBlock]) -> list[str]:
    """A warning for each block and zone that no query reaches, as an earlier block takes all of them."""
    found = []
    for listener in listeners:
        takes_all: dict[str, ServerBlock] = {}
        for zone, index in listener.zones:
            block = blocks[index]
            if (first := takes_all.get(zone)) is not None:
                found.append(
                    f"{block.file}:{block.line}: no query for {zone} reaches this block: the block at "
                    f"{first.file}:{first.line} takes all of them; blocks with a view must stand before it"
                )
            elif block.settings.view is None:
                takes_all[zone] = block
    return found


def unencrypted(listeners: Iterable[Listener], blocks: Sequence[ServerBlock]) -> list[str]:
    """A warning for each listener whose clients expect TLS, and for which no block names a certificate."""
    return [
        f"{blocks[listener.zones[0][1]].file}:{blocks[listener.zones[0][1]].line}: no certificate is named for "
        f"{listener.transport}:// on port {listener.port}: messages are not encrypted there, as in CoreDNS"
        for listener in listeners
        if listener.transport in UNENCRYPTED and not any(blocks[index].settings.tls for _, index in listener.zones)
    ]


def need_certificates(listeners: Iterable[Listener], blocks: Sequence[ServerBlock]) -> None:
    """Raises CorefileError for a listener that cannot be served without a certificate, and has none."""
    for listener in listeners:
        block = blocks[listener.zones[0][1]]
        if any(one.encrypted for one in of_scheme(listener.transport)) and not any(
            blocks[index].settings.tls for _, index in listener.zones
        ):
            message = f"{listener.transport}:// needs a certificate: tls CERT KEY expected in the server block"
            raise CorefileError(message, block.file, block.line)


def listeners(endpoints: Sequence[Endpoint]) -> tuple[Listener, ...]:
    """The listeners of endpoints that go together.

    What stands for every address is one listener at a port, however it is spelled; but 0.0.0.0 and :: beside each
    other have one family each.
    """
    spelled: dict[tuple[str, int], set[str]] = {}
    for endpoint in endpoints:
        if is_wildcard(endpoint.address):
            spelled.setdefault((endpoint.transport, endpoint.port), set()).add(endpoint.address)
    zones: dict[tuple[str, str, int, bool], list[tuple[str, int]]] = {}
    for endpoint in endpoints:
        address, one_family = endpoint.address, False
        if is_wildcard(address):
            spellings = spelled[endpoint.transport, endpoint.port]
            address = "" if "" in spellings else address
            one_family = spellings == set(WILDCARDS)
        key = (endpoint.transport, address, endpoint.port, one_family)
        zones.setdefault(key, []).append((endpoint.zone, endpoint.block))
    return tuple(
        Listener(transport, address, port, tuple(served), one_family)
        for (transport, address, port, one_family), served in zones.items()
    )
