"""The etcd step: answers from the services that the watcher has copied from etcd (see _services.pxd).

What the names of a zone answer, as in CoreDNS (plugin/backend_lookup.go):

    A, AAAA     the hosts that are addresses; hosts that are names become CNAME records, and are followed: through
    the
                store where they are in the zone, else through the whole server
    TXT         the texts of services without an address, and hosts that are names, as above
    SRV, MX     hosts that are names; of addresses, the names of their keys, with the addresses
    CNAME, PTR  of the exact key
    NS          at the zone's name: the services below ns.dns.ZONE
    SOA         at the zone's name
    others      no data, where the name exists

The zone's own addresses are those below apex.dns.ZONE; where there are none, all in the zone.
"""

from libc.math cimport floor
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from fastdns._wire cimport (
    CLASS_ANY, CLASS_IN, HEADER_BYTES, NOERROR, NXDOMAIN, REFUSED, RR, SERVFAIL, TYPE_A, TYPE_AAAA, TYPE_AXFR,
    TYPE_CNAME, TYPE_IXFR, TYPE_MX, TYPE_NS, TYPE_PTR, TYPE_SOA, TYPE_SRV, TYPE_TXT, Section, add_rr, in_zone,
    put_u16, put_u32, scratch,
)
from fastdns.memory._atomics cimport load
from fastdns.memory._store cimport source_state
from fastdns.plugins.etcd._layout cimport FLAG_MAIL, FLAG_NO_PORT, HOST_IPV4, HOST_IPV6, HOST_NAME, Service
from fastdns.plugins.etcd._services cimport (
    MAX_LOOKS, Name, Request, Seen, Services, begin_name, begin_seen, find_services, is_below_or_at, was_seen,
)
from fastdns.rrsets._lookup cimport open_zone
from fastdns.serve._context cimport ANSWERED, NEXT, SUSPENDED, Context, Outcome, bare, written
from fastdns.serve._nested cimport WHOLE_SERVER, Found, add_records, nested
from fastdns.serve._zones cimport NativeStep

cdef enum:
    MAX_CHAIN = 11              # CNAME records, one leading to the other
    # Names outside of the zone that one query asks the whole server for: each may be waited for (MAX_REPLAYS).
    MAX_QUESTIONS = 14
    TTL_S = 300                 # of a service that does not say one
    SOA_TTL_S = 30
    SRV_WEIGHT = 100

cdef struct Zone:
    const uint8_t* name
    uint16_t name_len

cdef struct Conf:
    uint32_t source
    uint32_t min_lease_ttl_s
    uint32_t max_lease_ttl_s
    uint16_t unread             # the reason of a failure before the first listing
    uint32_t zone_count
    Zone* zones                 # longest first
    uint32_t fall_count
    Zone* fall                  # where a name error goes to the next plugin

# The CNAME records that have led to a name.
cdef struct Alias:
    const Alias* before
    const uint8_t* target       # in wire form
    uint32_t size

cdef enum Answer:
    MISSING = 0                 # no key has the name
    PRESENT = 1
    FAILED = 2
    WAITS = 3                   # for a question to the whole server


# ------------------------------------------------------------------------------------------------ records

cdef uint32_t ttl_of(const Request* r, const Conf* conf, const Service* s) noexcept nogil:
    """The TTL that a service says, and what is left of its lease, within the bounds: the lower one of both."""
    cdef uint64_t left_s
    if s.head.expires_ns == 0:
        return s.head.ttl_s if s.head.ttl_s else TTL_S
    left_s = 0
    if s.head.expires_ns > r.ctx.received_ns:
        left_s = (s.head.expires_ns - r.ctx.received_ns) // 1000000000
    if left_s < conf.min_lease_ttl_s:
        left_s = conf.min_lease_ttl_s
    elif left_s > conf.max_lease_ttl_s:
        left_s = conf.max_lease_ttl_s
    return s.head.ttl_s if s.head.ttl_s and s.head.ttl_s < left_s else <uint32_t>left_s


cdef RR* add_to(Request* r, Section* section, const Name* owner, uint16_t rrtype, uint32_t ttl_s) noexcept nogil:
    """A record of a name. owner NULL: the question's."""
    cdef RR* rr = add_rr(r.ctx.reply, section, rrtype, ttl_s)
    if rr != NULL and owner != NULL:
        rr.owner = owner.wire
        rr.owner_len = <uint16_t>owner.size
    return rr


