"""The order of records on their way out: uniform, weighted or by network; never which records."""

from __future__ import annotations

import collections
import itertools
import math

import dns.message
import pytest

from fastdns.plugins.kubernetes.records._names import address_bytes
from fastdns.plugins.loadbalance._step import LoadbalanceStep
from tests.plugins.kubernetes.support import Cluster, Options, wire

pytestmark = pytest.mark.native

NAME = "three.prod.svc.cluster.local."
OBJECTS = """
kind: Namespace
metadata: {name: prod}
---
kind: Service
metadata: {name: three, namespace: prod}
spec: {clusterIP: None, clusterIPs: [None], ports: [{name: web, protocol: TCP, port: 80}]}
---
kind: EndpointSlice
metadata: {name: three-1, namespace: prod, labels: {kubernetes.io/service-name: three}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1]}, {addresses: [10.0.0.2]}, {addresses: [10.1.0.3]}]
ports: [{name: web, protocol: TCP, port: 80}]
---
kind: EndpointSlice
metadata: {name: three-2, namespace: prod, labels: {kubernetes.io/service-name: three}}
addressType: IPv6
endpoints: [{addresses: ["fd00::1"]}, {addresses: ["fd00:1::2"]}]
ports: [{name: web, protocol: TCP, port: 80}]
---
kind: Service
metadata: {name: link, namespace: prod}
spec: {type: ExternalName, externalName: three.prod.svc.cluster.local}
---
kind: Service
metadata: {name: out, namespace: prod}
spec: {type: ExternalName, externalName: three.prod.svc.cluster.test}
"""


def cluster(*steps: LoadbalanceStep) -> Cluster:
    return Cluster(Options(), OBJECTS, other=Options(zones=("cluster.test.",)), before=steps)


def order(reply: dns.message.Message, section: str = "answer") -> tuple[str, ...]:
    """The rdata of a section's records, in the order of the reply."""
    return tuple(rdata.to_text() for rrset in getattr(reply, section) for rdata in rrset)


def draw(served: Cluster, count: int, qname: str = NAME, qtype: str = "A", section: str = "answer"):
    return collections.Counter(order(served.ask(qname, qtype), section) for _ in range(count))


def assert_share(seen: int, count: int, probability: float) -> None:
    """Within six standard deviations: fails by chance once in 500 million."""
    spread = math.sqrt(count * probability * (1 - probability))
    assert abs(seen - count * probability) < 6 * spread


def test_round_robin_is_uniform_over_all_orders():
    count = 3000
    seen = draw(cluster(LoadbalanceStep("round_robin")), count)
    assert set(seen) == set(itertools.permutations(["10.0.0.1", "10.0.0.2", "10.1.0.3"]))
    for times in seen.values():
        assert_share(times, count, 1 / 6)


def test_round_robin_of_two_is_a_coin():
    count = 1000
    seen = draw(cluster(LoadbalanceStep("round_robin")), count, qtype="AAAA")
    assert set(seen) == {("fd00::1", "fd00:1::2"), ("fd00:1::2", "fd00::1")}
    assert_share(seen["fd00::1", "fd00:1::2"], count, 1 / 2)


def test_without_the_step_the_order_stays():
    assert len(draw(cluster(), 50)) == 1


def test_cname_stays_first():
    served = cluster(LoadbalanceStep("round_robin"))
    seen = draw(served, 300, qname="link.prod.svc.cluster.local.")
    assert {one[0] for one in seen} == {NAME}
    assert len(seen) == 6


def test_answers_of_another_block_are_shuffled_behind_their_cname():
    served = cluster(LoadbalanceStep("round_robin"))
    seen = draw(served, 300, qname="out.prod.svc.cluster.local.")
    assert {one[0] for one in seen} == {"three.prod.svc.cluster.test."}
    assert len(seen) == 6


def test_srv_keeps_its_order_and_its_addresses_do_not():
    served = cluster(LoadbalanceStep("round_robin"))
    assert len(draw(served, 100, qtype="SRV")) == 1
    seen = draw(served, 200, qtype="SRV", section="additional")
    assert len(seen) > 50
    assert len({tuple(sorted(one)) for one in seen}) == 1


@pytest.mark.parametrize("qname", ["nope.prod.svc.cluster.local.", "prod.svc.cluster.local."])
def test_negative_answers_are_left_alone(qname):
    served = cluster(LoadbalanceStep("round_robin"))
    reply = served.ask(qname, "A")
    assert order(reply) == ()
    assert len(reply.authority) == 1


