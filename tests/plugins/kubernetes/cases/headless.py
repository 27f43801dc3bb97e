"""Headless services: endpoints, their names, slices that overlap."""

# A record stays on one line.
# ruff: noqa: E501

from __future__ import annotations

from tests.plugins.kubernetes.support import Case, Options, Theme, name_error, no_data

THEMES: list[Theme] = []


def endpoints(prefix: str, count: int) -> str:
    """count endpoints of one address each, as a YAML flow sequence's items."""
    return ", ".join(f"{{addresses: [{prefix}{n}]}}" for n in range(1, count + 1))


OBJECTS = f"""
kind: Namespace
metadata: {{name: prod}}
---
kind: Service
metadata: {{name: db, namespace: prod}}
spec: {{clusterIP: None, clusterIPs: [None], ports: [{{name: pg, protocol: TCP, port: 5432}}]}}
---
kind: EndpointSlice
metadata: {{name: db-1, namespace: prod, labels: {{kubernetes.io/service-name: db}}}}
addressType: IPv4
endpoints:
- {{addresses: [10.244.0.1], hostname: db-0, targetRef: {{kind: Pod, name: db-0-pod, namespace: prod}}}}
- {{addresses: [10.244.0.2], hostname: DB-1}}
- {{addresses: [10.244.0.3]}}
- {{addresses: [10.244.0.4], conditions: {{ready: false}}}}
- {{addresses: [10.244.0.5], conditions: {{ready: true, serving: true, terminating: false}}}}
- {{addresses: [10.244.0.6], conditions: {{}}}}
ports: [{{name: pg, protocol: TCP, port: 5432}}, {{name: metrics, protocol: TCP, port: 9187}}]
---
kind: EndpointSlice
metadata: {{name: db-2, namespace: prod, labels: {{kubernetes.io/service-name: db}}}}
addressType: IPv6
endpoints:
- {{addresses: ["fd00:244::1"], hostname: db-0}}
- {{addresses: ["fd00:244::3"]}}
- {{addresses: ["fd00:244:1::"]}}
ports: [{{name: pg, protocol: TCP, port: 5432}}, {{name: metrics, protocol: TCP, port: 9187}}]
---
kind: Service
metadata: {{name: six, namespace: prod}}
spec: {{clusterIP: None, clusterIPs: [None], ports: [{{name: web, protocol: TCP, port: 80}}]}}
---
kind: EndpointSlice
metadata: {{name: six-1, namespace: prod, labels: {{kubernetes.io/service-name: six}}}}
addressType: IPv4
endpoints: [{endpoints("10.244.6.", 6)}]
ports: [{{name: web, protocol: TCP, port: 8080}}]
---
kind: Service
metadata: {{name: many, namespace: prod}}
spec: {{clusterIP: None, clusterIPs: [None], ports: [{{name: web, protocol: TCP, port: 80}}]}}
---
kind: EndpointSlice
metadata: {{name: many-1, namespace: prod, labels: {{kubernetes.io/service-name: many}}}}
addressType: IPv4
endpoints: [{endpoints("10.244.7.", 101)}]
ports: [{{name: web, protocol: TCP, port: 8080}}]
---
kind: Service
metadata: {{name: none, namespace: prod}}
spec: {{clusterIP: None, clusterIPs: [None], ports: [{{name: web, protocol: TCP, port: 80}}]}}
---
kind: Service
metadata: {{name: unready, namespace: prod}}
spec: {{clusterIP: None, clusterIPs: [None], publishNotReadyAddresses: false, ports: [{{name: web, protocol: TCP, port: 80}}]}}
---
kind: EndpointSlice
metadata: {{name: unready-1, namespace: prod, labels: {{kubernetes.io/service-name: unready}}}}
addressType: IPv4
endpoints: [{{addresses: [10.244.3.1], conditions: {{ready: false, serving: true}}}}]
ports: [{{name: web, protocol: TCP, port: 80}}]
---
kind: Service
metadata: {{name: noports, namespace: prod}}
spec: {{clusterIP: None, clusterIPs: [None]}}
---
kind: EndpointSlice
metadata: {{name: noports-1, namespace: prod, labels: {{kubernetes.io/service-name: noports}}}}
addressType: IPv4
endpoints: [{{addresses: [10.244.4.1], hostname: peer}}]
---
kind: Service
metadata: {{name: twice, namespace: prod}}
spec: {{clusterIP: None, clusterIPs: [None], ports: [{{name: web, protocol: TCP, port: 80}}]}}
---
kind: EndpointSlice
metadata: {{name: twice-1, namespace: prod, labels: {{kubernetes.io/service-name: twice}}}}
addressType: IPv4
endpoints: [{{addresses: [10.244.5.1]}}, {{addresses: [10.244.5.2], hostname: shared}}]
ports: [{{name: web, protocol: TCP, port: 8080}}]
---
kind: EndpointSlice
metadata: {{name: twice-2, namespace: prod, labels: {{kubernetes.io/service-name: twice}}}}
addressType: IPv4
endpoints: [{{addresses: [10.244.5.1]}}, {{addresses: [10.244.5.3], hostname: shared}}]
ports: [{{name: web, protocol: TCP, port: 8080}}]
---
kind: Service
metadata: {{name: mixed, namespace: prod}}
spec: {{clusterIP: None, clusterIPs: [None], ports: [{{name: web, protocol: TCP, port: 80}}]}}
---
kind: EndpointSlice
metadata: {{name: mixed-1, namespace: prod, labels: {{kubernetes.io/service-name: mixed}}}}
addressType: IPv4
endpoints: [{{addresses: [10.244.8.1]}}]
ports: [{{name: web, protocol: TCP, port: 8080}}]
---
kind: EndpointSlice
metadata: {{name: mixed-2, namespace: prod, labels: {{kubernetes.io/service-name: mixed}}}}
addressType: IPv4
endpoints: [{{addresses: [10.244.8.2]}}]
ports: [{{name: admin, protocol: TCP, port: 9090}}]
---
kind: EndpointSlice
metadata: {{name: mixed-3, namespace: prod, labels: {{kubernetes.io/service-name: mixed}}}}
addressType: IPv4
endpoints: [{{addresses: [10.244.8.3]}}]
---
kind: Service
metadata: {{name: pods, namespace: prod}}
spec: {{clusterIP: None, clusterIPs: [None], ports: [{{name: web, protocol: TCP, port: 80}}]}}
---
kind: EndpointSlice
metadata: {{name: pods-1, namespace: prod, labels: {{kubernetes.io/service-name: pods}}}}
addressType: IPv4
endpoints:
- {{addresses: [10.244.10.1], targetRef: {{kind: Pod, name: pods-abc, namespace: prod}}}}
- {{addresses: [10.244.10.2], hostname: named, targetRef: {{kind: Pod, name: pods-def, namespace: prod}}}}
- {{addresses: [10.244.10.3], targetRef: {{kind: Pod, name: {64 * "p"}, namespace: prod}}}}
- {{addresses: [10.244.10.4], targetRef: {{kind: Pod, name: {63 * "p"}, namespace: prod}}}}
- {{addresses: [10.244.10.5]}}
ports: [{{name: web, protocol: TCP, port: 8080}}]
"""

