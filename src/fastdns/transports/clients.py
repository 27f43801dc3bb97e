"""Bounds on what clients may take of a worker, shared by all stream transports: it knows connections, no transport.

Clients are told apart by their address. While there is room one client may have all places. When all places are
taken, the least recently active connection of the client with the most connections is closed. Each client has the
same share of each turn of the event loop (``turns``). What all connections hold in memory is bounded as well
(``held``), as is the number of clients that leave replies unread. Connections are closed at their deadlines. What
becomes of connections, and of queries that get no reply, is counted.
"""

from __future__ import annotations

import asyncio

from fastdns.metrics._stats import Stats
from fastdns.transports.client import Client, ClientConnection
from fastdns.transports.held import HeldBytes
from fastdns.transports.series import Series
from fastdns.transports.turns import Turns

# Connections, at a time, whose clients leave replies unread. Of more, the one that has done so longest is closed.
MAX_UNREAD = 128
MAX_HELD_BYTES = 32 << 20
# How often deadlines are looked at.
CHECK_S = 0.5
# From drain to the end of every connection. Less than the supervisor waits for a worker.
DRAIN_S = 4.0


class Clients:
    """All clients of one worker and their connections. Only for the thread of its loop.

    One timer serves all connections. stats, slot: where things are counted. max_held_bytes: of queries and replies
    of all connections together.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        max_connections: int,
        stats: Stats,
        slot: int,
        max_held_bytes: int = MAX_HELD_BYTES,
    ) -> None:
        self.loop = loop
        self.max_connections = max_connections
        self.stats = stats
        self.slot = slot
        self.turns = Turns(loop)
        self.series = Series(loop)
        self.held = HeldBytes(max_held_bytes)
        self.by_address: dict[bytes, Client] = {}
        # The least recently active connection first.
        self.open: dict[ClientConnection, None] = {}
        # Connections that only send what is left, and take no more queries.
        self.closing: dict[ClientConnection, None] = {}
        # Connections whose clients leave replies unread, the one that has done so longest first.
        self.unread: dict[ClientConnection, None] = {}
        # The clients with so many connections, and the highest of these numbers.
        self.by_count: dict[int, dict[Client, None]] = {}
        self.most = 0
        self.draining = False
        self.ends = float("inf")
        self.timer = loop.call_later(CHECK_S, self.check)

    # Counters

    def failed(self, reason: str, queries: int) -> None:
        """So many queries get no reply."""
        if queries:
            self.stats.count_failed(self.slot, reason, "none", queries)

    # Places

    def client(self, address: bytes) -> Client:
        """The client with this address."""
        client = self.by_address.get(address)
        if client is None:
            client = self.by_address[address] = Client(address)
        return client

    def recount(self, client: Client, before: int) -> None:
        """A client has more or fewer connections than before."""
        now = client.count
        if now == before:
            return
        if before:
            del self.by_count[before][client]
            if not self.by_count[before]:
                del self.by_count[before]
        if now:
            self.by_count.setdefault(now, {})[client] = None
        elif self.by_address.get(client.address) is client:
            del self.by_address[client.address]
        if now > self.most:
            self.most = now
        elif before == self.most and before not in self.by_count:
            # One less than before, or no client is left.
            self.most = now

    def count_opened(self) -> None:
        """There is one more connection that will be counted when it is gone."""
        self.stats.count_opened(self.slot)

    def add(self, connection: ClientConnection) -> None:
        """Take a new connection. When all places are taken, another connection is closed, or this one."""
        self.count_opened()
        self.place(connection)

    def place(self, connection: ClientConnection) -> None:
        """As add, of one that is not known to be a client's yet, and not counted before it is."""
        client = connection.owner
        before = client.count
        self.open[connection] = client.open[connection] = None
        self.recount(client, before)
        if len(self.open) + len(self.closing) > self.max_connections:
            self.make_room(client)

    def make_room(self, newcomer: Client) -> None:
        """Close the least recently active connection of a client with the most connections.

        That is the newcomer, where it has as many. Where no client has more than one, all connections are compared.
        """
        if self.most > 1:
            client = newcomer if newcomer.count == self.most else next(iter(self.by_count[self.most]))
            next(iter(client.closing or client.open)).end("client_share")
        else:
            next(iter(self.closing or self.open)).end("room")

    def touch(self, connection: ClientConnection) -> None:
        """A connection has asked something: it is the most recently active one."""
        if self.open.pop(connection, 0) is None:
            self.open[connection] = None
            del connection.owner.open[connection]
            connection.owner.open[connection] = None

    def finish(self, connection: ClientConnection, write_s: float) -> None:
        """A connection only sends what is left, and has write_s for it."""
        if self.open.pop(connection, 0) is None:
            del connection.owner.open[connection]
            self.closing[connection] = connection.owner.closing[connection] = None
        connection.deadline = self.loop.time() + write_s

    def remove(self, connection: ClientConnection) -> None:
        """A connection is gone, or will be at once."""
        client = connection.owner
        before = client.count
        for places in (self.open, self.closing, client.open, client.closing, self.unread):
            places.pop(connection, None)
        self.held.forget(connection)
        self.recount(client, before)

    def gone(self, connection: ClientConnection, why: str) -> None:
        """A connection is gone. Counted once for each that was added."""
        self.remove(connection)
        self.stats.count_closed(self.slot, why)

    def leaves_unread(self, connection: ClientConnection) -> None:
        """The client of a connection does not read. May close the connection of another such client."""
        self.unread[connection] = None
        if len(self.unread) > MAX_UNREAD:
            next(iter(self.unread)).end("unread")

    def reads_again(self, connection: ClientConnection) -> None:
        """The client of a connection has read."""
        self.unread.pop(connection, None)

    # Time

    def check(self) -> None:
        """Close connections that are past their deadlines."""
        now = self.loop.time()
        over = now >= self.ends
        for connection in [one for one in (*self.closing, *self.open) if over or now >= one.deadline]:
            connection.time_out("drained" if over else "idle")
        self.held.refresh()
        self.stats.set_held(self.slot, self.held.total)
        self.timer = self.loop.call_later(CHECK_S, self.check)

    def drain(self) -> None:
        """Close every connection as soon as its queries are answered and the replies are sent."""
        self.draining = True
        self.ends = self.loop.time() + DRAIN_S
        for connection in list(self.open):
            connection.close_when_quiet()

    @property
    def busy(self) -> bool:
        """Whether any connection is left."""
        return bool(self.open or self.closing)