cdef void put_target(RR* rr, const uint8_t* target, uint32_t size, bint compressed) noexcept nogil:
    rr.name = target
    rr.name_len = <uint16_t>size
    rr.compress_name = compressed


cdef void add_address(Request* r, const Conf* conf, Section* section, const Name* owner,
                      const Service* s) noexcept nogil:
    cdef uint16_t rrtype = TYPE_A if s.head.host_kind == HOST_IPV4 else TYPE_AAAA
    cdef RR* rr = add_to(r, section, owner, rrtype, ttl_of(r, conf, s))
    if rr != NULL:
        rr.fixed = s.host
        rr.fixed_len = s.head.host_len


cdef void put_soa(Request* r, const Conf* conf, const Zone* zone, Section* section) noexcept nogil:
    """The zone's SOA record: ns.dns.ZONE hostmaster.ZONE. Its serial is the time of the last change."""
    cdef RR* rr = add_rr(r.ctx.reply, section, TYPE_SOA, SOA_TTL_S)
    cdef uint8_t* at = scratch(r.ctx.reply, 2 * zone.name_len + 7 + 11 + 20)
    cdef uint32_t size = 7
    if rr == NULL or at == NULL:
        return
    memcpy(at, b"\x02ns\x03dns", 7)
    memcpy(at + size, zone.name, zone.name_len)
    size += zone.name_len
    memcpy(at + size, b"\x0ahostmaster", 11)
    size += 11
    memcpy(at + size, zone.name, zone.name_len)
    size += zone.name_len
    put_u32(at + size, <uint32_t>load(&source_state(r.ctx.store, conf.source).soa_serial))
    put_u32(at + size + 4, 7200)
    put_u32(at + size + 8, 1800)
    put_u32(at + size + 12, 86400)
    put_u32(at + size + 16, SOA_TTL_S)
    rr.owner_at = <uint16_t>(HEADER_BYTES + r.ctx.q.name_len - zone.name_len)
    rr.fixed = at
    rr.fixed_len = <uint16_t>(size + 20)


# ------------------------------------------------------------------------------------- addresses and texts

cdef bint led_to(const Alias* before, const Name* target) noexcept nogil:
    """Whether a CNAME record of the chain has this target already."""
    while before != NULL:
        if before.size == target.size and is_below_or_at(before.target, before.size, target.lowered, target.size):
            return True
        before = before.before
    return False


cdef Answer ask_elsewhere(Request* r, Section* section, const Name* name, uint16_t qtype, bint aliases,
                          bint* heard) noexcept nogil:
    """Add what the whole server answers. aliases: with CNAME records. heard: whether there was a reply."""
    cdef Found found
    cdef Outcome outcome
    cdef uint32_t i, kept = 0
    heard[0] = False
    if r.questions == 0:
        return PRESENT
    r.questions -= 1
    outcome = nested(r.ctx, name.wire, name.size, qtype, WHOLE_SERVER, &found)
    if outcome == SUSPENDED:
        return WAITS
    if outcome != ANSWERED:
        return PRESENT
    heard[0] = True
    r.ctx.reply.tc |= found.tc
    if not aliases:
        for i in range(found.answer.count):
            if found.answer.rr[i].rrtype != TYPE_CNAME:
                found.answer.rr[kept] = found.answer.rr[i]
                kept += 1
        found.answer.count = kept
    add_records(r.ctx.reply, section, &found.answer)
    return PRESENT


cdef void find_of_apex(Request* r, const Zone* zone, const Name* name, Services* found) noexcept nogil:
    """The services of the zone's own name: those below apex.dns, or all of the zone."""
    cdef uint8_t* special = scratch(r.ctx.reply, 9 + zone.name_len)
    cdef Name apex
    found.exists = False
    found.count = 0
    if special != NULL:
        memcpy(special, b"\x04apex\x03dns", 9)
        memcpy(special + 9, zone.name, zone.name_len)
        if begin_name(&apex, special, 9 + zone.name_len):
            find_services(r, &apex, False, False, found)
    if not found.exists:
        find_services(r, name, False, False, found)


