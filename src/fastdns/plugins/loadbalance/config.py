"""The options of loadbalance: in which order the records of an answer are given."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import duration, extend, read_options, store, to_network

# A network without its length, or with a netmask, is none.


@dataclass(frozen=True, slots=True)
class Config:
    """policy: "round_robin", "weighted" or "prefer".

    networks: (packed network address, prefix length), preferred first; of "prefer". weight_file: resolved
    against the root; of "weighted". reload_s: how often the weights are read again, 0 for never.
    """

    policy: str = "round_robin"
    networks: tuple[tuple[bytes, int], ...] = ()
    weight_file: str | None = None
    reload_s: float = 30.0


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Occurrences are merged: networks add up, and the last policy counts. Raises CorefileError."""
    config = Config()
    for _ in d.occurrences():
        policy, *args = d.remaining_args() or ["round_robin"]
        if policy == "round_robin":
            config = _round_robin(d, args, config)
        elif policy == "weighted":
            config = _weighted(d, args, block)
        else:
            raise d.error(f"unknown policy {policy!r}; it is round_robin or weighted")
    return config


def _round_robin(d: Dispenser, args: list[str], before: Config) -> Config:
    if args:
        raise d.error(f"round_robin takes no argument, got {args[0]!r}")
    fields: dict[str, Any] = {"networks": before.networks}
    read_options(d, {"prefer": extend("networks", _networks)}, fields)
    return Config("prefer" if fields["networks"] else "round_robin", fields["networks"])


def _weighted(d: Dispenser, args: list[str], block: BlockContext) -> Config:
    if len(args) != 1:
        raise d.error("weighted takes one argument, the file with the weights")
    fields: dict[str, Any] = {}
    read_options(d, {"reload": store("reload_s", duration())}, fields)
    return replace(Config("weighted", weight_file=block.resolve(args[0])), **fields)


def _networks(d: Dispenser) -> tuple[tuple[bytes, int], ...]:
    return tuple(_network(d, text) for text in d.remaining_args())


def _network(d: Dispenser, text: str) -> tuple[bytes, int]:
    network = to_network(d, text)
    return network.network_address.packed, network.prefixlen
