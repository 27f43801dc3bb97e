"""Asks over HTTP/3 to upstreams that are rude, stop, or are not ours: what asks end with, and that others go on."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("qh3")

from qh3.h3.connection import ErrorCode, FrameType, StreamType, encode_frame, encode_uint_var

from fastdns.plugins.forward.pool import MISSES
from fastdns.plugins.forward.upstreams import Upstream
from fastdns.transports.doh3 import Doh3Connection
from fastdns.transports.places import Places
from tests.plugins.beside import COREDNS, CoreDNS
from tests.plugins.forward.certificates import Authority
from tests.plugins.forward.support import Asker, asking, on_uvloop, query, reply_to
from tests.support import Server, free_port
from tests.transports import test_doh3

TYPE = (b"content-type", b"application/dns-message")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    authority = Authority(tmp_path_factory.mktemp("https3"))
    authority.issue("server", ("dns.example", "127.0.0.1"))
    return authority


class Rude(Doh3Connection):
    """A connection of an upstream that first does as acts say, one for each request, and then replies."""

    acts: list[Act]

    def __init__(self, *args: Any, acts: list[Act], **options: Any) -> None:
        super().__init__(*args, **options)
        self.acts = acts

    def reply(self, stream: int, reply: bytes) -> None:
        if not self.acts:
            super().reply(stream, reply)
            return
        self.acts.pop(0)(self, stream, reply)
        self.written += 1

    def raw(self, stream: int, *frames: bytes, ended: bool = True) -> None:
        """Send frames on a stream."""
        self.session.send_stream_data(stream, b"".join(frames), ended)

    def fields(self, *fields: tuple[bytes, bytes]) -> bytes:
        """A frame of fields."""
        assert self.http is not None
        return encode_frame(FrameType.HEADERS, self.http._encode_headers(0, list(fields)))

    def tell(self, kind: int, content: bytes) -> None:
        """Send a frame about the connection."""
        assert self.http is not None
        self.raw(self.http._local_control_stream_id, encode_frame(kind, content), ended=False)

    def reset(self, stream: int, code: int) -> None:
        self.session.reset_stream(stream, code)

    def end_control(self) -> None:
        """Reset the control stream, once what it has said has arrived."""
        assert self.http is not None
        if self.session.in_flight:
            self.loop.call_later(0.005, self.end_control)
        else:
            self.reset(self.http._local_control_stream_id, 0)
            self.transmit()

    def push(self) -> None:
        assert self.http is not None
        stream = self.http._create_uni_stream(StreamType.PUSH)
        self.raw(stream, encode_uint_var(0), self.fields((b":status", b"200"), TYPE))


Act = Callable[[Rude, int, bytes], object]
DATA, HEAD = partial(encode_frame, FrameType.DATA), ((b":status", b"200"), TYPE)
# A type of frame that means nothing (RFC 9114 section 7.2.8).
NOTHING = 0x21


Test = Callable[[test_doh3.Serving, Asker], Any]


def serving_as(authority: Authority, kind: Callable[..., Doh3Connection]) -> test_doh3.Serving:
    """An upstream with connections of this kind."""
    serving = test_doh3.Serving(authority, lambda message, *_: reply_to(message))
    serving.kind = kind
    return serving


def run(authority: Authority, serving: test_doh3.Serving, test: Test, options: str = "") -> None:
    """Run a test with an upstream."""
    with serving:

        @on_uvloop
        async def on_loop() -> None:
            upstream = Upstream("https3", "127.0.0.1", serving.port, "dns.example")
            async with asking(upstream, options, str(authority.ca)) as asker:
                await test(serving, asker)

        on_loop()


def rude(authority: Authority, acts: list[Act], test: Test) -> None:
    """Run a test with an upstream that acts so."""
    run(authority, serving_as(authority, partial(Rude, places=Places(100), acts=acts)), test)


def well(one: Rude, stream: int, reply: bytes) -> None:
    """As is right."""
    Doh3Connection.reply(one, stream, reply)


@dataclass(frozen=True)
class Wrong:
    """What an upstream does with its first request; what the ask is told. closes: the connection is over then."""

    act: Act
    error: str
    closes: bool = False


WRONG = {
    "a status": Wrong(
        lambda one, stream, _: one.respond(stream, 404, [TYPE], b"x"), "unexpected status 404; want 200"
    ),
    "a type": Wrong(
        lambda one, stream, reply: one.respond(stream, 200, [(b"content-type", b"text/html")], reply),
        'unexpected content type "text/html"; want "application/dns-message"',
    ),
    "no type": Wrong(lambda one, stream, reply: one.respond(stream, 200, [], reply), 'unexpected content type ""'),
    "no body": Wrong(lambda one, stream, _: one.respond(stream, 200, [TYPE], b""), "dns: short read"),
    "a short body": Wrong(lambda one, stream, _: one.respond(stream, 200, [TYPE], b"x"), "dns: short read"),
    "too much": Wrong(
        lambda one, stream, _: one.respond(stream, 200, [TYPE], bytes(65536)), "http: response body too large"
    ),
    "frames of nothing": Wrong(
        lambda one, stream, _: one.raw(stream, encode_frame(NOTHING, bytes(250_000))),
        "http: response body too large",
    ),
    "no response": Wrong(lambda one, stream, _: one.raw(stream), "a response that is not whole"),
    "half a frame": Wrong(lambda one, stream, _: one.raw(stream, one.fields(*HEAD)[:-1]), "not whole"),
    "half a body": Wrong(
        lambda one, stream, _: one.raw(
            stream, one.fields(*HEAD, (b"content-length", b"20")), DATA(b"x" * 20)[:-1]
        ),
        "a response that is not whole",
    ),
    "a body first": Wrong(lambda one, stream, _: one.raw(stream, DATA(b"x" * 12)), "error code 261", closes=True),
    "no status": Wrong(lambda one, stream, _: one.raw(stream, one.fields(TYPE)), "error code 270", closes=True),
    "too many fields": Wrong(
        lambda one, stream, _: one.raw(stream, encode_frame(FrameType.HEADERS, bytes(70_000))), "error code 263",
        closes=True,
    ),
    "fields of a table that is empty": Wrong(
        lambda one, stream, _: one.raw(stream, encode_frame(FrameType.HEADERS, b"\x00\x00\xff\xff")),
        "error code 512", closes=True,
    ),
    "a reset": Wrong(lambda one, stream, _: one.reset(stream, 0x102), "canceled by remote with error code 258"),
    "the end of the control stream": Wrong(
        lambda one, stream, _: one.loop.call_soon(one.end_control), "error code 260", closes=True
    ),
    "half a setting": Wrong(lambda one, stream, _: one.tell(FrameType.GOAWAY, b""), "error code 262", closes=True),
    "a long frame about the connection": Wrong(
        lambda one, stream, _: one.raw(
            one.http._local_control_stream_id, encode_frame(NOTHING, bytes(60_000))[:-1], ended=False
        ),
        "http3: frame too large", closes=True,
    ),
    "a push": Wrong(lambda one, stream, _: one.push(), "a push that was not asked for", closes=True),
    "the end": Wrong(lambda one, stream, _: one.close("drained"), "error code 256", closes=True),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_what_is_wrong(authority: Authority, wrong: Wrong) -> None:
    """The ask is told so, and the next one has its reply: over the same connection, if that is not over."""

    async def test(serving: test_doh3.Serving, asker: Asker) -> None:
        answer = await asker.ask()
        assert answer.reply is None and wrong.error in answer.error, answer
        assert answer.error.startswith(f'Post "https://127.0.0.1:{serving.port}/dns-query": ')
        assert (await asker.ask(query(2))).reply == reply_to(query(2))
        assert asker.ended == 2 and asker.count(MISSES, "https") == 1 + wrong.closes

    rude(authority, [wrong.act], test)


RIGHT: dict[str, Act] = {
    "a status of 103 before": lambda one, stream, reply: one.raw(
        stream, one.fields((b":status", b"103"), (b"link", b"</>")), one.fields(*HEAD), DATA(reply)
    ),
    "fields behind": lambda one, stream, reply: one.raw(
        stream, one.fields(*HEAD), DATA(reply), one.fields((b"a", b"b"))
    ),
    "a type with parameters": lambda one, stream, reply: one.respond(
        stream, 200, [(b"content-type", b"Application/DNS-message; charset=utf-8")], reply
    ),
    "a byte a frame": lambda one, stream, reply: one.raw(
        stream, one.fields(*HEAD), *(DATA(reply[at : at + 1]) for at in range(len(reply)))
    ),
    "frames of nothing between": lambda one, stream, reply: one.raw(
        stream, encode_frame(NOTHING, b"x"), one.fields(*HEAD), encode_frame(NOTHING, b"x"), DATA(reply),
        encode_frame(NOTHING, b"x"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("act", RIGHT.values(), ids=RIGHT)
def test_what_is_right(authority: Authority, act: Act) -> None:
    async def test(serving: test_doh3.Serving, asker: Asker) -> None:
        assert (await asker.ask()).reply == reply_to(query())

    rude(authority, [act], test)


def test_a_request_that_was_not_looked_at_is_sent_again(authority: Authority) -> None:
    """Once (RFC 9114 section 4.1.1)."""

    async def test(serving: test_doh3.Serving, asker: Asker) -> None:
        assert (await asker.ask()).reply == reply_to(query())
        assert "error code 267" in (await asker.ask()).error

    def reject(one: Rude, stream: int, reply: bytes) -> None:
        one.reset(stream, ErrorCode.H3_REQUEST_REJECTED)

    rude(authority, [reject, well, reject, reject], test)


@pytest.mark.parametrize("looked_at", [True, False])
def test_an_upstream_that_goes_away(authority: Authority, looked_at: bool) -> None:
    """What it has looked at has its reply; what not is sent again over another connection, as all that follow."""

    def go_away(one: Rude, stream: int, reply: bytes) -> None:
        one.tell(FrameType.GOAWAY, encode_uint_var(stream + 4 if looked_at else stream))
        if looked_at:
            Doh3Connection.reply(one, stream, reply)

    async def test(serving: test_doh3.Serving, asker: Asker) -> None:
        assert (await asker.ask(query(1))).reply == reply_to(query(1))
        assert (await asker.ask(query(2))).reply == reply_to(query(2))
        assert (await asker.ask(query(3))).reply == reply_to(query(3))
        assert asker.count(MISSES, "https") == 2 and len(asker.streams.pools[0].connections) == 1

    rude(authority, [well, go_away], test)


def test_requests(authority: Authority) -> None:
    """GET has the message in the path; both have its ID 0."""
    paths: list[bytes] = []

    class Noting(Doh3Connection):
        def headers(self, stream: int, headers: list[tuple[bytes, bytes]]) -> None:
            paths.append(dict(headers)[b":path"])
            super().headers(stream, headers)

    async def test(serving: test_doh3.Serving, asker: Asker) -> None:
        assert (await asker.ask(query(7))).reply == reply_to(query(7))

    for options in ("doh_method GET", "doh_method POST"):
        run(authority, serving_as(authority, partial(Noting, places=Places(100))), test, options)
    encoded = base64.urlsafe_b64encode(query(0)).rstrip(b"=")
    assert paths == [b"/dns-query?dns=" + encoded, b"/dns-query"]


# Whole servers

UPSTREAM = """\
.:DNS_PORT {
    bind 127.0.0.1
}
https3://.:OTHER_PORT {
    bind 127.0.0.1
    tls server.crt server.key
    template IN A . {
        answer "{{ .Name }} 60 IN A 192.0.2.1"
    }
}
"""


def put(authority: Authority, folder: Path) -> None:
    """The server's certificate and key, into a folder."""
    for name in ("server.crt", "server.key"):
        (folder / name).write_bytes((authority.directory / name).read_bytes())


