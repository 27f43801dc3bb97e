"""From bytes to bytes: see _chain.pxd for the shapes and what a step may do."""

import os

from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memmove, memset

from fastdns.memory._atomics cimport load, publish_u64
from fastdns.memory._clock cimport monotonic_ns
from fastdns.metrics._stats cimport (
    FAILED_FORMERR, FAILED_NOTIMP, FAILED_PLUGIN_NOTIMP, FAILED_PLUGIN_OTHER, FAILED_PLUGIN_REFUSED,
    FAILED_PLUGIN_SERVFAIL, FAILED_RESPONSE, FAILED_SHORT, FAILED_SILENCE, MAX_ZONE_SLOTS, RCODE_SLOTS, Stats,
    count_failed, duration_bucket, size_bucket, type_slot,
)
from fastdns.memory._store cimport Store, enter_epoch, expect_reader, leave_epoch
from fastdns._wire cimport (
    ACCEPTED, BADVERS, CLASS_ANY, CLASS_IN, HEADER_BYTES, IGNORED, MAX_MESSAGE_BYTES, MAX_NAME_BYTES,
    MAX_SECTION_RRS,
    MIN_UDP_BYTES, NOTIMP, OPT_FIXED_BYTES, REFUSED, REJECTED, RR, SERVFAIL, TYPE_DS, Accept, Section, accept,
    in_zone, parse_question_name, put_u16, reply_reset, scratch, write_bare, write_reply,
)

cdef enum:
    # RFC 6895 section 3.2: from here on no class that data may be in.
    CLASS_NONE = 254

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


cdef void count_query(Context* ctx, uint32_t slot, uint16_t rcode, bint by_plugin, uint32_t size) noexcept nogil:
    """One query and its reply in the counters of a (server, zone)."""
    if slot == NO_SLOT or ctx.counters == NULL:
        return
    cdef uint64_t took = monotonic_ns() - ctx.received_ns
    cdef uint32_t tcp = ctx.transport != OVER_UDP
    cdef uint32_t which = 2 * tcp + (ctx.client_len == 16)
    z = &ctx.counters.zones[slot]
    z.requests[which][type_slot(ctx.q.qtype)] += 1
    z.responses[by_plugin][rcode if rcode < RCODE_SLOTS - 1 else RCODE_SLOTS - 1] += 1
    if ctx.q.do_bit:
        z.do_requests += 1
    z.duration[duration_bucket(took)] += 1
    z.duration_sum_ns += took
    z.request_bytes[tcp][size_bucket(ctx.q.msg_len)] += 1
    z.request_bytes_sum[tcp] += ctx.q.msg_len
    z.response_bytes[tcp][size_bucket(size)] += 1
    z.response_bytes_sum[tcp] += size


cdef void count_refused(Context* ctx) noexcept nogil:
    """A query that no chain takes, zone "dropped". CoreDNS counts the refusal as it is sent, with its OPT."""
    cdef uint32_t size = HEADER_BYTES + ctx.q.name_len + 4
    ctx.error = ERROR_NO_ZONE
    if ctx.q.has_opt:
        size += OPT_FIXED_BYTES + ctx.q.opt_echo_len
    count_query(ctx, ctx.server.dropped_slot, REFUSED, False, size)


cdef void report_error(Context* ctx, uint16_t block) noexcept nogil:
    """Hand ctx.error to the thread that logs. Never waits: a full ring is counted."""
    cdef ErrorRing* ring = ctx.errors
    cdef ErrorEvent* event
    if ring == NULL:
        return
    if ring.head - load(&ring.tail) >= ERROR_EVENTS:
        if ctx.counters != NULL:
            ctx.counters.errors_unlogged += 1
        return
    event = &ring.events[ring.head & (ERROR_EVENTS - 1)]
    event.rcode = ctx.reply.rcode
    event.qtype = ctx.q.qtype
    event.name_len = ctx.q.name_len
    event.reason = ctx.error
    event.upstream = ctx.error_upstream
    event.block = block
    memcpy(event.name, ctx.q.name, ctx.q.name_len)
    publish_u64(&ring.head, ring.head + 1)


