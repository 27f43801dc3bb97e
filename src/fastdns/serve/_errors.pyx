"""Errors on their way to the log: see _errors.pxd."""

from libc.string cimport memcpy

from fastdns.memory._atomics cimport load, publish_u64
from fastdns.metrics.reasons import REASONS


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
