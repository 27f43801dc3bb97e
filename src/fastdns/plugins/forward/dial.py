"""Opens a connection to an upstream, with the options of its stanza, up to the end of the TLS handshake."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from fastdns.netaddrs import socket_address, zone_of
from fastdns.plugins.forward.config import Stanza
from fastdns.plugins.forward.connection import StreamConnection
from fastdns.plugins.forward.texts import dial_error, dialing
from fastdns.plugins.forward.upstreams import Upstream, tls_context

if TYPE_CHECKING:
    from fastdns.plugins.forward.quic import QuicConnection

# To exchange close_notify (RFC 8446 section 6.1) before the socket is closed.
TLS_SHUTDOWN_S = 1.0


class DialError(Exception):
    """A connection could not be opened. reason: the error of the asks that wait for it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def context_for(kind: type[StreamConnection], stanza: Stanza) -> ssl.SSLContext:
    """The TLS context of a stanza's connections of this kind. Raises UpstreamError if its files cannot be used."""
    context = tls_context(stanza)
    if kind.alpn is not None:
        context.set_alpn_protocols([kind.alpn])
    return context


async def dial(
    loop: asyncio.AbstractEventLoop,
    upstream: Upstream,
    stanza: Stanza,
    context: ssl.SSLContext | None,
    make: Callable[[], StreamConnection],
    *,
    datagrams: bool = False,
) -> StreamConnection:
    """Open a connection, including the TLS handshake. context: None without TLS. datagrams: over UDP, by QUIC.
    Raises DialError."""
    step = "socket"
    kind = socket.SOCK_DGRAM if datagrams else socket.SOCK_STREAM
    try:
        sock = socket.socket(_family(upstream.address), kind)
        try:
            sock.setblocking(False)
            if not datagrams:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if stanza.source_address is not None:
                step = "bind"
                _bind(sock, stanza.source_address)
            step = "connect"
            if datagrams:
                sock.connect(socket_address(upstream.address, upstream.port))
                step = "handshake"
                return await _shake(loop, sock, make)
            # As text with its zone: of a socket's address in numbers the loop takes two.
            await loop.sock_connect(sock, (upstream.address, upstream.port))
            step = "handshake"
            return await _handshake(loop, sock, upstream, context, make)
        except BaseException:
            sock.close()
            raise
    except OSError as error:
        begin = dialing(stanza.source_address, upstream.to)
        raise DialError(dial_error(begin, step, error, upstream)) from None


def _bind(sock: socket.socket, source_address: str) -> None:
    if zone_of(source_address) and sock.family != socket.AF_INET6:
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
    sock.bind(socket_address(source_address, 0))


async def _handshake(
    loop: asyncio.AbstractEventLoop,
    sock: socket.socket,
    upstream: Upstream,
    context: ssl.SSLContext | None,
    make: Callable[[], StreamConnection],
) -> StreamConnection:
    """Make the connection of a connected socket, with TLS if there is a context."""
    if context is None:
        return (await loop.create_connection(make, sock=sock))[1]
    transport, connection = await loop.create_connection(
        make,
        sock=sock,
        ssl=context,
        server_hostname=upstream.verified_name,
        ssl_shutdown_timeout=TLS_SHUTDOWN_S,
    )
    protocol = transport.get_extra_info("ssl_object").selected_alpn_protocol()
    if connection.alpn is not None and protocol != connection.alpn:
        connection.end("")
        raise DialError(f'http2: unexpected ALPN protocol "{protocol or ""}"; want "{connection.alpn}"')
    return connection


async def _shake(
    loop: asyncio.AbstractEventLoop, sock: socket.socket, make: Callable[[], StreamConnection]
) -> StreamConnection:
    """Make the connection of a connected UDP socket, up to the end of QUIC's handshake."""
    _, protocol = await loop.create_datagram_endpoint(cast("Callable[[], QuicConnection]", make), sock=sock)
    try:
        error = await protocol.shaken
    except BaseException:
        protocol.lose("")
        raise
    if error:
        raise DialError(error)
    return protocol


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
