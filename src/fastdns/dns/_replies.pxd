"""Reading the replies of other servers.

Nothing in a reply is trusted. Every read is bounds-checked. Each compression pointer must lead strictly backwards
(RFC 1035 section 4.1.4: to a prior occurrence). A reply takes at most the sections and the scratch of a Reply.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from fastdns._wire cimport Query, Reply
from fastdns.dns._cursor cimport Cursor

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

# Copy the name at the cursor, uncompressed, and step over it. Returns its length, or -1. Each pointer must lead
# strictly backwards, so the walk ends.
cdef int32_t expand_name(Cursor* c, uint8_t* out, uint32_t room) noexcept nogil

# How the rdata of a type is laid out: bytes before the first name, how many names, whether they may be compressed
# when written. RFC 3597 section 4 lists the types whose names a receiver has to expand. It allows to compress those
# of all types of RFC 1035, but readers that know no MD, MF, MB, MG, MR or MINFO take their rdata as it comes.
cdef struct RdataLayout:
    uint16_t fixed
    uint8_t names
    bint compress

cdef inline RdataLayout rdata_layout(uint16_t rrtype) noexcept nogil:
    cdef RdataLayout layout
    layout.fixed = 0
    layout.names = 0
    layout.compress = False
    if rrtype in (2, 5, 12):                        # NS CNAME PTR
        layout.names = 1
        layout.compress = True
    elif rrtype == 6:                               # SOA
        layout.names = 2
        layout.compress = True
    elif rrtype == 15:                              # MX
        layout.fixed = 2
        layout.names = 1
        layout.compress = True
    elif rrtype in (14, 17):                        # MINFO RP
        layout.names = 2
    elif rrtype == 24:                              # SIG
        layout.fixed = 18
        layout.names = 1
    elif rrtype in (18, 21, 36):                    # AFSDB RT KX
        layout.fixed = 2
        layout.names = 1
    elif rrtype == 33:                              # SRV
        layout.fixed = 6
        layout.names = 1
    elif rrtype in (3, 4, 7, 8, 9, 30, 39):         # MD MF MB MG MR NXT DNAME
        layout.names = 1
    elif rrtype == 26:                              # PX
        layout.fixed = 2
        layout.names = 2
    return layout
