"""Interleaved rounds: each server has its turn in each round, and is compared with others of the same round."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.servers import START_S, Peer
from fastdns.bench import processes
from fastdns.bench._load import Load
from fastdns.bench.exchange import NOERROR, ask, rcode
from fastdns.bench.report import spread
from fastdns.bench.result import Result

WARM_S = 0.1
# A short turn must not wait for queries that a full socket dropped.
LOST_S = 0.25


@dataclass(frozen=True, slots=True)
class How:
    """The load of a scenario. outstanding: over all sockets, which are connections with tcp.

    rate: queries a second, open loop; 0: as many as are answered. warm: queries before each turn that are not
    measured; 0: WARM_S of them.
    """

    seconds: float
    rounds: int
    outstanding: int
    sockets: int
    tcp: bool = False
    rate: float = 0.0
    warm: int = 0
    lost_s: float = LOST_S

    def load(self, port: int, queries: Sequence[bytes]) -> Load:
        """A generator for a server on the loopback."""
        return Load(
            "127.0.0.1",
            port,
            list(queries),
            outstanding=self.outstanding,
            sockets=self.sockets,
            timeout_s=self.lost_s,
            transport="tcp" if self.tcp else "udp",
            rate=self.rate,
        )


@dataclass(slots=True)
class Series:
    """The figures of one peer in one scenario. ratio, tail: of CPU and of p99.9, by the reference's name."""

    us: list[float] = field(default_factory=list)
    ratio: dict[str, list[float]] = field(default_factory=dict)
    tail: dict[str, list[float]] = field(default_factory=dict)
    upstream_us: list[float] = field(default_factory=list)
    qps: list[float] = field(default_factory=list)
    p50_us: list[float] = field(default_factory=list)
    p99_us: list[float] = field(default_factory=list)
    p999_us: list[float] = field(default_factory=list)
    rcodes: Counter[int] = field(default_factory=Counter)
    lost: int = 0
    mismatched: int = 0
    unsent: int = 0

    def add(self, used_ns: int, result: Result, upstream_ns: int | None = None) -> None:
        """One turn. upstream_ns: CPU of the shared upstream meanwhile, if there is one."""
        self.us.append(used_ns / 1000 / max(1, result.answered))
        if upstream_ns is not None:
            self.upstream_us.append(upstream_ns / 1000 / max(1, result.answered))
        self.qps.append(result.per_second)
        self.p50_us.append(result.percentile_us(50))
        self.p99_us.append(result.percentile_us(99))
        self.p999_us.append(result.percentile_us(99.9))
        self.rcodes.update({code: count for code, count in enumerate(result.rcodes) if count})
        self.lost += result.lost
        self.mismatched += result.mismatched
        self.unsent += result.unsent


def in_turn(peers: Sequence[Peer], number: int) -> list[Peer]:
    """The peers of a round, beginning with another peer in each round, so that drift affects all alike."""
    first = number % len(peers)
    return [*peers[first:], *peers[:first]]


def compare(rows: dict[str, Series], references: Sequence[str]) -> None:
    """Give each peer its ratios of the round that has just ended."""
    for reference in references:
        if reference in rows:
            for series in rows.values():
                beside = rows[reference]
                series.ratio.setdefault(reference, []).append(series.us[-1] / (beside.us[-1] or 1e-3))
                series.tail.setdefault(reference, []).append(series.p999_us[-1] / (beside.p999_us[-1] or 1e-3))


def measure(peer: Peer, load: Load, how: How, upstream: Peer | None) -> tuple[int, Result, int | None]:
    """CPU time of the peer, result, and CPU time of the upstream."""
    load.run(seconds=START_S if how.warm else WARM_S, count=how.warm)
    before = processes.cpu_ns(peer.pid)
    upstream_before = processes.cpu_ns(upstream.pid) if upstream else 0
    result = load.run(seconds=how.seconds)
    used = processes.cpu_ns(peer.pid) - before
    upstream_used = processes.cpu_ns(upstream.pid) - upstream_before if upstream else None
    peer.check()
    return used, result, upstream_used


def warm_up(peer: Peer, queries: Sequence[bytes]) -> None:
    """Ask for all names once, as slowly as necessary, so that servers have them in their caches."""
    load = Load("127.0.0.1", peer.port, list(queries), outstanding=64, sockets=16, timeout_s=5.0)
    load.run(seconds=START_S, count=len(queries))
    load.close()


def run(
    how: How,
    title: str,
    peers: Sequence[Peer],
    queries: list[bytes],
    references: Sequence[str],
    say: Callable[[str], None],
    upstream: Peer | None = None,
) -> dict[str, Series]:
    """All rounds of one scenario. Returns a series for each peer."""
    rows = {peer.name: Series() for peer in peers}
    for number in range(how.rounds):
        for peer in in_turn(peers, number):
            # A new generator for each turn: servers close connections that are idle during others' turns.
            load = how.load(peer.port, queries)
            try:
                rows[peer.name].add(*measure(peer, load, how, upstream))
            finally:
                load.close()
        compare(rows, references)
        say(
            f"{title} {number + 1}/{how.rounds} "
            + "  ".join(f"{name} {series.us[-1]:.2f}" for name, series in rows.items())
        )
    return rows


def answers_of(port: int, queries: Sequence[bytes], what: str, sample: int = 1000) -> tuple[int, Counter[int]]:
    """The average difference in size between answer and query, and the rcodes, asked one after the other."""
    longer = []
    rcodes: Counter[int] = Counter()
    for message in queries[:sample]:
        # A busy machine may delay a server for more than a second.
        answer = ask(port, message) or ask(port, message, 10.0)
        if answer is None:
            raise TimeoutError(f"{what} has not answered a query")
        longer.append(len(answer) - len(message))
        rcodes[rcode(answer)] += 1
    return round(statistics.fmean(longer)), rcodes


def figures(series: Series) -> dict[str, Any]:
    """Medians, and the spread from the least to the most."""
    return {
        "us_per_query": spread(series.us, 3),
        "ratio": {name: spread(values, 3) for name, values in series.ratio.items()},
        "p999_ratio": {name: spread(values, 3) for name, values in series.tail.items()},
        "upstream_us_per_query": spread(series.upstream_us, 3) if series.upstream_us else None,
        "answers_per_second": spread(series.qps, 0),
        "p50_us": spread(series.p50_us, 1),
        "p99_us": spread(series.p99_us, 1),
        "p999_us": spread(series.p999_us, 1),
        "rcodes": dict(sorted(series.rcodes.items())),
        "failed": sum(count for code, count in series.rcodes.items() if code not in (NOERROR, 3)),
        "lost": series.lost,
        "mismatched": series.mismatched,
        "unsent": series.unsent,
    }
