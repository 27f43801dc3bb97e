"""The answer to a question from a zone: see _answer.pxd."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from fastdns._wire cimport (
    HEADER_BYTES, NOERROR, NXDOMAIN, RR, SERVFAIL, TYPE_ANY, TYPE_CNAME, TYPE_DNAME, TYPE_DS, TYPE_NS, Query,
    add_rr, in_zone, parse_question_name, scratch,
)
from fastdns.authoritative._additional cimport add_addresses
from fastdns.authoritative._answering cimport (
    MAX_ALIASES, Answering, add_set, apex_owner, begin_answering, is_new, owner_at, zone_name,
)
from fastdns.authoritative._denial cimport (
    add_soa, is_shelved, prove_no_closer_name, prove_no_ds, prove_no_name, prove_no_type,
)
from fastdns.dns._cursor cimport lower
from fastdns.rrsets._layout cimport Body, RRset, Walk, find_set, next_rdata, next_set, walk_rrs, walk_sets
from fastdns.rrsets._lookup cimport (
    NAME_DELEGATED, NAME_EMPTY, NAME_MISSING, NAME_RENAMED, NAME_WILDCARD, Lookup, find_zone, look_up,
)
from fastdns.serve._context cimport ANSWERED, NEXT, SUSPENDED, bare, written
from fastdns.serve._nested cimport (
    WHOLE_SERVER, Found as Elsewhere, Records, add_answer_of_alias, add_records, nested,
)

cdef enum:
    YXDOMAIN = 6                # RFC 6672 section 2.2

# A name that an alias leads to, in uncompressed wire form.
cdef struct Target:
    const uint8_t* name
    uint32_t size


cdef Outcome finish(Answering* a, uint16_t rcode) noexcept nogil:
    """An answer that ends with records: the zone's name servers, and addresses."""
    cdef RRset s
    a.ctx.reply.rcode = rcode
    if a.qtype != TYPE_NS and find_set(&a.apex, TYPE_NS, &s):
        add_set(a, &a.ctx.reply.authority, &s, s.ttl_s, &a.apex, apex_owner(a))
    add_addresses(a, &a.ctx.reply.answer)
    return written(a.ctx)


cdef Outcome deny(Answering* a, const Lookup* found, uint16_t rcode) noexcept nogil:
    a.ctx.reply.rcode = rcode
    add_soa(a)
    if rcode == NXDOMAIN:
        prove_no_name(a, found)
    else:
        prove_no_type(a, found)
    return written(a.ctx)


cdef Outcome refer(Answering* a, const Lookup* found) noexcept nogil:
    """RFC 1034 section 4.3.2 step 3b, RFC 4035 section 3.1.4."""
    cdef RRset s
    # What stands before it in the answer is this zone's.
    a.ctx.reply.aa = a.aliases != 0
    if find_set(&found.body, TYPE_NS, &s):
        # The NS records of a cut are the child's: they have no signatures here.
        add_set(a, &a.ctx.reply.authority, &s, s.ttl_s, NULL, owner_at(a, found.at))
        add_addresses(a, &a.ctx.reply.authority)
    if a.dnssec:
        if find_set(&found.body, TYPE_DS, &s):
            add_set(a, &a.ctx.reply.authority, &s, s.ttl_s, &found.body, owner_at(a, found.at))
        else:
            prove_no_ds(a, found)
    return written(a.ctx)


cdef bint first_name(const RRset* s, Target* target) noexcept nogil:
    """The name that is the rdata of an RRset's first RR."""
    cdef Walk walk
    cdef uint16_t size
    walk_rrs(s, &walk)
    target.name = next_rdata(&walk, &size)
    target.size = size
    return target.name != NULL


cdef bint renamed(Answering* a, const Lookup* found, const RRset* dname, Target* target) noexcept nogil:
    """RFC 6672 section 2.2: the name with its end replaced, and the CNAME record that says so. False: too long."""
    cdef const uint8_t* spelled = a.spelled if a.spelled != NULL else a.ctx.q.msg + HEADER_BYTES
    cdef Target end
    cdef uint8_t* name
    cdef RR* rr
    if not first_name(dname, &end) or found.at + end.size > 255:
        return False
    name = scratch(a.ctx.reply, found.at + end.size)
    if name == NULL:
        return False
    memcpy(name, spelled, found.at)
    memcpy(name + found.at, end.name, end.size)
    target.name = name
    target.size = found.at + end.size
    rr = add_rr(a.ctx.reply, &a.ctx.reply.answer, TYPE_CNAME, dname.ttl_s)
    if rr == NULL:
        return False
    owner = owner_at(a, 0)
    rr.owner = owner.name
    rr.owner_len = owner.size
    rr.owner_at = owner.at
    rr.name = target.name
    rr.name_len = <uint16_t>target.size
    rr.compress_name = True
    return True


