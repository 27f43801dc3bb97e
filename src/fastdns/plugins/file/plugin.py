"""file: answers from zone files."""

from __future__ import annotations

import stat
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock
from fastdns.errors import FastdnsError
from fastdns.metrics.measured import Measure
from fastdns.metrics.reasons import INVALID_DATA, Reason
from fastdns.plugins.api import Check, Plugin, Recorder, Runtime, Source
from fastdns.plugins.file.config import Config, ZoneFile, parse

if TYPE_CHECKING:
    from fastdns.memory._store import Writer
    from fastdns.serve._zones import NativeStep
    from fastdns.zonefiles.frames import Read

LOADS = "fastdns_file_loads_total"
# CoreDNS reads its zones before it serves anything. It has no limit.
STARTUP_TIMEOUT_S = 60.0


class File(Plugin):
    """A step on the zone store, and the source that fills it."""

    name = "file"
    worker_modules = ("step",)
    has_zones = True
    reasons = (Reason("zone_not_loaded", "SERVFAIL", "zone is not loaded", INVALID_DATA),)
    measures = {LOADS: Measure("Number of times that a zone file was read, by result.", ("result",))}
    waiting = "waiting for zone files to be read before starting server"
    unlisted = "starting server while zone files are still being read"

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def check(self, check: Check) -> None:
        wanted = [(block, one) for block, config in check.config.with_plugin("file") for one in config.files]
        # A server reads the files where they are served, and says then what is wrong in them.
        looks = found_in if check.mistakes.keep else found_of
        for (block, one), read in zip(wanted, looks([one for _, one in wanted]), strict=True):
            with check.of("file", block):
                if read.unreadable and one.reload_s:
                    check.warnings.append(unreadable(one, read.error))
                elif read.error:
                    raise FastdnsError(read.error)
                check.warnings += [f"plugin/file: {line}; it is left out" for line in read.said]

    def source_identity(self, config: Config) -> Hashable:
        return config.files, config.secondaries

    def source_zones(self, config: Config) -> Sequence[str]:
        return config.zones

    def startup_timeout_s(self, config: Config) -> float:
        return STARTUP_TIMEOUT_S

    def source(self, number: int, config: Config, writer: Writer, recorder: Recorder) -> Source:
        from fastdns.plugins.file.source import FileSource

        def count(result: str) -> None:
            recorder.count(LOADS, (result,))

        return FileSource(number, config, writer, count, lambda why: recorder.refuse(number, why))

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.file.step import zone_step

        return zone_step(config, block, runtime)


def found_in(files: Sequence[ZoneFile]) -> list[Read]:
    """What is in the files."""
    from fastdns.zonefiles.asking import look_at
    from fastdns.zonefiles.frames import Job

    return look_at([Job(one.file, one.zone) for one in files])


def found_of(files: Sequence[ZoneFile]) -> list[Read]:
    """What is known of the files without reading them: whether they are there."""
    from fastdns.zonefiles.frames import Read

    found = []
    for one in files:
        read = Read()
        try:
            if not stat.S_ISREG(Path(one.file).stat().st_mode):
                read.error = f"{one.file}: expected a regular file"
        except OSError as error:
            read = Read(error=f"open {one.file}: {error.strerror}", unreadable=True)
        found.append(read)
    return found


def unreadable(one: ZoneFile, error: str) -> str:
    """What is said of a file that may be there later."""
    return f'plugin/file: Failed to open "{error}": trying again in {one.reload_s:g}s'


plugin = File()
