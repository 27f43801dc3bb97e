"""QUIC (RFC 9000) for DNS: UDP sockets of the event-loop thread, and whose each datagram is.

A datagram is for the connection whose ID it bears. Where this worker has none of that ID, the ID tells which
worker has it (``quic_ids``), and the datagram is handed to that one: another generation of workers reads the same
socket while a reload is under way, and the kernel gives a client that has got another port to any worker. If that
worker is gone, the client is told so at once by a stateless reset, as far as its library knows that.

Clients may lie about where they are. With more than RETRY_FROM connections that are not established, a newcomer is
made to show it (Retry); then each client may have a few of them. A handshake takes a signature: one step of one
handshake is made in each turn of the event loop.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from qh3._hazmat import pull_quic_header
from qh3.quic.packet import encode_quic_retry, encode_quic_version_negotiation

from fastdns.metrics.handshakes import HandshakeCounts
from fastdns.transports._datagrams import DatagramSocket
from fastdns.transports.quic_connection import MAX_HANDSHAKE_DATAGRAMS, QuicConnection
from fastdns.transports.quic_handover import Handover
from fastdns.transports.quic_ids import (
    CID_BYTES,
    Owner,
    new_cid,
    owner_of,
    read_retry_token,
    reset_token,
    retry_token,
)
from fastdns.transports.quic_session import Configuration, Session
from fastdns.transports.socket_names import packed, port_of

if TYPE_CHECKING:
    from fastdns.transports._proxies import Proxies

VERSION = 1
# RFC 9000 section 14.1: smaller ones begin nothing, and are not answered.
MIN_INITIAL_BYTES = 1200
MIN_FIRST_CID_BYTES = 8
MAX_CID_BYTES = 20
# Connections that are not established yet, in one worker. From so many on newcomers show where they are.
RETRY_FROM = 32
MAX_HALF_OPEN = 256
# Of one client that has shown it.
MAX_HALF_OPEN_OF_CLIENT = 32
# Connections that are over, and of which packets may still come.
MAX_CLOSING = 256
CHECK_S = 0.5
# In each CHECK_S: resets, and datagrams of no known owner that other workers are asked about. Others are dropped.
MAX_RESETS = 100
MAX_ASKED = 100
# RFC 9000 section 10.3: a reset is shorter than what it answers, and looks like any packet.
MIN_RESET_BYTES = 21
RESET_BYTES = 42

LONG, FIXED, TYPE = 0x80, 0x40, 0x30
INITIAL = 0x00
LONG_HEAD = struct.Struct("!BIB")



class Connections:
    """All QUIC connections of one worker, by their IDs, whichever socket they came by. For its loop's thread."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, owner: Owner, workers: int, counts: HandshakeCounts
    ) -> None:
        self.loop = loop
        self.owner = owner
        self.counts = counts
        self.by_cid: dict[bytes, QuicConnection] = {}
        # Not established: since when.
        self.half_open: dict[QuicConnection, float] = {}
        self.of_client: Counter[bytes] = Counter()
        # With datagrams for the next step of a handshake.
        self.shaking: deque[QuicConnection] = deque()
        self.over: dict[QuicConnection, None] = {}
        self.handover = Handover(loop, owner, workers, self.handed)
        self.resets = self.asked = 0
        self.timer = loop.call_later(CHECK_S, self.check)

    def add_cid(self, cid: bytes, connection: QuicConnection) -> None:
        """Packets with this ID are that connection's."""
        if self.by_cid.setdefault(cid, connection) is connection:
            connection.cids.add(cid)

    def remove_cid(self, cid: bytes, connection: QuicConnection) -> None:
        """They are no more."""
        if cid in connection.cids:
            connection.cids.discard(cid)
            del self.by_cid[cid]

    def begin(self, connection: QuicConnection, *cids: bytes) -> None:
        """A client has begun a connection."""
        for cid in cids:
            self.add_cid(cid, connection)
        self.half_open[connection] = self.loop.time()
        self.of_client[connection.address] += 1

    def has_room(self, address: bytes) -> bool:
        """Whether a client that has shown where it is may begin another connection."""
        return len(self.half_open) < MAX_HALF_OPEN and self.of_client[address] < MAX_HALF_OPEN_OF_CLIENT

    def end_half_open(self, connection: QuicConnection) -> None:
        """A connection is established, or never will be."""
        if self.half_open.pop(connection, None) is not None:
            self.of_client[connection.address] -= 1
            if not self.of_client[connection.address]:
                del self.of_client[connection.address]

    def established(self, connection: QuicConnection) -> None:
        """The handshake of a connection is complete."""
        self.end_half_open(connection)
        self.counts.complete("TLSv1.3", False)

    def failed(self, connection: QuicConnection, why: str) -> None:
        """The handshake of a connection has failed. What is to be said of it is still said."""
        if connection in self.half_open:
            self.end_half_open(connection)
            self.counts.failed(connection.session.refused or why)
            connection.closed = True
            if connection.session.ending:
                self.closing(connection)
            else:
                self.remove(connection)

    def closing(self, connection: QuicConnection) -> None:
        """A connection is over: QUIC answers late packets until it forgets it."""
        self.over[connection] = None
        if len(self.over) > MAX_CLOSING:
            self.remove(next(iter(self.over)))

    def remove(self, connection: QuicConnection) -> None:
        """Nothing of a connection is known any more."""
        self.end_half_open(connection)
        self.over.pop(connection, None)
        for cid in list(connection.cids):
            self.remove_cid(cid, connection)
        connection.stop_clock()

    # Handshakes take turns

    def take(self, connection: QuicConnection, datagrams: list[bytes], name: bytes) -> None:
        """Give a connection what has come for it. name: the sender's struct sockaddr."""
        sender = connection.sender if name == connection.name else connection.moved(name)
        if connection.shaken:
            connection.received(datagrams, sender)
            return
        room = MAX_HANDSHAKE_DATAGRAMS - connection.handshake_datagrams
        if not connection.unread and room > 0:
            if not self.shaking:
                self.loop.call_soon(self.shake)
            self.shaking.append(connection)
        connection.unread += [(data, sender) for data in datagrams[:room]]
        connection.handshake_datagrams += len(datagrams)

    def shake(self) -> None:
        """One step of one handshake."""
        self.shaking.popleft().shake()
        if self.shaking:
            self.loop.call_soon(self.shake)

    # Time

    def check(self) -> None:
        """Forget connections whose handshakes take too long."""
        now = self.loop.time()
        for connection, since in list(self.half_open.items()):
            if now - since < connection.limits.read_s:
                break
            self.failed(connection, "closed")
            self.remove(connection)
        self.resets = self.asked = 0
        self.timer = self.loop.call_later(CHECK_S, self.check)

    # Datagrams whose connection is not here

    def handed(self, data: bytes, name: bytes) -> None:
        """Another worker has got a datagram that may be ours."""
        connection = self.by_cid.get(destination(data))
        if connection is not None:
            self.take(connection, [data], name)

    def unknown(self, data: bytes, cid: bytes, name: bytes, endpoint: QuicEndpoint, control: bytes) -> None:
        """A datagram of a connection that this worker does not have: another has it, or it is gone."""
        owner = owner_of(cid)
        if owner is not None and owner != self.owner:
            if self.handover.give(owner, data, name):
                return
        elif owner is None:
            # QUIC's library has chosen the ID, for a client that likes to change it.
            if self.asked < MAX_ASKED:
                self.asked += 1
                self.handover.give_all(data, name)
            return
        if not data[0] & LONG and len(data) > MIN_RESET_BYTES and self.resets < MAX_RESETS:
            self.resets += 1
            size = min(len(data) - 1, RESET_BYTES)
            begin = bytearray(os.urandom(size - 16))
            begin[0] = FIXED | begin[0] & 0x3F
            endpoint.send(bytes(begin) + reset_token(cid), name, control)

    def close(self) -> None:
        """Read no more of what other workers hand over."""
        self.timer.cancel()
        self.handover.close()


