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
from libc.string cimport memcmp, memcpy, memset

from fastdns._chain cimport Context, NativeStep, NEXT, Outcome, bare, lookup, written
from fastdns._store cimport Record, find, hash_bytes, load, record_key, record_payload, source_state
from fastdns._wire cimport (
    HEADER_BYTES, NXDOMAIN, REFUSED, RR, SERVFAIL, TYPE_A, TYPE_AAAA, TYPE_AXFR, TYPE_CNAME, TYPE_IXFR, TYPE_NS,
    TYPE_PTR, TYPE_SOA, TYPE_SRV, TYPE_TXT, Query, Section as ReplySection, add_rr, in_zone,
    parse_question_name, put_u16, put_u32, scratch,
)
from fastdns.plugins.kubernetes._records cimport (
    FLAG_HAS_ENDPOINTS, FLAG_MAY_REPEAT, KIND_CLUSTER_IP, KIND_ENDPOINT_IP, KIND_IMPORT, KIND_NAMESPACE, KIND_POD,
    KIND_SERVICE, NAME_FROM_ADDRESS, NO_ZONE, PORT_NONE, TYPE_CLUSTER_IP, TYPE_EXTERNAL_NAME, TYPE_HEADLESS,
    TYPE_SLICES_ONLY, PortHead, Section, ServiceHead, dashed_name, name_tag, section_addresses, section_blob,
    section_names, section_tags, section_zones,
)

cdef extern from "arpa/inet.h" nogil:
    const char* inet_ntop(int family, const void* src, char* dst, unsigned int size)
    int inet_pton(int family, const char* src, void* dst)
    enum:
        AF_INET
        AF_INET6

cdef enum:
    MAX_CHAIN = 11              # CNAMEs that an ExternalName may lead through
    SEEN_SLOTS = 16384          # power of two, over three times the most records of a section
    MAX_PORTS = 1024            # of one service or slice that an answer looks at
    VERSION_TTL_S = 28800

cdef enum Pods:
    PODS_DISABLED = 0
    PODS_INSECURE = 1
    PODS_VERIFIED = 2

cdef enum Found:
    NAME_ERROR = 0
    EMPTY = 1                   # exists, no service of its own
    EXISTS = 2                  # has services; records of the asked type may be none

cdef struct Zone:
    const uint8_t* name
    uint16_t name_len
    bint multicluster

cdef struct Conf:
    uint8_t source
    uint32_t ttl_s
    Pods pods
    bint ignore_empty_service
    bint zonal
    uint32_t zone_count
    Zone* zones                 # longest first
    const uint8_t* primary      # the zone of PTR targets
    uint16_t primary_len
    uint32_t fall_count
    Zone* fall                  # where a name error goes to the next plugin
    uint32_t namespace_count
    const uint8_t** namespaces  # labels in wire form; none: all
    uint32_t local_count
    uint8_t* local              # this host's addresses: 17 bytes each, the length first

# A name to resolve. label(i) counts from the left.
cdef struct Request:
    const Query* q
    const Zone* zone
    uint32_t labels             # left of the zone
    const uint8_t* owner        # of the records made; NULL: the question's name
    uint16_t owner_len
    const uint8_t* endpoint     # labels of q.name, or NULL
    const uint8_t* port         # text without underscore; any where the length is 0
    const uint8_t* protocol
    const uint8_t* cluster
    uint32_t port_len
    uint32_t protocol_len
    uint32_t topology_labels    # labels of the topology zone, from the left; 0: not asked
    bint prefer

cdef struct Seen:
    uint64_t* slots             # NULL: nothing repeats


cdef inline const uint8_t* label_of(const Request* r, uint32_t i) noexcept nogil:
    return &r.q.name[r.q.label_at[i]]


cdef inline bint label_is(const uint8_t* label, const char* text, uint32_t size) noexcept nogil:
    return label[0] == size and memcmp(label + 1, text, size) == 0


cdef inline const uint8_t* spelled_zone(Context* ctx, const Request* r) noexcept nogil:
    """The zone as the question spells it."""
    return r.q.msg + HEADER_BYTES + r.q.name_len - r.zone.name_len


# ------------------------------------------------------------------------------------------ records out

cdef inline bint add_address(Context* ctx, ReplySection* section, const uint8_t* owner, uint16_t owner_len,
                             const uint8_t* address, uint32_t address_len, uint32_t ttl_s) noexcept nogil:
    cdef RR* rr = add_rr(ctx.reply, section, TYPE_A if address_len == 4 else TYPE_AAAA, ttl_s)
    if rr == NULL:
        return False
    rr.owner = owner
    rr.owner_len = owner_len
    rr.fixed = address
    rr.fixed_len = address_len
    return True


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


