"""Reverse names: from in-addr.arpa and ip6.arpa to the names of services and endpoints."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from fastdns.memory._hash cimport hash_bytes
from fastdns.serve._context cimport Context
from fastdns.memory._store cimport Record, find, record_key, record_payload
from fastdns._wire cimport TYPE_PTR, Query, in_zone
from fastdns.plugins.kubernetes.records._layout cimport (
    KEY_HEAD_BYTES, KIND_CLUSTER_IP, KIND_ENDPOINT_IP, KIND_SERVICE, SectionView, SectionWalk, begin_key,
    first_with_address, has_address, kind_in, next_section, walk_sections,
)
from fastdns.plugins.kubernetes.answers._request cimport (
    EXISTS, LOOKS_A_RECORD, NAME_ERROR, Conf, Found, Request, Seen, add_name, may_look, namespace_exposed,
    seen_before, seen_start, service_name,
)
from fastdns.plugins.kubernetes.records._endpoints cimport endpoint_text


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
    cdef uint8_t key[KEY_HEAD_BYTES + 16]
    cdef uint8_t derived[64]
    cdef const Record* record
    cdef const Record* service
    cdef const uint8_t* references
    cdef const uint8_t* text
    cdef const uint8_t* namespace
    cdef uint8_t* target
    cdef uint16_t target_len = 0
    cdef uint64_t hash
    cdef uint32_t i, n, length
    cdef uint8_t kind
    cdef int turn
    cdef bint known = False
    cdef SectionWalk walk
    cdef SectionView v
    cdef Seen seen
    seen_start(&seen, True)
    memcpy(key + KEY_HEAD_BYTES, address, size)
    for turn in range(2):
        kind = KIND_CLUSTER_IP if turn == 0 else KIND_ENDPOINT_IP
        begin_key(key, conf.source, kind)
        record = find(ctx.store, hash_bytes(ctx.store.seed, key, KEY_HEAD_BYTES + size), key, KEY_HEAD_BYTES + size)
        if record == NULL:
            continue
        references = record_payload(record)
        for i in range(record.payload_len // 8):
            if not may_look(ctx, &seen, LOOKS_A_RECORD):
                return EXISTS
            memcpy(&hash, references + 8 * i, 8)
            service = find(ctx.store, hash, NULL, 0)
            if service == NULL or kind_in(service, conf.source) != KIND_SERVICE:
                continue
            namespace = record_key(service) + KEY_HEAD_BYTES
            namespace += namespace[0] + 1
            if conf.namespace_count and not namespace_exposed(ctx, conf, namespace):
                continue
            if kind == KIND_CLUSTER_IP:
                target = service_name(ctx, service, NULL, 0, NULL, 0, False, conf.primary,
                                      conf.primary_len, &target_len)
                if target != NULL:
                    add_name(ctx, r, TYPE_PTR, target, target_len, conf.ttl_s)
                return EXISTS
            walk_sections(record_payload(service), service.payload_len, &walk)
            while next_section(&walk, &v):
                if not may_look(ctx, &seen, 1):
                    return EXISTS
                if v.address_len != size:
                    continue
                n = first_with_address(&v, address)
                while has_address(&v, n, address):
                    known = True
                    if not may_look(ctx, &seen, 1):
                        return EXISTS
                    length = endpoint_text(&v, n, derived, &text)
                    n += 1
                    target = service_name(ctx, service, text, length, NULL, 0, False, conf.primary,
                                          conf.primary_len, &target_len)
                    if target == NULL:
                        if ctx.reply.tc:
                            return EXISTS
                        continue
                    if not seen_before(ctx, &seen, target, target_len) \
                            and not add_name(ctx, r, TYPE_PTR, target, target_len, conf.ttl_s):
                        return EXISTS
    return EXISTS if known else NAME_ERROR
