"""What names answer, beside CoreDNS with the same agent; changes, failures, and what is counted."""

from __future__ import annotations

from collections.abc import Iterator

import dns.rcode
import pytest

from tests.plugins.beside import Both, Case, ids
from tests.plugins.nomad.agent import Agent, Services, at
from tests.support import Server, wait_until

COREFILE = """\
service.nomad:DNS_PORT other.test:DNS_PORT {
    bind 127.0.0.1
    errors
    prometheus 127.0.0.1:METRICS_PORT
    nomad {
        address http://127.0.0.1:1 URL
        token s.ecret
        ttl 10
    }
}
tagged.test:DNS_PORT {
    bind 127.0.0.1
    nomad tagged.test {
        address URL
        filter "Tags contains \\"blue\\""
        token s.ecret
    }
    ready 127.0.0.1:READY_PORT
}
"""
SERVICES: Services = {
    ("default", "web"): [*at("10.0.0.1", "10.0.0.2"), *at("2001:db8::1", port=9090)],
    ("default", "six"): at("2001:db8::6"),
    ("default", "Upper"): at("10.1.0.1"),
    ("prod", "web"): [*at("10.2.0.1", tags=("blue",)), *at("10.2.0.2", tags=("green",))],
    ("default", "mapped"): at("::ffff:10.3.0.1"),
    ("default", "none"): [],
    # Two instances on one node.
    ("default", "twice"): [*at("10.4.0.1", port=1), *at("10.4.0.1", port=2)],
    ("default", "broken"): [{"Address": "no address", "Port": 1}, *at("10.5.0.1"), *at("10.5.0.2", port=70000)],
    ("x" * 64, "far"): at("10.6.0.1"),
}
WEB = "web.default.service.nomad."


def a(name: str, *addresses: str, ttl: int = 10) -> list[str]:
    return [f"{name} {ttl} IN {'AAAA' if ':' in address else 'A'} {address}" for address in addresses]


CASES = [
    Case(WEB, answer=a(WEB, "10.0.0.1", "10.0.0.2"), flags="AA", why="addresses of one family"),
    Case(WEB, "AAAA", answer=a(WEB, "2001:db8::1"), why="of the other"),
    Case("web.prod.service.nomad.", answer=a("web.prod.service.nomad.", "10.2.0.1", "10.2.0.2"), why="namespaces"),
    Case("web.prod.tagged.test.", answer=a("web.prod.tagged.test.", "10.2.0.1", ttl=30), why="a filter"),
    Case("WeB.Default.service.NOMAD.", "AAAA", answer=a("WeB.Default.service.NOMAD.", "2001:db8::1"), why="case"),
    Case(
        "six.default.service.nomad.",
        "SRV",
        answer=["six.default.service.nomad. 10 IN SRV 10 10 8080 six.default.service.nomad."],
        additional=a("six.default.service.nomad.", "2001:db8::6"),
        why="ports and addresses",
    ),
    Case("mapped.default.service.nomad.", answer=a("mapped.default.service.nomad.", "10.3.0.1"), why="in IPv6"),
    Case("web.default.x.service.nomad.", answer=a("web.default.x.service.nomad.", "10.0.0.1", "10.0.0.2"),
         why="what is between does not matter"),
    Case("default.service.nomad.", rcode="SERVFAIL", why="too few labels: the next plugin's, and there is none"),
    Case("x.other.test.", rcode="SERVFAIL", why="another zone: the same"),
    # Where CoreDNS is wrong, or asks for what cannot be.
    Case(
        "twice.default.service.nomad.",
        answer=a("twice.default.service.nomad.", "10.4.0.1"),
        why="a record once (RFC 2181 section 5)",
        coredns="it says the address of each instance",
    ),
    Case(
        "twice.default.service.nomad.",
        "SRV",
        answer=[
            f"twice.default.service.nomad. 10 IN SRV 10 10 {port} twice.default.service.nomad." for port in (1, 2)
        ],
        additional=a("twice.default.service.nomad.", "10.4.0.1"),
        why="two ports, one address",
        coredns="it says the address of each instance",
    ),
    Case("upper.default.service.nomad.", answer=a("upper.default.service.nomad.", "10.1.0.1"), why="RFC 4343",
         coredns="it asks Nomad for the name in lower case"),
    Case("broken.default.service.nomad.", answer=a("broken.default.service.nomad.", "10.5.0.1"),
         why="the instances that can be served", coredns="one that cannot hides all others"),
    Case("six.default.service.nomad.", authority=None, flags="AA", why="no address of the family"),
    Case("six.default.service.nomad.", "TXT", authority=None, why="no record of the type",
         coredns="it denies the name"),
    Case("none.default.service.nomad.", rcode="NXDOMAIN", authority=None, why="no instance",
         coredns="its SOA record is an answer"),
    Case("missing.default.service.nomad.", rcode="NXDOMAIN", authority=None, why="no such service",
         coredns="its SOA record is an answer"),
    Case("web.missing.service.nomad.", rcode="NXDOMAIN", authority=None, why="no such namespace",
         coredns="its SOA record is an answer"),
    Case("a.b.other.test.", rcode="SERVFAIL", why="a name that is not in the zone",
         coredns="any name with as many labels is in its zone"),
]  # fmt: skip


