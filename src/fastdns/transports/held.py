"""What the connections of one worker hold in memory, together: queries that are not whole or not served yet, and
replies that their peers have not read.

When the sum exceeds its bound, connections are closed until an eighth of the bound is free: each time the
connection that holds most, of the client that holds most. A pass over all connections is paid for by the bytes
that must come before the next one.
"""

from __future__ import annotations

import heapq
from typing import Protocol

# Reason of a connection that is closed for what it holds.
HELD_BYTES = "held_bytes"
# Part of the bound that a pass frees: one in this many bytes.
FREED_PART = 8


class Owner(Protocol):
    """A client. held: bytes of all its connections."""

    held: int


class Holder(Protocol):
    """A connection."""

    @property
    def owner(self) -> Owner: ...

    def held_bytes(self) -> int:
        """What it holds now."""

    def end(self, why: str) -> None:
        """Close it at once."""


class HeldBytes:
    """The sum over connections, of each as it was when it was counted last. Never below what is true."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.total = 0
        self.holders: dict[Holder, int] = {}

    def count(self, holder: Holder) -> None:
        """A connection may hold more or less than before. May close it, and others."""
        self.put(holder, holder.held_bytes())
        if self.total > self.max_bytes:
            self.make_room()

    def put(self, holder: Holder, held: int) -> None:
        """Replace what was counted of a connection."""
        before = self.holders.get(holder, 0)
        if held:
            self.holders[holder] = held
        elif before:
            del self.holders[holder]
        self.total += held - before
        holder.owner.held += held - before

    def forget(self, holder: Holder) -> None:
        """A connection is gone, or will be at once."""
        self.put(holder, 0)

    def refresh(self) -> None:
        """Count all again: nobody says when a peer has read."""
        for holder in list(self.holders):
            self.put(holder, holder.held_bytes())

    def make_room(self) -> None:
        """Close what has to be closed so that an eighth of the bound is free."""
        self.refresh()
        most = self.max_bytes - self.max_bytes // FREED_PART
        if self.total <= most:
            return
        of_owner: dict[Owner, list[tuple[int, int, Holder]]] = {}
        for number, (holder, held) in enumerate(self.holders.items()):
            of_owner.setdefault(holder.owner, []).append((held, number, holder))
        # The number keeps what cannot be compared from being compared.
        owners = [(-owner.held, number, owner) for number, owner in enumerate(of_owner)]
        heapq.heapify(owners)
        for holders in of_owner.values():
            holders.sort()
        while self.total > most and owners:
            _, number, owner = heapq.heappop(owners)
            _, _, holder = of_owner[owner].pop()
            self.forget(holder)
            holder.end(HELD_BYTES)
            if of_owner[owner]:
                heapq.heappush(owners, (-owner.held, number, owner))
