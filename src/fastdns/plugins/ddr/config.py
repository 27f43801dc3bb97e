"""The options of ddr: under which name clients know this server, and how they reach it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import integer, one, read_options, store, to_int, to_zones
from fastdns.netaddrs import canonical_address
from fastdns.plugins.ddr.records import ALPN

MAX_TTL_S = 2**31 - 1
MAX_HINTS = 8
MAX_PATH_BYTES = 255


@dataclass(frozen=True, slots=True)
class Config:
    """name: that certificates bear. ttl_s: of the records. path: the URI template of DNS over HTTPS.

    hints: addresses of the server, packed. ports: by scheme, where clients reach it, if not at the listener's port.
    """

    name: str
    ttl_s: int = 300
    path: str = "/dns-query{?dns}"
    hints: tuple[bytes, ...] = ()
    ports: tuple[tuple[str, int], ...] = ()


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Once in a block. Raises CorefileError."""
    fields: dict[str, Any] = {}
    name = ""
    for _ in d.occurrences(once=True):
        text = one(d, "the name that this server's certificates bear")
        zones = to_zones(d, [text])
        if "/" in text or zones == (".",):
            raise d.error(f"{text!r} is no name of a server")
        name = zones[0]
        read_options(d, OPTIONS, fields)
    ports = dict(fields.pop("ports", ()))
    return Config(name, ports=tuple(sorted(ports.items())), **fields)


def _path(d: Dispenser) -> str:
    text = one(d, "a URI template such as /dns-query{?dns}")
    # RFC 9461 section 5: relative, and with the variable dns.
    if not text.startswith("/") or "{?dns}" not in text or not text.isascii() or len(text) > MAX_PATH_BYTES:
        raise d.error(f"{text!r} is no path of DNS over HTTPS; expected one such as /dns-query{{?dns}}")
    return text


def _hints(d: Dispenser) -> tuple[bytes, ...]:
    found = []
    for text in d.remaining_args():
        address = canonical_address(text)
        if address is None or "%" in address:
            raise d.error(f"{text!r} is no IP address")
        found.append(ipaddress.ip_address(address).packed)
    if not 1 <= len(found) <= MAX_HINTS:
        raise d.error(f"hint takes 1 to {MAX_HINTS} addresses")
    return tuple(found)


def _port(d: Dispenser, fields: dict[str, Any]) -> None:
    args = d.remaining_args()
    if len(args) != 2:
        raise d.error("port takes a transport and a number, such as tls 853")
    scheme, text = args
    if scheme not in ALPN:
        raise d.error(f"{scheme!r} is no encrypted transport; expected one of {', '.join(ALPN)}")
    fields["ports"] = (*fields.get("ports", ()), (scheme, to_int(d, text, f"the port of {scheme}", 1, 65535)))


OPTIONS = {
    "ttl": store("ttl_s", integer(0, MAX_TTL_S)),
    "dohpath": store("path", _path),
    "hint": store("hints", _hints),
    "port": _port,
}
