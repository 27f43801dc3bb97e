"""HTTP/1.1 (RFC 9112) for probes and scrapers: GET and HEAD of fixed paths, no bodies, bounded in every way.

A server of its own, as the supervisor is the process that all others are forked from: what a web framework takes
in memory and time at the start, it would take of all of them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

log = logging.getLogger("fastdns")

MAX_HEAD_BYTES = 16 * 1024
# Of one endpoint; a new connection takes the place of the one that has been quiet for longest.
MAX_CONNECTIONS = 256
# For the head of a request, for the next one, and for the peer to take the answer.
PATIENCE_S = 30.0
REASONS = {
    200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed",
    431: "Request Header Fields Too Large", 500: "Internal Server Error", 503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}  # fmt: skip
PLAIN = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked. headers: by lowercased name."""

    method: str = "GET"
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What to say."""

    body: bytes
    status: int = 200
    content_type: str = PLAIN


Handler = Callable[[Request], Awaitable[Answer]]


class BadRequest(Exception):
    """A request that is not understood: the status that says so."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def text(body: str, status: int = 200) -> Answer:
    """A plain text answer."""
    return Answer(body.encode(), status)


def parse_head(head: bytes) -> tuple[Request, bool]:
    """The request of a head without its empty line, and whether the connection may go on after it.

    Raises BadRequest.
    """
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[0] or not words[1]:
        raise BadRequest(400)
    method, target, version = words
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequest(505 if version.startswith("HTTP/") else 400)
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        # RFC 9112 section 5: no space before the colon, no folded lines.
        if not colon or not name or name != name.strip():
            raise BadRequest(400)
        name = name.lower()
        value = value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    options = {option.strip().lower() for option in headers.get("connection", "").split(",")}
    goes_on = "keep-alive" in options if version == "HTTP/1.0" else "close" not in options
    # Nobody has to send a body, so none is read: where there is one, the connection ends with the answer.
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        goes_on = False
    return Request(method, target.partition("?")[0], headers), goes_on


class Connection(asyncio.Protocol):
    """One peer: heads in, answers out, one after the other."""

    def __init__(self, handlers: Mapping[str, Handler], open_ones: dict[Connection, None]) -> None:
        self.handlers = handlers
        self.open = open_ones
        self.pending = b""
        self.transport: asyncio.Transport | None = None
        self.answering: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        # No further request is read: it ends with the answer that is under way.
        self.last = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.touch()
        if len(self.open) > MAX_CONNECTIONS:
            next(iter(self.open)).abort()

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

    def data_received(self, data: bytes) -> None:
        self.pending += data
        self.take_request()

    def eof_received(self) -> bool:
        # Who has asked and closed its side gets its answer.
        self.last = True
        return self.answering is not None

    def take_request(self) -> None:
        """Begin to answer the next whole head. A peer that sends more than one waits."""
        transport = self.transport
        if transport is None or self.answering is not None or self.last:
            if transport is not None and len(self.pending) > MAX_HEAD_BYTES:
                transport.pause_reading()
            return
        transport.resume_reading()
        head, found, rest = self.pending.lstrip(b"\r\n").partition(b"\r\n\r\n")
        if len(head) > MAX_HEAD_BYTES:
            self.refuse(431)
        elif found:
            self.pending = rest
            self.touch()
            try:
                request, goes_on = parse_head(head)
            except BadRequest as error:
                self.refuse(error.status)
                return
            self.last |= not goes_on
            self.answering = asyncio.get_running_loop().create_task(self.answer(request))

    def refuse(self, status: int) -> None:
        """Say what is wrong with a request, and end."""
        self.last = True
        self.write(text(REASONS[status], status), with_body=True)
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
            answer = text(REASONS[500], 500)
        self.answering = None
        self.write(answer, with_body=request.method != "HEAD")
        if self.last:
            self.finish()
        else:
            self.take_request()

    def write(self, answer: Answer, *, with_body: bool) -> None:
        """Send an answer. Patience ends with a peer that does not take it."""
        if self.transport is None:
            return
        lines = [
            f"HTTP/1.1 {answer.status} {REASONS[answer.status]}",
            f"Content-Type: {answer.content_type}",
            f"Content-Length: {len(answer.body)}",
            time.strftime("Date: %a, %d %b %Y %H:%M:%S GMT", time.gmtime()),
        ]
        if answer.status == 405:
            lines.append("Allow: GET, HEAD")
        if self.last:
            lines.append("Connection: close")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        self.transport.write(head + answer.body if with_body else head)
