"""Fairness between clients: each is served QUERIES queries in one iteration of the event loop.

The share is the client's, over all of its connections. What a client has sent beyond its share waits for the next
iteration, behind what other clients have sent meanwhile.
"""

from __future__ import annotations

import asyncio

from fastdns.transports._shares import TurnNumber
from fastdns.transports.client import Client, ClientConnection

# Of one client, in one turn: see _shares.pxd.
QUERIES = 32


class Turns(TurnNumber):
    """The turns of all clients of a worker. Only for the thread of its loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        # Clients with queries that wait for the next turn.
        self.behind: dict[Client, None] = {}

    def defer(self, connection: ClientConnection) -> None:
        """The next queries of a connection wait for the next turn: then its catch_up is called."""
        connection.owner.deferred.append(connection)
        self.wait(connection.owner)

    def wait(self, client: Client) -> None:
        """A client has connections that wait for the next turn."""
        if not self.behind:
            self.loop.call_soon(self.next)
        self.behind[client] = None

    def next(self) -> None:
        """Begin the next turn: serve what waits, the same number of queries of each client."""
        self.turn += 1
        behind, self.behind = self.behind, {}
        for client in behind:
            # A client that has to wait again comes after the others. Only what can be served is called.
            # Of its connections that were not read yet, half of its turn is kept.
            kept = QUERIES // 2 if client.passed else 0
            client.passed = False
            client.left = self.allowance(client) - kept
            while client.deferred and client.left > 0:
                client.deferred.popleft().catch_up()
            client.left += kept
            if client.deferred:
                self.wait(client)
