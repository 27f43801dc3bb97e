"""Rewriting replies: see _reply.pxd.

Rules apply to each record in the reverse of their order, and so do the answers of a rule; what an automatic rule
puts back comes last.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from fastdns._wire cimport (
    HEADER_BYTES, MAX_NAME_BYTES, SERVFAIL, TYPE_CNAME, TYPE_DNAME, TYPE_MX, TYPE_NAPTR, TYPE_NS, TYPE_PTR,
    TYPE_SOA, TYPE_SRV, RR, Section, forget_records, scratch,
)
from fastdns.dns._cursor cimport lower
from fastdns.dns._replies cimport naptr_fixed
from fastdns.dns._texts cimport MAX_NAME_TEXT_BYTES, parse_name, put_name
from fastdns.plugins.rewrite._replace cimport NO_MATCH, NO_ROOM, Replacing, replace
from fastdns.plugins.rewrite._rules cimport CNAME, NAME, RCODE, TTL, Applied, Rule
from fastdns.serve._context cimport ANSWERED, SUSPENDED, Outcome
from fastdns.serve._nested cimport WHOLE_SERVER, Found, add_answer_of_alias, nested
from fastdns.serve._question cimport detach

cdef enum:
    MAX_PLAIN_RCODE = 15        # more needs an OPT record
    INVALID_ANSWER = 1          # of the plugin's reasons

# What became of a name, or of a record.
cdef enum Change:
    SAME
    CHANGED
    INVALID                     # it is no name any more
    NO_SPACE                    # scratch is used up
    REPLACED                    # the records behind this one were replaced
    WAITS                       # an alias is asked for

# A name as it is being rewritten.
cdef struct Name:
    uint16_t length
    uint8_t wire[MAX_NAME_BYTES + 1]

# Where a record has a name in its rdata. embedded: in ``fixed``, behind ``offset`` bytes; else it is rr.name.
cdef struct Value:
    const uint8_t* name
    uint16_t length
    uint16_t offset
    bint embedded


# ------------------------------------------------------------------------------------------------------ names

cdef Change replace_name(const Replacing* r, Name* name) noexcept nogil:
    cdef uint8_t text[MAX_NAME_TEXT_BYTES]
    cdef uint8_t other[MAX_NAME_TEXT_BYTES]
    cdef uint32_t length = <uint32_t>(put_name(text, name.wire) - text)
    cdef int32_t size = replace(r, text, length, other, MAX_NAME_TEXT_BYTES)
    if size == NO_MATCH:
        return SAME
    if size == NO_ROOM:
        return INVALID
    length = parse_name(other, <uint32_t>size, name.wire)
    if length == 0:
        return INVALID
    name.length = <uint16_t>length
    return CHANGED


cdef Change put_back(const Applied* a, Name* name) noexcept nogil:
    """Where a name is the new one or below it, put the old one in its place."""
    cdef uint32_t at = 0, i, kept
    if name.length < a.name_len:
        return SAME
    kept = name.length - a.name_len
    while at < kept:
        at += name.wire[at] + 1
    if at != kept:
        return SAME
    for i in range(a.name_len):
        if lower(name.wire[kept + i]) != a.name[i]:
            return SAME
    if kept + a.old_len > MAX_NAME_BYTES:
        return INVALID
    memcpy(name.wire + kept, a.old, a.old_len)
    name.length = <uint16_t>(kept + a.old_len)
    return CHANGED


cdef Change apply(const Applied* a, bint value, Name* name) noexcept nogil:
    """What one rule makes of an owner, or of a name in rdata."""
    cdef Change change, result = SAME
    cdef uint32_t i = a.rule.answer_count
    while i > 0:
        i -= 1
        if a.rule.answers[i].value != value:
            continue
        change = replace_name(&a.rule.answers[i].replacing, name)
        if change == INVALID:
            return INVALID
        if change == CHANGED:
            result = CHANGED
    if a.rule.puts_back:
        change = put_back(a, name)
        if change != SAME:
            return change
    return result


cdef inline void take_name(Name* name, const uint8_t* wire, uint16_t length) noexcept nogil:
    memcpy(name.wire, wire, length)
    name.length = length


cdef const uint8_t* keep_name(Context* ctx, const Name* name) noexcept nogil:
    """In scratch, until the reply is written; NULL: there is no room."""
    cdef uint8_t* at = scratch(ctx.reply, name.length)
    if at != NULL:
        memcpy(at, name.wire, name.length)
    return at


cdef bint is_question(const Context* ctx, const uint8_t* wire, uint16_t length) noexcept nogil:
    cdef uint32_t i
    if length != ctx.q.name_len:
        return False
    for i in range(length):
        if lower(wire[i]) != ctx.q.name[i]:
            return False
    return True


# ----------------------------------------------------------------------------------------------------- owners

# The last owner and what became of it: records of one set share theirs.
cdef struct LastOwner:
    const uint8_t* owner
    uint16_t length
    const uint8_t* other
    uint16_t other_len


cdef Change rewrite_owner(Context* ctx, const Memory* m, RR* rr, LastOwner* last) noexcept nogil:
    cdef Name name
    cdef Change change
    cdef bint changed = False
    cdef const Applied* a = m.newest
    if rr.owner != last.owner or rr.owner_len != last.length:
        take_name(&name, rr.owner, rr.owner_len)
        while a != NULL:
            change = apply(a, False, &name) if a.rule.field == NAME else SAME
            if change == INVALID:
                return INVALID
            if change == CHANGED:
                changed = True
            a = a.older
        last.owner = rr.owner
        last.length = rr.owner_len
        last.other = NULL
        if changed:
            last.other = keep_name(ctx, &name)
            last.other_len = name.length
            if last.other == NULL:
                return NO_SPACE
    if last.other == NULL:
        return SAME
    rr.owner = last.other
    rr.owner_len = last.other_len
    if is_question(ctx, rr.owner, rr.owner_len):
        # A pointer to the question: in the client's own spelling.
        rr.owner = NULL
        rr.owner_at = HEADER_BYTES
    return CHANGED


# ----------------------------------------------------------------------------------------------------- values

cdef inline bint compresses(uint16_t rrtype) noexcept nogil:
    # RFC 3597 section 4: only in types of RFC 1035.
    return rrtype != TYPE_SRV and rrtype != TYPE_NAPTR and rrtype != TYPE_DNAME


cdef bint find_value(const RR* rr, Value* v) noexcept nogil:
    cdef uint16_t rrtype = rr.rrtype
    cdef const uint8_t* rdata = rr.fixed if rr.fixed != NULL else rr.inline_fixed
    cdef uint32_t at, offset = 0
    if rrtype == TYPE_SRV:
        offset = 6
    elif rrtype == TYPE_MX:
        offset = 2
    elif rrtype == TYPE_NAPTR:
        offset = naptr_fixed(rdata, rr.fixed_len)
    elif not (rrtype == TYPE_CNAME or rrtype == TYPE_NS or rrtype == TYPE_PTR or rrtype == TYPE_DNAME
              or rrtype == TYPE_SOA):
        return False
    v.embedded = rr.name == NULL
    if not v.embedded:
        v.name = rr.name
        v.length = rr.name_len
        v.offset = rr.fixed_len
        return True
    at = offset
    while at < rr.fixed_len and rdata[at] != 0:
        if rdata[at] > 63:
            return False
        at += rdata[at] + 1
    if at >= rr.fixed_len or at + 1 - offset > MAX_NAME_BYTES:
        return False
    v.name = rdata + offset
    v.length = <uint16_t>(at + 1 - offset)
    v.offset = <uint16_t>offset
    return True


cdef bint put_value(Context* ctx, RR* rr, const Value* v, const Name* name) noexcept nogil:
    """Put another name in the place of one in rdata. False: there is no room."""
    cdef const uint8_t* at = keep_name(ctx, name)
    cdef uint32_t rest = rr.fixed_len - v.offset - v.length if v.embedded else 0
    cdef uint8_t* tail
    if at == NULL:
        return False
    if v.embedded:
        tail = scratch(ctx.reply, rest + rr.tail_len)
        if tail == NULL:
            return False
        memcpy(tail, v.name + v.length, rest)
        if rr.tail_len:
            memcpy(tail + rest, rr.tail, rr.tail_len)
        rr.tail = tail
        rr.tail_len = <uint16_t>(rest + rr.tail_len)
        rr.fixed_len = v.offset
        rr.compress_name = compresses(rr.rrtype)
    rr.name = at
    rr.name_len = name.length
    return True


cdef bint same_name(const uint8_t* one, uint16_t one_len, const Name* other) noexcept nogil:
    cdef uint32_t i
    if one_len != other.length:
        return False
    for i in range(one_len):
        if lower(one[i]) != lower(other.wire[i]):
            return False
    return True


cdef Change follow_alias(Context* ctx, const Memory* m, const Rule* rule, RR** rr, Name* name) noexcept nogil:
    """Ask for another target of an alias, and put what it comes to in the place of the records behind the alias.

    The aliases up to this one stay. rr: where the alias stands from now on, if it is REPLACED.
    """
    cdef Section* answer = &ctx.reply.answer
    cdef Name other = name[0]
    cdef Found found
    cdef Value v
    cdef Outcome outcome
    cdef uint32_t i, kept = 0
    for i in range(other.length):
        other.wire[i] = lower(other.wire[i])
    if replace_name(&rule.replacing, &other) != CHANGED:
        return SAME
    outcome = nested(ctx, other.wire, other.length, m.qtype, WHOLE_SERVER, &found)
    if outcome == SUSPENDED:
        return WAITS
    if outcome != ANSWERED:
        return SAME
    for i in range(answer.count):
        if answer.rr[i].rrtype != TYPE_CNAME:
            continue
        answer.rr[kept] = answer.rr[i]
        kept += 1
        if find_value(&answer.rr[kept - 1], &v) and same_name(v.name, v.length, name):
            break
    rr[0] = &answer.rr[kept - 1]
    if not find_value(rr[0], &v) or not put_value(ctx, rr[0], &v, &other):
        return NO_SPACE
    answer.count = kept
    add_answer_of_alias(ctx, &found.answer)
    ctx.reply.tc = found.tc
    name[0] = other
    return REPLACED


cdef Change rewrite_value(Context* ctx, const Memory* m, bint is_answer, RR* rr) noexcept nogil:
    cdef Name name
    cdef Value v
    cdef Change change, result = SAME
    cdef const Applied* a = m.newest
    if not find_value(rr, &v):
        return SAME
    take_name(&name, v.name, v.length)
    while a != NULL:
        change = SAME
        if a.rule.field == NAME:
            change = apply(a, True, &name)
            if change == INVALID:
                return INVALID
            if change == CHANGED:
                if not put_value(ctx, rr, &v, &name):
                    return NO_SPACE
                find_value(rr, &v)
        elif a.rule.field == CNAME and is_answer and rr.rrtype == TYPE_CNAME:
            change = follow_alias(ctx, m, a.rule, &rr, &name)
            if change == WAITS or change == NO_SPACE:
                return change
            if change == REPLACED:
                find_value(rr, &v)
        if change != SAME and result != REPLACED:
            result = change
        a = a.older
    return result


# --------------------------------------------------------------------------------------------- whole replies

cdef void rewrite_ttl(const Memory* m, RR* rr) noexcept nogil:
    cdef const Applied* a = m.newest
    while a != NULL:
        if a.rule.field == TTL:
            if rr.ttl_s < a.rule.low_s:
                rr.ttl_s = a.rule.low_s
            elif rr.ttl_s > a.rule.high_s:
                rr.ttl_s = a.rule.high_s
        a = a.older


cdef Change rewrite_section(Context* ctx, const Memory* m, Section* section) noexcept nogil:
    cdef LastOwner last
    cdef Change change
    cdef uint32_t i = 0
    last.owner = NULL
    last.length = 0
    last.other = NULL
    last.other_len = 0
    if m.names:
        section.count = detach(ctx.reply, ctx.q, section.rr, section.count)
    while i < section.count:
        rewrite_ttl(m, &section.rr[i])
        if m.names:
            change = rewrite_owner(ctx, m, &section.rr[i], &last)
            if change == CHANGED:
                # Nobody has validated what it says now.
                ctx.reply.ad = False
            if change == SAME or change == CHANGED:
                change = rewrite_value(ctx, m, section == &ctx.reply.answer, &section.rr[i])
            if change == REPLACED:
                ctx.reply.ad = False
                return SAME
            if change == CHANGED:
                ctx.reply.ad = False
            elif change == NO_SPACE:
                # As where a reply is too long: what does not fit is left out.
                section.count = i
                ctx.reply.tc = True
                return SAME
            elif change != SAME:
                return change
        i += 1
    return SAME


cdef void rewrite_rcode(Context* ctx, const Memory* m) noexcept nogil:
    cdef const Applied* a = m.newest
    while a != NULL:
        if a.rule.field == RCODE and ctx.reply.rcode == a.rule.number:
            ctx.reply.rcode = a.rule.to
            ctx.written = True
            if ctx.reply.rcode > MAX_PLAIN_RCODE and not ctx.q.has_opt:
                ctx.reply.rcode = SERVFAIL
        a = a.older


cdef void rewrite_reply(Context* ctx, const Conf* c, Memory* m) noexcept nogil:
    cdef Change change
    rewrite_rcode(ctx, m)
    change = rewrite_section(ctx, m, &ctx.reply.authority)
    if change == SAME:
        change = rewrite_section(ctx, m, &ctx.reply.answer)
    if change == SAME:
        change = rewrite_section(ctx, m, &ctx.reply.additional)
    if change == INVALID:
        forget_records(ctx.reply)
        ctx.reply.rcode = SERVFAIL
        ctx.written = False
        ctx.error = c.first_reason + INVALID_ANSWER
