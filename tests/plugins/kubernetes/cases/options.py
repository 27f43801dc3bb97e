"""ttl, ignore empty_service, blocks that are not synced, two blocks on one store."""

# A record stays on one line.
# ruff: noqa: E501

from __future__ import annotations

from fastdns.plugins.kubernetes.sink import Resource
from tests.plugins.kubernetes.support import (
    Case,
    Options,
    Theme,
    name_error,
    no_data,
    server_failure,
)

THEMES: list[Theme] = []

OBJECTS = """
kind: Namespace
metadata: {name: prod}
---
kind: Service
metadata: {name: web, namespace: prod}
spec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1], ports: [{name: http, protocol: TCP, port: 80}]}
---
kind: Service
metadata: {name: unready, namespace: prod}
spec: {clusterIP: 10.96.0.2, clusterIPs: [10.96.0.2], ports: [{name: http, protocol: TCP, port: 80}]}
---
kind: Service
metadata: {name: noslice, namespace: prod}
spec: {clusterIP: 10.96.0.3, clusterIPs: [10.96.0.3], ports: [{name: http, protocol: TCP, port: 80}]}
---
kind: Service
metadata: {name: db, namespace: prod}
spec: {clusterIP: None, clusterIPs: [None], ports: [{name: pg, protocol: TCP, port: 5432}]}
---
kind: Service
metadata: {name: link, namespace: prod}
spec: {type: ExternalName, externalName: unready.prod.svc.cluster.local}
---
kind: Service
metadata: {name: out, namespace: prod}
spec: {type: ExternalName, externalName: host.nowhere.example}
---
kind: EndpointSlice
metadata: {name: web-1, namespace: prod, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [10.244.0.1], conditions: {ready: false}}]
ports: [{name: http, protocol: TCP, port: 80}]
---
kind: EndpointSlice
metadata: {name: web-2, namespace: prod, labels: {kubernetes.io/service-name: web}}
addressType: IPv6
endpoints: [{addresses: ["fd00:244::1"]}]
ports: [{name: http, protocol: TCP, port: 80}]
---
kind: EndpointSlice
metadata: {name: unready-1, namespace: prod, labels: {kubernetes.io/service-name: unready}}
addressType: IPv4
endpoints: [{addresses: [10.244.0.2], conditions: {ready: false}}]
ports: [{name: http, protocol: TCP, port: 80}]
"""

THEMES.append(
    Theme(
        "ignore empty_service",
        Options(ignore_empty_service=True),
        OBJECTS,
        cases=[
            Case(
                "web.prod.svc.cluster.local.",
                "A",
                ["web.prod.svc.cluster.local. 5 IN A 10.96.0.1"],
                why="a ready endpoint in any slice will do",
            ),
            *no_data("web.prod.svc.cluster.local.", "AAAA", "a ready endpoint in any slice will do"),
            Case(
                "web.prod.svc.cluster.local.",
                "SRV",
                ["web.prod.svc.cluster.local. 5 IN SRV 0 100 80 web.prod.svc.cluster.local."],
                additional=["web.prod.svc.cluster.local. 5 IN A 10.96.0.1"],
                why="a ready endpoint in any slice will do",
            ),
            *name_error(
                "unready.prod.svc.cluster.local.", "A AAAA SRV TXT CNAME", "no ready endpoint: a name error"
            ),
            *name_error("noslice.prod.svc.cluster.local.", "A SRV", "no slice: a name error"),
            *name_error("_http._tcp.unready.prod.svc.cluster.local.", "SRV A", "nor a port"),
            *name_error("db.prod.svc.cluster.local.", "A", "headless services as ever"),
            *no_data("link.prod.svc.cluster.local.", "A", "an ExternalName to an empty service"),
            Case(
                "link.prod.svc.cluster.local.",
                "CNAME",
                ["link.prod.svc.cluster.local. 5 IN CNAME unready.prod.svc.cluster.local."],
                why="an ExternalName to an empty service",
            ),
            Case(
                "out.prod.svc.cluster.local.",
                "A",
                ["out.prod.svc.cluster.local. 5 IN CNAME host.nowhere.example."],
                why="an ExternalName is never empty",
            ),
            Case(
                "2.0.96.10.in-addr.arpa.",
                "PTR",
                ["2.0.96.10.in-addr.arpa. 5 IN PTR unready.prod.svc.cluster.local."],
                why="its reverse name is there",
            ),
            *no_data("prod.svc.cluster.local.", "A", "the namespace is there"),
        ],
    )
)

