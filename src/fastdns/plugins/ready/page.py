"""/ready: 200 once every plugin that has something to wait for is ready, else 503 and their names."""

from __future__ import annotations

from fastdns.corefile.model import ServerConfig
from fastdns.http.answers import Answer, Request, text
from fastdns.plugins.api import SupervisorView


class Readiness:
    """Without ``monitor continuously``, what was ready once stays ready until another configuration serves."""

    def __init__(self, supervisor: SupervisorView) -> None:
        self.supervisor = supervisor
        self.reset(supervisor.config)

    def reset(self, config: ServerConfig) -> None:
        """A new configuration serves: what was ready has to show it again."""
        self.continuously = any(options.monitor == "continuously" for _, options in config.with_plugin("ready"))
        self.been_ready = False

    async def handle(self, request: Request) -> Answer:
        """GET /ready."""
        if self.supervisor.stopping:
            return text("shutting down", 503)
        if not self.been_ready or self.continuously:
            waiting = sorted(set(self.supervisor.unready()))
            if waiting:
                return text(",".join(waiting), 503)
            self.been_ready = True
        return text("\n".join(["OK", *self.supervisor.notes()]))
