"""How much of the cache's ring a record takes."""

from __future__ import annotations

RECORD_HEADER_BYTES = 40


def record_bytes(key: bytes, payload: bytes) -> int:
    """What a record takes of the ring, in bytes."""
    return -(-(RECORD_HEADER_BYTES + len(key) + len(payload)) // 16) * 16
