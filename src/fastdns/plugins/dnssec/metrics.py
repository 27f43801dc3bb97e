"""The families of dnssec: signatures that were there, those that had to be made, and how many there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from fastdns.corefile.labels import block_of_zones
from fastdns.corefile.model import ServerConfig
from fastdns.metrics._stats import layout
from fastdns.metrics.counters import ZoneValues, by_server
from fastdns.plugins.dnssec.shared import Shared

FIRST, _ = layout()["plugins"]
COUNTERS = (("hits", "The count of cache hits."), ("misses", "The count of cache misses."))


def families(
    config: ServerConfig, shared: Iterable[Shared], zones: Iterable[ZoneValues], first_counter: int
) -> Iterator[Metric]:
    """Every family. zones: summed over threads. first_counter: of the plugin's, in a zone."""
    by_block = {one.block: one for one in shared}
    of_server: dict[str, set[int]] = {}
    for labels, block in block_of_zones(config):
        if block in by_block:
            of_server.setdefault(labels[0], set()).add(block)
    entries = GaugeMetricFamily(
        "coredns_dnssec_cache_entries", "The number of elements in the dnssec cache.", labels=("server", "type")
    )
    for server, blocks in of_server.items():
        entries.add_metric((server, "signature"), sum(by_block[block].signatures.entries for block in blocks))
    yield entries
    counted = list(zones)
    for number, (name, documentation) in enumerate(COUNTERS):
        sums = by_server(counted, FIRST + first_counter + number)
        family = CounterMetricFamily(f"coredns_dnssec_cache_{name}", documentation, labels=("server",))
        for server in of_server:
            family.add_metric((server,), sums.get(server, 0))
        yield family
