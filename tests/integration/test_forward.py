"""Names from upstream through a real server: from another vendor's server, from ones that fail, across reloads."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from fastdns.process.sockets import drops
from tests.plugins.forward.engine.bursts import send_batch
from tests.plugins.forward.engine.support import (
    Asked,
    Client,
    Reply,
    Upstream,
    a,
    addresses,
    closed_port,
    echo,
    good,
    question,
    response,
    saying,
    silent,
)
from tests.support import MANIFESTS, Load, Server, free_port, has_address, wait_until

FORWARD = """\
.:DNS_PORT {
    bind 127.0.0.1
    errors
    health 127.0.0.1:HEALTH_PORT
    ready 127.0.0.1:READY_PORT
    prometheus 127.0.0.1:METRICS_PORT
    kubernetes cluster.local {
        manifests "MANIFESTS"
    }
    forward . UPSTREAMS {
        OPTIONS
    }
}
"""
AWAY = """\
---
apiVersion: v1
kind: Service
metadata: {name: away, namespace: shop}
spec: {type: ExternalName, externalName: alias.example.org}
"""
ZONE = """\
$ORIGIN example.org.
@ 3600 SOA ns admin 1 3600 600 86400 60
@ 3600 NS ns
ns 3600 A 192.0.2.53
www 300 A 192.0.2.1
www 300 A 192.0.2.2
www 300 AAAA 2001:db8::1
alias 60 CNAME second
second 30 CNAME www
mail 3600 MX 10 mx.example.net.
_sip._udp 3600 SRV 1 2 5060 www
zero 0 A 192.0.2.9
*.wild 20 TXT "any"
"""
# For how long a cache keeps an answer at least.
MIN_TTL_S = 5
# A little less than how long others wait for who has asked first.
CLAIM_S = 0.9
# A cache that leaves a TTL of 0 as it is.
KEEPS_NO_ZERO = "cache {\nsuccess 10000 3600 0\n}"
BIG = "big 300 TXT " + " ".join(f'"{number:04}{"x" * 240}"' for number in range(40)) + "\n"
MIDDLE = "middle 300 TXT " + " ".join(f'"{number:04}{"x" * 240}"' for number in range(6)) + "\n"


def corefile(*upstreams: str, options: str = "", more: str = "") -> str:
    """A Corefile with these upstreams; more: plugins of the same block."""
    text = FORWARD.replace("UPSTREAMS", " ".join(upstreams)).replace("OPTIONS", options.replace("\n", "\n        "))
    return text.replace("    errors\n", f"    errors\n    {more}\n")


# ---------------------------------------------------------------------------------------------- a real name server


@contextlib.contextmanager
def knot(folder: Path) -> Iterator[str]:
    """Knot DNS with the zone, signed: its address and port."""
    program = shutil.which("knotd") or shutil.which("knotd", path="/usr/sbin")
    if program is None:
        pytest.skip("knotd is not installed (Debian's package knot)")
    port = free_port()
    (folder / "example.org.zone").write_text(ZONE + BIG + MIDDLE)
    (folder / "knot.conf").write_text(f"""\
server:
  listen: 127.0.0.1@{port}
  rundir: {folder}
database:
  storage: {folder}
zone:
- domain: example.org.
  file: {folder}/example.org.zone
  dnssec-signing: on
  zonefile-sync: -1
  journal-content: none
log:
- target: stderr
  any: warning
