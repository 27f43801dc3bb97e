"""Objects as no controller writes them: what does not fit is left out by a stated rule, costs nobody anything."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import dns.flags
import pytest

from fastdns.plugins.kubernetes.snapshot._copy import Copy
from fastdns.plugins.kubernetes.snapshot._restore import restore
from tests.plugins.kubernetes import support
from tests.plugins.kubernetes.support import Cluster, Options, summary

pytestmark = pytest.mark.native

ZONES = ("cluster.local.", "set.local.", "in-addr.arpa.", "ip6.arpa.")
SERVICE = "s.prod.svc.cluster.local."
NAMESPACE = {"kind": "Namespace", "metadata": {"name": "prod"}}
# What stands beside a hostile object, and has to answer whatever that is.
NEIGHBOUR = [
    {
        "kind": "Service",
        "metadata": {"name": "neighbour", "namespace": "prod"},
        "spec": {"clusterIP": "10.96.7.7", "clusterIPs": ["10.96.7.7"], "ports": [{"name": "web", "port": 80}]},
    },
    {
        "kind": "EndpointSlice",
        "metadata": {
            "name": "s-beside",
            "namespace": "prod",
            "labels": {"kubernetes.io/service-name": "s"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.250.0.1"], "hostname": "beside"}],
        "ports": [{"name": "web", "protocol": "TCP", "port": 80}],
    },
]


@pytest.fixture(scope="module", params=[support.by_struct, support.by_protobuf], autouse=True)
def form(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every rule holds alike for objects from JSON and for slices that are packed straight from protobuf."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(support, "FORM", request.param)
        yield


def headless(name: str = "s", ports: list[Any] | None = None) -> dict[str, Any]:
    spec = {"clusterIP": "None", "clusterIPs": ["None"], "ports": ports or [{"name": "web", "port": 80}]}
    return {"kind": "Service", "metadata": {"name": name, "namespace": "prod"}, "spec": spec}


def a_slice(
    endpoints: list[Any], ports: list[Any] | None = None, *, name: str = "s-1", service: str = "s", **more: Any
) -> dict[str, Any]:
    return {
        "kind": "EndpointSlice",
        "metadata": {
            "name": name,
            "namespace": "prod",
            "labels": {"kubernetes.io/service-name": service} | more.pop("labels", {}),
        },
        "addressType": more.pop("address_type", "IPv4"),
        "endpoints": endpoints,
        "ports": [{"name": "web", "protocol": "TCP", "port": 80}] if ports is None else ports,
    }


def hostile(*objects: dict[str, Any], **options: Any) -> tuple[Cluster, list[tuple[str, str]]]:
    """A cluster with these objects and the neighbours, and what was counted as left out."""
    counted: list[tuple[str, str]] = []
    cluster = Cluster(
        Options(zones=ZONES, **options),
        [NAMESPACE, headless(), *NEIGHBOUR, *objects],
        max_bytes=64 << 20,
        on_left_out=lambda resource, what: counted.append((resource, what)),
    )
    assert addresses(cluster, "neighbour.prod.svc.cluster.local.") == ["10.96.7.7"]
    assert addresses(cluster, f"beside.{SERVICE}") == ["10.250.0.1"]
    assert_restorable(cluster)
    return cluster, counted


def addresses(cluster: Cluster, name: str, qtype: str = "A") -> list[str]:
    return sorted(rrset[0].to_text() for rrset in cluster.ask(name, qtype).answer)


def assert_restorable(cluster: Cluster) -> Cluster:
    """A snapshot of the cluster holds all of it, and answers the same."""
    copy = Copy(cluster.store, 0)
    body = b""
    while part := copy.chunk():
        body += part
    other = Cluster(cluster.options, [], max_bytes=64 << 20)
    _, left_out = restore(other.block.writer.records, body, cluster.block.writer.records.id_seed)
    assert left_out == 0
    return other


# ---------------------------------------------------------------------------------------------------- ports


def test_a_slice_with_65_536_bytes_of_port_names():
    """Their length was cut to 16 bits: A answered another address, SRV wrote past the end of an array."""
    ports = [{"name": f"{n:056}", "protocol": "TCP", "port": n + 1} for n in range(1100)]
    cluster, counted = hostile(a_slice([{"addresses": ["10.1.2.3"], "hostname": "e"}], ports))
    assert addresses(cluster, SERVICE) == ["10.1.2.3", "10.250.0.1"]
    assert addresses(cluster, f"e.{SERVICE}") == ["10.1.2.3"]
    for n in (0, 500, 1024, 1099):
        reply = cluster.ask(f"_{n:056}._tcp.{SERVICE}", "SRV")
        assert [rrset[0].port for rrset in reply.answer] == [n + 1]
        assert reply.answer[0][0].target.to_text() == f"e.{SERVICE}"
    assert len(cluster.ask(f"e.{SERVICE}", "SRV").answer) == 1024
    assert not counted


def test_port_numbers_that_spell_compression_pointers():
    """A walk through names followed a pointer to itself, and a query hung the worker."""
    ports = [{"name": f"{n:056}", "protocol": "TCP", "port": 0xC000 + n % 64} for n in range(2200)]
    cluster, _ = hostile(a_slice([{"addresses": ["10.1.2.3"]}], ports))
    for name in (SERVICE, f"10-1-2-3.{SERVICE}", f"_{2199:056}._tcp.{SERVICE}"):
        for qtype in ("A", "AAAA", "SRV", "TXT", "CNAME", "NS"):
            cluster.ask(name, qtype)
    found = {rrset[0].port for rrset in cluster.ask(f"10-1-2-3.{SERVICE}", "SRV").answer}
    assert found == {0xC000 + n for n in range(64)}


def test_of_more_ports_than_the_api_takes_the_first_are_served():
    ports = [{"name": f"p{n}", "protocol": "TCP", "port": n % 65536} for n in range(20_010)]
    cluster, counted = hostile(a_slice([{"addresses": ["10.1.2.3"]}], ports))
    assert addresses(cluster, f"_p19999._tcp.{SERVICE}") == ["10.1.2.3"]
    assert not addresses(cluster, f"_p20000._tcp.{SERVICE}")
    assert counted == [("slice", "ports")]


def test_a_service_with_more_ports_than_the_api_takes():
    spec = {
        "clusterIP": "10.96.0.9",
        "ports": [{"name": f"p{n}", "protocol": "TCP", "port": n % 65536} for n in range(70_000)],
    }
    cluster, counted = hostile({"kind": "Service", "metadata": {"name": "t", "namespace": "prod"}, "spec": spec})
    assert addresses(cluster, "t.prod.svc.cluster.local.") == ["10.96.0.9"]
    assert addresses(cluster, "_p19999._tcp.t.prod.svc.cluster.local.") == ["10.96.0.9"]
    assert ("service", "ports") in counted


@pytest.mark.parametrize("number", [-1, 65536, 70000, 2**31, 2**63, -(2**63)])
def test_a_port_number_that_is_none(number: int):
    ports = [{"name": "odd", "protocol": "TCP", "port": number}, {"name": "web", "protocol": "TCP", "port": 80}]
    cluster, counted = hostile(a_slice([{"addresses": ["10.1.2.3"]}], ports))
    assert [rrset[0].port for rrset in cluster.ask(f"10-1-2-3.{SERVICE}", "SRV").answer] == [80]
    assert not addresses(cluster, f"_odd._tcp.{SERVICE}")
    assert counted == [("slice", "ports")]


def test_a_port_with_a_name_longer_than_a_label_stays():
    ports = [{"name": "x" * 300, "protocol": "T" * 300, "port": 80}]
    cluster, counted = hostile(a_slice([{"addresses": ["10.1.2.3"]}], ports))
    assert [rrset[0].port for rrset in cluster.ask(f"10-1-2-3.{SERVICE}", "SRV").answer] == [80]
    assert not addresses(cluster, f"{'x' * 63}.tcp.{SERVICE}")
    assert counted == [("slice", "names")]


# ---------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    "name",
    [
        "kube-scheduler-node-17.ec2.internal",
        "-begins",
        "ends-",
        "a b",
        "a\\.b",
        "\u00fcml",
        "nul\0",
        "x" * 64,
        "\xc0\x0c",
    ],
)
@pytest.mark.parametrize("of", ["hostname", "pod"])
def test_a_name_that_is_no_label_gives_way_to_the_address(name: str, of: str):
    """A pod name with dots became one label, which hid every record of the Service from Go's resolver."""
    endpoint: dict[str, Any] = {"addresses": ["10.1.2.3"]}
    if of == "hostname":
        endpoint["hostname"] = name
    else:
        endpoint["targetRef"] = {"kind": "Pod", "name": name}
    cluster, counted = hostile(a_slice([endpoint]), endpoint_pod_names=True)
    assert counted == [("slice", "names")]
    targets = {rrset[0].target.to_text() for rrset in cluster.ask(SERVICE, "SRV").answer}
    assert targets == {f"10-1-2-3.{SERVICE}", f"beside.{SERVICE}"}
    # Its reverse name leads back.
    (name,) = addresses(cluster, "3.2.1.10.in-addr.arpa.", "PTR")
    assert name == f"10-1-2-3.{SERVICE}"
    assert addresses(cluster, name) == ["10.1.2.3"]


