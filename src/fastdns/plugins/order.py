"""Which plugins there are, and in which order they run: a line for each.

The order is that of CoreDNS's plugin.cfg, with those in between that are fastdns's own (top, ddr). Configurations
are parsed, and steps run, in this order. Other packages add plugins by entry points in the group
``fastdns.plugins``: the name of one is the directive, and its object is a Plugin that says before or after which
plugin it runs. They are looked for only where a Corefile names none of the order.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

from fastdns.errors import FastdnsError
from fastdns.metrics.reasons import register

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from fastdns.corefile.model import ServerConfig
    from fastdns.plugins.api import Plugin

GROUP = "fastdns.plugins"

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
    "top",
    "local",
    "dns64",
    "any",
    "ddr",
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


# With the plugins of other packages that have been loaded.
_order = list(ORDER)


@cache
def external() -> Mapping[str, EntryPoint]:
    """The plugins of other packages, by name."""
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=GROUP) if point.name not in ORDER}


class Directives:
    """The names that may begin a line of a server block."""

    def __contains__(self, name: object) -> bool:
        return name in ORDER or name in external()

    def __iter__(self) -> Iterator[str]:
        yield from ORDER
        yield from external()


@cache
def is_available(name: str) -> bool:
    """Whether there is a plugin behind a directive."""
    return name not in ORDER or find_spec(f"fastdns.plugins.{name}") is not None


def available() -> list[str]:
    """The plugins that this version has, in order."""
    return [name for name in ORDER if is_available(name)]


@cache
def load(name: str) -> Plugin:
    """The plugin of that name. Raises FastdnsError where that of another package cannot be used."""
    if name in ORDER:
        plugin: Plugin = importlib.import_module(f"fastdns.plugins.{name}.plugin").plugin
    else:
        plugin = load_external(external()[name])
    register(name, plugin.reasons)
    return plugin


def load_external(point: EntryPoint) -> Plugin:
    """A plugin of another package, put in its place of the order. Raises FastdnsError."""
    # Whoever imports the interface first imports this module by way of the package corefile.
    from fastdns.plugins.api import Plugin

    where = f"the entry point {point.name} = {point.value}"
    try:
        plugin = point.load()
    except Exception as error:
        raise FastdnsError(f"{where} cannot be loaded: {error!r}") from error
    if not isinstance(plugin, Plugin) or plugin.name != point.name:
        raise FastdnsError(f"{where} is {plugin!r}; expected a Plugin whose name is {point.name!r}")
    if type(plugin).parse is Plugin.parse:
        raise FastdnsError(f"{where}: it has no parse")
    both = plugin.has_python_step and type(plugin).step is not Plugin.step
    if both and type(plugin).is_in_python is Plugin.is_in_python:
        raise FastdnsError(f"{where}: it has step and python_step; expected one of them, or is_in_python")
    for other in plugin.needs:
        if other not in Directives() or not is_available(other):
            raise FastdnsError(f"{where}: it needs the plugin {other!r}, which there is not")
    neighbour = plugin.before or plugin.after
    if neighbour not in _order or (plugin.before and plugin.after):
        raise FastdnsError(f"{where}: expected the name of a plugin in before or after, got {neighbour!r}")
    _order.insert(_order.index(neighbour) + (not plugin.before), plugin.name)
    return plugin


def in_order(names: Iterable[str]) -> list[str]:
    """These plugins, each once. All of them have been loaded, or are of the order."""
    return sorted(set(names), key=_order.index)


def place_of(name: str) -> int:
    """Where a plugin stands in the order. It has been loaded, or is of the order."""
    return _order.index(name)


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

    for plugin in named(config):
        add(plugin.name)
    return list(found.values())


def named(config: ServerConfig) -> list[Plugin]:
    """The plugins that a configuration names, in order."""
    return [load(name) for name in in_order(name for block in config.blocks for name in block.plugins)]


def in_python(config: ServerConfig) -> list[Plugin]:
    """The plugins whose step is in Python in some block, in order."""
    return [
        plugin
        for plugin in named(config)
        if any(plugin.is_in_python(options) for _, options in config.with_plugin(plugin.name))
    ]


def with_step(names: Iterable[str]) -> Iterator[str]:
    """Those of these plugins that take part in answering."""
    return (name for name in names if load(name).has_step)
