"""The pages below /debug/pprof/, as Go's net/http/pprof has them."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qs

from fastdns.errors import FastdnsError
from fastdns.http.answers import Answer, Handler, Request, text
from fastdns.plugins.api import SupervisorView
from fastdns.plugins.pprof.profiler import INTERVAL_NS, MAX_SECONDS, MIN_INTERVAL_NS, InUseError, Profile, Profiler

log = logging.getLogger("plugin/pprof")

SECONDS = 30
ROOT = "/debug/pprof"
# What Go's runtime has, and this program not.
OTHERS = ("allocs", "goroutine", "heap", "mutex", "threadcreate", "trace")
INDEX = """\
<html><head><title>/debug/pprof/</title></head><body>
<h1>/debug/pprof/</h1>
<p>Profiles of all processes of this server together; <a href="?">this page</a> lists them.</p>
<ul>
<li><a href="profile?seconds=30">profile</a>: CPU time. <code>seconds</code>: how long (30; 300 at most).
<code>format</code>: <a href="profile?seconds=10&amp;format=svg">svg</a>, a flame graph, or
<a href="profile?seconds=10&amp;format=folded">folded</a>, lines of stacks, instead of pprof's.</li>
<li><a href="block?seconds=30">block</a>: where threads are, waiting included; only with the option
<code>block</code>.</li>
<li><a href="cmdline">cmdline</a>: how this server was started.</li>
</ul>
<p>{processes}</p>
</body></html>
"""


class Pages:
    """What answers each path."""

    def __init__(self, supervisor: SupervisorView) -> None:
        self.supervisor = supervisor
        self.profiler = Profiler(supervisor)

    def handlers(self) -> Mapping[str, Handler]:
        """By path."""
        known: dict[str, Handler] = {
            ROOT: self.index,
            f"{ROOT}/": self.index,
            f"{ROOT}/cmdline": self.cmdline,
            f"{ROOT}/symbol": self.symbol,
            f"{ROOT}/profile": self.profile,
            f"{ROOT}/block": self.block,
        }
        return known | {f"{ROOT}/{name}": missing(name) for name in OTHERS}

    async def index(self, request: Request) -> Answer:
        """What there is."""
        named = ", ".join(f"{name} ({pid})" for pid, name in self.profiler.processes().items())
        page = INDEX.format(processes=f"Processes that can be profiled: {named}.")
        return Answer(page.encode(), content_type="text/html; charset=utf-8")

    async def cmdline(self, request: Request) -> Answer:
        """The words of the command, with NUL between them."""
        try:
            words = Path("/proc/self/cmdline").read_bytes().removesuffix(b"\0")
        except OSError:
            words = b"\0".join(word.encode("utf-8", "surrogateescape") for word in sys.argv)
        return Answer(words)

    async def symbol(self, request: Request) -> Answer:
        """Profiles hold the names of functions, so tools need not ask for any."""
        return text("num_symbols: 0\n")

    async def profile(self, request: Request) -> Answer:
        """CPU time."""
        return await self.taken(request, INTERVAL_NS, wall=False)

    async def block(self, request: Request) -> Answer:
        """Time that passes."""
        rates = [options.block_ns for _, options in self.supervisor.config.with_plugin("pprof") if options.block_ns]
        if not rates:
            return text("Unknown profile: the Corefile's pprof has no option block\n", 404)
        rate = INTERVAL_NS if min(rates) == 1 else max(MIN_INTERVAL_NS, min(rates))
        return await self.taken(request, rate, wall=True)

    async def taken(self, request: Request, interval_ns: int, *, wall: bool) -> Answer:
        """A profile in the format that the request asks for."""
        fields = {name: values[-1] for name, values in parse_qs(request.query, keep_blank_values=True).items()}
        try:
            seconds = float(fields.get("seconds", SECONDS))
        except ValueError:
            seconds = math.nan
        form = fields.get("format", "pprof")
        if not 0 < seconds <= MAX_SECONDS or form not in FORMATS:
            forms = ", ".join(FORMATS)
            return text(f"seconds over 0, up to {MAX_SECONDS}, and a format of {forms} are expected\n", 400)
        try:
            profile = await self.profiler.take(seconds, interval_ns, wall=wall, gone=request.gone)
            body = await self.supervisor.in_child("profile", lambda: rendered(profile, form), limit_s=60.0)
        except InUseError as error:
            return text(f"{error}\n", 500)
        except FastdnsError as error:
            log.error("the profile cannot be rendered: %s", error)
            return text(f"{error}\n", 503)
        return Answer(body, content_type=FORMATS[form])


FORMATS = {"pprof": "application/octet-stream", "svg": "image/svg+xml", "folded": "text/plain; charset=utf-8"}


def rendered(profile: Profile, form: str) -> bytes:
    """A profile in one of the formats. It reads the symbols of all that is mapped: for a process that ends soon."""
    if form == "pprof":
        from fastdns.plugins.pprof.encoding import encoded

        return encoded(profile)
    from fastdns.plugins.pprof import flame

    return flame.drawn(profile) if form == "svg" else flame.folded(profile)


def missing(name: str) -> Callable[[Request], Awaitable[Answer]]:
    """A profile of Go's runtime."""

    async def handle(request: Request) -> Answer:
        return text(f"Unknown profile: {name} is of Go's runtime; fastdns is not written in Go\n", 404)

    return handle
