"""Objects as no controller writes them, made up by the hundred: what does not fit is absent, all else is right."""

from __future__ import annotations

import ipaddress
import random
from collections import Counter
from typing import Any

import dns.flags
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.plugins.kubernetes import support
from tests.plugins.kubernetes.reference import Reference, is_address
from tests.plugins.kubernetes.support import Cluster, Options, summary
from tests.plugins.kubernetes.test_hostile_objects import (
    NAMESPACE,
    NEIGHBOUR,
    ZONES,
    a_slice,
    assert_restorable,
    headless,
)

pytestmark = pytest.mark.native

HOSTNAMES = ["", "h", "H", "10-0-0-1", "fd00--1", "a.b", "-", "x" * 63, "x" * 64, "\xff\xfe", "_u", "\0", "9" * 200]
LABELS = ["s", "t", "neighbour", "a.b", "x" * 63, "x" * 64, "", "\u4e2d" * 30]
ADDRESSES = ["10.0.0.1", "10.0.0.2", "10.250.0.1", "10.96.7.7", "", "nonsense", "fd00::1", "::", "fd00:1::"]
ADDRESSES += ["::ffff:10.0.0.1", "db.example.org", "s.prod.svc.cluster.local", "a.b.c.", ".", "x" * 64 + ".y"]
TOPOLOGY = ["", "z1", "Z1", "rack.1", "z" * 253, "z" * 300, "\0"]


