"""DNS over QUIC on real sockets: questions and replies, what breaks the protocol, what clients may take."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("qh3")

import uvloop
from qh3.quic.packet import QuicErrorCode

from fastdns import servertls
from fastdns.metrics._stats import Stats
from fastdns.metrics.handshakes import HandshakeCounts
from fastdns.servertls import ServerTls
from fastdns.transports import clients, quic
from fastdns.transports._slow import PARKED
from fastdns.transports.clients import Clients
from fastdns.transports.doq import (
    EXCESSIVE_LOAD,
    INTERNAL_ERROR,
    NO_ERROR,
    PROTOCOL_ERROR,
    STREAM_BYTES,
    DoqConnection,
)
from fastdns.transports.limits import Limits
from fastdns.transports.places import Places
from fastdns.transports.quic import Connections, QuicEndpoint
from fastdns.transports.quic_connection import Pool, QuicConnection
from fastdns.transports.quic_ids import Owner, owner_of
from fastdns.transports.quic_session import Configuration
from fastdns.transports.quic_tls import QuicTls
from fastdns.transports.stream import MAX_WAITING
from fastdns.transports.table import QUIC
from tests.plugins.forward.certificates import Authority
from tests.transports.quic_client import QuicClient
from tests.transports.support import frame

MESSAGE = bytes(2) + b"\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1"


def echo(message: bytes, client: bytes, port: int, deliver: object) -> object:
    return b"re:" + message


class Serving:
    """A worker's QUIC on the loop of a thread: one socket a worker, as many as there are owners."""

    transport = QUIC
    uni_streams = 0
    stream_bytes = STREAM_BYTES

    def __init__(
        self,
        authority: Authority,
        serve: Callable[..., object] = echo,
        owners: tuple[Owner, ...] = (Owner(0, 1),),
        max_connections: int = 100,
        max_streams: int = 256,
        pool: int = 1000,
        max_held_bytes: int = clients.MAX_HELD_BYTES,
        **limits: Any,
    ) -> None:
        self.files = ServerTls(str(authority.directory / "server.crt"), str(authority.directory / "server.key"))
        self.serve = serve
        self.owners = owners
        self.max_connections = max_connections
        self.max_streams = max_streams
        self.pool = pool
        self.max_held_bytes = max_held_bytes
        self.limits = Limits(**limits)
        self.counted: list[int] = []
        self.kind: type[QuicConnection] = DoqConnection
        self.places = Places(0)
        self.started = threading.Event()
        self.thread = threading.Thread(target=lambda: uvloop.run(self.main()))

    async def main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.end = asyncio.Event()
        self.stats = Stats(1)
        self.handshakes = HandshakeCounts()
        self.clients = Clients(self.loop, self.max_connections, self.stats, 0, self.max_held_bytes)
        configuration = QuicTls(
            self.files, self.transport.alpn, Configuration, idle_timeout=self.limits.idle_s,
            max_streams=self.max_streams, max_uni_streams=self.uni_streams,
            max_data=2 * self.stream_bytes, max_stream_data=self.stream_bytes,
        )  # fmt: skip
        pool = Pool(self.loop, self.pool)

        def connect(*args: Any, **options: Any) -> QuicConnection:
            return self.kind(
                *args, serve=self.serve, limits=self.limits, clients=self.clients, pool=pool, places=self.places,
                count=self.counted.append, **options,
            )  # fmt: skip

        self.workers = [Connections(self.loop, one, len(self.owners), self.handshakes) for one in self.owners]
        self.endpoints = []
        for worker in self.workers:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            sock.bind(("127.0.0.1", 0))
            self.endpoints.append(QuicEndpoint(sock, worker, configuration.current, connect))
        self.ports = [endpoint.sock.getsockname()[1] for endpoint in self.endpoints]
        self.port = self.ports[0]
        self.started.set()
        await self.end.wait()
        for endpoint in self.endpoints:
            endpoint.close()
        for worker in self.workers:
            worker.close()
        self.clients.timer.cancel()

    def on_loop(self, call: Callable[[], Any]) -> Any:
        """What call returns, on the thread of the loop."""

        async def run() -> Any:
            return call()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(5)

    def wait(self, until: Callable[[], object]) -> None:
        ends = time.monotonic() + 5
        while not self.on_loop(until):
            assert time.monotonic() < ends
            time.sleep(0.005)

    def __enter__(self) -> Serving:
        self.thread.start()
        assert self.started.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.end.set)
        self.thread.join(5)
        servertls.SERVED.pop((self.files, self.transport.alpn))


