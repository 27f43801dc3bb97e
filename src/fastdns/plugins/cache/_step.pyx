"""The cache step: answers from the shared cache on the way in, keeps what upstreams have said on the way out.

    before    a fresh record is the answer. An expired one may be, too (serve_stale): at once, while it is refreshed
              for nobody (immediate), or after the upstream has been asked once more (verify). A popular record
              that is about to expire is refreshed for nobody (prefetch).
    after     of an upstream's reply: its records get the one TTL under which it is kept. Of the outcome of a
              refresh: it takes the old record's place, or leaves it where it is.

Answers that are the server's own pass as they are: neither kept nor changed.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from fastdns.plugins.cache._cache cimport (
    CLAIMS, DENIAL, INSERTED_EVICTING, KEY_CD, KEY_DO, KEY_NO_ANSWER, KEY_NO_RD, NOT_INSERTED, RING_UNIT_BYTES,
    SUCCESS, Cache, CacheHeader, EntryState, Found, Half, Insertion, Key, Record, claim_refresh, count_hit, find,
    insert, prefetch_entries, prefetch_records, record_bytes, record_key, record_payload, remove,
    seal_key, state_of, ttl_left_s,
)
from fastdns.serve._chain cimport run_below
from fastdns.serve._context cimport ANSWERED, NEXT, NO_SLOT, Context, Outcome, ServiceReply, written
from fastdns.serve._errors cimport CACHED_ERROR, STALE_ANSWER, STALE_NXDOMAIN, add_extended_error
from fastdns.serve._zones cimport NativeStep
from fastdns._wire cimport (
    CLASS_IN, FLAG_AD, FLAG_CD, FLAG_RD, NOERROR, NXDOMAIN, OPCODE_QUERY, SCRATCH_BYTES, SERVFAIL, Query, Reply,
    Section, forget_records, in_zone, put_u16, sent_options,
)
from fastdns.dns._packed cimport pack_reply, unpack_reply
from fastdns.serve._replies cimport reply_to, was_here
from fastdns.memory._atomics cimport load_relaxed, store_relaxed
from fastdns.metrics._stats cimport NO_ERROR, PLUGIN_COUNTERS, zone_counters
from fastdns.plugins.cache._counters cimport (
    CACHE_DROPS, CACHE_EVICTIONS, CACHE_HITS, CACHE_MISSES, CACHE_PREFETCHES, CACHE_REQUESTS, CACHE_SERVED_STALE,
)
from fastdns.plugins.cache._classify cimport (
    NAME_ERROR, NO_DATA, OTHER, POSITIVE, SERVER_ERROR, TRANSFER, Classified, classify, least_ttl_s,
)

from fastdns.dns.names import wire_name

cdef uint64_t NS_PER_S = 1000000000
# A refresh that has not ended by then never will: its process has died. Longer than any exchange with an upstream.
cdef uint64_t CLAIM_NS = 10 * NS_PER_S

cdef struct ZoneName:
    const uint8_t* name         # lowercased wire form
    uint32_t length

cdef struct Zones:
    uint32_t count
    ZoneName* names

cdef struct HalfOptions:
    uint32_t max_ttl_s
    uint32_t min_ttl_s
    Zones disabled

cdef struct Conf:
    CacheHeader* cache
    uint32_t first_counter      # of the plugin's, in a zone
    Zones zones
    Zones passing               # what the server itself answers, all of it: counted, never looked up
    HalfOptions halves[2]       # by Half
    uint32_t servfail_ttl_s
    bint keep_ttl
    uint32_t prefetch_hits      # 0: no prefetch
    uint32_t prefetch_percent
    uint64_t prefetch_window_ms
    int64_t stale_s             # 0: nothing is served stale
    uint32_t stale_ttl_s
    uint64_t recheck_ns
    bint verify
    uint64_t verify_timeout_ns  # 0: as long as the upstream takes
    bint prefer_positive

# A record that may be answered. It lies in the reply's scratch.
cdef struct Hit:
    Half half
    Found found
    int64_t left_s              # of its TTL; 0 or less: it is stale


# ------------------------------------------------------------------------------------------ what is looked at

cdef bint in_any(const Query* q, const Zones* zones) noexcept nogil:
    cdef uint32_t i
    for i in range(zones.count):
        if in_zone(q, zones.names[i].name, zones.names[i].length):
            return True
    return False


cdef inline bint takes(const Conf* c, const Query* q) noexcept nogil:
    return q.opcode == OPCODE_QUERY and q.qclass == CLASS_IN and in_any(q, &c.zones)


cdef inline uint64_t now_of(const Context* ctx) noexcept nogil:
    # The clock does not jump when the wall clock does. What an upstream says is as old as its reply, not its query.
    cdef const ServiceReply* reply = reply_to(ctx)
    return ctx.received_ns if reply == NULL else reply.received_ns


cdef inline void count(Context* ctx, const Conf* c, uint32_t counter) noexcept nogil:
    if ctx.counters != NULL and ctx.zone_slot != NO_SLOT:
        zone_counters(ctx.zone_banks, ctx.zone_slot).plugins[c.first_counter + counter] += 1


cdef void question_key(const Conf* c, const Query* q, uint8_t bits, Key* key) noexcept nogil:
    """The key of a question: all that makes upstreams answer it differently, and that they are asked with."""
    cdef uint32_t at = q.name_len
    if q.do_bit:
        bits |= KEY_DO
    if q.flags & FLAG_CD:
        bits |= KEY_CD
    if not q.flags & FLAG_RD:
        bits |= KEY_NO_RD
    memcpy(key.data, q.name, at)
    put_u16(&key.data[at], q.qtype)
    put_u16(&key.data[at + 2], q.qclass)
    key.data[at + 4] = bits
    at += 5
    if q.subnet_len:
        memcpy(&key.data[at], q.subnet, q.subnet_len)
        at += q.subnet_len
    if q.sent_len:
        memcpy(&key.data[at], sent_options(q), q.sent_len)
        at += q.sent_len
        key.data[at] = q.subnet_len
        at += 1
    key.length = at
    seal_key(c.cache, key)


# --------------------------------------------------------------------------------------------- looking up

cdef inline uint8_t* free_scratch(Reply* r, uint32_t* room) noexcept nogil:
    """What is left of the reply's scratch, aligned for a Record. Nothing is taken yet: see hold."""
    cdef uint8_t* at = <uint8_t*>((<size_t>&r.scratch[r.scratch_used] + 7) & ~<size_t>7)
    cdef uint8_t* end = &r.scratch[0] + SCRATCH_BYTES
    room[0] = <uint32_t>(end - at) if at < end else 0
    return at


