"""How much may wait: the room that a client, a stanza and ``max_concurrent`` leave.

Room is counted in units of 64 bytes of the engine's memory for messages. A place (an outstanding query) is worth
UNITS_A_PLACE. What a client query takes is counted for its client, by address, and for its stanza.

    client          has a share of what is free: see serve/_shares.pxd.
    stanza          where there are several, has seven eighths of the whole at most, so that a zone whose upstreams
                    are dead leaves room for zones whose upstreams are well.
    max_concurrent  bounds the client queries that wait at a stanza in all processes together.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset
from fastdns.plugins.forward.engine._reasons cimport CLIENT_SHARE, IN_FLIGHT, NONE_YET
from fastdns.metrics._stats cimport ThreadCounters
from fastdns.memory._atomics cimport load
from fastdns.memory._slabs cimport UNIT_BYTES
from fastdns.serve._shares cimport ClientShares, ClientSlots, hold_units, holds_too_much, slots_of_client
from fastdns.plugins.forward.engine._stanza cimport MAX_STANZAS, Stanza

cdef enum:
    PLACE_BYTES = 1024              # of memory for messages, for each place
    UNITS_A_PLACE = PLACE_BYTES // UNIT_BYTES
    STANZA_PARTS = 8                # of which one is never a single stanza's, where there are others
    MANY = 1 << 24                  # more than can wait
    OTHERS_NS = 1000000             # how old the sum over the other threads may be

# What a client query takes, from when it is suspended until it is resumed.
cdef struct Share:
    uint32_t units
    uint16_t stanza                 # its number
    ClientSlots client

cdef struct Quotas:
    ClientShares clients            # units that they hold
    uint32_t stanzas[MAX_STANZAS]
    uint32_t stanza_most            # units
    const ThreadCounters* counters  # this thread's
    const ThreadCounters* all_counters
    const uint64_t* counter_slots   # how many of all_counters were ever used
    uint64_t others_at_ns           # when others was last forgotten
    uint32_t others[MAX_STANZAS]    # client queries that wait for other threads, plus 1; 0: not summed up yet

cdef inline uint32_t less(uint32_t one, uint32_t other) noexcept nogil:
    return one if one < other else other

cdef inline void open_quotas(Quotas* q, uint64_t seed, uint32_t places, uint32_t all_units,
                             uint32_t stanzas) noexcept nogil:
    q.clients.seed = seed
    q.stanza_most = all_units
    if stanzas > 1:
        q.stanza_most = places * UNITS_A_PLACE // STANZA_PARTS * (STANZA_PARTS - 1)

# How many more client queries max_concurrent lets wait at the stanza, counting all threads of all workers.
cdef inline uint32_t concurrent_left(Quotas* q, const Stanza* stanza, uint64_t now_ns) noexcept nogil:
    cdef uint32_t slot, sum
    if stanza.max_concurrent == 0:
        return MANY
    if now_ns - q.others_at_ns > OTHERS_NS:
        q.others_at_ns = now_ns
        memset(q.others, 0, sizeof(q.others))
    if q.others[stanza.number] == 0:
        sum = 1
        for slot in range(load(q.counter_slots)):
            if &q.all_counters[slot] != q.counters:
                sum += q.all_counters[slot].waiting[stanza.number]
        q.others[stanza.number] = sum
    sum = q.counters.waiting[stanza.number] + q.others[stanza.number] - 1
    return less(stanza.max_concurrent - less(sum, stanza.max_concurrent), MANY)

# Fill in the rest of a share that has its units, and say why it may not be taken, or NONE_YET. free_units: what is
# free of the memory, the places and max_concurrent, each in units, and the least of them.
cdef inline uint8_t examine_share(const Quotas* q, Share* share, const Stanza* stanza, const uint8_t* client,
                                  uint32_t client_len, uint32_t free_units) noexcept nogil:
    # Only what is counted is looked at: that free memory is in pieces shows when it is taken.
    cdef uint32_t left = q.stanza_most - less(q.stanzas[stanza.number], q.stanza_most)
    share.stanza = stanza.number
    share.client = slots_of_client(&q.clients, client, client_len)
    if share.units > left:
        return IN_FLIGHT
    if holds_too_much(&q.clients, &share.client, less(left, free_units)):
        return CLIENT_SHARE
    return NONE_YET

cdef inline void hold_share(Quotas* q, const Share* share, int32_t units) noexcept nogil:
    hold_units(&q.clients, &share.client, units)
    q.stanzas[share.stanza] += units

cdef inline void take_share(Quotas* q, const Share* share) noexcept nogil:
    hold_share(q, share, <int32_t>share.units)

cdef inline void give_share(Quotas* q, const Share* share) noexcept nogil:
    hold_share(q, share, -<int32_t>share.units)
