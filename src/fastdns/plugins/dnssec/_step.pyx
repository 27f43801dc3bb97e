"""The dnssec step: what the steps behind answer is signed for clients that ask for it (the DO bit).

``before`` runs the steps behind, and looks for the signatures of each RRset of their reply among those that all
workers share (_signatures.pxd). Where all are there, they are added, and so is the proof that a name or a type does
not exist: an NSEC record of just that name (RFC 4470; "black lies"). Where some are missing, the query waits.
It hands those RRsets along to Python (signing.py), which signs them and keeps the signatures; then the query is
served again. So what costs time is no part of the hot path, and there is one place that makes replies.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from libc.time cimport time

from fastdns.memory._hash cimport hash_bytes
from fastdns.metrics._stats cimport ERROR_IN_FLIGHT, PLUGIN_COUNTERS, zone_counters
from fastdns.plugins.dnssec._canonical cimport (
    is_below, lower_name, put_canonical, put_next_name, rdata_bytes, same_name,
)
from fastdns.plugins.dnssec._signatures cimport Signatures, SignatureTable, find_signatures
from fastdns.serve._chain cimport run
from fastdns.serve._context cimport (
    ANSWERED, NEXT, NO_SLOT, Context, Outcome, ServiceReply, bare, step_memory, written,
)
from fastdns.serve._nested cimport Found, Records, nested
from fastdns.serve._question cimport detach
from fastdns.serve._replies cimport find_reply
from fastdns.serve._suspend cimport Service, suspend
from fastdns.serve.python._step cimport MAX_HANDED_BYTES, HandOver, Handing
from fastdns._wire cimport (
    CLASS_IN, HEADER_BYTES, MAX_NAME_BYTES, NOERROR, NXDOMAIN, OPCODE_QUERY, RR, SCRATCH_BYTES, SERVFAIL, TYPE_ANY,
    TYPE_AXFR, TYPE_CNAME, TYPE_DS, TYPE_IXFR, TYPE_NS, TYPE_RRSIG, TYPE_SOA, Reply, Section, add_rr,
    forget_records, put_u16, put_u32, scratch,
)

cdef enum:
    MAX_KEYS = 16
    MAX_ZONES = 4096
    MAX_SETS = 256                  # of one section
    TYPE_NSEC = 47
    TYPE_DNSKEY = 48
    # CoreDNS's: what the owner of an RRset has set as its TTL is not known here.
    ORIGINAL_TTL_S = 3600
    RRSIG_FIXED_BYTES = 18          # RFC 4034 section 3.1
    ITEM_BYTES = 26                 # of what is handed along: see put_item
    BITMAP_BYTES = 32

cdef struct KeyConf:
    uint8_t algorithm
    bint sep
    uint16_t tag
    uint32_t signature_bytes
    const uint8_t* rdata
    uint16_t rdata_len
    uint32_t ttl_s

cdef struct ZoneConf:
    const uint8_t* name             # lowercased wire form
    uint32_t name_len

cdef struct Conf:
    const Handing* handing
    const SignatureTable* table
    uint32_t key_count
    bint split                      # keys with the SEP bit sign DNSKEY only, and the others all else
    uint32_t zone_count
    uint32_t counter                # of hits, and then misses, in a zone
    uint16_t too_large              # a reason: the reply has too much to sign
    KeyConf keys[MAX_KEYS]
    ZoneConf* zones                 # the longest first

# What is handed along, for as long as a query is served: memory of the step.
cdef struct Handed:
    const uint8_t* at
    uint32_t size

# One look at a reply.
cdef struct Work:
    Context* ctx
    const Conf* conf
    uint8_t* items                  # RRsets that have no signatures yet
    uint32_t size
    uint32_t room
    uint32_t now_s
    uint32_t hits
    uint32_t misses
    bint full                       # further items are for the next time
    bint too_large

# The types that an NSEC record says are there: those of CoreDNS, and others that names have. The type that is asked
# is taken out. What is left out would be denied by resolvers that reason from the record (RFC 8198).
_NAME_TYPES = (1, 12, 13, 15, 16, 28, 29, 33, 35, 37, 44, 46, 47, 52, 55, 61, 64, 65, 99, 257)
_APEX_TYPES = (*_NAME_TYPES, 2, 6, 48)
# RFC 4035 section 2.3: at a cut no other types are the zone's own.
_CUT_TYPES = (2, 46, 47)


def bitmap(types):
    """RFC 4034 section 4.1.2."""
    found = b""
    for window in sorted({number >> 8 for number in types}):
        bits = bytearray(32)
        for number in types:
            if number >> 8 == window:
                bits[(number & 255) >> 3] |= 0x80 >> (number & 7)
        octets = bytes(bits).rstrip(b"\0")
        found += bytes((window, len(octets))) + octets
    assert len(found) <= BITMAP_BYTES
    return found


cdef bytes _of_name = bitmap(_NAME_TYPES)
cdef bytes _of_apex = bitmap(_APEX_TYPES)
cdef bytes _of_cut = bitmap(_CUT_TYPES)
cdef const uint8_t* NAME_BITS = _of_name
cdef uint32_t NAME_BITS_LEN = <uint32_t>len(_of_name)
cdef const uint8_t* APEX_BITS = _of_apex
cdef uint32_t APEX_BITS_LEN = <uint32_t>len(_of_apex)
cdef const uint8_t* CUT_BITS = _of_cut
cdef uint32_t CUT_BITS_LEN = <uint32_t>len(_of_cut)


cdef uint32_t put_bitmap(const uint8_t* bits, uint32_t length, uint16_t without, uint8_t* out) noexcept nogil:
    """A bitmap without one type. NSEC and RRSIG stay: they are there. Returns its size."""
    cdef uint32_t at = 0, size = 0, octets
    while at < length:
        octets = bits[at + 1]
        memcpy(out + size, bits + at, 2 + octets)
        if (without >> 8 == bits[at] and (without & 255) >> 3 < octets and without != TYPE_NSEC
                and without != TYPE_RRSIG):
            out[size + 2 + ((without & 255) >> 3)] &= ~(0x80 >> (without & 7))
        at += 2 + octets
        while octets and out[size + 1 + octets] == 0:
            octets -= 1
        out[size + 1] = <uint8_t>octets
        if octets:
            size += 2 + octets
    return size


# --------------------------------------------------------------------------------------------------- names

cdef inline const ZoneConf* zone_of(const Conf* conf, const uint8_t* name, uint32_t size) noexcept nogil:
    cdef uint32_t i
    for i in range(conf.zone_count):
        if is_below(name, size, conf.zones[i].name, conf.zones[i].name_len):
            return &conf.zones[i]
    return NULL


cdef inline bint is_apex(const ZoneConf* zone, uint32_t size) noexcept nogil:
    """Whether a name that is in the zone is its apex."""
    return zone.name_len == size


cdef inline bint is_of(const RR* rr, const uint8_t* name, uint32_t size) noexcept nogil:
    return same_name(rr.owner, rr.owner_len, name, size)


# -------------------------------------------------------------------------------------------------- RRsets

cdef inline bint signs(const Conf* conf, const KeyConf* key, uint16_t rrtype) noexcept nogil:
    return not conf.split or key.sep == (rrtype == TYPE_DNSKEY)


cdef uint32_t signature_bytes(const Conf* conf, uint16_t rrtype) noexcept nogil:
    cdef uint32_t i, size = 0
    for i in range(conf.key_count):
        if signs(conf, &conf.keys[i], rrtype):
            size += conf.keys[i].signature_bytes
    return size


cdef uint32_t put_item(Work* w, const Section* section, uint32_t first, uint32_t count, const ZoneConf* zone,
                       uint64_t* key) noexcept nogil:
    """Write an RRset in canonical form behind the items, and its key. Returns its size; 0: there is no room.

    An item: its size (4 bytes), the key (16), type, number of the zone, length of the owner (2 each), the owner,
    and each rdata behind its length (2).
    """
    cdef const RR* rr = &section.rr[first]
    cdef const SignatureTable* t = w.conf.table
    cdef uint8_t* item = w.items + w.size
    cdef uint32_t size = ITEM_BYTES + rr.owner_len
    cdef uint32_t i, length
    cdef uint64_t sums[2]
    if w.room - w.size < size:
        return 0
    put_u16(item + 20, rr.rrtype)
    put_u16(item + 22, <uint16_t>(zone - w.conf.zones))
    put_u16(item + 24, rr.owner_len)
    lower_name(rr.owner, rr.owner_len, item + ITEM_BYTES)
    # The order of records is no part of the key.
    sums[0] = hash_bytes(t.seeds[0], item + 20, size - 20)
    sums[1] = hash_bytes(t.seeds[1], item + 20, size - 20)
    for i in range(first, count):
        rr = &section.rr[i]
        if i != first and (rr.rrtype != section.rr[first].rrtype
                           or not is_of(rr, section.rr[first].owner, section.rr[first].owner_len)):
            continue
        length = rdata_bytes(rr)
        if length > 0xFFFF or w.room - w.size < size + 2 + length:
            return 0
        put_u16(item + size, <uint16_t>length)
        put_canonical(rr, item + size + 2)
        sums[0] += hash_bytes(t.seeds[1], item + size, 2 + length)
        sums[1] += hash_bytes(~t.seeds[0], item + size, 2 + length)
        size += 2 + length
    key[0] = hash_bytes(t.seeds[0], <const uint8_t*>sums, sizeof(sums))
    key[1] = hash_bytes(t.seeds[1], <const uint8_t*>sums, sizeof(sums))
    put_u32(item, size)
    memcpy(item + 4, key, 16)
    return size


cdef uint8_t label_count(const uint8_t* owner) noexcept nogil:
    """RFC 4034 section 3.1.3: without the root, and without the asterisk of a wildcard."""
    cdef uint32_t at = 0
    cdef uint8_t count = 0
    if owner[0] == 1 and owner[1] == 42:
        at = 2
    while owner[at]:
        at += 1 + owner[at]
        count += 1
    return count


cdef bint add_signatures(Work* w, Section* section, uint32_t first, const ZoneConf* zone, const uint8_t* signatures,
                         uint32_t inception_s, uint32_t expiration_s) noexcept nogil:
    cdef const Conf* conf = w.conf
    cdef const KeyConf* key
    cdef RR* rr
    cdef RR covered = section.rr[first]
    cdef uint8_t* rdata
    cdef uint32_t i
    for i in range(conf.key_count):
        key = &conf.keys[i]
        if not signs(conf, key, covered.rrtype):
            continue
        rdata = scratch(w.ctx.reply, RRSIG_FIXED_BYTES + zone.name_len + key.signature_bytes)
        if rdata == NULL:
            return False
        put_u16(rdata, covered.rrtype)
        rdata[2] = key.algorithm
        rdata[3] = label_count(covered.owner)
        put_u32(rdata + 4, ORIGINAL_TTL_S)
        put_u32(rdata + 8, expiration_s)
        put_u32(rdata + 12, inception_s)
        put_u16(rdata + 16, key.tag)
        memcpy(rdata + RRSIG_FIXED_BYTES, zone.name, zone.name_len)
        memcpy(rdata + RRSIG_FIXED_BYTES + zone.name_len, signatures, key.signature_bytes)
        signatures += key.signature_bytes
        rr = add_rr(w.ctx.reply, section, TYPE_RRSIG, covered.ttl_s)
        if rr == NULL:
            return False
        rr.owner = covered.owner
        rr.owner_len = covered.owner_len
        rr.fixed = rdata
        rr.fixed_len = <uint16_t>(RRSIG_FIXED_BYTES + zone.name_len + key.signature_bytes)
    return True


cdef void sign_set(Work* w, Section* section, uint32_t first, uint32_t count, const ZoneConf* zone) noexcept nogil:
    """Sign the RRset of a record, of those before count; or put it among the items."""
    cdef uint64_t key[2]
    cdef uint32_t inception_s = 0, expiration_s = 0
    cdef uint32_t size = signature_bytes(w.conf, section.rr[first].rrtype)
    cdef uint32_t used = w.ctx.reply.scratch_used
    cdef uint32_t item_size
    cdef uint8_t* signatures
    if w.full or w.too_large:
        return
    item_size = put_item(w, section, first, count, zone, key)
    if item_size == 0:
        # What is there is signed now, and this one when the query is served again.
        w.full = w.size != 0
        w.too_large = not w.full
        return
    signatures = scratch(w.ctx.reply, size)
    if signatures == NULL:
        w.too_large = True
    elif find_signatures(w.conf.table, key, w.now_s, size, signatures, &inception_s, &expiration_s):
        w.hits += 1
        w.too_large = not add_signatures(w, section, first, zone, signatures, inception_s, expiration_s)
    else:
        w.ctx.reply.scratch_used = used
        w.size += item_size
        w.misses += 1


cdef inline bint is_alike(const RR* a, const RR* b) noexcept nogil:
    """Whether they are of one RRset."""
    return a.rrtype == b.rrtype and is_of(a, b.owner, b.owner_len)


cdef void sign_section(Work* w, Section* section) noexcept nogil:
    """Sign each RRset in the zones; but no delegation."""
    cdef uint32_t starts[MAX_SETS]
    cdef uint32_t count = section.count, sets = 0, i, j
    cdef const RR* rr
    cdef const ZoneConf* zone
    for i in range(count):
        rr = &section.rr[i]
        if rr.rrtype == TYPE_RRSIG:
            continue
        j = sets
        while j and not is_alike(&section.rr[starts[j - 1]], rr):
            j -= 1
        if j:
            continue
        if sets == MAX_SETS:
            w.too_large = True
            return
        starts[sets] = i
        sets += 1
        zone = zone_of(w.conf, rr.owner, rr.owner_len)
        if zone == NULL or (rr.rrtype == TYPE_NS and section != &w.ctx.reply.answer
                            and not is_apex(zone, rr.owner_len)):
            continue
        sign_set(w, section, i, count, zone)


# -------------------------------------------------------------------------------------------------- denial

cdef uint32_t denial_ttl_s(const RR* soa) noexcept nogil:
    """RFC 9077: of an NSEC record."""
    cdef const uint8_t* last
    cdef uint32_t minimum
    if soa.tail_len >= 4:
        last = soa.tail + soa.tail_len - 4
    elif soa.tail_len == 0 and soa.name_len == 0 and soa.fixed != NULL and soa.fixed_len >= 4:
        last = soa.fixed + soa.fixed_len - 4
    else:
        return soa.ttl_s
    minimum = <uint32_t>last[0] << 24 | <uint32_t>last[1] << 16 | <uint32_t>last[2] << 8 | last[3]
    return minimum if minimum < soa.ttl_s else soa.ttl_s


cdef void deny(Work* w, Section* section, const uint8_t* name, uint32_t name_len, const ZoneConf* zone, bint cut,
               bint below, uint32_t ttl_s) noexcept nogil:
    """Add the NSEC record of a name, and sign it. cut: a delegation is there. below: so are names below it."""
    cdef Reply* r = w.ctx.reply
    cdef uint8_t* rdata = scratch(r, MAX_NAME_BYTES + BITMAP_BYTES)
    cdef uint32_t size
    cdef RR* rr
    if rdata == NULL:
        w.too_large = True
        return
    size = put_next_name(name, name_len, not below, rdata)
    rr = add_rr(r, section, TYPE_NSEC, ttl_s) if size else NULL
    if rr == NULL:
        w.too_large = True
        return
    if cut:
        size += put_bitmap(CUT_BITS, CUT_BITS_LEN, 0, rdata + size)
    elif is_apex(zone, name_len):
        size += put_bitmap(APEX_BITS, APEX_BITS_LEN, w.ctx.q.qtype, rdata + size)
    else:
        size += put_bitmap(NAME_BITS, NAME_BITS_LEN, w.ctx.q.qtype, rdata + size)
    rr.owner = name
    rr.owner_len = <uint16_t>name_len
    rr.fixed = rdata
    rr.fixed_len = <uint16_t>size
    sign_set(w, section, section.count - 1, section.count, zone)


cdef bint follow_aliases(const Context* ctx, const uint8_t** name, uint32_t* name_len) noexcept nogil:
    """The name at the end of the answer's aliases. Returns whether the answer has records of it."""
    cdef const Section* answer = &ctx.reply.answer
    cdef const RR* rr
    cdef uint32_t i = 0, hops = 0
    cdef bint follows = ctx.q.qtype != TYPE_CNAME and ctx.q.qtype != TYPE_ANY
    name[0] = ctx.q.msg + HEADER_BYTES
    name_len[0] = ctx.q.name_len
    while i < answer.count:
        rr = &answer.rr[i]
        i += 1
        if not is_of(rr, name[0], name_len[0]) or rr.rrtype == TYPE_RRSIG:
            continue
        if not follows or rr.rrtype != TYPE_CNAME or hops == answer.count:
            return True
        hops += 1
        name_len[0] = rdata_bytes(rr)
        if rr.name_len == 0 and rr.fixed != NULL:
            name[0] = rr.fixed
        elif rr.fixed_len == 0 and rr.tail_len == 0:
            name[0] = rr.name
        else:
            return True
        i = 0
    return False


