"""From a block's configuration to its native steps, in plugin order. Imports only what the block uses."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastdns._chain import NativeStep
from fastdns.corefile.model import ServerBlock, ServerConfig
from fastdns.wire_names import wire_name


@dataclass(frozen=True, slots=True)
class Runtime:
    """What steps need beside their configuration.

    sources: block index to the number of its source in the zone store. local: this host's addresses that are not
    loopback, 4 or 16 bytes each.
    """

    sources: Mapping[int, int]
    local: tuple[bytes, ...] = ()


def kubernetes(config: Any, block: ServerBlock, runtime: Runtime) -> NativeStep:
    """The kubernetes step of a block."""
    from fastdns.plugins.kubernetes._step import KubernetesStep

    multicluster = set(config.multicluster)
    return KubernetesStep(
        source=runtime.sources[block.index],
        zones=[(wire_name(zone), zone in multicluster) for zone in config.zones],
        primary=wire_name(config.primary),
        ttl_s=config.ttl_s,
        pods=config.pods,
        fall=[wire_name(zone) for zone in config.fallthrough or ()],
        namespaces=[bytes((len(name),)) + name.encode().lower() for name in config.namespaces],
        # CoreDNS does not say NS for addresses that it was told to bind to.
        local=[] if "bind" in block.plugins else list(runtime.local),
        ignore_empty_service=config.ignore_empty_service,
        zonal=config.zonal,
    )


def bufsize(config: Any, block: ServerBlock, runtime: Runtime) -> NativeStep:
    """The bufsize step of a block."""
    from fastdns.plugins.bufsize._step import BufsizeStep

    return BufsizeStep(config.max_udp_bytes)


def prometheus(config: Any, block: ServerBlock, runtime: Runtime) -> NativeStep:
    """The prometheus step of a block."""
    from fastdns.plugins.prometheus._step import PrometheusStep

    return PrometheusStep()


def errors(config: Any, block: ServerBlock, runtime: Runtime) -> NativeStep:
    """The errors step of a block; its number tells the events of one block from another's."""
    from fastdns.plugins.errors._step import ErrorsStep

    return ErrorsStep(block.index)


def loadbalance(config: Any, block: ServerBlock, runtime: Runtime) -> NativeStep:
    """The loadbalance step of a block. Weights are read later, by the thread that may wait for a disk."""
    from fastdns.plugins.loadbalance._step import LoadbalanceStep

    return LoadbalanceStep(config.policy, list(config.networks))


def whoami(config: Any, block: ServerBlock, runtime: Runtime) -> NativeStep:
    """The whoami step of a block."""
    from fastdns.plugins.whoami._step import WhoamiStep

    return WhoamiStep()


BUILDERS: dict[str, Callable[[Any, ServerBlock, Runtime], NativeStep]] = {
    "bufsize": bufsize,
    "prometheus": prometheus,
    "errors": errors,
    "loadbalance": loadbalance,
    "kubernetes": kubernetes,
    "whoami": whoami,
}


def build_steps(block: ServerBlock, runtime: Runtime) -> dict[str, NativeStep]:
    """The steps of a block by plugin, in the order in which they run. Plugins that only configure have none."""
    return {
        name: BUILDERS[name](config, block, runtime)
        for name, config in block.plugins.items()
        if name in BUILDERS
    }


def import_steps(config: ServerConfig) -> None:
    """Import what the workers of a configuration will use, before they are forked: they share its memory."""
    for name in BUILDERS:
        if config.with_plugin(name):
            importlib.import_module(f"fastdns.plugins.{name}._step")