cdef uint8_t* service_name(Context* ctx, const Record* record, const uint8_t* first, uint32_t first_len,
                           const uint8_t* cluster, uint32_t cluster_len, const uint8_t* zone, uint32_t zone_len,
                           uint16_t* size) noexcept nogil:
    """[first.][cluster.]SVC.NS.svc.ZONE in wire form, in scratch; NULL where there is no room or it is too long."""
    cdef uint32_t key_len = record.key_len - 2
    cdef uint32_t total = key_len + 4 + zone_len
    cdef uint8_t* at
    cdef uint32_t pos = 0
    if first_len:
        total += first_len + 1
    if cluster_len:
        total += cluster_len + 1
    if total > 255:
        return NULL
    at = scratch(ctx.reply, total)
    if at == NULL:
        return NULL
    if first_len:
        at[0] = first_len
        memcpy(at + 1, first, first_len)
        pos = first_len + 1
    if cluster_len:
        at[pos] = cluster_len
        memcpy(at + pos + 1, cluster, cluster_len)
        pos += cluster_len + 1
    memcpy(at + pos, record_key(record) + 2, key_len)
    pos += key_len
    memcpy(at + pos, b"\x03svc", 4)
    memcpy(at + pos + 4, zone, zone_len)
    size[0] = total
    return at


cdef bint add_srv(Context* ctx, const Request* r, uint16_t weight, uint16_t port, const uint8_t* target,
                  uint16_t target_len, uint32_t ttl_s) noexcept nogil:
    cdef RR* rr = add_rr(ctx.reply, &ctx.reply.answer, TYPE_SRV, ttl_s)
    if rr == NULL:
        return False
    rr.owner = r.owner
    rr.owner_len = r.owner_len
    put_u16(rr.inline_fixed, 0)
    put_u16(rr.inline_fixed + 2, weight)
    put_u16(rr.inline_fixed + 4, port)
    rr.fixed_len = 6
    # RFC 2782: the target is not compressed.
    rr.name = target
    rr.name_len = target_len
    return True


cdef bint add_name(Context* ctx, const Request* r, uint16_t rrtype, const uint8_t* target, uint16_t target_len,
                   uint32_t ttl_s) noexcept nogil:
    """A record whose rdata is one compressible name: CNAME, PTR, NS."""
    cdef RR* rr = add_rr(ctx.reply, &ctx.reply.answer, rrtype, ttl_s)
    if rr == NULL:
        return False
    rr.owner = r.owner
    rr.owner_len = r.owner_len
    rr.name = target
    rr.name_len = target_len
    rr.compress_name = True
    return True


cdef inline uint16_t srv_weight(uint64_t candidates) noexcept nogil:
    cdef uint64_t weight = 100 // candidates if candidates else 100
    return weight if weight else 1


# ------------------------------------------------------------------------------------------ deduplication

cdef void seen_start(Context* ctx, Seen* seen, bint needed) noexcept nogil:
    seen.slots = NULL
    if not needed:
        return
    # Aligned, as scratch hands out bytes.
    cdef uint8_t* at = scratch(ctx.reply, SEEN_SLOTS * 8 + 8)
    if at == NULL:
        return
    seen.slots = <uint64_t*>((<size_t>at + 7) & ~<size_t>7)
    memset(seen.slots, 0, SEEN_SLOTS * 8)


cdef bint seen_before(Seen* seen, uint64_t seed, const uint8_t* data, uint32_t size) noexcept nogil:
    """Whether these bytes were seen; 64-bit hashes stand for them. Bounded by the records of one message."""
    cdef uint64_t hash, i
    if seen.slots == NULL:
        return False
    hash = hash_bytes(seed, data, size) | 1
    i = hash >> 50 & (SEEN_SLOTS - 1)
    while seen.slots[i] != 0:
        if seen.slots[i] == hash:
            return True
        i = (i + 1) & (SEEN_SLOTS - 1)
    seen.slots[i] = hash
    return False


# -------------------------------------------------------------------------------------------------- ports

cdef inline const PortHead* next_port(const PortHead* port) noexcept nogil:
    return <const PortHead*>(<const uint8_t*>port + sizeof(PortHead) + port.protocol_len + port.name_len)


cdef inline bint port_matches(const Request* r, const PortHead* port) noexcept nogil:
    cdef const uint8_t* text = <const uint8_t*>port + sizeof(PortHead)
    if r.protocol_len and (r.protocol_len != port.protocol_len
                           or memcmp(text, r.protocol, r.protocol_len) != 0):
        return False
    if r.port_len and (r.port_len != port.name_len
                       or memcmp(text + port.protocol_len, r.port, r.port_len) != 0):
        return False
    return True


cdef uint32_t matching_ports(const Request* r, const PortHead* port, uint32_t count, uint16_t* numbers,
                             uint32_t* distinct) noexcept nogil:
    """How many ports match; numbers gets each different port number once, the stand-in not at all."""
    cdef uint32_t _i, j, matched = 0
    distinct[0] = 0
    for _i in range(count):
        if port_matches(r, port):
            matched += 1
            if not port.flags & PORT_NONE and distinct[0] < MAX_PORTS:
                j = 0
                while j < distinct[0] and numbers[j] != port.port:
                    j += 1
                if j == distinct[0]:
                    numbers[j] = port.port
                    distinct[0] += 1
        port = next_port(port)
    return matched


# ---------------------------------------------------------------------------------------------- endpoints

cdef inline uint32_t endpoint_text(const Section* s, uint32_t i, uint8_t* derived,
                                   const uint8_t** text) noexcept nogil:
    """The name of endpoint i: where it stands (derived has room for 64 bytes) and its length."""
    cdef uint16_t at = section_names(s)[i]
    cdef const uint8_t* entry
    if at == NAME_FROM_ADDRESS:
        text[0] = derived
        return dashed_name(section_addresses(s) + <size_t>i * s.address_len, s.address_len, derived)
    entry = section_blob(s) + at
    text[0] = entry + 1
    return entry[0]


