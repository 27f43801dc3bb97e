"""From a block's configuration to its native steps, in plugin order. Imports only what the block uses."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastdns._chain import NativeStep
from fastdns.corefile.model import ServerBlock, ServerConfig
from fastdns.wire_names import wire_name

if TYPE_CHECKING:
    from fastdns._upstream import Upstreams
    from fastdns.plugins.cache.shared import SharedCache
    from fastdns.supervisor.routes import Routes


@dataclass(frozen=True, slots=True)
class Runtime:
    """What steps need beside their configuration.

    sources: block index to the number of its source in the zone store. local: this host's addresses that are not
    loopback, 4 or 16 bytes each. routes: where forwarded queries go. upstreams: what is known of each upstream.
    caches: of the blocks that have one.
    """

    sources: Mapping[int, int]
    local: tuple[bytes, ...] = ()
    routes: Routes | None = None
    upstreams: Upstreams | None = None
    caches: tuple[SharedCache, ...] = ()


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


def log(config: Any, block: ServerBlock, runtime: Runtime) -> NativeStep:
    """The log step of a block; its number tells the formats of one block from another's."""
    from fastdns.plugins.log._step import LogStep

    return LogStep(block.index, [(wire_name(rule.name), rule.classes) for rule in config.rules])


def loadbalance(config: Any, block: ServerBlock, runtime: Runtime) -> NativeStep:
    """The loadbalance step of a block. Weights are read later, by the thread that may wait for a disk."""
    from fastdns.plugins.loadbalance._step import LoadbalanceStep

    return LoadbalanceStep(config.policy, list(config.networks))


def whoami(config: Any, block: ServerBlock, runtime: Runtime) -> NativeStep:
    """The whoami step of a block."""
    from fastdns.plugins.whoami._step import WhoamiStep

    return WhoamiStep()


def passing_zones(block: ServerBlock) -> tuple[str, ...]:
    """The zones of which a block's cache holds nothing: kubernetes, its very next step, answers all their names."""
    names = [name for name in block.plugins if name in BUILDERS]
    if "kubernetes" not in names or names.index("kubernetes") != names.index("cache") + 1:
        return ()
    config: Any = block.plugins["kubernetes"]
    falls = [wire_name(zone) for zone in config.fallthrough or ()]
    return tuple(
        zone
        for zone in config.zones
        if not any(wire_name(zone).endswith(fall) or fall.endswith(wire_name(zone)) for fall in falls)
    )


def cache(config: Any, block: ServerBlock, runtime: Runtime) -> NativeStep:
    """The cache step of a block, on the memory that all workers share."""
    from fastdns.plugins.cache._step import CacheStep
    from fastdns.plugins.cache.shared import cache_of

    return CacheStep(cache_of(runtime.caches, block), config, passing_zones(block))


def forward(config: Any, block: ServerBlock, runtime: Runtime) -> NativeStep:
    """The forward step of a block: all its stanzas."""
    from fastdns.plugins.forward._step import ForwardStep

    routes = runtime.routes
    assert routes is not None, "the supervisor resolves upstreams before it builds steps"
    stanzas = []
    for place, stanza in enumerate(config.stanzas):
        number = routes.numbers[block.index, place]
        upstreams = routes.of_stanza(number)
        stanzas.append({
            "number": number,
            "zone": wire_name(stanza.from_zone),
            "excepted": [wire_name(zone) for zone in stanza.exceptions],
            "upstreams": upstreams,
            "policy": stanza.effective_policy(loadbalance="loadbalance" in block.plugins),
            "force_tcp": stanza.force_tcp,
            "prefer_udp": stanza.prefer_udp,
            "max_fails": stanza.max_fails,
            "max_attempts": stanza.attempts(len(upstreams)),
            "max_concurrent": stanza.max_concurrent,
            "read_timeout_s": stanza.read_timeout_s,
            "probe_interval_s": stanza.health_check.interval_s,
            "probe_name": wire_name(stanza.health_check.domain),
            "probe_rd": stanza.health_check.recursion_desired,
            "next_rcodes": stanza.next_rcodes,
            "next_on_nodata": stanza.next_on_nodata,
            "failover_rcodes": stanza.failover_rcodes,
            "failfast": stanza.failfast_all_unhealthy_upstreams,
            "randomize_case": stanza.randomize_case,
        })  # fmt: skip
    return ForwardStep(stanzas)


def loop(config: Any, block: ServerBlock, runtime: Runtime) -> NativeStep:
    """The loop step of a block: it knows the probes that the worker sends."""
    from fastdns.plugins.loop._step import LoopStep

    assert runtime.upstreams is not None
    return LoopStep(runtime.upstreams)


BUILDERS: dict[str, Callable[[Any, ServerBlock, Runtime], NativeStep]] = {
    "bufsize": bufsize,
    "prometheus": prometheus,
    "errors": errors,
    "log": log,
    "loadbalance": loadbalance,
    "cache": cache,
    "kubernetes": kubernetes,
    "loop": loop,
    "forward": forward,
    "whoami": whoami,
}


def build_steps(block: ServerBlock, runtime: Runtime) -> dict[str, NativeStep]:
    """The steps of a block by plugin, in the order in which they run. Plugins that only configure have none."""
    return {
        name: BUILDERS[name](config, block, runtime)
        for name, config in block.plugins.items()
        if name in BUILDERS
    }


# What the slow thread of a worker uses besides the step, by plugin.
SLOW_PARTS = {
    "errors": ("errors.reporter",),
    "forward": ("forward.desk", "loop.probes"),
    "log": ("log.writer",),
}


def import_steps(config: ServerConfig) -> None:
    """Import what the workers of a configuration will use, before they are forked: they share its memory."""
    for name in BUILDERS:
        if config.with_plugin(name):
            for part in (f"{name}._step", *SLOW_PARTS.get(name, ())):
                importlib.import_module(f"fastdns.plugins.{part}")
