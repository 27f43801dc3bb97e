"""/health: 200 while the server answers queries. A probe of our own measures how long that takes."""

from __future__ import annotations

import asyncio
import logging
import time
from bisect import bisect_left
from collections.abc import Callable

from fastdns.http.answers import Answer, Request, text

log = logging.getLogger("plugin/health")

PROBE_S = 1.0
TIMEOUT_S = 3.0
SLOW_S = 1.0
BOUNDS_S = (0.00025, 0.0025, 0.025, 0.25, 2.5)


def url_of(host: str, port: int) -> str:
    """/health at an address, as the log shows it."""
    return f"http://[{host}]:{port}/health" if ":" in host else f"http://{host}:{port}/health"


async def get_health(host: str, port: int) -> None:
    """Ask for /health. Raises OSError where nothing that looks like HTTP comes back."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        # RFC 9110 section 4.2: of an address, the zone is this host's business alone.
        name = host.partition("%")[0]
        writer.write(f"GET /health HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        if not (await reader.read(-1)).startswith(b"HTTP/1.1 "):
            raise ConnectionError("no answer")
    finally:
        writer.close()


class Health:
    """serving tells whether a worker answers."""

    def __init__(self, serving: Callable[[], bool]) -> None:
        self.serving = serving
        self.buckets = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0
        self.failures = 0

    async def handle(self, request: Request) -> Answer:
        """GET /health."""
        if self.serving():
            return text("OK")
        return text("no worker answers", 503)

    def observe(self, seconds: float) -> None:
        """Count one probe that was answered."""
        self.buckets[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds

    async def probe(self, where_is_it: Callable[[], tuple[str, int] | None]) -> None:
        """Ask ourselves each second where /health is served: an overloaded host shows here."""
        while True:
            await asyncio.sleep(PROBE_S)
            where = where_is_it()
            if where is None:
                continue
            url = url_of(*where)
            begun = time.monotonic()
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    await get_health(*where)
            except (OSError, TimeoutError) as error:
                self.failures += 1
                log.warning("Local health request to %r failed: %s", url, error or type(error).__name__)
                continue
            took = time.monotonic() - begun
            self.observe(took)
            if took > SLOW_S:
                log.warning("Local health request to %r took more than 1s: %gs", url, round(took, 6))
