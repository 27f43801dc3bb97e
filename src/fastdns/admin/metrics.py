"""/metrics: CoreDNS's families from the shared counters, summed when scraped; a scrape never touches a worker."""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import ssl
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from fastdns import __version__
from fastdns._stats import DURATION_BOUNDS_S, RCODES, SIZE_BOUNDS, TYPES, layout
from fastdns.admin.health import BOUNDS_S as HEALTH_BOUNDS_S
from fastdns.errors import FastdnsError
from fastdns.supervisor.metrics import COUNTERS, HISTOGRAMS, RELISTS

if TYPE_CHECKING:
    from fastdns.supervisor.supervisor import Supervisor

FIELDS = layout()
STARTED_AT = time.time()
TRANSPORTS = (("udp", "1"), ("udp", "2"), ("tcp", "1"), ("tcp", "2"))
SERVER_LABELS = ("server", "zone", "view")


def buckets(bounds: Iterable[float], counts: list[float]) -> list[tuple[str, float]]:
    """Cumulative buckets; counts has one more than bounds, for +Inf."""
    total = 0.0
    found = []
    for bound, count in zip([*(f"{bound:g}" for bound in bounds), "+Inf"], counts, strict=True):
        total += count
        found.append((bound, total))
    return found


def part(values: list[int], name: str, *index: int) -> Any:
    """One counter, or one row of counters, out of zone_values."""
    at, shape = FIELDS[name]
    rest = list(shape)
    for position in index:
        rest.pop(0)
        step = 1
        for extent in rest:
            step *= extent
        at += position * step
    if not rest:
        return values[at]
    size = 1
    for extent in rest:
        size *= extent
    return values[at : at + size]