cdef void add_all(Answering* a, const Body* body) noexcept nogil:
    """Every RRset of a name. Signatures are among them."""
    cdef Walk sets
    cdef RRset s
    walk_sets(body, &sets)
    while next_set(&sets, &s):
        add_set(a, &a.ctx.reply.answer, &s, s.ttl_s, NULL, owner_at(a, 0))


cdef bint same_name(const uint8_t* spelled, const Query* q) noexcept nogil:
    cdef uint32_t i
    for i in range(q.name_len):
        if lower(spelled[i]) != q.name[i]:
            return False
    return True


cdef bint in_this_zone(const Answering* a, const Query* q) noexcept nogil:
    """Whether a name is this zone's, not one of another zone of the source."""
    cdef ZoneView nearest
    return in_zone(q, zone_name(a), a.z.name_len) and find_zone(a.z.h, a.z.source, q, &nearest) \
        and nearest.head.zone_id == a.z.head.zone_id


cdef bint has_type(const Records* records, uint16_t rrtype) noexcept nogil:
    cdef uint32_t i
    for i in range(records.count):
        if records.rr[i].rrtype == rrtype:
            return True
    return False


cdef Outcome answer_elsewhere(Answering* a, const Target* target) noexcept nogil:
    """What the whole server says of an alias's target (RFC 6604 section 3: its code is the reply's)."""
    cdef Context* ctx = a.ctx
    cdef Elsewhere found
    cdef Outcome outcome = nested(ctx, target.name, target.size, a.qtype, WHOLE_SERVER, &found)
    if outcome == SUSPENDED:
        return SUSPENDED
    add_answer_of_alias(ctx, &found.answer)
    ctx.reply.tc |= found.tc
    if outcome != ANSWERED:
        return finish(a, SERVFAIL)
    if found.rcode != NOERROR and found.rcode != NXDOMAIN:
        # Nobody here has the name: the client may look elsewhere.
        return finish(a, SERVFAIL if found.rcode == SERVFAIL else NOERROR)
    if found.rcode == NXDOMAIN or not has_type(&found.answer, a.qtype):
        # RFC 2308 section 2: of the zone in which it is denied. Or a referral.
        ctx.reply.rcode = found.rcode
        add_records(ctx.reply, &ctx.reply.authority, &found.authority)
        add_records(ctx.reply, &ctx.reply.additional, &found.additional)
        return written(ctx)
    return finish(a, found.rcode)


cdef Outcome answer_from(Context* ctx, const ZoneView* z, bint falls) noexcept nogil:
    cdef Answering a
    cdef Lookup found
    cdef Target target
    cdef Target names[MAX_ALIASES]
    cdef Query inner
    cdef RRset s
    cdef uint32_t i
    if not begin_answering(&a, ctx, z):
        return bare(ctx, SERVFAIL)
    names[0].name = ctx.q.name
    names[0].size = ctx.q.name_len
    ctx.reply.aa = True
    while True:
        look_up(z, a.q, &found)
        if is_shelved(&a) and found.found != NAME_WILDCARD:
            found.found = NAME_MISSING
            found.at = a.q.name_len - z.name_len
        if found.found == NAME_DELEGATED and not (a.qtype == TYPE_DS and found.at == 0):
            return refer(&a, &found)
        if found.found == NAME_MISSING or found.found == NAME_EMPTY:
            if falls and a.aliases == 0:
                ctx.reply.aa = False
                return NEXT
            return deny(&a, &found, NXDOMAIN if found.found == NAME_MISSING else NOERROR)
        if found.found == NAME_RENAMED:
            if not find_set(&found.body, TYPE_DNAME, &s):
                return bare(ctx, SERVFAIL)
            if is_new(&a, s.rrs):
                add_set(&a, &ctx.reply.answer, &s, s.ttl_s, &found.body, owner_at(&a, found.at))
            if not renamed(&a, &found, &s, &target):
                ctx.reply.rcode = YXDOMAIN
                return written(ctx)
            if a.qtype == TYPE_CNAME or a.qtype == TYPE_ANY:
                return finish(&a, NOERROR)
        else:
            if a.qtype == TYPE_ANY and found.body.size:
                add_all(&a, &found.body)
            elif find_set(&found.body, a.qtype, &s) or find_set(&found.body, TYPE_CNAME, &s):
                add_set(&a, &ctx.reply.answer, &s, s.ttl_s, &found.body, owner_at(&a, 0))
            else:
                return deny(&a, &found, NOERROR)
            if found.found == NAME_WILDCARD:
                prove_no_closer_name(&a, &found)
            if a.qtype == TYPE_ANY or s.rrtype == a.qtype or not first_name(&s, &target):
                return finish(&a, NOERROR)
        a.aliases += 1
        if a.aliases == MAX_ALIASES or not parse_question_name(target.name, target.size, &inner):
            return finish(&a, NOERROR)
        for i in range(a.aliases):
            if names[i].size == inner.name_len and same_name(names[i].name, &inner):
                return finish(&a, NOERROR)
        names[a.aliases] = target
        if not in_this_zone(&a, &inner):
            return answer_elsewhere(&a, &target)
        a.q = &inner
        a.spelled = target.name
