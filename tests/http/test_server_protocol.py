"""The server's side of HTTP/1.1 as bytes. What is refused, and what ends a connection: test_server_connection."""

from __future__ import annotations

import pytest

from fastdns.http.answers import Request, text
from fastdns.http.server_protocol import MAX_HEAD_BYTES, Refused, ServerProtocol

GET = b"GET /health?x=1 HTTP/1.1\r\nHost: x\r\n\r\n"


def test_a_request_byte_by_byte() -> None:
    http = ServerProtocol()
    for at in range(len(GET)):
        assert http.next_request() is None
        http.receive(GET[at : at + 1])
    assert http.next_request() == Request("GET", "/health", {"host": "x"}, "x=1")
    assert not http.last


def test_answers_on_one_connection() -> None:
    http = ServerProtocol()
    http.receive(GET * 2)
    wire = []
    for last in (False, True):
        assert http.next_request() is not None
        http.last = last
        wire.append(http.head(text("abcdef")) + http.part(b"abc") + http.part(b"def") + http.end())
        assert http.last is last
    assert all(one.startswith(b"HTTP/1.1 200 OK\r\n") and one.endswith(b"\r\n\r\nabcdef") for one in wire)
    assert [b"Connection: close" in one for one in wire] == [False, True]


def test_what_stands_behind_a_body_is_no_request() -> None:
    http = ServerProtocol()
    http.receive(b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" + GET)
    assert http.next_request() is not None
    assert http.last


def test_a_head_is_bounded() -> None:
    http = ServerProtocol()
    http.receive(b"GET /" + b"x" * MAX_HEAD_BYTES)
    assert http.ahead_bytes == MAX_HEAD_BYTES + 5
    with pytest.raises(Refused) as caught:
        http.next_request()
    assert (caught.value.status, http.last) == (431, True)
