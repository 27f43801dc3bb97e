"""Padding of queries to upstreams whose connections are encrypted (RFC 7830, RFC 8467)."""

from __future__ import annotations

# RFC 8467 section 4.1: of queries.
BLOCK_BYTES = 128
PADDING = b"\0\x0c"
OPTION_HEAD_BYTES = 4
# One question, and one additional record: of a message of the engine's that is the OPT record (_relay.pyx).
COUNTS = b"\0\1\0\0\0\0\0\1"
QUESTION_TAIL_BYTES = 4
# Where an OPT record's length stands, behind its one byte of a name.
LENGTH_AT = 9


def padded(message: bytes) -> bytes:
    """The query, of a size that is a multiple of BLOCK_BYTES; as it is if it has no OPT record, or is padded."""
    if message[4:12] != COUNTS:
        return message
    at = 12
    while message[at]:
        at += 1 + message[at]
    length_at = at + 1 + QUESTION_TAIL_BYTES + LENGTH_AT
    option_at = length_at + 2
    while option_at < len(message):
        if message[option_at : option_at + 2] == PADDING:
            return message
        option_at += OPTION_HEAD_BYTES + int.from_bytes(message[option_at + 2 : option_at + 4], "big")
    fill = -(len(message) + OPTION_HEAD_BYTES) % BLOCK_BYTES
    length = len(message) - length_at - 2 + OPTION_HEAD_BYTES + fill
    return b"".join(
        (
            message[:length_at], length.to_bytes(2, "big"), message[length_at + 2 :], PADDING,
            fill.to_bytes(2, "big"), bytes(fill),
        )
    )  # fmt: skip
