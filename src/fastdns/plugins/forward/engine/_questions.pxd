"""Which questions are equal, and how a question is spelled.

Client queries whose upstream would see the same message, but for the ID and the case of the name, share one
outstanding query. A forged reply has to match less: name, type and class. Of these alike ones each is one more
target for forgers (RFC 5452 section 5), and a client can make any number of them by client subnets. So the hash is
over name, type, class, stanza and way alone: equal and alike questions are found together.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp
from fastdns.memory._hash cimport hash_bytes
from fastdns.serve._context cimport Context
from fastdns._wire cimport HEADER_BYTES
from fastdns.dns._cursor cimport lower
from fastdns.memory._random cimport Random, random_u32
from fastdns.plugins.forward.engine._stanza cimport Stanza
from fastdns.plugins.forward.engine._state cimport Outstanding

cdef inline uint64_t question_hash(uint64_t seed, const Stanza* stanza, const Context* ctx,
                                   bint stream) noexcept nogil:
    cdef uint64_t kind = <uint64_t>ctx.q.qtype << 48 | <uint64_t>ctx.q.qclass << 32
    return hash_bytes((seed + <size_t>stanza + stream) ^ kind, ctx.q.name, ctx.q.name_len)

# Whether an upstream would see the same as what is to be asked, but for the ID and the case of the name.
cdef inline bint same_question(const Outstanding* o, const Stanza* stanza, const Context* ctx, bint stream,
                               const uint8_t* asked, uint32_t size) noexcept nogil:
    cdef uint32_t rest = HEADER_BYTES + ctx.q.name_len
    cdef uint32_t i
    if (o.stanza != stanza or o.stream != stream or o.query_len != size or o.name_len != ctx.q.name_len
            or memcmp(o.query + 2, asked + 2, HEADER_BYTES - 2) != 0
            or memcmp(o.query + rest, asked + rest, size - rest) != 0):
        return False
    for i in range(o.name_len):
        if lower(o.query[HEADER_BYTES + i]) != ctx.q.name[i]:
            return False
    return True

# Give each letter of the name a random case (draft-vixie-dnsext-dns0x20): more for a forger to guess.
cdef inline void randomize_case(Outstanding* o, Random* random) noexcept nogil:
    cdef uint32_t i
    cdef uint32_t bits = 0
    cdef uint8_t byte
    for i in range(o.name_len):
        if i & 31 == 0:
            bits = random_u32(random)
        byte = lower(o.query[HEADER_BYTES + i])
        if byte >= 97 and byte <= 122 and bits & 1:
            byte ^= 32
        o.query[HEADER_BYTES + i] = byte
        bits >>= 1
