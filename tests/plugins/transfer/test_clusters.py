"""The zones of kubernetes and k8s_external beside CoreDNS, which follows the same API server."""

from __future__ import annotations

from collections.abc import Iterator

import dns.rcode
import dns.rdatatype
import pytest
import yaml

from fastdns.bench.apiserver.process import Process
from tests.authoritative.asking import axfr, ixfr
from tests.plugins.beside import Both, Case
from tests.plugins.k8s_external.cases import OBJECTS
from tests.plugins.transfer.taking import take
from tests.support import wait_until

COREFILE = """\
cluster.local:DNS_PORT example.org:DNS_PORT in-addr.arpa:DNS_PORT {
    bind 127.0.0.1
    errors
    kubernetes cluster.local in-addr.arpa {
        kubeconfig KUBECONFIG
        namespaces prod
    }
    k8s_external example.org {
        headless
    }
    transfer {
        to *
    }
}
"""
MORE = """
---
kind: Service
metadata: {name: web, namespace: prod}
spec: {clusterIP: 10.96.1.1, clusterIPs: [10.96.1.1, "fd00:96::1"], ports: [{name: http, protocol: TCP, port: 80}, {name: dns, protocol: UDP, port: 53}, {name: dns-tcp, protocol: TCP, port: 53}]}
---
kind: Service
metadata: {name: unnamed, namespace: prod}
spec: {clusterIP: 10.96.1.2, clusterIPs: [10.96.1.2], ports: [{protocol: TCP, port: 80}]}
---
kind: Service
metadata: {name: alias, namespace: prod}
spec: {type: ExternalName, externalName: www.example.net}
---
kind: Service
metadata: {name: address, namespace: prod}
spec: {type: ExternalName, externalName: 192.0.2.77}
---
kind: Service
metadata: {name: slow, namespace: prod}
spec: {clusterIP: None, clusterIPs: [None], externalIPs: [192.0.2.70], ports: [{name: a, protocol: TCP, port: 1}]}
"""  # noqa: E501


@pytest.fixture(scope="module")
def api_server() -> Iterator[Process]:
    with Process(services=0, protobuf=True) as process:
        objects = []
        for one in filter(None, yaml.safe_load_all(OBJECTS + MORE)):
            version = "discovery.k8s.io/v1" if one["kind"] == "EndpointSlice" else "v1"
            if one["kind"] == "Service":
                # An API server says so where nobody else does.
                one["spec"].setdefault("type", "ClusterIP")
            one["metadata"]["creationTimestamp"] = "2026-11-23T05:47:51Z"
            objects.append({"apiVersion": version, **one})
        process.post("put", objects)
        yield process


