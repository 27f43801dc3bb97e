"""From bytes to bytes: see _chain.pxd."""

from fastdns.memory._clock cimport monotonic_ns
from fastdns.metrics._stats cimport (
    ERROR_EDNS_VERSION, ERROR_NO_NEXT_PLUGIN, ERROR_NO_ZONE, FAILED_FORMERR, FAILED_NOTIMP, FAILED_PLUGIN_NOTIMP,
    FAILED_PLUGIN_OTHER, FAILED_PLUGIN_REFUSED, FAILED_PLUGIN_SERVFAIL, FAILED_RESPONSE, FAILED_SHORT,
    FAILED_SILENCE, NO_ERROR, RCODE_SLOTS, count_failed, duration_bucket, size_bucket, type_slot,
    zone_counters,
)
from fastdns.serve._context cimport (
    ANSWERED, DROPPED, NEXT, NO_SLOT, SUSPENDED, Changed, ServiceReply, Step, bare, begin_question, encrypted,
    over_stream, proto_of,
)
from fastdns.serve._errors cimport explain, explanation_bytes, put_error
from fastdns.serve._question cimport restore_question
from fastdns.serve._zones cimport select_zone
from fastdns._wire cimport (
    ACCEPTED, BADVERS, CLASS_ANY, CLASS_IN, HEADER_BYTES, IGNORED, MAX_NAME_BYTES, MIN_UDP_BYTES, NOTIMP,
    OPT_FIXED_BYTES, REFUSED, REJECTED, SERVFAIL, Reply, accept, reply_reset, write_bare,
    write_padded, write_reply,
)

cdef enum:
    # RFC 6895 section 3.2: from here on no class that data may be in.
    CLASS_NONE = 254
    # RFC 8467 section 4.1: of replies to queries that are padded.
    PADDING_BLOCK_BYTES = 468
    # A reply without records, but for OPT.
    LEAST_REPLY_BYTES = HEADER_BYTES + MAX_NAME_BYTES + 4 + OPT_FIXED_BYTES


cdef void count_query(Context* ctx, uint32_t slot, uint16_t rcode, bint by_plugin, uint32_t size) noexcept nogil:
    """One query and its reply in the counters of a (server, zone)."""
    if slot == NO_SLOT or ctx.counters == NULL:
        return
    cdef uint64_t took = monotonic_ns() - ctx.received_ns
    cdef uint32_t proto = proto_of(ctx.transport)
    cdef uint32_t which = 2 * proto + (ctx.client_len == 16)
    z = zone_counters(ctx.zone_banks, slot)
    z.requests[which][type_slot(ctx.q.qtype)] += 1
    z.responses[by_plugin][rcode if rcode < RCODE_SLOTS - 1 else RCODE_SLOTS - 1] += 1
    if ctx.q.do_bit:
        z.do_requests += 1
    z.duration[duration_bucket(took)] += 1
    z.duration_sum_ns += took
    z.request_bytes[proto][size_bucket(ctx.q.msg_len)] += 1
    z.request_bytes_sum[proto] += ctx.q.msg_len
    z.response_bytes[proto][size_bucket(size)] += 1
    z.response_bytes_sum[proto] += size


cdef void count_refused(Context* ctx) noexcept nogil:
    """A query that no chain takes, zone "dropped". CoreDNS counts the refusal as it is sent, with its OPT."""
    cdef uint32_t size = HEADER_BYTES + ctx.q.name_len + 4
    ctx.error = ERROR_NO_ZONE
    if ctx.q.has_opt:
        size += OPT_FIXED_BYTES + ctx.q.opt_echo_len + explanation_bytes(ERROR_NO_ZONE)
    count_query(ctx, ctx.server.dropped_slot, REFUSED, False, size)


cdef void report_error(Context* ctx, uint16_t block) noexcept nogil:
    put_error(ctx.errors, ctx.counters, ctx.q, ctx.reply.rcode, ctx.error, ctx.error_upstream, block)


cdef inline void note_time(uint64_t* times, uint32_t place) noexcept nogil:
    if place < MAX_TIMED_STEPS:
        times[place] = monotonic_ns()


