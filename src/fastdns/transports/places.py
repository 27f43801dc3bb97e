"""The connections that one listener may have at a time in one worker, of HTTP and gRPC: CoreDNS's max_connections.

When all places are taken, the least recently active connection of the client with the most of them is closed.
"""

from __future__ import annotations

from fastdns.transports.client import Client, ClientConnection


class Places:
    """most: 0 is no limit beside those of all connections (clients.py)."""

    def __init__(self, most: int) -> None:
        self.most = most
        # By client, the least recently active connection first.
        self.taken: dict[Client, dict[ClientConnection, None]] = {}
        self.count = 0

    def add(self, connection: ClientConnection) -> None:
        """One more. May close another one."""
        if not self.most:
            return
        self.taken.setdefault(connection.owner, {})[connection] = None
        self.count += 1
        if self.count > self.most:
            client = max(self.taken.values(), key=len)
            oldest = next(iter(client))
            self.remove(oldest)
            oldest.end("client_share" if len(client) else "room")

    def of(self, client: Client) -> dict[ClientConnection, None] | None:
        """A client's, the least recently active first; None where there is no limit."""
        return self.taken.get(client)

    def touch(self, connection: ClientConnection) -> None:
        """It has asked something."""
        places = self.taken.get(connection.owner)
        if places is not None and connection in places:
            del places[connection]
            places[connection] = None

    def remove(self, connection: ClientConnection) -> None:
        """It is gone, or will be at once."""
        places = self.taken.get(connection.owner)
        if places is None or connection not in places:
            return
        del places[connection]
        self.count -= 1
        if not places:
            del self.taken[connection.owner]
