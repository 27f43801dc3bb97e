"""Connections to upstreams over TCP (RFC 7766) and TLS (RFC 7858): framed messages, one ask at a time."""

from __future__ import annotations

from fastdns.dns._framing import framed, message_at
from fastdns.plugins.forward.asks import Ask
from fastdns.plugins.forward.connection import HEADER_BYTES, Owner, StreamConnection
from fastdns.plugins.forward.texts import SHORT

# The limit on messages with another ID before the reply. If an upstream sends more, its connection is out of step.
MAX_STRAYS = 16


class FramedConnection(StreamConnection):
    """TCP, or TLS over it: the event loop encrypts."""

    def __init__(self, pool: Owner) -> None:
        super().__init__(pool)
        self.ask: Ask | None = None
        self.sent_at = 0.0
        self.pending = bytearray()
        self.strays = 0

    @property
    def idle(self) -> bool:
        return self.ask is None

    @property
    def has_room(self) -> bool:
        return self.ask is None and not self.retired and self.transport is not None

    def send(self, ask: Ask) -> None:
        assert self.transport is not None
        self.ask = ask
        self.sent_at = self.loop.time()
        self.strays = 0
        self.transport.write(framed(ask.message))

    def abandon(self, ask: Ask) -> str:
        # The reply may still arrive, so the connection cannot carry another query.
        self.ask = None
        self.end("")
        return f"{self.reading}: i/o timeout"

    def take_asks(self) -> list[Ask]:
        ask, self.ask = self.ask, None
        return [] if ask is None else [ask]

    def data_received(self, data: bytes) -> None:
        self.heard_at = self.loop.time()
        self.pending += data
        while self.ask is not None and (message := message_at(self.pending, 0)) is not None:
            del self.pending[: 2 + len(message)]
            self.take(message, self.ask)
        if self.ask is None and self.pending:
            # An extra message would be taken for the reply to the next query.
            self.end("")

    def take(self, message: bytes, ask: Ask) -> None:
        """Handle one message: the reply, or a message with another ID, which is skipped."""
        if len(message) < HEADER_BYTES:
            self.end(SHORT)
        elif message[:2] == ask.message[:2]:
            self.ask = None
            self.note_reply(self.sent_at)
            if not self.pending:
                self.pool.offer(self)
            self.deliver(ask, message)
        elif self.strays < MAX_STRAYS:
            self.strays += 1
        else:
            self.end("dns: id mismatch")

    def is_stale(self, exc: Exception | None) -> bool:
        # After a part of a reply, the upstream has read the query.
        return not self.pending and super().is_stale(exc)

    def read_error(self, exc: Exception | None) -> str:
        return "unexpected EOF" if exc is None and self.pending else super().read_error(exc)
