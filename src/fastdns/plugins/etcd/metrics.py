"""What the watcher measures of etcd. CoreDNS has no metrics of its *etcd* plugin."""

from __future__ import annotations

from fastdns.metrics.measured import Measure

LISTINGS = "fastdns_etcd_listings_total"
ERRORS = "fastdns_etcd_errors_total"
LEFT_OUT = "fastdns_etcd_left_out_total"

MEASURES = {
    LISTINGS: Measure("Number of times that all keys were read, by reason.", ("path", "why")),
    ERRORS: Measure("Number of times that an endpoint failed.", ("endpoint",)),
    LEFT_OUT: Measure("Number of keys that cannot be served, by reason.", ("path", "why")),
}
