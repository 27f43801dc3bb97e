"""This host's addresses, by interface, as the kernel lists them through netlink-free means: /proc and one ioctl."""

from __future__ import annotations

import array
import fcntl
import ipaddress
import socket
import struct
from pathlib import Path

SIOCGIFCONF = 0x8912
IFREQ_BYTES = 40
MAX_INTERFACES = 4096


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
        raw, _, _, _, _, name = line.split()
        address = ipaddress.IPv6Address(bytes.fromhex(raw))
        found.append((name, f"{address}%{name}" if address.is_link_local else str(address)))
    return found


def interface_addresses() -> dict[str, list[str]]:
    """Every interface's addresses, IPv4 first."""
    found: dict[str, list[str]] = {}
    for name, address in [*ipv4_addresses(), *ipv6_addresses()]:
        found.setdefault(name, []).append(address)
    return found


def host_addresses() -> list[bytes]:
    """The addresses by which others may reach this host: neither loopback nor link-local; 4 or 16 bytes each."""
    found = []
    for addresses in interface_addresses().values():
        for text in addresses:
            address = ipaddress.ip_address(text.partition("%")[0])
            if not (address.is_loopback or address.is_link_local):
                found.append(address.packed)
    return found