cdef inline void hold(Reply* r, const Hit* hit) noexcept nogil:
    """Keep a record in scratch until the reply is written."""
    cdef const Record* record = hit.found.record
    r.scratch_used = <uint32_t>(<const uint8_t*>record - &r.scratch[0]) + record_bytes(
        record.key_len, record.payload_len)


cdef inline int64_t stale_s_of(const Conf* c, uint16_t rcode) noexcept nogil:
    """How long a record is served after it has expired. RFC 8767 section 4: that a server failed is no data."""
    return c.stale_s if rcode == NOERROR or rcode == NXDOMAIN else 0


cdef bint look(const Conf* c, Context* ctx, Half half, const Key* key, Hit* hit) noexcept nogil:
    """The record of a key, fresh or stale and still to be served."""
    cdef uint32_t room = 0
    cdef uint8_t* buffer = free_scratch(ctx.reply, &room)
    if not find(c.cache, half, key, buffer, room, &hit.found):
        return False
    hit.half = half
    hit.left_s = ttl_left_s(hit.found.record, now_of(ctx))
    return hit.left_s > 0 or -hit.left_s < stale_s_of(c, hit.found.record.rcode)


cdef bint look_for_success(const Conf* c, Context* ctx, const Key* key, Hit* hit) noexcept nogil:
    cdef Key other
    if look(c, ctx, SUCCESS, key, hit):
        return True
    if not c.prefer_positive:
        return False
    question_key(c, ctx.q, KEY_NO_ANSWER, &other)
    return look(c, ctx, SUCCESS, &other, hit)


