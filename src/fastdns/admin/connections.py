"""HTTP/1.1 for probes and scrapers: GET and HEAD of fixed paths, no bodies, bounded in every way.

The protocol is h11's. There is no web framework around it: what one takes in memory and time it would take of the
supervisor. Even this is imported with the first connection, when the workers serve.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import h11

from fastdns.admin.answers import Answer, Handler, Request, text

if TYPE_CHECKING:
    import ssl

log = logging.getLogger("fastdns")

MAX_HEAD_BYTES = 16 * 1024
# Of one endpoint; a new connection takes the place of the one that has been quiet for longest.
MAX_CONNECTIONS = 256
# For the head of a request, for the next one, and for the peer to take the answer.
PATIENCE_S = 30.0
HANDSHAKE_S = 10.0


def parsed(event: h11.Request) -> Request:
    """What h11 has read, as handlers take it."""
    headers: dict[str, str] = {}
    for name, value in event.headers:
        key, item = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {item}" if key in headers else item
    return Request(event.method.decode("latin-1"), event.target.decode("latin-1").partition("?")[0], headers)


class Connection(asyncio.Protocol):
    """One peer: heads in, answers out, one after the other. With tls it is counted before its handshake, too."""

    def __init__(
        self, handlers: Mapping[str, Handler], open_ones: dict[Connection, None], tls: ssl.SSLContext | None = None
    ) -> None:
        self.handlers = handlers
        self.open = open_ones
        self.tls = tls
        self.http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self.transport: asyncio.Transport | None = None
        self.answering: asyncio.Task[None] | None = None
        self.shaking_hands: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        # No further request is read: it ends with the answer that is under way.
        self.last = False
        # The peer does not read: the next request waits until it has, and patience ends meanwhile.
        self.unread = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.touch()
        if len(self.open) > MAX_CONNECTIONS:
            next(iter(self.open)).abort()
        if self.tls is not None:
            self.shaking_hands = asyncio.get_running_loop().create_task(self.shake_hands(self.tls))

    async def shake_hands(self, tls: ssl.SSLContext) -> None:
        """Put TLS between the peer and this. What the peer does wrong is its own business."""
        plain, inner = self.transport, None
        assert plain is not None
        with contextlib.suppress(OSError):
            inner = await asyncio.get_running_loop().start_tls(
                plain, self, tls, server_side=True, ssl_handshake_timeout=HANDSHAKE_S
            )
        self.shaking_hands = None
        if inner is None:
            plain.abort()
            self.connection_lost(None)
        else:
            self.transport = inner
            self.data_received(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.open.pop(self, None)
        if self.timer is not None:
            self.timer.cancel()
        if self.answering is not None:
            self.answering.cancel()

    def touch(self) -> None:
        """It is the least quiet connection now, and has all patience again."""
        self.open.pop(self, None)
        self.open[self] = None
        if self.timer is not None:
            self.timer.cancel()
        self.timer = asyncio.get_running_loop().call_later(PATIENCE_S, self.abort)

    def abort(self) -> None:
        """End at once."""
        self.open.pop(self, None)
        if self.transport is not None:
            self.transport.abort()

    def finish(self) -> None:
        """End, after the answer that is under way."""
        self.last = True
        if self.answering is None and self.transport is not None:
            self.transport.close()

    def eof_received(self) -> bool:
        # Who has asked and closed its side gets its answer.
        self.last = True
        return self.answering is not None

    def pause_writing(self) -> None:
        self.unread = True

    def resume_writing(self) -> None:
        self.unread = False
        if self.answering is None:
            self.data_received(b"")

    def data_received(self, data: bytes) -> None:
        """Take what has come, and begin to answer the next request. A peer that sends more than one waits."""
        if self.transport is None or self.last:
            return
        if data:
            self.http.receive_data(data)
        if self.shaking_hands is not None:
            return
        if self.answering is not None or self.unread:
            if len(self.http.trailing_data[0]) > MAX_HEAD_BYTES:
                self.transport.pause_reading()
            return
        self.transport.resume_reading()
        try:
            event = self.http.next_event()
            if isinstance(event, h11.Request):
                # Nobody has to send a body, so none is read: it ends the connection, with the answer.
                self.last = not isinstance(self.http.next_event(), h11.EndOfMessage)
        except h11.RemoteProtocolError as error:
            self.refuse(error.error_status_hint)
            return
        if not isinstance(event, h11.Request):
            return
        if event.http_version not in (b"1.0", b"1.1"):
            self.refuse(505)
        elif sum(len(name) + len(value) for name, value in event.headers) > MAX_HEAD_BYTES:
            self.refuse(431)
        else:
            self.touch()
            self.answering = asyncio.get_running_loop().create_task(self.answer(parsed(event)))

    def refuse(self, status: int) -> None:
        """Say what is wrong with a request, and end."""
        self.last = True
        self.write(text(HTTPStatus(status).phrase, status), with_body=True)
        self.finish()

    async def answer(self, request: Request) -> None:
        """Answer one request, and take the next one."""
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
        self.write(answer, with_body=request.method != "HEAD")
        if self.last or self.http.our_state is not h11.DONE:
            self.finish()
        else:
            self.http.start_next_cycle()
            self.data_received(b"")

    def write(self, answer: Answer, *, with_body: bool) -> None:
        """Send an answer. Patience ends with a peer that does not take it."""
        if self.transport is None:
            return
        headers = [
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(answer.body))),
            ("Date", formatdate(usegmt=True)),
        ]
        if answer.status == 405:
            headers.append(("Allow", "GET, HEAD"))
        if self.last:
            headers.append(("Connection", "close"))
        reason = HTTPStatus(answer.status).phrase
        events: list[h11.Event] = [h11.Response(status_code=answer.status, headers=headers, reason=reason)]
        if with_body:
            events.append(h11.Data(data=answer.body))
        self.transport.write(b"".join(self.http.send(event) or b"" for event in [*events, h11.EndOfMessage()]))
