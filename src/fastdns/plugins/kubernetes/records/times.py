"""Times of annotations."""

from __future__ import annotations

from datetime import datetime


def seconds_since(stamp: str, now: float) -> float | None:
    """Seconds from an RFC 3339 time to now (Unix), or None where it is no such time."""
    try:
        at = datetime.fromisoformat(stamp)
    except ValueError:
        return None
    return None if at.tzinfo is None else now - at.timestamp()
