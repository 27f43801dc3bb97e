"""The pod subtree in its three modes."""

# A record stays on one line.

from __future__ import annotations

from tests.plugins.kubernetes.support import Case, Options, Theme, name_error, no_data

THEMES: list[Theme] = []

OBJECTS = """
kind: Namespace
metadata: {name: prod}
---
kind: Namespace
metadata: {name: empty}
---
kind: Pod
metadata: {name: a, namespace: prod, labels: {app: a}}
status: {podIP: 10.244.0.1, phase: Running}
---
kind: Pod
metadata: {name: b, namespace: prod}
status: {podIP: "fd00:244::1", podIPs: [{ip: "fd00:244::1"}, {ip: 10.244.0.2}], phase: Running}
---
kind: Pod
metadata: {name: done, namespace: prod}
status: {podIP: 10.244.0.3, phase: Succeeded}
---
kind: Pod
metadata: {name: failed, namespace: prod}
status: {podIP: 10.244.0.4, phase: Failed}
---
kind: Pod
metadata: {name: lost, namespace: prod}
status: {podIP: 10.244.0.5, phase: Unknown}
---
kind: Pod
metadata: {name: pending, namespace: prod}
status: {podIP: 10.244.0.6, phase: Pending}
---
kind: Pod
metadata: {name: leaving, namespace: prod, deletionTimestamp: "2026-01-01T00:00:00Z"}
status: {podIP: 10.244.0.7, phase: Running}
---
kind: Pod
metadata: {name: new, namespace: prod}
status: {phase: Pending}
---
kind: Pod
metadata: {name: host1, namespace: prod}
status: {podIP: 192.0.2.40, phase: Running}
---
kind: Pod
metadata: {name: host2, namespace: prod}
status: {podIP: 192.0.2.40, phase: Running}
---
kind: Pod
metadata: {name: elsewhere, namespace: gone}
status: {podIP: 10.244.1.1, phase: Running}
---
kind: Pod
metadata: {name: tail, namespace: prod}
status: {podIP: "fd00:244:1::", phase: Running}
"""

THEMES.append(
    Theme(
        "pods disabled",
        Options(pods="disabled"),
        OBJECTS,
        cases=[
            *name_error("10-244-0-1.prod.pod.cluster.local.", "A AAAA", "an IPv4 address with dashes"),
            *name_error(
                "10-244-0-1.prod.pod.cluster.local.",
                "SRV TXT MX CNAME HTTPS",
                "a pod asked for other types",
            ),
            *no_data("10-244-0-1.prod.pod.cluster.local.", "SOA", "a pod asked for other types"),
            *name_error("fd00-244--1.prod.pod.cluster.local.", "A AAAA SRV", "an IPv6 address with dashes"),
            *name_error(
                "fd00-244-0-0-0-0-0-1.prod.pod.cluster.local.",
                "AAAA",
                "an IPv6 address in full is another spelling",
            ),
            *name_error("fd00-244-1--.prod.pod.cluster.local.", "AAAA", "an IPv6 address that ends in dashes"),
            *name_error("fd00-244-1--0.prod.pod.cluster.local.", "AAAA", "with a zero after them"),
            *name_error("10-244-0-2.prod.pod.cluster.local.", "A", "the second address of a pod"),
            *name_error("10-244-0-3.prod.pod.cluster.local.", "A", "a pod that succeeded"),
            *name_error("10-244-0-4.prod.pod.cluster.local.", "A", "a pod that failed"),
            *name_error("10-244-0-5.prod.pod.cluster.local.", "A", "a pod whose phase is unknown"),
            *name_error("10-244-0-6.prod.pod.cluster.local.", "A", "a pending pod with an address"),
            *name_error("10-244-0-7.prod.pod.cluster.local.", "A", "a pod that is being deleted when first seen"),
            *name_error(
                "x.y.10-244-0-1.prod.pod.cluster.local.",
                "A SRV",
                "two labels before the address are ignored",
            ),
            *name_error("x.y.z.10-244-0-1.prod.pod.cluster.local.", "A", "three are not"),
            *name_error("prod.pod.cluster.local.", "A SRV TXT", "a namespace in the pod subtree"),
            *name_error("empty.pod.cluster.local.", "A", "a namespace without pods"),
            *name_error("nope.pod.cluster.local.", "A", "no namespace in the pod subtree"),
            *no_data("pod.cluster.local.", "A", "the pod subtree"),
            *name_error("pod.cluster.local.", "TXT", "the pod subtree"),
        ],
    )
)

