"""Copies the records of a cluster out of the store, while its writer goes on. See _entries.pxd for the bytes."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from fastdns.memory._atomics cimport load
from fastdns.memory._store cimport (
    SLOT_REMOVED, SNAPSHOT_READER, SOURCE_BYTES, UNIT_BYTES, Record, Store, enter_epoch, leave_epoch, record_key,
    record_payload,
)
from fastdns.plugins.kubernetes.records._layout cimport (
    KEY_HEAD_BYTES, KIND_DESCRIBED, KIND_IMPORT, KIND_NAMESPACE, KIND_POD, KIND_SERVICE, kind_in,
)
from fastdns.plugins.kubernetes.snapshot._entries cimport Entry, padded

cdef enum:
    CHUNK_BYTES = 262144


cdef inline bint is_copied(uint8_t kind) noexcept nogil:
    return (kind == KIND_SERVICE or kind == KIND_IMPORT or kind == KIND_NAMESPACE or kind == KIND_POD
            or kind == KIND_DESCRIBED)


cdef class Copy:
    """Goes through a source's records beside the writer, in another thread and without the GIL.

    Each record is as it was at some moment since the copy began; what changes meanwhile may be in it or not. The
    writer never waits: a chunk is taken within one epoch, and the index between chunks is only a position, good for
    as long as the index is not replaced.
    """

    cdef Store store
    cdef int source
    cdef uint64_t index
    cdef uint64_t index_number
    cdef uint64_t position
    cdef uint8_t* buffer
    cdef size_t room
    cdef readonly uint64_t records

    def __init__(self, Store store not None, int source):
        self.store = store
        self.source = source
        self.room = CHUNK_BYTES
        self.buffer = <uint8_t*>malloc(self.room)
        if self.buffer == NULL:
            raise MemoryError
        self.start()

    def __dealloc__(self):
        free(self.buffer)

    def start(self):
        """Begin, or begin again."""
        self.index_number = load(&self.store.header.index_number)
        self.index = load(&self.store.header.index)
        self.position = 0
        self.records = 0

    def chunk(self):
        """The next records, empty at the end; or None where the index was replaced: begin again."""
        cdef size_t size
        cdef size_t wanted = 0
        while True:
            with nogil:
                enter_epoch(self.store.header, SNAPSHOT_READER)
                if load(&self.store.header.index) != self.index \
                        or load(&self.store.header.index_number) != self.index_number:
                    leave_epoch(self.store.header, SNAPSHOT_READER)
                    break
                size = self.fill(&wanted)
                leave_epoch(self.store.header, SNAPSHOT_READER)
            if size or not wanted:
                return PyBytes_FromStringAndSize(<const char*>self.buffer, size)
            # One record larger than a chunk.
            free(self.buffer)
            self.room = wanted
            self.buffer = <uint8_t*>malloc(self.room)
            if self.buffer == NULL:
                raise MemoryError
        return None

    cdef size_t fill(self, size_t* wanted) noexcept nogil:
        """Copy records until the buffer is full. Returns their size; 0 with wanted set where one is too large."""
        cdef const uint8_t* base = <const uint8_t*>self.store.header
        cdef const uint64_t* slots = <const uint64_t*>(base + (self.index >> 8) * UNIT_BYTES)
        cdef uint64_t count = <uint64_t>1 << (self.index & 0xFF)
        cdef uint32_t unit
        cdef const Record* record
        cdef Entry* entry
        cdef uint8_t* out
        cdef uint64_t key_bytes, payload_bytes
        cdef size_t size = 0
        wanted[0] = 0
        while self.position < count:
            unit = <uint32_t>load(&slots[self.position])
            if unit > SLOT_REMOVED:
                record = <const Record*>(base + <uint64_t>unit * UNIT_BYTES)
                if record.key_len > KEY_HEAD_BYTES and is_copied(kind_in(record, self.source)):
                    key_bytes = padded(sizeof(Entry) + record.key_len - SOURCE_BYTES)
                    payload_bytes = padded(record.payload_len)
                    if size + key_bytes + payload_bytes > self.room:
                        if size == 0:
                            wanted[0] = key_bytes + payload_bytes
                        return size
                    out = self.buffer + size
                    memset(out + key_bytes - 8, 0, 8)
                    entry = <Entry*>out
                    entry.key_len = record.key_len - SOURCE_BYTES
                    entry.payload_len = record.payload_len
                    memcpy(out + sizeof(Entry), record_key(record) + SOURCE_BYTES, entry.key_len)
                    if payload_bytes:
                        memset(out + key_bytes + payload_bytes - 8, 0, 8)
                        memcpy(out + key_bytes, record_payload(record), record.payload_len)
                    size += key_bytes + payload_bytes
                    self.records += 1
            self.position += 1
        return size
