"""The rows of the transports, and what the Corefile makes of them."""

from __future__ import annotations

import re
import socket
from collections import Counter

import pytest

from fastdns.corefile import load
from fastdns.corefile.keys import parse_key
from fastdns.errors import CorefileError
from fastdns.transports.table import (
    DATAGRAM,
    DEFAULT_PORTS,
    GRPC,
    HTTPS,
    HTTPS3,
    QUIC,
    SCHEMES,
    SERVED,
    SERVED_SCHEMES,
    STREAM,
    TCP,
    TLS,
    TRANSPORTS,
    UDP,
    Transport,
)
from tests.reading import ROOT


def test_rows_are_distinct() -> None:
    assert Counter(transport.name for transport in TRANSPORTS).most_common(1)[0][1] == 1
    by_scheme = Counter((transport.scheme, transport.delivery) for transport in TRANSPORTS)
    assert by_scheme.most_common(1)[0][1] == 1, "a scheme has one transport of each delivery at most"
    assert set(SERVED) <= set(TRANSPORTS)


@pytest.mark.parametrize("transport", TRANSPORTS, ids=lambda transport: transport.name)
def test_a_row_is_whole(transport: Transport) -> None:
    assert transport.delivery in (STREAM, DATAGRAM) and transport.proto in ("udp", "tcp")
    assert parse_key(f"{transport.scheme}://example.org").scheme == transport.scheme
    assert transport.socket_kind == (socket.SOCK_DGRAM if transport.proto == "udp" else socket.SOCK_STREAM)
    assert transport.max_reply_bytes == (512 if transport.delivery == DATAGRAM else 65535)


def test_ports_as_they_are_assigned() -> None:
    """RFC 1035 section 4.2, RFC 7858 section 3.1, RFC 8484 as any https URI, RFC 9250 section 4.1.1."""
    assert DEFAULT_PORTS == {"dns": 53, "tls": 853, "https": 443, "https3": 443, "quic": 853, "grpc": 443}


def test_native_code_knows_them_by_their_places() -> None:
    """OVER_UDP, OVER_TCP, ...: see serve/_context.pxd."""
    assert [transport.number for transport in TRANSPORTS] == [*range(len(TRANSPORTS))]
    assert SERVED == (UDP, TCP, TLS, HTTPS, HTTPS3, QUIC, GRPC)


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_a_key_of_each_scheme(scheme: str) -> None:
    """What is not served is an error that names the transport."""
    if scheme in {QUIC.scheme, HTTPS3.scheme}:
        pytest.importorskip("qh3")
    text = f"{scheme}://example.org {{\ntls cert.pem key.pem\nwhoami\n}}"
    if scheme in SERVED_SCHEMES:
        assert [listener.port for listener in load(text, environ={}).listeners] == [DEFAULT_PORTS[scheme]]
    else:
        with pytest.raises(CorefileError) as caught:
            load(text, environ={})
        expected = f"the transport {scheme} is not available in this version of fastdns"
        assert expected in str(caught.value) and caught.value.line == 1


def test_rows_have_the_numbers_of_native_code() -> None:
    declared = (ROOT / "src/fastdns/serve/_context.pxd").read_text()
    rows = re.findall(r"^    OVER_(\w+) = (\d+)$", declared, re.MULTILINE)
    numbers = {name.lower(): int(number) for name, number in rows}
    assert numbers == {transport.name: transport.number for transport in TRANSPORTS}
    # What native code says of them is what their rows say.
    streams = {transport.name for transport in TRANSPORTS if transport.delivery == STREAM}
    assert streams == set(numbers) - {"udp"}
    over_udp = {transport.name for transport in TRANSPORTS if transport.proto == "udp"}
    [body] = re.findall(r"proto_of\(uint8_t transport\).*\n    return (.*)", declared)
    assert over_udp == {name.lower() for name in re.findall(r"OVER_(\w+)", body)}