def test_coredns(tmp_path: Path, authority: Authority) -> None:
    """HTTP/3 as quic-go has it."""
    if COREDNS is None:
        pytest.skip("coredns is not on PATH")
    put(authority, tmp_path)
    port = free_port()
    with CoreDNS(tmp_path, UPSTREAM.replace("OTHER_PORT", str(port))):

        @on_uvloop
        async def ask() -> None:
            upstream = Upstream("https3", "127.0.0.1", port, "dns.example")
            for method in ("GET", "POST"):
                async with asking(upstream, f"doh_method {method}", str(authority.ca)) as asker:
                    while (first := await asker.ask()).reply is None:
                        # CoreDNS is not there yet.
                        assert "refused" in first.error, first.error
                        await asyncio.sleep(0.02)
                    answers = await asyncio.gather(*[asker.begin(query(number))[0] for number in range(90)])
                    assert all(one.reply is not None and one.reply.endswith(b"\xc0\0\2\1") for one in answers)

        ask()


def test_an_upstream_that_is_killed(tmp_path: Path, authority: Authority) -> None:
    """A worker in whose place comes another; then the whole server, which is there again later."""
    put(authority, tmp_path)
    server = Server(tmp_path, UPSTREAM, workers=1)

    @on_uvloop
    async def ask() -> None:
        upstream = Upstream("https3", "127.0.0.1", server.ports["OTHER_PORT"], "dns.example")
        async with asking(upstream, "", str(authority.ca)) as asker:
            with server:
                assert (await asker.ask()).reply is not None
                (worker,) = server.pids().workers.values()
                os.kill(worker, signal.SIGKILL)
                assert (await asker.ask()).reply is not None
                for pid in (server.process.pid, *server.pids().workers.values()):
                    os.kill(pid, signal.SIGKILL)
                answer = await asker.ask(timeout_s=2)
                assert answer.reply is None and answer.error
            with server:
                assert (await asker.ask()).reply is not None
                assert asker.count(MISSES, "https") >= 3

    ask()
