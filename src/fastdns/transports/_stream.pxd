"""What connections of clients have in common, natively: their state, and what follows when queries were served.

A connection is a class of Python that derives from a layer like this and from ``ClientStream`` (stream.py), in this
order. What happens seldom is ClientStream's: queries that have to wait, clients that do not read, ends. It calls
``answer_pending`` where something may be served again, and is called where something is not as usual.
"""

from libc.stdint cimport uint8_t
from fastdns.transports._layer cimport Layer
from fastdns.transports._shares cimport Share, TurnNumber
from fastdns.transports._slow cimport Serving

cdef enum:
    WRITE_HIGH = 65536              # WRITE_HIGH_BYTES of stream.py


cdef class StreamLayer(Layer):
    cdef object serve_with              # Serve
    cdef Serving serving                # the same, where it serves what lies in memory; else None
    cdef object limits_
    cdef object clients_
    cdef TurnNumber turns
    cdef dict open_places               # of clients: its open connections
    cdef dict owner_places              # the same of its owner
    cdef object transport_below
    cdef Layer below                    # the same, where it is a layer; else None
    cdef public bytes address
    cdef public int port
    cdef Share share
    cdef public Py_ssize_t layer_bytes
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
    # How many queries are left of the client's turn when it has to wait.
    cdef long least_left(self) noexcept
    # Send replies, as many in each part. A part has a TLS record of its own; ends: of the parts.
    cdef int send_parts(self, const uint8_t* data, const Py_ssize_t* ends, int parts, long replies) except -1
    # The same with all else that is sent in this turn of the loop: where replies to other queries may follow.
    cdef int send_parts_later(self, const uint8_t* data, const Py_ssize_t* ends, int parts, long replies) except -1
    # What follows when everything is sent. served: whether a query was.
    cdef int go_on(self, bint served) except -1
    # Read on, or not, and set the deadline: read_on and settle of ClientStream. progress: as there.
    cdef int wait_on(self, bint progress) except -1
    cdef int touch(self) except -1
