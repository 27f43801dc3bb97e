"""What a process has started ends with it, also where it is killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import wait_until

API_SERVER = """
from fastdns.bench.apiserver.process import Process
with Process(services=1, endpoints=1, tls=False) as api:
    print(api.pid, flush=True)
    input()
"""
SERVER = """
import pathlib, sys
from fastdns.bench.processes import Child
with Child(["sleep", "1000"], log=pathlib.Path(sys.argv[1])) as child:
    print(child.pid, flush=True)
    input()
"""
LATE = """
import os, sys
from fastdns.children import die_with_parent
parent = os.getpid()
if os.fork():
    os._exit(0)
print(os.getpid(), flush=True)
while os.getppid() == parent:
    pass
die_with_parent(parent)
print("still here", flush=True)
"""


def is_there(pid: int) -> bool:
    """Whether a process goes on. One that nobody has reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("program", [API_SERVER, SERVER], ids=["the synthetic API server", "a server of the bench"])
def test_a_killed_parent_leaves_nothing(tmp_path: Path, program: str) -> None:
    """A bench that was killed left its servers behind, and their ports taken."""
    command = [sys.executable, "-c", program, str(tmp_path / "log")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_there(child)
        parent.kill()
    wait_until(lambda: not is_there(child), 10)


def test_a_parent_that_has_ended_before() -> None:
    """Nobody would send the signal any more."""
    said = subprocess.run([sys.executable, "-c", LATE], stdout=subprocess.PIPE, text=True, timeout=30).stdout
    assert said.split()[0].isdigit() and "still here" not in said
