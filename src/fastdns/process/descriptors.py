"""How a worker's file descriptors are shared out: among clients over TCP, and what plugins need for others.

Everything is counted by what it may take at most, so that no part of a worker finds the descriptors gone. Where the
limit is too low for all, each part gets less, and the log says what and how much. Nothing is opened here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fastdns.plugins.api import Demand

# Standard streams, the channel, two event loops and their wakeups, the store, logs; and some more.
WORKER_FILES = 40
# Of one address: a UDP socket and a TCP listener, and for each of them a second one while it is drained.
FILES_A_PLACE = 4
# The supervisor's own, beside the sockets of its workers and its endpoints.
SUPERVISOR_FILES = 64


@dataclass(frozen=True, slots=True)
class Files:
    """Bounds in one worker. clients: TCP connections that it accepts; allowed: by the name of a demand.

    enough: whether all of that fits into the limit.
    """

    clients: int
    allowed: Mapping[str, int] = field(default_factory=dict)
    enough: bool = True


@dataclass(frozen=True, slots=True)
class Needs:
    """What a configuration can take at most: at so many places, for so many clients, and for plugins."""

    places: int
    clients: int
    demands: tuple[Demand, ...] = ()

    @property
    def fixed(self) -> int:
        """What is there whatever happens."""
        return WORKER_FILES + FILES_A_PLACE * self.places

    def total(self, clients: int, allowed: Mapping[str, int]) -> int:
        """The descriptors of a worker with these bounds."""
        return self.fixed + clients + sum(allowed[one.name] * one.files_each for one in self.demands)

    @property
    def most(self) -> dict[str, int]:
        """All that plugins may use."""
        return {one.name: one.most for one in self.demands}

    @property
    def all(self) -> int:
        """The descriptors of a worker that gets all that it may use."""
        return self.total(self.clients, self.most)

    def up_to(self, bound: int, *, first: bool) -> dict[str, int]:
        """The demands of one kind, each up to a bound; the other ones 0."""
        return {one.name: min(bound, one.most) if one.first == first else 0 for one in self.demands}

    def highest(self, *, first: bool) -> int:
        """The largest of the demands of one kind."""
        return max((one.most for one in self.demands if one.first == first), default=1)


def share(limit: int, needs: Needs) -> Files:
    """The bounds that fit into so many descriptors. Each is 1 at least, so they may still be too many.

    Demands that are first take a third at most; clients and the other demands share the rest, as far as both want
    more than half of it.
    """
    if needs.all <= limit:
        return Files(needs.clients, needs.most)
    early = needs.highest(first=True)
    while early > 1 and 3 * (needs.total(0, needs.up_to(early, first=True)) - needs.fixed) > limit - needs.fixed:
        early -= 1
    left = max(0, limit - needs.total(0, needs.up_to(early, first=True)))
    room = max(left // 2, left - needs.clients)
    late = needs.highest(first=False)
    while late > 1 and needs.total(0, needs.up_to(late, first=False)) - needs.fixed > room:
        late -= 1
    allowed = {one.name: min(early if one.first else late, one.most) for one in needs.demands}
    clients = max(1, min(needs.clients, limit - needs.total(0, allowed)))
    return Files(clients, allowed, needs.total(clients, allowed) <= limit)


def less(demands: Sequence[Demand], files: Files) -> dict[str, list[str]]:
    """What plugins get less of than they may use, by what it belongs to. Of demands for the same, the largest."""
    found: dict[str, dict[str, Demand]] = {}
    for one in sorted(demands, key=lambda one: one.most):
        if one.files_each:
            found.setdefault(one.of, {})[one.what] = one
    return {
        of: [
            f"{files.allowed[one.name]} {what} instead of {one.most}"
            for what, one in of_this.items()
            if files.allowed[one.name] < one.most
        ]
        for of, of_this in found.items()
    }


def complaints(limit: int, needs: Needs, files: Files) -> list[str]:
    """What a worker cannot have, for the log; nothing where all fits."""
    found = []
    remedy = f"raise the limit (ulimit -n) to {needs.all}"
    if files.clients < needs.clients:
        found.append(
            f"the limit of {limit} file descriptors allows {files.clients} TCP connections per worker instead of "
            f"{needs.clients}; {remedy}, or lower FASTDNS_MAX_TCP_CONNECTIONS"
        )
    for of, lost in less(needs.demands, files).items():
        if lost:
            found.append(
                f"the limit of {limit} file descriptors allows a worker {' and '.join(lost)} for {of}; {remedy}"
            )
    if not files.enough:
        least = needs.total(1, {one.name: 1 for one in needs.demands})
        found.append(
            f"the limit of {limit} file descriptors is too low: a worker may need {least}, and then queries fail"
        )
    return found


def supervisor_complaint(limit: int, workers: int, places: int, http_connections: int) -> str:
    """What to say where the supervisor cannot hold the sockets of all workers; "" where it can."""
    # Two descriptors an address and worker; two channels while a reload has two generations.
    needed = SUPERVISOR_FILES + 2 * workers * places + 2 * workers + http_connections
    if needed <= limit:
        return ""
    return (
        f"{limit} file descriptors may be too few for the sockets of {workers} workers at {places} addresses; "
        f"raise the limit (ulimit -n) to {needed}, or set FASTDNS_WORKERS"
    )
