"""The CPU time of calls in this thread."""

from __future__ import annotations

import time
from collections.abc import Callable


def cpu_ns(call: Callable[[], object], count: int) -> float:
    """The CPU time of one call."""
    begun = time.thread_time_ns()
    for _ in range(count):
        call()
    return (time.thread_time_ns() - begun) / count
