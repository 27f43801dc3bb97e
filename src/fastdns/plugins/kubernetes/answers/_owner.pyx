"""Whose an address is, for people: the pod's namespace and name, or a Service that has it as an endpoint."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fastdns.memory._hash cimport hash_bytes
from fastdns.memory._store cimport (
    Record, Store, StoreHeader, enter_epoch, find, leave_epoch, record_key, record_payload,
)
from fastdns.serve._context cimport Context
from fastdns.plugins.kubernetes.answers._pods cimport description_at, namespace_at
from fastdns.plugins.kubernetes.answers._request cimport Conf
from fastdns.plugins.kubernetes.records._layout cimport (
    HASH_BYTES, KEY_HEAD_BYTES, KIND_ENDPOINT_IP, KIND_SERVICE, begin_key, kind_in,
)

cdef enum:
    # The place in the table of readers that no thread has.
    READER = 0
    MAX_TEXT_BYTES = 255

# A label, or another text: its length, then its bytes.
cdef struct Text:
    uint32_t length
    uint8_t data[MAX_TEXT_BYTES]

cdef struct Owner:
    Text namespace
    Text name
    Text service


cdef inline void keep(Text* text, const uint8_t* data, uint32_t length) noexcept nogil:
    text.length = length if length <= MAX_TEXT_BYTES else 0
    memcpy(text.data, data, text.length)


cdef void find_service(StoreHeader* store, uint32_t source, const uint8_t* address, uint32_t size,
                       Owner* owner) noexcept nogil:
    """The first Service with such an endpoint."""
    cdef uint8_t key[KEY_HEAD_BYTES + 16]
    cdef const Record* record
    cdef const uint8_t* label
    cdef uint64_t hash
    begin_key(key, source, KIND_ENDPOINT_IP)
    memcpy(key + KEY_HEAD_BYTES, address, size)
    size += KEY_HEAD_BYTES
    record = find(store, hash_bytes(store.seed, key, size), key, size)
    if record == NULL or record.payload_len < HASH_BYTES:
        return
    memcpy(&hash, record_payload(record), HASH_BYTES)
    record = find(store, hash, NULL, 0)
    if record == NULL or kind_in(record, source) != KIND_SERVICE:
        return
    label = record_key(record) + KEY_HEAD_BYTES
    keep(&owner.service, label + 1, label[0])
    label += label[0] + 1
    keep(&owner.namespace, label + 1, label[0])


cdef void find_owner(StoreHeader* store, uint32_t source, const uint8_t* address, uint32_t size, int name_at,
                     Owner* owner) noexcept nogil:
    cdef Context ctx
    cdef Conf conf
    cdef const uint8_t* text = NULL
    memset(&ctx, 0, sizeof(Context))
    memset(&conf, 0, sizeof(Conf))
    ctx.store = store
    conf.source = source
    text = namespace_at(&ctx, &conf, address, size)
    if text == NULL:
        find_service(store, source, address, size, owner)
        return
    keep(&owner.namespace, text + 1, text[0])
    if name_at >= 0:
        size = description_at(&ctx, &conf, address, size, <uint32_t>name_at, &text)
        if size:
            keep(&owner.name, text, size)


def owner_of(Store store not None, uint32_t source, bytes address not None, name_at):
    """Names of whose address it is: ``namespace`` and ``pod`` or ``service``, as far as they are known.

    name_at: which of the texts that are kept of pods is the name; None: none is. Only the supervisor may call it.
    """
    cdef Owner owner
    cdef int at = -1 if name_at is None else name_at
    if len(address) != 4 and len(address) != 16:
        return {}
    memset(&owner, 0, sizeof(Owner))
    enter_epoch(store.header, READER)
    find_owner(store.header, source, address, <uint32_t>len(address), at, &owner)
    leave_epoch(store.header, READER)
    found = {
        "namespace": text_of(&owner.namespace), "pod": text_of(&owner.name), "service": text_of(&owner.service),
    }
    return {kind: text for kind, text in found.items() if text}


cdef str text_of(const Text* text):
    return (<bytes>text.data[:text.length]).decode("utf-8", "replace")
