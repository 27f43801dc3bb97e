"""The services of a name: see _services.pxd."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from fastdns._wire cimport SCRATCH_BYTES, lower, scratch
from fastdns.memory._hash cimport hash_bytes
from fastdns.plugins.etcd._layout cimport HOST_NONE, TYPE_SERVICE, Service, open_service
from fastdns.rrsets._layout cimport Body, RRset, Walk, find_set, name_bytes, next_rdata, walk_rrs
from fastdns.rrsets._lookup cimport Place, find_name, next_name, seek
from fastdns.rrsets._order cimport Key, key_of_name, name_of_key

cdef enum:
    FEW_SERVICES = 8
    ALIGNMENT = 8


cdef void* aligned(Request* r, uint32_t size) noexcept nogil:
    """Room in the query's scratch; NULL (and TC) where there is none."""
    cdef uint8_t* at
    if size > SCRATCH_BYTES - ALIGNMENT:
        r.ctx.reply.tc = True
        return NULL
    at = scratch(r.ctx.reply, size + ALIGNMENT)
    if at == NULL:
        return NULL
    return <void*>((<size_t>at + ALIGNMENT - 1) & ~<size_t>(ALIGNMENT - 1))


# -------------------------------------------------------------------------------------------------- names

cdef bint begin_name(Name* name, const uint8_t* wire, uint32_t room) noexcept nogil:
    cdef uint32_t i
    name.wire = wire
    name.size = name_bytes(wire, room)
    for i in range(name.size):
        name.lowered[i] = lower(wire[i])
    return name.size > 0


cdef bint same(const uint8_t* wire, const uint8_t* lowered, uint32_t size) noexcept nogil:
    cdef uint32_t i
    for i in range(size):
        if lower(wire[i]) != lowered[i]:
            return False
    return True


cdef bint is_below_or_at(const uint8_t* wire, uint32_t size, const uint8_t* lowered,
                         uint32_t lowered_size) noexcept nogil:
    cdef uint32_t at = 0
    while size - at > lowered_size:
        at += wire[at] + 1
    return size - at == lowered_size and same(wire + at, lowered, lowered_size)


cdef inline bint is_wild(const uint8_t* label) noexcept nogil:
    return (label[0] == 1 and label[1] == 42) or (label[0] == 3 and memcmp(label + 1, b"any", 3) == 0)


cdef uint32_t places_of(const uint8_t* name, uint8_t* places) noexcept nogil:
    """Where each label of a name begins. Returns how many there are, 127 at most."""
    cdef uint32_t at = 0, count = 0
    while name[at]:
        places[count] = <uint8_t>at
        count += 1
        at += name[at] + 1
    return count


cdef bint fits(const uint8_t* wire, const Name* wanted) noexcept nogil:
    """Whether a name is one that the wildcards of another one stand for, or is below such a name."""
    cdef uint8_t own[128]
    cdef uint8_t theirs[128]
    cdef uint32_t labels = places_of(wanted.lowered, own), others = places_of(wire, theirs), i
    cdef const uint8_t* label
    if labels > others:
        return False
    for i in range(1, labels + 1):
        label = wanted.lowered + own[labels - i]
        if not is_wild(label) and not same(wire + theirs[others - i], label, label[0] + 1):
            return False
    return True


# ----------------------------------------------------------------------------------------------- services

cdef bint make_room(Request* r, Services* found) noexcept nogil:
    cdef uint32_t room = found.room * 2 if found.room else FEW_SERVICES
    cdef Service* grown = <Service*>aligned(r, room * sizeof(Service))
    if grown == NULL:
        return False
    if found.count:
        memcpy(grown, found.at, found.count * sizeof(Service))
    found.at = grown
    found.room = room
    return True


cdef bint add_name(Request* r, const Body* body, const Name* fitting, bint with_text,
                   Services* found) noexcept nogil:
    """The services of one key's name. fitting: NULL, or what the name has to fit. False where there is no room."""
    cdef RRset s
    cdef Walk walk
    cdef Service service
    cdef const uint8_t* rdata
    cdef uint16_t size
    if not find_set(body, TYPE_SERVICE, &s):
        return True
    walk_rrs(&s, &walk)
    while True:
        rdata = next_rdata(&walk, &size)
        if rdata == NULL:
            return True
        if not open_service(rdata, size, &service) or (fitting != NULL and not fits(service.name, fitting)):
            continue
        if service.head.host_kind == HOST_NONE and not (with_text and service.head.text_len):
            continue
        if found.count == found.room and not make_room(r, found):
            return False
        found.at[found.count] = service
        found.count += 1


