"""The rate limit of requests, as in client-go: apiserver_qps and apiserver_burst."""

from __future__ import annotations

import time
from collections.abc import Callable

# client-go's defaults, if only one of the two options is set.
DEFAULT_QPS = 5.0
DEFAULT_BURST = 10


class RateLimiter:
    """A token bucket: burst requests at once, then qps per second. No limit if both are 0."""

    def __init__(self, qps: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.limited = qps > 0 or burst > 0
        self._qps = qps if qps > 0 else DEFAULT_QPS
        self._burst = burst if burst > 0 else DEFAULT_BURST
        self._tokens = float(self._burst)
        self._clock = clock
        self._at = clock()

    def reserve(self) -> float:
        """Take one token. Returns the seconds to wait before the request."""
        if not self.limited:
            return 0.0
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._qps)
        self._at = now
        self._tokens -= 1.0
        return max(0.0, -self._tokens / self._qps)
