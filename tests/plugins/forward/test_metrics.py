"""Metrics of forward and loop: CoreDNS's names, labels and help texts, and ours; a server with real upstreams."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rrset
import pytest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from fastdns.corefile import load
from fastdns.metrics._stats import DURATION_BOUNDS_S, upstream_layout
from fastdns.plugins.forward.metrics import OTHER, families, names
from fastdns.plugins.forward.routes import MAX_SLOTS, RouteTable
from tests.support import Server, free_port, wait_until

# Name without _total, kind, labels, and the help text where it is CoreDNS's.
FAMILIES = {
    "coredns_proxy_request_duration_seconds": (
        "histogram", {"proxy_name", "to", "rcode"}, "Histogram of the time each request took.",
    ),
    "coredns_proxy_healthcheck_failures": (
        "counter", {"proxy_name", "to"}, "Counter of the number of failed healthchecks.",
    ),
    "coredns_proxy_conn_cache_hits": (
        "counter", {"proxy_name", "to", "proto"}, "Counter of connection cache hits per upstream and protocol.",
    ),
    "coredns_proxy_conn_cache_misses": (
        "counter", {"proxy_name", "to", "proto"}, "Counter of connection cache misses per upstream and protocol.",
    ),
    "coredns_forward_healthcheck_broken": (
        "counter", set(), "Counter of the number of complete failures of the healthchecks.",
    ),
    "coredns_forward_max_concurrent_rejects": (
        "counter", set(),
        "Counter of the number of queries rejected because the concurrent queries were at maximum.",
    ),
    "fastdns_forward_parked": ("counter", set(), None),
    "fastdns_forward_joined": ("counter", set(), None),
    "fastdns_forward_mismatched": ("counter", set(), None),
    "fastdns_forward_malformed": ("counter", set(), None),
    "fastdns_forward_streams_shed": ("counter", set(), None),
    "fastdns_forward_waiting": ("gauge", set(), None),
    "fastdns_forward_timeouts": ("counter", {"to"}, None),
    "fastdns_forward_refused": ("counter", {"to"}, None),
    "fastdns_forward_broken": ("counter", {"to"}, None),
    "fastdns_forward_silent": ("counter", {"to"}, None),
    "fastdns_forward_passed_over": ("counter", {"to"}, None),
    "fastdns_forward_truncated": ("counter", {"to"}, None),
    "fastdns_forward_loops": ("gauge", {"to"}, None),
}  # fmt: skip


# ------------------------------------------------------------------------------------------- without processes


class Counted:
    """In the place of Stats. values: (thread, upstream's slot) to name of a counter, row, and what it holds."""

    def __init__(self, values: dict[tuple[int, int], list[tuple[str, int, list[int]]]], **thread: int) -> None:
        self.values = values
        self.counted = dict.fromkeys(
            (
                "parked", "joined", "mismatched", "malformed", "streams_shed", "waiting", "all_down",
                "concurrent_rejects",
            ),
            0,
        )
        self.counted |= thread

    def thread(self, slot: int) -> dict[str, int]:
        return self.counted

    def upstream_values(self, slot: int, upstream_slot: int) -> list[int]:
        layout = upstream_layout()
        filled = [0] * (layout["connections"][0] + 10)
        for name, row, numbers in self.values.get((slot, upstream_slot), []):
            at, shape = layout[name]
            at += row * (shape[-1] if len(shape) == 2 else 1)
            filled[at : at + len(numbers)] = numbers
        return filled


def server_of(stats: Any, forward: str, *, other: tuple[str, ...] = ()) -> Any:
    """A supervisor with a configuration, as far as metrics look at it. other: upstreams of earlier ones."""
    config = load(f". {{\n {forward}\n whoami\n}}\n")
    table = RouteTable()
    for to in other:
        table.slot(to)
    routes = asyncio.run(table.find(config))
    return SimpleNamespace(
        config=config,
        generation=7,
        table=table,
        prepared=lambda name: routes,
        counted_slots=lambda: [0, 1, 2],
        stats=stats,
    )


def found(server: Any) -> dict[str, Metric]:
    return {family.name: family for family in families(server, server.table)}


def samples(server: Any, name: str) -> dict[tuple[str, ...], float]:
    """Values by label values, in the order of the labels."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in families(server, server.table)
        for sample in family.samples
        if sample.name == name
    }


def test_every_family_is_there_with_forward() -> None:
    there = found(server_of(Counted({}), "forward . 192.0.2.1"))
    assert set(there) == set(FAMILIES)
    for name, (kind, _, documentation) in FAMILIES.items():
        assert there[name].type == kind
        assert there[name].documentation
        assert documentation in (None, there[name].documentation)


def test_before_the_first_generation_starts() -> None:
    server = server_of(Counted({}), "forward . 192.0.2.1")
    server.prepared = lambda name: None
    assert set(found(server)) == set(FAMILIES)
    assert not samples(server, "fastdns_forward_loops")


def test_durations_by_upstream_and_rcode() -> None:
    """A row has a bucket a bound and one for the rest; threads add up."""
    fast, slow = [1, *[0] * 16], [*[0] * 16, 1]
    stats = Counted({
        (1, 0): [("duration", 0, fast), ("duration_sum_ns", 0, [100_000])],
        (2, 0): [("duration", 0, slow), ("duration_sum_ns", 0, [9_000_000_000]), ("duration", 3, fast)],
        (0, 1): [("duration", 16, fast), ("duration", 12, fast)],
    })  # fmt: skip
    server = server_of(stats, "forward . 192.0.2.1 [2001:db8::1]:5353")
    name = "coredns_proxy_request_duration_seconds"
    assert samples(server, f"{name}_count") == {
        ("forward", "192.0.2.1:53", "NOERROR"): 2,
        ("forward", "192.0.2.1:53", "NXDOMAIN"): 1,
        # The names that CoreDNS's DNS library has, and numbers.
        ("forward", "[2001:db8::1]:5353", "BADSIG"): 1,
        ("forward", "[2001:db8::1]:5353", "12"): 1,
    }
    assert samples(server, f"{name}_sum")["forward", "192.0.2.1:53", "NOERROR"] == pytest.approx(9.0001)
    of_noerror = {
        labels[3]: value
        for labels, value in samples(server, f"{name}_bucket").items()
        if labels[1:3] == ("192.0.2.1:53", "NOERROR")
    }
    assert of_noerror == {**{f"{bound:g}": 1 for bound in DURATION_BOUNDS_S}, "+Inf": 2}


def test_probes_and_connections() -> None:
    stats = Counted({
        (1, 0): [
            ("failed_probes", 0, [3]), ("connections", 0, [1, 2, 0, 0, 0]), ("connections", 1, [10, 0, 0, 0, 0]),
        ],
        (2, 0): [("connections", 1, [5, 4, 0, 0, 0])],
        (2, 1): [("connections", 0, [0, 0, 6, 7, 8])],
    })  # fmt: skip
    server = server_of(stats, "forward . 192.0.2.1 tls://192.0.2.2")
    assert samples(server, "coredns_proxy_healthcheck_failures_total") == {
        ("forward", "192.0.2.1:53"): 3,
        ("forward", "192.0.2.2:853"): 0,
    }
    assert samples(server, "coredns_proxy_conn_cache_misses_total") == {
        ("forward", "192.0.2.1:53", "udp"): 1,
        ("forward", "192.0.2.1:53", "tcp"): 2,
        ("forward", "192.0.2.2:853", "tcp-tls"): 6,
        ("forward", "192.0.2.2:853", "https"): 7,
        ("forward", "192.0.2.2:853", "quic"): 8,
    }
    assert samples(server, "coredns_proxy_conn_cache_hits_total") == {
        ("forward", "192.0.2.1:53", "udp"): 15,
        ("forward", "192.0.2.1:53", "tcp"): 4,
    }


def test_upstreams_of_earlier_configurations_stay_where_they_were_counted() -> None:
    stats = Counted({(0, 0): [("timeouts", 0, [4])]})
    server = server_of(stats, "forward . 192.0.2.3", other=("192.0.2.1:53", "192.0.2.2:53"))
    assert samples(server, "fastdns_forward_timeouts_total") == {("192.0.2.1:53",): 4, ("192.0.2.3:53",): 0}
    assert samples(server, "fastdns_forward_refused_total") == {("192.0.2.3:53",): 0}


def test_a_loop_shows_as_long_as_its_upstream_is_asked() -> None:
    server = server_of(Counted({}), "forward . 192.0.2.2 192.0.2.3", other=("192.0.2.1:53",))
    for slot in (0, 2):
        server.table.shared.cut(slot, True)
    assert samples(server, "fastdns_forward_loops") == {("192.0.2.2:53",): 0, ("192.0.2.3:53",): 1}


def test_what_no_single_upstream_has() -> None:
    server = server_of(Counted({}, parked=1, waiting=2, streams_shed=3, all_down=4), "forward . 192.0.2.1")
    for name, value in (
        ("fastdns_forward_parked_total", 3),
        ("fastdns_forward_waiting", 6),
        ("fastdns_forward_streams_shed_total", 9),
        ("coredns_forward_healthcheck_broken_total", 12),
        ("coredns_forward_max_concurrent_rejects_total", 0),
    ):
        assert samples(server, name) == {(): value}


def test_upstreams_without_counters_of_their_own() -> None:
    table = RouteTable()
    for number in range(MAX_SLOTS):
        table.slot(f"192.0.2.1:{number}")
    assert names(table.slots) == {number: f"192.0.2.1:{number}" for number in range(MAX_SLOTS)}
    assert table.slots_in_use() == MAX_SLOTS
    table.slot("192.0.2.2:53")
    assert table.slots_in_use() == MAX_SLOTS
    assert names(table.slots)[MAX_SLOTS - 1] == OTHER
    assert list(names(table.slots).values()).count(OTHER) == 1


# --------------------------------------------------------------------------------------------- a whole server


def answer(query: dns.message.Message) -> dns.message.Message:
    """The reply with one address."""
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.RA
    reply.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "A", "192.0.2.80"))
    return reply


@dataclass
class Upstream:
    """``with Upstream() as upstream``: on one port over UDP and TCP; the first label says how it answers.

    nx: NXDOMAIN. fail: SERVFAIL. big: truncated over UDP. stray: two replies, one with another ID. mangled: no
    records where they are promised. silent: nothing. held: once ``release`` is set. Others: an address.
    """

    port: int = field(default_factory=free_port)
    release: threading.Event = field(default_factory=threading.Event)
    held: int = 0
    accepted: int = 0

    def __enter__(self) -> Upstream:
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        self.tcp = socket.create_server(("127.0.0.1", self.port))
        for target in (self.serve_udp, self.serve_tcp):
            threading.Thread(target=target, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.release.set()
        for sock in (self.udp, self.tcp):
            # What waits in it returns.
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    @property
    def to(self) -> str:
        return f"127.0.0.1:{self.port}"

    def serve_udp(self) -> None:
        with contextlib.suppress(OSError):
            # An empty one comes of the shutdown.
            while (received := self.udp.recvfrom(4096))[0]:
                query, peer = dns.message.from_wire(received[0]), received[1]
                for reply in self.replies(query, tcp=False, later=lambda data, to=peer: self.udp.sendto(data, to)):
                    self.udp.sendto(reply, peer)

    def serve_tcp(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.tcp.accept()
                self.accepted += 1
                threading.Thread(target=self.serve_connection, args=(connection,), daemon=True).start()

    def serve_connection(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError), connection:
            while True:
                query, _ = dns.query.receive_tcp(connection)
                for reply in self.replies(query, tcp=True, later=None):
                    connection.sendall(len(reply).to_bytes(2) + reply)

    def replies(
        self, query: dns.message.Message, *, tcp: bool, later: Callable[[bytes], object] | None
    ) -> list[bytes]:
        """What is sent at once."""
        first = query.question[0].name.labels[0]
        reply = answer(query)
        if first in (b"nx", b"fail"):
            reply.answer.clear()
            reply.set_rcode(dns.rcode.NXDOMAIN if first == b"nx" else dns.rcode.SERVFAIL)
        elif first == b"big" and not tcp:
            reply.answer.clear()
            reply.flags |= dns.flags.TC
        elif first == b"stray":
            other = answer(query)
            other.id ^= 1
            return [other.to_wire(), reply.to_wire()]
        elif first == b"mangled":
            # Its count of answers is the last byte of the header's second half.
            return [reply.to_wire()[:7] + b"\5" + reply.to_wire()[8:]]
        elif first == b"silent":
            return []
        elif first == b"held" and later is not None:
            self.held += 1
            threading.Thread(
                target=lambda: self.release.wait(30) and later(reply.to_wire()), daemon=True
            ).start()
            return []
        return [reply.to_wire()]


COREFILE = """\
.:DNS_PORT {
    bind 127.0.0.1
    prometheus 127.0.0.1:METRICS_PORT
    loop
    forward dead.example 127.0.0.1:OTHER_PORT {
        max_fails 1
        health_check 100ms
    }
    forward held.example UPSTREAM {
        max_concurrent 2
    }
    forward two.example UPSTREAM SECOND {
        policy sequential
    }
    forward once.example UPSTREAM {
        read_timeout 100ms
        max_connect_attempts 1
    }
    forward back.example 127.0.0.1:DNS_PORT
    forward . UPSTREAM
}
"""
HITS, MISSES = "coredns_proxy_conn_cache_hits_total", "coredns_proxy_conn_cache_misses_total"
COUNT = "coredns_proxy_request_duration_seconds_count"


@dataclass
class Scene:
    """A server of one worker, and its upstreams."""

    server: Server
    upstream: Upstream
    second: Upstream

    def rcode(self, name: str, **how: Any) -> str:
        return dns.rcode.to_text(self.server.query(name, **how).rcode())

    def total(self, name: str, **labels: str) -> float:
        return self.server.total(name, **labels)

    def grows(self, name: str, by: float, act: Callable[[], object], **labels: str) -> None:
        """What the streams have done shows after a moment."""
        before = self.total(name, **labels)
        act()
        wait_until(lambda: self.total(name, **labels) >= before + by, why=f"{name} {labels}")
        assert self.total(name, **labels) == before + by, (name, labels)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with Upstream() as upstream, Upstream() as second:
        corefile = COREFILE.replace("UPSTREAM", upstream.to).replace("SECOND", second.to)
        with Server(tmp_path_factory.mktemp("forwarding"), corefile, workers=1) as server:
            yield Scene(server, upstream, second)


def test_names_and_labels(scene: Scene) -> None:
    assert scene.rcode("a.example") == "NOERROR"
    text = scene.server.http("/metrics")[1]
    told = {family.name: family for family in text_string_to_metric_families(text)}
    for name, (kind, labels, _) in FAMILIES.items():
        assert told[name].type == kind, name
        for sample in told[name].samples:
            assert set(sample.labels) - {"le"} == labels, sample


def test_replies_by_rcode(scene: Scene) -> None:
    for name, rcode in (("a.example", "NOERROR"), ("nx.example", "NXDOMAIN"), ("fail.example", "SERVFAIL")):
        labels = {"proxy_name": "forward", "to": scene.upstream.to, "rcode": rcode}

        def ask(name: str = name, rcode: str = rcode) -> None:
            assert scene.rcode(name) == rcode

        scene.grows(COUNT, 1, ask, **labels)
        assert scene.total(COUNT.replace("_count", "_sum"), **labels) < 1


def test_sockets_are_opened_once_and_used_again(scene: Scene) -> None:
    def attempts(name: str) -> float:
        return scene.total(name, proto="udp", to=scene.upstream.to)

    hits, misses = attempts(HITS), attempts(MISSES)
    for number in range(100):
        scene.rcode(f"n{number}.example")
    assert attempts(HITS) + attempts(MISSES) == hits + misses + 100
    # Queries are spread over at most sixteen sockets (SOCKETS in _upstream.pxd).
    assert 1 <= attempts(MISSES) <= 16


def test_connections_are_dialed_once_and_used_again(scene: Scene) -> None:
    """For clients over TCP, and for what was truncated."""
    labels = {"proto": "tcp", "to": scene.upstream.to}
    scene.rcode("a.example", tcp=True)
    wait_until(lambda: scene.total(MISSES, **labels) == scene.upstream.accepted)
    scene.grows(HITS, 3, lambda: [scene.rcode("a.example", tcp=True) for _ in range(3)], **labels)
    scene.grows(HITS, 1, lambda: scene.rcode("big.example"), **labels)
    assert scene.total(MISSES, **labels) == scene.upstream.accepted


def test_what_upstreams_do_wrong(scene: Scene) -> None:
    to = scene.upstream.to
    for name, family, labels in (
        ("big.example", "fastdns_forward_truncated_total", {"to": to}),
        ("silent.once.example", "fastdns_forward_timeouts_total", {"to": to}),
        ("fail.two.example", "fastdns_forward_passed_over_total", {"to": to}),
        ("fail.two.example", "fastdns_forward_passed_over_total", {"to": scene.second.to}),
        ("stray.example", "fastdns_forward_mismatched_total", {}),
        ("mangled.once.example", "fastdns_forward_malformed_total", {}),
    ):
        scene.grows(family, 1, lambda name=name: scene.server.query(name), **labels)  # type: ignore[misc]


def test_an_upstream_that_is_not_there(scene: Scene) -> None:
    to = f"127.0.0.1:{scene.server.ports['OTHER_PORT']}"
    assert scene.rcode("a.dead.example") == "SERVFAIL"
    assert scene.total("fastdns_forward_refused_total", to=to) >= 1
    # Down is who has failed two probes; then it is asked all the same, as there is no other.
    wait_until(lambda: scene.total("coredns_proxy_healthcheck_failures_total", to=to, proxy_name="forward") >= 2)
    wait_until(lambda: scene.rcode("a.dead.example") and scene.total("coredns_forward_healthcheck_broken_total"))
    assert scene.total("coredns_proxy_healthcheck_failures_total", to=scene.upstream.to) == 0


def test_queries_that_wait(scene: Scene) -> None:
    """Two wait for one question, a third is one too many."""
    rejects, joined = "coredns_forward_max_concurrent_rejects_total", "fastdns_forward_joined_total"
    before = {name: scene.total(name) for name in (rejects, joined, "fastdns_forward_parked_total")}
    replies: list[str] = []
    threads = [
        threading.Thread(target=lambda: replies.append(scene.rcode("held.example", timeout_s=20))) for _ in range(2)
    ]
    for number, thread in enumerate(threads, 1):
        thread.start()
        wait_until(lambda number=number: scene.total("fastdns_forward_waiting") == number)  # type: ignore[misc]
    assert scene.rcode("held.example") == "REFUSED"
    scene.upstream.release.set()
    for thread in threads:
        thread.join(20)
    assert replies == ["NOERROR", "NOERROR"]
    assert {name: scene.total(name) - before[name] for name in before} == {
        rejects: 1, joined: 1, "fastdns_forward_parked_total": 2,
    }  # fmt: skip
    assert scene.total("fastdns_forward_waiting") == 0
    assert scene.total("fastdns_forward_streams_shed_total") == 0


def test_a_loop_shows(scene: Scene) -> None:
    wait_until(lambda: scene.total("fastdns_forward_loops", to=f"127.0.0.1:{scene.server.port}") == 1)
    assert scene.total("fastdns_forward_loops") == 1
    assert ("fastdns_forward_loops", (("to", scene.upstream.to),)) in scene.server.samples()


def test_counts_outlive_worker_and_configuration(tmp_path: Path) -> None:
    with Upstream() as first, Upstream() as other:
        corefile = ".:DNS_PORT {\n bind 127.0.0.1\n prometheus 127.0.0.1:METRICS_PORT\n forward . UPSTREAM\n}\n"
        with Server(tmp_path, corefile.replace("UPSTREAM", first.to), workers=1) as server:
            for number in range(5):
                server.query(f"n{number}.example")
            server.query("a.example", tcp=True)

            def counts() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
                return {
                    key: value
                    for key, value in server.samples().items()
                    if dict(key[1]).get("to") == first.to and "loops" not in key[0]
                }

            wait_until(lambda: server.total(MISSES, to=first.to, proto="tcp") == 1)
            before = counts()
            assert before[COUNT, (("proxy_name", "forward"), ("rcode", "NOERROR"), ("to", first.to))] == 6
            os.kill(server.pids().workers["worker 1"], signal.SIGKILL)
            server.wait_for_log("has died")
            wait_until(lambda: server.total("fastdns_workers") == 1)
            assert counts() == before

            server.write_corefile(corefile.replace("UPSTREAM", f"{other.to} {{\n policy sequential\n }}"))
            server.reload()
            server.query("a.example")
            assert counts() == {key: value for key, value in before.items() if value or "_bucket" in key[0]}
            assert server.total(COUNT, to=other.to) == 1
            # Only who may be asked has a loop, or none.
            shown = {dict(labels)["to"] for name, labels in server.samples() if name == "fastdns_forward_loops"}
            assert shown == {other.to}

            server.write_corefile(".:DNS_PORT {\n bind 127.0.0.1\n prometheus 127.0.0.1:METRICS_PORT\n whoami\n}\n")
            server.reload(2)
            assert not [name for name, _ in server.samples() if name.startswith(("coredns_proxy", "fastdns_for"))]