cdef inline bint same_lowered(const uint8_t* lowered, const uint8_t* text, uint32_t size) noexcept nogil:
    cdef uint32_t i
    cdef uint8_t byte
    for i in range(size):
        byte = text[i]
        if byte >= 65 and byte <= 90:
            byte |= 32
        if byte != lowered[i]:
            return False
    return True


cdef inline bint endpoint_is(const Section* s, uint32_t i, const uint8_t* label, uint16_t tag) noexcept nogil:
    cdef uint8_t derived[64]
    cdef const uint8_t* text
    if section_tags(s)[i] != tag:
        return False
    return endpoint_text(s, i, derived, &text) == label[0] and same_lowered(label + 1, text, label[0])


cdef bint in_topology_zone(const Request* r, const Section* s, uint32_t i) noexcept nogil:
    """Whether endpoint i is in the topology zone that the leftmost labels name, dots between them."""
    cdef uint16_t at
    cdef const uint8_t* entry
    cdef const uint8_t* label
    cdef uint32_t j, pos = 1
    if not s.has_zones:
        return False
    at = section_zones(s)[i]
    if at == NO_ZONE:
        return False
    entry = section_blob(s) + at
    for j in range(r.topology_labels):
        label = label_of(r, j)
        if j:
            if pos > entry[0] or entry[pos] != 46:
                return False
            pos += 1
        if pos + label[0] > <uint32_t>entry[0] + 1 or memcmp(entry + pos, label + 1, label[0]) != 0:
            return False
        pos += label[0]
    return pos == <uint32_t>entry[0] + 1


cdef inline bint cluster_is(const Request* r, const uint8_t* cluster, uint32_t size) noexcept nogil:
    """Whether an endpoint's cluster is the one asked for; none asked for is that without a name."""
    if r.cluster == NULL:
        return size == 0
    return r.cluster[0] == size and same_lowered(r.cluster + 1, cluster, size)


cdef inline bint endpoint_wanted(const Request* r, const Section* s, uint32_t i, uint16_t tag,
                                 bint any_zone) noexcept nogil:
    if r.topology_labels and not any_zone and not in_topology_zone(r, s, i):
        return False
    return r.endpoint == NULL or endpoint_is(s, i, r.endpoint, tag)


cdef uint64_t answer_endpoints(Context* ctx, const Conf* conf, const Request* r, const Record* record,
                               uint16_t qtype, bint any_zone) noexcept nogil:
    """Records of a service's endpoints; returns the candidates: (port, address) pairs of any family."""
    cdef const ServiceHead* head = <const ServiceHead*>record_payload(record)
    cdef const uint8_t* first = <const uint8_t*>head + head.sections_at
    cdef const uint8_t* at = first
    cdef const Section* s
    cdef const uint8_t* address
    cdef const uint8_t* text
    cdef uint8_t* target
    cdef uint8_t derived[64]
    cdef uint8_t identity[64 + 64 + 16]
    cdef uint16_t numbers[MAX_PORTS]
    cdef uint16_t target_len = 0, tag = 0, weight = 0
    cdef uint32_t _i, _k, i, j, distinct, size, cluster_len, identity_len
    cdef uint64_t candidates = 0
    cdef uint64_t matched
    cdef const uint8_t* cluster
    cdef Seen seen
    cdef bint srv = qtype == TYPE_SRV
    cdef uint32_t want = 4 if qtype == TYPE_A else 16 if qtype == TYPE_AAAA else 0
    if r.endpoint != NULL:
        tag = name_tag(r.endpoint + 1, r.endpoint[0])
    if srv:
        # The weight needs the number of candidates first.
        candidates = answer_endpoints(ctx, conf, r, record, 0, any_zone)
        if candidates == 0:
            return 0
        weight = srv_weight(candidates)
    seen_start(ctx, &seen, want != 0 and head.flags & FLAG_MAY_REPEAT or srv and head.flags & FLAG_MAY_REPEAT)
    for _k in range(head.section_count):
        s = <const Section*>at
        at += s.total_len
        if s.count == 0:
            continue
        cluster = <const uint8_t*>s + sizeof(Section) + s.ports_len
        cluster_len = s.cluster_len
        if r.endpoint != NULL and r.zone.multicluster and not cluster_is(r, cluster, cluster_len):
            continue
        matched = matching_ports(r, <const PortHead*>(<const uint8_t*>s + sizeof(Section)), s.port_count,
                                 numbers, &distinct)
        if matched == 0:
            continue
        address = section_addresses(s)
        if want and r.endpoint == NULL and r.topology_labels == 0:
            # The common case: every address of the slice.
            candidates += matched * s.count
            if want == s.address_len:
                for _i in range(s.count):
                    if not seen_before(&seen, ctx.store.seed, address, want):
                        if not add_address(ctx, &ctx.reply.answer, r.owner, r.owner_len, address, want,
                                           conf.ttl_s):
                            return candidates
                    address += want
            continue
        for i in range(s.count):
            if not endpoint_wanted(r, s, i, tag, any_zone):
                address += s.address_len
                continue
            if want:
                candidates += matched
                if want == s.address_len and not seen_before(&seen, ctx.store.seed, address, want):
                    if not add_address(ctx, &ctx.reply.answer, r.owner, r.owner_len, address, want, conf.ttl_s):
                        return candidates
            elif not srv:
                candidates += matched
            elif distinct:
                size = endpoint_text(s, i, derived, &text)
                target = service_name(ctx, record, text, size, cluster, cluster_len, spelled_zone(ctx, r),
                                      r.zone.name_len, &target_len)
                if target == NULL:
                    return candidates
                # What tells targets of one service apart: endpoint name and cluster.
                memcpy(identity, text, size)
                identity_len = size
                identity[identity_len] = 0
                memcpy(identity + identity_len + 1, cluster, cluster_len)
                identity_len += 1 + cluster_len
                for j in range(distinct):
                    put_u16(identity + identity_len, numbers[j])
                    if not seen_before(&seen, ctx.store.seed, identity, identity_len + 2):
                        if not add_srv(ctx, r, weight, numbers[j], target, target_len, conf.ttl_s):
                            return candidates
                memcpy(identity + identity_len, address, s.address_len)
                if not seen_before(&seen, ctx.store.seed, identity, identity_len + s.address_len):
                    if not add_address(ctx, &ctx.reply.additional, target, target_len, address, s.address_len,
                                       conf.ttl_s):
                        return candidates
            address += s.address_len
    return candidates


