"""Which namespaces and objects are exposed."""

# A record stays on one line.

from __future__ import annotations

from tests.plugins.kubernetes.support import Case, Options, Theme, name_error, no_data

THEMES: list[Theme] = []

OBJECTS = """
kind: Namespace
metadata: {name: prod, labels: {env: prod, team: a}}
---
kind: Namespace
metadata: {name: dev, labels: {env: dev}}
---
kind: Namespace
metadata: {name: bare}
---
kind: Service
metadata: {name: web, namespace: prod, labels: {tier: front}}
spec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1], ports: [{name: http, protocol: TCP, port: 80}]}
---
kind: Service
metadata: {name: web, namespace: dev}
spec: {clusterIP: 10.96.0.2, clusterIPs: [10.96.0.2], ports: [{name: http, protocol: TCP, port: 80}]}
---
kind: Service
metadata: {name: web, namespace: bare, labels: {tier: back}}
spec: {clusterIP: 10.96.0.3, clusterIPs: [10.96.0.3], ports: [{name: http, protocol: TCP, port: 80}]}
---
kind: Service
metadata: {name: web, namespace: gone}
spec: {clusterIP: 10.96.0.4, clusterIPs: [10.96.0.4], ports: [{name: http, protocol: TCP, port: 80}]}
---
kind: Service
metadata: {name: link, namespace: prod}
spec: {type: ExternalName, externalName: web.dev.svc.cluster.local}
---
kind: Service
metadata: {name: db, namespace: prod, labels: {tier: front}}
spec: {clusterIP: None, clusterIPs: [None], ports: [{name: pg, protocol: TCP, port: 5432}]}
---
kind: EndpointSlice
metadata: {name: db-1, namespace: prod, labels: {kubernetes.io/service-name: db, tier: front}}
addressType: IPv4
endpoints: [{addresses: [10.244.0.1]}]
ports: [{name: pg, protocol: TCP, port: 5432}]
---
kind: EndpointSlice
metadata: {name: db-2, namespace: prod, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
endpoints: [{addresses: [10.244.0.2]}]
ports: [{name: pg, protocol: TCP, port: 5432}]
"""

