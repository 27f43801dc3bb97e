"""The minimal step: a positive answer leaves without the authority and additional sections.

What says that there is no data stays whole: its SOA record is what resolvers keep it by (RFC 2308 section 3), also
behind a CNAME. A delegation stays whole, too. Of the authority section of a signed answer, what proves that a
wildcard was to be used stays for those who validate (RFC 4035 section 3.1.3.3).
"""

from libc.stdint cimport uint16_t, uint32_t

from fastdns.serve._context cimport Context
from fastdns.serve._zones cimport NativeStep
from fastdns._wire cimport (
    NOERROR, OPCODE_QUERY, RR, TYPE_AXFR, TYPE_IXFR, TYPE_NS, TYPE_RRSIG, TYPE_SOA, Section,
)

cdef enum:
    TYPE_NSEC = 47
    TYPE_NSEC3 = 50


cdef bint has_type(const Section* section, uint16_t rrtype) noexcept nogil:
    cdef uint32_t i
    for i in range(section.count):
        if section.rr[i].rrtype == rrtype:
            return True
    return False


cdef bint proves(const RR* rr) noexcept nogil:
    """Whether a record denies something, or signs one that does."""
    cdef uint16_t rrtype = rr.rrtype
    if rrtype == TYPE_RRSIG and rr.fixed != NULL and rr.fixed_len >= 2:
        # RFC 4034 section 3.1.1: it begins with the type that it covers.
        rrtype = (<uint16_t>rr.fixed[0] << 8) | rr.fixed[1]
    return rrtype == TYPE_NSEC or rrtype == TYPE_NSEC3


cdef void leave_proofs(Section* section) noexcept nogil:
    cdef uint32_t i
    cdef uint32_t kept = 0
    for i in range(section.count):
        if proves(&section.rr[i]):
            if kept != i:
                section.rr[kept] = section.rr[i]
            kept += 1
    section.count = kept


cdef void after(Context* ctx, const void* conf) noexcept nogil:
    cdef Section* authority = &ctx.reply.authority
    if (not ctx.written or ctx.reply.rcode != NOERROR or ctx.q.opcode != OPCODE_QUERY
            or ctx.q.qtype == TYPE_AXFR or ctx.q.qtype == TYPE_IXFR):
        return
    if has_type(authority, TYPE_SOA) or (ctx.reply.answer.count == 0 and has_type(authority, TYPE_NS)):
        return
    ctx.reply.additional.count = 0
    if ctx.q.do_bit:
        leave_proofs(authority)
    else:
        authority.count = 0


cdef class MinimalStep(NativeStep):
    def __init__(self):
        self.step.after = after
