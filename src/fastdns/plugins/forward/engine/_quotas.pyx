"""Who may wait: see _quotas.pxd."""

from libc.string cimport memset

from fastdns.serve._chain cimport ERROR_CLIENT_SHARE, ERROR_IN_FLIGHT, NO_ERROR
from fastdns.memory._store cimport hash_bytes
from fastdns.memory._atomics cimport load

cdef enum:
    STANZA_PARTS = 8                # of which one is never a single stanza's, where there are others
    MANY = 1 << 24                  # more than can wait
    OTHERS_NS = 1000000             # how old the sum over the other threads may be


cdef void open_quotas(Quotas* q, uint64_t seed, uint32_t places, uint32_t all_units,
                      uint32_t stanzas) noexcept nogil:
    q.seed = seed
    q.stanza_most = all_units
    if stanzas > 1:
        q.stanza_most = places * UNITS_A_PLACE // STANZA_PARTS * (STANZA_PARTS - 1)


cdef uint32_t concurrent_left(Quotas* q, const Stanza* stanza, uint64_t now_ns) noexcept nogil:
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


cdef uint8_t examine_share(const Quotas* q, Share* share, const Stanza* stanza, const uint8_t* client,
                           uint32_t client_len, uint32_t free_units) noexcept nogil:
    # Only what is counted is looked at: that free memory is in pieces shows when it is taken.
    cdef uint64_t hashed = hash_bytes(q.seed, client, client_len)
    cdef uint32_t left = q.stanza_most - less(q.stanzas[stanza.number], q.stanza_most)
    share.stanza = stanza.number
    share.slots[0] = hashed & (CLIENT_SLOTS - 1)
    share.slots[1] = (hashed >> 32) & (CLIENT_SLOTS - 1)
    if share.units > left:
        return ERROR_IN_FLIGHT
    if less(q.clients[0][share.slots[0]], q.clients[1][share.slots[1]]) > SHARE * less(left, free_units):
        return ERROR_CLIENT_SHARE
    return NO_ERROR
