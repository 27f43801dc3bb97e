"""The framing of DNS messages on a stream: two bytes of length, then as many bytes of message.

RFC 1035 section 4.2.2 for TCP, RFC 7858 section 3.3 for TLS, RFC 9250 section 4.2 for QUIC. Connections of clients
and connections to upstreams share it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

LENGTH = struct.Struct(">H")
MAX_MESSAGE_BYTES = 65535


def framed(message: bytes) -> bytes:
    """A message of at most MAX_MESSAGE_BYTES as it stands on a stream. Raises struct.error for a longer one."""
    return LENGTH.pack(len(message)) + message


def messages(data: bytearray) -> Iterator[tuple[bytes, int]]:
    """Each whole message at the start of data, and where it ends. data must not change before the last one."""
    at, size = 0, len(data)
    while size - at >= 2:
        (length,) = LENGTH.unpack_from(data, at)
        at += 2
        if size - at < length:
            return
        yield bytes(data[at : at + length]), at + length
        at += length


def count_messages(data: bytearray) -> int:
    """How many whole messages data begins with."""
    at = count = 0
    while len(data) - at >= 2:
        at += 2 + LENGTH.unpack_from(data, at)[0]
        count += at <= len(data)
    return count
