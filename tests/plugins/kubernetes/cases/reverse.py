"""PTR: ClusterIPs, endpoints, both families, networks as zones."""

# A record stays on one line.
# ruff: noqa: E501

from __future__ import annotations

from tests.plugins.kubernetes.support import Case, Options, Theme, name_error, no_data, refused

THEMES: list[Theme] = []

OBJECTS = """
kind: Namespace
metadata: {name: prod}
---
kind: Namespace
metadata: {name: dev}
---
kind: Service
metadata: {name: web, namespace: prod}
spec: {clusterIP: 10.96.0.10, clusterIPs: [10.96.0.10, "fd00:10:96::10"], ports: [{name: http, protocol: TCP, port: 80}]}
---
kind: Service
metadata: {name: both, namespace: prod}
spec: {clusterIP: 10.244.0.1, clusterIPs: [10.244.0.1], ports: [{name: http, protocol: TCP, port: 80}]}
---
kind: Service
metadata: {name: db, namespace: prod}
spec: {clusterIP: None, clusterIPs: [None], ports: [{name: pg, protocol: TCP, port: 5432}]}
---
kind: Service
metadata: {name: db-read, namespace: dev}
spec: {clusterIP: None, clusterIPs: [None], ports: [{name: pg, protocol: TCP, port: 5432}]}
---
kind: Service
metadata: {name: lost, namespace: gone}
spec: {clusterIP: 10.96.0.99, clusterIPs: [10.96.0.99], ports: [{name: http, protocol: TCP, port: 80}]}
---
kind: EndpointSlice
metadata: {name: db-1, namespace: prod, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
endpoints:
- {addresses: [10.244.0.1], hostname: db-0}
- {addresses: [10.244.0.2], hostname: db-1}
- {addresses: [10.244.0.3]}
- {addresses: [10.244.0.4], conditions: {ready: false}}
ports: [{name: pg, protocol: TCP, port: 5432}, {name: metrics, protocol: TCP, port: 9187}]
---
kind: EndpointSlice
metadata: {name: db-2, namespace: prod, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
endpoints: [{addresses: [10.244.0.2], hostname: db-1}, {addresses: [10.244.0.3], hostname: other-name}]
ports: [{name: pg, protocol: TCP, port: 5432}]
---
kind: EndpointSlice
metadata: {name: db-6, namespace: prod, labels: {kubernetes.io/service-name: db}}
addressType: IPv6
endpoints: [{addresses: ["fd00:244::1"], hostname: db-0}, {addresses: ["fd00:244::3"]}]
ports: [{name: pg, protocol: TCP, port: 5432}]
---
kind: EndpointSlice
metadata: {name: read-1, namespace: dev, labels: {kubernetes.io/service-name: db-read}}
addressType: IPv4
endpoints: [{addresses: [10.244.0.2], hostname: DB-1}]
ports: [{name: pg, protocol: TCP, port: 5432}]
---
kind: EndpointSlice
metadata: {name: orphan-1, namespace: prod, labels: {kubernetes.io/service-name: orphan}}
addressType: IPv4
endpoints: [{addresses: [10.244.9.9]}]
ports: [{name: http, protocol: TCP, port: 80}]
"""

