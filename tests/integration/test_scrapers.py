"""However many scrape, and however fast: probes are answered, and the supervisor does what it has to."""

from __future__ import annotations

import asyncio
import gzip
import time
import urllib.request
from collections.abc import Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support import Server

SCRAPERS = 250
PROBES = 15


@pytest.fixture(scope="module")
def fastdns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # As it is without a word about it.
    unset = {"FASTDNS_METRICS_MAX_AGE_MS": ""}
    with Server(tmp_path_factory.mktemp("scraped"), environ=unset) as server:
        yield server


async def ask(port: int, path: str, answers: list[bytes]) -> None:
    """One thing without a pause, over one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while True:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            size = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
            answers.append(await reader.readexactly(size))
    finally:
        writer.transport.abort()


@asynccontextmanager
async def asking(port: int, path: str) -> Any:
    """250 connections that do so; yields what they have been answered."""
    answers: list[bytes] = []
    tasks = [asyncio.create_task(ask(port, path, answers)) for _ in range(SCRAPERS)]
    try:
        while len(answers) < 2 * SCRAPERS:
            await asyncio.sleep(0.01)
            assert not any(task.done() for task in tasks), tasks
        answers.clear()
        yield answers
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def probe(port: int) -> None:
    """/health, over a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (await reader.read(-1)).endswith(b"OK")
    writer.close()


async def test_250_scrapers(fastdns: Server) -> None:
    """/health took 2.4 s, and reaping as long: each scrape was rendered for itself, in the loop that reaps."""
    health, metrics = fastdns.ports["HEALTH_PORT"], fastdns.ports["METRICS_PORT"]
    async with asyncio.timeout(120), asking(metrics, "/metrics") as answers:
        begun = time.monotonic()
        for _ in range(PROBES):
            await probe(health)
        await asyncio.sleep(max(0, 1.5 - (time.monotonic() - begun)))
        took_s = time.monotonic() - begun
        scrapes, renderings = len(answers), set(answers)
    # Each tells another time of the loop, so no two are the same.
    assert len(renderings) <= took_s + 2
    assert scrapes > 2 * SCRAPERS
    assert fastdns.total("fastdns_supervisor_loop_delay_seconds_count") > 100


@pytest.mark.parametrize("accept", ["text/plain", "application/openmetrics-text;version=1.0.0"])
def test_a_compressed_page_is_the_page(fastdns: Server, accept: str) -> None:
    """As Prometheus asks. CoreDNS compresses its page as well."""
    pages = []
    for encodings in ("", "gzip"):
        url = f"http://127.0.0.1:{fastdns.ports['METRICS_PORT']}/metrics"
        request = urllib.request.Request(url, headers={"Accept": accept, "Accept-Encoding": encodings})
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.headers.get("Content-Encoding", "") == encodings
            pages.append(answer.read())
    plain, compressed = pages[0], gzip.decompress(pages[1])
    assert len(pages[1]) < len(plain) / 4
    lines = [{line.rpartition(b" ")[0] for line in page.splitlines()} for page in (plain, compressed)]
    assert lines[0] == lines[1] and len(lines[0]) > 100