THEMES.append(
    Theme(
        "pods insecure",
        Options(pods="insecure"),
        OBJECTS,
        cases=[
            Case(
                "10-244-0-1.prod.pod.cluster.local.",
                "A",
                ["10-244-0-1.prod.pod.cluster.local. 5 IN A 10.244.0.1"],
                why="an IPv4 address with dashes",
            ),
            *no_data("10-244-0-1.prod.pod.cluster.local.", "AAAA", "an IPv4 address with dashes"),
            Case(
                "10-244-0-1.prod.pod.cluster.local.",
                "SRV",
                ["10-244-0-1.prod.pod.cluster.local. 5 IN SRV 0 100 0 10-244-0-1.prod.pod.cluster.local."],
                additional=["10-244-0-1.prod.pod.cluster.local. 5 IN A 10.244.0.1"],
                why="a pod asked for other types",
            ),
            *no_data("10-244-0-1.prod.pod.cluster.local.", "TXT MX CNAME HTTPS SOA", "a pod asked for other types"),
            *no_data("fd00-244--1.prod.pod.cluster.local.", "A", "an IPv6 address with dashes"),
            Case(
                "fd00-244--1.prod.pod.cluster.local.",
                "AAAA",
                ["fd00-244--1.prod.pod.cluster.local. 5 IN AAAA fd00:244::1"],
                why="an IPv6 address with dashes",
            ),
            Case(
                "fd00-244--1.prod.pod.cluster.local.",
                "SRV",
                ["fd00-244--1.prod.pod.cluster.local. 5 IN SRV 0 100 0 fd00-244--1.prod.pod.cluster.local."],
                additional=["fd00-244--1.prod.pod.cluster.local. 5 IN AAAA fd00:244::1"],
                why="an IPv6 address with dashes",
            ),
            Case(
                "fd00-244-0-0-0-0-0-1.prod.pod.cluster.local.",
                "AAAA",
                ["fd00-244-0-0-0-0-0-1.prod.pod.cluster.local. 5 IN AAAA fd00:244::1"],
                why="an IPv6 address in full is another spelling",
            ),
            Case(
                "fd00-244-1--.prod.pod.cluster.local.",
                "AAAA",
                ["fd00-244-1--.prod.pod.cluster.local. 5 IN AAAA fd00:244:1::"],
                why="an IPv6 address that ends in dashes",
            ),
            Case(
                "fd00-244-1--0.prod.pod.cluster.local.",
                "AAAA",
                ["fd00-244-1--0.prod.pod.cluster.local. 5 IN AAAA fd00:244:1::"],
                why="with a zero after them",
            ),
            Case(
                "10-244-0-2.prod.pod.cluster.local.",
                "A",
                ["10-244-0-2.prod.pod.cluster.local. 5 IN A 10.244.0.2"],
                why="the second address of a pod",
            ),
            Case(
                "10-244-0-3.prod.pod.cluster.local.",
                "A",
                ["10-244-0-3.prod.pod.cluster.local. 5 IN A 10.244.0.3"],
                why="a pod that succeeded",
            ),
            Case(
                "10-244-0-4.prod.pod.cluster.local.",
                "A",
                ["10-244-0-4.prod.pod.cluster.local. 5 IN A 10.244.0.4"],
                why="a pod that failed",
            ),
            Case(
                "10-244-0-5.prod.pod.cluster.local.",
                "A",
                ["10-244-0-5.prod.pod.cluster.local. 5 IN A 10.244.0.5"],
                why="a pod whose phase is unknown",
            ),
            Case(
                "10-244-0-6.prod.pod.cluster.local.",
                "A",
                ["10-244-0-6.prod.pod.cluster.local. 5 IN A 10.244.0.6"],
                why="a pending pod with an address",
            ),
            Case(
                "10-244-0-7.prod.pod.cluster.local.",
                "A",
                ["10-244-0-7.prod.pod.cluster.local. 5 IN A 10.244.0.7"],
                why="a pod that is being deleted when first seen",
            ),
            Case(
                "192-0-2-40.prod.pod.cluster.local.",
                "A",
                ["192-0-2-40.prod.pod.cluster.local. 5 IN A 192.0.2.40"],
                why="an address that two pods share",
            ),
            Case(
                "192-0-2-41.prod.pod.cluster.local.",
                "A",
                ["192-0-2-41.prod.pod.cluster.local. 5 IN A 192.0.2.41"],
                why="an address of no pod",
            ),
            Case(
                "10-244-0-1.empty.pod.cluster.local.",
                "A",
                ["10-244-0-1.empty.pod.cluster.local. 5 IN A 10.244.0.1"],
                why="a pod of another namespace",
            ),
            *name_error("10-244-0-1.nope.pod.cluster.local.", "A TXT", "a namespace that is not there"),
            *name_error("10-244-1-1.gone.pod.cluster.local.", "A", "a pod whose namespace is not there"),
            *name_error("a.prod.pod.cluster.local.", "A AAAA", "a pod's name is no address"),
            *name_error("10-244-0-256.prod.pod.cluster.local.", "A", "no octet over 255"),
            *name_error("10-244-0-01.prod.pod.cluster.local.", "A", "no leading zeros"),
            *name_error("10-244-0.prod.pod.cluster.local.", "A", "three numbers are no address"),
            *name_error("10-244-0-1-2.prod.pod.cluster.local.", "A", "five numbers are no address"),
            *no_data("10--244-0.prod.pod.cluster.local.", "A", "three dashes of which two touch are colons"),
            Case(
                "10--244-0.prod.pod.cluster.local.",
                "AAAA",
                ["10--244-0.prod.pod.cluster.local. 5 IN AAAA 10::244:0"],
                why="three dashes of which two touch are colons",
            ),
            Case(
                "1-2-3-4-5-6-7-8.prod.pod.cluster.local.",
                "AAAA",
                ["1-2-3-4-5-6-7-8.prod.pod.cluster.local. 5 IN AAAA 1:2:3:4:5:6:7:8"],
                why="eight groups",
            ),
            *no_data("1-2-3-4-5-6-7-8.prod.pod.cluster.local.", "A", "eight groups"),
            Case(
                "--1.prod.pod.cluster.local.",
                "AAAA",
                ["--1.prod.pod.cluster.local. 5 IN AAAA ::1"],
                why="the loopback address",
            ),
            Case(
                "--.prod.pod.cluster.local.",
                "AAAA",
                ["--.prod.pod.cluster.local. 5 IN AAAA ::"],
                why="the unspecified address",
            ),
            *name_error("---.prod.pod.cluster.local.", "AAAA A", "three colons are no address"),
            Case(
                "--ffff-102-304.prod.pod.cluster.local.",
                "A",
                ["--ffff-102-304.prod.pod.cluster.local. 5 IN A 1.2.3.4"],
                why="an IPv4-mapped address is an IPv4 address",
            ),
            *no_data("--ffff-102-304.prod.pod.cluster.local.", "AAAA", "an IPv4-mapped address is an IPv4 address"),
            *name_error("fd00-244--12345.prod.pod.cluster.local.", "AAAA", "no group over four digits"),
            *name_error("g000--1.prod.pod.cluster.local.", "AAAA", "no digit over f"),
            Case(
                "x.10-244-0-1.prod.pod.cluster.local.",
                "A",
                ["x.10-244-0-1.prod.pod.cluster.local. 5 IN A 10.244.0.1"],
                why="a label before the address is ignored",
            ),
            *no_data("x.10-244-0-1.prod.pod.cluster.local.", "AAAA", "a label before the address is ignored"),
            Case(
                "x.y.10-244-0-1.prod.pod.cluster.local.",
                "A",
                ["x.y.10-244-0-1.prod.pod.cluster.local. 5 IN A 10.244.0.1"],
                why="two labels before the address are ignored",
            ),
            Case(
                "x.y.10-244-0-1.prod.pod.cluster.local.",
                "SRV",
                [
                    "x.y.10-244-0-1.prod.pod.cluster.local. 5 IN SRV 0 100 0 10-244-0-1.prod.pod.cluster.local.",
                ],
                additional=["10-244-0-1.prod.pod.cluster.local. 5 IN A 10.244.0.1"],
                why="two labels before the address are ignored",
            ),
            *name_error("x.y.z.10-244-0-1.prod.pod.cluster.local.", "A", "three are not"),
            *no_data("prod.pod.cluster.local.", "A SRV", "a namespace in the pod subtree"),
            *name_error("prod.pod.cluster.local.", "TXT", "a namespace in the pod subtree"),
            *no_data("empty.pod.cluster.local.", "A", "a namespace without pods"),
            *name_error("nope.pod.cluster.local.", "A", "no namespace in the pod subtree"),
            *no_data("pod.cluster.local.", "A", "the pod subtree"),
            *name_error("pod.cluster.local.", "TXT", "the pod subtree"),
        ],
    )
)

