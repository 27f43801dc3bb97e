"""greeting: a text over HTTP, on a page of the server's own, and how often it was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import address
from fastdns.http.answers import Answer, Request, text
from fastdns.http.server import Endpoint
from fastdns.plugins.api import InSupervisor, Plugin, SupervisorView

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from fastdns.plugins.api import Handler


@dataclass(frozen=True, slots=True)
class Config:
    """words: what is said. host, port: where."""

    words: str
    host: str
    port: int


class Greeting(InSupervisor):
    """The page /greeting."""

    def __init__(self, supervisor: SupervisorView) -> None:
        self.supervisor = supervisor
        self.requests = 0

    def handlers(self) -> Mapping[str, Handler]:
        return {"/greeting": self.answer}

    async def answer(self, request: Request) -> Answer:
        """GET /greeting."""
        self.requests += 1
        configs = [config for _, config in self.supervisor.config.with_plugin("greeting")]
        return text("\n".join(config.words for config in configs))

    def families(self) -> Iterator[Metric]:
        # Only the process that tells metrics needs the Prometheus client in memory.
        from prometheus_client.core import CounterMetricFamily

        yield CounterMetricFamily("greeting_requests", "How often /greeting was asked for.", self.requests)


class GreetingPlugin(Plugin):
    """greeting WORDS [ADDRESS]"""

    name = "greeting"
    after = "health"

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        config = Config("", "localhost", 8053)
        for _ in tokens.occurrences(once=True):
            words = tokens.next_arg() and tokens.text
            if not words:
                raise tokens.arg_error("the words to say, and optionally an address")
            config = Config(words, *address(tokens, (config.host, config.port)))
        return config

    def endpoint(self, config: Config) -> Endpoint:
        return Endpoint(config.host, config.port, ("/greeting",))

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return Greeting(supervisor)


plugin = GreetingPlugin()
