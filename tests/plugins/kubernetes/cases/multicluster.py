"""Multicluster zones: ServiceImports and the slices of their clusters."""

# A record stays on one line.
# ruff: noqa: E501

from __future__ import annotations

from tests.plugins.kubernetes.support import Case, Options, Theme, name_error, no_data

THEMES: list[Theme] = []

OBJECTS = """
kind: Namespace
metadata: {name: prod}
---
kind: ServiceImport
metadata: {name: web, namespace: prod}
spec: {type: ClusterSetIP, ips: [10.112.0.1, "fd00:112::1"], ports: [{name: http, protocol: TCP, port: 80}, {name: dns, protocol: UDP, port: 53}]}
---
kind: ServiceImport
metadata: {name: noports, namespace: prod}
spec: {type: ClusterSetIP, ips: [10.112.0.2]}
---
kind: ServiceImport
metadata: {name: noips, namespace: prod}
spec: {type: ClusterSetIP, ports: [{name: http, protocol: TCP, port: 80}]}
---
kind: ServiceImport
metadata: {name: db, namespace: prod}
spec: {type: Headless, ports: [{name: pg, protocol: TCP, port: 5432}]}
---
kind: ServiceImport
metadata: {name: none, namespace: prod}
spec: {type: Headless, ports: [{name: pg, protocol: TCP, port: 5432}]}
---
kind: EndpointSlice
metadata: {name: db-east, namespace: prod, labels: {multicluster.kubernetes.io/service-name: db, multicluster.kubernetes.io/source-cluster: east}}
addressType: IPv4
endpoints: [{addresses: [10.244.0.1], hostname: db-0}, {addresses: [10.244.0.2]}]
ports: [{name: pg, protocol: TCP, port: 5432}]
---
kind: EndpointSlice
metadata: {name: db-west, namespace: prod, labels: {multicluster.kubernetes.io/service-name: db, multicluster.kubernetes.io/source-cluster: West}}
addressType: IPv4
endpoints: [{addresses: [10.245.0.1], hostname: db-0}, {addresses: [10.244.0.2]}]
ports: [{name: pg, protocol: TCP, port: 5432}]
---
kind: EndpointSlice
metadata: {name: web-east, namespace: prod, labels: {multicluster.kubernetes.io/service-name: web, multicluster.kubernetes.io/source-cluster: east}}
addressType: IPv4
endpoints: [{addresses: [10.244.1.1], hostname: web-0}]
ports: [{name: http, protocol: TCP, port: 8080}]
---
kind: Service
metadata: {name: local, namespace: prod}
spec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1], ports: [{name: http, protocol: TCP, port: 80}]}
"""