cdef bint choose(const Conf* c, Context* ctx, const Key* key, Hit* hit) noexcept nogil:
    """The record to answer with: denial goes before success, but SERVFAIL, which passes, and with prefer_positive
    everything go behind an answer."""
    cdef Hit better
    if c.prefer_positive and c.stale_s > 0 and look(c, ctx, SUCCESS, key, hit):
        return True
    if not look(c, ctx, DENIAL, key, hit):
        return look_for_success(c, ctx, key, hit)
    if hit.found.record.rcode == SERVFAIL:
        hold(ctx.reply, hit)
        if look_for_success(c, ctx, key, &better):
            hit[0] = better
    return True


# ---------------------------------------------------------------------------------------------- answering

cdef inline bint wants_ad(const Query* q) noexcept nogil:
    # RFC 6840 sections 5.7 and 5.8.
    return q.do_bit or q.flags & FLAG_AD != 0


cdef inline uint32_t shown_ttl_s(const Conf* c, const Hit* hit) noexcept nogil:
    if hit.left_s <= 0 and c.stale_ttl_s:
        return c.stale_ttl_s
    if c.keep_ttl:
        return hit.found.record.ttl_s
    return <uint32_t>hit.left_s if hit.left_s > 0 else 0


cdef Outcome answer_with(const Conf* c, Context* ctx, const Hit* hit) noexcept nogil:
    """Fill the reply from a record. NEXT where the record cannot be read."""
    cdef const Record* record = hit.found.record
    cdef Reply* r = ctx.reply
    hold(r, hit)
    forget_records(r)
    if not unpack_reply(record_payload(record), record.payload_len, shown_ttl_s(c, hit), r):
        forget_records(r)
        return NEXT
    if hit.left_s <= 0:
        count(ctx, c, CACHE_SERVED_STALE)
        add_extended_error(r, STALE_NXDOMAIN if record.rcode == NXDOMAIN else STALE_ANSWER)
    elif record.rcode == SERVFAIL:
        add_extended_error(r, CACHED_ERROR)
    # Some stub resolvers take an answer without AA for none.
    r.aa = True
    r.ad = r.ad and wants_ad(ctx.q)
    ctx.error = NO_ERROR
    ctx.from_upstream = False
    return written(ctx)


cdef Outcome go_on(Context* ctx) noexcept nogil:
    """Ask below. What comes back is kept for all clients, those that want AD included."""
    ctx.asked_set |= FLAG_AD
    ctx.claim = NULL
    return NEXT


cdef void ahead(const Context* ctx, const Query* q, uint64_t* hash, const void* conf) noexcept nogil:
    cdef const Conf* c = <const Conf*>conf
    cdef Key key
    if takes(c, q) and not in_any(q, &c.passing):
        question_key(c, q, 0, &key)
        hash[0] = key.hash
        prefetch_entries(c.cache, key.hash)


cdef void again(const Context* ctx, const Query* q, uint64_t* hash, const void* conf) noexcept nogil:
    prefetch_records((<const Conf*>conf).cache, hash[0])


cdef Outcome before(Context* ctx, const void* conf) noexcept nogil:
    cdef const Conf* c = <const Conf*>conf
    cdef const ServiceReply* reply
    cdef bint first = not was_here(ctx)
    cdef Hit hit
    cdef Key key
    if not takes(c, ctx.q):
        return NEXT
    reply = reply_to(ctx)
    if ctx.background:
        return go_on(ctx)
    if reply != NULL and reply.stale:
        return answer_late(c, ctx)
    if in_any(ctx.q, &c.passing):
        # There is nothing to be found.
        if first:
            count(ctx, c, CACHE_REQUESTS)
            count(ctx, c, CACHE_MISSES)
        return go_on(ctx)
    question_key(c, ctx.q, 0, &key)
    if reply != NULL:
        # One that was asked for by another thread is at hand by now, or is not kept.
        if reply.followed and choose(c, ctx, &key, &hit) and answer_with(c, ctx, &hit) == ANSWERED:
            return ANSWERED
        return go_on(ctx)
    if first:
        count(ctx, c, CACHE_REQUESTS)
    if not choose(c, ctx, &key, &hit):
        if first:
            count(ctx, c, CACHE_MISSES)
        go_on(ctx)
        ctx.claim = &c.cache.claims[key.hash % CLAIMS]
        ctx.claim_hash = key.hash
        return NEXT
    if first:
        count(ctx, c, CACHE_HITS + <uint32_t>hit.half)
    if hit.left_s > 0:
        if first and is_due(c, ctx, &hit):
            refresh(c, ctx, &key, &hit)
    elif not c.verify:
        refresh(c, ctx, &key, &hit)
    elif verifies(c, ctx, &hit):
        return go_on(ctx)
    if answer_with(c, ctx, &hit) == ANSWERED:
        return ANSWERED
    return go_on(ctx)