@st.composite
def slices(draw: st.DrawFn) -> dict[str, Any]:
    """A slice that is large in some way and odd in some way, made of a few numbers that are drawn."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    family = draw(st.sampled_from(["IPv4", "IPv4", "IPv6", "FQDN", "", "x" * 300]))
    port_count = draw(st.sampled_from([0, 1, 2, 16, 17, 40, 1100]))
    name_bytes = draw(st.sampled_from([1, 4, 56, 63, 64, 255, 256]))
    count = draw(st.sampled_from([0, 1, 3, 30]))
    each = draw(st.sampled_from([0, 1, 2, 100]))
    own = draw(st.sampled_from([[""], HOSTNAMES, [f"{n:063}" for n in range(30)]]))
    pool = draw(st.sampled_from([ADDRESSES, ["10.0.0.1"], [f"10.7.{n}.{i}" for n in range(9) for i in range(200)]]))

    def endpoint() -> dict[str, Any]:
        found: dict[str, Any] = {"addresses": [rng.choice(pool) for _ in range(each)]}
        if name := rng.choice(own):
            found["hostname" if rng.random() < 0.7 else "targetRef"] = name
            if "targetRef" in found:
                found["targetRef"] = {"name": name}
        if rng.random() < 0.5:
            found["zone"] = rng.choice(TOPOLOGY)
        if rng.random() < 0.2:
            found["conditions"] = {"ready": rng.random() < 0.5}
        return found

    made = a_slice(
        [endpoint() for _ in range(count)],
        [
            {"name": f"{n:0{name_bytes}}"}
            | {"port": rng.choice([n, 80, 0xC00C, 65535, 65536, -1, 2**40]), "protocol": rng.choice(["TCP", "UDP"])}
            for n in range(port_count)
        ],
        name=f"s-{rng.randrange(4)}",
        service=draw(st.sampled_from(LABELS)),
        address_type=family,
    )
    if draw(st.booleans()):
        made["metadata"]["labels"] |= {
            "multicluster.kubernetes.io/service-name": rng.choice(LABELS),
            "multicluster.kubernetes.io/source-cluster": rng.choice(["", "c1", "a.b", "x" * 64, "\u00fc"]),
        }
    return made


@st.composite
def services(draw: st.DrawFn) -> dict[str, Any]:
    rng = random.Random(draw(st.integers(0, 2**32)))
    count = draw(st.sampled_from([0, 1, 20, 1500]))
    name_bytes = draw(st.sampled_from([1, 63, 64, 256]))
    ips = draw(st.sampled_from([["None"], ["10.96.0.1"], ["10.96.0.1", "fd00:96::1"], ADDRESSES]))
    ips = ips if len(ips) < 3 else [f"10.98.{n >> 8}.{n & 255}" for n in range(300)]
    spec: dict[str, Any] = {
        "clusterIP": ips[0],
        "clusterIPs": ips,
        "ports": [{"name": f"{n:0{name_bytes}}", "port": rng.choice([n, 80, 70000])} for n in range(count)],
    }
    if draw(st.sampled_from([False, False, True])):
        spec |= {"type": "ExternalName", "externalName": draw(st.sampled_from([*ADDRESSES, *HOSTNAMES]))}
    return {
        "kind": "Service",
        "metadata": {"name": draw(st.sampled_from(LABELS)), "namespace": "prod"},
        "spec": spec,
    }


def reverse(address: str) -> str:
    return ipaddress.ip_address(address).reverse_pointer + "."


def every_name(objects: list[dict[str, Any]]) -> list[str]:
    """The names that objects could have, and some that they could not."""
    names = {"cluster.local.", "ns.dns.cluster.local.", "neighbour.prod.svc.cluster.local."}
    endpoints, ports, found = {"beside", "none"}, {"web", "_", "x"}, set()
    for one in objects:
        for port in (one.get("ports") or one.get("spec", {}).get("ports") or [])[::97]:
            ports.add(port["name"])
        for endpoint in one.get("endpoints") or []:
            endpoints |= {endpoint.get("hostname", ""), (endpoint.get("targetRef") or {}).get("name", "")}
            for address in endpoint["addresses"][:30]:
                endpoints.add(address.replace(".", "-").replace(":", "-"))
                endpoints.add(address.replace(":", "-") + "0")
                found.add(address)
        found |= set(one.get("spec", {}).get("clusterIPs", [])[:3])
    for service in LABELS:
        if not (service and "." not in service and len(service.encode()) < 64 and service.isascii()):
            continue
        for zone in ("cluster.local.", "set.local."):
            base = f"{service}.prod.svc.{zone}"
            names.add(base)
            names |= {f"{one}.{base}" for one in endpoints}
            names |= {f"{one}.c1.{base}" for one in endpoints}
            names |= {f"_{one}._tcp.{base}" for one in ports}
            names |= {f"{one}.{how}._zone.{base}" for one in ("z1", "rack.1", "z9") for how in ("pin", "prefer")}
    names |= {reverse(one) for one in found if is_address(one) and "ffff" not in one}
    # What dnspython can write.
    return sorted(
        name
        for name in names
        if len(name) < 254
        and all(0 < len(part) < 63 for part in name[:-1].split("."))
        and name.isascii()
        and name.isprintable()
        and " " not in name
    )


# Without shrinking: it would take minutes, and a seed says enough.
@settings(max_examples=30, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    st.lists(st.one_of(slices(), slices(), services()), max_size=6),
    st.booleans(),
    st.integers(0, 2**32),
    st.sampled_from([support.by_struct, support.by_protobuf]),
)
def test_hostile_objects_answer_what_the_reference_answers_of_them(objects, pod_names, seed, form):
    """Under sanitizers, too. Names, ports and addresses that do not fit are absent; all else is as it should be."""
    rng = random.Random(seed)
    options = Options(
        zones=ZONES,
        multicluster=("set.local.",),
        endpoint_pod_names=pod_names,
        zonal=True,
        local=("10.0.0.1",),
    )
    imported = {
        "kind": "ServiceImport",
        "metadata": {"name": "s", "namespace": "prod"},
        "spec": {"type": "Headless", "ports": [{"name": "web", "port": 80}]},
    }
    everything = {
        (one["kind"], one["metadata"]["name"]): one
        for one in [NAMESPACE, imported, headless(), headless("t"), *objects, *NEIGHBOUR]
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(support, "FORM", form)
        cluster = Cluster(options, list(everything.values()), max_bytes=32 << 20)
    names = every_name(list(everything.values()))
    rng.shuffle(names)
    other = assert_restorable(cluster)
    reference = Reference([served(one) for one in everything.values() if is_served(one)], options)
    taken = Counter(ip for one in everything.values() for ip in set(one.get("spec", {}).get("clusterIPs", [])))
    # Which of several Services with one cluster IP its PTR record names is not defined.
    ambiguous = {reverse(ip) for ip, count in taken.items() if count > 1 and is_address(ip)}
    for name in names[:60]:
        if name in ambiguous:
            continue
        for qtype in rng.sample(["A", "AAAA", "SRV", "PTR", "CNAME", "TXT", "NS"], 2):
            reply = cluster.ask(name, qtype)
            got = summary(reply)
            assert summary(other.ask(name, qtype))["answer"] == got["answer"] or reply.flags & dns.flags.TC
            if reply.flags & dns.flags.TC or len(reply.answer) >= 1024:
                continue
            want = reference.answer(name, qtype).summary()
            got.pop("aa")
            assert got == want, f"{name} {qtype}"


def is_served(one: dict[str, Any]) -> bool:
    """Whether the object has a place among names at all."""
    name = one["metadata"]["name"]
    return one["kind"] == "EndpointSlice" or ("." not in name and 0 < len(name) < 64 and name.isascii())


def served(one: dict[str, Any]) -> dict[str, Any]:
    """The object without the ports, addresses and labels that are left out."""
    one = {**one, "metadata": dict(one["metadata"]), **({"spec": dict(one["spec"])} if "spec" in one else {})}

    def ports(of: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
        found = []
        for port in of or []:
            if 0 <= port.get("port", 0) <= 65535:
                found.append(port | {"name": port["name"] if len(port["name"]) < 64 else ""})
        return found

    if one["kind"] == "EndpointSlice":
        one["ports"] = ports(one.get("ports"))
        # An endpoint whose zone has too long a name has none: it may then be one that is there already.
        one["endpoints"] = [
            endpoint if len(endpoint.get("zone") or "") <= 253 else {**endpoint, "zone": None}
            for endpoint in one.get("endpoints") or []
        ]
        labels = dict(one["metadata"]["labels"])
        cluster = labels.get("multicluster.kubernetes.io/source-cluster", "")
        for key in [one for one in labels if one.endswith("service-name")]:
            if not is_name(labels[key]) or "." in labels[key]:
                del labels[key]
        if cluster not in ("", "c1"):
            labels.pop("multicluster.kubernetes.io/service-name", None)
        one["metadata"]["labels"] = labels
    elif one["kind"] == "Service":
        one["spec"]["ports"] = ports(one["spec"].get("ports"))
        one["spec"]["clusterIPs"] = one["spec"].get("clusterIPs", [])[:255]
        target = one["spec"].get("externalName", "")
        if one["spec"].get("type") == "ExternalName" and not is_name(target):
            # It makes no name, like an address.
            one["spec"]["externalName"] = "192.0.2.1"
    return one


def is_name(text: str) -> bool:
    labels = text.removesuffix(".").split(".")
    return all(
        0 < len(part) < 64 and part.isascii() and not {part[0], part[-1]} & {"-"} and not set(part) - ALLOWED
        for part in labels
    )


ALLOWED = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
