"""The numbers of DNS messages: types, classes, opcodes, rcodes, header flags and sizes (IANA, RFC 1035)."""

cdef enum:
    HEADER_BYTES = 12
    OPT_FIXED_BYTES = 11            # owner, type, class, TTL, rdlength of an OPT record
    MAX_NAME_BYTES = 255            # RFC 1035 section 2.3.4
    MAX_LABELS = 128
    MAX_MESSAGE_BYTES = 65535
    MIN_UDP_BYTES = 512             # RFC 1035 section 2.3.4
    MAX_SUBNET_BYTES = 20           # of a client subnet option's data: RFC 7871 section 6, with an IPv6 address
    MAX_SENT_BYTES = 512            # of EDNS options that steps add to a question for upstreams
    # What passes without fragments wherever IPv6 does, as DNS flag day 2020 agreed on. Upstreams are told no more.
    MAX_ASKED_UDP_BYTES = 1232
    MAX_TTL_S = 0x7FFFFFFF          # RFC 2181 section 8

cdef enum Rcode:
    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5
    BADVERS = 16

cdef enum RRType:
    TYPE_A = 1
    TYPE_NS = 2
    TYPE_CNAME = 5
    TYPE_SOA = 6
    TYPE_PTR = 12
    TYPE_MX = 15
    TYPE_TXT = 16
    TYPE_AAAA = 28
    TYPE_SRV = 33
    TYPE_NAPTR = 35
    TYPE_A6 = 38
    TYPE_DNAME = 39
    TYPE_OPT = 41
    TYPE_DS = 43
    TYPE_RRSIG = 46
    TYPE_IXFR = 251
    TYPE_AXFR = 252
    TYPE_ANY = 255

cdef enum:
    CLASS_IN = 1
    CLASS_ANY = 255             # of a question only: RFC 1035 section 3.2.5

cdef enum Opcode:
    OPCODE_QUERY = 0
    OPCODE_NOTIFY = 4

# Header flags, in the second 16 bits of a message.
cdef enum:
    FLAG_QR = 0x8000
    FLAG_AA = 0x0400
    FLAG_TC = 0x0200
    FLAG_RD = 0x0100
    FLAG_RA = 0x0080
    FLAG_AD = 0x0020
    FLAG_CD = 0x0010