cdef bint has_ns(const Records* records, const uint8_t* name, uint32_t name_len) noexcept nogil:
    cdef uint32_t i
    for i in range(records.count):
        if (records.rr[i].rrtype == TYPE_NS and records.rr[i].owner != NULL
                and is_of(&records.rr[i], name, name_len)):
            return True
    return False


cdef const RR* first_of(const Section* section, uint16_t rrtype) noexcept nogil:
    cdef uint32_t i
    for i in range(section.count):
        if section.rr[i].rrtype == rrtype:
            return &section.rr[i]
    return NULL


cdef Outcome find_cut(Context* ctx, bint* cut) noexcept nogil:
    """Whether a delegation is where DS is denied: only then the proof may say so, else all below it would count as
    unsigned."""
    cdef Found found
    cdef const uint8_t* name = ctx.q.msg + HEADER_BYTES
    cdef Outcome outcome = nested(ctx, name, ctx.q.name_len, TYPE_NS, ctx.step + 1, &found)
    cut[0] = (outcome == ANSWERED
              and (has_ns(&found.answer, name, ctx.q.name_len) or has_ns(&found.authority, name, ctx.q.name_len)))
    return outcome


cdef void sign_denial(Work* w, const uint8_t* name, uint32_t name_len, const ZoneConf* zone,
                      bint cut) noexcept nogil:
    """A reply that denies a name, or a type of it. The name is said to be there, without the type."""
    cdef Reply* r = w.ctx.reply
    cdef uint32_t ttl_s = denial_ttl_s(&r.authority.rr[0])
    cdef bint asked = w.ctx.q.qtype == TYPE_NSEC and r.answer.count == 0
    sign_section(w, &r.answer)
    if asked:
        r.authority.count = 0
        deny(w, &r.answer, name, name_len, zone, cut, cut, ttl_s)
    else:
        sign_section(w, &r.authority)
        deny(w, &r.authority, name, name_len, zone, cut, cut, ttl_s)
    r.rcode = NOERROR


