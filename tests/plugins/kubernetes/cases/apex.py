"""The apex: NS and SOA records, where this host's addresses belong to a Service."""

# A record stays on one line.
# ruff: noqa: E501

from __future__ import annotations

from tests.plugins.kubernetes.support import Case, Options, Theme, name_error, no_data

THEMES: list[Theme] = []

CLUSTER_IP_OBJECTS = """
kind: Namespace
metadata: {name: kube-system}
---
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec: {clusterIP: 10.96.0.10, clusterIPs: [10.96.0.10, "fd00:10:96::a"], ports: [{name: dns, protocol: UDP, port: 53}]}
---
kind: EndpointSlice
metadata: {name: kube-dns-1, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
addressType: IPv4
endpoints: [{addresses: [10.99.0.1]}, {addresses: [10.99.0.2]}]
ports: [{name: dns, protocol: UDP, port: 53}]
"""

APEX_HEADLESS_OBJECTS = (
    CLUSTER_IP_OBJECTS
    + """---
kind: Service
metadata: {name: dns-headless, namespace: kube-system}
spec: {clusterIP: None, clusterIPs: [None], ports: [{name: dns, protocol: UDP, port: 53}]}
---
kind: EndpointSlice
metadata: {name: headless-1, namespace: kube-system, labels: {kubernetes.io/service-name: dns-headless}}
addressType: IPv4
endpoints: [{addresses: [10.99.0.1], hostname: ns-0}, {addresses: [10.99.0.2]}]
ports: [{name: dns, protocol: UDP, port: 53}]
---
kind: EndpointSlice
metadata: {name: headless-2, namespace: kube-system, labels: {kubernetes.io/service-name: dns-headless}}
addressType: IPv4
endpoints: [{addresses: [10.99.0.7], hostname: ns-7}]
ports: [{name: dns, protocol: UDP, port: 53}]
"""
)

APEX_ORPHAN_OBJECTS = """
kind: Namespace
metadata: {name: kube-system}
---
kind: EndpointSlice
metadata: {name: kube-dns-1, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
addressType: IPv4
endpoints: [{addresses: [10.99.0.1]}]
ports: [{name: dns, protocol: UDP, port: 53}]
"""

APEX_BARE_OBJECTS = """kind: Namespace
metadata: {name: kube-system}
"""

THEMES.append(
    Theme(
        "apex, a ClusterIP service",
        Options(local=["10.99.0.1"]),
        CLUSTER_IP_OBJECTS,
        cases=[
            Case(
                "cluster.local.",
                "NS",
                ["cluster.local. 5 IN NS kube-dns.kube-system.svc.cluster.local."],
                additional=[
                    "kube-dns.kube-system.svc.cluster.local. 5 IN A 10.96.0.10",
                    "kube-dns.kube-system.svc.cluster.local. 5 IN AAAA fd00:10:96::a",
                ],
                why="the nameservers of the zone",
            ),
            Case(
                "ns.dns.cluster.local.",
                "A",
                ["ns.dns.cluster.local. 5 IN A 10.96.0.10"],
                why="the nameserver's own name",
            ),
            Case(
                "ns.dns.cluster.local.",
                "AAAA",
                ["ns.dns.cluster.local. 5 IN AAAA fd00:10:96::a"],
                why="the nameserver's own name",
            ),
            *no_data("ns.dns.cluster.local.", "SRV", "the nameserver's name asked for other types"),
            *name_error("ns.dns.cluster.local.", "TXT PTR", "the nameserver's name asked for other types"),
            *no_data(
                "ns.dns.cluster.local.",
                "NS MX CNAME SOA HTTPS",
                "the nameserver's name asked for other types",
            ),
            Case(
                "in-addr.arpa.",
                "NS",
                ["in-addr.arpa. 5 IN NS kube-dns.kube-system.svc.in-addr.arpa."],
                additional=[
                    "kube-dns.kube-system.svc.in-addr.arpa. 5 IN A 10.96.0.10",
                    "kube-dns.kube-system.svc.in-addr.arpa. 5 IN AAAA fd00:10:96::a",
                ],
                why="the nameservers of a reverse zone",
            ),
            Case(
                "ns.dns.in-addr.arpa.",
                "A",
                ["ns.dns.in-addr.arpa. 5 IN A 10.96.0.10"],
                why="the nameserver's name in a reverse zone",
            ),
            Case(
                "cluster.local.",
                "SOA",
                [
                    "cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1700000000 7200 1800 86400 5",
                ],
                why="the zone's SOA record",
            ),
            *no_data("kube-system.svc.cluster.local.", "NS SOA", "below the apex there are none"),
            *no_data("kube-dns.kube-system.svc.cluster.local.", "NS", "nor at a service"),
        ],
    )
)

