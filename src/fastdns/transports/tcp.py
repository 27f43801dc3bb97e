"""DNS over TCP (RFC 7766): moves bytes between connections and the chain, on the slow thread's event loop.

A message is two bytes of length and as many bytes. Queries on a connection are answered as they finish, in any
order (RFC 7766 section 6.2.1.1). A connection ends when it is idle, when its peer does not read, when it has asked
as often as it may, or when a new one needs its place.

Clients are told apart by their address. While there is room one may have it all; where there is none left, a new
connection takes the place of one of the client that has most, the longest quiet. In each turn of the event loop a
client is served TURN_QUERIES queries, over all of its connections: what it has sent beyond that waits for the next
turn, behind what others have sent meanwhile. What all connections hold in memory is bounded as well (``held``).
What becomes of connections, and of queries that get no reply, is counted.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from fastdns._slow import PARKED
from fastdns._stats import Stats
from fastdns.transports.held import HeldBytes

LENGTH = struct.Struct(">H")
MAX_MESSAGE_BYTES = 65535
# What is read at once, of one connection.
READ_BYTES = 16 * 1024
# Of replies that wait for one peer to read; its queries are not read meanwhile.
WRITE_HIGH_BYTES = 64 * 1024
# Those to earlier queries still come; a peer that leaves so much unread is cut off.
WRITE_MOST_BYTES = 512 * 1024
# Peers at a time that leave replies unread; of more of them the longest such one is cut off.
MAX_UNREAD = 128
# What one write of replies takes beside its bytes until they are sent: its mark, and the transport's own.
WRITE_EXTRA_BYTES = 256
MAX_HELD_BYTES = 32 << 20
CHECK_S = 0.5
# From drain to the end of every connection, whatever it waits for. Less than the supervisor's patience.
DRAIN_S = 4.0

# Queries of one client in a turn of the loop.
TURN_QUERIES = 32
# Of one connection's queries that wait for upstreams; the next ones are not read meanwhile.
MAX_WAITING = 128

# False: nobody is there any more.
Deliver = Callable[[bytes | None], object]
# message, client address, its port, deliver: the reply, None for silence, or PARKED: deliver gets either later.
Serve = Callable[[bytes, bytes, int, Deliver], object]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a connection may take. Times are in seconds; max_queries -1 has no limit."""

    read_s: float = 3.0
    write_s: float = 5.0
    idle_s: float = 10.0
    max_queries: int = -1
    max_connections: int = 4096


class Client:
    """The connections of one address, the longest quiet first, and its queries of this turn of the loop."""

    __slots__ = ("address", "closing", "deferred", "held", "left", "open", "turn")

    def __init__(self, address: bytes) -> None:
        self.address = address
        self.open: dict[Connection, None] = {}
        self.closing: dict[Connection, None] = {}
        # Connections with queries that wait for the next turn.
        self.deferred: deque[Connection] = deque()
        self.turn = -1
        self.left = 0
        # Bytes of all its connections, as HeldBytes has counted them.
        self.held = 0

    @property
    def count(self) -> int:
        """How many places it has."""
        return len(self.open) + len(self.closing)


