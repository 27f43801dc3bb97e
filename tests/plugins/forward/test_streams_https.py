"""Asks over HTTPS: a response counts if it is one of RFC 8484, and each ask ends once whatever HTTP/2 does."""

from __future__ import annotations

import asyncio
import base64
import ssl
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

from fastdns.http.http2 import MAX_STREAMS, MAX_UNSENT_BYTES
from fastdns.plugins.forward import doh, http2, pool
from fastdns.plugins.forward.pool import HITS, MISSES
from fastdns.plugins.forward.texts import STOPPED
from fastdns.plugins.forward.upstreams import Upstream
from tests.plugins.forward.certificates import Authority
from tests.plugins.forward.servers import HttpServer, Request
from tests.plugins.forward.support import Asker, asking, on_uvloop, query, reply_to, until

INTERNAL_ERROR = 2


class Scene:
    """A server and who asks it; what the tests below are given."""

    def __init__(self, server: HttpServer, asker: Asker) -> None:
        self.server = server
        self.asker = asker
        self.at = f"127.0.0.1:{server.port}"

    def error(self, text: str, method: str = "Post") -> str:
        """An error as it is told."""
        return f'{method} "https://{self.at}/dns-query": {text}'


Act = Callable[[Scene], Any]


def scene(
    authority: Authority,
    act: Act,
    answer: Callable[[Request], None] = Request.reply,
    options: str = "",
    server_name: str | None = None,
    **server_options: Any,
) -> None:
    """Run an act with a server that answers so."""

    @on_uvloop
    async def run() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.issue("https"))
        async with (
            HttpServer(context, answer, **server_options) as server,
            asking(server.upstream(server_name), options, str(authority.ca)) as asker,
        ):
            await act(Scene(server, asker))

    run()


def silent(request: Request) -> None:
    """No response."""


# Requests


def test_post(authority: Authority) -> None:
    async def act(here: Scene) -> None:
        answer = await here.asker.ask(query(0x1234))
        assert answer.reply == reply_to(query(0x1234))
        (request,) = here.server.requests
        # RFC 8484 section 4.1: ID 0.
        assert bytes(request.body) == query(0)
        assert request.headers == {
            b":method": b"POST",
            b":scheme": b"https",
            b":authority": here.at.encode(),
            b":path": b"/dns-query",
            b"accept": b"application/dns-message",
            b"content-type": b"application/dns-message",
            b"content-length": str(len(query())).encode(),
        }

    scene(authority, act)


def test_get(authority: Authority) -> None:
    def answer(request: Request) -> None:
        text = request.headers[b":path"].decode().removeprefix("/dns-query?dns=")
        request.reply(reply_to(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))

    async def act(here: Scene) -> None:
        for number in range(4):
            # Of every length modulo 3, as of padding.
            message = query(number, b"\xff" * number)
            assert (await here.asker.ask(message)).reply == reply_to(message)
        paths = [request.headers[b":path"] for request in here.server.requests]
        assert paths[0] == b"/dns-query?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlAAABAAE"
        assert not any(b"=" in path.removeprefix(b"/dns-query?dns=") for path in paths)
        assert here.server.requests[0].headers[b":method"] == b"GET"
        assert not here.server.requests[0].body

    scene(authority, act, answer, "doh_method GET")


def test_the_server_is_asked_by_its_name(authority: Authority) -> None:
    async def act(here: Scene) -> None:
        assert (await here.asker.ask()).reply
        assert here.server.requests[0].headers[b":authority"] == f"dns.example:{here.server.port}".encode()

    scene(authority, act, server_name="dns.example")


def test_the_usual_port_is_not_named() -> None:
    upstreams = [Upstream("https", "192.0.2.1", 443, "dns.example"), Upstream("https3", "::1", 443)]
    found = [dict(doh.request(one, "GET", query())[0])[":authority"] for one in upstreams]
    assert found == ["dns.example", "[::1]"]


# Sharing


def test_asks_share_a_connection(authority: Authority) -> None:
    async def act(here: Scene) -> None:
        for _ in range(3):
            answers = await asyncio.gather(*(here.asker.ask(query(number)) for number in range(100)))
            assert [answer.reply for answer in answers] == [reply_to(query(number)) for number in range(100)]
        assert len(here.server.peers) == 1
        assert (here.asker.count(HITS, "https"), here.asker.count(MISSES, "https")) == (299, 1)

    scene(authority, act)


