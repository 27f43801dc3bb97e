"""k8s_external: names outside of the cluster for Services that are reached from there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock
from fastdns.dns.names import wire_name
from fastdns.errors import FastdnsError
from fastdns.plugins.api import Check, Plugin, Runtime
from fastdns.plugins.k8s_external.config import Config, parse
from fastdns.plugins.kubernetes.config import EXPOSED
from fastdns.plugins.kubernetes.plugin import answer_options, without_fallthrough

if TYPE_CHECKING:
    from fastdns.serve._transfers import NativeTransfer
    from fastdns.serve._zones import NativeStep


class K8sExternal(Plugin):
    """A step on the records of the block's cluster."""

    name = "k8s_external"
    needs = ("kubernetes",)
    worker_modules = ("_step",)

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def context(self, config: Config, context: BlockContext) -> BlockContext:
        return context.asking(EXPOSED)

    def check(self, check: Check) -> None:
        for block, _ in check.config.with_plugin("k8s_external"):
            with check.of("k8s_external", block):
                if "kubernetes" not in block.plugins:
                    raise FastdnsError("it needs the plugin kubernetes in the same server block")

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.k8s_external._step import ExternalStep

        return ExternalStep(
            answer_options(block, runtime),
            zones=[wire_name(zone) for zone in config.zones],
            primary=wire_name(config.primary),
            apex=wire_name(config.apex)[:-1],
            ttl_s=config.ttl_s,
            headless=config.headless,
            fall=[wire_name(zone) for zone in config.fallthrough or ()],
        )

    def transferable(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeTransfer:
        from fastdns.plugins.kubernetes.answers._transfer import ClusterTransfer

        apex = wire_name(config.apex)[:-1]
        return ClusterTransfer(
            answer_options(block, runtime),
            outside=[wire_name(zone) for zone in config.zones],
            nameserver=b"\x03ns1" + apex,
            mailbox=b"\x0ahostmaster" + apex,
            ttl_s=config.ttl_s,
            headless=config.headless,
        )

    def answered_zones(self, config: Config) -> Sequence[str]:
        return without_fallthrough(config.zones, config.fallthrough)


plugin = K8sExternal()
