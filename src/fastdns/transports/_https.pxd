"""A connection of HTTP, whose requests are DNS messages: the way of a request over HTTP/2, without an object.

What happens seldom is the subclass's (https.py). HTTP/1.1 is served by the same loop, with the objects of http1.py.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t
from fastdns.transports._http2 cimport Http2
from fastdns.transports._stream cimport StreamLayer


cdef class HttpLayer(StreamLayer):
    cdef Http2 http2                    # None: it is not known yet, or HTTP/1.1
    cdef object http1                   # Http1; None: it is not known yet, or HTTP/2
    cdef bytes beginning                # what has come, until it is known
    cdef public object count            # of each response, by its status
    cdef public dict listener_places    # of its client, at its listener; None: it has none
    cdef Py_ssize_t session_bytes       # that count as held: what the session has, and perhaps a little more

    cdef int begin(self, bytes data) except -1
    cdef int serve_requests(self) except -1
    cdef bint has_request(self) except -1
    cdef bint serve_next(self) except -1
    cdef bint serve_next_object(self) except -1
    cdef bint serve_object(self, int32_t stream, bytes message) except -1
    cdef int respond_with(self, int32_t stream, reply) except -1
    cdef bint respond(self, int32_t stream, uint16_t status, const uint8_t* reply, Py_ssize_t size) except -1
    cdef int gather(self) except -1
    cdef int send_gathered(self, bint later=*) except -1
    cdef int send_all(self) except -1
    cdef int count_held(self) except -1