def destination(data: bytes) -> bytes:
    """The ID of the connection that a datagram is for; b"": it has none."""
    if len(data) < 1 + CID_BYTES:
        return b""
    if not data[0] & LONG:
        return data[1 : 1 + CID_BYTES]
    size = data[5]
    return data[6 : 6 + size] if size <= MAX_CID_BYTES and len(data) >= 6 + size else b""


class QuicEndpoint:
    """One UDP socket of a listener.

    configuration: of new connections; None: there is no certificate yet. connect: makes a connection of a session;
    see QuicConnection. proxies: senders that speak for clients.
    """

    def __init__(
        self,
        sock: socket.socket,
        connections: Connections,
        configuration: Callable[[], Configuration | None],
        connect: Callable[..., QuicConnection],
        proxies: Proxies | None = None,
    ) -> None:
        self.sock = sock
        self.datagrams = DatagramSocket(sock.fileno())
        self.send = self.datagrams.send
        self.connections = connections
        self.configuration = configuration
        self.connect = connect
        self.proxies = proxies
        self.loop = connections.loop
        self.reading = True
        self.loop.add_reader(sock.fileno(), self.read)

    # Receiving

    def read(self) -> None:
        """Take what has come; the datagrams of one connection together."""
        together: dict[QuicConnection, tuple[list[bytes], bytes]] = {}
        by_cid = self.connections.by_cid
        for data, name, control in self.datagrams.receive():
            client = None
            if self.proxies is not None:
                client = self.proxied(data, name)
                if client is None:
                    continue
                data = data[client[2] :]
            cid = destination(data)
            connection = by_cid.get(cid)
            if connection is None:
                if cid:
                    self.unknown(data, cid, name, control, client)
                continue
            known = together.get(connection)
            if known is None:
                together[connection] = ([data], name)
            elif known[1] == name:
                known[0].append(data)
            else:
                self.connections.take(connection, [data], name)
        for connection, (datagrams, name) in together.items():
            self.connections.take(connection, datagrams, name)

    def proxied(self, data: bytes, name: bytes) -> tuple[bytes, int, int] | None:
        """Who has sent a datagram by way of a proxy, and how long the proxy's header is; None: it is not let in."""
        assert self.proxies is not None
        return self.proxies.client(packed(name), port_of(name), data, time.monotonic_ns())

    def unknown(
        self, data: bytes, cid: bytes, name: bytes, control: bytes, client: tuple[bytes, int, int] | None
    ) -> None:
        """A datagram whose connection is not here: it may begin one."""
        owner = owner_of(cid)
        # A Retry of ours may have told a client to begin with such an ID.
        may_begin = data[0] & LONG and owner in (None, self.connections.owner)
        if not may_begin:
            if data[0] & FIXED:
                self.connections.unknown(data, cid, name, self, control)
            return
        if len(data) < MIN_INITIAL_BYTES:
            return
        _, version, _ = LONG_HEAD.unpack_from(data)
        if version != VERSION:
            if version:
                self.negotiate(data, cid, name, control)
            return
        if data[0] & (FIXED | TYPE) != FIXED | INITIAL or len(cid) < MIN_FIRST_CID_BYTES:
            return
        try:
            head = pull_quic_header(data, 0, CID_BYTES)
        except ValueError:
            return
        self.begin(data, cid, head[4], head[5], name, control, client)

    def negotiate(self, data: bytes, cid: bytes, name: bytes, control: bytes) -> None:
        """Say which version there is. The answer is shorter than what it answers."""
        at = 6 + len(cid)
        size = data[at]
        source = data[at + 1 : at + 1 + size]
        if len(source) == size <= MAX_CID_BYTES:
            answer = encode_quic_version_negotiation(
                source_cid=cid, destination_cid=source, supported_versions=[VERSION]
            )
            self.send(answer, name, control)

    def begin(
        self,
        data: bytes,
        cid: bytes,
        source: bytes,
        token: bytes,
        name: bytes,
        control: bytes,
        client: tuple[bytes, int, int] | None,
    ) -> None:
        """The first packet of a new connection."""
        connections = self.connections
        original, retried = cid, b""
        # QUIC's library does not know clients without an ID of their own, such as Go's: see Session.
        nameless = not source
        first = read_retry_token(name, token, time.monotonic()) if token else None
        address, port = (client[0], client[1]) if client is not None else (packed(name), port_of(name))
        if first is not None:
            original, retried = first, cid
            if not connections.has_room(address):
                return
        elif owner_of(cid) is not None:
            return
        elif nameless or len(connections.half_open) >= RETRY_FROM:
            self.retry(cid, source, name, control)
            return
        configuration = self.configuration()
        if configuration is None:
            return
        own = cid if nameless else new_cid(connections.owner)
        session = Session(configuration, own, original, retried, nameless=nameless)
        connection = self.connect(session, self, name=name, address=address, port=port, control=control)
        connections.begin(connection, cid, own)
        connections.take(connection, [data], name)

    def retry(self, cid: bytes, source: bytes, name: bytes, control: bytes) -> None:
        """Have a client show that it is where it says: it begins again with what this tells it."""
        # Random, so that what comes for it begins a connection with whoever gets it; of a client without an ID of
        # its own the one that its connection will have.
        answer = encode_quic_retry(
            version=VERSION,
            source_cid=os.urandom(MIN_FIRST_CID_BYTES) if source else new_cid(self.connections.owner),
            destination_cid=source,
            original_destination_cid=cid,
            retry_token=retry_token(name, cid, time.monotonic()),
        )
        self.send(answer, name, control)

    # Its end

    def stop(self) -> None:
        """Read no more: a successor does, who hands over what is for connections of this worker."""
        if self.reading:
            self.reading = False
            self.loop.remove_reader(self.sock.fileno())

    def close(self) -> None:
        """Nothing more is sent."""
        self.stop()
        self.sock.close()

