"""Reads the fields of protobuf messages. Every read is checked against the end of the message that it is in."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    VARINT = 0
    FIXED64 = 1
    BYTES = 2
    FIXED32 = 5


cdef struct Cursor:
    const uint8_t* at
    const uint8_t* end
    bint failed

# One field: its number, and its value: a number, or where its bytes are.
cdef struct Field:
    uint32_t number
    uint32_t type
    uint64_t value
    const uint8_t* data
    const uint8_t* end


cdef inline uint64_t read_varint(Cursor* c) noexcept nogil:
    cdef uint64_t value = 0
    cdef uint32_t shift = 0
    cdef uint8_t byte
    while c.at < c.end and shift < 64:
        byte = c.at[0]
        value |= <uint64_t>(byte & 0x7F) << shift
        c.at += 1
        if byte < 0x80:
            return value
        shift += 7
    c.failed = True
    c.at = c.end
    return 0


cdef inline bint next_field(Cursor* c, Field* f) noexcept nogil:
    """The next field of a message; False at its end, or where it is broken (c.failed)."""
    cdef uint64_t key
    if c.at >= c.end:
        return False
    key = read_varint(c)
    f.number = <uint32_t>(key >> 3)
    f.type = key & 7
    f.value = 0
    f.data = f.end = NULL
    if c.failed or key >> 32 or f.number == 0:
        c.failed = True
        return False
    if f.type == VARINT:
        f.value = read_varint(c)
        return not c.failed
    if f.type == BYTES:
        f.value = read_varint(c)
    elif f.type == FIXED64:
        f.value = 8
    elif f.type == FIXED32:
        f.value = 4
    else:
        # Groups are in no Kubernetes message.
        c.failed = True
        return False
    if c.failed or f.value > <uint64_t>(c.end - c.at):
        c.failed = True
        return False
    f.data = c.at
    c.at += f.value
    f.end = c.at
    return True


cdef inline Cursor inside(const Field* f) noexcept nogil:
    cdef Cursor c
    c.at = f.data
    c.end = f.end
    # A message that is not in the form of one.
    c.failed = f.type != BYTES
    return c


cdef inline int whole(const Cursor* c) except -1:
    if c.failed:
        raise ValueError("its protobuf is broken")
    return 0


cdef inline str text_of(const Field* f):
    if f.type != BYTES:
        raise ValueError("its protobuf has a number where text is expected")
    return PyUnicode_DecodeUTF8(<const char*>f.data, f.end - f.data, NULL)


cdef inline object text_or_none(const Field* f):
    # A string that is not set is written as an empty one; JSON leaves it out.
    return text_of(f) if f.type != BYTES or f.data != f.end else None


cdef inline Cursor over(bytes data) noexcept:
    cdef Cursor c
    c.at = <const uint8_t*>PyBytes_AS_STRING(data)
    c.end = c.at + PyBytes_GET_SIZE(data)
    c.failed = False
    return c