cdef void sign_referral(Work* w, const RR* ns, const ZoneConf* zone) noexcept nogil:
    """A delegation: its DS records are signed, or there are none."""
    cdef Section* authority = &w.ctx.reply.authority
    cdef const uint8_t* owner = ns.owner
    cdef uint32_t owner_len = ns.owner_len, ttl_s = ns.ttl_s
    cdef bint has_ds = first_of(authority, TYPE_DS) != NULL
    sign_section(w, &w.ctx.reply.answer)
    sign_section(w, authority)
    if not has_ds:
        deny(w, authority, owner, owner_len, zone, True, True, ttl_s)


cdef void sign_all(Work* w, bint cut) noexcept nogil:
    cdef Reply* r = w.ctx.reply
    cdef const uint8_t* name
    cdef uint32_t name_len
    cdef const ZoneConf* zone
    cdef const RR* ns
    if not follow_aliases(w.ctx, &name, &name_len):
        if r.authority.count == 1 and r.authority.rr[0].rrtype == TYPE_SOA:
            zone = zone_of(w.conf, name, name_len)
            if zone != NULL and zone_of(w.conf, r.authority.rr[0].owner, r.authority.rr[0].owner_len) != NULL:
                sign_denial(w, name, name_len, zone, cut)
                return
        ns = first_of(&r.authority, TYPE_NS)
        if ns != NULL and r.rcode == NOERROR and first_of(&r.authority, TYPE_SOA) == NULL:
            zone = zone_of(w.conf, ns.owner, ns.owner_len)
            if zone != NULL and not is_apex(zone, ns.owner_len):
                sign_referral(w, ns, zone)
                return
    sign_section(w, &r.answer)
    sign_section(w, &r.authority)
    sign_section(w, &r.additional)


