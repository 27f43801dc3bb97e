"""A real server with forward and cache: one cache for all its processes, before and after what happens to them."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections import Counter
from pathlib import Path

import dns.message
import dns.query
import dns.rrset
import pytest

from tests.support import Server, wait_until

pytestmark = pytest.mark.native

COREFILE = """\
.:DNS_PORT {
    bind 127.0.0.1
    errors
    prometheus 127.0.0.1:METRICS_PORT
    cache 300 {
        prefetch 1 1m 90%
        MORE
    }
    forward . 127.0.0.1:UPSTREAM
}
"""
NAME = "www.example.org."


class Upstream:
    """Answers A with an address that counts the questions, until it is told to be silent."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.asked: Counter[str] = Counter()
        self.ttl_s = 100
        self.silent = False
        threading.Thread(target=self.run, daemon=True).start()

    def run(self) -> None:
        while True:
            try:
                raw, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            query = dns.message.from_wire(raw)
            name = query.question[0].name.to_text().lower()
            self.asked[name] += 1
            if not self.silent:
                reply = dns.message.make_response(query)
                text = f"192.0.2.{self.asked[name]}"
                reply.answer.append(dns.rrset.from_text(query.question[0].name, self.ttl_s, "IN", "A", text))
                self.socket.sendto(reply.to_wire(), peer)

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def upstream():
    one = Upstream()
    yield one
    one.close()


def corefile(upstream: Upstream, more: str = "") -> str:
    return COREFILE.replace("UPSTREAM", str(upstream.port)).replace("MORE", more)


def ask_often(server: Server, count: int = 60) -> list[str]:
    """From many ports, so that every worker has its share. The first over UDP: the upstream has nothing else."""
    return [str(server.query(NAME, tcp=n % 4 == 3).answer[0][0]) for n in range(count)]


def test_workers_share_answers(tmp_path: Path, upstream: Upstream) -> None:
    with Server(tmp_path, corefile(upstream, "prefetch 0"), workers=2) as server:
        assert set(ask_often(server)) == {"192.0.2.1"}
        assert upstream.asked[NAME] == 1
        assert server.total("coredns_cache_hits_total", type="success") == 59
        assert server.total("coredns_cache_misses_total") == 1
        assert server.total("coredns_cache_requests_total") == 60
        assert server.total("coredns_cache_entries", type="success", zones=".") == 1


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGSEGV])
def test_answers_survive_workers(tmp_path: Path, upstream: Upstream, signum: int) -> None:
    with Server(tmp_path, corefile(upstream, "prefetch 0"), workers=2) as server:
        ask_often(server, 8)
        for pid in server.pids().workers.values():
            os.kill(pid, signum)
            wait_until(
                lambda pid=pid: len(server.pids().workers) == 2 and pid not in server.pids().workers.values()
            )
        assert set(ask_often(server)) == {"192.0.2.1"}
        assert upstream.asked[NAME] == 1


def test_answers_survive_a_reload_that_has_nothing_to_do_with_them(tmp_path: Path, upstream: Upstream) -> None:
    with Server(tmp_path, corefile(upstream, "prefetch 0"), workers=2) as server:
        ask_often(server, 8)
        server.write_corefile(corefile(upstream, "prefetch 0").replace("    errors\n", "    loadbalance\n"))
        server.reload()
        assert set(ask_often(server)) == {"192.0.2.1"}
        assert upstream.asked[NAME] == 1
        server.write_corefile(corefile(upstream, "prefetch 0\nkeepttl"))
        server.reload(2)
        assert set(ask_often(server)) == {"192.0.2.2"}, "another cache"
        assert upstream.asked[NAME] == 2


def test_a_popular_answer_is_fetched_again_and_nobody_waits(tmp_path: Path, upstream: Upstream) -> None:
    upstream.ttl_s = 10
    with Server(tmp_path, corefile(upstream), workers=2) as server:
        server.query(NAME)
        upstream.silent = True
        wait_until(lambda: server.query(NAME).answer[0].ttl <= 9)
        upstream.silent = False
        wait_until(lambda: str(server.query(NAME).answer[0][0]) != "192.0.2.1")
        assert server.total("coredns_cache_prefetch_total") >= 1


def test_what_is_stale_is_served_while_the_upstream_is_silent(tmp_path: Path, upstream: Upstream) -> None:
    upstream.ttl_s = 5
    more = "success 1024 1 0\nserve_stale 1h verify 100ms 30s 30s\nprefetch 0"
    with Server(tmp_path, corefile(upstream, more), workers=2) as server:
        assert server.query(NAME).answer[0].ttl == 1
        upstream.silent = True
        wait_until(lambda: server.query(NAME).answer[0].ttl == 30)
        assert {(one.ttl, str(one[0])) for one in server.query(NAME).answer} == {(30, "192.0.2.1")}
        assert server.total("coredns_cache_served_stale_total") >= 2
        assert upstream.asked[NAME] >= 2