cdef const ZoneEntry* select_zone(const Server* server, const Query* q) noexcept nogil:
    """The longest zone that holds the qname. A question for DS belongs to the parent's side of a cut, so the
    shortest zone other than the root takes it (RFC 4035 section 3.1.4.1)."""
    cdef uint32_t i
    cdef const ZoneEntry* found = NULL
    cdef const ZoneEntry* zone
    for i in range(server.zone_count):
        zone = &server.zones[i]
        if in_zone(q, zone.name, zone.name_len):
            if q.qtype != TYPE_DS:
                return zone
            if found == NULL or not zone.is_root:
                found = zone
    return found


cdef Outcome run(Context* ctx, const Chain* chain, uint32_t first) noexcept nogil:
    """The chain from step first on, there and back."""
    cdef Outcome outcome = NEXT
    cdef const Chain* outer_chain = ctx.chain
    cdef uint32_t outer_step = ctx.step
    cdef uint32_t i = first
    ctx.chain = chain
    while i < chain.count:
        if chain.steps[i].before != NULL:
            ctx.step = i
            outcome = chain.steps[i].before(ctx, chain.steps[i].conf)
            if outcome != NEXT:
                break
        i += 1
    if outcome == NEXT:
        ctx.error = ERROR_NO_NEXT_PLUGIN
        outcome = bare(ctx, SERVFAIL)
    if ctx.parked:
        outcome = PENDING
    while i > first and outcome != PENDING:
        i -= 1
        if chain.steps[i].after != NULL:
            ctx.step = i
            chain.steps[i].after(ctx, chain.steps[i].conf)
    ctx.chain = outer_chain
    ctx.step = outer_step
    return outcome


cdef Outcome run_below(Context* ctx) noexcept nogil:
    cdef bint background = ctx.background
    cdef bint was_written = ctx.written
    cdef uint64_t stale_after_ns = ctx.stale_after_ns
    cdef Outcome outcome
    ctx.background = True
    ctx.background_step = ctx.step
    ctx.stale_after_ns = 0
    outcome = run(ctx, ctx.chain, ctx.step + 1)
    ctx.background = background
    ctx.stale_after_ns = stale_after_ns
    # The query itself goes on: only its refresh waits.
    ctx.parked = False
    ctx.error = NO_ERROR
    if outcome != ANSWERED:
        ctx.written = was_written
    return outcome


cdef void serve_background(Context* ctx, const uint8_t* msg, uint32_t length, const Chain* chain,
                           uint32_t step) noexcept nogil:
    reset(ctx, msg, length)
    ctx.background = True
    ctx.background_step = step
    if accept(msg, length, ctx.q) == ACCEPTED:
        # What upstreams are told was written there when the query was suspended.
        if ctx.q.has_opt and ctx.q.udp_bytes < ctx.q.asked_udp_bytes:
            ctx.q.asked_udp_bytes = ctx.q.udp_bytes
        run(ctx, chain, step)
    ctx.background = False


cdef inline Outcome answer_in(Context* ctx, const ZoneEntry* zone) noexcept nogil:
    """Fill ctx.reply for ctx.q: the checks that no plugin sees, then the chain of the longest zone."""
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
    """The same, for a question whose zone is not known yet."""
    return answer_in(ctx, select_zone(ctx.server, ctx.q))


cdef inline void reset(Context* ctx, const uint8_t* msg, uint32_t length) noexcept nogil:
    """What every message begins with."""
    reply_reset(ctx.reply)
    ctx.msg = msg
    ctx.msg_len = length
    ctx.written = False
    ctx.from_upstream = False
    ctx.parked = False
    ctx.want_ad = False
    ctx.claim = NULL
    ctx.stale_after_ns = 0
    ctx.error = NO_ERROR
    ctx.depth = 0


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


cdef inline int32_t serve_accepted(Context* ctx, Accept verdict, const ZoneEntry* zone, const uint8_t* msg,
                                   uint32_t length, uint8_t* out, uint32_t room) noexcept nogil:
    cdef Query* q = ctx.q
    cdef Reply* reply = ctx.reply
    cdef Outcome outcome
    cdef uint32_t limit
    if ctx.counters != NULL and ctx.upstream == NULL:
        ctx.counters.queries += 1
    if verdict == IGNORED:
        count_failed(ctx.counters, FAILED_SHORT if length < HEADER_BYTES else FAILED_RESPONSE)
        return 0
    if verdict == REJECTED:
        count_failed(ctx.counters, FAILED_NOTIMP if q.reject_rcode == NOTIMP else FAILED_FORMERR)
        return write_bare(q, q.reject_rcode, out)
    reset(ctx, msg, q.msg_len)
    outcome = answer_in(ctx, zone)
    if outcome == PENDING:
        return -1
    if outcome == DROPPED:
        count_failed(ctx.counters, FAILED_SILENCE)
        return 0
    if not ctx.written:
        count_failed(ctx.counters, failure_of(ctx))
        if reply.rcode == BADVERS:
            return write_bare(q, BADVERS, out)
    limit = room
    if ctx.transport == OVER_UDP:
        limit = q.udp_bytes if q.udp_bytes > MIN_UDP_BYTES else MIN_UDP_BYTES
        if limit > room:
            limit = room
    return write_reply(q, reply, out, limit)


