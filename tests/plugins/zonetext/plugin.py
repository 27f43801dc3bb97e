"""zonetext FILE: answers from the zones of a text file."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.errors import SourceError, StoreFull
from fastdns.plugins.api import Plugin, Recorder, Runtime

if TYPE_CHECKING:
    from fastdns.corefile.model import ServerBlock
    from fastdns.memory._store import Writer
    from fastdns.rrsets._draft import Draft
    from fastdns.serve._zones import NativeStep

log = logging.getLogger("plugin/zonetext")

LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class Config:
    """file: where the zones are. zones: of the block."""

    file: str
    zones: tuple[str, ...]


def read(text: str) -> dict[bytes, Draft]:
    """The zones of a file, by name. Raises SourceError with the line."""
    import dns.exception
    import dns.name
    import dns.rdata

    from fastdns.rrsets._draft import Draft

    zones: dict[bytes, Draft] = {}
    draft: Draft | None = None
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split(None, 3)
        try:
            if not words:
                continue
            if words[0] == "zone":
                draft = Draft(dns.name.from_text(words[1]).to_wire())
                zones[draft.zone] = draft
                continue
            assert draft is not None
            rdata = dns.rdata.from_text("IN", words[2], words[3])
            draft.add(dns.name.from_text(words[0]).to_wire(), int(rdata.rdtype), int(words[1]), rdata.to_wire())
        except (AssertionError, IndexError, ValueError, dns.exception.DNSException) as error:
            raise SourceError(f"{number}: {line!r} is neither a zone nor a record: {error}") from None
    return zones


class ZoneTextSource:
    """Follows the file: publishes what it says."""

    def __init__(self, number: int, config: Config, writer: Writer) -> None:
        from fastdns.rrsets._writer import ZoneWriter

        self.number = number
        self.config = config
        self.zones = ZoneWriter(writer, number)
        self.read_at = 0

    def restore(self) -> None:
        """Nothing was kept."""

    async def run(self) -> None:
        while True:
            try:
                changed = Path(self.config.file).stat().st_mtime_ns
                if changed != self.read_at:
                    self.publish(read(Path(self.config.file).read_text(encoding="utf-8")))
                    self.read_at = changed
            except (OSError, SourceError, StoreFull) as error:
                log.error("%s: %s", self.config.file, error)
            await asyncio.sleep(LOOK_S)

    def publish(self, drafts: dict[bytes, Draft]) -> None:
        """These are the zones."""
        for draft in drafts.values():
            self.zones.replace(draft)
        for name in set(self.zones.zones()) - set(drafts):
            self.zones.remove(name)
        self.zones.writer.set_source(self.number, synced=True)
        log.info("%s: %d zones", self.config.file, len(drafts))

    def tick(self) -> None:
        self.zones.settle()

    async def close(self) -> None:
        pass


class ZoneText(Plugin):
    """zonetext FILE"""

    name = "zonetext"
    before = "kubernetes"

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        config = None
        for _ in tokens.occurrences(once=True):
            file = tokens.next_arg() and tokens.text
            if not file:
                raise tokens.arg_error("the file of zones")
            config = Config(file, context.zones)
        assert config is not None
        return config

    def source_identity(self, config: Config) -> Hashable:
        return config.file

    def source_zones(self, config: Config) -> Sequence[str]:
        return config.zones

    def startup_timeout_s(self, config: Config) -> float:
        return 5.0

    def source(self, number: int, config: Config, writer: Writer, recorder: Recorder) -> ZoneTextSource:
        return ZoneTextSource(number, config, writer)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from tests.plugins.zonetext._step import ZoneTextStep

        return ZoneTextStep(runtime.sources[self.name, block.index])


plugin = ZoneText()
