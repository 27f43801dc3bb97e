"""``fastdns top`` says what was sent to a server; on a terminal, in a pipe, and where nobody listens."""

from __future__ import annotations

import json
import os
import pty
import random
import select
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import dns.message
import pytest

from tests.support import Server, free_port

COREFILE = """\
example.org:DNS_PORT {
    bind 127.0.0.1
    top 1024 {
        address 127.0.0.1:METRICS_PORT
        window 1h
    }
    prometheus 127.0.0.1:METRICS_PORT
    template IN A example.org {
        answer "{{ .Name }} 60 IN A 192.0.2.1"
    }
}
other.test:DNS_PORT {
    bind 127.0.0.1
    prometheus 127.0.0.1:OTHER_PORT
    whoami
}
"""
QUERIES = 3000
NAMES = 800


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("top"), COREFILE, workers=2) as server:
        yield server


def command(server: Server, *arguments: str, port: str = "METRICS_PORT") -> list[str]:
    url = f"http://127.0.0.1:{server.ports[port]}"
    return [sys.executable, "-m", "fastdns.cli", "top", "--url", url, "--interval", "1", *arguments]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def as_json(server: Server, *arguments: str) -> dict[str, Any]:
    done = run(*command(server, "--json", *arguments))
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_100_most_frequent_names_are_those_that_were_sent(server: Server) -> None:
    """A load in which the k-th name is asked in proportion to 1/k, from sockets that both workers read."""
    rng = random.Random(7)
    weights = list(accumulate(1 / k for k in range(1, NAMES + 1)))
    sent = [f"name-{number}.example.org." for number in rng.choices(range(NAMES), cum_weights=weights, k=QUERIES)]
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(8)]
    for one in sockets:
        one.connect(("127.0.0.1", server.port))
        one.settimeout(20)
    # Eight at a time: none is lost.
    for at in range(0, QUERIES, 8):
        batch = list(zip(sockets, sent[at : at + 8], strict=False))
        for one, name in batch:
            one.send(dns.message.make_query(name, "A").to_wire())
        for one, _ in batch:
            assert one.recv(512)
    for one in sockets:
        one.close()
    found = as_json(server, "-n", "100")
    exact = Counter(sent)
    names = found["top"]["names"]
    assert [row["queries"] for row in names] == [count for _, count in exact.most_common(100)]
    assert all(exact[row["name"]] == row["queries"] == row["at_most"] for row in names)
    assert found["top"]["queries"] == QUERIES
    assert [(row["address"], row["queries"]) for row in found["top"]["clients"]] == [("127.0.0.1", QUERIES)]
    assert sum(worker["pid"] in server.pids().workers.values() for worker in found["workers"]) == 2


def test_it_prints_once_where_there_is_no_terminal(server: Server) -> None:
    server.query("www.example.org")
    done = run(*command(server, "-n", "3"))
    assert done.returncode == 0 and done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0].startswith("fastdns ") and "\x1b" not in done.stdout
    at = next(number for number, line in enumerate(lines) if line.startswith("NAME "))
    assert len(lines[at + 1 : lines.index("", at)]) <= 3


def test_without_top_it_shows_what_the_metrics_say(server: Server) -> None:
    done = run(*command(server, port="OTHER_PORT"))
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "Who asks most is not counted: the Corefile has no top."
    assert "NAME " not in done.stdout


def test_where_nobody_listens_it_says_so() -> None:
    port = free_port()
    done = run(sys.executable, "-m", "fastdns.cli", "top", "--url", f"127.0.0.1:{port}")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == (
        f"fastdns: http://127.0.0.1:{port}/metrics: connection refused: no server listens there; "
        "name its address with --url\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--interval", "0"], 'invalid value "0" for flag -interval'),
        (["-n", "101"], 'invalid value "101" for flag -n'),
        (["--rows", "3"], "flag provided but not defined: -rows"),
        (["here"], "extra command line arguments: [here]"),
    ],
)
def test_a_wrong_command_line(arguments: list[str], said: str) -> None:
    done = run(sys.executable, "-m", "fastdns.cli", "top", *arguments)
    assert done.returncode == 2 and said in done.stderr and "Usage: fastdns top" in done.stderr


@pytest.mark.parametrize("no_color", ["", "1"])
def test_on_a_terminal_it_goes_on_until_q(server: Server, no_color: str, tmp_path: Path) -> None:
    server.query("www.example.org")
    here, there = pty.openpty()
    environ = {**os.environ, "TERM": "xterm", "NO_COLOR": no_color, "COLUMNS": "100", "LINES": "40"}
    process = subprocess.Popen(command(server), stdin=there, stdout=there, stderr=there, env=environ, cwd=tmp_path)
    os.close(there)
    seen = b""
    try:
        ends = time.monotonic() + 40
        # Twice: it goes on.
        while seen.count(b"Tables: the last") < 2:
            assert time.monotonic() < ends, seen
            if select.select([here], [], [], 1)[0]:
                seen += os.read(here, 65536)
        os.write(here, b"q")
        while select.select([here], [], [], 20)[0]:
            try:
                seen += os.read(here, 65536)
            except OSError:
                break
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(here)
    assert seen.startswith(b"\x1b[?1049h") and seen.endswith(b"\x1b[?25h\x1b[?1049l")
    assert b".example.org." in seen and b"127.0.0.1" in seen
    assert (b"\x1b[1m" in seen) == (not no_color)
