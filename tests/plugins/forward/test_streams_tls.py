"""Asks over TLS: who does not show the right certificate gets no query."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastdns.plugins.forward.pool import HITS, MISSES
from fastdns.plugins.forward.upstreams import Upstream
from tests.plugins.forward.certificates import Authority
from tests.plugins.forward.servers import Peer, StreamServer
from tests.plugins.forward.support import asking, on_uvloop, query, reply_to, until


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@contextlib.contextmanager
def refusing(context: ssl.SSLContext) -> Iterator[int]:
    """A server whose handshakes fail; unlike asyncio's it says why, in an alert."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def serve() -> None:
            connection = listener.accept()[0]
            with connection, contextlib.suppress(OSError):
                context.wrap_socket(connection, server_side=True).recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(5)


def right(authority: Authority) -> ssl.SSLContext:
    """A server with a certificate for dns.example and 127.0.0.1."""
    return server_context(*authority.issue("right"))


# Replies


@pytest.mark.parametrize("server_name", ["dns.example", None])
def test_a_reply(authority: Authority, server_name: str | None) -> None:
    @on_uvloop
    async def run() -> None:
        names = []
        context = right(authority)
        context.sni_callback = lambda _, name, __: names.append(name)
        async with (
            StreamServer(tls=context) as server,
            asking(server.upstream(server_name), tls=str(authority.ca)) as asker,
        ):
            for number in range(3):
                assert (await asker.ask(query(number))).reply == reply_to(query(number))
            assert len(server.peers) == 1
            assert (asker.count(HITS, "tcp-tls"), asker.count(MISSES, "tcp-tls")) == (2, 1)
        # RFC 6066 section 3: an address is no server name.
        assert names == [server_name]

    run()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions(authority: Authority, version: ssl.TLSVersion) -> None:
    @on_uvloop
    async def run() -> None:
        context = right(authority)
        context.minimum_version = context.maximum_version = version
        async with (
            StreamServer(tls=context) as server,
            asking(server.upstream(), tls=str(authority.ca)) as asker,
        ):
            assert (await asker.ask()).reply == reply_to(query())

    run()


@on_uvloop
async def test_a_long_reply(authority: Authority) -> None:
    message = query(1, b"x" * 60_000)
    async with (
        StreamServer(tls=right(authority)) as server,
        asking(server.upstream(), tls=str(authority.ca)) as asker,
    ):
        assert (await asker.ask(message)).reply == reply_to(message)


@on_uvloop
async def test_a_server_that_is_its_own_authority(authority: Authority) -> None:
    certificate, key = authority.issue("pinned", own=True)
    async with (
        StreamServer(tls=server_context(certificate, key)) as server,
        asking(server.upstream(), tls=str(certificate)) as asker,
    ):
        assert (await asker.ask()).reply == reply_to(query())


