"""What a cache counts in a zone, from its first counter on; counters.py has their names."""

cdef enum CacheCounter:
    CACHE_REQUESTS = 0
    CACHE_HITS = 1              # of success; of denial in the next
    CACHE_MISSES = 3
    CACHE_PREFETCHES = 4        # refreshes that nobody waits for
    CACHE_DROPS = 5             # replies that were to be kept, and were too large
    CACHE_SERVED_STALE = 6
    CACHE_EVICTIONS = 7         # of success; of denial in the next
