"""What a worker's listeners are made of: their zones with filter and steps, and what plugins set for them."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastdns.corefile.labels import DROPPED, server_name
from fastdns.corefile.model import Listener, ServerConfig
from fastdns.corefile.settings import Settings, together
from fastdns.netaddrs import is_wildcard
from fastdns.plugins.api import Runtime
from fastdns.plugins.steps import build_filters, build_steps, steps_of_all
from fastdns.serve._zones import NativeFilter, NativeStep, ServerTable
from fastdns.transports.limits import DEFAULTS, Limits, ListenerLimits

ZoneSlots = Mapping[tuple[str, str, str], int]


def build_tables(
    config: ServerConfig, runtime: Runtime, zone_slots: ZoneSlots
) -> tuple[list[ServerTable], list[dict[str, NativeStep]]]:
    """The server table of each listener, and the steps of each block by plugin.

    zone_slots: (server name, zone, view) to the slot of its counters.
    """
    filters = build_filters(config, runtime)
    of_all = steps_of_all(config, runtime)
    steps = [build_steps(block, runtime, of_all) for block in config.blocks]
    chains = [list(by_plugin.values()) for by_plugin in steps]
    return [build_table(config, listener, chains, filters, zone_slots) for listener in config.listeners], steps


def build_table(
    config: ServerConfig,
    listener: Listener,
    chains: Sequence[list[NativeStep]],
    filters: dict[int, NativeFilter],
    zone_slots: ZoneSlots,
) -> ServerTable:
    """The server table of a listener. chains, filters: of each block."""
    server = server_name(listener)
    zones: list[tuple[str, int, int | None]] = []
    for zone, index in listener.zones:
        block = config.blocks[index]
        slot = zone_slots.get((server, zone, block.view)) if block.settings.counted else None
        zones.append((zone, index, slot))
    every_class = any(config.blocks[block].settings.every_class for _, block in listener.zones)
    served = {index for _, index in listener.zones}
    return ServerTable(
        zones,
        list(chains),
        zone_slots.get((server, DROPPED, "")),
        every_class,
        {index: one for index, one in filters.items() if index in served},
        packed(listener.address),
        listener.port,
    )


def packed(address: str) -> bytes:
    """The bytes of an address that a listener is bound to; none of every address."""
    return b"" if is_wildcard(address) else ipaddress.ip_address(address.partition("%")[0]).packed


def settings_of(config: ServerConfig, listener: Listener) -> Settings:
    """What the blocks of a listener set together: a connection, or a failure, belongs to none of them."""
    blocks = sorted({block for _, block in listener.zones})
    return together(config.blocks[block].settings for block in blocks)


def limits_of(settings: Settings) -> Limits:
    """The bounds of a connection; what is not set is at its default."""
    bounds = {name: getattr(settings, name) for name in ("read_s", "write_s", "idle_s", "max_queries")}
    return Limits(**{name: value for name, value in bounds.items() if value is not None})


def listener_limits_of(settings: Settings, scheme: str) -> ListenerLimits | None:
    """The bounds of all connections of a listener; None where its scheme has none of its own."""
    if scheme not in DEFAULTS:
        return None
    limits: ListenerLimits | None = getattr(settings, scheme)
    return limits or DEFAULTS[scheme]


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a listener does where answering fails unexpectedly: it goes on, or with debug ends the worker.

    server: the listener's name in the log. stacktrace: the log says where it failed.
    """

    server: str
    stacktrace: bool
    debug: bool


def recovery_of(server: str, settings: Settings) -> Recovery:
    """What the blocks of a listener say."""
    return Recovery(server, settings.stacktrace, settings.debug)