class Families(Collector):
    """Everything that this server counts, as metric families."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor

    def collect(self) -> Iterator[Metric]:
        """All families, read now."""
        build = GaugeMetricFamily(
            "coredns_build_info", "A metric with a constant '1' value labeled by version, revision, and goversion "
            "from which the server was built.", labels=("version", "revision", "goversion"),
        )  # fmt: skip
        revision = os.environ.get("FASTDNS_REVISION", "")
        build.add_metric((__version__, revision, f"python{platform.python_version()}"), 1)
        yield build
        yield CounterMetricFamily("coredns_panics", "A metrics that counts the number of panics.", 0)
        yield from self.plugins()
        yield from self.server()
        yield from self.watcher()
        yield from self.health()
        yield from self.reload()
        yield from self.own()
        yield from self.processes()

    def plugins(self) -> Iterator[Metric]:
        """plugin_enabled, for the first zone of each block and what takes part in answering there."""
        family = GaugeMetricFamily(
            "coredns_plugin_enabled", "A metric that indicates whether a plugin is enabled on per server and zone "
            "basis.", labels=("server", "zone", "view", "name"),
        )  # fmt: skip
        from fastdns.plugins.steps import BUILDERS
        from fastdns.supervisor.worker import server_name

        config = self.supervisor.config
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
        from fastdns.supervisor.worker import server_name

        found = {}
        config = self.supervisor.config
        for listener in config.listeners:
            for zone, index in listener.zones:
                chain = [name for name in config.blocks[index].plugins if name in BUILDERS]
                after = chain[chain.index("prometheus") + 1 :] if "prometheus" in chain else []
                found[server_name(listener), zone] = after[0] if after else ""
        return found

    def server(self) -> Iterator[Metric]:
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
                for number, count in enumerate(part(values, "requests", which)[: len(TYPES)]):
                    if count:
                        requests.add_metric((*labels, proto, family, TYPES[number]), count)
            for by_plugin in (0, 1):
                plugin = after.get((server, zone), "") if by_plugin else ""
                for rcode, count in enumerate(part(values, "responses", by_plugin)):
                    if count:
                        responses.add_metric((*labels, RCODES.get(rcode, str(rcode)), plugin), count)
            if part(values, "do_requests"):
                do_requests.add_metric(labels, part(values, "do_requests"))
            durations.add_metric(
                labels, buckets(DURATION_BOUNDS_S, part(values, "duration")), part(values, "duration_sum_ns") / 1e9
            )
            for index, proto in enumerate(("udp", "tcp")):
                for family_, name in ((request_sizes, "request_bytes"), (response_sizes, "response_bytes")):
                    counts = part(values, name, index)
                    if any(counts):
                        family_.add_metric(
                            (*labels, proto), buckets(SIZE_BOUNDS, counts), part(values, f"{name}_sum", index)
                        )
        yield from (requests, durations, request_sizes, response_sizes, do_requests, responses)

    def zones(self) -> Iterator[tuple[tuple[str, str], list[int]]]:
        """The summed counters of each (server, zone) that has been asked."""
        supervisor = self.supervisor
        slots = supervisor.slots.counted()
        seen = set()
        for key, zone_slot in supervisor.zone_slots.items():
            if zone_slot in seen:
                continue
            seen.add(zone_slot)
            rows = [supervisor.stats.zone_values(slot, zone_slot) for slot in slots]
            values = [sum(column) for column in zip(*rows, strict=True)]
            if any(values):
                yield key, values

    def watcher(self) -> Iterator[Metric]:
        """What sources and sinks measured."""
        series = self.supervisor.watcher_totals.series()
        for name, (documentation, labels, bounds) in HISTOGRAMS.items():
            histogram = HistogramMetricFamily(f"coredns_{name}", documentation, labels=labels)
            for (of, values), counts in series.items():
                if of == name:
                    histogram.add_metric(values, buckets(bounds, counts[:-1]), counts[-1])
            yield histogram
        for name, (documentation, labels) in COUNTERS.items():
            prefix = "fastdns" if name == RELISTS else "coredns"
            counter = CounterMetricFamily(f"{prefix}_{name.removesuffix('_total')}", documentation, labels=labels)
            for (of, values), counts in series.items():
                if of == name:
                    counter.add_metric(values, counts[0])
            yield counter

    def health(self) -> Iterator[Metric]:
        """The health plugin's own probe."""
        if not self.supervisor.config.with_plugin("health"):
            return
        health = self.supervisor.health
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
        supervisor = self.supervisor
        yield CounterMetricFamily(
            "coredns_reload_failed", "Counter of the number of failed reload attempts.", supervisor.reload_failed
        )
        if supervisor.generation > 1:
            version = GaugeMetricFamily(
                "coredns_reload_version_info", "A metric with a constant '1' value labeled by hash, and value "
                "which type of hash generated.", labels=("hash", "value"),
            )  # fmt: skip
            version.add_metric(("sha512", supervisor.config.sha512), 1)
            yield version

    def own(self) -> Iterator[Metric]:
        """What CoreDNS has no family for: the store, the processes, and what a bound has cost."""
        supervisor = self.supervisor
        threads = [supervisor.stats.thread(slot) for slot in supervisor.slots.counted()]
        for name, documentation in (
            ("queries", "Messages that came in, on any transport."),
            ("ignored", "Messages met with silence: too short, or responses."),
            ("rejected", "Messages refused before any plugin saw them: FORMERR, NOTIMP."),
            ("dropped", "Queries that a plugin met with silence."),
            ("send_errors", "Replies that the kernel did not take."),
            ("errors_unlogged", "Errors that were not logged as too many waited."),
        ):
            yield CounterMetricFamily(f"fastdns_{name}", documentation, sum(thread[name] for thread in threads))
        store = supervisor.store
        yield GaugeMetricFamily("fastdns_store_bytes", "Bytes of the zone store in use.", store.used_bytes)
        yield GaugeMetricFamily("fastdns_store_max_bytes", "The zone store's bound.", store.size_bytes)
        yield GaugeMetricFamily("fastdns_store_records", "Records in the zone store.", store.records)
        yield GaugeMetricFamily("fastdns_workers", "Worker processes that answer.", len(
            [child for child in supervisor.children.values() if child.role == "worker" and child.ready]
        ))  # fmt: skip
        restarts = CounterMetricFamily(
            "fastdns_child_deaths", "Processes that ended without being told to.", labels=("role",)
        )
        for role, count in supervisor.deaths.items():
            restarts.add_metric((role,), count)
        yield restarts

    def processes(self) -> Iterator[Metric]:
        """process_*: the supervisor and its children together."""
        cpu_s = resident = virtual = 0.0
        fds = 0
        ticks = os.sysconf("SC_CLK_TCK")
        page = os.sysconf("SC_PAGE_SIZE")
        pids = [os.getpid(), *(child.pid for child in self.supervisor.children.values() if child.pid is not None)]
        for pid in pids:
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                fds += sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
            except OSError:
                continue
            cpu_s += (int(fields[11]) + int(fields[12])) / ticks
            virtual += int(fields[20])
            resident += int(fields[21]) * page
        yield CounterMetricFamily("process_cpu_seconds", "Total user and system CPU time spent in seconds.", cpu_s)
        yield GaugeMetricFamily("process_resident_memory_bytes", "Resident memory size in bytes.", resident)
        yield GaugeMetricFamily("process_virtual_memory_bytes", "Virtual memory size in bytes.", virtual)
        yield GaugeMetricFamily("process_open_fds", "Number of open file descriptors.", fds)
        max_fds = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        yield GaugeMetricFamily("process_max_fds", "Maximum number of open file descriptors.", max_fds)
        yield GaugeMetricFamily(
            "process_start_time_seconds", "Start time of the process since unix epoch in seconds.", STARTED_AT
        )


