"""/health, and the probe of our own."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fastdns.admin import health
from fastdns.admin.answers import Answer, Request
from fastdns.admin.health import BOUNDS_S, Health
from fastdns.admin.http import AdminServer, Endpoint, wanted_endpoints
from fastdns.corefile import load
from fastdns.errors import FastdnsError
from fastdns.supervisor.sockets import ListenError
from tests.support import free_port, http_get, occupied, open_fds


@pytest.mark.parametrize(("serving", "status", "body"), [(True, 200, "OK"), (False, 503, "no worker answers")])
async def test_says_whether_a_worker_answers(serving: bool, status: int, body: str) -> None:
    answer = await Health(lambda: serving).handle(Request())
    assert answer == Answer(body.encode(), status, "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(0.0, 0), (0.00025, 0), (0.0003, 1), (0.02, 2), (0.25, 3), (2.5, 4), (60.0, 5)]
)
def test_buckets(seconds: float, bucket: int) -> None:
    measured = Health(lambda: True)
    measured.observe(seconds)
    assert measured.buckets.index(1) == bucket
    assert len(measured.buckets) == len(BOUNDS_S) + 1
    assert measured.sum_s == seconds


async def probed(monkeypatch: pytest.MonkeyPatch, running: dict[Endpoint, Any], until: Any) -> Health:
    """Probe these endpoints until something has come of it."""
    monkeypatch.setattr(health, "PROBE_S", 0.01)
    probing = Health(lambda: True)
    task = asyncio.create_task(probing.probe(cast(AdminServer, SimpleNamespace(running=running))))
    for _ in range(500):
        if until(probing):
            break
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return probing


async def test_the_probe_counts_and_logs_failures(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    running = {Endpoint("", port, ("/health",)): SimpleNamespace(addresses=[("0.0.0.0", port)])}
    probing = await probed(monkeypatch, running, lambda probing: probing.failures)
    assert probing.failures and not probing.sum_s
    assert caplog.records[0].levelno == logging.WARNING
    assert f"Local health request to 'http://127.0.0.1:{port}/health' failed: " in caplog.text


async def test_the_probe_measures(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(health, "SLOW_S", 0.0)
    answering = Health(lambda: True)
    server = AdminServer({"/health": answering.handle, "/ready": answering.handle}, no_tls)
    endpoint = Endpoint("127.0.0.1", free_port(), ("/health", "/ready"))
    await server.open_new([endpoint])
    running = {Endpoint("", 1, ("/metrics",)): SimpleNamespace(addresses=[("0.0.0.0", 1)]), **server.running}
    probing = await probed(monkeypatch, running, lambda probing: probing.sum_s)
    await server.close_all()
    assert sum(probing.buckets) and not probing.failures
    assert "took more than 1s: " in caplog.text


@pytest.mark.parametrize(
    ("address", "url"),
    [
        (("0.0.0.0", 8080), "http://127.0.0.1:8080/health"),
        (("::", 8080, 0, 0), "http://[::1]:8080/health"),
        (("192.0.2.1", 80), "http://192.0.2.1:80/health"),
        (("2001:db8::1", 80, 0, 0), "http://[2001:db8::1]:80/health"),
    ],
)
def test_where_the_probe_asks(address: Any, url: str) -> None:
    running = {Endpoint("a name", 1, ("/health",)): SimpleNamespace(addresses=[address])}
    where = health.own_address(cast(AdminServer, SimpleNamespace(running=running)))
    assert where is not None
    assert health.url_of(*where) == url
    assert health.own_address(cast(AdminServer, SimpleNamespace(running={}))) is None


# ----------------------------------------------------------------------------------------------- endpoints


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
            "prometheus: :9153 is to be served with tls a.yaml and",
        ),
        ("prometheus :9153", "prometheus :9153 { tls a.yaml }", "is to be served without tls and with tls a.yaml"),
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


def admin_server() -> AdminServer:
    answering = Health(lambda: True)
    return AdminServer({"/health": answering.handle, "/metrics": answering.handle}, no_tls)


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
