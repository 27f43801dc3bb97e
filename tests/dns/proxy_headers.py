"""Headers of the PROXY protocol, version 2, as a proxy writes them."""

from __future__ import annotations

import ipaddress
import struct

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def packed(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


def header(
    client: str = "", port: int = 0, *, command: int = 0x21, family: int | None = None, more: bytes = b""
) -> bytes:
    """A header of version 2. family: the byte of family and protocol."""
    addresses = b""
    if client:
        address = packed(client)
        addresses = address + bytes(len(address)) + struct.pack("!HH", port, 53)
        if family is None:
            family = 0x12 if len(address) == 4 else 0x22
    addresses += more
    return SIGNATURE + bytes([command, family or 0]) + struct.pack("!H", len(addresses)) + addresses
