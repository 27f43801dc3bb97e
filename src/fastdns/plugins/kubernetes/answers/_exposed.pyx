"""Where Services are reached from outside of the cluster: see _exposed.pxd.

The shapes of names are those of CoreDNS's k8s_external, left of the zone:

    NS                          exists where the namespace is exposed
    SVC.NS                      a Service
    ENDPOINT.SVC.NS             one endpoint, where endpoints are shown; else the Service
    PORT.PROTOCOL.SVC.NS        one port of it
"""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from fastdns.memory._hash cimport hash_bytes
from fastdns.memory._store cimport Record, find, record_key, record_payload
from fastdns._wire cimport TYPE_A, TYPE_AAAA, TYPE_PTR
from fastdns.plugins.kubernetes.answers._nameservers cimport OwnServices, next_own_service, start_own_services
from fastdns.plugins.kubernetes.answers._request cimport (
    EMPTY, EXISTS, LOOKS_A_RECORD, NAME_ERROR, Seen, add_address, add_name, find_service, label_of, may_look,
    namespace_exposed, seen_before, seen_start, service_name,
)
from fastdns.plugins.kubernetes.answers._services cimport answer_endpoints, answer_fixed, read_shape
from fastdns.plugins.kubernetes.records._layout cimport (
    KEY_HEAD_BYTES, KIND_EXPOSED_IP, KIND_SERVICE, TYPE_HEADLESS, TYPE_SLICES_ONLY, ExposedView, SectionView,
    SectionWalk, ServiceHead, begin_key, exposed_address, kind_in, next_section, open_exposed, section_has,
    walk_sections, wire_name_bytes,
)
from fastdns.plugins.kubernetes.records._names cimport undashed


cdef Found answer_exposed(Context* ctx, const Conf* conf, Request* r, uint16_t qtype, bint headless, Alias* alias,
                          Fixed* fixed) noexcept nogil:
    cdef const Record* record
    cdef const ServiceHead* head
    cdef ExposedView v
    alias.target = NULL
    alias.target_len = 0
    fixed.name_count = 0
    if r.labels == 0:
        return EMPTY
    if not namespace_exposed(ctx, conf, label_of(r, r.labels - 1)):
        return NAME_ERROR
    if r.labels == 1:
        return EMPTY
    if not read_shape(conf, r):
        return NAME_ERROR
    record = find_service(ctx, conf, label_of(r, r.labels - 2), False)
    if record == NULL:
        return NAME_ERROR
    head = <const ServiceHead*>record_payload(record)
    if head.svc_type == TYPE_SLICES_ONLY:
        return NAME_ERROR
    if not open_exposed(record_payload(record), record.payload_len, &v):
        if not headless or (head.svc_type != TYPE_HEADLESS and r.endpoint == NULL):
            return NAME_ERROR
        if r.endpoint != NULL:
            r.endpoint_address_len = undashed(r.endpoint + 1, r.endpoint[0], r.endpoint_address)
        return EXISTS if answer_endpoints(ctx, conf, r, record, qtype, False, alias) else NAME_ERROR
    fixed.ip4 = v.addresses
    fixed.ip4_count = v.ip4_count
    fixed.ip6 = v.addresses + 4 * v.ip4_count
    fixed.ip6_count = v.ip6_count
    fixed.names = v.names
    fixed.names_len = v.names_len
    fixed.name_count = v.name_count
    if answer_fixed(ctx, conf, r, record, qtype, fixed) == 0:
        return NAME_ERROR
    if v.ip4_count + v.ip6_count == 0:
        # An alias, which a name has one of and nothing else (RFC 1034 section 3.6.2).
        alias.target_len = wire_name_bytes(v.names, v.names_len)
        alias.target = v.names if alias.target_len else NULL
    return EXISTS


