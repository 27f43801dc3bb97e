"""The RRs of a zone before they are published: see _draft.pxd."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, qsort, realloc
from libc.string cimport memcmp, memcpy, memset

from fastdns._wire cimport MAX_TTL_S, TYPE_CNAME, TYPE_DNAME, TYPE_MX, TYPE_NS, TYPE_PTR, TYPE_SOA, TYPE_SRV
from fastdns.dns._cursor cimport lower
from fastdns.memory._hash cimport hash_bytes
from fastdns.rrsets._layout cimport MAX_BODY_BYTES, MAX_SET_BYTES, MAX_SET_RRS, SetHead, name_bytes, u16_at, u32_at
from fastdns.rrsets._order cimport Key, compare_keys, key_of_name

# Why something is left out, in the order of the enum.
REASONS = (
    "its owner is no domain name",
    "it is not in the zone",
    "its rdata is too long",
    "its rdata has not the form of its type",
    "its RRset is too large for a message",
    "its name has over 1 MiB of RRs",
)

# One RR of add_rows.
cdef packed struct Row:
    uint8_t owner_len
    uint16_t rrtype
    uint32_t ttl_s
    uint16_t rdata_len

cdef enum:
    BLOCK_BYTES = 1048576
    RDATA_HEAD_BYTES = 8
    # Up to here the RRs of a set are compared one by one.
    FEW_RRS = 24
    SEEN_SLOTS = 16384          # power of two, over three times the most RRs of a set
    MAX_RRS = 0x7FFFFFFF
    EXAMPLES = 10


# ----------------------------------------------------------------------------------------------- memory


cdef void* take(Arena* arena, size_t size) except NULL nogil:
    cdef uint8_t** grown
    cdef uint8_t* block
    cdef size_t room
    size = (size + 3) & ~<size_t>3
    if size > arena.left:
        if arena.count == arena.room:
            room = arena.room * 2 + 16
            grown = <uint8_t**>realloc(arena.blocks, room * sizeof(uint8_t*))
            if grown == NULL:
                with gil:
                    raise MemoryError
            arena.blocks = grown
            arena.room = room
        room = max(size, <size_t>BLOCK_BYTES)
        block = <uint8_t*>malloc(room)
        if block == NULL:
            with gil:
                raise MemoryError
        arena.blocks[arena.count] = block
        arena.count += 1
        arena.next = block
        arena.left = room
    arena.next += size
    arena.left -= size
    return arena.next - size


cdef void clear(Arena* arena) noexcept:
    cdef size_t i
    for i in range(arena.count):
        free(arena.blocks[i])
    free(arena.blocks)
    memset(arena, 0, sizeof(Arena))


cdef uint8_t* extend(Buffer* buffer, size_t size) except NULL:
    """Room for so many bytes more, which count as used."""
    cdef uint8_t* grown
    cdef size_t room
    if buffer.size + size > buffer.room or buffer.at == NULL:
        room = max(buffer.room * 2, buffer.size + size + 256)
        grown = <uint8_t*>realloc(buffer.at, room)
        if grown == NULL:
            raise MemoryError
        buffer.at = grown
        buffer.room = room
    buffer.size += size
    return buffer.at + buffer.size - size


# ----------------------------------------------------------------------------------------------- rdata


cdef bint is_of_type(uint16_t rrtype, const uint8_t* rdata, uint32_t size) noexcept nogil:
    """Whether rdata has the form of its type, where names in it are to be found again."""
    cdef uint32_t before = 0, name
    if rrtype == 1:
        return size == 4
    if rrtype == 28:
        return size == 16
    if rrtype == TYPE_MX:
        before = 2
    elif rrtype == TYPE_SRV:
        before = 6
    elif rrtype == TYPE_SOA:
        name = name_bytes(rdata, size)
        return name != 0 and name + name_bytes(rdata + name, size - name) + 20 == size \
            and name_bytes(rdata + name, size - name) != 0
    elif rrtype != TYPE_NS and rrtype != TYPE_CNAME and rrtype != TYPE_PTR and rrtype != TYPE_DNAME:
        return True
    return size > before and name_bytes(rdata + before, size - before) == size - before


cdef int by_name(const void* a, const void* b) noexcept nogil:
    cdef const DraftRR* x = <const DraftRR*>a
    cdef const DraftRR* y = <const DraftRR*>b
    cdef int order
    if x.prefix != y.prefix:
        return 1 if x.prefix > y.prefix else -1
    if x.name != y.name:
        order = compare_keys(key_bytes(x), key_size(x), key_bytes(y), key_size(y))
        if order:
            return order
    return 1 if x.number > y.number else -1


def layer_name(bytes zone not None, uint8_t layer):
    """What the store and a ZoneWriter call the zone with this name (in wire form, lowercased) and layer."""
    return zone + bytes([layer]) if layer else zone


cdef class Draft:
    """The RRs of a zone, for ZoneWriter.replace. zone: its name in wire form. layer: from 1 on, of
    a further zone with the name of one that its source has; see _layout.pxd.

    left_out: what could not be kept, by reason; examples: the first ten. That is: an owner that is no name, or not
    in the zone; rdata that has not the form of its type, or is longer than 65,000 bytes; RRs beyond 4,096, or
    65,000 bytes, of an RRset, or beyond 1 MiB of a name. The rest of the RRset is kept. An RR that is there twice
    is kept once. The TTL of an RRset is the lowest of its RRs'; one over 2^31 - 1 is 0 (RFC 2181 sections 5.2 and
    8).
    """

    def __cinit__(self, bytes zone not None, uint8_t layer=0):
        cdef Key key
        cdef const uint8_t* name = zone
        if name_bytes(name, len(zone)) != len(zone) or not key_of_name(name, len(zone) - 1, &key):
            raise ValueError(f"{zone!r} is no domain name in wire form")
        self.zone = bytes([lower(byte) for byte in zone])
        self.stored_as = layer_name(self.zone, layer)
        self.zone_bytes = self.zone
        self.zone_len = <uint32_t>len(self.zone)
        self.left_out = {}
        self.examples = []
        memset(&self.arena, 0, sizeof(Arena))

    def __dealloc__(self):
        clear(&self.arena)
        free(self.rrs)
        free(self.seen)

    def __len__(self):
        return self.count

    def add(self, bytes owner not None, uint16_t rrtype, uint32_t ttl_s, bytes rdata not None):
        """Add an RR of class IN. Returns whether it is kept.

        owner, rdata: in wire form, without compression.
        """
        return self.put(owner, len(owner), rrtype, ttl_s, rdata, len(rdata))

    def add_rows(self, const uint8_t[::1] rows not None):
        """Add RRs that stand in a row, as another process or thread has written them. Returns how many are kept.

        Of each: length of the owner (u8), type (u16), TTL in seconds (u32), length of the rdata (u16), as struct
        packs "=BHIH"; then owner and rdata as in add. Runs without the GIL, in a thread if that is wished; one
        thread at a time has the draft. Raises ValueError where a row is cut off.
        """
        cdef size_t left = rows.shape[0]
        cdef const uint8_t* at = &rows[0] if left else NULL
        cdef uint32_t kept = 0
        cdef Row row
        with nogil:
            while left:
                if left >= sizeof(Row):
                    memcpy(&row, at, sizeof(Row))
                if left < sizeof(Row) or left - sizeof(Row) < <size_t>row.owner_len + row.rdata_len:
                    with gil:
                        raise ValueError("the last row is cut off")
                at += sizeof(Row)
                kept += self.put(at, row.owner_len, row.rrtype, row.ttl_s, at + row.owner_len, row.rdata_len)
                at += <size_t>row.owner_len + row.rdata_len
                left -= sizeof(Row) + <size_t>row.owner_len + row.rdata_len
        return kept

    def add_gone(self, bytes owner not None):
        """Say of a name that it has no RRs any more, where a draft is of some names only. Raises ValueError."""
        cdef int size = self.relative_size(owner, len(owner))
        cdef bytes name = owner.lower()
        if size < 0:
            raise ValueError(f"{owner!r} is no name of the zone")
        self.put_gone(name, size)

    def prepare(self):
        """Put the RRs in order, without the GIL: in a thread, before the event loop publishes a large zone."""
        with nogil:
            self.sort()

    cdef bint put(self, const uint8_t* owner, uint32_t owner_len, uint16_t rrtype, uint32_t ttl_s,
                  const uint8_t* rdata, uint32_t rdata_len) except -1 nogil:
        cdef uint8_t lowered[256]
        cdef uint8_t* entry
        cdef uint32_t i
        cdef int before
        cdef uint16_t size = <uint16_t>rdata_len
        if self.last_name == NULL or owner_len != self.last_owner_len \
                or memcmp(owner, self.last_owner, owner_len) != 0:
            if owner_len > 255 or name_bytes(owner, owner_len) != owner_len:
                return self.leave_out(owner, owner_len, rrtype, NO_NAME)
            before = self.relative_size(owner, owner_len)
            if before < 0:
                return self.leave_out(owner, owner_len, rrtype, NOT_IN_ZONE)
            for i in range(before):
                lowered[i] = lower(owner[i])
            self.last_name = self.name_entry(lowered, before)
            memcpy(self.last_owner, owner, owner_len)
            self.last_owner_len = owner_len
        if rdata_len > MAX_SET_BYTES - 2:
            return self.leave_out(owner, owner_len, rrtype, LONG_RDATA)
        if not is_of_type(rrtype, rdata, rdata_len):
            return self.leave_out(owner, owner_len, rrtype, MALFORMED_RDATA)
        if ttl_s > MAX_TTL_S:
            ttl_s = 0
        entry = <uint8_t*>take(&self.arena, RDATA_HEAD_BYTES + rdata_len)
        memcpy(entry, &ttl_s, 4)
        memcpy(entry + 4, &rrtype, 2)
        memcpy(entry + 6, &size, 2)
        memcpy(entry + RDATA_HEAD_BYTES, rdata, rdata_len)
        self.append(self.last_name, entry)
        return True

    cdef int relative_size(self, const uint8_t* owner, uint32_t owner_len) noexcept nogil:
        cdef const uint8_t* zone = self.zone_bytes
        cdef uint32_t zone_len = self.zone_len, at = 0, i
        if name_bytes(owner, owner_len) != owner_len or owner_len > 255:
            return -1
        while owner_len > zone_len + at:
            at += owner[at] + 1
        if owner_len != zone_len + at:
            return -1
        for i in range(zone_len):
            if lower(owner[at + i]) != zone[i]:
                return -1
        return <int>at

    cdef int put_gone(self, const uint8_t* name, uint32_t size) except -1:
        self.last_name = NULL
        return self.append(self.name_entry(name, size), NULL)

    cdef int leave_out(self, const uint8_t* owner, uint32_t owner_len, uint16_t rrtype,
                       int why) except -1 nogil:
        with gil:
            reason = REASONS[why]
            self.left_out[reason] = self.left_out.get(reason, 0) + 1
            if len(self.examples) < EXAMPLES:
                self.examples.append((owner[:owner_len], rrtype, reason))
        return 0

    cdef const uint8_t* name_entry(self, const uint8_t* name, uint32_t size) except? NULL nogil:
        cdef Key key
        cdef uint8_t* entry
        if not key_of_name(name, size, &key):
            with gil:
                raise ValueError("no relative name in wire form")
        entry = <uint8_t*>take(&self.arena, 3 + key.size + size)
        entry[0] = <uint8_t>(key.size >> 8)
        entry[1] = <uint8_t>key.size
        entry[2] = <uint8_t>size
        memcpy(entry + 3, key.bytes, key.size)
        memcpy(entry + 3 + key.size, name, size)
        return entry

    cdef int append(self, const uint8_t* name, const uint8_t* rdata) except -1 nogil:
        cdef DraftRR* grown
        cdef DraftRR* rr
        cdef uint32_t room, i
        if self.count == self.room:
            if self.count >= MAX_RRS // 2:
                with gil:
                    raise MemoryError("too many RRs")
            room = self.room * 2 if self.room else 64
            grown = <DraftRR*>realloc(self.rrs, room * sizeof(DraftRR))
            if grown == NULL:
                with gil:
                    raise MemoryError
            self.rrs = grown
            self.room = room
        rr = &self.rrs[self.count]
        rr.name = name
        rr.rdata = rdata
        rr.number = self.count
        rr.omitted = 0
        rr.prefix = 0
        for i in range(min(8, key_size(rr))):
            rr.prefix |= <uint64_t>key_bytes(rr)[i] << (56 - 8 * i)
        self.count += 1
        self.sorted = False
        return 0

    cdef int sort(self) except -1 nogil:
        """By name; the RRs of a name as they were added."""
        if not self.sorted and self.count:
            qsort(self.rrs, self.count, sizeof(DraftRR), by_name)
        self.sorted = True
        return 0

    cdef uint32_t pack(self, uint32_t i, Buffer* body) except 0:
        cdef const DraftRR* first = &self.rrs[i]
        cdef const uint8_t* rdata
        cdef const uint8_t* owner
        cdef SetHead* head
        cdef uint8_t* out
        cdef uint32_t places[MAX_SET_RRS]
        cdef uint32_t ends = i + 1, at, count, ttl_s, size, begins
        cdef int32_t rrtype = -1, after
        body.size = 0
        while ends < self.count and self.rrs[ends].prefix == first.prefix and (
                self.rrs[ends].name == first.name or (
                    key_size(&self.rrs[ends]) == key_size(first)
                    and memcmp(key_bytes(&self.rrs[ends]), key_bytes(first), key_size(first)) == 0)):
            ends += 1
        while True:
            # The next type.
            after = 65536
            for at in range(i, ends):
                rdata = self.rrs[at].rdata
                if rdata != NULL and not self.rrs[at].omitted and rrtype < u16_at(rdata + 4) < after:
                    after = u16_at(rdata + 4)
            if after == 65536:
                break
            rrtype = after
            begins = <uint32_t>body.size
            extend(body, sizeof(SetHead))
            count = 0
            size = 0
            ttl_s = MAX_TTL_S
            for at in range(i, ends):
                rdata = self.rrs[at].rdata
                if rdata == NULL or self.rrs[at].omitted or u16_at(rdata + 4) != rrtype:
                    continue
                if self.is_repeated(body.at + begins + sizeof(SetHead), places, count, rdata + RDATA_HEAD_BYTES,
                                    u16_at(rdata + 6)):
                    continue
                owner = relative_name(first)
                if count == MAX_SET_RRS or size + 2 + u16_at(rdata + 6) > MAX_SET_BYTES:
                    self.leave_out(owner, name_size(first), <uint16_t>rrtype,
                                   LARGE_SET)
                    continue
                if body.size + 2 + u16_at(rdata + 6) > MAX_BODY_BYTES:
                    self.leave_out(owner, name_size(first), <uint16_t>rrtype, LARGE_NAME)
                    continue
                places[count] = size
                if self.seen != NULL and count >= FEW_RRS:
                    self.seen[self.free_slot] = <uint16_t>(count + 1)
                out = extend(body, 2 + <size_t>u16_at(rdata + 6))
                memcpy(out, rdata + 6, 2)
                memcpy(out + 2, rdata + RDATA_HEAD_BYTES, u16_at(rdata + 6))
                ttl_s = min(ttl_s, u32_at(rdata))
                count += 1
                size += 2 + u16_at(rdata + 6)
            if count == 0:
                body.size = begins
                continue
            head = <SetHead*>(body.at + begins)
            head.rrtype = <uint16_t>rrtype
            head.count = <uint16_t>count
            head.size = <uint16_t>size
            head.ttl_s = ttl_s
        return ends

    cdef bint is_repeated(self, const uint8_t* rrs, uint32_t* places, uint32_t count, const uint8_t* rdata,
                          uint16_t size) noexcept:
        """Whether an RR is among those that were packed. Else free_slot is where it may be noted."""
        cdef uint32_t i, slot
        if count < FEW_RRS:
            for i in range(count):
                if u16_at(rrs + places[i]) == size and memcmp(rrs + places[i] + 2, rdata, size) == 0:
                    return True
            return False
        if self.seen == NULL:
            self.seen = <uint16_t*>malloc(SEEN_SLOTS * 2)
            if self.seen == NULL:
                # Then it is kept twice.
                return False
        if count == FEW_RRS:
            memset(self.seen, 0, SEEN_SLOTS * 2)
            for i in range(count):
                slot = hash_bytes(0, rrs + places[i] + 2, u16_at(rrs + places[i])) & (SEEN_SLOTS - 1)
                while self.seen[slot]:
                    slot = (slot + 1) & (SEEN_SLOTS - 1)
                self.seen[slot] = <uint16_t>(i + 1)
        slot = hash_bytes(0, rdata, size) & (SEEN_SLOTS - 1)
        while self.seen[slot]:
            i = self.seen[slot] - 1
            if i < count and u16_at(rrs + places[i]) == size and memcmp(rrs + places[i] + 2, rdata, size) == 0:
                return True
            slot = (slot + 1) & (SEEN_SLOTS - 1)
        self.free_slot = slot
        return False
