"""Servers side by side: interleaved rounds, so that drift and neighbours affect all servers alike.

Each server has its turn in each round, and each round begins with another server. Ratios are of turns of the same
round.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from fastdns.bench import runner
from fastdns.bench._questions import Questions
from fastdns.bench.address import Server
from fastdns.bench.result import Result
from fastdns.bench.runner import How
from fastdns.bench.usage import Meter, Usage

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Turn:
    """The turn of one server in one round."""

    result: Result
    usage: Usage | None = None


@dataclass(slots=True)
class Series:
    """All turns of one server, in order."""

    name: str
    server: Server
    pid: int | None = None
    turns: list[Turn] = field(default_factory=list)


def in_turn(peers: Sequence[T], number: int) -> list[T]:
    """The servers of a round, beginning with another server in each round."""
    first = number % len(peers)
    return [*peers[first:], *peers[:first]]


def ask(
    server: Server,
    questions: Questions,
    how: How,
    warm_s: float,
    pid: int | None,
    tell: runner.Tell | None = None,
    interval_s: float | None = None,
) -> tuple[runner.Outcome, Usage | None]:
    """One run, and the CPU and memory that the server used for it. warm_s: a run before that is not counted."""
    if warm_s:
        warm = dataclasses.replace(how, seconds=warm_s, count=0)
        before = runner.run(server, questions, warm)
        if before.interrupted:
            return before, None
    meter = Meter(pid) if pid is not None else None
    start = meter.start if meter is not None else None
    outcome = runner.run(server, questions, how, tell=tell, interval_s=interval_s, start=start)
    return outcome, meter.read() if meter is not None else None


def run(
    servers: Iterable[tuple[str, Server]],
    questions: Questions,
    how: How,
    *,
    rounds: int,
    warm_s: float = 0.0,
    pids: Mapping[str, int] | None = None,
    tell: Callable[[int, Series], None] | None = None,
) -> tuple[list[Series], bool]:
    """Run all rounds. Returns them and whether Ctrl-C ended them early; only whole rounds are returned then."""
    series = [Series(name, server, (pids or {}).get(name)) for name, server in servers]
    for number in range(rounds):
        made: dict[str, Turn] = {}
        for one in in_turn(series, number):
            outcome, usage = ask(one.server, questions, how, warm_s, one.pid)
            if outcome.interrupted:
                return series, True
            made[one.name] = Turn(outcome.result, usage)
            if tell:
                tell(number, Series(one.name, one.server, one.pid, [made[one.name]]))
        for one in series:
            one.turns.append(made[one.name])
    return series, False
