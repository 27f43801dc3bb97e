"""Frame Streams, the side that sends: https://farsightsec.github.io/fstrm/, libmy's fstrm_control.

A data frame is its length and its bytes. A length of 0 begins a control frame: its own length, then its type and
fields. Before the data both sides agree on what it is: READY is answered by ACCEPT, then comes START. At the end
STOP is answered by FINISH.
"""

from __future__ import annotations

import asyncio
import struct

from fastdns.errors import FastdnsError

ACCEPT, START, STOP, READY, FINISH = 1, 2, 3, 4, 5
CONTENT_TYPE_FIELD = 1
CONTENT_TYPE = b"protobuf:dnstap.Dnstap"
# As libfstrm bounds them.
MAX_CONTROL_BYTES = 512


class FrameStreamError(FastdnsError):
    """The other side does not speak Frame Streams, or wants other data."""


def control(kind: int, *types: bytes) -> bytes:
    """A control frame, with content types."""
    fields = b"".join(struct.pack(">II", CONTENT_TYPE_FIELD, len(text)) + text for text in types)
    return struct.pack(">III", 0, 4 + len(fields), kind) + fields


def parse_control(body: bytes) -> tuple[int, list[bytes]]:
    """Type and content types of a control frame, without its two lengths. Raises FrameStreamError."""
    if len(body) < 4:
        raise FrameStreamError(f"a control frame of 4 bytes or more expected, got {len(body)}")
    (kind,) = struct.unpack_from(">I", body)
    types = []
    at = 4
    while at < len(body):
        if at + 8 > len(body):
            raise FrameStreamError("a control frame ends inside a field")
        field, size = struct.unpack_from(">II", body, at)
        at += 8
        if at + size > len(body):
            raise FrameStreamError("a control frame ends inside a field")
        if field == CONTENT_TYPE_FIELD:
            types.append(body[at : at + size])
        at += size
    return kind, types


async def read_control(reader: asyncio.StreamReader) -> tuple[int, list[bytes]]:
    """The next frame, which has to be a control frame. Raises FrameStreamError, asyncio.IncompleteReadError."""
    escape, size = struct.unpack(">II", await reader.readexactly(8))
    if escape != 0 or size > MAX_CONTROL_BYTES:
        raise FrameStreamError(
            f"a control frame of {MAX_CONTROL_BYTES} bytes at most expected, got {escape}, {size}"
        )
    return parse_control(await reader.readexactly(size))


async def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Agree on dnstap messages; then they may be written. Raises FrameStreamError, OSError, IncompleteReadError."""
    writer.write(control(READY, CONTENT_TYPE))
    kind, types = await read_control(reader)
    if kind != ACCEPT:
        raise FrameStreamError(f"a frame ACCEPT expected, got type {kind}")
    if types and CONTENT_TYPE not in types:
        raise FrameStreamError(f"the reader does not take {CONTENT_TYPE.decode()}")
    writer.write(control(START, CONTENT_TYPE))
