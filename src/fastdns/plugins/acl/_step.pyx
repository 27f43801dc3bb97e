"""The acl step: what becomes of a question, by its name, its type and who asks."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp

from fastdns._wire cimport REFUSED, add_option, in_zone
from fastdns.plugins.acl._counters cimport (
    ALLOWED, BLOCKED, DROPPED_SILENTLY, FILTERED, Counters, count,
)
from fastdns.serve._context cimport DROPPED, NEXT, Context, Outcome, add_memory, find_memory, written
from fastdns.serve._replies cimport was_here
from fastdns.serve._zones cimport NativeStep

from fastdns.dns.names import wire_name
from fastdns.plugins.acl.table import table

cdef enum:
    EDE = 15                        # the EDNS option (RFC 8914)

# The numbers of table.py.
cdef enum Action:
    NONE = 0
    ALLOW = 1
    BLOCK = 2
    FILTER = 3
    DROP = 4

cdef struct Typed:
    uint16_t qtype
    uint8_t action

cdef struct Decision:
    uint32_t count
    const Typed* typed
    uint8_t otherwise

cdef struct Address:
    uint64_t high
    uint64_t low

# Of one family: the first address of each range, ascending from 0, and the number of its decision.
cdef struct Ranges:
    uint32_t count
    uint32_t* starts4               # of IPv4
    Address* starts6                # of IPv6
    uint32_t* which
    Decision* decisions

cdef struct RuleZone:
    const uint8_t* name             # lowercased wire form
    uint16_t name_len
    uint32_t number                 # among the zones of all rules

cdef struct Rule:
    uint32_t zone_count
    RuleZone* zones                 # the longest first
    Ranges v4
    Ranges v6

# A listener of the block, and where it counts for each zone; behind these, where it counts what is allowed.
cdef struct Place:
    const uint8_t* address
    uint32_t address_len            # 0: every address
    uint16_t port
    uint32_t* places

cdef struct Conf:
    uint32_t rule_count
    Rule* rules
    uint32_t zone_count
    uint64_t* counters              # NULL: nothing is counted
    uint32_t listener_count
    Place* listeners


cdef inline uint64_t read_u64(const uint8_t* at) noexcept nogil:
    cdef uint64_t value = 0
    cdef uint32_t i
    for i in range(8):
        value = value << 8 | at[i]
    return value


cdef bint is_mapped(const uint8_t* address) noexcept nogil:
    """Whether it stands for an IPv4 address (RFC 4291 section 2.5.5.2)."""
    return memcmp(address, b"\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0


# Both searches are without branches that depend on the address: a wrong guess of the CPU costs more than a step.

cdef inline uint32_t range_of4(const Ranges* r, uint32_t address) noexcept nogil:
    cdef uint32_t at = 0, left = r.count, half
    while left > 1:
        half = left >> 1
        at += half * (r.starts4[at + half] <= address)
        left -= half
    return at


cdef inline uint32_t range_of6(const Ranges* r, uint64_t high, uint64_t low) noexcept nogil:
    cdef uint32_t at = 0, left = r.count, half
    cdef const Address* start
    while left > 1:
        half = left >> 1
        start = &r.starts6[at + half]
        at += half * ((start.high < high) | ((start.high == high) & (start.low <= low)))
        left -= half
    return at


cdef Action decide(const Rule* rule, const uint8_t* client, uint32_t client_len, uint16_t qtype) noexcept nogil:
    cdef const Decision* decision
    cdef uint32_t i
    if client_len == 16 and is_mapped(client):
        client += 12
        client_len = 4
    if client_len == 4:
        i = range_of4(&rule.v4, <uint32_t>client[0] << 24 | client[1] << 16 | client[2] << 8 | client[3])
        decision = &rule.v4.decisions[rule.v4.which[i]]
    else:
        i = range_of6(&rule.v6, read_u64(client), read_u64(client + 8))
        decision = &rule.v6.decisions[rule.v6.which[i]]
    for i in range(decision.count):
        if decision.typed[i].qtype == qtype:
            return <Action>decision.typed[i].action
    return <Action>decision.otherwise


cdef inline const RuleZone* zone_in(const Rule* rule, const Context* ctx) noexcept nogil:
    cdef uint32_t i
    for i in range(rule.zone_count):
        if in_zone(ctx.q, rule.zones[i].name, rule.zones[i].name_len):
            return &rule.zones[i]
    return NULL


cdef void note(const Context* ctx, const Conf* conf, uint32_t zone, uint32_t what) noexcept nogil:
    """Count. zone: the number of one; zone_count: what is allowed."""
    cdef const Place* place
    cdef uint32_t i
    for i in range(conf.listener_count):
        place = &conf.listeners[i]
        if place.port == ctx.server.port and place.address_len == ctx.server.address_len and (
                place.address_len == 0 or memcmp(place.address, ctx.server.address, place.address_len) == 0):
            count(conf.counters, ctx.counters, place.places[zone], what)
            return


cdef Outcome refuse(Context* ctx, const Conf* conf, uint32_t zone, Action action) noexcept nogil:
    if not was_here(ctx):
        note(ctx, conf, zone, BLOCKED if action == BLOCK else FILTERED if action == FILTER else DROPPED_SILENTLY)
    # What comes by again on the way back is not counted as allowed.
    add_memory(ctx, conf, 1)
    if action == DROP:
        return DROPPED
    if action == BLOCK:
        ctx.reply.rcode = REFUSED
        add_option(ctx.reply, EDE, b"\x00\x0f", 2)
    else:
        add_option(ctx.reply, EDE, b"\x00\x11", 2)
    return written(ctx)


cdef Outcome look(Context* ctx, const void* opaque) noexcept nogil:
    """The question as it stands here, or as a step below has changed it."""
    cdef const Conf* conf = <const Conf*>opaque
    cdef const RuleZone* zone
    cdef Action action
    cdef uint32_t i
    for i in range(conf.rule_count):
        zone = zone_in(&conf.rules[i], ctx)
        if zone == NULL:
            continue
        action = decide(&conf.rules[i], ctx.client, ctx.client_len, ctx.q.qtype)
        if action == ALLOW:
            return NEXT
        if action != NONE:
            return refuse(ctx, conf, zone.number, action)
    return NEXT


cdef void after(Context* ctx, const void* opaque) noexcept nogil:
    """What comes back was allowed. A question that a step asks inside a query is no query."""
    cdef const Conf* conf = <const Conf*>opaque
    if ctx.depth == 0 and find_memory(ctx, conf) == NULL:
        note(ctx, conf, conf.zone_count, ALLOWED)


cdef void free_ranges(Ranges* ranges) noexcept:
    free(ranges.starts4)
    free(ranges.starts6)
    free(ranges.which)
    free(ranges.decisions)


cdef class AclStep(NativeStep):
    """rules: of config.py. listening: of places.py; without counters nothing is counted."""
    cdef Conf conf
    cdef list keep

    def __init__(self, rules, Counters counters=None, listening=()):
        cdef uint32_t i
        rules = list(rules)
        listening = list(listening)
        self.keep = [counters]
        self.conf.rules = <Rule*>calloc(len(rules) + 1, sizeof(Rule))
        self.conf.listeners = <Place*>calloc(len(listening) + 1, sizeof(Place))
        if self.conf.rules == NULL or self.conf.listeners == NULL:
            raise MemoryError
        for i in range(len(rules)):
            self.conf.rule_count += 1
            self.fill_zones(&self.conf.rules[i], list(rules[i].zones))
            self.fill_ranges(&self.conf.rules[i].v4, 4, table(rules[i].policies, 4))
            self.fill_ranges(&self.conf.rules[i].v6, 16, table(rules[i].policies, 16))
        if counters is not None:
            self.conf.counters = counters.table
            for i in range(len(listening)):
                self.fill_place(&self.conf.listeners[i], listening[i])
            self.conf.listener_count = len(listening)
            self.step.after = after
        self.step.before = look
        self.step.judge = look
        self.step.conf = &self.conf

    cdef int fill_zones(self, Rule* rule, list zones) except -1:
        cdef uint32_t i
        names = sorted(((wire_name(zone), number) for number, zone in enumerate(zones)), key=lambda z: -len(z[0]))
        self.keep.append(names)
        rule.zones = <RuleZone*>calloc(len(names) + 1, sizeof(RuleZone))
        if rule.zones == NULL:
            raise MemoryError
        for i in range(len(names)):
            rule.zones[i].name = <const uint8_t*><bytes>names[i][0]
            rule.zones[i].name_len = len(names[i][0])
            rule.zones[i].number = self.conf.zone_count + <uint32_t>names[i][1]
        rule.zone_count = len(names)
        self.conf.zone_count += rule.zone_count
        return 0

    cdef int fill_ranges(self, Ranges* ranges, uint32_t address_bytes, made) except -1:
        cdef uint32_t i
        cdef dict numbers = {decision: number for number, decision in enumerate(dict.fromkeys(made.decisions))}
        if address_bytes == 4:
            ranges.starts4 = <uint32_t*>calloc(len(made.starts), sizeof(uint32_t))
        else:
            ranges.starts6 = <Address*>calloc(len(made.starts), sizeof(Address))
        ranges.which = <uint32_t*>calloc(len(made.starts), sizeof(uint32_t))
        ranges.decisions = <Decision*>calloc(len(numbers), sizeof(Decision))
        if not (ranges.starts4 or ranges.starts6) or ranges.which == NULL or ranges.decisions == NULL:
            raise MemoryError
        for i in range(len(made.starts)):
            if address_bytes == 4:
                ranges.starts4[i] = made.starts[i]
            else:
                ranges.starts6[i].high = made.starts[i] >> 64
                ranges.starts6[i].low = made.starts[i] & 0xFFFFFFFFFFFFFFFF
            ranges.which[i] = numbers[made.decisions[i]]
        for decision, i in numbers.items():
            self.fill_decision(&ranges.decisions[i], decision)
        ranges.count = len(made.starts)
        return 0

    cdef int fill_decision(self, Decision* decision, given) except -1:
        cdef bytearray packed = bytearray(len(given.typed) * sizeof(Typed))
        cdef Typed* typed = <Typed*><uint8_t*>packed
        cdef uint32_t i
        for i in range(len(given.typed)):
            typed[i].qtype = given.typed[i][0]
            typed[i].action = given.typed[i][1]
        self.keep.append(packed)
        decision.typed = typed
        decision.count = len(given.typed)
        decision.otherwise = given.otherwise
        return 0

    cdef int fill_place(self, Place* place, listening) except -1:
        cdef uint32_t i
        if len(listening.places) != self.conf.zone_count + 1:
            raise ValueError("a place for each zone, and one for what is allowed")
        place.places = <uint32_t*>calloc(len(listening.places), sizeof(uint32_t))
        if place.places == NULL:
            raise MemoryError
        for i in range(len(listening.places)):
            place.places[i] = listening.places[i]
        self.keep.append(listening.address)
        place.address = <const uint8_t*><bytes>listening.address
        place.address_len = len(listening.address)
        place.port = listening.port
        return 0

    def __dealloc__(self):
        cdef uint32_t i
        for i in range(self.conf.rule_count):
            free(self.conf.rules[i].zones)
            free_ranges(&self.conf.rules[i].v4)
            free_ranges(&self.conf.rules[i].v6)
        for i in range(self.conf.listener_count):
            free(self.conf.listeners[i].places)
        free(self.conf.rules)
        free(self.conf.listeners)

    def action(self, uint32_t rule, bytes address not None, uint16_t qtype):
        """The number of what a rule says of a client, 4 or 16 address bytes; 0: nothing."""
        if rule >= self.conf.rule_count or len(address) not in (4, 16):
            raise ValueError("the number of a rule and an address expected")
        return <int>decide(&self.conf.rules[rule], <const uint8_t*>address, len(address), qtype)
