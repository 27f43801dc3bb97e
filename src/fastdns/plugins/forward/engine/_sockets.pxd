"""The UDP sockets to one upstream.

A pool has up to 16 connected sockets, each with a random port that the kernel has chosen. As a socket is connected,
the kernel drops what others send to it, and reports refusals. An attempt goes out from a random socket of the pool.
A socket is replaced, for a new port, after SOCKET_QUERIES datagrams or the age of the rules: somebody who forges
replies looks for a port that stays.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from fastdns.memory._random cimport Random

cdef enum:
    SOCKETS = 16                    # in a pool, at most
    SOCKET_QUERIES = 1024
    SOCKET_S = 10                   # of age, unless the rules say otherwise
    ADDRESS_BYTES = 28              # struct sockaddr_in6
    NO_SOCKET = 0xFFFFFFFF
    NO_ATTEMPT = 0xFFFFFFFF
    NOT_OPEN = -1
    CLOSING = -2                    # its attempts are failing: it is not opened before they all have

cdef struct UdpSocket:
    int fd                          # or NOT_OPEN, CLOSING
    uint32_t sent                   # datagrams, since it was opened
    uint64_t opened_ns
    uint32_t first                  # list of the attempts that are out on it; NO_ATTEMPT: none is
    bint local_known
    uint8_t local[ADDRESS_BYTES]    # struct sockaddr, where an observer wants to know it

cdef struct SocketPool:
    uint8_t address[ADDRESS_BYTES]  # struct sockaddr
    uint16_t address_len
    uint8_t source[ADDRESS_BYTES]   # to bind to; source_len 0: the kernel chooses
    uint16_t source_len
    uint32_t tag                    # of the first socket's epoll events; the others' follow
    uint32_t chosen                 # for all that is sent until the next flush; NO_SOCKET: none yet
    bint short                      # sockets, ports or IDs ran out when the upstream was last to be asked
    UdpSocket sockets[SOCKETS]

# The same for all pools of an engine.
cdef struct SocketRules:
    int epoll_fd
    uint32_t count                  # sockets of each pool: SOCKETS, or as many as the process has descriptors for
    uint64_t max_age_ns

cdef void open_pool(SocketPool* pool) noexcept nogil
cdef void close_pool(SocketPool* pool) noexcept nogil

# The socket for what is sent until the next flush, so that one call sends it all. NO_SOCKET where none opens.
cdef uint32_t choose_socket(SocketPool* pool, const SocketRules* rules, Random* random,
                            uint64_t now_ns) noexcept nogil
cdef void close_socket(UdpSocket* s) noexcept nogil
# The address that a socket sends from, as struct sockaddr; asked of the kernel once. NULL: it is not known.
cdef const uint8_t* local_address(UdpSocket* s) noexcept nogil

# Whether a call failed as this process or host has too little of something. That says nothing of the upstream.
cdef bint is_shortage(int error) noexcept nogil
