"""The step alone: the cases, the apex, options, what changes, and random clusters against a reference."""

from __future__ import annotations

import functools
from typing import Any

import dns.message
import dns.reversename
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.errors import SourceError
from fastdns.memory._store import Writer
from fastdns.plugins.kubernetes.sink import Resource
from fastdns.plugins.kubernetes.snapshot._copy import Copy
from fastdns.plugins.kubernetes.snapshot._restore import restore
from fastdns.plugins.whoami._step import WhoamiStep
from tests.plugins.beside import Case, expected, ids, summary
from tests.plugins.k8s_external.cases import CASES, OBJECTS
from tests.plugins.k8s_external.support import make_cluster
from tests.plugins.kubernetes.support import NOW, Cluster, Options, load_objects, needed, records

pytestmark = pytest.mark.native


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    return make_cluster(OBJECTS)


def soa(ttl_s: int = 5, apex: str = "dns", zone: str = "example.org.") -> str:
    return (
        f"{zone} {ttl_s} IN SOA ns1.{apex}.{zone} hostmaster.{apex}.{zone} {NOW} 7200 1800 86400 {ttl_s}"
    )


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_cases(cluster: Cluster, case: Case) -> None:
    reply = cluster.ask(case.qname, case.qtype)
    assert summary(reply, case) == expected(case)
    negative = case.rcode != "REFUSED" and not reply.answer
    zone = next((zone for zone in ("in-addr.arpa.", "ip6.arpa.") if case.qname.endswith(zone)), "example.org.")
    assert records(reply.authority) == ([soa(zone=zone)] if negative else [])


# ----------------------------------------------------------------------------------------------- the apex

OURS = """---
kind: Service
metadata: {name: coredns, namespace: prod}
spec: {clusterIP: 10.96.0.53, clusterIPs: [10.96.0.53], externalIPs: [192.0.2.53, "2001:db8::53"]}
status: {loadBalancer: {ingress: [{hostname: lb.example.com}]}}
---
kind: EndpointSlice
metadata: {name: coredns-1, namespace: prod, labels: {kubernetes.io/service-name: coredns}}
addressType: IPv4
endpoints: [{addresses: [10.244.9.9]}, {addresses: [10.244.9.8]}]
ports: [{port: 53}]
---
kind: Service
metadata: {name: peers, namespace: prod}
spec: {clusterIP: None, clusterIPs: [None], ports: [{port: 53}]}
---
kind: EndpointSlice
metadata: {name: peers-1, namespace: prod, labels: {kubernetes.io/service-name: peers}}
addressType: IPv4
endpoints: [{addresses: [10.244.9.9]}, {addresses: [10.244.9.8]}]
ports: [{port: 53}]
"""
OUTSIDE = ["A 192.0.2.53", "AAAA 2001:db8::53"]


@pytest.mark.parametrize(
    ("local", "headless", "addresses"),
    [
        (["10.244.9.9"], False, OUTSIDE),
        (["10.244.9.9"], True, ["A 10.244.9.8", "A 10.244.9.9", *OUTSIDE]),
        # No Service has it: CoreDNS runs outside of the cluster.
        (["10.1.1.1", "fd00::1"], True, ["A 10.1.1.1", "AAAA fd00::1"]),
        ([], True, []),
    ],
)  # fmt: skip
def test_nameserver(local: list[str], headless: bool, addresses: list[str]) -> None:
    options = Options(zones=["cluster.local."], exposed=True, local=local)
    cluster = make_cluster(OBJECTS + OURS, options, headless=headless)
    reply = cluster.ask("Example.org.", "NS")
    assert records(reply.answer) == ["Example.org. 5 IN NS ns1.dns.Example.org."]
    assert records(reply.additional) == [f"ns1.dns.Example.org. 5 IN {text}" for text in addresses]
    for qtype in ("A", "AAAA"):
        found = cluster.ask("ns1.dns.example.org.", qtype)
        wanted = [f"ns1.dns.example.org. 5 IN {text}" for text in addresses if text.split()[0] == qtype]
        assert records(found.answer) == wanted
        assert records(found.authority) == ([] if wanted else [soa()])


@pytest.mark.parametrize("zone", ["example.org.", "."])
def test_soa(zone: str) -> None:
    cluster = make_cluster(OBJECTS, zones=[zone])
    text = soa(zone=zone).replace("..", ".")
    assert records(cluster.ask(zone, "SOA").answer) == [text]
    assert records(cluster.ask("lb.prod." + zone.lstrip("."), "TXT").authority) == [text]


# ------------------------------------------------------------------------------------------------ options


