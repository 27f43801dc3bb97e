"""Steps that do what plugins to come must be able to do: change the question, ask others, judge, see the bytes."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastdns.serve._context cimport (
    DROPPED, NEXT, SUSPENDED, Context, Outcome, bare, step_memory, written,
)
from fastdns.serve._nested cimport WHOLE_SERVER, Found, add_records, nested
from fastdns.serve._question cimport change_question
from fastdns.serve._replies cimport was_here
from fastdns.serve._zones cimport NativeStep
from fastdns._wire cimport (
    HEADER_BYTES, MAX_NAME_BYTES, NXDOMAIN, REFUSED, RR, SERVFAIL, TYPE_A, TYPE_SOA, TYPE_TXT, Query, Section,
    add_option, add_rr, in_zone, put_u16, put_u32, scratch,
)


# ------------------------------------------------------------------------- (a) another question, another reply

cdef struct Rewriting:
    const uint8_t* suffix       # lowercased wire form
    const uint8_t* other
    uint16_t suffix_len
    uint16_t other_len
    uint16_t qtype              # 0: as asked
    uint64_t rewritten          # replies whose names were put back

# What it remembers of a query: the name that the steps below were asked.
cdef struct Rewritten:
    uint16_t name_len           # 0: it has not changed the question
    uint8_t name[MAX_NAME_BYTES + 1]


cdef Outcome rewrite_before(Context* ctx, const void* conf) noexcept nogil:
    cdef const Rewriting* c = <const Rewriting*>conf
    cdef Rewritten* memory
    cdef uint32_t kept = ctx.q.name_len - c.suffix_len
    if not in_zone(ctx.q, c.suffix, c.suffix_len) or kept + c.other_len > MAX_NAME_BYTES:
        return NEXT
    memory = <Rewritten*>step_memory(ctx, sizeof(Rewritten))
    if memory == NULL:
        return bare(ctx, SERVFAIL)
    # The sender's own spelling stays where it is kept.
    memcpy(memory.name, ctx.q.msg + HEADER_BYTES, kept)
    memcpy(memory.name + kept, c.other, c.other_len)
    memory.name_len = kept + c.other_len
    return change_question(ctx, memory.name, memory.name_len, c.qtype if c.qtype else ctx.q.qtype, ctx.q.qclass)


cdef void put_names_back(Context* ctx, const Rewritten* memory, Section* section) noexcept nogil:
    cdef uint32_t i, j
    cdef RR* rr
    for i in range(section.count):
        rr = &section.rr[i]
        if rr.owner == NULL or rr.owner_len != memory.name_len:
            continue
        for j in range(rr.owner_len):
            if rr.owner[j] != memory.name[j]:
                break
        else:
            rr.owner = NULL
            rr.owner_at = HEADER_BYTES


cdef void rewrite_after(Context* ctx, const void* conf) noexcept nogil:
    cdef Rewriting* c = <Rewriting*>conf
    cdef Rewritten* memory = <Rewritten*>step_memory(ctx, sizeof(Rewritten))
    if memory == NULL or memory.name_len == 0:
        return
    c.rewritten += 1
    put_names_back(ctx, memory, &ctx.reply.answer)
    put_names_back(ctx, memory, &ctx.reply.authority)


cdef class Rewrite(NativeStep):
    """Names below suffix are asked as names below other; records of the reply are named as they were asked."""
    cdef Rewriting conf
    cdef bytes suffix
    cdef bytes other

    def __init__(self, bytes suffix not None, bytes other not None, uint16_t qtype=0):
        self.suffix = suffix
        self.other = other
        self.conf.suffix = <const uint8_t*>suffix
        self.conf.suffix_len = len(suffix)
        self.conf.other = <const uint8_t*>other
        self.conf.other_len = len(other)
        self.conf.qtype = qtype
        self.step.before = rewrite_before
        self.step.after = rewrite_after
        self.step.conf = &self.conf

    @property
    def rewritten(self):
        """How many replies it has seen to questions that it had changed."""
        return self.conf.rewritten


# --------------------------------------------------------------------------- (b) several questions for one query

cdef enum:
    MAX_ASKED = 32

cdef struct Asking:
    const uint8_t* name         # for which it does so
    uint16_t name_len
    uint32_t count
    const uint8_t* names[MAX_ASKED]
    uint16_t lengths[MAX_ASKED]
    uint16_t qtype
    bint below                  # of the steps behind this one; else of the whole server
    uint64_t served             # how often all have come to something
    uint64_t begun              # queries, as often as they were served


cdef Outcome ask_before(Context* ctx, const void* conf) noexcept nogil:
    cdef Asking* c = <Asking*>conf
    cdef Found found
    cdef Outcome outcome
    cdef uint32_t i
    cdef RR* rr
    if not in_zone(ctx.q, c.name, c.name_len):
        return NEXT
    c.begun += not was_here(ctx)
    for i in range(c.count):
        outcome = nested(ctx, c.names[i], c.lengths[i], c.qtype, ctx.step + 1 if c.below else WHOLE_SERVER, &found)
        if outcome == SUSPENDED:
            return SUSPENDED
        add_records(ctx.reply, &ctx.reply.answer, &found.answer)
        add_records(ctx.reply, &ctx.reply.authority, &found.authority)
        add_records(ctx.reply, &ctx.reply.additional, &found.additional)
        # The code of each, as a record: the asker's is its own.
        rr = add_rr(ctx.reply, &ctx.reply.answer, TYPE_TXT, 0)
        if rr != NULL:
            rr.inline_fixed[0] = 3
            rr.inline_fixed[1] = 48 + found.rcode
            rr.inline_fixed[2] = 97 if found.aa else 45
            rr.inline_fixed[3] = 100 if outcome == DROPPED else 119 if found.written else 45
            rr.fixed_len = 4
    c.served += 1
    return written(ctx)


cdef class Ask(NativeStep):
    """Answers names below one with what several others come to. names: uncompressed wire form each."""
    cdef Asking conf
    cdef tuple keep

    def __init__(self, bytes name not None, list names not None, uint16_t qtype=TYPE_A, *, bint below=False):
        cdef uint32_t i
        if len(names) > MAX_ASKED:
            raise ValueError(f"at most {MAX_ASKED} names")
        self.keep = (name, list(names))
        self.conf.name = <const uint8_t*>name
        self.conf.name_len = len(name)
        self.conf.count = len(names)
        for i in range(self.conf.count):
            self.conf.names[i] = <const uint8_t*><bytes>names[i]
            self.conf.lengths[i] = len(names[i])
        self.conf.qtype = qtype
        self.conf.below = below
        self.step.before = ask_before
        self.step.conf = &self.conf

    @property
    def served(self):
        return self.conf.served

    @property
    def begun(self):
        return self.conf.begun


# -------------------------------------------------------------------------------------- (e) the final name

cdef struct Guarding:
    const uint8_t* name
    uint16_t name_len
    bint drops
    uint64_t stopped
    uint64_t looked             # questions that were looked at for the first time


cdef Outcome guard(Context* ctx, const void* conf) noexcept nogil:
    cdef Guarding* c = <Guarding*>conf
    c.looked += not was_here(ctx)
    if not in_zone(ctx.q, c.name, c.name_len):
        return NEXT
    c.stopped += not was_here(ctx)
    if c.drops:
        return DROPPED
    add_option(ctx.reply, 15, b"\x00\x12blocked", 9)
    return bare(ctx, REFUSED)


cdef class Guard(NativeStep):
    """Refuses names below one, or drops the query: whoever asks for them, and however they are come to."""
    cdef Guarding conf
    cdef bytes name

    def __init__(self, bytes name not None, *, bint drops=False):
        self.name = name
        self.conf.name = <const uint8_t*>name
        self.conf.name_len = len(name)
        self.conf.drops = drops
        self.step.before = guard
        self.step.judge = guard
        self.step.conf = &self.conf

    @property
    def stopped(self):
        return self.conf.stopped

    @property
    def looked(self):
        return self.conf.looked


cdef struct Saying:
    uint16_t flags_set
    uint16_t flags_cleared
    uint32_t count
    uint16_t codes[8]
    const uint8_t* data[8]
    uint16_t lengths[8]


cdef void say_after(Context* ctx, const void* conf) noexcept nogil:
    cdef const Saying* c = <const Saying*>conf
    cdef uint32_t i
    for i in range(c.count):
        add_option(ctx.reply, c.codes[i], c.data[i], c.lengths[i])
    ctx.reply.flags_set |= c.flags_set
    ctx.reply.flags_cleared |= c.flags_cleared


cdef class Say(NativeStep):
    """Adds EDNS options, (code, data) each, and sets and clears header bits."""
    cdef Saying conf
    cdef list options

    def __init__(self, list options not None, uint16_t flags_set=0, uint16_t flags_cleared=0):
        cdef uint32_t i
        self.options = options
        self.conf.count = len(options)
        for i in range(self.conf.count):
            self.conf.codes[i] = options[i][0]
            self.conf.data[i] = <const uint8_t*><bytes>options[i][1]
            self.conf.lengths[i] = len(options[i][1])
        self.conf.flags_set = flags_set
        self.conf.flags_cleared = flags_cleared
        self.step.after = say_after
        self.step.conf = &self.conf


# ---------------------------------------------------------------------------------------- (g) the bytes

cdef enum:
    SEAL_BYTES = 11 + 5

cdef struct Sealing:
    uint32_t came               # bytes of the last message, and of the reply to it
    uint32_t left
    uint64_t seen
    bint silent


cdef Outcome seal_before(Context* ctx, const void* conf) noexcept nogil:
    ctx.finish_bytes += SEAL_BYTES
    return NEXT


cdef uint32_t seal(Context* ctx, uint8_t* out, uint32_t size, uint32_t room, const void* conf) noexcept nogil:
    cdef Sealing* c = <Sealing*>conf
    c.came = ctx.msg_len
    c.left = size
    c.seen += 1
    if c.silent:
        return 0
    if size + SEAL_BYTES > room:
        return size
    # A TXT record of the root with both sizes.
    out[size] = 0
    put_u16(out + size + 1, TYPE_TXT)
    put_u16(out + size + 3, 1)
    put_u32(out + size + 5, 0)
    put_u16(out + size + 9, 5)
    out[size + 11] = 4
    put_u16(out + size + 12, <uint16_t>c.came)
    put_u16(out + size + 14, <uint16_t>c.left)
    put_u16(out + 10, ((<uint16_t>out[10] << 8) | out[11]) + 1)
    return size + SEAL_BYTES


cdef class Seal(NativeStep):
    """Ends each reply with a record that says how many bytes came, and how many were to leave."""
    cdef Sealing conf

    def __init__(self, *, bint silent=False):
        self.conf.silent = silent
        self.step.before = seal_before
        self.step.finish = seal
        self.step.conf = &self.conf

    @property
    def seen(self):
        return self.conf.seen


# ------------------------------------------------------------------------------------- fetching memory ahead

cdef struct Looking:
    uint64_t hash               # what ahead leaves for again; 0: nothing
    uint64_t ahead
    uint64_t again
    uint64_t wrong              # times that again got another one's


cdef void look_before(const Context* ctx, const Query* q, uint64_t* hash, const void* conf) noexcept nogil:
    cdef Looking* c = <Looking*>conf
    c.ahead += 1
    hash[0] = c.hash


cdef void look_once_more(const Context* ctx, const Query* q, uint64_t* hash, const void* conf) noexcept nogil:
    cdef Looking* c = <Looking*>conf
    c.again += 1
    c.wrong += hash[0] != c.hash


cdef class Look(NativeStep):
    """Looks at each message of a batch before it is served, and once more where it has left a hash."""
    cdef Looking conf

    def __init__(self, uint64_t hash):
        self.conf.hash = hash
        self.step.ahead = look_before
        self.step.again = look_once_more
        self.step.conf = &self.conf

    @property
    def looks(self):
        """(the first, the second, those with another one's hash)."""
        return self.conf.ahead, self.conf.again, self.conf.wrong


# ----------------------------------------------------------------------------------- what is below them all

cdef struct Answering:
    const uint8_t* name
    uint16_t name_len
    const uint8_t* rdata
    uint16_t rdata_len
    uint16_t rrtype
    uint32_t records
    uint64_t asked


cdef uint32_t put_label(uint8_t* out, const uint8_t* label, uint32_t length, const Context* ctx,
                        const Answering* c) noexcept nogil:
    """A label, and a pointer to the zone in the question. Returns the size."""
    memcpy(out, label, length)
    if c.name_len == 1:
        out[length] = 0
        return length + 1
    put_u16(out + length, 0xC000 | (HEADER_BYTES + ctx.q.name_len - c.name_len))
    return length + 2


cdef Outcome answer_before(Context* ctx, const void* conf) noexcept nogil:
    cdef Answering* c = <Answering*>conf
    cdef uint32_t i, _i, size
    cdef uint8_t* soa
    cdef RR* rr
    if not in_zone(ctx.q, c.name, c.name_len):
        return NEXT
    c.asked += 1
    ctx.reply.aa = True
    if ctx.q.qtype == c.rrtype:
        for _i in range(c.records):
            rr = add_rr(ctx.reply, &ctx.reply.answer, c.rrtype, 60)
            if rr == NULL:
                break
            rr.fixed = c.rdata
            rr.fixed_len = c.rdata_len
        return written(ctx)
    # Both names of the SOA record end in the question.
    ctx.reply.rcode = NXDOMAIN
    soa = scratch(ctx.reply, 5 + 7 + 20)
    rr = add_rr(ctx.reply, &ctx.reply.authority, TYPE_SOA, 60)
    if soa == NULL or rr == NULL:
        return bare(ctx, SERVFAIL)
    size = put_label(soa, b"\x02ns", 3, ctx, c)
    size += put_label(soa + size, b"\x04root", 5, ctx, c)
    for i in range(5):
        put_u32(soa + size + 4 * i, i + 1)
    rr.fixed = soa
    rr.fixed_len = size + 20
    if c.name_len == 1:
        rr.owner = b"\0"
        rr.owner_len = 1
    else:
        rr.saved = 2 * (c.name_len - 2)
        rr.owner_at = HEADER_BYTES + ctx.q.name_len - c.name_len
    return written(ctx)


cdef class Answer(NativeStep):
    """Answers names below one: records of one type, NXDOMAIN with a SOA record for all others."""
    cdef Answering conf
    cdef bytes name
    cdef bytes rdata

    def __init__(self, bytes name not None, bytes rdata not None, uint16_t rrtype=TYPE_A, uint32_t records=1):
        self.name = name
        self.rdata = rdata
        self.conf.name = <const uint8_t*>name
        self.conf.name_len = len(name)
        self.conf.rdata = <const uint8_t*>rdata
        self.conf.rdata_len = len(rdata)
        self.conf.rrtype = rrtype
        self.conf.records = records
        self.step.before = answer_before
        self.step.conf = &self.conf

    @property
    def asked(self):
        return self.conf.asked
