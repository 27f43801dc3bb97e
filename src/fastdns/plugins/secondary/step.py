"""The step of a block: answers from the zones of its source, and hears of changes."""

from __future__ import annotations

import ipaddress
import socket

from fastdns.corefile.model import ServerBlock
from fastdns.dns.names import wire_name
from fastdns.metrics.reasons import first_reason
from fastdns.plugins.api import Runtime
from fastdns.plugins.secondary._step import SecondaryStep
from fastdns.plugins.secondary.config import Config
from fastdns.plugins.secondary.telling import packed_address

# One for all blocks of this process.
_sender: list[socket.socket] = []


def sender() -> socket.socket:
    """The socket that the watcher is told with."""
    if not _sender:
        _sender.append(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK))
    return _sender[0]


def zone_step(config: Config, block: ServerBlock, runtime: Runtime) -> SecondaryStep:
    """The step of a block. Members of a catalog may have any name."""
    number = runtime.sources["secondary", block.index]
    hosts = {host for one in config.zones for host, _ in one.primaries}
    zones = [wire_name(one.zone) for one in config.zones]
    return SecondaryStep(
        [ipaddress.ip_address(host.partition("%")[0]).packed for host in sorted(hosts)],
        sender().fileno(),
        packed_address(number),
        source=number,
        zones=[b"\0"] if config.has_catalog else zones,
        any_zone=config.has_catalog,
        fall=[wire_name(zone) for zone in config.fallthrough or ()],
        not_loaded=first_reason("secondary"),
    )
