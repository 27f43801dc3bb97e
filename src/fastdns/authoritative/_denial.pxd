"""What is not there: SOA records (RFC 2308), and the proofs of signed zones (RFC 4035 section 3.1.3, RFC 5155).

NSEC3 records do not stand at their owners' names in the store, where other names stand between them. They stand on
a shelf: below one label right below the zone, which no query reaches. The label is a zero byte, the iterations (two
bytes) and the first bytes of the salt. So the chain of each set of parameters is one row in the canonical order.
shelf_label makes the label; zonefiles/reading.py puts the records there, with their signatures.

Where a zone has more than MAX_ITERATIONS, its answers have no proofs: RFC 9276 section 3.1 wants none at all, and
validators take such zones for unsigned.
"""

from libc.stdint cimport uint8_t, uint32_t

from fastdns.authoritative._answering cimport Answering
from fastdns.rrsets._layout cimport Body
from fastdns.rrsets._lookup cimport Lookup

cdef enum:
    MAX_ITERATIONS = 150
    MAX_LABEL_SALT_BYTES = 40
    SHELF_LABEL_BYTES = 64

# Write the shelf's label, and return its bytes.
cdef uint32_t shelf_label(uint8_t* out, uint32_t iterations, const uint8_t* salt, uint32_t salt_len) noexcept nogil

# Whether the name that is looked for is on a shelf, or below one.
cdef bint is_shelved(const Answering* a) noexcept nogil

# The SOA record in the authority section, with the lower of its TTL and its minimum.
cdef void add_soa(Answering* a) noexcept nogil

# Proofs, for the name that is looked for. They add nothing where the zone is unsigned, or nobody asked.
cdef void prove_no_name(Answering* a, const Lookup* found) noexcept nogil
cdef void prove_no_type(Answering* a, const Lookup* found) noexcept nogil
cdef void prove_no_closer_name(Answering* a, const Lookup* found) noexcept nogil
cdef void prove_no_ds(Answering* a, const Lookup* found) noexcept nogil
