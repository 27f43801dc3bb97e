"""The root Corefile, unchanged, as deploy/kustomize/base starts it: three pods behind one service address.

A node with a bridge, on it three pods and the upstream, each in a network of its own. The API server is the node's,
at the address that pods know; the service address is a multipath route over the pods that are ready.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest
import yaml

from fastdns.bench.apiserver import endpoint, namespace, service, slice_
from fastdns.bench.apiserver.process import Process
from tests.integration.faults.support import CHAOS_S
from tests.integration.namespaces import Namespace, missing
from tests.integration.pods import Pod
from tests.integration.traffic import ANY_ADDRESS, RECORDS, TTL_S, Lookups, World
from tests.support import ROOT, alive, children, wait_until

API_ADDRESS = "10.96.0.1"
SERVICE_ADDRESSES = ["10.96.0.10", "fd00:10:96::a"]
PODS = ["10.244.0.11", "10.244.0.12", "10.244.0.13"]
UPSTREAMS = ["10.244.0.53", "fd00:10:244::53"]
RESOLV = "".join(f"nameserver {address}\n" for address in UPSTREAMS) + "search example.org\noptions ndots:1\n"

CLUSTER = [
    namespace("shop"),
    service("web", "shop", cluster_ips=["10.96.0.20", "fd00:10:96::20"]),
    service("db", "shop", ports=[("sql", "TCP", 5432)]),
    slice_(
        "db-1", "shop", service="db", ports=[("sql", "TCP", 5432)], headless=True,
        endpoints=[endpoint("10.244.1.20", hostname="db-0"), endpoint("10.244.1.21", hostname="db-1")],
    ),
    service("away", "shop", external_name="www.example.org"),
]  # fmt: skip


pytestmark = [pytest.mark.alone, pytest.mark.timeout(60)]


@dataclass(frozen=True)
class Case:
    name: str
    kind: str
    answer: Sequence[str]
    why: str
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR


CASES = [
    Case("web.shop.svc.cluster.local.", "A", ["10.96.0.20"], "a service"),
    Case("web.shop.svc.cluster.local.", "AAAA", ["fd00:10:96::20"], "its other family"),
    Case("db.shop.svc.cluster.local.", "A", ["10.244.1.20", "10.244.1.21"], "a headless service"),
    Case("db-1.db.shop.svc.cluster.local.", "A", ["10.244.1.21"], "an endpoint's host name"),
    Case("_http._tcp.web.shop.svc.cluster.local.", "SRV", ["0 50 80 web.shop.svc.cluster.local."], "a port"),
    Case("10-244-9-9.shop.pod.cluster.local.", "A", ["10.244.9.9"], "pods insecure: any address is a name"),
    Case("20.0.96.10.in-addr.arpa.", "PTR", ["web.shop.svc.cluster.local."], "a service's address"),
    Case("absent.shop.svc.cluster.local.", "A", [], "no such service", dns.rcode.NXDOMAIN),
    Case("away.shop.svc.cluster.local.", "A", ["www.example.org.", "192.0.2.80"], "ExternalName, chased upstream"),
    Case("www.example.org.", "A", ["192.0.2.80"], "the world"),
    Case("www.example.org.", "AAAA", ["2001:db8::80"], "the world's other family"),
    Case("alias.example.org.", "A", ["192.0.2.80", "www.example.org."], "an alias there"),
    Case("www.example.org.", "TXT", [], "no data there"),
    Case("absent.example.org.", "A", [], "no such name there", dns.rcode.NXDOMAIN),
    Case("big.example.org.", "TXT", RECORDS["big.example.org.", "TXT"], "truncated upstream: asked again over TCP"),
    Case("80.2.0.192.in-addr.arpa.", "PTR", ["www.example.org."], "fallthrough: an address that is no service's"),
]


def containers() -> list[tuple[list[str], tuple[int, str]]]:
    """Arguments and readiness probe of each pod: those of our manifest, and once those that other ones have."""
    deployment = yaml.safe_load((ROOT / "deploy/kustomize/deployment/deployment.yaml").read_text())
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    probe = container["readinessProbe"]["httpGet"]
    ours = container["args"], (probe["port"], probe["path"])
    return [ours, (["-conf=/etc/coredns/Corefile"], (8080, "/ready")), ours]


class Endpoints:
    """What kube-proxy and the endpoints controller do: the service address leads to the pods that are ready."""

    EVERY_S = 0.1
    # As a readiness probe has it by default: one that is late takes no pod out, which resets its TCP connections.
    FAILURE_THRESHOLD = 3

    def __init__(self, node: Namespace, pods: list[Pod]) -> None:
        self.node = node
        self.pods = pods
        self.failures = dict.fromkeys((pod.address for pod in pods), self.FAILURE_THRESHOLD)
        self.ready: list[Pod] = []
        self.error: BaseException | None = None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        """Look at all, and change the route where that has changed."""
        try:
            with self.node.inside():
                while not self.stopping.wait(self.EVERY_S):
                    for pod in self.pods:
                        self.failures[pod.address] = 0 if pod.is_ready() else self.failures[pod.address] + 1
                    ready = [pod for pod in self.pods if self.failures[pod.address] < self.FAILURE_THRESHOLD]
                    if ready != self.ready:
                        self.lead_to(ready)
                        self.ready = ready
        except BaseException as error:
            self.error = error

    def lead_to(self, pods: list[Pod]) -> None:
        """One route of each family, with as many ways as there are pods."""
        for address in SERVICE_ADDRESSES:
            ways = " ".join(f"nexthop via {via(pod.address, address)} dev br0" for pod in pods)
            self.node.ip(f"route replace {address} {ways}" if pods else f"route delete {address}")

    def wait_for(self, count: int) -> None:
        """Until so many are ready and have their share."""
        wait_until(lambda: self.error or len(self.ready) == count, 30, f"{count} ready pods")
        assert self.error is None, self.error


def via(pod: str, family_of: str) -> str:
    """A pod's address in the family of another address."""
    return f"fd00:10:244::{pod.rpartition('.')[2]}" if ":" in family_of else pod


