"""The step of a block: which zones it gives to whom."""

from __future__ import annotations

import ipaddress

from fastdns.corefile.model import ServerBlock
from fastdns.dns.names import wire_name
from fastdns.plugins.api import Runtime
from fastdns.plugins.order import load
from fastdns.plugins.transfer._step import TransferStep
from fastdns.plugins.transfer.config import Config


def transfer_step(config: Config, block: ServerBlock, runtime: Runtime) -> TransferStep:
    """The step of a block: the sources are those of its other plugins, in their order."""
    return TransferStep(
        [
            (
                [wire_name(zone) for zone in rule.zones],
                rule.everybody,
                sorted({packed(address) for address, _ in rule.hosts}),
            )
            for rule in config.rules
        ],
        [runtime.sources[name, block.index] for name in block.plugins if load(name).has_zones],
    )


def packed(address: str) -> bytes:
    """The bytes of a host's address; an IPv4 address that is mapped to IPv6 is one of IPv4."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    return (getattr(ip, "ipv4_mapped", None) or ip).packed
