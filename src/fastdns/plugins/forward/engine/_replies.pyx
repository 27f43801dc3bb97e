"""Replies of upstreams: see _replies.pxd."""

from libc.stdint cimport uint16_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from fastdns.plugins.forward.engine._reasons cimport MALFORMED
from fastdns.plugins.forward._relay cimport MAX_ASKED_BYTES, is_bare_error, write_error
from fastdns.metrics._stats cimport RCODE_SLOTS, duration_bucket
from fastdns._wire cimport (
    ACCEPTED, FLAG_QR, FLAG_TC, FORMERR, HEADER_BYTES, NOTIMP, REFUSED, SERVFAIL, accept, reply_reset,
)
from fastdns.dns._replies cimport answers_question, parse_reply
from fastdns.memory._slabs cimport MAX_BLOCK_BYTES, give_block, take_block
from fastdns.plugins.forward.engine._attempts cimport start_attempt, stream_failed
from fastdns.plugins.forward.engine._delivery cimport end_with
from fastdns.plugins.forward.engine._health cimport measure, usual_ns
from fastdns.plugins.forward.engine._observed cimport is_observed, tell_reply
from fastdns.plugins.forward.engine._probes cimport probe_answered
from fastdns.plugins.forward.engine._retries cimport ask_next, attempt_failed, go_on
from fastdns.plugins.forward.engine._shared cimport avoids_streams, stream_works
from fastdns.plugins.forward.engine._state cimport OVER_DATAGRAMS, Attempt, Outstanding, Upstream
from fastdns.plugins.forward.engine._table cimport end_attempt, schedule

cdef enum:
    MALFORMED_NS = 100000000        # for a reply that can be read, after one that cannot


cdef inline uint32_t worth(const uint8_t* msg) noexcept nogil:
    """Of a reply that others may better: 0 for an error, 1 for a truncated one, 2 where that has answers."""
    if not msg[2] & (FLAG_TC >> 8) or msg[3] & 0xF:
        return 0
    return 2 if msg[6] | msg[7] else 1


cdef inline bint is_error(uint32_t rcode) noexcept nogil:
    """Whether a code says that the upstream will not or cannot answer."""
    return rcode == SERVFAIL or rcode == REFUSED or rcode == FORMERR or rcode == NOTIMP


cdef void keep_fallback(Engine* e, Outstanding* o, const uint8_t* msg, uint32_t size,
                        const Upstream* u) noexcept nogil:
    """Remember a reply that others may better: the last, but a truncated one that is good is better than an error.

    Of one that is too long for a block the question and the flags remain.
    """
    cdef uint8_t* block
    cdef uint32_t kept = size if size <= MAX_BLOCK_BYTES else HEADER_BYTES + o.name_len + 4
    if o.fallback != NULL and worth(msg) <= worth(o.fallback) and worth(o.fallback) > 0:
        return
    block = take_block(&e.memory, kept)
    if block == NULL:
        return
    if o.fallback != NULL:
        give_block(&e.memory, o.fallback)
    memcpy(block, msg, kept)
    if kept < size:
        memset(block + 6, 0, 6)
    o.fallback = block
    o.fallback_len = kept
    o.fallback_upstream = u.slot


cdef void wait_for_better(Engine* e, uint32_t place, uint32_t which, uint64_t wait_ns) noexcept nogil:
    """A datagram that cannot be read, or an error that may be anybody's, must not displace a reply to the question:
    that has a moment to come. Another upstream is asked."""
    cdef Attempt* a = &e.table[place].attempts[which]
    if not a.malformed:
        a.malformed = True
        if a.expires_ns > e.now_ns + wait_ns:
            a.expires_ns = e.now_ns + wait_ns
        ask_next(e, place, False)
        schedule(e, place)


cdef void believe_error(Engine* e, uint32_t place, uint32_t which) noexcept nogil:
    cdef Outstanding* o = &e.table[place]
    cdef Attempt* a = &o.attempts[which]
    cdef uint8_t msg[MAX_ASKED_BYTES]
    cdef uint32_t size = write_error(o.query, o.name_len, a.error_flags, msg)
    e.upstreams[a.upstream].health.silences = 0
    take_reply(e, place, which, msg, size, a.error_flags & 0xF, a.error_ns - a.sent_ns)


