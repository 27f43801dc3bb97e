"""Commands that run when the server has started, and before it ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from fastdns.corefile import load
from fastdns.errors import CorefileError
from fastdns.plugins.on.config import Command
from tests.support import Server, alive, children, wait_until


def corefile(*lines: str) -> str:
    """A server block with these lines."""
    return ".:DNS_PORT {\n" + "".join(f"    {line}\n" for line in lines) + "    whoami\n}\n"


def written(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []


def answers(server: Server) -> bool:
    return len(server.query("a.example.").additional) == 2


def test_start_reload_and_end(tmp_path: Path) -> None:
    """In the order of the Corefile; queries are answered while the last command waits."""
    file, go = tmp_path / "written", tmp_path / "go"
    text = corefile(
        f"on startup sh -c 'echo $0 >> {file}' one",
        "on startup false",
        "on STARTUP no-such-program",
        f"""on startup "sh -c 'echo two >> {file}'" """,
        f"on shutdown sh -c 'echo bye >> {file}; while ! test -e {go}; do sleep 0.01; done; echo end >> {file}'",
        f"on certrenew sh -c 'echo never >> {file}'",
    )
    with Server(tmp_path, text, workers=1) as server:
        wait_until(lambda: written(file) == ["one", "two"], why=server.log)
        assert "[INFO] plugin/on: Blocking command: sh -c " in server.log
        assert "[ERROR] plugin/on: on startup: false: exit code 1" in server.log
        assert (
            "[ERROR] plugin/on: on startup: no-such-program: it cannot be started: No such file or directory"
        ) in server.log
        assert "no plugin renews certificates" in server.log
        server.reload()
        wait_until(lambda: written(file) == ["one", "two"] * 2, why=server.log)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: written(file)[-1] == "bye", why=server.log)
        assert answers(server)
        assert server.process.poll() is None
        go.touch()
        assert server.process.wait(10) == 0
        assert written(file) == ["one", "two", "one", "two", "bye", "end"]


def test_nobody_waits_for_a_command_in_the_background(tmp_path: Path) -> None:
    file = tmp_path / "written"
    text = corefile(
        f"on startup sh -c 'echo $$ >> {file}; exec sleep 60' &",
        f"on startup sh -c 'echo next >> {file}'",
        f"on shutdown sh -c 'echo end >> {file}'",
    )
    pid = 0
    try:
        with Server(tmp_path, text, workers=1) as server:
            wait_until(lambda: len(written(file)) == 2, why=server.log)
            pid = next(int(word) for word in written(file) if word != "next")
            assert "[INFO] plugin/on: Nonblocking command: sh -c" in server.log
            server.process.send_signal(signal.SIGINT)
            server.process.wait(10)
            assert written(file)[-1] == "end"
            # It is its own master.
            assert alive(pid)
    finally:
        if pid:
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGQUIT])
def test_a_second_signal_ends_the_waiting(tmp_path: Path, second: int) -> None:
    file = tmp_path / "written"
    with Server(tmp_path, corefile(f"on shutdown sh -c 'echo $$ > {file}; exec sleep 60'"), workers=1) as server:
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: written(file), why=server.log)
        server.process.send_signal(second)
        server.process.wait(10)
        wait_until(lambda: not alive(int(written(file)[0])))


def test_quit_runs_nothing(tmp_path: Path) -> None:
    file = tmp_path / "written"
    with Server(tmp_path, corefile(f"on shutdown touch {file}"), workers=1) as server:
        server.process.send_signal(signal.SIGQUIT)
        server.process.wait(10)
    assert not file.exists()


def test_a_command_knows_signals_and_is_no_child_for_ever(tmp_path: Path) -> None:
    """Its handlers of signals are those of any program; the process that has run it is gone with it."""
    file = tmp_path / "written"
    text = corefile(
        f"on startup sh -c 'kill -TERM $$; echo ignored >> {file}'", f"on startup sh -c 'echo x >> {file}'"
    )
    with Server(tmp_path, text, workers=1) as server:
        wait_until(lambda: written(file) == ["x"], why=server.log)
        server.wait_for_log("it was killed by signal 15")
        wait_until(lambda: not any("on startup" in title for title in children(server.process.pid).values()))
        assert answers(server)


# Options


def commands(*lines: str) -> Sequence[Command]:
    config = load(". {\n" + "\n".join(lines) + "\n}", environ={})
    return config.blocks[0].plugins["on"].commands


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("on startup cmd arg1 arg2", Command("startup", ("cmd", "arg1", "arg2"))),
        ("on shutdown cmd arg1 &", Command("shutdown", ("cmd", "arg1"), True)),
        ("on Certrenew cmd", Command("certrenew", ("cmd",))),
        ("on startup cmd &", Command("startup", ("cmd",), True)),
        ("on startup &", Command("startup", ("&",))),
        ("""on startup "cmd 'a b' c" d""", Command("startup", ("cmd", "a b", "c", "d"))),
        ("on startup sh -c 'echo $HOME'", Command("startup", ("sh", "-c", "echo $HOME"))),
    ],
)
def test_options(line: str, expected: Command) -> None:
    assert commands(line) == (expected,)


def test_commands_add_up() -> None:
    assert [str(command) for command in commands("on startup a", "on shutdown b 'c d'", "on startup e")] == [
        "a",
        "b 'c d'",
        "e",
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("on", "Corefile:2 - .*expected an event: startup, shutdown, certrenew"),
        ("on reload cmd", "expected an event: startup, shutdown, certrenew; got 'reload'"),
        ("on startup", "expected a command"),
        ('on startup ""', "expected a command"),
        ("on startup 'cmd", "cannot be split into words: No closing quotation"),
        ("on startup cmd {\n}", "on takes no options"),
    ],
)
def test_errors(line: str, expected: str) -> None:
    with pytest.raises(CorefileError, match=expected):
        commands(line)