cdef Answer resolve(Request* r, const Conf* conf, const Zone* zone, const Name* name, bint is_question,
                    uint16_t qtype, const Alias* before, uint32_t hops, Section* section) noexcept nogil:
    """Add the A, AAAA or TXT records of a name, and of the names to which it leads.

    name: what is asked, or a target that it has led to, by the aliases before. MISSING: the name does not exist.
    """
    cdef Services found
    cdef Service* s
    cdef Seen seen
    cdef Name target
    cdef Alias alias
    cdef RR* rr
    cdef uint32_t i, mark
    cdef bint heard
    cdef const Name* owner = NULL if is_question else name
    if qtype != TYPE_TXT and name.size == zone.name_len:
        find_of_apex(r, zone, name, &found)
    else:
        find_services(r, name, False, qtype == TYPE_TXT, &found)
    if not found.exists:
        return MISSING
    begin_seen(r, found.count, &seen)
    for i in range(found.count):
        s = &found.at[i]
        if qtype == TYPE_TXT:
            if s.head.host_kind not in (HOST_IPV4, HOST_IPV6) and s.head.text_len:
                if not was_seen(r, &seen, s.text, s.head.text_len, 0):
                    rr = add_to(r, section, owner, TYPE_TXT, ttl_of(r, conf, s))
                    if rr != NULL:
                        rr.fixed = s.text
                        rr.fixed_len = s.head.text_len
                continue
        elif s.head.host_kind == (HOST_IPV4 if qtype == TYPE_A else HOST_IPV6):
            if not was_seen(r, &seen, s.host, s.head.host_len, 0):
                add_address(r, conf, section, owner, s)
            continue
        if s.head.host_kind != HOST_NAME or s.head.text_len:
            continue
        # A target at or below the name would only lead back to it: its services are those of the name, too.
        if hops >= MAX_CHAIN or is_below_or_at(s.host, s.head.host_len, name.lowered, name.size):
            continue
        if not begin_name(&target, s.host, s.head.host_len) or led_to(before, &target):
            continue
        mark = section.count
        rr = add_to(r, section, owner, TYPE_CNAME, ttl_of(r, conf, s))
        if rr == NULL:
            return PRESENT
        put_target(rr, target.wire, target.size, True)
        if is_below_or_at(target.wire, target.size, zone.name, zone.name_len):
            alias.before = before
            alias.target = target.wire
            alias.size = target.size
            if resolve(r, conf, zone, &target, False, qtype, &alias, hops + 1, section) == WAITS:
                return WAITS
            # It is shown only where it leads to something.
            heard = section.count > mark + 1
        elif ask_elsewhere(r, section, &target, qtype, True, &heard) == WAITS:
            return WAITS
        if not heard:
            section.count = mark
    return PRESENT


cdef Answer add_addresses_of(Request* r, const Conf* conf, const Zone* zone, const Name* target) noexcept nogil:
    """The addresses of the target of an SRV or MX record, in the additional section."""
    cdef Section* section = &r.ctx.reply.additional
    cdef uint32_t before = section.count, mark, kept, i
    cdef bint heard, aliases
    if not is_below_or_at(target.wire, target.size, zone.name, zone.name_len):
        if ask_elsewhere(r, section, target, TYPE_A, True, &heard) == WAITS:
            return WAITS
        # CNAME records that have come with the addresses of one family are not said again.
        aliases = section.count == before
        return ask_elsewhere(r, section, target, TYPE_AAAA, aliases, &heard)
    if resolve(r, conf, zone, target, False, TYPE_A, NULL, 0, section) == WAITS:
        return WAITS
    mark = section.count
    if resolve(r, conf, zone, target, False, TYPE_AAAA, NULL, 0, section) == WAITS:
        return WAITS
    if mark > before:
        kept = mark
        for i in range(mark, section.count):
            if section.rr[i].rrtype != TYPE_CNAME:
                section.rr[kept] = section.rr[i]
                kept += 1
        section.count = kept
    return PRESENT


# ----------------------------------------------------------------------------------------------- services

