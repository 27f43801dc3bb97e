"""The kubernetes step: what a cluster's names answer, computed from the store's records.

The name shapes are those of the Kubernetes DNS specification 1.1.0 and of CoreDNS, left of the zone:

    (apex) svc pod                      exist, without data
    NS.svc NS.pod                       exist where the namespace is exposed
    SVC.NS.svc                          a Service
    ENDPOINT.SVC.NS.svc                 one endpoint of it
    PORT.PROTOCOL.SVC.NS.svc            one port of it; underscores are optional
    ENDPOINT.CLUSTER.SVC.NS.svc         multicluster zones
    ZONE.pin|prefer._zone.SVC.NS.svc    with zonal
    [x.[y.]]IP.NS.pod                   a pod

A name is found, or empty (it exists without data of the type), or a name error. Only the last falls through.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastdns.memory._atomics cimport load
from fastdns.memory._hash cimport hash_bytes
from fastdns.serve._context cimport ANSWERED, NEXT, bare, Context, Outcome, written
from fastdns.serve._errors cimport NOT_READY, add_extended_error
from fastdns.serve._nested cimport WHOLE_SERVER, Found as Elsewhere, add_answer_of_alias, nested
from fastdns.serve._values cimport NativeValue
from fastdns.serve._zones cimport NativeStep
from fastdns.memory._store cimport prefetch_record, prefetch_slot, source_state
from fastdns._wire cimport (
    CLASS_ANY, CLASS_IN, HEADER_BYTES, NXDOMAIN, REFUSED, RR, SERVFAIL, TYPE_A, TYPE_AAAA, TYPE_AXFR, TYPE_CNAME,
    TYPE_IXFR, TYPE_NS, TYPE_PTR, TYPE_SOA, TYPE_SRV, TYPE_TXT, Query, Section as ReplySection, add_rr, in_zone,
    parse_question_name,
)
from fastdns.plugins.kubernetes.answers._nameservers cimport answer_nameservers, is_nameserver_name
from fastdns.plugins.kubernetes.answers._options cimport AnswerOptions
from fastdns.plugins.kubernetes.answers._pods cimport answer_pod
from fastdns.plugins.kubernetes.answers._request cimport (
    EMPTY, EXISTS, NAME_ERROR, PODS_DISABLED, Alias, Conf, Found, Request, Zone, add_name, label_is, label_of,
    namespace_exposed, same_lowered, service_key, start_request, zone_of,
)
from fastdns.plugins.kubernetes.answers._reverse cimport answer_reverse, is_reverse, reverse_address
from fastdns.plugins.kubernetes.answers._services cimport answer_service
from fastdns.plugins.kubernetes.answers._soa cimport SOA, add_soa
from fastdns.plugins.kubernetes.answers._values cimport Asked, Part, put_part
from fastdns.plugins.kubernetes.records._layout cimport KEY_HEAD_BYTES

# The values that a question has, in the order of Part.
VALUES = (
    "kind", "namespace", "service", "endpoint", "port-name", "protocol", "cluster", "zone", "parse-error",
)

cdef enum:
    MAX_CHAIN = 11              # CNAMEs that an ExternalName may lead through
    MAX_SOA_TTL_S = 300         # RFC 2308 section 5
    VERSION_TTL_S = 28800


cdef void add_zone_soa(Context* ctx, const Conf* conf, const Request* r, ReplySection* section) noexcept nogil:
    cdef SOA soa
    soa.primary = b"\x02ns\x03dns"
    soa.primary_len = 7
    soa.mailbox = b"\x0ahostmaster"
    soa.mailbox_len = 11
    soa.ttl_s = conf.ttl_s if conf.ttl_s < MAX_SOA_TTL_S else MAX_SOA_TTL_S
    soa.negative_ttl_s = conf.ttl_s
    soa.serial = <uint32_t>load(&source_state(ctx.store, conf.source + r.zone.multicluster).soa_serial)
    add_soa(ctx, r, section, &soa)


cdef Outcome negative(Context* ctx, const Conf* conf, const Request* r, uint16_t rcode) noexcept nogil:
    """RFC 2308: the SOA in the authority section, whatever the rcode."""
    ctx.reply.answer.count = 0
    ctx.reply.additional.count = 0
    ctx.reply.rcode = rcode
    ctx.reply.aa = True
    add_zone_soa(ctx, conf, r, &ctx.reply.authority)
    return written(ctx)


cdef Found resolve(Context* ctx, const Conf* conf, Request* r, uint16_t qtype,
                   Alias* alias) noexcept nogil:
    """One name of the zone, without following aliases: records of qtype go into the reply."""
    cdef const uint8_t* last
    cdef bint pod
    alias.target = NULL
    alias.target_len = 0
    if r.labels == 0:
        return EMPTY
    last = label_of(r, r.labels - 1)
    pod = label_is(last, b"pod", 3)
    if not pod and not label_is(last, b"svc", 3):
        return NAME_ERROR
    if r.labels == 1:
        return EMPTY
    if is_reverse(r.q):
        return NAME_ERROR
    if not namespace_exposed(ctx, conf, label_of(r, r.labels - 2)):
        return NAME_ERROR
    if r.labels == 2:
        return NAME_ERROR if pod and conf.pods == PODS_DISABLED else EMPTY
    if pod:
        return answer_pod(ctx, conf, r, qtype)
    return answer_service(ctx, conf, r, qtype, alias)


cdef bint below_or_at(const uint8_t* target, uint32_t target_len, const Query* q) noexcept nogil:
    """Whether target (any case) is q's name or below it."""
    cdef uint32_t at = 0
    while target_len - at > q.name_len:
        at += target[at] + 1
    return target_len - at == q.name_len and same_lowered(q.name, target + at, q.name_len)


