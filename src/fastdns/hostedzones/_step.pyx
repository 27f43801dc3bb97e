"""The step of a block with hosted zones: several of them may have one name, and are looked up in their order.

As in CoreDNS, a name that a hosted zone does not have, or has delegated, is looked up in the next hosted zone, and
is the next plugin's where the block falls through for it. Otherwise the first delegation is the answer, or what the
last hosted zone says of the name. A hosted zone that is not loaded yet might have the name: SERVFAIL.

The store has a hosted zone that alone has its name under this name. If there are several, the name is that of an
empty zone, and the hosted zones are its layers, from 1 on (rrsets/_layout.pxd). So the target of an alias is looked
up in all of them.
"""

from libc.stdint cimport uint8_t, uint32_t

from fastdns._wire cimport (
    CLASS_ANY, CLASS_IN, OPCODE_QUERY, SERVFAIL, TYPE_AXFR, TYPE_DS, TYPE_IXFR, Query,
)
from fastdns.authoritative._answer cimport answer_from
from fastdns.authoritative._step cimport Conf, ZoneStep, below_any
from fastdns.rrsets._lookup cimport (
    NAME_DELEGATED, NAME_EMPTY, NAME_MISSING, Lookup, ZoneView, find_zone, look_up, open_layer,
)
from fastdns.serve._context cimport NEXT, Context, Outcome, bare, before_fn

cdef enum:
    MAX_LAYERS = 255

# zone: first, for the functions of ZoneStep, which know no more.
cdef struct Own:
    Conf zone
    before_fn answer


cdef bint is_of_records(const Query* q) noexcept nogil:
    return q.opcode == OPCODE_QUERY and q.qtype != TYPE_AXFR and q.qtype != TYPE_IXFR \
        and (q.qclass == CLASS_IN or q.qclass == CLASS_ANY)


cdef bint has_answer(const ZoneView* z, const Query* q, bint* delegated) noexcept nogil:
    cdef Lookup found
    look_up(z, q, &found)
    delegated[0] = found.found == NAME_DELEGATED and not (q.qtype == TYPE_DS and found.at == 0)
    return not delegated[0] and found.found != NAME_MISSING and found.found != NAME_EMPTY


cdef Outcome before(Context* ctx, const void* opaque) noexcept nogil:
    cdef const Own* own = <const Own*>opaque
    cdef const Query* q = ctx.q
    cdef const uint8_t* name
    cdef ZoneView zone, hosted, further, referral
    cdef bint falls, delegated, referred = False
    cdef uint32_t layer = 0
    if not find_zone(ctx.store, own.zone.source, q, &zone) or not is_of_records(q):
        return own.answer(ctx, &own.zone)
    falls = own.zone.fall.count != 0 and below_any(&own.zone.fall, q)
    hosted = zone
    name = q.name + q.name_len - zone.name_len
    if zone.head.has_soa:
        if not falls:
            return own.answer(ctx, &own.zone)
    elif open_layer(ctx.store, own.zone.source, name, zone.name_len, 1, &hosted):
        layer = 1
    while True:
        if not hosted.head.has_soa:
            ctx.error = own.zone.not_loaded
            return bare(ctx, SERVFAIL)
        if has_answer(&hosted, q, &delegated):
            return answer_from(ctx, &hosted, False)
        if delegated and not referred:
            referral = hosted
            referred = True
        if layer == 0 or layer == MAX_LAYERS \
                or not open_layer(ctx.store, own.zone.source, name, zone.name_len, <uint8_t>(layer + 1), &further):
            break
        hosted = further
        layer += 1
    if falls:
        return NEXT
    return answer_from(ctx, &referral if referred else &hosted, False)


cdef class HostedStep(ZoneStep):
    """options: those of ZoneStep."""
    cdef Own own

    def __init__(self, **options):
        ZoneStep.__init__(self, **options)
        self.own.zone = self.conf
        self.own.answer = self.step.before
        self.step.before = before
        self.step.conf = &self.own