# ---------------------------------------------------------------------------------------------- the replies

cdef uint32_t hand(Context* ctx, const uint8_t** at) noexcept nogil:
    """What Python is to sign."""
    cdef Handed* handed = <Handed*>step_memory(ctx, sizeof(Handed))
    if handed == NULL:
        return 0
    at[0] = handed.at
    return handed.size


cdef Outcome fail(Context* ctx, uint16_t error) noexcept nogil:
    forget_records(ctx.reply)
    ctx.error = error
    return bare(ctx, SERVFAIL)


cdef Outcome wait_for_signatures(Work* w) noexcept nogil:
    cdef Context* ctx = w.ctx
    cdef Service* service = <Service*>ctx.slots[w.conf.handing.slot]
    cdef Handed* handed = <Handed*>step_memory(ctx, sizeof(Handed))
    if service == NULL or handed == NULL:
        return fail(ctx, ERROR_IN_FLIGHT)
    handed.at = w.items
    handed.size = w.size
    forget_records(ctx.reply)
    return suspend(ctx, service, w.conf.handing)


cdef Outcome sign_reply(Context* ctx, const Conf* conf, bint cut) noexcept nogil:
    cdef Reply* r = ctx.reply
    cdef Work w
    memset(&w, 0, sizeof(w))
    w.ctx = ctx
    w.conf = conf
    w.now_s = <uint32_t>time(NULL)
    # The other half is for signatures.
    w.room = (SCRATCH_BYTES - r.scratch_used) // 2
    if w.room > MAX_HANDED_BYTES:
        w.room = MAX_HANDED_BYTES
    r.answer.count = detach(r, ctx.q, r.answer.rr, r.answer.count)
    r.authority.count = detach(r, ctx.q, r.authority.rr, r.authority.count)
    r.additional.count = detach(r, ctx.q, r.additional.rr, r.additional.count)
    w.items = scratch(r, w.room)
    if w.items == NULL:
        return fail(ctx, conf.too_large)
    sign_all(&w, cut)
    # What is signed for this query is a miss, and not a hit afterwards.
    if ctx.zone_banks != NULL and ctx.zone_slot != NO_SLOT and find_reply(ctx, conf.handing) == NULL:
        z = zone_counters(ctx.zone_banks, ctx.zone_slot)
        z.plugins[conf.counter] += w.hits
        z.plugins[conf.counter + 1] += w.misses
    if w.too_large:
        return fail(ctx, conf.too_large)
    if w.size:
        return wait_for_signatures(&w)
    return written(ctx)


