"""EndpointSlices of names (addressType FQDN): a headless Service that leads elsewhere."""

# A record stays on one line.
# ruff: noqa: E501

from __future__ import annotations

from tests.plugins.kubernetes.support import Case, Options, Theme, name_error, no_data

THEMES: list[Theme] = []

# Service -> its endpoints
SERVICES = {
    "out": "{addresses: [host.who.example]}",
    "nowhere": "{addresses: [db.nowhere.example.], hostname: db}",
    "in": "{addresses: [web.prod.svc.cluster.local]}",
    "capitals": "{addresses: [WEB.prod.svc.Cluster.LOCAL.]}",
    "gone": "{addresses: [gone.prod.svc.cluster.local]}",
    "self": "{addresses: [self.prod.svc.cluster.local]}",
    "two": "{addresses: [web.prod.svc.cluster.local, db.nowhere.example]}",
    "odd": '{addresses: ["a b.example", "*.example", 192.0.2.1, x..y, fine.nowhere.example]}',
    "unready": "{addresses: [host.who.example], conditions: {ready: false}}",
}

OBJECTS = """
kind: Namespace
metadata: {name: prod}
---
kind: Service
metadata: {name: web, namespace: prod}
spec: {clusterIP: 10.96.0.10, ports: [{name: http, protocol: TCP, port: 80}]}
---
kind: EndpointSlice
metadata: {name: mixed-1, namespace: prod, labels: {kubernetes.io/service-name: mixed}}
addressType: IPv4
endpoints: [{addresses: [10.244.0.1]}]
ports: [{name: pg, protocol: TCP, port: 5432}]
---
kind: EndpointSlice
metadata: {name: mixed-2, namespace: prod, labels: {kubernetes.io/service-name: mixed}}
addressType: FQDN
endpoints: [{addresses: [web.prod.svc.cluster.local]}]
ports: [{name: pg, protocol: TCP, port: 5432}]
---
kind: EndpointSlice
metadata: {name: vip-1, namespace: prod, labels: {kubernetes.io/service-name: vip}}
addressType: FQDN
endpoints: [{addresses: [web.prod.svc.cluster.local]}]
ports: [{name: pg, protocol: TCP, port: 5432}]
---
kind: Service
metadata: {name: vip, namespace: prod}
spec: {clusterIP: 10.96.0.11, ports: [{name: pg, protocol: TCP, port: 5432}]}
""" + "".join(
    f"""
---
kind: Service
metadata: {{name: {name}, namespace: prod}}
spec: {{clusterIP: None, clusterIPs: [None], ports: [{{name: pg, protocol: TCP, port: 5432}}]}}
"""
    for name in [*SERVICES, "mixed"]
)
OBJECTS += "".join(
    f"""
---
kind: EndpointSlice
metadata: {{name: {name}-1, namespace: prod, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: FQDN
endpoints: [{endpoints}]
ports: [{{name: pg, protocol: TCP, port: 5432}}, {{name: other, protocol: TCP, port: 5433}}]
"""
    for name, endpoints in SERVICES.items()
)

AT = "prod.svc.cluster.local."
FIRST = "CoreDNS gives every name a CNAME record; RFC 1034 section 3.6.2 allows an owner one"

