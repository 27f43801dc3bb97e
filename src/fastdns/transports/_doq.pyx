"""What a message over QUIC may not be (RFC 9250 section 4.3.3)."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastdns.dns._cursor cimport Cursor, read_u16, read_u32, skip
from fastdns.dns._numbers cimport HEADER_BYTES, TYPE_OPT

cdef enum:
    OPTION_TCP_KEEPALIVE = 11       # RFC 7828
    MAX_LABEL_BYTES = 63


cdef inline void skip_name(Cursor* c) noexcept nogil:
    cdef uint8_t size
    while not c.failed:
        if c.pos >= c.length:
            c.failed = True
            return
        size = c.msg[c.pos]
        c.pos += 1
        if size == 0:
            return
        if size > MAX_LABEL_BYTES:
            # A pointer ends the name; other kinds of labels fail where the message is parsed.
            skip(c, 1)
            return
        skip(c, size)


cdef bint has_keepalive(Cursor* c, uint32_t end) noexcept nogil:
    cdef uint16_t code
    while c.pos < end and not c.failed:
        code = read_u16(c)
        if code == OPTION_TCP_KEEPALIVE and not c.failed:
            return True
        skip(c, read_u16(c))
    return False


cdef bint asks_to_keep_alive(const uint8_t* message, uint32_t size) noexcept nogil:
    """Whether a message has the option edns-tcp-keepalive, before anything in it that is malformed."""
    cdef Cursor c = Cursor(message, size, 4, False)
    cdef uint32_t questions = read_u16(&c)
    cdef uint32_t records = read_u16(&c)
    cdef uint32_t _, end
    cdef uint16_t kind, data_bytes
    records += read_u16(&c)
    records += read_u16(&c)
    for _ in range(questions):
        skip_name(&c)
        skip(&c, 4)
        if c.failed:
            return False
    for _ in range(records):
        skip_name(&c)
        kind = read_u16(&c)
        read_u16(&c)
        read_u32(&c)
        data_bytes = read_u16(&c)
        if c.failed or data_bytes > c.length - c.pos:
            return False
        end = c.pos + data_bytes
        if kind == TYPE_OPT and has_keepalive(&c, end):
            return True
        c.pos = end
        c.failed = False
    return False


def is_allowed(bytes message not None):
    """Whether a client may send a message over QUIC: with the ID 0, and without edns-tcp-keepalive."""
    cdef const uint8_t* data = <const uint8_t*>message
    cdef uint32_t size = len(message)
    if size < HEADER_BYTES:
        return False
    return data[0] == 0 and data[1] == 0 and not asks_to_keep_alive(data, size)
