"""/metrics: CoreDNS's families from the shared counters, summed when scraped; a scrape never touches a worker."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from functools import partial

from prometheus_client import PLATFORM_COLLECTOR, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from fastdns import __version__
from fastdns._stats import DURATION_BOUNDS_S, RCODES, SIZE_BOUNDS, TYPES, layout
from fastdns.admin.counters import added, buckets, part
from fastdns.admin.delays import BOUNDS_S as LOOP_BOUNDS_S
from fastdns.admin.failures import failures
from fastdns.admin.forwarding import forwarding
from fastdns.admin.health import BOUNDS_S as HEALTH_BOUNDS_S
from fastdns.admin.labels import server_name
from fastdns.admin.processes import each_process, processes_together
from fastdns.admin.rendering import OPENMETRICS
from fastdns.admin.server import Server

of_zone = partial(part, layout())
TRANSPORTS = (("udp", "1"), ("udp", "2"), ("tcp", "1"), ("tcp", "2"))
SERVER_LABELS = ("server", "zone", "view")


class Families(Collector):
    """Everything that this server counts, as metric families."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def collect(self) -> Iterator[Metric]:
        """All families, read now."""
        build = GaugeMetricFamily(
            "coredns_build_info", "A metric with a constant '1' value labeled by version, revision, and goversion "
            "from which the server was built.", labels=("version", "revision", "goversion"),
        )  # fmt: skip
        revision = os.environ.get("FASTDNS_REVISION", "")
        build.add_metric((__version__, revision, f"python{platform.python_version()}"), 1)
        yield build
        yield self.panics()
        yield from self.plugins()
        yield from self.queries()
        yield from self.caches()
        yield from self.watcher()
        yield from self.health()
        yield from self.reload()
        yield from failures(self.server)
        yield from forwarding(self.server)
        yield from self.own()
        yield from processes_together(self.server)
        if self.runtime:
            yield from PLATFORM_COLLECTOR.collect()
            yield from each_process(self.server)

    @property
    def runtime(self) -> bool:
        """Whether any block asks for runtime_metrics."""
        return any(plugin.runtime_metrics for _, plugin in self.server.config.with_plugin("prometheus"))

    def panics(self) -> Metric:
        """Queries that ended in an exception."""
        server = self.server
        count = sum(server.stats.thread(slot)["panics"] for slot in server.slots.counted())
        return CounterMetricFamily("coredns_panics", "A metrics that counts the number of panics.", count)

    def plugins(self) -> Iterator[Metric]:
        """plugin_enabled, for the first zone of each block and what takes part in answering there."""
        family = GaugeMetricFamily(
            "coredns_plugin_enabled", "A metric that indicates whether a plugin is enabled on per server and zone "
            "basis.", labels=("server", "zone", "view", "name"),
        )  # fmt: skip
        from fastdns.plugins.steps import BUILDERS

        config = self.server.config
        for listener in config.listeners:
            shown = set()
            for zone, index in listener.zones:
                if index not in shown:
                    shown.add(index)
                    for name in BUILDERS.keys() & config.blocks[index].plugins.keys():
                        family.add_metric((server_name(listener), zone, "", name), 1)
        yield family

    def next_plugins(self) -> dict[tuple[str, str], str]:
        """The plugin after prometheus in each (server, zone)'s chain: CoreDNS's ``plugin`` label."""
        from fastdns.plugins.steps import BUILDERS

        found = {}
        config = self.server.config
        for listener in config.listeners:
            for zone, index in listener.zones:
                chain = [name for name in config.blocks[index].plugins if name in BUILDERS]
                after = chain[chain.index("prometheus") + 1 :] if "prometheus" in chain else []
                found[server_name(listener), zone] = after[0] if after else ""
        return found

    def queries(self) -> Iterator[Metric]:
        """Requests and responses, by server and zone."""
        requests = CounterMetricFamily(
            "coredns_dns_requests", "Counter of DNS requests made per zone, protocol and family.",
            labels=(*SERVER_LABELS, "proto", "family", "type"),
        )  # fmt: skip
        durations = HistogramMetricFamily(
            "coredns_dns_request_duration_seconds",
            "Histogram of the time (in seconds) each request took per zone.",
            labels=SERVER_LABELS,
        )  # fmt: skip
        request_sizes = HistogramMetricFamily(
            "coredns_dns_request_size_bytes", "Size of the EDNS0 UDP buffer in bytes (64K for TCP) per zone and "
            "protocol.", labels=(*SERVER_LABELS, "proto"),
        )  # fmt: skip
        response_sizes = HistogramMetricFamily(
            "coredns_dns_response_size_bytes", "Size of the returned response in bytes.",
            labels=(*SERVER_LABELS, "proto"),
        )  # fmt: skip
        do_requests = CounterMetricFamily(
            "coredns_dns_do_requests", "Counter of DNS requests with DO bit set per zone.", labels=SERVER_LABELS
        )
        responses = CounterMetricFamily(
            "coredns_dns_responses", "Counter of response status codes.",
            labels=(*SERVER_LABELS, "rcode", "plugin"),
        )  # fmt: skip
        after = self.next_plugins()
        for (server, zone), values in self.zones():
            labels = (server, zone, "")
            for which, (proto, family) in enumerate(TRANSPORTS):
                for number, count in enumerate(of_zone(values, "requests", which)[: len(TYPES)]):
                    if count:
                        requests.add_metric((*labels, proto, family, TYPES[number]), count)
            for by_plugin in (0, 1):
                plugin = after.get((server, zone), "") if by_plugin else ""
                for rcode, count in enumerate(of_zone(values, "responses", by_plugin)):
                    if count:
                        responses.add_metric((*labels, RCODES.get(rcode, f"RCODE{rcode}"), plugin), count)
            if of_zone(values, "do_requests"):
                do_requests.add_metric(labels, of_zone(values, "do_requests"))
            durations.add_metric(
                labels,
                buckets(DURATION_BOUNDS_S, of_zone(values, "duration")),
                of_zone(values, "duration_sum_ns") / 1e9,
            )
            for index, proto in enumerate(("udp", "tcp")):
                for family_, name in ((request_sizes, "request_bytes"), (response_sizes, "response_bytes")):
                    counts = of_zone(values, name, index)
                    if any(counts):
                        family_.add_metric(
                            (*labels, proto), buckets(SIZE_BOUNDS, counts), of_zone(values, f"{name}_sum", index)
                        )
        yield from (requests, durations, request_sizes, response_sizes, do_requests, responses)

    def caches(self) -> Iterator[Metric]:
        """What the caches hold and have answered."""
        runtime = self.server.runtimes.get(self.server.generation)
        if runtime is None or not runtime.caches:
            return
        from fastdns.plugins.cache.metrics import families

        yield from families(self.server.config, runtime.caches, self.zones())

    def zones(self) -> Iterator[tuple[tuple[str, str], list[int]]]:
        """The summed counters of each (server, zone) that has been asked."""
        slots = self.server.slots.counted()
        seen = set()
        for key, zone_slot in self.server.zone_slots.items():
            if zone_slot in seen:
                continue
            seen.add(zone_slot)
            values = added(self.server.stats.zone_values(slot, zone_slot) for slot in slots)
            if any(values):
                yield key, values

    def watcher(self) -> Iterator[Metric]:
        """What sources and sinks measured."""
        for measured in self.server.watcher_totals.families(runtime=self.runtime):
            if measured.bounds is None:
                counter = CounterMetricFamily(measured.name, measured.documentation, labels=measured.labels)
                for labels, (count,) in measured.series:
                    counter.add_metric(labels, count)
                yield counter
            else:
                histogram = HistogramMetricFamily(measured.name, measured.documentation, labels=measured.labels)
                for labels, (*counts, total) in measured.series:
                    histogram.add_metric(labels, buckets(measured.bounds, counts), total)
                yield histogram

    def health(self) -> Iterator[Metric]:
        """The health plugin's own probe."""
        if not self.server.config.with_plugin("health"):
            return
        health = self.server.health
        duration = HistogramMetricFamily(
            "coredns_health_request_duration_seconds", "Histogram of the time (in seconds) each request took."
        )
        duration.add_metric((), buckets(HEALTH_BOUNDS_S, list(health.buckets)), health.sum_s)
        yield duration
        yield CounterMetricFamily(
            "coredns_health_request_failures", "The number of times the health check failed.", health.failures
        )

    def reload(self) -> Iterator[Metric]:
        """The reload plugin: failures, and the hash of what serves once it has been reloaded."""
        server = self.server
        yield CounterMetricFamily(
            "coredns_reload_failed", "Counter of the number of failed reload attempts.", server.reload_failed
        )
        if server.generation > 1:
            version = GaugeMetricFamily(
                "coredns_reload_version_info", "A metric with a constant '1' value labeled by hash, and value "
                "which type of hash generated.", labels=("hash", "value"),
            )  # fmt: skip
            version.add_metric(("sha512", server.config.sha512), 1)
            yield version

    def own(self) -> Iterator[Metric]:
        """What CoreDNS has no family for: the store, the processes, and what was not logged."""
        server = self.server
        threads = [server.stats.thread(slot) for slot in server.slots.counted()]
        for name, documentation in (
            ("queries", "Messages that came in, on any transport."),
            ("errors_unlogged", "Errors that were not logged as too many waited."),
            ("log_dropped", "Queries that the log plugin could not log: too many, or nobody read."),
        ):
            yield CounterMetricFamily(f"fastdns_{name}", documentation, sum(thread[name] for thread in threads))
        store = server.store
        yield GaugeMetricFamily("fastdns_store_bytes", "Bytes of the zone store in use.", store.used_bytes)
        yield GaugeMetricFamily(
            "fastdns_store_taken_bytes", "Memory that the zone store takes.", store.resident_bytes
        )
        yield GaugeMetricFamily("fastdns_store_max_bytes", "The zone store's bound.", store.size_bytes)
        yield GaugeMetricFamily("fastdns_store_records", "Records in the zone store.", store.records)
        ages = GaugeMetricFamily(
            "fastdns_kubernetes_snapshot_age_seconds", "Age of the snapshot that is served of a cluster; 0 once "
            "the API server has listed it.", labels=("zone",),
        )  # fmt: skip
        for zone, age_s in server.snapshot_ages_s().items():
            ages.add_metric((zone,), age_s)
        yield ages
        yield GaugeMetricFamily("fastdns_workers", "Worker processes that answer.", len(
            [child for child in server.children.values() if child.role == "worker" and child.ready]
        ))  # fmt: skip
        delays = HistogramMetricFamily(
            "fastdns_supervisor_loop_delay_seconds", "Histogram of the time (in seconds) that one iteration of the "
            "supervisor's event loop took: all that it does besides waits for its end.",
        )  # fmt: skip
        delays.add_metric((), buckets(LOOP_BOUNDS_S, list(server.delays.buckets)), server.delays.sum_s)
        yield delays
        yield GaugeMetricFamily(
            "fastdns_supervisor_loop_delay_max_seconds", "The longest of these iterations.", server.delays.max_s
        )
        restarts = CounterMetricFamily(
            "fastdns_child_deaths", "Processes that ended without being told to.", labels=("role",)
        )
        for role, count in server.deaths.items():
            restarts.add_metric((role,), count)
        yield restarts
        skipped = CounterMetricFamily(
            "fastdns_lines_skipped", "Lines of files, which others write, that could not be used.", labels=("file",)
        )
        for file, count in server.skipped.counts.items():
            skipped.add_metric((file,), count)
        yield skipped


def rendered(server: Server, form: str) -> bytes:
    """All metrics as they are now, in one of the formats of rendering."""
    encode = openmetrics.generate_latest if form == OPENMETRICS else generate_latest
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Families(server))
    return encode(registry)