def test_every_reply_holds_every_record():
    served = cluster(LoadbalanceStep("round_robin"))
    for _ in range(50):
        assert sorted(order(served.ask(NAME, "A"))) == ["10.0.0.1", "10.0.0.2", "10.1.0.3"]


# ---------------------------------------------------------------------------------------------- weighted


def weighted(*lines: tuple[str, str, int]) -> Cluster:
    step = LoadbalanceStep("weighted")
    step.set_weights([(wire(name), address_bytes(address), weight) for name, address, weight in lines])
    return cluster(step)


def test_weights_draw_the_first_address_and_swap_it():
    count = 2000
    seen = draw(weighted((NAME, "10.0.0.1", 1), (NAME, "10.0.0.2", 2), (NAME, "10.1.0.3", 5)), count)
    assert set(seen) == {
        ("10.0.0.1", "10.0.0.2", "10.1.0.3"),
        ("10.0.0.2", "10.0.0.1", "10.1.0.3"),
        ("10.1.0.3", "10.0.0.2", "10.0.0.1"),
    }
    assert_share(seen["10.0.0.1", "10.0.0.2", "10.1.0.3"], count, 1 / 8)
    assert_share(seen["10.0.0.2", "10.0.0.1", "10.1.0.3"], count, 2 / 8)


def test_an_address_without_weight_has_weight_one():
    count = 2000
    seen = draw(weighted((NAME, "10.0.0.2", 8)), count)
    assert_share(sum(times for one, times in seen.items() if one[0] == "10.0.0.2"), count, 8 / 10)


def test_weights_of_another_name_do_not_count():
    count = 1000
    seen = draw(weighted(("other.prod.svc.cluster.local.", "10.0.0.2", 255)), count)
    assert_share(sum(times for one, times in seen.items() if one[0] == "10.0.0.2"), count, 1 / 3)


def test_the_first_line_of_an_address_counts():
    seen = draw(weighted((NAME, "10.0.0.2", 255), (NAME, "10.0.0.2", 1)), 300)
    assert sum(times for one, times in seen.items() if one[0] == "10.0.0.2") > 270


def test_no_weights_yet_leave_the_order():
    assert len(draw(cluster(LoadbalanceStep("weighted")), 50)) == 1


def test_weights_are_replaced():
    step = LoadbalanceStep("weighted")
    served = cluster(step)
    for address in ("10.0.0.1", "10.0.0.2", "10.1.0.3"):
        step.set_weights([(wire(NAME), address_bytes(address), 255)])
        seen = draw(served, 100)
        assert sum(times for one, times in seen.items() if one[0] == address) > 85


def test_weighted_leaves_what_has_no_addresses():
    served = weighted((NAME, "10.0.0.1", 5))
    assert len(draw(served, 50, qtype="SRV")) == 1


# ------------------------------------------------------------------------------------------------ prefer


@pytest.mark.parametrize(
    ("networks", "expected"),
    [
        ([("10.1.0.0", 16)], ("10.1.0.3", "10.0.0.1", "10.0.0.2")),
        ([("10.0.0.2", 32), ("10.1.0.0", 16)], ("10.0.0.2", "10.1.0.3", "10.0.0.1")),
        ([("10.0.0.0", 15)], ("10.0.0.1", "10.0.0.2", "10.1.0.3")),
        ([("10.0.0.2", 31)], ("10.0.0.2", "10.0.0.1", "10.1.0.3")),
        ([("0.0.0.0", 0)], ("10.0.0.1", "10.0.0.2", "10.1.0.3")),
        ([("fd00::", 8)], ("10.0.0.1", "10.0.0.2", "10.1.0.3")),
        ([("192.0.2.0", 24)], ("10.0.0.1", "10.0.0.2", "10.1.0.3")),
    ],
    ids=["one", "in the order given", "all", "31 bits", "any", "another family", "none"],
)
def test_preferred_networks_come_first(networks, expected):
    step = LoadbalanceStep("prefer", [(address_bytes(text), bits) for text, bits in networks])
    assert order(cluster(step).ask(NAME, "A")) == expected


def test_preferred_ipv6_networks():
    step = LoadbalanceStep("prefer", [(address_bytes("fd00:1::"), 32)])
    assert order(cluster(step).ask(NAME, "AAAA")) == ("fd00:1::2", "fd00::1")


def test_preferred_addresses_of_srv_records():
    step = LoadbalanceStep("prefer", [(address_bytes("fd00:1::"), 32), (address_bytes("10.1.0.0"), 16)])
    assert order(cluster(step).ask(NAME, "SRV"), "additional")[:2] == ("fd00:1::2", "10.1.0.3")


def test_unknown_policy():
    with pytest.raises(ValueError):
        LoadbalanceStep("least_conn")