def test_replies_in_any_order(authority: Authority) -> None:
    held: list[Request] = []

    async def act(here: Scene) -> None:
        futures = [here.asker.begin(query(number))[0] for number in range(20)]
        await until(lambda: len(held) == 20)
        for request in reversed(held):
            request.reply(reply_to(bytes(request.body), str(request.stream_id).encode()))
        answers = [await future for future in futures]
        assert [answer.reply for answer in answers] == [
            reply_to(query(number), str(1 + 2 * number).encode()) for number in range(20)
        ]

    scene(authority, act, held.append)


def test_more_asks_than_streams(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MAX_HTTP2_CONNECTIONS", 2)
    most = 0

    def answer(request: Request) -> None:
        nonlocal most
        waiting[request.peer.number] = waiting.get(request.peer.number, 0) + 1
        most = max(most, waiting[request.peer.number])
        asyncio.get_running_loop().call_later(0.01, reply, request)

    def reply(request: Request) -> None:
        waiting[request.peer.number] -= 1
        request.reply()

    waiting: dict[int, int] = {}

    async def act(here: Scene) -> None:
        answers = await asyncio.gather(*(here.asker.ask(query(number)) for number in range(500)))
        assert [answer.reply for answer in answers] == [reply_to(query(number)) for number in range(500)]
        assert len(here.server.peers) <= 2
        assert most <= MAX_STREAMS

    scene(authority, act, answer)


@pytest.mark.parametrize("limit", [1, 3])
def test_the_server_allows_fewer_streams(authority: Authority, limit: int) -> None:
    def answer(request: Request) -> None:
        asyncio.get_running_loop().call_later(0.005, request.reply)

    async def act(here: Scene) -> None:
        answers = await asyncio.gather(*(here.asker.ask(query(number)) for number in range(50)))
        assert all(answer.reply for answer in answers)
        assert 1 <= len(here.server.peers) <= pool.MAX_HTTP2_CONNECTIONS
        assert not here.server.errors

    scene(authority, act, answer, settings={SettingCodes.MAX_CONCURRENT_STREAMS: limit})


# Long messages


@pytest.mark.parametrize("window", [100, 65535])
def test_long_messages(authority: Authority, window: int) -> None:
    async def act(here: Scene) -> None:
        # The test's server wants its window to be kept to before it has told it.
        assert (await here.asker.ask()).reply
        for size in (1000, 20_000, 65535 - len(query())):
            message = query(1, b"x" * size)
            assert (await here.asker.ask(message)).reply == reply_to(message)

    scene(authority, act, settings={SettingCodes.INITIAL_WINDOW_SIZE: window})


def test_many_long_replies_do_not_use_up_the_window(authority: Authority) -> None:
    async def act(here: Scene) -> None:
        for number in range(20):
            message = query(number, b"x" * 30_000)
            assert (await here.asker.ask(message)).reply == reply_to(message)
        assert len(here.server.peers) == 1

    scene(authority, act)


def test_a_reply_before_the_request_is_read(authority: Authority) -> None:
    async def act(here: Scene) -> None:
        assert (await here.asker.ask()).reply
        message = query(5, b"x" * 60_000)
        future, _ = here.asker.begin(message)
        peer = here.server.peers[0]
        await until(lambda: len(peer.requests) == 2)
        request = peer.requests[3]
        request.reply(reply_to(query(0)))
        assert (await future).reply == reply_to(query(5))
        assert (await here.asker.ask(query(6))).reply == reply_to(query(6))
        assert peer.resets == [request.stream_id]

    # A server that never lets more in.
    scene(authority, act, settings={SettingCodes.INITIAL_WINDOW_SIZE: 1000, SettingCodes.MAX_CONCURRENT_STREAMS: 1},
          hold_window=True)  # fmt: skip


# Responses that do not count


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (partial(Request.reply, status="500"), "unexpected status 500; want 200"),
        (partial(Request.reply, status="204", body=b""), "unexpected status 204; want 200"),
        (partial(Request.reply, status="302"), "unexpected status 302; want 200"),
        (partial(Request.reply, status="500", end=False), "unexpected status 500; want 200"),
        (partial(Request.reply, kind="text/html"),
         'unexpected content type "text/html"; want "application/dns-message"'),
        (partial(Request.reply, kind=None), 'unexpected content type ""; want "application/dns-message"'),
        (partial(Request.reply, body=b"x" * 11), "dns: short read"),
        (partial(Request.reply, body=b""), "dns: short read"),
        (partial(Request.reply, body=b"x" * 65536), "http: response body too large"),
        (partial(Request.reply, body=b"x" * 200_000), "http: response body too large"),
        (partial(Request.reset, code=INTERNAL_ERROR),
         "stream error: stream ID 1; INTERNAL_ERROR; received from peer"),
    ],
    ids=["500", "204", "a redirection", "500 without an end", "HTML", "no type", "short", "empty", "long",
         "very long", "reset"],
)  # fmt: skip
def test_responses_that_do_not_count(authority: Authority, answer: Callable[[Request], None], error: str) -> None:
    async def act(here: Scene) -> None:
        got = await here.asker.ask(query(1))
        assert (got.reply, got.error) == (None, here.error(error))
        # The connection is none the worse.
        here.server.answer = Request.reply
        assert (await here.asker.ask(query(2))).reply == reply_to(query(2))
        assert len(here.server.peers) == 1

    scene(authority, act, answer)


