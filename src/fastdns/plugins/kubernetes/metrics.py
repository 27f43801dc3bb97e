"""The metric families of the watched clusters, and the calls with which sources, sink, guard and snapshot count."""

from __future__ import annotations

from fastdns.metrics.measured import Measure
from fastdns.plugins.api import Recorder

PROGRAMMING_BOUNDS_S = tuple(0.001 * 2**i for i in range(20))
# The Prometheus client's default buckets.
DEFAULT_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

LATENCY = "coredns_kubernetes_dns_programming_duration_seconds"
REQUEST_DURATION = "coredns_kubernetes_rest_client_request_duration_seconds"
RATE_LIMITER = "coredns_kubernetes_rest_client_rate_limiter_duration_seconds"
REQUESTS = "coredns_kubernetes_rest_client_requests_total"
# Families that CoreDNS does not have.
RELISTS = "fastdns_kubernetes_relists_total"
HELD = "fastdns_kubernetes_held_listings_total"
SNAPSHOTS = "fastdns_kubernetes_snapshots_total"
LEFT_OUT = "fastdns_kubernetes_left_out_total"

MEASURES = {
    LATENCY: Measure(
        "Histogram of the time (in seconds) it took to program a dns instance.", ("service_kind",),
        PROGRAMMING_BOUNDS_S,
    ),
    REQUEST_DURATION: Measure(
        "Request latency in seconds. Broken down by verb and host.", ("verb", "host"), DEFAULT_BOUNDS_S
    ),
    RATE_LIMITER: Measure(
        "Client side rate limiter latency in seconds. Broken down by verb and host.", ("verb", "host"),
        DEFAULT_BOUNDS_S,
    ),
    REQUESTS: Measure(
        "Number of HTTP requests, partitioned by status code, method, and host.", ("code", "method", "host")
    ),
    RELISTS: Measure("Number of times that a resource was listed again, by reason.", ("resource", "why")),
    HELD: Measure(
        "Number of listings that the guard held back because they lacked too many objects.", ("zone", "resource")
    ),
    LEFT_OUT: Measure(
        "Number of times that a part of an object was left out because it cannot be served, by part.",
        ("resource", "what"),
    ),
    SNAPSHOTS: Measure(
        "Number of snapshots by result: written, failed to be written, served or refused.", ("zone", "result")
    ),
}  # fmt: skip


class ClusterMetrics:
    """Counts for one cluster, or for several together."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def observe_latency(self, kind: str, seconds: float) -> None:
        """Time from a change to its publication, by the kind of Service.

        kind: "cluster_ip", "headless_with_selector", "headless_without_selector" or "external_name".
        """
        self.recorder.observe(LATENCY, (kind,), seconds)

    def request(self, verb: str, host: str, code: str, method: str, seconds: float) -> None:
        """One HTTP request to the API server; code is "<error>" if there was no response."""
        self.recorder.observe(REQUEST_DURATION, (verb, host), seconds)
        self.recorder.count(REQUESTS, (code, method, host))

    def rate_limited(self, verb: str, host: str, seconds: float) -> None:
        """How long a request waited for the rate limit."""
        self.recorder.observe(RATE_LIMITER, (verb, host), seconds)

    def relist(self, resource: str, why: str) -> None:
        """A resource is listed again."""
        self.recorder.count(RELISTS, (resource, why))

    def listing_held(self, zone: str, resource: str) -> None:
        """The guard holds a listing back."""
        self.recorder.count(HELD, (zone, resource))

    def left_out(self, resource: str, what: str) -> None:
        """A part of an object is not served: "object", "addresses", "names", "ports" or "zones"."""
        self.recorder.count(LEFT_OUT, (resource, what))

    def snapshot(self, zone: str, result: str) -> None:
        """The result for a snapshot: "written", "failed", "served" or "refused"."""
        self.recorder.count(SNAPSHOTS, (zone, result))
