"""Endpoints of headless services: named by their pods, or not watched at all."""

# A record stays on one line.
# ruff: noqa: E501

from __future__ import annotations

from tests.plugins.kubernetes.cases.headless import OBJECTS
from tests.plugins.kubernetes.support import Case, Options, Theme, name_error, no_data

THEMES: list[Theme] = []

THEMES.append(
    Theme(
        "endpoint_pod_names",
        Options(endpoint_pod_names=True),
        OBJECTS,
        cases=[
            Case(
                "pods.prod.svc.cluster.local.",
                "A",
                [
                    "pods.prod.svc.cluster.local. 5 IN A 10.244.10.1",
                    "pods.prod.svc.cluster.local. 5 IN A 10.244.10.2",
                    "pods.prod.svc.cluster.local. 5 IN A 10.244.10.3",
                    "pods.prod.svc.cluster.local. 5 IN A 10.244.10.4",
                    "pods.prod.svc.cluster.local. 5 IN A 10.244.10.5",
                ],
                why="names: hostname, then pod name under 64 bytes, then address",
            ),
            Case(
                "pods.prod.svc.cluster.local.",
                "SRV",
                [
                    "pods.prod.svc.cluster.local. 5 IN SRV 0 20 8080 10-244-10-3.pods.prod.svc.cluster.local.",
                    "pods.prod.svc.cluster.local. 5 IN SRV 0 20 8080 10-244-10-5.pods.prod.svc.cluster.local.",
                    "pods.prod.svc.cluster.local. 5 IN SRV 0 20 8080 named.pods.prod.svc.cluster.local.",
                    "pods.prod.svc.cluster.local. 5 IN SRV 0 20 8080 pods-abc.pods.prod.svc.cluster.local.",
                    "pods.prod.svc.cluster.local. 5 IN SRV 0 20 8080 ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp.pods.prod.svc.cluster.local.",
                ],
                additional=[
                    "10-244-10-3.pods.prod.svc.cluster.local. 5 IN A 10.244.10.3",
                    "10-244-10-5.pods.prod.svc.cluster.local. 5 IN A 10.244.10.5",
                    "named.pods.prod.svc.cluster.local. 5 IN A 10.244.10.2",
                    "pods-abc.pods.prod.svc.cluster.local. 5 IN A 10.244.10.1",
                    "ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp.pods.prod.svc.cluster.local. 5 IN A 10.244.10.4",
                ],
                why="names: hostname, then pod name under 64 bytes, then address",
            ),
            Case(
                "pods-abc.pods.prod.svc.cluster.local.",
                "A",
                ["pods-abc.pods.prod.svc.cluster.local. 5 IN A 10.244.10.1"],
                why="a pod's name",
            ),
            *no_data("pods-abc.pods.prod.svc.cluster.local.", "AAAA", "a pod's name"),
            Case(
                "pods-abc.pods.prod.svc.cluster.local.",
                "SRV",
                [
                    "pods-abc.pods.prod.svc.cluster.local. 5 IN SRV 0 100 8080 pods-abc.pods.prod.svc.cluster.local.",
                ],
                additional=["pods-abc.pods.prod.svc.cluster.local. 5 IN A 10.244.10.1"],
                why="a pod's name",
            ),
            *no_data("pods-abc.pods.prod.svc.cluster.local.", "TXT", "a pod's name"),
            Case(
                "named.pods.prod.svc.cluster.local.",
                "A",
                ["named.pods.prod.svc.cluster.local. 5 IN A 10.244.10.2"],
                why="a hostname comes before the pod's name",
            ),
            *name_error("pods-def.pods.prod.svc.cluster.local.", "A", "the pod's name is not a second name"),
            *name_error("10-244-10-1.pods.prod.svc.cluster.local.", "A", "nor is the address"),
            Case(
                "10-244-10-3.pods.prod.svc.cluster.local.",
                "A",
                ["10-244-10-3.pods.prod.svc.cluster.local. 5 IN A 10.244.10.3"],
                why="a pod's name of 64 bytes is no label: the address is",
            ),
            Case(
                "ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp.pods.prod.svc.cluster.local.",
                "A",
                [
                    "ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp.pods.prod.svc.cluster.local. 5 IN A 10.244.10.4",
                ],
                why="a pod's name of 63 bytes",
            ),
            Case(
                "ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp.pods.prod.svc.cluster.local.",
                "SRV",
                [
                    "ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp.pods.prod.svc.cluster.local. 5 IN SRV 0 100 8080 ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp.pods.prod.svc.cluster.local.",
                ],
                additional=[
                    "ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp.pods.prod.svc.cluster.local. 5 IN A 10.244.10.4",
                ],
                why="a pod's name of 63 bytes",
            ),
            Case(
                "10-244-10-5.pods.prod.svc.cluster.local.",
                "A",
                ["10-244-10-5.pods.prod.svc.cluster.local. 5 IN A 10.244.10.5"],
                why="an endpoint without a pod",
            ),
            Case(
                "db-0.db.prod.svc.cluster.local.",
                "A",
                ["db-0.db.prod.svc.cluster.local. 5 IN A 10.244.0.1"],
                why="hostnames as ever",
            ),
            *name_error("db-0-pod.db.prod.svc.cluster.local.", "A", "a pod with a hostname"),
            Case(
                "1.10.244.10.in-addr.arpa.",
                "PTR",
                ["1.10.244.10.in-addr.arpa. 5 IN PTR pods-abc.pods.prod.svc.cluster.local."],
                why="PTR records use the pod's name",
            ),
            Case(
                "3.10.244.10.in-addr.arpa.",
                "PTR",
                ["3.10.244.10.in-addr.arpa. 5 IN PTR 10-244-10-3.pods.prod.svc.cluster.local."],
                why="and the address where it is too long",
            ),
        ],
    )
)

THEMES.append(
    Theme(
        "noendpoints",
        Options(noendpoints=True),
        OBJECTS,
        cases=[
            *name_error(
                "db.prod.svc.cluster.local.",
                "A AAAA SRV",
                "no slices are watched: a headless service is a name error",
            ),
            *name_error("db-0.db.prod.svc.cluster.local.", "A", "nor has it endpoints"),
            *name_error("noports.prod.svc.cluster.local.", "A", "without ports likewise"),
            *name_error("1.0.244.10.in-addr.arpa.", "PTR", "nor reverse names", soa="in-addr.arpa."),
            *no_data("prod.svc.cluster.local.", "A", "namespaces are there"),
            Case(
                "cluster.local.",
                "SOA",
                [
                    "cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1700000000 7200 1800 86400 5",
                ],
                why="the zone is there",
            ),
        ],
    )
)
