"""Doubts a listing that lacks much of what is known: an API server may be wrong about everything at once.

Rules:
- A complete listing that lacks more than ``percent`` of a resource, in a cluster of more than MIN_SERVICES
  Services, is held: what it lacks is served on, what it has is followed.
- What a later listing has again was never gone. One that lacks as much, half of ``grace_s`` or more after the
  first, is believed; and after ``grace_s`` the first is. Who holds the guard lists anew when ``asks`` says so.
- Only listings are doubted. What a watch deletes, one by one, is gone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

from fastdns.plugins.kubernetes.sink import Resource

log = logging.getLogger("plugin/kubernetes")

MIN_SERVICES = 100
# A listing of namespaces is weighed by the Services that it would hide.
WHAT = {
    Resource.SERVICE: "Services",
    Resource.SLICE: "EndpointSlices",
    Resource.NAMESPACE: "Services, by their namespaces",
    Resource.POD: "Pods",
    Resource.IMPORT: "ServiceImports",
    Resource.IMPORT_SLICE: "EndpointSlices of ServiceImports",
}


class Guard:
    """What is held of one cluster, by resource. clock: monotonic seconds. on_hold hears of each new hold."""

    def __init__(
        self,
        percent: int,
        grace_s: float,
        *,
        on_hold: Callable[[Resource], None] = lambda resource: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.percent = percent
        self.grace_s = grace_s
        self.on_hold = on_hold
        self.clock = clock
        self.since: dict[Resource, float] = {}
        self.asked: set[Resource] = set()
        self.standing_down: set[Resource] = set()

    def holds(self, resource: Resource, removed: int, of: int, services: int) -> bool:
        """Whether a listing that lacks removed of so many objects is held, in a cluster of so many Services."""
        since = self.since.get(resource)
        unguarded = resource in self.standing_down
        self.standing_down.discard(resource)
        if services <= MIN_SERVICES or removed * 100 <= of * self.percent:
            if since is not None:
                log.info("the %s that a listing lacked are listed again", WHAT[resource])
                self.release(resource)
            return False
        if unguarded:
            return False
        now = self.clock()
        if since is None:
            log.error(
                "a listing lacks %d of %d %s: they are served on for %g s, or %g s if it stays so",
                removed, of, WHAT[resource], self.grace_s, self.grace_s / 2,
            )  # fmt: skip
            self.since[resource] = now
            self.on_hold(resource)
            return True
        if now - since < self.grace_s / 2:
            return True
        log.warning("another listing lacks %d of %d %s, too: they are gone", removed, of, WHAT[resource])
        self.release(resource)
        return False

    def release(self, resource: Resource) -> None:
        """Nothing of a resource is held any more."""
        self.since.pop(resource, None)
        self.asked.discard(resource)

    def stand_down(self, resources: Iterable[Resource]) -> None:
        """Let the next listing of these be followed, whatever it lacks; and hold nothing now."""
        self.standing_down = set(resources)
        self.since.clear()
        self.asked.clear()

    def over(self) -> list[Resource]:
        """The resources whose time is up, which are held no more."""
        now = self.clock()
        found = [resource for resource, since in self.since.items() if now - since >= self.grace_s]
        for resource in found:
            log.warning("the %s that a listing lacked are gone: %g s are over", WHAT[resource], self.grace_s)
            self.release(resource)
        return found

    def asks(self) -> bool:
        """Whether it is time for another listing; once for each hold."""
        now = self.clock()
        due = {one for one, since in self.since.items() if now - since >= self.grace_s / 2} - self.asked
        self.asked |= due
        return bool(due)