def test_ttl_is_of_all_records() -> None:
    cluster = make_cluster(OBJECTS, ttl_s=77)
    questions = [("lb.prod", "A"), ("lb.prod", "SRV"), ("named.prod", "A"), ("named.prod", "SRV"), ("", "NS")]
    for name, qtype in questions:
        reply = cluster.ask(f"{name}.example.org.".lstrip("."), qtype)
        assert {rrset.ttl for rrset in reply.answer + reply.additional} == {77}, (name, qtype)
    assert records(cluster.ask("nope.example.org.", "A").authority) == [soa(77)]


def test_apex_is_a_label() -> None:
    cluster = make_cluster(OBJECTS, apex="nic")
    assert records(cluster.ask("example.org.", "SOA").answer) == [soa(apex="nic")]
    assert cluster.ask("nic.example.org.", "A").rcode() == 0
    assert cluster.ask("dns.example.org.", "A").rcode() == 3


def test_without_headless_there_are_no_endpoints() -> None:
    cluster = make_cluster(OBJECTS, headless=False)
    for name in ("db.prod", "db-0.db.prod", "in-0.inside.prod"):
        assert cluster.ask(f"{name}.example.org.", "A").rcode() == 3
    assert records(cluster.ask("outhead.prod.example.org.", "A").answer) == [
        "outhead.prod.example.org. 5 IN A 192.0.2.8"
    ]


def test_fallthrough_is_for_names_that_are_not_there() -> None:
    cluster = make_cluster(OBJECTS, after=[WhoamiStep()], fall=["gone.example.org."])
    assert len(cluster.ask("x.gone.example.org.", "A").additional) == 2, "whoami has answered"
    assert cluster.ask("x.prod.example.org.", "A").rcode() == 3, "no zone of fallthrough"
    cluster = make_cluster(OBJECTS, after=[WhoamiStep()], fall=["."])
    assert records(cluster.ask("prod.example.org.", "A").authority) == [soa()], "it is there, without data"


@pytest.mark.parametrize("qtype", ["AXFR", "IXFR"])
def test_transfers_are_refused(cluster: Cluster, qtype: str) -> None:
    assert cluster.ask("example.org.", qtype).rcode() == 5


def test_what_is_not_listed_yet_is_not_denied() -> None:
    options = Options(zones=["cluster.local."], exposed=True, unlisted=Resource.SLICE)
    cluster = make_cluster(OBJECTS, options, after=[WhoamiStep()], fall=["."])
    assert cluster.ask("lb.prod.example.org.", "A").answer
    for name in ("db.prod.example.org.", "gone.prod.example.org.", "9.9.9.9.in-addr.arpa."):
        assert cluster.ask(name, "PTR" if "arpa" in name else "A").rcode() == 2


# ------------------------------------------------------------------------------------------- what changes


def balanced(name: str, *ingress: dict[str, str], outside: list[str] | None = None) -> dict[str, Any]:
    return {
        "kind": "Service",
        "metadata": {"name": name, "namespace": "prod"},
        "spec": {"clusterIP": "10.96.1.1", "externalIPs": outside or [], "ports": [{"port": 80}]},
        "status": {"loadBalancer": {"ingress": list(ingress)}},
    }


def test_a_balancer_that_moves() -> None:
    cluster = make_cluster(OBJECTS)
    cluster.block.upsert(balanced("lb", {"ip": "192.0.2.99"}))
    assert records(cluster.ask("lb.prod.example.org.", "A").answer) == ["lb.prod.example.org. 5 IN A 192.0.2.99"]
    assert cluster.ask("1.2.0.192.in-addr.arpa.", "PTR").rcode() == 3
    assert cluster.ask("99.2.0.192.in-addr.arpa.", "PTR").answer
    cluster.block.delete(balanced("lb"))
    assert cluster.ask("lb.prod.example.org.", "A").rcode() == 3
    assert cluster.ask("99.2.0.192.in-addr.arpa.", "PTR").rcode() == 3


def test_endpoints_that_change_leave_addresses_alone() -> None:
    cluster = make_cluster(OBJECTS)
    one = next(one for one in load_objects(OBJECTS) if one["metadata"]["name"] == "outhead-1")
    cluster.block.delete(one)
    cluster.block.upsert(one)
    assert records(cluster.ask("outhead.prod.example.org.", "A").answer) == [
        "outhead.prod.example.org. 5 IN A 192.0.2.8"
    ]
    assert cluster.ask("8.2.0.192.in-addr.arpa.", "PTR").answer


def test_what_is_no_address_is_left_out() -> None:
    left: list[tuple[str, str]] = []
    options = Options(zones=["cluster.local."], exposed=True)
    cluster = make_cluster(OBJECTS, options)
    cluster.block.writer_options["on_left_out"] = lambda *what: left.append(what)
    cluster.block.take_over(cluster.store_writer)
    many = [{"hostname": f"n{i}.example.com"} for i in range(20)]
    cluster.block.upsert(
        balanced("odd", {"ip": "192.0.2.300"}, {"hostname": "a..b"}, {"hostname": "192.0.2.1"}, {}, *many,
                 outside=["host.example.com", "192.0.2.77"])
    )  # fmt: skip
    assert records(cluster.ask("odd.prod.example.org.", "A").answer) == ["odd.prod.example.org. 5 IN A 192.0.2.77"]
    assert len(cluster.ask("odd.prod.example.org.", "SRV").answer) == 17
    assert sorted(what for _, what in left) == ["addresses", "names"]


