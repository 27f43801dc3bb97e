"""A connection whose messages have their length before them: the way of a query, without an object.

What happens seldom is the subclass's (tcp.py): queries that have to wait, clients that do not read, ends. It calls
``answer_pending`` where something may be served again, and is called where something is not as usual.
"""

from libc.stdint cimport uint8_t
from fastdns.transports._layer cimport Layer
from fastdns.transports._shares cimport Share, TurnNumber
from fastdns.transports._slow cimport Serving


cdef class FramedConnection(Layer):
    cdef object serve_with              # Serve
    cdef Serving serving                # the same, where it serves what lies in memory; else None
    cdef object limits_
    cdef object clients_
    cdef TurnNumber turns
    cdef dict places                    # of clients: its open connections
    cdef dict owner_places              # the same of its owner
    cdef object transport_below
    cdef Layer below                    # the same, where it is a layer; else None
    cdef public bytes address
    cdef public int port
    cdef Share share
    cdef public Py_ssize_t layer_bytes
    cdef public bytearray pending
    cdef public object unsent
    cdef public object series
    cdef public object why
    cdef public object peer
    cdef public object serve_at
    cdef public long asked
    cdef long max_queries
    cdef public int waiting
    cdef public int max_waiting
    cdef public bint paused
    cdef public bint reading
    cdef public bint deferred
    cdef public bint ended
    cdef public bint finishing
    cdef public bint closing
    cdef public bint aborted
    cdef public double deadline
    cdef double idle_s
    cdef Py_ssize_t counted             # what was counted last as held

    cdef bint takes_more(self) except -1
    cdef Py_ssize_t serve_messages(self, const uint8_t* data, Py_ssize_t size) except -1
    cdef bint serve_where_it_lies(self, Serving serving, const uint8_t* message, Py_ssize_t size) except -1
    cdef int serve_object(self, bytes message) except -1
    cdef int go_on(self, Py_ssize_t used) except -1
    cdef int send_gathered(self) except -1
    cdef int touch(self) except -1
    cdef int count_held(self) except -1
