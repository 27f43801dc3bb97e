"""Equal questions: see _questions.pxd."""

from libc.string cimport memcmp

from fastdns.memory._store cimport hash_bytes
from fastdns._wire cimport HEADER_BYTES
from fastdns.memory._random cimport random_u32


cdef uint64_t question_hash(uint64_t seed, const Stanza* stanza, const Context* ctx, bint stream) noexcept nogil:
    cdef uint64_t kind = <uint64_t>ctx.q.qtype << 48 | <uint64_t>ctx.q.qclass << 32
    return hash_bytes((seed + <size_t>stanza + stream) ^ kind, ctx.q.name, ctx.q.name_len)


cdef bint same_question(const Outstanding* o, const Stanza* stanza, const Context* ctx, bint stream,
                        const uint8_t* asked, uint32_t size) noexcept nogil:
    cdef uint32_t rest = HEADER_BYTES + ctx.q.name_len
    cdef uint32_t i
    if (o.stanza != stanza or o.stream != stream or o.query_len != size or o.name_len != ctx.q.name_len
            or memcmp(o.query + 2, asked + 2, HEADER_BYTES - 2) != 0
            or memcmp(o.query + rest, asked + rest, size - rest) != 0):
        return False
    for i in range(o.name_len):
        if lowered(o.query[HEADER_BYTES + i]) != ctx.q.name[i]:
            return False
    return True


cdef void randomize_case(Outstanding* o, Random* random) noexcept nogil:
    cdef uint32_t i
    cdef uint32_t bits = 0
    cdef uint8_t byte
    for i in range(o.name_len):
        if i & 31 == 0:
            bits = random_u32(random)
        byte = lowered(o.query[HEADER_BYTES + i])
        if byte >= 97 and byte <= 122 and bits & 1:
            byte ^= 32
        o.query[HEADER_BYTES + i] = byte
        bits >>= 1
