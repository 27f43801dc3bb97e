"""What upstreams over gRPC say, beside CoreDNS; and CoreDNS's own server as upstream, where it is installed."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from fastdns.plugins.grpc.client import Client
from fastdns.plugins.grpc.config import Upstream
from tests.plugins.beside import COREDNS, Both, Case, CoreDNS, ids
from tests.plugins.forward.certificates import Authority
from tests.plugins.grpc.servers import GrpcServer, Said
from tests.support import Server, free_port, wait_until

COREFILE = """\
.:DNS_PORT {
    bind 127.0.0.1
    grpc . GOOD {
        except mine.test
        policy sequential
    }
}
next.test:DNS_PORT {
    bind 127.0.0.1
    grpc www.next.test GOOD {
        fallthrough through.www.next.test
        except not.www.next.test
    }
    whoami
}
failing.test:DNS_PORT {
    bind 127.0.0.1
    grpc . CLOSED BAD GOOD {
        policy sequential
    }
}
dead.test:DNS_PORT {
    bind 127.0.0.1
    grpc . CLOSED BAD
}
falling.test:DNS_PORT {
    bind 127.0.0.1
    grpc . CLOSED {
        fallthrough
    }
    whoami
}
secure.test:DNS_PORT {
    bind 127.0.0.1
    grpc . SECURE {
        tls ca.crt
        tls_servername dns.example
    }
}
wrong.test:DNS_PORT {
    bind 127.0.0.1
    grpc . SECURE {
        tls ca.crt
        tls_servername other.example
    }
}
socket.test:DNS_PORT {
    bind 127.0.0.1
    grpc . unix://SOCKET
}
"""
METRICS = """\
metrics.test:DNS_PORT {
    bind 127.0.0.1
    prometheus 127.0.0.1:METRICS_PORT
    errors
    cache
    grpc . GOOD CLOSED {
        policy round_robin
    }
}
"""


def said(query: dns.message.Message) -> Said:
    """By the first label of the name."""
    question = query.question[0]
    first = str(question.name).lower().partition(".")[0]
    reply = dns.message.make_response(query, recursion_available=True)
    if first in ("none", "through"):
        reply.set_rcode(dns.rcode.NXDOMAIN)
        reply.authority.append(dns.rrset.from_text("test.", 60, "IN", "SOA", "ns.test. host.test. 1 2 3 4 5"))
    elif first == "unknown":
        return 5
    elif first == "error":
        return 13
    elif first in ("reset", "html"):
        return first
    elif first == "other":
        reply.question[0] = dns.rrset.RRset(dns.name.from_text("elsewhere."), 1, question.rdtype)
    elif first == "short":
        return b"\0\0\0\0\x04\x0a\x02ab"
    elif first == "garbage":
        return b"\1\2\3"
    elif first == "empty":
        return b"\0\0\0\0\0"
    elif first == "large":
        texts = [f'"{number:03}{"x" * 250}"' for number in range(200)]
        reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", "TXT", *texts))
    elif question.rdtype == dns.rdatatype.A:
        reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", "A", "192.0.2.1"))
    return reply


SOA = "test. 60 IN SOA ns.test. host.test. 1 2 3 4 5"


def a(name: str, address: str = "192.0.2.1") -> list[str]:
    return [f"{name} 60 IN A {address}"]


CASES = [
    Case("www.example.", answer=a("www.example."), flags="RA", why="an address"),
    Case("WWW.Example.", answer=a("WWW.Example."), why="the name as it is written"),
    Case("www.example.", "AAAA", why="no data"),
    Case("www.example.", answer=a("www.example."), dnssec=True, why="with EDNS"),
    Case("none.example.", rcode="NXDOMAIN", authority=[SOA], why="no such name"),
    Case("unknown.example.", rcode="NXDOMAIN", why="the code NOT_FOUND of gRPC"),
    Case("error.example.", rcode="SERVFAIL", why="another code"),
    Case("reset.example.", rcode="SERVFAIL", why="the stream is reset"),
    Case("html.example.", rcode="SERVFAIL", why="a response that is none of gRPC"),
    Case("short.example.", rcode="SERVFAIL", why="no message"),
    Case("empty.example.", rcode="SERVFAIL", why="no message at all"),
    Case("garbage.example.", rcode="SERVFAIL", why="no packet"),
    Case("other.example.", rcode="FORMERR", why="a reply to another question"),
    Case("www.mine.test.", rcode="SERVFAIL", why="an exception, and no next plugin"),
    Case("www.next.test.", answer=a("www.next.test."), why="FROM itself"),
    Case("a.www.next.test.", answer=a("a.www.next.test."), why="below FROM"),
    Case("none.www.next.test.", rcode="NXDOMAIN", authority=[SOA], why="no zone of fallthrough"),
    Case("through.www.next.test.", additional=None, flags="AA", why="no such name, and the next plugin"),
    Case("not.www.next.test.", additional=None, flags="AA", why="an exception, and the next plugin"),
    Case("next.test.", additional=None, flags="AA", why="above FROM, and the next plugin"),
    Case("www.failing.test.", answer=a("www.failing.test."), why="the third upstream answers"),
    Case("www.dead.test.", rcode="SERVFAIL", why="none answers"),
    Case("www.falling.test.", additional=None, flags="AA", why="none answers, and the next plugin"),
    Case("www.secure.test.", answer=a("www.secure.test."), why="over TLS"),
    Case("www.wrong.test.", rcode="SERVFAIL", why="another name in the certificate"),
    Case("www.socket.test.", answer=a("www.socket.test."), why="over a socket of the file system"),
]  # fmt: skip


@dataclass
class World:
    """Both servers, and their upstreams."""

    both: Both
    good: GrpcServer
    closed: int


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("grpc")
    authority = Authority(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server", ("dns.example",)))
    context.set_alpn_protocols(["h2"])
    path = folder / "grpc.sock"
    closed = free_port()
    with (
        GrpcServer(said) as good,
        GrpcServer(lambda query: 14) as bad,
        GrpcServer(said, context=context) as secure,
        GrpcServer(said, path=path),
    ):
        ours, theirs = COREFILE + METRICS, COREFILE
        places = {"GOOD": good.to, "BAD": bad.to, "SECURE": secure.to, "CLOSED": f"127.0.0.1:{closed}"}
        for name, to in {**places, "SOCKET": str(path)}.items():
            ours, theirs = ours.replace(name, to), theirs.replace(name, to)
        with Both(folder, ours, coredns=theirs) as both:
            yield World(both, good, closed)
            assert "Traceback" not in both.fastdns.log


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_answers(world: World, case: Case) -> None:
    world.both.check(case)


def test_a_large_reply(world: World) -> None:
    """Whole over TCP, and truncated over UDP."""
    server = world.both.fastdns
    whole = server.query("large.example.", "TXT", tcp=True)
    assert len(whole.answer[0]) == 200 and not whole.flags & dns.flags.TC
    for _ in range(4):
        assert len(server.query("large.example.", "TXT", tcp=True).answer[0]) == 200
    cut = server.query("large.example.", "TXT")
    assert cut.flags & dns.flags.TC


def test_what_upstreams_are_asked(world: World) -> None:
    """As the client asks: its flags, its EDNS options, its ID."""
    server = world.both.fastdns
    option = dns.edns.GenericOption(65001, b"for the upstream")
    query = dns.message.make_query("asked.example.", "A", use_edns=0, payload=1400, options=[option], id=4711)
    query.flags |= dns.flags.CD
    reply = dns.query.udp(query, "127.0.0.1", 5, server.port)
    assert reply.answer
    [asked] = [one for one in world.good.asked if str(one.question[0].name) == "asked.example."]
    assert asked.id == 4711 and asked.flags & dns.flags.CD and asked.flags & dns.flags.RD


def test_one_connection_for_many(world: World) -> None:
    """All queries of a worker and a block go over one."""
    before = world.good.connections
    server = world.both.fastdns
    for number in range(50):
        assert server.query(f"n{number}.example.").answer
    assert world.good.connections == before


def test_metrics_and_the_cache(world: World) -> None:
    server = world.both.fastdns
    for number in range(6):
        assert server.query(f"m{number}.metrics.test.").answer
    # From the cache: nobody is asked.
    for number in range(6):
        assert server.query(f"m{number}.metrics.test.").answer
    to, closed = world.good.to, f"127.0.0.1:{world.closed}"
    samples = server.samples()

    def total(name: str, **labels: str) -> float:
        return samples.get((name, tuple(sorted(labels.items()))), 0)

    requests = total("coredns_grpc_requests_total", to=to)
    assert requests == total("coredns_grpc_request_duration_seconds_count", to=to)
    codes = ("NOERROR", "NXDOMAIN")
    assert requests == sum(total("coredns_grpc_responses_total", to=to, rcode=code) for code in codes)
    assert len([one for one in world.good.asked if "metrics.test" in str(one.question[0].name)]) == 6
    assert total("fastdns_grpc_failed_total", to=closed) >= 1
    assert total("coredns_grpc_requests_total", to=closed) == 0
    assert server.query("error.metrics.test.").rcode() == dns.rcode.SERVFAIL
    server.wait_for_log("[ERROR] plugin/errors: 2 error.metrics.test. A: plugin/grpc: no reply to the question")


def test_an_upstream_that_comes_back(tmp_path: Path) -> None:
    """The log says once that it is gone, and that it is there again; connections that end cost no query."""
    port = free_port()
    text = f".:DNS_PORT {{\n    bind 127.0.0.1\n    grpc . 127.0.0.1:{port}\n}}\n"
    with Server(tmp_path, text, workers=1) as server:
        for _ in range(3):
            assert server.query("www.example.").rcode() == dns.rcode.SERVFAIL
        with GrpcServer(said, port=port) as upstream:
            wait_until(lambda: server.query("www.example.").answer, 10)
            for _ in range(3):
                upstream.end()
                assert server.query("www.example.").answer
            assert upstream.connections >= 4
        assert server.log.count("[WARNING] plugin/grpc: ") == 1
        assert f"[INFO] plugin/grpc: 127.0.0.1:{port} is reached again" in server.log


def test_silence() -> None:
    """The query after one that was given up goes over another connection."""
    silent = [False]

    async def main(upstream: GrpcServer) -> None:
        client = Client(Upstream("127.0.0.1", upstream.port), None)
        query = dns.message.make_query("www.example.", "A").to_wire()
        assert await client.query(query)
        silent[0] = True
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await client.query(query)
        silent[0] = False
        assert await client.query(query)
        assert upstream.connections == 2
        client.close()

    with GrpcServer(lambda query: None if silent[0] else said(query)) as upstream:
        asyncio.run(main(upstream))


def test_few_streams_at_a_time() -> None:
    """Queries wait for one; those that are given up give their turn on."""

    async def main(upstream: GrpcServer) -> None:
        client = Client(Upstream("127.0.0.1", upstream.port), None)
        query = dns.message.make_query("www.example.", "A").to_wire()
        many = [asyncio.ensure_future(client.query(query)) for _ in range(60)]
        await asyncio.sleep(0)
        for number in range(0, 60, 3):
            many[number].cancel()
        replies = await asyncio.gather(*many, return_exceptions=True)
        assert sum(isinstance(reply, bytes) for reply in replies) == 40
        assert not client.waiting
        assert await client.query(query)
        client.close()

    with GrpcServer(said, streams=2) as upstream:
        asyncio.run(main(upstream))
        assert upstream.most_at_a_time <= 2 and upstream.connections == 1


@pytest.mark.skipif(COREDNS is None, reason="coredns is not on PATH")
def test_coredns_as_upstream(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.issue("server", ("dns.example",))
    upstream = (
        "grpc://.:DNS_PORT {\n    bind 127.0.0.1\n    tls server.crt server.key\n"
        '    template IN A {\n        answer "{{ .Name }} 60 IN A 192.0.2.99"\n    }\n}\n'
    )
    with CoreDNS(tmp_path, upstream) as coredns:
        text = (
            f".:DNS_PORT {{\n    bind 127.0.0.1\n    grpc . 127.0.0.1:{coredns.port} {{\n        tls ca.crt\n"
            "        tls_servername dns.example\n    }\n}\n"
        )
        with Server(tmp_path, text, workers=1) as server:
            for number in range(20):
                assert server.addresses(f"n{number}.example.") == ["192.0.2.99"]


def test_fastdns_as_upstream(tmp_path: Path) -> None:
    """The same server, at a port for gRPC."""
    authority = Authority(tmp_path)
    authority.issue("server", ("dns.example",))
    text = """\
