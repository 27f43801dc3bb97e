"""Datagrams that one worker gets and another has the connection of: they are handed over on the same host.

Each worker has a Unix socket under a name that tells who it is, in the abstract namespace: it is gone with the
process, so that who hands something over to a dead worker knows at once. The names can be seen by all processes of
the network namespace; what is taken bears a mark that only workers of this server can make.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import socket
import struct
from collections.abc import Callable

from fastdns.transports.quic_ids import Owner, mark

MARK_BYTES = 16
# The length of the client's struct sockaddr, which follows with the datagram.
HEAD = struct.Struct("!B")
READ_DATAGRAMS = 32
MOST_BYTES = 4096


def name_of(owner: Owner) -> bytes:
    """Where a worker listens: other servers on the host have other keys, and other names."""
    server = mark(b"name", b"", 8).hex()
    return f"\0fastdns-quic-{server}-{owner.index}-{owner.generation & 0xFFFF}".encode()


class Handover:
    """This worker's end. taken: gets what other workers have given, and whose it is."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        owner: Owner,
        workers: int,
        taken: Callable[[bytes, bytes], None],
    ) -> None:
        self.loop = loop
        self.owner = owner
        self.taken = taken
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        with contextlib.suppress(OSError):
            # Without it, other workers find nobody here.
            self.sock.bind(name_of(owner))
        loop.add_reader(self.sock.fileno(), self.read)
        # Whoever may have a connection whose ID does not tell: all of this generation, and who was here or will be.
        near = [Owner(owner.index, (owner.generation + step) & 0xFFFF) for step in (-1, 1)]
        self.others = near + [Owner(i, owner.generation) for i in range(workers) if i != owner.index]

    def give(self, owner: Owner, data: bytes, name: bytes) -> bool:
        """Hand a datagram over. name: the client's struct sockaddr. Returns False where that worker is gone."""
        body = HEAD.pack(len(name)) + name + data
        try:
            self.sock.sendto(mark(b"handover", body, MARK_BYTES) + body, name_of(owner))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            # It is there, and has too much to do: the datagram is lost.
            pass
        return True

    def give_all(self, data: bytes, name: bytes) -> None:
        """Hand a datagram over to all that may have its connection."""
        for owner in self.others:
            self.give(owner, data, name)

    def read(self) -> None:
        """Take what others have given."""
        for _ in range(READ_DATAGRAMS):
            try:
                given = self.sock.recv(MOST_BYTES)
            except OSError:
                return
            made, body = given[:MARK_BYTES], given[MARK_BYTES:]
            if len(body) < HEAD.size or not hmac.compare_digest(mark(b"handover", body, MARK_BYTES), made):
                continue
            begin = HEAD.size + body[0]
            self.taken(body[begin:], body[HEAD.size : begin])

    def close(self) -> None:
        """Take no more."""
        if self.sock.fileno() >= 0:
            self.loop.remove_reader(self.sock.fileno())
            self.sock.close()
