"""Denial: see _denial.pxd."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy

from fastdns._wire cimport TYPE_SOA
from fastdns.authoritative._answering cimport (
    BY_NSEC, BY_NSEC3, TYPE_NSEC, TYPE_NSEC3, Owner, absolute_owner, add_set, apex_owner, is_new, owner_at,
)
from fastdns.authoritative._nsec3 cimport HASH_LABEL_BYTES, hash_label
from fastdns.dns._cursor cimport lower
from fastdns.rrsets._layout cimport KEY_ROOM, RRset, find_set
from fastdns.rrsets._lookup cimport NAME_EMPTY, NAME_WILDCARD, Place, find_name, seek
from fastdns.rrsets._order cimport Key, key_of_name, name_of_key


cdef void add_soa(Answering* a) noexcept nogil:
    cdef RRset s
    cdef const uint8_t* end
    cdef uint32_t minimum
    if not find_set(&a.apex, TYPE_SOA, &s) or s.size < 4:
        return
    # The last of its numbers.
    end = s.rrs + s.size - 4
    minimum = <uint32_t>end[0] << 24 | <uint32_t>end[1] << 16 | <uint32_t>end[2] << 8 | end[3]
    add_set(a, &a.ctx.reply.authority, &s, min(s.ttl_s, minimum), &a.apex, apex_owner(a))


cdef void show(Answering* a, const Body* body, uint16_t rrtype, Owner owner) noexcept nogil:
    cdef RRset s
    if find_set(body, rrtype, &s):
        add_set(a, &a.ctx.reply.authority, &s, s.ttl_s, body, owner)


# ------------------------------------------------------------------------------------------------ NSEC


cdef void show_nsec_at(Answering* a, const Body* body, Owner owner) noexcept nogil:
    """The NSEC record of a name."""
    if body.size and is_new(a, body.at):
        show(a, body, TYPE_NSEC, owner)


cdef void show_nsec_before(Answering* a, const uint8_t* relative, uint32_t size) noexcept nogil:
    """The NSEC record that covers a name which does not exist: that of the last name before it that has one.

    Names below a cut have none; the cut has.
    """
    cdef uint8_t name[256]
    cdef Key key
    cdef Place place
    cdef Body body
    cdef RRset s
    cdef Owner owner
    cdef uint32_t at = 0
    cdef int length
    if not key_of_name(relative, size, &key) or not seek(a.z, key.bytes, key.size, &place) or not place.has_before:
        return
    length = name_of_key(&place.before, name)
    if length < 0:
        return
    while not find_name(a.z, name + at, length - at, &body) or not find_set(&body, TYPE_NSEC, &s):
        if <int>at >= length:
            return
        at += name[at] + 1
    if not is_new(a, body.at):
        return
    if <int>at == length:
        show(a, &body, TYPE_NSEC, apex_owner(a))
    elif absolute_owner(a, name + at, length - at, &owner):
        show(a, &body, TYPE_NSEC, owner)


cdef inline uint32_t wildcard_at(const Answering* a, uint32_t at, uint8_t* out) noexcept nogil:
    """The relative name of the wildcard right below a closest encloser: its bytes; 0 where it would be too long."""
    cdef uint32_t size = a.q.name_len - a.z.name_len - at
    if size > 252:
        return 0
    out[0] = 1
    out[1] = 42
    memcpy(out + 2, a.q.name + at, size)
    return size + 2


# ------------------------------------------------------------------------------------------------ NSEC3


cdef uint32_t shelf_label(uint8_t* out, uint32_t iterations, const uint8_t* salt, uint32_t salt_len) noexcept nogil:
    cdef uint32_t i, kept = min(salt_len, <uint32_t>MAX_LABEL_SALT_BYTES)
    out[0] = <uint8_t>(3 + kept)
    out[1] = 0
    out[2] = lower(<uint8_t>(iterations >> 8))
    out[3] = lower(<uint8_t>iterations)
    for i in range(kept):
        out[4 + i] = lower(salt[i])
    return 4 + kept


cdef bint is_shelved(const Answering* a) noexcept nogil:
    cdef uint32_t size = a.q.name_len - a.z.name_len, i, last = 0
    if size == 0:
        return False
    for i in range(a.q.label_count):
        if a.q.label_at[i] >= size:
            break
        last = a.q.label_at[i]
    return a.q.name[last + 1] == 0


cdef uint32_t hashed_name(const Answering* a, const uint8_t* relative, uint32_t size, uint8_t* out) noexcept nogil:
    """The name on the shelf of the NSEC3 record for a name of the zone; out has 128 bytes. 0: there is none."""
    cdef uint8_t name[256]
    if a.iterations > MAX_ITERATIONS or size + a.z.name_len > 255:
        return 0
    memcpy(name, relative, size)
    memcpy(name + size, a.ctx.q.name + a.ctx.q.name_len - a.z.name_len, a.z.name_len)
    hash_label(name, size + a.z.name_len, a.iterations, a.salt, a.salt_len, out)
    return HASH_LABEL_BYTES + shelf_label(out + HASH_LABEL_BYTES, a.iterations, a.salt, a.salt_len)


cdef void show_nsec3(Answering* a, const Body* body, const uint8_t* name) noexcept nogil:
    """An NSEC3 record, under the name that it has in the zone."""
    cdef Owner owner
    if is_new(a, body.at) and absolute_owner(a, name, HASH_LABEL_BYTES, &owner):
        show(a, body, TYPE_NSEC3, owner)


cdef bint show_matching(Answering* a, const uint8_t* relative, uint32_t size) noexcept nogil:
    """The NSEC3 record that matches a name, or False."""
    cdef uint8_t name[128]
    cdef uint32_t length = hashed_name(a, relative, size, name)
    cdef Body body
    if length == 0 or not find_name(a.z, name, length, &body):
        return False
    show_nsec3(a, &body, name)
    return True


cdef void show_covering(Answering* a, const uint8_t* relative, uint32_t size) noexcept nogil:
    """The NSEC3 record that covers a name which has none: the one before in the row, or the last one."""
    cdef uint8_t name[256]
    cdef uint32_t length = hashed_name(a, relative, size, name)
    cdef Key key
    cdef Key shelf
    cdef Place place
    cdef Body body
    if length == 0 or not key_of_name(name, length, &key):
        return
    if not key_of_name(name + HASH_LABEL_BYTES, length - HASH_LABEL_BYTES, &shelf) or shelf.size >= KEY_ROOM:
        return
    if not seek(a.z, key.bytes, key.size, &place):
        return
    if not place.has_before or not is_on(&place.before, &shelf):
        # Behind all of the row.
        memcpy(key.bytes, shelf.bytes, shelf.size)
        key.bytes[shelf.size] = 0xFF
        if not seek(a.z, key.bytes, shelf.size + 1, &place) or not place.has_before \
                or not is_on(&place.before, &shelf):
            return
    if name_of_key(&place.before, name) == <int>length and find_name(a.z, name, length, &body):
        show_nsec3(a, &body, name)


cdef inline bint is_on(const Key* key, const Key* shelf) noexcept nogil:
    return key.size > shelf.size and memcmp(key.bytes, shelf.bytes, shelf.size) == 0


cdef inline uint32_t label_before(const Answering* a, uint32_t at) noexcept nogil:
    """Where the label before a place in the name begins."""
    cdef uint32_t i, last = 0
    for i in range(a.q.label_count):
        if a.q.label_at[i] >= at:
            break
        last = a.q.label_at[i]
    return last


cdef uint32_t prove_encloser(Answering* a, uint32_t at) noexcept nogil:
    """RFC 5155 section 7.2.1, from a name that exists upwards: the closest encloser that can be proved, and that
    there is no closer one. With opt-out, names may have no record. Returns the place of that encloser."""
    cdef uint32_t size = a.q.name_len - a.z.name_len
    while not show_matching(a, a.q.name + at, size - at):
        if at >= size:
            return size
        at += a.q.name[at] + 1
    if at:
        show_next_closer(a, at)
    return at


cdef void show_next_closer(Answering* a, uint32_t at) noexcept nogil:
    cdef uint32_t before = label_before(a, at)
    show_covering(a, a.q.name + before, a.q.name_len - a.z.name_len - before)


# ------------------------------------------------------------------------------------------------ proofs


cdef void prove_no_name(Answering* a, const Lookup* found) noexcept nogil:
    cdef uint8_t wildcard[256]
    cdef uint32_t size, at = found.at
    if a.proofs == BY_NSEC:
        show_nsec_before(a, a.q.name, a.q.name_len - a.z.name_len)
    elif a.proofs == BY_NSEC3:
        at = prove_encloser(a, at)
    else:
        return
    size = wildcard_at(a, at, wildcard)
    if size == 0:
        return
    if a.proofs == BY_NSEC:
        show_nsec_before(a, wildcard, size)
    else:
        show_covering(a, wildcard, size)


cdef void prove_no_type(Answering* a, const Lookup* found) noexcept nogil:
    cdef uint8_t wildcard[256]
    cdef uint32_t size
    if a.proofs == BY_NSEC:
        if found.found == NAME_WILDCARD:
            show_nsec_before(a, a.q.name, a.q.name_len - a.z.name_len)
            size = wildcard_at(a, found.at, wildcard)
            if found.body.size == 0:
                show_nsec_before(a, wildcard, size)
            elif is_new(a, found.body.at):
                show_wildcard(a, &found.body, wildcard, size)
        elif found.found == NAME_EMPTY:
            show_nsec_before(a, a.q.name, a.q.name_len - a.z.name_len)
        else:
            show_nsec_at(a, &found.body, owner_at(a, 0))
    elif a.proofs == BY_NSEC3:
        if found.found == NAME_WILDCARD:
            prove_encloser(a, found.at)
            size = wildcard_at(a, found.at, wildcard)
            show_matching(a, wildcard, size)
        else:
            prove_encloser(a, 0)


cdef void show_wildcard(Answering* a, const Body* body, const uint8_t* wildcard, uint32_t size) noexcept nogil:
    cdef Owner owner
    if absolute_owner(a, wildcard, size, &owner):
        show(a, body, TYPE_NSEC, owner)


cdef void prove_no_closer_name(Answering* a, const Lookup* found) noexcept nogil:
    if a.proofs == BY_NSEC:
        show_nsec_before(a, a.q.name, a.q.name_len - a.z.name_len)
    elif a.proofs == BY_NSEC3:
        show_next_closer(a, found.at)


cdef void prove_no_ds(Answering* a, const Lookup* found) noexcept nogil:
    if a.proofs == BY_NSEC:
        show_nsec_at(a, &found.body, owner_at(a, found.at))
    elif a.proofs == BY_NSEC3:
        prove_encloser(a, found.at)