@pytest.fixture(autouse=True)
def quick_checks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(clients, "CHECK_S", 0.05)
    monkeypatch.setattr(quic, "CHECK_S", 0.05)
    yield


# Questions and replies


def test_questions(authority: Authority) -> None:
    """Each on a stream of its own, the longest as well; the certificate is the server's."""
    with Serving(authority) as serving:
        client = QuicClient(serving.port, str(authority.ca)).connect()
        messages = [MESSAGE, MESSAGE + b"x", MESSAGE + random.randbytes(20_000)]
        assert client.ask(*messages) == [frame(b"re:" + message) for message in messages]
        for _ in range(300):
            assert client.ask(MESSAGE) == [frame(b"re:" + MESSAGE)]
        assert serving.counted == [0] * 303
        client.close()
        serving.wait(lambda: not serving.clients.busy)
        assert serving.handshakes.sums()["1.3", "no"] == 1


def test_another_name_or_protocol(authority: Authority) -> None:
    with Serving(authority) as serving:
        client = QuicClient(serving.port, str(authority.ca), name="other.example").connect()
        assert not client.shaken
        client = QuicClient(serving.port, str(authority.ca), alpn="h3").connect()
        assert not client.shaken and client.close_code in (0x100 + 40, 0x100 + 120)
        serving.wait(lambda: not serving.workers[0].half_open)
        assert serving.handshakes.sums()["no_common",] == 1, serving.handshakes.sums()


def test_answers_out_of_order_and_given_up(authority: Authority) -> None:
    """Who waits does not hold up others; a stream that is given up gets nothing, and its deliver says so."""
    waiting: list[Any] = []
    told: list[object] = []

    def serve(message: bytes, client: bytes, port: int, deliver: Any) -> object:
        if message.endswith(b"wait"):
            waiting.append(deliver)
            return PARKED
        return b"re:" + message

    with Serving(authority, serve) as serving:
        client = QuicClient(serving.port).connect()
        first, second = (client.stream(frame(MESSAGE + b"wait")) for _ in range(2))
        assert client.ask(MESSAGE) == [frame(b"re:" + MESSAGE)]
        serving.wait(lambda: len(waiting) == 2)
        client.quic.reset_stream(first, 3)
        client.quic.stop_stream(first, 3)
        client.ask(MESSAGE)
        serving.on_loop(lambda: told.extend(deliver(b"late") for deliver in waiting))
        client.run(lambda: second in client.ended)
        assert client.data[second] == frame(b"late") and first not in client.data
        assert told == [False, True]


def test_silence_is_a_reset_of_the_stream(authority: Authority) -> None:
    with Serving(authority, lambda *_: None) as serving:
        client = QuicClient(serving.port).connect()
        client.ask(MESSAGE)
        assert list(client.resets.values()) == [INTERNAL_ERROR] and not client.over


KEEPALIVE = MESSAGE[:10] + b"\0\1" + MESSAGE[12:] + b"\0\0\x29\x04\xd0\0\0\0\0\0\4\0\x0b\0\0"
PADDED = MESSAGE[:10] + b"\0\1" + MESSAGE[12:] + b"\0\0\x29\x04\xd0\0\0\0\0\0\4\0\x0c\0\0"
WRONG = {
    "an ID that is not 0": frame(b"\0\1" + MESSAGE[2:]),
    "the option edns-tcp-keepalive": frame(KEEPALIVE),
    "less than its length says": frame(MESSAGE)[:-1],
    "a length alone": b"\0\5",
    "half a length": b"\0",
    "nothing": b"",
    "length 0": b"\0\0",
    "two messages": frame(MESSAGE) * 2,
    "no message": frame(b"\0\0abc"),
}