THEMES.append(
    Theme(
        "pods verified",
        Options(pods="verified"),
        OBJECTS,
        cases=[
            Case(
                "10-244-0-1.prod.pod.cluster.local.",
                "A",
                ["10-244-0-1.prod.pod.cluster.local. 5 IN A 10.244.0.1"],
                why="an IPv4 address with dashes",
            ),
            *no_data("10-244-0-1.prod.pod.cluster.local.", "AAAA", "an IPv4 address with dashes"),
            Case(
                "10-244-0-1.prod.pod.cluster.local.",
                "SRV",
                ["10-244-0-1.prod.pod.cluster.local. 5 IN SRV 0 100 0 10-244-0-1.prod.pod.cluster.local."],
                additional=["10-244-0-1.prod.pod.cluster.local. 5 IN A 10.244.0.1"],
                why="a pod asked for other types",
            ),
            *no_data("10-244-0-1.prod.pod.cluster.local.", "TXT MX CNAME HTTPS SOA", "a pod asked for other types"),
            *no_data("fd00-244--1.prod.pod.cluster.local.", "A", "an IPv6 address with dashes"),
            Case(
                "fd00-244--1.prod.pod.cluster.local.",
                "AAAA",
                ["fd00-244--1.prod.pod.cluster.local. 5 IN AAAA fd00:244::1"],
                why="an IPv6 address with dashes",
            ),
            Case(
                "fd00-244--1.prod.pod.cluster.local.",
                "SRV",
                ["fd00-244--1.prod.pod.cluster.local. 5 IN SRV 0 100 0 fd00-244--1.prod.pod.cluster.local."],
                additional=["fd00-244--1.prod.pod.cluster.local. 5 IN AAAA fd00:244::1"],
                why="an IPv6 address with dashes",
            ),
            *name_error(
                "fd00-244-0-0-0-0-0-1.prod.pod.cluster.local.",
                "AAAA",
                "an IPv6 address in full is another spelling",
            ),
            Case(
                "fd00-244-1--.prod.pod.cluster.local.",
                "AAAA",
                ["fd00-244-1--.prod.pod.cluster.local. 5 IN AAAA fd00:244:1::"],
                why="an IPv6 address that ends in dashes",
            ),
            *name_error("fd00-244-1--0.prod.pod.cluster.local.", "AAAA", "with a zero after them"),
            *name_error("10-244-0-2.prod.pod.cluster.local.", "A", "the second address of a pod"),
            *name_error("10-244-0-3.prod.pod.cluster.local.", "A", "a pod that succeeded"),
            *name_error("10-244-0-4.prod.pod.cluster.local.", "A", "a pod that failed"),
            *name_error("10-244-0-5.prod.pod.cluster.local.", "A", "a pod whose phase is unknown"),
            Case(
                "10-244-0-6.prod.pod.cluster.local.",
                "A",
                ["10-244-0-6.prod.pod.cluster.local. 5 IN A 10.244.0.6"],
                why="a pending pod with an address",
            ),
            *name_error("10-244-0-7.prod.pod.cluster.local.", "A", "a pod that is being deleted when first seen"),
            Case(
                "192-0-2-40.prod.pod.cluster.local.",
                "A",
                ["192-0-2-40.prod.pod.cluster.local. 5 IN A 192.0.2.40"],
                why="an address that two pods share",
            ),
            *name_error("192-0-2-41.prod.pod.cluster.local.", "A", "an address of no pod"),
            *name_error("10-244-0-1.empty.pod.cluster.local.", "A", "a pod of another namespace"),
            *name_error("10-244-0-1.nope.pod.cluster.local.", "A TXT", "a namespace that is not there"),
            *name_error("10-244-1-1.gone.pod.cluster.local.", "A", "a pod whose namespace is not there"),
            *name_error("a.prod.pod.cluster.local.", "A AAAA", "a pod's name is no address"),
            *name_error("10-244-0-256.prod.pod.cluster.local.", "A", "no octet over 255"),
            *name_error("10-244-0-01.prod.pod.cluster.local.", "A", "no leading zeros"),
            *name_error("10-244-0.prod.pod.cluster.local.", "A", "three numbers are no address"),
            *name_error("10-244-0-1-2.prod.pod.cluster.local.", "A", "five numbers are no address"),
            *name_error(
                "10--244-0.prod.pod.cluster.local.", "A AAAA", "three dashes of which two touch are colons"
            ),
            *name_error("1-2-3-4-5-6-7-8.prod.pod.cluster.local.", "AAAA A", "eight groups"),
            *name_error("--1.prod.pod.cluster.local.", "AAAA", "the loopback address"),
            *name_error("--.prod.pod.cluster.local.", "AAAA", "the unspecified address"),
            *name_error("---.prod.pod.cluster.local.", "AAAA A", "three colons are no address"),
            *name_error(
                "--ffff-102-304.prod.pod.cluster.local.",
                "A AAAA",
                "an IPv4-mapped address is an IPv4 address",
            ),
            *name_error("fd00-244--12345.prod.pod.cluster.local.", "AAAA", "no group over four digits"),
            *name_error("g000--1.prod.pod.cluster.local.", "AAAA", "no digit over f"),
            Case(
                "x.10-244-0-1.prod.pod.cluster.local.",
                "A",
                ["x.10-244-0-1.prod.pod.cluster.local. 5 IN A 10.244.0.1"],
                why="a label before the address is ignored",
            ),
            *no_data("x.10-244-0-1.prod.pod.cluster.local.", "AAAA", "a label before the address is ignored"),
            Case(
                "x.y.10-244-0-1.prod.pod.cluster.local.",
                "A",
                ["x.y.10-244-0-1.prod.pod.cluster.local. 5 IN A 10.244.0.1"],
                why="two labels before the address are ignored",
            ),
            Case(
                "x.y.10-244-0-1.prod.pod.cluster.local.",
                "SRV",
                [
                    "x.y.10-244-0-1.prod.pod.cluster.local. 5 IN SRV 0 100 0 10-244-0-1.prod.pod.cluster.local.",
                ],
                additional=["10-244-0-1.prod.pod.cluster.local. 5 IN A 10.244.0.1"],
                why="two labels before the address are ignored",
            ),
            *name_error("x.y.z.10-244-0-1.prod.pod.cluster.local.", "A", "three are not"),
            *no_data("prod.pod.cluster.local.", "A SRV", "a namespace in the pod subtree"),
            *name_error("prod.pod.cluster.local.", "TXT", "a namespace in the pod subtree"),
            *no_data("empty.pod.cluster.local.", "A", "a namespace without pods"),
            *name_error("nope.pod.cluster.local.", "A", "no namespace in the pod subtree"),
            *no_data("pod.cluster.local.", "A", "the pod subtree"),
            *name_error("pod.cluster.local.", "TXT", "the pod subtree"),
        ],
    )
)

THEMES.append(
    Theme(
        "pods verified and labelled",
        Options(pods="verified", labels="app=a"),
        OBJECTS,
        cases=[
            Case(
                "10-244-0-1.prod.pod.cluster.local.",
                "A",
                ["10-244-0-1.prod.pod.cluster.local. 5 IN A 10.244.0.1"],
                why="selected by its label",
            ),
            *name_error("10-244-0-6.prod.pod.cluster.local.", "A", "not selected"),
        ],
    )
)
