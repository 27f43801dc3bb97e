"""Names, types and SRV records of ClusterIP services."""

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
metadata: {name: empty}
---
kind: Service
metadata: {name: web, namespace: prod}
spec:
  type: ClusterIP
  clusterIP: 10.96.0.10
  clusterIPs: [10.96.0.10]
  ports:
  - {name: http, protocol: TCP, port: 80}
  - {name: https, protocol: TCP, port: 443}
  - {name: quic, protocol: UDP, port: 443}
---
kind: Service
metadata: {name: single, namespace: prod}
spec: {clusterIP: 10.96.0.11, clusterIPs: [10.96.0.11], ports: [{protocol: TCP, port: 8080}]}
---
kind: Service
metadata: {name: dual, namespace: prod}
spec:
  clusterIP: 10.96.0.12
  clusterIPs: [10.96.0.12, "fd00:10:96::12"]
  ports: [{name: http, protocol: TCP, port: 80}]
---
kind: Service
metadata: {name: six, namespace: prod}
spec:
  clusterIP: "fd00:10:96::13"
  clusterIPs: ["fd00:10:96::13"]
  ports: [{name: http, protocol: TCP, port: 80}]
---
kind: Service
metadata: {name: noports, namespace: prod}
spec: {clusterIP: 10.96.0.14, clusterIPs: [10.96.0.14]}
---
kind: Service
metadata: {name: dns, namespace: prod}
spec:
  clusterIP: 10.96.0.15
  ports: [{name: dns, protocol: UDP, port: 53}, {name: dns-tcp, protocol: TCP, port: 53}, {name: metrics, protocol: TCP, port: 9153}]
