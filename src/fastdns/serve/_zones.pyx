"""The zones of a listener: see _zones.pxd."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free

from fastdns.dns.names import wire_name
from fastdns.metrics._stats cimport MAX_ZONE_SLOTS
from fastdns.serve._context cimport NO_SLOT
from fastdns._wire cimport TYPE_DS, in_zone


cdef const ZoneEntry* select_zone(Context* ctx, const Server* server, const Query* q) noexcept nogil:
    """A question for DS belongs to the parent's side of a cut, so the shortest zone other than the root takes it
    (RFC 4035 section 3.1.4.1)."""
    cdef uint32_t i
    cdef const ZoneEntry* found = NULL
    cdef const ZoneEntry* zone
    for i in range(server.zone_count):
        zone = &server.zones[i]
        if not in_zone(q, zone.name, zone.name_len):
            continue
        if found != NULL and (zone.is_root or zone.name_len == found.name_len):
            # Of blocks with the same zone the first one has taken it.
            continue
        if zone.filter.accepts != NULL and not zone.filter.accepts(ctx, zone.filter.conf):
            continue
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
        ordered = sorted(((wire_name(zone), block, slot) for zone, block, slot in zones),
                         key=lambda entry: -len(entry[0]))
        self.keep.append(ordered)
        for i in range(<uint32_t>len(ordered)):
            entry = &self.server.zones[i]
            entry.name = <const uint8_t*><bytes>ordered[i][0]
            entry.name_len = len(ordered[i][0])
            entry.is_root = entry.name_len == 1
            entry.chain = &self.chains[ordered[i][1]]
            entry.zone_slot = self.slot(ordered[i][2])
            choosing = filters.get(ordered[i][1])
            if choosing is not None and choosing.filter.accepts != NULL:
                entry.filter = choosing.filter
                self.server.filtered = True
        self.server.zone_count = len(ordered)
        self.server.any_class = any_class
        self.server.dropped_slot = self.slot(dropped_slot)
        self.server.address = <const uint8_t*>address if address else NULL
        self.server.address_len = len(address)
        self.server.port = port

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
