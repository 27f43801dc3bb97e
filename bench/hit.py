"""``python -m bench.hit``: CPU of an answered query, in multiples of what the sockets alone cost."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import population, processes
from bench.messages import ask, rcode, wait_for_answer
from fastdns.bench._load import Load
from fastdns.bench.result import Result

COREFILE = """\
{zone}:{port} {{
    errors
    kubernetes {zone} {{
        manifests "{manifests}"
    }}
    {more}
}}
"""
# What stands in the server block besides errors and kubernetes.
VARIANTS: dict[str, Callable[[], list[str]]] = {
    "fastdns": lambda: ["bind 127.0.0.1", "loadbalance"],
    "fastdns+prometheus": lambda: [
        "bind 127.0.0.1",
        "loadbalance",
        f"prometheus 127.0.0.1:{processes.free_port()}",
    ],
    "fastdns+wildcard": lambda: ["loadbalance"],
}
# A listener on every address is for those who ask for it.
USUAL = ("fastdns", "fastdns+prometheus")
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
    storage: "{directory}"
    file: zone
    zonefile-sync: -1
    journal-content: none
"""
START_S = 60.0
WARM_S = 0.1
# A short turn shall not be spent on waiting for what a full socket dropped.
LOST_S = 0.25


@dataclass(slots=True)
class Peer:
    """A server under measurement; an echo answers one mix only."""

    name: str
    pid: int
    port: int
    check: Callable[[], None]
    only: str | None = None


@dataclass(slots=True)
class Series:
    """What the rounds of one peer and mix gave."""

    us: list[float] = field(default_factory=list)
    ratio: list[float] = field(default_factory=list)
    qps: list[float] = field(default_factory=list)
    p50_us: list[float] = field(default_factory=list)
    p99_us: list[float] = field(default_factory=list)
    lost: int = 0
    mismatched: int = 0

    def add(self, used_ns: int, result: Result) -> None:
        self.us.append(used_ns / 1000 / max(1, result.answered))
        self.qps.append(result.per_second)
        self.p50_us.append(result.percentile_us(50))
        self.p99_us.append(result.percentile_us(99))
        self.lost += result.lost
        self.mismatched += result.mismatched


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.hit", description=__doc__)
    parser.add_argument("--names", type=int, default=10000, help="services with an address")
    parser.add_argument("--endpoints", type=int, default=10, help="of a headless service")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0, help="of one measurement")
    parser.add_argument("--outstanding", type=int, default=256)
    parser.add_argument("--sockets", type=int, default=16)
    parser.add_argument("--server-cpu", type=int, default=0)
    parser.add_argument("--client-cpu", type=int, default=1)
    parser.add_argument("--mixes", default="hit,mix,headless")
    parser.add_argument("--variants", default=",".join(USUAL), help=f"of {', '.join(VARIANTS)}")
    parser.add_argument("--command", default=f"{sys.executable} -m fastdns.cli", help="how fastdns is called")
    parser.add_argument(
        "--also", action="append", default=[], metavar="NAME=COMMAND", help="another build, as the first variant"
    )
    parser.add_argument("--no-knot", action="store_true", help="leave out Knot DNS where it is installed")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def start_fastdns(
    stack: contextlib.ExitStack,
    how: argparse.Namespace,
    directory: Path,
    first: bytes,
    *,
    name: str,
    variant: str,
    command: str,
) -> Peer:
    """One worker on the server's CPU, with all its other processes, ready to answer."""
    port = processes.free_port()
    corefile = directory / f"Corefile.{name}"
    corefile.write_text(
        COREFILE.format(
            zone=population.ZONE,
            port=port,
            manifests=directory / "cluster.json",
            more="\n    ".join(VARIANTS[variant]()),
        )
    )
    child = stack.enter_context(
        processes.Child(
            [*shlex.split(command), "-conf", str(corefile)],
            cpus={how.server_cpu},
            log=directory / f"{name}.log",
            environ={"FASTDNS_WORKERS": "1"},
        )
    )
    ready(child, port, first)
    return Peer(name, child.pid, port, child.check)


def start_knot(stack: contextlib.ExitStack, how: argparse.Namespace, directory: Path, first: bytes) -> Peer | None:
    """Knot DNS with the same names as a zone, or None where it is not installed."""
    program = shutil.which("knotd")
    if program is None or how.no_knot:
        return None
    port = processes.free_port()
    home = directory / "knot"
    home.mkdir()
    population.write_zone(home / "zone", population.services(how.names, how.endpoints))
    conf = home / "knot.conf"
    conf.write_text(KNOT_CONF.format(directory=home, port=port, zone=population.ZONE))
    child = stack.enter_context(
        processes.Child([program, "-c", str(conf)], cpus={how.server_cpu}, log=home / "log")
    )
    ready(child, port, first)
    return Peer("knot", child.pid, port, child.check)


def start_echo(
    stack: contextlib.ExitStack, how: argparse.Namespace, directory: Path, mix: population.Mix, extra: int
) -> Peer:
    """The echo whose answers are as long as fastdns's in this mix, on average."""
    port = processes.free_port()
    child = stack.enter_context(
        processes.Child(
            [sys.executable, "-m", "bench.echo", str(port), str(extra)],
            cpus={how.server_cpu},
            log=directory / f"echo-{mix.name}.log",
        )
    )
    end = time.monotonic() + START_S
    while ask(port, mix.queries[0], 0.1) is None:
        child.check()
        if time.monotonic() > end:
            raise TimeoutError("the echo does not answer")
    return Peer("echo", child.pid, port, child.check, mix.name)


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


