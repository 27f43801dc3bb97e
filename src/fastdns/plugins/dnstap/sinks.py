"""Where messages go: a collector that is connected to, or the readers that connect to a listener.

Everything runs on the supervisor's event loop and never waits for the other side: what a connection does not take
stays in the rings, up to their room, and then is dropped by those that would write it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
import ssl
import stat
import time
from collections import deque
from pathlib import Path

from fastdns.errors import FastdnsError
from fastdns.plugins.dnstap.config import TLS, UNIX, Destination
from fastdns.plugins.dnstap.framestream import STOP, begin, control
from fastdns.servertls import served
from fastdns.tls import client_context

log = logging.getLogger("plugin/dnstap")

MIB = 1 << 20
# As CoreDNS: of connecting and of agreeing, each.
CONNECT_S = 4.0
FIRST_RETRY_S, LAST_RETRY_S = 0.25, 10.0
# A connection that takes nothing for so long is given up.
STALLED_S = 30.0
# Readers of one listener.
MAX_READERS = 16

Failures = (OSError, EOFError, ssl.SSLError, TimeoutError, FastdnsError)


def why(error: BaseException) -> str:
    """A failure in words."""
    if isinstance(error, TimeoutError):
        return "i/o timeout"
    if isinstance(error, asyncio.IncompleteReadError):
        return "the other side has closed the connection"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


class Connection:
    """One connection that takes frames. most_bytes: of what it has been given and not taken yet."""

    def __init__(self, writer: asyncio.StreamWriter, most_bytes: int) -> None:
        self.writer = writer
        self.most_bytes = most_bytes
        self.given_bytes = 0
        # (given_bytes behind it, its frames) of what may not have been taken yet, the oldest first.
        self.batches: deque[tuple[int, int]] = deque()
        self.taken_bytes = 0
        self.moved_at = time.monotonic()
        writer.transport.set_write_buffer_limits(most_bytes)

    def room(self) -> int:
        """How many bytes it may be given now."""
        return self.most_bytes - self.waiting_bytes()

    def waiting_bytes(self) -> int:
        """What it has not taken."""
        waiting: int = self.writer.transport.get_write_buffer_size()
        taken = self.given_bytes - waiting
        if taken > self.taken_bytes or not waiting:
            self.taken_bytes = taken
            self.moved_at = time.monotonic()
            while self.batches and self.batches[0][0] <= taken:
                self.batches.popleft()
        return waiting

    def give(self, data: bytes, frames: int) -> None:
        """Send whole frames."""
        self.given_bytes += len(data)
        self.batches.append((self.given_bytes, frames))
        self.writer.write(data)

    def is_stalled(self) -> bool:
        """Whether it has taken nothing for long, of what there is."""
        return self.waiting_bytes() > 0 and time.monotonic() - self.moved_at > STALLED_S

    def lost_frames(self) -> int:
        """How many frames it was given and has not taken: one that it has taken in part counts."""
        self.waiting_bytes()
        return sum(frames for _, frames in self.batches)

    def stop(self) -> None:
        """Say that this is the end, where that can still be said, and close it."""
        with contextlib.suppress(Exception):
            self.writer.write(control(STOP))
            self.writer.close()

    def abort(self) -> None:
        """Close it at once."""
        self.writer.transport.abort()


class Sink:
    """One destination. connections: those that take frames. sent, dropped: frames, since the server started."""

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        self.connections: list[Connection] = []
        self.sent = 0
        self.dropped = 0
        self.said = ""
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Connect, or listen, from now on."""
        self.task = asyncio.get_running_loop().create_task(self.run())

    async def run(self) -> None:
        """Keep it up, until cancelled."""
        raise NotImplementedError

    def is_wanted(self) -> bool:
        """Whether messages are to be written for it."""
        return True

    def room(self) -> int:
        """How many bytes it may be given now."""
        return 0

    def give(self, data: bytes, frames: int) -> None:
        """Send whole frames, no more bytes than there is room for."""
        raise NotImplementedError

    def say(self, what: str, error: BaseException) -> None:
        """Log a failure, once until it is another one or has ended."""
        said = f"{what}: {why(error)}"
        if said != self.said:
            self.said = said
            log.error("%s: %s", said, self.destination)

    def look(self) -> None:
        """End connections that take nothing."""
        for connection in self.connections:
            if connection.is_stalled():
                log.warning("%s has taken nothing for %g s; the connection is closed", self.destination, STALLED_S)
                connection.abort()

    def close(self) -> None:
        """The end: what the connections have been given, they may still take."""
        if self.task is not None:
            self.task.cancel()
        for connection in self.connections:
            connection.stop()

    async def hold(self, reader: asyncio.StreamReader, connection: Connection) -> None:
        """Let a connection take frames until the other side ends it."""
        self.connections.append(connection)
        try:
            # Who takes frames says nothing before STOP.
            await reader.read(1)
        finally:
            self.connections.remove(connection)
            self.dropped += connection.lost_frames()


