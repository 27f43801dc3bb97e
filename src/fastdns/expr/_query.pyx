"""What a query is, for expressions: see _query.pxd."""

from libc.stdint cimport uint64_t
from libc.string cimport memchr, memcpy

from fastdns._wire cimport MAX_MESSAGE_BYTES, MIN_UDP_BYTES, Query
from fastdns.dns._networks cimport in_prefix, is_mapped, put_mapped
from fastdns.dns._texts cimport (
    MAX_ADDRESS_TEXT_BYTES, MAX_NAME_TEXT_BYTES, put_bare_address, put_class, put_decimal, put_name, put_type,
)
from fastdns.expr._value cimport bool_value, fail, int_value, nil_value, string_value, take
from fastdns.serve._arrival cimport server_address
from fastdns.serve._context cimport over_stream, proto_of

cdef extern from "arpa/inet.h" nogil:
    int inet_pton(int family, const char* src, void* dst)
    enum:
        AF_INET
        AF_INET6


cdef Value taken(Run* run, const uint8_t* text, uint64_t size) noexcept nogil:
    cdef uint8_t* at = take(run, size)
    if at == NULL:
        return nil_value()
    memcpy(at, text, size)
    return string_value(at, <uint32_t>size)


cdef Value address_text(Run* run, const uint8_t* address, uint32_t size) noexcept nogil:
    cdef uint8_t text[MAX_ADDRESS_TEXT_BYTES]
    if address == NULL:
        return string_value(<const uint8_t*>b"::", 2)
    if size == 16 and is_mapped(address):
        address += 12
        size = 4
    return taken(run, text, put_bare_address(text, address, size) - text)


cdef Value decimal_text(Run* run, uint64_t number) noexcept nogil:
    cdef uint8_t text[20]
    return taken(run, text, put_decimal(text, number) - text)


cdef Value of_query(Run* run, QueryFunction which) noexcept nogil:
    cdef uint8_t text[MAX_NAME_TEXT_BYTES]
    cdef const Query* q
    cdef const uint8_t* address
    cdef uint32_t size = 0
    if run.ctx == NULL:
        return fail(run)
    q = run.ctx.q
    if which == Q_TYPE:
        return taken(run, text, put_type(text, q.qtype) - text)
    if which == Q_NAME:
        return taken(run, text, put_name(text, q.name) - text)
    if which == Q_CLASS:
        return taken(run, text, put_class(text, q.qclass) - text)
    if which == Q_PROTO:
        return string_value(<const uint8_t*>(b"tcp" if proto_of(run.ctx.transport) else b"udp"), 3)
    if which == Q_SIZE:
        return int_value(q.msg_len)
    if which == Q_CLIENT_IP:
        return address_text(run, run.ctx.client, run.ctx.client_len)
    if which == Q_PORT:
        return decimal_text(run, run.ctx.client_port)
    if which == Q_ID:
        return int_value(q.id)
    if which == Q_OPCODE:
        return int_value(q.opcode)
    if which == Q_DO:
        return bool_value(q.do_bit)
    if which == Q_BUFSIZE:
        if over_stream(run.ctx.transport):
            return int_value(MAX_MESSAGE_BYTES)
        return int_value(q.udp_bytes if q.udp_bytes > MIN_UDP_BYTES else MIN_UDP_BYTES)
    if which == Q_SERVER_IP:
        address = server_address(run.ctx, &size)
        return address_text(run, address, size)
    if which == Q_SERVER_PORT:
        return decimal_text(run, run.ctx.server.port)
    return fail(run)


cdef bint read_address(const uint8_t* text, uint32_t size, uint8_t* address, bint* v4) noexcept nogil:
    """The 16 bytes of an address; IPv4 is mapped."""
    cdef char copy[64]
    cdef uint8_t packed[4]
    if size == 0 or size >= 64 or memchr(text, 0, size) != NULL:
        return False
    memcpy(copy, text, size)
    copy[size] = 0
    v4[0] = memchr(text, b":", size) == NULL
    if v4[0]:
        if inet_pton(AF_INET, copy, packed) != 1:
            return False
        put_mapped(address, packed, 4)
        return True
    return inet_pton(AF_INET6, copy, address) == 1


cdef bint read_prefix(const uint8_t* text, uint32_t size, Prefix* prefix) noexcept nogil:
    cdef const uint8_t* slash = <const uint8_t*>memchr(text, b"/", size) if size else NULL
    cdef uint32_t length, i, bits = 0
    cdef bint v4 = False
    if slash == NULL:
        return False
    length = slash - text
    if not read_address(text, length, prefix.address, &v4) or size - length - 1 not in (1, 2, 3):
        return False
    for i in range(length + 1, size):
        if text[i] < b"0" or text[i] > b"9":
            return False
        bits = 10 * bits + text[i] - 48
    if bits > (32 if v4 else 128):
        return False
    prefix.bits = bits + 96 if v4 else bits
    return True


cdef bint text_in_prefix(Run* run, const Value* address, const Prefix* prefix) noexcept nogil:
    cdef uint8_t bytes[16]
    cdef bint v4 = False
    if not read_address(address.text, address.size, bytes, &v4):
        run.failed = True
        return False
    return in_prefix(bytes, prefix)


cdef bint client_in_prefix(const Run* run, const Prefix* prefix) noexcept nogil:
    cdef uint8_t bytes[16]
    put_mapped(bytes, run.ctx.client, run.ctx.client_len)
    return in_prefix(bytes, prefix)
