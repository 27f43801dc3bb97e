"""/health, and the probe of our own."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from fastdns.errors import FastdnsError
from fastdns.http.answers import Answer, Request
from fastdns.http.server import Endpoint, HttpServer
from fastdns.plugins.health import page
from fastdns.plugins.health.page import BOUNDS_S, Health
from tests.support import free_port


def no_tls(path: str) -> Any:
    raise FastdnsError(f"{path}: no TLS here")


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


async def probed(monkeypatch: pytest.MonkeyPatch, where: tuple[str, int] | None, until: Any) -> Health:
    """Probe what is served there until something has come of it."""
    monkeypatch.setattr(page, "PROBE_S", 0.01)
    probing = Health(lambda: True)
    task = asyncio.create_task(probing.probe(lambda: where))
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
    probing = await probed(monkeypatch, ("127.0.0.1", port), lambda probing: probing.failures)
    assert probing.failures and not probing.sum_s
    assert caplog.records[0].levelno == logging.WARNING
    assert f"Local health request to 'http://127.0.0.1:{port}/health' failed: " in caplog.text


async def test_the_probe_measures(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(page, "SLOW_S", 0.0)
    answering = Health(lambda: True)
    server = HttpServer(lambda: {"/health": answering.handle, "/ready": answering.handle}, no_tls)
    await server.open_new([Endpoint("127.0.0.1", free_port(), ("/health", "/ready"))])
    probing = await probed(monkeypatch, server.address_of("/health"), lambda probing: probing.sum_s)
    await server.close_all()
    assert sum(probing.buckets) and not probing.failures
    assert "took more than 1s: " in caplog.text


@pytest.mark.parametrize(
    ("address", "url"),
    [
        (("127.0.0.1", 8080), "http://127.0.0.1:8080/health"),
        (("::1", 8080), "http://[::1]:8080/health"),
        (("2001:db8::1", 80), "http://[2001:db8::1]:80/health"),
    ],
)
def test_where_the_probe_asks(address: tuple[str, int], url: str) -> None:
    assert page.url_of(*address) == url
