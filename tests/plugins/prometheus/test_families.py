"""/metrics of a server that has been asked a few things: CoreDNS's names, labels and values."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rdataclass
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support import COREFILE, WEB, Server, has_address, wait_until

# Of the plugins of this version, from CoreDNS's documentation: the name without _total, kind, labels.
FAMILIES = {
    "coredns_build_info": ("gauge", {"version", "revision", "goversion"}),
    "coredns_panics": ("counter", set()),
    "coredns_plugin_enabled": ("gauge", {"server", "zone", "view", "name"}),
    "coredns_dns_requests": ("counter", {"server", "zone", "view", "proto", "family", "type"}),
    "coredns_dns_request_duration_seconds": ("histogram", {"server", "zone", "view"}),
    "coredns_dns_request_size_bytes": ("histogram", {"server", "zone", "view", "proto"}),
    "coredns_dns_response_size_bytes": ("histogram", {"server", "zone", "view", "proto"}),
    "coredns_dns_do_requests": ("counter", {"server", "zone", "view"}),
    "coredns_dns_responses": ("counter", {"server", "zone", "view", "rcode", "plugin"}),
    "coredns_health_request_duration_seconds": ("histogram", set()),
    "coredns_health_request_failures": ("counter", set()),
    "coredns_reload_failed": ("counter", set()),
    "coredns_kubernetes_dns_programming_duration_seconds": ("histogram", {"service_kind"}),
    "coredns_kubernetes_rest_client_request_duration_seconds": ("histogram", {"verb", "host"}),
    "coredns_kubernetes_rest_client_rate_limiter_duration_seconds": ("histogram", {"verb", "host"}),
    "coredns_kubernetes_rest_client_requests": ("counter", {"code", "method", "host"}),
    "process_cpu_seconds": ("counter", set()),
    "process_resident_memory_bytes": ("gauge", set()),
    "process_virtual_memory_bytes": ("gauge", set()),
    "process_open_fds": ("gauge", set()),
    "process_max_fds": ("gauge", set()),
    "process_start_time_seconds": ("gauge", set()),
}

QUIET = """\
quiet.org:DNS_PORT {
    bind 127.0.0.1
    whoami
}
"""
WITHOUT_STEPS = """\
.:DNS_PORT {
    bind 127.0.0.1
    metadata
    shed
    view all {
        expr true
    }
    whoami
    prometheus 127.0.0.1:METRICS_PORT
}
"""


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that has been asked two hits over UDP and one over TCP, and more that are to be told apart."""
    with Server(tmp_path_factory.mktemp("asked"), COREFILE + QUIET) as server:
        for _ in range(2):
            server.query()
        server.query(WEB, "AAAA", tcp=True)
        server.query("absent.shop.svc.cluster.local", "TXT")
        server.query(WEB, "TYPE999")
        server.query("somewhere.else")
        server.query("20.0.96.10.in-addr.arpa", "PTR")
        server.query("www.quiet.org")
        query = dns.message.make_query(WEB, "A", want_dnssec=True)
        dns.query.udp(query, "127.0.0.1", 5, port=server.port)
        dns.query.udp(dns.message.make_query(WEB, "A", dns.rdataclass.CH), "127.0.0.1", 5, port=server.port)
        yield server


def test_every_family_and_its_labels(asked: Server) -> None:
    wait_until(lambda: asked.total("coredns_health_request_duration_seconds_count") > 0)
    families = {family.name: family for family in text_string_to_metric_families(asked.http("/metrics")[1])}
    for name, (kind, labels) in FAMILIES.items():
        assert families[name].type == kind, name
        assert families[name].documentation, name
        for sample in families[name].samples:
            assert set(sample.labels) - {"le"} == labels, sample
    unknown = {name for name in families if name.startswith("coredns_")} - set(FAMILIES)
    assert not unknown


@pytest.mark.parametrize(
    ("labels", "count"),
    [
        ({"zone": "cluster.local.", "type": "A", "proto": "udp", "family": "1"}, 3),
        ({"zone": "cluster.local.", "type": "AAAA", "proto": "tcp", "family": "1"}, 1),
        ({"zone": "cluster.local.", "type": "TXT", "proto": "udp", "family": "1"}, 1),
        ({"zone": "cluster.local.", "type": "other", "proto": "udp", "family": "1"}, 1),
        ({"zone": "10.in-addr.arpa.", "type": "PTR"}, 1),
        ({"zone": "dropped", "type": "A"}, 2),
        ({"zone": "quiet.org."}, 0),
    ],
    ids=str,
)
def test_requests(asked: Server, labels: dict[str, str], count: int) -> None:
    labels = {"server": f"dns://127.0.0.1:{asked.port}", "view": "", **labels}
    assert asked.total("coredns_dns_requests_total", **labels) == count


@pytest.mark.parametrize(
    ("labels", "count"),
    [
        # The plugin after prometheus, where the chain answered; none where the server did.
        ({"zone": "cluster.local.", "rcode": "NOERROR", "plugin": "errors"}, 5),
        ({"zone": "cluster.local.", "rcode": "NXDOMAIN", "plugin": "errors"}, 1),
        ({"zone": "10.in-addr.arpa.", "rcode": "NOERROR", "plugin": "errors"}, 1),
        ({"zone": "dropped", "rcode": "REFUSED", "plugin": ""}, 2),
    ],
    ids=str,
)
def test_responses(asked: Server, labels: dict[str, str], count: int) -> None:
    assert asked.total("coredns_dns_responses_total", **labels) == count


