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
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from fastdns.memory._atomics cimport load
from fastdns.memory._hash cimport hash_bytes
from fastdns.serve._context cimport ANSWERED, NEXT, bare, Context, Outcome, written
from fastdns.serve._nested cimport WHOLE_SERVER, Found as Elsewhere, add_records, nested
from fastdns.serve._values cimport NativeValue
from fastdns.serve._zones cimport NativeStep
from fastdns.memory._store cimport prefetch_record, prefetch_slot, source_state
from fastdns._wire cimport (
    CLASS_ANY, CLASS_IN, HEADER_BYTES, NXDOMAIN, REFUSED, RR, SERVFAIL, TYPE_A, TYPE_AAAA, TYPE_AXFR, TYPE_CNAME,
    TYPE_IXFR,
    TYPE_NS, TYPE_PTR, TYPE_SOA, TYPE_SRV, TYPE_TXT, Query, Section as ReplySection, add_rr, in_zone,
    parse_question_name, put_u16, put_u32, scratch,
)
from fastdns.plugins.kubernetes.answers._nameservers cimport answer_nameservers, is_nameserver_name
from fastdns.plugins.kubernetes.answers._pods cimport answer_pod
from fastdns.plugins.kubernetes.answers._request cimport (
    EMPTY, EXISTS, NAME_ERROR, PODS_DISABLED, Alias, Conf, Found, Pods, Request, Zone, add_name, label_is, label_of,
    namespace_exposed, same_lowered, service_key, start_request, zone_of,
)
from fastdns.plugins.kubernetes.answers._reverse cimport answer_reverse, is_reverse, reverse_address
from fastdns.plugins.kubernetes.answers._services cimport answer_service
from fastdns.plugins.kubernetes.answers._values cimport Asked, Part, put_part
from fastdns.plugins.kubernetes.records._layout cimport KEY_HEAD_BYTES

# The values that a question has, in the order of Part.
VALUES = (
    "kind", "namespace", "service", "endpoint", "port-name", "protocol", "cluster", "zone", "parse-error",
)

cdef enum:
    MAX_CHAIN = 11              # CNAMEs that an ExternalName may lead through
    VERSION_TTL_S = 28800


cdef void add_soa(Context* ctx, const Conf* conf, const Request* r, ReplySection* section) noexcept nogil:
    """The zone's SOA record. Its names end in pointers to the zone inside the question."""
    cdef RR* rr = add_rr(ctx.reply, section, TYPE_SOA, conf.ttl_s if conf.ttl_s < 300 else 300)
    cdef uint8_t* at = scratch(ctx.reply, 64)
    cdef uint16_t zone_at = HEADER_BYTES + r.q.name_len - r.zone.name_len
    cdef uint32_t size = 0
    cdef uint64_t serial
    if rr == NULL or at == NULL:
        return
    serial = load(&source_state(ctx.store, conf.source + r.zone.multicluster).soa_serial)
    memcpy(at, b"\x02ns\x03dns", 7)
    size = 7
    if r.zone.name_len == 1:
        at[size] = 0
        size += 1
        rr.owner = b"\0"
        rr.owner_len = 1
    else:
        put_u16(at + size, 0xC000 | zone_at)
        size += 2
        rr.owner_at = zone_at
        rr.saved = 2 * (r.zone.name_len - 2)
    memcpy(at + size, b"\x0ahostmaster", 11)
    size += 11
    if r.zone.name_len == 1:
        at[size] = 0
        size += 1
    else:
        put_u16(at + size, 0xC000 | zone_at)
        size += 2
    put_u32(at + size, <uint32_t>serial)
    put_u32(at + size + 4, 7200)
    put_u32(at + size + 8, 1800)
    put_u32(at + size + 12, 86400)
    put_u32(at + size + 16, conf.ttl_s)
    rr.fixed = at
    rr.fixed_len = size + 20


