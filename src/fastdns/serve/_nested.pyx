"""Questions inside a query: see _nested.pxd."""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memset

from fastdns.serve._chain cimport answer, run
from fastdns.serve._context cimport (
    ANSWERED, DROPPED, MAX_ASKED, MAX_DEPTH, NEXT, Chain, Changed, StepMemory, bare, begin_question, written,
)
from fastdns.serve._question cimport detach, judge_question, make_question
from fastdns._wire cimport (
    CLASS_IN, HEADER_BYTES, MAX_SECTION_RRS, SERVFAIL, TYPE_CNAME, Query, ReplyHead, begin_reply, head_of, lower,
    put_head, scratch,
)

# What each question has of the Context for itself.
cdef struct Frame:
    Query* q
    const Chain* chain
    uint32_t step
    uint32_t zone_slot
    uint32_t background_step
    bint seen
    StepMemory* memory
    Changed* changed
    bint written
    bint from_upstream
    uint16_t error
    uint16_t error_upstream
    uint16_t asked_set
    uint16_t asked_cleared
    uint64_t* claim
    uint64_t claim_hash
    uint64_t stale_after_ns
    uint64_t deadline_ns
    ReplyHead head


cdef void leave_frame(const Context* ctx, Frame* f) noexcept nogil:
    f.q = ctx.q
    f.chain = ctx.chain
    f.step = ctx.step
    f.zone_slot = ctx.zone_slot
    f.background_step = ctx.background_step
    f.seen = ctx.seen
    f.memory = ctx.memory
    f.changed = ctx.changed
    f.written = ctx.written
    f.from_upstream = ctx.from_upstream
    f.error = ctx.error
    f.error_upstream = ctx.error_upstream
    f.asked_set = ctx.asked_set
    f.asked_cleared = ctx.asked_cleared
    f.claim = ctx.claim
    f.claim_hash = ctx.claim_hash
    f.stale_after_ns = ctx.stale_after_ns
    f.deadline_ns = ctx.deadline_ns
    f.head = head_of(ctx.reply)


cdef void return_to(Context* ctx, const Frame* f) noexcept nogil:
    ctx.q = f.q
    ctx.chain = f.chain
    ctx.step = f.step
    ctx.zone_slot = f.zone_slot
    ctx.background_step = f.background_step
    ctx.seen = f.seen
    ctx.memory = f.memory
    ctx.changed = f.changed
    ctx.written = f.written
    ctx.from_upstream = f.from_upstream
    ctx.error = f.error
    ctx.error_upstream = f.error_upstream
    ctx.asked_set = f.asked_set
    ctx.asked_cleared = f.asked_cleared
    ctx.claim = f.claim
    ctx.claim_hash = f.claim_hash
    ctx.stale_after_ns = f.stale_after_ns
    ctx.deadline_ns = f.deadline_ns
    put_head(ctx.reply, &f.head)


cdef bint take_records(Reply* reply, Section* section, Records* records) noexcept nogil:
    """Copy a section to scratch and empty it. False where there is no room: then the section stays as it is."""
    cdef uint8_t* at
    records.count = section.count
    records.rr = section.rr
    if section.count == 0:
        return True
    at = scratch(reply, (section.count + 1) * sizeof(RR))
    if at == NULL:
        return False
    records.rr = <RR*>((<size_t>at + 7) & ~<size_t>7)
    memcpy(records.rr, section.rr, section.count * sizeof(RR))
    section.count = 0
    return True


cdef void add_records(Reply* reply, Section* section, const Records* records) noexcept nogil:
    cdef uint32_t count = records.count
    if count > MAX_SECTION_RRS - section.count:
        count = MAX_SECTION_RRS - section.count
        reply.tc = True
    if count:
        # Where nothing was found there is no record to point to.
        memcpy(&section.rr[section.count], records.rr, count * sizeof(RR))
        section.count += count


cdef bint is_alias_of(const Query* q, const RR* rr, const RR* other) noexcept nogil:
    """Whether a record of the reply to a question is an alias of the name whose alias another record is."""
    cdef const uint8_t* owner = rr.owner if rr.owner != NULL else q.msg + rr.owner_at
    cdef uint32_t i, size = rr.owner_len if rr.owner != NULL else q.name_len + HEADER_BYTES - rr.owner_at
    if rr.rrtype != TYPE_CNAME or size != other.owner_len:
        return False
    for i in range(size):
        if lower(owner[i]) != lower(other.owner[i]):
            return False
    return True


cdef uint32_t before_loop(const Context* ctx, const Records* records) noexcept nogil:
    """How many records stand before the first alias that the answer has already."""
    cdef const Section* known = &ctx.reply.answer
    cdef uint32_t i, j
    for i in range(records.count):
        if records.rr[i].rrtype == TYPE_CNAME:
            for j in range(known.count):
                if is_alias_of(ctx.q, &known.rr[j], &records.rr[i]):
                    return i
    return records.count