cdef inline Outcome run_steps(Context* ctx, const Chain* chain, uint32_t first, StepTimes* times) noexcept nogil:
    """times: NULL: nobody asks for them."""
    cdef Outcome outcome = NEXT
    cdef const Chain* outer_chain = ctx.chain
    cdef uint32_t outer_step = ctx.step
    cdef Query* q = ctx.q
    cdef Changed* changed = ctx.changed
    cdef const Step* step
    cdef uint32_t i = first
    ctx.chain = chain
    while i < chain.count:
        step = &chain.steps[i]
        if step.before != NULL:
            ctx.step = i
            if times != NULL:
                note_time(times.began_ns, i)
            outcome = step.before(ctx, step.conf)
            if times != NULL:
                note_time(times.ended_ns, i)
            if outcome != NEXT:
                break
        i += 1
    if outcome == NEXT:
        ctx.error = ERROR_NO_NEXT_PLUGIN
        outcome = bare(ctx, SERVFAIL)
    if ctx.suspended:
        outcome = SUSPENDED
    while i > first and outcome != SUSPENDED:
        i -= 1
        step = &chain.steps[i]
        while ctx.changed != changed and ctx.changed.step >= step:
            restore_question(ctx)
        if step.after != NULL:
            ctx.step = i
            if times != NULL and i < MAX_TIMED_STEPS and times.began_ns[i] == 0:
                times.began_ns[i] = monotonic_ns()
            step.after(ctx, step.conf)
            if times != NULL:
                note_time(times.ended_ns, i)
            if ctx.suspended:
                outcome = SUSPENDED
    if outcome == SUSPENDED:
        ctx.q = q
        ctx.changed = changed
    while ctx.changed != changed:
        restore_question(ctx)
    ctx.chain = outer_chain
    ctx.step = outer_step
    return outcome


cdef Outcome run(Context* ctx, const Chain* chain, uint32_t first) noexcept nogil:
    return run_steps(ctx, chain, first, NULL)


cdef Outcome run_timed(Context* ctx, const Chain* chain, uint32_t first, StepTimes* times) noexcept nogil:
    return run_steps(ctx, chain, first, times)


cdef Outcome run_below(Context* ctx) noexcept nogil:
    cdef bint background = ctx.background
    cdef bint was_written = ctx.written
    cdef bint seen = ctx.seen
    cdef uint64_t stale_after_ns = ctx.stale_after_ns
    cdef ServiceReply* replies = ctx.replies
    cdef Outcome outcome
    ctx.background = True
    ctx.background_step = ctx.step
    ctx.stale_after_ns = 0
    ctx.seen = False
    # They are the query's, which goes on: only its refresh waits.
    ctx.replies = NULL
    outcome = run(ctx, ctx.chain, ctx.step + 1)
    ctx.replies = replies
    ctx.seen = seen
    ctx.background = background
    ctx.stale_after_ns = stale_after_ns
    ctx.suspended = False
    ctx.error = NO_ERROR
    if outcome != ANSWERED:
        ctx.written = was_written
    return outcome


cdef inline void take_asked_bytes(Query* q) noexcept nogil:
    """What upstreams are told was written into the message when the query was suspended."""
    if q.has_opt and q.udp_bytes < q.asked_udp_bytes:
        q.asked_udp_bytes = q.udp_bytes


cdef void serve_background(Context* ctx, const uint8_t* msg, uint32_t length, uint16_t sent_len, const Chain* chain,
                           uint32_t step) noexcept nogil:
    reset(ctx, msg, length)
    ctx.background = True
    ctx.background_step = step
    if accept(msg, length, ctx.q) == ACCEPTED:
        take_asked_bytes(ctx.q)
        ctx.q.sent_len = sent_len
        run(ctx, chain, step)
    ctx.background = False