THEMES.append(
    Theme(
        "fqdn",
        Options(),
        OBJECTS,
        cases=[
            Case(
                f"in.{AT}",
                "A",
                [f"in.{AT} 5 IN CNAME web.{AT}", f"web.{AT} 5 IN A 10.96.0.10"],
                why="a name within the zone is followed",
                coredns="CoreDNS repeats the records for each port",
            ),
            *no_data(f"in.{AT}", "AAAA TXT MX HTTPS", "the name exists, its target has no such data"),
            Case(f"in.{AT}", "CNAME", [f"in.{AT} 5 IN CNAME web.{AT}"], why="the alias itself"),
            Case(
                f"capitals.{AT}",
                "A",
                [
                    f"capitals.{AT} 5 IN CNAME WEB.prod.svc.Cluster.LOCAL.",
                    "WEB.prod.svc.Cluster.LOCAL. 5 IN A 10.96.0.10",
                ],
                why="the target's spelling stays",
                coredns="CoreDNS repeats the records for each port",
            ),
            Case(
                f"nowhere.{AT}",
                "A",
                [f"nowhere.{AT} 5 IN CNAME db.nowhere.example."],
                why="a name elsewhere is shown, whatever it leads to",
                coredns="CoreDNS repeats the record for each port",
            ),
            Case(f"nowhere.{AT}", "CNAME", [f"nowhere.{AT} 5 IN CNAME db.nowhere.example."], why="the alias itself"),
            Case(
                f"db.nowhere.{AT}",
                "CNAME",
                [f"db.nowhere.{AT} 5 IN CNAME db.nowhere.example."],
                why="an endpoint's name, by its hostname",
            ),
            Case(
                f"web-prod-svc-cluster-local.in.{AT}",
                "A",
                [
                    f"web-prod-svc-cluster-local.in.{AT} 5 IN CNAME web.{AT}",
                    f"web.{AT} 5 IN A 10.96.0.10",
                ],
                why="an endpoint without a hostname is named after its target, with dashes",
                coredns="CoreDNS repeats the records for each port",
            ),
            *name_error(f"none.in.{AT}", "A CNAME SRV", "no such endpoint"),
            Case(
                f"out.{AT}",
                "CNAME",
                [f"out.{AT} 5 IN CNAME host.who.example."],
                why="the alias itself",
            ),
            *no_data(f"gone.{AT}", "A AAAA", "a target within the zone that does not exist is not shown"),
            Case(f"self.{AT}", "CNAME", [f"self.{AT} 5 IN CNAME self.{AT}"], why="the alias itself, as it is"),
            *no_data(f"self.{AT}", "A AAAA", "a target that is the name itself leads nowhere"),
            *name_error(f"unready.{AT}", "A CNAME SRV", "no endpoint is ready"),
            Case(
                f"in.{AT}",
                "SRV",
                [f"in.{AT} 5 IN SRV 0 50 5432 web.{AT}", f"in.{AT} 5 IN SRV 0 50 5433 web.{AT}"],
                why="targets are the names themselves",
                coredns="CoreDNS adds the addresses of targets",
            ),
            Case(
                f"_pg._tcp.two.{AT}",
                "SRV",
                [
                    f"_pg._tcp.two.{AT} 5 IN SRV 0 50 5432 db.nowhere.example.",
                    f"_pg._tcp.two.{AT} 5 IN SRV 0 50 5432 web.{AT}",
                ],
                why="every name is a target",
                coredns="CoreDNS adds the addresses of targets",
            ),
            Case(
                f"two.{AT}",
                "A",
                [f"two.{AT} 5 IN CNAME web.{AT}", f"web.{AT} 5 IN A 10.96.0.10"],
                why="the first name counts",
                coredns=FIRST,
            ),
            Case(
                f"_pg._tcp.in.{AT}",
                "A",
                [f"_pg._tcp.in.{AT} 5 IN CNAME web.{AT}", f"web.{AT} 5 IN A 10.96.0.10"],
                why="under the name of a port, too",
            ),
            *name_error(f"_none._tcp.in.{AT}", "A SRV", "no such port"),
            Case(
                f"odd.{AT}",
                "CNAME",
                [f"odd.{AT} 5 IN CNAME fine.nowhere.example."],
                why="what is no domain name is left out, and so is an address",
                coredns="CoreDNS takes any text for a name",
            ),
            Case(
                f"mixed.{AT}",
                "A",
                [f"mixed.{AT} 5 IN A 10.244.0.1", f"mixed.{AT} 5 IN CNAME web.{AT}", f"web.{AT} 5 IN A 10.96.0.10"],
                why="slices of both kinds",
            ),
            Case(f"vip.{AT}", "A", [f"vip.{AT} 5 IN A 10.96.0.11"], why="a Service with an address has that"),
        ],
    )
)

ZONED = """
kind: Namespace
metadata: {name: prod}
---
kind: Service
metadata: {name: s, namespace: prod}
spec: {clusterIP: None, clusterIPs: [None], ports: [{name: pg, protocol: TCP, port: 5432}]}
---
kind: EndpointSlice
metadata: {name: s-1, namespace: prod, labels: {kubernetes.io/service-name: s}}
addressType: FQDN
endpoints:
- {addresses: [s.prod.svc.cluster.local], zone: rack.1}
- {addresses: [db.nowhere.example], zone: z1}
- {addresses: [s.prod.svc.cluster.local], zone: z1}
ports: [{name: pg, protocol: TCP, port: 5432}]
"""

THEMES.append(
    Theme(
        "fqdn by zone",
        Options(zonal=True),
        ZONED,
        cases=[
            Case(
                f"z1.pin._zone.s.{AT}",
                "A",
                [f"z1.pin._zone.s.{AT} 5 IN CNAME db.nowhere.example."],
                why="the first name of the zone, in the order of the slice, whatever other zones have before it",
                coredns="CoreDNS gives every name a CNAME record",
            ),
        ],
    )
)