---
kind: Service
metadata: {name: node, namespace: prod}
spec: {type: NodePort, clusterIP: 10.96.0.16, clusterIPs: [10.96.0.16], ports: [{name: web, protocol: TCP, port: 80, nodePort: 30080}]}
---
kind: Service
metadata: {name: lb, namespace: prod}
spec: {type: LoadBalancer, clusterIP: 10.96.0.17, clusterIPs: [10.96.0.17], externalIPs: [198.51.100.7], ports: [{name: web, protocol: SCTP, port: 80}]}
---
kind: EndpointSlice
metadata: {name: web-abc, namespace: prod, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints:
- {addresses: [10.244.1.10], conditions: {ready: true}}
- {addresses: [10.244.1.11], hostname: web-a}
- {addresses: [10.244.1.12], conditions: {ready: false, serving: true, terminating: true}}
ports: [{name: http, protocol: TCP, port: 8080}, {name: https, protocol: TCP, port: 8443}, {name: quic, protocol: UDP, port: 8443}]
---
kind: EndpointSlice
metadata: {name: orphan-abc, namespace: prod, labels: {kubernetes.io/service-name: orphan}}
addressType: IPv4
endpoints: [{addresses: [10.244.9.9]}]
ports: [{name: http, protocol: TCP, port: 8080}]
"""

THEMES.append(
    Theme(
        "name shapes",
        Options(),
        OBJECTS,
        cases=[
            *no_data("cluster.local.", "A AAAA", "the apex exists, without addresses"),
            *no_data("svc.cluster.local.", "A AAAA SRV MX", "the svc subtree exists"),
            *no_data("pod.cluster.local.", "A AAAA", "the pod subtree exists, even with pods disabled"),
            *no_data("prod.svc.cluster.local.", "A AAAA SRV", "a namespace exists"),
            *no_data("empty.svc.cluster.local.", "A", "a namespace without services exists"),
            *name_error("nope.svc.cluster.local.", "A AAAA SRV", "an unknown namespace is a name error"),
            *name_error(
                "prod.pod.cluster.local.",
                "A",
                "a namespace in the pod subtree, pods disabled, is a name error",
            ),
            *name_error("nope.pod.cluster.local.", "A", "an unknown namespace in the pod subtree"),
            *name_error("foo.cluster.local.", "A SRV", "the first label is neither svc nor pod"),
            *name_error("a.b.cluster.local.", "A", "no subtree of that name"),
            *name_error("a.b.c.d.e.cluster.local.", "A", "no subtree of that name, deeper"),
            *name_error("svcs.cluster.local.", "A", "a prefix of a subtree's name is another name"),
            *name_error("sv.cluster.local.", "A", "shorter than svc"),
            *name_error("web.prod.pood.cluster.local.", "A", "pood is no subtree"),
            *name_error("web.prod.svc.svc.cluster.local.", "A", "svc twice: the namespace would be svc"),
            *name_error("svc.svc.cluster.local.", "A", "a namespace named svc is not there"),
            *name_error("pod.svc.cluster.local.", "A", "a namespace named pod is not there"),
            Case(
                "web.prod.svc.cluster.local.",
                "A",
                ["web.prod.svc.cluster.local. 5 IN A 10.96.0.10"],
                why="a ClusterIP service; no IPv6",
            ),
            *no_data("web.prod.svc.cluster.local.", "AAAA", "a ClusterIP service; no IPv6"),
            Case(
                "single.prod.svc.cluster.local.",
                "A",
                ["single.prod.svc.cluster.local. 5 IN A 10.96.0.11"],
                why="one unnamed port",
            ),
            *no_data("single.prod.svc.cluster.local.", "AAAA", "one unnamed port"),
            Case(
                "dual.prod.svc.cluster.local.",
                "A",
                ["dual.prod.svc.cluster.local. 5 IN A 10.96.0.12"],
                why="both families",
            ),
            Case(
                "dual.prod.svc.cluster.local.",
                "AAAA",
                ["dual.prod.svc.cluster.local. 5 IN AAAA fd00:10:96::12"],
                why="both families",
            ),
            *no_data("six.prod.svc.cluster.local.", "A", "IPv6 only"),
            Case(
                "six.prod.svc.cluster.local.",
                "AAAA",
                ["six.prod.svc.cluster.local. 5 IN AAAA fd00:10:96::13"],
                why="IPv6 only",
            ),
            Case(
                "noports.prod.svc.cluster.local.",
                "A",
                ["noports.prod.svc.cluster.local. 5 IN A 10.96.0.14"],
                why="a service without ports has its address",
            ),
            *no_data("noports.prod.svc.cluster.local.", "AAAA", "a service without ports has its address"),
            Case(
                "node.prod.svc.cluster.local.",
                "A",
                ["node.prod.svc.cluster.local. 5 IN A 10.96.0.16"],
                why="NodePort is answered by its ClusterIP",
            ),
            Case(
                "lb.prod.svc.cluster.local.",
                "A",
                ["lb.prod.svc.cluster.local. 5 IN A 10.96.0.17"],
                why="LoadBalancer is answered by its ClusterIP, not the external one",
            ),
            Case(
                "dns.prod.svc.cluster.local.",
                "A",
                ["dns.prod.svc.cluster.local. 5 IN A 10.96.0.15"],
                why="clusterIP alone, without clusterIPs",
            ),
            *name_error("nope.prod.svc.cluster.local.", "A AAAA SRV", "no such service"),
            *name_error("web.nope.svc.cluster.local.", "A AAAA", "no such namespace"),
            *name_error("web.empty.svc.cluster.local.", "A", "a service of another namespace"),
            *name_error("orphan.prod.svc.cluster.local.", "A AAAA SRV", "slices without a Service make no name"),
            *name_error("10-244-9-9.orphan.prod.svc.cluster.local.", "A", "nor do their endpoints"),
            *name_error("*.prod.svc.cluster.local.", "A", "no wildcards: * is a label like others"),
            *name_error("web.*.svc.cluster.local.", "A", "no wildcard for a namespace"),
            *name_error("*.*.svc.cluster.local.", "A SRV", "no wildcards at all"),
            *name_error("any.any.svc.cluster.local.", "A", "any is no wildcard"),
            *name_error("*.web.prod.svc.cluster.local.", "A SRV", "no wildcard for an endpoint"),
            *name_error("*._tcp.web.prod.svc.cluster.local.", "SRV", "no wildcard for a port"),
            Case(
                "_http._tcp.web.prod.svc.cluster.local.",
                "A",
                ["_http._tcp.web.prod.svc.cluster.local. 5 IN A 10.96.0.10"],
                why="a port's name has the service's addresses",
            ),
            *no_data("_http._tcp.web.prod.svc.cluster.local.", "AAAA", "a port's name has the service's addresses"),
            Case(
                "http.tcp.web.prod.svc.cluster.local.",
                "A",
                ["http.tcp.web.prod.svc.cluster.local. 5 IN A 10.96.0.10"],
                why="underscores are optional",
            ),
            Case(
                "http.tcp.web.prod.svc.cluster.local.",
                "SRV",
                ["http.tcp.web.prod.svc.cluster.local. 5 IN SRV 0 100 80 web.prod.svc.cluster.local."],
                additional=["web.prod.svc.cluster.local. 5 IN A 10.96.0.10"],
                why="underscores are optional",
            ),
            Case(
                "_http.tcp.web.prod.svc.cluster.local.",
                "A",
                ["_http.tcp.web.prod.svc.cluster.local. 5 IN A 10.96.0.10"],
                why="one underscore will do",
            ),
            Case(
                "http._tcp.web.prod.svc.cluster.local.",
                "A",
                ["http._tcp.web.prod.svc.cluster.local. 5 IN A 10.96.0.10"],
                why="the other underscore alone",
            ),
            *name_error("_http._udp.web.prod.svc.cluster.local.", "A SRV", "a port under the wrong protocol"),
            *name_error("_nope._tcp.web.prod.svc.cluster.local.", "A AAAA SRV", "no such port"),
            *name_error("_http._sctp.web.prod.svc.cluster.local.", "A", "no such protocol"),
            Case(
                "_web._sctp.lb.prod.svc.cluster.local.",
                "A",
                ["_web._sctp.lb.prod.svc.cluster.local. 5 IN A 10.96.0.17"],
                why="SCTP is a protocol like others",
            ),
            Case(
                "_web._sctp.lb.prod.svc.cluster.local.",
                "SRV",
                ["_web._sctp.lb.prod.svc.cluster.local. 5 IN SRV 0 100 80 lb.prod.svc.cluster.local."],
                additional=["lb.prod.svc.cluster.local. 5 IN A 10.96.0.17"],
                why="SCTP is a protocol like others",
            ),
            Case(
                "_._.web.prod.svc.cluster.local.",
                "A",
                ["_._.web.prod.svc.cluster.local. 5 IN A 10.96.0.10"],
                why="underscores alone ask for any port",
            ),
            Case(
                "_http._.web.prod.svc.cluster.local.",
                "A",
                ["_http._.web.prod.svc.cluster.local. 5 IN A 10.96.0.10"],
                why="any protocol",
            ),
            Case(
                "_._udp.web.prod.svc.cluster.local.",
                "A",
                ["_._udp.web.prod.svc.cluster.local. 5 IN A 10.96.0.10"],
                why="any port of a protocol",
            ),
            Case(
                "_._udp.web.prod.svc.cluster.local.",
                "SRV",
                ["_._udp.web.prod.svc.cluster.local. 5 IN SRV 0 100 443 web.prod.svc.cluster.local."],
                additional=["web.prod.svc.cluster.local. 5 IN A 10.96.0.10"],
                why="any port of a protocol",
            ),
            *name_error("__http._tcp.web.prod.svc.cluster.local.", "A", "only one underscore is taken off"),
            *name_error(
                "_tcp.web.prod.svc.cluster.local.",
                "A SRV",
                "one label is an endpoint's name, never a protocol",
            ),
            *name_error(
                "_http.web.prod.svc.cluster.local.", "SRV", "one label is an endpoint's name, never a port"
            ),
            *name_error("_tcp._http.web.prod.svc.cluster.local.", "SRV", "port and protocol the wrong way round"),
            Case(
                "web-a.web.prod.svc.cluster.local.",
                "A",
                ["web-a.web.prod.svc.cluster.local. 5 IN A 10.244.1.11"],
                why="an endpoint by hostname, under a ClusterIP service",
            ),
            *no_data(
                "web-a.web.prod.svc.cluster.local.",
                "AAAA",
                "an endpoint by hostname, under a ClusterIP service",
            ),
            Case(
                "web-a.web.prod.svc.cluster.local.",
                "SRV",
                [
                    "web-a.web.prod.svc.cluster.local. 5 IN SRV 0 33 8080 web-a.web.prod.svc.cluster.local.",
                    "web-a.web.prod.svc.cluster.local. 5 IN SRV 0 33 8443 web-a.web.prod.svc.cluster.local.",
                ],
                additional=["web-a.web.prod.svc.cluster.local. 5 IN A 10.244.1.11"],
                why="an endpoint by hostname, under a ClusterIP service",
            ),
            Case(
                "10-244-1-10.web.prod.svc.cluster.local.",
                "A",
                ["10-244-1-10.web.prod.svc.cluster.local. 5 IN A 10.244.1.10"],
                why="an endpoint by address, under a ClusterIP service",
            ),
            *no_data(
                "10-244-1-10.web.prod.svc.cluster.local.",
                "AAAA",
                "an endpoint by address, under a ClusterIP service",
            ),
            Case(
                "10-244-1-10.web.prod.svc.cluster.local.",
                "SRV",
                [
                    "10-244-1-10.web.prod.svc.cluster.local. 5 IN SRV 0 33 8080 10-244-1-10.web.prod.svc.cluster.local.",
                    "10-244-1-10.web.prod.svc.cluster.local. 5 IN SRV 0 33 8443 10-244-1-10.web.prod.svc.cluster.local.",
                ],
                additional=["10-244-1-10.web.prod.svc.cluster.local. 5 IN A 10.244.1.10"],
                why="an endpoint by address, under a ClusterIP service",
            ),
            *name_error(
                "10-244-1-11.web.prod.svc.cluster.local.",
                "A",
                "an endpoint with a hostname has no name from its address",
            ),
            *name_error(
                "10-244-1-12.web.prod.svc.cluster.local.", "A", "an endpoint that is not ready has no name"
            ),
            *name_error("10.244.1.10.web.prod.svc.cluster.local.", "A", "an address with dots is too many labels"),
            *name_error(
                "a.b.c.web.prod.svc.cluster.local.",
                "A SRV TXT",
                "three labels before a service mean nothing",
            ),
            *name_error("a.b.c.d.e.f.web.prod.svc.cluster.local.", "A", "nor do six"),
            *name_error("_http._tcp.web-a.web.prod.svc.cluster.local.", "SRV A", "no ports of an endpoint"),
            *name_error("ep.nope.prod.svc.cluster.local.", "A", "an endpoint of no service"),
            *name_error("_http._tcp.nope.prod.svc.cluster.local.", "SRV", "a port of no service"),
            *name_error("_http._tcp.noports.prod.svc.cluster.local.", "A SRV", "a port of a service without ports"),
            Case(
                "_._.noports.prod.svc.cluster.local.",
                "A",
                ["_._.noports.prod.svc.cluster.local. 5 IN A 10.96.0.14"],
                why="any port of a service without ports",
            ),
            *no_data("_._.noports.prod.svc.cluster.local.", "SRV", "any port of a service without ports"),
            *name_error("_http._tcp.single.prod.svc.cluster.local.", "SRV", "an unnamed port has no name"),
            Case(
                "_._tcp.single.prod.svc.cluster.local.",
                "SRV",
                ["_._tcp.single.prod.svc.cluster.local. 5 IN SRV 0 100 8080 single.prod.svc.cluster.local."],
                additional=["single.prod.svc.cluster.local. 5 IN A 10.96.0.11"],
                why="an unnamed port by its protocol",
            ),
            *name_error(
                "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.prod.svc.cluster.local.",
                "A",
                "the longest label",
            ),
            *name_error(
                "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.web.prod.svc.cluster.local.",
                "A",
                "the longest label as an endpoint",
            ),
            *name_error("dns.cluster.local.", "A SRV", "dns is no subtree"),
            *name_error("x.dns.cluster.local.", "A", "nothing but ns below dns"),
            *name_error("x.ns.dns.cluster.local.", "A", "nothing below ns.dns"),
            *name_error("apex.dns.cluster.local.", "A", "CoreDNS looks for it inside; it is no name"),
        ],
    )
)

THEMES.append(
    Theme(
        "types",
        Options(),
        OBJECTS,
        cases=[
            *name_error("cluster.local.", "TXT", "the apex asked for other types"),
            *no_data("cluster.local.", "MX CNAME PTR", "the apex asked for other types"),
            Case(
                "cluster.local.",
                "SOA",
                [
                    "cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1700000000 7200 1800 86400 5",
                ],
                why="the apex asked for other types",
            ),
            *no_data("cluster.local.", "HTTPS ANY NS", "the apex asked for other types"),
            *name_error("svc.cluster.local.", "TXT", "the svc subtree asked for other types"),
            *no_data(
                "svc.cluster.local.", "MX CNAME PTR SOA HTTPS ANY NS", "the svc subtree asked for other types"
            ),
            *name_error("prod.svc.cluster.local.", "TXT", "a namespace asked for other types"),
            *no_data(
                "prod.svc.cluster.local.",
                "MX CNAME PTR SOA HTTPS ANY NS",
                "a namespace asked for other types",
            ),
            *no_data(
                "web.prod.svc.cluster.local.",
                "TXT MX CNAME PTR SOA HTTPS ANY NS",
                "a service asked for other types",
            ),
            *no_data(
                "web-a.web.prod.svc.cluster.local.",
                "TXT MX CNAME PTR SOA HTTPS ANY NS",
                "an endpoint asked for other types",
            ),
            *no_data(
                "_http._tcp.web.prod.svc.cluster.local.",
                "TXT MX CNAME PTR SOA HTTPS ANY NS",
                "a port asked for other types",
            ),
            *name_error("nope.prod.svc.cluster.local.", "TXT MX CNAME PTR", "no service asked for other types"),
            *no_data("nope.prod.svc.cluster.local.", "SOA", "no service asked for other types"),
            *name_error("nope.prod.svc.cluster.local.", "HTTPS ANY NS", "no service asked for other types"),
            *name_error("nope.svc.cluster.local.", "TXT MX CNAME PTR", "no namespace asked for other types"),
            *no_data("nope.svc.cluster.local.", "SOA", "no namespace asked for other types"),
            *name_error("nope.svc.cluster.local.", "HTTPS ANY NS", "no namespace asked for other types"),
            *name_error("foo.cluster.local.", "TXT MX CNAME PTR", "outside the schema asked for other types"),
            *no_data("foo.cluster.local.", "SOA", "outside the schema asked for other types"),
            *name_error("foo.cluster.local.", "HTTPS ANY NS", "outside the schema asked for other types"),
            *no_data("web.prod.svc.cluster.local.", "SVCB", "a service asked for a type that it never has"),
            *name_error("nope.prod.svc.cluster.local.", "SVCB", "no service, asked for a type that none has"),
            *no_data("web.prod.svc.cluster.local.", "CAA", "a service asked for a type that it never has"),
            *name_error("nope.prod.svc.cluster.local.", "CAA", "no service, asked for a type that none has"),
            *no_data("web.prod.svc.cluster.local.", "NAPTR", "a service asked for a type that it never has"),
            *name_error("nope.prod.svc.cluster.local.", "NAPTR", "no service, asked for a type that none has"),
            *no_data("web.prod.svc.cluster.local.", "HINFO", "a service asked for a type that it never has"),
            *name_error("nope.prod.svc.cluster.local.", "HINFO", "no service, asked for a type that none has"),
            *no_data("web.prod.svc.cluster.local.", "LOC", "a service asked for a type that it never has"),
            *name_error("nope.prod.svc.cluster.local.", "LOC", "no service, asked for a type that none has"),
            *no_data("web.prod.svc.cluster.local.", "SSHFP", "a service asked for a type that it never has"),
            *name_error("nope.prod.svc.cluster.local.", "SSHFP", "no service, asked for a type that none has"),
            *no_data("web.prod.svc.cluster.local.", "TLSA", "a service asked for a type that it never has"),
            *name_error("nope.prod.svc.cluster.local.", "TLSA", "no service, asked for a type that none has"),
            *no_data("web.prod.svc.cluster.local.", "URI", "a service asked for a type that it never has"),
            *name_error("nope.prod.svc.cluster.local.", "URI", "no service, asked for a type that none has"),
            *no_data("web.prod.svc.cluster.local.", "DNSKEY", "a service asked for a type that it never has"),
            *name_error("nope.prod.svc.cluster.local.", "DNSKEY", "no service, asked for a type that none has"),
            *no_data("web.prod.svc.cluster.local.", "TYPE65280", "a service asked for a type that it never has"),
            *name_error("nope.prod.svc.cluster.local.", "TYPE65280", "no service, asked for a type that none has"),
            Case(
                "dns-version.cluster.local.",
                "TXT",
                ['dns-version.cluster.local. 28800 IN TXT "1.1.0"'],
                why="the version of the schema is TXT only",
            ),
            *name_error("dns-version.cluster.local.", "A SRV", "the version of the schema is TXT only"),
            *no_data("dns-version.cluster.local.", "SOA", "the version of the schema is TXT only"),
            *name_error("x.dns-version.cluster.local.", "TXT", "nothing below the version"),
            *name_error("dns-version.svc.cluster.local.", "TXT", "the version is at the apex"),
            *refused("cluster.local.", "AXFR IXFR", "transfers are refused"),
            *refused("web.prod.svc.cluster.local.", "AXFR", "transfers are refused anywhere in the zone"),
            *refused("example.org.", "A SOA AXFR", "a name outside every zone is refused"),
            *refused("local.", "A", "the parent of the zone is not served"),
            *refused("xcluster.local.", "A", "a suffix of the bytes is not a suffix of the labels"),
            *refused(".", "NS", "the root is not served"),
        ],
    )
)

THEMES.append(
    Theme(
        "srv",
        Options(),
        OBJECTS,
        cases=[
            Case(
                "web.prod.svc.cluster.local.",
                "SRV",
                [
                    "web.prod.svc.cluster.local. 5 IN SRV 0 33 443 web.prod.svc.cluster.local.",
                    "web.prod.svc.cluster.local. 5 IN SRV 0 33 80 web.prod.svc.cluster.local.",
                ],
                additional=["web.prod.svc.cluster.local. 5 IN A 10.96.0.10"],
                why="every port; quic has https's number: one record, a candidate nonetheless",
            ),
            Case(
                "single.prod.svc.cluster.local.",
                "SRV",
                ["single.prod.svc.cluster.local. 5 IN SRV 0 100 8080 single.prod.svc.cluster.local."],
                additional=["single.prod.svc.cluster.local. 5 IN A 10.96.0.11"],
                why="an unnamed port is among them",
            ),
            Case(
                "dual.prod.svc.cluster.local.",
                "SRV",
                ["dual.prod.svc.cluster.local. 5 IN SRV 0 50 80 dual.prod.svc.cluster.local."],
                additional=[
                    "dual.prod.svc.cluster.local. 5 IN A 10.96.0.12",
                    "dual.prod.svc.cluster.local. 5 IN AAAA fd00:10:96::12",
                ],
                why="two families are two candidates of one record",
            ),
            Case(
                "six.prod.svc.cluster.local.",
                "SRV",
                ["six.prod.svc.cluster.local. 5 IN SRV 0 100 80 six.prod.svc.cluster.local."],
                additional=["six.prod.svc.cluster.local. 5 IN AAAA fd00:10:96::13"],
                why="IPv6 glue",
            ),
            *no_data("noports.prod.svc.cluster.local.", "SRV", "no ports, no SRV"),
            Case(
                "dns.prod.svc.cluster.local.",
                "SRV",
                [
                    "dns.prod.svc.cluster.local. 5 IN SRV 0 33 53 dns.prod.svc.cluster.local.",
                    "dns.prod.svc.cluster.local. 5 IN SRV 0 33 9153 dns.prod.svc.cluster.local.",
                ],
                additional=["dns.prod.svc.cluster.local. 5 IN A 10.96.0.15"],
                why="53 over two protocols is one record of three candidates",
            ),
            Case(
                "node.prod.svc.cluster.local.",
                "SRV",
                ["node.prod.svc.cluster.local. 5 IN SRV 0 100 80 node.prod.svc.cluster.local."],
                additional=["node.prod.svc.cluster.local. 5 IN A 10.96.0.16"],
                why="the service's port, not the node's",
            ),
            Case(
                "lb.prod.svc.cluster.local.",
                "SRV",
                ["lb.prod.svc.cluster.local. 5 IN SRV 0 100 80 lb.prod.svc.cluster.local."],
                additional=["lb.prod.svc.cluster.local. 5 IN A 10.96.0.17"],
                why="the service's port",
            ),
            Case(
                "_http._tcp.web.prod.svc.cluster.local.",
                "SRV",
                ["_http._tcp.web.prod.svc.cluster.local. 5 IN SRV 0 100 80 web.prod.svc.cluster.local."],
                additional=["web.prod.svc.cluster.local. 5 IN A 10.96.0.10"],
                why="one port of three",
            ),
            Case(
                "_https._tcp.web.prod.svc.cluster.local.",
                "SRV",
                ["_https._tcp.web.prod.svc.cluster.local. 5 IN SRV 0 100 443 web.prod.svc.cluster.local."],
                additional=["web.prod.svc.cluster.local. 5 IN A 10.96.0.10"],
                why="https over TCP",
            ),
            Case(
                "_quic._udp.web.prod.svc.cluster.local.",
                "SRV",
                ["_quic._udp.web.prod.svc.cluster.local. 5 IN SRV 0 100 443 web.prod.svc.cluster.local."],
                additional=["web.prod.svc.cluster.local. 5 IN A 10.96.0.10"],
                why="443 over UDP",
            ),
            Case(
                "_dns._udp.dns.prod.svc.cluster.local.",
                "SRV",
                ["_dns._udp.dns.prod.svc.cluster.local. 5 IN SRV 0 100 53 dns.prod.svc.cluster.local."],
                additional=["dns.prod.svc.cluster.local. 5 IN A 10.96.0.15"],
                why="dns over UDP",
            ),
            Case(
                "_dns-tcp._tcp.dns.prod.svc.cluster.local.",
                "SRV",
                ["_dns-tcp._tcp.dns.prod.svc.cluster.local. 5 IN SRV 0 100 53 dns.prod.svc.cluster.local."],
                additional=["dns.prod.svc.cluster.local. 5 IN A 10.96.0.15"],
                why="a port's name with a dash",
            ),
            *name_error("_dns._tcp.dns.prod.svc.cluster.local.", "SRV", "named for the other protocol"),
            Case(
                "_http._tcp.dual.prod.svc.cluster.local.",
                "SRV",
                ["_http._tcp.dual.prod.svc.cluster.local. 5 IN SRV 0 50 80 dual.prod.svc.cluster.local."],
                additional=[
                    "dual.prod.svc.cluster.local. 5 IN A 10.96.0.12",
                    "dual.prod.svc.cluster.local. 5 IN AAAA fd00:10:96::12",
                ],
                why="two families under a port's name",
            ),
            Case(
                "_http._tcp.six.prod.svc.cluster.local.",
                "SRV",
                ["_http._tcp.six.prod.svc.cluster.local. 5 IN SRV 0 100 80 six.prod.svc.cluster.local."],
                additional=["six.prod.svc.cluster.local. 5 IN AAAA fd00:10:96::13"],
                why="IPv6 under a port's name",
            ),
        ],
    )
)