cdef int32_t serve(Context* ctx, const uint8_t* msg, uint32_t length, uint8_t* out, uint32_t room) noexcept nogil:
    """The whole way of one message. Returns the reply's bytes in out, 0 for silence, or -1 where it is parked.

    room is at least 65,535 bytes over TCP and what a UDP reply may ever have otherwise; out must hold it.
    The caller has entered an epoch and set transport, client and received_ns.
    """
    cdef Accept verdict = accept(msg, length, ctx.q)
    return serve_accepted(ctx, verdict, select_zone(ctx.server, ctx.q) if verdict == ACCEPTED else NULL, msg,
                          length, out, room)


cdef void look_ahead(const Context* ctx, const uint8_t* msg, uint32_t length, Ahead* ahead) noexcept nogil:
    cdef const Chain* chain
    cdef uint32_t i
    cdef const Step* step
    ahead.zone = NULL
    ahead.verdict = accept(msg, length, &ahead.q)
    if ahead.verdict != ACCEPTED:
        return
    ahead.zone = select_zone(ctx.server, &ahead.q)
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


cdef RR* set_aside(Reply* reply, Section* section) noexcept nogil:
    """Copy a section to scratch and empty it; NULL where there is no room (the section stays as it is)."""
    cdef uint8_t* at = scratch(reply, (section.count + 1) * sizeof(RR))
    cdef RR* kept
    if at == NULL:
        return NULL
    kept = <RR*>((<size_t>at + 7) & ~<size_t>7)
    memcpy(kept, section.rr, section.count * sizeof(RR))
    section.count = 0
    return kept


cdef void put_before(Reply* reply, Section* section, const RR* kept, uint32_t count) noexcept nogil:
    """Put records back in front of what a section has got meanwhile; what is too much is left out."""
    if section.count > MAX_SECTION_RRS - count:
        section.count = MAX_SECTION_RRS - count
        reply.tc = True
    memmove(&section.rr[count], section.rr, section.count * sizeof(RR))
    memcpy(section.rr, kept, count * sizeof(RR))
    section.count += count


