"""What plugins set of the server around them: where a block listens, how many processes serve, and the like."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastdns.servertls import ServerTls
    from fastdns.transports.limits import ListenerLimits
    from fastdns.transports.proxied import ProxyConfig


@dataclass(frozen=True, slots=True)
class Settings:
    """Of one server block. What is at its default is not set.

    addresses: where the block listens; IP texts. workers: at least so many processes serve. debug: log for
    debugging, and end a worker that fails unexpectedly. stacktrace: log where it failed. counted: the queries of
    the block's zones are counted. runtime_metrics: metrics tell more about processes. every_class: the block
    answers questions of classes other than IN, too. take_turns: queries take turns over upstreams that are not
    chosen in another way. look_interval_s, look_jitter_s: how often the Corefile is looked at, and by how much that
    is moved at random. read_s, write_s, idle_s, max_queries: bounds of a connection. view: the block takes only
    some of the queries for its zones, as the filter of the plugin that sets this decides; metrics call it by this
    name. newest_first: under overload the newest queries over UDP of a listener are answered first, and older ones
    are dropped; the plugin of this name has the counters. value_zones: in queries for names of these zones, values
    that plugins provide can be read. tls: what encrypted connections are accepted with. proxied: which senders are
    proxies that speak for clients. https, grpc, https3, quic: bounds of a listener's connections of these schemes.
    """

    addresses: tuple[str, ...] | None = None
    workers: int | None = None
    debug: bool = False
    stacktrace: bool = False
    counted: bool = False
    runtime_metrics: bool = False
    every_class: bool = False
    take_turns: bool = False
    look_interval_s: float | None = None
    look_jitter_s: float = 0.0
    read_s: float | None = None
    write_s: float | None = None
    idle_s: float | None = None
    max_queries: int | None = None
    view: str | None = None
    newest_first: str | None = None
    value_zones: tuple[str, ...] | None = None
    tls: ServerTls | None = None
    proxied: ProxyConfig | None = None
    https: ListenerLimits | None = None
    grpc: ListenerLimits | None = None
    https3: ListenerLimits | None = None
    quic: ListenerLimits | None = None


DEFAULTS = Settings()


def together(several: Iterable[Settings]) -> Settings:
    """What several plugins set. Where two set the same, the later one counts."""
    found = {}
    for settings in several:
        for field in fields(settings):
            value = getattr(settings, field.name)
            if value != getattr(DEFAULTS, field.name):
                found[field.name] = value
    return Settings(**found)
