"""DNS over HTTPS of a lane (RFC 8484), over HTTP/2: a request for each query, on a stream of its own."""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from fastdns.bench._asking cimport Asking
from fastdns.bench._lanes cimport Lane
from fastdns.transports._nghttp2 cimport NameValue

cdef enum:
    MOST_FIELDS = 7

# The content of the query's request, then of its response. There is one for each place of a lane.
cdef struct Content:
    uint8_t* data
    uint32_t size
    uint32_t room
    uint32_t sent
    int32_t stream              # 0: none
    uint32_t status

cdef struct DohLane:
    void* session               # libnghttp2's
    Asking* asking
    Lane* lane
    Content* contents           # as many as places
    uint64_t now_ns
    uint32_t came               # streams that have ended
    bint settled                # the server has said how many streams it allows
    bint draining               # the server takes no new requests

cdef struct Doh:
    void* callbacks
    bint posts
    NameValue fields[MOST_FIELDS]
    uint32_t field_count
    uint32_t path_field         # of GET: its value is the path and the message
    uint32_t size_field         # of POST: its value is the size of the message
    uint32_t path_bytes         # of the path in target
    uint8_t* target


cdef class DohClient:
    """Owns what all lanes of a process share."""

    cdef Doh doh
    cdef list kept
    cdef int _field(self, str name, bytes value) except -1


cdef int begin_http(Doh* d, Asking* a, Lane* lane) noexcept nogil
cdef void end_http(Lane* lane) noexcept nogil
cdef void free_http(Lane* lane) noexcept nogil
cdef uint32_t write_requests(Doh* d, Asking* a, Lane* lane, uint32_t n, uint64_t now) noexcept nogil
cdef uint32_t put_frames(Lane* lane, uint8_t* out, uint32_t size, uint32_t room) noexcept nogil
cdef uint32_t take_frames(Lane* lane, const uint8_t* data, uint32_t size, uint64_t now) noexcept nogil
cdef bint is_over(const Lane* lane) noexcept nogil


cdef inline bint is_draining(const Lane* lane) noexcept nogil:
    return (<const DohLane*>lane.http).draining
