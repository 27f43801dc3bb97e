"""What a process may inherit: closed streams, blocked signals, bounds, a folder that is gone, no /proc."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import pytest

from tests.support import START_S, children, free_port, wait_until

COREFILE = ".:{port} {{\n    bind 127.0.0.1\n    whoami\n}}\n"


@contextmanager
def started(folder: Path, before: Callable[[], object]) -> Iterator[subprocess.Popen[bytes]]:
    """A server, before whose start something is done to its process; answers when the block begins."""
    port = free_port()
    corefile = folder / "Corefile"
    corefile.write_text(COREFILE.format(port=port))
    process = subprocess.Popen(
        [sys.executable, "-m", "fastdns.cli", "-conf", str(corefile)],
        cwd=folder,
        env={**os.environ, "FASTDNS_WORKERS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=before,
    )

    def answers() -> bool:
        assert process.poll() is None
        try:
            return bool(dns.query.udp(dns.message.make_query("a.", "A"), "127.0.0.1", 0.3, port=port))
        except (dns.exception.Timeout, OSError):
            return False

    try:
        wait_until(answers, START_S)
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("fds", [(0,), (1,), (2,), (0, 1, 2)], ids=str)
def test_closed_standard_streams(tmp_path: Path, fds: tuple[int, ...]) -> None:
    """The supervisor lived and no worker started."""
    with started(tmp_path, lambda: [os.close(fd) for fd in fds]) as process:
        for fd in fds:
            assert Path(f"/proc/{process.pid}/fd/{fd}").readlink() == Path("/dev/null")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_signals_that_are_blocked_or_ignored(tmp_path: Path) -> None:
    """SIGTERM was never taken. Where SIGCHLD is ignored, nobody learns how a child has ended."""

    def before() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, signal.NSIG))
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    with started(tmp_path, before) as process:
        (worker,) = children(process.pid)
        blocked = [line for line in Path(f"/proc/{worker}/status").read_text().splitlines() if "SigBlk" in line]
        assert int(blocked[0].split()[1], 16) == 0
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: set(children(process.pid)) - {worker})
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()

    def before() -> None:
        os.chdir(gone)
        gone.rmdir()

    with started(tmp_path, before) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def refused(folder: Path, *prefix: str, before: Callable[[], object] | None = None) -> str:
    """What a server says that cannot start."""
    (folder / "Corefile").write_text(COREFILE.format(port=free_port()))
    ended = subprocess.run(
        [*prefix, sys.executable, "-m", "fastdns.cli"],
        cwd=folder, capture_output=True, text=True, timeout=30, preexec_fn=before,
    )  # fmt: skip
    assert ended.returncode == 1 and "Traceback" not in ended.stderr, ended.stderr
    return ended.stderr


def test_a_bound_of_address_space(tmp_path: Path) -> None:
    """It ended with a traceback."""
    bound = 400 << 20
    says = refused(tmp_path, before=lambda: resource.setrlimit(resource.RLIMIT_AS, (bound, bound)))
    remedy = "raise the limit on address space (ulimit -v), or lower FASTDNS_STORE_MIB"
    assert f"cannot be mapped into memory; {remedy}" in says


def test_without_proc(tmp_path: Path) -> None:
    if not shutil.which("unshare") or os.getuid():
        pytest.skip("no mount namespace can be made here")
    script = 'mount --make-rprivate / && mount -t tmpfs none /proc && exec "$@"'
    prefix = ("unshare", "-m", "sh", "-c", script, "sh")
    assert refused(tmp_path, *prefix) == (
        "fastdns: /proc is not mounted, and the server needs it: mount -t proc proc /proc\n"
    )