# ----------------------------------------------------------------------------------------------- services

cdef bint answer_cluster_ips(Context* ctx, const Conf* conf, const Request* r, const Record* record,
                             uint16_t qtype) noexcept nogil:
    """Records of a service's ClusterIPs. False where no port matches."""
    cdef const ServiceHead* head = <const ServiceHead*>record_payload(record)
    cdef const uint8_t* ip4 = <const uint8_t*>head + sizeof(ServiceHead)
    cdef const uint8_t* ip6 = ip4 + 4 * head.ip4_count
    cdef const PortHead* ports = <const PortHead*>(ip6 + 16 * head.ip6_count)
    cdef uint16_t numbers[MAX_PORTS]
    cdef uint32_t distinct, i, matched
    cdef uint16_t target_len = 0, weight
    cdef uint8_t* target
    if r.port_len | r.protocol_len or qtype == TYPE_SRV:
        matched = matching_ports(r, ports, head.port_count, numbers, &distinct)
    else:
        # Without a filter every port matches, and their numbers do not matter.
        matched = head.port_count
    if matched == 0:
        return False
    if qtype == TYPE_A:
        for i in range(head.ip4_count):
            add_address(ctx, &ctx.reply.answer, r.owner, r.owner_len, ip4 + 4 * i, 4, conf.ttl_s)
    elif qtype == TYPE_AAAA:
        for i in range(head.ip6_count):
            add_address(ctx, &ctx.reply.answer, r.owner, r.owner_len, ip6 + 16 * i, 16, conf.ttl_s)
    elif qtype == TYPE_SRV and distinct and head.ip4_count + head.ip6_count:
        target = service_name(ctx, record, NULL, 0, NULL, 0, spelled_zone(ctx, r), r.zone.name_len, &target_len)
        if target == NULL:
            return True
        weight = srv_weight(<uint64_t>matched * (head.ip4_count + head.ip6_count))
        for i in range(distinct):
            add_srv(ctx, r, weight, numbers[i], target, target_len, conf.ttl_s)
        for i in range(head.ip4_count):
            add_address(ctx, &ctx.reply.additional, target, target_len, ip4 + 4 * i, 4, conf.ttl_s)
        for i in range(head.ip6_count):
            add_address(ctx, &ctx.reply.additional, target, target_len, ip6 + 16 * i, 16, conf.ttl_s)
    return True


cdef inline const uint8_t* external_name(const Record* record, uint32_t* size) noexcept nogil:
    cdef const ServiceHead* head = <const ServiceHead*>record_payload(record)
    size[0] = head.external_len
    return (<const uint8_t*>head + sizeof(ServiceHead) + 4 * head.ip4_count + 16 * head.ip6_count
            + head.ports_len)


cdef bint namespace_exposed(Context* ctx, const Conf* conf, const uint8_t* label) noexcept nogil:
    cdef uint8_t key[2 + 64]
    cdef uint32_t size = label[0] + 1
    cdef uint32_t i
    if conf.namespace_count:
        i = 0
        while i < conf.namespace_count and memcmp(conf.namespaces[i], label, size) != 0:
            i += 1
        if i == conf.namespace_count:
            return False
    key[0] = conf.source
    key[1] = KIND_NAMESPACE
    memcpy(key + 2, label, size)
    return find(ctx.store, hash_bytes(ctx.store.seed, key, size + 2), key, size + 2) != NULL


