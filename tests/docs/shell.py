"""Runs the commands of a page in a shell with a network, processes and a folder of its own.

The network has a loopback and nothing else, so a page may use any port, and pages do not meet. All processes that a
page has started end with its shell.
"""

from __future__ import annotations

import functools
import os
import queue
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.docs.fences import Block, Command, commands_of
from tests.docs.output import begins_as_shown, has_lines, is_shown

COMMAND_S = 20.0
# A busy machine starts a server in this time.
START_S = 30.0
EVENTUALLY_S = 10.0


class PageError(AssertionError):
    """A page says something that is not so."""


def isolation() -> list[str]:
    """The command that gives what follows a network and processes of its own."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *user, "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]


@functools.cache
def missing() -> str:
    """Why no page can be run here; empty where pages can be."""
    try:
        ended = subprocess.run(
            [*isolation(), "ip", "link", "set", "lo", "up"], capture_output=True, text=True, timeout=10
        )
    except OSError as error:
        return str(error)
    return ended.stderr.strip() if ended.returncode else ""


class Shell:
    """``with Shell(folder) as shell``: bash, with the fastdns of this build in PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / "work"
        self.work.mkdir()
        self.answers: queue.Queue[str] = queue.Queue()
        self.outputs: list[Path] = []

    def __enter__(self) -> Shell:
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FASTDNS_")},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "LC_ALL": "C.UTF-8",
            "HOME": str(self.folder),
        }
        self.process = subprocess.Popen(
            [*isolation(), "bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, cwd=self.work, env=environ,
        )  # fmt: skip
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        # Each background command is a job of its own, which Ctrl-C reaches as on a terminal.
        assert self.ask("set -m; ip link set lo up; echo $?") == "0"
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.reader.join(10)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.answers.put(line.rstrip("\n"))

    def ask(self, line: str) -> str:
        """Have bash execute a line that prints one line; returns that."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        try:
            return self.answers.get(timeout=COMMAND_S)
        except queue.Empty:
            raise PageError(f"not within {COMMAND_S:.0f} s: {line}") from None

    def run(self, text: str) -> tuple[str, int]:
        """What a command prints, on both streams, and its exit code."""
        source, output = self.folder / "command", self.folder / "output"
        source.write_text(text + "\n")
        code = self.ask(f"source {shlex.quote(str(source))} </dev/null >{shlex.quote(str(output))} 2>&1; echo $?")
        return output.read_text(errors="replace"), int(code)

    def start(self, text: str) -> Path:
        """Start a command in the background; returns the file that its output goes to."""
        source = self.folder / f"background-{len(self.outputs)}"
        output = self.folder / f"{source.name}.output"
        source.write_text(text + "\n")
        # The shell opens it a moment later.
        output.touch()
        self.outputs.append(output)
        self.ask(f"source {shlex.quote(str(source))} </dev/null >{shlex.quote(str(output))} 2>&1 & echo started")
        return output

    def ctrl_c(self) -> None:
        """End the last background command as Ctrl-C on its terminal does, and wait for its end."""
        self.ask("kill -INT -- -$!; wait $! 2>/dev/null; echo ended")

    def log(self) -> str:
        """Everything that background commands have printed."""
        return "".join(path.read_text(errors="replace") for path in self.outputs)


def looks(limit_s: float) -> Iterator[None]:
    """Look again until the time is over; the last look is after it."""
    ends = time.monotonic() + limit_s
    while True:
        late = time.monotonic() > ends
        yield
        if late:
            return
        time.sleep(0.02)


def told(block: Block, what: str, shown: list[str], printed: str) -> PageError:
    """The error that says what the page shows and what there was."""
    expected = "".join(f"    {line}\n" for line in shown)
    got = "".join(f"    {line}\n" for line in printed.splitlines())
    return PageError(f"{block.place}: {what}\n  the page shows:\n{expected}  printed was:\n{got}")


def run_block(shell: Shell, block: Block) -> None:
    """Do what a block says: write its file, run its commands, or look for its lines in the log."""
    if "file" in block.words:
        path = shell.work / block.words["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        # As an editor does: a watcher never sees half of it.
        beside = path.with_name(f".{path.name}.new")
        beside.write_text(block.text)
        beside.replace(path)
    elif "log" in block.words:
        shown = block.text.splitlines()
        until(lambda: has_lines(shell.log(), shown), lambda: told(block, "not in the log", shown, shell.log()))
    elif block.runs and "background" in block.words:
        if "ctrl-c" in block.words:
            shell.ctrl_c()
        for command in commands_of(block):
            run_in_background(shell, block, command)
    elif block.runs:
        for command in commands_of(block):
            run_command(shell, block, command)


def until(is_so: Callable[[], bool], error: Callable[[], PageError], limit_s: float = START_S) -> None:
    """Poll until it is so; raises the error after limit_s."""
    for _ in looks(limit_s):
        if is_so():
            return
    raise error()


def run_in_background(shell: Shell, block: Block, command: Command) -> None:
    """Start a command and wait until it has printed what the page shows."""
    if not command.shown:
        raise ValueError(f"{block.place}: the page does not show how one sees that it runs: {command.text}")
    output = shell.start(command.text)
    for _ in looks(START_S):
        ended = shell.ask("kill -0 $! 2>/dev/null; echo $?") != "0"
        printed = output.read_text(errors="replace")
        if begins_as_shown(printed, command.shown) and not ended:
            return
        if ended:
            raise told(block, f"has ended: {command.text}", command.shown, printed)
    raise told(block, f"has not printed what is shown: {command.text}", command.shown, printed)


def run_command(shell: Shell, block: Block, command: Command) -> None:
    """Run a command and compare its exit code and its output."""
    expected = int(block.words.get("exit") or 0)
    for _ in looks(EVENTUALLY_S if "eventually" in block.words else 0.0):
        printed, code = shell.run(command.text)
        if code == expected and is_shown(printed, command.shown):
            return
        if "eventually" not in block.words:
            break
    raise told(block, f"exit code {code}, {expected} expected: {command.text}", command.shown, printed)
