"""on: runs commands when the server has started, and before it ends."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerConfig
from fastdns.errors import FastdnsError
from fastdns.plugins.api import InSupervisor, Plugin, SupervisorView
from fastdns.plugins.on.config import SHUTDOWN, STARTUP, Config, parse

if TYPE_CHECKING:
    from fastdns.plugins.on.config import Command

log = logging.getLogger("plugin/on")

# Of one command. All those of a shutdown have LEAVE_S of process/supervisor.py together.
LIMIT_S = 60.0


class Running(InSupervisor):
    """Runs the commands, one after the other, each in a child."""

    def __init__(self, supervisor: SupervisorView) -> None:
        self.supervisor = supervisor
        self.serving = asyncio.Event()
        self.started = False

    def serves(self, config: ServerConfig, prepared: Any) -> None:
        self.serving.set()

    async def run(self) -> None:
        # At the start this begins when queries are answered; with a reload it does so already.
        while True:
            await self.serving.wait()
            self.serving.clear()
            self.started = True
            await self.run_all(STARTUP)

    async def leave(self) -> None:
        if self.started:
            await self.run_all(SHUTDOWN)

    async def run_all(self, event: str) -> None:
        """The commands of an event, of all blocks."""
        for _, config in self.supervisor.config.with_plugin("on"):
            for command in config.commands:
                if command.event == event:
                    await self.run_one(command)

    async def run_one(self, command: Command) -> None:
        """One command; a failure is only logged."""

        def call() -> bytes:
            from fastdns.plugins.on.running import run

            return run(command.words, background=command.background)

        log.info("%s command: %s", "Nonblocking" if command.background else "Blocking", command)
        try:
            wrong = await self.supervisor.in_child(f"on {command.event}", call, limit_s=LIMIT_S, needed=True)
        except FastdnsError as error:
            wrong = str(error).encode()
        if wrong:
            log.error("on %s: %s: %s", command.event, command, wrong.decode())


class On(Plugin):
    """Commands of the supervisor's; there is no step."""

    name = "on"

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return Running(supervisor)


plugin = On()
