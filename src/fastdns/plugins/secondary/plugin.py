"""secondary: answers from zones that are transferred from primary servers."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock
from fastdns.metrics.measured import Measure
from fastdns.metrics.reasons import INVALID_DATA, Reason
from fastdns.plugins.api import Plugin, Recorder, Runtime, Source
from fastdns.plugins.secondary.config import Config, parse

if TYPE_CHECKING:
    from fastdns.memory._store import Writer
    from fastdns.serve._zones import NativeStep

LOOKS = "fastdns_secondary_transfers_total"
EXPIRED = "fastdns_secondary_expired_total"
# Until the watcher is there: then a catalog's block passes on what is in none of its zones.
STARTUP_TIMEOUT_S = 5.0


class Secondary(Plugin):
    """A step on the zone store, and the source that fills it."""

    name = "secondary"
    worker_modules = ("step",)
    has_zones = True
    reasons = (Reason("zone_not_loaded", "SERVFAIL", "zone is not loaded", INVALID_DATA),)
    measures = {
        LOOKS: Measure("Number of times that primaries were asked for a zone, by result.", ("result",)),
        EXPIRED: Measure("Number of times that a zone has expired.", ()),
    }
    waiting = "waiting for zones to be transferred"
    # As in CoreDNS a start waits for no primary, and needs no word about that.
    unlisted = ""

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def source_identity(self, config: Config) -> Hashable:
        return config.zones, config.secondaries

    def source_zones(self, config: Config) -> Sequence[str]:
        return tuple(one.zone for one in config.zones)

    def startup_timeout_s(self, config: Config) -> float:
        return STARTUP_TIMEOUT_S if config.has_catalog else 0.0

    def source(self, number: int, config: Config, writer: Writer, recorder: Recorder) -> Source:
        from fastdns.plugins.secondary.source import SecondarySource

        def count(result: str) -> None:
            recorder.count(*((EXPIRED, ()) if result == "expired" else (LOOKS, (result,))))

        return SecondarySource(number, config, writer, count)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.secondary.step import zone_step

        return zone_step(config, block, runtime)


plugin = Secondary()
