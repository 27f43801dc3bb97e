"""Fairness between clients: each is served QUERIES queries in one iteration of the event loop.

The share is the client's, over all of its connections. What a client has sent beyond its share waits for the next
iteration, behind what other clients have sent meanwhile.
"""

from __future__ import annotations

import asyncio

from fastdns.transports.client import Client, ClientConnection

# Of one client, in one iteration of the event loop.
QUERIES = 32


class Turns:
    """The turns of all clients of a worker. Only for the thread of its loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        # Clients with queries that wait for the next turn.
        self.behind: dict[Client, None] = {}
        self.turn = 0

    def allowance(self, client: Client) -> int:
        """How many more queries of a client are served in this turn."""
        if client.turn != self.turn:
            client.turn = self.turn
            client.left = QUERIES
        return client.left

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
            while client.deferred and self.allowance(client):
                client.deferred.popleft().catch_up()
            if client.deferred:
                self.wait(client)
