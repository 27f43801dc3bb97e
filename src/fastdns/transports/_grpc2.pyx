"""gRPC's call coredns.dns.DnsService/Query, as CoreDNS has it (pb/dns.proto), on a connection of HTTP/2.

    message DnsPacket { bytes msg = 1; }

A request and its reply are one such message each, behind a byte that says that it is not compressed, and its length
in four bytes (gRPC over HTTP2, Length-Prefixed-Message). What cannot be answered has a status of gRPC in place of a
reply. Here such a status is GRPC and more, so that it is none of HTTP.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memcmp, memcpy, memmove, strlen

from fastdns.dns._cursor cimport Cursor, put_u32, read_u32, skip
from fastdns.dns._numbers cimport MAX_MESSAGE_BYTES
from fastdns.transports._doh cimport METHOD_NOT_ALLOWED, OK, POST, UNSUPPORTED_MEDIA_TYPE, is_question, method_of
from fastdns.transports._http2 cimport Exchange, Http2, read_reply, set_field
from fastdns.transports._nghttp2 cimport NV_NO_COPY_VALUE, DataProvider, NameValue

cdef enum:
    GRPC = 1000
    # Of gRPC's statuscodes.md.
    UNKNOWN = GRPC + 2
    RESOURCE_EXHAUSTED = GRPC + 8
    UNIMPLEMENTED = GRPC + 12
    INTERNAL = GRPC + 13
    PREFIX_BYTES = 5
    # A message of any DNS message: its tag and its length take four bytes at most.
    MOST_PACKET_BYTES = MAX_MESSAGE_BYTES + 4
    # Kinds of fields in protobuf.
    VARINT = 0
    FIXED_64 = 1
    BYTES = 2
    FIXED_32 = 5
    MSG_FIELD = 1
    PATH_BYTES = 29
    CONTENT_TYPE_BYTES = 16

cdef const char* PATH = b"/coredns.dns.DnsService/Query"
cdef const char* CONTENT_TYPE = b"application/grpc"


cdef uint64_t read_varint(Cursor* c) noexcept nogil:
    cdef uint64_t value = 0
    cdef uint32_t shift = 0
    cdef uint8_t byte = 0x80
    while byte & 0x80:
        if c.pos >= c.length or shift > 63:
            c.failed = True
            return 0
        byte = c.msg[c.pos]
        c.pos += 1
        value |= <uint64_t>(byte & 0x7F) << shift
        shift += 7
    return value


cdef void read_packet(Cursor* c, uint32_t* at, uint32_t* size) noexcept nogil:
    """Where the DNS message of a DnsPacket is. Of several fields the last one counts; others are passed over."""
    cdef uint64_t tag, length
    size[0] = 0
    while c.pos < c.length and not c.failed:
        tag = read_varint(c)
        if tag >> 3 == 0 or tag >> 32:
            c.failed = True
        elif tag & 7 == VARINT:
            read_varint(c)
        elif tag & 7 == FIXED_64:
            skip(c, 8)
        elif tag & 7 == FIXED_32:
            skip(c, 4)
        elif tag & 7 == BYTES:
            length = read_varint(c)
            if length > c.length - c.pos:
                c.failed = True
                return
            if tag >> 3 == MSG_FIELD:
                at[0] = c.pos
                size[0] = <uint32_t>length
            c.pos += <uint32_t>length
        else:
            c.failed = True


cdef const char* reason_of(uint16_t status) noexcept nogil:
    """What gRPC's clients are told, in ASCII."""
    if status == UNKNOWN:
        return b"dns request rejected"
    if status == RESOURCE_EXHAUSTED:
        return b"more than a DNS message can have"
    if status == UNIMPLEMENTED:
        return b"/coredns.dns.DnsService/Query without compression expected"
    if status == INTERNAL:
        return b"a DnsPacket expected"
    if status == METHOD_NOT_ALLOWED or status == UNSUPPORTED_MEDIA_TYPE:
        return b"POST of application/grpc expected"
    return b"No response"


