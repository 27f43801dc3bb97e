"""The HTTP listeners: which serves what, and opening and closing them."""

from __future__ import annotations

import asyncio
import re
import socket
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fastdns.corefile import load
from fastdns.errors import FastdnsError
from fastdns.http.answers import Answer, Request, text
from fastdns.http.server import Endpoint, HttpServer, Open
from fastdns.listening import ListenError
from fastdns.process.endpoints import wanted_endpoints
from tests.support import free_port, http_get, occupied, open_fds


def no_tls(path: str) -> Any:
    raise FastdnsError(f"{path}: no TLS here")


def test_which_listener_serves_what() -> None:
    config = load(
        ". {\n health\n ready :8181\n prometheus 127.0.0.1:9153\n whoami\n}\n"
        "other. {\n health :8080\n ready 127.0.0.1:8080\n prometheus 127.0.0.1:9153\n whoami\n}\n"
    )
    probes = ("/health", "/ready")
    assert set(wanted_endpoints(config)) == {
        Endpoint("", 8080, probes),
        Endpoint("", 8181, probes),
        Endpoint("127.0.0.1", 8080, probes),
        Endpoint("127.0.0.1", 9153, ("/metrics",)),
    }


def test_every_address_has_three_spellings() -> None:
    """0.0.0.0 and :: were one family each; and two spellings at a port were two listeners that shared it."""
    config = load(". {\n health 0.0.0.0:8080\n ready [::]:8080\n prometheus [0:0::0]:8080\n whoami\n}\n")
    assert wanted_endpoints(config) == [Endpoint("", 8080, ("/health", "/metrics", "/ready"))]


def test_one_address_for_probes_and_metrics() -> None:
    config = load(". {\n health :8080\n ready :8080\n prometheus :8080\n whoami\n}\n")
    assert wanted_endpoints(config) == [Endpoint("", 8080, ("/health", "/metrics", "/ready"))]


@pytest.mark.parametrize(
    ("one", "other", "says"),
    [
        (
            "prometheus :9153 { tls a.yaml }",
            "prometheus :9153",
            "prometheus: :9153 cannot be served both with tls a.yaml and",
        ),
        (
            "prometheus :9153",
            "prometheus :9153 { tls a.yaml }",
            "cannot be served both without tls and with tls a.yaml",
        ),
        (
            "prometheus :9153 { tls a.yaml }",
            "prometheus :9153 { tls b.yaml }",
            "with tls a.yaml and with tls b.yaml",
        ),
        ("health :8080", "prometheus :8080 { tls a.yaml }", "without tls and with tls a.yaml"),
        ("prometheus :9153 { tls a.yaml }", "prometheus :9153 { tls a.yaml }", None),
        ("prometheus :9153", "prometheus 127.0.0.1:9153 { tls a.yaml }", None),
    ],
)
def test_one_address_is_served_in_one_way(one: str, other: str, says: str | None) -> None:
    """The first block had its way: what another one said of TLS was ignored."""
    plugins = [text.replace("{ ", "{\n").replace(" }", "\n}") for text in (one, other)]
    config = load("a. {{\n{}\nwhoami\n}}\nb. {{\n{}\nwhoami\n}}\n".format(*plugins))
    if says is None:
        assert {endpoint.tls_config_file for endpoint in wanted_endpoints(config)} <= {"a.yaml", None}
    else:
        with pytest.raises(FastdnsError, match=re.escape(says)):
            wanted_endpoints(config)


async def ok(request: Request) -> Answer:
    return text("OK")


def admin_server() -> HttpServer:
    return HttpServer(lambda: {"/health": ok, "/metrics": ok}, no_tls)


async def test_opening_is_all_or_nothing() -> None:
    server = admin_server()
    kept = Endpoint("127.0.0.1", free_port(), ("/health",))
    assert await server.open_new([kept]) == [kept]
    added = Endpoint("127.0.0.1", free_port(), ("/health",))
    with occupied() as port:
        before = open_fds()
        with pytest.raises(ListenError, match=rf"^listen tcp 127\.0\.0\.1:{port}: Address already in use$"):
            await server.open_new([kept, added, Endpoint("127.0.0.1", port, ("/health",))])
        assert open_fds() == before
    with pytest.raises(FastdnsError, match="no TLS here"):
        await server.open_new([added, Endpoint("127.0.0.1", free_port(), ("/metrics",), "web.yaml")])
    assert list(server.running) == [kept]
    assert await asyncio.to_thread(http_get, kept.port, "/health") == (200, "OK")
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(("127.0.0.1", added.port))
    await server.close_others([])
    assert not server.running


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("no.such.host.invalid", "listen tcp no.such.host.invalid:8080: "),
        ("192.0.2.1", "listen tcp 192.0.2.1:8080: Cannot assign requested address"),
    ],
)
async def test_a_host_that_is_not_ours(host: str, says: str) -> None:
    with pytest.raises(ListenError) as caught:
        await admin_server().open_new([Endpoint(host, 8080, ("/health",))])
    assert str(caught.value).startswith(says)


async def test_a_change_of_paths_at_one_address() -> None:
    """Old and new share the port while the change is under way."""
    server = admin_server()
    port = free_port()
    old, new = Endpoint("127.0.0.1", port, ("/health",)), Endpoint("127.0.0.1", port, ("/health", "/metrics"))
    await server.open_new([old])
    assert await server.open_new([new]) == [new]
    await server.close_others([new])
    assert await asyncio.to_thread(http_get, port, "/metrics") == (200, "OK")
    await server.close_all()


async def test_other_paths_and_methods() -> None:
    server = admin_server()
    endpoint = Endpoint("localhost", free_port(), ("/health",))
    await server.open_new([endpoint])
    assert (await asyncio.to_thread(http_get, endpoint.port, "/other"))[0] == 404
    reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
    writer.write(b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    assert (await reader.read(-1)).startswith(b"HTTP/1.1 405 ")
    reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
    writer.write(b"GET /health?x=1 HTTP/1.0\r\n\r\n")
    assert (await reader.read(-1)).endswith(b"\r\n\r\nOK")
    await server.close_all()


@pytest.mark.parametrize(
    ("address", "found"),
    [
        (("0.0.0.0", 8080), ("127.0.0.1", 8080)),
        (("::", 8080, 0, 0), ("::1", 8080)),
        (("192.0.2.1", 80), ("192.0.2.1", 80)),
        (("2001:db8::1", 80, 0, 0), ("2001:db8::1", 80)),
    ],
)
def test_where_a_path_is_served(address: Any, found: tuple[str, int]) -> None:
    server = admin_server()
    assert server.address_of("/health") is None
    server.running = {Endpoint("a name", 1, ("/health",)): cast(Open, SimpleNamespace(addresses=[address]))}
    assert server.address_of("/health") == found
    assert server.address_of("/metrics") is None