""")
    with (folder / "knot.log").open("wb") as output:
        process = subprocess.Popen([program, "-c", str(folder / "knot.conf")], stdout=output, stderr=output)
    try:
        wait_until(lambda: process.poll() is not None or is_signed(port), 20, "Knot DNS serves the signed zone")
        assert process.poll() is None, (folder / "knot.log").read_text()
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def is_signed(port: int) -> bool:
    with contextlib.suppress(OSError, dns.exception.DNSException):
        query = dns.message.make_query("example.org.", "SOA", want_dnssec=True)
        reply = dns.query.udp(query, "127.0.0.1", 0.5, port=port)
        return any(rrset.rdtype == dns.rdatatype.RRSIG for rrset in reply.answer)
    return False


@dataclass(frozen=True)
class Real:
    """A server before Knot DNS."""

    server: Server
    upstream: int


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    folder = tmp_path_factory.mktemp("real")
    with knot(folder) as to, Server(folder, corefile(to), manifests=MANIFESTS + AWAY) as server:
        yield Real(server, int(to.rpartition(":")[2]))


QUESTIONS = [
    ("www.example.org.", "A", "addresses"),
    ("WwW.eXample.ORG.", "A", "mixed case"),
    ("www.example.org.", "AAAA", "the other family"),
    ("alias.example.org.", "A", "two aliases, and what they lead to"),
    ("alias.example.org.", "TXT", "aliases, and no data at their end"),
    ("alias.example.org.", "CNAME", "an alias itself"),
    ("mail.example.org.", "MX", "a name in the data"),
    ("_sip._udp.example.org.", "SRV", "a name that must not be compressed"),
    ("zero.example.org.", "A", "TTL 0"),
    ("x.y.wild.example.org.", "TXT", "a wildcard"),
    ("www.example.org.", "MX", "no data: SOA"),
    ("no.example.org.", "A", "no name: SOA"),
    ("example.org.", "SOA", "the zone itself"),
    ("example.org.", "NS", "with additional records"),
    ("example.org.", "DNSKEY", "keys"),
    ("example.org.", "DS", "of the parent's side"),
    ("middle.example.org.", "TXT", "more than 512 bytes, less than 4096"),
    ("big.example.org.", "TXT", "more than any datagram here"),
    ("example.net.", "A", "REFUSED: not Knot's"),
]
WAYS = [{}, {"use_edns": 0}, {"want_dnssec": True}, {"want_dnssec": True, "payload": 4096}]


def content(reply: dns.message.Message) -> tuple[object, ...]:
    """What has to be equal, whoever answers: not TTLs of a cache, as there is none, but all else."""
    sections = [sorted(rrset.to_text() for rrset in section) for section in reply.sections[1:]]
    return dns.flags.to_text(reply.flags), reply.rcode(), sections, reply.edns >= 0, reply.ednsflags & dns.flags.DO


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_what_knot_says_is_what_the_client_gets(real: Real, options: dict[str, int]) -> None:
    """Over TCP, where nothing is truncated: every flag, every record, every TTL, RRSIG and NSEC included."""
    for name, kind, why in QUESTIONS:
        query = dns.message.make_query(name, kind, **options)
        directly = dns.query.tcp(query, "127.0.0.1", 5, port=real.upstream)
        through = dns.query.tcp(query, "127.0.0.1", 5, port=real.server.port)
        assert content(through) == content(directly), why
        assert through.question == directly.question


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_over_udp_too(real: Real, options: dict[str, int]) -> None:
    """As much as fits; and what is truncated is the same over TCP."""
    for name, kind, why in QUESTIONS:
        query = dns.message.make_query(name, kind, **options)
        whole = dns.query.tcp(query, "127.0.0.1", 5, port=real.upstream)
        over_udp = dns.query.udp(query, "127.0.0.1", 5, port=real.server.port)
        assert len(over_udp.to_wire(max_size=65535)) <= options.get("payload", 1232 if options else 512)
        if over_udp.flags & dns.flags.TC:
            over_udp, was_tcp = dns.query.udp_with_fallback(query, "127.0.0.1", 5, port=real.server.port)
            assert was_tcp
        assert content(over_udp)[1] == content(whole)[1], why
        assert content(over_udp)[2][0] == content(whole)[2][0], why


@pytest.fixture(scope="module")
def caching(real: Real, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    """Another server before the same Knot DNS, with a cache."""
    text = corefile(f"127.0.0.1:{real.upstream}", more="cache")
    with Server(tmp_path_factory.mktemp("caching"), text) as server:
        yield Real(server, real.upstream)


def records(reply: dns.message.Message) -> tuple[object, ...]:
    """What a cache may not change: of the records all but their TTLs."""
    sections = [
        sorted(f"{rrset.name} {dns.rdatatype.to_text(rrset.rdtype)} {data}" for rrset in section for data in rrset)
        for section in reply.sections[1:]
    ]
    return reply.rcode(), sections, reply.edns >= 0, reply.ednsflags & dns.flags.DO


# What is kept of the questions: all but one that is refused.
KEPT = [one for one in QUESTIONS if one[0] != "example.net."]


@pytest.mark.parametrize(
    "options", [*WAYS, {"options": [dns.edns.ECSOption("192.0.2.0", 24)]}], ids=["0", "1", "2", "3", "subnet"]
)
def test_what_is_kept_is_what_knot_says(caching: Real, options: dict[str, Any]) -> None:
    """Asked twice: the second answer, from the cache, has the same records, with TTLs no longer than Knot's."""
    for name, kind, why in QUESTIONS:
        query = dns.message.make_query(name, kind, **options)
        directly = dns.query.tcp(query, "127.0.0.1", 5, port=caching.upstream)
        longest = max((rrset.ttl for section in directly.sections[1:] for rrset in section), default=0)
        hits = caching.server.total("coredns_cache_hits_total")
        for turn in range(2):
            through = dns.query.tcp(query, "127.0.0.1", 5, port=caching.server.port)
            assert records(through) == records(directly), f"{why}, turn {turn}"
            assert through.question == directly.question
            ttls = {rrset.ttl for section in through.sections[1:] for rrset in section}
            assert max(ttls, default=0) <= max(longest, MIN_TTL_S), why
        if (name, kind, why) in KEPT:
            assert caching.server.total("coredns_cache_hits_total") > hits, why