cdef Found answer_exposed_reverse(Context* ctx, const Conf* conf, const Request* r, const uint8_t* address,
                                  uint32_t size, bint show) noexcept nogil:
    cdef uint8_t key[KEY_HEAD_BYTES + 16]
    cdef const Record* record
    cdef const Record* service
    cdef const uint8_t* namespace
    cdef uint8_t* target
    cdef uint16_t target_len = 0
    cdef uint64_t hash
    cdef uint32_t i
    cdef Found found = NAME_ERROR
    cdef Seen seen
    seen_start(&seen, False)
    begin_key(key, conf.source, KIND_EXPOSED_IP)
    memcpy(key + KEY_HEAD_BYTES, address, size)
    record = find(ctx.store, hash_bytes(ctx.store.seed, key, KEY_HEAD_BYTES + size), key, KEY_HEAD_BYTES + size)
    if record == NULL:
        return NAME_ERROR
    for i in range(record.payload_len // 8):
        if not may_look(ctx, &seen, LOOKS_A_RECORD):
            break
        memcpy(&hash, record_payload(record) + 8 * i, 8)
        service = find(ctx.store, hash, NULL, 0)
        if service == NULL or kind_in(service, conf.source) != KIND_SERVICE:
            continue
        namespace = record_key(service) + KEY_HEAD_BYTES
        namespace += namespace[0] + 1
        if conf.namespace_count and not namespace_exposed(ctx, conf, namespace):
            continue
        found = EXISTS
        if not show:
            break
        target = service_name(ctx, service, NULL, 0, NULL, 0, True, conf.primary, conf.primary_len, &target_len)
        if target != NULL and not add_name(ctx, r, TYPE_PTR, target, target_len, conf.ttl_s):
            break
    return found


cdef bint add_once(Context* ctx, const Conf* conf, ReplySection* section, const uint8_t* owner, uint16_t owner_len,
                   uint16_t qtype, Seen* seen, const uint8_t* address, uint32_t size) noexcept nogil:
    """An address of the nameserver, where its family is asked for. False: no more of them."""
    if not may_look(ctx, seen, 1):
        return False
    if (qtype and qtype != (TYPE_A if size == 4 else TYPE_AAAA)) or seen_before(ctx, seen, address, size):
        return True
    return add_address(ctx, section, owner, owner_len, address, size, conf.ttl_s)


cdef void add_exposed_nameservers(Context* ctx, const Conf* conf, ReplySection* section, const uint8_t* owner,
                                  uint16_t owner_len, uint16_t qtype, bint headless) noexcept nogil:
    cdef const Record* service
    cdef const uint8_t* at
    cdef uint32_t i, size
    cdef bint found = False
    cdef ExposedView exposed
    cdef SectionWalk walk
    cdef SectionView v
    cdef OwnServices own
    cdef Seen seen
    seen_start(&seen, True)
    start_own_services(&own)
    while True:
        service = next_own_service(ctx, conf, &own, &seen)
        if service == NULL:
            break
        found = True
        if headless and (<const ServiceHead*>record_payload(service)).svc_type == TYPE_HEADLESS:
            walk_sections(record_payload(service), service.payload_len, &walk)
            while next_section(&walk, &v) and may_look(ctx, &seen, 1):
                if section_has(&v, own.local + 1, own.local[0]):
                    for i in range(v.count):
                        if not add_once(ctx, conf, section, owner, owner_len, qtype, &seen,
                                        v.addresses + <size_t>i * v.address_len, v.address_len):
                            return
        elif open_exposed(record_payload(service), service.payload_len, &exposed):
            for i in range(exposed.ip4_count + exposed.ip6_count):
                at = exposed_address(&exposed, i, &size)
                if not add_once(ctx, conf, section, owner, owner_len, qtype, &seen, at, size):
                    return
    if found or seen.looks == 0:
        return
    for i in range(conf.local_count):
        at = conf.local + 17 * i
        if not add_once(ctx, conf, section, owner, owner_len, qtype, &seen, at + 1, at[0]):
            return