@pytest.mark.parametrize("name", ["node.17", "a b", "x" * 64, "", "\u00fc"])
def test_a_service_whose_name_is_no_label_is_left_out(name: str, caplog: pytest.LogCaptureFixture):
    cluster, counted = hostile(
        headless(name), a_slice([{"addresses": ["10.9.9.9"]}], name="odd", service=name or "a b")
    )
    assert ("service", "object") in counted
    assert not [key for key, _ in cluster.store.items(b"\0\0S") if name and name.encode() in key]
    assert "is not a DNS label" in caplog.text


@pytest.mark.parametrize("target", ["a b.example", "x" * 64 + ".example", "a..b", "*.example", "\u00fc.example"])
def test_an_external_name_that_is_none_makes_no_name(target: str):
    service = {
        "kind": "Service",
        "metadata": {"name": "out", "namespace": "prod"},
        "spec": {"type": "ExternalName", "externalName": target},
    }
    cluster, counted = hostile(service)
    assert summary(cluster.ask("out.prod.svc.cluster.local.", "CNAME"))["rcode"] == "NXDOMAIN"
    assert counted == [("service", "names")]


def test_a_slice_that_becomes_unservable_is_not_served_as_it_was():
    options = {"multicluster": ("set.local.",)}
    imported = {
        "kind": "ServiceImport",
        "metadata": {"name": "web", "namespace": "prod"},
        "spec": {"type": "Headless", "ports": [{"name": "web", "port": 80}]},
    }

    def of_cluster(name: str) -> dict[str, Any]:
        labels = {
            "multicluster.kubernetes.io/service-name": "web",
            "multicluster.kubernetes.io/source-cluster": name,
        }
        return a_slice([{"addresses": ["10.1.2.3"]}], name="import", labels=labels)

    cluster, _ = hostile(imported, of_cluster("east"), **options)
    assert addresses(cluster, "web.prod.svc.set.local.") == ["10.1.2.3"]
    cluster.block.upsert(of_cluster("a.b"))
    assert addresses(cluster, "web.prod.svc.set.local.") == []


