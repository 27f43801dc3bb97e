"""A cluster: Services of every kind, endpoints, pods, and the names between them."""

from __future__ import annotations

from fastdns.bench.apiserver.objects import Object, endpoint, namespace, pod, service, slice_
from tests.plugins.alike.questions import Table, asked

ZONE = "cluster.local."
COREFILE = """
cluster.local:DNS_PORT 10.in-addr.arpa:DNS_PORT 0.0.d.f.ip6.arpa:DNS_PORT {
    kubernetes cluster.local 10.in-addr.arpa 0.0.d.f.ip6.arpa {
        kubeconfig KUBECONFIG
        pods insecure
        ttl 30
    }
}
"""
PORTS = (("http", "TCP", 80), ("dns", "UDP", 53))


def objects() -> list[Object]:
    """What the API server has."""
    return [
        namespace("shop"), namespace("bare"),
        service("web", "shop", cluster_ips=["10.96.0.10"], ports=PORTS),
        slice_("web-1", "shop", service="web", endpoints=["10.1.0.1", "10.1.0.2"], ports=PORTS),
        service("dual", "shop", cluster_ips=["10.96.0.11", "fd00::11"]),
        service("six", "shop", cluster_ips=["fd00::12"]),
        service("head", "shop", ports=PORTS),
        slice_("head-1", "shop", service="head", headless=True, ports=PORTS, endpoints=[
            endpoint("10.1.0.5", hostname="first"), endpoint("10.1.0.6"), endpoint("10.1.0.7", ready=False),
        ]),
        service("empty", "shop"),
        service("out", "shop", external_name="www.other.test"),
        service("inside", "shop", external_name="web.shop.svc.cluster.local"),
        service("lost", "shop", external_name="gone.nowhere.example"),
        pod("runner", "shop", ip="10.1.0.9"),
    ]  # fmt: skip


SERVICES = ["web", "dual", "six", "head", "empty", "out", "inside", "nope"]

TABLE = Table(
    corefile=COREFILE,
    files={},
    cases=[
        *asked([f"{name}.shop.svc" for name in SERVICES], "A AAAA SRV TXT CNAME MX NS SOA PTR HTTPS ANY", "", ZONE),
        *asked(
            [f"{name}.shop.svc" for name in ("web", "head", "out", "nope")], "A AAAA SRV",
            "edns, do, tcp, tcp do, no rd, class ANY", ZONE,
        ),
        *asked(
            ["_http._tcp.web", "_dns._udp.web", "_x._tcp.web", "_http._tcp.head", "first.head", "10-1-0-6.head",
             "_http._tcp.dual", "http.tcp.web"],
            "A AAAA SRV TXT", "", f"shop.svc.{ZONE}",
        ),
        *asked(
            ["@", "svc", "pod", "shop.svc", "bare.svc", "none.svc", "shop.pod", "none.pod", "dns-version"],
            "A AAAA SOA TXT MX SRV", "", ZONE,
        ),
        *asked(["10-1-0-9.shop.pod", "10-9-9-9.shop.pod", "fd00--9.shop.pod", "x.shop.pod", "10-1-0-9.none.pod"],
               "A AAAA TXT SRV", "", ZONE),
        *asked(["10.0.96.10", "11.0.96.10", "1.0.1.10", "5.0.1.10", "9.9.9.10", "1.10"], "PTR A TXT", "",
               "in-addr.arpa."),
        *asked(["WEB.Shop.svc", "web.SHOP.Svc", "First.HEAD.shop.svc", "NOPE.shop.svc"], "A SRV AAAA", "",
               "Cluster.LOCAL."),
        *asked(["a.web.shop", "a.b.c.web.shop", "*.shop", "web.*", "any.any"], "A SRV", "", f"svc.{ZONE}"),
    ],
    unlike={},
)  # fmt: skip
