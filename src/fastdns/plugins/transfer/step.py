"""The step of a block: which zones it gives to whom."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fastdns.authoritative._transfer import ZoneTransfer
from fastdns.corefile.model import ServerBlock
from fastdns.dns.names import wire_name
from fastdns.plugins.api import Runtime
from fastdns.plugins.order import load
from fastdns.plugins.transfer._step import TransferStep
from fastdns.plugins.transfer.config import Config

if TYPE_CHECKING:
    from fastdns.serve._transfers import NativeTransfer


def transfer_step(config: Config, block: ServerBlock, runtime: Runtime) -> TransferStep:
    """The step of a block."""
    return TransferStep(
        [
            (
                [wire_name(zone) for zone in rule.zones],
                rule.everybody,
                sorted({packed(address) for address, _ in rule.hosts}),
            )
            for rule in config.rules
        ],
        list(transfers(block, runtime)),
        first_counter=runtime.first_counters.get("transfer", 0),
    )


def transfers(block: ServerBlock, runtime: Runtime) -> Iterator[NativeTransfer]:
    """The zones that the other plugins of a block have, in their order."""
    for name, config in block.plugins.items():
        plugin = load(name)
        if plugin.has_zones:
            yield ZoneTransfer(runtime.sources[name, block.index])
        elif (transfer := plugin.transferable(config, block, runtime)) is not None:
            yield transfer


def packed(address: str) -> bytes:
    """The bytes of a host's address; an IPv4 address that is mapped to IPv6 is one of IPv4."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    return (getattr(ip, "ipv4_mapped", None) or ip).packed
