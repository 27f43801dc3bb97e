"""Names are compared without case; the reply keeps the question's."""

# A record stays on one line.
# ruff: noqa: E501

from __future__ import annotations

from tests.plugins.kubernetes.support import Case, Options, Theme, name_error, no_data

THEMES: list[Theme] = []

OBJECTS = """
kind: Namespace
metadata: {name: prod}
---
kind: Service
metadata: {name: web, namespace: prod}
spec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1], ports: [{name: HTTP, protocol: TCP, port: 80}]}
---
kind: Service
metadata: {name: db, namespace: prod}
spec: {clusterIP: None, clusterIPs: [None], ports: [{name: pg, protocol: TCP, port: 5432}]}
---
kind: Service
metadata: {name: link, namespace: prod}
spec: {type: ExternalName, externalName: web.prod.svc.cluster.local}
---
kind: Service
metadata: {name: out, namespace: prod}
spec: {type: ExternalName, externalName: Host.Nowhere.Example}
---
kind: EndpointSlice
metadata: {name: db-1, namespace: prod, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
endpoints: [{addresses: [10.244.0.1], hostname: Db-0}]
ports: [{name: Pg, protocol: TCP, port: 5432}]
"""

THEMES.append(
    Theme(
        "mixed case",
        Options(pods="insecure", local=["10.99.0.1"]),
        OBJECTS,
        cases=[
            Case(
                "WEB.PROD.SVC.CLUSTER.LOCAL.",
                "A",
                ["WEB.PROD.SVC.CLUSTER.LOCAL. 5 IN A 10.96.0.1"],
                why="all capitals: owners keep the question's case",
            ),
            *no_data(
                "WEB.PROD.SVC.CLUSTER.LOCAL.",
                "AAAA",
                "all capitals: owners keep the question's case",
                soa="CLUSTER.LOCAL.",
            ),
            Case(
                "WEB.PROD.SVC.CLUSTER.LOCAL.",
                "SRV",
                ["WEB.PROD.SVC.CLUSTER.LOCAL. 5 IN SRV 0 100 80 web.prod.svc.CLUSTER.LOCAL."],
                additional=["web.prod.svc.CLUSTER.LOCAL. 5 IN A 10.96.0.1"],
                why="all capitals: owners keep the question's case",
            ),
            *no_data(
                "WEB.PROD.SVC.CLUSTER.LOCAL.",
                "TXT",
                "all capitals: owners keep the question's case",
                soa="CLUSTER.LOCAL.",
            ),
            Case(
                "wEb.pRod.Svc.cluSter.loCal.",
                "A",
                ["wEb.pRod.Svc.cluSter.loCal. 5 IN A 10.96.0.1"],
                why="case kept in the zone, lowered in what the cluster names",
            ),
            Case(
                "wEb.pRod.Svc.cluSter.loCal.",
                "SRV",
                ["wEb.pRod.Svc.cluSter.loCal. 5 IN SRV 0 100 80 web.prod.svc.cluSter.loCal."],
                additional=["web.prod.svc.cluSter.loCal. 5 IN A 10.96.0.1"],
                why="case kept in the zone, lowered in what the cluster names",
            ),
            Case(
                "_hTTp._TCP.web.prod.svc.cluster.local.",
                "SRV",
                ["_hTTp._TCP.web.prod.svc.cluster.local. 5 IN SRV 0 100 80 web.prod.svc.cluster.local."],
                additional=["web.prod.svc.cluster.local. 5 IN A 10.96.0.1"],
                why="ports and protocols",
            ),
            Case(
                "_hTTp._TCP.web.prod.svc.cluster.local.",
                "A",
                ["_hTTp._TCP.web.prod.svc.cluster.local. 5 IN A 10.96.0.1"],
                why="ports and protocols",
            ),
            Case(
                "_http._tcp.web.prod.svc.cluster.local.",
                "SRV",
                ["_http._tcp.web.prod.svc.cluster.local. 5 IN SRV 0 100 80 web.prod.svc.cluster.local."],
                additional=["web.prod.svc.cluster.local. 5 IN A 10.96.0.1"],
                why="a port's name stored in capitals",
            ),
            Case(
                "_PG._tcp.db.prod.svc.cluster.local.",
                "SRV",
                ["_PG._tcp.db.prod.svc.cluster.local. 5 IN SRV 0 100 5432 Db-0.db.prod.svc.cluster.local."],
                additional=["Db-0.db.prod.svc.cluster.local. 5 IN A 10.244.0.1"],
                why="a slice's port stored in capitals",
            ),
            Case(
                "DB-0.db.prod.svc.cluster.local.",
                "A",
                ["DB-0.db.prod.svc.cluster.local. 5 IN A 10.244.0.1"],
                why="an endpoint",
            ),
            Case(
                "DB-0.db.prod.svc.cluster.local.",
                "SRV",
                ["DB-0.db.prod.svc.cluster.local. 5 IN SRV 0 100 5432 Db-0.db.prod.svc.cluster.local."],
                additional=["Db-0.db.prod.svc.cluster.local. 5 IN A 10.244.0.1"],
                why="an endpoint",
            ),
            Case(
                "db.PROD.svc.cluster.local.",
                "SRV",
                ["db.PROD.svc.cluster.local. 5 IN SRV 0 100 5432 Db-0.db.prod.svc.cluster.local."],
                additional=["Db-0.db.prod.svc.cluster.local. 5 IN A 10.244.0.1"],
                why="the stored spelling of the endpoint in the target",
            ),
            *name_error(
                "nope.Prod.Svc.Cluster.Local.",
                "A",
                "the SOA's owner and names are as asked",
                soa="Cluster.Local.",
            ),
            Case(
                "Cluster.Local.",
                "SOA",
                [
                    "Cluster.Local. 5 IN SOA ns.dns.Cluster.Local. hostmaster.Cluster.Local. 1700000000 7200 1800 86400 5",
                ],
                why="the apex, as asked",
            ),
            *no_data("Svc.Cluster.Local.", "A", "the svc subtree", soa="Cluster.Local."),
            Case(
                "DNS-VERSION.cluster.local.",
                "TXT",
                ['DNS-VERSION.cluster.local. 28800 IN TXT "1.1.0"'],
                why="the version",
            ),
            Case(
                "LINK.prod.svc.CLUSTER.local.",
                "A",
                [
                    "LINK.prod.svc.CLUSTER.local. 5 IN CNAME web.prod.svc.cluster.local.",
                    "web.prod.svc.cluster.local. 5 IN A 10.96.0.1",
                ],
                why="a CNAME's owner as asked, target as stored",
            ),
            Case(
                "LINK.prod.svc.CLUSTER.local.",
                "CNAME",
                ["LINK.prod.svc.CLUSTER.local. 5 IN CNAME web.prod.svc.cluster.local."],
                why="a CNAME's owner as asked, target as stored",
            ),
            Case(
                "OUT.prod.svc.cluster.local.",
                "A",
                ["OUT.prod.svc.cluster.local. 5 IN CNAME Host.Nowhere.Example."],
                why="a target keeps its case",
            ),
            Case(
                "OUT.prod.svc.cluster.local.",
                "CNAME",
                ["OUT.prod.svc.cluster.local. 5 IN CNAME Host.Nowhere.Example."],
                why="a target keeps its case",
            ),
            Case(
                "1.0.96.10.IN-ADDR.ARPA.",
                "PTR",
                ["1.0.96.10.IN-ADDR.ARPA. 5 IN PTR web.prod.svc.cluster.local."],
                why="a reverse name",
            ),
            Case(
                "1.0.244.10.In-Addr.Arpa.",
                "PTR",
                ["1.0.244.10.In-Addr.Arpa. 5 IN PTR Db-0.db.prod.svc.cluster.local."],
                why="an endpoint's reverse name shows the stored spelling",
            ),
            Case(
                "10-0-0-1.PROD.POD.Cluster.Local.",
                "A",
                ["10-0-0-1.PROD.POD.Cluster.Local. 5 IN A 10.0.0.1"],
                why="a pod",
            ),
            Case(
                "10-0-0-1.PROD.POD.Cluster.Local.",
                "SRV",
                ["10-0-0-1.PROD.POD.Cluster.Local. 5 IN SRV 0 100 0 10-0-0-1.prod.pod.Cluster.Local."],
                additional=["10-0-0-1.prod.pod.Cluster.Local. 5 IN A 10.0.0.1"],
                why="a pod",
            ),
            Case(
                "FD00--1.prod.pod.cluster.local.",
                "AAAA",
                ["FD00--1.prod.pod.cluster.local. 5 IN AAAA fd00::1"],
                why="hexadecimal digits",
            ),
            Case(
                "CLUSTER.local.",
                "NS",
                ["CLUSTER.local. 5 IN NS ns.dns.CLUSTER.local."],
                additional=["ns.dns.CLUSTER.local. 5 IN A 10.99.0.1"],
                why="the nameservers of an apex in capitals",
                coredns="NODATA: it compares the zone's labels with case",
            ),
            Case(
                "ns.dns.CLUSTER.local.",
                "A",
                ["ns.dns.CLUSTER.local. 5 IN A 10.99.0.1"],
                why="the nameserver's name in capitals",
                coredns="NXDOMAIN: it compares the zone's labels with case",
            ),
        ],
    )
)
