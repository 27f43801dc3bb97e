"""Which HTTP endpoints the plugins of a configuration want, together."""

from __future__ import annotations

from fastdns.corefile.model import ServerConfig
from fastdns.errors import FastdnsError
from fastdns.http.server import Endpoint
from fastdns.netaddrs import is_wildcard
from fastdns.plugins.order import named


def wanted_endpoints(config: ServerConfig) -> list[Endpoint]:
    """The endpoints of a configuration. Several blocks may name one address: it is one listener.

    Raises FastdnsError where they do not agree on its TLS.
    """
    paths: dict[tuple[str, int], set[str]] = {}
    tls: dict[tuple[str, int], str | None] = {}
    for plugin in named(config):
        for _, options in config.with_plugin(plugin.name):
            wanted = plugin.endpoint(options)
            if wanted is None:
                continue
            address = ("" if is_wildcard(wanted.host) else wanted.host, wanted.port)
            paths.setdefault(address, set()).update(wanted.paths)
            file = wanted.tls_config_file
            if tls.setdefault(address, file) != file:
                ways = " and ".join(f"with tls {one}" if one else "without tls" for one in (tls[address], file))
                where = f"{wanted.host}:{wanted.port}"
                raise FastdnsError(f"plugin/{plugin.name}: {where} cannot be served both {ways}")
    return [Endpoint(*address, tuple(sorted(offered)), tls[address]) for address, offered in paths.items()]
