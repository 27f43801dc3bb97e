"""What a host runs out of, and a clock that jumps."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path

import dns.exception
import pytest

from tests.integration.faults.load import KnownAnswers, address_of, name_of
from tests.integration.faults.support import NAMES, server, tell
from tests.support import COREFILE, Server, wait_until
from tests.upstream.support import Upstream, a, response

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
RATE = 2000


def is_served(fastdns: Server) -> bool:
    """Whether it answers."""
    with contextlib.suppress(dns.exception.DNSException, OSError):
        return fastdns.addresses(name_of(3)) == [address_of(3)]
    return False


def through(*commands: str) -> list[str]:
    """A prefix: what a shell does before it becomes the server."""
    return ["sh", "-c", "; ".join([*commands, 'exec "$@"']), "sh"]


def test_nothing_can_be_written(tmp_path: Path) -> None:
    """Its log, its pidfile: a full disk has room for neither."""
    arguments = ("-conf", "Corefile", "-pidfile", "/dev/full")
    prefix = through("exec >/dev/full 2>&1")
    with server(tmp_path, prefix=prefix, arguments=arguments, wait=False) as fastdns:
        wait_until(lambda: is_served(fastdns), 30)
        with KnownAnswers(fastdns.port, RATE, NAMES) as load:
            killed = fastdns.pids().workers["worker 1"]
            os.kill(killed, 9)
            wait_until(lambda: fastdns.pids().workers.get("worker 1") not in (None, killed), 10)
            fastdns.write_corefile("broken {")
            fastdns.send_signal(10)
            time.sleep(1.0)
            assert fastdns.total("coredns_reload_failed_total") == 1
        tell(load.report, "a full disk, and a worker killed")
        assert load.report.wrong == 0
        assert load.report.lost <= 100


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_a_small_dev_shm(tmp_path: Path) -> None:
    """As containers have it: 64 KiB are less than any of its tables."""
    mount = "mount -t tmpfs -o size=64k none /dev/shm"
    prefix = ["unshare", "--mount", *through(f"{mount} || exit 77")]
    with server(tmp_path, prefix=prefix) as fastdns, KnownAnswers(fastdns.port, RATE, NAMES) as load:
        time.sleep(1.0)
        assert fastdns.http("/ready") == (200, "OK")
    tell(load.report, "a small /dev/shm")
    assert load.report.wrong == load.report.lost == 0


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="prlimit is not installed")
def test_sixty_four_descriptors(tmp_path: Path) -> None:
    """It serves on, over UDP and TCP, and replaces who dies."""
    with server(tmp_path, prefix=["prlimit", "--nofile=64"]) as fastdns:
        with KnownAnswers(fastdns.port, RATE, NAMES) as load:
            for role in ("worker 1", "worker 2"):
                killed = fastdns.pids().workers[role]
                os.kill(killed, 9)
                wait_until(lambda role=role, killed=killed: fastdns.pids().workers.get(role) not in (None, killed))
            assert fastdns.addresses(name_of(3), tcp=True) == [address_of(3)]
            assert fastdns.http("/ready") == (200, "OK")
            fastdns.reload()
        tell(load.report, "64 descriptors")
        assert load.report.wrong == 0
        assert load.report.lost <= 200


@pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not installed")
@pytest.mark.parametrize("jump", ["+1d", "-1d"])
def test_the_clock_jumps(tmp_path: Path, jump: str) -> None:
    """A day: nothing expires of it, nothing lives longer, nobody is taken for dead."""
    clock = tmp_path / "clock"
    clock.write_text("+0d")
    environ = {
        "LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip
    corefile = COREFILE.replace("cluster.local:DNS_PORT 10.in-addr.arpa:DNS_PORT {", ".:DNS_PORT {")
    with Upstream(lambda asked: a(response(asked.message), ttl_s=20)) as up:
        corefile = corefile.replace("    errors\n", f"    errors\n    cache 30\n    forward . {up.to}\n")
        with (
            server(tmp_path, corefile, environ=environ) as fastdns,
            KnownAnswers(fastdns.port, RATE, NAMES - 1) as load,
        ):
            assert fastdns.query("www.example.org.").answer[0].ttl == 20
            pids = fastdns.pids()
            clock.write_text(jump)
            time.sleep(2.0)
            assert 15 <= fastdns.query("www.example.org.").answer[0].ttl <= 18
            assert fastdns.addresses(name_of(3), tcp=True) == [address_of(3)]
            assert fastdns.http("/ready") == (200, "OK")
            last = NAMES - 1
            text = fastdns.manifests.read_text()
            fastdns.manifests.write_text(text.replace(address_of(last), "10.99.0.7"))
            wait_until(lambda: fastdns.addresses(name_of(last)) == ["10.99.0.7"])
            assert fastdns.pids() == pids
        tell(load.report, f"a clock that jumps by {jump}")
        assert len(up.questions) == 1
        assert load.report.lost == load.report.wrong == 0
