"""The step of a block: answers from whatever zones its source has, below the zones of the block."""

from __future__ import annotations

from fastdns.authoritative._step import ZoneStep
from fastdns.corefile.model import ServerBlock
from fastdns.dns.names import wire_name
from fastdns.metrics.reasons import first_reason
from fastdns.plugins.api import Runtime
from fastdns.plugins.auto.config import Config


def zone_step(config: Config, block: ServerBlock, runtime: Runtime) -> ZoneStep:
    """The step of a block."""
    return ZoneStep(
        source=runtime.sources["auto", block.index],
        zones=[wire_name(zone) for zone in config.zones],
        fall=[wire_name(zone) for zone in config.fallthrough or ()],
        any_zone=True,
        not_loaded=first_reason("auto"),
    )