def test_content_types_that_count(authority: Authority) -> None:
    async def act(here: Scene) -> None:
        for kind in ("application/dns-message; charset=utf-8", "Application/DNS-Message"):
            here.server.answer = partial(Request.reply, kind=kind)
            assert (await here.asker.ask()).reply

    scene(authority, act)


def test_the_error_of_get_names_no_query(authority: Authority) -> None:
    async def act(here: Scene) -> None:
        assert (await here.asker.ask()).error == here.error("unexpected status 404; want 200", "Get")

    scene(authority, act, partial(Request.reply, status="404", body=b"?"), "doh_method GET")


def test_an_interim_response_is_none(authority: Authority) -> None:
    def answer(request: Request) -> None:
        request.peer.http.send_headers(request.stream_id, [(":status", "103"), ("link", "</>")])
        request.reply()

    async def act(here: Scene) -> None:
        assert (await here.asker.ask()).reply == reply_to(query())

    scene(authority, act, answer)


# Time, and who takes it


def test_a_silent_server(authority: Authority) -> None:
    async def act(here: Scene) -> None:
        assert (await here.asker.ask(timeout_s=0.2)).error == here.error("context deadline exceeded")
        await until(lambda: here.server.peers[0].resets == [1])
        here.server.answer = Request.reply
        assert (await here.asker.ask()).reply
        assert len(here.server.peers) == 1

    scene(authority, act, silent)


def test_a_connection_on_which_nothing_comes_is_left(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http2, "SILENCE_S", 0.1)

    async def act(here: Scene) -> None:
        assert (await here.asker.ask()).reply
        here.server.answer = silent
        # So that what was said before is over.
        await asyncio.sleep(0.05)
        assert (await here.asker.ask(timeout_s=0.2)).error == here.error("context deadline exceeded")
        here.server.answer = Request.reply
        assert (await here.asker.ask()).reply
        assert len(here.server.peers) == 2
        await until(lambda: here.server.open == 1)

    scene(authority, act)


def test_cancelling_tells_the_server(authority: Authority) -> None:
    async def act(here: Scene) -> None:
        answer, cancel = here.asker.begin()
        other, _ = here.asker.begin(query(2))
        await until(lambda: len(here.server.requests) == 2)
        cancel()
        await until(lambda: here.server.peers[0].resets == [1])
        here.server.requests[1].reply()
        assert (await other).reply == reply_to(query(2))
        assert not answer.done()

    scene(authority, act, silent)


def test_what_comes_after_cancelling_is_skipped(authority: Authority) -> None:
    async def act(here: Scene) -> None:
        answer, cancel = here.asker.begin()
        await until(lambda: len(here.server.requests) == 1)
        here.server.requests[0].reply(b"x" * 60_000, end=False)
        cancel()
        await asyncio.sleep(0.05)
        here.server.answer = Request.reply
        assert (await here.asker.ask(query(2))).reply == reply_to(query(2))
        assert not answer.done()
        assert len(here.server.peers) == 1

    scene(authority, act, silent)