@pytest.fixture(scope="module")
def agent() -> Iterator[Agent]:
    with Agent(token="s.ecret") as agent:
        agent.set(SERVICES)
        yield agent


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, agent: Agent) -> Iterator[Both]:
    with Both(tmp_path_factory.mktemp("both"), COREFILE.replace("URL", agent.url)) as both:
        yield both


@pytest.fixture
def server(both: Both) -> Server:
    return both.fastdns


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_answers(both: Both, case: Case) -> None:
    both.check(case)


def test_soa(server: Server) -> None:
    for name in ("missing.default.service.nomad.", "six.default.service.nomad."):
        (soa,) = server.query(name).authority
        words = str(soa).split()
        assert words[:6] == ["service.nomad.", "10", "IN", "SOA", "ns1.service.nomad.", "hostmaster.service.nomad."]
        assert words[7:] == ["3600", "600", "86400", "30"]


def test_what_is_counted(server: Server) -> None:
    server.query(WEB)
    before = server.samples()
    for name, kind in [
        (WEB, "A"), (WEB, "SRV"), ("six.default.service.nomad.", "A"), (WEB, "TXT"),
        ("missing.default.service.nomad.", "A"), ("web.prod.service.nomad.", "A"),
        ("web.missing.service.nomad.", "A"), ("default.service.nomad.", "A"),
    ]:  # fmt: skip
        server.query(name, kind)
    where = f"dns://127.0.0.1:{server.port}"
    counted = {
        (of.removeprefix("coredns_nomad_").removesuffix("_requests_total"), dict(labels)["namespace"]): value
        - before.get((of, labels), 0)
        for (of, labels), value in server.samples().items()
        if of.startswith("coredns_nomad_") and dict(labels)["server"] == where
    }
    assert {key: value for key, value in counted.items() if value} == {
        ("success", "default"): 3, ("success", "prod"): 1, ("failed", "default"): 2, ("failed", ""): 1,
    }  # fmt: skip
    # Three, and one that the filter does not concern. The watcher says each second what it has counted.
    wait_until(lambda: server.total("fastdns_nomad_left_out_total") == 4)
    assert server.log.count("default/broken: its address is 'no address'; expected an IP address") == 1


def test_changes_show(server: Server, agent: Agent) -> None:
    assert server.http("/ready") == (200, "OK")
    agent.set({**SERVICES, ("default", "new"): at("10.9.0.1")})
    wait_until(lambda: server.addresses("new.default.service.nomad.") == ["10.9.0.1"])
    agent.set({**SERVICES, ("default", "new"): at("10.9.0.2")})
    wait_until(lambda: server.addresses("new.default.service.nomad.") == ["10.9.0.2"])
    agent.set(SERVICES)
    wait_until(lambda: server.query("new.default.service.nomad.").rcode() == dns.rcode.NXDOMAIN)


def test_an_agent_that_fails(server: Server, agent: Agent) -> None:
    errors = server.total("fastdns_nomad_errors_total")
    agent.play = lambda path: (500, b"no leader")
    agent.set({**SERVICES, ("default", "after"): at("10.9.0.9")})
    server.wait_for_log("HTTP 500 Internal Server Error: no leader; what was read last is served")
    assert server.addresses(WEB) == ["10.0.0.1", "10.0.0.2"]
    agent.play = lambda path: None
    wait_until(lambda: server.addresses("after.default.service.nomad.") == ["10.9.0.9"])
    wait_until(lambda: server.total("fastdns_nomad_errors_total") > errors)


def test_a_reload_keeps_what_was_read(server: Server) -> None:
    watcher = server.pids().watcher
    server.write_corefile(server.corefile.read_text().replace("ttl 10", "TTL 20"))
    server.reload()
    assert server.pids().watcher == watcher
    assert server.query(WEB).answer[0].ttl == 20
