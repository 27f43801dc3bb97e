"""A stand-in for a Kubernetes API server 1.36 over loopback, for tests and benches; see server.ApiServer."""

from fastdns.bench.apiserver.faults import Fault, Faults
from fastdns.bench.apiserver.generator import Change, Churn, Population, fill
from fastdns.bench.apiserver.objects import endpoint, namespace, pod, service, service_import, slice_
from fastdns.bench.apiserver.server import ApiServer
from fastdns.bench.apiserver.store import Store

__all__ = [
    "ApiServer",
    "Change",
    "Churn",
    "Fault",
    "Faults",
    "Population",
    "Store",
    "endpoint",
    "fill",
    "namespace",
    "pod",
    "service",
    "service_import",
    "slice_",
]
