"""One rendering of /metrics serves all who ask within a second; the format is the one that a scraper asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import choose_encoder

from fastdns.errors import FastdnsError
from fastdns.http.answers import Request
from fastdns.plugins.prometheus.page import OPENMETRICS, TEXT, Renderings, negotiated

# What Prometheus 2.x and 3.x send, and what others do.
ACCEPTED = [
    "",
    "*/*",
    "text/plain",
    "text/plain; version=0.0.4",
    "text/plain;version=1.0.0;escaping=allow-utf-8",
    "text/plain;version=1.0.0;escaping=strange",
    "application/openmetrics-text",
    "application/openmetrics-text; version=1.0.0",
    "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;"
    "version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2",
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
]


@pytest.mark.parametrize("accept", ACCEPTED)
def test_the_format_is_the_librarys_choice(accept: str) -> None:
    registry = CollectorRegistry()
    Gauge("some", "of the kind that this server has", registry=registry).set(1)
    encoder, content_type = choose_encoder(accept)
    form, ours = negotiated(accept)
    assert ours == content_type
    assert form == (OPENMETRICS if b"# EOF" in encoder(registry) else TEXT)


@pytest.mark.parametrize(
    "accept", ["application/openmetrics-text; version=9x", "text/plain; version=7; escaping=a", ";;=,=;,"]
)
def test_what_is_not_known_is_not_repeated(accept: str) -> None:
    """Each unheard-of version would have had a rendering of its own."""
    assert negotiated(accept) == (TEXT, "text/plain; version=0.0.4; charset=utf-8")


class Maker:
    """Renders: each rendering has a number, and waits until it is let go on."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.go_on = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self, form: str, gzip: bool) -> bytes:
        self.begun.append(form + " gzip" * gzip)
        number = len(self.begun)
        await self.go_on.wait()
        if self.error is not None:
            raise self.error
        return b"%d" % number


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def request(accept: str = "") -> Request:
    return Request("GET", "/metrics", {"accept": accept})


async def test_all_who_ask_meanwhile_and_within_a_second_get_one_rendering() -> None:
    """250 connections that scrape without a pause had one each."""
    maker = Maker()
    renderings = Renderings(maker, 1000.0)
    asking = [asyncio.create_task(renderings.handle(request())) for _ in range(250)]
    await until(lambda: bool(maker.begun))
    maker.go_on.set()
    assert {(await one).body for one in asking} == {b"1"}
    assert (await renderings.handle(request())).body == b"1"
    assert (await renderings.handle(request("application/openmetrics-text"))).body == b"2"
    assert maker.begun == [TEXT, OPENMETRICS]


@pytest.mark.parametrize(
    ("accepted", "gzip"),
    [
        ("", False),
        ("gzip", True),
        ("gzip, deflate, br, zstd", True),
        ("deflate, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("identity, *;q=0", False),
        ("*", True),
        ("gzip;q=much", False),
        ("x-gzipped", False),
    ],
)
async def test_a_page_is_compressed_for_who_takes_that(accepted: str, gzip: bool) -> None:
    maker = Maker()
    maker.go_on.set()
    renderings = Renderings(maker, 1000.0)
    answer = await renderings.handle(Request("GET", "/metrics", {"accept-encoding": accepted}))
    assert (answer.content_encoding, maker.begun) == (("gzip", ["text gzip"]) if gzip else ("", ["text"]))


async def test_after_that_there_is_a_new_one() -> None:
    maker = Maker()
    maker.go_on.set()
    renderings = Renderings(maker, 0.0)
    assert [(await renderings.handle(request())).body for _ in range(3)] == [b"1", b"2", b"3"]


async def test_who_asks_during_a_rendering_that_is_too_old_shares_the_next_one() -> None:
    maker = Maker()
    renderings = Renderings(maker, 0.0)
    first = asyncio.create_task(renderings.handle(request()))
    await until(lambda: len(maker.begun) == 1)
    later = [asyncio.create_task(renderings.handle(request())) for _ in range(10)]
    await asyncio.sleep(0.01)
    assert len(maker.begun) == 1, "one at a time"
    maker.go_on.set()
    assert (await first).body == b"1"
    assert {(await one).body for one in later} == {b"2"}


async def test_who_leaves_takes_nothing_from_the_others() -> None:
    maker = Maker()
    renderings = Renderings(maker, 1000.0)
    one, other = (asyncio.create_task(renderings.handle(request())) for _ in range(2))
    await until(lambda: bool(maker.begun))
    one.cancel()
    maker.go_on.set()
    assert (await other).body == b"1"


async def test_what_cannot_be_rendered_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    maker = Maker()
    maker.error = FastdnsError("metrics: no process can be started: Resource temporarily unavailable")
    maker.go_on.set()
    renderings = Renderings(maker, 0.0)
    told = b"metrics: no process can be started: Resource temporarily unavailable\n"
    for _ in range(3):
        answer = await renderings.handle(request())
        assert (answer.status, answer.body) == (503, told)
    assert len(caplog.records) == 1
    maker.error = None
    assert (await renderings.handle(request())).status == 200
