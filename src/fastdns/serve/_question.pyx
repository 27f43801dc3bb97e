"""Another question in the place of the client's: see _question.pxd."""

from libc.string cimport memcpy, memset

from fastdns.serve._context cimport NEXT, Changed, Step, bare
from fastdns._wire cimport (
    HEADER_BYTES, MAX_NAME_BYTES, MAX_SENT_BYTES, OPT_FIXED_BYTES, SERVFAIL, TYPE_OPT, TYPE_SOA, Section,
    class_of_records, parse_question_name, put_u16, read_options, scratch,
)

cdef enum:
    MAX_OPT_BYTES = 0xFF00          # with what stands before it, a message still has at most 65,535
    POINTER = 0xC0
    SOA_NAMES = 2


cdef void write_opt(const Query* like, const Options* options, uint8_t* out) noexcept nogil:
    """An OPT record as ``like`` has it, or else as a client of our own would, with other options."""
    if like.has_opt:
        memcpy(out, like.msg + like.opt_at, OPT_FIXED_BYTES)
    else:
        memset(out, 0, OPT_FIXED_BYTES)
        put_u16(out + 1, TYPE_OPT)
        put_u16(out + 3, like.asked_udp_bytes)
    put_u16(out + OPT_FIXED_BYTES - 2, options.length)
    memcpy(out + OPT_FIXED_BYTES, options.data, options.length)


cdef bint make_question(Reply* reply, const Query* like, const uint8_t* name, uint32_t name_len, uint16_t qtype,
                        uint16_t qclass, const Options* options, Query* into) noexcept nogil:
    cdef uint32_t opt_len = like.opt_len if like.has_opt else 0
    cdef uint8_t* msg
    if options != NULL:
        if options.sent_len > MAX_SENT_BYTES or options.sent_len > options.length:
            return False
        opt_len = OPT_FIXED_BYTES + options.length
    if name_len > MAX_NAME_BYTES or opt_len > MAX_OPT_BYTES:
        return False
    msg = scratch(reply, HEADER_BYTES + name_len + 4 + opt_len)
    if msg == NULL:
        return False
    memcpy(into, like, sizeof(Query))
    if not parse_question_name(name, name_len, into):
        return False
    name_len = into.name_len
    memcpy(msg, like.msg, 4)
    memset(msg + 4, 0, 8)
    msg[5] = 1
    msg[11] = 1 if opt_len else 0
    memcpy(msg + HEADER_BYTES, name, name_len)
    put_u16(msg + HEADER_BYTES + name_len, qtype)
    put_u16(msg + HEADER_BYTES + name_len + 2, qclass)
    into.msg = msg
    into.msg_len = HEADER_BYTES + name_len + 4 + opt_len
    into.opt_at = HEADER_BYTES + name_len + 4
    into.qtype = qtype
    into.qclass = qclass
    if options == NULL:
        memcpy(msg + into.opt_at, like.msg + like.opt_at, opt_len)
        return True
    write_opt(like, options, msg + into.opt_at)
    into.has_opt = True
    into.opt_len = opt_len
    into.sent_len = options.sent_len
    return read_options(into)


cdef bint expand(Reply* reply, const Query* q, RR* rr) noexcept nogil:
    """Write out the ends of names that are pointers into the question. Only SOA records have any."""
    cdef uint8_t* out = scratch(reply, rr.fixed_len + rr.saved)
    cdef const uint8_t* rdata = rr.fixed
    cdef uint32_t at = 0, size = 0, _names, target
    if out == NULL or rr.rrtype != TYPE_SOA:
        return False
    for _names in range(SOA_NAMES):
        while at < rr.fixed_len and rdata[at] != 0 and rdata[at] < POINTER:
            memcpy(out + size, rdata + at, rdata[at] + 1)
            size += rdata[at] + 1
            at += rdata[at] + 1
        if rdata[at] == 0:
            out[size] = 0
            size += 1
            at += 1
            continue
        target = (<uint32_t>(rdata[at] & ~POINTER) << 8 | rdata[at + 1]) - HEADER_BYTES
        memcpy(out + size, q.msg + HEADER_BYTES + target, q.name_len - target)
        size += q.name_len - target
        at += 2
    memcpy(out + size, rdata + at, rr.fixed_len - at)
    rr.fixed = out
    rr.fixed_len = size + rr.fixed_len - at
    rr.saved = 0
    return True


cdef uint32_t detach(Reply* reply, const Query* q, RR* rr, uint32_t count) noexcept nogil:
    cdef uint32_t i
    for i in range(count):
        if rr[i].owner == NULL:
            # The message is in scratch, or the client's, for as long as the reply is.
            rr[i].owner = q.msg + rr[i].owner_at
            rr[i].owner_len = q.name_len + HEADER_BYTES - rr[i].owner_at
        if rr[i].saved and not expand(reply, q, &rr[i]):
            reply.tc = True
            return i
    return count


cdef void detach_section(Reply* reply, const Query* q, Section* section) noexcept nogil:
    section.count = detach(reply, q, section.rr, section.count)


cdef Outcome judge_question(Context* ctx, uint32_t behind) noexcept nogil:
    cdef const Step* steps = ctx.chain.steps
    cdef uint32_t running = ctx.step
    cdef Outcome outcome = NEXT
    cdef uint32_t i
    for i in range(behind):
        if steps[i].judge != NULL:
            ctx.step = i
            outcome = steps[i].judge(ctx, steps[i].conf)
            if outcome != NEXT:
                break
    ctx.step = running
    return outcome


cdef Outcome change_question(Context* ctx, const uint8_t* name, uint32_t name_len, uint16_t qtype,
                             uint16_t qclass) noexcept nogil:
    return change_question_and_options(ctx, name, name_len, qtype, qclass, NULL)


cdef Outcome change_question_and_options(Context* ctx, const uint8_t* name, uint32_t name_len, uint16_t qtype,
                                         uint16_t qclass, const Options* options) noexcept nogil:
    cdef uint8_t* room = scratch(ctx.reply, sizeof(Changed) + sizeof(Query) + 7)
    cdef Changed* change
    cdef Query* q
    if room == NULL:
        return bare(ctx, SERVFAIL)
    change = <Changed*>((<size_t>room + 7) & ~<size_t>7)
    q = <Query*>(change + 1)
    if not make_question(ctx.reply, ctx.q, name, name_len, qtype, qclass, options, q):
        return bare(ctx, SERVFAIL)
    change.outer = ctx.changed
    change.q = ctx.q
    change.step = &ctx.chain.steps[ctx.step]
    ctx.changed = change
    ctx.q = q
    return judge_question(ctx, ctx.step)


cdef void restore_question(Context* ctx) noexcept nogil:
    cdef Changed* change = ctx.changed
    detach_section(ctx.reply, ctx.q, &ctx.reply.answer)
    detach_section(ctx.reply, ctx.q, &ctx.reply.authority)
    detach_section(ctx.reply, ctx.q, &ctx.reply.additional)
    if ctx.reply.rrclass == 0 and ctx.q.qclass != change.q.qclass:
        # Rdata is that of the class that was asked below (RFC 1035 section 3.4: an address is another thing in CH).
        ctx.reply.rrclass = class_of_records(ctx.q)
    ctx.q = change.q
    ctx.changed = change.outer
