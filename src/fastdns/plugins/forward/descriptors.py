"""The file descriptors that upstreams may take in a worker."""

from __future__ import annotations

from collections.abc import Sequence

from fastdns.plugins.api import Demand
from fastdns.plugins.forward.config import DNS, HTTPS
from fastdns.plugins.forward.routes import Routes

# Each thread of a worker that serves clients has a table of questions, with sockets of its own.
TABLES = 2
# As SOCKETS of engine/_sockets.pxd: more ports are more for a forger to guess.
MAX_SOCKETS = 16
# As pool.py has them: connections to one upstream over TCP or TLS, and over HTTP/2.
MAX_STREAMS, MAX_HTTP2_STREAMS = 128, 4


def demands(routes: Routes) -> Sequence[Demand]:
    """UDP sockets to each upstream, in each table of questions; and connections to it."""
    transports = [route.upstream.transport for route in routes.upstreams]
    datagrams = sum(
        route.upstream.transport == DNS and not routes.stanzas[route.stanza].force_tcp for route in routes.upstreams
    )
    https = transports.count(HTTPS)
    framed = len(transports) - https
    of = f"each of {len(transports)} upstreams"
    return (
        Demand("sockets", MAX_SOCKETS, TABLES * datagrams, "UDP sockets", of, first=True),
        Demand("streams", MAX_STREAMS, framed, "connections", of),
        Demand("http2_streams", MAX_HTTP2_STREAMS, https, "connections", of),
    )
