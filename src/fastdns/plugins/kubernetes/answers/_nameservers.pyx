"""The zone's nameservers: NS records of the apex, addresses of ns.dns.ZONE."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastdns.memory._hash cimport hash_bytes
from fastdns.serve._context cimport Context
from fastdns.memory._store cimport Record, find, record_payload
from fastdns._wire cimport TYPE_A, TYPE_AAAA, TYPE_NS, scratch
from fastdns.plugins.kubernetes.records._layout cimport (
    KEY_HEAD_BYTES, KIND_ENDPOINT_IP, KIND_SERVICE, TYPE_CLUSTER_IP, TYPE_HEADLESS, SectionView, SectionWalk,
    ServiceHead, begin_key, kind_in, next_section, section_has, walk_sections,
)
from fastdns.plugins.kubernetes.answers._request cimport (
    LOOKS_A_RECORD, Conf, Request, Seen, add_address, add_name, label_is, label_of, may_look, seen_before,
    seen_start, service_name, spelled_zone,
)
from fastdns.plugins.kubernetes.records._endpoints cimport endpoint_text


cdef bint is_nameserver_name(const Request* r) noexcept nogil:
    return r.labels == 2 and label_is(label_of(r, 0), b"ns", 2) and label_is(label_of(r, 1), b"dns", 3)


cdef bint add_nameserver(Context* ctx, const Conf* conf, const Request* r, uint16_t qtype, Seen* seen,
                         const uint8_t* target, uint32_t target_len, const uint8_t* address,
                         uint32_t size) noexcept nogil:
    """One (name, address) of the zone's nameservers, as far as qtype asks for it. False: no more of them."""
    cdef uint8_t pair[16 + 255]
    if not may_look(ctx, seen, 1):
        return False
    if qtype == TYPE_NS:
        if target == NULL:
            # Longer than a domain name may be, or no more room.
            return not ctx.reply.tc
        if not seen_before(ctx, seen, target, target_len) \
                and not add_name(ctx, r, TYPE_NS, target, target_len, conf.ttl_s):
            return False
        memcpy(pair, address, size)
        memcpy(pair + size, target, target_len)
        if not seen_before(ctx, seen, pair, size + target_len):
            return add_address(ctx, &ctx.reply.additional, target, target_len, address, size, conf.ttl_s)
    elif qtype == (TYPE_A if size == 4 else TYPE_AAAA):
        if not seen_before(ctx, seen, address, size):
            return add_address(ctx, &ctx.reply.answer, r.owner, r.owner_len, address, size, conf.ttl_s)
    return True


cdef bint add_service(Context* ctx, const Conf* conf, const Request* r, uint16_t qtype, Seen* seen,
                      const Record* service, const uint8_t* local, uint32_t local_len) noexcept nogil:
    """A Service that has an address of this host among its endpoints. False: no more records."""
    cdef const ServiceHead* head = <const ServiceHead*>record_payload(service)
    cdef const uint8_t* zone = spelled_zone(ctx, r)
    cdef const uint8_t* at
    cdef const uint8_t* text
    cdef uint8_t derived[64]
    cdef uint8_t* target = NULL
    cdef uint16_t target_len = 0
    cdef uint32_t k, size
    cdef SectionWalk walk
    cdef SectionView v
    if head.svc_type == TYPE_CLUSTER_IP:
        if qtype == TYPE_NS:
            target = service_name(ctx, service, NULL, 0, NULL, 0, False, zone, r.zone.name_len, &target_len)
        at = <const uint8_t*>head + sizeof(ServiceHead)
        for k in range(<uint32_t>head.ip4_count + head.ip6_count):
            size = 4 if k < head.ip4_count else 16
            if not add_nameserver(ctx, conf, r, qtype, seen, target, target_len, at, size):
                return False
            at += size
    elif head.svc_type == TYPE_HEADLESS:
        walk_sections(record_payload(service), service.payload_len, &walk)
        while next_section(&walk, &v):
            if not may_look(ctx, seen, 1):
                return False
            if not section_has(&v, local, local_len):
                continue
            for k in range(v.count):
                if qtype == TYPE_NS:
                    size = endpoint_text(&v, k, derived, &text)
                    target = service_name(ctx, service, text, size, NULL, 0, False, zone, r.zone.name_len,
                                          &target_len)
                if not add_nameserver(ctx, conf, r, qtype, seen, target, target_len,
                                      v.addresses + <size_t>k * v.address_len, v.address_len):
                    return False
    return True


cdef const Record* next_own_service(Context* ctx, const Conf* conf, OwnServices* own,
                                    Seen* seen) noexcept nogil:
    cdef uint8_t key[KEY_HEAD_BYTES + 16]
    cdef const Record* service
    cdef uint64_t hash
    cdef uint32_t key_len
    while True:
        if own.record == NULL or own.next >= own.record.payload_len // 8:
            if own.next_local == conf.local_count:
                return NULL
            own.local = conf.local + 17 * own.next_local
            own.next_local += 1
            own.next = 0
            begin_key(key, conf.source, KIND_ENDPOINT_IP)
            memcpy(key + KEY_HEAD_BYTES, own.local + 1, own.local[0])
            key_len = KEY_HEAD_BYTES + own.local[0]
            own.record = find(ctx.store, hash_bytes(ctx.store.seed, key, key_len), key, key_len)
            continue
        if not may_look(ctx, seen, LOOKS_A_RECORD):
            return NULL
        memcpy(&hash, record_payload(own.record) + 8 * own.next, 8)
        own.next += 1
        service = find(ctx.store, hash, NULL, 0)
        if service != NULL and kind_in(service, conf.source) == KIND_SERVICE:
            return service


cdef void answer_nameservers(Context* ctx, const Conf* conf, const Request* r, uint16_t qtype) noexcept nogil:
    """The Services whose endpoints include this host's addresses; where there are none, ns.dns.ZONE itself."""
    cdef const uint8_t* local
    cdef const uint8_t* zone = spelled_zone(ctx, r)
    cdef const Record* service
    cdef uint8_t* target
    cdef uint16_t target_len
    cdef uint32_t i
    cdef bint found = False
    cdef OwnServices own
    cdef Seen seen
    if conf.local_count == 0:
        return
    seen_start(&seen, True)
    start_own_services(&own)
    while True:
        service = next_own_service(ctx, conf, &own, &seen)
        if service == NULL:
            break
        found = True
        if not add_service(ctx, conf, r, qtype, &seen, service, own.local + 1, own.local[0]):
            return
    if found or seen.looks == 0:
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
