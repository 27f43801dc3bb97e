"""The peers of a run: fastdns, other servers and the echo, each on one CPU, ready to answer when they are given."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fastdns.bench import processes
from fastdns.bench.exchange import ask, wait_for_answer

START_S = 60.0
KNOT_CONF = """\
server:
    rundir: "{directory}"
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: "{directory}"
zone:
  - domain: {zone}
    file: "{file}"
    zonefile-sync: -1
    journal-content: none
"""


@dataclass(slots=True)
class Peer:
    """A server under measurement; an echo answers one mix only."""

    name: str
    pid: int
    port: int
    check: Callable[[], None]
    only: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where the servers of a run live: they end with the stack, their files are in the directory."""

    stack: contextlib.ExitStack
    directory: Path
    cpu: int

    def start(
        self, name: str, command: list[str], port: int, first: bytes, *, environ: dict[str, str] | None = None
    ) -> Peer:
        """A server that has given a right answer to the first query."""
        child = self.stack.enter_context(
            processes.Child(command, cpus={self.cpu}, log=self.directory / f"{name}.log", environ=environ)
        )
        ready(child, port, first)
        processes.pin(child.pid, {self.cpu})
        return Peer(name, child.pid, port, child.check)


def ready(child: processes.Child, port: int, first: bytes) -> None:
    """Wait for the first right answer; say why where there is none."""
    end = time.monotonic() + START_S
    while True:
        child.check()
        try:
            wait_for_answer(port, first, 1.0)
            return
        except TimeoutError:
            if time.monotonic() > end:
                raise


def version_of(program: str, flag: str) -> str:
    """The first line of what a program says of its version."""
    said = subprocess.run([*shlex.split(program), flag], capture_output=True, text=True, check=False)
    return (said.stdout or said.stderr).strip().partition("\n")[0]


def refusal(command: str, corefile: Path) -> str | None:
    """Why fastdns, called so, does not serve a Corefile; None where it does."""
    checked = subprocess.run(
        [*shlex.split(command), "check", "-conf", str(corefile)], capture_output=True, text=True, check=False
    )
    if checked.returncode == 0:
        return None
    lines = checked.stderr.strip().splitlines() or [f"exit code {checked.returncode}"]
    return lines[-1].removeprefix("fastdns: ").replace(f"{corefile.parent}/", "")


def start_fastdns(place: Place, name: str, command: str, corefile: str, port: int, first: bytes) -> Peer:
    """One worker and all other processes of fastdns. command: how it is called."""
    path = place.directory / f"Corefile.{name}"
    path.write_text(corefile)
    return place.start(
        name, [*shlex.split(command), "-conf", str(path)], port, first, environ={"FASTDNS_WORKERS": "1"}
    )


def start_knot(place: Place, name: str, zone: str, file: Path, first: bytes) -> Peer | None:
    """Knot DNS with a zone from a file, or None where it is not installed."""
    program = shutil.which("knotd")
    if program is None:
        return None
    port = processes.free_port()
    home = place.directory / name
    home.mkdir()
    conf = home / "knot.conf"
    conf.write_text(KNOT_CONF.format(directory=home, port=port, zone=zone, file=file))
    return place.start(name, [program, "-c", str(conf)], port, first)


def start_echo(place: Place, mix: str, extra: int, first: bytes) -> Peer:
    """The echo whose answers are so many bytes longer than the queries, for one mix."""
    port = processes.free_port()
    child = place.stack.enter_context(
        processes.Child(
            [sys.executable, "-m", "bench.echo", str(port), str(extra)],
            cpus={place.cpu},
            log=place.directory / f"echo-{mix}.log",
        )
    )
    end = time.monotonic() + START_S
    # Its answers hold no record, so that it is not ready as others are.
    while ask(port, first, 0.1) is None:
        child.check()
        if time.monotonic() > end:
            raise TimeoutError("the echo does not answer")
    return Peer("echo", child.pid, port, child.check, mix)
