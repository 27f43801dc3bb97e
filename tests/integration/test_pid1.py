"""As the first process of a container: signals arrive, and orphans do not stay as zombies."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support import Server, children, wait_until, zombies

ENTER = ("unshare", "--pid", "--fork", "--mount-proc", *(("--map-root-user", "--user") if os.geteuid() else ()))


def test_as_the_first_process(tmp_path: Path) -> None:
    try:
        subprocess.run([*ENTER, "true"], check=True, capture_output=True, timeout=10)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no process namespace: {error}")
    with Server(tmp_path, prefix=ENTER) as server:
        (first,) = children(server.process.pid)
        try:
            assert Path(f"/proc/{first}/status").read_text().split("NSpid:")[1].split("\n")[0].split()[-1] == "1"
            assert len(children(first)) == 3
            assert server.addresses() == ["10.96.0.20"]
            # Its parent ends at once: the process is ours then.
            subprocess.run(
                ["nsenter", "--target", str(first), "--pid", "--mount", "sh", "-c", "sleep 0.3 & exit"], check=True
            )
            wait_until(lambda: "sleep 0.3" in children(first).values(), 5)
            worker = next(pid for pid, title in children(first).items() if title == "fastdns: worker 1")
            os.kill(worker, signal.SIGKILL)
            time.sleep(0.5)
            wait_until(lambda: not zombies(first) and len(children(first)) == 3, 5)
            assert "has died: killed by SIGKILL" in server.log
            assert server.addresses() == ["10.96.0.20"]
            os.kill(first, signal.SIGUSR1)
            server.wait_for_log("Reloading complete")
        finally:
            os.kill(first, signal.SIGTERM)
        assert server.process.wait(10) == 0
        assert "[INFO] SIGTERM: Shutting down servers then terminating" in server.log
