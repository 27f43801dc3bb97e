"""Changing the order of the names of a zone: see _chunks.pxd.

Only the chunks in which names come or go are made anew, under new numbers, so that readers of the directory that is
served find all of theirs.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memset

from fastdns.memory._clock cimport monotonic_ns
from fastdns.memory._hash cimport hash_bytes
from fastdns.memory._store cimport Record, Writer, record_payload
from fastdns.rrsets._draft cimport Arena, clear, extend, take
from fastdns.rrsets._layout cimport (
    CHUNK_BYTES, FEW_CHUNK_BYTES, KIND_CHUNK, KIND_DIRECTORY, MAX_CHUNK_BYTES, NUMBER_KEY_BYTES, RESTART_EVERY,
    number_key,
)
from fastdns.rrsets._order cimport (
    chunk_number, compare_keys, first_key, next_entry, open_chunk as read_chunk, open_directory,
)
from fastdns.rrsets._pending cimport LOOK_EVERY, numbered_hash, of_hash, push


cdef class OrderCopy:
    def __cinit__(self, Writer writer not None, uint32_t source, uint32_t zone_id):
        self.writer = writer
        self.source = source
        self.zone_id = zone_id
        self.directory.count = 0
        self.chunk.left = 0

    cdef bint open(self, uint32_t number) except -1:
        """Go before the first name."""
        cdef const Record* record = of_hash(self.writer.h, self.source, numbered_hash(
            self.writer.h, self.source, KIND_DIRECTORY, self.zone_id, number))
        self.next_chunk = 0
        self.chunk.left = 0
        self.directory.count = 0
        if record == NULL:
            return False
        self.directory_bytes = record_payload(record)[:record.payload_len]
        return open_directory(self.directory_bytes, len(self.directory_bytes), &self.directory)

    cdef bint open_chunk(self, uint32_t i) except -1:
        """Go before the first name of a chunk."""
        cdef const Record* record = of_hash(self.writer.h, self.source, numbered_hash(
            self.writer.h, self.source, KIND_CHUNK, self.zone_id, chunk_number(&self.directory, i)))
        self.next_chunk = i + 1
        self.chunk.left = 0
        if record == NULL:
            return False
        self.chunk_bytes = record_payload(record)[:record.payload_len]
        return read_chunk(self.chunk_bytes, len(self.chunk_bytes), &self.chunk)

    cdef bint next(self) except -1:
        """The next name: chunk.key is its order key."""
        while not next_entry(&self.chunk):
            if self.next_chunk >= self.directory.count:
                return False
            self.open_chunk(self.next_chunk)
        return True


cdef class OrderChange:
    def __cinit__(self, Writer writer not None, uint32_t source, uint32_t zone_id, uint32_t next_number):
        self.writer = writer
        self.source = source
        self.zone_id = zone_id
        self.next_number = next_number
        memset(&self.arena, 0, sizeof(Arena))

    def __dealloc__(self):
        free(self.made.at)
        free(self.gone.at)
        free(self.edits)
        clear(&self.arena)

    cdef int note(self, const uint8_t* key, uint32_t size, bint gone) except -1:
        """Note a name that the order gains or loses. They come in order."""
        cdef OrderEdit* grown
        cdef size_t room
        if self.edit_count == self.edit_room:
            room = self.edit_room * 2 if self.edit_room else 64
            grown = <OrderEdit*>realloc(self.edits, room * sizeof(OrderEdit))
            if grown == NULL:
                raise MemoryError
            self.edits = grown
            self.edit_room = room
        self.edits[self.edit_count].key = key
        self.edits[self.edit_count].size = <uint16_t>size
        self.edits[self.edit_count].gone = gone
        self.edit_count += 1
        return 0

    cdef uint32_t put_numbered(self, uint8_t kind, const uint8_t* payload, uint32_t size) except 0:
        """Publish a chunk or a directory under a new number, which is returned."""
        cdef uint8_t key[NUMBER_KEY_BYTES]
        cdef uint32_t number = self.next_number
        self.next_number = number + 1 if number != 0xFFFFFFFF else 1
        number_key(key, self.source, kind, self.zone_id, number)
        push(&self.made, hash_bytes(self.writer.h.seed, key, NUMBER_KEY_BYTES))
        self.writer.put(key, NUMBER_KEY_BYTES, payload, size)
        return number

    cdef bint publish(self, uint32_t was, uint64_t until) except -1:
        cdef OrderEdit* edits = self.edits
        cdef OrderCopy old = self.old
        cdef Chunks chunks = self.chunks
        cdef uint32_t behind_size = 0, size, steps = 0
        cdef const uint8_t* behind
        cdef const uint8_t* first
        cdef int order
        if not self.edit_count:
            self.directory = was
            return True
        if chunks is None:
            old = self.old = OrderCopy(self.writer, self.source, self.zone_id)
            chunks = self.chunks = Chunks(self)
            if was:
                old.open(was)
        while self.next_chunk < old.directory.count or self.next_edit < self.edit_count:
            # Each call goes on, if only by a chunk or a few names.
            if steps and monotonic_ns() >= until:
                return False
            steps += 1
            behind = NULL
            if self.next_chunk < old.directory.count:
                if self.next_chunk + 1 < old.directory.count:
                    behind = first_key(&old.directory, self.next_chunk + 1, &behind_size)
                if not chunks.count and (self.next_edit == self.edit_count or (behind != NULL and compare_keys(
                        edits[self.next_edit].key, edits[self.next_edit].size, behind, behind_size) >= 0)):
                    first = first_key(&old.directory, self.next_chunk, &size)
                    chunks.keep(first, size, chunk_number(&old.directory, self.next_chunk))
                    self.next_chunk += 1
                    continue
                # Nothing leads to it any more, once the new directory is there.
                push(&self.gone, numbered_hash(self.writer.h, self.source, KIND_CHUNK, self.zone_id,
                                               chunk_number(&old.directory, self.next_chunk)))
                old.open_chunk(self.next_chunk)
                self.next_chunk += 1
                while next_entry(&old.chunk):
                    order = 1
                    while self.next_edit < self.edit_count:
                        order = compare_keys(edits[self.next_edit].key, edits[self.next_edit].size,
                                             old.chunk.key.bytes, old.chunk.key.size)
                        if order >= 0:
                            break
                        self.add_edit()
                    if self.next_edit < self.edit_count and order == 0:
                        # A name that goes, or one that was there already.
                        self.add_edit()
                        continue
                    chunks.add_copy(old.chunk.key.bytes, old.chunk.key.size)
            # Out of time, the rest of them is merged with the next chunk.
            while self.next_edit < self.edit_count and (behind == NULL or compare_keys(
                    edits[self.next_edit].key, edits[self.next_edit].size, behind, behind_size) < 0):
                self.add_edit()
                if self.next_edit % LOOK_EVERY == 0 and monotonic_ns() >= until:
                    return False
            if chunks.bytes >= FEW_CHUNK_BYTES or self.next_chunk >= old.directory.count:
                chunks.flush()
        if was:
            push(&self.gone, numbered_hash(self.writer.h, self.source, KIND_DIRECTORY, self.zone_id, was))
        self.directory = chunks.finish()
        # It leads back to this one.
        self.chunks = None
        return True

    cdef int add_edit(self) except -1:
        """The name of the next edit comes next, unless it goes."""
        if not self.edits[self.next_edit].gone:
            self.chunks.add(self.edits[self.next_edit].key, self.edits[self.next_edit].size)
        self.next_edit += 1
        return 0


cdef class Chunks:
    def __cinit__(self, OrderChange change not None):
        self.change = change

    def __dealloc__(self):
        free(self.keys)
        free(self.numbers.at)
        free(self.places.at)
        free(self.firsts.at)
        free(self.chunk.at)

    cdef int keep(self, const uint8_t* first, uint32_t size, uint32_t number) except -1:
        """A chunk as it is is the next one."""
        cdef uint32_t place = <uint32_t>self.firsts.size
        memcpy(extend(&self.numbers, 4), &number, 4)
        memcpy(extend(&self.places, 4), &place, 4)
        memcpy(extend(&self.firsts, size), first, size)
        return 0

    cdef int add(self, const uint8_t* key, uint32_t size) except -1:
        """This key is the next one. Its bytes stay until flush."""
        cdef OrderEdit* grown
        cdef OrderEdit* last
        cdef size_t room
        cdef uint32_t shared = 0
        if self.count == self.room:
            room = self.room * 2 if self.room else 256
            grown = <OrderEdit*>realloc(self.keys, room * sizeof(OrderEdit))
            if grown == NULL:
                raise MemoryError
            self.keys = grown
            self.room = room
        if self.count:
            last = &self.keys[self.count - 1]
            while shared < size and shared < last.size and last.key[shared] == key[shared]:
                shared += 1
        self.keys[self.count].key = key
        self.keys[self.count].size = <uint16_t>size
        self.count += 1
        self.bytes += 2 + size - shared
        if self.bytes >= 32 * CHUNK_BYTES:
            self.flush()
        return 0

    cdef int add_copy(self, const uint8_t* key, uint32_t size) except -1:
        cdef uint8_t* copy = <uint8_t*>take(&self.change.arena, size + 1)
        memcpy(copy, key, size)
        return self.add(copy, size)

    cdef int flush(self) except -1:
        """Publish what was added, in chunks of about equal size."""
        cdef size_t pieces = 1, i = 0, begins, restarts, most, taken
        cdef uint32_t shared, size
        cdef uint16_t word
        cdef uint8_t* out
        if self.count == 0:
            return 0
        if self.bytes > MAX_CHUNK_BYTES:
            pieces = (self.bytes + CHUNK_BYTES - 1) // CHUNK_BYTES
        most = (self.bytes + pieces - 1) // pieces
        while i < self.count:
            # How many of them, by what they take.
            begins = i
            taken = 0
            while i < self.count and (taken < most or pieces == 1):
                shared = shared_bytes(&self.keys[i - 1], &self.keys[i]) if i > begins else 0
                taken += 2 + self.keys[i].size - shared
                i += 1
            restarts = (i - begins + RESTART_EVERY - 1) // RESTART_EVERY
            self.chunk.size = 0
            out = extend(&self.chunk, 4 + 2 * restarts)
            word = <uint16_t>(i - begins)
            memcpy(out, &word, 2)
            word = <uint16_t>restarts
            memcpy(out + 2, &word, 2)
            for taken in range(begins, i):
                if (taken - begins) % RESTART_EVERY:
                    shared = shared_bytes(&self.keys[taken - 1], &self.keys[taken])
                else:
                    shared = 0
                    word = <uint16_t>self.chunk.size
                    memcpy(self.chunk.at + 4 + 2 * ((taken - begins) // RESTART_EVERY), &word, 2)
                size = self.keys[taken].size - shared
                out = extend(&self.chunk, 2 + size + (2 if size >= 255 else 0))
                out[0] = <uint8_t>shared
                out[1] = <uint8_t>min(size, 255)
                out += 2
                if size >= 255:
                    word = <uint16_t>size
                    memcpy(out, &word, 2)
                    out += 2
                memcpy(out, self.keys[taken].key + shared, size)
            self.keep(self.keys[begins].key, self.keys[begins].size, self.change.put_numbered(
                KIND_CHUNK, self.chunk.at, <uint32_t>self.chunk.size))
        self.count = 0
        self.bytes = 0
        return 0

    cdef uint32_t finish(self) except? 0:
        """Publish the directory. Returns its number, 0 where the zone has no names."""
        cdef uint32_t count = <uint32_t>(self.numbers.size // 4)
        cdef uint32_t ends = <uint32_t>self.firsts.size
        self.flush()
        count = <uint32_t>(self.numbers.size // 4)
        ends = <uint32_t>self.firsts.size
        if count == 0:
            return 0
        self.chunk.size = 0
        memcpy(extend(&self.chunk, 4), &count, 4)
        memcpy(extend(&self.chunk, self.numbers.size), self.numbers.at, self.numbers.size)
        memcpy(extend(&self.chunk, self.places.size), self.places.at, self.places.size)
        memcpy(extend(&self.chunk, 4), &ends, 4)
        if ends:
            memcpy(extend(&self.chunk, ends), self.firsts.at, ends)
        return self.change.put_numbered(KIND_DIRECTORY, self.chunk.at, <uint32_t>self.chunk.size)


cdef inline uint32_t shared_bytes(const OrderEdit* a, const OrderEdit* b) noexcept nogil:
    cdef uint32_t shared = 0, most = min(<uint32_t>min(a.size, b.size), <uint32_t>255)
    while shared < most and a.key[shared] == b.key[shared]:
        shared += 1
    return shared
