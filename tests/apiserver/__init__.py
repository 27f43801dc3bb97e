"""A stand-in for a Kubernetes API server 1.36 over loopback, for tests and benches; see server.ApiServer."""

from tests.apiserver.faults import Fault, Faults
from tests.apiserver.generator import Change, Churn, Population, fill
from tests.apiserver.objects import endpoint, namespace, pod, service, service_import, slice_
from tests.apiserver.server import ApiServer
from tests.apiserver.store import Store

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
