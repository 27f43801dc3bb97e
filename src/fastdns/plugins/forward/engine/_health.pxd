"""What one thread knows of how an upstream is doing: round-trip time, silences, failed probes.

    suspect   silent several times in a row: other upstreams are asked first, for DOUBT_MS; then one query tries it
              again, as only a query can tell that an upstream without probes is back.
    down      more probes in a row have failed than the stanza's max_fails.
"""

from libc.stdint cimport uint32_t, uint64_t
from fastdns.plugins.forward.engine._stanza cimport Stanza

cdef enum:
    SUSPECT_SILENCES = 2
    DOUBT_MS = 5000
    RTO_INITIAL_MS = 400
    RTO_MIN_MS = 150
    RTO_MAX_MS = 1000
    NS_PER_MS = 1000000

# Zeroed memory is the health of an upstream that nothing is known of.
cdef struct Health:
    uint64_t srtt_ns                # 0: not measured
    uint64_t rttvar_ns
    uint64_t doubted_ns             # when it was last found to be silent, or was tried again all the same
    uint32_t silences               # in a row
    uint32_t failed_probes          # in a row
    bint probing

cdef inline bint is_down(const Health* h, const Stanza* stanza) noexcept nogil:
    return stanza.max_fails != 0 and h.failed_probes > stanza.max_fails

cdef inline bint is_suspect(const Health* h) noexcept nogil:
    return h.silences >= SUSPECT_SILENCES

# Whether other upstreams are asked first.
cdef inline bint is_doubtful(const Health* h, uint64_t now_ns) noexcept nogil:
    return is_suspect(h) and now_ns - h.doubted_ns < <uint64_t>DOUBT_MS * NS_PER_MS

cdef inline void was_silent(Health* h, uint64_t now_ns) noexcept nogil:
    h.silences += 1
    h.doubted_ns = now_ns

# How long a reply may usually take (RFC 6298 section 2).
cdef inline uint64_t usual_ns(const Health* h) noexcept nogil:
    cdef uint64_t rto
    if h.srtt_ns == 0:
        return <uint64_t>RTO_INITIAL_MS * NS_PER_MS
    rto = h.srtt_ns + 4 * h.rttvar_ns
    if rto < <uint64_t>RTO_MIN_MS * NS_PER_MS:
        return <uint64_t>RTO_MIN_MS * NS_PER_MS
    return rto if rto < <uint64_t>RTO_MAX_MS * NS_PER_MS else <uint64_t>RTO_MAX_MS * NS_PER_MS

cdef inline void measure(Health* h, uint64_t took_ns) noexcept nogil:
    cdef uint64_t off
    if h.srtt_ns == 0:
        h.srtt_ns = took_ns | 1
        h.rttvar_ns = took_ns // 2
        return
    off = took_ns - h.srtt_ns if took_ns > h.srtt_ns else h.srtt_ns - took_ns
    h.rttvar_ns = (3 * h.rttvar_ns + off) // 4
    h.srtt_ns = (7 * h.srtt_ns + took_ns) // 8 | 1
