"""The k8s_external step: SVC.NS.ZONE is where a Service is reached from outside of the cluster.

Beside the names of Services (answers/_exposed) there are the zone itself, with SOA and NS records, and its
nameserver ns1.APEX.ZONE. A Service that has only a name outside is an alias of it: A and AAAA are looked up through
the server.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free
from libc.string cimport memcmp, memcpy

from fastdns.memory._atomics cimport load
from fastdns.memory._store cimport source_state
from fastdns.serve._context cimport ANSWERED, NEXT, SUSPENDED, Context, Outcome, bare, written
from fastdns.serve._nested cimport WHOLE_SERVER, Found as Elsewhere, add_answer_of_alias, add_records, nested
from fastdns.serve._zones cimport NativeStep
from fastdns._wire cimport (
    CLASS_ANY, CLASS_IN, MAX_NAME_BYTES, NOERROR, NXDOMAIN, REFUSED, RR, SERVFAIL, TYPE_A, TYPE_AAAA, TYPE_AXFR,
    TYPE_CNAME, TYPE_IXFR, TYPE_NS, TYPE_PTR, TYPE_SOA, TYPE_SRV, Section, add_rr, scratch,
)
from fastdns.plugins.kubernetes.answers._exposed cimport (
    add_exposed_nameservers, answer_exposed, answer_exposed_reverse,
)
from fastdns.plugins.kubernetes.answers._options cimport AnswerOptions, zones_of
from fastdns.plugins.kubernetes.answers._request cimport (
    NAME_ERROR, Alias, Conf, Found, Request, Zone, add_name, first_zone, label_is,
    label_of, spelled_zone, start_request,
)
from fastdns.plugins.kubernetes.answers._reverse cimport is_reverse, reverse_address
from fastdns.plugins.kubernetes.answers._services cimport Fixed
from fastdns.plugins.kubernetes.records._layout cimport wire_name_bytes
from fastdns.plugins.kubernetes.answers._soa cimport SOA, add_soa

cdef struct External:
    Conf cluster                # as the cluster's own names are answered, but for TTL and the zone of PTR targets
    Zone* zones                 # longest first
    Zone* fall                  # where a name error goes to the next plugin
    uint32_t zone_count
    uint32_t fall_count
    const uint8_t* apex         # a label in wire form, lowercased
    const uint8_t* primary      # left of the zone: of its nameserver, and of its mailbox
    const uint8_t* mailbox
    uint16_t primary_len
    uint16_t mailbox_len
    bint headless


cdef void add_zone_soa(Context* ctx, const External* conf, const Request* r, Section* section) noexcept nogil:
    cdef SOA soa
    soa.primary = conf.primary
    soa.primary_len = conf.primary_len
    soa.mailbox = conf.mailbox
    soa.mailbox_len = conf.mailbox_len
    soa.ttl_s = conf.cluster.ttl_s
    soa.negative_ttl_s = conf.cluster.ttl_s
    soa.serial = <uint32_t>load(&source_state(ctx.store, conf.cluster.source).soa_serial)
    add_soa(ctx, r, section, &soa)


cdef Outcome reply_with(Context* ctx, const External* conf, const Request* r, uint16_t rcode) noexcept nogil:
    """The answer section as it is; where it is empty, the SOA record says that this is all (RFC 2308)."""
    ctx.reply.rcode = rcode
    ctx.reply.aa = True
    if ctx.reply.answer.count == 0:
        ctx.reply.additional.count = 0
        add_zone_soa(ctx, conf, r, &ctx.reply.authority)
    return written(ctx)


cdef Outcome answer_apex(Context* ctx, const External* conf, const Request* r) noexcept nogil:
    cdef uint32_t size = conf.primary_len + r.zone.name_len
    cdef uint8_t* name
    cdef RR* rr
    if ctx.q.qtype == TYPE_SOA:
        add_zone_soa(ctx, conf, r, &ctx.reply.answer)
    elif ctx.q.qtype == TYPE_NS and size <= MAX_NAME_BYTES:
        name = scratch(ctx.reply, size)
        rr = add_rr(ctx.reply, &ctx.reply.answer, TYPE_NS, conf.cluster.ttl_s)
        if name == NULL or rr == NULL:
            return bare(ctx, SERVFAIL)
        memcpy(name, conf.primary, conf.primary_len)
        memcpy(name + conf.primary_len, spelled_zone(ctx, r), r.zone.name_len)
        rr.name = name
        rr.name_len = size
        rr.compress_name = True
        add_exposed_nameservers(ctx, &conf.cluster, &ctx.reply.additional, name, size, 0, conf.headless)
    return reply_with(ctx, conf, r, NOERROR)


cdef Outcome answer_nameserver(Context* ctx, const External* conf, const Request* r) noexcept nogil:
    """APEX.ZONE, which has no data, and what stands below it: ns1."""
    if r.labels > 2 or (r.labels == 2 and not label_is(label_of(r, 0), b"ns1", 3)):
        return reply_with(ctx, conf, r, NXDOMAIN)
    if r.labels == 2 and (ctx.q.qtype == TYPE_A or ctx.q.qtype == TYPE_AAAA):
        add_exposed_nameservers(ctx, &conf.cluster, &ctx.reply.answer, NULL, 0, ctx.q.qtype, conf.headless)
    return reply_with(ctx, conf, r, NOERROR)


cdef Outcome follow_alias(Context* ctx, const External* conf, const Request* r, const Alias* alias) noexcept nogil:
    """The name that a Service has outside, and its addresses."""
    cdef Elsewhere found
    cdef Outcome outcome
    add_name(ctx, r, TYPE_CNAME, alias.target, <uint16_t>alias.target_len, conf.cluster.ttl_s)
    if ctx.q.qtype != TYPE_CNAME:
        outcome = nested(ctx, alias.target, alias.target_len, ctx.q.qtype, WHOLE_SERVER, &found)
        if outcome == SUSPENDED:
            return SUSPENDED
        if outcome == ANSWERED:
            add_answer_of_alias(ctx, &found.answer)
            ctx.reply.tc |= found.tc
    return reply_with(ctx, conf, r, NOERROR)


cdef Outcome add_addresses_of(Context* ctx, const Fixed* fixed) noexcept nogil:
    """What the names that SRV records point to have for addresses. SUSPENDED: return it."""
    cdef Elsewhere found
    cdef Outcome outcome
    cdef uint32_t j, name_len, at = 0
    cdef uint32_t _i
    for _i in range(fixed.name_count):
        name_len = wire_name_bytes(fixed.names + at, fixed.names_len - at)
        for j in range(2):
            outcome = nested(ctx, fixed.names + at, name_len, TYPE_AAAA if j else TYPE_A, WHOLE_SERVER, &found)
            if outcome == SUSPENDED:
                return SUSPENDED
            if outcome == ANSWERED:
                add_records(ctx.reply, &ctx.reply.additional, &found.answer)
        at += name_len
    return ANSWERED


cdef Outcome before(Context* ctx, const void* opaque) noexcept nogil:
    cdef const External* conf = <const External*>opaque
    cdef const Zone* zone = first_zone(conf.zones, conf.zone_count, ctx.q)
    cdef uint8_t address[16]
    cdef uint32_t size
    cdef uint16_t qtype = ctx.q.qtype
    cdef Alias alias
    cdef Fixed fixed
    cdef Request request
    cdef Request* r = &request
    cdef Found found = NAME_ERROR
    if zone == NULL:
        return NEXT
    if (ctx.q.qclass != CLASS_IN and ctx.q.qclass != CLASS_ANY) or qtype == TYPE_AXFR or qtype == TYPE_IXFR:
        return bare(ctx, REFUSED)
    start_request(r, ctx.q, zone)
    if r.labels == 0:
        return answer_apex(ctx, conf, r)
    if memcmp(label_of(r, r.labels - 1), conf.apex, conf.apex[0] + 1) == 0:
        return answer_nameserver(ctx, conf, r)
    alias.target = NULL
    fixed.name_count = 0
    if is_reverse(ctx.q):
        size = reverse_address(ctx.q, address)
        if size:
            found = answer_exposed_reverse(ctx, &conf.cluster, r, address, size, qtype == TYPE_PTR)
    else:
        found = answer_exposed(ctx, &conf.cluster, r, qtype, conf.headless, &alias, &fixed)
    if found == NAME_ERROR:
        if not load(&source_state(ctx.store, conf.cluster.source).synced) & 1:
            # The name may exist: neither a denial nor an upstream may answer yet.
            return reply_with(ctx, conf, r, SERVFAIL)
        if first_zone(conf.fall, conf.fall_count, ctx.q) != NULL:
            return NEXT
        return reply_with(ctx, conf, r, NXDOMAIN)
    if alias.target != NULL and (qtype == TYPE_A or qtype == TYPE_AAAA or qtype == TYPE_CNAME):
        return follow_alias(ctx, conf, r, &alias)
    if qtype == TYPE_SRV and fixed.name_count and add_addresses_of(ctx, &fixed) == SUSPENDED:
        return SUSPENDED
    return reply_with(ctx, conf, r, NOERROR)


cdef class ExternalStep(NativeStep):
    """The step of one block. cluster: of its kubernetes.

    zones, primary, fall: lowercased wire names; primary is the zone of PTR targets. apex: a label in wire form.
    """
    cdef External conf
    cdef AnswerOptions cluster
    cdef list keep

    def __init__(self, AnswerOptions cluster not None, *, list zones, bytes primary not None, bytes apex not None,
                 uint32_t ttl_s, bint headless, list fall):
        cdef uint32_t i
        cdef bytes nameserver = b"\x03ns1" + apex
        cdef bytes mailbox = b"\x0ahostmaster" + apex
        zones = sorted(zones, key=lambda zone: -len(zone))
        self.cluster = cluster
        self.keep = [zones, primary, apex, fall, nameserver, mailbox]
        self.conf.cluster = cluster.conf
        self.conf.cluster.ttl_s = ttl_s
        self.conf.cluster.primary = primary
        self.conf.cluster.primary_len = len(primary)
        self.conf.zones = zones_of(zones)
        self.conf.zone_count = len(zones)
        for i in range(self.conf.zone_count):
            self.conf.zones[i].outside = True
        self.conf.fall = zones_of(fall)
        self.conf.fall_count = len(fall)
        self.conf.apex = apex
        self.conf.primary = nameserver
        self.conf.primary_len = len(nameserver)
        self.conf.mailbox = mailbox
        self.conf.mailbox_len = len(mailbox)
        self.conf.headless = headless
        self.step.before = before
        self.step.conf = &self.conf

    def __dealloc__(self):
        free(self.conf.zones)
        free(self.conf.fall)