def test_sizes_durations_and_do(asked: Server) -> None:
    zone = {"zone": "cluster.local."}
    assert asked.total("coredns_dns_do_requests_total", **zone) == 1
    assert asked.total("coredns_dns_request_duration_seconds_count", **zone) == 6
    assert 0 < asked.total("coredns_dns_request_duration_seconds_sum", **zone) < 1
    assert asked.total("coredns_dns_request_size_bytes_count", **zone, proto="udp") == 5
    assert asked.total("coredns_dns_request_size_bytes_count", **zone, proto="tcp") == 1
    assert asked.total("coredns_dns_response_size_bytes_count", **zone, proto="udp") == 5
    size = len(dns.message.make_query(WEB, "AAAA").to_wire())
    assert asked.total("coredns_dns_request_size_bytes_sum", **zone, proto="tcp") == size
    bounds = {
        float(dict(labels)["le"])
        for name, labels in asked.samples()
        if name == "coredns_dns_response_size_bytes_bucket"
    }
    assert bounds == {
        0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16000, 32000, 48000, 64000, float("inf"),
    }  # fmt: skip
    bounds = {
        float(dict(labels)["le"])
        for name, labels in asked.samples()
        if name == "coredns_dns_request_duration_seconds_bucket"
    }
    assert bounds == {*(0.00025 * 2**i for i in range(16)), float("inf")}


def test_plugins_that_answer_are_enabled_for_the_first_zone(asked: Server) -> None:
    enabled = {
        (dict(labels)["zone"], dict(labels)["name"])
        for name, labels in asked.samples()
        if name == "coredns_plugin_enabled"
    }
    assert enabled == {
        ("cluster.local.", "errors"),
        ("cluster.local.", "kubernetes"),
        ("cluster.local.", "prometheus"),
        ("quiet.org.", "whoami"),
    }


def test_plugins_without_a_step_that_coredns_enables_are_enabled(tmp_path: Path) -> None:
    """Dashboards that look for metadata, shed or view found nothing."""
    with Server(tmp_path, WITHOUT_STEPS, workers=1) as server:
        enabled = {dict(labels)["name"] for name, labels in server.samples() if name == "coredns_plugin_enabled"}
    assert enabled == {"metadata", "prometheus", "shed", "view", "whoami"}


def test_what_runtime_metrics_adds_is_not_there_without(asked: Server) -> None:
    names = {name for name, _ in asked.samples()}
    assert not [name for name in names if name.startswith(("python_", "fastdns_process_"))]


def test_runtime_metrics(tmp_path: Path) -> None:
    """They were parsed and ignored."""
    more = "prometheus 127.0.0.1:METRICS_PORT {\n        runtime_metrics\n    }"
    with Server(tmp_path, COREFILE.replace("prometheus 127.0.0.1:METRICS_PORT", more) + QUIET) as server:
        told = ("python_gc_collections_total", (("generation", "2"), ("process", "watcher")))
        wait_until(lambda: told in server.samples())
        samples = server.samples()
        processes = {dict(labels)["process"] for name, labels in samples if name.startswith("fastdns_process_")}
        assert processes == {"supervisor", "watcher", "worker 1", "worker 2"}
        assert server.total("python_info") == 1
        one_by_one = server.total("fastdns_process_proportional_memory_bytes")
        assert one_by_one == pytest.approx(server.total("process_resident_memory_bytes"), rel=0.2)
        assert server.total("fastdns_process_threads", process="worker 1") >= 2
        assert server.total("python_gc_collections_total", process="supervisor", generation="2") > 0


def test_what_is_our_own(asked: Server) -> None:
    assert asked.total("fastdns_workers") == 2
    assert asked.total("fastdns_queries_total") >= 10
    assert asked.total("fastdns_store_records") >= 3
    assert 0 < asked.total("fastdns_store_bytes") < asked.total("fastdns_store_max_bytes") == 512 << 20
    assert asked.total("fastdns_store_bytes") < asked.total("fastdns_store_taken_bytes") < 2 << 20
    # Processes are counted together, shared pages once.
    assert asked.total("process_resident_memory_bytes") > 20e6
    assert asked.total("process_open_fds") > 20


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/plain; version=0.0.4;"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1.0.0;"),
    ],
)
def test_the_format_that_is_asked_for(asked: Server, accept: str, kind: str) -> None:
    url = f"http://127.0.0.1:{asked.ports['METRICS_PORT']}/metrics"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": accept})) as answer:
        assert answer.headers["Content-Type"].startswith(kind)
        assert b"coredns_dns_requests_total{" in answer.read()


@pytest.mark.skipif(not has_address("::1"), reason="this host has no IPv6")
def test_families_and_servers_of_a_wildcard(tmp_path: Path) -> None:
    corefile = ".:DNS_PORT {\n    prometheus 127.0.0.1:METRICS_PORT\n    whoami\n}\n"
    with Server(tmp_path, corefile, workers=1) as server:
        server.query("a.example.org", at="127.0.0.1")
        server.query("a.example.org", at="::1")
        server.query("a.example.org", at="::1", tcp=True)
        labels = {"server": f"dns://:{server.port}", "zone": "."}
        for family, proto in (("1", "udp"), ("2", "udp"), ("2", "tcp")):
            assert server.total("coredns_dns_requests_total", family=family, proto=proto, **labels) == 1
        assert server.total("coredns_dns_responses_total", plugin="whoami", **labels) == 3


def test_who_imports_whom() -> None:
    """Metrics know nothing of the supervisor, and what reads YAML is loaded for a file of it only."""
    program = "import sys; import {}; print(*[name for name in sys.modules if name.startswith({!r})])"
    for module, prefix, allowed in (
        ("fastdns.plugins.prometheus.families", "fastdns.process", set()),
        ("fastdns.process.supervisor", "yaml", set()),
    ):
        output = subprocess.check_output([sys.executable, "-c", program.format(module, prefix)], text=True)
        assert set(output.split()) <= allowed, module