class Connections:
    """The open connections of one worker, the longest quiet first. Closes what has run out of time or of its share.

    One timer serves all connections: deadlines are looked at each CHECK_S. stats, slot: where things are counted.
    max_held_bytes: of queries and replies of all connections together.
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
        self.open: dict[Connection, None] = {}
        # Those that still send what their peers have to read, and will take no more queries.
        self.closing: dict[Connection, None] = {}
        self.unread: dict[Connection, None] = {}
        self.held = HeldBytes(max_held_bytes)
        self.clients: dict[bytes, Client] = {}
        # The clients that have so many places, and the most that anybody has.
        self.by_count: dict[int, dict[Client, None]] = {}
        self.most = 0
        # Clients with queries that wait for the next turn of the loop.
        self.behind: dict[Client, None] = {}
        self.turn = 0
        self.draining = False
        self.ends = float("inf")
        # What is read goes through here.
        self.buffer = bytearray(READ_BYTES)
        self.timer = loop.call_later(CHECK_S, self.check)

    def failed(self, reason: str, queries: int) -> None:
        """So many queries get no reply."""
        if queries:
            self.stats.count_failed(self.slot, reason, "none", queries)

    # Places

    def client(self, address: bytes) -> Client:
        """Who has this address."""
        client = self.clients.get(address)
        if client is None:
            client = self.clients[address] = Client(address)
        return client

    def recount(self, client: Client, before: int) -> None:
        """A client has more or fewer places than before."""
        now = client.count
        if now == before:
            return
        if before:
            del self.by_count[before][client]
            if not self.by_count[before]:
                del self.by_count[before]
        if now:
            self.by_count.setdefault(now, {})[client] = None
        elif self.clients.get(client.address) is client:
            del self.clients[client.address]
        if now > self.most:
            self.most = now
        elif before == self.most and before not in self.by_count:
            # One less than before; or nobody is left.
            self.most = now

    def add(self, connection: Connection) -> None:
        """Take a new connection; where there is no place, one makes room."""
        self.stats.count_opened(self.slot)
        client = connection.owner
        before = client.count
        self.open[connection] = client.open[connection] = None
        self.recount(client, before)
        if len(self.open) + len(self.closing) > self.max_connections:
            self.make_room(client)

    def make_room(self, newcomer: Client) -> None:
        """End one of the client that has most places, the newcomer if it is one of those; the longest quiet."""
        if self.most > 1:
            client = newcomer if newcomer.count == self.most else next(iter(self.by_count[self.most]))
            next(iter(client.closing or client.open)).end("client_share")
        else:
            next(iter(self.closing or self.open)).end("room")

    def touch(self, connection: Connection) -> None:
        """A connection has asked something: it is the least quiet one now."""
        if self.open.pop(connection, 0) is None:
            self.open[connection] = None
            del connection.owner.open[connection]
            connection.owner.open[connection] = None

    def finish(self, connection: Connection) -> None:
        """A connection only sends what is left, and has write_s for it."""
        if self.open.pop(connection, 0) is None:
            del connection.owner.open[connection]
            self.closing[connection] = connection.owner.closing[connection] = None
        connection.deadline = self.loop.time() + connection.limits.write_s

    def remove(self, connection: Connection) -> None:
        """A connection is gone, or will be at once."""
        client = connection.owner
        before = client.count
        for places in (self.open, self.closing, client.open, client.closing, self.unread):
            places.pop(connection, None)
        self.held.forget(connection)
        self.recount(client, before)

    def leaves_unread(self, connection: Connection) -> None:
        """A peer does not read. Replies for all such peers together are bounded."""
        self.unread[connection] = None
        if len(self.unread) > MAX_UNREAD:
            next(iter(self.unread)).end("unread")

    # Turns

    def allowance(self, client: Client) -> int:
        """How many more queries of a client are served in this turn of the loop."""
        if client.turn != self.turn:
            client.turn = self.turn
            client.left = TURN_QUERIES
        return client.left

    def defer(self, connection: Connection) -> None:
        """A connection's next queries wait for the next turn."""
        connection.owner.deferred.append(connection)
        self.wait_for_turn(connection.owner)

    def wait_for_turn(self, client: Client) -> None:
        """A client has connections whose next queries wait."""
        if not self.behind:
            self.loop.call_soon(self.next_turn)
        self.behind[client] = None

    def next_turn(self) -> None:
        """Serve what waits, of each client as much."""
        self.turn += 1
        behind, self.behind = self.behind, {}
        for client in behind:
            # Who is put off again comes after the others; who would only be put off is not asked.
            while client.deferred and self.allowance(client):
                client.deferred.popleft().catch_up()
            if client.deferred:
                self.wait_for_turn(client)

    # Time

    def check(self) -> None:
        """Close what is past its deadline; cut off what does not read."""
        now = self.loop.time()
        over = now >= self.ends
        for connection in [one for one in (*self.closing, *self.open) if over or now >= one.deadline]:
            connection.time_out("drained" if over else "idle")
        self.held.refresh()
        self.stats.set_held(self.slot, self.held.total)
        self.timer = self.loop.call_later(CHECK_S, self.check)

    def drain(self) -> None:
        """Close every connection as soon as what it has asked is answered and sent."""
        self.draining = True
        self.ends = self.loop.time() + DRAIN_S
        for connection in list(self.open):
            connection.close_when_quiet()

    @property
    def busy(self) -> bool:
        """Whether any connection is left."""
        return bool(self.open or self.closing)


