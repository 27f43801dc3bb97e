"""Addresses of sockets as the kernel has them (struct sockaddr_in, sockaddr_in6), and as Python has them."""

from __future__ import annotations

import socket
import struct

# The family is in the host's order, the rest in the network's, but for the scope.
INET = struct.Struct("=H2s4s8x")
INET6 = struct.Struct("=H2s4s16sI")
PORT = struct.Struct("!H")
FLOW = struct.Struct("!I")
# struct cmsghdr
HEADER = struct.Struct("@Nii")
IP_PKTINFO, IPV6_PKTINFO = 8, 50

# Host and port; of IPv6 flow label and scope as well.
Address = tuple[str, int] | tuple[str, int, int, int]


def address_of(name: bytes) -> Address:
    """The address that a struct says. Raises ValueError for another family."""
    if len(name) == INET.size:
        _, port, host = INET.unpack(name)
        return socket.inet_ntop(socket.AF_INET, host), PORT.unpack(port)[0]
    if len(name) != INET6.size:
        raise ValueError(f"an address of IPv4 or IPv6 expected, got {len(name)} bytes")
    _, port, flow, host, scope = INET6.unpack(name)
    return socket.inet_ntop(socket.AF_INET6, host), PORT.unpack(port)[0], FLOW.unpack(flow)[0], scope


def name_of(address: Address) -> bytes:
    """The struct of an address."""
    port = PORT.pack(address[1])
    if len(address) == 2 and ":" not in address[0]:
        return INET.pack(socket.AF_INET, port, socket.inet_pton(socket.AF_INET, address[0]))
    flow, scope = address[2:4] if len(address) == 4 else (0, 0)
    return INET6.pack(
        socket.AF_INET6, port, FLOW.pack(flow), socket.inet_pton(socket.AF_INET6, address[0]), scope
    )


def packed(name: bytes) -> bytes:
    """The 4 or 16 bytes of the host that a struct says."""
    return name[4:8] if len(name) == INET.size else name[8:24]


def port_of(name: bytes) -> int:
    """The port that a struct says."""
    return int(PORT.unpack_from(name, 2)[0])


def arrived_at(control: bytes) -> bytes:
    """The address that a control message says a datagram came to, 4 or 16 bytes; b"" where it does not say."""
    if len(control) < HEADER.size:
        return b""
    _, level, kind = HEADER.unpack_from(control)
    data = control[HEADER.size :]
    if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO):
        # Of struct in_pktinfo the third field: what the header of the packet says; see ip(7).
        return data[8:12]
    return data[:16] if (level, kind) == (socket.IPPROTO_IPV6, IPV6_PKTINFO) else b""
