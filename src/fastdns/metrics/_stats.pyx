"""Counters in shared memory: see _stats.pxd."""

from libc.string cimport memset

from fastdns.dns import mnemonics
from fastdns.memory._mapping cimport map_shared, unmap
from fastdns.metrics.reasons import REASONS, number_of

# The types that CoreDNS counts by name; slot 0 is "other".
TYPES = (
    "other", "A", "AAAA", "CNAME", "DNSKEY", "DS", "HTTPS", "MX", "NS", "NSEC", "NSEC3", "PTR", "SOA", "SRV",
    "SVCB", "TXT", "RRSIG", "AXFR", "IXFR", "ANY",
)
RCODES = {**mnemonics.RCODES, RCODE_SLOTS - 1: "OTHER"}
assert REASONS[FAILED_WORKER].name == "worker_died" and len(REASONS) >= OWN_REASONS
# By Closing.
CLOSINGS = (
    "peer", "idle", "unread", "max_queries", "drained", "room", "client_share", "held_bytes", "proxy_header",
)
assert len(CLOSINGS) == CLOSINGS_COUNTED
# What upstreams are asked over.
PROTOS = ("udp", "tcp", "tcp-tls", "https", "quic")
DURATION_BOUNDS_S = tuple(0.00025 * 2**i for i in range(DURATION_BUCKETS))
SIZE_BOUNDS = (0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16000, 32000, 48000, 64000)

cdef enum:
    ZONE_WORDS = sizeof(ZoneCounters) // 8

cdef uint8_t type_slots[256]
cdef uint32_t size_bounds[SIZE_BUCKETS]

for _number in range(256):
    type_slots[_number] = 0
for _number, _name in mnemonics.TYPES.items():
    if _number < 256 and _name in TYPES:
        type_slots[_number] = TYPES.index(_name)
for _number in range(SIZE_BUCKETS):
    size_bounds[_number] = SIZE_BOUNDS[_number]


cdef uint32_t type_slot(uint16_t rrtype) noexcept nogil:
    return type_slots[rrtype] if rrtype < 256 else 0


cdef uint32_t size_bucket(uint32_t size) noexcept nogil:
    cdef uint32_t i = 0
    while i < SIZE_BUCKETS and size > size_bounds[i]:
        i += 1
    return i


cdef uint32_t duration_bucket(uint64_t ns) noexcept nogil:
    cdef uint32_t i = 0
    cdef uint64_t bound = 250000
    while i < DURATION_BUCKETS and ns > bound:
        bound <<= 1
        i += 1
    return i


cdef void add_up(uint64_t* source, uint64_t* target, uint64_t words) noexcept nogil:
    cdef uint64_t i
    for i in range(words):
        if source[i]:
            target[i] += source[i]
            source[i] = 0


assert BANK_ZONES * MAX_ZONE_BANKS == MAX_ZONE_SLOTS
MOST_ZONE_SLOTS = MAX_ZONE_SLOTS


cdef void fold_bank(ZoneBank* source, ZoneBank* target) noexcept nogil:
    cdef uint32_t i
    for i in range(BANK_ZONES):
        if source.used[i]:
            target.used[i] = True
            add_up(<uint64_t*>&source.zones[i], <uint64_t*>&target.zones[i], ZONE_WORDS)
            source.used[i] = False