grpc://.:OTHER_PORT {
    bind 127.0.0.1
    tls server.crt server.key
    template IN A {
        answer "{{ .Name }} 60 IN A 192.0.2.99"
    }
}
.:DNS_PORT {
    bind 127.0.0.1
    grpc . 127.0.0.1:OTHER_PORT {
        tls ca.crt
        tls_servername dns.example
    }
}
"""
    with Server(tmp_path, text, workers=1, wait=False) as server:
        wait_until(lambda: "\nfastdns-" in server.log or server.process.poll() is not None, 30)
        if "nghttp2" in server.log:
            pytest.skip("the library of HTTP/2 is not here")
        for number in range(20):
            assert server.addresses(f"n{number}.example.") == ["192.0.2.99"]


def test_a_file_of_nameservers(tmp_path: Path) -> None:
    """Followed as it changes; one that is unreadable is no upstream."""
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.9\nnameserver no\n")
    text = ".:DNS_PORT {\n    bind 127.0.0.1\n    prometheus 127.0.0.1:METRICS_PORT\n    grpc . resolv.conf\n}\n"
    with Server(tmp_path, text, workers=1) as server:
        assert server.query("www.example.").rcode() == dns.rcode.SERVFAIL
        assert "127.0.0.9:53 cannot be reached" in server.log
        assert "resolv.conf:2 - a nameserver must be an IP address, got 'no'" in server.log
        (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.8\n")
        server.wait_for_log("Reloading complete", 20)
        assert server.query("www.example.").rcode() == dns.rcode.SERVFAIL
        assert "127.0.0.8:53 cannot be reached" in server.log