THEMES.append(
    Theme(
        "without ignore empty_service",
        Options(),
        OBJECTS,
        cases=[
            Case(
                "web.prod.svc.cluster.local.",
                "A",
                ["web.prod.svc.cluster.local. 5 IN A 10.96.0.1"],
                why="a ready endpoint in any slice will do",
            ),
            *no_data("web.prod.svc.cluster.local.", "AAAA", "a ready endpoint in any slice will do"),
            Case(
                "web.prod.svc.cluster.local.",
                "SRV",
                ["web.prod.svc.cluster.local. 5 IN SRV 0 100 80 web.prod.svc.cluster.local."],
                additional=["web.prod.svc.cluster.local. 5 IN A 10.96.0.1"],
                why="a ready endpoint in any slice will do",
            ),
            Case(
                "unready.prod.svc.cluster.local.",
                "A",
                ["unready.prod.svc.cluster.local. 5 IN A 10.96.0.2"],
                why="no ready endpoint: a name error",
            ),
            *no_data("unready.prod.svc.cluster.local.", "AAAA", "no ready endpoint: a name error"),
            Case(
                "unready.prod.svc.cluster.local.",
                "SRV",
                ["unready.prod.svc.cluster.local. 5 IN SRV 0 100 80 unready.prod.svc.cluster.local."],
                additional=["unready.prod.svc.cluster.local. 5 IN A 10.96.0.2"],
                why="no ready endpoint: a name error",
            ),
            *no_data("unready.prod.svc.cluster.local.", "TXT CNAME", "no ready endpoint: a name error"),
            Case(
                "noslice.prod.svc.cluster.local.",
                "A",
                ["noslice.prod.svc.cluster.local. 5 IN A 10.96.0.3"],
                why="no slice: a name error",
            ),
            Case(
                "noslice.prod.svc.cluster.local.",
                "SRV",
                ["noslice.prod.svc.cluster.local. 5 IN SRV 0 100 80 noslice.prod.svc.cluster.local."],
                additional=["noslice.prod.svc.cluster.local. 5 IN A 10.96.0.3"],
                why="no slice: a name error",
            ),
            Case(
                "_http._tcp.unready.prod.svc.cluster.local.",
                "SRV",
                [
                    "_http._tcp.unready.prod.svc.cluster.local. 5 IN SRV 0 100 80 unready.prod.svc.cluster.local.",
                ],
                additional=["unready.prod.svc.cluster.local. 5 IN A 10.96.0.2"],
                why="nor a port",
            ),
            Case(
                "_http._tcp.unready.prod.svc.cluster.local.",
                "A",
                ["_http._tcp.unready.prod.svc.cluster.local. 5 IN A 10.96.0.2"],
                why="nor a port",
            ),
        ],
    )
)

THEMES.append(
    Theme(
        "ttl 0",
        Options(ttl=0, pods="insecure"),
        OBJECTS,
        cases=[
            Case(
                "web.prod.svc.cluster.local.",
                "A",
                ["web.prod.svc.cluster.local. 0 IN A 10.96.0.1"],
                why="ttl of records and SOA",
            ),
            *no_data("web.prod.svc.cluster.local.", "AAAA", "ttl of records and SOA"),
            Case(
                "web.prod.svc.cluster.local.",
                "SRV",
                ["web.prod.svc.cluster.local. 0 IN SRV 0 100 80 web.prod.svc.cluster.local."],
                additional=["web.prod.svc.cluster.local. 0 IN A 10.96.0.1"],
                why="ttl of records and SOA",
            ),
            *name_error("nope.prod.svc.cluster.local.", "A", "ttl of a name error"),
            Case(
                "cluster.local.",
                "SOA",
                [
                    "cluster.local. 0 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1700000000 7200 1800 86400 0",
                ],
                why="ttl at the apex",
            ),
            *no_data("cluster.local.", "NS", "ttl at the apex"),
            Case(
                "1.0.96.10.in-addr.arpa.",
                "PTR",
                ["1.0.96.10.in-addr.arpa. 0 IN PTR web.prod.svc.cluster.local."],
                why="ttl of PTR",
            ),
            *name_error("1.0.244.10.in-addr.arpa.", "PTR", "ttl of a reverse name error", soa="in-addr.arpa."),
            Case(
                "out.prod.svc.cluster.local.",
                "A",
                ["out.prod.svc.cluster.local. 0 IN CNAME host.nowhere.example."],
                why="ttl of CNAME",
            ),
            Case(
                "out.prod.svc.cluster.local.",
                "CNAME",
                ["out.prod.svc.cluster.local. 0 IN CNAME host.nowhere.example."],
                why="ttl of CNAME",
            ),
            Case(
                "dns-version.cluster.local.",
                "TXT",
                ['dns-version.cluster.local. 28800 IN TXT "1.1.0"'],
                why="the version has its own ttl",
            ),
            Case(
                "10-0-0-1.prod.pod.cluster.local.",
                "A",
                ["10-0-0-1.prod.pod.cluster.local. 0 IN A 10.0.0.1"],
                why="ttl of a pod",
            ),
            Case(
                "10-0-0-1.prod.pod.cluster.local.",
                "SRV",
                ["10-0-0-1.prod.pod.cluster.local. 0 IN SRV 0 100 0 10-0-0-1.prod.pod.cluster.local."],
                additional=["10-0-0-1.prod.pod.cluster.local. 0 IN A 10.0.0.1"],
                why="ttl of a pod",
            ),
        ],
    )
)

