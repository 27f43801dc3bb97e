"""Readings of a server that is not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastdns.top.reading import Reading, samples_of

PAGE = """\
# TYPE coredns_build_info gauge
coredns_build_info{{goversion="3.11",revision="",version="1.2.3"}} 1.0
# TYPE process_start_time_seconds gauge
process_start_time_seconds 1000.0
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total {cpu}
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 1.048576e+08
# TYPE fastdns_queries_total counter
fastdns_queries_total {queries}
# TYPE fastdns_queries_failed_total counter
fastdns_queries_failed_total{{reason="no zone",reply="REFUSED"}} {refused}
# TYPE coredns_dns_requests_total counter
coredns_dns_requests_total{{server="dns://:53",zone=".",view="",proto="udp",family="1",type="A"}} {a}
coredns_dns_requests_total{{server="dns://:53",zone="x.",view="",proto="udp",family="1",type="A"}} {a}
coredns_dns_requests_total{{server="dns://:53",zone=".",view="",proto="udp",family="1",type="AAAA"}} {aaaa}
# TYPE coredns_dns_responses_total counter
coredns_dns_responses_total{{server="dns://:53",zone=".",view="",rcode="NOERROR",plugin="cache"}} {queries}
# TYPE coredns_dns_request_duration_seconds histogram
coredns_dns_request_duration_seconds_bucket{{server="dns://:53",zone=".",view="",le="0.001"}} {fast}
coredns_dns_request_duration_seconds_bucket{{server="dns://:53",zone=".",view="",le="0.002"}} {all}
coredns_dns_request_duration_seconds_bucket{{server="dns://:53",zone=".",view="",le="+Inf"}} {all}
# TYPE coredns_cache_entries gauge
coredns_cache_entries{{server="dns://:53",type="success",zones=".",view=""}} 40.0
coredns_cache_entries{{server="dns://:53",type="denial",zones=".",view=""}} 2.0
# TYPE coredns_cache_hits_total counter
coredns_cache_hits_total{{server="dns://:53",type="success",zones=".",view=""}} {hits}
# TYPE coredns_cache_misses_total counter
coredns_cache_misses_total{{server="dns://:53",zones=".",view=""}} {misses}
# TYPE coredns_proxy_request_duration_seconds histogram
coredns_proxy_request_duration_seconds_bucket{{to="192.0.2.1:53",rcode="NOERROR",le="0.016"}} {misses}
coredns_proxy_request_duration_seconds_bucket{{to="192.0.2.1:53",rcode="NOERROR",le="+Inf"}} {misses}
coredns_proxy_request_duration_seconds_count{{to="192.0.2.1:53",rcode="NOERROR"}} {misses}
# TYPE fastdns_forward_timeouts_total counter
fastdns_forward_timeouts_total{{to="192.0.2.1:53"}} {timeouts}
# TYPE fastdns_kubernetes_snapshot_age_seconds gauge
fastdns_kubernetes_snapshot_age_seconds{{zone="cluster.local."}} 90.0
# TYPE coredns_kubernetes_dns_programming_duration_seconds histogram
coredns_kubernetes_dns_programming_duration_seconds_bucket{{service_kind="headless",le="0.01"}} 9.0
coredns_kubernetes_dns_programming_duration_seconds_bucket{{service_kind="headless",le="+Inf"}} 9.0
coredns_kubernetes_dns_programming_duration_seconds_count{{service_kind="headless"}} 9.0
"""

TABLES: dict[str, Any] = {
    "schema": "fastdns-top/1", "entries": 4096, "seconds": 80.0, "slow_seconds": 0.1, "queries": 1000,
    "clients": [
        {"address": "10.0.0.1", "queries": 600, "at_most": 600, "namespace": "shop", "pod": "web-0"},
        {"address": "10.0.0.2", "queries": 300, "at_most": 300, "namespace": "shop", "service": "db"},
        {"address": "10.0.0.3", "queries": 100, "at_most": 101},
    ],
    "names": [{"name": "db.shop.svc.cluster.local.", "queries": 900, "at_most": 900}],
    "nxdomains": [{"name": "evil\x1b[31m.", "queries": 2, "at_most": 9}],
    "slow": [{"name": "a-long-name.", "cut": True, "queries": 1, "at_most": 1}],
    "workers": [{"process": "worker 1", "pid": 42, "cpu_seconds": 10.0, "queries": 100}],
}  # fmt: skip


def reading(at_s: float, times: float, tables: Mapping[str, Any] | None = None) -> Reading:
    """What a server tells that has done something so many times."""
    numbers = {
        "cpu": 0.5, "queries": 100, "refused": 3, "a": 20, "aaaa": 60, "fast": 50, "all": 100, "hits": 30,
        "misses": 10, "timeouts": 4,
    }  # fmt: skip
    return Reading(at_s, samples_of(PAGE.format(**{key: value * times for key, value in numbers.items()})), tables)
