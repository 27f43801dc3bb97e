"""Transaction signatures, TSIG (RFC 8945): of requests, and of the replies to them. Sans-IO, without the GIL.

The RDATA of the TSIG record, which is the last one of a message:

    algorithm name | time signed (48 bits) | fudge (16) | MAC size (16) | MAC
                   | original ID (16) | error (16) | other length (16) | other data

A MAC is over the message without this record, with its original ID, and then over the record's other fields. A
reply's MAC begins with the request's; that of a later message of a stream with the MAC of the message before.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from fastdns.dns._hmac cimport DIGESTS, MAX_DIGEST_BYTES, HmacKey

cdef enum:
    TYPE_TSIG = 250
    FUDGE_S = 300                   # RFC 8945 section 10: recommended
    # All of a TSIG record but two names, the MAC and other data: type, class, TTL, RDLENGTH, the RDATA's numbers.
    TSIG_FIXED_BYTES = 26
    TIME_BYTES = 6

# RFC 8945 section 3: what the TSIG record of a reply says.
cdef enum SignatureError:
    NO_SIGNATURE_ERROR = 0
    BADSIG = 16
    BADKEY = 17
    BADTIME = 18

# What a message has for a signature.
cdef enum Signed:
    UNSIGNED = 0
    SIGNED = 1
    MALFORMED = 2                   # FORMERR: RFC 8945 sections 5.1, 5.2 and 5.2.2.1

cdef struct Key:
    const uint8_t* name             # lowercased wire form
    uint16_t name_len
    HmacKey hmac[DIGESTS]           # with each algorithm: a secret is not bound to one

cdef struct Keys:
    uint32_t count
    const Key* keys                 # ascending, as compare_names has it

# A TSIG record, where it stands in a message.
cdef struct Signature:
    uint32_t at                     # where in the message the record begins
    uint16_t name_len
    uint16_t algorithm_len
    uint8_t name[256]               # lowercased wire form, uncompressed
    uint8_t algorithm[256]
    uint64_t time_s                 # seconds since 1970
    uint16_t fudge_s
    uint16_t mac_len
    const uint8_t* mac
    uint16_t original_id
    uint16_t error
    uint16_t other_len
    const uint8_t* other

# What the replies to a request are signed with.
cdef struct Signing:
    const HmacKey* key              # NULL: they have a TSIG record without a MAC (RFC 8945 section 5.3.2)
    uint16_t name_len
    uint16_t algorithm_len
    uint8_t name[256]
    uint8_t algorithm[256]
    uint16_t error                  # a SignatureError
    uint16_t mac_len                # of replies
    uint16_t previous_len           # of the request's MAC; then of the last reply's
    uint8_t previous[MAX_DIGEST_BYTES]
    uint64_t request_time_s
    bint continued                  # a reply has been signed: the next one is a later message of a stream

# Find the TSIG record of a message, of at least a header.
cdef Signed find_signature(const uint8_t* msg, uint32_t length, Signature* found) noexcept nogil

# Verify a request at a time, in the order of RFC 8945 section 5.2, and fill in what replies are signed with.
# SIGNED: signing.error says whether it is right. MALFORMED: of a length that no MAC has.
cdef Signed verify(const uint8_t* msg, const Signature* found, const Keys* keys, uint64_t now_s,
                   Signing* signing) noexcept nogil

# What sign adds to a message.
cdef uint32_t signature_bytes(const Signing* signing) noexcept nogil

# Add a TSIG record to the reply of size bytes at out, which has room; returns the new size. The replies of a stream
# are signed one after the other.
cdef uint32_t sign(Signing* signing, uint8_t* out, uint32_t size, uint64_t now_s) noexcept nogil


cdef class KeyRing:
    """Secrets by name."""
    cdef Keys keys
    cdef Key* table
    cdef readonly list names


cdef class Signer:
    """Signs the messages of a reply, one after the other: see _signatures.pyi. ring: whose keys they are."""
    cdef Signing signing
    cdef object ring

# For what goes on in Python: what a step knows of a request.
cdef Signer make_signer(const Signing* signing, ring)
