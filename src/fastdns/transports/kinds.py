"""What connections of each scheme are made of, and what they need of the host."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastdns.transports.table import GRPC, HTTPS, HTTPS3, QUIC, TCP, TLS

if TYPE_CHECKING:
    from fastdns.transports.https import HttpsConnection
    from fastdns.transports.quic_connection import QuicConnection
    from fastdns.transports.stream import ClientStream


def _framed() -> type[ClientStream]:
    from fastdns.transports.tcp import TcpConnection

    return TcpConnection


def _https() -> type[HttpsConnection]:
    from fastdns.transports import _nghttp2
    from fastdns.transports.https import HttpsConnection

    _nghttp2.load()
    return HttpsConnection


def _grpc() -> type[HttpsConnection]:
    _https()
    from fastdns.transports.grpc import GrpcConnection

    return GrpcConnection


def _quic() -> type[QuicConnection]:
    from fastdns.transports import quic, quic_tls
    from fastdns.transports.doq import DoqConnection

    assert quic and quic_tls
    return DoqConnection


def _https3() -> type[QuicConnection]:
    _quic()
    from fastdns.transports.doh3 import Doh3Connection

    return Doh3Connection


@dataclass(frozen=True, slots=True)
class Kind:
    """connection: has what the connections of a scheme need, and returns their class; raises FastdnsError where the
    host lacks a library. statuses: that the responses of a listener may have."""

    connection: Callable[[], type]
    statuses: tuple[str, ...] = ()


OF_HTTP = ("200", "400", "404", "405", "413", "415", "431", "500", "501")
KINDS = {
    TCP.scheme: Kind(_framed),
    TLS.scheme: Kind(_framed),
    HTTPS.scheme: Kind(_https, OF_HTTP),
    GRPC.scheme: Kind(_grpc),
    HTTPS3.scheme: Kind(_https3, OF_HTTP),
    # Codes of RFC 9250 section 8.4.
    QUIC.scheme: Kind(_quic, ("0x0", "0x2")),
}


def prepare(schemes: Collection[str]) -> None:
    """Have what connections of these schemes need. Before the workers are forked, which share its memory. Raises
    FastdnsError where the host lacks a library."""
    for scheme in schemes:
        KINDS[scheme].connection()
