"""A connection whose messages have their length before them: the way of a query, without an object.

What happens seldom is the subclass's (tcp.py).
"""

from libc.stdint cimport uint8_t
from fastdns.transports._slow cimport Serving
from fastdns.transports._stream cimport StreamLayer


cdef class FramedConnection(StreamLayer):
    cdef public bytearray pending

    cdef Py_ssize_t serve_messages(self, const uint8_t* data, Py_ssize_t size) except -1
    cdef bint serve_where_it_lies(self, Serving serving, const uint8_t* message, Py_ssize_t size) except -1
    cdef int serve_object(self, bytes message) except -1
    cdef int finish_turn(self, Py_ssize_t used) except -1
    cdef int send_gathered(self) except -1
    cdef int count_held(self) except -1