def test_an_external_name_is_chased(real: Real) -> None:
    """From the cluster out into the world, over aliases there; the same over UDP and TCP."""
    for tcp in (False, True):
        reply = real.server.query("away.shop.svc.cluster.local.", tcp=tcp)
        assert reply.rcode() == 0
        assert reply.flags & dns.flags.AA
        assert [rrset.name.to_text() for rrset in reply.answer] == [
            "away.shop.svc.cluster.local.", "alias.example.org.", "second.example.org.", "www.example.org.",
        ]  # fmt: skip
        assert sorted(addresses(reply))[:2] == ["192.0.2.1", "192.0.2.2"]
        assert real.server.addresses("away.shop.svc.cluster.local.", "AAAA", tcp=tcp) == ["2001:db8::1"]
    # Names of the cluster are never asked for upstream.
    assert real.server.query("no.shop.svc.cluster.local.").rcode() == dns.rcode.NXDOMAIN


def test_dig_says_the_same_over_udp_and_tcp(real: Real) -> None:
    if shutil.which("dig") is None:
        pytest.skip("dig is not installed")
    for name, kind, why in QUESTIONS:
        said = []
        for word in ("+notcp", "+tcp"):
            command = ["dig", "@127.0.0.1", "-p", str(real.server.port), "+noall", "+answer", "+comments", word]
            ended = subprocess.run([*command, name, kind], capture_output=True, text=True, timeout=20, check=True)
            lines = [line for line in ended.stdout.splitlines() if not line.startswith(";; ->>HEADER")]
            said.append(sorted(line for line in lines if "udp:" not in line and "runcated" not in line))
        assert said[0] == said[1], why


# -------------------------------------------------------------------------------------------------- who is not well


def ask_once(
    server: Server, name: str, *, tcp: bool = False, limit_s: float = 7.0
) -> tuple[dns.message.Message, float]:
    """A reply, and how long it took."""
    begun = time.monotonic()
    reply = server.query(name, tcp=tcp, timeout_s=limit_s)
    return reply, time.monotonic() - begun


def test_one_is_dead_and_then_both_are(tmp_path: Path) -> None:
    """The other answers within a second, over UDP and TCP; without it there is SERVFAIL, and an error line."""
    with Upstream(silent, tcp=silent) as dead, Upstream(tcp=good) as up:
        text = corefile(dead.to, up.to, options="policy sequential\nread_timeout 300ms\nmax_fails 0")
        with Server(tmp_path, text, workers=1) as server:
            for number in range(4):
                reply, took_s = ask_once(server, f"n{number}.example.org.")
                assert addresses(reply) == ["192.0.2.1"]
                assert took_s < 1
            # TCP: a connection that is there and says nothing.
            reply, took_s = ask_once(server, "tcp.example.org.", tcp=True)
            assert addresses(reply) == ["192.0.2.1"]
            assert took_s < 1.5
            up.script = up.tcp = silent
            reply, took_s = ask_once(server, "both.example.org.")
            assert reply.rcode() == dns.rcode.SERVFAIL
            assert took_s < 3
            assert server.addresses() == ["10.96.0.20"], "the cluster's names need nobody"
            server.wait_for_log("[ERROR] plugin/errors: 2 both.example.org. A: read udp ")
            assert "i/o timeout" in server.log
            assert server.total("fastdns_forward_timeouts_total", to=dead.to) >= 4
            # As soon as one is well again.
            up.script = saying("192.0.2.7")
            assert addresses(ask_once(server, "again.example.org.")[0]) == ["192.0.2.7"]


