"""ExternalName: chains, loops, targets in the zone, in another block and nowhere."""

# A record stays on one line.
# ruff: noqa: E501

from __future__ import annotations

from tests.plugins.kubernetes.support import Case, Options, Theme, name_error, no_data

THEMES: list[Theme] = []

TARGETS = {
    "out": "host.nowhere.example",
    "who": "host.who.example",
    "dotted": "host.nowhere.example.",
    "in": "web.prod.svc.cluster.local",
    "capitals": "WEB.prod.svc.Cluster.LOCAL",
    "headless": "db.prod.svc.cluster.local",
    "endpoint": "db-0.db.prod.svc.cluster.local",
    "port": "_http._tcp.web.prod.svc.cluster.local",
    "gone": "gone.prod.svc.cluster.local",
    "nons": "web.nope.svc.cluster.local",
    "apex": "cluster.local",
    "ns": "prod.svc.cluster.local",
    "self": "self.prod.svc.cluster.local",
    "below": "x.below.prod.svc.cluster.local",
    "nsdns": "ns.dns.cluster.local",
    "loop1": "loop2.prod.svc.cluster.local",
    "loop2": "loop1.prod.svc.cluster.local",
    "address": "192.0.2.1",
    "address6": "2001:db8::1",
    "other": "api.shop.svc.other.example",
    "othergone": "gone.shop.svc.other.example",
    "viaother": "back.shop.svc.other.example",
    "to-out": "out.prod.svc.cluster.local",
    "to-who": "who.prod.svc.cluster.local",
    "to-other": "other.prod.svc.cluster.local",
    "to-gone": "gone.prod.svc.cluster.local",
    "reverse": "10.0.96.10.in-addr.arpa",
    "pod": "10-1-2-3.prod.pod.cluster.local",
    "oddpod": "10-1-2-300.prod.pod.cluster.local",
    "c01": "c02.prod.svc.cluster.local",
    "c02": "c03.prod.svc.cluster.local",
    "c03": "c04.prod.svc.cluster.local",
    "c04": "c05.prod.svc.cluster.local",
    "c05": "c06.prod.svc.cluster.local",
    "c06": "c07.prod.svc.cluster.local",
    "c07": "c08.prod.svc.cluster.local",
    "c08": "c09.prod.svc.cluster.local",
    "c09": "c10.prod.svc.cluster.local",
    "c10": "c11.prod.svc.cluster.local",
    "c11": "c12.prod.svc.cluster.local",
    "c12": "c13.prod.svc.cluster.local",
    "c13": "c14.prod.svc.cluster.local",
    "c14": "web.prod.svc.cluster.local",
}

OBJECTS = """
kind: Namespace
metadata: {name: prod}
---
kind: Service
metadata: {name: web, namespace: prod}
spec: {clusterIP: 10.96.0.10, clusterIPs: [10.96.0.10, "fd00:10:96::10"], ports: [{name: http, protocol: TCP, port: 80}]}
---
kind: Service
metadata: {name: db, namespace: prod}
spec: {clusterIP: None, clusterIPs: [None], ports: [{name: pg, protocol: TCP, port: 5432}]}
---
kind: EndpointSlice
metadata: {name: db-1, namespace: prod, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
endpoints: [{addresses: [10.244.0.1], hostname: db-0}, {addresses: [10.244.0.2]}]
ports: [{name: pg, protocol: TCP, port: 5432}]
---
kind: Namespace
metadata: {name: shop}
---
kind: Service
metadata: {name: api, namespace: shop}
spec: {clusterIP: 10.97.0.1, clusterIPs: [10.97.0.1, "fd00:10:97::1"], ports: [{name: http, protocol: TCP, port: 80}]}
---
kind: Service
metadata: {name: back, namespace: shop}
spec: {type: ExternalName, externalName: web.prod.svc.cluster.local}
""" + "".join(
    f"""---
kind: Service
metadata: {{name: {name}, namespace: prod}}
spec: {{type: ExternalName, externalName: "{target}"}}
"""
    for name, target in TARGETS.items()
)

