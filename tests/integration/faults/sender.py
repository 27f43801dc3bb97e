"""What sends queries in a process of its own, until its stdin ends."""

from __future__ import annotations

import subprocess
import sys
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from tests.support import ROOT


class SenderProcess(ABC):
    """``with SenderProcess(module, arguments)``: ``python -m module`` while the block runs.

    It says "begun" on a line, and what came of it once its stdin has ended.
    """

    def __init__(self, module: str, **options: object) -> None:
        self.command = [sys.executable, "-m", module]
        for name, value in options.items():
            self.command += [f"--{name}", str(value)]

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self.command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "begun\n"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        out, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0
        self.take(out)

    @abstractmethod
    def take(self, out: str) -> None:
        """What it has said in the end."""
