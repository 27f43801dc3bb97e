"""DNS over HTTP/3 on real sockets: requests and their statuses, and what clients may take."""

from __future__ import annotations

import base64
import random
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("qh3")

from qh3.h3.connection import ErrorCode, encode_frame

from fastdns.transports._slow import PARKED
from fastdns.transports.doh3 import STREAM_BYTES, UNI_STREAMS, Doh3Connection
from fastdns.transports.places import Places
from fastdns.transports.table import HTTPS3
from tests.plugins.forward.certificates import Authority
from tests.transports import test_quic
from tests.transports.h3_client import H3Client
from tests.transports.test_quic import Raw, believe

# A question, and a reply with a TTL of 60 s.
MESSAGE = bytes(2) + b"\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1"
REPLY = bytes(2) + b"\x81\0\0\1\0\1\0\0\0\0\1a\0\0\1\0\1\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1"
GET = b"/dns-query?dns=" + base64.urlsafe_b64encode(MESSAGE).rstrip(b"=")


def same(message: bytes, client: bytes, port: int, deliver: object) -> object:
    return REPLY


class Serving(test_quic.Serving):
    """HTTP/3 instead. places: of the listener."""

    transport = HTTPS3
    uni_streams = UNI_STREAMS
    stream_bytes = STREAM_BYTES

    def __init__(self, authority: Authority, serve: Any = same, places: int = 100, **options: Any) -> None:
        super().__init__(authority, serve, **options)
        self.kind, self.places = Doh3Connection, Places(places)


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_requests(authority: Authority, method: str) -> None:
    with Serving(authority) as serving:
        client = H3Client(serving.port, str(authority.ca)).connect()
        for _ in range(200):
            if method == "POST":
                stream = client.request(b"POST", b"/dns-query", MESSAGE)
            else:
                stream = client.request(method.encode(), GET)
            status, fields, content = client.response(stream)
            assert status == 200 and content == (b"" if method == "HEAD" else REPLY)
        assert fields[b"content-type"] == b"application/dns-message" and fields[b"cache-control"] == b"max-age=60"
        assert fields[b"content-length"] == b"%d" % len(REPLY)
        assert serving.counted == [200] * 200


REFUSED = {
    "another path": (404, b"GET", b"/other", None, b""),
    "no question": (400, b"GET", b"/dns-query", None, b""),
    "another method": (405, b"PUT", b"/dns-query", MESSAGE, b"application/dns-message"),
    "another media type": (415, b"POST", b"/dns-query", MESSAGE, b"text/plain"),
    "too much": (413, b"POST", b"/dns-query", bytes(65536), b"application/dns-message"),
    "an empty message": (400, b"POST", b"/dns-query", b"", b"application/dns-message"),
}


@pytest.mark.parametrize(("status", "method", "path", "content", "kind"), REFUSED.values(), ids=REFUSED)
def test_refusals(
    authority: Authority, status: int, method: bytes, path: bytes, content: bytes | None, kind: bytes
) -> None:
    """The connection goes on."""
    with Serving(authority) as serving:
        client = H3Client(serving.port).connect()
        assert client.response(client.request(method, path, content, kind))[0] == status
        assert client.response(client.request(b"GET", GET))[0] == 200
        assert serving.counted == [status, 200]


def test_long_headers(authority: Authority) -> None:
    """Over 16 KiB: 431; over 64 KiB, and for what is no HTTP/3, the connection ends, and no other."""
    with Serving(authority) as serving:
        client = H3Client(serving.port).connect()
        stream = client.request(b"GET", GET, more=tuple((b"x-%d" % i, b"z" * 900) for i in range(20)))
        assert client.response(stream)[0] == 431
        client.request(b"GET", GET, more=tuple((b"x-%d" % i, b"z" * 900) for i in range(90)))
        client.run(lambda: client.over)
        other = H3Client(serving.port).connect()
        other.stream(encode_frame(4, b""))
        other.run(lambda: other.over)
        assert other.close_code == ErrorCode.H3_FRAME_UNEXPECTED
        assert H3Client(serving.port).connect().quic is not None
        serving.wait(lambda: len(serving.clients.open) <= 1)


def test_the_longest_message(authority: Authority) -> None:
    asked: list[bytes] = []

    def serve(message: bytes, client: bytes, port: int, deliver: Any) -> object:
        asked.append(message)
        return bytes(65535)

    with Serving(authority, serve) as serving:
        client = H3Client(serving.port).connect()
        message = MESSAGE + bytes(65535 - len(MESSAGE))
        status, _, content = client.response(client.request(b"POST", b"/dns-query", message))
        assert status == 200 and content == bytes(65535) and asked == [message]


def test_no_reply_and_late_replies(authority: Authority) -> None:
    """No reply is 500, as in CoreDNS; who waits does not hold up others; who gives up gets nothing."""
    waiting: list[Any] = []

    def serve(message: bytes, client: bytes, port: int, deliver: Any) -> object:
        if message.endswith(b"wait"):
            waiting.append(deliver)
            return PARKED
        return None

    with Serving(authority, serve) as serving:
        client = H3Client(serving.port).connect()
        first, second = (client.request(b"POST", b"/dns-query", MESSAGE + b"wait") for _ in range(2))
        assert client.response(client.request(b"GET", GET))[0] == 500
        serving.wait(lambda: len(waiting) == 2)
        client.quic.stop_stream(first, ErrorCode.H3_REQUEST_CANCELLED)
        assert client.response(client.request(b"GET", GET))[0] == 500
        assert serving.on_loop(lambda: [deliver(REPLY) for deliver in waiting]) == [False, True]
        assert client.response(second)[2] == REPLY