@dataclass
class Cluster:
    """All of it, running."""

    node: Namespace
    pods: list[Pod]
    world: World
    endpoints: Endpoints


def query(name: str, kind: str, at: str, tcp: bool = False) -> dns.message.Message:
    """Ask, with room for long replies."""
    message = dns.message.make_query(name, kind, use_edns=0, payload=4096)
    if tcp:
        return dns.query.tcp(message, at, 5)
    return dns.query.udp_with_fallback(message, at, 5)[0]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if reason := missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("drop-in")
    with contextlib.ExitStack() as stack:

        def network() -> Namespace:
            made = Namespace()
            stack.callback(made.close)
            return made

        node, outside = network(), network()
        node.bridge("10.244.0.1/24", "fd00:10:244::1/64")
        node.ip(f"address add {API_ADDRESS}/32 dev lo")
        for family in ("ipv4", "ipv6"):
            # By ports, too: each try of a client may lead elsewhere.
            node.sysctl(f"{family}/fib_multipath_hash_policy", 1)
        outside.join(node, "world", f"{UPSTREAMS[0]}/24", f"{UPSTREAMS[1]}/64")
        world = stack.enter_context(World(outside, UPSTREAMS))
        with node.inside():
            api = stack.enter_context(
                Process(services=50, endpoints=3, host=API_ADDRESS, port=443, directory=folder / "api")
            )
            api.post("put", [dict(one) for one in CLUSTER])
        account = {
            "token": api.info["token"],
            "ca.crt": Path(api.info["ca_file"]).read_text(),
            "namespace": "kube-system",
        }
        pods = []
        for number, (address, (arguments, ready)) in enumerate(zip(PODS, containers(), strict=True), 1):
            own = network()
            own.join(node, f"pod{number}", f"{address}/24", f"{via(address, '::')}/64")
            own.ip(
                "route add default via 10.244.0.1",
                "route add default via fd00:10:244::1",
                f"address add {SERVICE_ADDRESSES[0]}/32 dev lo",
                f"address add {SERVICE_ADDRESSES[1]}/128 dev lo nodad",
            )
            pod = Pod(
                folder / f"pod{number}",
                own,
                address,
                arguments=arguments,
                ready=ready,
                corefile=(ROOT / "Corefile").read_text(),
                account=account,
                resolv=RESOLV,
                environ={"KUBERNETES_SERVICE_HOST": API_ADDRESS, "KUBERNETES_SERVICE_PORT": "443"},
            )
            pods.append(pod)
            stack.callback(pod.close)
            pod.start()
        endpoints = Endpoints(node, pods)
        endpoints.thread.start()
        stack.callback(endpoints.thread.join, 10)
        stack.callback(endpoints.stopping.set)
        with node.inside():
            for pod in pods:
                pod.wait_until_ready()
            endpoints.wait_for(3)
            yield Cluster(node, pods, world, endpoints)
        for pod in pods:
            # Shown where a test has failed.
            print(f"--- log of {pod.address}\n{pod.log}")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize("at", SERVICE_ADDRESSES, ids=["ipv4", "ipv6"])