cdef inline Outcome answer_in(Context* ctx, const ZoneEntry* zone) noexcept nogil:
    """The checks that no plugin sees, then the zone's chain."""
    if ctx.q.qclass != CLASS_IN and not (
            ctx.server.any_class and (0 < ctx.q.qclass < CLASS_NONE or ctx.q.qclass == CLASS_ANY)):
        count_refused(ctx)
        return bare(ctx, REFUSED)
    if ctx.q.edns_version != 0:
        # RFC 6891 section 6.1.3
        ctx.error = ERROR_EDNS_VERSION
        return bare(ctx, BADVERS)
    if zone == NULL or zone.chain.count == 0:
        count_refused(ctx)
        return bare(ctx, REFUSED)
    ctx.zone_slot = zone.zone_slot
    return run(ctx, zone.chain, 0)


cdef Outcome answer(Context* ctx) noexcept nogil:
    return answer_in(ctx, select_zone(ctx, ctx.server, ctx.q))


cdef inline void reset(Context* ctx, const uint8_t* msg, uint32_t length) noexcept nogil:
    """What every message begins with, also one that is served again."""
    reply_reset(ctx.reply)
    begin_question(ctx)
    ctx.msg = msg
    ctx.msg_len = length
    ctx.depth = ctx.inside
    ctx.asked = 0
    ctx.seen = ctx.replays != 0
    ctx.suspended = False
    ctx.finish_bytes = 0


cdef inline const ZoneEntry* chosen_zone(Context* ctx, const ZoneEntry* zone) noexcept nogil:
    """The block of a message. zone: what a server without filters has found already."""
    if not ctx.server.filtered:
        return zone
    # A resumed query stays where it was.
    if ctx.replays == 0 or ctx.chosen == NULL:
        ctx.chosen = select_zone(ctx, ctx.server, ctx.q)
    return ctx.chosen


cdef Outcome answer_inside(Context* ctx, const ZoneEntry* zone) noexcept nogil:
    """What a step in Python asks: the steps behind it, or the whole server."""
    take_asked_bytes(ctx.q)
    if ctx.entry == NULL:
        return answer_in(ctx, chosen_zone(ctx, zone))
    ctx.zone_slot = ctx.entry_slot
    return run(ctx, ctx.entry, ctx.entry_step)


cdef int32_t write_inside(Context* ctx, Outcome outcome, uint8_t* out, uint32_t room) noexcept nogil:
    """The reply to a step in Python: whole, not counted as a client's, and seen by nobody who sees what leaves."""
    if outcome == SUSPENDED:
        return -1
    if outcome == DROPPED:
        return 0
    if not ctx.written and ctx.reply.rcode == BADVERS:
        return write_bare(ctx.q, BADVERS, out)
    return write_reply(ctx.q, ctx.reply, out, room)


cdef uint32_t failure_of(const Context* ctx) noexcept nogil:
    """Why a reply is bare."""
    cdef uint16_t rcode = ctx.reply.rcode
    if ctx.error != NO_ERROR:
        return ctx.error
    if rcode == SERVFAIL:
        return FAILED_PLUGIN_SERVFAIL
    if rcode == REFUSED:
        return FAILED_PLUGIN_REFUSED
    return FAILED_PLUGIN_NOTIMP if rcode == NOTIMP else FAILED_PLUGIN_OTHER


cdef uint32_t finish(Context* ctx, const Chain* chain, uint8_t* out, uint32_t size, uint32_t room) noexcept nogil:
    """Let steps see the bytes of the reply, the last one first. Returns what is left of it."""
    cdef const Step* step
    cdef uint32_t i
    ctx.chain = chain
    for i in range(chain.finish_count):
        ctx.step = chain.finish_steps[i]
        step = &chain.steps[ctx.step]
        size = step.finish(ctx, out, size, room, step.conf)
        if size == 0:
            count_failed(ctx.counters, FAILED_SILENCE)
            break
    ctx.chain = NULL
    return size


