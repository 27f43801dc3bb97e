"""Asking a primary server, over TCP. Each question has a connection of its own, and bounds.

A message has MESSAGE_S from the one before, so one that comes byte by byte ends the transfer; LIMIT_S bounds all
that one look at a primary takes (looking.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import struct
from collections.abc import AsyncIterator

from fastdns.dns._framing import framed
from fastdns.plugins.secondary._incoming import Incoming, serial_in

CONNECT_S = 5.0
MESSAGE_S = 10.0
# Of one zone, as of a zone file (zonefiles/reading.py). Bytes count unpacked.
MAX_RRS = 20_000_000
MAX_BYTES = 1 << 30
# Of differences: a change of each name costs more than the whole zone.
MAX_CHANGES = 100_000

SOA, IXFR, AXFR = 6, 251, 252

# ID, flags, and how many records each section has.
HEADER = struct.Struct("!6H")
CLASS_IN = 1

Primary = tuple[str, int]


def question(zone: bytes, kind: int, number: int, serial: int | None = None) -> bytes:
    """A query for SOA, AXFR, or IXFR from a serial on. Of the known version only the serial matters (RFC 1995
    section 3)."""
    made = HEADER.pack(number, 0, 1, 0, 0 if serial is None else 1, 0) + zone + struct.pack("!HH", kind, CLASS_IN)
    if serial is None:
        return made
    soa = b"\0\0" + struct.pack("!I", serial) + bytes(16)
    return made + zone + struct.pack("!HHIH", SOA, CLASS_IN, 0, len(soa)) + soa


@contextlib.asynccontextmanager
async def asked(primary: Primary, message: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """A connection on which a message has been sent. Raises OSError, TimeoutError."""
    async with asyncio.timeout(CONNECT_S):
        reader, writer = await asyncio.open_connection(*primary)
    try:
        writer.write(framed(message))
        yield reader
    finally:
        writer.transport.abort()


async def next_message(reader: asyncio.StreamReader) -> bytes:
    """Raises OSError, EOFError, TimeoutError."""
    async with asyncio.timeout(MESSAGE_S):
        size = int.from_bytes(await reader.readexactly(2), "big")
        return await reader.readexactly(size)


async def serial_at(primary: Primary, zone: bytes) -> int:
    """The serial that a primary has. Raises OSError, EOFError, TimeoutError, SourceError."""
    number = secrets.randbelow(1 << 16)
    async with asked(primary, question(zone, SOA, number)) as reader:
        return serial_in(await next_message(reader), zone, number)


async def transfer(
    primary: Primary,
    zone: bytes,
    *,
    serial: int | None = None,
    wanted: frozenset[int] = frozenset(),
    max_rrs: int = MAX_RRS,
) -> Incoming:
    """A zone, or what has changed in it since it had a serial. wanted, max_rrs: see Incoming.

    Raises OSError, EOFError, TimeoutError, SourceError.
    """
    kind = AXFR if serial is None else IXFR
    number = secrets.randbelow(1 << 16)
    bounds = {"max_rrs": max_rrs, "max_bytes": MAX_BYTES, "max_changes": MAX_CHANGES}
    incoming = Incoming(zone, kind, number, serial=serial, wanted=wanted, **bounds)
    async with asked(primary, question(zone, kind, number, serial)) as reader:
        while not incoming.take(await next_message(reader)):
            # What has come already does not hold up the rest of the watcher.
            await asyncio.sleep(0)
    return incoming