THEMES.append(
    Theme(
        "ttl 300",
        Options(ttl=300, pods="insecure"),
        OBJECTS,
        cases=[
            Case(
                "web.prod.svc.cluster.local.",
                "A",
                ["web.prod.svc.cluster.local. 300 IN A 10.96.0.1"],
                why="ttl of records and SOA",
            ),
            *no_data("web.prod.svc.cluster.local.", "AAAA", "ttl of records and SOA"),
            Case(
                "web.prod.svc.cluster.local.",
                "SRV",
                ["web.prod.svc.cluster.local. 300 IN SRV 0 100 80 web.prod.svc.cluster.local."],
                additional=["web.prod.svc.cluster.local. 300 IN A 10.96.0.1"],
                why="ttl of records and SOA",
            ),
            *name_error("nope.prod.svc.cluster.local.", "A", "ttl of a name error"),
            Case(
                "cluster.local.",
                "SOA",
                [
                    "cluster.local. 300 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1700000000 7200 1800 86400 300",
                ],
                why="ttl at the apex",
            ),
            *no_data("cluster.local.", "NS", "ttl at the apex"),
            Case(
                "1.0.96.10.in-addr.arpa.",
                "PTR",
                ["1.0.96.10.in-addr.arpa. 300 IN PTR web.prod.svc.cluster.local."],
                why="ttl of PTR",
            ),
            *name_error("1.0.244.10.in-addr.arpa.", "PTR", "ttl of a reverse name error", soa="in-addr.arpa."),
            Case(
                "out.prod.svc.cluster.local.",
                "A",
                ["out.prod.svc.cluster.local. 300 IN CNAME host.nowhere.example."],
                why="ttl of CNAME",
            ),
            Case(
                "out.prod.svc.cluster.local.",
                "CNAME",
                ["out.prod.svc.cluster.local. 300 IN CNAME host.nowhere.example."],
                why="ttl of CNAME",
            ),
            Case(
                "dns-version.cluster.local.",
                "TXT",
                ['dns-version.cluster.local. 28800 IN TXT "1.1.0"'],
                why="the version has its own ttl",
            ),
            Case(
                "10-0-0-1.prod.pod.cluster.local.",
                "A",
                ["10-0-0-1.prod.pod.cluster.local. 300 IN A 10.0.0.1"],
                why="ttl of a pod",
            ),
            Case(
                "10-0-0-1.prod.pod.cluster.local.",
                "SRV",
                ["10-0-0-1.prod.pod.cluster.local. 300 IN SRV 0 100 0 10-0-0-1.prod.pod.cluster.local."],
                additional=["10-0-0-1.prod.pod.cluster.local. 300 IN A 10.0.0.1"],
                why="ttl of a pod",
            ),
        ],
    )
)