cdef inline int32_t serve_accepted(Context* ctx, Accept verdict, const ZoneEntry* zone, const uint8_t* msg,
                                   uint32_t length, uint8_t* out, uint32_t room) noexcept nogil:
    cdef Query* q = ctx.q
    cdef Reply* reply = ctx.reply
    cdef Outcome outcome
    cdef uint32_t limit, size, block
    if ctx.inside and verdict == ACCEPTED:
        reset(ctx, msg, q.msg_len)
        return write_inside(ctx, answer_inside(ctx, zone), out, room)
    if ctx.counters != NULL and ctx.replays == 0:
        ctx.counters.queries += 1
    if verdict == IGNORED:
        count_failed(ctx.counters, FAILED_SHORT if length < HEADER_BYTES else FAILED_RESPONSE)
        return 0
    if verdict == REJECTED:
        count_failed(ctx.counters, FAILED_NOTIMP if q.reject_rcode == NOTIMP else FAILED_FORMERR)
        return write_bare(q, q.reject_rcode, out)
    reset(ctx, msg, q.msg_len)
    zone = chosen_zone(ctx, zone)
    outcome = answer_in(ctx, zone)
    if outcome == SUSPENDED:
        return -1
    if outcome == DROPPED:
        count_failed(ctx.counters, FAILED_SILENCE)
        return 0
    if not ctx.written:
        count_failed(ctx.counters, failure_of(ctx))
        if reply.rcode == BADVERS:
            return write_bare(q, BADVERS, out)
        if q.has_opt:
            explain(reply, failure_of(ctx))
    limit = room
    if not over_stream(ctx.transport):
        limit = q.udp_bytes if q.udp_bytes > MIN_UDP_BYTES else MIN_UDP_BYTES
        if limit > room:
            limit = room
    block = PADDING_BLOCK_BYTES if encrypted(ctx.transport) else 0
    if zone == NULL or zone.chain.finish_count == 0:
        return write_padded(q, reply, out, limit, block)
    size = limit - ctx.finish_bytes if ctx.finish_bytes + LEAST_REPLY_BYTES < limit else LEAST_REPLY_BYTES
    return finish(ctx, zone.chain, out, write_padded(q, reply, out, size, block), limit)


cdef int32_t serve(Context* ctx, const uint8_t* msg, uint32_t length, uint8_t* out, uint32_t room) noexcept nogil:
    cdef Accept verdict = accept(msg, length, ctx.q)
    cdef const ZoneEntry* zone = NULL
    if verdict == ACCEPTED and not ctx.server.filtered:
        zone = select_zone(NULL, ctx.server, ctx.q)
    return serve_accepted(ctx, verdict, zone, msg, length, out, room)


cdef void look_ahead(const Context* ctx, const uint8_t* msg, uint32_t length, Ahead* ahead) noexcept nogil:
    cdef const Chain* chain
    cdef uint32_t i
    cdef const Step* step
    ahead.zone = NULL
    ahead.verdict = accept(msg, length, &ahead.q)
    # What filters ask is not known yet: the client, the values of this query. So nothing is fetched for it.
    if ahead.verdict != ACCEPTED or ctx.server.filtered:
        return
    ahead.zone = select_zone(NULL, ctx.server, &ahead.q)
    if ahead.zone == NULL:
        return
    chain = ahead.zone.chain
    for i in range(chain.ahead_count):
        step = &chain.steps[chain.ahead_steps[i]]
        ahead.hashes[i] = 0
        step.ahead(ctx, &ahead.q, &ahead.hashes[i], step.conf)


cdef void look_again(const Context* ctx, Ahead* ahead) noexcept nogil:
    cdef const Chain* chain
    cdef uint32_t i
    cdef const Step* step
    if ahead.zone == NULL:
        return
    chain = ahead.zone.chain
    for i in range(chain.ahead_count):
        step = &chain.steps[chain.ahead_steps[i]]
        if ahead.hashes[i]:
            step.again(ctx, &ahead.q, &ahead.hashes[i], step.conf)


cdef int32_t serve_ahead(Context* ctx, Ahead* ahead, const uint8_t* msg, uint32_t length, uint8_t* out,
                         uint32_t room) noexcept nogil:
    cdef Query* q = ctx.q
    cdef int32_t size
    ctx.q = &ahead.q
    size = serve_accepted(ctx, ahead.verdict, ahead.zone, msg, length, out, room)
    ctx.q = q
    return size
