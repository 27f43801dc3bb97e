"""etcd: answers from services in etcd, as SkyDNS defines them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock
from fastdns.dns.names import wire_name
from fastdns.errors import FastdnsError
from fastdns.metrics.reasons import NOT_READY, Reason, first_reason
from fastdns.plugins.api import Check, Plugin, Recorder, Runtime, Source
from fastdns.plugins.etcd.config import Config, parse
from fastdns.plugins.etcd.metrics import MEASURES

if TYPE_CHECKING:
    from fastdns.memory._store import Writer
    from fastdns.serve._zones import NativeStep


class Etcd(Plugin):
    """A step on the zone store, and the source that follows etcd."""

    name = "etcd"
    worker_modules = ("_step",)
    reasons = (Reason("etcd_unread", "SERVFAIL", "etcd has not been read yet", NOT_READY),)
    measures = MEASURES
    waiting = "waiting for etcd before starting server"
    unlisted = "starting server before etcd has been read"

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def check(self, check: Check) -> None:
        for block, config in check.config.with_plugin(self.name):
            if config.tls is not None:
                from fastdns.plugins.etcd.client import tls_of

                with check.of(self.name, block):
                    try:
                        tls_of(config.tls)
                    except OSError as error:
                        what = error.strerror or error
                        raise FastdnsError(f"the files of tls, {' '.join(config.tls)}: {what}") from None

    def source_identity(self, config: Config) -> Hashable:
        # Which names go on, and the upper bound of TTLs, the step knows.
        return replace(config, fallthrough=None, max_lease_ttl_s=0, zones=tuple(sorted(set(config.zones))))

    def source_zones(self, config: Config) -> Sequence[str]:
        return config.zones

    def startup_timeout_s(self, config: Config) -> float:
        return 5.0

    def source(self, number: int, config: Config, writer: Writer, recorder: Recorder) -> Source:
        from fastdns.plugins.etcd.source import EtcdSource

        return EtcdSource(number, config, writer, recorder)

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.etcd._step import EtcdStep

        return EtcdStep(
            source=runtime.sources[self.name, block.index],
            zones=[wire_name(zone) for zone in config.zones],
            fall=[wire_name(zone) for zone in config.fallthrough or ()],
            min_lease_ttl_s=config.min_lease_ttl_s,
            max_lease_ttl_s=config.max_lease_ttl_s,
            unread=first_reason(self.name),
        )

    def answered_zones(self, config: Config) -> Sequence[str]:
        falls = [wire_name(zone) for zone in config.fallthrough or ()]
        return tuple(
            zone
            for zone in config.zones
            if not any(wire_name(zone).endswith(fall) or fall.endswith(wire_name(zone)) for fall in falls)
        )


plugin = Etcd()
