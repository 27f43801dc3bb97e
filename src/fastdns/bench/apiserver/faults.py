"""Deliberate faults, by name, that are switched on and off while the server runs.

``faults.set("forbidden", resource="pods")`` and ``faults.clear("forbidden")``. A fault may be limited to a
resource, to a verb (``list``, ``watch``, ``get``) and to a number of uses (``times``). NAMES has them all.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# Each fault, with the options that it takes besides resource, verb and times.
NAMES = {
    "refuse": "connections are refused, open ones cut",
    "hang": "requests are accepted and never answered",
    "silent": "connections are accepted and never answered, not even by TLS; open ones are frozen (see freeze)",
    "freeze": "connections that are open now are never answered or closed, even after the fault has ended",
    "stall": "pending responses send no further byte and stay open",
    "cut": "the connection ends in mid-line (after=N: after N more bytes)",
    "slow": "bytes are sent slowly (chunk=1024 bytes each, pause_s=0.01 between them)",
    "unauthorized": "401 for whatever credentials",
    "forbidden": "403",
    "too_many": "429 (retry_after_s=1)",
    "error": "500, or the server error of code=",
    "not_found": "404 page not found",
    "gone": "410 as the status of a watch or list",
    "gone_event": "410 as the next ERROR event of a watch",
    "error_event": "500 as the next ERROR event of a watch",
    "expired_continue": "410 for every continue token",
    "no_streaming": "no streaming lists (form=event: ERROR event, form=invalid: 422, form=ignored: unknown)",
    "no_bookmarks": "no bookmarks are sent (also initial=True: not even the end of the initial events)",
    "drop": "lying: changes are stored, but watches get no event (key= limits it to one object)",
    "duplicate": "each event of a watch is sent twice",
    "garbage": "a line that is not JSON is sent before the next event of a watch",
    "wrong_version": "lists and bookmarks give a wrong resourceVersion (by=1000 is added)",
    "close": "watches are ended cleanly as soon as possible",
}


@dataclass(slots=True)
class Fault:
    """One fault that is switched on."""

    name: str
    resource: str | None = None
    verb: str | None = None
    times: int | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def matches(self, name: str, resource: str, verb: str) -> bool:
        return (
            self.name == name
            and self.times != 0
            and self.resource in (None, resource)
            and self.verb in (None, verb)
        )


class Faults:
    """The faults that are switched on, and how often each took effect."""

    def __init__(self) -> None:
        self.hits: Counter[str] = Counter()
        self.on_change: list[Callable[[], None]] = []
        self._active: list[Fault] = []
        self._changed = asyncio.Event()

    def set(
        self,
        name: str,
        *,
        resource: str | None = None,
        verb: str | None = None,
        times: int | None = None,
        **options: Any,
    ) -> Fault:
        """Switches a fault on."""
        if name not in NAMES:
            raise ValueError(f"no such fault: {name}; there are {', '.join(NAMES)}")
        fault = Fault(name, resource, verb, times, options)
        self._active.append(fault)
        self._notify()
        return fault

    def clear(self, name: str | None = None) -> None:
        """Switches off all faults of a name, or all."""
        self._active = [fault for fault in self._active if name is not None and fault.name != name]
        self._notify()

    def find(self, name: str, resource: str = "", verb: str = "") -> Fault | None:
        """The fault of this name that applies here; its times are not used up."""
        for fault in self._active:
            if fault.matches(name, resource, verb):
                return fault
        return None

    def take(self, name: str, resource: str = "", verb: str = "") -> Fault | None:
        """The fault of this name that applies here; one of its times is used up."""
        fault = self.find(name, resource, verb)
        if fault is not None:
            self.hits[name] += 1
            if fault.times is not None:
                fault.times -= 1
        return fault

    @property
    def active(self) -> list[Fault]:
        return [fault for fault in self._active if fault.times != 0]

    async def gone(self, name: str, resource: str, verb: str) -> None:
        """Waits until no fault of this name applies here."""
        while self.find(name, resource, verb) is not None:
            await self._changed.wait()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
        for call in self.on_change:
            call()


@dataclass(slots=True)
class Request:
    """A request, recorded for tests."""

    at_s: float
    method: str
    path: str
    query: dict[str, str]
    user: str
    status: int = 0

    @classmethod
    def now(cls, method: str, path: str, query: dict[str, str]) -> Request:
        return cls(time.monotonic(), method, path, query, "")
