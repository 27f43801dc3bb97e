"""The guard: a listing that lacks much is held for a while; single deletions and all that is new are not."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import pytest

from fastdns.plugins.kubernetes.guard import Guard
from fastdns.plugins.kubernetes.sink import Resource
from tests.plugins.kubernetes.support import Cluster, Options, summary

pytestmark = pytest.mark.native

GRACE_S = 100.0


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("removed", "of", "services", "percent", "held"),
    [
        (0, 200, 200, 50, False),
        (100, 200, 200, 50, False),  # half is not more than half
        (101, 200, 200, 50, True),
        (200, 200, 200, 50, True),
        (101, 101, 101, 50, True),
        (100, 100, 100, 50, False),  # a small cluster changes at once
        (21, 200, 200, 10, True),
        (199, 200, 200, 99, True),
        (900, 1000, 50, 50, False),  # many slices of few services
    ],
)
def test_what_is_held(removed: int, of: int, services: int, percent: int, held: bool):
    assert Guard(percent, GRACE_S).holds(Resource.SERVICE, removed, of, services) is held


def test_its_course_in_time():
    clock, holds = Clock(), Counter[Resource]()
    guard = Guard(50, GRACE_S, on_hold=lambda resource: holds.update([resource]), clock=clock)
    every = (Resource.SERVICE, 200, 200, 200)
    assert guard.holds(*every)
    assert not guard.asks() and not guard.over()
    clock.now += GRACE_S / 2 - 1
    assert guard.holds(*every), "one that agrees too soon says no more than the first"
    clock.now += 1
    assert guard.asks() and not guard.asks(), "once"
    assert not guard.holds(*every), "half of the time later it is believed"
    assert guard.holds(*every), "a new one is held anew"
    clock.now += GRACE_S
    assert guard.over() == [Resource.SERVICE]
    assert not guard.over() and not guard.asks()
    assert holds == {Resource.SERVICE: 2}


@pytest.mark.parametrize(
    ("removed", "services", "says"),
    [
        (10, 200, "the missing EndpointSlices are listed again; the hold ends"),
        (200, 100, "the hold of EndpointSlices ends: at most 100 Services are left"),
    ],
)
def test_the_log_says_why_a_hold_ends(
    removed: int, services: int, says: str, caplog: pytest.LogCaptureFixture
):
    """It said that the objects were listed again where they had gone with the Services."""
    guard = Guard(50, GRACE_S, clock=Clock())
    assert guard.holds(Resource.SLICE, 200, 200, 200)
    with caplog.at_level("INFO", "plugin/kubernetes"):
        assert not guard.holds(Resource.SLICE, removed, 200, services)
    assert caplog.messages[-1] == says


def test_resources_are_held_each_for_itself():
    clock = Clock()
    guard = Guard(50, GRACE_S, clock=clock)
    assert guard.holds(Resource.SERVICE, 200, 200, 200)
    clock.now += 60
    assert guard.holds(Resource.SLICE, 200, 200, 200)
    clock.now += 40
    assert guard.over() == [Resource.SERVICE]
    clock.now += 60
    assert guard.over() == [Resource.SLICE]


def objects(services: int = 120, namespaces: int = 4) -> list[dict[str, Any]]:
    """Namespaces, with headless services of one endpoint and a pod each."""
    made: list[dict[str, Any]] = [
        {"kind": "Namespace", "metadata": {"name": f"n{number}"}} for number in range(namespaces)
    ]
    for number in range(services):
        namespace = f"n{number % namespaces}"
        address = f"10.1.0.{number}"
        made += [
            {
                "kind": "Service",
                "metadata": {"name": f"s{number}", "namespace": namespace},
                "spec": {"clusterIP": "None", "clusterIPs": ["None"]},
            },
            {
                "kind": "EndpointSlice",
                "metadata": {
                    "name": f"s{number}-x",
                    "namespace": namespace,
                    "labels": {"kubernetes.io/service-name": f"s{number}"},
                },
                "addressType": "IPv4",
                "endpoints": [{"addresses": [address]}],
                "ports": [],
            },
            {
                "kind": "Pod",
                "metadata": {"name": f"p{number}", "namespace": namespace},
                "status": {"phase": "Running", "podIP": address},
            },
        ]
    return made


OPTIONS = Options(pods="verified", zones=("cluster.local.", "in-addr.arpa."))


class Guarded:
    """A cluster of 120 services behind a guard, and the time."""

    def __init__(self, percent: int = 50) -> None:
        self.clock = Clock()
        self.guard = Guard(percent, GRACE_S, clock=self.clock)
        self.objects = objects()
        self.cluster = Cluster(OPTIONS, self.objects, guard=self.guard, max_bytes=4 << 20)
        self.writer = self.cluster.block.writer

    def list(self, found: list[dict[str, Any]]) -> None:
        """What the API server says now."""
        self.cluster.block.list_all(found)

    def rcode(self, number: int, pod: bool = False) -> str:
        """What a query for a service, or a pod, gets."""
        name = f"10-1-0-{number}.n{number % 4}.pod" if pod else f"s{number}.n{number % 4}.svc"
        return str(summary(self.cluster.ask(f"{name}.cluster.local.", "A"))["rcode"])

    def rcodes(self) -> set[str]:
        """Of everything that there was."""
        return {self.rcode(number, pod) for number in range(120) for pod in (False, True)}

    def of_kinds(self, *kinds: str) -> list[dict[str, Any]]:
        """The objects without those of some kinds."""
        return [one for one in self.objects if one["kind"] not in kinds]


@pytest.mark.parametrize(
    "kinds",
    [("Service",), ("EndpointSlice",), ("Namespace",), ("Pod",), ("Service", "EndpointSlice", "Namespace", "Pod")],
    ids=" ".join,
)
def test_a_lie_about_everything_is_survived(kinds: tuple[str, ...]):
    guarded = Guarded()
    guarded.list(guarded.of_kinds(*kinds))
    assert guarded.rcodes() == {"NOERROR"}
    guarded.clock.now += 60
    assert guarded.writer.settle(), "time to ask again"
    guarded.list(guarded.objects)
    assert not guarded.writer.settle()
    guarded.clock.now += 1000
    assert not guarded.writer.settle()
    assert guarded.rcodes() == {"NOERROR"}


def test_an_emptied_cluster_is_followed_once_another_listing_agrees():
    guarded = Guarded()
    guarded.list([])
    guarded.clock.now += 50
    assert guarded.writer.settle()
    guarded.list([])
    assert guarded.rcodes() == {"NXDOMAIN"}
    assert not guarded.cluster.store.items(b"\0\0")


def test_an_emptied_cluster_is_followed_after_the_grace():
    guarded = Guarded()
    guarded.list([])
    guarded.clock.now += GRACE_S
    guarded.writer.settle()
    assert guarded.rcodes() == {"NXDOMAIN"}
    assert not guarded.cluster.store.items(b"\0\0")


def test_what_comes_while_a_listing_is_held_stays():
    """A Service that the listing lacked, one that is new, one that it had and that goes."""
    guarded = Guarded()
    few = [one for one in guarded.objects if one["metadata"]["name"] in ("n0", "n1", "s0", "s0-x", "s4", "s4-x")]
    guarded.list(few)
    back = [one for one in guarded.objects if one["metadata"]["name"] in ("s8", "s8-x")]
    for one in back:
        guarded.cluster.block.upsert(one)
    new = copy.deepcopy(back)
    for one in new:
        one["metadata"]["name"] = one["metadata"]["name"].replace("8", "888")
    new[1]["metadata"]["labels"] = {"kubernetes.io/service-name": "s888"}
    for one in new:
        guarded.cluster.block.upsert(one)
    for one in few:
        if one["metadata"]["name"] in ("s4", "s4-x"):
            guarded.cluster.block.delete(one)
    assert guarded.rcode(4) == "NXDOMAIN", "deleted by the watch"
    guarded.clock.now += GRACE_S
    guarded.writer.settle()
    assert [guarded.rcode(number) for number in (0, 4, 8, 12)] == ["NOERROR", "NXDOMAIN", "NOERROR", "NXDOMAIN"]
    assert summary(guarded.cluster.ask("s888.n0.svc.cluster.local.", "A"))["answer"]


def test_a_listing_that_is_under_way_at_the_end_of_the_grace():
    """What it had so far is not removed by the listing before it."""
    guarded = Guarded()
    guarded.list([])
    guarded.clock.now += GRACE_S
    block, writer = guarded.cluster.block, guarded.writer
    writer.begin(Resource.SERVICE)
    for one in guarded.objects:
        for resource, obj in block.convert(one):
            if resource == Resource.SERVICE and obj.metadata.name == "s0":
                writer.upsert(resource, obj)
    writer.settle()
    assert ["s0" in str(key) for key, _ in guarded.cluster.store.items(b"\0\0S")] == [True]


def test_deletions_one_by_one_are_followed():
    guarded = Guarded()
    for one in guarded.objects:
        guarded.cluster.block.delete(one)
    assert guarded.rcodes() == {"NXDOMAIN"}


def test_what_is_lacking_within_the_share_goes_at_once():
    guarded = Guarded()
    guarded.list([one for one in guarded.objects if int(one["metadata"]["name"].strip("snp-x")) < 60])
    assert guarded.rcode(59) == "NOERROR"
    assert guarded.rcode(60) == "NXDOMAIN"


def test_after_the_death_of_the_writer_too():
    """The successor knows only what the store holds."""
    guarded = Guarded()
    guarded.cluster.block.take_over(guarded.cluster.store_writer)
    guarded.writer = guarded.cluster.block.writer
    guarded.list([])
    assert guarded.rcodes() == {"NOERROR"}
    guarded.clock.now += GRACE_S
    guarded.writer.settle()
    assert guarded.rcodes() == {"NXDOMAIN"}
    assert not guarded.cluster.store.items(b"\0\0")


def test_what_another_cluster_left_is_not_held():
    guarded = Guarded()
    guarded.cluster.block.take_over(guarded.cluster.store_writer)
    guarded.cluster.block.writer.distrust()
    guarded.list([])
    assert guarded.rcodes() == {"NXDOMAIN"}


def test_another_cluster_that_shows_after_its_listing():
    guarded = Guarded()
    guarded.list([])
    assert guarded.rcodes() == {"NOERROR"}
    guarded.writer.distrust()
    assert guarded.rcodes() == {"NXDOMAIN"}


def test_without_a_guard():
    cluster = Cluster(OPTIONS, objects(), max_bytes=4 << 20)
    assert not cluster.block.writer.settle()
    cluster.block.list_all([])
    assert not cluster.store.items(b"\0\0")
