"""The listening sockets: opened by the supervisor before any fork, kept by it as long as they are configured.

Each worker's place has one UDP socket and one TCP listener an address. A listener on every address is two pairs:
0.0.0.0, and :: for IPv6 alone; a family that the host does not have is left out. The sockets of one address share
its port through SO_REUSEPORT, and the kernel spreads clients over them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from dataclasses import dataclass, replace

from fastdns.corefile.model import Listener
from fastdns.listening import ListenError, every_address
from fastdns.netaddrs import WILDCARDS, is_wildcard, socket_address
from fastdns.transports.table import DATAGRAM, DEFAULT_SCHEME, STREAM, Transport, of_scheme

UDP_BUFFER_BYTES = 4 * 1024 * 1024
TCP_BACKLOG = 1024
SO_RCVBUFFORCE = 33
IPV6_RECVPKTINFO = 49
IPV6_PKTINFO = 50
IP_PKTINFO = 8
IP_FREEBIND = 15
# enum of linux/sock_diag.h: nine numbers of 32 bits, the last of which are the drops.
SO_MEMINFO = 55
MEMINFO = struct.Struct("9I")
MEMINFO_DROPS = 8
# Discard, RFC 863.
NOBODY = {socket.AF_INET: ("127.0.0.1", 9), socket.AF_INET6: ("::1", 9)}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the sockets of a listener are. address is never "": a wildcard is 0.0.0.0 or ::."""

    address: str
    port: int
    scheme: str = DEFAULT_SCHEME

    @property
    def wildcard(self) -> bool:
        """Whether replies must leave from the address that the query came to."""
        return self.address in WILDCARDS

    @property
    def transports(self) -> tuple[Transport, ...]:
        """How messages arrive here: at most one by datagrams, and one over streams."""
        return of_scheme(self.scheme)


@dataclass(slots=True)
class Pair:
    """One worker's sockets of one place. udp: None where no transport of the place has datagrams of its own.

    tcp: of the transport over streams; a UDP socket where that is QUIC.
    """

    place: Place
    udp: socket.socket | None
    tcp: socket.socket

    @property
    def opened(self) -> list[socket.socket]:
        """Those that there are."""
        return [self.tcp] if self.udp is None else [self.udp, self.tcp]

    @property
    def datagrams(self) -> list[socket.socket]:
        """Those that are UDP sockets."""
        return [one for one in self.opened if one.type == socket.SOCK_DGRAM]

    @property
    def stream(self) -> Transport:
        """The transport over streams."""
        return next(one for one in self.place.transports if one.delivery == STREAM)


def places(listener: Listener) -> list[Place]:
    """The places of one listener."""
    if not is_wildcard(listener.address) or listener.one_family:
        return [Place(listener.address, listener.port, listener.transport)]
    return [Place(address, listener.port, listener.transport) for address in every_address()]


def open_socket(place: Place, transport: Transport) -> socket.socket:
    """One socket of a transport that does not block: bound, and listening where it accepts. Raises ListenError."""
    kind = transport.socket_kind
    family = socket.AF_INET6 if ":" in place.address else socket.AF_INET
    opened = None
    try:
        opened = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_DGRAM:
            grow_receive_buffer(opened)
            if place.wildcard:
                tell_destinations(opened)
        else:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(socket_address(place.address, place.port))
        if kind == socket.SOCK_STREAM:
            opened.listen(TCP_BACKLOG)
    except OSError as error:
        if opened is not None:
            opened.close()
        hint = ""
        if error.errno == errno.EACCES and place.port < 1024:
            hint = " (a port below 1024 needs CAP_NET_BIND_SERVICE or root)"
        elif error.errno == errno.EADDRINUSE:
            hint = " (another program holds it)"
        where = f"[{place.address}]" if ":" in place.address else place.address
        why = f"{os.strerror(error.errno or 0)}{hint}"
        raise ListenError(f"listen {transport.proto} {where}:{place.port}: {why}") from None
    return opened


