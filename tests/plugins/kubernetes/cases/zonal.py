"""Names of one topology zone."""

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
metadata: {name: db, namespace: prod}
spec: {clusterIP: None, clusterIPs: [None], ports: [{name: pg, protocol: TCP, port: 5432}]}
---
kind: Service
metadata: {name: web, namespace: prod}
spec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1], ports: [{name: http, protocol: TCP, port: 80}]}
---
kind: Service
metadata: {name: none, namespace: prod}
spec: {clusterIP: None, clusterIPs: [None], ports: [{name: pg, protocol: TCP, port: 5432}]}
---
kind: Service
metadata: {name: link, namespace: prod}
spec: {type: ExternalName, externalName: db.prod.svc.cluster.local}
---
kind: EndpointSlice
metadata: {name: db-1, namespace: prod, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
endpoints:
- {addresses: [10.244.0.1], hostname: db-0, zone: eu-1a}
- {addresses: [10.244.0.2], zone: EU-1b}
- {addresses: [10.244.0.3], zone: rack.7.hall-2}
- {addresses: [10.244.0.4]}
- {addresses: [10.244.0.5], zone: eu-1c, conditions: {ready: false}}
ports: [{name: pg, protocol: TCP, port: 5432}]
---
kind: EndpointSlice
metadata: {name: db-2, namespace: prod, labels: {kubernetes.io/service-name: db}}
addressType: IPv6
endpoints: [{addresses: ["fd00:244::1"], hostname: db-0, zone: eu-1a}]
ports: [{name: pg, protocol: TCP, port: 5432}]
---
kind: EndpointSlice
metadata: {name: web-1, namespace: prod, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [10.244.1.1], zone: eu-1a}]
ports: [{name: http, protocol: TCP, port: 80}]
"""

THEMES.append(
    Theme(
        "zonal",
        Options(zonal=True, pods="insecure"),
        OBJECTS,
        cases=[
            Case(
                "eu-1a.pin._zone.db.prod.svc.cluster.local.",
                "A",
                ["eu-1a.pin._zone.db.prod.svc.cluster.local. 5 IN A 10.244.0.1"],
                why="endpoints of one zone",
            ),
            Case(
                "eu-1a.pin._zone.db.prod.svc.cluster.local.",
                "AAAA",
                ["eu-1a.pin._zone.db.prod.svc.cluster.local. 5 IN AAAA fd00:244::1"],
                why="endpoints of one zone",
            ),
            Case(
                "eu-1a.pin._zone.db.prod.svc.cluster.local.",
                "SRV",
                [
                    "eu-1a.pin._zone.db.prod.svc.cluster.local. 5 IN SRV 0 50 5432 db-0.db.prod.svc.cluster.local.",
                ],
                additional=[
                    "db-0.db.prod.svc.cluster.local. 5 IN A 10.244.0.1",
                    "db-0.db.prod.svc.cluster.local. 5 IN AAAA fd00:244::1",
                ],
                why="endpoints of one zone",
            ),
            *no_data("eu-1a.pin._zone.db.prod.svc.cluster.local.", "TXT MX HTTPS", "endpoints of one zone"),
            Case(
                "eu-1b.pin._zone.db.prod.svc.cluster.local.",
                "A",
                ["eu-1b.pin._zone.db.prod.svc.cluster.local. 5 IN A 10.244.0.2"],
                why="a zone stored in capitals; AAAA empty",
            ),
            *no_data("eu-1b.pin._zone.db.prod.svc.cluster.local.", "AAAA", "a zone stored in capitals; AAAA empty"),
            Case(
                "eu-1b.pin._zone.db.prod.svc.cluster.local.",
                "SRV",
                [
                    "eu-1b.pin._zone.db.prod.svc.cluster.local. 5 IN SRV 0 100 5432 10-244-0-2.db.prod.svc.cluster.local.",
                ],
                additional=["10-244-0-2.db.prod.svc.cluster.local. 5 IN A 10.244.0.2"],
                why="a zone stored in capitals; AAAA empty",
            ),
            Case(
                "EU-1A.PIN._ZONE.db.prod.svc.cluster.local.",
                "A",
                ["EU-1A.PIN._ZONE.db.prod.svc.cluster.local. 5 IN A 10.244.0.1"],
                why="asked in capitals",
            ),
            Case(
                "rack.7.hall-2.pin._zone.db.prod.svc.cluster.local.",
                "A",
                ["rack.7.hall-2.pin._zone.db.prod.svc.cluster.local. 5 IN A 10.244.0.3"],
                why="a zone with dots",
            ),
            Case(
                "rack.7.hall-2.pin._zone.db.prod.svc.cluster.local.",
                "SRV",
                [
                    "rack.7.hall-2.pin._zone.db.prod.svc.cluster.local. 5 IN SRV 0 100 5432 10-244-0-3.db.prod.svc.cluster.local.",
                ],
                additional=["10-244-0-3.db.prod.svc.cluster.local. 5 IN A 10.244.0.3"],
                why="a zone with dots",
            ),
            *no_data("7.hall-2.pin._zone.db.prod.svc.cluster.local.", "A", "part of a zone is another zone"),
            *no_data(
                "nowhere.pin._zone.db.prod.svc.cluster.local.",
                "A AAAA SRV TXT MX HTTPS CNAME",
                "a pinned zone without endpoints is empty for every type",
            ),
            *no_data("eu-1c.pin._zone.db.prod.svc.cluster.local.", "A", "a zone whose endpoints are unready"),
            Case(
                "eu-1a.prefer._zone.db.prod.svc.cluster.local.",
                "A",
                ["eu-1a.prefer._zone.db.prod.svc.cluster.local. 5 IN A 10.244.0.1"],
                why="a preferred zone with endpoints",
            ),
            Case(
                "eu-1a.prefer._zone.db.prod.svc.cluster.local.",
                "SRV",
                [
                    "eu-1a.prefer._zone.db.prod.svc.cluster.local. 5 IN SRV 0 50 5432 db-0.db.prod.svc.cluster.local.",
                ],
                additional=[
                    "db-0.db.prod.svc.cluster.local. 5 IN A 10.244.0.1",
                    "db-0.db.prod.svc.cluster.local. 5 IN AAAA fd00:244::1",
                ],
                why="a preferred zone with endpoints",
            ),
            Case(
                "nowhere.prefer._zone.db.prod.svc.cluster.local.",
                "A",
                [
                    "nowhere.prefer._zone.db.prod.svc.cluster.local. 5 IN A 10.244.0.1",
                    "nowhere.prefer._zone.db.prod.svc.cluster.local. 5 IN A 10.244.0.2",
                    "nowhere.prefer._zone.db.prod.svc.cluster.local. 5 IN A 10.244.0.3",
                    "nowhere.prefer._zone.db.prod.svc.cluster.local. 5 IN A 10.244.0.4",
                ],
                why="a preferred zone without: every endpoint",
            ),
            Case(
                "nowhere.prefer._zone.db.prod.svc.cluster.local.",
                "AAAA",
                ["nowhere.prefer._zone.db.prod.svc.cluster.local. 5 IN AAAA fd00:244::1"],
                why="a preferred zone without: every endpoint",
            ),
            Case(
                "nowhere.prefer._zone.db.prod.svc.cluster.local.",
                "SRV",
                [
                    "nowhere.prefer._zone.db.prod.svc.cluster.local. 5 IN SRV 0 20 5432 10-244-0-2.db.prod.svc.cluster.local.",
                    "nowhere.prefer._zone.db.prod.svc.cluster.local. 5 IN SRV 0 20 5432 10-244-0-3.db.prod.svc.cluster.local.",
                    "nowhere.prefer._zone.db.prod.svc.cluster.local. 5 IN SRV 0 20 5432 10-244-0-4.db.prod.svc.cluster.local.",
                    "nowhere.prefer._zone.db.prod.svc.cluster.local. 5 IN SRV 0 20 5432 db-0.db.prod.svc.cluster.local.",
                ],
                additional=[
                    "10-244-0-2.db.prod.svc.cluster.local. 5 IN A 10.244.0.2",
                    "10-244-0-3.db.prod.svc.cluster.local. 5 IN A 10.244.0.3",
                    "10-244-0-4.db.prod.svc.cluster.local. 5 IN A 10.244.0.4",
                    "db-0.db.prod.svc.cluster.local. 5 IN A 10.244.0.1",
                    "db-0.db.prod.svc.cluster.local. 5 IN AAAA fd00:244::1",
                ],
                why="a preferred zone without: every endpoint",
            ),
            *no_data(
                "nowhere.prefer._zone.db.prod.svc.cluster.local.",
                "TXT",
                "a preferred zone without: every endpoint",
            ),
            *no_data(
                "eu-1b.prefer._zone.db.prod.svc.cluster.local.",
                "AAAA",
                "a preferred zone without this family is not empty",
            ),
            *name_error("eu-1a.only._zone.db.prod.svc.cluster.local.", "A TXT", "no such directive"),
            *name_error("pin._zone.db.prod.svc.cluster.local.", "A", "no zone: a port named pin"),
            *name_error("_zone.db.prod.svc.cluster.local.", "A", "an endpoint named _zone"),
            *name_error("eu-1a.pin.zone.db.prod.svc.cluster.local.", "A", "the underscore is not optional"),
            *name_error("eu-1a.pin._zone.web.prod.svc.cluster.local.", "A TXT", "not for ClusterIP services"),
            *name_error("eu-1a.pin._zone.link.prod.svc.cluster.local.", "A", "not for ExternalName"),
            *name_error("eu-1a.pin._zone.nope.prod.svc.cluster.local.", "A TXT", "no such service"),
            *no_data(
                "eu-1a.pin._zone.none.prod.svc.cluster.local.",
                "A TXT SRV",
                "a headless service without endpoints: the name exists",
            ),
            *no_data("eu-1a.prefer._zone.none.prod.svc.cluster.local.", "A", "preferred likewise"),
            *name_error("none.prod.svc.cluster.local.", "A", "the service itself is a name error"),
            *name_error("eu-1a.pin._zone.db.nope.svc.cluster.local.", "A", "no such namespace"),
            *name_error("eu-1a.pin._zone.10-0-0-1.prod.pod.cluster.local.", "A", "not in the pod subtree"),
            Case(
                "db.prod.svc.cluster.local.",
                "A",
                [
                    "db.prod.svc.cluster.local. 5 IN A 10.244.0.1",
                    "db.prod.svc.cluster.local. 5 IN A 10.244.0.2",
                    "db.prod.svc.cluster.local. 5 IN A 10.244.0.3",
                    "db.prod.svc.cluster.local. 5 IN A 10.244.0.4",
                ],
                why="the service is answered from every zone",
            ),
            Case(
                "db-0.db.prod.svc.cluster.local.",
                "A",
                ["db-0.db.prod.svc.cluster.local. 5 IN A 10.244.0.1"],
                why="so are its endpoints",
            ),
            *no_data("db-0.eu-1a.pin._zone.db.prod.svc.cluster.local.", "A", "no endpoint of a zone"),
        ],
    )
)

THEMES.append(
    Theme(
        "not zonal",
        Options(),
        OBJECTS,
        cases=[
            *name_error(
                "eu-1a.pin._zone.db.prod.svc.cluster.local.",
                "A AAAA SRV TXT MX HTTPS",
                "endpoints of one zone",
            ),
            *name_error(
                "eu-1a.prefer._zone.db.prod.svc.cluster.local.", "A SRV", "a preferred zone with endpoints"
            ),
        ],
    )
)