# ------------------------------------------------------------------------------------- prefetch and stale

cdef bint is_due(const Conf* c, Context* ctx, const Hit* hit) noexcept nogil:
    """Count a hit on a fresh record; whether it is popular, and about to expire."""
    cdef uint64_t least_s
    if c.prefetch_hits == 0:
        return False
    least_s = (<uint64_t>c.prefetch_percent * hit.found.record.ttl_s + 99) // 100
    return (count_hit(state_of(c.cache, hit.half, hit.found.slot), now_of(ctx), c.prefetch_window_ms)
            >= c.prefetch_hits and <uint64_t>hit.left_s <= least_s)


cdef bint claim(const Conf* c, Context* ctx, const Hit* hit) noexcept nogil:
    """Whether this query's is the one refresh of a record. Not while another is out, nor too soon after one that
    has failed."""
    return claim_refresh(state_of(c.cache, hit.half, hit.found.slot), now_of(ctx), now_of(ctx) + CLAIM_NS)


cdef void refresh(const Conf* c, Context* ctx, const Key* key, const Hit* hit) noexcept nogil:
    """Ask below for nobody, unless that is being done. The record stays in scratch."""
    cdef Outcome outcome
    if not claim(c, ctx, hit):
        return
    count(ctx, c, CACHE_PREFETCHES)
    hold(ctx.reply, hit)
    ctx.asked_set |= FLAG_AD
    outcome = run_below(ctx)
    if outcome == ANSWERED and (ctx.from_upstream or not ctx.written):
        # It was at hand.
        settle(c, ctx, key, True)
    forget_records(ctx.reply)
    ctx.written = False
    ctx.from_upstream = False


cdef bint verifies(const Conf* c, Context* ctx, const Hit* hit) noexcept nogil:
    """Whether the upstream is asked before a stale record is served, and for how long."""
    if c.recheck_ns and not claim(c, ctx, hit):
        return False
    if c.verify_timeout_ns:
        ctx.stale_after_ns = now_of(ctx) + c.verify_timeout_ns
        # When it has been answered with what is stale, it goes on from here for nobody.
        ctx.background_step = ctx.step
    return True


cdef Outcome answer_late(const Conf* c, Context* ctx) noexcept nogil:
    """The upstream has been silent for too long: what is stale must do. Requests and hits are counted already."""
    cdef Hit hit
    cdef Key key
    question_key(c, ctx.q, 0, &key)
    if choose(c, ctx, &key, &hit) and answer_with(c, ctx, &hit) == ANSWERED:
        return ANSWERED
    return go_on(ctx)


# ------------------------------------------------------------------------------------------------ keeping

cdef uint32_t ttl_of(const Conf* c, const Reply* r, const Classified* what) noexcept nogil:
    """The one TTL of a reply."""
    cdef const HalfOptions* options = &c.halves[<uint32_t>half_of_kind(what)]
    cdef uint32_t ttl_s
    if what.kind == SERVER_ERROR:
        return c.servfail_ttl_s
    ttl_s = least_ttl_s(r, what.kind, options.max_ttl_s)
    if ttl_s < options.min_ttl_s:
        ttl_s = options.min_ttl_s
    return ttl_s if ttl_s < options.max_ttl_s else options.max_ttl_s


cdef inline Half half_of_kind(const Classified* what) noexcept nogil:
    if what.kind == NO_DATA or what.kind == NAME_ERROR or what.kind == SERVER_ERROR:
        return DENIAL
    return SUCCESS


