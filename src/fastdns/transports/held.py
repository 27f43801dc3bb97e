"""The bound on what all clients' connections of one worker hold in memory together: queries that are not whole or
not served yet, and replies that clients have not read.

When the sum exceeds its bound, connections are closed until an eighth of the bound is free: each time the
connection that holds most, of the client that holds most. A pass over all connections is paid for by the bytes
that must come before the next one.
"""

from __future__ import annotations

import heapq

from fastdns.transports.client import Client, ClientConnection

# The reason of a connection that is closed for what it holds.
HELD_BYTES = "held_bytes"
# A pass frees this part of the bound: one byte in so many.
FREED_PART = 8


class HeldBytes:
    """The sum over connections, of each as it was when it was counted last. Never below what is true."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.total = 0
        self.holders: dict[ClientConnection, int] = {}

    def count(self, holder: ClientConnection) -> None:
        """A connection may hold more or less than before. May close it, and others."""
        self.put(holder, holder.held_bytes())
        if self.total > self.max_bytes:
            self.make_room()

    def put(self, holder: ClientConnection, held: int) -> None:
        """Replace what was counted of a connection."""
        before = self.holders.get(holder, 0)
        if held:
            self.holders[holder] = held
        elif before:
            del self.holders[holder]
        self.total += held - before
        holder.owner.held += held - before

    def forget(self, holder: ClientConnection) -> None:
        """A connection is gone, or will be at once."""
        self.put(holder, 0)

    def refresh(self) -> None:
        """Count all again: no event tells that a client has read."""
        for holder in list(self.holders):
            self.put(holder, holder.held_bytes())

    def make_room(self) -> None:
        """Close what has to be closed so that an eighth of the bound is free."""
        self.refresh()
        most = self.max_bytes - self.max_bytes // FREED_PART
        if self.total <= most:
            return
        of_client: dict[Client, list[tuple[int, int, ClientConnection]]] = {}
        for number, (holder, held) in enumerate(self.holders.items()):
            of_client.setdefault(holder.owner, []).append((held, number, holder))
        # The number decides between equals: connections and clients have no order.
        clients = [(-client.held, number, client) for number, client in enumerate(of_client)]
        heapq.heapify(clients)
        for holders in of_client.values():
            holders.sort()
        while self.total > most and clients:
            _, number, client = heapq.heappop(clients)
            _, _, holder = of_client[client].pop()
            self.forget(holder)
            holder.end(HELD_BYTES)
            if of_client[client]:
                heapq.heappush(clients, (-client.held, number, client))
