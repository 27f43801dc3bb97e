"""Interleaved rounds: each peer has its turn in each, and is compared with others of the same round."""

from __future__ import annotations

import argparse
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.servers import START_S, Peer
from fastdns.bench import processes
from fastdns.bench._load import Load
from fastdns.bench.exchange import NOERROR, ask, rcode
from fastdns.bench.result import Result

WARM_S = 0.1
# A short turn shall not be spent on waiting for what a full socket dropped.
LOST_S = 0.25
# Whom the others are compared with, and what the ratio is called.
REFERENCES = {"echo": "of_the_echo", "dnsdist": "of_dnsdist"}


@dataclass(slots=True)
class Series:
    """What the rounds of one peer and mix gave. ratio: by the reference's name."""

    us: list[float] = field(default_factory=list)
    ratio: dict[str, list[float]] = field(default_factory=dict)
    upstream_us: list[float] = field(default_factory=list)
    qps: list[float] = field(default_factory=list)
    p50_us: list[float] = field(default_factory=list)
    p99_us: list[float] = field(default_factory=list)
    rcodes: Counter[int] = field(default_factory=Counter)
    lost: int = 0
    mismatched: int = 0

    def add(self, used_ns: int, result: Result, upstream_ns: int | None = None) -> None:
        """One turn. upstream_ns: what the upstream of all peers used meanwhile, where there is one."""
        self.us.append(used_ns / 1000 / max(1, result.answered))
        if upstream_ns is not None:
            self.upstream_us.append(upstream_ns / 1000 / max(1, result.answered))
        self.qps.append(result.per_second)
        self.p50_us.append(result.percentile_us(50))
        self.p99_us.append(result.percentile_us(99))
        self.rcodes.update({code: count for code, count in enumerate(result.rcodes) if count})
        self.lost += result.lost
        self.mismatched += result.mismatched


def build(words: str) -> tuple[str, str]:
    """A name and how that build of fastdns is called, from NAME=COMMAND."""
    name, equals, command = words.partition("=")
    if not name or not equals or not command:
        raise argparse.ArgumentTypeError(f"NAME=COMMAND expected, got {words!r}")
    return name, command


def add_options(parser: argparse.ArgumentParser, *, outstanding: int, rounds: int, seconds: float) -> None:
    """The options of every interleaved run."""
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--seconds", type=float, default=seconds, help="of one measurement")
    parser.add_argument("--outstanding", type=int, default=outstanding)
    parser.add_argument("--sockets", type=int, default=16)
    parser.add_argument("--server-cpu", type=int, default=0)
    parser.add_argument("--client-cpu", type=int, default=1)
    parser.add_argument("--command", default=f"{sys.executable} -m fastdns.cli", help="how fastdns is called")
    parser.add_argument(
        "--also", action="append", default=[], type=build, metavar="NAME=COMMAND", help="another build as a peer"
    )
    parser.add_argument("--json", action="store_true")


def echoed_options(how: argparse.Namespace) -> dict[str, Any]:
    """What of the command line belongs into a report."""
    return {key: value for key, value in vars(how).items() if key not in ("json", "command")}


def in_turn(peers: Sequence[Peer], number: int) -> list[Peer]:
    """The peers, each round from another one on, so that drift and neighbours hit all alike."""
    first = number % len(peers)
    return [*peers[first:], *peers[:first]]


def compare(rows: dict[str, Series], references: Sequence[str]) -> None:
    """Give each peer the ratios of the round that all of them have just had."""
    for reference in references:
        if reference in rows:
            for series in rows.values():
                series.ratio.setdefault(reference, []).append(series.us[-1] / rows[reference].us[-1])


def measure(
    peer: Peer, load: Load, seconds: float, *, warm: int = 0, upstream: Peer | None = None
) -> tuple[int, Result, int | None]:
    """CPU time of the peer, result, and CPU time of the upstream. warm: queries to begin with, else WARM_S."""
    load.run(seconds=START_S if warm else WARM_S, count=warm)
    before = processes.cpu_ns(peer.pid)
    upstream_before = processes.cpu_ns(upstream.pid) if upstream else 0
    result = load.run(seconds=seconds)
    used = processes.cpu_ns(peer.pid) - before
    upstream_used = processes.cpu_ns(upstream.pid) - upstream_before if upstream else None
    peer.check()
    return used, result, upstream_used


