"""The server's own reader and writer of messages, for Python: bytes in, numbers and bytes out.

The functions of the hot path do the work: ``accept``, ``parse_reply`` and ``write_reply``. The server calls nothing
of this module. A Reply is a megabyte, of which little is touched: it is taken from the heap for each call.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc

from fastdns._wire cimport (
    ACCEPTED, IGNORED, MAX_OPT_ECHO_BYTES, REJECTED, RR, Accept, Query, Reply, Section, accept, add_rr,
    parse_question_name, reply_reset, write_reply,
)
from fastdns.dns._numbers cimport HEADER_BYTES, MAX_MESSAGE_BYTES, MAX_NAME_BYTES, MAX_TTL_S, MIN_UDP_BYTES
from fastdns.dns._replies cimport RdataLayout, parse_reply, rdata_layout

cdef enum:
    FLAG_QR_BYTE = 0x80             # QR, in the third byte of the header


cdef int begin_question(Query* q, const uint8_t* msg, uint32_t length) noexcept:
    """The question of a reply. 0 where it is whole."""
    cdef uint32_t end
    if length < HEADER_BYTES or not msg[2] & FLAG_QR_BYTE or msg[4] != 0 or msg[5] != 1:
        return -1
    if not parse_question_name(msg + HEADER_BYTES, length - HEADER_BYTES, q):
        return -1
    end = HEADER_BYTES + q.name_len
    if end + 4 > length:
        return -1
    q.msg = msg
    q.msg_len = length
    q.qtype = (<uint16_t>msg[end] << 8) | msg[end + 1]
    q.qclass = (<uint16_t>msg[end + 2] << 8) | msg[end + 3]
    return 0


def read_query(bytes message not None):
    """(id, flags, qname, qtype, qclass, has_opt, do, udp_bytes) of a query, the name as it was sent.

    Raises ValueError with a rcode, or None where a server is silent.
    """
    cdef Query q
    if len(message) > MAX_MESSAGE_BYTES:
        raise ValueError("a message has at most 65535 bytes", None)
    cdef const uint8_t* msg = <const uint8_t*>message
    cdef Accept result = accept(msg, len(message), &q)
    if result == IGNORED:
        raise ValueError("it is shorter than a header, or no query", None)
    if result == REJECTED:
        raise ValueError("it is malformed, or of an opcode that is not served", q.reject_rcode)
    name = message[HEADER_BYTES:HEADER_BYTES + q.name_len]
    return (q.id, q.flags, name, q.qtype, q.qclass, bool(q.has_opt), bool(q.do_bit), q.udp_bytes)


cdef list records_of(const Query* q, const Section* section):
    """(owner, type, TTL, rdata) of each record, names without compression."""
    cdef uint32_t i
    cdef const RR* rr
    cdef const uint8_t* owner
    made = []
    for i in range(section.count):
        rr = &section.rr[i]
        if rr.owner != NULL:
            name = (<const uint8_t*>rr.owner)[:rr.owner_len]
        else:
            owner = q.msg + rr.owner_at
            name = owner[:q.name_len + HEADER_BYTES - rr.owner_at]
        rdata = (<const uint8_t*>rr.fixed)[:rr.fixed_len] if rr.fixed_len else b""
        if rr.name != NULL:
            rdata += (<const uint8_t*>rr.name)[:rr.name_len]
        if rr.tail_len:
            rdata += (<const uint8_t*>rr.tail)[:rr.tail_len]
        made.append((name, rr.rrtype, rr.ttl_s, rdata))
    return made


def read_reply(bytes message not None):
    """(id, flags, rcode, qname, qtype, qclass, answer, authority, additional) of a reply. Raises ValueError."""
    cdef Query q
    cdef const uint8_t* msg = <const uint8_t*>message
    if len(message) > MAX_MESSAGE_BYTES or begin_question(&q, msg, len(message)) < 0:
        raise ValueError("it is no reply with one question")
    cdef Reply* r = <Reply*>malloc(sizeof(Reply))
    if r == NULL:
        raise MemoryError
    try:
        reply_reset(r)
        if not parse_reply(msg, len(message), &q, r):
            raise ValueError("it is malformed")
        name = message[HEADER_BYTES:HEADER_BYTES + q.name_len]
        return (
            (<uint16_t>msg[0] << 8) | msg[1], (<uint16_t>msg[2] << 8) | msg[3], r.rcode, name, q.qtype, q.qclass,
            records_of(&q, &r.answer), records_of(&q, &r.authority), records_of(&q, &r.additional),
        )
    finally:
        free(r)


cdef uint32_t name_bytes(const uint8_t* wire, uint32_t length) noexcept:
    """The length of the name without compression at wire; 0 where it is none."""
    cdef uint32_t at = 0
    while at < length and at < MAX_NAME_BYTES:
        if wire[at] == 0:
            return at + 1
        if wire[at] > 63:
            return 0
        at += <uint32_t>wire[at] + 1
    return 0


cdef int add_record(Reply* r, Section* section, bytes owner, uint16_t rrtype, uint32_t ttl_s,
                    bytes rdata) except -1:
    """A record by reference: owner and rdata must live until the reply is written."""
    cdef RdataLayout layout = rdata_layout(rrtype)
    cdef const uint8_t* data = <const uint8_t*>rdata
    cdef uint32_t length = len(rdata)
    cdef uint32_t named
    cdef RR* rr
    if name_bytes(<const uint8_t*>owner, len(owner)) != <uint32_t>len(owner):
        raise ValueError("an owner is no name in wire form")
    if length > MAX_MESSAGE_BYTES or ttl_s > MAX_TTL_S:
        raise ValueError("rdata has at most 65535 bytes, and a TTL is at most 2147483647")
    rr = add_rr(r, section, rrtype, ttl_s)
    if rr == NULL:
        raise ValueError("a section has too many records")
    rr.owner = <const uint8_t*>owner
    rr.owner_len = <uint16_t>len(owner)
    rr.tail = data
    rr.tail_len = <uint16_t>length
    if layout.names and layout.compress:
        if layout.fixed > length:
            raise ValueError("the rdata is too short for its type")
        named = name_bytes(data + layout.fixed, length - layout.fixed)
        if not named:
            raise ValueError("the rdata has no name where its type has one")
        rr.fixed = data
        rr.fixed_len = layout.fixed
        rr.name = data + layout.fixed
        rr.name_len = <uint16_t>named
        rr.compress_name = True
        rr.tail = data + layout.fixed + named
        rr.tail_len = <uint16_t>(length - layout.fixed - named)
    return 0


def make_reply(bytes query not None, uint16_t rcode, tuple answer, tuple authority, tuple additional, bint aa,
               bint ra, max_bytes):
    """The reply to a query, from tuples (owner, type, TTL, rdata). max_bytes None: what the client takes over UDP.

    Raises ValueError where the query is none, or a record is not well-formed.
    """
    cdef Query q
    cdef uint32_t most
    if len(query) > MAX_MESSAGE_BYTES or accept(<const uint8_t*>query, len(query), &q) != ACCEPTED:
        raise ValueError("it is no query that is answered")
    most = max(q.udp_bytes, <uint32_t>MIN_UDP_BYTES) if max_bytes is None else max_bytes
    if not MIN_UDP_BYTES <= most <= MAX_MESSAGE_BYTES or rcode > 4095:
        raise ValueError("max_bytes is 512 to 65535, and a rcode at most 4095")
    cdef uint8_t* out = <uint8_t*>malloc(most + MAX_OPT_ECHO_BYTES)
    cdef Reply* r = <Reply*>malloc(sizeof(Reply))
    try:
        if out == NULL or r == NULL:
            raise MemoryError
        reply_reset(r)
        r.rcode = rcode
        r.aa = aa
        r.ra = ra
        for owner, rrtype, ttl_s, rdata in answer:
            add_record(r, &r.answer, owner, rrtype, ttl_s, rdata)
        for owner, rrtype, ttl_s, rdata in authority:
            add_record(r, &r.authority, owner, rrtype, ttl_s, rdata)
        for owner, rrtype, ttl_s, rdata in additional:
            add_record(r, &r.additional, owner, rrtype, ttl_s, rdata)
        return out[:write_reply(&q, r, out, most)]
    finally:
        free(out)
        free(r)