THEMES.append(
    Theme(
        "every namespace",
        Options(pods="insecure"),
        OBJECTS,
        cases=[
            *no_data("prod.svc.cluster.local.", "A", "a namespace: prod"),
            *no_data("dev.svc.cluster.local.", "A", "a namespace: dev"),
            *no_data("bare.svc.cluster.local.", "A", "a namespace: bare"),
            *name_error("gone.svc.cluster.local.", "A", "a namespace that is not there"),
            Case(
                "web.prod.svc.cluster.local.",
                "A",
                ["web.prod.svc.cluster.local. 5 IN A 10.96.0.1"],
                why="a service of prod",
            ),
            Case(
                "web.prod.svc.cluster.local.",
                "SRV",
                ["web.prod.svc.cluster.local. 5 IN SRV 0 100 80 web.prod.svc.cluster.local."],
                additional=["web.prod.svc.cluster.local. 5 IN A 10.96.0.1"],
                why="a service of prod",
            ),
            Case(
                "web.dev.svc.cluster.local.",
                "A",
                ["web.dev.svc.cluster.local. 5 IN A 10.96.0.2"],
                why="a service of dev",
            ),
            Case(
                "web.dev.svc.cluster.local.",
                "SRV",
                ["web.dev.svc.cluster.local. 5 IN SRV 0 100 80 web.dev.svc.cluster.local."],
                additional=["web.dev.svc.cluster.local. 5 IN A 10.96.0.2"],
                why="a service of dev",
            ),
            Case(
                "web.bare.svc.cluster.local.",
                "A",
                ["web.bare.svc.cluster.local. 5 IN A 10.96.0.3"],
                why="a service of bare",
            ),
            *name_error("web.gone.svc.cluster.local.", "A", "a service of a namespace that is not there"),
            Case(
                "link.prod.svc.cluster.local.",
                "A",
                [
                    "link.prod.svc.cluster.local. 5 IN CNAME web.dev.svc.cluster.local.",
                    "web.dev.svc.cluster.local. 5 IN A 10.96.0.2",
                ],
                why="an ExternalName from prod to dev",
            ),
            Case(
                "link.prod.svc.cluster.local.",
                "CNAME",
                ["link.prod.svc.cluster.local. 5 IN CNAME web.dev.svc.cluster.local."],
                why="an ExternalName from prod to dev",
            ),
            *no_data("prod.pod.cluster.local.", "A", "prod in the pod subtree"),
            *no_data("dev.pod.cluster.local.", "A", "dev in the pod subtree"),
            Case(
                "10-1-1-1.prod.pod.cluster.local.",
                "A",
                ["10-1-1-1.prod.pod.cluster.local. 5 IN A 10.1.1.1"],
                why="a pod of prod",
            ),
            Case(
                "10-1-1-1.dev.pod.cluster.local.",
                "A",
                ["10-1-1-1.dev.pod.cluster.local. 5 IN A 10.1.1.1"],
                why="a pod of dev",
            ),
            Case(
                "1.0.96.10.in-addr.arpa.",
                "PTR",
                ["1.0.96.10.in-addr.arpa. 5 IN PTR web.prod.svc.cluster.local."],
                why="PTR of prod",
            ),
            Case(
                "2.0.96.10.in-addr.arpa.",
                "PTR",
                ["2.0.96.10.in-addr.arpa. 5 IN PTR web.dev.svc.cluster.local."],
                why="PTR of dev",
            ),
            Case(
                "4.0.96.10.in-addr.arpa.",
                "PTR",
                ["4.0.96.10.in-addr.arpa. 5 IN PTR web.gone.svc.cluster.local."],
                why="PTR of a namespace that is not there",
            ),
            Case(
                "1.0.244.10.in-addr.arpa.",
                "PTR",
                ["1.0.244.10.in-addr.arpa. 5 IN PTR 10-244-0-1.db.prod.svc.cluster.local."],
                why="PTR of an endpoint",
            ),
            Case(
                "db.prod.svc.cluster.local.",
                "A",
                [
                    "db.prod.svc.cluster.local. 5 IN A 10.244.0.1",
                    "db.prod.svc.cluster.local. 5 IN A 10.244.0.2",
                ],
                why="a headless service of prod",
            ),
        ],
    )
)

THEMES.append(
    Theme(
        "namespaces prod",
        Options(pods="insecure", namespaces=["prod"]),
        OBJECTS,
        cases=[
            *no_data("prod.svc.cluster.local.", "A", "a namespace: prod"),
            *name_error("dev.svc.cluster.local.", "A", "a namespace: dev"),
            *name_error("bare.svc.cluster.local.", "A", "a namespace: bare"),
            *name_error("gone.svc.cluster.local.", "A", "a namespace that is not there"),
            Case(
                "web.prod.svc.cluster.local.",
                "A",
                ["web.prod.svc.cluster.local. 5 IN A 10.96.0.1"],
                why="a service of prod",
            ),
            Case(
                "web.prod.svc.cluster.local.",
                "SRV",
                ["web.prod.svc.cluster.local. 5 IN SRV 0 100 80 web.prod.svc.cluster.local."],
                additional=["web.prod.svc.cluster.local. 5 IN A 10.96.0.1"],
                why="a service of prod",
            ),
            *name_error("web.dev.svc.cluster.local.", "A SRV", "a service of dev"),
            *name_error("web.bare.svc.cluster.local.", "A", "a service of bare"),
            *name_error("web.gone.svc.cluster.local.", "A", "a service of a namespace that is not there"),
            *no_data("link.prod.svc.cluster.local.", "A", "an ExternalName from prod to dev"),
            Case(
                "link.prod.svc.cluster.local.",
                "CNAME",
                ["link.prod.svc.cluster.local. 5 IN CNAME web.dev.svc.cluster.local."],
                why="an ExternalName from prod to dev",
            ),
            *no_data("prod.pod.cluster.local.", "A", "prod in the pod subtree"),
            *name_error("dev.pod.cluster.local.", "A", "dev in the pod subtree"),
            Case(
                "10-1-1-1.prod.pod.cluster.local.",
                "A",
                ["10-1-1-1.prod.pod.cluster.local. 5 IN A 10.1.1.1"],
                why="a pod of prod",
            ),
            *name_error("10-1-1-1.dev.pod.cluster.local.", "A", "a pod of dev"),
            Case(
                "1.0.96.10.in-addr.arpa.",
                "PTR",
                ["1.0.96.10.in-addr.arpa. 5 IN PTR web.prod.svc.cluster.local."],
                why="PTR of prod",
            ),
            *name_error("2.0.96.10.in-addr.arpa.", "PTR", "PTR of dev", soa="in-addr.arpa."),
            *name_error(
                "4.0.96.10.in-addr.arpa.",
                "PTR",
                "PTR of a namespace that is not there",
                soa="in-addr.arpa.",
            ),
            Case(
                "1.0.244.10.in-addr.arpa.",
                "PTR",
                ["1.0.244.10.in-addr.arpa. 5 IN PTR 10-244-0-1.db.prod.svc.cluster.local."],
                why="PTR of an endpoint",
            ),
            Case(
                "db.prod.svc.cluster.local.",
                "A",
                [
                    "db.prod.svc.cluster.local. 5 IN A 10.244.0.1",
                    "db.prod.svc.cluster.local. 5 IN A 10.244.0.2",
                ],
                why="a headless service of prod",
            ),
        ],
    )
)