THEMES.append(
    Theme(
        "reverse",
        Options(),
        OBJECTS,
        cases=[
            Case(
                "10.0.96.10.in-addr.arpa.",
                "PTR",
                ["10.0.96.10.in-addr.arpa. 5 IN PTR web.prod.svc.cluster.local."],
                why="a ClusterIP",
            ),
            Case(
                "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.1.0.0.0.0.d.f.ip6.arpa.",
                "PTR",
                [
                    "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.1.0.0.0.0.d.f.ip6.arpa. 5 IN PTR web.prod.svc.cluster.local.",
                ],
                why="an IPv6 ClusterIP",
            ),
            Case(
                "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.1.0.0.0.0.D.F.ip6.arpa.",
                "PTR",
                [
                    "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.1.0.0.0.0.D.F.ip6.arpa. 5 IN PTR web.prod.svc.cluster.local.",
                ],
                why="nibbles in capitals",
            ),
            Case(
                "1.0.244.10.in-addr.arpa.",
                "PTR",
                ["1.0.244.10.in-addr.arpa. 5 IN PTR both.prod.svc.cluster.local."],
                why="a ClusterIP comes before an endpoint",
            ),
            Case(
                "2.0.244.10.in-addr.arpa.",
                "PTR",
                [
                    "2.0.244.10.in-addr.arpa. 5 IN PTR DB-1.db-read.dev.svc.cluster.local.",
                    "2.0.244.10.in-addr.arpa. 5 IN PTR db-1.db.prod.svc.cluster.local.",
                ],
                why="one name a service, however many slices",
            ),
            Case(
                "3.0.244.10.in-addr.arpa.",
                "PTR",
                [
                    "3.0.244.10.in-addr.arpa. 5 IN PTR 10-244-0-3.db.prod.svc.cluster.local.",
                    "3.0.244.10.in-addr.arpa. 5 IN PTR other-name.db.prod.svc.cluster.local.",
                ],
                why="two names of one service",
            ),
            *name_error(
                "4.0.244.10.in-addr.arpa.",
                "PTR",
                "an unready endpoint has no reverse name",
                soa="in-addr.arpa.",
            ),
            Case(
                "9.9.244.10.in-addr.arpa.",
                "PTR",
                ["9.9.244.10.in-addr.arpa. 5 IN PTR 10-244-9-9.orphan.prod.svc.cluster.local."],
                why="an endpoint of slices that no Service names",
            ),
            Case(
                "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.4.4.2.0.0.0.d.f.ip6.arpa.",
                "PTR",
                [
                    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.4.4.2.0.0.0.d.f.ip6.arpa. 5 IN PTR db-0.db.prod.svc.cluster.local.",
                ],
                why="an IPv6 endpoint by hostname",
            ),
            Case(
                "3.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.4.4.2.0.0.0.d.f.ip6.arpa.",
                "PTR",
                [
                    "3.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.4.4.2.0.0.0.d.f.ip6.arpa. 5 IN PTR fd00-244--3.db.prod.svc.cluster.local.",
                ],
                why="an IPv6 endpoint by address",
            ),
            Case(
                "99.0.96.10.in-addr.arpa.",
                "PTR",
                ["99.0.96.10.in-addr.arpa. 5 IN PTR lost.gone.svc.cluster.local."],
                why="a service in a namespace that is not there: exposure is not asked",
            ),
            *name_error("11.0.96.10.in-addr.arpa.", "PTR", "an address that nobody has", soa="in-addr.arpa."),
            *name_error(
                "1.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.1.0.0.0.0.d.f.ip6.arpa.",
                "PTR",
                "an IPv6 address that nobody has",
                soa="ip6.arpa.",
            ),
            *name_error(
                "10.0.96.10.in-addr.arpa.",
                "A AAAA SRV TXT MX CNAME NS HTTPS",
                "a reverse name asked for other types is a name error",
                soa="in-addr.arpa.",
            ),
            *no_data("10.0.96.10.in-addr.arpa.", "SOA", "but not for SOA", soa="in-addr.arpa."),
            *name_error(
                "11.0.96.10.in-addr.arpa.",
                "A",
                "an unknown address asked for an address",
                soa="in-addr.arpa.",
            ),
            *name_error("0.96.10.in-addr.arpa.", "PTR A", "three octets", soa="in-addr.arpa."),
            *name_error("10.in-addr.arpa.", "PTR", "one octet", soa="in-addr.arpa."),
            *name_error("1.10.0.96.10.in-addr.arpa.", "PTR", "five octets", soa="in-addr.arpa."),
            *name_error("256.0.96.10.in-addr.arpa.", "PTR", "no octet over 255", soa="in-addr.arpa."),
            *name_error("010.0.96.10.in-addr.arpa.", "PTR", "no leading zeros", soa="in-addr.arpa."),
            *name_error("x.0.96.10.in-addr.arpa.", "PTR", "no letters", soa="in-addr.arpa."),
            *no_data("in-addr.arpa.", "PTR A", "the apex of the reverse zone", soa="in-addr.arpa."),
            Case(
                "in-addr.arpa.",
                "SOA",
                [
                    "in-addr.arpa. 5 IN SOA ns.dns.in-addr.arpa. hostmaster.in-addr.arpa. 1700000000 7200 1800 86400 5",
                ],
                why="the apex of the reverse zone",
            ),
            *no_data(
                "in-addr.arpa.",
                "NS",
                "the nameservers of the reverse zone: no local addresses",
                soa="in-addr.arpa.",
            ),
            *no_data("ip6.arpa.", "PTR AAAA", "the apex of the IPv6 reverse zone", soa="ip6.arpa."),
            Case(
                "ip6.arpa.",
                "SOA",
                ["ip6.arpa. 5 IN SOA ns.dns.ip6.arpa. hostmaster.ip6.arpa. 1700000000 7200 1800 86400 5"],
                why="the apex of the IPv6 reverse zone",
            ),
            *name_error(
                "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.1.0.0.0.0.d.f.ip6.arpa.",
                "PTR",
                "31 nibbles",
                soa="ip6.arpa.",
            ),
            *no_data(
                "svc.in-addr.arpa.",
                "PTR A",
                "the svc subtree exists in a reverse zone too",
                soa="in-addr.arpa.",
            ),
            *name_error("prod.svc.in-addr.arpa.", "PTR A", "but nothing below it", soa="in-addr.arpa."),
            *name_error("web.prod.svc.in-addr.arpa.", "A PTR", "nor a service", soa="in-addr.arpa."),
            Case(
                "dns-version.in-addr.arpa.",
                "TXT",
                ['dns-version.in-addr.arpa. 28800 IN TXT "1.1.0"'],
                why="the version exists in a reverse zone too",
            ),
            *no_data("web.prod.svc.cluster.local.", "PTR", "a service asked for PTR exists without"),
            *name_error("nope.prod.svc.cluster.local.", "PTR", "no service, no PTR"),
            *name_error("10.0.96.10.cluster.local.", "PTR", "an address below the forward zone"),
            *name_error("nope.svc.cluster.local.", "PTR", "no namespace, no PTR"),
        ],
    )
)

