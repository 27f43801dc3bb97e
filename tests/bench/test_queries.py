"""What is asked: messages, search lists, templates, a Corefile's clusters."""

from __future__ import annotations

from pathlib import Path

import dns.flags
import dns.message
import dns.rdatatype
import pytest

from fastdns.bench.errors import BenchError, BenchUsageError
from fastdns.bench.messages import NO_QUERIES, TYPES, Query, edns, message, type_number
from fastdns.bench.population import as_pods_ask, choose, read_population
from fastdns.bench.queryfile import parse_queries
from fastdns.bench.search import Search, candidates, expand, of_pod
from fastdns.bench.template import from_template

# ------------------------------------------------------------------------------------------------- messages


@pytest.mark.parametrize(
    "name", [".", "a.example", "A.Example.", "_http._tcp.web.shop.svc.cluster.local", r"a\.b.c"]
)
@pytest.mark.parametrize("kind", ["A", "AAAA", "SRV", "TYPE65", "any"])
def test_messages_are_what_another_library_reads(name: str, kind: str) -> None:
    asked = dns.message.from_wire(message(Query(name, kind)))
    assert (asked.id, asked.flags, len(asked.question)) == (0, dns.flags.RD, 1)
    # The case of the name stays.
    assert asked.question[0].name.to_text() == name.rstrip(".") + "."
    assert asked.question[0].rdtype == dns.rdatatype.from_text(kind.upper())


def test_edns_is_what_another_library_reads() -> None:
    asked = dns.message.from_wire(message(Query("a.example", "A"), edns(True, ((65001, b"\1\2"),))))
    assert (asked.edns, asked.payload, asked.ednsflags) == (0, 4096, dns.flags.DO)
    assert [(option.otype, option.to_wire()) for option in asked.options] == [(65001, b"\1\2")]


def test_types_are_those_of_another_library() -> None:
    for name, number in TYPES.items():
        if name not in (
            "SINK",
            "EID",
            "NIMLOC",
            "ATMA",
            "TALINK",
            "NINFO",
            "RKEY",
            "GPOS",
            "NSAP-PTR",
            "A6",
            "APL",
        ):
            assert dns.rdatatype.from_text(name.replace("-", "_")) == number


@pytest.mark.parametrize("kind", ["NOPE", "", "TYPE", "TYPE65536", "TYPEx", "OPT", *sorted(NO_QUERIES), "TYPE252"])
def test_no_types(kind: str) -> None:
    with pytest.raises(ValueError):
        type_number(kind)


def test_a_query_file() -> None:
    text = "a.example A\n\n; a comment\n# another\n  B.example.   aaaa  \r\n. NS\n"
    assert parse_queries(text.splitlines(True), "file") == [
        Query("a.example", "A"), Query("B.example.", "AAAA"), Query(".", "NS"),
    ]  # fmt: skip


def test_a_file_that_is_not_utf8_is_said_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "queries"
    path.write_bytes(b"a.example A\nb.\xff.example A\n")
    with path.open(encoding="utf-8") as text, pytest.raises(BenchError, match=r"file:\d - not UTF-8"):
        parse_queries(text, "file")


# -------------------------------------------------------------------------------------------------- search

POD = of_pod("shop")


@pytest.mark.parametrize(
    ("name", "search", "expected"),
    [
        ("web", POD, ["web.shop.svc.cluster.local.", "web.svc.cluster.local.", "web.cluster.local.", "web."]),
        ("a.b.c.d.e", POD, ["a.b.c.d.e.shop.svc.cluster.local.", "a.b.c.d.e.svc.cluster.local.",
                            "a.b.c.d.e.cluster.local.", "a.b.c.d.e."]),
        ("a.b.c.d.e.f", POD, ["a.b.c.d.e.f.", "a.b.c.d.e.f.shop.svc.cluster.local.",
                              "a.b.c.d.e.f.svc.cluster.local.", "a.b.c.d.e.f.cluster.local."]),
        ("example.org.", POD, ["example.org."]),
        ("a.b", Search(("x.",), 1), ["a.b.", "a.b.x."]),
        ("a", of_pod("shop/k8s.corp."), ["a.shop.svc.k8s.corp.", "a.svc.k8s.corp.", "a.k8s.corp.", "a."]),
    ],
    ids=["short", "four dots", "five dots are enough", "absolute", "another ndots", "another zone"],
)  # fmt: skip
def test_candidates_in_order(name: str, search: Search, expected: list[str]) -> None:
    assert candidates(name, search) == expected


