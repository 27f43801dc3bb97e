"""The chaos step: TXT records of class CH for a few names that servers say of themselves (RFC 4892)."""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp

from fastdns.dns.names import wire_name
from fastdns.serve._context cimport NEXT, Context, Outcome, next_random, written
from fastdns.serve._zones cimport NativeStep
from fastdns._wire cimport RR, TYPE_TXT, add_rr

cdef enum:
    CLASS_CH = 3
    MAX_TEXT_BYTES = 255        # RFC 1035 section 3.3: of one character string

# One name, lowercased wire form, and the records that it has.
cdef struct Said:
    const uint8_t* name
    uint32_t name_len
    uint32_t count
    const uint8_t** rdata       # a character string each: a byte says how many follow

cdef struct Conf:
    Said* said
    uint32_t count


cdef const Said* find(const Conf* c, const uint8_t* name, uint32_t name_len) noexcept nogil:
    cdef uint32_t i
    for i in range(c.count):
        if c.said[i].name_len == name_len and memcmp(c.said[i].name, name, name_len) == 0:
            return &c.said[i]
    return NULL


cdef Outcome before(Context* ctx, const void* conf) noexcept nogil:
    cdef const Said* said
    cdef uint32_t first, i
    cdef RR* rr
    if ctx.q.qclass != CLASS_CH or ctx.q.qtype != TYPE_TXT:
        return NEXT
    said = find(<const Conf*>conf, ctx.q.name, ctx.q.name_len)
    if said == NULL:
        return NEXT
    # No author is always the first.
    first = next_random(ctx) % said.count
    for i in range(said.count):
        rr = add_rr(ctx.reply, &ctx.reply.answer, TYPE_TXT, 0)
        if rr == NULL:
            break
        rr.fixed = said.rdata[(first + i) % said.count]
        rr.fixed_len = 1 + rr.fixed[0]
    return written(ctx)


cdef class ChaosStep(NativeStep):
    """answers: by name, one text at least. A text is cut to 255 bytes."""
    cdef Conf conf
    cdef list keep

    def __cinit__(self, answers):
        cdef Said* said
        cdef uint32_t i
        self.keep = []
        self.conf.said = <Said*>calloc(max(1, len(answers)), sizeof(Said))
        if self.conf.said == NULL:
            raise MemoryError
        for name, texts in answers.items():
            wire = wire_name(name)
            strings = [self.character_string(text) for text in texts]
            self.keep += [wire, strings]
            said = &self.conf.said[self.conf.count]
            said.name = <const uint8_t*><bytes>wire
            said.name_len = len(wire)
            said.count = len(strings)
            said.rdata = <const uint8_t**>calloc(said.count, sizeof(uint8_t*))
            if said.rdata == NULL:
                raise MemoryError
            self.conf.count += 1
            for i in range(said.count):
                said.rdata[i] = <const uint8_t*><bytes>strings[i]
        self.step.before = before
        self.step.conf = &self.conf

    cdef bytes character_string(self, str text):
        cdef bytes data = text.encode(errors="surrogateescape")[:MAX_TEXT_BYTES]
        return bytes([len(data)]) + data

    def __dealloc__(self):
        cdef uint32_t i
        for i in range(self.conf.count):
            free(self.conf.said[i].rdata)
        free(self.conf.said)