def test_names(cluster: Cluster, case: Case, tcp: bool, at: str) -> None:
    reply = query(case.name, case.kind, at, tcp)
    found = [str(one) for rrset in reply.answer for one in rrset]
    assert reply.rcode() == case.rcode
    assert sorted(found) == sorted(case.answer)
    external = "cluster.local." not in case.name and "10.in-addr" not in case.name
    for rrset in (*reply.answer, *reply.authority):
        # As the cluster's own are by default, or cut by `cache 30`.
        assert rrset.ttl <= (30 if external or "example" in str(rrset.name) else 5) < TTL_S


def test_a_long_answer_came_over_tcp(cluster: Cluster) -> None:
    name = "long.big.example.org."
    RECORDS[name, "TXT"] = RECORDS["big.example.org.", "TXT"]
    assert len(query(name, "TXT", PODS[0]).answer[0]) == 40
    assert (cluster.world.udp[name], cluster.world.tcp[name]) == (1, 1)


@pytest.mark.parametrize(
    ("port", "path"), [(port, path) for port in (8080, 8181) for path in ("/health", "/ready")]
)
def test_probes(cluster: Cluster, port: int, path: str) -> None:
    assert [pod.get(port, path) for pod in cluster.pods] == [(200, "OK")] * 3


def test_families_of_metrics(cluster: Cluster) -> None:
    query("www.example.org.", "A", PODS[0])
    assert cluster.pods[0].families() >= {
        "coredns_build_info",
        "coredns_plugin_enabled",
        "coredns_dns_requests",
        "coredns_dns_responses",
        "coredns_dns_request_duration_seconds",
        "coredns_cache_entries",
        "coredns_cache_requests",
        "coredns_cache_hits",
        "coredns_cache_misses",
        "coredns_proxy_request_duration_seconds",
        "coredns_proxy_healthcheck_failures",
        "coredns_forward_max_concurrent_rejects",
        "coredns_kubernetes_dns_programming_duration_seconds",
        "coredns_kubernetes_rest_client_requests",
        "coredns_health_request_duration_seconds",
        "coredns_reload_failed",
    }


def test_metrics_count_what_is_asked(cluster: Cluster) -> None:
    pod = cluster.pods[0]
    server = "dns://:53"
    counted: dict[str, Callable[[], float]] = {
        "requests": lambda: pod.total("coredns_dns_requests_total", server=server, zone="."),
        "tcp": lambda: pod.total("coredns_dns_requests_total", server=server, proto="tcp", family="2"),
        "nxdomain": lambda: pod.total("coredns_dns_responses_total", rcode="NXDOMAIN"),
        "hits": lambda: pod.total("coredns_cache_hits_total", type="success"),
        "misses": lambda: pod.total("coredns_cache_misses_total"),
        "upstream": lambda: pod.total("coredns_proxy_request_duration_seconds_count", rcode="NOERROR"),
    }
    before = {name: read() for name, read in counted.items()}
    for _ in range(4):
        query("counted.any.example.org.", "A", pod.address)
    query("web.shop.svc.cluster.local.", "A", via(pod.address, "::"), tcp=True)
    query("absent.shop.svc.cluster.local.", "A", pod.address)
    grown = {name: read() - before[name] for name, read in counted.items()}
    # Names of the cluster are misses, as in CoreDNS, whose cache stands before kubernetes, too.
    assert grown == {"requests": 6, "tcp": 1, "nxdomain": 1, "hits": 3, "misses": 3, "upstream": 1}