cdef void strip(const uint8_t** target, uint32_t* size, uint32_t labels) noexcept nogil:
    """Take labels from the left of a name in wire form; none where it has no more than that."""
    cdef const uint8_t* at = target[0]
    while labels and at[0]:
        at += at[0] + 1
        labels -= 1
    if labels == 0 and at[0]:
        size[0] -= <uint32_t>(at - target[0])
        target[0] = at


# The weights of the services of one priority, all together.
cdef struct Sum:
    uint32_t key                # priority + 1; 0: free
    uint64_t weight


cdef Sum* sum_of(Sum* sums, uint32_t mask, uint32_t priority) noexcept nogil:
    cdef uint32_t slot = (priority * 2654435761u >> 8) & mask
    while sums[slot].key and sums[slot].key != priority + 1:
        slot = (slot + 1) & mask
    sums[slot].key = priority + 1
    return &sums[slot]


cdef Sum* sum_weights(Request* r, const Services* found, uint32_t* mask) noexcept nogil:
    """By priority. NULL where there is no room."""
    cdef uint32_t slots = 8, i
    cdef uint8_t* room
    cdef Sum* sums
    while slots < 2 * found.count:
        slots *= 2
    room = scratch(r.ctx.reply, slots * sizeof(Sum) + 7)
    if room == NULL:
        return NULL
    sums = <Sum*>((<size_t>room + 7) & ~<size_t>7)
    for i in range(slots):
        sums[i].key = 0
        sums[i].weight = 0
    mask[0] = slots - 1
    for i in range(found.count):
        sum_of(sums, mask[0], found.at[i].head.priority).weight += (
            found.at[i].head.weight if found.at[i].head.weight else SRV_WEIGHT)
    return sums


cdef uint16_t weight_of(const Service* s, uint64_t total) noexcept nogil:
    """The share of a service among those of its priority, in hundredths; CoreDNS's arithmetic, digit for digit."""
    cdef double share = 100.0 / <double>total
    share *= s.head.weight if s.head.weight else SRV_WEIGHT
    share = floor(share)
    return 1 if share < 1 else 100 if share > 100 else <uint16_t>share


cdef Answer answer_services(Request* r, const Conf* conf, const Zone* zone, const Name* name,
                            uint16_t qtype) noexcept nogil:
    """SRV or MX records, and the addresses of their targets."""
    cdef Services found
    cdef Service* s
    cdef Seen seen
    cdef Sum* sums = NULL
    cdef Name target
    cdef const uint8_t* wire
    cdef uint32_t i, size, mask = 0
    cdef bint is_name
    cdef RR* rr
    find_services(r, name, False, False, &found)
    if not found.exists:
        return MISSING
    begin_seen(r, 3 * found.count, &seen)
    if qtype == TYPE_SRV:
        sums = sum_weights(r, &found, &mask)
        if sums == NULL:
            return PRESENT
    for i in range(found.count):
        s = &found.at[i]
        is_name = s.head.host_kind == HOST_NAME
        if (is_name and s.head.text_len) or (qtype == TYPE_SRV and s.head.flags & FLAG_NO_PORT) \
                or (qtype == TYPE_MX and not s.head.flags & FLAG_MAIL):
            continue
        wire = s.host if is_name else s.name
        size = s.head.host_len if is_name else s.head.name_len
        strip(&wire, &size, s.head.target_strip)
        if not begin_name(&target, wire, size):
            continue
        # Of one target with an address, a port, or a preference, is said once.
        if is_name or not was_seen(r, &seen, target.lowered, target.size,
                                   0x10000 | (s.head.port if qtype == TYPE_SRV else s.head.priority)):
            rr = add_to(r, &r.ctx.reply.answer, NULL, qtype, ttl_of(r, conf, s))
            if rr == NULL:
                return PRESENT
            put_u16(rr.inline_fixed, s.head.priority)
            rr.fixed_len = 2
            if qtype == TYPE_SRV:
                put_u16(rr.inline_fixed + 2, weight_of(s, sum_of(sums, mask, s.head.priority).weight))
                put_u16(rr.inline_fixed + 4, s.head.port)
                rr.fixed_len = 6
            put_target(rr, wire, size, qtype == TYPE_MX)
        if is_name:
            if not was_seen(r, &seen, target.lowered, target.size, 0x20000) \
                    and add_addresses_of(r, conf, zone, &target) == WAITS:
                return WAITS
        elif not was_seen(r, &seen, s.host, s.head.host_len, hash_of(&target)):
            add_address(r, conf, &r.ctx.reply.additional, &target, s)
    return PRESENT