cdef const Record* find_service(Context* ctx, const Conf* conf, const uint8_t* labels,
                                bint multicluster) noexcept nogil:
    """The record of a service: labels begins with its label, then its namespace's."""
    cdef uint8_t key[2 + 128]
    cdef uint32_t size = labels[0] + 1
    size += labels[size] + 1
    key[0] = conf.source
    key[1] = KIND_IMPORT if multicluster else KIND_SERVICE
    memcpy(key + 2, labels, size)
    return find(ctx.store, hash_bytes(ctx.store.seed, key, size + 2), key, size + 2)


cdef bint read_shape(const Conf* conf, Request* r) noexcept nogil:
    """What the labels left of SVC.NS.svc mean. False where they mean nothing."""
    cdef uint32_t extra = r.labels - 3
    cdef const uint8_t* left
    cdef const uint8_t* right
    r.endpoint = NULL
    r.port = NULL
    r.protocol = NULL
    r.cluster = NULL
    r.port_len = 0
    r.protocol_len = 0
    r.topology_labels = 0
    r.prefer = False
    if extra == 0:
        return True
    if extra == 1:
        r.endpoint = label_of(r, 0)
        return True
    left = label_of(r, 0)
    right = label_of(r, 1)
    if extra == 2:
        if r.zone.multicluster and left[1] != 95 and right[1] != 95:
            r.endpoint = left
            r.cluster = right
            return True
        r.port = left + (2 if left[1] == 95 else 1)
        r.port_len = left[0] - (left[1] == 95)
        r.protocol = right + (2 if right[1] == 95 else 1)
        r.protocol_len = right[0] - (right[1] == 95)
        return True
    if not conf.zonal or r.zone.multicluster or not label_is(label_of(r, extra - 1), b"_zone", 5):
        return False
    right = label_of(r, extra - 2)
    if label_is(right, b"prefer", 6):
        r.prefer = True
    elif not label_is(right, b"pin", 3):
        return False
    r.topology_labels = extra - 2
    return True


cdef Found answer_service(Context* ctx, const Conf* conf, Request* r, uint16_t qtype,
                          const Record** external) noexcept nogil:
    """A name of at least three labels that ends in svc. external gets the record of an ExternalName."""
    cdef const Record* record
    cdef const ServiceHead* head
    cdef uint32_t size
    cdef uint64_t candidates
    if not read_shape(conf, r):
        return NAME_ERROR
    record = find_service(ctx, conf, label_of(r, r.labels - 3), r.zone.multicluster)
    if record == NULL:
        return NAME_ERROR
    head = <const ServiceHead*>record_payload(record)
    if head.svc_type == TYPE_SLICES_ONLY:
        return NAME_ERROR
    if conf.ignore_empty_service and head.svc_type == TYPE_CLUSTER_IP and not head.flags & FLAG_HAS_ENDPOINTS:
        return NAME_ERROR
    if r.topology_labels and head.svc_type != TYPE_HEADLESS:
        return NAME_ERROR
    if head.svc_type == TYPE_EXTERNAL_NAME:
        if r.endpoint != NULL or r.port_len or r.protocol_len:
            return NAME_ERROR
        external_name(record, &size)
        if size == 0:
            return NAME_ERROR
        external[0] = record
        return EXISTS
    if head.svc_type == TYPE_HEADLESS or r.endpoint != NULL:
        candidates = answer_endpoints(ctx, conf, r, record, qtype, False)
        if candidates == 0 and r.prefer:
            candidates = answer_endpoints(ctx, conf, r, record, qtype, True)
        if candidates == 0:
            return EMPTY if r.topology_labels else NAME_ERROR
        return EXISTS
    if not answer_cluster_ips(ctx, conf, r, record, qtype):
        return NAME_ERROR
    return EXISTS if head.ip4_count + head.ip6_count else EMPTY


# --------------------------------------------------------------------------------------------------- pods