THEMES.append(
    Theme(
        "namespaces prod and gone",
        Options(pods="insecure", namespaces=["prod", "gone"]),
        OBJECTS,
        cases=[
            *no_data("prod.svc.cluster.local.", "A", "a namespace: prod"),
            *name_error("dev.svc.cluster.local.", "A", "a namespace: dev"),
            *name_error("bare.svc.cluster.local.", "A", "a namespace: bare"),
            *name_error("gone.svc.cluster.local.", "A", "a namespace that is not there"),
            Case(
                "web.prod.svc.cluster.local.",
                "A",
                ["web.prod.svc.cluster.local. 5 IN A 10.96.0.1"],
                why="a service of prod",
            ),
            Case(
                "web.prod.svc.cluster.local.",
                "SRV",
                ["web.prod.svc.cluster.local. 5 IN SRV 0 100 80 web.prod.svc.cluster.local."],
                additional=["web.prod.svc.cluster.local. 5 IN A 10.96.0.1"],
                why="a service of prod",
            ),
            *name_error("web.dev.svc.cluster.local.", "A SRV", "a service of dev"),
            *name_error("web.bare.svc.cluster.local.", "A", "a service of bare"),
            *name_error("web.gone.svc.cluster.local.", "A", "a service of a namespace that is not there"),
            *no_data("link.prod.svc.cluster.local.", "A", "an ExternalName from prod to dev"),
            Case(
                "link.prod.svc.cluster.local.",
                "CNAME",
                ["link.prod.svc.cluster.local. 5 IN CNAME web.dev.svc.cluster.local."],
                why="an ExternalName from prod to dev",
            ),
            Case(
                "1.0.96.10.in-addr.arpa.",
                "PTR",
                ["1.0.96.10.in-addr.arpa. 5 IN PTR web.prod.svc.cluster.local."],
                why="PTR of prod",
            ),
            *name_error("2.0.96.10.in-addr.arpa.", "PTR", "PTR of dev", soa="in-addr.arpa."),
            *name_error(
                "4.0.96.10.in-addr.arpa.",
                "PTR",
                "PTR of a namespace that is not there",
                soa="in-addr.arpa.",
            ),
            Case(
                "1.0.244.10.in-addr.arpa.",
                "PTR",
                ["1.0.244.10.in-addr.arpa. 5 IN PTR 10-244-0-1.db.prod.svc.cluster.local."],
                why="PTR of an endpoint",
            ),
        ],
    )
)

