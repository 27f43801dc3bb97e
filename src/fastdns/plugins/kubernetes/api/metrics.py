"""The interface with which the client and the reflectors count. ClusterMetrics in ../metrics.py implements it."""

from __future__ import annotations

from typing import Protocol


class Metrics(Protocol):
    """Counts requests, listings and omissions. Implementations must not raise."""

    def request(self, verb: str, host: str, code: str, method: str, seconds: float) -> None: ...

    def rate_limited(self, verb: str, host: str, seconds: float) -> None: ...

    def relist(self, resource: str, why: str) -> None: ...

    def left_out(self, resource: str, what: str) -> None: ...


class NoMetrics:
    """Counts nothing."""

    def request(self, verb: str, host: str, code: str, method: str, seconds: float) -> None:
        pass

    def rate_limited(self, verb: str, host: str, seconds: float) -> None:
        pass

    def relist(self, resource: str, why: str) -> None:
        pass

    def left_out(self, resource: str, what: str) -> None:
        pass
