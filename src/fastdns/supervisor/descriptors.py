"""How a worker's file descriptors are shared out: among clients over TCP, and the sockets and streams of upstreams.

Everything is counted by what it may take at most, so that no part of a worker finds the descriptors gone. Where the
limit is too low for all, each part gets less, and the log says what and how much. Nothing is opened here.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastdns.plugins.forward.config import DNS, HTTPS
from fastdns.supervisor.routes import Routes

# Standard streams, the channel, two event loops and their wakeups, the store, logs; and some more.
WORKER_FILES = 40
# Of one address: a UDP socket and a TCP listener, and for each of them a second one while it is drained.
FILES_A_PLACE = 4
# Each thread of a worker that serves clients has a table of questions, with sockets of its own.
TABLES = 2
# As _upstream.SOCKETS: more ports are more for a forger to guess.
MAX_SOCKETS = 16
# As the pools of plugins/forward/streams.py have them.
MAX_STREAMS, MAX_HTTP2_STREAMS = 128, 4
# The supervisor's own, beside the sockets of its workers and its endpoints.
SUPERVISOR_FILES = 64


@dataclass(frozen=True, slots=True)
class Files:
    """Bounds in one worker. clients: TCP connections that it accepts; sockets: over UDP to one upstream, in each of
    its tables; streams: connections to one upstream. enough: whether all of that fits into the limit."""

    clients: int
    sockets: int = MAX_SOCKETS
    streams: int = MAX_STREAMS
    enough: bool = True


@dataclass(frozen=True, slots=True)
class Needs:
    """What a configuration can take at most. datagrams, framed, https: how many upstreams are asked that way."""

    places: int
    clients: int
    datagrams: int = 0
    framed: int = 0
    https: int = 0

    @property
    def fixed(self) -> int:
        """What is there whatever happens."""
        return WORKER_FILES + FILES_A_PLACE * self.places

    def total(self, clients: int, sockets: int, streams: int) -> int:
        """The descriptors of a worker with these bounds."""
        return (
            self.fixed
            + clients
            + TABLES * sockets * self.datagrams
            + streams * self.framed
            + min(streams, MAX_HTTP2_STREAMS) * self.https
        )

    @property
    def all(self) -> int:
        """The descriptors of a worker that gets all that it may use."""
        return self.total(self.clients, MAX_SOCKETS, MAX_STREAMS)


def needs_of(routes: Routes, places: int, clients: int) -> Needs:
    """What a worker with these upstreams, at so many addresses, may take. clients: the bound of TCP connections."""
    transports = [route.upstream.transport for route in routes.upstreams]
    https = transports.count(HTTPS)
    datagrams = sum(
        route.upstream.transport == DNS and not routes.stanzas[route.stanza].force_tcp for route in routes.upstreams
    )
    return Needs(places, clients, datagrams, len(transports) - https, https)


def share(limit: int, needs: Needs) -> Files:
    """The bounds that fit into so many descriptors. Each is 1 at least, so they may still be too many.

    UDP sockets come first, but take a third at most; clients and streams share the rest, as far as both want more
    than half of it.
    """
    if needs.all <= limit:
        return Files(needs.clients)
    sockets = MAX_SOCKETS
    while sockets > 1 and 3 * TABLES * sockets * needs.datagrams > limit - needs.fixed:
        sockets -= 1
    left = max(0, limit - needs.total(0, sockets, 0))
    room = max(left // 2, left - needs.clients)
    streams = MAX_STREAMS
    while streams > 1 and needs.total(0, 0, streams) - needs.fixed > room:
        streams -= 1
    clients = max(1, min(needs.clients, limit - needs.total(0, sockets, streams)))
    return Files(clients, sockets, streams, needs.total(clients, sockets, streams) <= limit)


def complaints(limit: int, needs: Needs, files: Files) -> list[str]:
    """What a worker cannot have, for the log; nothing where all fits."""
    found = []
    remedy = f"raise the limit (ulimit -n) to {needs.all}"
    if files.clients < needs.clients:
        found.append(
            f"{limit} file descriptors leave room for {files.clients} TCP connections a worker, not "
            f"{needs.clients}; {remedy}, or set FASTDNS_MAX_TCP_CONNECTIONS"
        )
    upstreams = needs.framed + needs.https
    lost = []
    if needs.datagrams and files.sockets < MAX_SOCKETS:
        lost.append(f"{files.sockets} UDP sockets, not {MAX_SOCKETS}")
    if upstreams and files.streams < (MAX_STREAMS if needs.framed else MAX_HTTP2_STREAMS):
        lost.append(f"{files.streams} connections, not {MAX_STREAMS if needs.framed else MAX_HTTP2_STREAMS}")
    if lost:
        found.append(
            f"{limit} file descriptors leave room for {' and '.join(lost)}, to each of {upstreams} upstreams in a "
            f"worker; {remedy}"
        )
    if not files.enough:
        least = needs.total(1, 1, 1)
        found.append(f"{limit} file descriptors are too few: a worker may need {least}, and then some queries fail")
    return found


def supervisor_complaint(limit: int, workers: int, places: int, http_connections: int) -> str:
    """What to say where the supervisor cannot hold the sockets of all workers; "" where it can."""
    # Two descriptors an address and worker; two channels while a reload has two generations.
    needed = SUPERVISOR_FILES + 2 * workers * places + 2 * workers + http_connections
    if needed <= limit:
        return ""
    return (
        f"{limit} file descriptors may be too few for the sockets of {workers} workers at {places} addresses; "
        f"raise the limit (ulimit -n) to {needed}, or set FASTDNS_WORKERS"
    )
