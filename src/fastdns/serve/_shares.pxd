"""What each client holds of a bounded room: no client takes all of it from the others.

A client gets no more once it holds over SHARE times what is still free. So it may have nearly all of an empty room,
and a client that holds little finds a place in a full one (dynamic thresholds: Choudhury and Hahne, 1998).

Clients are counted in two rows by different parts of a keyed hash, and hold what the smaller one says: a client
that shares one place with a flood does not share the other.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from fastdns.memory._hash cimport hash_bytes

cdef enum:
    CLIENT_SLOTS = 4096             # in each of the two rows
    SHARE = 8

# Where a client is counted.
cdef struct ClientSlots:
    uint16_t at[2]

# Zeroed memory with a seed that nobody knows.
cdef struct ClientShares:
    uint64_t seed
    uint32_t held[2][CLIENT_SLOTS]

cdef inline ClientSlots slots_of_client(const ClientShares* s, const uint8_t* client,
                                        uint32_t length) noexcept nogil:
    cdef uint64_t hashed = hash_bytes(s.seed, client, length)
    cdef ClientSlots slots
    slots.at[0] = hashed & (CLIENT_SLOTS - 1)
    slots.at[1] = (hashed >> 32) & (CLIENT_SLOTS - 1)
    return slots

cdef inline bint holds_too_much(const ClientShares* s, const ClientSlots* slots,
                                uint32_t free_units) noexcept nogil:
    cdef uint32_t one = s.held[0][slots.at[0]]
    cdef uint32_t other = s.held[1][slots.at[1]]
    return (one if one < other else other) > <uint64_t>SHARE * free_units

# units below 0: it gives them back.
cdef inline void hold_units(ClientShares* s, const ClientSlots* slots, int32_t units) noexcept nogil:
    s.held[0][slots.at[0]] += units
    s.held[1][slots.at[1]] += units