cdef void add_answer_of_alias(Context* ctx, const Records* records) noexcept nogil:
    cdef Records fitting = records[0]
    fitting.count = before_loop(ctx, records)
    add_records(ctx.reply, &ctx.reply.answer, &fitting)


cdef void put_back(Section* section, const Records* records) noexcept nogil:
    if records.rr != section.rr:
        memcpy(section.rr, records.rr, records.count * sizeof(RR))
    section.count = records.count


cdef void take_found(Context* ctx, Query* inner, Outcome outcome, Found* found) noexcept nogil:
    """What the steps have left in the reply."""
    cdef Reply* reply = ctx.reply
    found.rcode = reply.rcode
    found.aa = reply.aa
    found.ra = reply.ra
    found.ad = reply.ad
    found.written = ctx.written
    found.from_upstream = ctx.from_upstream
    found.error = ctx.error
    found.error_upstream = ctx.error_upstream
    found.options = reply.options
    found.options_len = reply.options_len
    if (not take_records(reply, &reply.answer, &found.answer)
            or not take_records(reply, &reply.authority, &found.authority)
            or not take_records(reply, &reply.additional, &found.additional)):
        # What is left of the reply is not whole.
        found.answer.count = found.authority.count = found.additional.count = 0
    found.answer.count = detach(reply, inner, found.answer.rr, found.answer.count)
    found.authority.count = detach(reply, inner, found.authority.rr, found.authority.count)
    found.additional.count = detach(reply, inner, found.additional.rr, found.additional.count)
    found.tc = reply.tc


cdef Outcome ask(Context* ctx, uint32_t first, bint same) noexcept nogil:
    """same: the steps before have seen this question already."""
    cdef Outcome outcome
    if first == WHOLE_SERVER:
        return answer(ctx)
    if not same:
        outcome = judge_question(ctx, first)
        if outcome != NEXT:
            return outcome
    return run(ctx, ctx.chain, first)


cdef Outcome nested(Context* ctx, const uint8_t* name, uint32_t name_len, uint16_t qtype, uint32_t first,
                    Found* found) noexcept nogil:
    cdef Query inner
    cdef Frame frame
    cdef Reply* reply = ctx.reply
    cdef Records answers, authorities, additionals
    cdef Outcome outcome
    cdef bint same
    memset(found, 0, sizeof(Found))
    found.rcode = SERVFAIL
    if ctx.depth >= MAX_DEPTH or ctx.asked >= MAX_ASKED:
        return DROPPED
    if not make_question(reply, ctx.q, name, name_len, qtype, CLASS_IN, NULL, &inner):
        return DROPPED
    leave_frame(ctx, &frame)
    same = same_question(&inner, ctx.q)
    if not take_records(reply, &reply.answer, &answers):
        return DROPPED
    if not take_records(reply, &reply.authority, &authorities):
        put_back(&reply.answer, &answers)
        return DROPPED
    if not take_records(reply, &reply.additional, &additionals):
        put_back(&reply.answer, &answers)
        put_back(&reply.authority, &authorities)
        return DROPPED
    begin_reply(reply)
    begin_question(ctx)
    ctx.q = &inner
    ctx.depth += 1
    ctx.asked += 1
    ctx.seen = ctx.asked <= ctx.asked_before
    found.asked = True
    outcome = ask(ctx, first, same)
    ctx.depth -= 1
    if outcome == ANSWERED:
        take_found(ctx, &inner, outcome, found)
    return_to(ctx, &frame)
    put_back(&reply.answer, &answers)
    put_back(&reply.authority, &authorities)
    put_back(&reply.additional, &additionals)
    return outcome


cdef bint same_question(const Query* one, const Query* other) noexcept nogil:
    cdef uint32_t i
    if one.qtype != other.qtype or one.qclass != other.qclass or one.name_len != other.name_len:
        return False
    for i in range(one.name_len):
        if one.name[i] != other.name[i]:
            return False
    return True


cdef Outcome reply_with(Context* ctx, const Found* found) noexcept nogil:
    if not found.written:
        ctx.reply.answer.count = 0
        ctx.error = found.error
        ctx.error_upstream = found.error_upstream
        return bare(ctx, found.rcode)
    add_records(ctx.reply, &ctx.reply.answer, &found.answer)
    add_records(ctx.reply, &ctx.reply.authority, &found.authority)
    add_records(ctx.reply, &ctx.reply.additional, &found.additional)
    ctx.reply.rcode = found.rcode
    ctx.reply.aa = found.aa
    ctx.reply.ra = found.ra
    ctx.reply.tc |= found.tc
    ctx.reply.options = found.options
    ctx.reply.options_len = found.options_len
    ctx.from_upstream = found.from_upstream
    return written(ctx)
