"""All lanes of a process, to one server: their sockets, opened and closed, and waiting for any of them."""

from libc.stdint cimport uint32_t, uint64_t

from fastdns.bench._asking cimport Asking
from fastdns.bench._doh cimport Doh
from fastdns.bench._lanes cimport Lane
from fastdns.bench._sockets cimport pollfd, sockaddr, socklen_t
from fastdns.bench._tls cimport Tls

cdef enum:
    INCOMING_BYTES = 66000      # of a connection: a whole message
    OUTGOING_BYTES = 66000      # the same
    RETRY_NS = 100000000        # before a lane that could not be opened is tried again

cdef struct LaneGroup:
    Lane* lanes
    pollfd* polls               # one a lane
    uint32_t lane_count
    bint over_tcp
    Tls* tls                    # of connections; NULL: none
    Doh* doh                    # of connections; NULL: messages have their lengths before them
    int family
    int buffer_bytes            # 0: by how many answers may come at once
    const sockaddr* peer_at
    const sockaddr* local_at
    socklen_t peer_size
    uint32_t first_port         # local, of lane 0; the next lane has the next one; 0: the kernel chooses
    socklen_t local_size        # 0: from whatever address the kernel chooses
    int open_errno              # why a lane stays closed
    uint64_t accepted_ns        # when any lane was last known to be connected


cdef int make_lanes(LaneGroup* g, uint32_t lane_count, uint32_t window) noexcept nogil
cdef void close_lanes(LaneGroup* g) noexcept nogil
cdef void open_lane(LaneGroup* g, Asking* a, uint32_t at, uint64_t now) noexcept nogil
cdef void close_lane(LaneGroup* g, Asking* a, uint32_t at, uint64_t retry_ns) noexcept nogil
cdef void sleep_ns(LaneGroup* g, uint64_t ns, uint32_t lanes) noexcept nogil