cdef void take_reply(Engine* e, uint32_t place, uint32_t which, const uint8_t* msg, uint32_t size, uint32_t rcode,
                     uint64_t took_ns) noexcept nogil:
    """A reply that is the upstream's: it ends the query, unless another upstream may have a better one."""
    cdef Outstanding* o = &e.table[place]
    cdef Upstream* u = &e.upstreams[o.attempts[which].upstream]
    if rcode >= RCODE_SLOTS:
        rcode = RCODE_SLOTS - 1
    u.counters.duration[rcode][duration_bucket(took_ns)] += 1
    u.counters.duration_sum_ns[rcode] += took_ns
    if o.attempts[which].state != OVER_DATAGRAMS:
        if is_error(rcode) and o.fallback != NULL and worth(o.fallback) == 2:
            # The records that are there are better; another upstream may have all of them.
            if rcode == REFUSED or rcode == NOTIMP:
                # Said of the way, not of this question.
                stream_failed(e, o, u)
            u.counters.passed_over += 1
            end_attempt(e, place, which)
            go_on(e, place, False)
            return
        stream_works(u.shared)
    if (rcode == SERVFAIL or (o.stanza.failover_rcodes >> rcode) & 1) and o.stanza.upstream_count > 1:
        u.counters.passed_over += 1
        keep_fallback(e, o, msg, size, u)
        end_attempt(e, place, which)
        go_on(e, place, False)
        return
    o.error_upstream = u.slot
    end_with(e, place, msg, size)


cdef void without_question(Engine* e, uint32_t place, uint32_t which, const uint8_t* msg,
                           uint32_t size) noexcept nogil:
    """A message that does not repeat the question."""
    cdef Attempt* a = &e.table[place].attempts[which]
    cdef Upstream* u = &e.upstreams[a.upstream]
    cdef bint over_datagrams = a.state == OVER_DATAGRAMS
    if is_bare_error(msg, size) and a.error_flags == 0:
        a.error_flags = (<uint16_t>msg[2] << 8) | msg[3]
        a.error_ns = e.now_ns
        if is_observed(&e.table[place]):
            tell_reply(e, &e.table[place], which, msg, size)
        if over_datagrams:
            # As long as the upstream's own reply may take, if others have shown that.
            wait_for_better(e, place, which, usual_ns(&u.health) if u.health.srtt_ns else MALFORMED_NS)
        else:
            believe_error(e, place, which)
        return
    e.counters.mismatched += 1
    if not over_datagrams:
        attempt_failed(e, place, which, MALFORMED, False)


cdef void on_reply(Engine* e, uint32_t place, uint32_t which, uint8_t* msg, uint32_t size) noexcept nogil:
    cdef Outstanding* o = &e.table[place]
    cdef Attempt* a = &o.attempts[which]
    cdef Upstream* u = &e.upstreams[a.upstream]
    cdef uint32_t upstream = a.upstream
    cdef bint over_datagrams = a.state == OVER_DATAGRAMS
    cdef uint64_t took_ns
    if o.probe and msg[2] & (FLAG_QR >> 8):
        # Whatever it says, somebody is there.
        probe_answered(e, place)
        return
    if accept(o.query, o.query_len, &e.query) != ACCEPTED:
        attempt_failed(e, place, which, MALFORMED, False)
        return
    if not answers_question(msg, size, e.query.name, e.query.name_len, e.query.qtype, e.query.qclass):
        without_question(e, place, which, msg, size)
        return
    if is_observed(o):
        tell_reply(e, o, which, msg, size)
    if (over_datagrams and o.stanza.randomize_case
            and memcmp(msg + HEADER_BYTES, o.query + HEADER_BYTES, o.name_len) != 0):
        # Forged, or the upstream does not keep the case: a stream decides, where nobody forges.
        e.counters.mismatched += 1
        if not a.again:
            a.again = True
            start_attempt(e, place, upstream, True)
            schedule(e, place)
        return
    took_ns = e.now_ns - a.sent_ns
    u.health.silences = 0
    if a.resent == 0 and over_datagrams:
        # RFC 6298 section 3: a reply to what was sent twice tells nothing.
        measure(&u.health, took_ns)
    if over_datagrams and msg[2] & (FLAG_TC >> 8):
        u.counters.truncated += 1
        keep_fallback(e, o, msg, size, u)
        end_attempt(e, place, which)
        if avoids_streams(u.shared, e.now_ns) or not start_attempt(e, place, upstream, True):
            go_on(e, place, False)
        else:
            schedule(e, place)
        return
    reply_reset(e.reply)
    if not parse_reply(msg, size, &e.query, e.reply):
        e.counters.malformed += 1
        if over_datagrams:
            wait_for_better(e, place, which, MALFORMED_NS)
        else:
            attempt_failed(e, place, which, MALFORMED, False)
        return
    take_reply(e, place, which, msg, size, e.reply.rcode, took_ns)
