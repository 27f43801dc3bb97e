"""A client's QUIC connection that asks questions on streams: what DNS over QUIC and over HTTP/3 have in common.

What is a question on a stream, and how a reply leaves, is the subclass's. Here questions wait for their turn, are
served, and their replies are sent; a connection is bounded like one over TCP, and counts among them (``clients``).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

from qh3.quic import events
from qh3.quic.connection import QuicConnectionError

from fastdns.transports import Serve
from fastdns.transports._slow import PARKED, Messages
from fastdns.transports.client import Client
from fastdns.transports.clients import Clients
from fastdns.transports.limits import Limits
from fastdns.transports.socket_names import Address, address_of, name_of
from fastdns.transports.stream import MAX_WAITING, WRITE_HIGH_BYTES, WRITE_MOST_BYTES

if TYPE_CHECKING:
    from fastdns.transports.places import Places
    from fastdns.transports.quic_session import Session

# What qh3 and Python keep for an idle connection that has asked something, as measured. It counts as held.
SESSION_BYTES = 50 * 1024
# What a datagram has beside the contents of streams: headers, acknowledgements.
OVERHEAD_BYTES = 200
# A datagram with nothing but an acknowledgement has fewer bytes. What follows from it has so long to be sent.
ACKNOWLEDGEMENT_BYTES = 100
LATER_S = 0.02
# Datagrams of a connection before its handshake is complete: a ClientHello and its acknowledgements, several times.
MAX_HANDSHAKE_DATAGRAMS = 24


class Owning(Protocol):
    """What a worker knows of its connections: see quic.Connections."""

    def add_cid(self, cid: bytes, connection: QuicConnection) -> None: ...
    def remove_cid(self, cid: bytes, connection: QuicConnection) -> None: ...
    def established(self, connection: QuicConnection) -> None: ...
    def failed(self, connection: QuicConnection, why: str) -> None: ...
    def closing(self, connection: QuicConnection) -> None: ...
    def remove(self, connection: QuicConnection) -> None: ...


class Endpoint(Protocol):
    """The socket of a connection, and all connections of the worker."""

    @property
    def connections(self) -> Owning: ...
    @property
    def send(self) -> Callable[[bytes, bytes, bytes], None]: ...


class Pool:
    """How many questions of a listener's connections may be worked on at a time in this worker."""

    def __init__(self, loop: asyncio.AbstractEventLoop, most: int) -> None:
        self.loop = loop
        self.free = most
        # Connections with questions for which there was no room.
        self.waiting: dict[QuicConnection, None] = {}

    def give_back(self) -> None:
        """A question is answered: who waits longest goes on."""
        self.free += 1
        if self.waiting:
            connection = next(iter(self.waiting))
            del self.waiting[connection]
            self.loop.call_soon(connection.catch_up)


