"""Datagrams in numbers: sent and answered without Python in between."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
import threading
from collections.abc import Iterator, Sequence

from fastdns.bench._echo import Echo
from tests.plugins.forward.engine.support import HOST, big_buffer

LIBC = ctypes.CDLL(None, use_errno=True)
# One call's; a socket with the least buffer that systems have holds twice as many.
BATCH = 200


class Part(ctypes.Structure):
    """struct iovec."""

    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]


class Header(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = [
        ("name", ctypes.c_void_p), ("name_len", ctypes.c_uint32), ("parts", ctypes.c_void_p),
        ("part_count", ctypes.c_size_t), ("control", ctypes.c_void_p), ("control_len", ctypes.c_size_t),
        ("flags", ctypes.c_size_t), ("length", ctypes.c_size_t),
    ]  # fmt: skip


def send_batch(sock: socket.socket, wires: Sequence[bytes], peer: tuple[str, int] | None = None) -> None:
    """Send messages in order, to peer or to whom the socket is connected to."""
    data = b"".join(wires)
    at = ctypes.cast(data, ctypes.c_void_p).value or 0
    name = ctypes.create_string_buffer(16)
    if peer is not None:
        name.raw = struct.pack("=H", socket.AF_INET) + struct.pack(">H4s8x", peer[1], socket.inet_aton(peer[0]))
    parts = (Part * len(wires))()
    headers = (Header * len(wires))()
    for part, header, wire in zip(parts, headers, wires, strict=True):
        part.base = at
        part.size = len(wire)
        at += len(wire)
        header.parts = ctypes.addressof(part)
        header.part_count = 1
        if peer is not None:
            header.name = ctypes.addressof(name)
            header.name_len = 16
    sent = 0
    while sent < len(wires):
        done = LIBC.sendmmsg(
            sock.fileno(), ctypes.byref(headers, sent * ctypes.sizeof(Header)), len(wires) - sent, 0
        )
        assert done > 0, os.strerror(ctypes.get_errno())
        sent += done


class Unread:
    """An upstream whose questions nobody reads before answer is called; it answers the rest, too, then."""

    def __init__(self) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        big_buffer(self.sock, 512 << 20)
        self.sock.bind((HOST, 0))
        # How long the echo may take to see that it shall stop.
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 20_000))
        self.to = f"{HOST}:{self.sock.getsockname()[1]}"

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """Answer for as long as the block runs, without records."""
        echo = Echo(self.sock.fileno(), 0)
        thread = threading.Thread(target=echo.run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            echo.stop()
            thread.join(5)