cdef bint lookup(Context* ctx, const uint8_t* name, uint32_t name_len, uint16_t qtype) noexcept nogil:
    """Ask the whole server for another name, and append what it answers to the reply under construction.

    The steps that answer see an empty reply. Returns False where nothing came back (a drop, too deep, no room, or
    the whole query is parked now: then ctx.parked is set and the step returns PENDING). rcode, AA and the other
    sections of the reply stay as they were.
    """
    cdef Query inner
    cdef Query* outer = ctx.q
    cdef Reply* reply = ctx.reply
    cdef uint8_t* msg
    cdef uint32_t opt_len
    cdef RR* answers
    cdef RR* authorities
    cdef RR* additionals
    cdef uint32_t answer_count = reply.answer.count
    cdef uint32_t authority_count = reply.authority.count
    cdef uint32_t additional_count = reply.additional.count
    cdef uint32_t zone_slot = ctx.zone_slot
    cdef uint16_t rcode = reply.rcode
    cdef bint aa = reply.aa
    cdef bint ra = reply.ra
    cdef bint tc = reply.tc
    cdef bint no_opt = reply.no_opt
    cdef bint ad = reply.ad
    cdef const uint8_t* options = reply.options
    cdef uint16_t options_len = reply.options_len
    cdef bint was_written = ctx.written
    cdef bint from_upstream = ctx.from_upstream
    cdef bint want_ad = ctx.want_ad
    cdef uint64_t* claim = ctx.claim
    cdef uint64_t claim_hash = ctx.claim_hash
    cdef uint8_t error = ctx.error
    cdef Outcome outcome
    cdef uint32_t i
    cdef RR* rr
    if ctx.depth >= MAX_LOOKUP_DEPTH or name_len > MAX_NAME_BYTES:
        return False
    opt_len = outer.opt_len if outer.has_opt else 0
    msg = scratch(reply, HEADER_BYTES + name_len + 4 + opt_len)
    if msg == NULL:
        return False
    # A message of its own: header and OPT record as the client's.
    memcpy(msg, outer.msg, 4)
    memset(msg + 4, 0, 8)
    msg[5] = 1
    msg[11] = 1 if opt_len else 0
    memcpy(msg + HEADER_BYTES, name, name_len)
    put_u16(msg + HEADER_BYTES + name_len, qtype)
    put_u16(msg + HEADER_BYTES + name_len + 2, CLASS_IN)
    memcpy(msg + HEADER_BYTES + name_len + 4, outer.msg + outer.opt_at, opt_len)
    memcpy(&inner, outer, sizeof(Query))
    if not parse_question_name(name, name_len, &inner):
        return False
    inner.msg = msg
    inner.msg_len = HEADER_BYTES + name_len + 4 + opt_len
    if opt_len:
        inner.opt_at = HEADER_BYTES + name_len + 4
    inner.qtype = qtype
    inner.qclass = CLASS_IN
    inner.edns_version = 0
    answers = set_aside(reply, &reply.answer)
    authorities = set_aside(reply, &reply.authority)
    additionals = set_aside(reply, &reply.additional)
    if answers == NULL or authorities == NULL or additionals == NULL:
        # Scratch ran out, so TC is set; what was set aside comes back.
        if answers != NULL:
            put_before(reply, &reply.answer, answers, answer_count)
        if authorities != NULL:
            put_before(reply, &reply.authority, authorities, authority_count)
        return False
    ctx.q = &inner
    ctx.depth += 1
    ctx.written = False
    ctx.from_upstream = False
    ctx.want_ad = False
    ctx.claim = NULL
    reply.rcode = 0
    reply.aa = False
    outcome = answer(ctx)
    ctx.depth -= 1
    ctx.q = outer
    for i in range(reply.answer.count):
        rr = &reply.answer.rr[i]
        if rr.owner == NULL:
            rr.owner = msg + rr.owner_at
            rr.owner_len = inner.name_len + HEADER_BYTES - rr.owner_at
    if outcome != ANSWERED:
        reply.answer.count = 0
    reply.authority.count = 0
    reply.additional.count = 0
    put_before(reply, &reply.answer, answers, answer_count)
    put_before(reply, &reply.authority, authorities, authority_count)
    put_before(reply, &reply.additional, additionals, additional_count)
    reply.rcode = rcode
    reply.aa = aa
    reply.ra = ra
    reply.ad = ad
    reply.tc |= tc
    reply.no_opt = no_opt
    reply.options = options
    reply.options_len = options_len
    ctx.written = was_written
    ctx.from_upstream = from_upstream
    ctx.want_ad = want_ad
    ctx.claim = claim
    ctx.claim_hash = claim_hash
    ctx.error = error
    ctx.zone_slot = zone_slot
    return outcome == ANSWERED


cdef class NativeStep:
    def __cinit__(self, *args, **kwargs):
        self.step.before = NULL
        self.step.after = NULL
        self.step.ahead = NULL
        self.step.again = NULL
        self.step.conf = NULL


cdef bytes wire_of(str zone):
    """A zone's lowercased name in wire form. zone is fully qualified."""
    out = bytearray()
    for part in zone.lower().rstrip(".").split("."):
        if part:
            raw = part.encode()
            out.append(len(raw))
            out += raw
    out.append(0)
    return bytes(out)