def test_a_request_that_does_not_end(authority: Authority) -> None:
    with Serving(authority, read_s=0.3) as serving:
        client = H3Client(serving.port).connect()
        client.request(b"POST", b"/dns-query", MESSAGE, ended=False)
        client.run(lambda: client.over)
        assert client.close_code == ErrorCode.H3_REQUEST_INCOMPLETE
        serving.wait(lambda: serving.clients.held.total == 0)


def test_places_of_the_listener(authority: Authority) -> None:
    """max_connections: the client with the most connections loses one."""
    with Serving(authority, places=2) as serving:
        some = [H3Client(serving.port).connect() for _ in range(2)]
        serving.wait(lambda: len(serving.clients.open) == 2)
        modest = H3Client(serving.port, local="127.0.0.2").connect()
        assert modest.response(modest.request(b"GET", GET))[0] == 200
        some[0].run(lambda: some[0].over)
        assert some[0].close_code == ErrorCode.H3_EXCESSIVE_LOAD
        assert some[1].response(some[1].request(b"GET", GET))[0] == 200


def test_streams_without_an_end(authority: Authority) -> None:
    """Control streams with frames that never end, and more streams than there may be, end their connection."""
    with Serving(authority) as serving:
        client = H3Client(serving.port).connect()
        stream = client.quic.get_next_available_stream_id(True)
        client.quic.send_stream_data(stream, b"\0", False)
        client.run(lambda: client.over)
        assert client.close_code == ErrorCode.H3_STREAM_CREATION_ERROR
        client = H3Client(serving.port).connect()
        assert client.http is not None and client.http._local_control_stream_id is not None
        frame = b"\x21\x80\x10\0\0" + bytes(40_000)
        client.quic.send_stream_data(client.http._local_control_stream_id, frame, False)
        client.run(lambda: client.over)
        assert client.close_code in (ErrorCode.H3_EXCESSIVE_LOAD, ErrorCode.H3_FRAME_ERROR)
        rude = H3Client(serving.port).connect()
        believe(rude, 999, 999)
        for _ in range(40):
            rude.quic.send_stream_data(rude.quic.get_next_available_stream_id(True), b"\x21", False)
        rude.run(lambda: rude.over)


def test_closed_right_behind_a_request(authority: Authority) -> None:
    """What HTTP/3 has to say to the request can be said no more."""
    errors: list[object] = []
    with Serving(authority) as serving:
        serving.on_loop(lambda: serving.loop.set_exception_handler(lambda _, context: errors.append(context)))
        client = H3Client(serving.port).connect()
        # So that both come together.
        serving.loop.call_soon_threadsafe(time.sleep, 0.1)
        client.request(b"GET", GET)
        client.send()
        client.close()
        serving.wait(lambda: not serving.clients.busy)
    assert not errors


def test_closed_right_behind_the_handshake(authority: Authority) -> None:
    errors: list[object] = []
    with Serving(authority) as serving:
        serving.on_loop(lambda: serving.loop.set_exception_handler(lambda _, context: errors.append(context)))
        client = H3Client(serving.port)
        client.quic.connect(client.server, now=time.monotonic())
        client.send()
        client.sock.settimeout(5)
        while not client.quic._handshake_complete:
            client.quic.receive_datagram(client.sock.recv(2048), client.server, time.monotonic())
        last = client.quic.datagrams_to_send(time.monotonic())
        client.quic.close(0)
        # So that all comes together.
        serving.loop.call_soon_threadsafe(time.sleep, 0.1)
        for data, _ in [*last, *client.quic.datagrams_to_send(time.monotonic())]:
            client.sock.sendto(data, client.server)
        serving.wait(lambda: serving.handshakes.sums()["alert",] == 1)
        assert not serving.clients.busy
    assert not errors


def test_any_bytes(authority: Authority) -> None:
    """Frames that are changed and cut at random, on many connections: another one is answered all the while."""
    chance = random.Random(3)
    with Serving(authority, read_s=0.5) as serving:
        other = H3Client(serving.port).connect()
        for _ in range(40):
            client = H3Client(serving.port).connect()
            for _ in range(25):
                if client.over:
                    break
                fields = bytes.fromhex("0000d1d7508bd0e4a0dd2e2e") + chance.randbytes(chance.randrange(30))
                data = bytearray(encode_frame(chance.choice((0, 1, 1, 3, 7, 0x21)), fields + MESSAGE))
                for _ in range(chance.randrange(4)):
                    data[chance.randrange(len(data))] = chance.randrange(256)
                stream = client.stream(bytes(data[: chance.randrange(len(data) + 1)]), ended=chance.random() < 0.7)
                if chance.random() < 0.3:
                    client.quic.reset_stream(stream, chance.randrange(1000))
                client.step()
            assert other.response(other.request(b"GET", GET))[0] == 200
            client.close()
        other.close()
        serving.wait(lambda: not serving.clients.busy)
        assert serving.on_loop(lambda: serving.clients.held.total) == 0


def test_a_client_of_dns_over_quic(authority: Authority, tmp_path: Path) -> None:
    """It has no protocol in common."""
    with Serving(authority) as serving:
        client = test_quic.QuicClient(serving.port).connect()
        assert not client.shaken
        assert Raw(serving.port).ask(b"GET / HTTP/1.1\r\n\r\n") == b""
