"""The server's side of HTTP/1.1 without sockets: bytes in, requests out; answers in, bytes out.

GET and HEAD of fixed paths, no bodies. The protocol is h11's. There is no web framework around it: its memory and
time would be the supervisor's.
"""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus

import h11

from fastdns.http.answers import Answer, Request

MAX_HEAD_BYTES = 16 * 1024


class Refused(Exception):
    """A request that is answered with a status alone; no other one is read behind it."""

    def __init__(self, status: int) -> None:
        super().__init__(HTTPStatus(status).phrase)
        self.status = status


class ServerProtocol:
    """One connection: a request and its answer, one after the other.

    last: no further request is read; the next answer says so.
    """

    def __init__(self) -> None:
        self.http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self.last = False

    # Requests

    def receive(self, data: bytes) -> None:
        """What has come. It is looked at by next_request."""
        self.http.receive_data(data)

    @property
    def ahead_bytes(self) -> int:
        """How much has come that next_request has not taken."""
        return len(self.http.trailing_data[0])

    def next_request(self) -> Request | None:
        """The next request, or None where it is not whole. Raises Refused."""
        try:
            event = self.http.next_event()
            if not isinstance(event, h11.Request):
                return None
            # No request needs a body, so none is read: it ends the connection, with the answer.
            self.last |= not isinstance(self.http.next_event(), h11.EndOfMessage)
        except h11.RemoteProtocolError as error:
            raise self.refused(error.error_status_hint) from None
        if event.http_version not in (b"1.0", b"1.1"):
            raise self.refused(505)
        if sum(len(name) + len(value) for name, value in event.headers) > MAX_HEAD_BYTES:
            raise self.refused(431)
        return parsed(event)

    def refused(self, status: int) -> Refused:
        """A request that cannot be answered. What stands behind it cannot be told from its rest."""
        self.last = True
        return Refused(status)

    # Answers

    def head(self, answer: Answer) -> bytes:
        """The head of an answer. Its body follows in parts, and then the end."""
        headers = [
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(answer.body))),
            ("Date", formatdate(usegmt=True)),
        ]
        if answer.content_encoding:
            headers.append(("Content-Encoding", answer.content_encoding))
        if answer.status == 405:
            headers.append(("Allow", "GET, HEAD"))
        if self.last:
            headers.append(("Connection", "close"))
        reason = HTTPStatus(answer.status).phrase
        return self.send(h11.Response(status_code=answer.status, headers=headers, reason=reason))

    def part(self, data: bytes) -> bytes:
        """A part of a body."""
        return self.send(h11.Data(data=data))

    def end(self) -> bytes:
        """The end of an answer. Sets last where it was the connection's."""
        data = self.send(h11.EndOfMessage())
        if not self.last and self.http.our_state is h11.DONE:
            self.http.start_next_cycle()
        else:
            self.last = True
        return data

    def send(self, event: h11.Event) -> bytes:
        """What stands on the wire for an event."""
        return self.http.send(event) or b""


def parsed(event: h11.Request) -> Request:
    """What h11 has read, as handlers take it."""
    headers: dict[str, str] = {}
    for name, value in event.headers:
        key, item = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {item}" if key in headers else item
    path, _, query = event.target.decode("latin-1").partition("?")
    return Request(event.method.decode("latin-1"), path, headers, query)