cdef Found answer_address(Context* ctx, const Conf* conf, Request* r, uint16_t qtype) noexcept nogil:
    """A or AAAA, through the targets of ExternalNames and FQDN slices.

    Those within the zone are answered from the store, others through the whole server.
    """
    cdef Alias alias
    cdef const uint8_t* target
    cdef uint32_t target_len
    cdef uint32_t hops = 0, before
    cdef uint32_t resolved = 0      # records up to the last one that is no CNAME record
    cdef Query inner
    cdef Elsewhere elsewhere
    cdef Found found, first = NAME_ERROR
    while True:
        before = ctx.reply.answer.count
        if is_nameserver_name(r):
            answer_nameservers(ctx, conf, r, qtype)
            found = EXISTS
            alias.target = NULL
        else:
            found = resolve(ctx, conf, r, qtype, &alias)
        if hops == 0:
            first = found
        if ctx.reply.answer.count > before:
            resolved = ctx.reply.answer.count
        if alias.target == NULL:
            break
        target = alias.target
        target_len = alias.target_len
        # A target at or below the name would only lead back to it. The chain's bound ends longer loops.
        if hops == MAX_CHAIN or below_or_at(target, target_len, r.q):
            break
        add_name(ctx, r, TYPE_CNAME, target, target_len, conf.ttl_s)
        hops += 1
        # Where spelled_zone looks for it.
        inner.msg = target - HEADER_BYTES
        if not parse_question_name(target, target_len, &inner):
            break
        if not in_zone(&inner, r.zone.name, r.zone.name_len):
            if nested(ctx, target, target_len, qtype, WHOLE_SERVER, &elsewhere) == ANSWERED:
                add_answer_of_alias(ctx, &elsewhere.answer)
                ctx.reply.tc |= elsewhere.tc
            else:
                # Silence: as if nothing had resolved.
                ctx.reply.answer.count = resolved
            return first
        start_request(r, &inner, r.zone)
        r.owner = target
        r.owner_len = target_len
    # CNAME records are shown only where they lead to something.
    ctx.reply.answer.count = resolved
    return first


cdef Found answer_text(Context* ctx, const Conf* conf, Request* r) noexcept nogil:
    cdef Alias alias
    cdef Found found
    cdef RR* rr
    if r.labels == 1 and label_is(label_of(r, 0), b"dns-version", 11):
        rr = add_rr(ctx.reply, &ctx.reply.answer, TYPE_TXT, VERSION_TTL_S)
        if rr != NULL:
            rr.fixed = b"\x051.1.0"
            rr.fixed_len = 6
        return EXISTS
    r.topology_labels = 0
    found = resolve(ctx, conf, r, 0, &alias)
    if found == EMPTY and not (conf.zonal and r.labels > 3 and r.topology_labels):
        return NAME_ERROR
    return found


