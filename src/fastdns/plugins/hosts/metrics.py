"""The metric families of hosts files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric

from fastdns.memory._store import Store
from fastdns.plugins.hosts.config import Config
from fastdns.plugins.hosts.published import read


def families(store: Store, sources: Mapping[int, Config]) -> Iterator[Metric]:
    """Read from the store what each source says. Of sources with the same file the larger counts are given."""
    entries: dict[str, int] = {}
    skipped: dict[str, int] = {}
    read_at = 0.0
    for number, config in sources.items():
        said = read(store, number)
        if said is None:
            continue
        count = said.addresses + (0 if config.no_reverse else said.pointers)
        if said.read_at or count:
            entries[config.path] = max(count, entries.get(config.path, 0))
        skipped[config.path] = max(said.skipped, skipped.get(config.path, 0))
        read_at = max(read_at, said.read_at)
    family = GaugeMetricFamily(
        "coredns_hosts_entries", "The combined number of entries in hosts and Corefile.", labels=("hostsfile",)
    )
    for file, count in entries.items():
        family.add_metric((file,), count)
    yield family
    yield GaugeMetricFamily(
        "coredns_hosts_reload_timestamp_seconds", "The timestamp of the last reload of hosts file.", read_at
    )
    family = GaugeMetricFamily(
        "fastdns_hosts_skipped_lines", "Number of lines that cannot be used and are skipped.",
        labels=("hostsfile",),
    )  # fmt: skip
    for file, count in skipped.items():
        family.add_metric((file,), count)
    yield family
