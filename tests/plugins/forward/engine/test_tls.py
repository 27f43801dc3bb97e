"""Upstreams over TLS that are not who they should be: others are asked in time, and a client never sees a lie."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import dns.message
import dns.rcode
import pytest

from tests.plugins.forward.certificates import Authority
from tests.plugins.forward.engine.support import Forwarder, a, addresses, closed_port, forward, response

pytestmark = pytest.mark.native

TRUTH, LIE = "192.0.2.1", "192.0.2.66"
# How long a client may wait for another upstream's answer; a busy machine takes longer for a handshake.
OTHER_S, SLACK_S = 1.0, 1.0


@contextlib.contextmanager
def serving(context: ssl.SSLContext | None, address: str, *, quiet: bool = False) -> Iterator[str]:
    """A server that answers everything over TLS. Without a context it knows no TLS; quiet: it never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        peers: list[socket.socket] = []

        def serve(peer: socket.socket) -> None:
            with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
                if context is None:
                    peer.recv(1)
                    peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    return
                peer = stack.enter_context(context.wrap_socket(peer, server_side=True))
                file = stack.enter_context(peer.makefile("rb"))
                while len(length := file.read(2)) == 2:
                    query = dns.message.from_wire(file.read(struct.unpack(">H", length)[0]))
                    if not quiet:
                        wire = a(response(query), address).to_wire()
                        peer.sendall(struct.pack(">H", len(wire)) + wire)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = listener.accept()
                    peers.append(peer)
                    threading.Thread(target=serve, args=(peer,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"tls://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            for peer in peers:
                peer.close()


def context(certificate: Path, key: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate, key)
    return made


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@dataclass(frozen=True)
class Case:
    """make: the server that is not right. counter: what counts its attempt where another upstream is asked."""

    why: str
    make: Callable[[Authority], contextlib.AbstractContextManager[str]]
    counter: str = "broken"


def issued(file: str, *names: str, days: int = 30, own: bool = False) -> Callable[[Authority], ssl.SSLContext]:
    def make(authority: Authority) -> ssl.SSLContext:
        return context(*authority.issue(file, names or ("dns.example",), days=days, own=own))

    return make


@contextlib.contextmanager
def nobody() -> Iterator[str]:
    with closed_port() as to:
        yield f"tls://{to}"


CASES = [
    Case("a certificate for another name", lambda ca: serving(issued("other", "other.example")(ca), LIE)),
    Case("a certificate that has expired", lambda ca: serving(issued("old", days=-1)(ca), LIE)),
    Case("a certificate of nobody's", lambda ca: serving(issued("own", own=True)(ca), LIE)),
    Case("no TLS at all", lambda ca: serving(None, LIE)),
    Case("nobody listens", lambda ca: nobody()),
    Case("silence after the handshake", lambda ca: serving(issued("right")(ca), LIE, quiet=True), "silent"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_the_other_upstream_is_asked(case: Case, authority: Authority) -> None:
    with case.make(authority) as bad, serving(issued("right")(authority), TRUTH) as good:
        text = forward(
            bad, good, tls=authority.ca, tls_servername="dns.example", policy="sequential", max_fails=0
        )  # fmt: skip
        with Forwarder(text) as forwarder:
            begun = time.monotonic()
            assert addresses(forwarder.ask()) == [TRUTH]
            assert time.monotonic() - begun < OTHER_S + SLACK_S
            forwarder.settles()
            assert forwarder.of_upstream(case.counter) == 1
            assert forwarder.of_upstream(case.counter, 1) == 0


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_without_another_one_there_is_servfail(case: Case, authority: Authority) -> None:
    with case.make(authority) as bad:
        text = forward(
            bad, tls=authority.ca, tls_servername="dns.example", max_fails=0, read_timeout="200ms",
            max_connect_attempts=1,
        )  # fmt: skip
        with Forwarder(text) as forwarder:
            reply = forwarder.ask()
            assert reply.rcode() == dns.rcode.SERVFAIL
            assert reply.answer == []
            assert forwarder.of_upstream("broken") + forwarder.of_upstream("timeouts") == 1
            assert len(forwarder.errors()) == 1
