"""Signatures that all workers share: an RRset and its keys to what signs it, without locks.

One mapping for each *dnssec* block. It is made of sets of eight slots of one size: a slot holds the signatures of
one RRset by all of its keys. A key is 128 bits of a keyed hash over the RRset in canonical form. A writer takes a
slot by making its version odd; a reader copies, and then looks whether the version is still the same. A slot whose
writer was killed in between stays odd, and is used no more.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    WAYS = 8
    # A signature is good for 8 days, and no hit any more in the last two of them, as CoreDNS has it.
    RENEW_S = 2 * 86400

cdef struct SignatureSlot:
    uint64_t version                # 0: empty; odd: somebody writes
    uint64_t key[2]
    uint32_t inception_s            # Unix time
    uint32_t expiration_s
    # The signatures follow, in the order of the keys.

cdef struct SignatureTable:
    uint64_t seeds[2]
    uint64_t entries
    uint32_t sets
    uint32_t signature_bytes        # of one slot: of the keys together, at most
    uint32_t slot_bytes
    uint32_t pad

# Copy the signatures of an RRset, size bytes. False: there are none that last long enough.
cdef bint find_signatures(const SignatureTable* t, const uint64_t* key, uint32_t now_s, uint32_t size, uint8_t* out,
                          uint32_t* inception_s, uint32_t* expiration_s) noexcept nogil
# Keep size bytes. False: others write all that could be replaced.
cdef bint put_signatures(SignatureTable* t, const uint64_t* key, const uint8_t* signatures, uint32_t size,
                         uint32_t inception_s, uint32_t expiration_s) noexcept nogil


cdef class Signatures:
    cdef SignatureTable* table
    cdef readonly uint64_t size_bytes
