"""One connection of an HTTP server: its turns, its time, its TLS, and what its peer does not read.

This and the protocol are imported with the first connection, when the workers serve.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from fastdns.http.answers import Answer, Handler, Request, text
from fastdns.http.places import Places
from fastdns.http.server_protocol import MAX_HEAD_BYTES, Refused, ServerProtocol

if TYPE_CHECKING:
    import ssl

log = logging.getLogger("fastdns")

# What is read at once, of one connection.
READ_BYTES = 16 * 1024
# What is handed to the transport at once of an answer. With so much unsent, the rest waits until the peer has read.
WRITE_BYTES = 32 * 1024
# For the head of a request, for the next one, and for the peer to take the answer.
PATIENCE_S = 30.0
HANDSHAKE_S = 10.0

# Everything is read into this buffer, and copied out of it before anything else is read.
BUFFER = memoryview(bytearray(READ_BYTES))


class ServerConnection(asyncio.BufferedProtocol):
    """One peer: heads in, answers out, one after the other, each in its turn.

    With tls it has its place before its handshake, too. What it holds in memory is bounded: two heads, and two
    parts of an answer, whose body is shared by all connections that send it.
    """

    def __init__(
        self, handlers: Mapping[str, Handler], places: Places, tls: ssl.SSLContext | None = None
    ) -> None:
        self.handlers = handlers
        self.places = places
        self.tls = tls
        self.client = ""
        self.http = ServerProtocol()
        self.transport: asyncio.Transport | None = None
        self.shaking_hands: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        # It waits for its turn.
        self.queued = False
        # What answers the request, then what it has said, and then what is left of that.
        self.answering: asyncio.Task[None] | None = None
        self.answer: tuple[Answer, bool] | None = None
        self.left: memoryview | None = None
        # The peer sends no more.
        self.ended = False
        # The peer does not read: what is left waits until it has.
        self.unread = False

    # ------------------------------------------------------------------------------------- as asyncio calls it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=WRITE_BYTES)
        self.client = str((transport.get_extra_info("peername") or ("",))[0])
        if self.tls is not None:
            # What comes belongs to the handshake.
            self.transport.pause_reading()
            self.places.shakes_hands(self)
        self.touch()
        if self.tls is not None:
            self.wait_for_turn()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.places.remove(self)
        if self.timer is not None:
            self.timer.cancel()
        if self.answering is not None:
            self.answering.cancel()

    def get_buffer(self, sizehint: int) -> memoryview:
        return BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        if self.transport is None or self.http.last:
            return
        self.http.receive(bytes(BUFFER[:nbytes]))
        if self.busy and self.http.ahead_bytes > MAX_HEAD_BYTES:
            # A peer that asks more than one thing at a time waits.
            self.transport.pause_reading()
        self.wait_for_turn()

    def eof_received(self) -> bool:
        # A peer that has asked and closed its side gets its answer.
        self.ended = True
        return self.busy and self.tls is None

    def pause_writing(self) -> None:
        self.unread = True

    def resume_writing(self) -> None:
        self.unread = False
        self.wait_for_turn()

    # ------------------------------------------------------------------------------------------------- its life

    @property
    def busy(self) -> bool:
        """Whether there is something to answer, or to find out whether there is."""
        return self.queued or self.answering is not None or self.answer is not None or self.left is not None

    def wait_for_turn(self) -> None:
        """Have the next step done, unless it is somebody else's to do."""
        if not (self.queued or self.unread or self.transport is None or self.answering is not None):
            self.queued = True
            self.places.turns.add(self.client, self.take_turn)

    def touch(self) -> None:
        """It is the most recently active connection now, and has all patience again."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = asyncio.get_running_loop().call_later(PATIENCE_S, self.abort)
        self.places.touch(self)

    def wait_for_handler(self) -> None:
        """No patience is lost while the answer is being made: that is the handler's to bound."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def abort(self) -> None:
        """End at once."""
        self.places.remove(self)
        if self.transport is not None:
            self.transport.abort()

    def finish(self) -> None:
        """End, after the answer that is under way."""
        self.http.last = True
        if not self.busy and self.transport is not None:
            self.transport.close()

    def take_turn(self) -> None:
        """The next step."""
        self.queued = False
        if self.transport is None or self.shaking_hands is not None:
            return
        try:
            if self.tls is not None and self in self.places.shaking:
                self.shaking_hands = asyncio.get_running_loop().create_task(self.shake_hands(self.tls))
            elif self.answer is not None:
                self.begin_answer(*self.answer)
            elif self.left is not None:
                self.write_on()
            else:
                self.next_request()
        except Exception:
            # Nobody else loses a turn for it.
            log.exception("a request over HTTP cannot be answered")
            self.abort()

    async def shake_hands(self, tls: ssl.SSLContext) -> None:
        """Put TLS between the peer and this. What the peer does wrong is its own business."""
        plain, inner = self.transport, None
        assert plain is not None
        with contextlib.suppress(OSError):
            inner = await asyncio.get_running_loop().start_tls(
                plain, self, tls, server_side=True, ssl_handshake_timeout=HANDSHAKE_S
            )
        self.shaking_hands = None
        self.places.shaking.pop(self, None)
        if inner is None:
            plain.abort()
            self.connection_lost(None)
        elif self.transport is None:
            inner.abort()
        else:
            self.transport = inner
            inner.set_write_buffer_limits(high=WRITE_BYTES)
            self.wait_for_turn()

    def next_request(self) -> None:
        """Begin to answer the next request, if it has come."""
        assert self.transport is not None
        self.transport.resume_reading()
        try:
            request = self.http.next_request()
        except Refused as refused:
            self.begin_answer(text(str(refused), refused.status), with_body=True)
            return
        if request is not None:
            self.touch()
            self.wait_for_handler()
            asked = replace(request, gone=lambda: self.ended)
            self.answering = asyncio.get_running_loop().create_task(self.ask(asked))
        elif self.http.last or self.ended:
            self.transport.close()

    async def ask(self, request: Request) -> None:
        """Have one request answered; the answer is written in the connection's turn."""
        handler = self.handlers.get(request.path)
        try:
            if handler is None:
                answer = text("404 page not found\n", 404)
            elif request.method not in ("GET", "HEAD"):
                answer = text("GET and HEAD are served\n", 405)
            else:
                answer = await handler(request)
        except Exception:
            log.exception("%s cannot be answered", request.path)
            answer = text(HTTPStatus(500).phrase, 500)
        self.answering = None
        if self.transport is not None:
            self.touch()
        self.answer = answer, request.method != "HEAD"
        self.wait_for_turn()

    def begin_answer(self, answer: Answer, with_body: bool) -> None:
        """Send the head of an answer, and what the peer takes of the rest."""
        self.answer = None
        self.send(self.http.head(answer))
        self.left = memoryview(answer.body if with_body else b"")
        self.write_on()

    def write_on(self) -> None:
        """Send of an answer what the peer takes. A peer that takes nothing is given up when PATIENCE_S is over."""
        while self.left and not self.unread:
            part, self.left = self.left[:WRITE_BYTES], self.left[WRITE_BYTES:]
            self.send(self.http.part(bytes(part)))
        if self.left or self.transport is None:
            return
        self.left = None
        self.send(self.http.end())
        if self.http.last:
            self.finish()
        else:
            self.wait_for_turn()

    def send(self, data: bytes) -> None:
        """Hand a part of an answer to the transport."""
        if data and self.transport is not None:
            self.transport.write(data)