class QuicConnection:
    """One connection. Its subclasses say what streams carry.

    places: of its listener. name: struct sockaddr of who has sent the first datagram. address, port: of the client,
    which a proxy may have named. control: with what the kernel sends from the address that the client has asked.
    """

    # What a stream may bring, and how many unidirectional ones a client may have.
    stream_bytes: int
    uni_streams: int

    def __init__(
        self,
        session: Session,
        endpoint: Endpoint,
        serve: Serve,
        limits: Limits,
        clients: Clients,
        pool: Pool,
        places: Places,
        count: Callable[[int], object],
        *,
        name: bytes,
        address: bytes,
        port: int,
        control: bytes,
    ) -> None:
        self.session = session
        self.endpoint = endpoint
        self.serve = serve
        self.limits = limits
        self.clients = clients
        self.pool = pool
        self.places = places
        self.count = count
        self.name = name
        self.sender = address_of(name)
        self.address = address
        self.port = port
        self.control = control
        self.owner = Client(address)
        self.loop = clients.loop
        self.cids: set[bytes] = set()
        self.timer: asyncio.TimerHandle | None = None
        self.timer_at = float("inf")
        # Before the handshake is complete: what has come, and how many datagrams that were in all.
        self.unread: list[tuple[bytes, Address]] = []
        self.handshake_datagrams = 0
        self.shaken = False
        self.closed = False
        self.dirty = False
        # Whole questions that are not served yet; streams whose questions wait for an answer.
        self.ready: deque[tuple[int, bytes]] = deque()
        self.ready_bytes = 0
        self.parked: set[int] = set()
        # Questions that are worked on, also those that the client has given up.
        self.waiting = 0
        # Streams on which a question has begun: when, in the order in which they have.
        self.begun: dict[int, float] = {}
        self.begun_bytes = 0
        # Of the bytes that have come, what no stream has given out: qh3 may hold it.
        self.undelivered = 0
        # Replies of several messages, and the streams that they are for.
        self.series: deque[tuple[int, Messages]] = deque()
        self.deferred = False
        self.paused = False
        # Streams with replies of which something may still be unsent.
        self.unsent: list[int] = []
        # Bytes that streams were given since it was last looked how many of them are unsent.
        self.written = 0
        self.deadline = float("inf")

    # What subclasses say

    def begin(self, protocol: str) -> None:
        """The handshake is complete."""

    def stream_data(self, stream: int, data: bytes, ended: bool) -> None:
        """Take what has come on a stream: put a whole question into ready."""
        raise NotImplementedError

    def stream_gone(self, stream: int) -> None:
        """The client has given up a stream."""

    def reply(self, stream: int, reply: bytes) -> None:
        """Send the reply to the question on a stream."""
        raise NotImplementedError

    def silence(self, stream: int) -> None:
        """There is no reply to the question on a stream."""
        raise NotImplementedError

    def next_message(self, stream: int, message: bytes) -> None:
        """Send the next message of a reply of several; b"": there are no more."""
        raise NotImplementedError

    def takes_series(self, stream: int) -> bool:
        """Whether replies of several messages can be sent."""
        return False

    def close_code(self, why: str) -> int:
        """The error code with which it closes for a reason."""
        raise NotImplementedError

    # What comes from the socket

    def moved(self, name: bytes) -> Address:
        """Something has come from another struct sockaddr than the last one: its address."""
        self.name = name
        self.sender = address_of(name)
        return self.sender

    def received(self, datagrams: list[bytes], sender: Address) -> None:
        """Take datagrams of an established connection."""
        try:
            self.session.take(datagrams, sender, self.loop.time())
        except (QuicConnectionError, ValueError):
            self.shut("malformed")
            return
        size = sum(map(len, datagrams))
        self.undelivered = max(0, self.undelivered + size - OVERHEAD_BYTES * len(datagrams))
        self.follow(soon=size > ACKNOWLEDGEMENT_BYTES)

    def shake(self) -> None:
        """The next step of the handshake, with what has come."""
        unread, self.unread = self.unread, []
        for data, sender in unread:
            try:
                self.session.receive_datagram(data, sender, self.loop.time())
            except (QuicConnectionError, ValueError, AssertionError, IndexError):
                self.endpoint.connections.failed(self, "malformed")
                return
        while (event := self.session.next_event()) is not None:
            if isinstance(event, events.HandshakeCompleted):
                # The client may have closed it right behind.
                if not self.session.ending:
                    self.established(event.alpn_protocol or "")
            elif isinstance(event, events.StreamDataReceived):
                if self.shaken and not self.closed:
                    self.stream_data(event.stream_id, event.data, event.end_stream)
            elif isinstance(event, events.StreamReset | events.StopSendingReceived):
                self.given_up(event.stream_id)
            elif isinstance(event, events.ConnectionIdIssued):
                self.endpoint.connections.add_cid(event.connection_id, self)
            elif isinstance(event, events.ConnectionTerminated):
                self.terminated("peer")
                return
        self.go_on(soon=True, due=True)

    def follow(self, *, soon: bool = True, due: bool = False) -> None:
        """Act on what QUIC tells, answer, and send. soon: also what QUIC itself has to say, unless that can go with
        replies that are to come. due: whether or not it can."""
        session = self.session
        happened = session.next_happened
        while (event := happened()) is not None:
            kind = event[0]
            if kind == "stream_data":
                soon = True
                self.undelivered = max(0, self.undelivered - len(event[2]))
                if not self.closed:
                    self.stream_data(event[1], event[2], event[3])
            elif kind == "stream_reset" or kind == "stop_sending":
                self.given_up(event[1])
            elif kind == "connection_id_issued":
                self.endpoint.connections.add_cid(event[1], self)
            elif kind == "connection_id_retired":
                self.endpoint.connections.remove_cid(event[1], self)
            else:
                session.note(event)
                if kind == "connection_terminated":
                    self.terminated("idle" if not self.closed else "peer")
                    return
        self.go_on(soon=soon, due=due)

    def go_on(self, *, soon: bool, due: bool = False) -> None:
        """Answer what has come, and send."""
        if self.session.ending and not self.closed:
            # The client has closed it, or has broken the protocol: what is left is to say so.
            if self.shaken:
                self.over("peer")
            else:
                self.endpoint.connections.failed(self, "alert")
        if self.closed:
            self.transmit()
            return
        if self.paused:
            self.look_at_unsent()
        if self.ready:
            self.answer_ready()
        if self.series and not self.paused:
            self.clients.series.add(self)
        if due or self.written or self.paused or self.unsent or (soon and not self.replies_come):
            self.transmit()
        elif not self.deferred and self.timer_at > (later := self.loop.time() + LATER_S):
            # QUIC may have something to say for itself, which has time until there is a reply as well.
            self.set_clock(later)
        if self.shaken and not self.closed:
            if self.written:
                self.look_at_unsent()
            self.settle()
            self.count_held()

    @property
    def replies_come(self) -> bool:
        """Whether what QUIC has to say for itself can go with a reply: a packet less."""
        return self.shaken and bool(self.deferred or self.parked)

    def established(self, protocol: str) -> None:
        """The client is where it says, and has a place among the clients from now on."""
        if self.shaken or self.closed:
            return
        self.shaken = True
        self.endpoint.connections.established(self)
        self.owner = self.clients.client(self.address)
        self.clients.add(self)
        if self.closed:
            return
        self.begin(protocol)
        self.places.add(self)

    # Questions and replies

    def answer_ready(self) -> None:
        """Answer every whole question, unless replies are left unread or the client has to wait."""
        if self.deferred or self.closed:
            return
        left = begun = self.clients.turns.allowance(self.owner)
        while self.ready and self.takes_more():
            if not left:
                self.deferred = True
                break
            left -= 1
            stream, message = self.ready.popleft()
            self.ready_bytes -= len(message)
            self.answer(stream, message)
            if self.written >= WRITE_HIGH_BYTES:
                self.look_at_unsent()
        self.owner.left -= begun - left
        if begun != left:
            self.clients.touch(self)
            self.places.touch(self)
        if self.deferred:
            self.clients.turns.defer(self)

    def answer(self, stream: int, message: bytes) -> None:
        """Answer one question."""
        reply = self.serve(message, self.address, self.port, partial(self.deliver, stream))
        if reply is PARKED:
            self.parked.add(stream)
            self.waiting += 1
            self.pool.free -= 1
        else:
            self.answered(stream, reply)

    def answered(self, stream: int, reply: object) -> None:
        """Send what has come of a question."""
        if isinstance(reply, bytes):
            self.reply(stream, reply)
        elif isinstance(reply, Messages):
            if self.takes_series(stream):
                self.series.append((stream, reply))
                self.clients.series.add(self)
            else:
                reply.close("unread")
                self.silence(stream)
        else:
            self.silence(stream)

    def takes_more(self) -> bool:
        """Whether another question may be answered now."""
        if self.closed or self.paused or self.waiting >= MAX_WAITING:
            return False
        if self.pool.free <= 0:
            self.pool.waiting[self] = None
            return False
        return True

    def deliver(self, stream: int, reply: bytes | Messages | None) -> bool:
        """Send the reply to a question that has waited. Returns False where the client wants it no more."""
        self.pool.give_back()
        self.waiting -= 1
        wanted = stream in self.parked and not self.closed
        self.parked.discard(stream)
        if wanted:
            self.answered(stream, reply)
        if not self.closed:
            if self.ready:
                self.answer_ready()
            self.settle()
            self.send_soon()
        return wanted

    def send_next(self) -> None:
        """Send the next message of a reply of several. A client that does not read gets none."""
        if self.closed or self.paused or not self.series:
            return
        stream, messages = self.series[0]
        message = messages.next()
        if message is PARKED:
            self.clients.series.add(self)
            return
        if not isinstance(message, bytes):
            self.series.popleft()
            self.abort_stream(stream, self.close_code("unread"))
        else:
            self.next_message(stream, message)
            if not message:
                self.series.popleft()
        self.transmit()
        self.look_at_unsent()
        if self.closed:
            return
        if self.series and not self.paused:
            self.clients.series.add(self)
        self.settle()
        self.count_held()

    def send_stream(self, stream: int, data: bytes, *, ended: bool) -> None:
        """Send bytes on a stream. A stream that the client has given up takes none."""
        self.written += len(data)
        if ended:
            self.unsent.append(stream)
        try:
            self.session.send_stream(stream, data, ended)
        except (RuntimeError, ValueError):
            return

    def abort_stream(self, stream: int, code: int) -> None:
        """Say that nothing follows on a stream, and why."""
        with contextlib.suppress(QuicConnectionError, ValueError):
            self.session.reset_stream(stream, code)

    def given_up(self, stream: int) -> None:
        """The client has given up a stream. It is over when this side ends it as well: until then it counts among
        those that the client may have."""
        self.abort_stream(stream, self.close_code("peer"))
        self.forget_stream(stream)

    def forget_stream(self, stream: int) -> None:
        """The client has given up a stream: its question is served no more."""
        self.parked.discard(stream)
        if self.ready:
            kept = deque(one for one in self.ready if one[0] != stream)
            self.clients.failed("unserved", len(self.ready) - len(kept))
            self.ready = kept
            self.ready_bytes = sum(len(message) for _, message in kept)
        for one in [one for one in self.series if one[0] == stream]:
            one[1].close("peer")
            self.series.remove(one)
        self.stream_gone(stream)

    # Sending

    def send_soon(self) -> None:
        """Send what there is, with what else comes together in this turn of the loop."""
        if not self.dirty:
            self.dirty = True
            self.loop.call_soon(self.send_now)

    def send_now(self) -> None:
        """Send what there is."""
        self.dirty = False
        self.transmit()
        if not self.closed:
            self.look_at_unsent()
            self.count_held()

    def transmit(self) -> None:
        """Hand what QUIC has to say to the socket, and set the clock for what it has to do later."""
        session = self.session
        next_datagram = session.next_datagram if self.shaken else session.to_send
        now = self.loop.time()
        try:
            while (datagram := next_datagram(now)) is not None:
                # Not always where it has come from: a new address is asked before it is believed.
                name = self.name if datagram[1] == self.sender else name_of(datagram[1])
                self.endpoint.send(datagram[0], name, self.control)
        except (QuicConnectionError, RuntimeError, ValueError):
            self.shut("malformed")
            return
        timer = session.core_timer()
        if timer is not None and timer[1] < self.timer_at:
            self.set_clock(timer[1])

    def set_clock(self, at: float) -> None:
        """Look at the time then, and not later."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer_at = at
        self.timer = self.loop.call_at(at, self.on_time)

    def on_time(self) -> None:
        """The clock has come to where QUIC has something to do, or had when it was set."""
        self.timer = None
        self.timer_at = float("inf")
        now = self.loop.time()
        at = self.session.get_timer()
        if at is not None and at <= now + 0.001:
            let_pass = self.session.let_pass if self.shaken else self.session.handle_timer
            try:
                let_pass(max(at, now))
            except QuicConnectionError:
                self.shut("malformed")
                return
            if self.shaken:
                self.follow(due=True)
            else:
                self.shake()
        else:
            self.transmit()

    def look_at_unsent(self) -> None:
        """Take no more questions of a client that does not read; close where that is too much."""
        self.written = 0
        unsent = self.session.unsent_bytes()
        if not unsent:
            self.unsent.clear()
        if unsent > WRITE_MOST_BYTES:
            self.end("unread")
        elif unsent > WRITE_HIGH_BYTES and not self.paused:
            self.paused = True
            self.deadline = self.loop.time() + self.limits.write_s
            self.clients.leaves_unread(self)
        elif unsent <= WRITE_HIGH_BYTES and self.paused:
            self.paused = False
            self.clients.reads_again(self)
            if self.series:
                self.clients.series.add(self)

    # What bounds the clients

    def held_bytes(self) -> int:
        """What it holds in memory now."""
        if self.closed:
            return 0
        in_hand = self.begun_bytes + self.ready_bytes + self.undelivered
        return SESSION_BYTES + in_hand + self.session.unsent_bytes()

    def count_held(self) -> None:
        """It may hold more or less than before."""
        held = self.clients.held
        if held.holders.get(self) != self.held_bytes():
            held.count(self)

    def catch_up(self) -> None:
        """Serve what was deferred: the client has its next turn."""
        self.deferred = False
        if not self.closed:
            self.answer_ready()
            self.transmit()
            if not self.closed:
                self.settle()
                self.count_held()

    @property
    def quiet(self) -> bool:
        """Whether neither side waits for the other. What is closed before it has arrived does not arrive."""
        waits = self.ready or self.parked or self.begun or self.series or self.paused
        return not (waits or self.session.get_send_buffer_size() or self.session.in_flight)

    def settle(self) -> None:
        """Set the deadline that follows from what the connection waits for, or close it."""
        if self.paused:
            return
        if self.begun:
            self.deadline = next(iter(self.begun.values())) + self.limits.read_s
            return
        # QUIC itself closes idle connections.
        self.deadline = float("inf")
        if self.clients.draining and self.quiet:
            self.close("drained")

    def close_when_quiet(self) -> None:
        """Close now, unless the client has still to ask or to get something."""
        if self.quiet:
            self.close("drained")

    def time_out(self, why: str) -> None:
        """Close: the deadline is over."""
        self.end("unread" if self.paused and why == "idle" else why)

    def end(self, why: str) -> None:
        """Close at once. Replies that the client has not read are lost."""
        self.close(why)

    # Its end

    def close(self, why: str, code: int | None = None) -> None:
        """Say that it is over, and why."""
        if self.closed:
            return
        self.clients.failed("unread", sum(self.session.get_send_buffer_size(one) > 0 for one in self.unsent))
        with contextlib.suppress(QuicConnectionError, ValueError):
            self.session.close(self.close_code(why) if code is None else code)
        self.over(why)
        self.transmit()

    def over(self, why: str) -> None:
        """Serve no more. QUIC answers what comes late for a while."""
        if self.closed:
            return
        self.closed = True
        self.pool.waiting.pop(self, None)
        self.clients.failed("unserved", len(self.ready))
        self.ready.clear()
        self.parked.clear()
        while self.series:
            self.series.popleft()[1].close(why)
        self.endpoint.connections.closing(self)
        self.places.remove(self)
        self.clients.gone(self, why)

    def shut(self, why: str) -> None:
        """QUIC itself has failed: nothing more can be said."""
        if self.shaken:
            self.over("peer")
            self.endpoint.connections.remove(self)
        else:
            self.endpoint.connections.failed(self, why)

    def terminated(self, why: str) -> None:
        """QUIC has nothing more to say."""
        if self.shaken:
            self.over(why)
        elif not self.closed:
            self.endpoint.connections.failed(self, "closed")
        self.endpoint.connections.remove(self)

    def stop_clock(self) -> None:
        """Nothing more is to be done."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        self.timer_at = float("-inf")