cdef void supersede(const Conf* c, const Query* q, const Key* key, const Classified* what) noexcept nogil:
    """Take out what an answer that has just been kept is newer than."""
    cdef Key other
    if half_of_kind(what) == DENIAL:
        # An error of the server says nothing about the name.
        if what.kind != SERVER_ERROR and not c.prefer_positive:
            remove(c.cache, SUCCESS, key)
    elif not c.prefer_positive:
        remove(c.cache, DENIAL, key)
    elif what.answers:
        remove(c.cache, DENIAL, key)
        question_key(c, q, KEY_NO_ANSWER, &other)
        remove(c.cache, SUCCESS, &other)


cdef bint keep(const Conf* c, Context* ctx, const Key* plain, const Classified* what, uint32_t ttl_s,
               uint64_t usage) noexcept nogil:
    """Store the reply, if it is of a kind that is stored. Returns whether it is in the cache now."""
    cdef Half half = half_of_kind(what)
    cdef ServiceReply* reply = reply_to(ctx)
    cdef const Key* key = plain
    cdef Key other
    cdef Insertion result
    if not what.storable or ttl_s == 0 or in_any(ctx.q, &c.halves[<uint32_t>half].disabled):
        return False
    if reply != NULL and reply.stored:
        return True
    if half == SUCCESS and c.prefer_positive and not what.answers:
        # The last good answer stays beside it.
        question_key(c, ctx.q, KEY_NO_ANSWER, &other)
        key = &other
    result = store(c, ctx, half, key, ttl_s, usage)
    if result == NOT_INSERTED:
        count(ctx, c, CACHE_DROPS)
        return False
    if result == INSERTED_EVICTING:
        count(ctx, c, CACHE_EVICTIONS + <uint32_t>half)
    supersede(c, ctx.q, plain, what)
    if reply != NULL:
        reply.stored = True
    return True


cdef Insertion store(const Conf* c, Context* ctx, Half half, const Key* key, uint32_t ttl_s,
                     uint64_t usage) noexcept nogil:
    """Put the reply into the cache, by way of what is left of its scratch."""
    cdef Reply* r = ctx.reply
    cdef uint32_t room = 0
    cdef Record* draft = <Record*>free_scratch(r, &room)
    cdef uint32_t around = sizeof(Record) + key.length + RING_UNIT_BYTES
    if room <= around:
        return NOT_INSERTED
    draft.key_len = key.length
    memcpy(record_key(draft), key.data, key.length)
    draft.payload_len = pack_reply(ctx.q, r, record_payload(draft), room - around)
    if draft.payload_len == 0:
        return NOT_INSERTED
    draft.stored_ns = now_of(ctx)
    draft.ttl_s = ttl_s
    draft.rcode = r.rcode
    return insert(c.cache, half, key, draft,
                  draft.stored_ns + (ttl_s + <uint64_t>stale_s_of(c, r.rcode)) * NS_PER_S, usage)


cdef void set_ttls(Section* section, uint32_t ttl_s) noexcept nogil:
    cdef uint32_t i
    for i in range(section.count):
        section.rr[i].ttl_s = ttl_s


cdef bint refreshes(const Conf* c, const Reply* r, const Classified* what) noexcept nogil:
    """Whether a reply may take the place of what is stale (RFC 8767 section 4: no failure may)."""
    if r.tc or what.kind == OTHER or what.kind == TRANSFER:
        return False
    if c.prefer_positive:
        return what.kind == POSITIVE and what.answers
    return r.rcode == NOERROR or r.rcode == NXDOMAIN


cdef bint settle(const Conf* c, Context* ctx, const Key* key, bint background) noexcept nogil:
    """Keep what has come from below, and give it its TTL. False where what is stale has to do instead."""
    cdef Classified what
    cdef EntryState* state = NULL
    cdef Hit old
    cdef bint stale = False, accepted = True, kept = False
    cdef uint32_t ttl_s
    cdef uint64_t usage = 0
    if (background or c.verify) and choose(c, ctx, key, &old):
        stale = old.left_s <= 0
        if stale or background:
            state = state_of(c.cache, old.half, old.found.slot)
        if background:
            # What has been popular stays so.
            usage = load_relaxed(&state.usage)
    if ctx.written:
        what = classify(ctx.q, ctx.reply)
        accepted = not stale or refreshes(c, ctx.reply, &what)
        ttl_s = ttl_of(c, ctx.reply, &what)
        # A failure would take the place of what is stale where that is a denial.
        if accepted or (c.prefer_positive and what.kind != SERVER_ERROR):
            kept = keep(c, ctx, key, &what, ttl_s, usage)
        set_ttls(&ctx.reply.answer, ttl_s)
        set_ttls(&ctx.reply.authority, ttl_s)
        set_ttls(&ctx.reply.additional, ttl_s)
        # An OPT record is of one hop.
        ctx.reply.options = NULL
        ctx.reply.options_len = 0
        ctx.reply.ad = ctx.reply.ad and wants_ad(ctx.q)
        if stale and kept and c.verify_timeout_ns and accepted:
            # As from the cache, which has been waited for.
            ctx.reply.aa = True
    else:
        accepted = not stale
    if state != NULL and not (kept and accepted):
        # The record stands; whoever wants to may refresh it.
        store_relaxed(&state.refresh_after_ns, 0 if accepted or not c.recheck_ns else now_of(ctx) + c.recheck_ns)
    return accepted


