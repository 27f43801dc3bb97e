"""Errors on their way to the log: see _errors.pxd."""

from libc.string cimport memcpy

from fastdns.memory._atomics cimport load, publish_u64

# What the errors plugin prints; {} is the upstream's address.
ERROR_TEXTS = {
    ERROR_NO_NEXT_PLUGIN: "no next plugin found",
    ERROR_NO_HEALTHY: "no healthy proxies",
    ERROR_TIMEOUT: "read udp {}: i/o timeout",
    ERROR_REFUSED: "read udp {}: connection refused",
    ERROR_MALFORMED: "{}: malformed reply",
    ERROR_MAX_CONCURRENT: "concurrent queries exceeded maximum",
    ERROR_IN_FLIGHT: "too many queries in flight",
    ERROR_STREAM: "{}: connection failed",
    ERROR_REPLAYS: "upstream answers changed too often",
    ERROR_SEND: "write udp {}: send failed",
    ERROR_CLIENT_SHARE: "client has too many queries in flight",
    ERROR_TOO_LONG: "query is too long to be forwarded",
}


cdef void put_error(ErrorRing* ring, ThreadCounters* counters, const Query* q, uint16_t rcode, uint8_t reason,
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
                      ERROR_TEXTS[event.reason], event.upstream))
        publish_u64(&ring.tail, ring.tail + 1)
    return taken
