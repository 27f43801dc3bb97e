"""What a forward stanza of the Corefile says. It is the conf of the forward step, and never changes."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from fastdns.serve._exchanges cimport Observers

cdef enum:
    MAX_UPSTREAMS = 128             # of one worker
    MAX_STANZAS = 64

cdef enum Policy:
    RANDOM = 0
    ROUND_ROBIN = 1
    SEQUENTIAL = 2

# Names are in lowercased wire form.
cdef struct Stanza:
    uint16_t number                 # among all stanzas of the worker
    uint8_t policy
    bint force_tcp
    bint prefer_udp
    bint failfast
    bint next_on_nodata
    bint randomize_case
    bint probe_rd
    uint32_t max_fails
    uint32_t max_attempts           # failed ones; 0: as many as time allows
    uint32_t max_concurrent         # client queries, in all processes; 0: not bounded here
    uint32_t next_rcodes            # bit n: rcode n
    uint32_t failover_rcodes
    uint64_t read_timeout_ns
    uint64_t probe_interval_ns
    uint16_t upstream_count
    uint16_t upstreams[MAX_UPSTREAMS]   # their numbers in the engine
    const uint8_t* probe_name
    uint16_t probe_name_len
    const uint8_t* zone
    uint16_t zone_len
    uint16_t except_count
    const uint8_t** excepted
    const uint16_t* excepted_len
    Observers observers             # of the block