def test_nobody_listens_there(tmp_path: Path) -> None:
    with closed_port() as nobody, Server(tmp_path, corefile(nobody, options="max_fails 0")) as server:
        for tcp in (False, True):
            reply, took_s = ask_once(server, "www.example.org.", tcp=tcp)
            assert reply.rcode() == dns.rcode.SERVFAIL
            assert took_s < 1
        server.wait_for_log("connection refused", count=2)


def spare_address() -> str:
    """An address of the loopback that nobody else uses for port 53."""
    while True:
        address = f"127.{random.randrange(1, 255)}.{random.randrange(255)}.{random.randrange(1, 255)}"
        try:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind((address, 53))
        except PermissionError:
            pytest.skip("nameservers of a file are asked on port 53, which we may not open")
        except OSError:
            continue
        return address


def test_a_changed_resolv_conf(tmp_path: Path) -> None:
    """Another file in its place, as kubelet and DHCP clients write it: the other one is asked soon."""
    one, two = spare_address(), spare_address()
    path = tmp_path / "resolv.conf"
    path.write_text(f"search example.org\nnameserver {one}\noptions ndots:5\n")
    with Upstream(saying("192.0.2.1"), host=one, port=53), Upstream(saying("192.0.2.2"), host=two, port=53):
        server = Server(tmp_path, corefile(str(path)), workers=1)
        with server, Load(server.port, 200, "www.example.") as load:
            assert server.addresses("a.example.org.") == ["192.0.2.1"]
            (tmp_path / "new").write_text(f"nameserver {two}\n")
            (tmp_path / "new").replace(path)
            server.wait_for_log("Reloading complete", 8)
            assert server.addresses("b.example.org.") == ["192.0.2.2"]
        assert load.lost == load.strange == 0
        assert set(load.rcodes) == {0}


def test_a_loop_is_cut(tmp_path: Path) -> None:
    """The server is its own upstream. An error line; the world is SERVFAIL, the cluster's names go on."""
    with Server(tmp_path, corefile("127.0.0.1:DNS_PORT", more="loop"), workers=2) as server:
        server.wait_for_log("[ERROR] plugin/loop: Loop (127.0.0.1:")
        assert 'detected for zone ".": ' in server.log
        wait_until(lambda: ask_once(server, f"n{random.random()}.example.org.")[1] < 0.5, why="nobody is asked")
        for tcp in (False, True):
            reply, took_s = ask_once(server, "www.example.org.", tcp=tcp)
            assert reply.rcode() == dns.rcode.SERVFAIL
            assert took_s < 0.5
        assert server.addresses() == ["10.96.0.20"]
        assert server.log.count("[ERROR] plugin/loop") == 1
        assert server.process.poll() is None


def test_a_loop_through_another_server_leaves_the_others(tmp_path: Path) -> None:
    """One upstream sends everything back here, as a stub resolver on the same node does; the other one is well."""

    def back(asked: Asked) -> Reply | None:
        with contextlib.suppress(OSError, dns.exception.DNSException):
            return dns.query.udp(asked.message, "127.0.0.1", 1.5, port=server.port)
        return None

    with Upstream(back) as stub, Upstream() as up:
        server = Server(tmp_path, corefile(stub.to, up.to, options="policy sequential", more="loop"))
        with server:
            server.wait_for_log(f"Loop ({stub.to}) detected", 12)
            before = len(stub.questions)
            for number in range(10):
                reply, took_s = ask_once(server, f"n{number}.example.org.")
                assert addresses(reply) == ["192.0.2.1"]
                assert took_s < 0.5
            assert len(stub.questions) <= before + 1, "it is not asked any more, but for a probe"


# --------------------------------------------------------------------------------------------- reloads, and the end