def open_pair(place: Place) -> Pair:
    """The sockets of a place. Raises ListenError, with none open."""
    opened: dict[str, socket.socket] = {}
    try:
        for transport in place.transports:
            opened[transport.delivery] = open_socket(place, transport)
    except ListenError:
        for one in opened.values():
            one.close()
        raise
    return Pair(place, opened.get(DATAGRAM), opened[STREAM])


def tell_destinations(udp: socket.socket) -> None:
    """Have each datagram say which address it came to: its reply leaves from there."""
    if udp.family == socket.AF_INET6:
        udp.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
    else:
        udp.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)


def grow_receive_buffer(udp: socket.socket) -> None:
    """Room for a burst while a worker is replaced; beyond the system's limit where we may."""
    try:
        udp.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, UDP_BUFFER_BYTES)
    except OSError:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_BUFFER_BYTES)


def take_no_part(udp: socket.socket) -> None:
    """Have the kernel give a socket of SO_REUSEPORT nothing more, whoever has it; it can still send to anybody.

    Raises OSError.
    """
    # Only who is not connected is chosen from.
    udp.connect(NOBODY[udp.family])


def drops(opened: socket.socket) -> int:
    """What the kernel has dropped for want of room at a socket. 0 where it does not tell."""
    with contextlib.suppress(OSError, struct.error):
        return int(MEMINFO.unpack(opened.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, MEMINFO.size))[MEMINFO_DROPS])
    return 0


def proto_of(opened: socket.socket) -> str:
    """Of which protocol a socket is: udp or tcp."""
    return "udp" if opened.type == socket.SOCK_DGRAM else "tcp"


class SocketTable:
    """Every open pair, by worker place and place. Opening is all or nothing."""

    def __init__(self) -> None:
        self.pairs: dict[tuple[int, Place], Pair] = {}
        # Of sockets that are closed.
        self.dropped = {"udp": 0, "tcp": 0}

    def fds(self) -> list[int]:
        """The descriptors of all."""
        return [one.fileno() for pair in self.pairs.values() for one in pair.opened]

    def drops(self) -> dict[str, int]:
        """What the kernel has dropped for want of room: datagrams, and connections."""
        total = dict(self.dropped)
        for pair in self.pairs.values():
            for one in pair.opened:
                total[proto_of(one)] += drops(one)
        return total

    def open(self, wanted: list[Place], workers: int) -> list[tuple[int, Place]]:
        """Open what is missing of wanted for each worker. Returns the new keys. Raises ListenError, none kept."""
        added: list[tuple[int, Place]] = []
        try:
            for place in wanted:
                for index in range(workers):
                    if (index, place) in self.pairs:
                        continue
                    self.pairs[index, place] = open_pair(place)
                    added.append((index, place))
        except ListenError:
            self.close(added)
            raise
        return added

    def unserved(self, wanted: list[Place]) -> list[Place]:
        """Those of wanted where nothing is open that would get their queries, be it a wildcard."""
        known = {place for _, place in self.pairs}
        return [
            place
            for place in wanted
            if known.isdisjoint({place, replace(place, address="::" if ":" in place.address else "0.0.0.0")})
        ]

    def give_up(self, keys: list[tuple[int, Place]]) -> None:
        """Have the kernel give the UDP sockets of these nothing more; who reads them finds what they hold."""
        for key in keys:
            for udp in self.pairs[key].datagrams:
                with contextlib.suppress(OSError):
                    take_no_part(udp)

    def close(self, keys: list[tuple[int, Place]]) -> None:
        """Close pairs by key."""
        for key in keys:
            pair = self.pairs.pop(key, None)
            if pair is not None:
                for one in pair.opened:
                    self.dropped[proto_of(one)] += drops(one)
                    one.close()

    def keep_only(self, wanted: list[Place], workers: int) -> None:
        """Close every pair that no worker of the present configuration reads.

        Their workers answer what has come until now, and close them, too; nothing comes in after they have looked.
        """
        keep = set(wanted)
        others = [key for key in self.pairs if key[0] >= workers or key[1] not in keep]
        self.give_up(others)
        self.close(others)

    def of_worker(self, index: int, wanted: list[Place]) -> list[Pair]:
        """The pairs of one worker's place, in the order of wanted."""
        return [self.pairs[index, place] for place in wanted]
