"""kubernetes: answers queries for Services and Pods."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.model import ServerBlock, ServerConfig
from fastdns.corefile.values import read_text
from fastdns.dns.names import wire_name
from fastdns.dns.searchlist import search_list
from fastdns.errors import FastdnsError
from fastdns.plugins.api import Check, InSupervisor, Plugin, Recorder, Runtime, Source, SupervisorView
from fastdns.plugins.kubernetes.config import Config, parse
from fastdns.plugins.kubernetes.metrics import MEASURES
from fastdns.plugins.kubernetes.numbers import identity, shared_snapshot

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from fastdns.memory._store import Writer
    from fastdns.plugins.kubernetes.answers._options import AnswerOptions
    from fastdns.serve._search import NativeSearch
    from fastdns.serve._transfers import NativeTransfer
    from fastdns.serve._values import NativeValue
    from fastdns.serve._zones import NativeStep


log = logging.getLogger("plugin/kubernetes")

RESOLV_CONF = "/etc/resolv.conf"


def answer_options(block: ServerBlock, runtime: Runtime) -> AnswerOptions:
    """How the names of a cluster are answered in a block that has this plugin."""
    from fastdns.plugins.kubernetes.answers._options import AnswerOptions

    config: Config = block.plugins["kubernetes"]
    multicluster = set(config.multicluster)
    return AnswerOptions(
        source=runtime.sources["kubernetes", block.index],
        zones=[(wire_name(zone), zone in multicluster) for zone in config.zones],
        primary=wire_name(config.primary),
        ttl_s=config.ttl_s,
        pods=config.pods,
        fall=[wire_name(zone) for zone in config.fallthrough or ()],
        namespaces=[bytes((len(name),)) + name.encode().lower() for name in config.namespaces],
        # CoreDNS returns no NS records for addresses that a *bind* names.
        local=list(runtime.local) if block.settings.addresses is None else [],
        ignore_empty_service=config.ignore_empty_service,
        zonal=config.zonal,
    )


def without_fallthrough(zones: Sequence[str], fallthrough: Sequence[str] | None) -> tuple[str, ...]:
    """Those of these zones of which no name goes to the next plugin."""
    falls = [wire_name(zone) for zone in fallthrough or ()]
    return tuple(
        zone
        for zone in zones
        if not any(wire_name(zone).endswith(fall) or fall.endswith(wire_name(zone)) for fall in falls)
    )


def host_search_list() -> tuple[bytes, ...]:
    """The search list of this host. As in CoreDNS, a file that cannot be read is one without."""
    try:
        return search_list(read_text(RESOLV_CONF))
    except (OSError, ValueError) as error:
        log.warning("the search list of %s is not used: %s", RESOLV_CONF, error)
        return ()


class Following(InSupervisor):
    """The supervisor's view of the clusters that the watcher follows."""

    def __init__(self, supervisor: SupervisorView) -> None:
        self.supervisor = supervisor

    async def prepare(self, config: ServerConfig) -> tuple[bytes, ...]:
        """The search list of this host, if one is needed. Workers inherit it, and what reads it."""
        if not any(options.searched for _, options in config.with_plugin("kubernetes")):
            return ()
        import fastdns.plugins.kubernetes._search  # noqa: F401

        return host_search_list()

    def is_ready(self) -> bool:
        return all(map(self.supervisor.is_known, self.supervisor.active_sources("kubernetes")))

    def snapshot_ages_s(self) -> dict[str, float]:
        """The age of the served snapshot by zone; 0 if the API server has listed the cluster."""
        from fastdns.plugins.kubernetes.numbers import snapshot_age_s

        ages: dict[str, float] = {}
        for number, config in self.supervisor.active_sources("kubernetes").items():
            if config.snapshot is not None:
                age_s = snapshot_age_s(self.supervisor.store, number)
                ages[config.primary] = max(age_s, ages.get(config.primary, 0.0))
        return ages

    def notes(self) -> list[str]:
        return [
            f"kubernetes: {zone} from a snapshot that is {age_s:.0f} s old"
            for zone, age_s in self.snapshot_ages_s().items()
            if age_s
        ]

    def owner(self, address: bytes) -> dict[str, str]:
        """The namespace of the pod that has an address, and its name; without such a pod, the Service that has the
        address as an endpoint. What is kept of pods is for the configuration to say."""
        from fastdns.plugins.kubernetes.answers._owner import owner_of

        store = self.supervisor.store
        for number, config in self.supervisor.active_sources("kubernetes").items():
            name_at = config.described.index("") if "" in config.described else None
            if found := owner_of(store, number, address, name_at):
                return found
        return {}

    def families(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        ages = GaugeMetricFamily(
            "fastdns_kubernetes_snapshot_age_seconds", "Age in seconds of the snapshot that is served; 0 "
            "after the API server has listed the cluster.", labels=("zone",),
        )  # fmt: skip
        for zone, age_s in self.snapshot_ages_s().items():
            ages.add_metric((zone,), age_s)
        yield ages


class Kubernetes(Plugin):
    """A step on the zone store, and the sources that fill it."""

    name = "kubernetes"
    worker_modules = ("_step",)
    offers = (
        "config", "answers._exposed", "answers._options", "answers._request", "answers._reverse",
        "answers._services", "answers._soa", "answers._transfer", "records._layout",
    )  # fmt: skip
    removed_options = {
        "upstream": "names elsewhere are looked up through the server itself: remove the line",
        "resyncperiod": "changes are watched: remove the line",
        "cidrs": "write the reverse zones, or their CIDRs, behind the plugin's name",
        "transfer": "use the plugin transfer",
    }
    measures = MEASURES
    waiting = "waiting for Kubernetes API before starting server"
    unlisted = "starting server with unsynced Kubernetes API"

    def parse(self, tokens: Dispenser, context: BlockContext) -> Config:
        return parse(tokens, context)

    def check(self, check: Check) -> None:
        pair = shared_snapshot(check.config.with_plugin("kubernetes"))
        if pair is not None:
            first, second = pair
            file, line = first.places["kubernetes"]
            with check.of("kubernetes", second):
                raise FastdnsError(
                    f"the snapshot {second.plugins['kubernetes'].snapshot} is also used by the kubernetes at "
                    f"{file}:{line}; blocks with different options need different files"
                )

    async def check_accounts(self, config: ServerConfig, environ: Mapping[str, str]) -> None:
        from fastdns.corefile.mistakes import said_of

        for block, options in config.with_plugin("kubernetes"):
            if not options.manifests:
                from fastdns.plugins.kubernetes.api.connection import check

                with said_of("kubernetes", block):
                    await check(options, environ=environ)

    def in_supervisor(self, supervisor: SupervisorView) -> InSupervisor:
        return Following(supervisor)

    def source_identity(self, config: Config) -> Hashable:
        return identity(config)

    def source_zones(self, config: Config) -> Sequence[str]:
        return config.zones

    def startup_timeout_s(self, config: Config) -> float:
        return config.startup_timeout_s

    def source(self, number: int, config: Config, writer: Writer, recorder: Recorder) -> Source:
        from fastdns.plugins.kubernetes.cluster import Cluster
        from fastdns.plugins.kubernetes.metrics import ClusterMetrics

        return Cluster(number, config, writer, ClusterMetrics(recorder))

    def step(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeStep:
        from fastdns.plugins.kubernetes._step import KubernetesStep

        return KubernetesStep(answer_options(block, runtime))

    def value(self, name: str, config: Config, block: ServerBlock, runtime: Runtime) -> NativeValue | None:
        from fastdns.plugins.kubernetes._step import VALUES, KubernetesValue

        plugin, _, part = name.partition("/")
        if plugin == self.name and part.startswith("client-"):
            return self.client_value(part.removeprefix("client-"), config, block, runtime)
        if plugin != self.name or part not in VALUES:
            return None
        return KubernetesValue(answer_options(block, runtime), part)

    def client_value(self, part: str, config: Config, block: ServerBlock, runtime: Runtime) -> NativeValue | None:
        """A value of the pod that asks; None where it is not known."""
        from fastdns.plugins.kubernetes._client import ClientValue

        number = None
        if part != "namespace":
            key = part.removeprefix("label/") if part != "pod-name" else ""
            if key not in config.described or part not in ("pod-name", f"label/{key}"):
                return None
            number = config.described.index(key)
        elif config.pods != "verified":
            return None
        return ClientValue(answer_options(block, runtime), number)

    def transferable(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeTransfer:
        from fastdns.plugins.kubernetes.answers._transfer import ClusterTransfer

        return ClusterTransfer(answer_options(block, runtime))

    def search(self, config: Config, block: ServerBlock, runtime: Runtime) -> NativeSearch | None:
        if config.pods != "verified":
            return None
        from fastdns.plugins.kubernetes._search import PodSearch

        return PodSearch(answer_options(block, runtime), runtime.prepared["kubernetes"])

    def answered_zones(self, config: Config) -> Sequence[str]:
        return without_fallthrough(config.zones, config.fallthrough)


plugin = Kubernetes()