def test_reloads_lose_nothing_that_waits(tmp_path: Path) -> None:
    """Upstream takes half a second; questions of all ages are in flight at each reload."""
    with Upstream() as up:
        up.script = up.later(good, 0.5)
        with Server(tmp_path, corefile(up.to, options="max_fails 0")) as server:
            client = Client(server.port)
            with Load(server.port, 300, "www.example.org.") as load:
                load.run_for(0.6)
                for turn in range(1, 3):
                    send_batch(client.sock, [question(number) for number in range(turn * 50, turn * 50 + 50)])
                    server.reload(turn)
                load.run_for(0.3)
            replies = {(reply := client.receive()).id: reply for _ in range(100)}
            client.sock.close()
            assert load.lost == load.strange == 0
            assert set(load.rcodes) == {0}
            assert sorted(replies) == list(range(50, 150))
            assert {tuple(addresses(reply)) for reply in replies.values()} == {("192.0.2.1",)}
            assert "[ERROR]" not in server.log


def test_sigterm_answers_who_waits(tmp_path: Path) -> None:
    """Over UDP and TCP, half of them by an upstream that comes round, half by nobody."""

    def script(asked: Asked) -> Reply | None:
        return None if asked.name.startswith("n1") else delayed(asked)

    with Upstream() as up:
        delayed = up.later(good, 0.8)
        up.script = script
        with Server(tmp_path, corefile(up.to, options="max_fails 0\nprefer_udp")) as server:
            client = Client(server.port)
            send_batch(client.sock, [question(number) for number in range(10, 30)])
            with socket.create_connection(("127.0.0.1", server.port)) as stream:
                for number in range(110, 120):
                    wire = question(number + 100)
                    stream.sendall(struct.pack(">H", len(wire)) + wire)
                wait_until(lambda: len({asked.name for asked in up.questions}) == 30)
                begun = time.monotonic()
                server.send_signal(signal.SIGTERM)
                replies = [client.receive() for _ in range(20)]
                assert {reply.id for reply in replies} == set(range(10, 30))
                for reply in replies:
                    assert reply.rcode() == (dns.rcode.SERVFAIL if reply.id < 20 else dns.rcode.NOERROR)
                with stream.makefile("rb") as file:
                    got = 0
                    while len(length := file.read(2)) == 2:
                        reply = dns.message.from_wire(file.read(struct.unpack(">H", length)[0]))
                        assert addresses(reply) == ["192.0.2.1"]
                        got += 1
                assert got == 10
            assert server.process.wait(10) == 0
            assert time.monotonic() - begun < 5.5
            client.sock.close()


# ------------------------------------------------------------------------------------------------------------ load


def test_a_hundred_slow_queries_of_one_connection(tmp_path: Path) -> None:
    """Pipelined; answered as their answers come, which is in the opposite order (RFC 7766 section 6.2.1.1)."""
    asked: list[Asked] = []

    def collect(one: Asked) -> None:
        asked.append(one)

    with (
        Upstream(collect) as up,
        Server(tmp_path, corefile(up.to, options="prefer_udp\nmax_fails 0")) as server,
        socket.create_connection(("127.0.0.1", server.port)) as stream,
    ):
        stream.settimeout(10)
        wires = [question(number) for number in range(100)]
        cluster = dns.message.make_query("web.shop.svc.cluster.local.", "A", id=5000).to_wire()
        stream.sendall(b"".join(struct.pack(">H", len(wire)) + wire for wire in [*wires, cluster]))
        wait_until(lambda: len({one.name for one in asked}) == 100)
        with stream.makefile("rb") as file:
            # What needs nobody is not kept waiting.
            first = file.read(struct.unpack(">H", file.read(2))[0])
            assert first[:2] == struct.pack(">H", 5000)
            by_name = {one.name: one for one in asked}
            order = [f"n{number}.example." for number in reversed(range(100))]
            for name in order:
                up.say(by_name[name], echo(by_name[name]))
            got = [file.read(struct.unpack(">H", file.read(2))[0]) for _ in range(100)]
        names = [dns.message.from_wire(wire).question[0].name.to_text() for wire in got]
        assert sorted(names) == sorted(order)
        assert names != sorted(names, key=lambda name: int(name[1:].partition(".")[0]))


def test_a_query_over_tcp_is_answered_once(tmp_path: Path) -> None:
    """An upstream so quick that its answer was there while the query was still being parked: the same bytes were
    read once more then, and answered twice."""
    with Upstream(echo) as up:
        text = corefile(up.to, options="prefer_udp\nmax_fails 0", more="cache")
        with Server(tmp_path, text, workers=1) as server:
            for number in range(300):
                wire = question(number)
                with socket.create_connection(("127.0.0.1", server.port), 5) as stream:
                    stream.sendall(struct.pack(">H", len(wire)) + wire)
                    # The end of what we send: the other side closes once all is answered.
                    stream.shutdown(socket.SHUT_WR)
                    with stream.makefile("rb") as file:
                        replies = file.read()
                assert len(replies) == 2 + struct.unpack_from(">H", replies)[0], "one, and nothing behind it"
                assert replies[2:4] == wire[:2]
            assert server.total("coredns_dns_requests_total", proto="tcp") == 300


