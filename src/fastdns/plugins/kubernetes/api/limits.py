"""The rate limit of requests, as client-go has it: apiserver_qps and apiserver_burst."""

from __future__ import annotations

import time
from collections.abc import Callable

# client-go's defaults where only one of the pair is set.
DEFAULT_QPS = 5.0
DEFAULT_BURST = 10


class RateLimiter:
    """A token bucket: burst at once, then qps a second. qps 0 and burst 0: no limit."""

    def __init__(self, qps: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.limited = qps > 0 or burst > 0
        self._qps = qps if qps > 0 else DEFAULT_QPS
        self._burst = burst if burst > 0 else DEFAULT_BURST
        self._tokens = float(self._burst)
        self._clock = clock
        self._at = clock()

    def reserve(self) -> float:
        """Takes one token; how many seconds to wait before using it."""
        if not self.limited:
            return 0.0
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._qps)
        self._at = now
        self._tokens -= 1.0
        return max(0.0, -self._tokens / self._qps)