class Metrics:
    """The handler of /metrics."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(Families(supervisor))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """GET /metrics, in the format that the scraper accepts."""
        encoder, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encoder(self.registry), headers={"Content-Type": content_type})


def tls_context(path: str) -> ssl.SSLContext:
    """TLS for /metrics from a web configuration file. A renewed certificate is taken up with the next connection.

    Raises FastdnsError naming the file and what was expected.
    """
    current, read_at = load_tls(path)

    def renew(connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        nonlocal current, read_at
        with contextlib.suppress(OSError, FastdnsError):
            # Files that are being replaced may not fit each other: the last good ones serve until they do.
            if any(file.stat().st_mtime_ns != seen for file, seen in read_at.items()):
                current, read_at = load_tls(path)
        connection.context = current

    first = current
    # The handshake begins in the first context, and asks here whatever the client says of names.
    first.sni_callback = renew
    return first


def load_tls(path: str) -> tuple[ssl.SSLContext, dict[Path, int]]:
    """The context of a web configuration file (Prometheus exporter-toolkit's tls_server_config), and the
    modification times of the files that it is made of. Raises FastdnsError."""
    try:
        file = Path(path)
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        options = content["tls_server_config"]
        parts = {name: file.parent / options[name] for name in ("cert_file", "key_file")}
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        times = {one: one.stat().st_mtime_ns for one in (file, *parts.values())}
        context.load_cert_chain(parts["cert_file"], parts["key_file"])
        client_auth = options.get("client_auth_type", "NoClientCert")
        if options.get("client_ca_file"):
            authority = file.parent / options["client_ca_file"]
            times[authority] = authority.stat().st_mtime_ns
            context.load_verify_locations(authority)
        if client_auth in ("RequireAnyClientCert", "RequireAndVerifyClientCert"):
            context.verify_mode = ssl.CERT_REQUIRED
        elif client_auth in ("VerifyClientCertIfGiven", "RequestClientCert"):
            context.verify_mode = ssl.CERT_OPTIONAL
        elif client_auth != "NoClientCert":
            raise FastdnsError(f"{path}: client_auth_type {client_auth!r} is not known")
    except (OSError, ssl.SSLError, yaml.YAMLError, KeyError, TypeError) as error:
        raise FastdnsError(
            f"{path}: tls_server_config with cert_file and key_file expected: {type(error).__name__}: {error}"
        ) from None
    return context, times
