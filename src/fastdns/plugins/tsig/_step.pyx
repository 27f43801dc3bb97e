"""The tsig step: who has signed a message, and a signature for its reply (RFC 8945)."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fastdns._wire cimport FORMERR, HEADER_BYTES, REFUSED, SERVFAIL, Query, in_zone, put_u16
from fastdns.dns._signatures cimport (
    MALFORMED, NO_SIGNATURE_ERROR, SIGNED, UNSIGNED, KeyRing, Keys, Signature, Signed, Signing, find_signature,
    sign, signature_bytes, verify,
)
from fastdns.memory._clock cimport clock_gettime, monotonic_ns, timespec
from fastdns.serve._context cimport NEXT, Context, Outcome, bare, written
from fastdns.serve._errors cimport PROHIBITED, add_extended_error
from fastdns.serve._signed cimport add_signing, find_signing
from fastdns.serve._zones cimport NativeStep

from fastdns.dns.names import wire_name

cdef extern from "time.h" nogil:
    enum:
        CLOCK_REALTIME

cdef enum:
    NOTAUTH = 9                     # RFC 8945 section 5.2
    TC = 0x02                       # in the third byte of a header

cdef struct Zone:
    const uint8_t* name             # lowercased wire form
    uint16_t name_len

cdef struct Conf:
    const Keys* keys
    uint32_t zone_count
    Zone* zones
    bint all_types
    bint all_opcodes
    uint32_t type_count
    uint16_t* types                 # of questions whose messages must be signed
    uint16_t opcodes                # bit n: messages with this opcode must be signed


cdef inline uint64_t time_s(int64_t ago_ns) noexcept nogil:
    """Seconds since 1970, so long ago."""
    cdef timespec now
    clock_gettime(CLOCK_REALTIME, &now)
    return <uint64_t>((<int64_t>now.tv_sec * 1000000000 + now.tv_nsec - ago_ns) // 1000000000)


cdef bint takes(const Conf* conf, const Query* q) noexcept nogil:
    cdef uint32_t i
    for i in range(conf.zone_count):
        if in_zone(q, conf.zones[i].name, conf.zones[i].name_len):
            return True
    return False


cdef bint must_be_signed(const Conf* conf, const Query* q) noexcept nogil:
    cdef uint32_t i
    if conf.all_types or conf.all_opcodes or (conf.opcodes >> q.opcode) & 1:
        return True
    for i in range(conf.type_count):
        if conf.types[i] == q.qtype:
            return True
    return False


cdef Signed look(const Context* ctx, const Conf* conf, Signing* signing) noexcept nogil:
    """What the client's message has for a signature, and how its reply is signed."""
    cdef Signature found
    cdef Signed how = find_signature(ctx.msg, ctx.msg_len, &found)
    if how == SIGNED:
        # When it came: a query that has waited is looked at again.
        how = verify(ctx.msg, &found, conf.keys, time_s(<int64_t>(monotonic_ns() - ctx.received_ns)), signing)
    return how


cdef Outcome refuse(Context* ctx, uint16_t rcode) noexcept nogil:
    ctx.reply.rcode = rcode
    return written(ctx)


cdef Outcome judge(Context* ctx, const void* opaque) noexcept nogil:
    """A question that is not the client's own, but is asked for its message."""
    cdef const Conf* conf = <const Conf*>opaque
    cdef Signing signing
    if not takes(conf, ctx.q) or not must_be_signed(conf, ctx.q):
        return NEXT
    if look(ctx, conf, &signing) == SIGNED and signing.error == NO_SIGNATURE_ERROR:
        return NEXT
    return refuse(ctx, REFUSED)


cdef Outcome before(Context* ctx, const void* opaque) noexcept nogil:
    cdef const Conf* conf = <const Conf*>opaque
    cdef Signing signing
    cdef Signing* kept
    cdef Signed how
    if ctx.depth:
        return judge(ctx, opaque)
    if not takes(conf, ctx.q):
        return NEXT
    how = look(ctx, conf, &signing)
    if how == UNSIGNED:
        if not must_be_signed(conf, ctx.q):
            return NEXT
        add_extended_error(ctx.reply, PROHIBITED)
        return refuse(ctx, REFUSED)
    if how == MALFORMED:
        return refuse(ctx, FORMERR)
    kept = add_signing(ctx)
    if kept == NULL:
        return bare(ctx, SERVFAIL)
    kept[0] = signing
    ctx.finish_bytes += signature_bytes(kept)
    return refuse(ctx, NOTAUTH) if signing.error else NEXT


cdef uint32_t cut(const Query* q, uint8_t* out, uint32_t room) noexcept nogil:
    """A truncated reply of at most room bytes: a header, and the question where it fits (RFC 8945 section 5.3)."""
    cdef uint32_t size = HEADER_BYTES + q.name_len + 4
    memset(out + 6, 0, 6)
    out[2] |= TC
    if size > room:
        put_u16(out + 4, 0)
        return HEADER_BYTES
    return size


cdef uint32_t finish(Context* ctx, uint8_t* out, uint32_t size, uint32_t room, const void* opaque) noexcept nogil:
    cdef const Signing* known = find_signing(ctx)
    cdef Signing signing
    cdef uint32_t added
    if known == NULL:
        return size
    # What is known stays: a reply of several messages is signed message by message, and this is none of them.
    signing = known[0]
    added = signature_bytes(&signing)
    if added + HEADER_BYTES > room:
        # Two names of the greatest length, which are no key's and no algorithm's.
        return cut(ctx.q, out, room)
    if size + added > room:
        size = cut(ctx.q, out, room - added)
    return sign(&signing, out, size, time_s(0))


cdef class TsigStep(NativeStep):
    """qtypes, opcodes: of messages that must be signed; None: of all."""
    cdef Conf conf
    cdef KeyRing keys
    cdef list names

    def __init__(self, KeyRing keys not None, zones, qtypes=(), opcodes=()):
        cdef uint32_t i
        if self.conf.zones != NULL:
            raise ValueError("a TsigStep is made once")
        self.keys = keys
        self.conf.keys = &keys.keys
        self.names = [wire_name(zone) for zone in zones]
        self.conf.zones = <Zone*>calloc(len(self.names) + 1, sizeof(Zone))
        listed = sorted(qtypes or ())
        self.conf.types = <uint16_t*>calloc(len(listed) + 1, sizeof(uint16_t))
        if self.conf.zones == NULL or self.conf.types == NULL:
            raise MemoryError
        for i in range(<uint32_t>len(self.names)):
            self.conf.zones[i].name = <const uint8_t*><bytes>self.names[i]
            self.conf.zones[i].name_len = len(self.names[i])
        self.conf.zone_count = len(self.names)
        for i in range(<uint32_t>len(listed)):
            self.conf.types[i] = listed[i]
        self.conf.type_count = len(listed)
        for opcode in opcodes or ():
            self.conf.opcodes |= 1 << <int>opcode
        self.conf.all_types = qtypes is None
        self.conf.all_opcodes = opcodes is None
        self.step.before = before
        self.step.judge = judge
        self.step.finish = finish
        self.step.conf = &self.conf

    def __dealloc__(self):
        free(self.conf.zones)
        free(self.conf.types)
