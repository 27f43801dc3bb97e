"""/metrics: CoreDNS's families from the shared counters, summed when scraped; a scrape never touches a worker."""

from __future__ import annotations

import os
import platform
import zlib
from collections.abc import Iterator

from prometheus_client import PLATFORM_COLLECTOR, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from fastdns import __version__
from fastdns.corefile.labels import block_of_zones
from fastdns.metrics.counters import buckets
from fastdns.plugins.api import SupervisorView
from fastdns.plugins.order import load
from fastdns.plugins.prometheus.failures import failures
from fastdns.plugins.prometheus.formats import OPENMETRICS
from fastdns.plugins.prometheus.own import own
from fastdns.plugins.prometheus.processes import each_process, processes_together
from fastdns.plugins.prometheus.python_steps import python_steps
from fastdns.plugins.prometheus.queries import queries

# A quarter of the size, in half the time of the default level.
GZIP_LEVEL = 1
# Added to the size of the window: the format is gzip's.
GZIP = 16


class Families(Collector):
    """Everything that this server counts, as metric families."""

    def __init__(self, server: SupervisorView) -> None:
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
        yield self.plugins()
        yield from queries(self.server)
        yield from self.server.plugin_families()
        yield from python_steps(self.server)
        yield from self.measured()
        yield from self.reload()
        yield from failures(self.server)
        yield from own(self.server)
        yield from processes_together(self.server)
        if self.runtime:
            yield from PLATFORM_COLLECTOR.collect()
            yield from each_process(self.server)

    @property
    def runtime(self) -> bool:
        """Whether any block asks for more about processes."""
        return any(block.settings.runtime_metrics for block in self.server.config.blocks)

    def panics(self) -> Metric:
        """Queries that ended in an exception."""
        server = self.server
        count = sum(server.stats.thread(slot)["panics"] for slot in server.counted_slots())
        return CounterMetricFamily("coredns_panics", "A metrics that counts the number of panics.", count)

    def plugins(self) -> Metric:
        """plugin_enabled, for the first zone of each block and what handles queries there."""
        family = GaugeMetricFamily(
            "coredns_plugin_enabled", "A metric that indicates whether a plugin is enabled on per server and zone "
            "basis.", labels=("server", "zone", "view", "name"),
        )  # fmt: skip
        config = self.server.config
        first = dict[tuple[str, int], tuple[str, str, str]]()
        for labels, index in block_of_zones(config):
            first.setdefault((labels[0], index), labels)
        enabled = [
            (*labels, name)
            for (_, index), labels in first.items()
            for name in config.blocks[index].plugins
            if (plugin := load(name)).has_step or plugin.is_handler_in_coredns
        ]
        for one in dict.fromkeys(enabled):
            family.add_metric(one, 1)
        return family

    def measured(self) -> Iterator[Metric]:
        """What the watcher's sources measured."""
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


def rendered(server: SupervisorView, form: str, gzip: bool) -> bytes:
    """All metrics as they are now, in one of the formats of rendering, compressed or not."""
    encode = openmetrics.generate_latest if form == OPENMETRICS else generate_latest
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Families(server))
    made = encode(registry)
    return zlib.compress(made, GZIP_LEVEL, zlib.MAX_WBITS | GZIP) if gzip else made