THEMES.append(
    Theme(
        "reverse, namespaces prod",
        Options(namespaces=["prod"]),
        OBJECTS,
        cases=[
            Case(
                "10.0.96.10.in-addr.arpa.",
                "PTR",
                ["10.0.96.10.in-addr.arpa. 5 IN PTR web.prod.svc.cluster.local."],
                why="a ClusterIP in an exposed namespace",
            ),
            Case(
                "2.0.244.10.in-addr.arpa.",
                "PTR",
                ["2.0.244.10.in-addr.arpa. 5 IN PTR db-1.db.prod.svc.cluster.local."],
                why="only names in exposed namespaces",
            ),
            *name_error("99.0.96.10.in-addr.arpa.", "PTR", "a namespace that is not exposed", soa="in-addr.arpa."),
        ],
    )
)

THEMES.append(
    Theme(
        "reverse, namespaces dev",
        Options(namespaces=["dev"]),
        OBJECTS,
        cases=[
            *name_error(
                "10.0.96.10.in-addr.arpa.",
                "PTR",
                "a ClusterIP in a namespace that is not exposed",
                soa="in-addr.arpa.",
            ),
            Case(
                "2.0.244.10.in-addr.arpa.",
                "PTR",
                ["2.0.244.10.in-addr.arpa. 5 IN PTR DB-1.db-read.dev.svc.cluster.local."],
                why="the endpoint's name in the exposed namespace",
            ),
            *name_error(
                "1.0.244.10.in-addr.arpa.",
                "PTR",
                "neither as ClusterIP nor as endpoint",
                soa="in-addr.arpa.",
            ),
        ],
    )
)

THEMES.append(
    Theme(
        "reverse, several forward zones",
        Options(zones=["in-addr.arpa.", "first.example.", "second.example."]),
        OBJECTS,
        cases=[
            Case(
                "10.0.96.10.in-addr.arpa.",
                "PTR",
                ["10.0.96.10.in-addr.arpa. 5 IN PTR web.prod.svc.first.example."],
                why="targets are in the first forward zone",
                coredns="takes the apex in-addr.arpa. for a forward zone and names web.prod.svc.in-addr.arpa.",
            ),
            Case(
                "web.prod.svc.second.example.",
                "A",
                ["web.prod.svc.second.example. 5 IN A 10.96.0.10"],
                why="the second zone is answered as well",
            ),
            Case(
                "web.prod.svc.first.example.",
                "A",
                ["web.prod.svc.first.example. 5 IN A 10.96.0.10"],
                why="and the first",
            ),
            Case(
                "web.prod.svc.first.example.",
                "SRV",
                ["web.prod.svc.first.example. 5 IN SRV 0 50 80 web.prod.svc.first.example."],
                additional=[
                    "web.prod.svc.first.example. 5 IN A 10.96.0.10",
                    "web.prod.svc.first.example. 5 IN AAAA fd00:10:96::10",
                ],
                why="and the first",
            ),
        ],
    )
)

