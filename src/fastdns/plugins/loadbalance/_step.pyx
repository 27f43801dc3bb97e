"""The loadbalance step: the order of records in NOERROR replies, on their way out.

round_robin shuffles addresses and MX uniformly; weighted puts one address, drawn by weight, first; prefer puts
addresses of preferred networks first. Sections are regrouped by kind of record; within a kind the order stays.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

from fastdns.memory._atomics cimport load, publish_u64
from fastdns.memory._hash cimport hash_bytes
from fastdns.serve._context cimport Context, next_random
from fastdns.serve._zones cimport NativeStep
from fastdns._wire cimport (
    MAX_SECTION_RRS, RR, TYPE_A, TYPE_AAAA, TYPE_AXFR, TYPE_CNAME, TYPE_IXFR, TYPE_MX, TYPE_SRV, Section,
)

cdef enum Policy:
    ROUND_ROBIN = 0
    WEIGHTED = 1
    PREFER = 2

cdef enum Kind:
    KIND_CNAME = 0
    KIND_ADDRESS = 1
    KIND_MX = 2
    KIND_REST = 3

cdef enum:
    PREFER_LOOKS = 65536        # comparisons of an address with a network in one section: about 0.3 ms

cdef struct Network:
    uint8_t address_len
    uint8_t bits
    uint8_t address[16]

# One weight; key is a hash of the owner name and the address.
cdef struct Weight:
    uint64_t key
    uint64_t value

cdef struct Weights:
    uint64_t mask
    Weight slots[1]

cdef struct Conf:
    Policy policy
    uint32_t network_count
    Network* networks
    uint64_t weights            # Weights*; replaced while in use, the old one freed a reload later


cdef inline Kind kind_of(const RR* rr) noexcept nogil:
    if rr.rrtype == TYPE_A or rr.rrtype == TYPE_AAAA:
        return KIND_ADDRESS
    if rr.rrtype == TYPE_CNAME:
        return KIND_CNAME
    if rr.rrtype == TYPE_MX:
        return KIND_MX
    return KIND_REST


cdef void place(Section* section, uint16_t* to) noexcept nogil:
    """Move every record i to place to[i], in place; to ends as 0, 1, 2 …"""
    cdef uint32_t i
    cdef uint16_t at, next
    cdef RR held, moved
    for i in range(section.count):
        if to[i] == i:
            continue
        # Around one cycle: what is moved pushes out what stood there.
        held = section.rr[i]
        at = to[i]
        to[i] = i
        while True:
            moved = section.rr[at]
            section.rr[at] = held
            next = to[at]
            to[at] = at
            if at == i:
                break
            held = moved
            at = next


cdef void regroup(Section* section, const Kind* order, uint32_t* first, uint32_t* count) noexcept nogil:
    """Bring records of one kind together, kinds in the given order; first and count are by Kind."""
    cdef uint32_t i, n, total = section.count
    cdef uint32_t kind
    cdef bint sorted_already = True
    cdef int last = -1
    cdef uint32_t rank[4]
    cdef uint32_t at[4]
    cdef uint16_t to[MAX_SECTION_RRS]
    for i in range(4):
        rank[<uint32_t>order[i]] = i
        count[i] = 0
    for i in range(total):
        kind = <uint32_t>kind_of(&section.rr[i])
        count[kind] += 1
        if <int>rank[kind] < last:
            sorted_already = False
        last = rank[kind]
    n = 0
    for i in range(4):
        first[<uint32_t>order[i]] = n
        n += count[<uint32_t>order[i]]
    if sorted_already:
        return
    memcpy(at, first, sizeof(at))
    for i in range(total):
        kind = <uint32_t>kind_of(&section.rr[i])
        to[i] = <uint16_t>at[kind]
        at[kind] += 1
    place(section, to)


cdef inline void swap(Section* section, uint32_t a, uint32_t b) noexcept nogil:
    cdef RR held
    if a != b:
        held = section.rr[a]
        section.rr[a] = section.rr[b]
        section.rr[b] = held


cdef void shuffle(Context* ctx, Section* section, uint32_t first, uint32_t count) noexcept nogil:
    """Fisher and Yates. The bias of the multiplication is under count / 2^32."""
    cdef uint32_t i = count
    while i > 1:
        swap(section, first + i - 1, first + <uint32_t>(((next_random(ctx) >> 32) * i) >> 32))
        i -= 1


cdef void round_robin(Context* ctx, Section* section) noexcept nogil:
    cdef Kind order[4]
    cdef uint32_t first[4]
    cdef uint32_t count[4]
    if section.count < 2:
        return
    order[0] = KIND_CNAME
    order[1] = KIND_REST
    order[2] = KIND_ADDRESS
    order[3] = KIND_MX
    regroup(section, order, first, count)
    shuffle(ctx, section, first[<uint32_t>KIND_ADDRESS], count[<uint32_t>KIND_ADDRESS])
    shuffle(ctx, section, first[<uint32_t>KIND_MX], count[<uint32_t>KIND_MX])


cdef uint64_t weight_key(const uint8_t* name, uint32_t name_len, const uint8_t* address,
                         uint32_t address_len) noexcept nogil:
    return hash_bytes(hash_bytes(1, name, name_len), address, address_len) | 1


cdef uint32_t weight_of(Context* ctx, const Weights* weights, const RR* rr) noexcept nogil:
    cdef const uint8_t* owner = rr.owner
    cdef uint32_t owner_len = rr.owner_len
    cdef uint64_t key, i
    if owner == NULL:
        # Names match exactly, as the question spells them.
        owner = ctx.q.msg + rr.owner_at
        owner_len = ctx.q.name_len + 12 - rr.owner_at
    key = weight_key(owner, owner_len, rr.fixed, rr.fixed_len)
    i = key & weights.mask
    while weights.slots[i].key != 0:
        if weights.slots[i].key == key:
            return <uint32_t>weights.slots[i].value
        i = (i + 1) & weights.mask
    return 1


cdef bint has_address(const Section* section) noexcept nogil:
    cdef uint32_t i
    for i in range(section.count):
        if kind_of(&section.rr[i]) == KIND_ADDRESS:
            return True
    return False


cdef void weighted(Context* ctx, const Conf* conf, Section* section) noexcept nogil:
    cdef const Weights* weights = <const Weights*>load(&conf.weights)
    cdef Kind order[4]
    cdef uint32_t first[4]
    cdef uint32_t count[4]
    cdef uint32_t i, at, n
    cdef uint64_t total = 0, drawn
    order[0] = KIND_CNAME
    order[1] = KIND_REST
    order[2] = KIND_ADDRESS
    order[3] = KIND_MX
    if weights == NULL or section.count < 2 or not has_address(section):
        return
    regroup(section, order, first, count)
    at = first[<uint32_t>KIND_ADDRESS]
    n = count[<uint32_t>KIND_ADDRESS]
    for i in range(at, at + n):
        total += weight_of(ctx, weights, &section.rr[i])
    if n < 2 or total == 0:
        return
    drawn = ((next_random(ctx) >> 32) * total) >> 32
    for i in range(at, at + n):
        total = weight_of(ctx, weights, &section.rr[i])
        if drawn < total:
            swap(section, at, i)
            return
        drawn -= total


cdef bint contains(const Network* network, const RR* rr) noexcept nogil:
    cdef uint32_t whole = network.bits >> 3
    cdef uint8_t rest
    if network.address_len != rr.fixed_len or memcmp(network.address, rr.fixed, whole) != 0:
        return False
    if network.bits & 7 == 0:
        return True
    rest = 0xFF << (8 - (network.bits & 7))
    return (network.address[whole] ^ rr.fixed[whole]) & rest == 0


cdef void prefer(const Conf* conf, Section* section) noexcept nogil:
    cdef Kind order[4]
    cdef uint32_t first[4]
    cdef uint32_t count[4]
    cdef uint32_t i, j, start, end, placed
    cdef uint32_t looks = PREFER_LOOKS
    cdef uint16_t to[MAX_SECTION_RRS]
    cdef uint16_t left[MAX_SECTION_RRS]     # records that no network has taken yet, in their order
    cdef uint32_t left_count, kept
    order[0] = KIND_CNAME
    order[1] = KIND_ADDRESS
    order[2] = KIND_MX
    order[3] = KIND_REST
    if section.count < 2:
        return
    regroup(section, order, first, count)
    start = first[<uint32_t>KIND_ADDRESS]
    end = start + count[<uint32_t>KIND_ADDRESS]
    for i in range(section.count):
        to[i] = <uint16_t>i
    left_count = 0
    for i in range(start, end):
        left[left_count] = <uint16_t>i
        left_count += 1
    placed = start
    for j in range(conf.network_count):
        if left_count > looks:
            # The networks that are preferred least go without.
            break
        looks -= left_count
        kept = 0
        for i in range(left_count):
            if contains(&conf.networks[j], &section.rr[left[i]]):
                to[left[i]] = <uint16_t>placed
                placed += 1
            else:
                left[kept] = left[i]
                kept += 1
        left_count = kept
    for i in range(left_count):
        to[left[i]] = <uint16_t>(placed + i)
    place(section, to)


cdef void after(Context* ctx, const void* opaque) noexcept nogil:
    cdef const Conf* conf = <const Conf*>opaque
    cdef uint16_t qtype = ctx.q.qtype
    if ctx.reply.rcode != 0 or not ctx.written or qtype == TYPE_AXFR or qtype == TYPE_IXFR:
        return
    if conf.policy == ROUND_ROBIN:
        round_robin(ctx, &ctx.reply.answer)
        round_robin(ctx, &ctx.reply.authority)
        round_robin(ctx, &ctx.reply.additional)
    elif conf.policy == WEIGHTED:
        if qtype == TYPE_A or qtype == TYPE_AAAA or qtype == TYPE_SRV:
            weighted(ctx, conf, &ctx.reply.answer)
            weighted(ctx, conf, &ctx.reply.additional)
    else:
        prefer(conf, &ctx.reply.answer)
        prefer(conf, &ctx.reply.additional)


cdef class LoadbalanceStep(NativeStep):
    """policy: round_robin, weighted or prefer; networks: (address bytes, prefix length), most preferred first."""
    cdef Conf conf
    cdef uint64_t retired

    def __init__(self, str policy not None, networks=()):
        cdef uint32_t i
        self.conf.policy = <Policy>("round_robin", "weighted", "prefer").index(policy)
        networks = list(networks)
        self.conf.networks = <Network*>calloc(len(networks) + 1, sizeof(Network))
        if self.conf.networks == NULL:
            raise MemoryError
        for i in range(len(networks)):
            address, bits = networks[i]
            self.conf.networks[i].address_len = len(address)
            self.conf.networks[i].bits = bits
            memcpy(self.conf.networks[i].address, <const uint8_t*><bytes>address, len(address))
        self.conf.network_count = len(networks)
        self.step.after = after
        self.step.conf = &self.conf

    def set_weights(self, list weights not None):
        """weights: (owner wire form, address bytes, 1 to 255). The table before the last one is freed: call this
        no more often than a reply takes to make."""
        cdef uint64_t size = 8
        cdef uint64_t key, i
        cdef Weights* table
        while size < 2 * len(weights):
            size *= 2
        table = <Weights*>calloc(1, sizeof(Weights) + size * sizeof(Weight))
        if table == NULL:
            raise MemoryError
        table.mask = size - 1
        for name, address, value in weights:
            key = weight_key(<const uint8_t*><bytes>name, len(name), <const uint8_t*><bytes>address, len(address))
            i = key & table.mask
            while table.slots[i].key != 0 and table.slots[i].key != key:
                i = (i + 1) & table.mask
            # The first line of an address counts.
            if table.slots[i].key == 0:
                table.slots[i].key = key
                table.slots[i].value = value
        free(<void*>self.retired)
        self.retired = self.conf.weights
        publish_u64(&self.conf.weights, <uint64_t>table)

    def __dealloc__(self):
        free(self.conf.networks)
        free(<void*>self.retired)
        free(<void*>self.conf.weights)