THEMES.append(
    Theme(
        "namespace_labels env=dev",
        Options(pods="insecure", namespace_labels="env=dev"),
        OBJECTS,
        cases=[
            *name_error("prod.svc.cluster.local.", "A", "a namespace: prod"),
            *no_data("dev.svc.cluster.local.", "A", "a namespace: dev"),
            *name_error("bare.svc.cluster.local.", "A", "a namespace: bare"),
            *name_error("gone.svc.cluster.local.", "A", "a namespace that is not there"),
            *name_error("web.prod.svc.cluster.local.", "A SRV", "a service of prod"),
            Case(
                "web.dev.svc.cluster.local.",
                "A",
                ["web.dev.svc.cluster.local. 5 IN A 10.96.0.2"],
                why="a service of dev",
            ),
            Case(
                "web.dev.svc.cluster.local.",
                "SRV",
                ["web.dev.svc.cluster.local. 5 IN SRV 0 100 80 web.dev.svc.cluster.local."],
                additional=["web.dev.svc.cluster.local. 5 IN A 10.96.0.2"],
                why="a service of dev",
            ),
            *name_error("web.bare.svc.cluster.local.", "A", "a service of bare"),
            *name_error("web.gone.svc.cluster.local.", "A", "a service of a namespace that is not there"),
            *name_error("link.prod.svc.cluster.local.", "A CNAME", "an ExternalName from prod to dev"),
            *name_error("prod.pod.cluster.local.", "A", "prod in the pod subtree"),
            *no_data("dev.pod.cluster.local.", "A", "dev in the pod subtree"),
            *name_error("10-1-1-1.prod.pod.cluster.local.", "A", "a pod of prod"),
            Case(
                "10-1-1-1.dev.pod.cluster.local.",
                "A",
                ["10-1-1-1.dev.pod.cluster.local. 5 IN A 10.1.1.1"],
                why="a pod of dev",
            ),
            Case(
                "1.0.96.10.in-addr.arpa.",
                "PTR",
                ["1.0.96.10.in-addr.arpa. 5 IN PTR web.prod.svc.cluster.local."],
                why="PTR of prod",
            ),
            Case(
                "2.0.96.10.in-addr.arpa.",
                "PTR",
                ["2.0.96.10.in-addr.arpa. 5 IN PTR web.dev.svc.cluster.local."],
                why="PTR of dev",
            ),
            Case(
                "4.0.96.10.in-addr.arpa.",
                "PTR",
                ["4.0.96.10.in-addr.arpa. 5 IN PTR web.gone.svc.cluster.local."],
                why="PTR of a namespace that is not there",
            ),
            Case(
                "1.0.244.10.in-addr.arpa.",
                "PTR",
                ["1.0.244.10.in-addr.arpa. 5 IN PTR 10-244-0-1.db.prod.svc.cluster.local."],
                why="PTR of an endpoint",
            ),
            *name_error("db.prod.svc.cluster.local.", "A", "a headless service of prod"),
        ],
    )
)

THEMES.append(
    Theme(
        "namespace_labels env",
        Options(pods="insecure", namespace_labels="env"),
        OBJECTS,
        cases=[
            *no_data("prod.svc.cluster.local.", "A", "a namespace: prod"),
            *no_data("dev.svc.cluster.local.", "A", "a namespace: dev"),
            *name_error("bare.svc.cluster.local.", "A", "a namespace: bare"),
            *name_error("gone.svc.cluster.local.", "A", "a namespace that is not there"),
            Case(
                "web.prod.svc.cluster.local.",
                "A",
                ["web.prod.svc.cluster.local. 5 IN A 10.96.0.1"],
                why="a service of prod",
            ),
            Case(
                "web.prod.svc.cluster.local.",
                "SRV",
                ["web.prod.svc.cluster.local. 5 IN SRV 0 100 80 web.prod.svc.cluster.local."],
                additional=["web.prod.svc.cluster.local. 5 IN A 10.96.0.1"],
                why="a service of prod",
            ),
            Case(
                "web.dev.svc.cluster.local.",
                "A",
                ["web.dev.svc.cluster.local. 5 IN A 10.96.0.2"],
                why="a service of dev",
            ),
            Case(
                "web.dev.svc.cluster.local.",
                "SRV",
                ["web.dev.svc.cluster.local. 5 IN SRV 0 100 80 web.dev.svc.cluster.local."],
                additional=["web.dev.svc.cluster.local. 5 IN A 10.96.0.2"],
                why="a service of dev",
            ),
            *name_error("web.bare.svc.cluster.local.", "A", "a service of bare"),
            *name_error("web.gone.svc.cluster.local.", "A", "a service of a namespace that is not there"),
        ],
    )
)