@pytest.mark.parametrize("data", WRONG.values(), ids=WRONG)
def test_a_wrong_stream_ends_the_connection(authority: Authority, data: bytes) -> None:
    """RFC 9250 section 4.3.3: DOQ_PROTOCOL_ERROR."""
    with Serving(authority) as serving:
        client = QuicClient(serving.port).connect()
        assert client.ask(PADDED) == [frame(b"re:" + PADDED)]
        client.stream(data)
        client.run(lambda: client.over)
        assert client.close_code == PROTOCOL_ERROR and serving.counted[-1] == 2
        serving.wait(lambda: not serving.clients.busy)


def test_a_stream_that_does_not_end(authority: Authority) -> None:
    """A whole question without FIN is none; half questions have as long as the first one of TCP."""
    with Serving(authority, read_s=0.3) as serving:
        client = QuicClient(serving.port).connect()
        client.stream(frame(MESSAGE), ended=False)
        assert client.ask(MESSAGE) == [frame(b"re:" + MESSAGE)]
        client.run(lambda: client.over)
        assert client.close_code == PROTOCOL_ERROR and serving.counted == [0, 2]


def test_byte_by_byte(authority: Authority) -> None:
    with Serving(authority) as serving:
        client = QuicClient(serving.port).connect()
        stream = client.stream(b"", ended=False)
        for at, byte in enumerate(data := frame(MESSAGE)):
            client.quic.send_stream_data(stream, bytes([byte]), at == len(data) - 1)
            client.step()
        client.run(lambda: stream in client.ended)
        assert client.data[stream] == frame(b"re:" + MESSAGE)


def believe(client: QuicClient, streams: int, unidirectional: int) -> None:
    """Make a client think that it may have so many streams."""
    core: Any = client.quic._core
    core.apply_peer_transport_parameters(*[1 << 20] * 4, streams, unidirectional, 3, 0.025, 10.0, None)


def test_streams_of_the_client_s_own_kind(authority: Authority) -> None:
    """RFC 9250 section 4.3.3: unidirectional streams are an error. None are allowed, so QUIC says so."""
    with Serving(authority) as serving:
        client = QuicClient(serving.port).connect()
        believe(client, 999, 999)
        client.quic.send_stream_data(client.quic.get_next_available_stream_id(True), frame(MESSAGE), True)
        client.run(lambda: client.over)
        assert client.close_code == QuicErrorCode.STREAM_LIMIT_ERROR


# What clients may take


def test_streams_are_bounded(authority: Authority) -> None:
    """No more at a time than max_streams; one more is possible when one is over."""
    waiting: list[Any] = []

    def serve(message: bytes, client: bytes, port: int, deliver: Any) -> object:
        waiting.append(deliver)
        return PARKED

    with Serving(authority, serve, max_streams=5) as serving:
        client = QuicClient(serving.port).connect()
        streams = [client.stream(frame(MESSAGE)) for _ in range(5)]
        client.run(lambda: len(waiting) == 5)
        with pytest.raises(ValueError, match="limit 5"):
            client.stream(frame(MESSAGE))
        serving.on_loop(lambda: [deliver(b"x") for deliver in waiting[:3]])
        client.run(lambda: client.quic.max_concurrent_bidi_streams == 8)
        # The one that was refused has taken a number.
        streams += [client.stream(frame(MESSAGE)) for _ in range(2)]
        client.run(lambda: len(waiting) == 7)
        serving.on_loop(lambda: [deliver(b"x") for deliver in waiting[3:]])
        client.run(lambda: client.ended.issuperset(streams))
        # Who ignores the bound is told so.
        rude = QuicClient(serving.port).connect()
        believe(rude, 999, 0)
        for _ in range(40):
            rude.stream(frame(MESSAGE))
        rude.run(lambda: rude.over)
        assert rude.close_code == QuicErrorCode.STREAM_LIMIT_ERROR


