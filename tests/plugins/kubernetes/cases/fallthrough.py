"""fallthrough: of all names, of reverse zones, of a part, and none."""

# A record stays on one line.

from __future__ import annotations

from tests.plugins.kubernetes.cases.options import OBJECTS
from tests.plugins.kubernetes.support import (
    Case,
    Options,
    Theme,
    name_error,
    no_data,
    refused,
)

THEMES: list[Theme] = []

THEMES.append(
    Theme(
        "fallthrough",
        Options(fallthrough=["."]),
        OBJECTS,
        cases=[
            Case(
                "nope.prod.svc.cluster.local.",
                "A",
                additional=[
                    "_tcp.nope.prod.svc.cluster.local. 0 IN SRV 0 0 0 .",
                    "nope.prod.svc.cluster.local. 0 IN A 127.0.0.1",
                ],
                why="a name error goes on to the next plugin",
            ),
            Case(
                "nope.prod.svc.cluster.local.",
                "TXT",
                additional=[
                    "_tcp.nope.prod.svc.cluster.local. 0 IN SRV 0 0 0 .",
                    "nope.prod.svc.cluster.local. 0 IN A 127.0.0.1",
                ],
                why="a name error goes on to the next plugin",
            ),
            Case(
                "nope.prod.svc.cluster.local.",
                "SRV",
                additional=[
                    "_tcp.nope.prod.svc.cluster.local. 0 IN SRV 0 0 0 .",
                    "nope.prod.svc.cluster.local. 0 IN A 127.0.0.1",
                ],
                why="a name error goes on to the next plugin",
            ),
            Case(
                "foo.cluster.local.",
                "A",
                additional=[
                    "_tcp.foo.cluster.local. 0 IN SRV 0 0 0 .",
                    "foo.cluster.local. 0 IN A 127.0.0.1",
                ],
                why="outside the schema",
            ),
            Case(
                "foo.cluster.local.",
                "MX",
                additional=[
                    "_tcp.foo.cluster.local. 0 IN SRV 0 0 0 .",
                    "foo.cluster.local. 0 IN A 127.0.0.1",
                ],
                why="outside the schema",
            ),
            Case(
                "nope.svc.cluster.local.",
                "A",
                additional=[
                    "_tcp.nope.svc.cluster.local. 0 IN SRV 0 0 0 .",
                    "nope.svc.cluster.local. 0 IN A 127.0.0.1",
                ],
                why="no namespace",
            ),
            *no_data("web.prod.svc.cluster.local.", "AAAA", "no data does not fall through"),
            Case(
                "web.prod.svc.cluster.local.",
                "A",
                ["web.prod.svc.cluster.local. 5 IN A 10.96.0.1"],
                why="nor do answers",
            ),
            *no_data("cluster.local.", "A", "nor does the apex"),
            Case(
                "9.9.9.9.in-addr.arpa.",
                "PTR",
                additional=[
                    "9.9.9.9.in-addr.arpa. 0 IN A 127.0.0.1",
                    "_tcp.9.9.9.9.in-addr.arpa. 0 IN SRV 0 0 0 .",
                ],
                why="an unknown address",
            ),
            Case(
                "1.0.96.10.in-addr.arpa.",
                "PTR",
                ["1.0.96.10.in-addr.arpa. 5 IN PTR web.prod.svc.cluster.local."],
                why="a known address",
            ),
            Case(
                "1.0.96.10.in-addr.arpa.",
                "A",
                additional=[
                    "1.0.96.10.in-addr.arpa. 0 IN A 127.0.0.1",
                    "_tcp.1.0.96.10.in-addr.arpa. 0 IN SRV 0 0 0 .",
                ],
                why="a reverse name asked for an address",
            ),
            Case(
                "9.9.in-addr.arpa.",
                "PTR",
                additional=["9.9.in-addr.arpa. 0 IN A 127.0.0.1", "_tcp.9.9.in-addr.arpa. 0 IN SRV 0 0 0 ."],
                why="part of an address",
            ),
            *no_data("in-addr.arpa.", "PTR", "the reverse apex", soa="in-addr.arpa."),
            Case(
                "link.prod.svc.cluster.local.",
                "A",
                [
                    "link.prod.svc.cluster.local. 5 IN CNAME unready.prod.svc.cluster.local.",
                    "unready.prod.svc.cluster.local. 5 IN A 10.96.0.2",
                ],
                why="a chain to an address",
            ),
            *refused("cluster.local.", "AXFR", "a transfer does not fall through"),
            Case(
                "svc.cluster.local.",
                "TXT",
                additional=[
                    "_tcp.svc.cluster.local. 0 IN SRV 0 0 0 .",
                    "svc.cluster.local. 0 IN A 127.0.0.1",
                ],
                why="TXT of the svc subtree is a name error",
            ),
            Case(
                "db.prod.svc.cluster.local.",
                "A",
                additional=[
                    "_tcp.db.prod.svc.cluster.local. 0 IN SRV 0 0 0 .",
                    "db.prod.svc.cluster.local. 0 IN A 127.0.0.1",
                ],
                why="a headless service without endpoints",
            ),
        ],
    )
)

