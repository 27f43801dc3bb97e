"""Names of a cluster under other names: owners, targets, denials, aliases out of a Service, values of names."""

from __future__ import annotations

from collections.abc import Iterator

import dns.message
import dns.query
import pytest

from tests.plugins.beside import Both, Case, ids
from tests.support import MANIFESTS

EXTERNAL = """\
---
apiVersion: v1
kind: Service
metadata: {name: ext, namespace: shop}
spec: {type: ExternalName, externalName: web.shop.svc.cluster.local}
"""
# What CoreDNS would need an API server for.
COREFILE = r"""
cluster.local:DNS_PORT corp:DNS_PORT 10.in-addr.arpa:DNS_PORT {
    metadata
    rewrite stop {
        name suffix .in-addr.arpa .in-addr.arpa
        answer value ^(.*)\.shop\.svc\.cluster\.local\.$ {1}.corp
    }
    rewrite continue edns0 local set 0xffee {kubernetes/service}
    rewrite stop name exact www.corp web.shop.svc.cluster.local
    rewrite stop name suffix .corp .shop.svc.cluster.local answer auto
    kubernetes cluster.local 10.in-addr.arpa {
        manifests "MANIFESTS"
    }
}
"""
SOA = "cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local."

CASES = [
    Case("www.corp.", answer=["www.corp. 5 IN A 10.96.0.20"], flags="AA", why="exact"),
    Case("WWW.Corp.", answer=["WWW.Corp. 5 IN A 10.96.0.20"], flags="AA", why="in the client's spelling"),
    Case("web.corp.", answer=["web.corp. 5 IN A 10.96.0.20"], flags="AA", why="suffix"),
    Case("web.corp.", tcp=True, answer=["web.corp. 5 IN A 10.96.0.20"], flags="AA", why="over TCP"),
    Case("web.corp.", "AAAA", authority=None, flags="AA", why="no such record"),
    Case("nothing.corp.", rcode="NXDOMAIN", authority=None, flags="AA", why="no such name"),
    Case(
        "_http._tcp.web.corp.",
        "SRV",
        answer=["_http._tcp.web.corp. 5 IN SRV 0 100 80 web.corp."],
        additional=["web.corp. 5 IN A 10.96.0.20"],
        flags="AA",
        why="a target, and its address",
    ),
    Case(
        "ext.corp.",
        answer=["ext.corp. 5 IN CNAME web.corp.", "web.corp. 5 IN A 10.96.0.20"],
        flags="AA",
        why="an alias within the cluster, which is followed through the rules once more",
    ),
    Case(
        "20.0.96.10.in-addr.arpa.",
        "PTR",
        answer=["20.0.96.10.in-addr.arpa. 5 IN PTR web.corp."],
        why="the name of an address",
    ),
    Case(
        "web.shop.svc.cluster.local.",
        answer=["web.shop.svc.cluster.local. 5 IN A 10.96.0.20"],
        why="other names are as ever",
    ),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    both = Both(tmp_path_factory.mktemp("cluster"), COREFILE, coredns=None)
    both.fastdns.manifests.write_text(MANIFESTS + EXTERNAL)
    with both:
        yield both


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_answers(server: Both, case: Case) -> None:
    server.check(case)


def test_a_value_of_another_plugin_is_an_option(server: Both) -> None:
    """Where it is empty the rule does not match: the name is not of the cluster yet when the rule is met."""
    for name, shown in (("web.shop.svc.cluster.local.", [b"web"]), ("web.corp.", [])):
        query = dns.message.make_query(name, "A", use_edns=0)
        reply = dns.query.udp(query, "127.0.0.1", 5, server.fastdns.port)
        assert [option.to_wire() for option in reply.options] == shown
