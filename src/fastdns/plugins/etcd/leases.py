"""How long leases last: etcd says no word when a lease is kept alive, so those that matter are asked for.

A TTL is what is left of the lease, but min-lease-ttl at least. So a lease that was given no more than that is
asked for once. Others are asked for again after an eighth of their time, at least each minute: a lease that is
kept alive is seen with at most as much less as has passed since. Until a lease was asked for, and while etcd
cannot be asked, the TTL counts down to min-lease-ttl, and stays there.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

# Requests a second; leases that are due wait for their turn.
MOST_A_SECOND = 100
ASK_EVERY_S = 60.0
PARTS = 8
# By the monotonic clock: long ago.
UNKNOWN_NS = 1


@dataclass(slots=True)
class Lease:
    """expires_ns: by the monotonic clock. keys: that have it, with their names in wire form. due_s: to be asked."""

    expires_ns: int = UNKNOWN_NS
    due_s: float | None = None
    keys: dict[bytes, bytes] = field(default_factory=dict)


class Leases:
    """The leases of the keys of one source, by number."""

    def __init__(self, min_ttl_s: int) -> None:
        self.min_ttl_s = min_ttl_s
        self.leases: dict[int, Lease] = {}
        self.of_key: dict[bytes, int] = {}
        self.queue: list[tuple[float, int]] = []

    def assign(self, key: bytes, name: bytes, number: int) -> int:
        """A key has this lease; 0: none. Returns when it ends, 0 for none."""
        before = self.of_key.get(key)
        if before is not None and before != number:
            self.drop(key)
        if not number:
            return 0
        lease = self.leases.get(number)
        if lease is None:
            lease = self.leases[number] = Lease()
            self.put_off(number, lease, 0.0)
        lease.keys[key] = name
        self.of_key[key] = number
        return lease.expires_ns

    def drop(self, key: bytes) -> None:
        """A key is gone, or has another lease."""
        number = self.of_key.pop(key, None)
        if number is not None:
            lease = self.leases[number]
            lease.keys.pop(key, None)
            if not lease.keys:
                del self.leases[number]

    def keep_only(self, keys: Mapping[bytes, object]) -> None:
        """A listing has these keys, and no others."""
        for key in [key for key in self.of_key if key not in keys]:
            self.drop(key)

    def put_off(self, number: int, lease: Lease, wait_s: float) -> None:
        """Ask for a lease in so many seconds."""
        lease.due_s = time.monotonic() + wait_s
        heapq.heappush(self.queue, (lease.due_s, number))

    def take_due(self, most: int) -> list[int]:
        """Leases to ask for now, those that have waited longest first."""
        now_s = time.monotonic()
        found: list[int] = []
        while self.queue and self.queue[0][0] <= now_s and len(found) < most:
            due_s, number = heapq.heappop(self.queue)
            lease = self.leases.get(number)
            # The queue also has leases that are gone.
            if lease is not None and lease.due_s == due_s:
                lease.due_s = None
                found.append(number)
        return found

    def learn(self, number: int, left_s: int, granted_s: int) -> dict[bytes, bytes]:
        """What etcd says of a lease. Returns the keys for which it ends at another time than before, with names."""
        lease = self.leases.get(number)
        if lease is None:
            return {}
        before_ns = lease.expires_ns
        if granted_s > self.min_ttl_s and left_s > 0:
            lease.expires_ns = time.monotonic_ns() + left_s * 1_000_000_000
            self.put_off(number, lease, max(1.0, min(granted_s / PARTS, ASK_EVERY_S)))
        else:
            # Whatever is left, its TTL is min-lease-ttl; or it is over, and its keys will be gone.
            lease.expires_ns = UNKNOWN_NS
        return dict(lease.keys) if abs(lease.expires_ns - before_ns) > 500_000_000 else {}
