"""Which questions are equal, and how a question is spelled.

Client queries whose upstream would see the same message, but for the ID and the case of the name, share one
outstanding query. A forged reply has to match less: name, type and class. Of these alike ones each is one more
target for forgers (RFC 5452 section 5), and a client can make any number of them by client subnets. So the hash is
over name, type, class, stanza and way alone: equal and alike questions are found together.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from fastdns.serve._chain cimport Context
from fastdns.memory._random cimport Random
from fastdns.plugins.forward.engine._stanza cimport Stanza
from fastdns.plugins.forward.engine._state cimport Outstanding

cdef inline uint8_t lowered(uint8_t byte) noexcept nogil:
    return byte | (<uint8_t>(<uint8_t>(byte - 65) < 26) << 5)

cdef uint64_t question_hash(uint64_t seed, const Stanza* stanza, const Context* ctx, bint stream) noexcept nogil

# Whether an upstream would see the same as what is to be asked, but for the ID and the case of the name.
cdef bint same_question(const Outstanding* o, const Stanza* stanza, const Context* ctx, bint stream,
                        const uint8_t* asked, uint32_t size) noexcept nogil

# Give each letter of the name a random case (draft-vixie-dnsext-dns0x20): more for a forger to guess.
cdef void randomize_case(Outstanding* o, Random* random) noexcept nogil
