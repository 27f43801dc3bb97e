"""DNS over HTTPS on a connection of HTTP/2: see _http2.pxd for the connection, _doh.pxd for what requests ask."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy

from fastdns.dns._numbers cimport MAX_MESSAGE_BYTES
from fastdns.dns._texts cimport put_decimal
from fastdns.transports._doh cimport (
    BAD_REQUEST, CONTENT_TOO_LARGE, HEAD, HEADERS_TOO_LARGE, METHOD_NOT_ALLOWED, NOT_FOUND, OK, OTHER_METHOD, POST,
    UNSUPPORTED_MEDIA_TYPE, is_dns_message, is_question, max_age_s, method_of, read_target,
)
from fastdns.transports._http2 cimport (
    DATE_BYTES, MAX_FIELD_BYTES, Exchange, Http2, date_now, read_reply, set_field,
)
from fastdns.transports._nghttp2 cimport NV_NO_COPY_VALUE, DataProvider, NameValue
from fastdns.transports.doh import refused

cdef enum:
    MAX_FIELDS = 8                  # of a response
    NUMBER_BYTES = 10               # of 32 bits, in decimal
    MAX_AGE_BYTES = 8

cdef const char* MAX_AGE = b"max-age="


cdef size_t write_number(char* to, uint32_t number) noexcept:
    """In decimal; to has room for NUMBER_BYTES. Returns how many bytes that is."""
    return put_decimal(<uint8_t*>to, number) - <uint8_t*>to


cdef class DohHttp2(Http2):
    """Requests are DNS messages; so are replies."""

    def __cinit__(self, uint32_t max_streams):
        self.most_content_bytes = MAX_MESSAGE_BYTES
        self.too_much = CONTENT_TOO_LARGE
        self.too_many_fields = HEADERS_TOO_LARGE

    cdef void field(self, Exchange* exchange, const uint8_t* name, size_t name_len, const uint8_t* value,
                    size_t value_len) noexcept:
        cdef int32_t found
        if name_len == 7 and memcmp(name, b":method", 7) == 0:
            exchange.method = method_of(value, <uint32_t>value_len)
        elif name_len == 5 and memcmp(name, b":path", 5) == 0:
            if not self.keep(exchange, value, value_len, MAX_FIELD_BYTES):
                exchange.status = HEADERS_TOO_LARGE
                return
            # In place: a message is shorter than its text.
            found = read_target(value, <uint32_t>value_len, exchange.message)
            exchange.message_len = found if found > 0 else 0
            exchange.has_content = found >= 0
            if found == -NOT_FOUND:
                exchange.status = NOT_FOUND
        elif name_len == 12 and memcmp(name, b"content-type", 12) == 0:
            exchange.is_dns_message = is_dns_message(value, <uint32_t>value_len)

    cdef uint16_t fields_over(self, Exchange* exchange) noexcept:
        if exchange.method == OTHER_METHOD:
            return METHOD_NOT_ALLOWED
        if exchange.method == POST:
            exchange.message_len = 0
            return 0 if exchange.is_dns_message else UNSUPPORTED_MEDIA_TYPE
        if not exchange.has_content:
            return BAD_REQUEST
        return 0

    cdef uint16_t content_over(self, Exchange* exchange) noexcept:
        return 0 if is_question(exchange.message, exchange.message_len) else BAD_REQUEST

    cdef bint content(self, Exchange* exchange, uint16_t status, const uint8_t* reply, uint32_t size) except False:
        cdef bytes text
        if status != OK:
            text = refused(status)[1]
            reply = <const uint8_t*>PyBytes_AS_STRING(text)
            size = <uint32_t>PyBytes_GET_SIZE(text)
        if not self.keep(exchange, reply, size, MAX_MESSAGE_BYTES):
            raise MemoryError
        return True

    cdef int respond(self, Exchange* exchange, uint16_t status) except -1:
        cdef NameValue fields[MAX_FIELDS]
        cdef DataProvider content
        cdef char code[NUMBER_BYTES]
        cdef char length[NUMBER_BYTES]
        cdef char age[MAX_AGE_BYTES + NUMBER_BYTES]
        cdef size_t count = 5
        content.source.exchange = exchange
        content.read = read_reply
        set_field(&fields[1], b"content-length", length, write_number(length, exchange.message_len), 0)
        set_field(&fields[4], b"date", date_now(), DATE_BYTES, 0)
        if status == OK:
            set_field(&fields[0], b":status", b"200", 3, NV_NO_COPY_VALUE)
            set_field(&fields[2], b"content-type", b"application/dns-message", 23, NV_NO_COPY_VALUE)
            memcpy(age, MAX_AGE, MAX_AGE_BYTES)
            set_field(&fields[3], b"cache-control", age, MAX_AGE_BYTES + write_number(
                age + MAX_AGE_BYTES, max_age_s(exchange.message, exchange.message_len)), 0)
        else:
            set_field(&fields[0], b":status", code, write_number(code, status), 0)
            set_field(&fields[2], b"content-type", b"text/plain; charset=utf-8", 25, NV_NO_COPY_VALUE)
            set_field(&fields[3], b"x-content-type-options", b"nosniff", 7, NV_NO_COPY_VALUE)
            if status == METHOD_NOT_ALLOWED:
                set_field(&fields[5], b"allow", b"GET, HEAD, POST", 15, NV_NO_COPY_VALUE)
                count += 1
        return self.submit(exchange, fields, count, &content if exchange.method != HEAD else NULL)
