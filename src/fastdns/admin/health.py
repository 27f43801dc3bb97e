"""/health: 200 while the server answers queries. A probe of our own measures how long that takes."""

from __future__ import annotations

import asyncio
import logging
import time
from bisect import bisect_left
from collections.abc import Callable

import aiohttp
from aiohttp import web

from fastdns.admin.http import AdminServer, text

log = logging.getLogger("plugin/health")

PROBE_S = 1.0
TIMEOUT_S = 3.0
SLOW_S = 1.0
BOUNDS_S = (0.00025, 0.0025, 0.025, 0.25, 2.5)


def own_url(admin: AdminServer) -> str | None:
    """/health by the address that it is open at: no name to look up, which takes a thread. None where it is not."""
    for endpoint, runner in admin.running.items():
        if "/health" in endpoint.paths and runner.addresses:
            host, port = runner.addresses[0][:2]
            host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
            return f"http://[{host}]:{port}/health" if ":" in host else f"http://{host}:{port}/health"
    return None


class Health:
    """serving tells whether a worker answers."""

    def __init__(self, serving: Callable[[], bool]) -> None:
        self.serving = serving
        self.buckets = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0
        self.failures = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """GET /health."""
        if self.serving():
            return text("OK")
        return text("no worker answers", 503)

    def observe(self, seconds: float) -> None:
        """Count one probe that was answered."""
        self.buckets[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds

    async def probe(self, admin: AdminServer) -> None:
        """Ask ourselves each second, as long as a health endpoint is open: an overloaded host shows here."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session:
            while True:
                await asyncio.sleep(PROBE_S)
                url = own_url(admin)
                if url is None:
                    continue
                begun = time.monotonic()
                try:
                    async with session.get(url, headers={"Connection": "close"}) as answer:
                        await answer.read()
                except (aiohttp.ClientError, OSError, TimeoutError) as error:
                    self.failures += 1
                    log.warning("Local health request to %r failed: %s", url, error or type(error).__name__)
                    continue
                took = time.monotonic() - begun
                self.observe(took)
                if took > SLOW_S:
                    log.warning("Local health request to %r took more than 1s: %gs", url, round(took, 6))
