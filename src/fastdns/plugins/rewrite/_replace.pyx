"""Names as text: see _replace.pxd."""

from libc.string cimport memcpy

from fastdns.dns._cursor cimport lower
from fastdns.regex._pattern cimport MAX_SLOTS
from fastdns.regex._regex cimport matches, search


cdef struct Output:
    uint8_t* out
    uint32_t size
    uint32_t room
    bint full


cdef inline void put(Output* o, const uint8_t* text, uint32_t length) noexcept nogil:
    if length > o.room - o.size:
        o.full = True
        return
    if length:
        memcpy(o.out + o.size, text, length)
        o.size += length


cdef inline bint is_at(const Replacing* r, const uint8_t* text) noexcept nogil:
    """Whether what is looked for stands there; the text has that much left."""
    cdef uint32_t i
    for i in range(r.length):
        if lower(text[i]) != r.text[i]:
            return False
    return True


cdef bint found_in(const Replacing* r, const uint8_t* text, uint32_t length) noexcept nogil:
    cdef uint32_t i
    if r.kind == REGEX:
        return matches(r.pattern, text, <int32_t>length)
    if r.length > length:
        return False
    if r.kind == EXACT:
        return r.length == length and is_at(r, text)
    if r.kind == PREFIX:
        return is_at(r, text)
    if r.kind == SUFFIX:
        return is_at(r, text + length - r.length)
    for i in range(length - r.length + 1):
        if is_at(r, text + i):
            return True
    return False


cdef void put_groups(const Replacing* r, const uint8_t* text, const int32_t* offsets, Output* o) noexcept nogil:
    cdef uint32_t i
    cdef int32_t begin, end
    for i in range(r.piece_count):
        if r.pieces[i].group == NO_GROUP:
            put(o, r.pieces[i].text, r.pieces[i].length)
            continue
        begin = offsets[2 * r.pieces[i].group]
        end = offsets[2 * r.pieces[i].group + 1]
        # A group that takes no part in the match has -1 for both.
        if begin >= 0:
            put(o, text + begin, <uint32_t>(end - begin))


cdef void put_substrings(const Replacing* r, const uint8_t* text, uint32_t length, Output* o) noexcept nogil:
    """All that do not overlap, from the left."""
    cdef uint32_t at = 0
    while at < length:
        if r.length and r.length <= length - at and is_at(r, text + at):
            put(o, r.pieces[0].text, r.pieces[0].length)
            at += r.length
        else:
            put(o, text + at, 1)
            at += 1


cdef int32_t replace(const Replacing* r, const uint8_t* text, uint32_t length, uint8_t* out,
                     uint32_t room) noexcept nogil:
    cdef int32_t offsets[MAX_SLOTS]
    cdef Output o
    if not (search(r.pattern, text, <int32_t>length, offsets) if r.kind == REGEX else found_in(r, text, length)):
        return NO_MATCH
    o.out = out
    o.size = 0
    o.room = room
    o.full = False
    if r.kind == REGEX:
        put_groups(r, text, offsets, &o)
    elif r.kind == SUBSTRING:
        put_substrings(r, text, length, &o)
    else:
        if r.kind == SUFFIX:
            put(&o, text, length - r.length)
        put(&o, r.pieces[0].text, r.pieces[0].length)
        if r.kind == PREFIX:
            put(&o, text + r.length, length - r.length)
    return NO_ROOM if o.full else <int32_t>o.size
