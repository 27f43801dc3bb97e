"""Reading the replies of other servers.

Nothing in a reply is trusted. Every read is bounds-checked. Each compression pointer must lead strictly backwards
(RFC 1035 section 4.1.4: to a prior occurrence). A reply takes at most the sections and the scratch of a Reply.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from fastdns._wire cimport Query, Reply

# Whether a message of at least HEADER_BYTES is a reply to a question: QR, opcode 0, one question, the same name
# (without regard to case), type and class. name is lowercased wire form.
cdef bint answers_question(const uint8_t* msg, uint32_t length, const uint8_t* name, uint32_t name_len,
                           uint16_t qtype, uint16_t qclass) noexcept nogil

# Read another server's reply into r, which the caller has reset: records by reference into msg, names uncompressed
# in scratch, owners that equal q's name as such. Of the flags AA, RA, AD and TC are kept. Records of another
# class than IN are left out. False where it is malformed; r is unusable then. msg must outlive r.
cdef bint parse_reply(const uint8_t* msg, uint32_t length, const Query* q, Reply* r) noexcept nogil

cdef inline uint32_t naptr_fixed(const uint8_t* rdata, uint32_t rdlength) noexcept nogil:
    """How far the replacement of a NAPTR is into its rdata: behind two numbers and three strings (RFC 3403)."""
    cdef uint32_t pos = 4
    cdef uint32_t _i
    for _i in range(3):
        if pos >= rdlength:
            return rdlength
        pos += 1 + rdata[pos]
    return pos
