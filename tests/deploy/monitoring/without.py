"""Queries of public dashboards that fastdns has no data for, and why: a part of the query, and the reason."""

from __future__ import annotations

WITHOUT = (
    ("kube_node_info", "kube-state-metrics exports it"),
    ("coredns_dns_request_duration_milliseconds", "CoreDNS has had seconds in its place since 1.0.6"),
    ("go_goroutines", "fastdns has no goroutines: it is not written in Go"),
    ("go_memstats", "fastdns is not written in Go; `process_resident_memory_bytes` is its memory"),
    ("coredns_dnssec_", "*dnssec* is not in a cluster's Corefile"),
)


def reason(query: str) -> str:
    """Why a query returns nothing; empty where it returns data."""
    return next((why for part, why in WITHOUT if part in query), "")
