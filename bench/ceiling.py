"""``python -m bench.ceiling``: how much each generator, on one CPU, can ask of the UDP echo on another.

The echo is the fastest server there is here: a generator that it keeps waiting is none's bottleneck.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import dnsperf, population
from bench.servers import Peer, Place
from fastdns.bench import processes
from fastdns.bench.exchange import query
from fastdns.bench.report import cell, spread

ANSWER_MINUS_QUERY_BYTES = 16
NAMES = 1000


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.ceiling", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=2, help="of one turn")
    parser.add_argument("--outstanding", type=int, default=256)
    parser.add_argument("--sockets", type=int, default=16)
    parser.add_argument("--server-cpu", type=int, default=0)
    parser.add_argument("--client-cpu", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def ours(peer: Peer, file: Path, how: argparse.Namespace) -> dict[str, float]:
    """A turn of ``fastdns bench``, as it is called from a shell."""
    words = [sys.executable, "-m", "fastdns.bench", "-p", str(peer.port), "-d", str(file), "-l", str(how.seconds)]
    words += ["-c", str(how.sockets), "-q", str(how.outstanding), "-t", "1", "--cpus", str(how.client_cpu)]
    said = subprocess.run([*words, "--no-progress", "--json"], capture_output=True, text=True, check=True)
    result = json.loads(said.stdout)["result"]
    return {
        "per_second": result["queries_per_second"],
        "lost": result["lost"],
        "busy": result["generator"]["busy"],
        "us": result["generator"]["cpu_us_per_query"],
    }


def theirs(peer: Peer, file: Path, how: argparse.Namespace) -> dict[str, float]:
    """A turn of dnsperf."""
    words = ["taskset", "-c", str(how.client_cpu), "dnsperf", "-s", "127.0.0.1", "-p", str(peer.port)]
    words += [
        "-d",
        str(file),
        "-l",
        str(how.seconds),
        "-c",
        str(how.sockets),
        "-q",
        str(how.outstanding),
        "-t",
        "1",
    ]
    before_s = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    figures = dnsperf.parse(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    used = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - before_s
    return {"per_second": figures.per_second, "lost": figures.lost, "us": used * 1e6 / max(1, figures.answered)}


def run(how: argparse.Namespace) -> dict[str, Any]:
    """All rounds; returns what --json prints."""
    generators = {"fastdns bench": ours} | ({"dnsperf": theirs} if shutil.which("dnsperf") else {})
    turns: dict[str, list[dict[str, float]]] = {name: [] for name in generators}
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fastdns-bench-")))
        queries = [query(f"svc-{i}.ns-{i % 100}.svc.{population.ZONE}") for i in range(NAMES)]
        file = directory / "queries"
        dnsperf.query_file(file, queries)
        place = Place(stack, directory, {how.server_cpu})
        peer = place.start_echo("ceiling", ANSWER_MINUS_QUERY_BYTES, 1, queries[0])
        for number in range(how.rounds):
            for name in sorted(generators, reverse=number % 2 == 1):
                before = processes.cpu_ns(peer.pid)
                turn = generators[name](peer, file, how)
                used = processes.cpu_ns(peer.pid) - before
                turn["echo_us"] = used / 1000 / max(1.0, turn["per_second"] * how.seconds)
                turn["echo_busy"] = used / 1e9 / how.seconds
                turns[name].append(turn)
            for name, rows in turns.items():
                # CPU of one query in generator and echo, of the same turn: what slows one also slows the other.
                rows[-1]["us_of_echo"] = rows[-1]["us"] / rows[-1]["echo_us"]
                rows[-1]["of_dnsperf"] = rows[-1]["per_second"] / turns.get("dnsperf", rows)[-1]["per_second"]
                print(
                    f"{number + 1}/{how.rounds} {name} {rows[-1]['per_second']:,.0f}", file=sys.stderr, flush=True
                )
        return {
            "machine": processes.machine(),
            "options": {name: value for name, value in vars(how).items() if name != "json"},
            "generators": {
                name: {key: spread([row[key] for row in rows], 3) for key in rows[0]}
                for name, rows in turns.items()
            },
        }


def text(report: dict[str, Any]) -> str:
    """The report as text."""
    lines = [f"{report['machine']}"]
    for name, row in report["generators"].items():
        lines += ["", name]
        lines += [
            f"  {key:<12} {cell(value, 0 if key in ('per_second', 'lost') else 2)}" for key, value in row.items()
        ]
    return "\n".join(lines)


def main() -> None:
    how = options()
    report = run(how)
    print(json.dumps(report, indent=2) if how.json else text(report))


if __name__ == "__main__":
    main()
