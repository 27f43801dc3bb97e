"""The canonical order of names: see _order.pxd."""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp, memcpy

from fastdns.dns._cursor cimport lower
from fastdns.rrsets._layout cimport KEY_ROOM, u16_at, u32_at


cdef bint key_of_name(const uint8_t* name, uint32_t size, Key* key) noexcept nogil:
    cdef uint8_t starts[128]
    cdef uint32_t labels = 0, at = 0, out = 0, i
    cdef uint8_t byte
    while at < size:
        if labels == 127 or name[at] == 0 or name[at] > 63 or at + 1 + name[at] > size:
            return False
        starts[labels] = <uint8_t>at
        labels += 1
        at += name[at] + 1
    if size > 254:
        return False
    while labels:
        labels -= 1
        at = starts[labels]
        for i in range(1, <uint32_t>name[at] + 1):
            byte = lower(name[at + i])
            if byte <= 1:
                key.bytes[out] = 1
                out += 1
                byte += 1
            key.bytes[out] = byte
            out += 1
        key.bytes[out] = 0
        out += 1
    key.size = out
    return True


cdef int name_of_key(const Key* key, uint8_t* name) noexcept nogil:
    cdef uint8_t label[64]
    cdef uint32_t at = 0, size = 0, room = 255
    # From the end: the labels come from the zone downwards.
    while at < key.size:
        size = 0
        while at < key.size and key.bytes[at] != 0:
            if size == 63:
                return -1
            label[1 + size] = key.bytes[at]
            if key.bytes[at] == 1:
                at += 1
                if at == key.size or not 1 <= key.bytes[at] <= 2:
                    return -1
                label[1 + size] = key.bytes[at] - 1
            size += 1
            at += 1
        if size == 0 or at == key.size or size + 1 > room:
            return -1
        at += 1
        label[0] = <uint8_t>size
        room -= size + 1
        memcpy(name + room, label, size + 1)
    size = 255 - room
    if room:
        for at in range(size):
            name[at] = name[room + at]
    return <int>size


cdef int compare_keys(const uint8_t* a, uint32_t a_size, const uint8_t* b, uint32_t b_size) noexcept nogil:
    cdef uint32_t size = min(a_size, b_size)
    # The key of the apex may be NULL.
    cdef int order = memcmp(a, b, size) if size else 0
    if order:
        return order
    return (a_size > b_size) - (a_size < b_size)


cdef bint open_directory(const uint8_t* payload, uint32_t size, Directory* d) noexcept nogil:
    d.count = 0
    if size < 8:
        return False
    d.count = u32_at(payload)
    if d.count > (size - 8) // 8:
        d.count = 0
        return False
    d.numbers = payload + 4
    d.places = d.numbers + 4 * <size_t>d.count
    d.keys = d.places + 4 * (<size_t>d.count + 1)
    d.keys_size = size - 8 - 8 * d.count
    return True


cdef bint open_chunk(const uint8_t* payload, uint32_t size, Chunk* c) noexcept nogil:
    c.start = payload
    c.size = size
    c.left = 0
    c.count = 0
    c.restarts = 0
    c.key.size = 0
    if size < 4:
        return False
    c.count = u16_at(payload)
    c.restarts = u16_at(payload + 2)
    c.at = 4 + 2 * c.restarts
    if c.at > size or c.restarts != (c.count + 15) // 16:
        c.count = 0
        c.restarts = 0
        return False
    c.left = c.count
    return True


cdef bint next_entry(Chunk* c) noexcept nogil:
    cdef uint32_t shared, size
    if c.left == 0 or c.size - c.at < 2:
        c.left = 0
        return False
    shared = c.start[c.at]
    size = c.start[c.at + 1]
    c.at += 2
    if size == 255:
        if c.size - c.at < 2:
            c.left = 0
            return False
        size = u16_at(c.start + c.at)
        c.at += 2
    if shared > c.key.size or size > c.size - c.at or shared + size > KEY_ROOM:
        c.left = 0
        return False
    memcpy(c.key.bytes + shared, c.start + c.at, size)
    c.key.size = shared + size
    c.at += size
    c.left -= 1
    return True


cdef bint go_to_restart(Chunk* c, uint32_t i) noexcept nogil:
    cdef uint32_t at = u16_at(c.start + 4 + 2 * i)
    if at < 4 + 2 * c.restarts or at > c.size:
        c.left = 0
        return False
    c.at = at
    c.left = c.count - 16 * i
    c.key.size = 0
    return True


cdef void seek_restart(Chunk* c, const uint8_t* key, uint32_t size) noexcept nogil:
    cdef uint32_t low = 0, high = c.restarts, middle
    # The first one that is not below the key, less one.
    while low < high:
        middle = low + (high - low) // 2
        if not go_to_restart(c, middle) or not next_entry(c):
            return
        if compare_keys(c.key.bytes, c.key.size, key, size) < 0:
            low = middle + 1
        else:
            high = middle
    if c.restarts:
        go_to_restart(c, low - 1 if low else 0)


cdef bint last_entry(Chunk* c) noexcept nogil:
    cdef bint found = False
    if c.restarts and go_to_restart(c, c.restarts - 1):
        while next_entry(c):
            found = True
    return found


cdef uint32_t chunk_for(const Directory* d, const uint8_t* key, uint32_t size) noexcept nogil:
    cdef uint32_t low = 0, high = d.count, middle, first_size
    cdef const uint8_t* first
    # The first one that begins behind the key, less one.
    while low < high:
        middle = low + (high - low) // 2
        first = first_key(d, middle, &first_size)
        if compare_keys(first, first_size, key, size) <= 0:
            low = middle + 1
        else:
            high = middle
    return low - 1 if low else 0
