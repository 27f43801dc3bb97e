"""Health checks: see _probes.pxd."""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy, memset

from fastdns._wire cimport CLASS_IN, FLAG_RD, HEADER_BYTES, put_u16
from fastdns.memory._slabs cimport take_block
from fastdns.plugins.forward.engine._attempts cimport start_attempt
from fastdns.plugins.forward.engine._selection cimport place_of, upstream_at
from fastdns.plugins.forward.engine._state cimport DEADLINE_MS, NONE, PROBE_TIMEOUT_MS, Outstanding, Upstream
from fastdns.plugins.forward.engine._table cimport detach, give_place, schedule, take_place

cdef enum:
    TYPE_NS = 2
    NS_PER_MS = 1000000


cdef inline Upstream* probed(Engine* e, const Outstanding* o) noexcept nogil:
    return upstream_at(e, o.stanza, o.first)


cdef void start_probe(Engine* e, const Stanza* stanza, uint32_t upstream) noexcept nogil:
    cdef Upstream* u = &e.upstreams[upstream]
    cdef Outstanding* o
    cdef uint32_t place
    cdef uint8_t* query
    cdef uint32_t size = HEADER_BYTES + stanza.probe_name_len + 4
    if stanza.max_fails == 0 or u.health.probing:
        return
    place = take_place(e)
    query = take_block(&e.memory, size) if place != NONE else NULL
    if query == NULL:
        if place != NONE:
            give_place(e, place)
        return
    o = &e.table[place]
    memset(query, 0, HEADER_BYTES)
    put_u16(query + 2, FLAG_RD if stanza.probe_rd else 0)
    query[5] = 1
    memcpy(query + HEADER_BYTES, stanza.probe_name, stanza.probe_name_len)
    put_u16(query + size - 4, TYPE_NS)
    put_u16(query + size - 2, CLASS_IN)
    o.probe = True
    o.stanza = stanza
    o.stream = stanza.force_tcp
    o.query = query
    o.query_len = size
    o.name_len = stanza.probe_name_len
    o.first = place_of(stanza, upstream)
    u.health.probing = True
    send_probe(e, place)


cdef void send_probe(Engine* e, uint32_t place) noexcept nogil:
    cdef Outstanding* o = &e.table[place]
    cdef Upstream* u = probed(e, o)
    o.started_ns = e.now_ns
    o.deadline_ns = e.now_ns + <uint64_t>DEADLINE_MS * NS_PER_MS
    if not start_attempt(e, place, o.stanza.upstreams[o.first], o.stream):
        if not (o.stream or u.stream_only or u.pool.short):
            # There is no way to it. Where there is no room for a probe, nobody knows how the upstream is.
            u.health.failed_probes += 1
        o.hedge_ns = e.now_ns + o.stanza.probe_interval_ns
        schedule(e, place)
        return
    if not o.attempts[0].unsent:
        o.hedge_ns = 0
    schedule(e, place)


cdef void probe_answered(Engine* e, uint32_t place) noexcept nogil:
    cdef Upstream* u = probed(e, &e.table[place])
    u.health.probing = False
    u.health.failed_probes = 0
    u.health.silences = 0
    detach(e, place)
    give_place(e, place)


cdef void probe_failed(Engine* e, uint32_t place, bint shortage) noexcept nogil:
    cdef Outstanding* o = &e.table[place]
    cdef Upstream* u = probed(e, o)
    if not shortage:
        u.health.failed_probes += 1
        u.counters.failed_probes += 1
    # Then it is sent again.
    o.hedge_ns = o.started_ns + <uint64_t>PROBE_TIMEOUT_MS * NS_PER_MS + o.stanza.probe_interval_ns
    o.deadline_ns = o.hedge_ns + <uint64_t>DEADLINE_MS * NS_PER_MS
    schedule(e, place)


cdef void probe_due(Engine* e, uint32_t place) noexcept nogil:
    if e.table[place].hedge_ns <= e.now_ns:
        send_probe(e, place)
    else:
        schedule(e, place)
