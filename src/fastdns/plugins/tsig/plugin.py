"""tsig: verifies signatures of messages, and signs the replies."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock, ServerConfig
from fastdns.plugins.api import Check, InSupervisor, Plugin, Runtime, SupervisorView
from fastdns.plugins.tsig.config import Config, parse

if TYPE_CHECKING:
    from fastdns.dns._signatures import KeyRing
    from fastdns.serve._zones import NativeStep

# What is seen of a file without reading it: when it was changed, its size and inode; None: there is none.
Seen = tuple[int, int, int] | None


def look_at(files: Iterable[str]) -> dict[str, Seen]:
    """How files are now."""
    found: dict[str, Seen] = {}
    for file in files:
        try:
            about = Path(file).stat()
            found[file] = about.st_mtime_ns, about.st_size, about.st_ino
        except OSError:
            found[file] = None
    return found


class Keeping(InSupervisor):
    """The keys, which workers inherit; and whether the files that they come from have changed."""

    def __init__(self, supervisor: SupervisorView) -> None:
        self.seen: dict[str, Seen] = {}

    async def prepare(self, config: ServerConfig) -> dict[int, KeyRing]:
        from fastdns.plugins.tsig.secrets import key_rings

        seen = look_at(file for _, options in config.with_plugin("tsig") for file in options.files)
        rings = key_rings(config)
        # What changes from here on is seen.
        self.seen = seen
        return rings

    def has_changed(self) -> bool:
        now = look_at(self.seen)
        # A file that is gone for a moment is about to be replaced.
        now = {file: seen if seen is not None else self.seen[file] for file, seen in now.items()}
        if now == self.seen:
            return False
        self.seen = now
        return True


class Tsig(Plugin):
    """A step that sees messages before all that might answer them, and their replies as they leave."""

    name = "tsig"
    worker_modules = ("_step",)

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def check(self, check: Check) -> None:
        from fastdns.plugins.tsig.secrets import secrets_of

        for block, config in check.config.with_plugin("tsig"):
            with check.of("tsig", block):
                secrets_of(config)

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return Keeping(supervisor)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.tsig._step import TsigStep

        prepared: dict[int, Any] = runtime.prepared["tsig"]
        return TsigStep(prepared[block.index], config.zones, config.qtypes, config.opcodes)


plugin = Tsig()