def test_closing_ends_every_ask(authority: Authority) -> None:
    async def act(here: Scene) -> None:
        answers = [here.asker.begin()[0] for _ in range(5)]
        await until(lambda: len(here.server.requests) == 5)
        answers.append(here.asker.begin()[0])
        await here.asker.streams.close()
        assert {(await answer).error for answer in answers} == {here.error(STOPPED)}

    scene(authority, act, silent)


# Connections that end


def test_an_idle_connection_expires(authority: Authority) -> None:
    async def act(here: Scene) -> None:
        assert (await here.asker.ask()).reply
        await until(lambda: here.server.open == 0)
        assert (await here.asker.ask()).reply
        assert len(here.server.peers) == 2

    scene(authority, act, options="expire 100ms")


def test_an_old_connection_takes_no_more_asks(authority: Authority) -> None:
    async def act(here: Scene) -> None:
        first, _ = here.asker.begin(query(1))
        await until(lambda: len(here.server.requests) == 1)
        await asyncio.sleep(0.25)
        here.server.answer = Request.reply
        assert (await here.asker.ask(query(2))).reply == reply_to(query(2))
        assert len(here.server.peers) == 2
        # The one on it still has its reply.
        here.server.requests[0].reply()
        assert (await first).reply == reply_to(query(1))
        await until(lambda: here.server.open == 1)

    scene(authority, act, silent, "expire 100ms;max_age 200ms")


def test_goaway_of_an_idle_connection_costs_nothing(authority: Authority) -> None:
    async def act(here: Scene) -> None:
        assert (await here.asker.ask()).reply
        here.server.peers[0].http.close_connection()
        here.server.peers[0].flush()
        await until(lambda: here.server.open == 0)
        assert (await here.asker.ask()).reply

    scene(authority, act)


def goaway(request: Request) -> None:
    """As nginx does after so many requests: the last replies, and GOAWAY."""
    request.peer.http.close_connection()
    request.peer.flush()


def test_asks_that_goaway_leaves_are_asked_again(authority: Authority) -> None:
    def answer(request: Request) -> None:
        if request.peer.number == 1:
            if len(request.peer.requests) == 10:
                goaway(request)
        else:
            request.reply()

    async def act(here: Scene) -> None:
        answers = await asyncio.gather(*(here.asker.ask(query(number)) for number in range(10)))
        assert [one.reply for one in answers] == [reply_to(query(number)) for number in range(10)]
        assert len(here.server.peers) == 2

    scene(authority, act, answer)


def test_a_reply_together_with_goaway_counts(authority: Authority) -> None:
    def answer(request: Request) -> None:
        request.peer.http.send_headers(
            request.stream_id, [(":status", "200"), ("content-type", "application/dns-message")]
        )
        request.peer.http.send_data(request.stream_id, reply_to(bytes(request.body)), end_stream=True)
        goaway(request)

    async def act(here: Scene) -> None:
        for number in range(3):
            assert (await here.asker.ask(query(number))).reply == reply_to(query(number))
        assert len(here.server.requests) == 3

    scene(authority, act, answer)


def test_goaway_each_time_is_an_error_in_the_end(authority: Authority) -> None:
    async def act(here: Scene) -> None:
        error = "http2: server sent GOAWAY and closed the connection; ErrCode=NO_ERROR"
        assert (await here.asker.ask()).error == here.error(error)
        assert len(here.server.requests) == 2

    scene(authority, act, goaway)


def test_a_refused_stream_is_asked_again(authority: Authority) -> None:
    def answer(request: Request) -> None:
        request.reset(ErrorCodes.REFUSED_STREAM) if len(request.peer.server.requests) == 1 else request.reply()

    async def act(here: Scene) -> None:
        assert (await here.asker.ask()).reply == reply_to(query())
        here.server.answer = partial(Request.reset, code=ErrorCodes.REFUSED_STREAM)
        text = (await here.asker.ask()).error
        assert text.endswith("REFUSED_STREAM; received from peer")

    scene(authority, act, answer)