@pytest.mark.parametrize("how", ["reset", "stopped"])
def test_streams_that_are_given_up_make_room(authority: Authority, how: str) -> None:
    """RFC 9000 section 3.5: the server's side of a stream ends as well; else a client has none left some day."""

    def serve(message: bytes, client: bytes, port: int, deliver: Any) -> object:
        return PARKED

    with Serving(authority, serve, max_streams=5) as serving:
        client = QuicClient(serving.port).connect()
        for _ in range(20):
            client.run(lambda: client.quic._core.stream_limits[0] > client.quic._core.stream_limits[2])
            stream = client.stream(frame(MESSAGE), ended=how == "stopped")
            if how == "reset":
                client.quic.reset_stream(stream, 0)
            else:
                client.quic.stop_stream(stream, 0)


def test_questions_that_are_given_up_count_until_they_are_answered(authority: Authority) -> None:
    """Else one connection could have as many as it likes worked on."""
    waiting: list[Any] = []

    def serve(message: bytes, client: bytes, port: int, deliver: Any) -> object:
        waiting.append(deliver)
        return PARKED

    with Serving(authority, serve) as serving:
        client = QuicClient(serving.port).connect()
        for most in [*range(1, MAX_WAITING + 1), *[MAX_WAITING] * MAX_WAITING]:
            stream = client.stream(frame(MESSAGE))
            client.run(lambda most=most: len(waiting) == most)
            client.quic.stop_stream(stream, 0)
        assert not serving.on_loop(lambda: [deliver(b"x") for deliver in waiting[:5]]).count(True)
        for _ in range(5):
            client.stream(frame(MESSAGE))
        client.run(lambda: len(waiting) == MAX_WAITING + 5)


def test_the_pool_is_for_all_connections(authority: Authority) -> None:
    """worker_pool_size: other questions wait, and none is lost."""
    waiting: list[Any] = []

    def serve(message: bytes, client: bytes, port: int, deliver: Any) -> object:
        waiting.append(deliver)
        return PARKED

    with Serving(authority, serve, pool=3) as serving:
        some = [QuicClient(serving.port).connect() for _ in range(3)]
        streams = [[client.stream(frame(MESSAGE)) for _ in range(3)] for client in some]
        for client in some:
            client.send()
        serving.wait(lambda: len(waiting) == 3 and sum(len(one.ready) for one in serving.clients.open) == 6)
        for _ in range(9):
            serving.wait(lambda: waiting)
            assert serving.on_loop(lambda: len(waiting)) <= 3
            serving.on_loop(lambda: waiting.pop(0)(b"x"))
        for client, of_client in zip(some, streams, strict=True):
            client.run(lambda client=client, of_client=of_client: client.ended.issuperset(of_client))


def test_places(authority: Authority) -> None:
    """Connections take the places of TCP's, and the client with the most loses one: DOQ_EXCESSIVE_LOAD."""
    with Serving(authority, max_connections=3) as serving:
        greedy = [QuicClient(serving.port).connect() for _ in range(3)]
        modest = QuicClient(serving.port, local="127.0.0.2").connect()
        assert modest.ask(MESSAGE) == [frame(b"re:" + MESSAGE)]
        greedy[0].run(lambda: greedy[0].over)
        assert greedy[0].close_code == EXCESSIVE_LOAD
        assert greedy[1].ask(MESSAGE) == [frame(b"re:" + MESSAGE)]
        assert serving.stats.closed(0)["client_share"] == 1


def test_what_all_hold_is_bounded(authority: Authority) -> None:
    """Half questions, on many streams of many connections: those that hold most are closed."""
    bound = 2_000_000
    with Serving(authority, max_held_bytes=bound, read_s=30) as serving:
        some = [QuicClient(serving.port).connect() for _ in range(16)]
        for client in some:
            client.stream(b"\xff\xff" + bytes(60_000), ended=False)
            client.stream(b"\xff\xff" + bytes(60_000), ended=False)
        ends = time.monotonic() + 10
        while not any(client.close_code == EXCESSIVE_LOAD for client in some):
            assert time.monotonic() < ends
            for client in some:
                client.step()
        assert serving.on_loop(lambda: serving.clients.held.total) <= bound


