"""The upstreams of a stanza over TCP (RFC 7766), TLS (RFC 7858), HTTPS (RFC 8484, by HTTP/2 and HTTP/3) and QUIC
(RFC 9250), on the event-loop thread.

An Ask is one query to one upstream; it ends once. Each upstream has a pool of connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from fastdns.plugins.forward.asks import Ask, Done
from fastdns.plugins.forward.config import DNS, ENCRYPTED, HTTP, HTTPS, HTTPS3, QUIC, TLS, Stanza
from fastdns.plugins.forward.dial import context_for
from fastdns.plugins.forward.padding import padded
from fastdns.plugins.forward.pool import Pool, kind_of
from fastdns.plugins.forward.texts import STOPPED, request_prefix
from fastdns.plugins.forward.upstreams import Shortage, Upstream

# The time in which connections may end after close. Then they are aborted.
CLOSE_S = 2.0
# The interval at which idle connections are checked.
SWEEP_S = 1.0

# The proto label of CoreDNS's metrics of upstreams, which has none of HTTP/3's own.
PROTO = {DNS: "tcp", TLS: "tcp-tls", HTTPS: "https", HTTPS3: "https", QUIC: "quic"}


class Streams:
    """The upstreams of a stanza over streams. It is used only on the event-loop thread.

    counters: (name, upstream's ``to``, proto) to a count, for HITS and MISSES: asks that found a connection, and
    connections that were dialed.
    """

    def __init__(
        self,
        upstreams: Sequence[Upstream],
        stanza: Stanza,
        loop: asyncio.AbstractEventLoop,
        max_connections: int | None = None,
    ) -> None:
        """Raises UpstreamError if the stanza's TLS files cannot be used. Nothing is dialed before the first ask.

        max_connections: the limit for one upstream, if it is lower than the usual one.
        """
        self.loop = loop
        self.stanza = stanza
        self.counters: dict[tuple[str, str, str], int] = {}
        self.closed = False
        self.sweeper: asyncio.TimerHandle | None = None
        contexts = {
            scheme: context_for(kind_of(scheme), stanza)
            for scheme in {upstream.transport for upstream in upstreams} - {DNS}
        }
        self.pools = [
            Pool(
                loop, upstream, stanza, contexts.get(upstream.transport), partial(self.count, upstream),
                self.watch_idle, max_connections,
            )
            for upstream in upstreams
        ]  # fmt: skip

    def ask(self, upstream_index: int, message: bytes, timeout_s: float, done: Done) -> Callable[[], None]:
        """Send a query to an upstream; over HTTPS with ID 0 instead of its own.

        message: 12 to 65535 bytes. timeout_s includes the dial. done is called once, after this method has
        returned: with the reply and "", or with None and the reason. The reason is a Shortage if the upstream was
        not asked. Of the reply, only the ID is checked. Returns a function that cancels the ask; done is then not
        called.
        """
        pool = self.pools[upstream_index]
        if pool.upstream.transport in HTTP:
            done = partial(_tell_with_prefix, done, self.stanza.doh_method, pool.to)
        if self.closed or pool.is_full():
            return self.loop.call_soon(done, None, STOPPED if self.closed else pool.full_error).cancel
        if pool.upstream.transport in ENCRYPTED:
            # Nothing but the length of queries can be seen there.
            message = padded(message)
        ask = Ask(self.loop, message, timeout_s, done)
        pool.start(ask)
        return ask.cancel

    async def close(self) -> None:
        """End all asks and later ones with STOPPED, and close all connections."""
        self.closed = True
        if self.sweeper is not None:
            self.sweeper.cancel()
        dials = [task for pool in self.pools for task in pool.dials]
        for pool in self.pools:
            pool.stop()
        await asyncio.gather(*dials, return_exceptions=True)
        # An upstream may never answer the end of TLS.
        ends = self.loop.time() + CLOSE_S
        while (left := [one for pool in self.pools for one in pool.connections]) and self.loop.time() < ends:
            await asyncio.sleep(0.001)
        for connection in left:
            if connection.transport is not None:
                connection.transport.abort()
        if left:
            # The event loop calls connection_lost in its next iteration. Over TLS it has failed to call it at all.
            await asyncio.sleep(0.001)
            for pool in self.pools:
                pool.connections.clear()

    def count(self, upstream: Upstream, name: str) -> None:
        """Count one event of an upstream."""
        key = (name, upstream.to, PROTO[upstream.transport])
        self.counters[key] = self.counters.get(key, 0) + 1

    def watch_idle(self) -> None:
        """A connection has become idle: check it later."""
        if self.sweeper is None and not self.closed:
            self.sweeper = self.loop.call_later(SWEEP_S, self.sweep)

    def sweep(self) -> None:
        """Close the connections that have been idle for too long."""
        self.sweeper = None
        for pool in self.pools:
            pool.sweep()
        if any(connection.idle for pool in self.pools for connection in pool.usable):
            self.watch_idle()


def _tell_with_prefix(done: Done, method: str, to: str, reply: bytes | None, error: str) -> None:
    text = f"{request_prefix(method, to)}{error}" if error else ""
    done(reply, Shortage(text) if isinstance(error, Shortage) else text)