THEMES.append(
    Theme(
        "fallthrough of reverse zones",
        Options(fallthrough=["in-addr.arpa.", "ip6.arpa."]),
        OBJECTS,
        cases=[
            *name_error("nope.prod.svc.cluster.local.", "A TXT SRV", "a name error goes on to the next plugin"),
            *name_error("foo.cluster.local.", "A MX", "outside the schema"),
            *name_error("nope.svc.cluster.local.", "A", "no namespace"),
            *no_data("web.prod.svc.cluster.local.", "AAAA", "no data does not fall through"),
            Case(
                "web.prod.svc.cluster.local.",
                "A",
                ["web.prod.svc.cluster.local. 5 IN A 10.96.0.1"],
                why="nor do answers",
            ),
            *no_data("cluster.local.", "A", "nor does the apex"),
            Case(
                "9.9.9.9.in-addr.arpa.",
                "PTR",
                additional=[
                    "9.9.9.9.in-addr.arpa. 0 IN A 127.0.0.1",
                    "_tcp.9.9.9.9.in-addr.arpa. 0 IN SRV 0 0 0 .",
                ],
                why="an unknown address",
            ),
            Case(
                "1.0.96.10.in-addr.arpa.",
                "PTR",
                ["1.0.96.10.in-addr.arpa. 5 IN PTR web.prod.svc.cluster.local."],
                why="a known address",
            ),
            Case(
                "1.0.96.10.in-addr.arpa.",
                "A",
                additional=[
                    "1.0.96.10.in-addr.arpa. 0 IN A 127.0.0.1",
                    "_tcp.1.0.96.10.in-addr.arpa. 0 IN SRV 0 0 0 .",
                ],
                why="a reverse name asked for an address",
            ),
            Case(
                "9.9.in-addr.arpa.",
                "PTR",
                additional=["9.9.in-addr.arpa. 0 IN A 127.0.0.1", "_tcp.9.9.in-addr.arpa. 0 IN SRV 0 0 0 ."],
                why="part of an address",
            ),
            *no_data("in-addr.arpa.", "PTR", "the reverse apex", soa="in-addr.arpa."),
            Case(
                "link.prod.svc.cluster.local.",
                "A",
                [
                    "link.prod.svc.cluster.local. 5 IN CNAME unready.prod.svc.cluster.local.",
                    "unready.prod.svc.cluster.local. 5 IN A 10.96.0.2",
                ],
                why="a chain to an address",
            ),
            *refused("cluster.local.", "AXFR", "a transfer does not fall through"),
            *name_error("svc.cluster.local.", "TXT", "TXT of the svc subtree is a name error"),
            *name_error("db.prod.svc.cluster.local.", "A", "a headless service without endpoints"),
        ],
    )
)

THEMES.append(
    Theme(
        "fallthrough of a part",
        Options(fallthrough=["prod.svc.cluster.local."]),
        OBJECTS,
        cases=[
            Case(
                "nope.prod.svc.cluster.local.",
                "A",
                additional=[
                    "_tcp.nope.prod.svc.cluster.local. 0 IN SRV 0 0 0 .",
                    "nope.prod.svc.cluster.local. 0 IN A 127.0.0.1",
                ],
                why="a name error goes on to the next plugin",
            ),
            Case(
                "nope.prod.svc.cluster.local.",
                "TXT",
                additional=[
                    "_tcp.nope.prod.svc.cluster.local. 0 IN SRV 0 0 0 .",
                    "nope.prod.svc.cluster.local. 0 IN A 127.0.0.1",
                ],
                why="a name error goes on to the next plugin",
            ),
            Case(
                "nope.prod.svc.cluster.local.",
                "SRV",
                additional=[
                    "_tcp.nope.prod.svc.cluster.local. 0 IN SRV 0 0 0 .",
                    "nope.prod.svc.cluster.local. 0 IN A 127.0.0.1",
                ],
                why="a name error goes on to the next plugin",
            ),
            *name_error("foo.cluster.local.", "A MX", "outside the schema"),
            *name_error("nope.svc.cluster.local.", "A", "no namespace"),
            *name_error("9.9.9.9.in-addr.arpa.", "PTR", "an unknown address", soa="in-addr.arpa."),
        ],
    )
)

THEMES.append(
    Theme(
        "no fallthrough",
        Options(),
        OBJECTS,
        cases=[
            *name_error("nope.prod.svc.cluster.local.", "A TXT SRV", "a name error goes on to the next plugin"),
            *name_error("foo.cluster.local.", "A MX", "outside the schema"),
            *name_error("nope.svc.cluster.local.", "A", "no namespace"),
            *name_error("9.9.9.9.in-addr.arpa.", "PTR", "an unknown address", soa="in-addr.arpa."),
        ],
    )
)