THEMES.append(
    Theme(
        "ttl 3600",
        Options(ttl=3600, pods="insecure"),
        OBJECTS,
        cases=[
            Case(
                "web.prod.svc.cluster.local.",
                "A",
                ["web.prod.svc.cluster.local. 3600 IN A 10.96.0.1"],
                why="ttl of records and SOA",
            ),
            *no_data("web.prod.svc.cluster.local.", "AAAA", "ttl of records and SOA"),
            Case(
                "web.prod.svc.cluster.local.",
                "SRV",
                ["web.prod.svc.cluster.local. 3600 IN SRV 0 100 80 web.prod.svc.cluster.local."],
                additional=["web.prod.svc.cluster.local. 3600 IN A 10.96.0.1"],
                why="ttl of records and SOA",
            ),
            *name_error("nope.prod.svc.cluster.local.", "A", "ttl of a name error"),
            Case(
                "cluster.local.",
                "SOA",
                [
                    "cluster.local. 300 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1700000000 7200 1800 86400 3600",
                ],
                why="ttl at the apex",
            ),
            *no_data("cluster.local.", "NS", "ttl at the apex"),
            Case(
                "1.0.96.10.in-addr.arpa.",
                "PTR",
                ["1.0.96.10.in-addr.arpa. 3600 IN PTR web.prod.svc.cluster.local."],
                why="ttl of PTR",
            ),
            *name_error("1.0.244.10.in-addr.arpa.", "PTR", "ttl of a reverse name error", soa="in-addr.arpa."),
            Case(
                "out.prod.svc.cluster.local.",
                "A",
                ["out.prod.svc.cluster.local. 3600 IN CNAME host.nowhere.example."],
                why="ttl of CNAME",
            ),
            Case(
                "out.prod.svc.cluster.local.",
                "CNAME",
                ["out.prod.svc.cluster.local. 3600 IN CNAME host.nowhere.example."],
                why="ttl of CNAME",
            ),
            Case(
                "dns-version.cluster.local.",
                "TXT",
                ['dns-version.cluster.local. 28800 IN TXT "1.1.0"'],
                why="the version has its own ttl",
            ),
            Case(
                "10-0-0-1.prod.pod.cluster.local.",
                "A",
                ["10-0-0-1.prod.pod.cluster.local. 3600 IN A 10.0.0.1"],
                why="ttl of a pod",
            ),
            Case(
                "10-0-0-1.prod.pod.cluster.local.",
                "SRV",
                ["10-0-0-1.prod.pod.cluster.local. 3600 IN SRV 0 100 0 10-0-0-1.prod.pod.cluster.local."],
                additional=["10-0-0-1.prod.pod.cluster.local. 3600 IN A 10.0.0.1"],
                why="ttl of a pod",
            ),
        ],
    )
)

THEMES.append(
    Theme(
        "namespaces not listed yet",
        Options(unlisted=Resource.NAMESPACE),
        OBJECTS,
        cases=[
            *server_failure("web.prod.svc.cluster.local.", "A AAAA", "what is known is answered"),
            *server_failure(
                "nope.prod.svc.cluster.local.", "A SRV TXT PTR", "what is not known may exist: SERVFAIL"
            ),
            *server_failure("nope.svc.cluster.local.", "A", "a namespace that is not known"),
            *server_failure("foo.cluster.local.", "A", "even outside the schema"),
            *no_data("cluster.local.", "A", "the apex is known"),
            Case(
                "cluster.local.",
                "SOA",
                [
                    "cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1700000000 7200 1800 86400 5",
                ],
                why="the apex is known",
            ),
            *no_data("svc.cluster.local.", "A", "so is the svc subtree"),
            *server_failure("9.9.9.9.in-addr.arpa.", "PTR", "an unknown address", soa="in-addr.arpa."),
            Case(
                "dns-version.cluster.local.",
                "TXT",
                ['dns-version.cluster.local. 28800 IN TXT "1.1.0"'],
                why="the version is known",
            ),
        ],
    )
)

THEMES.append(
    Theme(
        "slices not listed yet",
        Options(unlisted=Resource.SLICE),
        OBJECTS,
        cases=[
            Case(
                "web.prod.svc.cluster.local.",
                "A",
                ["web.prod.svc.cluster.local. 5 IN A 10.96.0.1"],
                why="what is known is answered",
            ),
            *no_data("web.prod.svc.cluster.local.", "AAAA", "what is known is answered"),
            *server_failure(
                "nope.prod.svc.cluster.local.", "A SRV TXT PTR", "what is not known may exist: SERVFAIL"
            ),
            *server_failure("nope.svc.cluster.local.", "A", "a namespace that is not known"),
            *server_failure("foo.cluster.local.", "A", "even outside the schema"),
            *no_data("cluster.local.", "A", "the apex is known"),
            Case(
                "cluster.local.",
                "SOA",
                [
                    "cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1700000000 7200 1800 86400 5",
                ],
                why="the apex is known",
            ),
            *no_data("svc.cluster.local.", "A", "so is the svc subtree"),
            *server_failure("9.9.9.9.in-addr.arpa.", "PTR", "an unknown address", soa="in-addr.arpa."),
            Case(
                "dns-version.cluster.local.",
                "TXT",
                ['dns-version.cluster.local. 28800 IN TXT "1.1.0"'],
                why="the version is known",
            ),
        ],
    )
)

