"""Errors on their way to the log and to the client: see _errors.pxd."""

from libc.string cimport memcpy

from fastdns.memory._atomics cimport load, publish_u64
from fastdns.metrics._stats cimport MAX_REASONS
from fastdns._wire cimport add_option, options_without
from fastdns.metrics.reasons import REASONS

cdef enum:
    OPTION_EDE = 15
    # Code and text.
    EXPLAINED_BYTES = 2 + 32

# By reason, as options have them; without a size: none.
cdef uint8_t explained[MAX_REASONS][EXPLAINED_BYTES]
cdef uint8_t explained_len[MAX_REASONS]


cdef void put_error(ErrorRing* ring, ThreadCounters* counters, const Query* q, uint16_t rcode, uint16_t reason,
                    uint16_t upstream, uint16_t block) noexcept nogil:
    cdef ErrorEvent* event
    if ring == NULL:
        return
    if ring.head - load(&ring.tail) >= ERROR_EVENTS:
        if counters != NULL:
            counters.errors_unlogged += 1
        return
    event = &ring.events[ring.head & (ERROR_EVENTS - 1)]
    event.rcode = rcode
    event.qtype = q.qtype
    event.name_len = q.name_len
    event.reason = reason
    event.upstream = upstream
    event.block = block
    memcpy(event.name, q.name, q.name_len)
    publish_u64(&ring.head, ring.head + 1)


cdef list take_events(ErrorRing* ring):
    cdef ErrorEvent* event
    cdef list taken = []
    while ring.tail != load(&ring.head):
        event = &ring.events[ring.tail & (ERROR_EVENTS - 1)]
        taken.append((event.block, event.rcode, event.name[:event.name_len], event.qtype,
                      REASONS[event.reason].text, event.upstream))
        publish_u64(&ring.tail, ring.tail + 1)
    return taken


def learn_reasons():
    """Take the extended errors of all reasons that are registered. Call in each process before it serves."""
    cdef bytes option
    for number, reason in enumerate(REASONS):
        if reason.ede is not None:
            option = (reason.ede.to_bytes(2, "big") + reason.name.encode())[:EXPLAINED_BYTES]
            memcpy(explained[<uint32_t>number], <const uint8_t*>option, len(option))
            explained_len[<uint32_t>number] = <uint8_t>len(option)


cdef void explain(Reply* r, uint32_t reason) noexcept nogil:
    if explained_len[reason] and options_without(r.added, r.added_len, OPTION_EDE, NULL) == r.added_len:
        add_option(r, OPTION_EDE, explained[reason], explained_len[reason])


cdef uint32_t explanation_bytes(uint32_t reason) noexcept nogil:
    return 4 + explained_len[reason] if explained_len[reason] else 0


cdef void add_extended_error(Reply* r, uint16_t code) noexcept nogil:
    cdef uint8_t option[2]
    option[0] = <uint8_t>(code >> 8)
    option[1] = <uint8_t>(code & 0xFF)
    add_option(r, OPTION_EDE, option, 2)