def test_upstreams_take_turns(cluster: Cluster) -> None:
    """loadbalance beside a forward without a policy."""
    pod = cluster.pods[1]
    to = [f"{address}:53" if "." in address else f"[{address}]:53" for address in UPSTREAMS]
    name = "coredns_proxy_request_duration_seconds_count"
    before = [pod.total(name, to=one, rcode="NOERROR") for one in to]
    for number in range(40):
        query(f"turn{number}.any.example.org.", "A", pod.address)
    grown = [pod.total(name, to=one, rcode="NOERROR") - of for one, of in zip(to, before, strict=True)]
    assert sum(grown) == 40
    # Each thread that serves takes turns by itself.
    assert min(grown) >= 15


def test_as_in_its_container(cluster: Cluster) -> None:
    """The first process, as nobody special, without more than it needs."""
    for pod in cluster.pods:
        lines = Path(f"/proc/{pod.first()}/status").read_text().splitlines()
        status = dict(line.split(":\t", 1) for line in lines)
        assert status["NSpid"].split()[-1] == "1"
        assert status["Uid"].split() == ["65532"] * 4
        assert status["NoNewPrivs"] == "1"
        assert set(children(pod.first()).values()) >= {"fastdns: watcher", "fastdns: worker 1"}
        assert "[ERROR]" not in pod.log
        assert "Loop" not in pod.log


NAMES = [
    ("web.shop.svc.cluster.local.", "10.96.0.20"),
    ("www.example.org.", "192.0.2.80"),
    ("db-0.db.shop.svc.cluster.local.", "10.244.1.20"),
    ("n*.any.example.org.", ANY_ADDRESS),
]
WINDOW = 900


def requests(pods: Sequence[Pod]) -> list[float]:
    return [pod.total("coredns_dns_requests_total", proto="udp", type="A") for pod in pods]


def test_one_of_three_is_killed(cluster: Cluster) -> None:
    """Traffic moves to the others, which shows in their metrics; no lookup fails that is tried twice."""
    dead, *others = cluster.pods
    with Lookups(cluster.node, SERVICE_ADDRESSES[0], NAMES) as lookups:

        def window(pods: Sequence[Pod]) -> list[float]:
            """What each serves of the next lookups."""
            before = requests(pods)
            lookups.go_on(WINDOW)
            return [now - then for now, then in zip(requests(pods), before, strict=True)]

        shared = window(cluster.pods)
        assert min(shared) > WINDOW / 5, "all three have their share"
        family = [dead.first(), *children(dead.first())]
        assert len(family) >= 3
        dead.kill()
        assert not [pid for pid in family if alive(pid)]
        cluster.endpoints.wait_for(2)
        moved = window(others)
        # But for what is on its way.
        assert sum(moved) > WINDOW - 50, "the others have all of it"
        # Than a third, which is what each has of three; a busy machine's probes may have moved some before.
        assert min(moved) > WINDOW / 3 * 1.2, "each has more than before"
        for _ in range(10):
            assert query("web.shop.svc.cluster.local.", "A", SERVICE_ADDRESSES[0], tcp=True).answer
        dead.start()
        cluster.endpoints.wait_for(3)
        assert min(window(cluster.pods)) > WINDOW / 5, "it has its share again"
    assert not lookups.failed
    assert lookups.answered == lookups.sent
    # What it had been sent, and was sent until the route had changed.
    assert lookups.retried < WINDOW / 3
    assert cluster.endpoints.error is None


@pytest.mark.timeout(300)
def test_rolling_restart(cluster: Cluster) -> None:
    """Each in turn is ended, as kubelet does it, and started again; readiness moves the traffic: nothing is lost.

    In the short form only one of them: each serves on through five seconds of lameduck.
    """
    with Lookups(cluster.node, SERVICE_ADDRESSES[0], NAMES) as lookups:
        for pod in cluster.pods if CHAOS_S else cluster.pods[:1]:
            lookups.go_on(100)
            assert pod.process is not None
            os.kill(pod.first(), signal.SIGTERM)
            cluster.endpoints.wait_for(2)
            assert pod.process.wait(30) == 0
            pod.start()
            cluster.endpoints.wait_for(3)
        lookups.go_on(100)
    print(f"rolling restart: {lookups.sent} sent, {lookups.retried} without an answer to the first try")
    assert not lookups.failed
    assert lookups.retried == 0
    assert lookups.answered == lookups.sent
    assert cluster.endpoints.error is None