def answers_of(port: int, mix: population.Mix, sample: int = 1000) -> tuple[int, Counter[int]]:
    """How much longer than its query an answer is on average, and the rcodes, asked one after the other."""
    longer = []
    rcodes: Counter[int] = Counter()
    for message in mix.queries[:sample]:
        answer = ask(port, message)
        if answer is None:
            raise TimeoutError(f"no answer to a query of {mix.name}")
        longer.append(len(answer) - len(message))
        rcodes[rcode(answer)] += 1
    return round(statistics.fmean(longer)), rcodes


def measure(peer: Peer, load: Load, seconds: float) -> tuple[int, Result]:
    """CPU time and result of one run."""
    load.run(seconds=WARM_S)
    before = processes.cpu_ns(peer.pid)
    result = load.run(seconds=seconds)
    used = processes.cpu_ns(peer.pid) - before
    peer.check()
    return used, result


def run(how: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """All rounds; gives what is printed with --json."""
    table: dict[str, dict[str, Series]] = {}
    seen: dict[str, Any] = {}
    left_out = []
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fastdns-bench-")))
        made = population.services(how.names, how.endpoints)
        population.write_manifests(directory / "cluster.json", made)
        mixes = [mix for mix in population.mixes(made) if mix.name in how.mixes.split(",")]
        first = population.mixes(made)[0].queries[0]
        variants = how.variants.split(",")
        builds = [(name, name, how.command) for name in variants]
        for also in how.also:
            name, _, command = also.partition("=")
            builds.append((name, variants[0], command))
        peers = [
            start_fastdns(stack, how, directory, first, name=name, variant=variant, command=command)
            for name, variant, command in builds
        ]
        reference = peers[0]
        knot = start_knot(stack, how, directory, first)
        if knot is None:
            left_out.append("knot")
        else:
            peers.append(knot)
        os.sched_setaffinity(0, {how.client_cpu})
        for mix in mixes:
            extra, rcodes = answers_of(reference.port, mix)
            seen[mix.name] = {"says": mix.says, "answer_minus_query_bytes": extra, "rcodes": dict(rcodes)}
            if knot is not None:
                seen[mix.name]["rcodes_knot"] = dict(answers_of(knot.port, mix)[1])
            peers.append(start_echo(stack, how, directory, mix, extra))
        for mix in mixes:
            here = [peer for peer in peers if peer.only in (None, mix.name)]
            loads = {
                peer.name: Load(
                    "127.0.0.1",
                    peer.port,
                    mix.queries,
                    outstanding=how.outstanding,
                    sockets=how.sockets,
                    timeout_s=LOST_S,
                )
                for peer in here
            }
            rows = table[mix.name] = {peer.name: Series() for peer in here}
            for number in range(how.rounds):
                # Turn by turn, each round from another one on, so that drift and neighbours hit all alike.
                for peer in here[number % len(here) :] + here[: number % len(here)]:
                    rows[peer.name].add(*measure(peer, loads[peer.name], how.seconds))
                for series in rows.values():
                    series.ratio.append(series.us[-1] / rows["echo"].us[-1])
                say(
                    f"{mix.name} {number + 1}/{how.rounds} "
                    + "  ".join(f"{name} {series.us[-1]:.2f}" for name, series in rows.items())
                )
            for load in loads.values():
                load.close()
    return {
        "machine": processes.machine(),
        "options": {key: value for key, value in vars(how).items() if key not in ("json", "command")},
        "left_out": left_out,
        "mixes": seen,
        "figures": {mix: {name: figures(series) for name, series in rows.items()} for mix, rows in table.items()},
    }


def figures(series: Series) -> dict[str, Any]:
    """Medians, and the spread from the least to the most."""
    return {
        "us_per_query": spread(series.us, 3),
        "of_the_echo": spread(series.ratio, 3),
        "answers_per_second": round(statistics.median(series.qps)),
        "p50_us": round(statistics.median(series.p50_us), 1),
        "p99_us": round(statistics.median(series.p99_us), 1),
        "lost": series.lost,
        "mismatched": series.mismatched,
    }


def spread(values: list[float], digits: int) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
    }


def text(report: dict[str, Any]) -> str:
    """The report for people."""
    lines = [f"{report['machine']}"]
    for name in report["left_out"]:
        lines.append(f"left out or not installed: {name}")
    for mix, rows in report["figures"].items():
        about = report["mixes"][mix]
        lines += [
            "",
            f"{mix}: {about['says']}; rcodes {about['rcodes']}; answers {about['answer_minus_query_bytes']} bytes "
            "longer than queries",
            f"  {'server':20} {'us CPU/query':>12} {'spread':>13} {'x echo':>7} {'spread':>11} {'answers/s':>10} "
            f"{'p50 us':>8} {'p99 us':>8} {'lost':>5} {'wrong':>5}",
        ]
        for name, row in sorted(rows.items(), key=lambda item: item[1]["us_per_query"]["median"]):
            us, ratio = row["us_per_query"], row["of_the_echo"]
            lines.append(
                f"  {name:20} {us['median']:12.2f} {us['min']:6.2f}-{us['max']:<6.2f} {ratio['median']:7.2f} "
                f"{ratio['min']:5.2f}-{ratio['max']:<5.2f} {row['answers_per_second']:10} {row['p50_us']:8} "
                f"{row['p99_us']:8} {row['lost']:5} {row['mismatched']:5}"
            )
    return "\n".join(lines)


def main() -> None:
    how = options()
    report = run(how, lambda line: print(line, file=sys.stderr, flush=True))
    print(json.dumps(report, indent=2) if how.json else text(report))


if __name__ == "__main__":
    main()
