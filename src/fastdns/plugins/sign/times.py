"""Times as text."""

from __future__ import annotations

import time


def written(when_s: float) -> str:
    """A time as CoreDNS's log has it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(when_s))


def rrsig_time(when_s: int) -> str:
    """A time as RRSIG records have it (RFC 4034 section 3.2)."""
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(when_s))