def run(
    how: argparse.Namespace,
    title: str,
    peers: Sequence[Peer],
    queries: list[bytes],
    references: Sequence[str],
    say: Callable[[str], None],
    *,
    warm: int = 0,
    lost_s: float = LOST_S,
    upstream: Peer | None = None,
) -> tuple[dict[str, Series], float]:
    """All rounds of one mix. Gives a series a peer, and the percentage of both CPUs that others used meanwhile."""
    others = processes.OtherWork({how.server_cpu, how.client_cpu})
    loads = {
        peer.name: Load(
            "127.0.0.1", peer.port, queries, outstanding=how.outstanding, sockets=how.sockets, timeout_s=lost_s
        )
        for peer in peers
    }
    rows = {peer.name: Series() for peer in peers}
    for number in range(how.rounds):
        for peer in in_turn(peers, number):
            load = loads[peer.name]
            rows[peer.name].add(*measure(peer, load, how.seconds, warm=warm, upstream=upstream))
        compare(rows, references)
        say(
            f"{title} {number + 1}/{how.rounds} "
            + "  ".join(f"{name} {series.us[-1]:.2f}" for name, series in rows.items())
        )
    for load in loads.values():
        load.close()
    return rows, others.percent()


def answers_of(port: int, queries: Sequence[bytes], what: str, sample: int = 1000) -> tuple[int, Counter[int]]:
    """How much longer than its query an answer is on average, and the rcodes, asked one after the other."""
    longer = []
    rcodes: Counter[int] = Counter()
    for message in queries[:sample]:
        answer = ask(port, message)
        if answer is None:
            raise TimeoutError(f"no answer to a query of {what}")
        longer.append(len(answer) - len(message))
        rcodes[rcode(answer)] += 1
    return round(statistics.fmean(longer)), rcodes


def figures(series: Series) -> dict[str, Any]:
    """Medians, and the spread from the least to the most."""
    return {
        "us_per_query": spread(series.us, 3),
        **{REFERENCES[name]: spread(values, 3) for name, values in series.ratio.items()},
        **({"upstream_us_per_query": spread(series.upstream_us, 3)} if series.upstream_us else {}),
        "answers_per_second": round(statistics.median(series.qps)),
        "p50_us": round(statistics.median(series.p50_us), 1),
        "p99_us": round(statistics.median(series.p99_us), 1),
        "rcodes": dict(sorted(series.rcodes.items())),
        "lost": series.lost,
        "mismatched": series.mismatched,
    }


def spread(values: list[float], digits: int) -> dict[str, float]:
    """The median, and the least and the most."""
    return {
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
    }


def beside(ratio: dict[str, float] | None) -> str:
    """A ratio's two columns; empty where the reference did not take part."""
    if ratio is None:
        return f" {'-':>9} {'':11}"
    return f" {ratio['median']:9.2f} {ratio['min']:5.2f}-{ratio['max']:<5.2f}"


def table(rows: dict[str, dict[str, Any]], references: Sequence[str], *, upstream: bool = False) -> list[str]:
    """Figures by peer as lines for people, the cheapest first. upstream: also its CPU time, and who failed."""
    head = f"  {'server':20} {'us CPU/query':>12} {'spread':>13}"
    head += "".join(f" {f'x {reference}':>9} {'spread':>11}" for reference in references)
    head += f" {'answers/s':>10} {'p50 us':>8} {'p99 us':>8} {'lost':>5} {'wrong':>5}"
    lines = [head + (f" {'failed':>6} {'upstream us':>11}" if upstream else "")]
    for name, row in sorted(rows.items(), key=lambda item: item[1]["us_per_query"]["median"]):
        us = row["us_per_query"]
        line = f"  {name:20} {us['median']:12.2f} {us['min']:6.2f}-{us['max']:<6.2f}"
        line += "".join(beside(row.get(REFERENCES[reference])) for reference in references)
        line += f" {row['answers_per_second']:10} {row['p50_us']:8} {row['p99_us']:8}"
        line += f" {row['lost']:5} {row['mismatched']:5}"
        if upstream:
            failed = sum(count for code, count in row["rcodes"].items() if code != NOERROR)
            line += f" {failed:6} {row['upstream_us_per_query']['median']:11.2f}"
        lines.append(line)
    return lines
