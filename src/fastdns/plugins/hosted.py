"""What plugins with hosted zones have in common: zones that a provider serves, listed over its API.

A plugin of this kind has its options (config.py makes a hostedzones.config.Config), and a module ``listing`` that
turns what the provider's library lists into record sets, in a process of its own (hostedzones/child.py).
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from fastdns.corefile.model import ServerBlock
from fastdns.dns.names import wire_name
from fastdns.errors import FastdnsError
from fastdns.hostedzones.config import Config
from fastdns.metrics.measured import Measure
from fastdns.metrics.reasons import INVALID_DATA, Reason, first_reason
from fastdns.plugins.api import Check, Plugin, Recorder, Runtime, Source

if TYPE_CHECKING:
    from fastdns.memory._store import Writer
    from fastdns.serve._zones import NativeStep

# CoreDNS lists hosted zones before it serves anything. It has no limit.
STARTUP_TIMEOUT_S = 60.0


class HostedZonesPlugin(Plugin):
    """A step on the zone store, and the source that fills it.

    provider: as log lines name it. libraries: modules that the extra with the plugin's name brings.
    """

    worker_modules = ("fastdns.hostedzones._step",)
    reasons = (Reason("zone_not_loaded", "SERVFAIL", "zone is not loaded", INVALID_DATA),)
    waiting = "waiting for hosted zones before starting server"
    unlisted = "starting server while hosted zones are still being listed"
    provider = ""
    libraries: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.listings = f"fastdns_{self.name}_listings_total"
        self.measures = {
            self.listings: Measure("Number of times that a hosted zone was listed, by result.", ("result",))
        }

    def check(self, check: Check) -> None:
        for block, _ in check.config.with_plugin(self.name):
            with check.of(self.name, block):
                missing = [library for library in self.libraries if not is_installed(library)]
                if missing:
                    raise FastdnsError(f"it needs {' and '.join(missing)}: pip install 'fastdns[{self.name}]'")

    def source_identity(self, config: Config) -> Hashable:
        return config.listings

    def source_zones(self, config: Config) -> Sequence[str]:
        return config.zones

    def startup_timeout_s(self, config: Config) -> float:
        return STARTUP_TIMEOUT_S

    def source(self, number: int, config: Config, writer: Writer, recorder: Recorder) -> Source:
        from fastdns.hostedzones.following import HostedSource

        folder = type(self).__module__.rpartition(".")[0]
        return HostedSource(
            number,
            f"{folder}.listing",
            self.provider,
            config.listings,
            writer,
            logging.getLogger(f"plugin/{self.name}"),
            lambda result: recorder.count(self.listings, (result,)),
        )

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.hostedzones._step import HostedStep

        return HostedStep(
            source=runtime.sources[self.name, block.index],
            zones=[wire_name(zone) for zone in config.zones],
            fall=[wire_name(zone) for zone in config.fallthrough],
            not_loaded=first_reason(self.name),
        )


def is_installed(module: str) -> bool:
    """Whether a module is there. It is not imported."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
