"""The shared signatures of a block: see _signatures.pxd."""

import os

from libc.string cimport memcpy

from fastdns.memory._atomics cimport (
    acquire_fence, compare_and_swap, fetch_add, load, load_relaxed, publish_u64, release_fence,
)
from fastdns.memory._mapping cimport map_shared, unmap

# 1 GiB; the operator learns of it before anything is served.
MAX_BYTES = 1 << 30


cdef inline SignatureSlot* slot_at(const SignatureTable* t, const uint64_t* key, uint32_t way) noexcept nogil:
    cdef uint64_t at = ((key[0] >> 32) * t.sets >> 32) * WAYS + way
    return <SignatureSlot*>(<uint8_t*>t + sizeof(SignatureTable) + at * t.slot_bytes)


cdef inline bint has_key(const SignatureSlot* s, const uint64_t* key) noexcept nogil:
    return load_relaxed(&s.key[0]) == key[0] and load_relaxed(&s.key[1]) == key[1]


cdef bint find_signatures(const SignatureTable* t, const uint64_t* key, uint32_t now_s, uint32_t size, uint8_t* out,
                          uint32_t* inception_s, uint32_t* expiration_s) noexcept nogil:
    cdef const SignatureSlot* s
    cdef uint64_t version
    cdef uint32_t way
    for way in range(WAYS):
        s = slot_at(t, key, way)
        version = load(&s.version)
        if version == 0 or version & 1 or not has_key(s, key) or size > t.signature_bytes:
            continue
        inception_s[0] = s.inception_s
        expiration_s[0] = s.expiration_s
        memcpy(out, s + 1, size)
        acquire_fence()
        if load_relaxed(&s.version) == version:
            # The clock may have been set back.
            return inception_s[0] <= now_s and expiration_s[0] > now_s and expiration_s[0] - now_s > RENEW_S
    return False


cdef bint put_signatures(SignatureTable* t, const uint64_t* key, const uint8_t* signatures, uint32_t size,
                         uint32_t inception_s, uint32_t expiration_s) noexcept nogil:
    cdef SignatureSlot* s
    cdef SignatureSlot* best = NULL
    cdef uint64_t version, best_version = 0
    cdef uint32_t way
    if size > t.signature_bytes:
        return False
    for way in range(WAYS):
        s = slot_at(t, key, way)
        version = load(&s.version)
        if version & 1:
            continue
        if version and has_key(s, key):
            best = s
            best_version = version
            break
        # An empty one, else the one that was signed first; in the same second, the one written least often:
        # what was put in just now stays until the query that waits for it has found it.
        if best == NULL or (best_version and (version == 0 or s.expiration_s < best.expiration_s or (
                s.expiration_s == best.expiration_s and version < best_version))):
            best = s
            best_version = version
    if best == NULL or not compare_and_swap(&best.version, best_version, best_version + 1):
        return False
    release_fence()
    best.key[0] = key[0]
    best.key[1] = key[1]
    best.inception_s = inception_s
    best.expiration_s = expiration_s
    memcpy(best + 1, signatures, size)
    publish_u64(&best.version, best_version + 2)
    if best_version == 0:
        fetch_add(&t.entries, 1)
    return True


cdef class Signatures:
    """capacity: RRsets, rounded up to whole sets of eight. signature_bytes: of all keys that sign one RRset.

    Memory is taken as it is used. Raises ValueError for what is out of bounds, OSError where the kernel refuses.
    """

    def __cinit__(self, uint64_t capacity, uint32_t signature_bytes):
        cdef uint64_t sets = (max(capacity, 1) + WAYS - 1) // WAYS
        cdef uint64_t slot_bytes = (sizeof(SignatureSlot) + <uint64_t>signature_bytes + 7) & ~<uint64_t>7
        if capacity > MAX_BYTES or slot_bytes > MAX_BYTES or sets * WAYS * slot_bytes > MAX_BYTES:
            raise ValueError(
                f"{capacity} entries of {slot_bytes} bytes are over {MAX_BYTES}: {MAX_BYTES // slot_bytes} fit")
        self.size_bytes = sizeof(SignatureTable) + sets * WAYS * slot_bytes
        self.table = <SignatureTable*>map_shared(self.size_bytes)
        if self.table == NULL:
            raise OSError("the signatures cannot be mapped")
        self.table.seeds[0], self.table.seeds[1] = (
            int.from_bytes(os.urandom(8), "little") for _ in range(2))
        self.table.sets = <uint32_t>sets
        self.table.signature_bytes = signature_bytes
        self.table.slot_bytes = <uint32_t>slot_bytes

    def __dealloc__(self):
        unmap(self.table, self.size_bytes)

    @property
    def entries(self):
        """RRsets that it holds signatures of, also old ones."""
        return load(&self.table.entries)

    def find(self, bytes key not None, uint32_t size, uint32_t now_s):
        """Signatures of size bytes with inception and expiration, or None. key: 16 bytes."""
        cdef uint64_t words[2]
        cdef uint32_t inception_s = 0, expiration_s = 0
        if len(key) != sizeof(words) or size > self.table.signature_bytes:
            raise ValueError("a key of 16 bytes, and no more than a slot holds, expected")
        memcpy(words, <const uint8_t*>key, sizeof(words))
        out = bytearray(size)
        if not find_signatures(self.table, words, now_s, size, out, &inception_s, &expiration_s):
            return None
        return bytes(out), inception_s, expiration_s

    def put(self, bytes key not None, bytes signatures not None, uint32_t inception_s, uint32_t expiration_s):
        """Whether they are kept."""
        cdef uint64_t words[2]
        if len(key) != sizeof(words):
            raise ValueError("a key of 16 bytes expected")
        memcpy(words, <const uint8_t*>key, sizeof(words))
        return put_signatures(self.table, words, signatures, <uint32_t>len(signatures), inception_s, expiration_s)
