"""One rendering of /metrics serves all who ask within a second, and none is made in the supervisor.

A child of the supervisor renders: a fork has everything that is to be told as it is at one moment, and nothing that
it does, or waits for, holds up the supervisor's loop. What it imports for that, nobody else has in memory.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial

from fastdns.environ import Number
from fastdns.errors import FastdnsError
from fastdns.http.answers import Answer, Request, text
from fastdns.plugins.prometheus.formats import OPENMETRICS, TEXT

log = logging.getLogger("fastdns")

# A rendering answers who asks within this time after it was begun.
MAX_AGE_MS = Number("FASTDNS_METRICS_MAX_AGE_MS", 1000, 60_000, low=0)
MAX_AGE_S = MAX_AGE_MS.default / 1000

# Makes the metrics in one of the formats, compressed by gzip or not.
Render = Callable[[str, bool], Awaitable[bytes]]


def negotiated(accept: str) -> tuple[str, str]:
    """The format that a scraper accepts first of those that there are, and its content type.

    As prometheus_client's choose_encoder, but what is not known is not repeated. Names of this server are the same
    under every escaping scheme.
    """
    for one in accept.split(","):
        kind, *parameters = (part.strip() for part in one.split(";"))
        options = dict(part.split("=", 1) for part in parameters if "=" in part)
        version = options.get("version", "")
        escaping = options.get("escaping", "")
        if escaping not in ("allow-utf-8", "underscores", "dots", "values"):
            escaping = "underscores"
        if kind == "application/openmetrics-text" and version in ("", "1.0.0"):
            end = f"; escaping={escaping}" if version else ""
            return OPENMETRICS, f"{kind}; version=1.0.0; charset=utf-8{end}"
        if kind == "text/plain" and version == "1.0.0":
            return TEXT, f"{kind}; version=1.0.0; charset=utf-8; escaping={escaping}"
    return TEXT, "text/plain; version=0.0.4; charset=utf-8"


def takes_gzip(accept_encoding: str) -> bool:
    """Whether a scraper takes a body that is compressed by gzip (RFC 9110 section 12.5.3)."""
    weights = {}
    for one in accept_encoding.lower().split(","):
        coding, *parameters = (part.strip() for part in one.split(";"))
        weights[coding] = next((part[2:] for part in parameters if part.startswith("q=")), "1")
    try:
        return float(weights.get("gzip", weights.get("*", "0"))) > 0
    except ValueError:
        return False


class Shared:
    """What is made in one form: who asks gets what was begun max_age_s ago at most."""

    def __init__(self, make: Callable[[], Awaitable[bytes]], max_age_s: float) -> None:
        self.make = make
        self.max_age_s = max_age_s
        self.made: asyncio.Task[bytes] | None = None
        self.begun_at = float("-inf")

    async def get(self) -> bytes:
        """The newest, or a new one. Raises what make raises, for as long."""
        now = time.monotonic()
        while True:
            made = self.made
            if made is not None and now - self.begun_at <= self.max_age_s:
                # Who leaves does not take it away from the others.
                return await asyncio.shield(made)
            if made is None or made.done():
                break
            # One at a time.
            await asyncio.wait((made,))
        self.begun_at = time.monotonic()
        self.made = asyncio.get_running_loop().create_task(self.run())
        return await asyncio.shield(self.made)

    async def run(self) -> bytes:
        """Make one."""
        return await self.make()


class Renderings:
    """The handler of /metrics."""

    def __init__(self, render: Render, max_age_s: float = MAX_AGE_S) -> None:
        self.shared = {
            (form, gzip): Shared(partial(render, form, gzip), max_age_s)
            for form in (TEXT, OPENMETRICS)
            for gzip in (False, True)
        }
        self.said = ""

    async def handle(self, request: Request) -> Answer:
        """GET /metrics, in the format and the encoding that the scraper accepts."""
        form, content_type = negotiated(request.headers.get("accept", ""))
        gzip = takes_gzip(request.headers.get("accept-encoding", ""))
        try:
            body = await self.shared[form, gzip].get()
        except FastdnsError as error:
            if str(error) != self.said:
                self.said = str(error)
                log.error("the metrics cannot be rendered: %s", error)
            return text(f"{error}\n", 503)
        self.said = ""
        return Answer(body, content_type=content_type, content_encoding="gzip" if gzip else "")
