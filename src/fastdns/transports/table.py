"""The table of transports. What differs between transports is asked of their rows, never of a name or a flag."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from fastdns.dns._framing import MAX_MESSAGE_BYTES

# How messages arrive. On a stream they have any size that a message may have. A datagram's reply has at most the
# bytes that its client has announced (RFC 6891 section 6.2.3), and without EDNS MIN_DATAGRAM_BYTES.
STREAM, DATAGRAM = "stream", "datagram"

# RFC 1035 section 2.3.4
MIN_DATAGRAM_BYTES = 512


@dataclass(frozen=True, slots=True)
class Transport:
    """One way for DNS messages to come and go.

    scheme: what stands before :// in the key of a server block. default_port: of a key that names no port.
    delivery: STREAM or DATAGRAM. proto: the protocol of its sockets, as CoreDNS's label proto has it. number: what
    native code knows it by, see serve/_context.pxd. alpn: what TLS negotiates on its streams, the best first.
    package, extra: what it needs that not every installation has, and the extra of fastdns that brings it.
    encrypted: it is not served without a certificate.
    """

    name: str
    scheme: str
    default_port: int
    delivery: str
    proto: str
    number: int
    alpn: tuple[str, ...] = ()
    package: str = ""
    extra: str = ""
    encrypted: bool = False

    @property
    def socket_kind(self) -> socket.SocketKind:
        """The kind of its sockets."""
        return socket.SOCK_DGRAM if self.proto == "udp" else socket.SOCK_STREAM

    @property
    def max_reply_bytes(self) -> int:
        """The largest reply to a client that announces nothing."""
        return MAX_MESSAGE_BYTES if self.delivery == STREAM else MIN_DATAGRAM_BYTES


UDP = Transport("udp", "dns", 53, DATAGRAM, "udp", 0)
TCP = Transport("tcp", "dns", 53, STREAM, "tcp", 1)
# RFC 7858 names none; RFC 9103 and the registry of ALPN have this.
TLS = Transport("tls", "tls", 853, STREAM, "tcp", 2, ("dot",))
HTTPS = Transport("https", "https", 443, STREAM, "tcp", 3, ("h2", "http/1.1"))
HTTPS3 = Transport("https3", "https3", 443, STREAM, "udp", 4, ("h3",), "qh3", "quic", True)
QUIC = Transport("quic", "quic", 853, STREAM, "udp", 5, ("doq",), "qh3", "quic", True)
GRPC = Transport("grpc", "grpc", 443, STREAM, "tcp", 6, ("h2",))

# Every transport that CoreDNS has, in the order of their numbers; with the ports of its plugin/pkg/transport.
TRANSPORTS = (UDP, TCP, TLS, HTTPS, HTTPS3, QUIC, GRPC)
# The transports that this version serves.
SERVED = (UDP, TCP, TLS, HTTPS, HTTPS3, QUIC, GRPC)

# The scheme of a key that names none.
DEFAULT_SCHEME = UDP.scheme
# What CoreDNS reads as a scheme. It has no server for unix.
SCHEMES = frozenset({*(transport.scheme for transport in TRANSPORTS), "unix"})
SERVED_SCHEMES = frozenset(transport.scheme for transport in SERVED)
DEFAULT_PORTS = {transport.scheme: transport.default_port for transport in TRANSPORTS}


def of_scheme(scheme: str) -> tuple[Transport, ...]:
    """The transports of a listener with this scheme."""
    return tuple(transport for transport in TRANSPORTS if transport.scheme == scheme)
