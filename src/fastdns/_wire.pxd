"""DNS messages as bytes (RFC 1035 section 4, RFC 6891): parse a query, write a reply. Sans-IO.

Parsing assumes a hostile sender (``dns/_cursor.pxd``). No name in the parts that are parsed may use a forward
compression pointer, and each pointer must lead strictly backwards, so parsing ends.

Writing takes records as references (``RR``): owner and rdata stay where they are (the zone store, the
configuration, the scratch of the query's context) until ``write_reply`` copies them out once.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy
# Steps cimport numbers, and what reads and writes bytes, from here as well.
from fastdns.dns._cursor cimport Cursor, lower, put_u16, put_u32, read_u16, read_u32, skip
from fastdns.dns._numbers cimport (
    BADVERS, CLASS_ANY, CLASS_IN, FLAG_AA, FLAG_AD, FLAG_CD, FLAG_QR, FLAG_RA, FLAG_RD, FLAG_TC, FORMERR,
    HEADER_BYTES, MAX_ASKED_UDP_BYTES, MAX_LABELS, MAX_MESSAGE_BYTES, MAX_NAME_BYTES, MAX_SENT_BYTES,
    MAX_SUBNET_BYTES, MAX_TTL_S, MIN_UDP_BYTES, NOERROR, NOTIMP, NXDOMAIN, OPCODE_NOTIFY, OPCODE_QUERY,
    OPT_FIXED_BYTES, REFUSED, SERVFAIL, TYPE_A, TYPE_A6, TYPE_AAAA, TYPE_ANY, TYPE_AXFR, TYPE_CNAME, TYPE_DNAME,
    TYPE_DS, TYPE_IXFR, TYPE_MX, TYPE_NAPTR, TYPE_NS, TYPE_OPT, TYPE_PTR, TYPE_RRSIG, TYPE_SOA, TYPE_SRV, TYPE_TXT,
    Opcode, Rcode, RRType,
)

cdef enum:
    MAX_SECTION_RRS = 4160          # over 65535 / 16 bytes, the most A records that one message holds
    SCRATCH_BYTES = 262144
    MAX_OPT_ECHO_BYTES = 512
    MAX_ADDED_BYTES = 512           # EDNS options of the server's own in one reply
    HEADER_BITS = FLAG_AA | FLAG_RD | FLAG_RA | FLAG_AD | FLAG_CD   # that steps may set and clear

cdef enum Accept:
    ACCEPTED = 0        # a question for the chain
    IGNORED = 1         # silence: shorter than a header, or itself a response
    REJECTED = 2        # answer Query.reject_rcode with nothing but the header (and the question, if it parsed)

# A question and what the transport must know of the message around it. ``name`` is the qname in
# uncompressed wire form, lowercased; the sender's own spelling stays at ``msg + HEADER_BYTES``.
cdef struct Query:
    const uint8_t* msg
    uint32_t msg_len                    # of an accepted one without bytes that stand behind its last record
    uint16_t id
    uint16_t flags                      # second 16 bits of the header, as received
    uint8_t opcode
    uint8_t reject_rcode
    bint has_question
    uint16_t name_len                   # with the root label
    uint8_t label_count                 # without the root label
    uint8_t label_at[MAX_LABELS]        # offset of each label in name
    uint8_t name[MAX_NAME_BYTES + 1]
    uint64_t boundary[4]                # bit n: a label (or the root) starts at name[n]
    uint16_t qtype
    uint16_t qclass
    bint has_opt
    bint do_bit
    uint8_t edns_version
    uint16_t udp_bytes                  # as advertised; 512 without an OPT record
    uint16_t opt_at                     # where in msg the OPT record stands, and its size
    uint16_t opt_len
    uint16_t asked_udp_bytes            # what upstreams are told, whatever the client says; bufsize may lower it
    uint16_t subnet_len                 # of the client subnet option's data (RFC 7871); 0: there is no such option
    uint8_t subnet[MAX_SUBNET_BYTES]
    # Of opt_len, bytes at its end: options that upstreams are told. A step's, never a client's; at most
    # MAX_SENT_BYTES.
    uint16_t sent_len
    uint16_t opt_echo_len               # options that the reply's OPT record repeats
    uint8_t opt_echo[MAX_OPT_ECHO_BYTES]

cdef inline bint is_boundary(const Query* q, uint32_t offset) noexcept nogil:
    return (q.boundary[offset >> 6] >> (offset & 63)) & 1

# True where the qname is zone or below it; zone is lowercased wire form of zone_len bytes.
cdef inline bint in_zone(const Query* q, const uint8_t* zone, uint32_t zone_len) noexcept nogil:
    if zone_len > q.name_len:
        return False
    cdef uint32_t offset = q.name_len - zone_len
    cdef uint32_t i
    if not is_boundary(q, offset):
        return False
    for i in range(zone_len):
        if q.name[offset + i] != zone[i]:
            return False
    return True

# One record by reference. Its owner is owner (uncompressed wire form) or, where that is NULL, the suffix of the
# question's name that begins at message offset owner_at. rdata is fixed, then (where name is not NULL) a
# domain name, then tail.
cdef struct RR:
    const uint8_t* owner
    const uint8_t* fixed
    const uint8_t* name
    const uint8_t* tail
    uint32_t ttl_s
    uint16_t owner_len
    uint16_t owner_at
    uint16_t rrtype
    uint16_t fixed_len
    uint16_t name_len
    uint16_t tail_len
    uint16_t saved                      # bytes that pointers already in fixed save
    bint compress_name                  # RFC 3597 section 4: only in types of RFC 1035
    uint8_t inline_fixed[8]             # what fixed_len speaks of where fixed is NULL; moves with the record

cdef struct Section:
    uint32_t count
    RR rr[MAX_SECTION_RRS]

# A reply under construction.
cdef struct Reply:
    uint16_t rcode
    uint16_t rrclass                    # of the records; 0: that of the question
    bint aa
    bint ra
    bint ad
    bint tc                             # something was left out before writing
    bint no_opt                         # leave out the OPT record that the question's asks for
    const uint8_t* options              # an upstream's EDNS options, in place of the echoed ones; NULL: none
    uint16_t options_len
    uint16_t added_len                  # EDNS options of the server's own beside those: see add_option
    const uint8_t* added
    uint16_t flags_set                  # header bits, of HEADER_BITS, that are set or cleared whatever else is said
    uint16_t flags_cleared
    uint32_t scratch_used
    Section answer
    Section authority
    Section additional
    uint8_t scratch[SCRATCH_BYTES]

# What a reply is beside its records.
cdef struct ReplyHead:
    uint16_t rcode
    uint16_t rrclass
    bint aa
    bint ra
    bint ad
    bint tc
    bint no_opt
    const uint8_t* options
    uint16_t options_len
    uint16_t added_len
    const uint8_t* added
    uint16_t flags_set
    uint16_t flags_cleared

cdef inline ReplyHead head_of(const Reply* r) noexcept nogil:
    cdef ReplyHead head
    head.rcode = r.rcode
    head.rrclass = r.rrclass
    head.aa = r.aa
    head.ra = r.ra
    head.ad = r.ad
    head.tc = r.tc
    head.no_opt = r.no_opt
    head.options = r.options
    head.options_len = r.options_len
    head.added = r.added
    head.added_len = r.added_len
    head.flags_set = r.flags_set
    head.flags_cleared = r.flags_cleared
    return head

cdef inline void put_head(Reply* r, const ReplyHead* head) noexcept nogil:
    r.rcode = head.rcode
    r.rrclass = head.rrclass
    r.aa = head.aa
    r.ra = head.ra
    r.ad = head.ad
    r.tc = head.tc
    r.no_opt = head.no_opt
    r.options = head.options
    r.options_len = head.options_len
    r.added = head.added
    r.added_len = head.added_len
    r.flags_set = head.flags_set
    r.flags_cleared = head.flags_cleared

# The class of the records that answer a question.
cdef inline uint16_t class_of_records(const Query* q) noexcept nogil:
    return <uint16_t>CLASS_IN if q.qclass == CLASS_ANY else q.qclass

# Forget what was read of a reply. What steps say of the server's own stays, and so does scratch: it may hold what
# others still need.
cdef inline void forget_records(Reply* r) noexcept nogil:
    r.rcode = NOERROR
    r.rrclass = 0
    r.aa = False
    r.ra = False
    r.ad = False
    r.tc = False
    r.options = NULL
    r.options_len = 0
    r.answer.count = 0
    r.authority.count = 0
    r.additional.count = 0

# An empty reply. Scratch stays as it is.
cdef inline void begin_reply(Reply* r) noexcept nogil:
    forget_records(r)
    r.no_opt = False
    r.added_len = 0
    r.flags_set = 0
    r.flags_cleared = 0

cdef inline void reply_reset(Reply* r) noexcept nogil:
    begin_reply(r)
    r.scratch_used = 0

# The next record of a section, zeroed but for what every record has; NULL (and TC) when the section is full.
cdef inline RR* add_rr(Reply* r, Section* section, uint16_t rrtype, uint32_t ttl_s) noexcept nogil:
    if section.count >= MAX_SECTION_RRS:
        r.tc = True
        return NULL
    cdef RR* rr = &section.rr[section.count]
    section.count += 1
    rr.owner = NULL
    rr.fixed = NULL
    rr.name = NULL
    rr.tail = NULL
    rr.ttl_s = ttl_s
    rr.owner_len = 0
    rr.owner_at = HEADER_BYTES
    rr.saved = 0
    rr.rrtype = rrtype
    rr.fixed_len = 0
    rr.name_len = 0
    rr.tail_len = 0
    rr.compress_name = False
    return rr

# Room in the context's scratch, valid until the reply is written; NULL (and TC) when it is used up.
cdef inline uint8_t* scratch(Reply* r, uint32_t size) noexcept nogil:
    if size > SCRATCH_BYTES - r.scratch_used:
        r.tc = True
        return NULL
    cdef uint8_t* at = &r.scratch[r.scratch_used]
    r.scratch_used += size
    return at

# Say an EDNS option to a client that sent an OPT record: an extended error (RFC 8914), a name of this server (NSID,
# RFC 5001). It stands beside the options that are echoed or an upstream's, in place of any with its code. False
# where there is no room: MAX_ADDED_BYTES for all of them.
cdef bint add_option(Reply* r, uint16_t code, const uint8_t* data, uint16_t length) noexcept nogil

# Copy well-formed options but those with a code, and return their size. out NULL: only that. out may be options.
cdef uint32_t options_without(const uint8_t* options, uint32_t length, uint16_t code, uint8_t* out) noexcept nogil

# Whether a reply repeats an option of the query.
cdef inline bint echoed_option(uint16_t code) noexcept nogil:
    # NSID, EXPIRE, COOKIE, TCP-KEEPALIVE: what CoreDNS repeats to the client; ECS is not. It repeats PADDING as
    # well, which has a length of its own in a reply, and no place in a plain one (RFC 7830 sections 4 and 6).
    return code == 3 or (code >= 9 and code <= 11)

# The options that upstreams are told.
cdef inline const uint8_t* sent_options(const Query* q) noexcept nogil:
    return q.msg + q.opt_at + q.opt_len - q.sent_len

cdef Accept accept(const uint8_t* msg, uint32_t length, Query* q) noexcept nogil
# Take what the OPT record at q.opt_at of q.msg says, in place of what was read before. False: it is malformed.
cdef bint read_options(Query* q) noexcept nogil
cdef uint32_t write_reply(const Query* q, Reply* r, uint8_t* out, uint32_t max_bytes) noexcept nogil
# The same, padded to a multiple of block bytes where the query has asked for that with a Padding option (RFC
# 7830); what a reply of max_bytes has no room for is left out of the padding. block 0: as write_reply.
cdef uint32_t write_padded(const Query* q, Reply* r, uint8_t* out, uint32_t max_bytes,
                           uint32_t block) noexcept nogil
cdef uint32_t write_bare(const Query* q, uint16_t rcode, uint8_t* out) noexcept nogil
cdef uint32_t uncompressed_bytes(const Query* q, const Reply* r) noexcept nogil
cdef bint parse_question_name(const uint8_t* wire, uint32_t length, Query* q) noexcept nogil