class Collector(Sink):
    """A collector that this server connects to."""

    async def run(self) -> None:
        wait_s = FIRST_RETRY_S
        while True:
            writer: asyncio.StreamWriter | None = None
            try:
                async with asyncio.timeout(CONNECT_S):
                    reader, writer = await self.connect()
                async with asyncio.timeout(CONNECT_S):
                    await begin(reader, writer)
                self.said = ""
                wait_s = FIRST_RETRY_S
                connection = Connection(writer, self.destination.write_buffer_mib * MIB)
                await self.hold(reader, connection)
                raise ConnectionResetError("the other side has closed the connection")
            except Failures as error:
                self.say("No connection to dnstap endpoint", error)
            finally:
                if writer is not None:
                    # At the end it may still take what it has been given.
                    ending = self.task is not None and self.task.cancelling()
                    (writer.close if ending else writer.transport.abort)()
            await asyncio.sleep(wait_s * random.uniform(0.75, 1.25))
            wait_s = min(2 * wait_s, LAST_RETRY_S)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection on which nothing has been said. Raises OSError."""
        to = self.destination
        if to.kind == UNIX:
            return await asyncio.open_unix_connection(to.path)
        context = None
        if to.kind == TLS:
            context = client_context()
            if not to.verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
        reader, writer = await asyncio.open_connection(to.host or "localhost", to.port, ssl=context)
        end: socket.socket = writer.get_extra_info("socket")
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, to.write_buffer_mib * MIB)
        return reader, writer

    def room(self) -> int:
        return self.connections[0].room() if self.connections else 0

    def give(self, data: bytes, frames: int) -> None:
        self.connections[0].give(data, frames)
        self.sent += frames


class Listener(Sink):
    """Readers that connect to this server. Each gets what comes while it is connected and has room."""

    def __init__(self, destination: Destination) -> None:
        super().__init__(destination)
        self.server: asyncio.Server | None = None

    async def run(self) -> None:
        wait_s = FIRST_RETRY_S
        while self.server is None:
            try:
                self.server = await self.listen()
                self.said = ""
            except Failures as error:
                self.say("Failed to start dnstap listener", error)
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, LAST_RETRY_S)
        while True:
            # The files of a certificate may change.
            await asyncio.sleep(1.0)
            if self.destination.tls is not None:
                served(self.destination.tls).look()

    async def listen(self) -> asyncio.Server:
        """Accept from now on. Raises OSError, FastdnsError."""
        to = self.destination
        if to.kind == UNIX:
            remove_abandoned(to.path)
            return await asyncio.start_unix_server(self.accept, to.path)
        context = None if to.tls is None else served(to.tls).context
        return await asyncio.start_server(
            self.accept, to.host or None, to.port, ssl=context,
            ssl_handshake_timeout=None if context is None else CONNECT_S,
        )  # fmt: skip

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A reader has connected."""
        try:
            if len(self.connections) >= MAX_READERS:
                log.warning("%s has %d readers already; one more is sent away", self.destination, MAX_READERS)
                return
            async with asyncio.timeout(CONNECT_S):
                await begin(reader, writer)
            await self.hold(reader, Connection(writer, MIB))
        except Failures as error:
            self.say("Error creating encoder for dnstap client", error)
        finally:
            if not writer.is_closing():
                writer.transport.abort()

    def is_wanted(self) -> bool:
        return bool(self.connections)

    def room(self) -> int:
        # As in CoreDNS nobody waits for a slow reader: it misses what it has no room for.
        return MIB

    def give(self, data: bytes, frames: int) -> None:
        for connection in self.connections:
            if connection.room() >= len(data):
                connection.give(data, frames)
                self.sent += frames
            else:
                self.dropped += frames

    def close(self) -> None:
        super().close()
        if self.server is not None:
            self.server.close()
            if self.destination.kind == UNIX:
                with contextlib.suppress(OSError):
                    Path(self.destination.path).unlink()


def remove_abandoned(path: str) -> None:
    """Take away a socket that a server has left behind; one on which somebody listens stays."""
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(Path(path).stat().st_mode):
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(path)
                except ConnectionRefusedError:
                    Path(path).unlink()
                else:
                    raise FastdnsError(f"{path}: address already in use")