def died(server: Server) -> float:
    """How many queries waited in a worker that died."""
    return server.total("fastdns_queries_failed_total", reason="worker_died")


def joined(server: Server) -> float:
    """How many queries wait or waited for the answer to another one."""
    return server.total("fastdns_forward_joined_total")


def overflowed(server: Server) -> float:
    """How many datagrams have found a socket's queue full."""
    return server.total("fastdns_queries_failed_total", reason="socket_full")


def count_answers(clients: list[Client], each: int) -> int:
    """How many answers came for clients, each of them at most; NOERROR. What a client had no room for is one."""
    got = 0
    for client in clients:
        with contextlib.suppress(TimeoutError):
            for _ in range(each):
                assert client.receive_wire(1)[3] & 0xF == 0
                got += 1
        got += drops(client.sock)
    return got


def test_a_stampede_on_one_worker_asks_once(tmp_path: Path) -> None:
    """10,000 clients, one cold name, no cache: one query upstream."""
    total = 10_000
    with Upstream(silent) as up:
        text = corefile(up.to, options="max_fails 0\nread_timeout 5s")
        with Server(tmp_path, text, workers=1) as server:
            clients = [Client(server.port) for _ in range(20)]
            wires = [(place, dns.message.make_query("cold.example.org.", "A").to_wire()) for place in range(250)]
            for turn in range(0, total // len(clients), len(wires)):
                for client in clients:
                    send_batch(client.sock, [struct.pack(">H", turn + place) + wire[2:] for place, wire in wires])
                    # No faster than one socket's buffer lets a worker read.
                    time.sleep(0.005)
            asked = up.next()
            # The first one asked; all others joined it, but those that found the socket full.
            wait_until(lambda: 1 + joined(server) + overflowed(server) == total)
            up.say(asked, a(response(asked.message)))
            assert count_answers(clients, total // len(clients)) == total - overflowed(server)
            assert len({one.wire for one in up.questions}) == 1
            for client in clients:
                client.sock.close()


def test_a_stampede_on_a_cold_name_asks_once(tmp_path: Path) -> None:
    """10,000 clients of two workers, over UDP and TCP: one query upstream, however the kernel spreads them."""
    total = 10_000
    with Upstream(silent) as up, contextlib.ExitStack() as stack:
        text = corefile(up.to, options="max_fails 0\nread_timeout 5s", more="cache")
        server = stack.enter_context(Server(tmp_path, text, workers=2))
        for number in range(5):
            clients = [Client(server.port) for _ in range(40)]
            for client in clients:
                stack.callback(client.sock.close)
            streams = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in range(8)]
            full = overflowed(server)
            asked = stampede(server, up, clients, streams, f"cold{number}.example.org.", total)
            up.say(asked, a(response(asked.message)))
            if time.monotonic() - asked.at < CLAIM_S:
                break
        else:
            pytest.fail("this machine cannot ask 10,000 times within the second that a claim counts for")
        for one in streams:
            one.settimeout(3)
            with one.makefile("rb") as file:
                reply = dns.message.from_wire(file.read(struct.unpack(">H", file.read(2))[0]))
            assert addresses(reply) == ["192.0.2.1"]
        assert count_answers(clients, total // len(clients)) == total - (overflowed(server) - full)
        # The same datagram may have been sent again, for its answer is late.
        assert len({one.wire for one in up.questions if one.name == asked.name}) == 1


def stampede(
    server: Server, up: Upstream, clients: list[Client], streams: list[socket.socket], name: str, total: int
) -> Asked:
    """Ask total times over UDP, and once on each stream. Returns the first question, for which all wait."""
    before = joined(server) + overflowed(server)
    wire = dns.message.make_query(name, "A").to_wire()
    asked: Asked | None = None
    for turn in range(0, total // len(clients), 125):
        for client in clients:
            send_batch(client.sock, [struct.pack(">H", turn + place) + wire[2:] for place in range(125)])
            while asked is None or asked.name != name:
                asked = up.next()
        if turn == 0:
            for stream in streams:
                stream.sendall(struct.pack(">H", len(wire)) + wire)
    # Whoever's they are, but for those that found a socket full.
    wait_until(lambda: joined(server) + overflowed(server) - before == total + len(streams) - 1)
    assert asked is not None
    return asked


@pytest.mark.parametrize("killed", ["worker 1", "worker 2"])
def test_whoever_waits_for_a_worker_that_dies_is_answered(tmp_path: Path, killed: str) -> None:
    """One of two workers asks and the other one follows; whichever is killed, the other's clients are answered."""
    asked: list[Asked] = []
    with Upstream(asked.append) as up, Server(tmp_path, corefile(up.to, more="cache"), workers=2) as server:
        clients = [Client(server.port) for _ in range(24)]
        wire = dns.message.make_query("cold.example.org.", "A").to_wire()
        for client in clients:
            client.sock.send(wire)
        wait_until(lambda: asked and server.total("fastdns_forward_waiting") == len(clients))
        os.kill(server.pids().workers[killed], signal.SIGKILL)
        wait_until(lambda: died(server) > 0, why="those who waited in it are counted")
        answered = 0

        def all_are_accounted_for() -> bool:
            """Once each question is answered that comes: within the second that a claim counts for, one may."""
            nonlocal answered
            while asked:
                one = asked.pop()
                with contextlib.suppress(OSError):
                    up.say(one, a(response(one.message)))
            for client in clients:
                with contextlib.suppress(BlockingIOError):
                    answered += client.receive_wire(0)[3] & 0xF == 0
            return answered + died(server) >= len(clients)

        wait_until(all_are_accounted_for)
        # None of 24 ports leads to one of two workers once in eight million times.
        assert answered > 0
        assert answered + died(server) == len(clients)
        for client in clients:
            client.sock.close()


def test_an_answer_that_nobody_keeps_keeps_nobody_waiting(tmp_path: Path) -> None:
    """TTL 0, and no least TTL that raises it: who has waited for another worker's answer asks for one."""
    with (
        Upstream(lambda asked: a(response(asked.message), ttl_s=0)) as up,
        Server(tmp_path, corefile(up.to, more=KEEPS_NO_ZERO), workers=2) as server,
    ):
        clients = [Client(server.port) for _ in range(20)]
        wire = dns.message.make_query("brief.example.org.", "A").to_wire()
        for client in clients:
            send_batch(client.sock, [struct.pack(">H", place) + wire[2:] for place in range(20)])
        for client in clients:
            for _ in range(20):
                assert client.receive_wire(1)[3] & 0xF == 0
            client.sock.close()
        assert server.query("brief.example.org.").answer[0].ttl == 0
        assert len(up.questions) > 1


def test_who_has_waited_for_an_answer_that_nobody_keeps_asks_once(tmp_path: Path) -> None:
    """24 clients of two workers, one of which asks; after its answer the other asks for all who wait in it."""
    asked: list[Asked] = []
    with (
        Upstream(asked.append) as up,
        Server(tmp_path, corefile(up.to, more=KEEPS_NO_ZERO), workers=2) as server,
    ):
        clients = [Client(server.port) for _ in range(24)]
        for client in clients:
            client.send(dns.message.make_query("brief.example.org.", "A"))
        wait_until(lambda: asked and server.total("fastdns_forward_waiting") == len(clients))
        for number in range(2):
            # The same datagram may come again, for its answer is late.
            wait_until(lambda number=number: len({one.wire for one in asked}) == number + 1)
            up.say(asked[-1], a(response(asked[-1].message), f"192.0.2.{number}", ttl_s=0))
        got = Counter(addresses(client.receive(2))[0] for client in clients)
        # None of 24 ports leads to one of two workers once in eight million times.
        assert got.keys() == {"192.0.2.0", "192.0.2.1"}
        assert len({one.wire for one in asked}) == 2
        for client in clients:
            client.sock.close()


def test_an_upstream_over_ipv6(tmp_path: Path) -> None:
    if not has_address("::1"):
        pytest.skip("this host has no IPv6")
    with Upstream(tcp=good, host="::1") as up, Server(tmp_path, corefile(up.to)) as server:
        assert (
            server.addresses("www.example.org.") == server.addresses("www.example.org.", tcp=True) == ["192.0.2.1"]
        )