THEMES.append(
    Theme(
        "headless",
        Options(),
        OBJECTS,
        cases=[
            Case(
                "db.prod.svc.cluster.local.",
                "A",
                [
                    "db.prod.svc.cluster.local. 5 IN A 10.244.0.1",
                    "db.prod.svc.cluster.local. 5 IN A 10.244.0.2",
                    "db.prod.svc.cluster.local. 5 IN A 10.244.0.3",
                    "db.prod.svc.cluster.local. 5 IN A 10.244.0.5",
                    "db.prod.svc.cluster.local. 5 IN A 10.244.0.6",
                ],
                why="ready addresses of every slice; nil and absent conditions are ready",
            ),
            Case(
                "db.prod.svc.cluster.local.",
                "AAAA",
                [
                    "db.prod.svc.cluster.local. 5 IN AAAA fd00:244:1::",
                    "db.prod.svc.cluster.local. 5 IN AAAA fd00:244::1",
                    "db.prod.svc.cluster.local. 5 IN AAAA fd00:244::3",
                ],
                why="ready addresses of every slice; nil and absent conditions are ready",
            ),
            Case(
                "db.prod.svc.cluster.local.",
                "SRV",
                [
                    "db.prod.svc.cluster.local. 5 IN SRV 0 6 5432 10-244-0-3.db.prod.svc.cluster.local.",
                    "db.prod.svc.cluster.local. 5 IN SRV 0 6 5432 10-244-0-5.db.prod.svc.cluster.local.",
                    "db.prod.svc.cluster.local. 5 IN SRV 0 6 5432 10-244-0-6.db.prod.svc.cluster.local.",
                    "db.prod.svc.cluster.local. 5 IN SRV 0 6 5432 DB-1.db.prod.svc.cluster.local.",
                    "db.prod.svc.cluster.local. 5 IN SRV 0 6 5432 db-0.db.prod.svc.cluster.local.",
                    "db.prod.svc.cluster.local. 5 IN SRV 0 6 5432 fd00-244--3.db.prod.svc.cluster.local.",
                    "db.prod.svc.cluster.local. 5 IN SRV 0 6 5432 fd00-244-1--0.db.prod.svc.cluster.local.",
                    "db.prod.svc.cluster.local. 5 IN SRV 0 6 9187 10-244-0-3.db.prod.svc.cluster.local.",
                    "db.prod.svc.cluster.local. 5 IN SRV 0 6 9187 10-244-0-5.db.prod.svc.cluster.local.",
                    "db.prod.svc.cluster.local. 5 IN SRV 0 6 9187 10-244-0-6.db.prod.svc.cluster.local.",
                    "db.prod.svc.cluster.local. 5 IN SRV 0 6 9187 DB-1.db.prod.svc.cluster.local.",
                    "db.prod.svc.cluster.local. 5 IN SRV 0 6 9187 db-0.db.prod.svc.cluster.local.",
                    "db.prod.svc.cluster.local. 5 IN SRV 0 6 9187 fd00-244--3.db.prod.svc.cluster.local.",
                    "db.prod.svc.cluster.local. 5 IN SRV 0 6 9187 fd00-244-1--0.db.prod.svc.cluster.local.",
                ],
                additional=[
                    "10-244-0-3.db.prod.svc.cluster.local. 5 IN A 10.244.0.3",
                    "10-244-0-5.db.prod.svc.cluster.local. 5 IN A 10.244.0.5",
                    "10-244-0-6.db.prod.svc.cluster.local. 5 IN A 10.244.0.6",
                    "DB-1.db.prod.svc.cluster.local. 5 IN A 10.244.0.2",
                    "db-0.db.prod.svc.cluster.local. 5 IN A 10.244.0.1",
                    "db-0.db.prod.svc.cluster.local. 5 IN AAAA fd00:244::1",
                    "fd00-244--3.db.prod.svc.cluster.local. 5 IN AAAA fd00:244::3",
                    "fd00-244-1--0.db.prod.svc.cluster.local. 5 IN AAAA fd00:244:1::",
                ],
                why="ready addresses of every slice; nil and absent conditions are ready",
            ),
            Case(
                "db-0.db.prod.svc.cluster.local.",
                "A",
                ["db-0.db.prod.svc.cluster.local. 5 IN A 10.244.0.1"],
                why="a hostname in both families",
            ),
            Case(
                "db-0.db.prod.svc.cluster.local.",
                "AAAA",
                ["db-0.db.prod.svc.cluster.local. 5 IN AAAA fd00:244::1"],
                why="a hostname in both families",
            ),
            Case(
                "db-0.db.prod.svc.cluster.local.",
                "SRV",
                [
                    "db-0.db.prod.svc.cluster.local. 5 IN SRV 0 25 5432 db-0.db.prod.svc.cluster.local.",
                    "db-0.db.prod.svc.cluster.local. 5 IN SRV 0 25 9187 db-0.db.prod.svc.cluster.local.",
                ],
                additional=[
                    "db-0.db.prod.svc.cluster.local. 5 IN A 10.244.0.1",
                    "db-0.db.prod.svc.cluster.local. 5 IN AAAA fd00:244::1",
                ],
                why="a hostname in both families",
            ),
            Case(
                "db-1.db.prod.svc.cluster.local.",
                "A",
                ["db-1.db.prod.svc.cluster.local. 5 IN A 10.244.0.2"],
                why="a hostname stored in capitals is found; SRV shows the stored spelling",
            ),
            *no_data(
                "db-1.db.prod.svc.cluster.local.",
                "AAAA",
                "a hostname stored in capitals is found; SRV shows the stored spelling",
            ),
            Case(
                "db-1.db.prod.svc.cluster.local.",
                "SRV",
                [
                    "db-1.db.prod.svc.cluster.local. 5 IN SRV 0 50 5432 DB-1.db.prod.svc.cluster.local.",
                    "db-1.db.prod.svc.cluster.local. 5 IN SRV 0 50 9187 DB-1.db.prod.svc.cluster.local.",
                ],
                additional=["DB-1.db.prod.svc.cluster.local. 5 IN A 10.244.0.2"],
                why="a hostname stored in capitals is found; SRV shows the stored spelling",
            ),
            Case(
                "10-244-0-3.db.prod.svc.cluster.local.",
                "A",
                ["10-244-0-3.db.prod.svc.cluster.local. 5 IN A 10.244.0.3"],
                why="a name from an IPv4 address",
            ),
            *no_data("10-244-0-3.db.prod.svc.cluster.local.", "AAAA", "a name from an IPv4 address"),
            Case(
                "10-244-0-3.db.prod.svc.cluster.local.",
                "SRV",
                [
                    "10-244-0-3.db.prod.svc.cluster.local. 5 IN SRV 0 50 5432 10-244-0-3.db.prod.svc.cluster.local.",
                    "10-244-0-3.db.prod.svc.cluster.local. 5 IN SRV 0 50 9187 10-244-0-3.db.prod.svc.cluster.local.",
                ],
                additional=["10-244-0-3.db.prod.svc.cluster.local. 5 IN A 10.244.0.3"],
                why="a name from an IPv4 address",
            ),
            *name_error(
                "10-244-0-1.db.prod.svc.cluster.local.",
                "A",
                "an endpoint with a hostname has no name from its address",
            ),
            *name_error("10-244-0-4.db.prod.svc.cluster.local.", "A", "an unready endpoint has no name"),
            Case(
                "10-244-0-5.db.prod.svc.cluster.local.",
                "A",
                ["10-244-0-5.db.prod.svc.cluster.local. 5 IN A 10.244.0.5"],
                why="serving and not terminating changes nothing",
            ),
            Case(
                "10-244-0-6.db.prod.svc.cluster.local.",
                "A",
                ["10-244-0-6.db.prod.svc.cluster.local. 5 IN A 10.244.0.6"],
                why="empty conditions are ready",
            ),
            *no_data("fd00-244--3.db.prod.svc.cluster.local.", "A", "a name from an IPv6 address"),
            Case(
                "fd00-244--3.db.prod.svc.cluster.local.",
                "AAAA",
                ["fd00-244--3.db.prod.svc.cluster.local. 5 IN AAAA fd00:244::3"],
                why="a name from an IPv6 address",
            ),
            Case(
                "fd00-244--3.db.prod.svc.cluster.local.",
                "SRV",
                [
                    "fd00-244--3.db.prod.svc.cluster.local. 5 IN SRV 0 50 5432 fd00-244--3.db.prod.svc.cluster.local.",
                    "fd00-244--3.db.prod.svc.cluster.local. 5 IN SRV 0 50 9187 fd00-244--3.db.prod.svc.cluster.local.",
                ],
                additional=["fd00-244--3.db.prod.svc.cluster.local. 5 IN AAAA fd00:244::3"],
                why="a name from an IPv6 address",
            ),
            Case(
                "fd00-244-1--0.db.prod.svc.cluster.local.",
                "AAAA",
                ["fd00-244-1--0.db.prod.svc.cluster.local. 5 IN AAAA fd00:244:1::"],
                why="a name may not end in a dash: a zero is appended",
            ),
            Case(
                "fd00-244-1--0.db.prod.svc.cluster.local.",
                "SRV",
                [
                    "fd00-244-1--0.db.prod.svc.cluster.local. 5 IN SRV 0 50 5432 fd00-244-1--0.db.prod.svc.cluster.local.",
                    "fd00-244-1--0.db.prod.svc.cluster.local. 5 IN SRV 0 50 9187 fd00-244-1--0.db.prod.svc.cluster.local.",
                ],
                additional=["fd00-244-1--0.db.prod.svc.cluster.local. 5 IN AAAA fd00:244:1::"],
                why="a name may not end in a dash: a zero is appended",
            ),
            *name_error("fd00-244-1--.db.prod.svc.cluster.local.", "AAAA", "without the zero it is no name"),
            *name_error("db-0-pod.db.prod.svc.cluster.local.", "A", "pod names are not names unless asked for"),
            *name_error("nope.db.prod.svc.cluster.local.", "A AAAA SRV", "no such endpoint"),
            Case(
                "_pg._tcp.db.prod.svc.cluster.local.",
                "A",
                [
                    "_pg._tcp.db.prod.svc.cluster.local. 5 IN A 10.244.0.1",
                    "_pg._tcp.db.prod.svc.cluster.local. 5 IN A 10.244.0.2",
                    "_pg._tcp.db.prod.svc.cluster.local. 5 IN A 10.244.0.3",
                    "_pg._tcp.db.prod.svc.cluster.local. 5 IN A 10.244.0.5",
                    "_pg._tcp.db.prod.svc.cluster.local. 5 IN A 10.244.0.6",
                ],
                why="one port of a headless service",
            ),
            Case(
                "_pg._tcp.db.prod.svc.cluster.local.",
                "AAAA",
                [
                    "_pg._tcp.db.prod.svc.cluster.local. 5 IN AAAA fd00:244:1::",
                    "_pg._tcp.db.prod.svc.cluster.local. 5 IN AAAA fd00:244::1",
                    "_pg._tcp.db.prod.svc.cluster.local. 5 IN AAAA fd00:244::3",
                ],
                why="one port of a headless service",
            ),
            Case(
                "_pg._tcp.db.prod.svc.cluster.local.",
                "SRV",
                [
                    "_pg._tcp.db.prod.svc.cluster.local. 5 IN SRV 0 12 5432 10-244-0-3.db.prod.svc.cluster.local.",
                    "_pg._tcp.db.prod.svc.cluster.local. 5 IN SRV 0 12 5432 10-244-0-5.db.prod.svc.cluster.local.",
                    "_pg._tcp.db.prod.svc.cluster.local. 5 IN SRV 0 12 5432 10-244-0-6.db.prod.svc.cluster.local.",
                    "_pg._tcp.db.prod.svc.cluster.local. 5 IN SRV 0 12 5432 DB-1.db.prod.svc.cluster.local.",
                    "_pg._tcp.db.prod.svc.cluster.local. 5 IN SRV 0 12 5432 db-0.db.prod.svc.cluster.local.",
                    "_pg._tcp.db.prod.svc.cluster.local. 5 IN SRV 0 12 5432 fd00-244--3.db.prod.svc.cluster.local.",
                    "_pg._tcp.db.prod.svc.cluster.local. 5 IN SRV 0 12 5432 fd00-244-1--0.db.prod.svc.cluster.local.",
                ],
                additional=[
                    "10-244-0-3.db.prod.svc.cluster.local. 5 IN A 10.244.0.3",
                    "10-244-0-5.db.prod.svc.cluster.local. 5 IN A 10.244.0.5",
                    "10-244-0-6.db.prod.svc.cluster.local. 5 IN A 10.244.0.6",
                    "DB-1.db.prod.svc.cluster.local. 5 IN A 10.244.0.2",
                    "db-0.db.prod.svc.cluster.local. 5 IN A 10.244.0.1",
                    "db-0.db.prod.svc.cluster.local. 5 IN AAAA fd00:244::1",
                    "fd00-244--3.db.prod.svc.cluster.local. 5 IN AAAA fd00:244::3",
                    "fd00-244-1--0.db.prod.svc.cluster.local. 5 IN AAAA fd00:244:1::",
                ],
                why="one port of a headless service",
            ),
            Case(
                "_metrics._tcp.db.prod.svc.cluster.local.",
                "SRV",
                [
                    "_metrics._tcp.db.prod.svc.cluster.local. 5 IN SRV 0 12 9187 10-244-0-3.db.prod.svc.cluster.local.",
                    "_metrics._tcp.db.prod.svc.cluster.local. 5 IN SRV 0 12 9187 10-244-0-5.db.prod.svc.cluster.local.",
                    "_metrics._tcp.db.prod.svc.cluster.local. 5 IN SRV 0 12 9187 10-244-0-6.db.prod.svc.cluster.local.",
                    "_metrics._tcp.db.prod.svc.cluster.local. 5 IN SRV 0 12 9187 DB-1.db.prod.svc.cluster.local.",
                    "_metrics._tcp.db.prod.svc.cluster.local. 5 IN SRV 0 12 9187 db-0.db.prod.svc.cluster.local.",
                    "_metrics._tcp.db.prod.svc.cluster.local. 5 IN SRV 0 12 9187 fd00-244--3.db.prod.svc.cluster.local.",
                    "_metrics._tcp.db.prod.svc.cluster.local. 5 IN SRV 0 12 9187 fd00-244-1--0.db.prod.svc.cluster.local.",
                ],
                additional=[
                    "10-244-0-3.db.prod.svc.cluster.local. 5 IN A 10.244.0.3",
                    "10-244-0-5.db.prod.svc.cluster.local. 5 IN A 10.244.0.5",
                    "10-244-0-6.db.prod.svc.cluster.local. 5 IN A 10.244.0.6",
                    "DB-1.db.prod.svc.cluster.local. 5 IN A 10.244.0.2",
                    "db-0.db.prod.svc.cluster.local. 5 IN A 10.244.0.1",
                    "db-0.db.prod.svc.cluster.local. 5 IN AAAA fd00:244::1",
                    "fd00-244--3.db.prod.svc.cluster.local. 5 IN AAAA fd00:244::3",
                    "fd00-244-1--0.db.prod.svc.cluster.local. 5 IN AAAA fd00:244:1::",
                ],
                why="the slice's ports, not the service's",
            ),
            *name_error("_pg._udp.db.prod.svc.cluster.local.", "A SRV", "the wrong protocol"),
            *name_error("_nope._tcp.db.prod.svc.cluster.local.", "A SRV", "no such port"),
            Case(
                "pg.tcp.db.prod.svc.cluster.local.",
                "SRV",
                [
                    "pg.tcp.db.prod.svc.cluster.local. 5 IN SRV 0 12 5432 10-244-0-3.db.prod.svc.cluster.local.",
                    "pg.tcp.db.prod.svc.cluster.local. 5 IN SRV 0 12 5432 10-244-0-5.db.prod.svc.cluster.local.",
                    "pg.tcp.db.prod.svc.cluster.local. 5 IN SRV 0 12 5432 10-244-0-6.db.prod.svc.cluster.local.",
                    "pg.tcp.db.prod.svc.cluster.local. 5 IN SRV 0 12 5432 DB-1.db.prod.svc.cluster.local.",
                    "pg.tcp.db.prod.svc.cluster.local. 5 IN SRV 0 12 5432 db-0.db.prod.svc.cluster.local.",
                    "pg.tcp.db.prod.svc.cluster.local. 5 IN SRV 0 12 5432 fd00-244--3.db.prod.svc.cluster.local.",
                    "pg.tcp.db.prod.svc.cluster.local. 5 IN SRV 0 12 5432 fd00-244-1--0.db.prod.svc.cluster.local.",
                ],
                additional=[
                    "10-244-0-3.db.prod.svc.cluster.local. 5 IN A 10.244.0.3",
                    "10-244-0-5.db.prod.svc.cluster.local. 5 IN A 10.244.0.5",
                    "10-244-0-6.db.prod.svc.cluster.local. 5 IN A 10.244.0.6",
                    "DB-1.db.prod.svc.cluster.local. 5 IN A 10.244.0.2",
                    "db-0.db.prod.svc.cluster.local. 5 IN A 10.244.0.1",
                    "db-0.db.prod.svc.cluster.local. 5 IN AAAA fd00:244::1",
                    "fd00-244--3.db.prod.svc.cluster.local. 5 IN AAAA fd00:244::3",
                    "fd00-244-1--0.db.prod.svc.cluster.local. 5 IN AAAA fd00:244:1::",
                ],
                why="without underscores",
            ),
            *no_data(
                "db.prod.svc.cluster.local.",
                "TXT MX CNAME HTTPS SOA NS PTR",
                "a headless service has no other types",
            ),
            *no_data("db-0.db.prod.svc.cluster.local.", "TXT MX CNAME", "nor has an endpoint"),
            *name_error("nope.db.prod.svc.cluster.local.", "TXT CNAME", "no endpoint, no name"),
            Case(
                "six.prod.svc.cluster.local.",
                "A",
                [
                    "six.prod.svc.cluster.local. 5 IN A 10.244.6.1",
                    "six.prod.svc.cluster.local. 5 IN A 10.244.6.2",
                    "six.prod.svc.cluster.local. 5 IN A 10.244.6.3",
                    "six.prod.svc.cluster.local. 5 IN A 10.244.6.4",
                    "six.prod.svc.cluster.local. 5 IN A 10.244.6.5",
                    "six.prod.svc.cluster.local. 5 IN A 10.244.6.6",
                ],
                why="six candidates: weight 16",
            ),
            Case(
                "six.prod.svc.cluster.local.",
                "SRV",
                [
                    "six.prod.svc.cluster.local. 5 IN SRV 0 16 8080 10-244-6-1.six.prod.svc.cluster.local.",
                    "six.prod.svc.cluster.local. 5 IN SRV 0 16 8080 10-244-6-2.six.prod.svc.cluster.local.",
                    "six.prod.svc.cluster.local. 5 IN SRV 0 16 8080 10-244-6-3.six.prod.svc.cluster.local.",
                    "six.prod.svc.cluster.local. 5 IN SRV 0 16 8080 10-244-6-4.six.prod.svc.cluster.local.",
                    "six.prod.svc.cluster.local. 5 IN SRV 0 16 8080 10-244-6-5.six.prod.svc.cluster.local.",
                    "six.prod.svc.cluster.local. 5 IN SRV 0 16 8080 10-244-6-6.six.prod.svc.cluster.local.",
                ],
                additional=[
                    "10-244-6-1.six.prod.svc.cluster.local. 5 IN A 10.244.6.1",
                    "10-244-6-2.six.prod.svc.cluster.local. 5 IN A 10.244.6.2",
                    "10-244-6-3.six.prod.svc.cluster.local. 5 IN A 10.244.6.3",
                    "10-244-6-4.six.prod.svc.cluster.local. 5 IN A 10.244.6.4",
                    "10-244-6-5.six.prod.svc.cluster.local. 5 IN A 10.244.6.5",
                    "10-244-6-6.six.prod.svc.cluster.local. 5 IN A 10.244.6.6",
                ],
                why="six candidates: weight 16",
            ),
            *no_data("six.prod.svc.cluster.local.", "AAAA", "the other family exists, empty"),
            Case(
                "10-244-6-3.six.prod.svc.cluster.local.",
                "SRV",
                [
                    "10-244-6-3.six.prod.svc.cluster.local. 5 IN SRV 0 100 8080 10-244-6-3.six.prod.svc.cluster.local.",
                ],
                additional=["10-244-6-3.six.prod.svc.cluster.local. 5 IN A 10.244.6.3"],
                why="one endpoint has all the weight",
            ),
            Case(
                "many.prod.svc.cluster.local.",
                "SRV",
                [
                    f"many.prod.svc.cluster.local. 5 IN SRV 0 1 8080 10-244-7-{n}.many.prod.svc.cluster.local."
                    for n in range(1, 102)
                ],
                additional=[
                    f"10-244-7-{n}.many.prod.svc.cluster.local. 5 IN A 10.244.7.{n}" for n in range(1, 102)
                ],
                why="over a hundred candidates: weight at least 1",
            ),
            Case(
                "many.prod.svc.cluster.local.",
                "A",
                [f"many.prod.svc.cluster.local. 5 IN A 10.244.7.{n}" for n in range(1, 102)],
                why="a hundred and one addresses",
            ),
            *name_error(
                "none.prod.svc.cluster.local.",
                "A AAAA SRV TXT MX",
                "a headless service without endpoints is a name error",
            ),
            *name_error("x.none.prod.svc.cluster.local.", "A", "and so are its endpoints"),
            *name_error(
                "unready.prod.svc.cluster.local.",
                "A SRV",
                "a headless service with unready endpoints is a name error",
            ),
            *name_error("10-244-3-1.unready.prod.svc.cluster.local.", "A", "as is the endpoint"),
            Case(
                "noports.prod.svc.cluster.local.",
                "A",
                ["noports.prod.svc.cluster.local. 5 IN A 10.244.4.1"],
                why="a slice without ports: addresses, no SRV",
            ),
            *no_data("noports.prod.svc.cluster.local.", "AAAA SRV TXT", "a slice without ports: addresses, no SRV"),
            Case(
                "peer.noports.prod.svc.cluster.local.",
                "A",
                ["peer.noports.prod.svc.cluster.local. 5 IN A 10.244.4.1"],
                why="an endpoint without ports",
            ),
            *no_data("peer.noports.prod.svc.cluster.local.", "SRV", "an endpoint without ports"),
            *name_error("_web._tcp.noports.prod.svc.cluster.local.", "A SRV", "no port of that name"),
            Case(
                "twice.prod.svc.cluster.local.",
                "A",
                [
                    "twice.prod.svc.cluster.local. 5 IN A 10.244.5.1",
                    "twice.prod.svc.cluster.local. 5 IN A 10.244.5.2",
                    "twice.prod.svc.cluster.local. 5 IN A 10.244.5.3",
                ],
                why="an address in two slices is one record",
            ),
            Case(
                "twice.prod.svc.cluster.local.",
                "SRV",
                [
                    "twice.prod.svc.cluster.local. 5 IN SRV 0 25 8080 10-244-5-1.twice.prod.svc.cluster.local.",
                    "twice.prod.svc.cluster.local. 5 IN SRV 0 25 8080 shared.twice.prod.svc.cluster.local.",
                ],
                additional=[
                    "10-244-5-1.twice.prod.svc.cluster.local. 5 IN A 10.244.5.1",
                    "shared.twice.prod.svc.cluster.local. 5 IN A 10.244.5.2",
                    "shared.twice.prod.svc.cluster.local. 5 IN A 10.244.5.3",
                ],
                why="one target for two addresses, all four candidates in the weight",
            ),
            Case(
                "shared.twice.prod.svc.cluster.local.",
                "A",
                [
                    "shared.twice.prod.svc.cluster.local. 5 IN A 10.244.5.2",
                    "shared.twice.prod.svc.cluster.local. 5 IN A 10.244.5.3",
                ],
                why="a hostname of two endpoints",
            ),
            Case(
                "shared.twice.prod.svc.cluster.local.",
                "SRV",
                [
                    "shared.twice.prod.svc.cluster.local. 5 IN SRV 0 50 8080 shared.twice.prod.svc.cluster.local.",
                ],
                additional=[
                    "shared.twice.prod.svc.cluster.local. 5 IN A 10.244.5.2",
                    "shared.twice.prod.svc.cluster.local. 5 IN A 10.244.5.3",
                ],
                why="a hostname of two endpoints",
            ),
            Case(
                "10-244-5-1.twice.prod.svc.cluster.local.",
                "A",
                ["10-244-5-1.twice.prod.svc.cluster.local. 5 IN A 10.244.5.1"],
                why="an endpoint in two slices",
            ),
            Case(
                "10-244-5-1.twice.prod.svc.cluster.local.",
                "SRV",
                [
                    "10-244-5-1.twice.prod.svc.cluster.local. 5 IN SRV 0 50 8080 10-244-5-1.twice.prod.svc.cluster.local.",
                ],
                additional=["10-244-5-1.twice.prod.svc.cluster.local. 5 IN A 10.244.5.1"],
                why="an endpoint in two slices",
            ),
            Case(
                "mixed.prod.svc.cluster.local.",
                "A",
                [
                    "mixed.prod.svc.cluster.local. 5 IN A 10.244.8.1",
                    "mixed.prod.svc.cluster.local. 5 IN A 10.244.8.2",
                    "mixed.prod.svc.cluster.local. 5 IN A 10.244.8.3",
                ],
                why="slices with different ports; the one without counts in the weight",
            ),
            Case(
                "mixed.prod.svc.cluster.local.",
                "SRV",
                [
                    "mixed.prod.svc.cluster.local. 5 IN SRV 0 33 8080 10-244-8-1.mixed.prod.svc.cluster.local.",
                    "mixed.prod.svc.cluster.local. 5 IN SRV 0 33 9090 10-244-8-2.mixed.prod.svc.cluster.local.",
                ],
                additional=[
                    "10-244-8-1.mixed.prod.svc.cluster.local. 5 IN A 10.244.8.1",
                    "10-244-8-2.mixed.prod.svc.cluster.local. 5 IN A 10.244.8.2",
                ],
                why="slices with different ports; the one without counts in the weight",
            ),
            Case(
                "_web._tcp.mixed.prod.svc.cluster.local.",
                "A",
                ["_web._tcp.mixed.prod.svc.cluster.local. 5 IN A 10.244.8.1"],
                why="only the slice that has the port",
            ),
            Case(
                "_web._tcp.mixed.prod.svc.cluster.local.",
                "SRV",
                [
                    "_web._tcp.mixed.prod.svc.cluster.local. 5 IN SRV 0 100 8080 10-244-8-1.mixed.prod.svc.cluster.local.",
                ],
                additional=["10-244-8-1.mixed.prod.svc.cluster.local. 5 IN A 10.244.8.1"],
                why="only the slice that has the port",
            ),
            Case(
                "_admin._tcp.mixed.prod.svc.cluster.local.",
                "A",
                ["_admin._tcp.mixed.prod.svc.cluster.local. 5 IN A 10.244.8.2"],
                why="the other slice's port",
            ),
            Case(
                "_admin._tcp.mixed.prod.svc.cluster.local.",
                "SRV",
                [
                    "_admin._tcp.mixed.prod.svc.cluster.local. 5 IN SRV 0 100 9090 10-244-8-2.mixed.prod.svc.cluster.local.",
                ],
                additional=["10-244-8-2.mixed.prod.svc.cluster.local. 5 IN A 10.244.8.2"],
                why="the other slice's port",
            ),
            Case(
                "_._tcp.mixed.prod.svc.cluster.local.",
                "A",
                [
                    "_._tcp.mixed.prod.svc.cluster.local. 5 IN A 10.244.8.1",
                    "_._tcp.mixed.prod.svc.cluster.local. 5 IN A 10.244.8.2",
                ],
                why="a protocol leaves out the slice without ports",
            ),
            Case(
                "_._tcp.mixed.prod.svc.cluster.local.",
                "SRV",
                [
                    "_._tcp.mixed.prod.svc.cluster.local. 5 IN SRV 0 50 8080 10-244-8-1.mixed.prod.svc.cluster.local.",
                    "_._tcp.mixed.prod.svc.cluster.local. 5 IN SRV 0 50 9090 10-244-8-2.mixed.prod.svc.cluster.local.",
                ],
                additional=[
                    "10-244-8-1.mixed.prod.svc.cluster.local. 5 IN A 10.244.8.1",
                    "10-244-8-2.mixed.prod.svc.cluster.local. 5 IN A 10.244.8.2",
                ],
                why="a protocol leaves out the slice without ports",
            ),
            Case(
                "_._.mixed.prod.svc.cluster.local.",
                "A",
                [
                    "_._.mixed.prod.svc.cluster.local. 5 IN A 10.244.8.1",
                    "_._.mixed.prod.svc.cluster.local. 5 IN A 10.244.8.2",
                    "_._.mixed.prod.svc.cluster.local. 5 IN A 10.244.8.3",
                ],
                why="any port has every slice",
            ),
            Case(
                "10-244-8-3.mixed.prod.svc.cluster.local.",
                "A",
                ["10-244-8-3.mixed.prod.svc.cluster.local. 5 IN A 10.244.8.3"],
                why="an endpoint of the slice without ports",
            ),
            *no_data("10-244-8-3.mixed.prod.svc.cluster.local.", "SRV", "an endpoint of the slice without ports"),
        ],
    )
)
