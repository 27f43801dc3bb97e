"""The header of the PROXY protocol: what is one, what it says, and what is none."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdns.dns._proxy_header import proxy_header
from tests.dns.proxy_headers import SIGNATURE, header, packed

pytestmark = pytest.mark.native

NO_HEADER, HEADER, NOT_WHOLE, MALFORMED = range(4)
V6 = "2001:db8::1"
GOOD = {
    "IPv4 over UDP": (header("192.0.2.1", 5353), "192.0.2.1", 5353),
    "IPv4 over TCP": (header("192.0.2.1", 5353, family=0x11), "192.0.2.1", 5353),
    "IPv4, no protocol given": (header("192.0.2.1", 5353, family=0x10), "192.0.2.1", 5353),
    "IPv6": (header(V6, 65535), V6, 65535),
    "IPv4 mapped into IPv6": (header("::ffff:192.0.2.1", 53), "192.0.2.1", 53),
    "values of types behind": (header("192.0.2.1", 1, more=b"\x04\x00\x03abc"), "192.0.2.1", 1),
    "the proxy itself asks": (header("192.0.2.1", 1, command=0x20), "", 0),
    "the proxy itself, nothing more": (header(command=0x20), "", 0),
    "no family": (header(more=b"something"), "", 0),
    "unix": (header(family=0x31, more=bytes(216)), "", 0),
    "text, IPv4": (b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 53\r\n", "192.0.2.1", 56324),
    "text, IPv6": (b"PROXY TCP6 2001:db8::1 2001:db8::2 1 53\r\n", V6, 1),
    "text, port 0": (b"PROXY TCP4 192.0.2.1 198.51.100.1 0 53\r\n", "192.0.2.1", 0),
    "text, unknown": (b"PROXY UNKNOWN\r\n", "", 0),
    "text, unknown with more": (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "", 0),
}
BAD = {
    "version 1 in binary": header("192.0.2.1", 1, command=0x11),
    "version 3": header("192.0.2.1", 1, command=0x31),
    "an unknown command": header("192.0.2.1", 1, command=0x22),
    "an unknown family": header(more=bytes(12), family=0x41),
    "an unknown protocol": header("192.0.2.1", 1, family=0x13),
    "addresses that are cut": header(more=bytes(11), family=0x12),
    "addresses of the other family": header(more=bytes(12), family=0x22),
    "longer than 2048 bytes": header("192.0.2.1", 1, more=bytes(2048)),
    "no carriage return": b"PROXY UNKNOWN\n",
    "no word": b"PROXY\r\n",
    "no end within 107 bytes": b"PROXY UNKNOWN " + b"x" * 93,
    "an unknown word": b"PROXY UDP4 192.0.2.1 198.51.100.1 1 53\r\n",
    "lower case": b"PROXY tcp4 192.0.2.1 198.51.100.1 1 53\r\n",
    "no address": b"PROXY TCP4 192.0.2 198.51.100.1 1 53\r\n",
    "no address to": b"PROXY TCP4 192.0.2.1 198.51.100 1 53\r\n",
    "of the other family": b"PROXY TCP4 ::1 ::2 1 53\r\n",
    "two spaces": b"PROXY TCP4  192.0.2.1 198.51.100.1 1 53\r\n",
    "a space behind": b"PROXY TCP4 192.0.2.1 198.51.100.1 1 53 \r\n",
    "a port too large": b"PROXY TCP4 192.0.2.1 198.51.100.1 65536 53\r\n",
    "a leading zero": b"PROXY TCP4 192.0.2.1 198.51.100.1 01 53\r\n",
    "no port to": b"PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n",
    "a sign": b"PROXY TCP4 192.0.2.1 198.51.100.1 +1 53\r\n",
    "a NUL in an address": b"PROXY TCP4 192.0.2.1\0x 198.51.100.1 1 53\r\n",
}
NONE = {
    "a query over UDP": bytes.fromhex("abcd01000001000000000000"),
    "its length on a stream": b"\0\x1d",
    "TLS": b"\x16\x03\x01\x02\x00",
    "almost the signature": SIGNATURE[:-1] + b"\r",
    "almost the word": b"PROXX",
    "lower case": b"proxy TCP4",
}


@pytest.mark.parametrize("case", GOOD)
def test_headers(case: str) -> None:
    data, client, port = GOOD[case]
    wanted = packed(client) if client else b""
    assert proxy_header(data) == (HEADER, len(data), wanted, port)
    # What stands behind it does not matter, and without its last byte it is not whole.
    assert proxy_header(data + data) == (HEADER, len(data), wanted, port)
    for size in range(len(data)):
        assert proxy_header(data[:size])[0] == NOT_WHOLE, size


@pytest.mark.parametrize("case", BAD)
def test_malformed(case: str) -> None:
    assert proxy_header(BAD[case])[0] == MALFORMED


@pytest.mark.parametrize("case", NONE)
def test_no_headers(case: str) -> None:
    assert proxy_header(NONE[case])[0] == NO_HEADER


@given(
    client=st.ip_addresses(),
    port=st.integers(0, 65535),
    more=st.binary(max_size=300),
    rest=st.binary(max_size=100),
)
def test_what_is_written_is_read(
    client: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, more: bytes, rest: bytes
) -> None:
    data = header(str(client), port, more=more)
    mapped = client.ipv4_mapped if isinstance(client, ipaddress.IPv6Address) else None
    assert proxy_header(data + rest) == (HEADER, len(data), (mapped or client).packed, port)


@given(start=st.sampled_from([b"", SIGNATURE, SIGNATURE + b"\x21", b"PROXY ", b"PROXY TCP4 "]), rest=st.binary())
def test_any_bytes(start: bytes, rest: bytes) -> None:
    data = start + rest
    found, size, address, port = proxy_header(data)
    assert found in (NO_HEADER, HEADER, NOT_WHOLE, MALFORMED)
    assert size <= len(data) and len(address) in (0, 4, 16) and 0 <= port <= 65535
    assert (size > 0) == (found == HEADER)