cdef class ServerTable:
    """zones: (fully qualified zone, block number, counter slot | None); blocks: a list of NativeSteps each.

    any_class: questions of other classes than IN go through the chains as well, but for NONE. Those of class ANY
    get records of class IN.
    """

    def __cinit__(self, list zones, list blocks, dropped_slot=None, bint any_class=False):
        cdef uint32_t i, j
        cdef NativeStep step
        cdef ZoneEntry* entry
        self.keep = [zones, blocks]
        self.chains = <Chain*>calloc(max(1, len(blocks)), sizeof(Chain))
        self.server.zones = <ZoneEntry*>calloc(max(1, len(zones)), sizeof(ZoneEntry))
        if self.chains == NULL or self.server.zones == NULL:
            raise MemoryError
        for i in range(len(blocks)):
            if len(blocks[i]) > MAX_STEPS:
                raise ValueError(f"a server block takes {MAX_STEPS} plugins at most")
            for j in range(len(blocks[i])):
                step = blocks[i][j]
                self.chains[i].steps[j] = step.step
                if step.step.ahead != NULL and self.chains[i].ahead_count < MAX_AHEAD:
                    self.chains[i].ahead_steps[self.chains[i].ahead_count] = j
                    self.chains[i].ahead_count += 1
            self.chains[i].count = len(blocks[i])
        ordered = sorted(((wire_of(zone), block, slot) for zone, block, slot in zones),
                         key=lambda entry: -len(entry[0]))
        self.keep.append(ordered)
        for i in range(len(ordered)):
            entry = &self.server.zones[i]
            entry.name = <const uint8_t*><bytes>ordered[i][0]
            entry.name_len = len(ordered[i][0])
            entry.is_root = entry.name_len == 1
            entry.chain = &self.chains[ordered[i][1]]
            entry.zone_slot = NO_SLOT if ordered[i][2] is None else ordered[i][2]
            if entry.zone_slot != NO_SLOT and entry.zone_slot >= MAX_ZONE_SLOTS:
                raise ValueError("counter slot out of range")
        self.server.zone_count = len(ordered)
        self.server.any_class = any_class
        self.server.dropped_slot = NO_SLOT if dropped_slot is None else dropped_slot

    def __dealloc__(self):
        free(self.chains)
        free(self.server.zones)


cdef class Worker:
    """One thread's way to serve. store: Store | None; stats: Stats | None with this thread's counter slot."""

    def __cinit__(self, ServerTable table not None, Store store=None, uint32_t reader_slot=0, Stats stats=None,
                  uint32_t counter_slot=0):
        self.reply = <Reply*>malloc(sizeof(Reply))
        if self.reply == NULL:
            raise MemoryError
        memset(&self.ctx, 0, sizeof(Context))
        self.table = table
        self.store = store
        self.stats = stats
        self.reader_slot = reader_slot
        if store is not None:
            expect_reader(store.header, reader_slot)
        self.ctx.q = &self.query
        self.ctx.reply = self.reply
        self.ctx.server = &table.server
        self.ctx.store = store.header if store is not None else NULL
        self.ctx.counters = stats.block(counter_slot) if stats is not None else NULL
        self.ring = <ErrorRing*>calloc(1, sizeof(ErrorRing))
        if self.ring == NULL:
            raise MemoryError
        self.ctx.errors = self.ring
        self.ctx.random = int.from_bytes(os.urandom(8), "little") | 1

    def __dealloc__(self):
        free(self.reply)
        free(self.ring)

    def serve(self, bytes message not None, *, bytes client=b"\x7f\0\0\1", int client_port=0, bint tcp=False):
        """The reply to one message, or None for silence. client: 4 or 16 address bytes."""
        cdef uint8_t* out = <uint8_t*>malloc(MAX_MESSAGE_BYTES + 1)
        cdef int32_t size
        if out == NULL:
            raise MemoryError
        self.ctx.transport = OVER_TCP if tcp else OVER_UDP
        self.ctx.client = <const uint8_t*>client
        self.ctx.client_len = len(client)
        self.ctx.client_port = client_port
        self.ctx.received_ns = monotonic_ns()
        if self.ctx.store != NULL:
            enter_epoch(self.ctx.store, self.reader_slot)
        size = serve(&self.ctx, <const uint8_t*>message, len(message), out, MAX_MESSAGE_BYTES)
        if self.ctx.store != NULL:
            leave_epoch(self.ctx.store, self.reader_slot)
        try:
            return out[:size] if size > 0 else None
        finally:
            free(out)

    def take_errors(self):
        """What the errors plugin has to log since the last call: (block, rcode, qname wire form, qtype, text,
        slot of the upstream that {} in text stands for)."""
        cdef ErrorEvent* event
        taken = []
        while self.ring.tail != load(&self.ring.head):
            event = &self.ring.events[self.ring.tail & (ERROR_EVENTS - 1)]
            taken.append((event.block, event.rcode, event.name[:event.name_len], event.qtype,
                          ERROR_TEXTS[event.reason], event.upstream))
            publish_u64(&self.ring.tail, self.ring.tail + 1)
        return taken