cdef uint32_t pod_address(const uint8_t* label, uint8_t* address, bint* canonical) noexcept nogil:
    """The address that a pod's label spells: its length, or 0. canonical: it is spelled as it is written."""
    cdef char text[64]
    cdef char again[64]
    cdef uint32_t i, dashes = 0, size = label[0]
    cdef bint doubled = False
    for i in range(size):
        text[i] = label[1 + i]
        if text[i] == 45:
            dashes += 1
            if i and label[i] == 45:
                doubled = True
    text[size] = 0
    cdef bint v4 = dashes == 3 and not doubled
    for i in range(size):
        if text[i] == 45:
            text[i] = 46 if v4 else 58
        elif text[i] == 46 or text[i] == 58:
            # A label may hold any byte; these would change what the text means.
            return 0
        elif text[i] == 0:
            return 0
    if v4:
        if inet_pton(AF_INET, text, address) != 1:
            return 0
        canonical[0] = True
        return 4
    if inet_pton(AF_INET6, text, address) != 1:
        return 0
    inet_ntop(AF_INET6, address, again, 64)
    canonical[0] = memcmp(text, again, size + 1) == 0
    if memcmp(address, b"\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0:
        memcpy(address, address + 12, 4)
        return 4
    return 16


cdef Found answer_pod(Context* ctx, const Conf* conf, Request* r, uint16_t qtype) noexcept nogil:
    """A name of at least three labels that ends in pod; up to two labels left of the address are ignored."""
    cdef const uint8_t* label
    cdef uint8_t key[2 + 16 + 64]
    cdef uint8_t* address
    cdef uint8_t* target
    cdef uint32_t size, total, labels_len
    cdef bint canonical = False
    if conf.pods == PODS_DISABLED or r.labels > 5:
        return NAME_ERROR
    address = scratch(ctx.reply, 16)
    if address == NULL:
        return NAME_ERROR
    label = label_of(r, r.labels - 3)
    size = pod_address(label, address, &canonical)
    if size == 0:
        return NAME_ERROR
    if conf.pods == PODS_VERIFIED:
        if not canonical:
            return NAME_ERROR
        key[0] = conf.source
        key[1] = KIND_POD
        memcpy(key + 2, address, size)
        label = label_of(r, r.labels - 2)
        memcpy(key + 2 + size, label, label[0] + 1)
        total = 2 + size + label[0] + 1
        if find(ctx.store, hash_bytes(ctx.store.seed, key, total), key, total) == NULL:
            return NAME_ERROR
    if qtype == (TYPE_A if size == 4 else TYPE_AAAA):
        add_address(ctx, &ctx.reply.answer, r.owner, r.owner_len, address, size, conf.ttl_s)
    elif qtype == TYPE_SRV:
        # Lowercased labels, then the zone as asked.
        label = label_of(r, r.labels - 3)
        labels_len = r.q.name_len - r.zone.name_len - r.q.label_at[r.labels - 3]
        total = labels_len + r.zone.name_len
        target = scratch(ctx.reply, total)
        if target != NULL:
            memcpy(target, label, labels_len)
            memcpy(target + labels_len, spelled_zone(ctx, r), r.zone.name_len)
            add_srv(ctx, r, 100, 0, target, total, conf.ttl_s)
            add_address(ctx, &ctx.reply.additional, target, total, address, size, conf.ttl_s)
    return EXISTS


# --------------------------------------------------------------------------------------------- nameservers

cdef bint section_has(const Section* s, const uint8_t* address, uint32_t size) noexcept nogil:
    cdef const uint8_t* at = section_addresses(s)
    cdef uint32_t _i
    if s.address_len != size:
        return False
    for _i in range(s.count):
        if memcmp(at, address, size) == 0:
            return True
        at += size
    return False


cdef bint add_nameserver(Context* ctx, const Conf* conf, const Request* r, uint16_t qtype, Seen* seen,
                         const uint8_t* target, uint32_t target_len, const uint8_t* address,
                         uint32_t size) noexcept nogil:
    """One (name, address) of the zone's nameservers, as far as qtype asks for it."""
    cdef uint8_t pair[16 + 255]
    if qtype == TYPE_NS:
        if target == NULL:
            return False
        if not seen_before(seen, ctx.store.seed, target, target_len):
            add_name(ctx, r, TYPE_NS, target, target_len, conf.ttl_s)
        memcpy(pair, address, size)
        memcpy(pair + size, target, target_len)
        if not seen_before(seen, ctx.store.seed, pair, size + target_len):
            return add_address(ctx, &ctx.reply.additional, target, target_len, address, size, conf.ttl_s)
    elif qtype == (TYPE_A if size == 4 else TYPE_AAAA):
        if not seen_before(seen, ctx.store.seed, address, size):
            return add_address(ctx, &ctx.reply.answer, r.owner, r.owner_len, address, size, conf.ttl_s)
    return True


cdef void answer_nameservers(Context* ctx, const Conf* conf, const Request* r, uint16_t qtype) noexcept nogil:
    """The Services whose endpoints include this host's addresses; where there are none, ns.dns.ZONE itself."""
    cdef uint8_t key[2 + 16]
    cdef uint8_t derived[64]
    cdef const uint8_t* local
    cdef const uint8_t* references
    cdef const uint8_t* text
    cdef const uint8_t* at
    cdef const uint8_t* zone = spelled_zone(ctx, r)
    cdef const Record* record
    cdef const Record* service
    cdef const ServiceHead* head
    cdef const Section* s
    cdef uint8_t* target
    cdef uint16_t target_len = 0
    cdef uint64_t hash
    cdef uint32_t _k, i, j, k, n, size
    cdef bint found = False
    cdef Seen seen
    if conf.local_count == 0:
        return
    seen_start(ctx, &seen, True)
    key[0] = conf.source
    key[1] = KIND_ENDPOINT_IP
    for i in range(conf.local_count):
        local = conf.local + 17 * i
        memcpy(key + 2, local + 1, local[0])
        record = find(ctx.store, hash_bytes(ctx.store.seed, key, 2 + local[0]), key, 2 + local[0])
        if record == NULL:
            continue
        references = record_payload(record)
        for j in range(record.payload_len // 8):
            memcpy(&hash, references + 8 * j, 8)
            service = find(ctx.store, hash, NULL, 0)
            if service == NULL:
                continue
            found = True
            head = <const ServiceHead*>record_payload(service)
            if head.svc_type == TYPE_CLUSTER_IP:
                target = service_name(ctx, service, NULL, 0, NULL, 0, zone, r.zone.name_len, &target_len)
                at = <const uint8_t*>head + sizeof(ServiceHead)
                for k in range(<uint32_t>head.ip4_count + head.ip6_count):
                    size = 4 if k < head.ip4_count else 16
                    add_nameserver(ctx, conf, r, qtype, &seen, target, target_len, at, size)
                    at += size
            elif head.svc_type == TYPE_HEADLESS:
                at = <const uint8_t*>head + head.sections_at
                for _k in range(head.section_count):
                    s = <const Section*>at
                    at += s.total_len
                    if not section_has(s, local + 1, local[0]):
                        continue
                    for n in range(s.count):
                        size = endpoint_text(s, n, derived, &text)
                        target = service_name(ctx, service, text, size, NULL, 0, zone, r.zone.name_len,
                                              &target_len)
                        if not add_nameserver(ctx, conf, r, qtype, &seen, target, target_len,
                                              section_addresses(s) + <size_t>n * s.address_len, s.address_len):
                            return
    if found:
        return
    target_len = 7 + r.zone.name_len
    target = scratch(ctx.reply, target_len)
    if target == NULL or target_len > 255:
        return
    memcpy(target, b"\x02ns\x03dns", 7)
    memcpy(target + 7, zone, r.zone.name_len)
    for i in range(conf.local_count):
        local = conf.local + 17 * i
        add_nameserver(ctx, conf, r, qtype, &seen, target, target_len, local + 1, local[0])


# ------------------------------------------------------------------------------------------------ reverse

cdef bint is_reverse(const Query* q) noexcept nogil:
    return q.name_len > 14 and in_zone(q, b"\x07in-addr\x04arpa\0", 14) or (
        q.name_len > 10 and in_zone(q, b"\x03ip6\x04arpa\0", 10))


cdef inline int nibble(uint8_t byte) noexcept nogil:
    if byte >= 48 and byte <= 57:
        return byte - 48
    if byte >= 97 and byte <= 102:
        return byte - 87
    return -1


cdef uint32_t reverse_address(const Query* q, uint8_t* address) noexcept nogil:
    """The address whose reverse name this is: its length, or 0 (RFC 1035 section 3.5, RFC 3596 section 2.5)."""
    cdef uint32_t i, value, j
    cdef const uint8_t* label
    cdef int low, high
    if in_zone(q, b"\x07in-addr\x04arpa\0", 14):
        if q.label_count != 6:
            return 0
        for i in range(4):
            label = &q.name[q.label_at[i]]
            if label[0] > 3 or (label[0] > 1 and label[1] == 48):
                return 0
            value = 0
            for j in range(1, label[0] + 1):
                if label[j] < 48 or label[j] > 57:
                    return 0
                value = value * 10 + label[j] - 48
            if value > 255:
                return 0
            address[3 - i] = value
        return 4
    if not in_zone(q, b"\x03ip6\x04arpa\0", 10) or q.label_count != 34:
        return 0
    for i in range(16):
        label = &q.name[q.label_at[2 * i]]
        low = nibble(label[1])
        high = nibble(label[3])
        if label[0] != 1 or label[2] != 1 or low < 0 or high < 0:
            return 0
        address[15 - i] = (high << 4) | low
    if memcmp(address, b"\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0:
        memcpy(address, address + 12, 4)
        return 4
    return 16


cdef Found answer_reverse(Context* ctx, const Conf* conf, Request* r, const uint8_t* address,
                          uint32_t size) noexcept nogil:
    """PTR: the Service that has the address as ClusterIP, else one name for each that has it as endpoint."""
    cdef uint8_t key[2 + 16]
    cdef uint8_t derived[64]
    cdef const Record* record
    cdef const Record* service
    cdef const ServiceHead* head
    cdef const Section* s
    cdef const uint8_t* references
    cdef const uint8_t* at
    cdef const uint8_t* text
    cdef const uint8_t* namespace
    cdef const uint8_t* addresses
    cdef uint8_t* target
    cdef uint16_t target_len = 0
    cdef uint64_t hash
    cdef uint32_t _j, i, n, length
    cdef int kind, turn
    cdef Seen seen
    seen_start(ctx, &seen, True)
    key[0] = conf.source
    memcpy(key + 2, address, size)
    for turn in range(2):
        kind = KIND_CLUSTER_IP if turn == 0 else KIND_ENDPOINT_IP
        key[1] = kind
        record = find(ctx.store, hash_bytes(ctx.store.seed, key, 2 + size), key, 2 + size)
        if record == NULL:
            continue
        references = record_payload(record)
        for i in range(record.payload_len // 8):
            memcpy(&hash, references + 8 * i, 8)
            service = find(ctx.store, hash, NULL, 0)
            if service == NULL or record_key(service)[0] != conf.source:
                continue
            namespace = record_key(service) + 2
            namespace += namespace[0] + 1
            if conf.namespace_count and not namespace_exposed(ctx, conf, namespace):
                continue
            if kind == KIND_CLUSTER_IP:
                target = service_name(ctx, service, NULL, 0, NULL, 0, conf.primary, conf.primary_len,
                                      &target_len)
                if target != NULL:
                    add_name(ctx, r, TYPE_PTR, target, target_len, conf.ttl_s)
                return EXISTS
            head = <const ServiceHead*>record_payload(service)
            at = <const uint8_t*>head + head.sections_at
            for _j in range(head.section_count):
                s = <const Section*>at
                at += s.total_len
                if s.address_len != size:
                    continue
                addresses = section_addresses(s)
                for n in range(s.count):
                    if memcmp(addresses + <size_t>n * size, address, size) != 0:
                        continue
                    length = endpoint_text(s, n, derived, &text)
                    target = service_name(ctx, service, text, length, NULL, 0, conf.primary, conf.primary_len,
                                          &target_len)
                    if target != NULL and not seen_before(&seen, ctx.store.seed, target, target_len):
                        if not add_name(ctx, r, TYPE_PTR, target, target_len, conf.ttl_s):
                            return EXISTS
    return EXISTS if ctx.reply.answer.count else NAME_ERROR


# ------------------------------------------------------------------------------------------------- a name

cdef bint is_nameserver_name(const Request* r) noexcept nogil:
    return r.labels == 2 and label_is(label_of(r, 0), b"ns", 2) and label_is(label_of(r, 1), b"dns", 3)


cdef Found resolve(Context* ctx, const Conf* conf, Request* r, uint16_t qtype,
                   const Record** external) noexcept nogil:
    """One name of the zone, without following ExternalNames: records of qtype go into the reply."""
    cdef const uint8_t* last
    cdef bint pod
    external[0] = NULL
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
    return answer_service(ctx, conf, r, qtype, external)


cdef bint start_request(Request* r, const Query* q, const Zone* zone) noexcept nogil:
    cdef uint32_t zone_at = q.name_len - zone.name_len
    r.q = q
    r.zone = zone
    r.owner = NULL
    r.owner_len = 0
    r.labels = q.label_count
    while r.labels and q.label_at[r.labels - 1] >= zone_at:
        r.labels -= 1
    return True


cdef bint below_or_at(const uint8_t* target, uint32_t target_len, const Query* q) noexcept nogil:
    """Whether target (any case) is q's name or below it."""
    cdef uint32_t at = 0
    while target_len - at > q.name_len:
        at += target[at] + 1
    return target_len - at == q.name_len and same_lowered(q.name, target + at, q.name_len)


cdef Found answer_address(Context* ctx, const Conf* conf, Request* r, uint16_t qtype) noexcept nogil:
    """A or AAAA, through ExternalNames: within the zone from the store, elsewhere through the whole server."""
    cdef const Record* external
    cdef const uint8_t* target
    cdef uint32_t target_len
    cdef uint32_t hops = 0
    cdef Query inner
    cdef Found found, first = NAME_ERROR
    while True:
        if is_nameserver_name(r):
            answer_nameservers(ctx, conf, r, qtype)
            found = EXISTS
            external = NULL
        else:
            found = resolve(ctx, conf, r, qtype, &external)
        if hops == 0:
            first = found
        if external == NULL:
            break
        target = external_name(external, &target_len)
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
            if not lookup(ctx, target, target_len, qtype):
                # Silence: as if nothing had resolved.
                ctx.reply.answer.count = 0
            return first
        start_request(r, &inner, r.zone)
        r.owner = target
        r.owner_len = target_len
    if hops and ctx.reply.answer.count == hops:
        # Nothing but CNAMEs: shown only where something resolves.
        ctx.reply.answer.count = 0
    return first


cdef Found answer_text(Context* ctx, const Conf* conf, Request* r) noexcept nogil:
    cdef const Record* external
    cdef Found found
    cdef RR* rr
    if r.labels == 1 and label_is(label_of(r, 0), b"dns-version", 11):
        rr = add_rr(ctx.reply, &ctx.reply.answer, TYPE_TXT, VERSION_TTL_S)
        if rr != NULL:
            rr.fixed = b"\x051.1.0"
            rr.fixed_len = 6
        return EXISTS
    r.topology_labels = 0
    found = resolve(ctx, conf, r, 0, &external)
    if found == EMPTY and not (conf.zonal and r.labels > 3 and r.topology_labels):
        return NAME_ERROR
    return found


cdef Outcome before(Context* ctx, const void* opaque) noexcept nogil:
    cdef const Conf* conf = <const Conf*>opaque
    cdef const Zone* zone = NULL
    cdef const Record* external
    cdef const uint8_t* target
    cdef uint8_t address[16]
    cdef uint32_t i, size
    cdef uint16_t qtype = ctx.q.qtype
    cdef Request request
    cdef Request* r = &request
    cdef Found found
    for i in range(conf.zone_count):
        if in_zone(ctx.q, conf.zones[i].name, conf.zones[i].name_len):
            zone = &conf.zones[i]
            break
    if zone == NULL:
        return NEXT
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
            found = resolve(ctx, conf, r, 0, &external)
    elif qtype == TYPE_NS and r.labels == 0:
        answer_nameservers(ctx, conf, r, TYPE_NS)
        found = EXISTS
    elif is_nameserver_name(r):
        found = EXISTS
    else:
        found = resolve(ctx, conf, r, qtype if qtype == TYPE_SRV else 0, &external)
        if external != NULL and qtype == TYPE_CNAME:
            target = external_name(external, &size)
            add_name(ctx, r, TYPE_CNAME, target, size, conf.ttl_s)
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
        self.step.conf = &self.conf

    def __dealloc__(self):
        free(self.conf.zones)
        free(self.conf.fall)
        free(self.conf.namespaces)
        free(self.conf.local)
