"""CoreDNS's message DnsPacket (pb/dns.proto), as gRPC sends it: a prefix of five bytes, and one field of bytes.

    message DnsPacket { bytes msg = 1; }
"""

from __future__ import annotations

from fastdns.dns._framing import MAX_MESSAGE_BYTES

PREFIX_BYTES = 5
# Field 1 of bytes: its number and type.
MSG = 0x0A
# With the field's key and length, and some room for fields of later versions.
MAX_BYTES = MAX_MESSAGE_BYTES + PREFIX_BYTES + 64


def packet(message: bytes) -> bytes:
    """What carries a message."""
    field = bytes((MSG,)) + varint(len(message)) + message
    return b"\0" + len(field).to_bytes(4, "big") + field


def message_of(body: bytes) -> bytes:
    """The message that a body carries. Raises ValueError."""
    if len(body) < PREFIX_BYTES or body[0]:
        raise ValueError("expected one message of gRPC, not compressed")
    data = body[PREFIX_BYTES:]
    if int.from_bytes(body[1:PREFIX_BYTES], "big") != len(data):
        raise ValueError("expected one message of gRPC")
    message, at = b"", 0
    while at < len(data):
        key, at = number_at(data, at)
        size, at = size_at(data, at, key & 7)
        if at + size > len(data):
            raise ValueError("a field is longer than its packet")
        # Of several the last one counts.
        if key == MSG:
            message = data[at : at + size]
        at += size
    return message


def size_at(data: bytes, at: int, kind: int) -> tuple[int, int]:
    """How long the value of a field is, and where it begins. Raises ValueError."""
    if kind == 0:
        return number_at(data, at)[1] - at, at
    if kind == 2:
        return number_at(data, at)
    if kind in (1, 5):
        return 8 if kind == 1 else 4, at
    raise ValueError(f"no field of the kind {kind}")


def number_at(data: bytes, at: int) -> tuple[int, int]:
    """A number (varint), and where it ends. Raises ValueError."""
    number = 0
    for shift in range(0, 64, 7):
        if at >= len(data):
            raise ValueError("a number is cut off")
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
    raise ValueError("a number is too long")


def varint(number: int) -> bytes:
    """The form of a number."""
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes((*found, number))