THEMES.append(
    Theme(
        "labels tier=front",
        Options(pods="insecure", labels="tier=front"),
        OBJECTS,
        cases=[
            *no_data("prod.svc.cluster.local.", "A", "a namespace: prod"),
            *no_data("dev.svc.cluster.local.", "A", "a namespace: dev"),
            *no_data("bare.svc.cluster.local.", "A", "a namespace: bare"),
            *name_error("gone.svc.cluster.local.", "A", "a namespace that is not there"),
            Case(
                "web.prod.svc.cluster.local.",
                "A",
                ["web.prod.svc.cluster.local. 5 IN A 10.96.0.1"],
                why="a service of prod",
            ),
            Case(
                "web.prod.svc.cluster.local.",
                "SRV",
                ["web.prod.svc.cluster.local. 5 IN SRV 0 100 80 web.prod.svc.cluster.local."],
                additional=["web.prod.svc.cluster.local. 5 IN A 10.96.0.1"],
                why="a service of prod",
            ),
            *name_error("web.dev.svc.cluster.local.", "A SRV", "a service of dev"),
            *name_error("web.bare.svc.cluster.local.", "A", "a service of bare"),
            *name_error("web.gone.svc.cluster.local.", "A", "a service of a namespace that is not there"),
            *name_error("link.prod.svc.cluster.local.", "A CNAME", "an ExternalName from prod to dev"),
            Case(
                "db.prod.svc.cluster.local.",
                "A",
                ["db.prod.svc.cluster.local. 5 IN A 10.244.0.1"],
                why="a headless service of prod",
            ),
        ],
    )
)

THEMES.append(
    Theme(
        "labels tier notin (front)",
        Options(labels="tier notin (front)"),
        OBJECTS,
        cases=[
            *no_data("prod.svc.cluster.local.", "A", "a namespace: prod"),
            *no_data("dev.svc.cluster.local.", "A", "a namespace: dev"),
            *no_data("bare.svc.cluster.local.", "A", "a namespace: bare"),
            *name_error("gone.svc.cluster.local.", "A", "a namespace that is not there"),
            *name_error("web.prod.svc.cluster.local.", "A SRV", "a service of prod"),
            Case(
                "web.dev.svc.cluster.local.",
                "A",
                ["web.dev.svc.cluster.local. 5 IN A 10.96.0.2"],
                why="a service of dev",
            ),
            Case(
                "web.dev.svc.cluster.local.",
                "SRV",
                ["web.dev.svc.cluster.local. 5 IN SRV 0 100 80 web.dev.svc.cluster.local."],
                additional=["web.dev.svc.cluster.local. 5 IN A 10.96.0.2"],
                why="a service of dev",
            ),
            Case(
                "web.bare.svc.cluster.local.",
                "A",
                ["web.bare.svc.cluster.local. 5 IN A 10.96.0.3"],
                why="a service of bare",
            ),
            *name_error("web.gone.svc.cluster.local.", "A", "a service of a namespace that is not there"),
            Case(
                "link.prod.svc.cluster.local.",
                "A",
                [
                    "link.prod.svc.cluster.local. 5 IN CNAME web.dev.svc.cluster.local.",
                    "web.dev.svc.cluster.local. 5 IN A 10.96.0.2",
                ],
                why="an ExternalName from prod to dev",
            ),
            Case(
                "link.prod.svc.cluster.local.",
                "CNAME",
                ["link.prod.svc.cluster.local. 5 IN CNAME web.dev.svc.cluster.local."],
                why="an ExternalName from prod to dev",
            ),
            *name_error("db.prod.svc.cluster.local.", "A", "a headless service of prod"),
        ],
    )
)
