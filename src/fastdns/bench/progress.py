"""How far a run has come: a bar on a terminal, a line a stage elsewhere; on standard error."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


class Stages:
    """The stages of a run, one after the other; a context manager. bar: draw one, where rich is installed."""

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
        """So much of the stage is done, from 0 to 1."""
        if self._bar is not None and self._stage is not None and (part == 1.0 or part - self._done >= 0.01):
            self._bar.update(self._stage, completed=part)
            self._done = part
