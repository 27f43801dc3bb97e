"""Random clusters, changes, deaths of the writer and full stores: what the store answers is the reference's answer.

Names and addresses come from small pools, so that they collide. hypothesis prints the seed of a failure.
"""

from __future__ import annotations

import ipaddress
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.errors import StoreFull
from fastdns.memory._store import Writer
from tests.plugins.kubernetes.reference import IMPORT_CLUSTER, IMPORT_NAME, SERVICE_NAME, Reference
from tests.plugins.kubernetes.support import NOW, Cluster, Options, resources_of, summary

pytestmark = pytest.mark.native

NAMESPACES = ["a", "b"]
SERVICES = ["s", "t", "web"]
SLICES = ["s-1", "s-2", "t-1", "web-1"]
ADDRESSES = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.1.0.1", "fd00::1", "fd00::2", "fd00:1::"]
HOSTNAMES = [None, None, None, "h", "H2", "10-0-0-1", "x" * 63]
PODS = ["p", "q", "p" * 64]
TOPOLOGY = [None, "z1", "Z1", "rack.1"]
PORTS = [
    {"name": "http", "protocol": "TCP", "port": 80},
    {"name": "HTTPS", "protocol": "TCP", "port": 443},
    {"name": "dns", "protocol": "UDP", "port": 53},
    {"name": "dns-tcp", "protocol": "TCP", "port": 53},
    {"protocol": "TCP", "port": 8080},
    {"name": "nonumber", "protocol": "TCP"},
]
TARGETS = [
    "s.a.svc.cluster.local",
    "t.a.svc.cluster.local.",
    "T.b.svc.Cluster.Local",
    "web.b.svc.cluster.local",
    "h.s.a.svc.cluster.local",
    "plain.a.svc.second.test",
    "gone.a.svc.second.test",
    "nowhere.example",
    "192.0.2.1",
    "fd00::9",
    "ns.dns.cluster.local",
    "cluster.local",
    "10-0-0-1.a.pod.cluster.local",
]
ZONES = ("cluster.local.", "second.test.", "set.local.", "in-addr.arpa.", "ip6.arpa.")
QTYPES = ["A", "AAAA", "SRV", "PTR", "TXT", "CNAME", "NS", "SOA", "MX", "HTTPS"]

# Not an ExternalName, so that no chain leads through the server for ever.
PLAIN = {
    "kind": "Service",
    "metadata": {"name": "plain", "namespace": "a"},
    "spec": {"clusterIP": "10.200.0.1", "clusterIPs": ["10.200.0.1"], "ports": [PORTS[0]]},
}

ports = st.lists(st.sampled_from(PORTS), max_size=3)
optional = st.one_of(st.none(), st.booleans())


