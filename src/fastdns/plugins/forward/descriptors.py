"""The file descriptors that a worker may need for upstreams."""

from __future__ import annotations

from collections.abc import Sequence

from fastdns.plugins.api import Demand
from fastdns.plugins.forward.config import DNS, SHARED
from fastdns.plugins.forward.routes import Routes

# Each of a worker's two serving threads has an engine with sockets of its own.
TABLES = 2
# SOCKETS in engine/_sockets.pxd. With more ports, a forger has more to guess.
MAX_SOCKETS = 16
# The limits in pool.py: connections to one upstream over TCP or TLS, and over HTTP/2 or QUIC.
MAX_STREAMS, MAX_HTTP2_STREAMS = 128, 4


def demands(routes: Routes) -> Sequence[Demand]:
    """UDP sockets to each upstream, in each engine; and connections to it."""
    transports = [route.upstream.transport for route in routes.upstreams]
    datagrams = sum(
        route.upstream.transport == DNS and not routes.stanzas[route.stanza].force_tcp for route in routes.upstreams
    )
    shared = sum(transport in SHARED for transport in transports)
    framed = len(transports) - shared
    of = f"each of {len(transports)} upstreams"
    return (
        Demand("sockets", MAX_SOCKETS, TABLES * datagrams, "UDP sockets", of, first=True),
        Demand("streams", MAX_STREAMS, framed, "connections", of),
        Demand("http2_streams", MAX_HTTP2_STREAMS, shared, "connections", of),
    )
