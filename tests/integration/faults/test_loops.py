"""Servers that forward to each other, and one that forwards to itself, under load.

The upstream is cut off, names of the cluster are answered on, and when the loop is gone it is asked again.
"""

from __future__ import annotations

import time
from pathlib import Path

import dns.rcode
import pytest

from fastdns.plugins.loop import probes
from tests.integration.faults.flood import Flood
from tests.integration.faults.load import KnownAnswers
from tests.integration.faults.support import CHAOS_S, NAMES, memory_mib, seconds, server, tell
from tests.integration.faults.test_upstreams import corefile
from tests.integration.faults.upstream import Upstreams
from tests.support import Server, wait_until

pytestmark = pytest.mark.alone

RATE = 2000 if CHAOS_S else 500
GROWTH_MIB = 30.0
# How soon an upstream that was cut off is looked at again, and some time for the look itself.
LOOKED_AGAIN_S = probes.AGAIN_S + 10.0


def looping(*upstreams: str) -> str:
    """A Corefile that looks for loops."""
    return corefile(*upstreams).replace("    cache 30\n", "    cache 30\n    loop\n")


def is_cut(fastdns: Server) -> bool:
    """Whether it has cut its upstream off."""
    return fastdns.total("fastdns_forward_loops") == 1


def told(logs: str, begun_s: float, found_s: float) -> None:
    """The loop is told of once when it is found, and once each time that it is looked for again and still there."""
    now_s = time.monotonic()
    least = 1 + int((now_s - found_s) / (probes.AGAIN_S + probes.PROBE_S + 1.0))
    assert least <= logs.count("[ERROR] plugin/loop") <= 1 + int((now_s - begun_s) / probes.AGAIN_S)


def unharmed(fastdns: Server, load: KnownAnswers, what: str, before_mib: float) -> None:
    """Nothing is lost, nobody has died, memory is bounded."""
    grown_mib = memory_mib(fastdns) - before_mib
    tell(load.report, f"{what}; {grown_mib:+.1f} MiB")
    assert load.report.wrong == 0
    assert load.report.lost <= load.report.sent * 0.001
    assert fastdns.total("fastdns_child_deaths_total") == 0
    assert grown_mib < GROWTH_MIB


def test_a_server_that_asks_itself(tmp_path: Path) -> None:
    """The flood begins with the server: every query of it would go round."""
    begun_s = time.monotonic()
    with server(tmp_path, looping("127.0.0.1:DNS_PORT")) as fastdns:
        before = memory_mib(fastdns)
        with KnownAnswers(fastdns.port, RATE, NAMES) as load, Flood(fastdns.port, "example.org.", RATE):
            wait_until(lambda: is_cut(fastdns), 25, "the loop is found")
            found_s = time.monotonic()
            time.sleep(seconds(1.0))
        unharmed(fastdns, load, "a server that asks itself", before)
        assert fastdns.query("www.example.org.").rcode() == dns.rcode.SERVFAIL
        assert fastdns.total("fastdns_queries_failed_total", reason="no_healthy_upstream") > 0
        # The probe that came back has been counted like any other query that gets no answer.
        assert fastdns.total("fastdns_queries_failed_total", reason="plugin", reply="none") > 0
        told(fastdns.log, begun_s, found_s)


@pytest.mark.parametrize("loop", ["both look", "one looks"])
def test_two_servers_that_ask_each_other(tmp_path: Path, loop: str) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    one = server(tmp_path / "one", looping("127.0.0.1:OTHER_PORT"))
    back = looping(f"127.0.0.1:{one.port}")
    other = server(tmp_path / "other", back if loop == "both look" else corefile(f"127.0.0.1:{one.port}"))
    one.write_corefile(looping(f"127.0.0.1:{other.port}"))
    begun_s = time.monotonic()
    with one, other:
        before = memory_mib(one)
        with KnownAnswers(one.port, RATE, NAMES) as load, Flood(one.port, "example.org.", RATE):
            # Who finds it first cuts it; the other one's probes do not come back any more.
            wait_until(lambda: is_cut(one) or is_cut(other), 25, "the loop is found")
            found_s = time.monotonic()
            time.sleep(seconds(1.0))
        unharmed(one, load, f"two servers that ask each other, {loop}", before)
        told(one.log + other.log, begun_s, found_s)
        if loop == "both look" or not CHAOS_S:
            return
        # The other one gets an upstream that knows: the loop is gone, and this one sees it.
        with Upstreams("good") as ups:
            other.write_corefile(corefile(ups.to["good"]))
            other.reload()
            wait_until(lambda: not is_cut(one), LOOKED_AGAIN_S, "it is asked again")
            assert one.addresses("www.example.org.") == ["192.0.2.1"]
