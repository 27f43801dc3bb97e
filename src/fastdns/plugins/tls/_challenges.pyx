"""What an authority looks for in the DNS to see that a name is ours (RFC 8555 section 8.4), and the step for it.

One process at a time writes: the one that orders a certificate. Workers read without a lock: what they have copied
counts if nothing was written meanwhile.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from fastdns._wire cimport CLASS_IN, MAX_NAME_BYTES, RR, TYPE_TXT, add_rr, scratch
from fastdns.errors import FastdnsError
from fastdns.memory._atomics cimport (
    acquire_fence, load, load_relaxed, load_relaxed_u32, publish_u64, release_fence, store_relaxed,
    store_relaxed_u32,
)
from fastdns.memory._mapping cimport map_shared, unmap
from fastdns.serve._context cimport NEXT, Context, Outcome, written
from fastdns.serve._zones cimport NativeStep

# A certificate has 100 names at most (plugins/tls/config.py), and each of them one value.
MOST = 100

cdef enum:
    MAX_RECORDS = 100
    # A character string (RFC 1035 section 3.3) of 43 characters: a SHA-256 in base64url.
    RDATA_BYTES = 44
    TRIES = 16

cdef struct Record:
    uint16_t name_len
    uint8_t name[MAX_NAME_BYTES + 1]        # lowercased wire form
    uint8_t rdata[RDATA_BYTES]

cdef struct Table:
    uint64_t version                        # odd while something is written
    uint32_t count
    Record records[MAX_RECORDS]


cdef class Challenges:
    """The records, in memory that the supervisor shares with the processes that it forks."""
    cdef Table* table

    def __cinit__(self):
        self.table = <Table*>map_shared(sizeof(Table))
        if self.table == NULL:
            raise MemoryError

    def __dealloc__(self):
        unmap(self.table, sizeof(Table))

    def present(self, list records not None):
        """Answer with these, and no others: (name in lowercased wire form, text). Raises FastdnsError."""
        cdef Record* record
        cdef bytes name, text
        if len(records) > MAX_RECORDS:
            raise FastdnsError(f"{len(records)} challenges at a time; at most {MAX_RECORDS} are answered")
        for name, text in records:
            if len(name) > MAX_NAME_BYTES or len(text) != RDATA_BYTES - 1:
                raise FastdnsError("no challenge: a name and a text of 43 characters expected")
        # Whoever wrote before may have been killed while it did.
        cdef uint64_t version = load_relaxed(&self.table.version) | 1
        store_relaxed(&self.table.version, version)
        release_fence()
        for number, (name, text) in enumerate(records):
            record = &self.table.records[<uint32_t>number]
            record.name_len = <uint16_t>len(name)
            memcpy(record.name, <const uint8_t*>name, record.name_len)
            record.rdata[0] = RDATA_BYTES - 1
            memcpy(record.rdata + 1, <const uint8_t*>text, RDATA_BYTES - 1)
        store_relaxed_u32(&self.table.count, <uint32_t>len(records))
        publish_u64(&self.table.version, version + 1)

    def __len__(self):
        return load_relaxed_u32(&self.table.count)


cdef bint put_records(const Table* table, Context* ctx) noexcept nogil:
    """Add the records of the question's name to the answer. False where they were written meanwhile."""
    cdef uint64_t version = load(&table.version)
    cdef uint32_t count = min(load_relaxed_u32(&table.count), <uint32_t>MAX_RECORDS)
    cdef const Record* record
    cdef uint8_t* rdata
    cdef RR* rr
    cdef uint32_t i
    ctx.reply.answer.count = 0
    for i in range(count):
        record = &table.records[i]
        if record.name_len != ctx.q.name_len or memcmp(record.name, ctx.q.name, ctx.q.name_len) != 0:
            continue
        rdata = scratch(ctx.reply, RDATA_BYTES)
        rr = add_rr(ctx.reply, &ctx.reply.answer, TYPE_TXT, 0) if rdata != NULL else NULL
        if rr == NULL:
            break
        memcpy(rdata, record.rdata, RDATA_BYTES)
        rr.fixed = rdata
        rr.fixed_len = RDATA_BYTES
    acquire_fence()
    return not version & 1 and load_relaxed(&table.version) == version


cdef Outcome before(Context* ctx, const void* conf) noexcept nogil:
    cdef const Table* table = <const Table*>conf
    cdef uint32_t _
    if ctx.q.qtype != TYPE_TXT or load_relaxed_u32(&table.count) == 0 or ctx.q.qclass != CLASS_IN:
        return NEXT
    for _ in range(TRIES):
        if put_records(table, ctx):
            if ctx.reply.answer.count == 0:
                return NEXT
            ctx.reply.aa = True
            return written(ctx)
    ctx.reply.answer.count = 0
    return NEXT


cdef class ChallengeStep(NativeStep):
    """Answers what is there, with a TTL of 0. Every other question is the next step's."""
    cdef Challenges challenges

    def __init__(self, Challenges challenges not None):
        self.challenges = challenges
        self.step.before = before
        self.step.conf = challenges.table