cdef Outcome answer_keys(Context* ctx, const Conf* conf) noexcept nogil:
    """DNSKEY at an apex."""
    cdef uint32_t i
    cdef RR* rr
    for i in range(conf.key_count):
        rr = add_rr(ctx.reply, &ctx.reply.answer, TYPE_DNSKEY, conf.keys[i].ttl_s)
        rr.fixed = conf.keys[i].rdata
        rr.fixed_len = conf.keys[i].rdata_len
    ctx.reply.aa = True
    return sign_reply(ctx, conf, False) if ctx.q.do_bit else written(ctx)


cdef inline bint denies_type(const Context* ctx) noexcept nogil:
    return ctx.reply.answer.count == 0 and first_of(&ctx.reply.authority, TYPE_SOA) != NULL


cdef Outcome before(Context* ctx, const void* opaque) noexcept nogil:
    cdef const Conf* conf = <const Conf*>opaque
    cdef const ZoneConf* zone
    cdef const ServiceReply* reply
    cdef uint16_t qtype = ctx.q.qtype
    cdef bint cut = False
    cdef Outcome outcome
    if (not ctx.q.do_bit and qtype != TYPE_DNSKEY) or conf.key_count == 0 or ctx.q.opcode != OPCODE_QUERY:
        return NEXT
    zone = zone_of(conf, ctx.q.name, ctx.q.name_len)
    if zone == NULL or ctx.q.qclass != CLASS_IN or qtype == TYPE_AXFR or qtype == TYPE_IXFR:
        return NEXT
    reply = find_reply(ctx, conf.handing)
    if reply != NULL and reply.verdict != NEXT:
        ctx.error_upstream = <uint16_t>conf.handing.number
        return fail(ctx, reply.error)
    if qtype == TYPE_DNSKEY and is_apex(zone, ctx.q.name_len):
        return answer_keys(ctx, conf)
    if not ctx.q.do_bit:
        return NEXT
    outcome = run(ctx, ctx.chain, ctx.step + 1)
    if (outcome != ANSWERED or not ctx.written
            or (ctx.reply.rcode != NOERROR and ctx.reply.rcode != NXDOMAIN)):
        return outcome
    if qtype == TYPE_DS and not is_apex(zone, ctx.q.name_len) and denies_type(ctx):
        outcome = find_cut(ctx, &cut)
        if ctx.suspended:
            return outcome
    return sign_reply(ctx, conf, cut)


