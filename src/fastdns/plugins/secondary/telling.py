"""How the watcher learns of a NOTIFY that a worker has received: a datagram to a socket without a place in the
file system (unix(7), "abstract"), whose name both know: the supervisor's process and the source's number.

A datagram holds the client's address (its size in one byte, then 16 bytes), and the zone in wire form. Whoever is
in the same network namespace can send one. It is a hint: all that it can do is to have a primary asked for its
serial.
"""

from __future__ import annotations

import os
import socket
import struct

ADDRESS_BYTES = 17


def address_of(number: int) -> str:
    """The name of the socket, as Python has it: the first byte is zero."""
    return f"\0fastdns/{os.getppid()}/secondary/{number}"


def packed_address(number: int) -> bytes:
    """The same as sendto takes it: struct sockaddr_un."""
    return struct.pack("=H", socket.AF_UNIX) + address_of(number).encode()


def open_receiver(number: int) -> socket.socket:
    """The watcher's end. Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        sock.bind(address_of(number))
    except OSError:
        sock.close()
        raise
    return sock


def read(datagram: bytes) -> tuple[bytes, bytes]:
    """(the client's address, the zone)."""
    size = datagram[0] if datagram else 0
    return datagram[1 : 1 + size], datagram[ADDRESS_BYTES:]