def test_a_client_that_does_not_read(authority: Authority) -> None:
    """Its replies are held up to a bound, no more of its questions are served, and it is closed in time."""
    with Serving(authority, lambda *_: bytes(60_000), write_s=0.3) as serving:
        client = QuicClient(serving.port).connect()
        for _ in range(50):
            client.stream(frame(MESSAGE))
        client.send()
        serving.wait(lambda: serving.stats.closed(0)["unread"])
        client.run(lambda: client.over)
        assert client.close_code == EXCESSIVE_LOAD and len(serving.counted) < 10
        assert serving.stats.closed(0)["unread"] == 1
        assert serving.on_loop(lambda: serving.clients.held.total) == 0


def test_an_idle_connection(authority: Authority) -> None:
    with Serving(authority, idle_s=0.4) as serving:
        QuicClient(serving.port).connect()
        serving.wait(lambda: serving.stats.closed(0)["idle"] == 1)
        serving.wait(lambda: not serving.workers[0].by_cid)


def test_the_end_of_a_worker(authority: Authority) -> None:
    """Quiet connections are closed without an error, others when they have their answers."""
    waiting: list[Any] = []

    def serve(message: bytes, client: bytes, port: int, deliver: Any) -> object:
        waiting.append(deliver)
        return PARKED

    with Serving(authority, serve) as serving:
        quiet, busy = (QuicClient(serving.port).connect() for _ in range(2))
        stream = busy.stream(frame(MESSAGE))
        busy.run(lambda: waiting)
        serving.on_loop(serving.clients.drain)
        quiet.run(lambda: quiet.over)
        assert quiet.close_code == NO_ERROR and not busy.over
        serving.on_loop(lambda: waiting[0](b"x"))
        busy.run(lambda: busy.over)
        assert busy.data[stream] == frame(b"x") and busy.close_code == NO_ERROR


# Who is not there, or lies about it


class Raw:
    """A socket that sends what it is told to."""

    def __init__(self, port: int) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.connect(("127.0.0.1", port))
        self.sock.settimeout(0.3)

    def ask(self, data: bytes) -> bytes:
        """The first answer; b"": there is none."""
        self.sock.send(data)
        try:
            return self.sock.recv(65535)
        except TimeoutError:
            return b""


def first_flight() -> list[bytes]:
    client = QuicClient(9)
    client.quic.connect(client.server, now=0.0)
    return [data for data, _ in client.quic.datagrams_to_send(0.0)]


def initial(version: int = 1, size: int = 1200, cid: bytes = b"\1" * 8, source: bytes = b"\2" * 8) -> bytes:
    """Something that begins like the first packet of a client."""
    head = bytes([0xC3]) + version.to_bytes(4) + bytes([len(cid)]) + cid + bytes([len(source)]) + source
    head += b"\0" + (0x4000 | size - len(head) - 3).to_bytes(2)
    return head + bytes(size - len(head))


def test_versions(authority: Authority) -> None:
    """RFC 9000 sections 5.2.2 and 6: an unknown version is answered, once it is long enough, and by less."""
    with Serving(authority) as serving:
        raw = Raw(serving.port)
        answer = raw.ask(initial(0x1A2A3A4A))
        assert answer[0] & 0x80 and answer[1:5] == bytes(4) and answer.endswith(b"\0\0\0\1") and len(answer) < 64
        assert raw.ask(initial(0x1A2A3A4A, 1199)) == b"" and raw.ask(initial(0)) == b""