cdef class DnssecStep(HandOver):
    """The native half of a Signing step.

    signatures: shared by all workers. keys: each as (algorithm, whether it has the SEP bit, tag, size of its
    signatures, rdata of its DNSKEY record, TTL). zones: in lowercased wire form, the longest first. counter: of
    hits, and then misses, in a zone. too_large: the reason of replies that have too much to sign.
    """
    cdef Conf conf
    cdef Signatures signatures
    cdef list kept

    def __init__(self, step, str plugin not None, uint32_t first_counter, values, Signatures signatures not None,
                 list keys not None, list zones not None, uint32_t counter, uint16_t too_large):
        cdef Conf* conf = &self.conf
        cdef uint32_t i
        cdef bytes rdata, name
        super().__init__(step, plugin, first_counter, values)
        if len(keys) > MAX_KEYS or len(zones) > MAX_ZONES or counter + 1 >= PLUGIN_COUNTERS:
            raise ValueError("too many keys, zones or counters")
        self.kept = [*keys, *zones]
        self.signatures = signatures
        conf.table = signatures.table
        conf.key_count = <uint32_t>len(keys)
        conf.counter = counter
        conf.too_large = too_large
        for i, (algorithm, sep, tag, size, rdata, ttl_s) in enumerate(keys):
            conf.keys[i] = KeyConf(algorithm, sep, tag, size, rdata, <uint16_t>len(rdata), ttl_s)
        conf.split = len({key[1] for key in keys}) == 2
        conf.zones = <ZoneConf*>calloc(max(1, len(zones)), sizeof(ZoneConf))
        if conf.zones == NULL:
            raise MemoryError
        for i, name in enumerate(zones):
            conf.zones[i] = ZoneConf(name, <uint32_t>len(name))
        conf.zone_count = <uint32_t>len(zones)
        size = max(signature_bytes(conf, TYPE_DNSKEY), signature_bytes(conf, TYPE_SOA))
        if size > signatures.table.signature_bytes:
            raise ValueError("the signatures of all keys do not fit")
        self.handing.hand = hand
        conf.handing = &self.handing
        self.step.before = before
        self.step.conf = conf

    def __dealloc__(self):
        free(self.conf.zones)