THEMES.append(
    Theme(
        "apex, no local addresses",
        Options(),
        CLUSTER_IP_OBJECTS,
        cases=[
            *no_data("cluster.local.", "NS", "the nameservers of the zone"),
            *no_data("ns.dns.cluster.local.", "A AAAA", "the nameserver's own name"),
            *no_data("ns.dns.cluster.local.", "SRV", "the nameserver's name asked for other types"),
            *name_error("ns.dns.cluster.local.", "TXT PTR", "the nameserver's name asked for other types"),
            *no_data(
                "ns.dns.cluster.local.",
                "NS MX CNAME SOA HTTPS",
                "the nameserver's name asked for other types",
            ),
            *no_data("in-addr.arpa.", "NS", "the nameservers of a reverse zone", soa="in-addr.arpa."),
            *no_data("ns.dns.in-addr.arpa.", "A", "the nameserver's name in a reverse zone", soa="in-addr.arpa."),
            Case(
                "cluster.local.",
                "SOA",
                [
                    "cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1700000000 7200 1800 86400 5",
                ],
                why="the zone's SOA record",
            ),
            *no_data("kube-system.svc.cluster.local.", "NS SOA", "below the apex there are none"),
            *no_data("kube-dns.kube-system.svc.cluster.local.", "NS", "nor at a service"),
        ],
    )
)

THEMES.append(
    Theme(
        "apex, a headless service",
        Options(local=["10.99.0.1"]),
        APEX_HEADLESS_OBJECTS,
        cases=[
            Case(
                "cluster.local.",
                "NS",
                [
                    "cluster.local. 5 IN NS 10-99-0-2.dns-headless.kube-system.svc.cluster.local.",
                    "cluster.local. 5 IN NS kube-dns.kube-system.svc.cluster.local.",
                    "cluster.local. 5 IN NS ns-0.dns-headless.kube-system.svc.cluster.local.",
                ],
                additional=[
                    "10-99-0-2.dns-headless.kube-system.svc.cluster.local. 5 IN A 10.99.0.2",
                    "kube-dns.kube-system.svc.cluster.local. 5 IN A 10.96.0.10",
                    "kube-dns.kube-system.svc.cluster.local. 5 IN AAAA fd00:10:96::a",
                    "ns-0.dns-headless.kube-system.svc.cluster.local. 5 IN A 10.99.0.1",
                ],
                why="the nameservers of the zone",
            ),
            Case(
                "ns.dns.cluster.local.",
                "A",
                [
                    "ns.dns.cluster.local. 5 IN A 10.96.0.10",
                    "ns.dns.cluster.local. 5 IN A 10.99.0.1",
                    "ns.dns.cluster.local. 5 IN A 10.99.0.2",
                ],
                why="the nameserver's own name",
            ),
            Case(
                "ns.dns.cluster.local.",
                "AAAA",
                ["ns.dns.cluster.local. 5 IN AAAA fd00:10:96::a"],
                why="the nameserver's own name",
            ),
            *no_data("ns.dns.cluster.local.", "SRV", "the nameserver's name asked for other types"),
            *name_error("ns.dns.cluster.local.", "TXT PTR", "the nameserver's name asked for other types"),
            *no_data(
                "ns.dns.cluster.local.",
                "NS MX CNAME SOA HTTPS",
                "the nameserver's name asked for other types",
            ),
            Case(
                "in-addr.arpa.",
                "NS",
                [
                    "in-addr.arpa. 5 IN NS 10-99-0-2.dns-headless.kube-system.svc.in-addr.arpa.",
                    "in-addr.arpa. 5 IN NS kube-dns.kube-system.svc.in-addr.arpa.",
                    "in-addr.arpa. 5 IN NS ns-0.dns-headless.kube-system.svc.in-addr.arpa.",
                ],
                additional=[
                    "10-99-0-2.dns-headless.kube-system.svc.in-addr.arpa. 5 IN A 10.99.0.2",
                    "kube-dns.kube-system.svc.in-addr.arpa. 5 IN A 10.96.0.10",
                    "kube-dns.kube-system.svc.in-addr.arpa. 5 IN AAAA fd00:10:96::a",
                    "ns-0.dns-headless.kube-system.svc.in-addr.arpa. 5 IN A 10.99.0.1",
                ],
                why="the nameservers of a reverse zone",
            ),
            Case(
                "ns.dns.in-addr.arpa.",
                "A",
                [
                    "ns.dns.in-addr.arpa. 5 IN A 10.96.0.10",
                    "ns.dns.in-addr.arpa. 5 IN A 10.99.0.1",
                    "ns.dns.in-addr.arpa. 5 IN A 10.99.0.2",
                ],
                why="the nameserver's name in a reverse zone",
            ),
            Case(
                "cluster.local.",
                "SOA",
                [
                    "cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1700000000 7200 1800 86400 5",
                ],
                why="the zone's SOA record",
            ),
            *no_data("kube-system.svc.cluster.local.", "NS SOA", "below the apex there are none"),
            *no_data("kube-dns.kube-system.svc.cluster.local.", "NS", "nor at a service"),
        ],
    )
)

