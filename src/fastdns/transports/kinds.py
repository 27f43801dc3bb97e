"""What connections of each stream transport are made of, and what that needs of the host."""

from __future__ import annotations

from collections.abc import Collection

from fastdns.transports.table import GRPC, HTTPS, HTTPS3, QUIC

# By the scheme of a listener: the statuses that its responses may have.
OF_HTTP = ("200", "400", "404", "405", "413", "415", "431", "500", "501")
STATUSES = {
    HTTPS.scheme: OF_HTTP,
    HTTPS3.scheme: OF_HTTP,
    # Codes of RFC 9250 section 8.4.
    QUIC.scheme: ("0x0", "0x2"),
}


def prepare(schemes: Collection[str]) -> None:
    """Have what connections of these schemes need. Before the workers are forked, which share its memory. Raises
    FastdnsError where the host lacks a library."""
    if HTTPS.scheme in schemes or GRPC.scheme in schemes:
        from fastdns.transports import _nghttp2, https

        assert https
        _nghttp2.load()
    if GRPC.scheme in schemes:
        from fastdns.transports import grpc

        assert grpc
    if QUIC.scheme in schemes or HTTPS3.scheme in schemes:
        from fastdns.transports import doq, quic, quic_tls

        assert doq and quic and quic_tls
    if HTTPS3.scheme in schemes:
        from fastdns.transports import doh3

        assert doh3