def test_where_nobody_asks_for_it_nothing_is_kept() -> None:
    """The same records as of a cluster that has nothing outside."""
    documents = load_objects(OBJECTS)
    inner = [
        one | {"status": {}, "spec": one["spec"] | {"externalIPs": []}} if one["kind"] == "Service" else one
        for one in documents
    ]
    plain, bare, exposed = (
        make_cluster(objects, Options(zones=["cluster.local."], exposed=asked)).store
        for asked, objects in ((False, documents), (False, inner), (True, documents))
    )
    assert plain.used_bytes == bare.used_bytes < exposed.used_bytes
    assert plain.items(b"\0\0E") == []
    assert len(exposed.items(b"\0\0E")) == 10
    services = [{key: len(value) for key, value in store.items(b"\0\0S")} for store in (plain, bare, exposed)]
    assert services[0] == services[1] != services[2]


@functools.cache
def snapshot() -> tuple[bytes, int]:
    """The body of a snapshot, and its seed."""
    cluster = make_cluster(OBJECTS)
    copy = Copy(cluster.store, 0)
    parts = []
    while part := copy.chunk():
        parts.append(part)
    return b"".join(parts), cluster.block.writer.records.id_seed


def test_snapshots_have_it() -> None:
    fresh = make_cluster([])
    restore(fresh.block.writer.records, *snapshot())
    for case in CASES:
        assert summary(fresh.ask(case.qname, case.qtype), case) == expected(case)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_records_of_a_snapshot_that_are_not_right(data: st.DataObject) -> None:
    """Nothing that is taken leads a reader astray."""
    bent = bytearray(snapshot()[0])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(bent) - 1))
        bent[at] = data.draw(st.sampled_from([0, 1, 4, 5, 16, 63, 64, 127, 255, bent[at] ^ 1]))
    cluster = make_cluster([])
    try:
        restore(cluster.block.writer.records, bytes(bent), 7)
    except SourceError:
        return
    for name in ("lb", "named", "twice", "mixed", "db", "_http._tcp.lb"):
        for qtype in ("A", "AAAA", "SRV"):
            assert cluster.ask(f"{name}.prod.example.org.", qtype).answer is not None
    assert cluster.ask("1.2.0.192.in-addr.arpa.", "PTR").answer is not None


# -------------------------------------------------------------------------------------- random clusters

ADDRESSES = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2"]
NAMES = ["one", "two", "three"]
services = st.fixed_dictionaries(
    {
        "name": st.sampled_from(NAMES),
        "gone": st.booleans(),
        "outside": st.lists(st.sampled_from(ADDRESSES), max_size=3),
        "balancer": st.lists(st.sampled_from(ADDRESSES), max_size=3),
    }
)


@settings(max_examples=60, deadline=None)
@given(changes=st.lists(services, max_size=12), deaths=st.sets(st.integers(0, 11)))
def test_random_changes(changes: list[dict[str, Any]], deaths: set[int]) -> None:
    """Names and reverse names are what the objects say, whatever happened before; also to the writer."""
    namespace = {"kind": "Namespace", "metadata": {"name": "prod"}}
    cluster = make_cluster([namespace])
    known: dict[str, list[str]] = {}
    objects: dict[str, dict[str, Any]] = {}
    for number, change in enumerate(changes):
        name = change["name"]
        one = balanced(name, *({"ip": ip} for ip in change["balancer"]), outside=change["outside"])
        if change["gone"]:
            cluster.block.delete(one)
            known.pop(name, None)
            objects.pop(name, None)
        else:
            cluster.block.upsert(one)
            known[name] = sorted({*change["outside"], *change["balancer"]})
            objects[name] = one
        if number in deaths:
            cluster.block.take_over(Writer(cluster.store))
            cluster.block.list_all([namespace, *objects.values()], needed(cluster.options))
    for name in NAMES:
        for qtype, dot in (("A", "."), ("AAAA", ":")):
            reply = cluster.ask(f"{name}.prod.example.org.", qtype)
            addresses = known.get(name, [])
            assert reply.rcode() == (0 if addresses else 3)
            found = sorted(rdata.to_text() for rrset in reply.answer for rdata in rrset)
            assert found == [ip for ip in addresses if dot in ip]
    for address in ADDRESSES:
        reply = cluster.ask(dns.reversename.from_address(address).to_text(), "PTR")
        found = sorted(rdata.to_text() for rrset in reply.answer for rdata in rrset)
        assert found == sorted(f"{name}.prod.example.org." for name in known if address in known[name])
