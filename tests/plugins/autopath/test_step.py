"""The step alone: search paths of pods and files, addresses that change hands, and what a client would find."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

import dns.message
import dns.name
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.dns.searchlist import MAX_DOMAINS, search_list
from fastdns.plugins.api import Runtime
from fastdns.plugins.autopath._step import AutopathStep
from fastdns.plugins.erratic.config import Config as ErraticConfig
from fastdns.plugins.erratic.plugin import plugin as erratic
from fastdns.plugins.kubernetes._search import PodSearch
from fastdns.serve._search import FixedSearch
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable
from tests.plugins.kubernetes.support import Cluster, Options, make_answer_options, records, wire
from tests.serve._steps import Answer, Guard

pytestmark = pytest.mark.native

OPTIONS = Options(zones=["cluster.local."], pods="verified")
OBJECTS = """
kind: Namespace
metadata: {name: shop}
---
kind: Namespace
metadata: {name: other}
---
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.20, clusterIPs: [10.96.0.20], ports: [{port: 80}]}
---
kind: Service
metadata: {name: web, namespace: other}
spec: {clusterIP: 10.96.0.21, clusterIPs: [10.96.0.21], ports: [{port: 80}]}
---
kind: Pod
metadata: {name: client, namespace: shop}
status: {phase: Running, podIP: 10.244.0.1}
---
kind: Pod
metadata: {name: six, namespace: shop}
status: {phase: Running, podIP: "fd00:244::1"}
"""
# Answers below test.; all other names do not exist.
OUTSIDE = [Answer(wire("found.test."), b"\xc6\x33\x64\x01"), Answer(b"\0", b"\x04text", 16)]


def pod(name: str, namespace: str, address: str, phase: str = "Running") -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "status": {"phase": phase, "podIP": address},
    }


def make_cluster(objects: str = OBJECTS, host: Sequence[str] = (), before: Sequence[Any] = ()) -> Cluster:
    search = PodSearch(make_answer_options(OPTIONS, 0), tuple(map(wire, host)))
    step = AutopathStep([b"\0"], search)
    return Cluster(OPTIONS, objects, before=[*before, step], after=OUTSIDE)


def ask(worker: Worker, name: str, qtype: str = "A", client: str = "10.244.0.1") -> dns.message.Message:
    raw = worker.serve(dns.message.make_query(name, qtype).to_wire(), client=ipaddress.ip_address(client).packed)
    assert raw is not None
    return dns.message.from_wire(raw, one_rr_per_rrset=True)


def is_completed(cluster: Cluster, namespace: str, client: str = "10.244.0.1") -> bool:
    """Whether a short name that a client in the namespace asks for is found outside of the cluster."""
    name = f"found.test.{namespace}.svc.cluster.local."
    reply = ask(cluster.worker, name, client=client)
    if reply.rcode() == 3:
        return False
    assert records(reply.answer) == ["found.test. 60 IN A 198.51.100.1", f"{name} 60 IN CNAME found.test."]
    return True


# ---------------------------------------------------------------------------------------- whose search path


@pytest.mark.parametrize("client", ["10.244.0.1", "fd00:244::1"])
def test_a_pod_has_the_path_of_its_namespace(client: str) -> None:
    cluster = make_cluster()
    assert is_completed(cluster, "shop", client)
    assert not is_completed(cluster, "other", client)
    assert not is_completed(cluster, "shop", "10.244.0.2")


def test_an_address_that_another_pod_gets() -> None:
    """While both have it nobody is sure, and the client searches by itself."""
    cluster = make_cluster()
    cluster.block.upsert(pod("next", "other", "10.244.0.1"))
    assert [is_completed(cluster, one) for one in ("shop", "other")] == [False, False]
    cluster.block.delete(pod("client", "shop", "10.244.0.1"))
    assert [is_completed(cluster, one) for one in ("shop", "other")] == [False, True]
    cluster.block.upsert(pod("next", "other", "10.244.0.1", "Succeeded"))
    assert [is_completed(cluster, one) for one in ("shop", "other")] == [False, False]


def test_pods_of_one_namespace_that_share_an_address() -> None:
    """Those of a node's own network."""
    cluster = make_cluster()
    for number in range(100):
        cluster.block.upsert(pod(f"host-{number}", "shop", "10.244.0.1"))
    assert is_completed(cluster, "shop")
    assert ask(cluster.worker, "10-244-0-1.shop.pod.cluster.local.").answer
    cluster.block.upsert(pod("stranger", "other", "10.244.0.1"))
    assert not is_completed(cluster, "shop")
    for namespace in ("shop", "other"):
        assert ask(cluster.worker, f"10-244-0-1.{namespace}.pod.cluster.local.").answer
    assert not ask(cluster.worker, "10-244-0-1.third.pod.cluster.local.").answer


def test_a_pod_takes_at_most_64_bytes_of_the_store() -> None:
    """The record of its address is all, whether or not names are completed. CoreDNS's pod takes about 4 kB.

    What the index grows by is not in it: it grows by doubling, and is of all records.
    """
    cluster = make_cluster()
    before = cluster.store.used_bytes
    for number in range(1000):
        cluster.block.upsert(pod(f"app-7f9c6-{number}", "a-namespace", f"10.245.{number // 250}.{number % 250}"))
    assert (cluster.store.used_bytes - before) / 1000 <= 64


