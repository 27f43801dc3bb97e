"""dns64 beside CoreDNS, before an upstream whose names have addresses of one family, of both, and none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.plugins.beside import Both, Case, ids
from tests.plugins.forward.engine.support import Upstream
from tests.plugins.upstream import SOA, from_table
from tests.support import free_port, has_address, http_get, wait_until

pytestmark = pytest.mark.skipif(not has_address("::1"), reason="this host has no IPv6")

COREFILE = """\
test:DNS_PORT {
    prometheus 127.0.0.1:METRICS
    dns64
    forward . 127.0.0.1:UPSTREAM
}
all.test:DNS_PORT {
    dns64 {
        prefix 2001:db8:64::/48
        translate_all
        allow_ipv4
    }
    forward . 127.0.0.1:UPSTREAM
}
cached.test:DNS_PORT {
    dns64
    cache
    forward . 127.0.0.1:UPSTREAM
}
arpa:DNS_PORT {
    dns64
    forward . 127.0.0.1:UPSTREAM
}
dead.test:DNS_PORT {
    dns64
    forward . 127.0.0.1:1 {
        failfast_all_unhealthy_upstreams
    }
}
"""
LONG = "long.test. 3600 IN A 192.0.2.9"
RECORDS = {
    "four.test. A": ["four.test. 60 IN A 192.0.2.1", "four.test. 60 IN A 192.0.2.33"],
    "long.test. A": [LONG],
    "four.cached.test. A": ["four.cached.test. 60 IN A 192.0.2.1"],
    "six.test. AAAA": ["six.test. 60 IN AAAA 2001:db8::1"],
    "six.test. A": ["six.test. 60 IN A 192.0.2.2"],
    "none.test. TXT": ["none.test. 60 IN TXT text"],
    "alias.test. A": ["alias.test. 60 IN CNAME four.test.", "four.test. 60 IN A 192.0.2.1"],
    "alias.test. AAAA": ["alias.test. 60 IN CNAME four.test."],
    "mapped.test. AAAA": ["mapped.test. 60 IN AAAA ::ffff:192.0.2.7"],
    "mapped.test. A": ["mapped.test. 60 IN A 192.0.2.7"],
    "partly.test. AAAA": ["partly.test. 60 IN AAAA ::ffff:192.0.2.8", "partly.test. 60 IN AAAA 2001:db8::8"],
    "broken.test. AAAA": "SERVFAIL",
    "broken.test. A": ["broken.test. 60 IN A 192.0.2.10"],
    "worse.test. AAAA": "SERVFAIL",
    "worse.test. A": "REFUSED",
    "both.all.test. AAAA": ["both.all.test. 60 IN AAAA 2001:db8::1"],
    "both.all.test. A": ["both.all.test. 60 IN A 192.0.2.2"],
    "1.2.0.192.in-addr.arpa. PTR": ["1.2.0.192.in-addr.arpa. 60 IN PTR four.test."],
    f"1.{'0.' * 23}8.b.d.0.1.0.0.2.ip6.arpa. PTR": [f"1.{'0.' * 23}8.b.d.0.1.0.0.2.ip6.arpa. 60 IN PTR six.test."],
}  # fmt: skip
REVERSE = f"1.0.2.0.0.0.0.c.{'0.' * 16}b.9.f.f.4.6.0.0.ip6.arpa."


def six(qname: str, qtype: str = "AAAA", *answer: str, why: str, **how: object) -> Case:
    """Asked over IPv6. @: the question's name."""
    return Case(qname, qtype, answer=[one.replace("@", qname) for one in answer], why=why,
                **({"client": "::1"} | how))  # fmt: skip