cdef void ahead(const Context* ctx, const Query* q, uint64_t* hash, const void* opaque) noexcept nogil:
    """The record of a service is what most names lead to."""
    cdef const Conf* conf = <const Conf*>opaque
    cdef const Zone* zone = zone_of(conf, q)
    cdef Request request
    cdef Request* r = &request
    cdef uint8_t key[KEY_HEAD_BYTES + 128]
    if zone == NULL:
        return
    start_request(r, q, zone)
    if r.labels < 3 or not label_is(label_of(r, r.labels - 1), b"svc", 3):
        return
    hash[0] = hash_bytes(ctx.store.seed, key, service_key(key, conf, label_of(r, r.labels - 3), zone.multicluster))
    prefetch_slot(ctx.store, hash[0])


cdef void again(const Context* ctx, const Query* q, uint64_t* hash, const void* opaque) noexcept nogil:
    prefetch_record(ctx.store, hash[0])


cdef Outcome before(Context* ctx, const void* opaque) noexcept nogil:
    cdef const Conf* conf = <const Conf*>opaque
    cdef const Zone* zone = zone_of(conf, ctx.q)
    cdef Alias alias
    cdef uint8_t address[16]
    cdef uint32_t i, size
    cdef uint16_t qtype = ctx.q.qtype
    cdef Request request
    cdef Request* r = &request
    cdef Found found
    if zone == NULL:
        return NEXT
    if ctx.q.qclass != CLASS_IN and ctx.q.qclass != CLASS_ANY:
        # Names of the cluster are no upstream's, in no class.
        return bare(ctx, REFUSED)
    start_request(r, ctx.q, zone)
    if qtype == TYPE_A or qtype == TYPE_AAAA:
        found = answer_address(ctx, conf, r, qtype)
        # Where the chase led elsewhere, the answer to a negative is still about the question's own zone.
        start_request(r, ctx.q, zone)
    elif qtype == TYPE_AXFR or qtype == TYPE_IXFR:
        # No plugin before this one has given the zone away.
        return bare(ctx, REFUSED)
    elif qtype == TYPE_SOA:
        if r.labels == 0:
            add_zone_soa(ctx, conf, r, &ctx.reply.answer)
        found = EXISTS
    elif qtype == TYPE_TXT:
        found = answer_text(ctx, conf, r)
    elif qtype == TYPE_PTR:
        size = reverse_address(ctx.q, address)
        if size:
            found = answer_reverse(ctx, conf, r, address, size)
        else:
            found = resolve(ctx, conf, r, 0, &alias)
    elif qtype == TYPE_NS and r.labels == 0:
        answer_nameservers(ctx, conf, r, TYPE_NS)
        found = EXISTS
    elif is_nameserver_name(r):
        found = EXISTS
    else:
        found = resolve(ctx, conf, r, qtype if qtype == TYPE_SRV else 0, &alias)
        if alias.target != NULL and qtype == TYPE_CNAME:
            add_name(ctx, r, TYPE_CNAME, alias.target, <uint16_t>alias.target_len, conf.ttl_s)
    if found == NAME_ERROR:
        if not load(&source_state(ctx.store, conf.source).synced) & 1:
            # The name may exist: neither a denial nor an upstream may answer yet.
            add_extended_error(ctx.reply, NOT_READY)
            return negative(ctx, conf, r, SERVFAIL)
        for i in range(conf.fall_count):
            if in_zone(ctx.q, conf.fall[i].name, conf.fall[i].name_len):
                return NEXT
        return negative(ctx, conf, r, NXDOMAIN)
    if ctx.reply.answer.count == 0:
        return negative(ctx, conf, r, 0)
    ctx.reply.aa = True
    return written(ctx)


cdef class KubernetesStep(NativeStep):
    """The step of one kubernetes block."""
    cdef AnswerOptions options

    def __init__(self, AnswerOptions options not None):
        self.options = options
        self.step.before = before
        self.step.ahead = ahead
        self.step.again = again
        self.step.conf = &options.conf


cdef uint32_t compute(Context* ctx, const void* conf, uint8_t* out, uint32_t room) noexcept nogil:
    cdef const Asked* asked = <const Asked*>conf
    return put_part(ctx, asked.conf, asked.part, out)


cdef class KubernetesValue(NativeValue):
    """What a question says to a block with these options. name: behind "kubernetes/", one of VALUES."""
    cdef Asked asked
    cdef AnswerOptions options

    def __init__(self, AnswerOptions options not None, str name not None):
        self.options = options
        self.asked.conf = &options.conf
        self.asked.part = <Part><int>VALUES.index(name)
        self.value.compute = compute
        self.value.conf = &self.asked