def test_the_hosts_search_list_comes_after_the_clusters() -> None:
    cluster = make_cluster(host=["found.test.", "corp.example."])
    reply = ask(cluster.worker, "intranet.shop.svc.cluster.local.")
    assert records(reply.answer) == [
        "intranet.found.test. 60 IN A 198.51.100.1",
        "intranet.shop.svc.cluster.local. 60 IN CNAME intranet.found.test.",
    ]
    assert ask(cluster.worker, "web.other.shop.svc.cluster.local.").answer[-1].to_text().endswith("10.96.0.21")


def test_the_first_suffix_itself_is_the_clusters() -> None:
    reply = ask(make_cluster().worker, "shop.svc.cluster.local.")
    assert (reply.rcode(), len(reply.authority)) == (0, 1)


def test_a_step_in_front_judges_the_final_name() -> None:
    guard = Guard(wire("found.test."))
    reply = ask(make_cluster(before=[guard]).worker, "found.test.shop.svc.cluster.local.")
    assert (reply.rcode(), reply.answer, guard.stopped) == (5, [], 1)


def test_a_name_that_becomes_too_long_is_left_out() -> None:
    """The suffix is longer than the first one."""
    worker = fixed_worker([wire("a."), wire(f"{'b' * 63}.{'b' * 63}."), wire("found.test.")], OUTSIDE)
    base = ".".join(["x" * 63] * 2 + ["x" * 50])
    assert ask(worker, f"{base}.a.").answer[-1].to_text().startswith(f"{base}.found.test. 60 IN A")


# ----------------------------------------------------------------------------------------------- of files


def fixed_worker(path: list[bytes], after: Sequence[Any]) -> Worker:
    step = AutopathStep([b"\0"], FixedSearch(tuple(path)))
    return Worker(ServerTable([(".", 0, None)], [[step, *after]]))


def test_the_search_path_of_erratic() -> None:
    """As in CoreDNS: a.example.org, b.example.org, and the name itself."""
    there = [Answer(wire(name), b"\xc6\x33\x64\x01") for name in ("one.b.example.org.", "two.test.")]
    search = erratic.search(ErraticConfig(), None, Runtime())  # type: ignore[arg-type]
    worker = Worker(ServerTable([(".", 0, None)], [[AutopathStep([b"\0"], search), *there, OUTSIDE[1]]]))
    for name, found in (("one", "one.b.example.org."), ("two.test", "two.test.")):
        assert ask(worker, f"{name}.a.example.org.").answer[0].to_text().endswith(f" IN CNAME {found}")
    assert ask(worker, "none.a.example.org.").rcode() == 3


LABELS = ["a", "b", "c"]
names = st.lists(st.sampled_from(LABELS), min_size=1, max_size=3).map(lambda labels: ".".join(labels) + ".")


@settings(max_examples=200, deadline=None)
@given(
    path=st.lists(names, max_size=4),
    there=st.lists(names, max_size=4, unique=True),
    asked=st.lists(st.sampled_from(LABELS), min_size=1, max_size=4).map(lambda labels: ".".join(labels) + "."),
    qtype=st.sampled_from(["A", "AAAA"]),
)
def test_it_finds_what_a_client_would_find(path: list[str], there: list[str], asked: str, qtype: str) -> None:
    """Random search paths, names and questions against the search as resolv.conf(5) has it."""
    worker = fixed_worker(
        [wire(one) for one in path], [*(Answer(wire(one), b"\xc6\x33\x64\x01") for one in there), OUTSIDE[1]]
    )
    reply = ask(worker, asked, qtype)
    tried = [asked]
    if path and asked.endswith("." + path[0]):
        base = asked.removesuffix(path[0])
        tried += [base + suffix for suffix in path[1:]] + [base]
    found = next(
        (name for name in tried if qtype == "A" and any(("." + name).endswith("." + one) for one in there)), None
    )
    if found is None:
        assert (reply.rcode(), reply.answer) == (3, [])
    else:
        wanted = [f"{found} 60 IN A 198.51.100.1"]
        if found != asked:
            wanted.append(f"{asked} 60 IN CNAME {found}")
        assert (reply.rcode(), records(reply.answer)) == (0, sorted(wanted))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ()),
        ("nameserver 192.0.2.1\noptions ndots:5\n", ()),
        ("search A.test b.test.\n", ("a.test.", "b.test.")),
        ("search a.test\nsearch b.test\n", ("b.test.",)),
        ("search a.test\ndomain b.test c.test\n", ("b.test.",)),
        ("domain a.test\n", ("a.test.",)),
        ("domain\n", ()),
        ("# search a.test\n;search b.test\n", ()),
        ("search\ta.test \r\n", ("a.test.",)),
    ],
)
def test_search_lists(text: str, names: tuple[str, ...]) -> None:
    assert search_list(text) == tuple(map(wire, names))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nameserver ::1\nsearch a..b", "line 2: 'a..b' is not a domain name"),
        (f"search {'x' * 64}", "line 1: "),
        ("search " + "a.test " * (MAX_DOMAINS + 1), f"line 1 has 33 domains; at most {MAX_DOMAINS} are searched"),
    ],
)
def test_search_lists_that_cannot_be_used(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        search_list(text)
