"""What kind of answer an upstream's reply is, and for how long it holds: RFC 2308 for negative ones, RFC 1034
section 3.6.2 for chains of CNAME records."""

from libc.stdint cimport uint8_t, uint32_t
from fastdns._wire cimport Query, Reply

cdef enum Kind:
    POSITIVE = 0        # NOERROR with an answer; or with nothing at all, or with data beside the answer section
    NO_DATA = 1         # NOERROR, and an SOA record says that there is no such record
    NAME_ERROR = 2      # NXDOMAIN
    SERVER_ERROR = 3    # SERVFAIL, NOTIMP
    REFERRAL = 4        # NOERROR with NS records in the authority section alone
    TRANSFER = 5        # AXFR, IXFR
    OTHER = 6           # any other rcode; NXDOMAIN with answers; signatures out of their time

cdef struct Classified:
    Kind kind
    bint answers        # there is a record of the type at the end of the question's chain of CNAME records
    bint storable       # its TTL apart

cdef Classified classify(const Query* q, const Reply* r) noexcept nogil

# The least TTL of all records, FALLBACK_TTL_S where the kind or the lack of records gives none; most_s at most.
cdef uint32_t least_ttl_s(const Reply* r, Kind kind, uint32_t most_s) noexcept nogil