def test_the_first_name_that_exists_ends_it() -> None:
    exists = {"web.shop.svc.cluster.local.", "web.front.svc.cluster.local."}.__contains__
    asked = [
        Query("web", "A"),
        Query("Web.Front", "AAAA"),
        Query("x.example", "A"),
        Query("1.in-addr.arpa.", "PTR"),
    ]
    assert [f"{one.name} {one.type}" for one in expand(asked, POD, exists)] == [
        "web.shop.svc.cluster.local. A",
        "Web.Front.shop.svc.cluster.local. AAAA",
        "Web.Front.svc.cluster.local. AAAA",
        "x.example.shop.svc.cluster.local. A",
        "x.example.svc.cluster.local. A",
        "x.example.cluster.local. A",
        "x.example. A",
        "1.in-addr.arpa. PTR",
    ]


def test_without_knowing_what_exists_the_name_itself_ends_it() -> None:
    asked = [Query("a.b", "A"), Query("a.b.c.d.e.f", "A")]
    assert [one.name for one in expand(asked, POD)] == [*candidates("a.b", POD), "a.b.c.d.e.f."]


# ------------------------------------------------------------------------------------------------ templates


def test_a_template() -> None:
    made = from_template("{random:5}.n{n}.{random}.example a", 3, 1)
    assert [one.type for one in made] == ["A"] * 3
    assert [one.name.split(".")[1] for one in made] == ["n0", "n1", "n2"]
    assert [len(part) for part in made[0].name.split(".")] == [5, 2, 12, 7]
    assert len({one.name for one in made}) == 3
    assert made == from_template("{random:5}.n{n}.{random}.example A", 3, 1)
    assert made != from_template("{random:5}.n{n}.{random}.example A", 3, 2)


@pytest.mark.parametrize(
    "template",
    ["a", "a A b", "{x}.a A", "{random:0}.a A", "{random:64}.a A", "{.a A", "a}.b A", "a NOPE", "a..b A"],
)
def test_no_templates(template: str) -> None:
    with pytest.raises(BenchUsageError, match="--template: "):
        from_template(template, 2, 1)


# ------------------------------------------------------------------------------------------------- Corefile

COREFILE = """\
cluster.local:1053 10.in-addr.arpa:1053 {
    kubernetes cluster.local 10.in-addr.arpa {
        manifests MANIFESTS
    }
}
"""
MANIFESTS = """\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  clusterIP: 10.96.0.20
  clusterIPs: [10.96.0.20, "fd00::20"]
  ports: [{name: http, port: 80, protocol: TCP}, {port: 81, protocol: TCP}]
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: data}
spec: {clusterIP: None, clusterIPs: [None], ports: [{name: sql, port: 5432}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-1, namespace: data, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
endpoints:
- {addresses: [10.1.0.1], hostname: db-0, conditions: {ready: true}}
- {addresses: [10.1.0.2], conditions: {ready: true}}
- {addresses: [10.1.0.3], conditions: {ready: false}}
ports: [{name: sql, port: 5432, protocol: TCP}]
---
apiVersion: v1
kind: Service
metadata: {name: away, namespace: shop}
spec: {type: ExternalName, externalName: example.org}
"""