def test_names_that_take_more_than_a_slice_keeps():
    """All were refused with it: 65,534 bytes, and each address of an endpoint counted its name anew."""
    endpoints = [
        {"addresses": [f"10.{n >> 8}.{n & 255}.{i}" for i in range(20)], "hostname": f"{n:063}"}
        for n in range(1000)
    ]
    cluster, counted = hostile(a_slice(endpoints))
    assert len(addresses(cluster, f"{999:063}.{SERVICE}")) == 20
    assert not counted
    endpoints = [{"addresses": [f"10.{n >> 8}.{n & 255}.1"], "hostname": f"{n:063}"} for n in range(3000)]
    cluster, counted = hostile(a_slice(endpoints))
    assert counted == [("slice", "names")]
    assert addresses(cluster, f"{0:063}.{SERVICE}") == ["10.0.0.1"]
    # The endpoint stays, under the name of its address.
    assert addresses(cluster, f"{2999:063}.{SERVICE}") == []
    assert addresses(cluster, f"10-11-183-1.{SERVICE}") == ["10.11.183.1"]


def test_zones_longer_than_a_name_are_none():
    endpoints = [{"addresses": ["10.1.2.3"], "zone": "z" * 254}, {"addresses": ["10.1.2.4"], "zone": "Z1"}]
    cluster, counted = hostile(a_slice(endpoints), zonal=True)
    assert addresses(cluster, f"z1.pin._zone.{SERVICE}") == ["10.1.2.4"]
    assert addresses(cluster, SERVICE) == ["10.1.2.3", "10.1.2.4", "10.250.0.1"]
    assert counted == [("slice", "zones")]


