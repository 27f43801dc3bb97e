"""Holds back a listing that misses many of the known objects: an API server may lose everything at once.

Rules:
- A complete listing that misses more than ``percent`` of the known objects of a resource is held back, if the
  cluster has more than MIN_SERVICES Services. The missing objects are still served; the others are updated.
- A later listing that has the objects again ends the hold. A later listing that misses as many, ``grace_s / 2`` or
  more after the first, is applied. After ``grace_s`` the first listing is applied.
- The owner of the guard lists again when ``asks`` is true.
- Only listings are held back. An object that a watch deletes is gone at once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

from fastdns.plugins.kubernetes.sink import Resource

log = logging.getLogger("plugin/kubernetes")

MIN_SERVICES = 100
# For a listing of namespaces, the guard counts the Services in the missing namespaces.
WHAT = {
    Resource.SERVICE: "Services",
    Resource.SLICE: "EndpointSlices",
    Resource.NAMESPACE: "Services (by their namespaces)",
    Resource.POD: "Pods",
    Resource.IMPORT: "ServiceImports",
    Resource.IMPORT_SLICE: "EndpointSlices of ServiceImports",
}


class Guard:
    """The listings of one cluster that are held back, by resource.

    clock: monotonic seconds. on_hold is called with the resource of each new hold.
    """

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
        """Whether to hold back a listing that misses removed of so many objects. services: of the cluster."""
        since = self.since.get(resource)
        unguarded = resource in self.standing_down
        self.standing_down.discard(resource)
        if services <= MIN_SERVICES or removed * 100 <= of * self.percent:
            if since is not None:
                if services > MIN_SERVICES:
                    log.info("the missing %s are listed again; the hold ends", WHAT[resource])
                else:
                    log.info("the hold of %s ends: at most %d Services are left", WHAT[resource], MIN_SERVICES)
                self.release(resource)
            return False
        if unguarded:
            return False
        now = self.clock()
        if since is None:
            log.error(
                "a listing lacks %d of %d %s: they are still served; they are removed in %g s, or in %g s if "
                "the next listing also lacks them",
                removed, of, WHAT[resource], self.grace_s, self.grace_s / 2,
            )  # fmt: skip
            self.since[resource] = now
            self.on_hold(resource)
            return True
        if now - since < self.grace_s / 2:
            return True
        log.warning("a second listing also lacks %d of %d %s: they are removed", removed, of, WHAT[resource])
        self.release(resource)
        return False

    def release(self, resource: Resource) -> None:
        """End the hold of a resource."""
        self.since.pop(resource, None)
        self.asked.discard(resource)

    def stand_down(self, resources: Iterable[Resource]) -> None:
        """Apply the next listing of these resources whatever it misses, and end all holds."""
        self.standing_down = set(resources)
        self.since.clear()
        self.asked.clear()

    def over(self) -> list[Resource]:
        """End the holds that have lasted for ``grace_s``, and return their resources."""
        now = self.clock()
        found = [resource for resource, since in self.since.items() if now - since >= self.grace_s]
        for resource in found:
            log.warning(
                "the missing %s are removed: they were not listed again within %g s", WHAT[resource], self.grace_s
            )
            self.release(resource)
        return found

    def asks(self) -> bool:
        """Whether to list again now: once a hold, after half of ``grace_s``."""
        now = self.clock()
        due = {one for one, since in self.since.items() if now - since >= self.grace_s / 2} - self.asked
        self.asked |= due
        return bool(due)