@pytest.fixture
def corefile(tmp_path: Path) -> Path:
    (tmp_path / "cluster.yaml").write_text(MANIFESTS)
    path = tmp_path / "Corefile"
    path.write_text(COREFILE.replace("MANIFESTS", str(tmp_path / "cluster.yaml")))
    return path


ASKED = {
    "service": ["web.shop.svc.cluster.local. A", "web.shop.svc.cluster.local. AAAA"],
    "headless": [
        "10-1-0-2.db.data.svc.cluster.local. A",
        "db-0.db.data.svc.cluster.local. A",
        "db.data.svc.cluster.local. A",
    ],
    "srv": ["_http._tcp.web.shop.svc.cluster.local. SRV", "_sql._tcp.db.data.svc.cluster.local. SRV"],
    "ptr": ["1.0.1.10.in-addr.arpa. PTR", "2.0.1.10.in-addr.arpa. PTR", "20.0.96.10.in-addr.arpa. PTR",
            "0.2.0.0." + "0.0.0.0." * 6 + "0.0.d.f.ip6.arpa. PTR"],
}  # fmt: skip


def test_the_names_of_a_cluster(corefile: Path) -> None:
    population = read_population(corefile)
    found = {kind: sorted(f"{one.name} {one.type}" for one in asked) for kind, asked in population.queries.items()}
    assert found == {kind: sorted(asked) for kind, asked in ASKED.items()}
    assert [one.type for one in choose(population, ("srv",))] == ["SRV", "SRV"]
    assert len(choose(population, None)) == sum(map(len, ASKED.values()))


def test_what_pods_make_of_them(corefile: Path) -> None:
    population = read_population(corefile)
    asked = as_pods_ask(population, choose(population, ("service", "headless")), "shop")
    sent = [f"{one.name} {one.type}" for one in expand(asked, POD, population.existing_name)]
    assert sent[:5] == [
        "web.shop.svc.cluster.local. A",
        "web.shop.svc.cluster.local. AAAA",
        # Endpoints are asked for by their whole names.
        "db-0.db.data.svc.cluster.local. A",
        "10-1-0-2.db.data.svc.cluster.local. A",
        "db.data.shop.svc.cluster.local. A",
    ]
    assert sent[5:] == [
        "db.data.svc.cluster.local. A",
        "db.data.shop.svc.cluster.local. AAAA",
        "db.data.svc.cluster.local. AAAA",
    ]


def test_kinds_that_are_not_there(corefile: Path) -> None:
    population = read_population(corefile)
    with pytest.raises(BenchUsageError, match="--kinds: of service, headless, srv, ptr expected, got 'pods'"):
        choose(population, ("pods",))


@pytest.mark.parametrize(
    ("corefile_text", "manifests", "says"),
    [
        ("x {\n    nope\n}\n", "", "Corefile:2"),
        (". {\n    whoami\n}\n", "", "no kubernetes block with manifests that have a Service"),
        (COREFILE, "kind: Service\n", "cluster.yaml:1 - apiVersion and kind expected"),
    ],
    ids=["a wrong Corefile", "no cluster", "wrong manifests"],
)
def test_what_is_no_cluster_is_said(tmp_path: Path, corefile_text: str, manifests: str, says: str) -> None:
    (tmp_path / "cluster.yaml").write_text(manifests)
    path = tmp_path / "Corefile"
    path.write_text(corefile_text.replace("MANIFESTS", str(tmp_path / "cluster.yaml")))
    with pytest.raises(BenchError) as error:
        read_population(path)
    assert says in str(error.value)


def test_no_corefile_is_said(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"Corefile: .*[Nn]o such file|[Nn]o such file.*Corefile"):
        read_population(tmp_path / "Corefile")


@pytest.mark.parametrize("name", ["a..", "..", ".a", "a..b", "a" * 64, ".".join(["a" * 60] * 5), "ü" * 40])
def test_no_names(name: str) -> None:
    """``a..`` was read as ``a.``."""
    with pytest.raises(ValueError, match="is not a domain name"):
        message(Query(name, "A"))
