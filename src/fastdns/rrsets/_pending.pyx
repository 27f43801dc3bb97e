"""What a change of a zone leaves for later: see _pending.pxd."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc

from fastdns.memory._atomics cimport store_relaxed_u32
from fastdns.memory._clock cimport monotonic_ns
from fastdns.memory._store cimport Record, Sweep, Writer, record_key, record_payload
from fastdns.rrsets._layout cimport (
    ABORTED, KIND_MEMO, KIND_NAME, KIND_ZONE, NAME_KEY_BYTES, OLD_GONE, SETTLED, ZONE_KEY_BYTES, Body, kind_in,
    u32_at, visible,
)
from fastdns.errors import StoreFull


cdef int push(Hashes* row, uint64_t hash) except -1:
    cdef uint64_t* grown
    cdef size_t room
    if row.count == row.room:
        room = row.room * 2 if row.room else 64
        grown = <uint64_t*>realloc(row.at, room * 8)
        if grown == NULL:
            raise MemoryError
        row.at = grown
        row.room = room
    row.at[row.count] = hash
    row.count += 1
    return 0


cdef struct Gone:
    uint32_t source
    const uint32_t* ids
    uint32_t count


cdef bint is_of_gone_zone(const Record* record, void* data) noexcept nogil:
    cdef const Gone* gone = <const Gone*>data
    cdef uint32_t zone_id, i
    if record.key_len < NAME_KEY_BYTES or kind_in(record, gone.source) in (0, KIND_ZONE, KIND_MEMO):
        return False
    zone_id = u32_at(record_key(record) + ZONE_KEY_BYTES)
    for i in range(gone.count):
        if gone.ids[i] == zone_id:
            return True
    return False


cdef bint drop_zones(Writer writer, uint32_t source, const uint32_t* ids, uint32_t count, Sweep* sweep,
                     uint64_t until) except -1:
    cdef Gone gone
    gone.source = source
    gone.ids = ids
    gone.count = count
    return writer.drop_some(is_of_gone_zone, &gone, sweep, until)


cdef bint settle_name(Writer writer, const Record* record, uint32_t noted) except -1:
    """Remove what a name had before. Returns False where there is no space for what is left."""
    cdef uint8_t* payload = <uint8_t*>record_payload(record)
    cdef uint32_t since, old_at
    cdef Body kept
    cdef bytes key, now
    if record.payload_len < 8:
        return True
    since = u32_at(payload)
    if since == SETTLED or since == OLD_GONE or since != noted:
        # Nothing is left, or it is a later change's.
        return True
    old_at = u32_at(payload + 4)
    if since != ABORTED and old_at == 0:
        store_relaxed_u32(<uint32_t*>payload, OLD_GONE)
        return True
    visible(payload, record.payload_len, since, since, &kept)
    if kept.size == 0:
        writer.drop(record_key(record), record.key_len)
        return True
    key = record_key(record)[:record.key_len]
    now = b"\0\0\0\0" + kept.at[:kept.size]
    try:
        writer.put_smaller(key, <uint32_t>len(key), now, <uint32_t>len(now))
    except StoreFull:
        return False
    return True


cdef class Pending:
    def __cinit__(self):
        self.zones = set()

    def __dealloc__(self):
        free(self.names.at)
        free(self.gone.at)

    cdef bint finish(self, Writer writer, uint32_t source, uint64_t until) except -1:
        cdef const Record* record
        cdef uint64_t hash, since
        cdef bytes ids
        if self.zones:
            ids = b"".join([(<uint32_t>one).to_bytes(4, "little") for one in self.zones])
            if not drop_zones(writer, source, <const uint32_t*><const uint8_t*>ids, <uint32_t>len(self.zones),
                              &self.sweep, until):
                return False
            self.zones = set()
        while self.gone.count:
            self.gone.count -= 1
            record = of_hash(writer.h, source, self.gone.at[self.gone.count])
            if record != NULL:
                writer.drop(record_key(record), record.key_len)
            if self.gone.count % LOOK_EVERY == 0 and monotonic_ns() >= until:
                return False
        while self.looked_at < self.names.count:
            hash = self.names.at[self.looked_at]
            since = self.names.at[self.looked_at + 1]
            self.looked_at += 2
            record = of_hash(writer.h, source, hash)
            if record != NULL and kind_in(record, source) == KIND_NAME \
                    and not settle_name(writer, record, <uint32_t>since):
                self.names.at[self.left] = hash
                self.names.at[self.left + 1] = since
                self.left += 2
            if self.looked_at % (2 * LOOK_EVERY) == 0 and monotonic_ns() >= until:
                return False
        # What there was no space for is tried again.
        self.names.count = self.left
        self.looked_at = 0
        self.left = 0
        return self.names.count == 0