cdef uint64_t hash_of(const Name* name) noexcept nogil:
    """FNV-1a of a name, to tell the addresses of one target from those of another."""
    cdef uint64_t hash = 0xCBF29CE484222325u
    cdef uint32_t i
    for i in range(name.size):
        hash = (hash ^ name.lowered[i]) * <uint64_t>0x100000001B3
    return hash | <uint64_t>1 << 63


cdef Answer answer_exactly(Request* r, const Conf* conf, const Name* name, uint16_t qtype) noexcept nogil:
    """CNAME: the first service of the name's own key; PTR: all of them. Only hosts that are names."""
    cdef Services found
    cdef Service* s
    cdef Seen seen
    cdef Name target
    cdef RR* rr
    cdef uint32_t i
    find_services(r, name, True, False, &found)
    if not found.exists:
        # Keys below it make it a name that exists (RFC 8020).
        find_services(r, name, False, False, &found)
        return PRESENT if found.exists else MISSING
    begin_seen(r, found.count, &seen)
    for i in range(1 if qtype == TYPE_CNAME and found.count else found.count):
        s = &found.at[i]
        if s.head.host_kind != HOST_NAME or not begin_name(&target, s.host, s.head.host_len) \
                or was_seen(r, &seen, target.lowered, target.size, 0):
            continue
        rr = add_to(r, &r.ctx.reply.answer, NULL, qtype, ttl_of(r, conf, s))
        if rr != NULL:
            put_target(rr, target.wire, target.size, True)
    return PRESENT


cdef Answer answer_nameservers(Request* r, const Conf* conf, const Zone* zone) noexcept nogil:
    """The services below ns.dns.ZONE, by the names of their keys. A host that is a name is a mistake."""
    cdef uint8_t* special = scratch(r.ctx.reply, 7 + zone.name_len)
    cdef Services found
    cdef Service* s
    cdef Seen seen
    cdef Name name
    cdef const uint8_t* wire
    cdef uint32_t i, size
    cdef RR* rr
    if special == NULL:
        return FAILED
    memcpy(special, b"\x02ns\x03dns", 7)
    memcpy(special + 7, zone.name, zone.name_len)
    if not begin_name(&name, special, 7 + zone.name_len):
        return MISSING
    find_services(r, &name, False, False, &found)
    if not found.exists:
        return MISSING
    begin_seen(r, 2 * found.count, &seen)
    for i in range(found.count):
        s = &found.at[i]
        if s.head.host_kind == HOST_NAME:
            if s.head.text_len:
                continue
            return FAILED
        wire = s.name
        size = s.head.name_len
        strip(&wire, &size, s.head.target_strip)
        if not begin_name(&name, wire, size):
            continue
        if not was_seen(r, &seen, name.lowered, name.size, 0):
            rr = add_to(r, &r.ctx.reply.answer, NULL, TYPE_NS, ttl_of(r, conf, s))
            if rr != NULL:
                put_target(rr, wire, size, True)
        if not was_seen(r, &seen, s.host, s.head.host_len, hash_of(&name)):
            add_address(r, conf, &r.ctx.reply.additional, &name, s)
    return PRESENT


# --------------------------------------------------------------------------------------------------- step

cdef Outcome negative(Request* r, const Conf* conf, const Zone* zone, uint16_t rcode) noexcept nogil:
    """RFC 2308: the SOA record in the authority section, whatever the code."""
    r.ctx.reply.answer.count = 0
    r.ctx.reply.additional.count = 0
    r.ctx.reply.rcode = rcode
    r.ctx.reply.aa = True
    put_soa(r, conf, zone, &r.ctx.reply.authority)
    return written(r.ctx)


cdef inline const Zone* zone_of(const Conf* conf, const Context* ctx) noexcept nogil:
    cdef uint32_t i
    for i in range(conf.zone_count):
        if in_zone(ctx.q, conf.zones[i].name, conf.zones[i].name_len):
            return &conf.zones[i]
    return NULL


