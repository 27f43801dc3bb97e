"""The servers of a run and the echo: started on their CPUs, and returned when they answer."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from bench.configs import Server, Task
from fastdns.bench import processes
from fastdns.bench.exchange import ask, wait_for_answer

START_S = 60.0


@dataclass(slots=True)
class Peer:
    """A measured server; an echo answers one scenario only. pid: the root of its process tree."""

    name: str
    pid: int
    port: int
    check: Callable[[], None]
    only: str | None = None


class LeftOut(Exception):
    """The reason why a server is left out."""


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a run's servers: they end with the stack, and their files are in the directory."""

    stack: contextlib.ExitStack
    directory: Path
    cpus: set[int]

    def start(self, name: str, server: Server, task: Task, first: bytes) -> Peer | None:
        """A server that has given a right answer to the first query; None if it has no such role.

        Raises LeftOut where it is not installed or does not serve, nor on another port: another program may have
        taken the one that was free.
        """
        try:
            return self._start(name, server, task, first)
        except LeftOut:
            if server.program and not task.program:
                raise
            return self._start(name, server, replace(task, port=processes.free_port()), first)

    def _start(self, name: str, server: Server, task: Task, first: bytes) -> Peer | None:
        home = self.directory / f"{name}-{task.role}"
        setup = server.setup(task, home)
        if setup is None:
            return None
        if server.program and not task.program:
            raise LeftOut("not installed")
        home.mkdir(exist_ok=True)
        for file, text in setup.files.items():
            (home / file).write_text(text)
        if not server.program:
            refused = refusal(task.program, home / "Corefile")
            if refused is not None:
                raise LeftOut(f"it refuses its Corefile: {refused}")
        child = self.stack.enter_context(
            processes.Child(setup.words, cpus=self.cpus, log=home / "log", environ=setup.environ)
        )
        try:
            ready(child, task.port, first)
        except (RuntimeError, TimeoutError) as error:
            last = (home / "log").read_text(errors="replace").strip().rpartition("\n")[2]
            raise LeftOut(f"it did not start: {last or error}") from error
        # Once more, for those that choose CPUs for their threads.
        processes.pin(child.pid, self.cpus)
        return Peer(name, child.pid, task.port, child.check)

    def start_echo(self, scenario: str, extra: int, workers: int, first: bytes) -> Peer:
        """The echo whose answers are so many bytes longer than the queries, for one scenario."""
        port = processes.free_port()
        child = self.stack.enter_context(
            processes.Child(
                [sys.executable, "-m", "bench.echo", str(port), str(extra), str(workers)],
                cpus=self.cpus,
                log=self.directory / f"echo-{scenario}.log",
            )
        )
        end = time.monotonic() + START_S
        # Its answers hold no record, so that it is not ready as others are.
        while ask(port, first, 0.1) is None:
            child.check()
            if time.monotonic() > end:
                raise TimeoutError("the echo does not answer")
        return Peer("echo", child.pid, port, child.check, scenario)


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


def find(server: Server, command: str, coredns: str) -> str:
    """The program of a server, or how fastdns is called; empty where it is not installed."""
    if not server.program:
        return command
    return shutil.which(coredns if server.program == "coredns" else server.program) or ""


def refusal(command: str, corefile: Path) -> str | None:
    """Why fastdns, called so, does not serve a Corefile; None where it does."""
    checked = subprocess.run(
        [*shlex.split(command), "check", "-conf", str(corefile)], capture_output=True, text=True, check=False
    )
    if checked.returncode == 0:
        return None
    lines = checked.stderr.strip().splitlines() or [f"exit code {checked.returncode}"]
    return lines[-1].removeprefix("fastdns: ").replace(f"{corefile.parent}/", "")