THEMES.append(
    Theme(
        "slices not listed yet, with fallthrough",
        Options(unlisted=Resource.SLICE, fallthrough=["."]),
        OBJECTS,
        cases=[
            Case(
                "web.prod.svc.cluster.local.",
                "A",
                ["web.prod.svc.cluster.local. 5 IN A 10.96.0.1"],
                why="what is known is answered",
            ),
            *no_data("web.prod.svc.cluster.local.", "AAAA", "what is known is answered"),
            *server_failure(
                "nope.prod.svc.cluster.local.",
                "A SRV TXT PTR",
                "what is not known may exist: SERVFAIL",
                coredns="falls through before the first sync",
            ),
            *server_failure(
                "nope.svc.cluster.local.",
                "A",
                "a namespace that is not known",
                coredns="falls through before the first sync",
            ),
            *server_failure(
                "foo.cluster.local.",
                "A",
                "even outside the schema",
                coredns="falls through before the first sync",
            ),
            *no_data("cluster.local.", "A", "the apex is known"),
            Case(
                "cluster.local.",
                "SOA",
                [
                    "cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1700000000 7200 1800 86400 5",
                ],
                why="the apex is known",
            ),
            *no_data("svc.cluster.local.", "A", "so is the svc subtree"),
            *server_failure(
                "9.9.9.9.in-addr.arpa.",
                "PTR",
                "an unknown address",
                soa="in-addr.arpa.",
                coredns="falls through before the first sync",
            ),
            Case(
                "dns-version.cluster.local.",
                "TXT",
                ['dns-version.cluster.local. 28800 IN TXT "1.1.0"'],
                why="the version is known",
            ),
        ],
    )
)

THEMES.append(
    Theme(
        "two blocks",
        Options(),
        OBJECTS,
        other=Options(zones=["cluster.test."], ttl=60, pods="insecure", ignore_empty_service=True),
        cases=[
            Case(
                "web.prod.svc.cluster.local.",
                "A",
                ["web.prod.svc.cluster.local. 5 IN A 10.96.0.1"],
                why="the first block's service",
            ),
            Case(
                "web.prod.svc.cluster.test.",
                "A",
                ["web.prod.svc.cluster.test. 60 IN A 10.96.0.1"],
                why="the same service in the second block's zone, with its ttl",
            ),
            Case(
                "web.prod.svc.cluster.test.",
                "SRV",
                ["web.prod.svc.cluster.test. 60 IN SRV 0 100 80 web.prod.svc.cluster.test."],
                additional=["web.prod.svc.cluster.test. 60 IN A 10.96.0.1"],
                why="the same service in the second block's zone, with its ttl",
            ),
            *no_data(
                "web.prod.svc.cluster.test.",
                "AAAA",
                "the same service in the second block's zone, with its ttl",
                soa="cluster.test.",
            ),
            *name_error("nope.prod.svc.cluster.test.", "A", "the second block's SOA", soa="cluster.test."),
            Case(
                "10-0-0-1.prod.pod.cluster.test.",
                "A",
                ["10-0-0-1.prod.pod.cluster.test. 60 IN A 10.0.0.1"],
                why="the second block's pods option",
            ),
            *name_error("10-0-0-1.prod.pod.cluster.local.", "A", "the first block's pods option"),
            Case(
                "cluster.test.",
                "SOA",
                [
                    "cluster.test. 60 IN SOA ns.dns.cluster.test. hostmaster.cluster.test. 1700000000 7200 1800 86400 60",
                ],
                why="the second block's apex",
            ),
            *no_data("cluster.test.", "NS", "the second block's apex", soa="cluster.test."),
            *name_error(
                "unready.prod.svc.cluster.test.",
                "A",
                "the second block's ignore empty_service",
                soa="cluster.test.",
            ),
            Case(
                "unready.prod.svc.cluster.local.",
                "A",
                ["unready.prod.svc.cluster.local. 5 IN A 10.96.0.2"],
                why="the first block's",
            ),
            Case(
                "1.0.96.10.in-addr.arpa.",
                "PTR",
                ["1.0.96.10.in-addr.arpa. 5 IN PTR web.prod.svc.cluster.local."],
                why="reverse names are the first block's",
            ),
        ],
    )
)