THEMES.append(
    Theme(
        "apex, slices without a service",
        Options(local=["10.99.0.1"]),
        APEX_ORPHAN_OBJECTS,
        cases=[
            *no_data("cluster.local.", "NS", "the nameservers of the zone"),
            *no_data("ns.dns.cluster.local.", "A AAAA", "the nameserver's own name"),
            *no_data("ns.dns.cluster.local.", "SRV", "the nameserver's name asked for other types"),
            *name_error("ns.dns.cluster.local.", "TXT PTR", "the nameserver's name asked for other types"),
            *no_data(
                "ns.dns.cluster.local.",
                "NS MX CNAME SOA HTTPS",
                "the nameserver's name asked for other types",
            ),
            *no_data("in-addr.arpa.", "NS", "the nameservers of a reverse zone", soa="in-addr.arpa."),
            *no_data("ns.dns.in-addr.arpa.", "A", "the nameserver's name in a reverse zone", soa="in-addr.arpa."),
            Case(
                "cluster.local.",
                "SOA",
                [
                    "cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1700000000 7200 1800 86400 5",
                ],
                why="the zone's SOA record",
            ),
            *no_data("kube-system.svc.cluster.local.", "NS SOA", "below the apex there are none"),
            *name_error("kube-dns.kube-system.svc.cluster.local.", "NS", "nor at a service"),
        ],
    )
)

THEMES.append(
    Theme(
        "apex, a host outside the cluster",
        Options(local=["10.99.0.1"]),
        APEX_BARE_OBJECTS,
        cases=[
            Case(
                "cluster.local.",
                "NS",
                ["cluster.local. 5 IN NS ns.dns.cluster.local."],
                additional=["ns.dns.cluster.local. 5 IN A 10.99.0.1"],
                why="the nameservers of the zone",
            ),
            Case(
                "ns.dns.cluster.local.",
                "A",
                ["ns.dns.cluster.local. 5 IN A 10.99.0.1"],
                why="the nameserver's own name",
            ),
            *no_data("ns.dns.cluster.local.", "AAAA", "the nameserver's own name"),
            *no_data("ns.dns.cluster.local.", "SRV", "the nameserver's name asked for other types"),
            *name_error("ns.dns.cluster.local.", "TXT PTR", "the nameserver's name asked for other types"),
            *no_data(
                "ns.dns.cluster.local.",
                "NS MX CNAME SOA HTTPS",
                "the nameserver's name asked for other types",
            ),
            Case(
                "in-addr.arpa.",
                "NS",
                ["in-addr.arpa. 5 IN NS ns.dns.in-addr.arpa."],
                additional=["ns.dns.in-addr.arpa. 5 IN A 10.99.0.1"],
                why="the nameservers of a reverse zone",
            ),
            Case(
                "ns.dns.in-addr.arpa.",
                "A",
                ["ns.dns.in-addr.arpa. 5 IN A 10.99.0.1"],
                why="the nameserver's name in a reverse zone",
            ),
            Case(
                "cluster.local.",
                "SOA",
                [
                    "cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1700000000 7200 1800 86400 5",
                ],
                why="the zone's SOA record",
            ),
            *no_data("kube-system.svc.cluster.local.", "NS SOA", "below the apex there are none"),
            *name_error("kube-dns.kube-system.svc.cluster.local.", "NS", "nor at a service"),
        ],
    )
)
