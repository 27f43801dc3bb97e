"""The zone's nameservers: NS records of the apex, addresses of ns.dns.ZONE."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastdns._chain cimport Context
from fastdns._store cimport Record, find, hash_bytes, record_payload
from fastdns._wire cimport TYPE_A, TYPE_AAAA, TYPE_NS, scratch
from fastdns.plugins.kubernetes._layout cimport (
    KIND_ENDPOINT_IP, TYPE_CLUSTER_IP, TYPE_HEADLESS, Section, ServiceHead, section_addresses,
    section_has,
)
from fastdns.plugins.kubernetes._packing cimport endpoint_text
from fastdns.plugins.kubernetes._request cimport (
    Conf, Request, Seen, add_address, add_name, label_is, label_of, seen_before, seen_start, service_name,
    spelled_zone,
)


cdef bint is_nameserver_name(const Request* r) noexcept nogil:
    return r.labels == 2 and label_is(label_of(r, 0), b"ns", 2) and label_is(label_of(r, 1), b"dns", 3)


cdef bint add_nameserver(Context* ctx, const Conf* conf, const Request* r, uint16_t qtype, Seen* seen,
                         const uint8_t* target, uint32_t target_len, const uint8_t* address,
                         uint32_t size) noexcept nogil:
    """One (name, address) of the zone's nameservers, as far as qtype asks for it."""
    cdef uint8_t pair[16 + 255]
    if qtype == TYPE_NS:
        if target == NULL:
            return False
        if not seen_before(ctx, seen, target, target_len):
            add_name(ctx, r, TYPE_NS, target, target_len, conf.ttl_s)
        memcpy(pair, address, size)
        memcpy(pair + size, target, target_len)
        if not seen_before(ctx, seen, pair, size + target_len):
            return add_address(ctx, &ctx.reply.additional, target, target_len, address, size, conf.ttl_s)
    elif qtype == (TYPE_A if size == 4 else TYPE_AAAA):
        if not seen_before(ctx, seen, address, size):
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
    seen_start(&seen, True)
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
