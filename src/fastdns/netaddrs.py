"""This host's addresses by interface, read without netlink: from /proc and one ioctl."""

from __future__ import annotations

import array
import contextlib
import fcntl
import ipaddress
import socket
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SIOCGIFCONF = 0x8912
IFREQ_BYTES = 40
MAX_INTERFACES = 4096


def canonical_address(text: str) -> str | None:
    """An IP address as canonical text; None if the text is not an address. IPv4-mapped addresses become IPv4.

    A link-local address keeps its zone, which is its interface (RFC 4007 section 11): fe80::1%eth0. The zone of any
    other address has no meaning and is dropped.
    """
    host, _, zone = text.partition("%")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return f"{address}%{zone}" if zone and address.is_link_local else str(address)


def zone_of(address: str) -> str:
    """The zone of an address, an interface by name or number; "" if it has none."""
    return address.partition("%")[2]


def needs_zone(address: str) -> bool:
    """Whether a canonical address is link-local without a zone: it could be on any interface."""
    return ":" in address and not zone_of(address) and ipaddress.IPv6Address(address).is_link_local


def interface_index(zone: str) -> int | None:
    """The number of an interface, given by name or number; None if this host has no such interface."""
    if zone.isdecimal():
        return int(zone)
    with contextlib.suppress(OSError):
        return socket.if_nametoindex(zone)
    return None


def socket_address(address: str, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
    """The address that bind(2) and connect(2) take. A zone becomes its interface's present number, or 0."""
    host, _, zone = address.partition("%")
    if not zone:
        return host, port
    return host, port, 0, interface_index(zone) or 0


def host_of(address: Sequence[Any]) -> str:
    """The host of an address from getsockname or getaddrinfo, with its zone if it has one."""
    host = str(address[0]).partition("%")[0]
    scope = address[3] if len(address) > 3 else 0
    return f"{host}%{scope}" if scope else host


# Asked to listen on either of these, Go listens on both families (net, favoriteAddrFamily). fastdns does the same.
WILDCARDS = ("0.0.0.0", "::")


def is_wildcard(host: str) -> bool:
    """Whether a host stands for every address: it is empty, 0.0.0.0, or :: in any spelling."""
    return not host or canonical_address(host) in WILDCARDS


def ipv4_addresses() -> list[tuple[str, str]]:
    """(interface, address) of every IPv4 address of an interface that is up (netdevice(7), SIOCGIFCONF)."""
    room = array.array("B", bytes(IFREQ_BYTES * MAX_INTERFACES))
    address, size = room.buffer_info()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        answer = fcntl.ioctl(probe.fileno(), SIOCGIFCONF, struct.pack("iL", size, address))
    filled = struct.unpack("iL", answer)[0]
    data = room.tobytes()
    found = []
    for at in range(0, filled, IFREQ_BYTES):
        name = data[at : at + 16].split(b"\0", 1)[0].decode(errors="replace")
        # An alias (eth0:1) is an address of its interface.
        found.append((name.partition(":")[0], socket.inet_ntoa(data[at + 20 : at + 24])))
    return found


def ipv6_addresses() -> list[tuple[str, str]]:
    """(interface, address) of every IPv6 address; link-local ones carry their zone (fe80::1%eth0)."""
    try:
        lines = Path("/proc/net/if_inet6").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            raw, _, _, _, _, name = line.split()
            address = ipaddress.IPv6Address(bytes.fromhex(raw))
        except ValueError:
            # A name with spaces: a Corefile cannot name such an interface.
            continue
        found.append((name, f"{address}%{name}" if address.is_link_local else str(address)))
    return found


def interface_addresses() -> dict[str, list[str]]:
    """Every interface's addresses, IPv4 first."""
    found: dict[str, list[str]] = {}
    for name, address in [*ipv4_addresses(), *ipv6_addresses()]:
        found.setdefault(name, []).append(address)
    return found


def host_addresses() -> list[bytes]:
    """The addresses at which other hosts may reach this one: not loopback, not link-local; 4 or 16 bytes each."""
    found = []
    for addresses in interface_addresses().values():
        for text in addresses:
            address = ipaddress.ip_address(text.partition("%")[0])
            if not (address.is_loopback or address.is_link_local):
                found.append(address.packed)
    return found