cdef void choose_group(Services* found) noexcept nogil:
    """Only the group of the shortest key, where there is one; all, where the shortest ones disagree.

    A key without a group ends the search for a shorter one, as in CoreDNS (msg.Group).
    """
    cdef Service first = found.at[0]
    cdef const Service* s
    cdef uint32_t i, kept = 0, looked_at = 0
    for i in range(found.count):
        s = &found.at[i]
        looked_at = i + 1
        if s.head.depth < first.head.depth:
            if s.head.group_len == 0:
                break
            first = s[0]
    if first.head.group_len == 0:
        return
    for i in range(looked_at):
        s = &found.at[i]
        if s.head.depth == first.head.depth and s.head.group_len and not same_group(s, &first):
            return
    for i in range(found.count):
        s = &found.at[i]
        if s.head.group_len == 0 or same_group(s, &first):
            found.at[kept] = s[0]
            kept += 1
    found.count = kept


cdef inline bint same_group(const Service* a, const Service* b) noexcept nogil:
    return a.head.group_len == b.head.group_len and memcmp(a.group, b.group, a.head.group_len) == 0


cdef void find_services(Request* r, const Name* name, bint exact, bint with_text, Services* found) noexcept nogil:
    cdef const uint8_t* base = name.lowered
    cdef uint32_t base_size = name.size - 1
    cdef uint8_t places[128]
    cdef uint8_t relative[256]
    cdef uint32_t i, labels
    cdef int size
    cdef const Name* fitting = NULL
    cdef bint below = False
    cdef Body body
    cdef Key key
    cdef Place place
    found.at = NULL
    found.count = 0
    found.room = 0
    found.exists = False
    labels = places_of(name.lowered, places)
    for i in range(labels):
        if is_wild(name.lowered + places[labels - 1 - i]):
            fitting = name
            base = name.lowered + places[labels - 1 - i] + name.lowered[places[labels - 1 - i]] + 1
            base_size = <uint32_t>(name.lowered + name.size - 1 - base)
            break
    if exact:
        if r.looks == 0:
            r.ctx.reply.tc = True
            return
        r.looks -= 1
        found.exists = find_name(&r.view, base, base_size, &body)
        if found.exists:
            add_name(r, &body, fitting, with_text, found)
    elif key_of_name(base, base_size, &key) and seek(&r.view, key.bytes, key.size, &place):
        while next_name(&place):
            if place.chunk.key.size < key.size or memcmp(place.chunk.key.bytes, key.bytes, key.size) != 0:
                break
            if r.looks == 0:
                r.ctx.reply.tc = True
                break
            r.looks -= 1
            if place.chunk.key.size > key.size and found.exists and not below:
                # There are keys below: that of the name itself does not count.
                found.count = 0
            below = place.chunk.key.size > key.size
            found.exists = True
            size = name_of_key(&place.chunk.key, relative)
            if size >= 0 and find_name(&r.view, relative, <uint32_t>size, &body) \
                    and not add_name(r, &body, fitting, with_text, found):
                break
    if found.count:
        choose_group(found)


# ------------------------------------------------------------------------------------------------ seen

cdef void begin_seen(Request* r, uint32_t most, Seen* seen) noexcept nogil:
    cdef uint32_t slots = 16
    while slots < 2 * most:
        slots *= 2
    seen.mask = slots - 1
    seen.slots = <uint64_t*>aligned(r, slots * sizeof(uint64_t))
    if seen.slots != NULL:
        memset(seen.slots, 0, slots * sizeof(uint64_t))


cdef bint was_seen(const Request* r, Seen* seen, const uint8_t* data, uint32_t size,
                   uint64_t number) noexcept nogil:
    cdef uint64_t hash = hash_bytes(r.ctx.store.seed ^ (number * <uint64_t>0x9E3779B97F4A7C15), data, size) | 1
    cdef uint32_t slot = <uint32_t>(hash >> 32) & seen.mask, _tries
    if seen.slots == NULL:
        return False
    for _tries in range(seen.mask + 1):
        if seen.slots[slot] == 0:
            seen.slots[slot] = hash
            return False
        if seen.slots[slot] == hash:
            return True
        slot = (slot + 1) & seen.mask
    return True
