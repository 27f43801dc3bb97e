"""What a client with EDNS is told of replies that are no failures of the server: docs/reference/extended-errors.md.

test_accounting.py asks for the failures that have a reason.
"""

from __future__ import annotations

from collections.abc import Iterator

import dns.edns
import dns.message
import dns.query
import dns.rcode
import dns.rrset
import pytest

from tests.plugins.forward.engine.support import Asked, Upstream, response
from tests.support import Server, wait_until

COREFILE = """\
.:DNS_PORT {
    bind 127.0.0.1
    cache 60 {
        success 256 60 0
        denial 256 60 0
        servfail 5s
        serve_stale 1h immediate
    }
    forward . UPSTREAM {
        max_fails 0
        read_timeout 200ms
        max_connect_attempts 1
    }
}
cluster.local:DNS_PORT {
    bind 127.0.0.1
    kubernetes cluster.local {
        endpoint http://127.0.0.1:OTHER_PORT
        startup_timeout 1ms
    }
}
own.test:DNS_PORT {
    bind 127.0.0.1
    transfer {
        to 127.0.0.9
    }
    file own.db
}
signed.test:DNS_PORT {
    bind 127.0.0.1
    tsig {
        secret key.test. c2VjcmV0
        require all
    }
    file own.db
}
barred.test:DNS_PORT {
    bind 127.0.0.1
    acl {
        block type A
        filter type AAAA
    }
    file own.db
}
later.test:DNS_PORT {
    bind 127.0.0.1
    file missing.db
}
"""
OWN = "@ 60 SOA ns admin 1 60 60 60 60\n@ 60 NS ns\nns 60 A 192.0.2.1\n"


class Resolver:
    """An upstream whose answers expire after a second; told to, it says nothing any more."""

    def __init__(self) -> None:
        self.silent = False

    def __call__(self, asked: Asked) -> dns.message.Message | bytes | None:
        if self.silent:
            return None
        message = asked.message
        if asked.name.startswith("failing"):
            return response(message, dns.rcode.SERVFAIL)
        if asked.name.startswith("gone"):
            reply = response(message, dns.rcode.NXDOMAIN)
            reply.authority.append(dns.rrset.from_text("test.", 1, "IN", "SOA", "ns.test. admin.test. 1 1 1 1 1"))
            return reply
        reply = response(message)
        reply.answer.append(dns.rrset.from_text(asked.name, 1, "IN", "A", "192.0.2.7"))
        return reply


@pytest.fixture(scope="module")
def resolver() -> Resolver:
    return Resolver()


@pytest.fixture(scope="module")
def fastdns(tmp_path_factory: pytest.TempPathFactory, resolver: Resolver) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "own.db").write_text(OWN)
    with (
        Upstream(resolver) as up,  # type: ignore[arg-type]
        Server(folder, COREFILE.replace("UPSTREAM", up.to), workers=1) as server,
    ):
        yield server


def ask(
    server: Server, name: str, kind: str = "A", *, tcp: bool = False, edns: bool = True
) -> tuple[str, list[int]]:
    """The code of the reply, and those of its extended errors."""
    query = dns.message.make_query(name, kind, use_edns=0 if edns else -1)
    reply = (dns.query.tcp if tcp else dns.query.udp)(query, "127.0.0.1", 8, port=server.port)
    assert edns or reply.edns < 0
    return dns.rcode.to_text(reply.rcode()), [
        int(one.code) for one in reply.options if isinstance(one, dns.edns.EDEOption)
    ]


@pytest.mark.parametrize(
    ("name", "kind", "tcp", "rcode", "code"),
    [
        ("web.shop.svc.cluster.local.", "A", False, "SERVFAIL", dns.edns.EDECode.NOT_READY),
        ("own.test.", "AXFR", True, "REFUSED", dns.edns.EDECode.PROHIBITED),
        ("ns.signed.test.", "A", False, "REFUSED", dns.edns.EDECode.PROHIBITED),
        ("ns.barred.test.", "A", False, "REFUSED", dns.edns.EDECode.BLOCKED),
        ("ns.barred.test.", "AAAA", False, "NOERROR", dns.edns.EDECode.FILTERED),
        ("www.later.test.", "A", False, "SERVFAIL", dns.edns.EDECode.INVALID_DATA),
    ],
    ids=["a cluster that is not known yet", "transfer", "tsig", "acl, block", "acl, filter", "no zone file"],
)
def test_why_not(fastdns: Server, name: str, kind: str, tcp: bool, rcode: str, code: int) -> None:
    assert ask(fastdns, name, kind, tcp=tcp) == (rcode, [int(code)])
    assert ask(fastdns, name, kind, tcp=tcp, edns=False) == (rcode, [])


def test_an_answer_has_none(fastdns: Server) -> None:
    assert ask(fastdns, "ns.own.test.") == ("NOERROR", [])


def test_what_the_cache_keeps_of_failures_and_what_has_expired(fastdns: Server, resolver: Resolver) -> None:
    for name in ("www.test.", "gone.test."):
        assert ask(fastdns, name)[1] == []
    # The upstream's own failure, and then the cache's.
    assert ask(fastdns, "failing.test.") == ("SERVFAIL", [])
    assert ask(fastdns, "failing.test.") == ("SERVFAIL", [int(dns.edns.EDECode.CACHED_ERROR)])
    resolver.silent = True
    stale = {"www.test.": ("NOERROR", [3]), "gone.test.": ("NXDOMAIN", [19])}
    for name, told in stale.items():
        wait_until(lambda name=name, told=told: ask(fastdns, name) == told, 5, name)  # type: ignore[misc]
        assert ask(fastdns, name, edns=False) == (told[0], [])
