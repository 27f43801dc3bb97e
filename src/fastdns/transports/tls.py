"""DNS over TLS (RFC 7858): TLS between a connection of the stream transport and its socket.

A TlsConnection is the protocol of the socket, and the transport of the connection inside, which knows nothing of
TLS: what it bounds, it bounds here as well. Python's ``ssl`` on memory does the cryptography: what has come is
decrypted as a whole, many records at a time, and what is to be sent leaves in one write.

A handshake takes a client little and the server a signature. One step of one handshake is made in each turn of the
event loop, so that connections that are open have their turns in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, cast

from fastdns.metrics.handshakes import HandshakeCounts
from fastdns.transports import Peer
from fastdns.transports.stream import READ_BYTES, ClientStream

# What is decrypted before the connection inside is told: some records of 16 KiB at most (RFC 8446 section 5.1).
PLAIN_BYTES = 64 * 1024

# What OpenSSL and Python keep for an idle connection, as measured on the loop's own transports: 17 to 25 KiB. It
# counts as held.
SESSION_BYTES = 25 * 1024

# How OpenSSL's reasons begin where client and server cannot agree (sslerr.h).
NO_COMMON = ("NO_SHARED_", "NO_SUITABLE_", "NO_PROTOCOLS_AVAILABLE", "UNSUPPORTED_PROTOCOL", "VERSION_TOO_LOW")

BUFFER = bytearray(READ_BYTES)
RECEIVED = memoryview(BUFFER)
PLAIN = memoryview(bytearray(PLAIN_BYTES))


def failure(error: OSError) -> str:
    """Why a handshake has failed: a reason of metrics/handshakes.py."""
    return reason_of(getattr(error, "reason", None) or "")


def reason_of(reason: str) -> str:
    """The same by OpenSSL's reason, as ``ssl`` names it."""
    if "ALERT" in reason:
        return "alert"
    if reason.startswith(NO_COMMON):
        return "no_common"
    return "certificate" if "CERT" in reason else "malformed"


class Shaking(Protocol):
    """A connection with a handshake."""

    def shake(self) -> None:
        """The next step of the handshake, with what has come."""


class Handshakes:
    """The connections whose next step of a handshake can be made. counts: what became of others."""

    def __init__(self, loop: asyncio.AbstractEventLoop, counts: HandshakeCounts) -> None:
        self.loop = loop
        self.counts = counts
        self.waiting: deque[Shaking] = deque()

    def add(self, connection: Shaking) -> None:
        """Make the next step of a connection's handshake when it is its turn."""
        if not self.waiting:
            self.loop.call_soon(self.next)
        self.waiting.append(connection)

    def next(self) -> None:
        """One step of one of them."""
        try:
            self.waiting.popleft().shake()
        finally:
            if self.waiting:
                self.loop.call_soon(self.next)


