"""dnstap messages: see _message.pxd."""

from libc.string cimport memcpy

# Tags: the number of a field, then how it is coded.
cdef enum Tag:
    # Dnstap
    EXTRA = (3 << 3) | 2
    MESSAGE = (14 << 3) | 2
    TYPE = (15 << 3) | 0
    # Message
    MESSAGE_TYPE = (1 << 3) | 0
    SOCKET_FAMILY = (2 << 3) | 0
    SOCKET_PROTOCOL = (3 << 3) | 0
    QUERY_ADDRESS = (4 << 3) | 2
    RESPONSE_ADDRESS = (5 << 3) | 2
    QUERY_PORT = (6 << 3) | 0
    RESPONSE_PORT = (7 << 3) | 0
    QUERY_TIME_SEC = (8 << 3) | 0
    QUERY_TIME_NSEC = (9 << 3) | 5
    QUERY_MESSAGE = (10 << 3) | 2
    RESPONSE_TIME_SEC = (12 << 3) | 0
    RESPONSE_TIME_NSEC = (13 << 3) | 5
    RESPONSE_MESSAGE = (14 << 3) | 2

cdef enum:
    FAMILY_INET = 1
    FAMILY_INET6 = 2
    TYPE_MESSAGE = 1

cdef uint64_t SECOND_NS = 1000000000


cdef inline uint32_t varint_bytes(uint64_t value) noexcept nogil:
    cdef uint32_t size = 1
    while value >= 0x80:
        value >>= 7
        size += 1
    return size


cdef inline uint8_t* put_varint(uint8_t* out, uint64_t value) noexcept nogil:
    while value >= 0x80:
        out[0] = (value & 0x7F) | 0x80
        out += 1
        value >>= 7
    out[0] = <uint8_t>value
    return out + 1


cdef inline uint8_t* put_number(uint8_t* out, uint8_t tag, uint64_t value) noexcept nogil:
    out[0] = tag
    return put_varint(out + 1, value)


cdef inline uint8_t* put_bytes(uint8_t* out, uint8_t tag, const uint8_t* value, uint32_t length) noexcept nogil:
    out = put_number(out, tag, length)
    memcpy(out, value, length)
    return out + length


cdef inline uint8_t* put_fixed(uint8_t* out, uint8_t tag, uint32_t value) noexcept nogil:
    out[0] = tag
    out[1] = value & 0xFF
    out[2] = (value >> 8) & 0xFF
    out[3] = (value >> 16) & 0xFF
    out[4] = value >> 24
    return out + 5


cdef inline uint32_t field_bytes(uint32_t length) noexcept nogil:
    return 1 + varint_bytes(length) + length


cdef inline uint32_t address_bytes(const Address* address) noexcept nogil:
    if address.bytes == NULL:
        return 0
    return field_bytes(address.length) + 1 + varint_bytes(address.port)


cdef inline uint32_t time_bytes(uint64_t ns) noexcept nogil:
    return 1 + varint_bytes(ns // SECOND_NS) + 5


cdef uint32_t inner_bytes(const Message* m) noexcept nogil:
    cdef uint32_t size = 2 + 2 + 2 + address_bytes(&m.asker) + address_bytes(&m.responder) + time_bytes(m.query_ns)
    if m.is_response:
        size += time_bytes(m.response_ns)
    if m.msg != NULL:
        size += field_bytes(m.msg_len)
    return size


cdef uint32_t message_bytes(const Envelope* envelope, uint32_t inner) noexcept nogil:
    cdef uint32_t size = envelope.head_len + field_bytes(inner) + 2
    if envelope.extra_len:
        size += field_bytes(envelope.extra_len)
    return size


cdef uint8_t* put_dns(uint8_t* out, uint8_t tag, const Message* m) noexcept nogil:
    out = put_bytes(out, tag, m.msg, m.msg_len)
    if m.id != NULL and m.msg_len >= 2:
        memcpy(out - m.msg_len, m.id, 2)
    return out


cdef void put_message(const Envelope* envelope, const Message* m, uint32_t inner, uint8_t* out) noexcept nogil:
    cdef bint has_asker = m.asker.bytes != NULL
    cdef bint has_responder = m.responder.bytes != NULL
    cdef uint8_t length = m.asker.length if has_asker else m.responder.length
    memcpy(out, envelope.head, envelope.head_len)
    out += envelope.head_len
    if envelope.extra_len:
        out = put_bytes(out, EXTRA, envelope.extra, envelope.extra_len)
    out = put_number(out, MESSAGE, inner)
    out = put_number(out, MESSAGE_TYPE, m.type)
    out = put_number(out, SOCKET_FAMILY, FAMILY_INET6 if length == 16 else FAMILY_INET)
    out = put_number(out, SOCKET_PROTOCOL, m.protocol)
    if has_asker:
        out = put_bytes(out, QUERY_ADDRESS, m.asker.bytes, m.asker.length)
    if has_responder:
        out = put_bytes(out, RESPONSE_ADDRESS, m.responder.bytes, m.responder.length)
    if has_asker:
        out = put_number(out, QUERY_PORT, m.asker.port)
    if has_responder:
        out = put_number(out, RESPONSE_PORT, m.responder.port)
    out = put_number(out, QUERY_TIME_SEC, m.query_ns // SECOND_NS)
    out = put_fixed(out, QUERY_TIME_NSEC, m.query_ns % SECOND_NS)
    if m.msg != NULL and not m.is_response:
        out = put_dns(out, QUERY_MESSAGE, m)
    if m.is_response:
        out = put_number(out, RESPONSE_TIME_SEC, m.response_ns // SECOND_NS)
        out = put_fixed(out, RESPONSE_TIME_NSEC, m.response_ns % SECOND_NS)
        if m.msg != NULL:
            out = put_dns(out, RESPONSE_MESSAGE, m)
    put_number(out, TYPE, TYPE_MESSAGE)


def envelope_head(bytes identity not None, bytes version not None):
    """The fields identity and version, which are the same in every message of a tap. An empty one is left out."""
    head = b""
    for number, text in ((1, identity), (2, version)):
        if text:
            head += bytes([number << 3 | 2]) + varint(len(text)) + text
    return head


cdef bytes varint(uint64_t value):
    cdef uint8_t out[10]
    return out[:put_varint(out, value) - out]