@pytest.fixture(scope="module")
def both(api_server: Process, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    corefile = COREFILE.replace("KUBECONFIG", str(api_server.kubeconfig))
    with Both(tmp_path_factory.mktemp("clusters"), corefile) as both:
        name = "web.prod.svc.cluster.local."
        both.eventually(Case(name, "A", answer=[f"{name} 5 IN A 10.96.1.1"]))
        yield both


# Records that only one of them sends, by zone, and why. Names below the zone, the TTL and class left out.
OURS_ALONE: dict[str, list[str]] = {
    "cluster.local.": [],
    "example.org.": [
        # CoreDNS sends the first SRV record of each name alone.
        "lb.prod srv 0 100 53 lb.prod.example.org.",
        # Targets elsewhere: CoreDNS cuts two labels off.
        "_http._tcp.named.prod srv 0 100 80 ips.prod.example.org.",
        "_http._tcp.nowhere.prod srv 0 100 80 gone.prod.example.org.",
        "_http._tcp.twice.prod srv 0 100 80 ips.prod.example.org.",
        "_http._tcp.twice.prod srv 0 100 80 lb.prod.example.org.",
        "_http._tcp.mixed.prod srv 0 100 80 lb.prod.example.org.",
        "mixed.prod srv 0 100 80 lb.prod.example.org.",
    ],
}
THEIRS_ALONE = {
    "cluster.local.": [
        # The port of a Service that has none.
        "portless.prod.svc srv 0 100 65535 portless.prod.svc.cluster.local.",
    ],
    "example.org.": [
        # A namespace that is not shown.
        "lb.hidden a 192.0.2.9",
        "lb.hidden srv 0 100 80 lb.hidden.example.org.",
        "_http._tcp.lb.hidden srv 0 100 80 lb.hidden.example.org.",
        # Targets elsewhere, from which two labels are cut off.
        "_http._tcp.named.prod srv 0 100 80 example.org.",
        "_http._tcp.nowhere.prod srv 0 100 80 example.org.",
        "_http._tcp.twice.prod srv 0 100 80 example.org.",
        # A name with a CNAME record has no other data (RFC 1034).
        "named.prod srv 0 100 80 ips.prod.example.org.",
        "nowhere.prod srv 0 100 80 gone.prod.example.org.",
        "twice.prod srv 0 100 80 ips.prod.example.org.",
        "twice.prod cname lb.prod.example.org.",
        "mixed.prod cname lb.prod.example.org.",
    ],
}


@pytest.mark.parametrize("zone", OURS_ALONE)
def test_the_records_that_coredns_sends(both: Both, zone: str) -> None:
    ours = take(both.fastdns.port, axfr(zone))
    assert ours.whole and len(ours.texts()) > 40
    both.fastdns.wait_for_log(f'records of zone "{zone}" to 127.0.0.1 for {ours.rrsets[0][0].serial} SOA serial')
    assert ours.rrsets[0] == ours.rrsets[-1] and ours.rrsets[0].rdtype == dns.rdatatype.SOA
    if both.coredns is None:
        return
    theirs = take(both.coredns.port, axfr(zone))
    assert theirs.whole
    alone = [
        sorted(one.replace(f".{zone} 5 in ", " ", 1) for one in set(some.texts()) - set(others.texts()))
        for some, others in ((ours, theirs), (theirs, ours))
    ]
    assert alone == [sorted(OURS_ALONE[zone]), sorted(THEIRS_ALONE[zone])]
    mine, its = ours.rrsets[0], theirs.rrsets[0]
    assert mine[0].replace(serial=0) == its[0].replace(serial=0) and mine.ttl == its.ttl


@pytest.mark.parametrize("zone", OURS_ALONE)
def test_who_has_the_serial_gets_one_record(both: Both, zone: str) -> None:
    """Any other version gets all."""

    def had() -> int:
        serial: int = take(both.fastdns.port, axfr(zone)).rrsets[0][0].serial
        return serial

    def sent() -> tuple[bool, int]:
        current = take(both.fastdns.port, ixfr(zone, had()), single=True)
        return current.whole, len(current.rrsets)

    # Another version may have come in between.
    wait_until(lambda: sent() == (True, 1))
    serial = had()
    older = take(both.fastdns.port, ixfr(zone, serial - 1))
    assert older.whole and len(older.rrsets) > 40


@pytest.mark.parametrize("zone", ["svc.cluster.local.", "in-addr.arpa."])
def test_what_is_refused(both: Both, zone: str) -> None:
    """Names below a zone, and reverse zones. CoreDNS gives the Services of the cluster, below that name."""
    assert take(both.fastdns.port, axfr(zone)).rcode == dns.rcode.REFUSED
    if both.coredns is not None:
        theirs = take(both.coredns.port, axfr(zone))
        assert theirs.rcode == dns.rcode.NOERROR and len(theirs.rrsets) > 20


def test_changes_move_the_serial(both: Both, api_server: Process) -> None:
    before = take(both.fastdns.port, axfr("cluster.local.")).rrsets[0][0].serial
    api_server.post("put", [
        {"apiVersion": "v1", "kind": "Service",
         "metadata": {"name": "new", "namespace": "prod", "creationTimestamp": "2026-11-23T05:47:51Z"},
         "spec": {"clusterIP": "10.96.2.2", "clusterIPs": ["10.96.2.2"]}},
    ])  # fmt: skip
    name = "new.prod.svc.cluster.local."
    both.eventually(Case(name, "A", answer=[f"{name} 5 IN A 10.96.2.2"]))
    after = take(both.fastdns.port, axfr("cluster.local."))
    assert f"{name} 5 in a 10.96.2.2" in after.texts()
    # In a second with a change, a transfer has the serial before: another change may follow.
    wait_until(lambda: take(both.fastdns.port, axfr("cluster.local.")).rrsets[0][0].serial > before)
