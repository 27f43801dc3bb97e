"""Pods: names that spell an address, ``10-1-2-3.NS.pod`` (Kubernetes DNS specification 1.1.0, section 2.3)."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy

from fastdns.memory._hash cimport hash_bytes
from fastdns.serve._context cimport Context
from fastdns.memory._store cimport Record, find, record_payload
from fastdns._wire cimport TYPE_A, TYPE_AAAA, TYPE_SRV, scratch
from fastdns.plugins.kubernetes.records._layout cimport (
    HASH_BYTES, KEY_HEAD_BYTES, KIND_DESCRIBED, KIND_POD, begin_key, reference_bytes,
)
from fastdns.plugins.kubernetes.answers._request cimport (
    EXISTS, NAME_ERROR, PODS_DISABLED, PODS_VERIFIED, Conf, Found, Request, add_address, add_srv, label_of,
    spelled_zone,
)

cdef extern from "arpa/inet.h" nogil:
    const char* inet_ntop(int family, const void* src, char* dst, unsigned int size)
    int inet_pton(int family, const char* src, void* dst)
    enum:
        AF_INET
        AF_INET6


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


cdef const Record* pods_of(const Context* ctx, const Conf* conf, const uint8_t* address,
                           uint32_t size) noexcept nogil:
    """The record of the pods that have an address; NULL: there are none."""
    cdef uint8_t key[KEY_HEAD_BYTES + 16]
    begin_key(key, conf.source, KIND_POD)
    memcpy(key + KEY_HEAD_BYTES, address, size)
    size += KEY_HEAD_BYTES
    return find(ctx.store, hash_bytes(ctx.store.seed, key, size), key, size)


cdef bint is_in(const Context* ctx, const Conf* conf, const uint8_t* address, uint32_t size,
                const uint8_t* namespace) noexcept nogil:
    """Whether a pod of the namespace has the address. namespace: a label, lowercased."""
    cdef const Record* record = pods_of(ctx, conf, address, size)
    cdef const uint8_t* references
    cdef uint32_t at = 0, one
    if record == NULL:
        return False
    references = record_payload(record)
    while True:
        one = reference_bytes(KIND_POD, references + at, record.payload_len - at)
        if one == 0:
            return False
        if references[at] == namespace[0] and memcmp(references + at, namespace, namespace[0] + 1) == 0:
            return True
        at += one


cdef const uint8_t* namespace_at(const Context* ctx, const Conf* conf, const uint8_t* address,
                                 uint32_t size) noexcept nogil:
    cdef const Record* record = pods_of(ctx, conf, address, size)
    cdef const uint8_t* references
    cdef uint32_t at = 0, one
    if record == NULL:
        return NULL
    references = record_payload(record)
    while at < record.payload_len:
        one = reference_bytes(KIND_POD, references + at, record.payload_len - at)
        if one == 0 or references[at] != references[0] \
                or memcmp(references + at, references, references[0] + 1) != 0:
            return NULL
        at += one
    return references if at else NULL


cdef uint32_t description_at(const Context* ctx, const Conf* conf, const uint8_t* address, uint32_t size,
                             uint32_t number, const uint8_t** text) noexcept nogil:
    cdef uint8_t key[KEY_HEAD_BYTES + 256 + HASH_BYTES]
    cdef const Record* record = pods_of(ctx, conf, address, size)
    cdef const uint8_t* payload
    cdef uint32_t at = 0
    if record == NULL:
        return 0
    size = reference_bytes(KIND_POD, record_payload(record), record.payload_len)
    if size == 0 or size != record.payload_len:
        return 0
    begin_key(key, conf.source, KIND_DESCRIBED)
    memcpy(key + KEY_HEAD_BYTES, record_payload(record), size)
    size += KEY_HEAD_BYTES
    record = find(ctx.store, hash_bytes(ctx.store.seed, key, size), key, size)
    if record == NULL:
        return 0
    payload = record_payload(record)
    while at < record.payload_len and payload[at] < record.payload_len - at:
        if number == 0:
            text[0] = payload + at + 1
            return payload[at]
        number -= 1
        at += payload[at] + 1
    return 0


cdef Found answer_pod(Context* ctx, const Conf* conf, Request* r, uint16_t qtype) noexcept nogil:
    """A name of at least three labels that ends in pod; up to two labels left of the address are ignored."""
    cdef const uint8_t* label
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
        if not is_in(ctx, conf, address, size, label_of(r, r.labels - 2)):
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
