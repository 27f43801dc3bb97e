"""Completion: which words may stand where, and the scripts in the shells that are here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fastdns.cli import main
from fastdns.commands import COMMANDS, SHELLS
from fastdns.completion import FILES, SCRIPTS, candidates


def words(*before: str) -> list[str]:
    return [line.partition("\t")[0] for line in candidates(before)]


@pytest.mark.parametrize(
    ("before", "there"),
    [
        ([""], [command.name for command in COMMANDS]),
        (["ch"], ["check"]),
        (["-"], ["-conf", "-dns.port", "-p", "-pidfile", "-plugins", "-quiet", "-version", "-help"]),
        (["--pid"], ["-pidfile"]),
        (["-conf", ""], [FILES]),
        (["--conf", "Core"], [FILES]),
        (["-dns.port", ""], []),
        (["-quiet", "-ver"], ["-version"]),
        (["check", "-str"], ["-strict"]),
        (["check", "-conf", ""], [FILES]),
        (["check", ""], []),
        (["completion", ""], list(SHELLS)),
        (["completion", "bash", ""], []),
        (["help", "b"], ["bench"]),
        (["man", "core"], ["corefile"]),
        (["man", "cach"], ["cache"]),
        (["bench", ""], ["cluster"]),
        (["bench", "-d", ""], [FILES]),
        (["bench", "-f", ""], ["any", "inet", "inet6"]),
        (["bench", "--quer"], ["--queries-per-connection"]),
        (["bench", "--dnssec-ok", "--vers"], ["--versus"]),
        (["bench", "cluster", "--serv"], ["--services"]),
        (["bench", "cluster", "--html", ""], [FILES]),
        ([], [command.name for command in COMMANDS]),
    ],
    ids=" ".join,
)
def test_words(before: list[str], there: list[str]) -> None:
    assert words(*before) == there


def test_words_have_meanings() -> None:
    assert candidates(["check", "-js"]) == ["-json\tprint one JSON object in place of text"]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert capsys.readouterr().out == SCRIPTS[shell]


def test_no_such_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "csh"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("one of bash, fish, zsh expected, got 'csh'\nUsage: fastdns completion")


# What a shell prints where it completes LINE: a word a line.
ASK = {
    "bash": """\
source <(fastdns completion bash)
COMP_WORDS=(LINE); [[ -n "LAST" ]] || COMP_WORDS+=(""); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
compopt() { :; }
_fastdns fastdns "LAST"
printf '%s\\n' "${COMPREPLY[@]}"
""",
    "fish": """\
fastdns completion fish | source
complete -C "LINE" | string split -f1 \\t
""",
    "zsh": """\
autoload -U compinit; compinit -D -u
source <(fastdns completion zsh)
_describe() { printf '%s\\n' "${(@P)2%%:*}"; }
_files() { print -l -- *; }
words=(LINE); [[ -n "LAST" ]] || words+=(""); CURRENT=${#words}
_fastdns
""",
}


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_in_its_shell(shell: str, tmp_path: Path) -> None:
    if not shutil.which(shell):
        pytest.skip(f"no {shell}")
    program = tmp_path / "bin" / "fastdns"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fastdns.cli "$@"\n')
    program.chmod(0o755)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a Corefile").write_text("")
    environ = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    for line, there in (
        ("fastdns che", ["check"]),
        ("fastdns check -str", ["-strict"]),
        ("fastdns completion ", list(SHELLS)),
        ("fastdns check -conf ", ["a Corefile"]),
    ):
        last = "" if line.endswith(" ") else line.split()[-1]
        script = ASK[shell].replace("LINE", line).replace("LAST", last)
        arguments = ["--norc", "--noprofile"] if shell == "bash" else ["-f"] if shell == "zsh" else ["--no-config"]
        ended = subprocess.run(
            [shell, *arguments, "-c", script], cwd=tmp_path / "files", env=environ, capture_output=True, text=True,
            timeout=30,
        )  # fmt: skip
        assert sorted(ended.stdout.replace("\\", "").splitlines()) == there, (line, ended.stderr)
