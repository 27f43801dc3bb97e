"""The zones of a listener: see _zones.pxd."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp

from fastdns.dns.names import wire_name
from fastdns.metrics._stats cimport MAX_ZONE_SLOTS
from fastdns.serve._context cimport NO_SLOT
from fastdns._wire cimport MAX_LABELS, TYPE_DS, in_zone, is_boundary

cdef enum:
    INDEXED_ZONES = 48              # fewer are found faster one by one

cdef uint64_t HASH_BEGIN = 0xCBF29CE484222325


cdef const ZoneEntry* select_zone(Context* ctx, const Server* server, const Query* q) noexcept nogil:
    """A question for DS belongs to the parent's side of a cut, so the shortest zone other than the root takes it
    (RFC 4035 section 3.1.4.1)."""
    cdef uint32_t i = 0
    cdef const ZoneEntry* found = NULL
    cdef const ZoneEntry* zone
    if server.index != NULL:
        return select_of_many(ctx, server, q)
    while i < server.zone_count:
        zone = &server.zones[i]
        i += zone.blocks
        if in_zone(q, zone.name, zone.name_len) and not (zone.is_root and found != NULL):
            zone = accepting(ctx, zone)
            if zone != NULL:
                if q.qtype != TYPE_DS:
                    return zone
                found = zone
    return found


cdef inline const ZoneEntry* accepting(Context* ctx, const ZoneEntry* first) noexcept nogil:
    """The first of the blocks with a zone that takes the question; NULL: none does."""
    cdef uint32_t i
    for i in range(first.blocks):
        if first[i].filter.accepts == NULL or first[i].filter.accepts(ctx, first[i].filter.conf):
            return &first[i]
    return NULL


cdef inline uint64_t hash_on(uint64_t state, uint8_t byte) noexcept nogil:
    """FNV-1a, from the end of a name to its beginning, so that one pass has the hashes of all zones above it."""
    return (state ^ byte) * <uint64_t>0x100000001B3


cdef inline uint32_t place_of(const Server* server, uint64_t state) noexcept nogil:
    return <uint32_t>(state ^ (state >> 32)) & server.index_mask


cdef const ZoneEntry* find_zone(const Server* server, uint64_t state, const uint8_t* name,
                                uint32_t name_len) noexcept nogil:
    """The first entry of a zone. name: lowercased; its hash is state."""
    cdef uint32_t at = place_of(server, state)
    cdef const ZoneEntry* zone
    # The index is never full.
    while server.index[at]:
        zone = &server.zones[server.index[at] - 1]
        if zone.name_len == name_len and memcmp(zone.name, name, name_len) == 0:
            return zone
        at = (at + 1) & server.index_mask
    return NULL


cdef const ZoneEntry* select_of_many(Context* ctx, const Server* server, const Query* q) noexcept nogil:
    """As select_zone, by the index: it takes as long as the name, however many zones there are."""
    cdef uint64_t hashes[MAX_LABELS + 1]
    cdef uint64_t state = HASH_BEGIN
    cdef const ZoneEntry* found = NULL
    cdef const ZoneEntry* zone
    cdef uint32_t at = q.name_len
    cdef uint32_t label = 0
    cdef uint32_t i
    # Names that are longer than the longest zone, which is the first, are none of them.
    while at > 0 and q.name_len - at < server.zones[0].name_len:
        at -= 1
        state = hash_on(state, q.name[at])
        if is_boundary(q, at):
            hashes[label] = state
            label += 1
    for i in range(label, 0, -1):
        # The first is the root's, then come names with one label more each.
        at = q.label_at[q.label_count + 1 - i] if i > 1 else q.name_len - 1
        zone = find_zone(server, hashes[i - 1], &q.name[at], q.name_len - at)
        if zone == NULL or (zone.is_root and found != NULL):
            continue
        zone = accepting(ctx, zone)
        if zone != NULL:
            if q.qtype != TYPE_DS:
                return zone
            found = zone
    return found


cdef class NativeStep:
    def __cinit__(self, *args, **kwargs):
        self.step.before = NULL
        self.step.after = NULL
        self.step.ahead = NULL
        self.step.again = NULL
        self.step.judge = NULL
        self.step.finish = NULL
        self.step.conf = NULL


cdef class NativeFilter:
    def __cinit__(self, *args, **kwargs):
        self.filter.accepts = NULL
        self.filter.conf = NULL


cdef class ServerTable:
    """zones: (fully qualified zone, block number, counter slot | None); blocks: a list of NativeSteps each.

    any_class: questions of other classes than IN go through the chains as well, but for NONE. Those of class ANY
    get records of class IN. filters: of blocks that do not take every query of their zones, by number. address:
    what the listener is bound to, 4 or 16 bytes; b"": every address.
    """

    def __cinit__(self, list zones, list blocks, dropped_slot=None, bint any_class=False, dict filters=None,
                  bytes address=b"", uint16_t port=0):
        cdef uint32_t i
        cdef ZoneEntry* entry
        cdef NativeFilter choosing
        self.keep = [zones, blocks, filters, address]
        filters = filters or {}
        if len(address) not in (0, 4, 16):
            raise ValueError("an address of 4 or 16 bytes expected")
        self.chains = <Chain*>calloc(max(1, len(blocks)), sizeof(Chain))
        self.server.zones = <ZoneEntry*>calloc(max(1, len(zones)), sizeof(ZoneEntry))
        if self.chains == NULL or self.server.zones == NULL:
            raise MemoryError
        for i in range(<uint32_t>len(blocks)):
            self.chain_count = i + 1
            self.build(&self.chains[i], blocks[i])
        # Blocks with the same zone stay in their order.
        ordered = sorted(((wire_name(zone), block, slot) for zone, block, slot in zones),
                         key=lambda entry: (-len(entry[0]), entry[0]))
        self.keep.append(ordered)
        for i in range(<uint32_t>len(ordered)):
            entry = &self.server.zones[i]
            entry.name = <const uint8_t*><bytes>ordered[i][0]
            entry.name_len = len(ordered[i][0])
            entry.is_root = entry.name_len == 1
            entry.chain = &self.chains[ordered[i][1]]
            entry.zone_slot = self.slot(ordered[i][2])
            entry.blocks = 1
            choosing = filters.get(ordered[i][1])
            if choosing is not None and choosing.filter.accepts != NULL:
                entry.filter = choosing.filter
                self.server.filtered = True
        self.server.zone_count = len(ordered)
        for i in range(self.server.zone_count - 1, 0, -1):
            if ordered[i - 1][0] == ordered[i][0]:
                self.server.zones[i - 1].blocks = self.server.zones[i].blocks + 1
        if self.server.zone_count >= INDEXED_ZONES:
            self.make_index()
        self.server.any_class = any_class
        self.server.dropped_slot = self.slot(dropped_slot)
        self.server.address = <const uint8_t*>address if address else NULL
        self.server.address_len = len(address)
        self.server.port = port

    cdef int make_index(self) except -1:
        cdef Server* server = &self.server
        cdef uint32_t size = 1
        cdef uint32_t i = 0
        cdef uint32_t at
        cdef uint64_t state
        cdef const ZoneEntry* zone
        while size < 2 * server.zone_count:
            size *= 2
        server.index = <uint32_t*>calloc(size, sizeof(uint32_t))
        if server.index == NULL:
            raise MemoryError
        server.index_mask = size - 1
        while i < server.zone_count:
            zone = &server.zones[i]
            state = HASH_BEGIN
            for at in range(zone.name_len, 0, -1):
                state = hash_on(state, zone.name[at - 1])
            at = place_of(server, state)
            while server.index[at]:
                at = (at + 1) & server.index_mask
            server.index[at] = i + 1
            i += zone.blocks
        return 0

    cdef uint32_t slot(self, given) except? 0xFFFFFFFF:
        """given: an int, or None."""
        if given is None:
            return NO_SLOT
        if not 0 <= given < MAX_ZONE_SLOTS:
            raise ValueError("counter slot out of range")
        self.zone_room = max(self.zone_room, given + 1)
        return given

    cdef int build(self, Chain* chain, list steps) except -1:
        cdef NativeStep step
        cdef uint32_t i
        cdef uint32_t count = len(steps)
        chain.steps = <Step*>calloc(max(1, count), sizeof(Step))
        chain.ahead_steps = <uint32_t*>calloc(max(1, count), sizeof(uint32_t))
        chain.finish_steps = <uint32_t*>calloc(max(1, count), sizeof(uint32_t))
        if chain.steps == NULL or chain.ahead_steps == NULL or chain.finish_steps == NULL:
            raise MemoryError
        for i in range(count):
            step = steps[i]
            chain.steps[i] = step.step
            if step.step.ahead != NULL:
                chain.ahead_steps[chain.ahead_count] = i
                chain.ahead_count += 1
        for i in range(count, 0, -1):
            if chain.steps[i - 1].finish != NULL:
                chain.finish_steps[chain.finish_count] = i - 1
                chain.finish_count += 1
        chain.count = count
        self.most_ahead = max(self.most_ahead, chain.ahead_count)
        return 0

    def __dealloc__(self):
        cdef uint32_t i
        for i in range(self.chain_count):
            free(self.chains[i].steps)
            free(self.chains[i].ahead_steps)
            free(self.chains[i].finish_steps)
        free(self.chains)
        free(self.server.zones)
        free(self.server.index)