SILENT = {
    "a short first packet": initial(size=1100),
    "a short ID": initial(cid=b"\1" * 7),
    "what cannot be decrypted": initial(),
    "a long ID": b"\xc3\0\0\0\1\xff" + bytes(1300),
    "a Handshake packet": bytes([0xE3]) + initial()[1:],
    "a Retry packet": bytes([0xF3]) + initial()[1:],
    "one byte": b"\xc3",
    "a packet of no connection": b"\x43" + bytes(60),
    "a DNS message": MESSAGE * 80,
}


@pytest.mark.parametrize("data", SILENT.values(), ids=SILENT)
def test_nothing_is_said_to(authority: Authority, data: bytes) -> None:
    with Serving(authority, read_s=0.2) as serving:
        assert Raw(serving.port).ask(data) == b""
        serving.wait(lambda: not serving.workers[0].half_open and not serving.workers[0].by_cid)


def test_amplification(authority: Authority) -> None:
    """RFC 9000 section 8.1: who has not shown where it is gets three times what it has sent, at most."""
    with Serving(authority, read_s=1.5) as serving:
        raw = Raw(serving.port)
        flight = first_flight()
        for data in flight:
            raw.sock.send(data)
        got = 0
        ends = time.monotonic() + 1.3
        while time.monotonic() < ends:
            with contextlib.suppress(TimeoutError):
                got += len(raw.sock.recv(65535))
        assert 0 < got <= 3 * sum(map(len, flight))
        serving.wait(lambda: serving.handshakes.sums()["closed",] == 1)


@pytest.mark.parametrize("names", [200, 400])
def test_a_certificate_that_is_more_than_may_be_sent_at_first(tmp_path: Path, names: int) -> None:
    """Three times what the client has sent is sent, and the rest when it has shown where it is."""
    authority = Authority(tmp_path)
    authority.issue("server", ("dns.example", *(f"another-name-of-it-{number}.example" for number in range(names))))
    with Serving(authority) as serving:
        client = QuicClient(serving.port, str(authority.ca)).connect()
        assert client.ask(MESSAGE) == [frame(b"re:" + MESSAGE)]