CASES = [
    six("four.test.", "AAAA", "@ 60 IN AAAA 64:ff9b::c000:201", "@ 60 IN AAAA 64:ff9b::c000:221", why="addresses"),
    six("four.test.", "A", "@ 60 IN A 192.0.2.1", "@ 60 IN A 192.0.2.33", why="A is as it was"),
    six("long.test.", "AAAA", "@ 300 IN AAAA 64:ff9b::c000:209", why="the TTL of the SOA record is shorter"),
    six("six.test.", "AAAA", "@ 60 IN AAAA 2001:db8::1", why="it has an address"),
    six("gone.test.", why="no such name", rcode="NXDOMAIN", authority=[SOA]),
    six("none.test.", why="no addresses", authority=[SOA]),
    six("alias.test.", "AAAA", "@ 60 IN CNAME four.test.", "four.test. 60 IN AAAA 64:ff9b::c000:201",
        why="an alias"),
    six("four.test.", "TXT", why="another type", authority=[SOA]),
    Case("four.test.", "AAAA", authority=[SOA], why="over IPv4"),
    six("mapped.test.", "AAAA", "@ 60 IN AAAA 64:ff9b::c000:207", why="an IPv4-mapped address is none",
        coredns="CoreDNS knows no exclusion"),
    six("partly.test.", "AAAA", "@ 60 IN AAAA 2001:db8::8", why="one of two is", coredns="CoreDNS gives both"),
    six("broken.test.", "AAAA", "@ 60 IN AAAA 64:ff9b::c000:20a", why="an error is an empty answer"),
    six("worse.test.", rcode="REFUSED", why="A fails as well", coredns="CoreDNS says that there is no data"),
    six("four.cached.test.", "AAAA", "@ 60 IN AAAA 64:ff9b::c000:201", why="with a cache behind"),
    six("x.dead.test.", rcode="SERVFAIL", why="nobody answers"),
    six("both.all.test.", "AAAA", "@ 60 IN AAAA 2001:db8:64:c000:2:200::", why="translate_all, another prefix"),
    Case("both.all.test.", "AAAA", answer=["both.all.test. 60 IN AAAA 2001:db8:64:c000:2:200::"], why="allow_ipv4"),
    six(REVERSE, "PTR", "@ 600 IN CNAME 1.2.0.192.in-addr.arpa.", "1.2.0.192.in-addr.arpa. 60 IN PTR four.test.",
        why="a reverse name below the prefix", coredns="CoreDNS answers none"),
    six(f"1.{'0.' * 23}8.b.d.0.1.0.0.2.ip6.arpa.", "PTR", "@ 60 IN PTR six.test.", why="another reverse name"),
    six("four.test.", "AAAA", "@ 60 IN AAAA 64:ff9b::c000:201", "@ 60 IN AAAA 64:ff9b::c000:221", tcp=True,
        why="over TCP"),
    six("four.test.", "AAAA", "@ 60 IN AAAA 64:ff9b::c000:201", "@ 60 IN AAAA 64:ff9b::c000:221", dnssec=True,
        why="a client that does not validate"),
]  # fmt: skip


@dataclass
class World:
    both: Both
    metrics: list[int]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    ports = [free_port(), free_port()]
    with Upstream(from_table(RECORDS), tcp=from_table(RECORDS)) as upstream:
        text = COREFILE.replace("UPSTREAM", str(upstream.port))
        ours, theirs = (text.replace("METRICS", str(port)) for port in ports)
        with Both(tmp_path_factory.mktemp("dns64"), ours, coredns=theirs) as both:
            yield World(both, ports)


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_answers(world: World, case: Case) -> None:
    world.both.check(case)


def translated(world: World) -> list[float]:
    """coredns_dns64_requests_translated_total of fastdns, and of CoreDNS where it runs."""
    found = []
    for port in world.metrics[: 1 if world.both.coredns is None else 2]:
        families = text_string_to_metric_families(http_get(port, "/metrics")[1])
        name = "coredns_dns64_requests_translated"
        samples = next((family.samples for family in families if family.name == name), [])
        totals = [one for one in samples if one.name.endswith("_total")]
        assert all(set(one.labels) == {"server"} for one in totals)
        found.append(sum(one.value for one in totals))
    return found


def test_metrics(world: World) -> None:
    """Counted is each question for A; not what has addresses, is denied, or comes over IPv4."""
    before = translated(world)
    for case in CASES[:9]:
        world.both.check(case)
    wait_until(lambda: translated(world) == [one + 4 for one in before])