cdef void after(Context* ctx, const void* conf) noexcept nogil:
    cdef const Conf* c = <const Conf*>conf
    cdef Hit old
    cdef Key key
    if not takes(c, ctx.q) or (ctx.written and not ctx.from_upstream):
        return
    question_key(c, ctx.q, 0, &key)
    if settle(c, ctx, &key, ctx.background) or ctx.background:
        return
    if choose(c, ctx, &key, &old):
        answer_with(c, ctx, &old)


# --------------------------------------------------------------------------------------------- the object

cdef class CacheStep(NativeStep):
    """cache: shared by all workers. config: the plugin's Config. passing: zones of which nothing is ever kept."""
    cdef readonly Cache cache
    cdef Conf conf
    cdef list keep

    def __init__(self, Cache cache not None, config, tuple passing=(), uint32_t first_counter=0):
        if first_counter + CACHE_EVICTIONS + 2 > PLUGIN_COUNTERS:
            raise ValueError("no such counters")
        self.conf.first_counter = first_counter
        self.cache = cache
        self.keep = []
        self.conf.cache = cache.header
        self.fill_zones(&self.conf.zones, config.zones)
        self.fill_zones(&self.conf.passing, passing)
        self.fill_half(&self.conf.halves[<uint32_t>SUCCESS], config.success)
        self.fill_half(&self.conf.halves[<uint32_t>DENIAL], config.denial)
        # Whole seconds: a TTL is.
        self.conf.servfail_ttl_s = int(config.servfail_s)
        self.conf.keep_ttl = config.keep_ttl
        if config.prefetch is not None:
            self.conf.prefetch_hits = config.prefetch.hits
            self.conf.prefetch_window_ms = int(config.prefetch.window_s * 1e3)
            self.conf.prefetch_percent = config.prefetch.percent
        if config.stale is not None:
            self.conf.stale_s = int(config.stale.limit_s)
            self.conf.stale_ttl_s = config.stale.ttl_s
            self.conf.recheck_ns = int(config.stale.recheck_s * 1e9)
            self.conf.verify = config.stale.verify
            self.conf.verify_timeout_ns = int(config.stale.timeout_s * 1e9)
            self.conf.prefer_positive = config.stale.prefer_positive
        self.step.before = before
        self.step.after = after
        self.step.ahead = ahead
        self.step.again = again
        self.step.conf = &self.conf

    def __dealloc__(self):
        free(self.conf.zones.names)
        free(self.conf.passing.names)
        free(self.conf.halves[0].disabled.names)
        free(self.conf.halves[1].disabled.names)

    cdef int fill_half(self, HalfOptions* half, given) except -1:
        half.max_ttl_s = given.max_ttl_s
        half.min_ttl_s = given.min_ttl_s
        self.fill_zones(&half.disabled, given.disabled)
        return 0

    cdef int fill_zones(self, Zones* zones, tuple names) except -1:
        cdef uint32_t i
        cdef bytes name
        zones.names = <ZoneName*>calloc(max(1, len(names)), sizeof(ZoneName))
        if zones.names == NULL:
            raise MemoryError
        for i in range(<uint32_t>len(names)):
            name = wire_name(names[i])
            self.keep.append(name)
            zones.names[i].name = <const uint8_t*>name
            zones.names[i].length = len(name)
        zones.count = len(names)
        return 0