THEMES.append(
    Theme(
        "external",
        Options(pods="insecure"),
        OBJECTS,
        other=Options(zones=["other.example."]),
        cases=[
            Case(
                "in.prod.svc.cluster.local.",
                "A",
                [
                    "in.prod.svc.cluster.local. 5 IN CNAME web.prod.svc.cluster.local.",
                    "web.prod.svc.cluster.local. 5 IN A 10.96.0.10",
                ],
                why="a target in the zone is resolved from the store",
            ),
            Case(
                "in.prod.svc.cluster.local.",
                "AAAA",
                [
                    "in.prod.svc.cluster.local. 5 IN CNAME web.prod.svc.cluster.local.",
                    "web.prod.svc.cluster.local. 5 IN AAAA fd00:10:96::10",
                ],
                why="a target in the zone is resolved from the store",
            ),
            Case(
                "capitals.prod.svc.cluster.local.",
                "A",
                [
                    "WEB.prod.svc.Cluster.LOCAL. 5 IN A 10.96.0.10",
                    "capitals.prod.svc.cluster.local. 5 IN CNAME WEB.prod.svc.Cluster.LOCAL.",
                ],
                why="a target in capitals keeps its spelling",
            ),
            Case(
                "headless.prod.svc.cluster.local.",
                "A",
                [
                    "db.prod.svc.cluster.local. 5 IN A 10.244.0.1",
                    "db.prod.svc.cluster.local. 5 IN A 10.244.0.2",
                    "headless.prod.svc.cluster.local. 5 IN CNAME db.prod.svc.cluster.local.",
                ],
                why="a headless target; the CNAME is shown only where something resolves",
            ),
            *no_data(
                "headless.prod.svc.cluster.local.",
                "AAAA",
                "a headless target; the CNAME is shown only where something resolves",
            ),
            Case(
                "endpoint.prod.svc.cluster.local.",
                "A",
                [
                    "db-0.db.prod.svc.cluster.local. 5 IN A 10.244.0.1",
                    "endpoint.prod.svc.cluster.local. 5 IN CNAME db-0.db.prod.svc.cluster.local.",
                ],
                why="an endpoint as target",
            ),
            *no_data("endpoint.prod.svc.cluster.local.", "AAAA", "an endpoint as target"),
            Case(
                "port.prod.svc.cluster.local.",
                "A",
                [
                    "_http._tcp.web.prod.svc.cluster.local. 5 IN A 10.96.0.10",
                    "port.prod.svc.cluster.local. 5 IN CNAME _http._tcp.web.prod.svc.cluster.local.",
                ],
                why="a port's name as target",
            ),
            *no_data("gone.prod.svc.cluster.local.", "A AAAA", "the service itself: a loop of one"),
            *no_data("nons.prod.svc.cluster.local.", "A", "a target in a namespace that is not there: no data"),
            *no_data("apex.prod.svc.cluster.local.", "A", "the apex as target has no addresses"),
            *no_data("ns.prod.svc.cluster.local.", "A", "a namespace as target has no addresses"),
            *no_data("self.prod.svc.cluster.local.", "A AAAA", "a target equal to the name is suppressed"),
            *no_data("below.prod.svc.cluster.local.", "A", "a target below the name is suppressed"),
            *no_data("nsdns.prod.svc.cluster.local.", "A", "the nameserver's name as target, no local addresses"),
            *no_data("loop1.prod.svc.cluster.local.", "A AAAA", "a loop of two ends without data"),
            *no_data("loop2.prod.svc.cluster.local.", "A", "entered at the other end"),
            Case(
                "c14.prod.svc.cluster.local.",
                "A",
                [
                    "c14.prod.svc.cluster.local. 5 IN CNAME web.prod.svc.cluster.local.",
                    "web.prod.svc.cluster.local. 5 IN A 10.96.0.10",
                ],
                why="a chain of one",
            ),
            Case(
                "c04.prod.svc.cluster.local.",
                "A",
                [
                    "c04.prod.svc.cluster.local. 5 IN CNAME c05.prod.svc.cluster.local.",
                    "c05.prod.svc.cluster.local. 5 IN CNAME c06.prod.svc.cluster.local.",
                    "c06.prod.svc.cluster.local. 5 IN CNAME c07.prod.svc.cluster.local.",
                    "c07.prod.svc.cluster.local. 5 IN CNAME c08.prod.svc.cluster.local.",
                    "c08.prod.svc.cluster.local. 5 IN CNAME c09.prod.svc.cluster.local.",
                    "c09.prod.svc.cluster.local. 5 IN CNAME c10.prod.svc.cluster.local.",
                    "c10.prod.svc.cluster.local. 5 IN CNAME c11.prod.svc.cluster.local.",
                    "c11.prod.svc.cluster.local. 5 IN CNAME c12.prod.svc.cluster.local.",
                    "c12.prod.svc.cluster.local. 5 IN CNAME c13.prod.svc.cluster.local.",
                    "c13.prod.svc.cluster.local. 5 IN CNAME c14.prod.svc.cluster.local.",
                    "c14.prod.svc.cluster.local. 5 IN CNAME web.prod.svc.cluster.local.",
                    "web.prod.svc.cluster.local. 5 IN A 10.96.0.10",
                ],
                why="eleven CNAMEs are followed",
            ),
            *no_data("c03.prod.svc.cluster.local.", "A AAAA", "twelve are not: no data"),
            *no_data("c01.prod.svc.cluster.local.", "A", "nor are fourteen"),
            Case(
                "c10.prod.svc.cluster.local.",
                "A",
                [
                    "c10.prod.svc.cluster.local. 5 IN CNAME c11.prod.svc.cluster.local.",
                    "c11.prod.svc.cluster.local. 5 IN CNAME c12.prod.svc.cluster.local.",
                    "c12.prod.svc.cluster.local. 5 IN CNAME c13.prod.svc.cluster.local.",
                    "c13.prod.svc.cluster.local. 5 IN CNAME c14.prod.svc.cluster.local.",
                    "c14.prod.svc.cluster.local. 5 IN CNAME web.prod.svc.cluster.local.",
                    "web.prod.svc.cluster.local. 5 IN A 10.96.0.10",
                ],
                why="a chain of five",
            ),
            Case(
                "c10.prod.svc.cluster.local.",
                "AAAA",
                [
                    "c10.prod.svc.cluster.local. 5 IN CNAME c11.prod.svc.cluster.local.",
                    "c11.prod.svc.cluster.local. 5 IN CNAME c12.prod.svc.cluster.local.",
                    "c12.prod.svc.cluster.local. 5 IN CNAME c13.prod.svc.cluster.local.",
                    "c13.prod.svc.cluster.local. 5 IN CNAME c14.prod.svc.cluster.local.",
                    "c14.prod.svc.cluster.local. 5 IN CNAME web.prod.svc.cluster.local.",
                    "web.prod.svc.cluster.local. 5 IN AAAA fd00:10:96::10",
                ],
                why="a chain of five",
            ),
            *name_error(
                "address.prod.svc.cluster.local.",
                "A AAAA CNAME SRV TXT",
                "a target that is an address makes no name",
            ),
            *name_error("address6.prod.svc.cluster.local.", "A AAAA CNAME", "nor does an IPv6 address"),
            Case(
                "out.prod.svc.cluster.local.",
                "A",
                ["out.prod.svc.cluster.local. 5 IN CNAME host.nowhere.example."],
                why="a target that nobody serves: the CNAME alone",
            ),
            Case(
                "out.prod.svc.cluster.local.",
                "AAAA",
                ["out.prod.svc.cluster.local. 5 IN CNAME host.nowhere.example."],
                why="a target that nobody serves: the CNAME alone",
            ),
            Case(
                "dotted.prod.svc.cluster.local.",
                "A",
                ["dotted.prod.svc.cluster.local. 5 IN CNAME host.nowhere.example."],
                why="a target with its dot",
            ),
            Case(
                "who.prod.svc.cluster.local.",
                "A",
                ["who.prod.svc.cluster.local. 5 IN CNAME host.who.example."],
                why="a target that another block answers without data: the CNAME alone",
            ),
            Case(
                "who.prod.svc.cluster.local.",
                "AAAA",
                ["who.prod.svc.cluster.local. 5 IN CNAME host.who.example."],
                why="a target that another block answers without data: the CNAME alone",
            ),
            Case(
                "other.prod.svc.cluster.local.",
                "A",
                [
                    "api.shop.svc.other.example. 5 IN A 10.97.0.1",
                    "other.prod.svc.cluster.local. 5 IN CNAME api.shop.svc.other.example.",
                ],
                why="a target in another block's zone is looked up there",
            ),
            Case(
                "other.prod.svc.cluster.local.",
                "AAAA",
                [
                    "api.shop.svc.other.example. 5 IN AAAA fd00:10:97::1",
                    "other.prod.svc.cluster.local. 5 IN CNAME api.shop.svc.other.example.",
                ],
                why="a target in another block's zone is looked up there",
            ),
            Case(
                "othergone.prod.svc.cluster.local.",
                "A",
                ["othergone.prod.svc.cluster.local. 5 IN CNAME gone.shop.svc.other.example."],
                why="a name error there leaves the CNAME, and NOERROR",
            ),
            Case(
                "othergone.prod.svc.cluster.local.",
                "AAAA",
                ["othergone.prod.svc.cluster.local. 5 IN CNAME gone.shop.svc.other.example."],
                why="a name error there leaves the CNAME, and NOERROR",
            ),
            Case(
                "viaother.prod.svc.cluster.local.",
                "A",
                [
                    "back.shop.svc.other.example. 5 IN CNAME web.prod.svc.cluster.local.",
                    "viaother.prod.svc.cluster.local. 5 IN CNAME back.shop.svc.other.example.",
                    "web.prod.svc.cluster.local. 5 IN A 10.96.0.10",
                ],
                why="through another block and back",
            ),
            Case(
                "viaother.prod.svc.cluster.local.",
                "AAAA",
                [
                    "back.shop.svc.other.example. 5 IN CNAME web.prod.svc.cluster.local.",
                    "viaother.prod.svc.cluster.local. 5 IN CNAME back.shop.svc.other.example.",
                    "web.prod.svc.cluster.local. 5 IN AAAA fd00:10:96::10",
                ],
                why="through another block and back",
            ),
            Case(
                "to-out.prod.svc.cluster.local.",
                "A",
                [
                    "out.prod.svc.cluster.local. 5 IN CNAME host.nowhere.example.",
                    "to-out.prod.svc.cluster.local. 5 IN CNAME out.prod.svc.cluster.local.",
                ],
                why="two CNAMEs, the last leads out",
            ),
            Case(
                "to-who.prod.svc.cluster.local.",
                "A",
                [
                    "to-who.prod.svc.cluster.local. 5 IN CNAME who.prod.svc.cluster.local.",
                    "who.prod.svc.cluster.local. 5 IN CNAME host.who.example.",
                ],
                why="two CNAMEs, the last leads to another block without data",
            ),
            Case(
                "to-other.prod.svc.cluster.local.",
                "A",
                [
                    "api.shop.svc.other.example. 5 IN A 10.97.0.1",
                    "other.prod.svc.cluster.local. 5 IN CNAME api.shop.svc.other.example.",
                    "to-other.prod.svc.cluster.local. 5 IN CNAME other.prod.svc.cluster.local.",
                ],
                why="two CNAMEs and the other block's addresses",
            ),
            Case(
                "to-other.prod.svc.cluster.local.",
                "AAAA",
                [
                    "api.shop.svc.other.example. 5 IN AAAA fd00:10:97::1",
                    "other.prod.svc.cluster.local. 5 IN CNAME api.shop.svc.other.example.",
                    "to-other.prod.svc.cluster.local. 5 IN CNAME other.prod.svc.cluster.local.",
                ],
                why="two CNAMEs and the other block's addresses",
            ),
            *no_data("to-gone.prod.svc.cluster.local.", "A", "two steps to nothing"),
            Case(
                "reverse.prod.svc.cluster.local.",
                "A",
                ["reverse.prod.svc.cluster.local. 5 IN CNAME 10.0.96.10.in-addr.arpa."],
                why="a reverse name as target",
            ),
            Case(
                "pod.prod.svc.cluster.local.",
                "A",
                [
                    "10-1-2-3.prod.pod.cluster.local. 5 IN A 10.1.2.3",
                    "pod.prod.svc.cluster.local. 5 IN CNAME 10-1-2-3.prod.pod.cluster.local.",
                ],
                why="a pod as target, pods insecure",
            ),
            *no_data("oddpod.prod.svc.cluster.local.", "A", "a pod's name that is no address"),
            Case(
                "out.prod.svc.cluster.local.",
                "CNAME",
                ["out.prod.svc.cluster.local. 5 IN CNAME host.nowhere.example."],
                why="the CNAME itself",
            ),
            Case(
                "in.prod.svc.cluster.local.",
                "CNAME",
                ["in.prod.svc.cluster.local. 5 IN CNAME web.prod.svc.cluster.local."],
                why="the CNAME itself, not what it leads to",
            ),
            Case(
                "self.prod.svc.cluster.local.",
                "CNAME",
                ["self.prod.svc.cluster.local. 5 IN CNAME self.prod.svc.cluster.local."],
                why="even where it leads to itself",
            ),
            Case(
                "capitals.prod.svc.cluster.local.",
                "CNAME",
                ["capitals.prod.svc.cluster.local. 5 IN CNAME WEB.prod.svc.Cluster.LOCAL."],
                why="in the spelling of the object",
            ),
            Case(
                "dotted.prod.svc.cluster.local.",
                "CNAME",
                ["dotted.prod.svc.cluster.local. 5 IN CNAME host.nowhere.example."],
                why="one dot, not two",
            ),
            *no_data(
                "out.prod.svc.cluster.local.",
                "SRV TXT MX HTTPS SOA NS PTR ANY",
                "an ExternalName has no other types",
            ),
            *no_data("in.prod.svc.cluster.local.", "SRV TXT MX HTTPS", "nor has one whose target is in the zone"),
            *name_error("x.out.prod.svc.cluster.local.", "A CNAME", "nothing below an ExternalName"),
            *name_error("_http._tcp.out.prod.svc.cluster.local.", "A SRV CNAME", "no ports either"),
            Case(
                "_._.out.prod.svc.cluster.local.",
                "A",
                ["_._.out.prod.svc.cluster.local. 5 IN CNAME host.nowhere.example."],
                why="but any port at all is no port asked for",
            ),
            Case(
                "_._.out.prod.svc.cluster.local.",
                "CNAME",
                ["_._.out.prod.svc.cluster.local. 5 IN CNAME host.nowhere.example."],
                why="but any port at all is no port asked for",
            ),
            *no_data("web.prod.svc.cluster.local.", "CNAME", "a ClusterIP service has no CNAME"),
        ],
    )
)
