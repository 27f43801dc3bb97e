"""What becomes of queries, beside CoreDNS: who asks, for what, on which way, and what is counted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dns.edns
import dns.message
import dns.query
import dns.rcode
import pytest

from tests.plugins.beside import Both, Case, ask, ids
from tests.support import Server, has_address

COREFILE = """\
example.org:DNS_PORT {
    bind 127.0.0.1 ::1
    cache
    acl {
        allow net 127.0.0.2
        block type A net 127.0.0.3/32 127.0.0.4
        filter type AAAA net 127.0.0.0/30
        drop type TXT
    }
    acl secret.example.org a.secret.example.org {
        block
    }
    acl public.secret.example.org {
        allow
    }
    acl open.example.org {
        filter type MX
        block net ::1
    }
    whoami
}
"""
# An OPT record, so that the client may be told more.
EDNS = tuple[dns.edns.Option, ...]()

CASES = [
    Case("a.example.org.", client="127.0.0.3", rcode="REFUSED", ede=[15], edns=EDNS, additional=None,
         why="blocked"),
    Case("a.example.org.", client="127.0.0.4", rcode="REFUSED", ede=[15], edns=EDNS, additional=None,
         why="the second network"),
    Case("a.example.org.", "AAAA", client="127.0.0.3", ede=[17], edns=EDNS, additional=None, flags="",
         why="filtered"),
    Case("a.example.org.", "MX", client="127.0.0.3", additional=None, flags="AA", why="no line has the type"),
    Case("a.example.org.", client="127.0.0.5", additional=None, flags="AA", why="no line has the address"),
    Case("a.example.org.", "TXT", client="127.0.0.5", rcode="NO REPLY", why="dropped"),
    Case("a.example.org.", "TXT", client="127.0.0.2", additional=None, flags="AA", why="the first line decides"),
    Case("x.secret.example.org.", client="127.0.0.5", rcode="REFUSED", ede=[15], edns=EDNS, additional=None,
         why="the next acl"),
    Case("secret.example.org.", "MX", client="127.0.0.5", rcode="REFUSED", ede=[15], edns=EDNS, additional=None,
         why="a zone itself"),
    Case("x.secret.example.org.", client="127.0.0.2", additional=None, flags="AA", why="allowed by the one before"),
    Case("x.public.secret.example.org.", client="127.0.0.5", rcode="REFUSED", ede=[15], edns=EDNS, additional=None,
         why="the order of acls counts, not the zone's length"),
    Case("Open.Example.ORG.", "MX", client="127.0.0.5", ede=[17], edns=EDNS, additional=None, why="any case"),
    Case("a.example.org.", "AAAA", client="127.0.0.3", tcp=True, ede=[17], edns=EDNS, additional=None, why="TCP"),
    Case("a.open.example.org.", client="::1", rcode="REFUSED", ede=[15], edns=EDNS, additional=None, why="IPv6"),
    Case("a.example.org.", "AAAA", client="::1", additional=None, flags="AA", why="IPv6 is in no IPv4 network"),
]  # fmt: skip


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    if not has_address("::1"):
        pytest.skip("no ::1")
    with Both(tmp_path_factory.mktemp("acl"), COREFILE) as both:
        yield both


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_answers(both: Both, case: Case) -> None:
    both.check(case)


def test_a_client_without_edns_gets_no_opt_record(both: Both) -> None:
    """RFC 6891 section 7. CoreDNS sends one, with DO."""
    query = dns.message.make_query("a.example.org.", "A", use_edns=False)
    for server in [both.fastdns] if both.coredns is None else [both.fastdns, both.coredns]:
        reply = dns.query.udp(query, "127.0.0.1", 5.0, port=server.port, source="127.0.0.3")
        assert reply.rcode() == dns.rcode.REFUSED
        assert (reply.edns < 0) is (server is both.fastdns)


# What is allowed for one client is in the cache when the other one asks.
METRICS = """\
example.org:DNS_PORT a.example.org:DNS_PORT {
    bind 127.0.0.1
    prometheus 127.0.0.1:METRICS_PORT
    cache
    acl {
        block net 127.0.0.3
    }
    acl sub.example.org {
        filter type MX
        drop type TXT
    }
    forward . 127.0.0.1:OTHER_PORT
}
.:OTHER_PORT {
    bind 127.0.0.1
    acl {
        block type NS
    }
    whoami
}
"""


def counted(server: Server) -> dict[tuple[str, ...], int]:
    """Action, and the values of the labels without the server, of what was counted on the first listener."""
    of = f"dns://127.0.0.1:{server.port}"
    found = {}
    for (name, labels), value in server.samples().items():
        if name.startswith("coredns_acl_") and name.endswith("_total") and dict(labels)["server"] == of:
            action = name.removeprefix("coredns_acl_").removesuffix("_requests_total")
            found[action, dict(labels).get("zone", ""), dict(labels)["view"]] = int(value)
    return found


def test_what_is_counted_and_the_cache(tmp_path: Path) -> None:
    with Server(tmp_path, METRICS) as server:
        assert not counted(server)
        for client, rcode in (("127.0.0.1", "NOERROR"), ("127.0.0.3", "REFUSED"), ("127.0.0.1", "NOERROR")):
            reply = ask(Case("x.example.org.", client=client), server.port)
            assert reply is not None and reply.rcode().name == rcode, "also where the answer is in the cache"
        ask(Case("x.a.example.org.", client="127.0.0.3", tcp=True), server.port)
        ask(Case("x.sub.example.org.", "MX"), server.port)
        assert ask(Case("x.sub.example.org.", "TXT"), server.port, 0.3) is None
        # A reload keeps what was counted, and another zone has counters of its own.
        expected = {
            ("allowed", "", ""): 2, ("blocked", "example.org.", ""): 1, ("blocked", "a.example.org.", ""): 1,
            ("filtered", "sub.example.org.", ""): 1, ("dropped", "sub.example.org.", ""): 1,
        }  # fmt: skip
        assert counted(server) == expected
        server.write_corefile(METRICS.replace("acl sub.example.org", "acl other.example.org"))
        server.reload()
        ask(Case("x.other.example.org.", "MX"), server.port)
        assert counted(server) == expected | {("filtered", "other.example.org.", ""): 1}
        ask(Case("x.example.org.", "NS"), server.port)
        other = f"dns://127.0.0.1:{server.ports['OTHER_PORT']}"
        assert server.total("coredns_acl_blocked_requests_total", server=other, zone=".") == 1
