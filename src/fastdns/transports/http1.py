"""HTTP/1.1 (RFC 9112) on one connection, of the server's side: for the loop of _https.pyx.

h11 does the protocol. One request is read at a time: what follows it waits until it is answered.
"""

from __future__ import annotations

from http import HTTPStatus

import h11

from fastdns.dns._framing import MAX_MESSAGE_BYTES
from fastdns.transports._doh import question
from fastdns.transports.doh import answered, refused

# Of the head of a request.
MAX_HEAD_BYTES = 16 * 1024
# What h11 takes for a connection that is idle, as measured: 1.4 KiB.
SESSION_BYTES = 2 * 1024


class Http1:
    """The requests of a connection, numbered."""

    session_bytes = SESSION_BYTES

    def __init__(self) -> None:
        self.h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self.number = 0
        self.method = b""
        self.target = b""
        self.media_type: bytes | None = None
        self.content = bytearray()
        # The request that next has not taken, or the status of its refusal.
        self.ready: bytes | int | None = None
        self.answering = False
        # What has come behind the request that is being answered.
        self.behind = bytearray()
        self.out = bytearray()
        # No other request is read.
        self.last = False

    @property
    def request_bytes(self) -> int:
        """What has come and is not answered."""
        unread, _ = self.h11.trailing_data
        return len(self.behind) + len(self.content) + len(unread)

    @property
    def unserved(self) -> int:
        """How many requests next has for now."""
        return self.ready is not None

    @property
    def is_over(self) -> bool:
        """Whether the connection is to be closed after what output has."""
        return self.last and not self.answering and not self.out

    def receive(self, data: bytes | bytearray | memoryview) -> None:
        """Take what has come."""
        if self.last:
            return
        if self.answering:
            self.behind += data
        else:
            self.read_on(bytes(data))

    def read_on(self, data: bytes) -> None:
        """Read to the end of a request, as far as it has come."""
        try:
            if data:
                # To h11 nothing would be the end.
                self.h11.receive_data(data)
            self.read()
        except h11.RemoteProtocolError as error:
            self.refuse(error.error_status_hint)

    def read(self) -> None:
        """As read_on, of what h11 has. Raises h11.RemoteProtocolError."""
        while not self.answering:
            event = self.h11.next_event()
            if isinstance(event, h11.Request):
                self.begin(event)
            elif isinstance(event, h11.Data):
                self.content += event.data
                if len(self.content) > MAX_MESSAGE_BYTES:
                    self.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            elif isinstance(event, h11.EndOfMessage):
                status, message = question(self.method, self.target, self.media_type, bytes(self.content))
                self.finish(message if status == HTTPStatus.OK else status)
            else:
                if event is h11.NEED_DATA and self.h11.they_are_waiting_for_100_continue:
                    self.send(h11.InformationalResponse(status_code=100, headers=[]))
                return

    def begin(self, request: h11.Request) -> None:
        """Take the head of a request."""
        self.method, self.target = request.method, origin_form(request.target)
        self.media_type = None
        if sum(len(name) + len(value) for name, value in request.headers) > MAX_HEAD_BYTES:
            # It has come at once.
            self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            return
        for name, value in request.headers:
            if name == b"content-type":
                self.media_type = value
            elif name == b"content-length" and int(value) > MAX_MESSAGE_BYTES:
                self.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

    def refuse(self, status: int) -> None:
        """Answer with this status before the request is whole: what follows cannot be told from it."""
        self.last = True
        self.finish(int(status))

    def finish(self, asked: bytes | int) -> None:
        """The request is read."""
        self.ready = asked
        self.answering = True
        self.number += 1
        self.content.clear()

    def next(self) -> tuple[int, bytes | int] | None:
        """The next request: its number, and its message or the status of its refusal. None: there is none."""
        if self.ready is None:
            return None
        asked, self.ready = self.ready, None
        return self.number, asked

    def answer(self, status: int, reply: bytes | None) -> None:
        """Respond to the request that next has told of."""
        fields, content = answered(reply) if reply is not None else refused(status)
        if self.last:
            fields.append((b"connection", b"close"))
        self.send(h11.Response(status_code=status, headers=fields, reason=HTTPStatus(status).phrase))
        self.send(h11.Data(data=b"" if self.method == b"HEAD" else content))
        self.send(h11.EndOfMessage())
        self.answering = False
        if self.h11.our_state is h11.DONE and self.h11.their_state is h11.DONE and not self.last:
            self.h11.start_next_cycle()
            behind = bytes(self.behind)
            self.behind.clear()
            self.read_on(behind)
        else:
            self.last = True

    def send(self, event: h11.Event) -> None:
        """Add to what is to be sent."""
        self.out += self.h11.send(event) or b""

    def output(self) -> bytes:
        """What is to be sent next."""
        data = bytes(self.out)
        self.out.clear()
        return data

    def goodbye(self) -> None:
        """No other request is read. A response that is under way tells it."""
        self.last = True


def origin_form(target: bytes) -> bytes:
    """The path of a target with what follows it; clients of proxies send a whole URL (RFC 9112 section 3.2.2)."""
    if target.startswith(b"/"):
        return target
    scheme, found, rest = target.partition(b"://")
    if not found or scheme.lower() not in (b"http", b"https"):
        return target
    return b"/" + rest.partition(b"/")[2]
