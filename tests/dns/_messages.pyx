"""The wire format for tests: the functions of the hot path, called with bytes and answered with bytes."""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc

from fastdns._wire cimport (
    ACCEPTED, IGNORED, MAX_OPT_ECHO_BYTES, REJECTED, RR, Accept, Query, Reply, Section, accept, add_rr, reply_reset,
    write_bare, write_reply,
)
from fastdns.dns._numbers cimport HEADER_BYTES, MAX_MESSAGE_BYTES
from fastdns.dns._packed cimport pack_reply, unpack_reply
from fastdns.dns._replies cimport answers_question, parse_reply


def parse_query(bytes message not None):
    """What accept says of a message: ("accepted" | "ignored" | "rejected", details).

    details: dict with id, opcode, rcode (of a rejection), and where a question parsed qname (lowercased wire
    form, bytes), qtype, qclass, labels, has_opt, do, edns_version, udp_bytes, options (echoed ones, bytes), subnet
    (the data of that option, b"" where there is none).
    """
    cdef Query q
    cdef Accept result = accept(<const uint8_t*>message, len(message), &q)
    if result == IGNORED:
        return "ignored", {}
    details = {"id": q.id, "opcode": q.opcode}
    if result == REJECTED:
        details["rcode"] = q.reject_rcode
    if q.has_question:
        details.update(
            qname=q.name[:q.name_len], qtype=q.qtype, qclass=q.qclass, labels=q.label_count,
            has_opt=bool(q.has_opt), do=bool(q.do_bit), edns_version=q.edns_version, udp_bytes=q.udp_bytes,
            options=q.opt_echo[:q.opt_echo_len], subnet=q.subnet[:q.subnet_len],
        )
    return ("accepted" if result == ACCEPTED else "rejected"), details


def copy_reply(bytes query not None, bytes reply not None, *, ttl_s=None, int max_bytes=65535):
    """What a client that sent query gets for an upstream's reply, or None where that is malformed or no answer.

    With ttl_s the reply is packed and unpacked on the way, as a cache does, and every record gets that TTL.
    """
    if not 512 <= max_bytes <= MAX_MESSAGE_BYTES:
        raise ValueError(f"max_bytes must be 512 to {MAX_MESSAGE_BYTES}, got {max_bytes}")
    cdef Query q
    cdef uint32_t size
    if (accept(<const uint8_t*>query, len(query), &q) != ACCEPTED or len(reply) < HEADER_BYTES
            or not answers_question(<const uint8_t*>reply, len(reply), q.name, q.name_len, q.qtype, q.qclass)):
        return None
    cdef uint8_t* out = <uint8_t*>malloc(2 * MAX_MESSAGE_BYTES + MAX_OPT_ECHO_BYTES)
    cdef Reply* r = <Reply*>malloc(sizeof(Reply))
    try:
        if out == NULL or r == NULL:
            raise MemoryError
        reply_reset(r)
        if not parse_reply(<const uint8_t*>reply, len(reply), &q, r):
            return None
        if ttl_s is not None:
            size = pack_reply(&q, r, out + MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES)
            reply_reset(r)
            if size == 0 or not unpack_reply(out + MAX_MESSAGE_BYTES, size, ttl_s, r):
                return None
        size = write_reply(&q, r, out, max_bytes)
        return out[:size]
    finally:
        free(out)
        free(r)


cdef bint fill_section(Reply* r, Section* section, list records, list keep) except -1:
    cdef RR* rr
    for owner, rrtype, ttl_s, fixed, name, tail, compress in records:
        rr = add_rr(r, section, rrtype, ttl_s)
        if rr == NULL:
            return True
        keep.extend((owner, fixed, name, tail))
        if owner is not None:
            rr.owner = <const uint8_t*><bytes>owner
            rr.owner_len = len(owner)
        rr.fixed = <const uint8_t*><bytes>fixed
        rr.fixed_len = len(fixed)
        if name is not None:
            rr.name = <const uint8_t*><bytes>name
            rr.name_len = len(name)
        rr.tail = <const uint8_t*><bytes>tail
        rr.tail_len = len(tail)
        rr.compress_name = compress
    return True


def build_reply(bytes message not None, *, int rcode=0, bint aa=False, answer=(), authority=(),
                additional=(), int max_bytes=65535):
    """The reply to a query message, or None where accept ignores it.

    A record is (owner | None, type, ttl_s, fixed, name | None, tail, compress): owner and name uncompressed
    wire names, None meaning the question's name and no name. Raises ValueError for max_bytes out of range.
    """
    if not 512 <= max_bytes <= MAX_MESSAGE_BYTES:
        raise ValueError(f"max_bytes must be 512 to {MAX_MESSAGE_BYTES}, got {max_bytes}")
    cdef Query q
    cdef uint8_t* out
    cdef Reply* r
    cdef uint32_t size
    cdef Accept result = accept(<const uint8_t*>message, len(message), &q)
    if result == IGNORED:
        return None
    out = <uint8_t*>malloc(max_bytes + MAX_OPT_ECHO_BYTES)
    r = <Reply*>malloc(sizeof(Reply))
    if out == NULL or r == NULL:
        free(out)
        free(r)
        raise MemoryError
    keep = []
    try:
        if result == REJECTED:
            size = write_bare(&q, q.reject_rcode, out)
        else:
            reply_reset(r)
            r.rcode = rcode
            r.aa = aa
            fill_section(r, &r.answer, list(answer), keep)
            fill_section(r, &r.authority, list(authority), keep)
            fill_section(r, &r.additional, list(additional), keep)
            size = write_reply(&q, r, out, max_bytes)
        return out[:size]
    finally:
        free(out)
        free(r)
