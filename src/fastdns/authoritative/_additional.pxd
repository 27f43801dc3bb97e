"""The additional section: addresses, in the zone, of the hosts that an answer or a referral names."""

from fastdns._wire cimport Section
from fastdns.authoritative._answering cimport Answering

cdef enum:
    # Hosts of one reply whose addresses are looked for. More would not fit, and a client asks for what it needs.
    MAX_HOSTS = 32

# RFC 1034 section 4.3.2 step 6, RFC 2782, RFC 9460 section 4.1: for the NS, MX, SRV, SVCB and HTTPS records of a
# section.
cdef void add_addresses(Answering* a, const Section* section) noexcept nogil
