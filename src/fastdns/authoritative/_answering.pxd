"""One question that is answered from a zone: what all parts of an answer share, and adding RRsets to the reply.

The parts: _answer (which name, which RRset, aliases), _denial (SOA records and the proofs of what is not there),
_additional (addresses of what the answer names).
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastdns._wire cimport HEADER_BYTES, Query, Section
from fastdns.rrsets._layout cimport Body, RRset
from fastdns.rrsets._lookup cimport ZoneView
from fastdns.serve._context cimport Context

cdef enum:
    TYPE_NSEC = 47
    TYPE_DNSKEY = 48
    TYPE_NSEC3 = 50
    TYPE_NSEC3PARAM = 51
    TYPE_SVCB = 64
    TYPE_HTTPS = 65
    MAX_ALIASES = 10            # CNAMEs and DNAMEs that one answer follows in its zone; CoreDNS follows as many
    MAX_SHOWN = 32              # records of which an answer remembers that it shows them: proofs, DNAMEs

# The owner of a record: name (uncompressed wire form), or, where that is NULL, what begins at `at` of the message.
cdef struct Owner:
    const uint8_t* name
    uint16_t size
    uint16_t at

# How a zone proves what is not there.
cdef enum Proofs:
    UNSIGNED = 0
    BY_NSEC = 1
    BY_NSEC3 = 2

cdef struct Answering:
    Context* ctx
    const ZoneView* z
    const Query* q              # the name that is looked for now: the question's, or an alias's target
    const uint8_t* spelled      # that target as it is written; NULL: it is the question's name
    uint16_t qtype
    bint dnssec                 # the client asks for signatures (DO)
    uint32_t aliases            # followed so far
    Body apex
    Proofs proofs               # where dnssec
    uint16_t iterations         # of NSEC3
    const uint8_t* salt
    uint8_t salt_len
    const uint8_t* shown[MAX_SHOWN]
    uint32_t shown_count

# ctx.q is in the zone. False where the zone has no SOA record: it is not loaded.
cdef bint begin_answering(Answering* a, Context* ctx, const ZoneView* z) noexcept nogil

# The end of the name that is looked for, from a place in it on.
cdef inline Owner owner_at(const Answering* a, uint32_t at) noexcept nogil:
    cdef Owner owner
    owner.name = NULL if a.spelled == NULL else a.spelled + at
    owner.size = <uint16_t>(a.q.name_len - at)
    owner.at = <uint16_t>(HEADER_BYTES + at)
    return owner

cdef inline Owner apex_owner(const Answering* a) noexcept nogil:
    cdef Owner owner
    owner.name = NULL
    owner.size = <uint16_t>a.z.name_len
    owner.at = <uint16_t>(HEADER_BYTES + a.ctx.q.name_len - a.z.name_len)
    return owner

# The zone's name, in lower case.
cdef inline const uint8_t* zone_name(const Answering* a) noexcept nogil:
    return a.ctx.q.name + a.ctx.q.name_len - a.z.name_len

# Write the lowercased relative name of a name (uncompressed wire form) to out, which has 256 bytes. Returns its
# size; -1 where the name is not in the zone.
cdef int relative_name(const Answering* a, const uint8_t* name, uint32_t size, uint8_t* out) noexcept nogil

# A relative name as an owner, in scratch. False where there is no room.
cdef bint absolute_owner(Answering* a, const uint8_t* relative, uint32_t size, Owner* owner) noexcept nogil

# Whether what stands at a place of the store is not shown yet: from now on it is.
cdef bint is_new(Answering* a, const uint8_t* record) noexcept nogil

# Add an RRset of a name, and with dnssec its signatures, which are in the name's RRSIG records. body NULL: without.
cdef void add_set(Answering* a, Section* section, const RRset* s, uint32_t ttl_s, const Body* body,
                  Owner owner) noexcept nogil