THEMES.append(
    Theme(
        "multicluster",
        Options(zones=["cluster.local.", "clusterset.local.", "in-addr.arpa."], multicluster=["clusterset.local."]),
        OBJECTS,
        cases=[
            Case(
                "web.prod.svc.clusterset.local.",
                "A",
                ["web.prod.svc.clusterset.local. 5 IN A 10.112.0.1"],
                why="an imported service",
            ),
            Case(
                "web.prod.svc.clusterset.local.",
                "AAAA",
                ["web.prod.svc.clusterset.local. 5 IN AAAA fd00:112::1"],
                why="an imported service",
            ),
            Case(
                "web.prod.svc.clusterset.local.",
                "SRV",
                [
                    "web.prod.svc.clusterset.local. 5 IN SRV 0 25 53 web.prod.svc.clusterset.local.",
                    "web.prod.svc.clusterset.local. 5 IN SRV 0 25 80 web.prod.svc.clusterset.local.",
                ],
                additional=[
                    "web.prod.svc.clusterset.local. 5 IN A 10.112.0.1",
                    "web.prod.svc.clusterset.local. 5 IN AAAA fd00:112::1",
                ],
                why="an imported service",
            ),
            Case(
                "_http._tcp.web.prod.svc.clusterset.local.",
                "A",
                ["_http._tcp.web.prod.svc.clusterset.local. 5 IN A 10.112.0.1"],
                why="a port of it",
            ),
            Case(
                "_http._tcp.web.prod.svc.clusterset.local.",
                "SRV",
                [
                    "_http._tcp.web.prod.svc.clusterset.local. 5 IN SRV 0 50 80 web.prod.svc.clusterset.local.",
                ],
                additional=[
                    "web.prod.svc.clusterset.local. 5 IN A 10.112.0.1",
                    "web.prod.svc.clusterset.local. 5 IN AAAA fd00:112::1",
                ],
                why="a port of it",
            ),
            Case(
                "_dns._udp.web.prod.svc.clusterset.local.",
                "SRV",
                ["_dns._udp.web.prod.svc.clusterset.local. 5 IN SRV 0 50 53 web.prod.svc.clusterset.local."],
                additional=[
                    "web.prod.svc.clusterset.local. 5 IN A 10.112.0.1",
                    "web.prod.svc.clusterset.local. 5 IN AAAA fd00:112::1",
                ],
                why="another port",
            ),
            *name_error("_nope._tcp.web.prod.svc.clusterset.local.", "A", "no such port", soa="clusterset.local."),
            Case(
                "_http.tcp.web.prod.svc.clusterset.local.",
                "A",
                ["_http.tcp.web.prod.svc.clusterset.local. 5 IN A 10.112.0.1"],
                why="one underscore makes a port of two labels",
            ),
            Case(
                "http._tcp.web.prod.svc.clusterset.local.",
                "A",
                ["http._tcp.web.prod.svc.clusterset.local. 5 IN A 10.112.0.1"],
                why="the other one",
            ),
            *name_error(
                "http.tcp.web.prod.svc.clusterset.local.",
                "A SRV",
                "without underscores they are endpoint and cluster",
                soa="clusterset.local.",
            ),
            Case(
                "web-0.east.web.prod.svc.clusterset.local.",
                "A",
                ["web-0.east.web.prod.svc.clusterset.local. 5 IN A 10.244.1.1"],
                why="an endpoint of an imported service with an address",
            ),
            Case(
                "web-0.east.web.prod.svc.clusterset.local.",
                "SRV",
                [
                    "web-0.east.web.prod.svc.clusterset.local. 5 IN SRV 0 100 8080 web-0.east.web.prod.svc.clusterset.local.",
                ],
                additional=["web-0.east.web.prod.svc.clusterset.local. 5 IN A 10.244.1.1"],
                why="an endpoint of an imported service with an address",
            ),
            *name_error(
                "web-0.web.prod.svc.clusterset.local.",
                "A",
                "an endpoint without its cluster",
                soa="clusterset.local.",
            ),
            *name_error(
                "noports.prod.svc.clusterset.local.",
                "A SRV",
                "an import without ports is a name error",
                soa="clusterset.local.",
            ),
            *no_data(
                "noips.prod.svc.clusterset.local.",
                "A SRV",
                "an import without addresses is empty; TXT makes that a name error",
                soa="clusterset.local.",
            ),
            *name_error(
                "noips.prod.svc.clusterset.local.",
                "TXT",
                "an import without addresses is empty; TXT makes that a name error",
                soa="clusterset.local.",
            ),
            Case(
                "db.prod.svc.clusterset.local.",
                "A",
                [
                    "db.prod.svc.clusterset.local. 5 IN A 10.244.0.1",
                    "db.prod.svc.clusterset.local. 5 IN A 10.244.0.2",
                    "db.prod.svc.clusterset.local. 5 IN A 10.245.0.1",
                ],
                why="headless: every cluster's endpoints; SRV names the cluster",
            ),
            *no_data(
                "db.prod.svc.clusterset.local.",
                "AAAA",
                "headless: every cluster's endpoints; SRV names the cluster",
                soa="clusterset.local.",
            ),
            Case(
                "db.prod.svc.clusterset.local.",
                "SRV",
                [
                    "db.prod.svc.clusterset.local. 5 IN SRV 0 25 5432 10-244-0-2.West.db.prod.svc.clusterset.local.",
                    "db.prod.svc.clusterset.local. 5 IN SRV 0 25 5432 10-244-0-2.east.db.prod.svc.clusterset.local.",
                    "db.prod.svc.clusterset.local. 5 IN SRV 0 25 5432 db-0.West.db.prod.svc.clusterset.local.",
                    "db.prod.svc.clusterset.local. 5 IN SRV 0 25 5432 db-0.east.db.prod.svc.clusterset.local.",
                ],
                additional=[
                    "10-244-0-2.West.db.prod.svc.clusterset.local. 5 IN A 10.244.0.2",
                    "10-244-0-2.east.db.prod.svc.clusterset.local. 5 IN A 10.244.0.2",
                    "db-0.West.db.prod.svc.clusterset.local. 5 IN A 10.245.0.1",
                    "db-0.east.db.prod.svc.clusterset.local. 5 IN A 10.244.0.1",
                ],
                why="headless: every cluster's endpoints; SRV names the cluster",
            ),
            Case(
                "db-0.east.db.prod.svc.clusterset.local.",
                "A",
                ["db-0.east.db.prod.svc.clusterset.local. 5 IN A 10.244.0.1"],
                why="an endpoint of one cluster",
            ),
            Case(
                "db-0.east.db.prod.svc.clusterset.local.",
                "SRV",
                [
                    "db-0.east.db.prod.svc.clusterset.local. 5 IN SRV 0 100 5432 db-0.east.db.prod.svc.clusterset.local.",
                ],
                additional=["db-0.east.db.prod.svc.clusterset.local. 5 IN A 10.244.0.1"],
                why="an endpoint of one cluster",
            ),
            *no_data(
                "db-0.east.db.prod.svc.clusterset.local.",
                "AAAA TXT",
                "an endpoint of one cluster",
                soa="clusterset.local.",
            ),
            Case(
                "db-0.west.db.prod.svc.clusterset.local.",
                "A",
                ["db-0.west.db.prod.svc.clusterset.local. 5 IN A 10.245.0.1"],
                why="a cluster's id in capitals is found",
            ),
            Case(
                "db-0.west.db.prod.svc.clusterset.local.",
                "SRV",
                [
                    "db-0.west.db.prod.svc.clusterset.local. 5 IN SRV 0 100 5432 db-0.West.db.prod.svc.clusterset.local.",
                ],
                additional=["db-0.West.db.prod.svc.clusterset.local. 5 IN A 10.245.0.1"],
                why="a cluster's id in capitals is found",
            ),
            *name_error(
                "db-0.north.db.prod.svc.clusterset.local.", "A", "no such cluster", soa="clusterset.local."
            ),
            *name_error(
                "nope.east.db.prod.svc.clusterset.local.", "A", "no such endpoint", soa="clusterset.local."
            ),
            Case(
                "10-244-0-2.east.db.prod.svc.clusterset.local.",
                "A",
                ["10-244-0-2.east.db.prod.svc.clusterset.local. 5 IN A 10.244.0.2"],
                why="an endpoint by address",
            ),
            *name_error(
                "db-0.db.prod.svc.clusterset.local.",
                "A SRV",
                "an endpoint without its cluster is a name error",
                soa="clusterset.local.",
            ),
            Case(
                "_pg._tcp.db.prod.svc.clusterset.local.",
                "SRV",
                [
                    "_pg._tcp.db.prod.svc.clusterset.local. 5 IN SRV 0 25 5432 10-244-0-2.West.db.prod.svc.clusterset.local.",
                    "_pg._tcp.db.prod.svc.clusterset.local. 5 IN SRV 0 25 5432 10-244-0-2.east.db.prod.svc.clusterset.local.",
                    "_pg._tcp.db.prod.svc.clusterset.local. 5 IN SRV 0 25 5432 db-0.West.db.prod.svc.clusterset.local.",
                    "_pg._tcp.db.prod.svc.clusterset.local. 5 IN SRV 0 25 5432 db-0.east.db.prod.svc.clusterset.local.",
                ],
                additional=[
                    "10-244-0-2.West.db.prod.svc.clusterset.local. 5 IN A 10.244.0.2",
                    "10-244-0-2.east.db.prod.svc.clusterset.local. 5 IN A 10.244.0.2",
                    "db-0.West.db.prod.svc.clusterset.local. 5 IN A 10.245.0.1",
                    "db-0.east.db.prod.svc.clusterset.local. 5 IN A 10.244.0.1",
                ],
                why="a port of every cluster",
            ),
            Case(
                "_pg._tcp.db.prod.svc.clusterset.local.",
                "A",
                [
                    "_pg._tcp.db.prod.svc.clusterset.local. 5 IN A 10.244.0.1",
                    "_pg._tcp.db.prod.svc.clusterset.local. 5 IN A 10.244.0.2",
                    "_pg._tcp.db.prod.svc.clusterset.local. 5 IN A 10.245.0.1",
                ],
                why="a port of every cluster",
            ),
            *name_error(
                "pg.tcp.db.prod.svc.clusterset.local.",
                "SRV",
                "not without underscores",
                soa="clusterset.local.",
            ),
            *name_error("_pg._udp.db.prod.svc.clusterset.local.", "SRV", "not over UDP", soa="clusterset.local."),
            *name_error(
                "none.prod.svc.clusterset.local.",
                "A SRV",
                "a headless import without endpoints",
                soa="clusterset.local.",
            ),
            *name_error("nope.prod.svc.clusterset.local.", "A TXT", "no such import", soa="clusterset.local."),
            *name_error(
                "local.prod.svc.clusterset.local.",
                "A",
                "the cluster's own services are not imports",
                soa="clusterset.local.",
            ),
            Case(
                "local.prod.svc.cluster.local.",
                "A",
                ["local.prod.svc.cluster.local. 5 IN A 10.96.0.1"],
                why="they are in their own zone",
            ),
            *name_error("web.prod.svc.cluster.local.", "A SRV", "imports are not in the cluster's own zone"),
            *no_data("prod.svc.clusterset.local.", "A", "a namespace in the clusterset", soa="clusterset.local."),
            *name_error(
                "prod.svc.clusterset.local.",
                "TXT",
                "a namespace in the clusterset",
                soa="clusterset.local.",
            ),
            *name_error("nope.svc.clusterset.local.", "A", "no namespace", soa="clusterset.local."),
            *no_data("clusterset.local.", "A", "the clusterset's apex", soa="clusterset.local."),
            Case(
                "clusterset.local.",
                "SOA",
                [
                    "clusterset.local. 5 IN SOA ns.dns.clusterset.local. hostmaster.clusterset.local. 1700000000 7200 1800 86400 5",
                ],
                why="the clusterset's apex",
            ),
            *no_data("clusterset.local.", "NS", "the clusterset's apex", soa="clusterset.local."),
            Case(
                "dns-version.clusterset.local.",
                "TXT",
                ['dns-version.clusterset.local. 28800 IN TXT "1.1.0"'],
                why="the version in the clusterset",
            ),
            *name_error("prod.pod.clusterset.local.", "A", "pods, disabled", soa="clusterset.local."),
            *name_error("a.b.c.db.prod.svc.clusterset.local.", "A", "too many labels", soa="clusterset.local."),
            *name_error("1.0.112.10.in-addr.arpa.", "PTR", "imports have no reverse names", soa="in-addr.arpa."),
            *no_data("web.prod.svc.clusterset.local.", "CNAME MX PTR", "no other types", soa="clusterset.local."),
        ],
    )
)

