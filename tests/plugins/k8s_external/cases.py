"""What k8s_external answers, by name: asked of the step alone, of a server, and of CoreDNS."""

# A record stays on one line.
# ruff: noqa: E501

from __future__ import annotations

from tests.plugins.beside import Case

OBJECTS = """
kind: Namespace
metadata: {name: prod}
---
kind: Namespace
metadata: {name: hidden}
---
kind: Service
metadata: {name: lb, namespace: prod}
spec: {type: LoadBalancer, clusterIP: 10.96.0.10, clusterIPs: [10.96.0.10], ports: [{name: http, protocol: TCP, port: 80}, {name: dns, protocol: UDP, port: 53}]}
status: {loadBalancer: {ingress: [{ip: 192.0.2.1}, {ip: "2001:db8::1"}]}}
---
kind: Service
metadata: {name: ips, namespace: prod}
spec: {type: ClusterIP, clusterIP: 10.96.0.11, clusterIPs: [10.96.0.11], externalIPs: [192.0.2.2, 192.0.2.3, 192.0.2.2], ports: [{name: http, protocol: TCP, port: 80}]}
---
kind: Service
metadata: {name: both, namespace: prod}
spec: {type: LoadBalancer, clusterIP: 10.96.0.12, clusterIPs: [10.96.0.12], externalIPs: [192.0.2.4], ports: [{name: http, protocol: TCP, port: 80}]}
status: {loadBalancer: {ingress: [{ip: 192.0.2.5}]}}
---
kind: Service
metadata: {name: named, namespace: prod}
spec: {type: LoadBalancer, clusterIP: 10.96.0.13, clusterIPs: [10.96.0.13], ports: [{name: http, protocol: TCP, port: 80}]}
status: {loadBalancer: {ingress: [{hostname: ips.prod.example.org}]}}
---
kind: Service
metadata: {name: twice, namespace: prod}
spec: {type: LoadBalancer, clusterIP: 10.96.0.14, clusterIPs: [10.96.0.14], ports: [{name: http, protocol: TCP, port: 80}]}
status: {loadBalancer: {ingress: [{hostname: ips.prod.example.org}, {hostname: lb.prod.example.org}]}}
---
kind: Service
metadata: {name: mixed, namespace: prod}
spec: {type: LoadBalancer, clusterIP: 10.96.0.15, clusterIPs: [10.96.0.15], externalIPs: [192.0.2.6], ports: [{name: http, protocol: TCP, port: 80}]}
status: {loadBalancer: {ingress: [{hostname: lb.prod.example.org}]}}
---
kind: Service
metadata: {name: nowhere, namespace: prod}
spec: {type: LoadBalancer, clusterIP: 10.96.0.16, clusterIPs: [10.96.0.16], ports: [{name: http, protocol: TCP, port: 80}]}
status: {loadBalancer: {ingress: [{hostname: gone.prod.example.org}]}}
---
kind: Service
metadata: {name: inside, namespace: prod}
spec: {clusterIP: 10.96.0.17, clusterIPs: [10.96.0.17], ports: [{name: http, protocol: TCP, port: 80}]}
---
kind: EndpointSlice
metadata: {name: inside-1, namespace: prod, labels: {kubernetes.io/service-name: inside}}
addressType: IPv4
endpoints: [{addresses: [10.244.0.9], hostname: in-0}]
ports: [{name: http, protocol: TCP, port: 8080}]
---
kind: Service
metadata: {name: portless, namespace: prod}
spec: {clusterIP: 10.96.0.18, clusterIPs: [10.96.0.18], externalIPs: [192.0.2.7]}
---
kind: Service
metadata: {name: db, namespace: prod}
spec: {clusterIP: None, clusterIPs: [None], ports: [{name: pg, protocol: TCP, port: 5432}]}
---
kind: EndpointSlice
metadata: {name: db-1, namespace: prod, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
endpoints: [{addresses: [10.244.0.1], hostname: db-0}, {addresses: [10.244.0.2]}, {addresses: [10.244.0.3], conditions: {ready: false}}]
ports: [{name: pg, protocol: TCP, port: 5432}]
---
kind: EndpointSlice
metadata: {name: db-2, namespace: prod, labels: {kubernetes.io/service-name: db}}
addressType: IPv6
endpoints: [{addresses: ["fd00:244::1"], hostname: db-0}]
ports: [{name: pg, protocol: TCP, port: 5432}]
---
kind: Service
metadata: {name: outhead, namespace: prod}
spec: {clusterIP: None, clusterIPs: [None], externalIPs: [192.0.2.8], ports: [{name: http, protocol: TCP, port: 80}]}
---
kind: EndpointSlice
metadata: {name: outhead-1, namespace: prod, labels: {kubernetes.io/service-name: outhead}}
addressType: IPv4
endpoints: [{addresses: [10.244.0.5], hostname: oh-0}]
ports: [{name: http, protocol: TCP, port: 80}]
---
kind: Service
metadata: {name: lb, namespace: hidden}
spec: {clusterIP: 10.96.0.19, clusterIPs: [10.96.0.19], externalIPs: [192.0.2.9], ports: [{name: http, protocol: TCP, port: 80}]}
---
kind: EndpointSlice
metadata: {name: orphan-1, namespace: prod, labels: {kubernetes.io/service-name: orphan}}
addressType: IPv4
endpoints: [{addresses: [10.244.0.6], hostname: or-0}]
ports: [{name: http, protocol: TCP, port: 80}]
"""