# ------------------------------------------------------------------------------------------------ addresses


def test_addresses_that_are_none_are_left_out_alone():
    odd = ["10.1.2.3\0x", "", "10.1.2", "10.1.2.300", "fe80::1%eth0", "1" * 300, "\u0661.1.1.1", " 10.1.2.4"]
    cluster, counted = hostile(a_slice([{"addresses": [*odd, "10.1.2.5"]}]))
    assert addresses(cluster, SERVICE) == ["10.1.2.5", "10.250.0.1"]
    assert counted == [("slice", "addresses")]


def test_more_cluster_ips_than_are_kept():
    """Their number is kept in one byte: the 256th ended the watcher."""
    many = [f"10.97.{n >> 8}.{n & 255}" for n in range(300)]
    spec = {"clusterIPs": [*many, "nonsense", many[0]], "ports": [{"name": "web", "port": 80}]}
    cluster, counted = hostile({"kind": "Service", "metadata": {"name": "t", "namespace": "prod"}, "spec": spec})
    assert addresses(cluster, "t.prod.svc.cluster.local.") == sorted(many[:255])
    assert counted == [("service", "addresses")]


def test_of_more_addresses_than_the_api_takes_the_first_are_served():
    endpoints = [{"addresses": [f"10.{n >> 8}.{n & 255}.{i}" for i in range(250)]} for n in range(401)]
    cluster, counted = hostile(a_slice(endpoints))
    assert addresses(cluster, f"10-1-143-249.{SERVICE}") == ["10.1.143.249"]
    assert addresses(cluster, f"10-1-144-0.{SERVICE}") == []
    assert counted == [("slice", "addresses")]


def test_an_address_that_a_slice_says_many_times_is_one():
    cluster, _ = hostile(a_slice([{"addresses": ["10.1.2.3"] * 100, "hostname": "h"} for _ in range(300)]))
    assert addresses(cluster, f"h.{SERVICE}") == ["10.1.2.3"]
    assert addresses(cluster, "3.2.1.10.in-addr.arpa.", "PTR") == [f"h.{SERVICE}"]
    reply = cluster.ask(f"h.{SERVICE}", "SRV")
    assert len(reply.answer) == len(reply.additional) == 1
    assert reply.answer[0][0].weight == 100
    # One endpoint a slice: what it says a hundred times takes no memory either.
    assert cluster.store.used_bytes < 20_000


# ------------------------------------------------------------------------------------------- said and counted


def test_what_is_left_out_is_said_once_and_always_counted(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING)
    odd = a_slice([{"addresses": ["10.1.2.3"], "hostname": "a.b"}])
    cluster, counted = hostile(odd)
    for _ in range(3):
        cluster.block.upsert(odd)
    assert counted == [("slice", "names")] * 4
    assert len([text for text in caplog.messages if "named after their addresses" in text]) == 1
    assert "slice prod/s-1" in caplog.text


def test_so_many_odd_objects_do_not_fill_the_log(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING)
    cluster, counted = hostile()
    for n in range(1100):
        cluster.block.upsert(a_slice([{"addresses": ["no"]}], name=f"odd-{n}", service="odd"))
    assert len(counted) == 1100
    assert len(caplog.messages) == 1025
    assert "further objects are only counted" in caplog.messages[-1]


# ------------------------------------------------------------------------------------------------ nameservers


@pytest.mark.parametrize("qname, qtype", [("ns.dns.cluster.local.", "A"), ("cluster.local.", "NS")])
def test_more_nameservers_than_an_answer_can_tell_apart(qname: str, qtype: str):
    """Over 16,384 addresses of Services that hold the server's own: the table of those seen was full, and searched
    for ever."""
    objects = []
    for n in range(70):
        own = [f"10.{96 + n}.0.{i}" for i in range(1, 256)]
        objects.append(
            {
                "kind": "Service",
                "metadata": {"name": f"n{n}", "namespace": "prod"},
                "spec": {"clusterIP": own[0], "clusterIPs": own, "ports": [{"name": "web", "port": 80}]},
            }
        )
        objects.append(a_slice([{"addresses": ["10.0.0.1"]}], name=f"n{n}", service=f"n{n}"))
    cluster, _ = hostile(*objects, local=("10.0.0.1",))
    reply = cluster.ask(qname, qtype)
    assert reply.flags & dns.flags.TC
    assert len(reply.answer) > 15