def of(items: list[Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from(items)


@st.composite
def services(draw: st.DrawFn) -> dict[str, Any]:
    name, namespace = draw(of(SERVICES)), draw(of(NAMESPACES))
    kind = draw(of(["ClusterIP", "ClusterIP", "Headless", "Headless", "ExternalName"]))
    spec: dict[str, Any] = {"type": "ClusterIP", "ports": draw(ports)}
    if kind == "ExternalName":
        spec |= {"type": "ExternalName", "externalName": draw(of(TARGETS))}
    elif kind == "Headless":
        spec |= {"clusterIP": "None", "clusterIPs": ["None"]}
    else:
        # An address is one Service's at a time; some are endpoints' as well.
        number = 10 * NAMESPACES.index(namespace) + SERVICES.index(name)
        own = [f"10.96.0.{number}", f"fd00:96::{number + 1:x}"]
        if number == 0:
            own.append("10.1.0.1")
        addresses = draw(st.lists(of(own), min_size=1, max_size=2, unique=True))
        spec |= {"clusterIP": addresses[0], "clusterIPs": addresses}
        if draw(st.booleans()):
            del spec["clusterIPs"]
    return {"kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


@st.composite
def slices(draw: st.DrawFn) -> dict[str, Any]:
    namespace = draw(of(NAMESPACES))
    family = draw(of(["IPv4", "IPv4", "IPv6"]))
    labels = {}
    if draw(st.booleans()):
        labels[SERVICE_NAME] = draw(of(SERVICES))
    if draw(of([False, False, True])):
        labels |= {IMPORT_NAME: draw(of(SERVICES)), IMPORT_CLUSTER: draw(of(["c1", "C2"]))}
    endpoints = []
    for _ in range(draw(st.integers(0, 4))):
        endpoint: dict[str, Any] = {
            "addresses": draw(
                st.lists(
                    of([one for one in ADDRESSES if (":" in one) == (family == "IPv6")]), min_size=1, max_size=2
                )
            )
        }
        ready, hostname, zone = draw(optional), draw(of(HOSTNAMES)), draw(of(TOPOLOGY))
        if ready is not None:
            endpoint["conditions"] = {"ready": ready}
        if hostname:
            endpoint["hostname"] = hostname
        if zone:
            endpoint["zone"] = zone
        if draw(st.booleans()):
            endpoint["targetRef"] = {"kind": "Pod", "name": draw(of(PODS)), "namespace": namespace}
        endpoints.append(endpoint)
    return {
        "kind": "EndpointSlice",
        "metadata": {"name": draw(of(SLICES)), "namespace": namespace, "labels": labels},
        "addressType": family,
        "endpoints": endpoints,
        "ports": draw(ports),
    }


@st.composite
def pods(draw: st.DrawFn) -> dict[str, Any]:
    meta = {"name": draw(of(PODS)), "namespace": draw(of(NAMESPACES)), "labels": {"n": draw(of(["1", "2"]))}}
    if draw(of([False, False, True])):
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    status: dict[str, Any] = {"phase": draw(of(["Running", "Running", "Pending", "Succeeded", "Failed"]))}
    if draw(of([True, True, False])):
        status["podIP"] = draw(of(ADDRESSES))
    return {"kind": "Pod", "metadata": meta, "status": status}


@st.composite
def imports(draw: st.DrawFn) -> dict[str, Any]:
    spec: dict[str, Any] = {"type": draw(of(["ClusterSetIP", "Headless"])), "ports": draw(ports)}
    if spec["type"] == "ClusterSetIP":
        spec["ips"] = draw(st.lists(of(["10.112.0.1", "10.112.0.2", "fd00:112::1"]), max_size=2, unique=True))
    meta = {"name": draw(of(SERVICES)), "namespace": draw(of(NAMESPACES))}
    return {"kind": "ServiceImport", "metadata": meta, "spec": spec}


namespaces = of(NAMESPACES).map(lambda name: {"kind": "Namespace", "metadata": {"name": name}})
objects = st.one_of(services(), services(), slices(), slices(), slices(), pods(), imports(), namespaces)
changes = st.one_of(
    st.tuples(st.just("upsert"), objects),
    st.tuples(st.just("upsert"), objects),
    st.tuples(st.just("upsert"), objects),
    st.tuples(st.just("delete"), st.integers(0, 99)),
    st.tuples(st.just("forget"), st.integers(0, 99)),
    st.tuples(st.just("relist"), st.none()),
    st.tuples(st.just("take over"), st.integers(0, 3)),
    st.tuples(st.just("fill"), st.none()),
    st.tuples(st.just("drain"), st.none()),
)
options = st.builds(
    Options,
    zones=st.just(ZONES),
    ttl=of([0, 5, 3600]),
    pods=of(["disabled", "insecure", "verified"]),
    namespaces=of([(), (), ("a",), ("b", "c")]),
    endpoint_pod_names=st.booleans(),
    noendpoints=of([False, False, False, True]),
    ignore_empty_service=st.booleans(),
    multicluster=of([(), ("set.local.",)]),
    zonal=st.booleans(),
    local=of([(), ("10.0.0.1",), ("10.0.0.2", "fd00::1")]),
)


def key_of(one: dict[str, Any]) -> tuple[str, str, str]:
    return one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]


class Model:
    """The API server's objects, and the cluster under test that follows them."""

    def __init__(self, chosen: Options, start: list[dict[str, Any]]) -> None:
        self.options = chosen
        self.api = {key_of(one): one for one in [*start, PLAIN]}
        self.known_pods: dict[Any, dict[str, Any]] = {}
        self.learn_pods()
        self.cluster = Cluster(chosen, list(self.api.values()), max_bytes=1 << 20)
        for source in (0, 1):
            self.cluster.store_writer.set_source(source, soa_serial=NOW)
        self.junk: list[bytes] = []
        self.doubtful = False

    def learn_pods(self) -> None:
        """What a writer that knows nothing learns of pods: not those that are being deleted."""
        self.known_pods = {
            key: one
            for key, one in self.api.items()
            if one["kind"] == "Pod" and "deletionTimestamp" not in one["metadata"]
        }

    def change(self, what: str, value: Any) -> None:
        block = self.cluster.block
        if what == "upsert":
            key = key_of(value)
            old = self.api.get(key)
            self.api[key] = value
            if value["kind"] == "Pod" and "deletionTimestamp" not in value["metadata"]:
                self.known_pods[key] = value
            if old is not None:
                block.leave(old, value)
            block.upsert(value)
        elif what in ("delete", "forget"):
            if not self.api:
                return
            keys = sorted(self.api)
            one = self.api[keys[value % len(keys)]]
            del self.api[key_of(one)]
            self.known_pods.pop(key_of(one), None)
            if what == "delete":
                block.delete(one)
            else:
                # A missed event: the next listing notices.
                self.doubtful = True
        elif what == "relist":
            self.relist()
        elif what == "take over":
            self.tear(value)
            self.cluster.store_writer = Writer(self.cluster.store)
            block.take_over(self.cluster.store_writer)
            self.learn_pods()
            self.relist()
        elif what == "fill":
            self.fill()
        else:
            self.drain()

    def relist(self) -> None:
        self.cluster.block.list_all(self.api.values())
        self.doubtful = bool(self.junk)

    def tear(self, count: int) -> None:
        """What a writer that died in the midst of changes may leave: references and services that disagree."""
        rng = random.Random(count)
        items = sorted(self.cluster.store.items(b"\0\0"))
        writer = self.cluster.store_writer
        for _ in range(count):
            if not items:
                return
            key, payload = rng.choice(items)
            try:
                if rng.random() < 0.5 or key[1:2] not in b"CAP":
                    writer.remove(key)
                else:
                    writer.publish(key, payload + rng.randbytes(8))
            except StoreFull:
                pass

    def fill(self) -> None:
        """Leave next to no room in the store."""
        size = 1 << 19
        while size >= 8:
            key = b"\xff%d" % len(self.junk)
            try:
                self.cluster.store_writer.publish(key, bytes(size))
                self.junk.append(key)
            except StoreFull:
                size //= 2
        self.doubtful = True

    def drain(self) -> None:
        for key in self.junk:
            self.cluster.store_writer.remove(key)
        self.junk = []
        self.cluster.store_writer.reclaim()

    def settle(self) -> None:
        """Room again and a full listing, where there may be something to mend."""
        self.drain()
        if self.doubtful:
            self.relist()

    def objects(self) -> list[dict[str, Any]]:
        """What the reference is asked about."""
        everything = [one for one in self.api.values() if one["kind"] != "Pod"] + list(self.known_pods.values())
        return [one for one in everything if resources_of(one, self.options)]


def reverse(address: str) -> str:
    return ipaddress.ip_address(address).reverse_pointer + "."


def questions(rng: random.Random) -> tuple[str, str]:
    """A name made of the pools, sometimes bent, and a type."""
    zone = rng.choice(["cluster.local.", "cluster.local.", "cluster.local.", "second.test.", "set.local."])
    namespace = rng.choice([*NAMESPACES, "c"])
    service = f"{rng.choice([*SERVICES, 'plain', 'x'])}.{namespace}.svc.{zone}"
    dashed = rng.choice(ADDRESSES).replace(".", "-").replace(":", "-")
    port = rng.choice(["_http", "_https", "_dns", "_dns-tcp", "_nonumber", "_", "http", "_x"])
    protocol = rng.choice(["_tcp", "_udp", "_", "tcp"])
    endpoint = rng.choice(["h", "h2", "10-0-0-1", dashed, dashed + "0", "p", "q", "x" * 63, "none"])
    name = rng.choice(
        [
            service,
            service,
            service,
            f"{port}.{protocol}.{service}",
            f"{endpoint}.{service}",
            f"{endpoint}.{service}",
            f"{endpoint}.{rng.choice(['c1', 'c2', 'c3'])}.{service}",
            f"{rng.choice(['z1', 'rack.1', 'z9'])}.{rng.choice(['pin', 'prefer', 'x'])}._zone.{service}",
            f"a.b.c.{service}",
            f"{dashed}.{namespace}.pod.{zone}",
            f"x.{dashed}.{namespace}.pod.{zone}",
            f"{namespace}.svc.{zone}",
            f"{namespace}.pod.{zone}",
            f"svc.{zone}",
            zone,
            f"ns.dns.{zone}",
            f"dns-version.{zone}",
            reverse(rng.choice([*ADDRESSES, "10.96.0.0", "10.96.0.1", "10.96.0.11", "fd00:96::b", "10.9.9.9"])),
            reverse(rng.choice([*ADDRESSES, "10.96.0.0", "10.200.0.1"])),
            "in-addr.arpa.",
            "svc.ip6.arpa.",
        ]
    )
    bend = rng.random()
    if bend < 0.1:
        name = name.upper()
    elif bend < 0.15:
        name = name.swapcase().replace("O", "o")
    elif bend < 0.2 and name.count(".") > 2:
        name = name.split(".", 1)[1]
    qtype = rng.choice(["PTR", "PTR", "A"]) if "arpa" in name and rng.random() < 0.7 else rng.choice(QTYPES)
    return name, qtype


def check(model: Model, rng: random.Random, count: int) -> None:
    reference = Reference(model.objects(), model.options)
    for _ in range(count):
        name, qtype = questions(rng)
        got = summary(model.cluster.ask(name, qtype))
        want = reference.answer(name, qtype).summary()
        got.pop("aa")
        assert got == want, f"{name} {qtype}"


@settings(max_examples=100, deadline=None)
@given(options, st.lists(objects, max_size=15), st.lists(changes, max_size=12), st.integers(0, 2**32))
def test_store_equals_the_reference(chosen, start, sequence, seed):
    rng = random.Random(seed)
    model = Model(chosen, start)
    assert model.cluster.block.writer.synced
    check(model, rng, 15)
    for what, value in sequence:
        model.change(what, value)
        if not model.doubtful:
            check(model, rng, 5)
    model.settle()
    check(model, rng, 25)
    before = sorted(model.cluster.store.items(b"\0\0"))
    # Every resource once more changes nothing, and a new store filled from nothing is the same.
    changes_before = model.cluster.store.source(0)[2]
    model.relist()
    assert sorted(model.cluster.store.items(b"\0\0")) == before
    assert model.cluster.store.source(0)[2] == changes_before


@settings(max_examples=40, deadline=None)
@given(options, st.lists(objects, max_size=25), st.integers(0, 2**32))
def test_a_takeover_leaves_what_a_fresh_start_gives(chosen, start, seed):
    model = Model(chosen, start)
    model.change("take over", seed % 7)
    fresh = Model(chosen, start)
    assert {key for key, _ in model.cluster.store.items(b"\0\0")} == {
        key for key, _ in fresh.cluster.store.items(b"\0\0")
    }
    check(model, random.Random(seed), 20)
