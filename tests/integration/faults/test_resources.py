"""What a host runs out of, and a clock that jumps."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dns.exception
import pytest

from tests.integration.faults.load import KnownAnswers, address_of, name_of
from tests.integration.faults.support import NAMES, server, tell
from tests.plugins.forward.engine.support import Upstream, a, response
from tests.support import COREFILE, Server, alive, wait_until

pytestmark = pytest.mark.alone

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
            os.kill(killed, signal.SIGKILL)
            wait_until(lambda: fastdns.pids().workers.get("worker 1") not in (None, killed), 10)
            fastdns.write_corefile("broken {")
            fastdns.send_signal(signal.SIGUSR1)
            wait_until(lambda: fastdns.total("coredns_reload_failed_total") > 0)
        assert fastdns.total("coredns_reload_failed_total") == 1
        tell(load.report, "a full disk, and a worker killed")
        assert load.report.wrong == 0
        assert load.report.lost <= 100


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_a_small_dev_shm(tmp_path: Path) -> None:
    """As containers have it, or less: its tables are larger, and none of them is there."""
    mount = "mount -t tmpfs -o size=64k none /dev/shm"
    prefix = ["unshare", "--mount", *through(f"{mount} || exit 77")]
    corefile = COREFILE.replace("    errors\n", "    errors\n    cache\n")
    with server(tmp_path, corefile, prefix=prefix) as fastdns:
        with KnownAnswers(fastdns.port, RATE, NAMES) as load:
            time.sleep(1.0)
            assert fastdns.http("/ready") == (200, "OK")
        of_it = Path(f"/proc/{fastdns.process.pid}")
        seen = os.statvfs(of_it / "root/dev/shm")
        assert (seen.f_frsize * seen.f_blocks, seen.f_bfree) == (64 << 10, seen.f_blocks)
        sizes = dict.fromkeys(("memfd:fastdns-store", "memfd:fastdns-cache"), 0)
        for line in (of_it / "maps").read_text().splitlines():
            for name in sizes:
                if name in line:
                    begin, end = (int(word, 16) for word in line.split()[0].split("-"))
                    sizes[name] += end - begin
        assert min(sizes.values()) > 64 << 10
    tell(load.report, "a small /dev/shm")
    assert load.report.wrong == load.report.lost == 0


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="prlimit is not installed")
def test_sixty_four_descriptors(tmp_path: Path) -> None:
    """It says how many connections it has room for, serves on, over UDP and TCP, and replaces who dies."""
    with server(tmp_path, prefix=["prlimit", "--nofile=64"]) as fastdns, contextlib.ExitStack() as stack:
        fastdns.wait_for_log(
            "[WARNING] the limit of 64 file descriptors allows 20 TCP connections per worker instead of 4096; "
        )
        with KnownAnswers(fastdns.port, RATE, NAMES) as load:
            # More than two workers have room for: each new one takes the place of a quiet one.
            for _ in range(100):
                stack.enter_context(socket.create_connection(("127.0.0.1", fastdns.port), 5))
            assert fastdns.addresses(name_of(3), tcp=True) == [address_of(3)]
            # All of one client, whose longest quiet ones go.
            closed = "fastdns_tcp_connections_closed_total"
            wait_until(lambda: fastdns.total(closed, reason="client_share") >= 58)
            assert fastdns.total("fastdns_tcp_connections_open") <= 40
            for role in ("worker 1", "worker 2"):
                killed = fastdns.pids().workers[role]
                os.kill(killed, signal.SIGKILL)
                wait_until(lambda role=role, killed=killed: fastdns.pids().workers.get(role) not in (None, killed))
            assert fastdns.addresses(name_of(3), tcp=True) == [address_of(3)]
            assert fastdns.http("/ready") == (200, "OK")
            fastdns.reload()
        tell(load.report, "64 descriptors")
        assert load.report.wrong == 0
        assert load.report.lost <= 200


class Group:
    """A control group, of version 1 or 2, that bounds what a test says."""

    def __init__(self, folder: Path, version: int) -> None:
        self.folder = folder
        self.version = version

    @classmethod
    def make(cls, controller: str) -> Group | None:
        """One below that of this process, or None where that cannot be."""
        root = Path("/sys/fs/cgroup")
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            folder = root / (controller if controllers else "") / path.strip("/") / f"fastdns-test-{os.getpid()}"
            group = cls(folder, 1 if controllers else 2)
            with contextlib.suppress(OSError):
                folder.mkdir()
                if any(folder.glob(f"{controller}.*")):
                    return group
                folder.rmdir()
        return None

    def file(self, *names: str) -> Path:
        """What the group has under the first name in version 1, under the second in version 2."""
        return self.folder / names[self.version - 1]

    def remove(self) -> None:
        """Once it is empty."""
        wait_until(lambda: not (self.folder / "cgroup.procs").read_text(), 5)
        self.folder.rmdir()

    def prefix(self) -> list[str]:
        """What enters it, then becomes a command."""
        return through(f"echo $$ > {self.folder}/cgroup.procs")


@pytest.fixture
def group(request: pytest.FixtureRequest) -> Iterator[Group]:
    """A group for the controller that is the parameter."""
    made = Group.make(request.param)
    if made is None:
        pytest.skip("no control groups can be made here")
    yield made
    made.remove()


@pytest.mark.parametrize("group", ["pids"], indirect=True)
def test_no_more_processes(tmp_path: Path, group: Group) -> None:
    """fork fails with EAGAIN: the others serve on, a reload leaves what is, and it is tried again."""
    limit = group.folder / "pids.max"
    with server(tmp_path, prefix=group.prefix()) as fastdns:
        with KnownAnswers(fastdns.port, RATE, NAMES) as load:
            limit.write_text("1")
            os.kill(fastdns.pids().workers["worker 1"], signal.SIGKILL)
            fastdns.wait_for_log("[ERROR] worker 1 cannot be started: [Errno 11] Resource temporarily unavailable")
            fastdns.send_signal(signal.SIGUSR1)
            fastdns.wait_for_log("[ERROR] Restart failed: the system has no room for a thread")
            assert list(fastdns.pids().workers) == ["worker 2"]
            assert fastdns.http("/health") == (200, "OK")
            assert fastdns.total("coredns_reload_failed_total") == 1
            limit.write_text("max")
            # The time between two tries has grown.
            wait_until(lambda: len(fastdns.pids().workers) == 2, 15)
            fastdns.reload()
            healed_s = time.monotonic()
            time.sleep(1.0)
        tell(load.report, "no more processes")
        assert load.report.wrong == 0
        assert load.report.lost_between(healed_s, time.monotonic()) == 0
        assert "Traceback" not in fastdns.log


@pytest.mark.parametrize("group", ["pids"], indirect=True)
def test_no_room_for_all_of_more_workers(tmp_path: Path, group: Group) -> None:
    """The first of the new ones answers already, and the kernel has given the others their part: it is answered."""
    limit = group.folder / "pids.max"
    text = COREFILE.replace("    errors\n", "    errors\n    multisocket 2\n", 1)
    with server(tmp_path, text, prefix=group.prefix(), environ={"FASTDNS_WORKERS": ""}) as fastdns:
        now = int((group.folder / "pids.current").read_text())
        with KnownAnswers(fastdns.port, RATE, NAMES) as load:
            # A worker has two threads: there is room for one, and for half of another one.
            limit.write_text(str(now + 3))
            fastdns.write_corefile(text.replace("multisocket 2", "multisocket 6"))
            fastdns.send_signal(signal.SIGUSR1)
            fastdns.wait_for_log("[ERROR] Restart failed: the new workers did not become ready", 60)
            limit.write_text("max")
            time.sleep(0.5)
            assert len(fastdns.pids().workers) == 2
        tell(load.report, "no room for all of more workers")
        assert load.report.wrong == 0
        assert load.report.lost == 0


HOG = """
import time
kept = []
while True:
    kept.append(b"x" * (1 << 20))
    time.sleep(0.005)
"""


@pytest.mark.parametrize("group", ["memory"], indirect=True)
def test_out_of_memory(tmp_path: Path, group: Group) -> None:
    """The kernel takes a worker: the log says why, and another takes its place."""
    with server(tmp_path, prefix=group.prefix()) as fastdns, contextlib.ExitStack() as stack:
        victim = fastdns.pids().workers["worker 1"]
        Path(f"/proc/{victim}/oom_score_adj").write_text("1000")
        used = int(group.file("memory.usage_in_bytes", "memory.current").read_text())
        with KnownAnswers(fastdns.port, RATE, NAMES) as load:
            group.file("memory.limit_in_bytes", "memory.max").write_text(str(used + (32 << 20)))
            hog = subprocess.Popen([*group.prefix(), sys.executable, "-c", HOG])
            stack.callback(hog.wait)
            stack.callback(hog.kill)
            wait_until(lambda: not alive(victim), 20)
            hog.kill()
            wait_until(lambda: fastdns.pids().workers.get("worker 1") not in (None, victim), 15)
            time.sleep(1.0)
        tell(load.report, "out of memory")
        fastdns.wait_for_log(
            f"worker 1 (pid {victim}) has died: killed by SIGKILL (out of memory, see the limit of the container"
        )
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
