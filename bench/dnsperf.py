"""dnsperf beside our generator: the same server, the same queries, by turns."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.rounds import How
from bench.servers import Peer
from fastdns.bench import processes
from fastdns.bench.messages import TYPE_NAMES
from fastdns.bench.report import spread

FIELDS = {
    "sent": (r"Queries sent:\s+(\d+)", int),
    "answered": (r"Queries completed:\s+(\d+)", int),
    "lost": (r"Queries lost:\s+(\d+)", int),
    "per_second": (r"Queries per second:\s+([\d.]+)", float),
    "mean_s": (r"Average Latency \(s\):\s+([\d.]+)", float),
}


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures that dnsperf prints of a run."""

    sent: int
    answered: int
    lost: int
    per_second: float
    mean_s: float


def parse(said: str) -> Figures:
    """Read dnsperf's report. Raises ValueError with the missing field."""
    found: dict[str, Any] = {}
    for name, (pattern, kind) in FIELDS.items():
        match = re.search(pattern, said)
        if match is None:
            raise ValueError(f"no {name} in what dnsperf says:\n{said}")
        found[name] = kind(match.group(1))
    return Figures(**found)


def query_file(path: Path, queries: Sequence[bytes]) -> None:
    """The queries as lines of NAME TYPE."""
    lines = []
    for message in queries:
        labels, at = [], 12
        while message[at]:
            labels.append(message[at + 1 : at + 1 + message[at]].decode())
            at += message[at] + 1
        lines.append(f"{'.'.join(labels)} {TYPE_NAMES[int.from_bytes(message[at + 1 : at + 3], 'big')]}")
    path.write_text("\n".join(lines) + "\n")


def words(program: str, port: int, file: Path, how: How) -> list[str]:
    """The command line with which dnsperf asks as our generator does."""
    made = [program, "-s", "127.0.0.1", "-p", str(port), "-d", str(file), "-l", f"{max(1, round(how.seconds))}"]
    made += ["-c", str(how.sockets), "-q", str(how.outstanding), "-T", "1", "-t", "1"]
    return [*made, "-Q", f"{how.rate:.0f}"] if how.rate else made


def turn(program: str, peer: Peer, file: Path, how: How) -> tuple[Figures, float]:
    """One run of dnsperf, and the server's CPU in microseconds a query."""
    before = processes.cpu_ns(peer.pid)
    said = subprocess.run(words(program, peer.port, file, how), capture_output=True, text=True, check=True)
    used = processes.cpu_ns(peer.pid) - before
    figures = parse(said.stdout)
    return figures, used / 1000 / max(1, figures.answered)


def check(program: str, peer: Peer, queries: Sequence[bytes], how: How, directory: Path) -> dict[str, Any]:
    """Both generators, interleaved: what each says of the server, and what the server used of its CPU with each.

    how: at a rate that both hold, they have to agree on it and on the losses; times of answers are each one's own.
    """
    file = directory / "queries.txt"
    query_file(file, queries)
    ours: dict[str, list[float]] = {"per_second": [], "mean_us": [], "us_per_query": [], "lost": []}
    theirs: dict[str, list[float]] = {name: [] for name in ours}
    for number in range(how.rounds):
        for mine in (True, False) if number % 2 else (False, True):
            if mine:
                load = how.load(peer.port, queries)
                before = processes.cpu_ns(peer.pid)
                result = load.run(seconds=max(1, round(how.seconds)))
                us = (processes.cpu_ns(peer.pid) - before) / 1000 / max(1, result.answered)
                load.close()
                row, said = ours, (result.per_second, result.mean_us, us, float(result.lost))
            else:
                figures, us = turn(program, peer, file, how)
                row, said = theirs, (figures.per_second, figures.mean_s * 1e6, us, float(figures.lost))
            for name, value in zip(row, said, strict=True):
                row[name].append(value)
    return {
        "server": peer.name,
        "rate": how.rate,
        "fastdns bench": {name: spread(values, 3) for name, values in ours.items()},
        "dnsperf": {name: spread(values, 3) for name, values in theirs.items()},
    }
