"""Times that the API server and the endpoints' controller stamp on objects."""

from __future__ import annotations

from datetime import datetime


def seconds_since(stamp: str, now: float) -> float | None:
    """Seconds from an RFC 3339 time to now (Unix), or None where it is no such time."""
    try:
        at = datetime.fromisoformat(stamp)
    except ValueError:
        return None
    return None if at.tzinfo is None else now - at.timestamp()


def seconds_since_creation(stamp: str | None, now: float) -> float | None:
    """The same of Metadata's creationTimestamp: an RFC 3339 time, or seconds since 1970 where protobuf was read."""
    if not stamp:
        return None
    return now - int(stamp) if stamp.isdecimal() and stamp.isascii() else seconds_since(stamp, now)
