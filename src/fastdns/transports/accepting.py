"""Accepts the connections of a listening socket, on the event-loop thread."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Callable

from fastdns.transports._sockets import Sockets

log = logging.getLogger("fastdns")

# In one turn of the loop: others have theirs.
ACCEPTED_AT_ONCE = 16
# Without descriptors or memory for another connection it is tried again after so long.
RETRY_S = 0.1
OUT_OF = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Accepting:
    """One listening socket, which belongs to it from now on. connect makes the protocol of a connection."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sockets: Sockets,
        listening: socket.socket,
        connect: Callable[[], asyncio.BaseProtocol],
        backlog: int,
    ) -> None:
        self.loop = loop
        self.sockets = sockets
        self.listening = listening
        self.connect = connect
        self.said = False
        listening.setblocking(False)
        # The sockets that are accepted have it as well.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listening.listen(backlog)
        self.begin()

    def begin(self) -> None:
        """Accept from now on."""
        if self.listening.fileno() >= 0:
            self.loop.add_reader(self.listening.fileno(), self.accept, ACCEPTED_AT_ONCE)

    def accept(self, most: int) -> None:
        """Accept so many, if so many wait."""
        for _ in range(most):
            try:
                accepted, peer = self.listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno not in OUT_OF:
                    # A peer that is gone already, for example.
                    continue
                if not self.said:
                    log.warning("cannot accept connections: %s", error.strerror)
                    self.said = True
                self.loop.remove_reader(self.listening.fileno())
                self.loop.call_later(RETRY_S, self.begin)
                return
            self.said = False
            accepted.setblocking(False)
            self.sockets.connect(accepted, peer, self.connect())

    def close(self, waiting: int = 0) -> None:
        """Accept no more but so many that wait: of a socket that is closed the kernel would reset them."""
        if self.listening.fileno() < 0:
            return
        self.loop.remove_reader(self.listening.fileno())
        with contextlib.closing(self.listening):
            self.accept(waiting)
