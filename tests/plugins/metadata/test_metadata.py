"""What plugins know of a query, as the query log of fastdns and CoreDNS shows it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError
from tests.plugins.beside import Both, Case, ask
from tests.support import Server, wait_until

COREFILE = """\
example.org:DNS_PORT {
    bind 127.0.0.1
    metadata a.example.org b.example.org
    log . "<{name} {/forward/upstream} {/log/type} {/log/class} {/no/such} {/}>"
    any
    forward a.example.org 127.0.0.2:DNS_PORT
    forward down.b.example.org 127.0.0.3:DNS_PORT
    whoami
}
example.org:DNS_PORT {
    bind 127.0.0.2
    whoami
}
"""
# A name and what the line says behind it.
LINES = [
    ("x.a.example.org.", "A", "127.0.0.2:DNS_PORT NOERROR success - -", "an upstream's reply"),
    ("x.down.b.example.org.", "A", "127.0.0.3:DNS_PORT SERVERERROR error - -", "an upstream that fails"),
    ("x.b.example.org.", "A", "- NOERROR success - -", "no upstream has been asked"),
    ("b.example.org.", "ANY", "- NOERROR success - -", "a zone itself"),
    ("transfer.b.example.org.", "AXFR", "- META error - -", "a transfer"),
    ("x.c.example.org.", "A", "- NOERROR success - -", "what is found out while serving is there in all zones"),
]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with Both(tmp_path_factory.mktemp("metadata"), COREFILE) as both:
        yield both


def shown(output: Path, name: str) -> str:
    """What a line says behind a name."""
    found: list[str] = []

    def logged() -> bool:
        found[:] = re.findall(rf"<{re.escape(name)} (.*)>", output.read_text())
        return bool(found)

    wait_until(logged, 5.0, name)
    return found[-1]


@pytest.mark.parametrize(("name", "kind", "says", "why"), LINES, ids=[line[3] for line in LINES])
def test_the_log_shows_values(both: Both, name: str, kind: str, says: str, why: str) -> None:
    for server in [both.fastdns] if both.coredns is None else [both.fastdns, both.coredns]:
        ask(Case(name, kind), server.port)
        assert shown(server.output, name) == says.replace("DNS_PORT", str(server.port)), server


def test_an_upstream_that_answers_in_place_of_another(tmp_path: Path) -> None:
    """The value is the one whose reply the client gets, also where another one has failed before."""
    corefile = """\
    .:DNS_PORT {
        metadata
        log . "<{name} {/forward/upstream}>"
        forward . 127.0.0.1:HEALTH_PORT 127.0.0.1:OTHER_PORT {
            policy sequential
        }
    }
    .:OTHER_PORT {
        whoami
    }
    """
    with Server(tmp_path, corefile) as server:
        server.query("a.")
        assert shown(server.output, "a.") == f"127.0.0.1:{server.ports['OTHER_PORT']}"


KUBERNETES = """\
cluster.local:DNS_PORT clusterset.local:DNS_PORT zonal.local:DNS_PORT {
    bind 127.0.0.1
    metadata
    log . "<{name} {/kubernetes/kind} {/kubernetes/namespace} {/kubernetes/service} {/kubernetes/endpoint} \
{/kubernetes/port-name} {/kubernetes/protocol} {/kubernetes/cluster} {/kubernetes/zone} {/kubernetes/parse-error}>"
    kubernetes cluster.local clusterset.local {
        manifests "MANIFESTS"
        multicluster clusterset.local
        zonal
    }
    whoami
}
"""
# kind, namespace, service, endpoint, port-name, protocol, cluster, zone, parse-error
NAMES = [
    ("cluster.local.", "- - - - - - - - -", "the zone"),
    ("svc.cluster.local.", "- - - - - - - - -", "svc alone is about nothing"),
    ("ns.svc.cluster.local.", "svc ns - - - - - - -", "a namespace"),
    ("s.ns.svc.cluster.local.", "svc ns s - - - - - -", "a service"),
    ("S.NS.SVC.Cluster.Local.", "svc ns s - - - - - -", "in lower case"),
    ("ep.s.ns.svc.cluster.local.", "svc ns s ep - - - - -", "an endpoint"),
    ("_http._tcp.s.ns.svc.cluster.local.", "svc ns s - http tcp - - -", "a port"),
    ("http.tcp.s.ns.svc.cluster.local.", "svc ns s - http tcp - - -", "a port without underscores"),
    ("ep.c1.s.ns.svc.clusterset.local.", "svc ns s ep - - c1 - -", "an endpoint of another cluster"),
    ("_h._u.s.ns.svc.clusterset.local.", "svc ns s - h u - - -", "a port in a multicluster zone"),
    ("eu.west.pin._zone.s.ns.svc.cluster.local.", "svc ns s - - - - eu.west -", "a topology zone"),
    ("10-0-0-1.ns.pod.cluster.local.", "pod ns 10-0-0-1 - - - - - -", "a pod"),
    ("x.pin._zone.s.ns.pod.cluster.local.", "- - - - - - - - invalid query name", "pods have no topology zones"),
    ("a.b.c.s.ns.svc.cluster.local.", "- - - - - - - - invalid query name", "too long"),
    ("s.ns.notapod.cluster.local.", "- - - - - - - - invalid query name", "neither svc nor pod"),
    ("a\\010b.ns.svc.cluster.local.", "svc ns a\\010b - - - - - -", "a line stays one line"),
    ("other.zonal.local.", "- - - - - - - - -", "no zone of kubernetes"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("cluster"), KUBERNETES) as server:
        yield server


@pytest.mark.parametrize(("name", "says", "why"), NAMES, ids=[name[2] for name in NAMES])
def test_what_a_name_of_a_cluster_says(cluster: Server, name: str, says: str, why: str) -> None:
    """As in CoreDNS's own test, plugin/kubernetes/metadata_test.go, and more."""
    cluster.query(name)
    assert shown(cluster.output, name.lower()) == says


def test_default_zones_are_the_blocks() -> None:
    config = load("a.org b.org {\nmetadata\n}\nc.org {\nmetadata d.c.org\n}\ne.org {\nwhoami\n}", environ={})
    assert [block.settings.value_zones for block in config.blocks] == [("a.org.", "b.org."), ("d.c.org.",), None]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("metadata\nmetadata", "Corefile:3"),
        ("metadata {\nzones a.org\n}", "Corefile:3.*unknown option 'zones'"),
        ("metadata a..org", "Corefile:2.*a..org"),
    ],
)
def test_errors(text: str, error: str) -> None:
    with pytest.raises(CorefileError, match=error):
        load(f". {{\n{text}\n}}", environ={})


def test_the_log_warns_where_values_cannot_be_read() -> None:
    line = 'log . "{name} {/log/class}"'
    assert "{/log/class} is always '-'" in load(f". {{\n{line}\n}}", environ={}).warnings[0]
    assert not load(f". {{\nmetadata\n{line}\n}}", environ={}).warnings