def test_a_connection_that_breaks_with_asks_on_it(authority: Authority) -> None:
    async def act(here: Scene) -> None:
        here.server.answer = lambda request: request.peer.transport.abort()
        error = (await here.asker.ask()).error
        assert error == here.error("EOF") or error.endswith("read: connection reset by peer")
        # After a reply the ask is worth another try.
        here.server.answer = Request.reply
        assert (await here.asker.ask()).reply

        def break_once(request: Request) -> None:
            here.server.answer = Request.reply
            request.peer.transport.abort()

        here.server.answer = break_once
        assert (await here.asker.ask()).reply

    scene(authority, act)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n" * 80_000,
        b"\xff" * 2_000_000,
        b"\0\0\x04\x08\0\0\0\0\0\0\0\0\0",
        b"\0\x40\0\0\0\0\0\0\1" + bytes(0x4000),
        b"\0\0\x05\1\4\0\0\0\1\xff\xff\xff\xff\xff",
    ],
    ids=["HTTP/1.1", "garbage", "a window of nothing", "data before headers", "bad compression"],
)
def test_a_server_that_breaks_the_rules(authority: Authority, data: bytes) -> None:
    async def act(here: Scene) -> None:
        here.server.answer = lambda request: request.peer.send_raw(data)
        error = (await here.asker.ask()).error
        assert error.startswith(here.error("http2: "))
        await until(lambda: here.server.open == 0)
        here.server.answer = Request.reply
        assert (await here.asker.ask()).reply

    scene(authority, act)


def test_a_connection_that_is_out_of_step_is_left(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http2, "SILENCE_S", 0.1)

    async def act(here: Scene) -> None:
        # The head of a frame that never ends.
        here.server.answer = lambda request: request.peer.send_raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        asks = [here.asker.begin(timeout_s=0.2)[0]]
        await asyncio.sleep(0.15)
        asks.append(here.asker.begin(timeout_s=0.2)[0])
        assert {(await ask).error for ask in asks} == {here.error("context deadline exceeded")}
        here.server.answer = Request.reply
        assert (await here.asker.ask()).reply
        await until(lambda: here.server.open == 1)

    scene(authority, act)


class Unread:
    """A transport whose peer has left more unread than may be."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    def get_write_buffer_size(self) -> int:
        return MAX_UNSENT_BYTES + 1


def test_a_server_that_does_not_read_is_left(authority: Authority) -> None:
    async def act(here: Scene) -> None:
        assert (await here.asker.ask()).reply
        (connection,) = here.asker.streams.pools[0].connections
        connection.transport = Unread(connection.transport)  # type: ignore[assignment]
        answers = await asyncio.gather(*(here.asker.ask() for _ in range(3)))
        assert {answer.error for answer in answers} == {
            here.error(f"write tcp {connection.local}->{here.at}: i/o timeout")
        }
        assert (await here.asker.ask()).reply
        assert len(here.server.peers) == 2

    scene(authority, act)


# Servers that are none


@pytest.mark.parametrize("alpn", [None, "http/1.1"])
def test_a_server_without_http2(authority: Authority, alpn: str | None) -> None:
    async def act(here: Scene) -> None:
        answers = await asyncio.gather(*(here.asker.ask() for _ in range(3)))
        assert {answer.error for answer in answers} == {
            here.error('http2: unexpected ALPN protocol ""; want "h2"')
        }
        await until(lambda: here.server.open == 0)

    scene(authority, act, alpn=alpn)


def test_a_server_with_another_name(authority: Authority) -> None:
    async def act(here: Scene) -> None:
        error = "tls: failed to verify certificate: x509: certificate is not valid for other.example"
        assert (await here.asker.ask()).error == here.error(error)
        assert not here.server.requests

    scene(authority, act, server_name="other.example")


@on_uvloop
async def test_nobody_listens(authority: Authority) -> None:
    async with asking(Upstream("https", "127.0.0.1", 9)) as asker:
        answers = await asyncio.gather(*(asker.ask() for _ in range(5)))
        assert {answer.error for answer in answers} == {
            'Post "https://127.0.0.1:9/dns-query": dial tcp 127.0.0.1:9: connect: connection refused'
        }
        assert asker.count(MISSES, "https") == 1


# Memory


@pytest.mark.parametrize(("transport", "imported"), [("dns", False), ("tls", False), ("https", True)])
def test_http2_is_imported_where_it_is_used(transport: str, imported: bool, tmp_path: Path) -> None:
    script = f"""
import asyncio, sys
from fastdns.plugins.forward.config import Address, Stanza
from fastdns.plugins.forward.streams import Streams
from fastdns.plugins.forward.upstreams import resolve
stanza = Stanza(".", (Address("{transport}", "127.0.0.1", 9),))
Streams(resolve(stanza), stanza, asyncio.new_event_loop())
print("h2" in sys.modules, "dnslib" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(imported), "False"]