def test_retry(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """With many that are not established, a newcomer shows where it is; another one's token does not help."""
    monkeypatch.setattr(quic, "RETRY_FROM", 0)
    with Serving(authority) as serving:
        client = QuicClient(serving.port, str(authority.ca)).connect()
        assert client.quic._retry_count == 1
        assert client.ask(MESSAGE) == [frame(b"re:" + MESSAGE)]
        flight = first_flight()
        told = Raw(serving.port).ask(flight[0])
        assert told[0] & 0xF0 == 0xF0 and len(told) < 200
        again = QuicClient(serving.port)
        again.quic.connect(again.server, now=time.monotonic())
        again.send()
        token = told[23:-16]
        again.quic._core.set_initial_token(token)
        again.run(lambda: again.shaken)
        assert again.quic._retry_count == 1
        serving.wait(lambda: not serving.workers[0].half_open)


def without_an_id(port: int, authority: Authority) -> QuicClient:
    """A client that is told by its port alone."""
    client = QuicClient(port, str(authority.ca), connection_id_length=0)
    client.quic._original_destination_connection_id = os.urandom(8)
    return client.connect()


def test_a_client_without_an_id(authority: Authority) -> None:
    """As Go's has none: it is always made to show where it is, and has only the ID that it is given then."""
    with Serving(authority) as serving:
        client = without_an_id(serving.port, authority)
        assert client.quic._retry_count == 1
        for _ in range(20):
            assert client.ask(MESSAGE) == [frame(b"re:" + MESSAGE)]
        worker = serving.workers[0]
        assert serving.on_loop(lambda: worker.half_open) == {}
        assert [owner_of(cid) for cid in serving.on_loop(lambda: list(worker.by_cid))] == [worker.owner]
        with pytest.raises(ValueError, match="no unused peer connection ID"):
            client.quic.change_connection_id()


def test_half_open_connections_are_bounded(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of first packets takes so many places and no more, and a client gets through."""
    monkeypatch.setattr(quic, "RETRY_FROM", 8)
    with Serving(authority, read_s=30) as serving:
        raw = Raw(serving.port)
        for _ in range(200):
            raw.sock.send(initial(cid=os.urandom(8)))
        serving.wait(lambda: len(serving.workers[0].half_open) == 8)
        client = QuicClient(serving.port).connect()
        assert client.ask(MESSAGE) == [frame(b"re:" + MESSAGE)] and client.quic._retry_count == 1
        assert serving.on_loop(lambda: len(serving.workers[0].half_open)) == 8


# Clients that move, workers that come and go


def test_another_port(authority: Authority) -> None:
    """A client whose NAT has given it another port keeps its connection."""
    with Serving(authority) as serving:
        client = QuicClient(serving.port).connect()
        assert client.ask(MESSAGE) == [frame(b"re:" + MESSAGE)]
        client.rebind()
        assert client.ask(MESSAGE) == [frame(b"re:" + MESSAGE)]
        assert client.quic.configuration.alpn_protocols and serving.stats.closed(0)["peer"] == 0


@pytest.mark.parametrize("changes_its_id", [False, True])
def test_another_worker_gets_it(authority: Authority, changes_its_id: bool) -> None:
    """It is handed to the one that has the connection; also where the client uses an ID that tells nobody."""
    owners = (Owner(0, 7), Owner(1, 7), Owner(0, 8))
    with Serving(authority, owners=owners) as serving:
        client = QuicClient(serving.ports[0]).connect()
        assert client.ask(MESSAGE) == [frame(b"re:" + MESSAGE)]
        if changes_its_id:
            client.quic.change_connection_id()
        for port in serving.ports[1:]:
            client.server = ("127.0.0.1", port)
            assert client.ask(MESSAGE) == [frame(b"re:" + MESSAGE)]
        assert serving.on_loop(lambda: [bool(one.by_cid) for one in serving.workers]) == [True, False, False]


@pytest.mark.parametrize("named", [False, True])
def test_a_worker_that_is_gone(authority: Authority, named: bool) -> None:
    """Its connections are ended by a stateless reset of its successor, or of any other worker."""
    with Serving(authority, owners=(Owner(0, 1), Owner(1, 1))) as serving:
        at = serving.ports[0]
        client = QuicClient(at).connect() if named else without_an_id(at, authority)
        assert client.ask(MESSAGE) == [frame(b"re:" + MESSAGE)]
        serving.on_loop(lambda: (serving.endpoints[0].stop(), serving.workers[0].close()))
        client.server = ("127.0.0.1", serving.ports[1])
        begun = time.monotonic()
        client.stream(frame(MESSAGE))
        client.run(lambda: client.over)
        assert time.monotonic() - begun < 2
    with Serving(authority) as serving:
        client = QuicClient(serving.port).connect()
        worker = serving.workers[0]
        serving.on_loop(lambda: [worker.remove(one) for one in set(worker.by_cid.values())])
        client.stream(frame(MESSAGE))
        client.run(lambda: client.over)


def test_resets_are_shorter_than_what_they_answer(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that two servers do not reset each other for ever; and they are bounded."""
    monkeypatch.setattr(quic, "CHECK_S", 30)
    monkeypatch.setattr(quic, "MAX_RESETS", 3)
    with Serving(authority) as serving:
        raw = Raw(serving.port)
        cid = quic.new_cid(Owner(0, 1))
        assert raw.ask(b"\x43" + cid + bytes(8)) == b""
        sizes = [len(raw.ask(b"\x43" + cid + bytes(size))) for size in (10, 40, 400)]
        assert sizes == [22, 42, 42]
        assert raw.ask(b"\x43" + cid + bytes(400)) == b""


def test_handed_over_by_a_stranger(authority: Authority) -> None:
    """What others send to the socket of a worker is not taken for a datagram of a client."""
    from fastdns.transports.quic_handover import name_of

    with Serving(authority) as serving:
        client = QuicClient(serving.port).connect()
        taken: list[object] = []
        serving.on_loop(lambda: setattr(serving.workers[0].handover, "taken", lambda *args: taken.append(args)))
        stranger = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        for data in (b"", b"x", bytes(40), os.urandom(500)):
            stranger.sendto(data, name_of(Owner(0, 1)))
        stranger.close()
        assert client.ask(MESSAGE) == [frame(b"re:" + MESSAGE)] and not taken


# Hostile


def test_noise(authority: Authority) -> None:
    """Random datagrams, changed ones and repeated ones, among those of a client that is served all the while."""
    chance = random.Random(5)
    with Serving(authority) as serving:
        client = QuicClient(serving.port, str(authority.ca)).connect()
        raw = Raw(serving.port)
        own = serving.on_loop(lambda: list(serving.workers[0].by_cid))
        flight = first_flight()
        for round in range(100):
            for _ in range(20):
                kind = chance.randrange(4)
                if kind == 0:
                    data = chance.randbytes(chance.randrange(1, 1500))
                elif kind == 1:
                    rest = chance.choice(own) + chance.randbytes(chance.randrange(99))
                    data = bytes([0x40 | chance.randrange(64)]) + rest
                elif kind == 2:
                    changed = bytearray(chance.choice(flight))
                    for _ in range(chance.randrange(1, 9)):
                        changed[chance.randrange(len(changed))] = chance.randrange(256)
                    data = bytes(changed)
                else:
                    data = chance.choice(flight)[: chance.randrange(1, 1281)]
                raw.sock.send(data)
            assert client.ask(MESSAGE) == [frame(b"re:" + MESSAGE)], round
        assert serving.on_loop(lambda: len(serving.workers[0].half_open)) <= quic.RETRY_FROM


def test_streams_of_all_kinds(authority: Authority) -> None:
    """Cut, ended, reset, stopped at random, on many connections: others are served, and nothing is left behind."""
    chance = random.Random(7)
    with Serving(authority, read_s=0.5) as serving:
        other = QuicClient(serving.port).connect()
        for _ in range(30):
            client = QuicClient(serving.port).connect()
            for _ in range(40):
                if client.over:
                    break
                data = frame(MESSAGE + chance.randbytes(chance.randrange(300)))
                size = chance.randrange(len(data) + 1) if chance.random() < 0.3 else len(data)
                stream = client.stream(data[:size], ended=chance.random() < 0.7)
                if chance.random() < 0.2:
                    client.quic.reset_stream(stream, chance.randrange(9))
                if chance.random() < 0.2:
                    client.quic.stop_stream(stream, chance.randrange(9))
                client.step()
            assert other.ask(MESSAGE) == [frame(b"re:" + MESSAGE)]
            client.close()
        other.close()
        serving.wait(lambda: not serving.clients.busy)
        assert serving.on_loop(lambda: serving.clients.held.total) == 0


def test_an_acknowledgement_goes_with_the_reply(authority: Authority) -> None:
    """While a reply is waited for nothing is sent for itself, but not for long: the client would ask again."""
    sent: list[bytes] = []
    counted: list[int] = []

    def serve(message: bytes, client: bytes, port: int, deliver: Any) -> object:
        def answer(before: int = len(sent)) -> None:
            counted.append(len(sent) - before)
            deliver(b"re:" + message)

        if not message.endswith(b"wait"):
            serving.loop.call_soon(answer)
        return PARKED

    with Serving(authority, serve) as serving:
        send = serving.endpoints[0].send

        def noting(data: bytes, name: bytes, control: bytes) -> None:
            sent.append(data)
            send(data, name, control)

        serving.on_loop(lambda: setattr(serving.endpoints[0], "send", noting))
        client = QuicClient(serving.port).connect()
        for _ in range(20):
            assert client.ask(MESSAGE) == [frame(b"re:" + MESSAGE)]
        # The end of the handshake does not wait, and some acknowledgement of something else may have its time.
        assert counted.count(0) >= 15
        client.stream(frame(MESSAGE + b"wait"))
        client.step()
        assert client.quic._core.bytes_in_flight
        client.run(lambda: not client.quic._core.bytes_in_flight)
