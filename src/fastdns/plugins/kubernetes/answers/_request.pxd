"""What every part of the kubernetes step shares: a block's options, the name asked for, records out.

A part (services, pods, reverse names, nameservers) adds records to the reply and says what it Found.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from fastdns.memory._hash cimport hash_bytes
from fastdns.serve._context cimport Context
from fastdns.memory._store cimport Record, find, record_key, record_payload
from fastdns._wire cimport (
    HEADER_BYTES, RR, TYPE_A, TYPE_AAAA, TYPE_SRV, Query, Section as ReplySection, add_rr, in_zone, put_u16,
    scratch,
)
from fastdns.plugins.kubernetes.records._layout cimport (
    KEY_HEAD_BYTES, KIND_IMPORT, KIND_NAMESPACE, KIND_SERVICE, ServiceHead, begin_key, is_wire_name,
)
from fastdns.plugins.kubernetes.records._ports cimport PortsWanted

cdef enum:
    FEW_SEEN = 48
    SEEN_SLOTS = 16384          # power of two, over three times the most records of a section
    MAX_SEEN = 14336            # so that a search always ends at a free slot
    # What an answer may look at without adding a record for it: entries of about 30 ns of CPU each. The most that
    # a message holds is a quarter of it; the rest are endpoints that are in the answer already.
    LOOKS = 12288
    LOOKS_A_RECORD = 16         # for a record of the store that has to be found first
    SCANNED_A_LOOK = 32         # endpoints of which nothing but the zone is compared

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
    bint outside                # names of Services stand right below it, not below "svc"

cdef struct Conf:
    uint16_t source
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
    uint8_t endpoint_address[16]    # which the endpoint's label spells
    uint32_t endpoint_address_len   # 0: none
    PortsWanted wanted          # texts without underscore
    const uint8_t* cluster
    uint32_t topology_labels    # labels of the topology zone, from the left; 0: not asked
    bint prefer

# Where a name is another one's alias: the target in wire form; NULL: it is none.
cdef struct Alias:
    const uint8_t* target
    uint32_t target_len

# Hashes of what an answer has already. Mostly there are few; more go to a table in scratch.
cdef struct Seen:
    bint needed                 # False: nothing repeats
    bint full                   # no more can be told apart: nothing more is added, and TC is set
    uint32_t count
    uint32_t looks              # what is left of LOOKS
    uint64_t few[FEW_SEEN]
    uint64_t* slots             # NULL: few holds them all

# A request for q, which is in the zone.
cdef inline void start_request(Request* r, const Query* q, const Zone* zone) noexcept nogil:
    cdef uint32_t zone_at = q.name_len - zone.name_len
    r.q = q
    r.zone = zone
    r.owner = NULL
    r.owner_len = 0
    r.labels = q.label_count
    while r.labels and q.label_at[r.labels - 1] >= zone_at:
        r.labels -= 1

# The first of these zones that has the name; NULL: none.
cdef inline const Zone* first_zone(const Zone* zones, uint32_t count, const Query* q) noexcept nogil:
    cdef uint32_t i
    for i in range(count):
        if in_zone(q, zones[i].name, zones[i].name_len):
            return &zones[i]
    return NULL

# The longest zone of a block that has the name; NULL: none.
cdef inline const Zone* zone_of(const Conf* conf, const Query* q) noexcept nogil:
    return first_zone(conf.zones, conf.zone_count, q)

cdef inline const uint8_t* label_of(const Request* r, uint32_t i) noexcept nogil:
    return &r.q.name[r.q.label_at[i]]

cdef inline bint label_is(const uint8_t* label, const char* text, uint32_t size) noexcept nogil:
    return label[0] == size and memcmp(label + 1, text, size) == 0

# The zone as the question spells it.
cdef inline const uint8_t* spelled_zone(Context* ctx, const Request* r) noexcept nogil:
    return r.q.msg + HEADER_BYTES + r.q.name_len - r.zone.name_len

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

cdef inline bint add_srv(Context* ctx, const Request* r, uint16_t weight, uint16_t port, const uint8_t* target,
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

# A record whose rdata is one compressible name: CNAME, PTR, NS.
cdef inline bint add_name(Context* ctx, const Request* r, uint16_t rrtype, const uint8_t* target,
                          uint16_t target_len, uint32_t ttl_s) noexcept nogil:
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

# [first.][cluster.]SVC.NS.[svc.]ZONE in wire form, in scratch; NULL where there is no room or it is too long.
# outside: as Zone has it.
cdef inline uint8_t* service_name(Context* ctx, const Record* record, const uint8_t* first, uint32_t first_len,
                                  const uint8_t* cluster, uint32_t cluster_len, bint outside, const uint8_t* zone,
                                  uint32_t zone_len, uint16_t* size) noexcept nogil:
    cdef uint32_t key_len = record.key_len - KEY_HEAD_BYTES
    cdef uint32_t svc_len = 0 if outside else 4
    cdef uint32_t total = key_len + svc_len + zone_len
    cdef uint8_t* at
    cdef uint32_t pos = 0
    if first_len:
        total += first_len + 1
    if cluster_len:
        total += cluster_len + 1
    if total > 255 or first_len > 63 or cluster_len > 63:
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
    memcpy(at + pos, record_key(record) + KEY_HEAD_BYTES, key_len)
    pos += key_len
    memcpy(at + pos, b"\x03svc", svc_len)
    memcpy(at + pos + svc_len, zone, zone_len)
    size[0] = total
    return at

cdef inline void seen_start(Seen* seen, bint needed) noexcept nogil:
    seen.needed = needed
    seen.full = False
    seen.looks = LOOKS
    seen.count = 0
    seen.slots = NULL

# Whether an answer may look at so much more. False, and TC is set, where its work has reached its bound.
cdef inline bint may_look(Context* ctx, Seen* seen, uint32_t looks) noexcept nogil:
    if seen.looks < looks or seen.full:
        seen.looks = 0
        ctx.reply.tc = True
        return False
    seen.looks -= looks
    return True

cdef inline bint seen_in_table(uint64_t* slots, uint64_t hash) noexcept nogil:
    cdef uint64_t i = hash >> 50 & (SEEN_SLOTS - 1)
    while slots[i] != 0:
        if slots[i] == hash:
            return True
        i = (i + 1) & (SEEN_SLOTS - 1)
    slots[i] = hash
    return False

# Whether these bytes were seen, or no more can be; 64-bit hashes stand for them.
cdef inline bint seen_before(Context* ctx, Seen* seen, const uint8_t* data, uint32_t size) noexcept nogil:
    cdef uint64_t hash
    cdef uint32_t i
    cdef uint8_t* at
    if not seen.needed:
        return False
    hash = hash_bytes(ctx.store.seed, data, size) | 1
    if seen.slots == NULL:
        for i in range(seen.count):
            if seen.few[i] == hash:
                return True
        if seen.count < FEW_SEEN:
            seen.few[seen.count] = hash
            seen.count += 1
            return False
        at = scratch(ctx.reply, SEEN_SLOTS * 8 + 8)
        if at == NULL:
            seen.full = True
            return True
        # Aligned, as scratch hands out bytes.
        seen.slots = <uint64_t*>((<size_t>at + 7) & ~<size_t>7)
        memset(seen.slots, 0, SEEN_SLOTS * 8)
        for i in range(seen.count):
            seen_in_table(seen.slots, seen.few[i])
    if seen.count >= MAX_SEEN:
        seen.full = True
        ctx.reply.tc = True
        return True
    if seen_in_table(seen.slots, hash):
        return True
    seen.count += 1
    return False

cdef inline void external_name(const Record* record, Alias* alias) noexcept nogil:
    cdef const ServiceHead* head = <const ServiceHead*>record_payload(record)
    cdef uint64_t at = sizeof(ServiceHead) + 4 * head.ip4_count + 16 * head.ip6_count + <uint64_t>head.ports_len
    alias.target = NULL
    alias.target_len = 0
    if head.external_len and at + head.external_len <= record.payload_len \
            and is_wire_name(<const uint8_t*>head + at, head.external_len):
        alias.target = <const uint8_t*>head + at
        alias.target_len = head.external_len

cdef inline bint namespace_exposed(Context* ctx, const Conf* conf, const uint8_t* label) noexcept nogil:
    cdef uint8_t key[KEY_HEAD_BYTES + 64]
    cdef uint32_t size = label[0] + 1
    cdef uint32_t i
    if conf.namespace_count:
        i = 0
        while i < conf.namespace_count and (conf.namespaces[i][0] != label[0]
                                            or memcmp(conf.namespaces[i], label, size) != 0):
            i += 1
        if i == conf.namespace_count:
            return False
    begin_key(key, conf.source, KIND_NAMESPACE)
    memcpy(key + KEY_HEAD_BYTES, label, size)
    size += KEY_HEAD_BYTES
    return find(ctx.store, hash_bytes(ctx.store.seed, key, size), key, size) != NULL

# The key of a service: labels begins with its label, then its namespace's. Returns its length.
cdef inline uint32_t service_key(uint8_t* key, const Conf* conf, const uint8_t* labels,
                                 bint multicluster) noexcept nogil:
    cdef uint32_t size = labels[0] + 1
    size += labels[size] + 1
    begin_key(key, conf.source, KIND_IMPORT if multicluster else KIND_SERVICE)
    memcpy(key + KEY_HEAD_BYTES, labels, size)
    return size + KEY_HEAD_BYTES

cdef inline const Record* find_service(Context* ctx, const Conf* conf, const uint8_t* labels,
                                       bint multicluster) noexcept nogil:
    cdef uint8_t key[KEY_HEAD_BYTES + 128]
    cdef uint32_t size = service_key(key, conf, labels, multicluster)
    return find(ctx.store, hash_bytes(ctx.store.seed, key, size), key, size)