class TlsConnection(asyncio.BufferedProtocol):
    """One client. connect makes the connection inside; peer: for whom a proxy has made the connection."""

    def __init__(
        self,
        connect: Callable[..., ClientStream],
        context: Callable[[], ssl.SSLContext],
        handshakes: Handshakes,
        peer: Peer | None = None,
    ) -> None:
        self.inner = connect(peer=peer)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context().wrap_bio(self.incoming, self.outgoing, server_side=True)
        # SSLObject's methods only pass these calls on.
        self.read: Callable[[int, memoryview], int] = self.tls._sslobj.read  # type: ignore[attr-defined]
        self.encrypt: Callable[[bytes], int] = self.tls._sslobj.write  # type: ignore[attr-defined]
        self.buffered: Callable[[], int] = self.tls._sslobj.pending  # type: ignore[attr-defined]
        self.handshakes = handshakes
        self.raw: asyncio.Transport | None = None
        # Of the socket, without a way round by this object.
        self.get_write_buffer_size: Callable[[], int] = lambda: 0
        # A step of the handshake waits for its turn.
        self.queued = False
        self.shaken = False
        # Why the handshake has failed.
        self.refused = ""
        # The connection inside takes nothing for now.
        self.blocked = False
        self.pumping = False
        # The client sends no more.
        self.ended = False

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self.raw = raw = cast(asyncio.Transport, transport)
        self.get_write_buffer_size = raw.get_write_buffer_size
        self.inner.layer_bytes = SESSION_BYTES
        self.inner.connection_made(cast(asyncio.BaseTransport, self))
        self.inner.clients.held.count(self.inner)

    def connection_lost(self, exc: Exception | None) -> None:
        self.raw = None
        self.get_write_buffer_size = lambda: 0
        if not self.shaken:
            self.handshakes.counts.failed(self.refused or "closed")
        self.inner.connection_lost(exc)

    def get_buffer(self, sizehint: int) -> bytearray:
        return BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        self.incoming.write(RECEIVED[:nbytes])
        if self.shaken:
            self.pump()
        elif not self.queued:
            self.queued = True
            self.handshakes.add(self)

    def eof_received(self) -> bool:
        self.ended = True
        if not self.shaken:
            return False
        self.pump()
        return self.raw is not None and self.inner.eof_received()

    def pause_writing(self) -> None:
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        self.inner.resume_writing()

    # TLS

    def shake(self) -> None:
        """The next step of the handshake, with what has come."""
        self.queued = False
        if self.raw is None or self.raw.is_closing():
            return
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            self.send()
            return
        except OSError as error:
            self.refused = failure(error)
            # The alert says why.
            self.send()
            self.inner.close("peer")
            return
        self.shaken = True
        resumed = self.tls._sslobj.session_reused  # type: ignore[attr-defined]
        self.handshakes.counts.complete(self.tls.version() or "", resumed)
        self.send()
        self.pump()

    def pump(self) -> None:
        """Decrypt what has come, and give it to the connection inside, for as long as that takes it."""
        if self.pumping:
            return
        self.pumping = True
        try:
            while not self.blocked and self.raw is not None and (size := self.decrypt()):
                self.inner.data_received(PLAIN[:size])
        finally:
            self.pumping = False

    def decrypt(self) -> int:
        """Put as much as there is, and has room, into PLAIN. Returns how many bytes."""
        size = 0
        incoming, read = self.incoming, self.read
        try:
            while size < PLAIN_BYTES and (incoming.pending or self.buffered()):
                count = read(PLAIN_BYTES - size, PLAIN[size:] if size else PLAIN)
                if not count:
                    self.over()
                    break
                size += count
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.over()
        except OSError:
            # A record that is none. What came before it is served no more.
            self.send()
            self.abort()
            return 0
        if self.outgoing.pending:
            # A key update, or another message of the protocol itself.
            self.send()
        return size

    def over(self) -> None:
        """The client has said that it sends no more (RFC 8446 section 6.1): what follows is no part of that."""
        self.incoming.read()
        if not self.ended:
            self.ended = True
            asyncio.get_running_loop().call_soon(self.tell_end)

    def tell_end(self) -> None:
        """As if it had closed its side of the connection."""
        if self.raw is not None and not self.inner.eof_received():
            self.close()

    def send(self) -> None:
        """Hand what TLS has made to the socket."""
        if self.raw is not None and self.outgoing.pending:
            self.raw.write(self.outgoing.read())

    # The transport of the connection inside

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Of the socket."""
        return default if self.raw is None else self.raw.get_extra_info(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Of the socket."""
        if self.raw is not None:
            self.raw.set_write_buffer_limits(high, low)

    def write(self, data: bytes) -> None:
        """Send something, encrypted."""
        raw = self.raw
        if raw is None or not self.shaken:
            return
        try:
            self.encrypt(data)
        except OSError:
            # The client has closed the session.
            raw.abort()
            return
        raw.write(self.outgoing.read())

    def pause_reading(self) -> None:
        """Decrypt no more for now."""
        self.blocked = True
        if self.raw is not None:
            self.raw.pause_reading()

    def resume_reading(self) -> None:
        """Go on."""
        self.blocked = False
        if self.raw is not None:
            self.raw.resume_reading()
            if self.incoming.pending or self.buffered():
                asyncio.get_running_loop().call_soon(self.pump)

    def is_closing(self) -> bool:
        """Whether it closes."""
        return self.raw is None or self.raw.is_closing()

    def close(self) -> None:
        """Say that nothing follows, and close after sending what is left."""
        if self.raw is None or self.raw.is_closing():
            return
        if self.shaken:
            # The client's own end has not come, and is not waited for.
            with contextlib.suppress(OSError):
                self.tls.unwrap()
            self.send()
        self.raw.close()

    def abort(self) -> None:
        """Close at once."""
        if self.raw is not None:
            self.raw.abort()