THEMES.append(
    Theme(
        "reverse networks",
        Options(
            zones=[
                "cluster.local.",
                "96.10.in-addr.arpa.",
                "244.10.in-addr.arpa.",
                "6.9.0.0.0.1.0.0.0.0.d.f.ip6.arpa.",
            ]
        ),
        OBJECTS,
        cases=[
            Case(
                "10.0.96.10.in-addr.arpa.",
                "PTR",
                ["10.0.96.10.in-addr.arpa. 5 IN PTR web.prod.svc.cluster.local."],
                why="an address in the zone of a network",
            ),
            Case(
                "2.0.244.10.in-addr.arpa.",
                "PTR",
                [
                    "2.0.244.10.in-addr.arpa. 5 IN PTR DB-1.db-read.dev.svc.cluster.local.",
                    "2.0.244.10.in-addr.arpa. 5 IN PTR db-1.db.prod.svc.cluster.local.",
                ],
                why="an endpoint in the zone of a network",
            ),
            *no_data("96.10.in-addr.arpa.", "PTR", "the apex of a network's zone", soa="96.10.in-addr.arpa."),
            Case(
                "96.10.in-addr.arpa.",
                "SOA",
                [
                    "96.10.in-addr.arpa. 5 IN SOA ns.dns.96.10.in-addr.arpa. hostmaster.96.10.in-addr.arpa. 1700000000 7200 1800 86400 5",
                ],
                why="the apex of a network's zone",
            ),
            *no_data("96.10.in-addr.arpa.", "A NS", "the apex of a network's zone", soa="96.10.in-addr.arpa."),
            *name_error(
                "0.96.10.in-addr.arpa.",
                "PTR",
                "part of an address below the apex",
                soa="96.10.in-addr.arpa.",
            ),
            *refused("10.0.97.10.in-addr.arpa.", "PTR", "another network is not served"),
            Case(
                "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.1.0.0.0.0.d.f.ip6.arpa.",
                "PTR",
                [
                    "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.1.0.0.0.0.d.f.ip6.arpa. 5 IN PTR web.prod.svc.cluster.local.",
                ],
                why="an IPv6 network",
            ),
            *refused(
                "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.7.9.0.0.0.1.0.0.0.0.d.f.ip6.arpa.",
                "PTR",
                "another IPv6 network is not served",
            ),
            *name_error("x.96.10.in-addr.arpa.", "PTR A", "not an address", soa="96.10.in-addr.arpa."),
            *no_data(
                "svc.96.10.in-addr.arpa.",
                "A",
                "the svc subtree of a network's zone",
                soa="96.10.in-addr.arpa.",
            ),
            Case(
                "dns-version.96.10.in-addr.arpa.",
                "TXT",
                ['dns-version.96.10.in-addr.arpa. 28800 IN TXT "1.1.0"'],
                why="the version in a network's zone",
            ),
        ],
    )
)

STRAY = """
kind: Namespace
metadata: {name: prod}
---
kind: Service
metadata: {name: db, namespace: prod}
spec: {clusterIP: None, clusterIPs: [None], ports: [{name: pg, protocol: TCP, port: 5432}]}
---
kind: EndpointSlice
metadata: {name: db-1, namespace: prod, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
endpoints: [{addresses: [10.244.0.1], hostname: db-0}]
ports: [{name: pg, protocol: TCP, port: 5432}]
---
kind: EndpointSlice
metadata: {name: db-6, namespace: prod, labels: {kubernetes.io/service-name: db}}
addressType: IPv6
endpoints: [{addresses: ["FD00:0244::0:0:01"], hostname: db-0}]
ports: [{name: pg, protocol: TCP, port: 5432}]
---
kind: EndpointSlice
metadata: {name: imported-1, namespace: prod, labels: {multicluster.kubernetes.io/service-name: db}}
addressType: IPv4
endpoints: [{addresses: [10.244.0.1]}, {addresses: [10.244.0.2]}]
ports: [{name: pg, protocol: TCP, port: 5432}]
"""

THEMES.append(
    Theme(
        "reverse names of odd slices",
        Options(),
        STRAY,
        cases=[
            Case(
                "1.0.244.10.in-addr.arpa.",
                "PTR",
                ["1.0.244.10.in-addr.arpa. 5 IN PTR db-0.db.prod.svc.cluster.local."],
                why="a slice of no service, as ServiceImports have them, shares the address",
                coredns="silence: it makes a name with an empty label of the other slice",
            ),
            *name_error(
                "2.0.244.10.in-addr.arpa.",
                "PTR",
                "a slice of no service",
                soa="in-addr.arpa.",
                coredns="silence: it makes a name with an empty label of it",
            ),
            Case(
                "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.4.4.2.0.0.0.d.f.ip6.arpa.",
                "PTR",
                [
                    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.4.4.2.0.0.0.d.f.ip6.arpa. 5 IN PTR db-0.db.prod.svc.cluster.local.",
                ],
                why="an address that the object does not spell as RFC 5952 does",
                coredns="NXDOMAIN: it compares text",
            ),
        ],
    )
)

THEMES.append(
    Theme(
        "reverse roots alone",
        Options(zones=("in-addr.arpa.", "ip6.arpa.")),
        OBJECTS,
        cases=[
            Case(
                "10.0.96.10.in-addr.arpa.",
                "PTR",
                ["10.0.96.10.in-addr.arpa. 5 IN PTR web.prod.svc.in-addr.arpa."],
                why="records point into the first of the roots, as CoreDNS has it",
            ),
            *name_error("1.0.96.10.in-addr.arpa.", "PTR", "nobody's address", soa="in-addr.arpa."),
            *name_error("web.prod.svc.in-addr.arpa.", "A", "the reverse tree has no names of services", soa="in-addr.arpa."),
        ],
    )
)