@on_uvloop
async def test_a_client_certificate(authority: Authority) -> None:
    context = right(authority)
    context.load_verify_locations(authority.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    certificate, key = authority.issue("client")
    async with (
        StreamServer(tls=context) as server,
        asking(server.upstream(), tls=f"{certificate} {key} {authority.ca}") as asker,
    ):
        assert (await asker.ask()).reply == reply_to(query())
        subject = server.peers[0].writer.get_extra_info("peercert")["subject"]
        assert subject == ((("commonName", "client"),),)


@on_uvloop
async def test_without_a_client_certificate(authority: Authority) -> None:
    context = right(authority)
    context.load_verify_locations(authority.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    for version, error in [
        (ssl.TLSVersion.TLSv1_3, "remote error: tls: certificate required"),
        (ssl.TLSVersion.TLSv1_2, "remote error: tls: handshake failure"),
    ]:
        context.minimum_version = context.maximum_version = version
        with refusing(context) as port:
            async with asking(Upstream("tls", "127.0.0.1", port), tls=str(authority.ca)) as asker:
                answer = await asker.ask()
                assert (answer.reply, answer.error) == (None, error)


# Certificates that are not accepted

UNKNOWN = "tls: failed to verify certificate: x509: certificate signed by unknown authority"


@pytest.mark.parametrize(
    ("issued", "server_name", "error"),
    [
        ({"names": ("dns.example",)}, "other.example",
         "tls: failed to verify certificate: x509: certificate is not valid for other.example"),
        ({"names": ("dns.example",)}, None,
         "tls: failed to verify certificate: x509: certificate is not valid for 127.0.0.1"),
        ({"names": ("127.0.0.1",)}, "dns.example",
         "tls: failed to verify certificate: x509: certificate is not valid for dns.example"),
        ({"days": -1}, "dns.example",
         "tls: failed to verify certificate: x509: certificate has expired or is not yet valid"),
        ({"own": True}, "dns.example", UNKNOWN),
    ],
    ids=["wrong name", "no address", "only an address", "expired", "self-signed"],
)  # fmt: skip
def test_a_wrong_certificate(
    authority: Authority, issued: dict[str, object], server_name: str | None, error: str
) -> None:
    @on_uvloop
    async def run() -> None:
        context = server_context(*authority.issue("wrong", **issued))  # type: ignore[arg-type]
        async with (
            StreamServer(tls=context) as server,
            asking(server.upstream(server_name), tls=str(authority.ca)) as asker,
        ):
            answer = await asker.ask()
            assert (answer.reply, answer.error) == (None, error)
            assert server.queries == []

    run()


@on_uvloop
async def test_the_common_name_is_no_name(authority: Authority) -> None:
    context = server_context(*authority.issue("cn.example", ("dns.example",)))
    async with (
        StreamServer(tls=context) as server,
        asking(server.upstream("cn.example"), tls=str(authority.ca)) as asker,
    ):
        assert (await asker.ask()).error.endswith("certificate is not valid for cn.example")


@on_uvloop
async def test_the_systems_authorities_do_not_know_ours(authority: Authority) -> None:
    async with StreamServer(tls=right(authority)) as server, asking(server.upstream("dns.example")) as asker:
        assert (await asker.ask()).error == UNKNOWN


# Servers that are none


@on_uvloop
async def test_a_server_without_tls(authority: Authority) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.read(100)
        peer.writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await peer.wait_for_end()

    async with StreamServer(script) as server, asking(server.upstream(transport="tls")) as asker:
        assert (await asker.ask()).error == "tls: first record does not look like a TLS handshake"


@on_uvloop
async def test_a_server_that_is_too_old(authority: Authority) -> None:
    context = right(authority)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with refusing(context) as port:
        async with asking(Upstream("tls", "127.0.0.1", port), tls=str(authority.ca)) as asker:
            assert (await asker.ask()).error == "remote error: tls: protocol version"


@on_uvloop
async def test_a_server_that_closes_in_the_handshake() -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.read(10)

    async with StreamServer(script) as server, asking(server.upstream(transport="tls")) as asker:
        assert (await asker.ask()).error == "EOF"


@on_uvloop
async def test_a_server_that_is_silent_in_the_handshake() -> None:
    async with (
        StreamServer(Peer.wait_for_end) as server,
        asking(server.upstream(transport="tls")) as asker,
    ):
        answers = await asyncio.gather(*(asker.ask(timeout_s=0.2) for _ in range(5)))
        assert {answer.error for answer in answers} == {f"dial tcp 127.0.0.1:{server.port}: i/o timeout"}
        await until(lambda: server.open == 0)


@on_uvloop
async def test_nobody_listens() -> None:
    async with StreamServer() as server:
        upstream = Upstream("tls", "127.0.0.1", server.port)
    async with asking(upstream) as asker:
        assert (await asker.ask()).error == f"dial tcp 127.0.0.1:{upstream.port}: connect: connection refused"


@on_uvloop
async def test_a_connection_that_the_server_has_closed_costs_no_query(authority: Authority) -> None:
    async def script(peer: Peer) -> None:
        peer.write(reply_to(await peer.read()))
        if peer.number == 1:
            await peer.read()
            return
        await peer.serve()

    async with (
        StreamServer(script, right(authority)) as server,
        asking(server.upstream(), tls=str(authority.ca)) as asker,
    ):
        assert (await asker.ask(query(1))).reply == reply_to(query(1))
        assert (await asker.ask(query(2))).reply == reply_to(query(2))
        assert [len(peer.queries) for peer in server.peers] == [2, 1]


@on_uvloop
async def test_an_idle_connection_says_goodbye(authority: Authority) -> None:
    endings: list[BaseException | None] = []

    async def script(peer: Peer) -> None:
        peer.write(reply_to(await peer.read()))
        # Without close_notify this is an error of TLS.
        await peer.wait_for_end()
        endings.append(peer.reader.exception())

    async with (
        StreamServer(script, right(authority)) as server,
        asking(server.upstream(), "expire 100ms", str(authority.ca)) as asker,
    ):
        await asker.ask()
        await until(lambda: server.open == 0)
        assert endings == [None]


@on_uvloop
async def test_many_at_once(authority: Authority) -> None:
    async with (
        StreamServer(tls=right(authority)) as server,
        asking(server.upstream(), "max_idle_conns 3", str(authority.ca)) as asker,
    ):
        answers = await asyncio.gather(*(asker.ask(query(number)) for number in range(100)))
        assert [answer.reply for answer in answers] == [reply_to(query(number)) for number in range(100)]
        await until(lambda: server.open == 3)