THEMES.append(
    Theme(
        "multicluster, ignore empty_service",
        Options(
            zones=["cluster.local.", "clusterset.local."],
            multicluster=["clusterset.local."],
            ignore_empty_service=True,
        ),
        OBJECTS,
        cases=[
            Case(
                "web.prod.svc.clusterset.local.",
                "A",
                ["web.prod.svc.clusterset.local. 5 IN A 10.112.0.1"],
                why="an import with endpoints",
            ),
            *name_error(
                "noports.prod.svc.clusterset.local.", "A", "without ports as ever", soa="clusterset.local."
            ),
            *name_error(
                "noips.prod.svc.clusterset.local.",
                "A",
                "without endpoints a name error",
                soa="clusterset.local.",
            ),
            Case(
                "db.prod.svc.clusterset.local.",
                "A",
                [
                    "db.prod.svc.clusterset.local. 5 IN A 10.244.0.1",
                    "db.prod.svc.clusterset.local. 5 IN A 10.244.0.2",
                    "db.prod.svc.clusterset.local. 5 IN A 10.245.0.1",
                ],
                why="headless as ever",
            ),
        ],
    )
)

THEMES.append(
    Theme(
        "multicluster, zonal",
        Options(zones=["cluster.local.", "clusterset.local."], multicluster=["clusterset.local."], zonal=True),
        OBJECTS,
        cases=[
            *name_error(
                "a.pin._zone.db.prod.svc.clusterset.local.",
                "A",
                "no zones of imports",
                soa="clusterset.local.",
            ),
            *name_error(
                "a.prefer._zone.db.prod.svc.clusterset.local.",
                "A",
                "nor preferred ones",
                soa="clusterset.local.",
            ),
        ],
    )
)
