"""Which plugins there are, and in which order they run: a line for each.

The order is that of CoreDNS's plugin.cfg. Configurations are parsed, and steps run, in this order.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastdns.corefile.model import ServerConfig
    from fastdns.plugins.api import Plugin

ORDER = (
    "root",
    "metadata",
    "geoip",
    "cancel",
    "proxyproto",
    "quic",
    "grpc_server",
    "https",
    "https3",
    "timeouts",
    "multisocket",
    "reload",
    "nsid",
    "bufsize",
    "bind",
    "debug",
    "trace",
    "ready",
    "health",
    "pprof",
    "shed",
    "prometheus",
    "errors",
    "log",
    "dnstap",
    "local",
    "dns64",
    "any",
    "chaos",
    "loadbalance",
    "tsig",
    "rewrite",
    "autopath",
    "acl",
    "cache",
    "header",
    "dnssec",
    "tls",
    "minimal",
    "template",
    "transfer",
    "hosts",
    "route53",
    "azure",
    "clouddns",
    "k8s_external",
    "kubernetes",
    "file",
    "auto",
    "secondary",
    "etcd",
    "loop",
    "forward",
    "grpc",
    "erratic",
    "whoami",
    "on",
    "sign",
    "view",
    "nomad",
)


@cache
def is_available(name: str) -> bool:
    """Whether this version has a plugin of the order."""
    return find_spec(f"fastdns.plugins.{name}") is not None


def available() -> list[str]:
    """The plugins that this version has, in order."""
    return [name for name in ORDER if is_available(name)]


@cache
def load(name: str) -> Plugin:
    """The plugin of that name."""
    plugin: Plugin = importlib.import_module(f"fastdns.plugins.{name}.plugin").plugin
    return plugin


def used(config: ServerConfig) -> list[Plugin]:
    """The plugins that a configuration names, and those that these need; each after the ones that it needs."""
    found: dict[str, Plugin] = {}
    met: set[str] = set()

    def add(name: str) -> None:
        if name not in met:
            met.add(name)
            plugin = load(name)
            for other in plugin.needs:
                add(other)
            found[name] = plugin

    named = {name for block in config.blocks for name in block.plugins}
    for name in sorted(named, key=ORDER.index):
        add(name)
    return list(found.values())


def named(config: ServerConfig) -> list[Plugin]:
    """The plugins that a configuration names, in order."""
    names = {name for block in config.blocks for name in block.plugins}
    return [load(name) for name in sorted(names, key=ORDER.index)]


def with_step(names: Iterable[str]) -> Iterator[str]:
    """Those of these plugins that take part in answering."""
    return (name for name in names if load(name).has_step)
