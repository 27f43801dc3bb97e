"""pprof: serves profiles of all processes of the server over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.http.server import Endpoint
from fastdns.plugins.api import InSupervisor, Plugin, SupervisorView
from fastdns.plugins.pprof.config import Config, parse

if TYPE_CHECKING:
    from fastdns.plugins.api import Handler

NAMES = ("allocs", "block", "cmdline", "goroutine", "heap", "mutex", "profile", "symbol", "threadcreate", "trace")
PATHS = ("/debug/pprof", "/debug/pprof/", *(f"/debug/pprof/{name}" for name in NAMES))


class Profiling(InSupervisor):
    """The pages, and what the processes that are forked from now on inherit to be profiled."""

    def __init__(self, supervisor: SupervisorView) -> None:
        from fastdns.plugins.pprof.page import Pages

        self.pages = Pages(supervisor)

    def handlers(self) -> Mapping[str, Handler]:
        return self.pages.handlers()


class Pprof(Plugin):
    """Pages only: it costs nothing while nobody asks for a profile."""

    name = "pprof"

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def endpoint(self, config: Config) -> Endpoint:
        return Endpoint(config.host, config.port, PATHS)

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return Profiling(supervisor)


plugin = Pprof()
