"""The hot thread: batches of UDP messages through the chain, without the GIL.

    epoll_wait on the sockets and one eventfd
      → recvmmsg of up to BATCH messages → serve each → sendmmsg, until a socket has no more
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from fastdns._chain cimport ServerTable, Worker

cdef enum:
    BATCH = 64
    QUERY_ROOM = 4096           # a longer query is FORMERR
    REPLY_ROOM = 65507          # the most that UDP over IPv4 carries
    REPLIES_BYTES = 327680      # of one batch; what does not fit is sent first
    CONTROL_ROOM = 64
    MAX_SOCKETS = 256
    WAIT_MS = 250               # how long a beat of the heart may take
    STOP_NS = 1000000000        # a stopping loop under load ends after so long, between batches

cdef struct HotSocket:
    int fd
    bint wildcard               # IP_PKTINFO: the reply leaves from where the query came to
    void* server                # const Server*


cdef class HotLoop:
    cdef Worker worker
    cdef HotSocket sockets[MAX_SOCKETS]
    cdef uint32_t socket_count
    cdef int epoll_fd
    cdef int event_fd
    cdef int stopping
    cdef uint8_t* queries
    cdef uint8_t* replies
    cdef uint8_t* controls
    cdef void* addresses
    cdef void* headers_in
    cdef void* headers_out
    cdef void* iovecs
    cdef list keep
    cdef int run_batches(self) noexcept nogil
    cdef int one_batch(self, HotSocket* s) noexcept nogil
    cdef int send_all(self, int fd, uint32_t count) noexcept nogil
