"""auto: answers from the zone files of a directory."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock
from fastdns.metrics.measured import Measure
from fastdns.metrics.reasons import INVALID_DATA, Reason
from fastdns.plugins.api import Check, Plugin, Recorder, Runtime, Source
from fastdns.plugins.auto.config import Config, parse

if TYPE_CHECKING:
    from fastdns.memory._store import Writer
    from fastdns.serve._zones import NativeStep

LOADS = "fastdns_auto_loads_total"
# CoreDNS reads its zones before it serves anything. It has no limit.
STARTUP_TIMEOUT_S = 60.0


class Auto(Plugin):
    """A step on the zone store, and the source that fills it."""

    name = "auto"
    worker_modules = ("step",)
    has_zones = True
    reasons = (Reason("zone_not_loaded", "SERVFAIL", "zone is not loaded", INVALID_DATA),)
    measures = {LOADS: Measure("Number of times that a zone file was read, by result.", ("result",))}
    waiting = "waiting for a directory of zone files to be read before starting server"
    unlisted = "starting server while zone files are still being read"

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def check(self, check: Check) -> None:
        # A server starts whatever is in the directory, and says it then.
        if not check.mistakes.keep:
            return
        from fastdns.plugins.auto.scan import scan
        from fastdns.zonefiles.asking import look_at
        from fastdns.zonefiles.frames import Job

        for _, config in check.config.with_plugin("auto"):
            found = scan(config.directory) if config.directory is not None else None
            if found is None:
                continue
            check.warnings += [f"plugin/auto: {problem}" for problem in found.problems]
            jobs = [Job(file, origin) for origin, file in found.zones.values()]
            for job, read in zip(jobs, look_at(jobs), strict=True):
                if read.error:
                    check.warnings.append(f"plugin/auto: Parse zone `{job.zone}': {read.error}")
                check.warnings += [f"plugin/auto: {line}; it is left out" for line in read.said]

    def source_identity(self, config: Config) -> Hashable:
        return config.directory, config.reload_s, config.secondaries

    def source_zones(self, config: Config) -> Sequence[str]:
        return config.zones

    def startup_timeout_s(self, config: Config) -> float:
        return STARTUP_TIMEOUT_S

    def source(self, number: int, config: Config, writer: Writer, recorder: Recorder) -> Source:
        from fastdns.plugins.auto.source import AutoSource

        return AutoSource(
            number, config, writer, lambda result: recorder.count(LOADS, (result,))
        )

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.auto.step import zone_step

        return zone_step(config, block, runtime)


plugin = Auto()
