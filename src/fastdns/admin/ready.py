"""/ready: 200 once every plugin that has something to wait for is ready, else 503 and their names."""

from __future__ import annotations

from collections.abc import Callable

from fastdns.admin.answers import Answer, Request, text
from fastdns.corefile.model import ServerConfig


class Readiness:
    """unready names the plugins that are not ready now. Without ``monitor continuously``, ready stays ready.

    notes: lines that are said beside OK.
    """

    def __init__(
        self, config: ServerConfig, unready: Callable[[], list[str]], notes: Callable[[], list[str]] = list
    ) -> None:
        self.unready = unready
        self.notes = notes
        self.closed = False
        self.reset(config)

    def reset(self, config: ServerConfig) -> None:
        """A new configuration serves: what was ready has to show it again."""
        self.continuously = any(options.monitor == "continuously" for _, options in config.with_plugin("ready"))
        self.been_ready = False

    def close(self) -> None:
        """The server is going: no new traffic."""
        self.closed = True

    async def handle(self, request: Request) -> Answer:
        """GET /ready."""
        if self.closed:
            return text("shutting down", 503)
        if not self.been_ready or self.continuously:
            waiting = sorted(set(self.unready()))
            if waiting:
                return text(",".join(waiting), 503)
            self.been_ready = True
        return text("\n".join(["OK", *self.notes()]))