cdef Outcome negative(Context* ctx, const Conf* conf, const Request* r, uint16_t rcode) noexcept nogil:
    """RFC 2308: the SOA in the authority section, whatever the rcode."""
    ctx.reply.answer.count = 0
    ctx.reply.additional.count = 0
    ctx.reply.rcode = rcode
    ctx.reply.aa = True
    add_soa(ctx, conf, r, &ctx.reply.authority)
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
                add_records(ctx.reply, &ctx.reply.answer, &elsewhere.answer)
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
        return bare(ctx, REFUSED)
    elif qtype == TYPE_SOA:
        if r.labels == 0:
            add_soa(ctx, conf, r, &ctx.reply.answer)
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
    """The step of one kubernetes block.

    zones: (lowercased wire name, multicluster); primary: wire name of the zone of PTR targets; fall: wire names
    where name errors go on; namespaces: labels in wire form; local: addresses (4 or 16 bytes) of this host.
    """
    cdef Conf conf
    cdef list keep

    def __init__(self, *, int source, list zones, bytes primary not None, int ttl_s, str pods, list fall,
                 list namespaces, list local, bint ignore_empty_service, bint zonal):
        cdef uint32_t i
        zones = sorted(zones, key=lambda zone: -len(zone[0]))
        self.keep = [zones, primary, fall, namespaces, local]
        self.conf.source = source
        self.conf.ttl_s = ttl_s
        self.conf.pods = <Pods>("disabled", "insecure", "verified").index(pods)
        self.conf.ignore_empty_service = ignore_empty_service
        self.conf.zonal = zonal
        self.conf.primary = <const uint8_t*>primary
        self.conf.primary_len = len(primary)
        self.conf.zones = <Zone*>calloc(len(zones) + 1, sizeof(Zone))
        self.conf.fall = <Zone*>calloc(len(fall) + 1, sizeof(Zone))
        self.conf.namespaces = <const uint8_t**>calloc(len(namespaces) + 1, sizeof(uint8_t*))
        self.conf.local = <uint8_t*>calloc(len(local) + 1, 17)
        if not (self.conf.zones and self.conf.fall and self.conf.namespaces and self.conf.local):
            raise MemoryError
        for i in range(len(zones)):
            self.conf.zones[i].name = <const uint8_t*><bytes>zones[i][0]
            self.conf.zones[i].name_len = len(zones[i][0])
            self.conf.zones[i].multicluster = zones[i][1]
        self.conf.zone_count = len(zones)
        for i in range(len(fall)):
            self.conf.fall[i].name = <const uint8_t*><bytes>fall[i]
            self.conf.fall[i].name_len = len(fall[i])
        self.conf.fall_count = len(fall)
        for i in range(len(namespaces)):
            self.conf.namespaces[i] = <const uint8_t*><bytes>namespaces[i]
        self.conf.namespace_count = len(namespaces)
        for i in range(len(local)):
            self.conf.local[17 * i] = len(local[i])
            memcpy(self.conf.local + 17 * i + 1, <const uint8_t*><bytes>local[i], len(local[i]))
        self.conf.local_count = len(local)
        self.step.before = before
        self.step.ahead = ahead
        self.step.again = again
        self.step.conf = &self.conf

    def __dealloc__(self):
        free(self.conf.zones)
        free(self.conf.fall)
        free(self.conf.namespaces)
        free(self.conf.local)


cdef uint32_t compute(Context* ctx, const void* conf, uint8_t* out, uint32_t room) noexcept nogil:
    cdef const Asked* asked = <const Asked*>conf
    return put_part(ctx, asked.conf, asked.part, out)


cdef class KubernetesValue(NativeValue):
    """What a question says to a block with this step. name: behind "kubernetes/", one of VALUES."""
    cdef Asked asked
    cdef KubernetesStep keep

    def __init__(self, KubernetesStep step not None, str name not None):
        self.keep = step
        self.asked.conf = &step.conf
        self.asked.part = <Part><int>VALUES.index(name)
        self.value.compute = compute
        self.value.conf = &self.asked