cdef class GrpcHttp2(Http2):
    """Requests and replies are DNS messages."""

    def __cinit__(self, uint32_t max_streams):
        self.most_content_bytes = PREFIX_BYTES + MOST_PACKET_BYTES
        self.too_much = RESOURCE_EXHAUSTED
        self.too_many_fields = RESOURCE_EXHAUSTED
        set_field(&self.trailer, b"grpc-status", b"0", 1, NV_NO_COPY_VALUE)

    cdef void field(self, Exchange* exchange, const uint8_t* name, size_t name_len, const uint8_t* value,
                    size_t value_len) noexcept:
        if name_len == 7 and memcmp(name, b":method", 7) == 0:
            exchange.method = method_of(value, <uint32_t>value_len)
        elif name_len == 5 and memcmp(name, b":path", 5) == 0:
            exchange.has_content = value_len == PATH_BYTES and memcmp(value, PATH, PATH_BYTES) == 0
        elif name_len == 12 and memcmp(name, b"content-type", 12) == 0:
            exchange.is_dns_message = (
                value_len >= CONTENT_TYPE_BYTES and memcmp(value, CONTENT_TYPE, CONTENT_TYPE_BYTES) == 0
                and (value_len == CONTENT_TYPE_BYTES or value[CONTENT_TYPE_BYTES] in (b"+", b";"))
            )

    cdef uint16_t fields_over(self, Exchange* exchange) noexcept:
        if exchange.method != POST:
            return METHOD_NOT_ALLOWED
        if not exchange.is_dns_message:
            return UNSUPPORTED_MEDIA_TYPE
        return 0 if exchange.has_content else UNIMPLEMENTED

    cdef uint16_t content_over(self, Exchange* exchange) noexcept:
        cdef Cursor c
        cdef uint32_t at = 0
        cdef uint32_t size = 0
        if exchange.message_len < PREFIX_BYTES:
            return INTERNAL
        if exchange.message[0]:
            # Compressed, in a way that this server has not offered.
            return UNIMPLEMENTED
        c.msg = exchange.message
        c.length = exchange.message_len
        c.pos = 1
        c.failed = False
        if read_u32(&c) != exchange.message_len - PREFIX_BYTES:
            return INTERNAL
        read_packet(&c, &at, &size)
        if c.failed:
            return INTERNAL
        memmove(exchange.message, exchange.message + at, size)
        exchange.message_len = size
        return 0 if is_question(exchange.message, size) else UNKNOWN

    cdef bint content(self, Exchange* exchange, uint16_t status, const uint8_t* reply, uint32_t size) except False:
        cdef uint32_t head
        cdef uint8_t* at
        if status != OK:
            return True
        # The tag, and the length of the message in 7 bits a byte.
        head = 2 if size < 0x80 else 3 if size < 0x4000 else 4
        at = self.more_room(exchange, PREFIX_BYTES + head + size)
        if at == NULL:
            raise MemoryError
        exchange.message_len = PREFIX_BYTES + head + size
        at[0] = 0
        put_u32(at + 1, head + size)
        at += PREFIX_BYTES
        at[0] = MSG_FIELD << 3 | BYTES
        at[1] = size & 0x7F | (0x80 if head > 2 else 0)
        if head > 2:
            at[2] = size >> 7 & 0x7F | (0x80 if head > 3 else 0)
        if head > 3:
            at[3] = <uint8_t>(size >> 14)
        memcpy(at + head, reply, size)
        return True

    cdef int respond(self, Exchange* exchange, uint16_t status) except -1:
        cdef NameValue fields[4]
        cdef DataProvider content
        cdef char line[8]
        cdef char code[8]
        cdef unsigned status_line, number
        cdef size_t count = 2
        content.source.exchange = exchange
        content.read = read_reply
        cdef const char* reason = reason_of(status)
        # Errors of gRPC have the status 200 of HTTP, and so has a query without a reply, which is one of them here.
        status_line = status if status in (METHOD_NOT_ALLOWED, UNSUPPORTED_MEDIA_TYPE) else OK
        set_field(&fields[0], b":status", line, snprintf(line, sizeof(line), b"%u", status_line), 0)
        set_field(&fields[1], b"content-type", CONTENT_TYPE, CONTENT_TYPE_BYTES, NV_NO_COPY_VALUE)
        if status != OK:
            # No content follows, so these are what would be behind it.
            number = status - GRPC if status > GRPC else INTERNAL - GRPC
            set_field(&fields[2], b"grpc-status", code, snprintf(code, sizeof(code), b"%u", number), 0)
            set_field(&fields[3], b"grpc-message", reason, strlen(reason), NV_NO_COPY_VALUE)
            count = 4
        return self.submit(exchange, fields, count, &content if status == OK else NULL)
