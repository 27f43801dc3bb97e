"""From two readings of a server to rates, ratios and percentiles."""

from __future__ import annotations

import math
import socket

import pytest

from fastdns.errors import FastdnsError
from fastdns.top import reading as reading_of
from fastdns.top.reading import Reading, base_url, default_url, samples_of
from fastdns.top.summary import grown, quantile, summary
from tests.support import free_port
from tests.top.readings import TABLES, reading

WORKERS = {**TABLES, "workers": [{"process": "worker 1", "pid": 42, "cpu_seconds": 11.0, "queries": 300}]}


def test_rates_are_of_the_time_between_two_readings() -> None:
    found = summary("http://x", reading(10.0, 1, TABLES), reading(12.0, 3, WORKERS), 2, 1000.0 + 3600)
    assert found["queries_per_second"] == 100.0 and found["interval_seconds"] == 2.0
    assert found["uptime_seconds"] == 3600.0 and found["version"] == "1.2.3"
    assert found["types"] == {"AAAA": 60.0, "A": 40.0}, "the most first; zones together"
    assert found["rcodes"] == {"NOERROR": 100.0}
    assert found["failed"] == {"no zone": 3.0}
    assert found["cache"] == {"entries": 42, "hit_ratio": 0.75}
    assert found["latency_seconds"] == {"p50": 0.001, "p90": 0.0018, "p99": 0.00198}
    assert found["cpus"] == 0.5
    assert found["workers"] == [{"process": "worker 1", "pid": 42, "cpus": 0.5, "queries_per_second": 100.0}]
    assert found["upstreams"] == [
        {
            "to": "192.0.2.1:53",
            "replies_per_second": 10.0,
            "latency_seconds": {"p50": 0.008, "p90": 0.0144, "p99": 0.01584},
            "failures_per_second": 4.0,
            "loop": False,
        }
    ]
    assert found["kubernetes"]["programming_seconds"] == {"p50": 0.005, "p90": 0.009, "p99": 0.0099}
    assert found["kubernetes"]["snapshot_age_seconds"] == {"cluster.local.": 90.0}
    assert [row["address"] for row in found["top"]["clients"]] == ["10.0.0.1", "10.0.0.2"], "two rows"


def test_a_server_that_was_started_anew_counts_from_0() -> None:
    found = summary("http://x", reading(10.0, 5, TABLES), reading(11.0, 2, TABLES), 9, 2000.0)
    assert found["queries_per_second"] == 200.0
    assert grown(5, 2) == 2 and grown(2, 5) == 3


def test_what_a_server_does_not_tell_is_none() -> None:
    found = summary("http://x", Reading(1.0), Reading(2.0), 9, 2000.0)
    assert found["queries_per_second"] == 0.0
    assert {key for key, value in found.items() if value is None} == {
        "version", "uptime_seconds", "latency_seconds", "cache", "memory_bytes", "kubernetes", "top"
    }  # fmt: skip
    assert found["workers"] == found["upstreams"] == []


def test_without_top_the_cpus_of_workers_are_those_of_runtime_metrics() -> None:
    name = "fastdns_process_cpu_seconds_total"
    page = f"# TYPE {name} counter\n{name}" + '{{process="worker 1",mode="user"}} {}\n'
    before, after = (Reading(at, samples_of(page.format(cpu))) for at, cpu in ((1.0, 2.0), (2.0, 2.5)))
    assert summary("http://x", before, after, 9, 0.0)["workers"] == [
        {"process": "worker 1", "pid": None, "cpus": 0.5, "queries_per_second": None}
    ]


@pytest.mark.parametrize(
    ("buckets", "part", "expected", "why"),
    [
        ({}, 0.5, None, "nothing there"),
        ({0.1: 0.0, math.inf: 0.0}, 0.5, None, "nothing observed"),
        ({1.0: 10.0, 2.0: 10.0, math.inf: 10.0}, 0.5, 0.5, "half of the first bucket"),
        ({1.0: 0.0, 2.0: 10.0, math.inf: 10.0}, 0.9, 1.9, "within the second"),
        ({1.0: 5.0, math.inf: 10.0}, 0.99, 1.0, "beyond the last bound: that bound, as Prometheus says"),
    ],
)
def test_quantiles(buckets: dict[float, float], part: float, expected: float | None, why: str) -> None:
    assert quantile(buckets, part) == (None if expected is None else pytest.approx(expected)), why


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost:9153", "http://localhost:9153"),
        ("http://127.0.0.1:9153/metrics", "http://127.0.0.1:9153"),
        ("https://[::1]:9153/", "https://[::1]:9153"),
    ],
)
def test_addresses(text: str, expected: str) -> None:
    assert base_url(text) == expected


def test_where_it_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        here = f"http://127.0.0.1:{listening.getsockname()[1]}"
        nowhere = f"http://127.0.0.1:{free_port()}"
        monkeypatch.setattr(reading_of, "DEFAULT_URLS", (nowhere, here))
        assert default_url() == here
        monkeypatch.setattr(reading_of, "DEFAULT_URLS", (nowhere,))
        with pytest.raises(FastdnsError, match=f"no server listens at {nowhere}; name its address"):
            default_url()


@pytest.mark.parametrize("text", ["file:///etc/passwd", "http://", "http://x:port", "http://x:99999", "ftp://x"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(FastdnsError, match="is no address"):
        base_url(text)
