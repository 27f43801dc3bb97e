"""What passes between clients and upstreams, and what ends here: the question as it is asked, the reply's options,
and error replies that repeat no question.

EDNS is hop by hop (RFC 6891 section 6): what a client says in its OPT record is said to us. So an upstream gets
an OPT record of our own. Of the client's it has DO, and the client subnet, which is meant for it (RFC 7871); and it
has what steps have added for it (Query.sent_len).
Cookies (RFC 7873), padding (RFC 7830), TCP keepalive (RFC 7828), NSID (RFC 5001: "not transitive"), EXPIRE (RFC
7314) and all others have no meaning for anybody but us. So clients that differ in these wait for one question, and
no client gets an answer that was made for another one's option.

Of an upstream's options the client gets the scope of its client subnet, and extended errors (RFC 8914).
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from fastdns._wire cimport (
    HEADER_BYTES, MAX_NAME_BYTES, MAX_SENT_BYTES, MAX_SUBNET_BYTES, OPT_FIXED_BYTES, Query, Reply,
)

cdef enum:
    MAX_IXFR_BYTES = 1024           # of the record that says which version of a zone a client has
    MAX_ASKED_BYTES = (HEADER_BYTES + MAX_NAME_BYTES + 4 + MAX_IXFR_BYTES + OPT_FIXED_BYTES + 4 + MAX_SUBNET_BYTES
                       + MAX_SENT_BYTES)

# Write what an upstream is asked for a client's accepted query, with ID 0: at most MAX_ASKED_BYTES, and never more
# than the query has. flags are the second 16 bits of the header: see asked_flags. Returns the size.
cdef uint32_t write_asked(const Query* q, uint16_t flags, uint8_t* out) noexcept nogil

# Leave only those of an upstream's options in r that its client may have.
cdef void leave_options(const Query* q, Reply* r) noexcept nogil

# Whether a message of at least HEADER_BYTES is an error reply that repeats no question, as servers send it that
# refuse a client, or cannot read it: a header, and perhaps an OPT record.
cdef bint is_bare_error(const uint8_t* msg, uint32_t size) noexcept nogil

# Write a reply to what was asked that says the same as a bare error with these flags. asked is a message that
# write_asked has made; at most HEADER_BYTES + MAX_NAME_BYTES + 4 bytes. Returns the size.
cdef uint32_t write_error(const uint8_t* asked, uint16_t name_len, uint16_t flags, uint8_t* out) noexcept nogil