def yes(qname: str, qtype: str, *answer: str, why: str, additional: tuple[str, ...] = (), coredns: str = "") -> Case:
    """The records of an answer are given without the owner: it is the question's name, unless they have one."""
    return Case(
        qname, qtype, answer=[one if one[0] != "@" else qname + one[1:] for one in answer], additional=additional,
        flags="AA", why=why, coredns=coredns,
    )  # fmt: skip


def no(qname: str, qtypes: str, why: str, rcode: str = "NXDOMAIN", coredns: str = "") -> list[Case]:
    """authority: the SOA record with a serial that no table knows; other tests look at it."""
    return [
        Case(qname, qtype, authority=None, rcode=rcode, flags="AA", why=why, coredns=coredns)
        for qtype in qtypes.split()
    ]


TTL = "CoreDNS gives SRV and CNAME records the TTL of kubernetes, whatever ttl says"
ONE_ALIAS = "CoreDNS gives several CNAME records, or one beside other data; RFC 1034 section 3.6.2"

# With the options of COREFILE: headless, and ttl 5 as kubernetes has it.
CASES = [
    yes("lb.prod.example.org.", "A", "@ 5 IN A 192.0.2.1", why="an address of the load balancer"),
    yes("lb.prod.example.org.", "AAAA", "@ 5 IN AAAA 2001:db8::1", why="one of IPv6"),
    yes("LB.Prod.Example.ORG.", "A", "@ 5 IN A 192.0.2.1", why="names have no case"),
    yes("ips.prod.example.org.", "A", "@ 5 IN A 192.0.2.2", "@ 5 IN A 192.0.2.3", why="externalIPs, each once"),
    yes("both.prod.example.org.", "A", "@ 5 IN A 192.0.2.4", "@ 5 IN A 192.0.2.5", why="externalIPs and balancer"),
    yes("portless.prod.example.org.", "A", "@ 5 IN A 192.0.2.7", why="a Service without ports"),
    *no("portless.prod.example.org.", "SRV", "a Service without ports has no SRV", "NOERROR"),
    *no("ips.prod.example.org.", "AAAA TXT CNAME MX", "it has no such data", "NOERROR"),
    *no("inside.prod.example.org.", "A AAAA SRV TXT PTR", "a Service that is only reached inside"),
    *no("gone.prod.example.org.", "A SRV PTR", "no such Service"),
    *no("orphan.prod.example.org.", "A", "slices without their Service"),
    *no("lb.hidden.example.org.", "A SRV", "a namespace that is not shown"),
    *no("lb.nope.example.org.", "A", "no such namespace"),
    *no("hidden.example.org.", "A", "a namespace that is not shown"),
    *no("prod.example.org.", "A SRV TXT", "a namespace", "NOERROR"),
    *no("x.y.z.lb.prod.example.org.", "A SRV", "too many labels"),
    yes(
        "lb.prod.example.org.", "SRV",
        "@ 5 IN SRV 0 25 80 lb.prod.example.org.", "@ 5 IN SRV 0 25 53 lb.prod.example.org.",
        additional=("lb.prod.example.org. 5 IN A 192.0.2.1", "lb.prod.example.org. 5 IN AAAA 2001:db8::1"),
        why="all ports",
    ),
    yes(
        "_http._tcp.lb.prod.example.org.", "SRV", "@ 5 IN SRV 0 50 80 lb.prod.example.org.",
        additional=("lb.prod.example.org. 5 IN A 192.0.2.1", "lb.prod.example.org. 5 IN AAAA 2001:db8::1"),
        why="one port",
    ),
    yes("_http._tcp.lb.prod.example.org.", "A", "@ 5 IN A 192.0.2.1", why="a port's name has the addresses"),
    yes("http.tcp.lb.prod.example.org.", "A", "@ 5 IN A 192.0.2.1", why="without underscores"),
    *no("_http._udp.lb.prod.example.org.", "A SRV", "not a port of this protocol"),
    *no("_https._tcp.lb.prod.example.org.", "A SRV", "no such port"),
    yes("x.lb.prod.example.org.", "A", "@ 5 IN A 192.0.2.1", why="one more label, as CoreDNS does it"),
    yes(
        "named.prod.example.org.", "A", "@ 5 IN CNAME ips.prod.example.org.", "ips.prod.example.org. 5 IN A 192.0.2.2",
        "ips.prod.example.org. 5 IN A 192.0.2.3", why="the name of a load balancer, and its addresses",
    ),
    yes("named.prod.example.org.", "AAAA", "@ 5 IN CNAME ips.prod.example.org.", why="which has none of IPv6"),
    yes(
        "named.prod.example.org.", "CNAME", "@ 5 IN CNAME ips.prod.example.org.", why="the alias itself",
        coredns="CoreDNS says that there is none",
    ),
    *no("named.prod.example.org.", "TXT", "an alias of addresses only", "NOERROR"),
    yes(
        "named.prod.example.org.", "SRV", "@ 5 IN SRV 0 100 80 ips.prod.example.org.",
        additional=("ips.prod.example.org. 5 IN A 192.0.2.2", "ips.prod.example.org. 5 IN A 192.0.2.3"),
        why="SRV points to the name",
    ),
    yes("nowhere.prod.example.org.", "A", "@ 5 IN CNAME gone.prod.example.org.", why="a name that is not there"),
    yes(
        "twice.prod.example.org.", "A", "@ 5 IN CNAME ips.prod.example.org.", "ips.prod.example.org. 5 IN A 192.0.2.2",
        "ips.prod.example.org. 5 IN A 192.0.2.3", why="one alias of two names", coredns=ONE_ALIAS,
    ),
    yes(
        "twice.prod.example.org.", "SRV", "@ 5 IN SRV 0 50 80 ips.prod.example.org.",
        "@ 5 IN SRV 0 50 80 lb.prod.example.org.",
        additional=(
            "ips.prod.example.org. 5 IN A 192.0.2.2", "ips.prod.example.org. 5 IN A 192.0.2.3",
            "lb.prod.example.org. 5 IN A 192.0.2.1", "lb.prod.example.org. 5 IN AAAA 2001:db8::1",
        ),
        why="SRV points to both",
    ),
    yes("mixed.prod.example.org.", "A", "@ 5 IN A 192.0.2.6", why="an address beside a name", coredns=ONE_ALIAS),
    yes(
        "mixed.prod.example.org.", "SRV", "@ 5 IN SRV 0 50 80 mixed.prod.example.org.",
        "@ 5 IN SRV 0 50 80 lb.prod.example.org.",
        additional=(
            "mixed.prod.example.org. 5 IN A 192.0.2.6", "lb.prod.example.org. 5 IN A 192.0.2.1",
            "lb.prod.example.org. 5 IN AAAA 2001:db8::1",
        ),
        why="SRV points to the Service and to the name",
    ),
    yes("db.prod.example.org.", "A", "@ 5 IN A 10.244.0.1", "@ 5 IN A 10.244.0.2", why="headless: ready endpoints"),
    yes("db.prod.example.org.", "AAAA", "@ 5 IN AAAA fd00:244::1", why="of both families"),
    yes("db-0.db.prod.example.org.", "A", "@ 5 IN A 10.244.0.1", why="an endpoint by its hostname"),
    yes("10-244-0-2.db.prod.example.org.", "A", "@ 5 IN A 10.244.0.2", why="an endpoint by its address"),
    *no("db-7.db.prod.example.org.", "A", "no such endpoint"),
    yes(
        "_pg._tcp.db.prod.example.org.", "SRV",
        "@ 5 IN SRV 0 33 5432 db-0.db.prod.example.org.", "@ 5 IN SRV 0 33 5432 10-244-0-2.db.prod.example.org.",
        additional=(
            "db-0.db.prod.example.org. 5 IN A 10.244.0.1", "db-0.db.prod.example.org. 5 IN AAAA fd00:244::1",
            "10-244-0-2.db.prod.example.org. 5 IN A 10.244.0.2",
        ),
        why="SRV of endpoints",
    ),
    yes("outhead.prod.example.org.", "A", "@ 5 IN A 192.0.2.8", why="headless with externalIPs: these"),
    yes("oh-0.outhead.prod.example.org.", "A", "@ 5 IN A 192.0.2.8", why="as CoreDNS does it"),
    yes("in-0.inside.prod.example.org.", "A", "@ 5 IN A 10.244.0.9", why="an endpoint of a Service with a ClusterIP"),
    yes("1.2.0.192.in-addr.arpa.", "PTR", "@ 5 IN PTR lb.prod.example.org.", why="who is reached there"),
    yes(f"{'1' + '.0' * 23}.8.b.d.0.1.0.0.2.ip6.arpa.", "PTR", "@ 5 IN PTR lb.prod.example.org.", why="of IPv6"),
    *no("9.2.0.192.in-addr.arpa.", "PTR", "a namespace that is not shown"),
    *no("10.0.96.10.in-addr.arpa.", "PTR", "a ClusterIP is not outside"),
    *no("2.0.192.in-addr.arpa.", "PTR A", "no address"),
    *no("1.2.0.192.in-addr.arpa.", "A", "it has PTR records", "NOERROR", coredns="CoreDNS denies the name"),
    *no("example.org.", "A TXT SRV PTR", "the apex", "NOERROR"),
    *no("dns.example.org.", "A SOA NS", "above the nameserver", "NOERROR"),
    *no("ns1.dns.example.org.", "TXT SRV", "the nameserver has addresses only", "NOERROR"),
    *no("ns2.dns.example.org.", "A", "there is one nameserver"),
    *no("x.ns1.dns.example.org.", "A", "nothing is below it"),
    Case("elsewhere.example.", "A", rcode="REFUSED", why="no zone of the server"),
]
