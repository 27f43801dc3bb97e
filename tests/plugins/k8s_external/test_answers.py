"""k8s_external beside CoreDNS: one API server for both, whose objects do not change."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fastdns.bench.apiserver.process import Process
from tests.plugins.beside import Both, Case, ids
from tests.plugins.forward.engine.support import Upstream
from tests.plugins.k8s_external.cases import CASES, OBJECTS, yes
from tests.plugins.kubernetes.support import load_objects
from tests.plugins.upstream import from_table

COREFILE = """\
cluster.local:DNS_PORT example.org:DNS_PORT in-addr.arpa:DNS_PORT ip6.arpa:DNS_PORT {
    bind 127.0.0.1
    kubernetes cluster.local {
        kubeconfig KUBECONFIG
        namespaces prod
    }
    k8s_external example.org in-addr.arpa ip6.arpa {
        headless
    }
}
balancers.test:DNS_PORT {
    bind 127.0.0.1
    forward . 127.0.0.1:UPSTREAM
}
"""
UPSTREAM = {
    "lb.balancers.test. A": ["lb.balancers.test. 60 IN A 198.51.100.1"],
    "lb.balancers.test. AAAA": ["lb.balancers.test. 60 IN AAAA 2001:db8::99"],
}


@pytest.fixture(scope="module")
def api_server() -> Iterator[Process]:
    with Process(services=0, protobuf=True) as process:
        objects = []
        for one in load_objects(OBJECTS + "---" + ALIAS):
            version = "discovery.k8s.io/v1" if one["kind"] == "EndpointSlice" else "v1"
            one["metadata"]["creationTimestamp"] = "2026-11-23T05:47:51Z"
            objects.append({"apiVersion": version, **one})
        process.post("put", objects)
        yield process


@pytest.fixture(scope="module")
def both(api_server: Process, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with Upstream(from_table(UPSTREAM)) as upstream:
        corefile = COREFILE.replace("KUBECONFIG", str(api_server.kubeconfig))
        corefile = corefile.replace("UPSTREAM", str(upstream.port))
        with Both(tmp_path_factory.mktemp("k8s_external"), corefile) as both:
            both.eventually(CASES[0])
            yield both


# A load balancer whose name an upstream knows: the query waits, for SRV twice.
ALIAS = """
kind: Service
metadata: {name: far, namespace: prod}
spec: {type: LoadBalancer, clusterIP: 10.96.0.20, clusterIPs: [10.96.0.20], ports: [{name: http, port: 80}]}
status: {loadBalancer: {ingress: [{hostname: lb.balancers.test}]}}
"""
WAITING = [
    yes(
        "far.prod.example.org.", "A", "@ 5 IN CNAME lb.balancers.test.", "lb.balancers.test. 60 IN A 198.51.100.1",
        why="an upstream knows the name",
    ),
    yes(
        "far.prod.example.org.", "SRV", "@ 5 IN SRV 0 100 80 lb.balancers.test.",
        additional=("lb.balancers.test. 60 IN A 198.51.100.1", "lb.balancers.test. 60 IN AAAA 2001:db8::99"),
        why="addresses of both families",
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", [*CASES, *WAITING], ids=ids)
def test_answers(both: Both, case: Case) -> None:
    both.check(case)