class Connection(asyncio.BufferedProtocol):
    """One peer: frames in, frames out."""

    def __init__(self, serve: Serve, limits: Limits, connections: Connections) -> None:
        self.serve = serve
        self.limits = limits
        self.connections = connections
        self.transport: asyncio.Transport | None = None
        self.client = b"\0\0\0\0"
        self.client_port = 0
        self.owner = Client(self.client)
        self.pending = bytearray()
        self.asked = 0
        self.waiting = 0
        self.paused = False
        self.reading = True
        # Its next queries wait for the next turn of the loop.
        self.deferred = False
        # Its peer sends no more.
        self.ended = False
        # Nothing more is served: it closes when all that was asked is answered.
        self.finishing = False
        self.closing = False
        self.why = "peer"
        self.deadline = float("inf")
        # Bytes of replies; those of whole writes that the kernel has taken; and where the other writes end, with
        # how many replies each has.
        self.written = self.sent = 0
        self.marks: deque[tuple[int, int]] = deque()
        self.aborted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        transport = self.transport
        peer = transport.get_extra_info("peername") or ("0.0.0.0", 0)
        self.client = ipaddress.ip_address(peer[0].partition("%")[0]).packed
        self.client_port = peer[1]
        self.owner = self.connections.client(self.client)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)
        self.deadline = self.connections.loop.time() + self.limits.read_s
        self.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if exc is not None and self.paused:
            # How much of it the kernel had taken it does not tell any more.
            self.connections.failed("unread", sum(count for _, count in self.marks))
        self.connections.failed("unserved", self.whole_messages())
        self.connections.remove(self)
        self.connections.stats.count_closed(self.connections.slot, self.why)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.connections.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(memoryview(self.connections.buffer)[:nbytes])

    def data_received(self, data: bytes | memoryview) -> None:
        """Take what has come."""
        if not self.finishing:
            self.pending += data
            self.answer_pending()
        elif len(self.pending) < READ_BYTES:
            # To be counted.
            self.pending += data
        self.connections.held.count(self)

    def held_bytes(self) -> int:
        """What it holds in memory: what has come and is not served, and what its peer has not read."""
        if self.transport is None or self.aborted:
            return 0
        self.forget_sent(self.transport.get_write_buffer_size())
        pending = sys.getsizeof(self.pending) if self.pending else 0
        # The transport frees a write as a whole.
        return pending + self.written - self.sent + len(self.marks) * WRITE_EXTRA_BYTES

    def forget_sent(self, unsent: int) -> None:
        """Drop the marks of what the kernel has taken."""
        while self.marks and self.marks[0][0] <= self.written - unsent:
            self.sent = self.marks.popleft()[0]

    def whole_messages(self) -> int:
        """How many messages have come and are not served."""
        at = count = 0
        while len(self.pending) - at >= 2:
            at += 2 + LENGTH.unpack_from(self.pending, at)[0]
            count += at <= len(self.pending)
        return count

    def answer_pending(self) -> None:
        """Answer every whole message that has come, unless the peer leaves replies unread or is to wait."""
        if self.deferred:
            return
        at = count = 0
        replies = bytearray()
        size = len(self.pending)
        left = begun = self.connections.allowance(self.owner)
        while self.takes_more() and size - at >= 2:
            (length,) = LENGTH.unpack_from(self.pending, at)
            if size - at - 2 < length:
                break
            if not left:
                self.deferred = True
                break
            left -= 1
            message = bytes(self.pending[at + 2 : at + 2 + length])
            at += 2 + length
            self.asked += 1
            reply = self.serve(message, self.client, self.client_port, self.deliver)
            if reply is PARKED:
                self.waiting += 1
            elif isinstance(reply, bytes):
                replies += LENGTH.pack(len(reply))
                replies += reply
                count += 1
            if len(replies) >= WRITE_HIGH_BYTES:
                # May pause us: what is left of the input waits.
                self.send(bytes(replies), count)
                replies.clear()
                count = 0
            if 0 <= self.limits.max_queries <= self.asked:
                self.finish_for("max_queries")
        self.owner.left -= begun - left
        del self.pending[:at]
        if self.transport is None or self.closing:
            return
        if replies:
            self.send(bytes(replies), count)
        if at:
            self.connections.touch(self)
        if self.deferred:
            self.connections.defer(self)
        self.read_on()
        self.settle(progress=bool(at))

    def catch_up(self) -> None:
        """Its turn has come."""
        self.deferred = False
        if self.transport is not None and not self.closing:
            self.answer_pending()
            self.connections.held.count(self)

    def takes_more(self) -> bool:
        """Whether another message may be answered now."""
        return (
            self.transport is not None
            and not (self.paused or self.closing or self.finishing)
            and self.waiting < MAX_WAITING
        )

    def read_on(self) -> None:
        """Read, or not while there is enough to do: what is not read here waits at the peer's."""
        wanted = not (self.paused or self.deferred or self.waiting >= MAX_WAITING)
        if self.transport is not None and wanted != self.reading and not self.ended:
            self.reading = wanted
            if wanted:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def send(self, data: bytes, replies: int) -> None:
        """Send replies, unless there are too many already that the peer does not read."""
        transport = cast(asyncio.Transport, self.transport)
        unsent = transport.get_write_buffer_size()
        if unsent > WRITE_MOST_BYTES:
            self.connections.failed("unread", replies)
            self.end("unread")
            return
        self.forget_sent(unsent)
        self.written += len(data)
        self.marks.append((self.written, replies))
        transport.write(data)

    def deliver(self, reply: bytes | None) -> bool:
        """The reply to a query that has waited for an upstream. False where it has nobody to go to."""
        self.waiting -= 1
        if self.transport is None or self.closing:
            return False
        if reply is not None:
            self.send(LENGTH.pack(len(reply)) + reply, 1)
        if self.pending:
            self.answer_pending()
        if not self.closing:
            self.read_on()
            self.settle(progress=True)
        self.connections.held.count(self)
        return True

    def settle(self, *, progress: bool) -> None:
        """Set the deadline that follows from what the connection waits for, or close it."""
        if self.paused:
            return
        if self.waiting or self.deferred:
            # Each of them ends in time.
            self.deadline = float("inf")
        elif self.finishing or (self.ended and not self.whole_messages()):
            self.close(self.why)
        elif self.connections.draining and not self.pending:
            self.close("drained")
        elif progress:
            # A message that dribbles in has as long as an idle connection, not longer.
            self.deadline = self.connections.loop.time() + self.limits.idle_s

    def pause_writing(self) -> None:
        self.paused = True
        if self.closing:
            return
        self.deadline = self.connections.loop.time() + self.limits.write_s
        self.read_on()
        self.connections.leaves_unread(self)

    def resume_writing(self) -> None:
        self.paused = False
        self.connections.unread.pop(self, None)
        if self.closing:
            return
        if self.transport is not None:
            self.answer_pending()
            if not self.closing:
                self.read_on()
                self.settle(progress=True)
            self.connections.held.count(self)

    def eof_received(self) -> bool:
        # What has been asked and is answered, closing sends; the rest is answered first.
        self.ended = True
        return self.waiting > 0 or (self.whole_messages() > 0 and not self.finishing)

    def finish_for(self, why: str) -> None:
        """Take no more queries."""
        self.finishing = True
        self.why = why

    def close_when_quiet(self) -> None:
        """Close now, unless a first query, half a message or unread replies are on their way."""
        if self.asked and not (self.pending or self.paused or self.waiting):
            self.close("drained")

    def close(self, why: str) -> None:
        """Take no more queries, and close after sending what is left."""
        if self.transport is not None and not self.closing:
            self.closing = True
            self.why = why
            if self.transport.get_write_buffer_size():
                self.connections.finish(self)
            else:
                self.connections.remove(self)
            self.transport.close()

    def end(self, why: str) -> None:
        """Close at once: what its peer has not read is lost."""
        transport = self.transport
        if transport is None:
            return
        if unsent := transport.get_write_buffer_size():
            self.connections.failed("unread", sum(n for end, n in self.marks if end > self.written - unsent))
            self.marks.clear()
            if not self.closing:
                self.why = why
            self.closing = self.aborted = True
            transport.abort()
        else:
            self.close(why)

    def time_out(self, why: str) -> None:
        """The deadline is over: for a peer that asks nothing, or for one that does not read."""
        if self.paused or self.closing:
            self.end("unread" if self.paused and why == "idle" else why)
        else:
            self.close(why)
