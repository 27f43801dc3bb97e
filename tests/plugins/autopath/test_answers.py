"""autopath beside CoreDNS: pods that ask for short names, from the addresses that the API server gives them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fastdns.bench.apiserver.objects import namespace, pod, service
from fastdns.bench.apiserver.process import Process
from tests.plugins.beside import Both, Case, ids
from tests.plugins.forward.engine.support import Upstream
from tests.plugins.upstream import SOA, asked_of, from_table
from tests.support import free_port, http_get, wait_until

COREFILE = """\
.:DNS_PORT {
    bind 127.0.0.1
    prometheus 127.0.0.1:METRICS
    autopath @kubernetes
    kubernetes cluster.local {
        kubeconfig KUBECONFIG
        pods verified
    }
    forward . 127.0.0.1:UPSTREAM
}
first.test:DNS_PORT {
    bind 127.0.0.1
    autopath search.conf
    acl {
        block net 127.0.0.9
    }
    cache
    forward . 127.0.0.1:UPSTREAM
}
"""
SEARCH = "nameserver 192.0.2.1\nsearch ignored.test\nsearch First.test second.test third.test\noptions ndots:5\n"
RECORDS = {
    "www.example.test. A": ["www.example.test. 60 IN A 198.51.100.1"],
    "www.example.test. TXT": ["www.example.test. 60 IN TXT text"],
    "alias.example.test. A": [
        "alias.example.test. 50 IN CNAME www.example.test.", "www.example.test. 60 IN A 198.51.100.1",
    ],
    "broken.example.test. A": "SERVFAIL",
    "db.first.test. A": ["db.first.test. 60 IN A 198.51.100.2"],
    "chain.first.test. A": [
        "chain.first.test. 60 IN CNAME www.example.test.", "www.example.test. 60 IN A 198.51.100.1",
    ],
    "api.second.test. A": ["api.second.test. 60 IN A 198.51.100.3"],
    "api.third.test. AAAA": ["api.third.test. 60 IN AAAA 2001:db8::3"],
    "v6.third.test. AAAA": ["v6.third.test. 60 IN AAAA 2001:db8::4"],
    "bad.second.test. A": "SERVFAIL",
    "bad.third.test. A": ["bad.third.test. 60 IN A 198.51.100.5"],
}  # fmt: skip
POD = "127.0.0.2"
OTHER = "127.0.0.3"
DONE = "127.0.0.4"
NOBODY = "127.0.0.5"
BLOCKED = "127.0.0.9"
OBJECTS = [
    namespace("shop"), namespace("other"),
    service("web", "shop", cluster_ips=["10.96.0.20"]),
    service("mine", "other", cluster_ips=["10.96.0.21"]),
    pod("client", "shop", ip=POD), pod("client", "other", ip=OTHER), pod("job", "shop", ip=DONE, phase="Succeeded"),
]  # fmt: skip


def search(base: str, qtype: str, *answer: str, why: str, client: str = POD, **how: object) -> Case:
    """A short name that a pod in the namespace shop asks for. @: what it asks for first."""
    name = f"{base}.shop.svc.cluster.local."
    return Case(name, qtype, answer=[one.replace("@", name) for one in answer], why=why, client=client, **how)


FOUND = "www.example.test. 60 IN A 198.51.100.1"
NODATA = "CoreDNS gives no CNAME record where there is no data: the SOA record is then of another name (RFC 2308)"

CASES = [
    search("web", "A", "@ 5 IN A 10.96.0.20", why="a Service of the namespace", flags="AA"),
    search("mine.other", "A", "@ 5 IN CNAME mine.other.svc.cluster.local.",
           "mine.other.svc.cluster.local. 5 IN A 10.96.0.21", why="a Service of another namespace", flags="AA"),
    search("mine.other.svc", "A", "@ 5 IN CNAME mine.other.svc.cluster.local.",
           "mine.other.svc.cluster.local. 5 IN A 10.96.0.21", why="with svc", flags="AA"),
    search("www.example.test", "A", "@ 60 IN CNAME www.example.test.", FOUND, why="a name outside", flags="RA"),
    search("WWW.Example.test", "A", "@ 60 IN CNAME WWW.Example.test.", "WWW.Example.test. 60 IN A 198.51.100.1",
           why="spelled otherwise"),
    search("www.example.test", "TXT", "@ 60 IN CNAME www.example.test.", 'www.example.test. 60 IN TXT "text"',
           why="of any type"),
    search("alias.example.test", "A", "@ 50 IN CNAME alias.example.test.",
           "alias.example.test. 50 IN CNAME www.example.test.", FOUND, why="an alias"),
    search("www.example.test", "AAAA", "@ 300 IN CNAME www.example.test.", authority=[SOA],
           why="the code of AAAA is that of A", coredns=NODATA),
    search("broken.example.test", "A", rcode="SERVFAIL", why="an upstream that fails"),
    search("gone.example.test", "A", rcode="NXDOMAIN", authority=None, flags="AA", why="nowhere: the first reply"),
    search("web", "A", "@ 5 IN A 10.96.0.20", why="a client that is no pod", client=NOBODY),
    search("www.example.test", "A", rcode="NXDOMAIN", authority=None, why="is not completed", client=NOBODY),
    search("www.example.test", "A", rcode="NXDOMAIN", authority=None, why="of another namespace", client=OTHER),
    search("www.example.test", "A", rcode="NXDOMAIN", authority=None, why="a pod that has ended", client=DONE),
    search("www.example.test", "A", "@ 60 IN CNAME www.example.test.", FOUND, why="over TCP", tcp=True),
    Case("www.example.test.svc.cluster.local.", "A", rcode="NXDOMAIN", authority=None, client=POD,
         why="the second suffix is not completed"),
    Case("www.example.test.", "A", answer=[FOUND], client=POD, why="a whole name"),
    Case("shop.svc.cluster.local.", "A", authority=None, client=POD, why="the first suffix itself",
         coredns="CoreDNS fails: SERVFAIL"),
    # The search path of a file, which is everybody's.
    Case("db.first.test.", "A", answer=["db.first.test. 60 IN A 198.51.100.2"], why="in the first domain"),
    Case("chain.first.test.", "A", answer=["chain.first.test. 60 IN CNAME www.example.test.", FOUND],
         why="an alias there", coredns="CoreDNS adds the CNAME record once more"),
    Case("api.first.test.", "A", answer=["api.first.test. 60 IN CNAME api.second.test.",
         "api.second.test. 60 IN A 198.51.100.3"], why="in the second"),
    Case("api.first.test.", "AAAA", answer=["api.first.test. 300 IN CNAME api.second.test."], authority=[SOA],
         why="not in the third: the name is found in the second", coredns=NODATA),
    Case("v6.first.test.", "AAAA", answer=["v6.first.test. 60 IN CNAME v6.third.test.",
         "v6.third.test. 60 IN AAAA 2001:db8::4"], why="in the third"),
    Case("www.example.test.first.test.", "A", answer=["www.example.test.first.test. 60 IN CNAME www.example.test.",
         FOUND], why="as it is"),
    Case("bad.first.test.", "A", rcode="SERVFAIL", why="a domain that fails ends the search"),
    Case("gone.first.test.", "A", rcode="NXDOMAIN", authority=[SOA], why="in none"),
    Case("db.first.test.", "A", rcode="REFUSED", ede=[15], client=BLOCKED, why="acl sees it"),
]  # fmt: skip


@dataclass
class World:
    """Both servers, and what stands around them."""

    both: Both
    upstream: Upstream
    metrics: list[int]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    ports = [free_port(), free_port()]
    with Process(services=0) as api, Upstream(from_table(RECORDS), tcp=from_table(RECORDS)) as upstream:
        api.post("put", OBJECTS)
        text = COREFILE.replace("KUBECONFIG", str(api.kubeconfig)).replace("UPSTREAM", str(upstream.port))
        ours, theirs = (text.replace("METRICS", str(port)) for port in ports)
        folder = tmp_path_factory.mktemp("autopath")
        with Both(folder, ours, {"search.conf": SEARCH}, coredns=theirs) as both:
            for case in (CASES[0], CASES[3]):
                both.eventually(case)
            yield World(both, upstream, ports)


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_answers(world: World, case: Case) -> None:
    world.both.check(case)


def completed(world: World) -> list[dict[str, float]]:
    """coredns_autopath_success_total of fastdns, and of CoreDNS where it runs, by the label server."""
    found = []
    for port in world.metrics[: 1 if world.both.coredns is None else 2]:
        families = text_string_to_metric_families(http_get(port, "/metrics")[1])
        samples = next((family.samples for family in families if family.name == "coredns_autopath_success"), [])
        of_server = [one for one in samples if one.name.endswith("_total")]
        assert all(set(one.labels) == {"server"} for one in of_server)
        found.append({"success": sum(one.value for one in of_server)})
    return found


def test_metrics(world: World) -> None:
    """Names that were found are counted, also those with the first suffix; denials are not."""
    before = completed(world)
    for case in CASES[:2] + CASES[9:12]:
        world.both.check(case)
    wait_until(lambda: [one["success"] for one in completed(world)] == [one["success"] + 2 for one in before])


def test_one_round_trip(world: World) -> None:
    """The upstream is asked for no name of the cluster, and once for the whole name."""
    name = "once.example.test."
    asked = len(world.upstream.asked)
    case = search("once.example.test", "A", rcode="NXDOMAIN", authority=None, why="")
    both = Both.__new__(Both)
    both.fastdns, both.coredns = world.both.fastdns, None
    both.check(case)
    assert asked_of(world.upstream)[asked:].count(f"{name} A") == 1
    assert not any("cluster.local" in one for one in asked_of(world.upstream))