cdef class Stats:
    """Shared mappings of ``slots`` blocks. Made by the supervisor before it forks. Memory is taken when used."""

    def __cinit__(self, uint32_t slots):
        if not 0 < slots <= 65536:
            raise ValueError(f"1 to 65536 counter slots expected, got {slots}")
        self.slots = slots
        self.size_bytes = slots * sizeof(ThreadCounters)
        self.blocks = <ThreadCounters*>map_shared(self.size_bytes)
        if self.blocks == NULL:
            raise OSError("the counters cannot be mapped")
        self.reserve_zones(1)

    def __dealloc__(self):
        cdef uint32_t i
        for i in range(self.bank_count):
            unmap(self.banks[i], self.slots * sizeof(ZoneBank))
        unmap(self.blocks, self.size_bytes)

    def reserve_zones(self, uint32_t zones):
        """Have room for the counters of so many zones. Processes that have been forked do not see what is added.

        Raises OSError where the kernel refuses, ValueError for more than MAX_ZONE_SLOTS.
        """
        cdef ZoneBank* bank
        if zones > MAX_ZONE_SLOTS:
            raise ValueError(f"at most {MAX_ZONE_SLOTS} zones are counted, got {zones}")
        while self.bank_count * BANK_ZONES < zones:
            bank = <ZoneBank*>map_shared(self.slots * sizeof(ZoneBank))
            if bank == NULL:
                raise OSError("the counters of zones cannot be mapped")
            self.banks[self.bank_count] = bank
            self.bank_count += 1

    @property
    def zone_room(self):
        """How many zones have counters."""
        return self.bank_count * BANK_ZONES

    cdef ZoneBank* bank(self, uint32_t slot, uint32_t zone_slot) except NULL:
        if slot >= self.slots or zone_slot >= self.bank_count * BANK_ZONES:
            raise IndexError(f"counters of zone {zone_slot} of {self.zone_room} in slot {slot} of {self.slots}")
        return &self.banks[zone_slot // BANK_ZONES][slot]

    cdef int banks_of(self, uint32_t slot, ZoneBank** into) except -1:
        cdef uint32_t i
        for i in range(self.bank_count):
            into[i] = self.bank(slot, i * BANK_ZONES)
        return 0

    cdef ThreadCounters* block(self, uint32_t slot) except NULL:
        if slot >= self.slots:
            raise IndexError(f"counter slot {slot} of {self.slots}")
        return &self.blocks[slot]

    def heartbeat_ns(self, uint32_t slot):
        """When the thread of this slot last said that it lives, in ns of CLOCK_MONOTONIC."""
        return self.block(slot).heartbeat_ns

    def beat(self, uint32_t slot, uint64_t now_ns):
        """Say that the thread of this slot lives."""
        self.block(slot).heartbeat_ns = now_ns

    def thread(self, uint32_t slot):
        """The counters of a slot that are not a zone's, as a dict."""
        cdef ThreadCounters* t = self.block(slot)
        cdef uint32_t i
        return {
            "queries": t.queries, "errors_unlogged": t.errors_unlogged,
            "panics": t.panics + t.failed[<uint32_t>ERROR_PANIC], "parked": t.parked,
            "joined": t.joined, "concurrent_rejects": t.concurrent_rejects, "all_down": t.all_down,
            "mismatched": t.mismatched, "malformed": t.malformed, "log_dropped": t.log_dropped,
            "streams_shed": t.streams_shed, "connections_open": t.connections_open,
            "connections_bytes": t.connections_bytes,
            "waiting": sum([t.waiting[i] for i in range(MAX_STANZAS)]), "python_waiting": t.python_waiting,
        }

    def failed(self, uint32_t slot):
        """How many queries of a slot's thread have failed, by reason and reply: what is not 0 of REASONS."""
        cdef uint64_t* at = &self.block(slot).failed[0]
        found = {}
        for number, reason in enumerate(REASONS):
            if at[<uint32_t>number]:
                name = (reason.name, reason.reply)
                found[name] = found.get(name, 0) + at[<uint32_t>number]
        return found

    def closed(self, uint32_t slot):
        """How many TCP connections of a slot's thread have ended, by reason: all of CLOSINGS."""
        cdef uint64_t* at = &self.block(slot).connections_closed[0]
        return {name: at[<uint32_t>i] for i, name in enumerate(CLOSINGS)}

    def count_failed(self, uint32_t slot, str reason not None, str reply not None, uint64_t queries):
        """So many more queries of this slot's thread have failed, for a reason of the server's own."""
        self.block(slot).failed[<uint32_t>number_of(reason, reply)] += queries

    def count_opened(self, uint32_t slot):
        """One more TCP connection."""
        self.block(slot).connections_open += 1

    def count_closed(self, uint32_t slot, str reason not None):
        """One TCP connection less. Raises ValueError for what has no name."""
        self.block(slot).connections_closed[<uint32_t>CLOSINGS.index(reason)] += 1
        self.block(slot).connections_open -= 1

    def set_held(self, uint32_t slot, uint64_t held_bytes):
        """What all TCP connections of this slot's thread hold now."""
        self.block(slot).connections_bytes = held_bytes

    def count_panic(self, uint32_t slot):
        """One more query of this slot's thread has ended in an exception."""
        self.block(slot).panics += 1

    def count_connections(self, uint32_t slot, uint32_t upstream_slot, str proto not None, bint reused,
                          uint64_t count):
        """So many more connections of this slot's thread to an upstream; or uses of those that were there."""
        if upstream_slot >= MAX_UPSTREAM_SLOTS:
            raise IndexError(upstream_slot)
        cdef uint32_t which = PROTOS.index(proto)
        self.block(slot).upstreams[upstream_slot].connections[reused][which] += count

    def count_log_dropped(self, uint32_t slot, uint64_t queries):
        """So many more queries have not been logged, as this slot's thread has found out."""
        self.block(slot).log_dropped += queries

    def zone_values(self, slots, uint32_t zone_slot):
        """The counters of one zone, added up over the slots of threads: a flat list. None: none of them counted."""
        cdef uint64_t sums[ZONE_WORDS]
        cdef uint64_t* at
        cdef ZoneBank* bank
        cdef uint32_t i
        cdef bint any_used = False
        memset(sums, 0, sizeof(sums))
        for slot in slots:
            bank = self.bank(slot, zone_slot)
            if bank.used[zone_slot % BANK_ZONES]:
                any_used = True
                at = <uint64_t*>&bank.zones[zone_slot % BANK_ZONES]
                for i in range(ZONE_WORDS):
                    sums[i] += at[i]
        return [sums[i] for i in range(ZONE_WORDS)] if any_used else None

    def upstream_values(self, uint32_t slot, uint32_t upstream_slot):
        """The counters of one upstream in one block: a flat list, which adds up over blocks."""
        if upstream_slot >= MAX_UPSTREAM_SLOTS:
            raise IndexError(upstream_slot)
        cdef uint64_t* at = <uint64_t*>&self.block(slot).upstreams[upstream_slot]
        cdef uint32_t i
        return [at[i] for i in range(sizeof(UpstreamCounters) // 8)]

    def fold(self, uint32_t slot, uint32_t into, uint32_t upstreams=0):
        """Add the block of a dead thread to another block, and clear it for its next user.

        upstreams: how many slots are in use; the pages of others are not touched, as that would take memory.
        """
        if upstreams > MAX_UPSTREAM_SLOTS:
            raise IndexError(upstreams)
        cdef uint32_t i
        cdef ThreadCounters* source = self.block(slot)
        cdef ThreadCounters* target = self.block(into)
        source.heartbeat_ns = 0
        source.connections_open = 0
        source.connections_bytes = 0
        # Nobody waits there any more. Where anybody did, it did not end in order.
        for i in range(MAX_STANZAS):
            target.failed[<uint32_t>FAILED_WORKER] += source.waiting[i]
        memset(source.waiting, 0, sizeof(source.waiting))
        target.failed[<uint32_t>FAILED_WORKER] += source.python_waiting
        source.python_waiting = 0
        add_up(<uint64_t*>source, <uint64_t*>target, <uint64_t*>source.upstreams - <uint64_t*>source)
        for i in range(self.bank_count):
            fold_bank(&self.banks[i][slot], &self.banks[i][into])
        add_up(<uint64_t*>source.upstreams, <uint64_t*>target.upstreams, upstreams * sizeof(UpstreamCounters) // 8)


def offsets(shapes):
    """name -> (offset, shape) of counters that stand one after the other, and where they end."""
    cdef uint32_t at = 0
    fields = {}
    for name, shape in shapes:
        size = 1
        for extent in shape:
            size *= extent
        fields[name] = (at, shape)
        at += size
    return fields, at


def upstream_layout():
    """Where each counter stands in upstream_values: name -> (offset, shape)."""
    fields, end = offsets((
        ("duration", (RCODE_SLOTS, DURATION_BUCKETS + 1)), ("duration_sum_ns", (RCODE_SLOTS,)),
        ("failed_probes", ()), ("timeouts", ()), ("silent", ()), ("refused", ()), ("broken", ()),
        ("passed_over", ()), ("truncated", ()), ("connections", (2, len(PROTOS))),
    ))
    assert end * 8 == sizeof(UpstreamCounters)
    return fields


def layout():
    """Where each counter stands in zone_values: name -> (offset, shape)."""
    fields, end = offsets((
        ("requests", (4, TYPE_SLOTS)), ("responses", (2, RCODE_SLOTS)), ("do_requests", ()),
        ("duration", (DURATION_BUCKETS + 1,)), ("duration_sum_ns", ()),
        ("request_bytes", (2, SIZE_BUCKETS + 1)), ("request_bytes_sum", (2,)),
        ("response_bytes", (2, SIZE_BUCKETS + 1)), ("response_bytes_sum", (2,)),
        ("plugins", (PLUGIN_COUNTERS,)),
    ))
    assert end * 8 == sizeof(ZoneCounters)
    return fields