cdef Answer answer(Request* r, const Conf* conf, const Zone* zone, const Name* name) noexcept nogil:
    """Add what the question asks for."""
    cdef uint16_t qtype = r.ctx.q.qtype
    cdef bint is_apex = name.size == zone.name_len
    cdef Services found
    if qtype == TYPE_A or qtype == TYPE_AAAA or qtype == TYPE_TXT:
        return resolve(r, conf, zone, name, True, qtype, NULL, 0, &r.ctx.reply.answer)
    if qtype == TYPE_SRV or qtype == TYPE_MX:
        return answer_services(r, conf, zone, name, qtype)
    if qtype == TYPE_CNAME or qtype == TYPE_PTR:
        return answer_exactly(r, conf, name, qtype)
    if qtype == TYPE_NS and is_apex:
        return answer_nameservers(r, conf, zone)
    if qtype == TYPE_SOA and is_apex:
        put_soa(r, conf, zone, &r.ctx.reply.answer)
        return PRESENT
    find_services(r, name, False, False, &found)
    return PRESENT if found.exists else MISSING


cdef Outcome before(Context* ctx, const void* opaque) noexcept nogil:
    cdef const Conf* conf = <const Conf*>opaque
    cdef const Zone* zone = zone_of(conf, ctx)
    cdef Request request
    cdef Request* r = &request
    cdef Name name
    cdef Answer found
    cdef uint32_t i
    if zone == NULL:
        return NEXT
    if ctx.q.qclass != CLASS_IN and ctx.q.qclass != CLASS_ANY:
        # Names of the zone are no upstream's, in no class.
        return bare(ctx, REFUSED)
    if ctx.q.qtype == TYPE_AXFR or ctx.q.qtype == TYPE_IXFR:
        return bare(ctx, REFUSED)
    r.ctx = ctx
    r.looks = MAX_LOOKS
    r.questions = MAX_QUESTIONS
    if not load(&source_state(ctx.store, conf.source).synced) & 1 \
            or not open_zone(ctx.store, conf.source, b"\0", 1, &r.view):
        # The name may exist: neither a denial nor an upstream may answer yet.
        ctx.error = conf.unread
        return bare(ctx, SERVFAIL)
    begin_name(&name, ctx.q.name, ctx.q.name_len)
    found = answer(r, conf, zone, &name)
    if found == WAITS:
        return SUSPENDED
    if found == FAILED:
        return negative(r, conf, zone, SERVFAIL)
    if found == MISSING:
        for i in range(conf.fall_count):
            if in_zone(ctx.q, conf.fall[i].name, conf.fall[i].name_len):
                return NEXT
        # A zone's own name exists.
        return negative(r, conf, zone, NOERROR if name.size == zone.name_len else NXDOMAIN)
    if ctx.reply.answer.count == 0:
        return negative(r, conf, zone, NOERROR)
    ctx.reply.aa = True
    return written(ctx)


cdef Zone* zones_from(list names) except NULL:
    """Wire forms that stay; the longest first."""
    cdef Zone* zones = <Zone*>calloc(len(names) + 1, sizeof(Zone))
    cdef bytes name
    if zones == NULL:
        raise MemoryError
    for i, name in enumerate(names):
        zones[i].name = name
        zones[i].name_len = len(name)
    return zones


cdef class EtcdStep(NativeStep):
    """The step of one etcd block.

    source: of the zone store. zones, fall: lowercased wire names, of what is answered, and where unknown names go
    on to the next plugin. unread: the reason of a failure before etcd has been read.
    """
    cdef Conf conf
    cdef list keep

    def __init__(self, *, uint32_t source, list zones, list fall, uint32_t min_lease_ttl_s,
                 uint32_t max_lease_ttl_s, uint16_t unread):
        zones = sorted(zones, key=len, reverse=True)
        self.keep = [zones, fall]
        self.conf.source = source
        self.conf.min_lease_ttl_s = min_lease_ttl_s
        self.conf.max_lease_ttl_s = max_lease_ttl_s
        self.conf.unread = unread
        self.conf.zones = zones_from(zones)
        self.conf.zone_count = len(zones)
        self.conf.fall = zones_from(fall)
        self.conf.fall_count = len(fall)
        self.step.before = before
        self.step.conf = &self.conf

    def __dealloc__(self):
        free(self.conf.zones)
        free(self.conf.fall)
