"""The options of bind: the addresses at which a server block listens."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import read_options, words
from fastdns.netaddrs import canonical_address, interface_addresses


@dataclass(frozen=True, slots=True)
class Config:
    """addresses: IP texts; interfaces are expanded, exceptions are gone."""

    addresses: tuple[str, ...]


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Occurrences add up; an ``except`` is of its own occurrence. Raises CorefileError."""
    addresses: list[str] = []
    for _ in d.occurrences():
        here = _addresses(d, words(d, "an IP address or an interface"))
        fields: dict[str, Any] = {"except": ()}
        read_options(d, {"except": _except}, fields)
        addresses += [address for address in here if address not in fields["except"]]
    if not addresses:
        block.warnings.append(f"plugin/bind: {d.file}:{d.line} - no address is left to listen at")
    return Config(tuple(addresses))


def _except(d: Dispenser, fields: dict[str, Any]) -> None:
    fields["except"] = _addresses(d, words(d, "an IP address or an interface"))


def _addresses(d: Dispenser, texts: tuple[str, ...]) -> list[str]:
    interfaces = _interfaces()
    found: list[str] = []
    for text in texts:
        if text in interfaces:
            found += interfaces[text]
            continue
        address = canonical_address(text)
        if address is None:
            raise d.error(f"{text!r} is neither an IP address nor an interface of this host")
        found.append(address)
    return found


def _interfaces() -> dict[str, list[str]]:
    try:
        # An interface may be there without an address.
        return {name: [] for _, name in socket.if_nameindex()} | interface_addresses()
    except OSError:
        # IP texts need no interfaces.
        return {}
