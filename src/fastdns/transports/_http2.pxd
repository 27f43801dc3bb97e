"""One connection of HTTP/2 (RFC 9113), of the server's side: bytes in, requests out; responses in, bytes out.

libnghttp2 does the protocol. Each request has an Exchange from its first frame until its stream is closed. What is
kept of a request is its DNS message; what its response has as content takes the place of that.

    open      its request is not whole
    ready     it is whole, or refused, and next has not taken it
    serving   next has taken it

Bounds: streams that are open at a time, bytes of fields and of a message, and credit. Each frame of the client
costs one; answers and time give some back. A client without credit, such as one that resets streams as fast as it
opens them, has the connection ended (RFC 9113 section 10.5).
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport strlen
from fastdns.transports._doh cimport Method
from fastdns.transports._nghttp2 cimport NV_NO_COPY_NAME, DataProvider, NameValue, ReadData

cdef enum:
    MAX_FIELD_BYTES = 16384         # of a request, which is told to clients; above that it is refused
    DATE_BYTES = 29
    LEAST_ROOM = 32768              # for a frame of libnghttp2, which makes frames of 16 KiB, and twice that

cdef struct Exchange:
    Exchange* before                # in one of the lists of the connection
    Exchange* after
    int32_t stream
    uint32_t field_bytes            # of the request, as RFC 9113 section 6.5.2 counts them
    Method method
    uint16_t status                 # of a refusal; 0: none yet
    bint is_open
    bint is_dns_message             # its content, by the content type
    bint has_content
    bint is_answered
    uint8_t* message                # of the target, or of the content; then the content of the response
    uint32_t message_len
    uint32_t message_room
    uint32_t sent                   # of the response

# The field date: DATE_BYTES that stay as they are until the next call.
cdef const char* date_now() except NULL

cdef ReadData read_reply

cdef inline void set_field(NameValue* field, const char* name, const char* value, size_t value_len,
                           uint8_t flags) noexcept:
    field.name = <uint8_t*>name
    field.name_len = strlen(name)
    field.value = <uint8_t*>value
    field.value_len = value_len
    field.flags = NV_NO_COPY_NAME | flags


cdef class Http2:
    cdef void* session
    cdef Exchange open              # heads of the lists
    cdef Exchange ready
    cdef Exchange serving
    cdef readonly Py_ssize_t session_bytes      # what libnghttp2 has
    cdef readonly Py_ssize_t request_bytes      # what exchanges have
    cdef readonly Py_ssize_t unsent_bytes       # of responses that the client's windows have no room for
    cdef int64_t credit
    cdef uint64_t counted_ns
    cdef bint ending

    # What a service on HTTP/2 sets: the most bytes of a request's content, what is the status of more, and of more
    # fields; and what follows each content. A name that is NULL: nothing does.
    cdef uint32_t most_content_bytes
    cdef uint16_t too_much
    cdef uint16_t too_many_fields
    cdef NameValue trailer
    # What it does. field: of a request. fields_over, content_over: the status of a refusal, or 0.
    cdef void field(self, Exchange* exchange, const uint8_t* name, size_t name_len, const uint8_t* value,
                    size_t value_len) noexcept
    cdef uint16_t fields_over(self, Exchange* exchange) noexcept
    cdef uint16_t content_over(self, Exchange* exchange) noexcept
    # Put what a response has as its content into the exchange. reply: with status 200.
    cdef bint content(self, Exchange* exchange, uint16_t status, const uint8_t* reply, uint32_t size) except False
    cdef int respond(self, Exchange* exchange, uint16_t status) except -1

    # Take what has come.
    cdef void feed(self, const uint8_t* data, Py_ssize_t size) noexcept
    # The next request that is whole: its message, or the status of its refusal. NULL: there is none.
    cdef Exchange* next(self) noexcept
    cdef bint has_next(self) noexcept
    cdef Py_ssize_t unserved(self) noexcept
    # A request that next has told of; NULL where the client has given it up.
    cdef Exchange* served_on(self, int32_t stream) noexcept
    # Respond to it. reply: with status 200.
    cdef int answer(self, Exchange* exchange, uint16_t status, const uint8_t* reply, uint32_t size) except -1
    # Put what is to be sent next into out, as far as the client's windows have room. Returns its size; there is no
    # more where it leaves LEAST_ROOM.
    cdef Py_ssize_t output(self, uint8_t* out, Py_ssize_t room) noexcept
    # Tell the client that nothing more is taken: what it sends after that it may ask of another server.
    cdef void goodbye(self) noexcept
    # Whether the connection is to be closed after what output has.
    cdef bint is_over(self) noexcept

    cdef int submit(self, Exchange* exchange, const NameValue* fields, size_t count,
                    const DataProvider* content) except -1
    cdef void give_credit(self, int64_t earned) noexcept
    cdef void move(self, Exchange* exchange, Exchange* head) noexcept
    cdef void close_all(self, Exchange* head) noexcept
    cdef void close(self, Exchange* exchange) noexcept
    cdef uint8_t* more_room(self, Exchange* exchange, uint32_t size) noexcept
    cdef bint keep(self, Exchange* exchange, const uint8_t* data, size_t size, uint32_t most) noexcept
    cdef void whole(self, Exchange* exchange, uint16_t status) noexcept
