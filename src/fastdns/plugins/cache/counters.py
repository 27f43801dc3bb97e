"""What a cache counts in a zone, in the order of CacheCounter."""

from __future__ import annotations

NAMES = (
    "requests", "hits_success", "hits_denial", "misses", "prefetches", "drops", "served_stale", "evictions_success",
    "evictions_denial",
)  # fmt: skip
