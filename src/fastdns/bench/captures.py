"""Queries of files that are not text: captures (pcap, pcapng), and messages as they are on a TCP stream (``-B``).

Of a capture the queries to port 53 are taken, over UDP and TCP, as they are but for their IDs; everything else is
passed over. A TCP segment counts if it begins with a whole message: segments are not put together.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from fastdns.bench.errors import BenchError

PCAP = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\x3c\x4d": ">"}
PCAPNG = b"\x0a\x0d\x0d\x0a"
PORT = 53
HEADER_BYTES = 12
UDP, TCP = 17, 6
IPV4, IPV6, VLAN, QINQ = 0x0800, 0x86DD, 0x8100, 0x88A8
FRAGMENT_HEADER = 44
# Headers that may stand between the one of IPv6 and the one of UDP or TCP: hop by hop, routing, destination.
EXTENSION_HEADERS = {0, 43, 60}


def is_capture(begin: bytes) -> bool:
    """Whether a file that begins so is a capture."""
    return begin[:4] in PCAP or begin[:4] == PCAPNG


def read_capture(data: bytes, file: str) -> list[bytes]:
    """The queries of a capture, in order. Raises BenchError."""
    try:
        packets = pcapng(data) if data[:4] == PCAPNG else pcap(data)
        found = [message for link, packet in packets for message in queries_of(link, packet)]
    except (struct.error, IndexError):
        raise BenchError(f"{file}: a part of the capture is missing or damaged") from None
    if not found:
        raise BenchError(f"{file}: no query to port {PORT} in the capture")
    return found


def read_stream(data: bytes, file: str) -> list[bytes]:
    """Messages with their lengths before them (RFC 1035 section 4.2.2), whatever is in them. Raises BenchError."""
    found = []
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 2], "big")
        message = data[at + 2 : at + 2 + size]
        if len(message) < size or len(data) < at + 2:
            raise BenchError(f"{file}: byte {at}: a length of two bytes, and so many bytes behind it, expected")
        found.append(message)
        at += 2 + size
    if not found:
        raise BenchError(f"{file}: no messages")
    return found


# ------------------------------------------------------------------------------------------------- the files


def pcap(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(link type, packet) of each: draft-ietf-opsawg-pcap. Raises struct.error."""
    order = PCAP[data[:4]]
    (link,) = struct.unpack_from(order + "I", data, 20)
    at = 24
    while at < len(data):
        _, _, size, _ = struct.unpack_from(order + "IIII", data, at)
        yield link & 0xFFFF, part(data, at + 16, size)
        at += 16 + size


def pcapng(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(link type, packet) of each: draft-ietf-opsawg-pcapng. Raises struct.error."""
    order = "<"
    links: list[int] = []
    at = 0
    while at < len(data):
        if data[at : at + 4] == PCAPNG:
            # A section: its byte order, and interfaces of its own.
            order = "<" if part(data, at + 8, 4) == b"\x4d\x3c\x2b\x1a" else ">"
            links = []
        kind, size = struct.unpack_from(order + "II", data, at)
        block = part(data, at, size)
        if size < 12:
            raise struct.error
        if kind == 1:
            links.append(struct.unpack_from(order + "H", block, 8)[0])
        elif kind == 6:
            interface, _, _, captured, _ = struct.unpack_from(order + "IIIII", block, 8)
            yield links[interface], part(block, 28, captured)
        elif kind == 3:
            # Without a length of its own: the whole packet, or what is left of it in the block.
            (size_on_link,) = struct.unpack_from(order + "I", block, 8)
            yield links[0], block[12 : min(12 + size_on_link, size - 4)]
        at += size


def part(data: bytes, at: int, size: int) -> bytes:
    """So many bytes. Raises struct.error if they are not there."""
    found = data[at : at + size]
    if len(found) < size:
        raise struct.error
    return found


# ----------------------------------------------------------------------------------------------- the packets


def queries_of(link: int, packet: bytes) -> Iterator[bytes]:
    """The query in a packet, if there is one."""
    protocol, at = network_of(link, packet)
    if protocol == IPV4:
        yield from queries_in_ipv4(packet[at:])
    elif protocol == IPV6:
        yield from queries_in_ipv6(packet[at:])


def network_of(link: int, packet: bytes) -> tuple[int, int]:
    """The network protocol of a packet, as an EtherType, and where it begins; (0, 0) if it is not known.

    link: as in https://www.tcpdump.org/linktypes.html.
    """
    if link == 1:  # Ethernet
        at = 12
        while packet[at : at + 2] in (VLAN.to_bytes(2, "big"), QINQ.to_bytes(2, "big")):
            at += 4
        return int.from_bytes(packet[at : at + 2], "big"), at + 2
    if link == 113:  # Linux "any", version 1
        return int.from_bytes(packet[14:16], "big"), 16
    if link == 276:  # Linux "any", version 2
        return int.from_bytes(packet[:2], "big"), 20
    if link in (0, 108):  # BSD loopback
        return by_version(packet, 4)
    if link in (12, 14, 101, 228, 229):  # IP itself
        return by_version(packet, 0)
    return 0, 0


def by_version(packet: bytes, at: int) -> tuple[int, int]:
    """The same, by the version in the IP header."""
    return ({4: IPV4, 6: IPV6}.get(packet[at] >> 4, 0), at) if len(packet) > at else (0, 0)


def queries_in_ipv4(packet: bytes) -> Iterator[bytes]:
    """RFC 791. What is not the first fragment has no ports, and what is cut off has no end."""
    if len(packet) < 20 or int.from_bytes(packet[6:8], "big") & 0x3FFF:
        return
    yield from messages_in(packet[9], packet[4 * (packet[0] & 0xF) : int.from_bytes(packet[2:4], "big")])


def queries_in_ipv6(packet: bytes) -> Iterator[bytes]:
    """RFC 8200. Fragments are passed over."""
    if len(packet) < 40:
        return
    protocol, at, end = packet[6], 40, 40 + int.from_bytes(packet[4:6], "big")
    while protocol in EXTENSION_HEADERS and len(packet) >= at + 8:
        protocol, at = packet[at], at + 8 + 8 * packet[at + 1]
    yield from messages_in(protocol, packet[at:end])


def messages_in(protocol: int, segment: bytes) -> Iterator[bytes]:
    """The queries in a datagram or a TCP segment."""
    if len(segment) < 20 or int.from_bytes(segment[2:4], "big") != PORT:
        return
    if protocol == UDP:
        message = segment[8 : int.from_bytes(segment[4:6], "big")]
        if is_query(message):
            yield message
    elif protocol == TCP:
        at = 4 * (segment[12] >> 4)
        while len(segment) >= at + 2:
            size = int.from_bytes(segment[at : at + 2], "big")
            message = segment[at + 2 : at + 2 + size]
            if len(message) < size or not is_query(message):
                return
            yield message
            at += 2 + size


def is_query(message: bytes) -> bool:
    """Whether a message is whole enough to be asked: a header without QR, and one question."""
    return len(message) > HEADER_BYTES and not message[2] & 0x80 and message[4:6] == b"\0\1"
