"""Progress of a run, on standard error: a bar or a live display on a terminal, lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from fastdns.bench.report import duration
from fastdns.bench.result import Interval, Result
from fastdns.bench.runner import Tell
from fastdns.bench.versus import Series

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID
    from rich.table import Table

SPARKS = " ▁▂▃▄▅▆▇█"
SPARK_COUNT = 60


class Stages:
    """The stages of a run, one after the other; a context manager. bar: draw a bar if rich is installed."""

    def __init__(self, bar: bool | None = None) -> None:
        self._bar: RichProgress | None = None
        self._stage: TaskID | None = None
        self._done = 0.0
        if sys.stderr.isatty() if bar is None else bar:
            try:
                from rich.console import Console
                from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
            except ImportError:
                print("(pip install 'fastdns[bench]' shows a progress bar)", file=sys.stderr, flush=True)
                return
            columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, console=Console(stderr=True))

    def __enter__(self) -> Stages:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self.done(1.0)
            self._bar.stop()

    def stage(self, says: str) -> None:
        """The next stage begins."""
        if self._bar is None:
            print(says, file=sys.stderr, flush=True)
            return
        self.done(1.0)
        self._stage = self._bar.add_task(says, total=1.0)
        self._done = 0.0

    def done(self, part: float) -> None:
        """Report how much of the stage is done, from 0 to 1."""
        if self._bar is not None and self._stage is not None and (part == 1.0 or part - self._done >= 0.01):
            self._bar.update(self._stage, completed=part)
            self._done = part


def line(interval: Interval) -> str:
    """An interval as a line."""
    if not interval.answered or interval.length_s <= 0:
        return f"{interval.end_s:9.1f} s  {'no answers':>22}{'':30}  lost {interval.lost:,}"
    return (
        f"{interval.end_s:9.1f} s  {interval.answered / interval.length_s:12,.0f} answers/s  "
        f"p50 {duration(interval.p50_us):>9}  p99 {duration(interval.p99_us):>9}  lost {interval.lost:,}"
    )


def print_line(result: Result, interval: Interval) -> None:
    """Print an interval to standard error."""
    print(line(interval), file=sys.stderr, flush=True)


def sparks(values: list[float]) -> str:
    """The last SPARK_COUNT values as a line of bars."""
    shown = values[-SPARK_COUNT:]
    most = max(shown, default=0.0)
    return "".join(SPARKS[round((len(SPARKS) - 1) * value / most)] if most else SPARKS[0] for value in shown)


def table(result: Result, interval: Interval, rates: list[float], seconds: float) -> Table:
    """The live display."""
    from rich.table import Table

    made = Table.grid(padding=(0, 2))
    until = f" of {seconds:,.0f} s" if seconds else ""
    rate = f"{rates[-1]:,.0f} answers/s"
    made.add_row("time", f"{interval.end_s:,.1f} s{until}")
    made.add_row("now", f"{rate}   p50 {duration(interval.p50_us)}   p99 {duration(interval.p99_us)}")
    made.add_row("so far", f"{result.answered:,} answered   {result.lost:,} lost   {result.wrong:,} wrong   "
                 f"p50 {duration(result.percentile_us(50))}   p99 {duration(result.percentile_us(99))}   "
                 f"max {duration(result.max_ns / 1000)}")  # fmt: skip
    made.add_row("", sparks(rates))
    return made


@contextlib.contextmanager
def live(seconds: float, wanted: bool) -> Iterator[Tell | None]:
    """A function that shows the progress of a run; None without a terminal or without rich."""
    if not wanted or not sys.stderr.isatty():
        yield None
        return
    try:
        from rich.console import Console
        from rich.live import Live
    except ImportError:
        yield None
        return
    rates: list[float] = []
    # No refresh thread: the generator's processes are forked from this process.
    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as display:

        def tell(result: Result, interval: Interval) -> None:
            rates.append(interval.answered / interval.length_s if interval.length_s > 0 else 0.0)
            display.update(table(result, interval, rates, seconds), refresh=True)

        yield tell


def turn_teller(rounds: int) -> Callable[[int, Series], None]:
    """A function that prints each turn of interleaved rounds to standard error."""

    def tell(number: int, one: Series) -> None:
        result = one.turns[0].result
        text = (
            f"round {number + 1}/{rounds}  {one.name:<16} {result.per_second:12,.0f} answers/s  "
            f"p99 {duration(result.percentile_us(99)):>9}  lost {result.lost:,}"
        )
        print(text, file=sys.stderr, flush=True)

    return tell
