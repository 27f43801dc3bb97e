"""UDP sockets to upstreams: see _sockets.pxd."""

from libc.errno cimport EADDRINUSE, EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC, errno

from fastdns.memory._syscalls cimport (
    EPOLL_CTL_ADD, EPOLLIN, SO_RCVBUF, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOL_SOCKET, c_bind, c_close,
    c_connect, c_socket, epoll_ctl, epoll_event, setsockopt, sockaddr, socklen_t,
)
from fastdns.memory._random cimport random_u32

cdef extern from "sys/socket.h" nogil:
    int c_getsockname "getsockname"(int fd, sockaddr* address, socklen_t* size)

cdef enum:
    RECEIVE_BUFFER_BYTES = 1048576


cdef void open_pool(SocketPool* pool) noexcept nogil:
    cdef uint32_t i
    pool.chosen = NO_SOCKET
    for i in range(SOCKETS):
        pool.sockets[i].fd = NOT_OPEN
        pool.sockets[i].first = NO_ATTEMPT


cdef void close_pool(SocketPool* pool) noexcept nogil:
    cdef uint32_t i
    for i in range(SOCKETS):
        close_socket(&pool.sockets[i])


cdef void close_socket(UdpSocket* s) noexcept nogil:
    if s.fd >= 0:
        c_close(s.fd)
    s.fd = NOT_OPEN


cdef const uint8_t* local_address(UdpSocket* s) noexcept nogil:
    cdef socklen_t size = ADDRESS_BYTES
    if not s.local_known and (s.fd < 0 or c_getsockname(s.fd, <sockaddr*>s.local, &size) != 0):
        return NULL
    s.local_known = True
    return s.local


cdef bint is_shortage(int error) noexcept nogil:
    # EAGAIN: no port is free, or the socket's buffer is full. ENOSPC: nothing more can be waited for (epoll).
    return error in (EAGAIN, EADDRINUSE, EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC)


cdef bint open_socket(SocketPool* pool, uint32_t which, const SocketRules* rules, uint64_t now_ns) noexcept nogil:
    cdef UdpSocket* s = &pool.sockets[which]
    cdef epoll_event event
    cdef int size = RECEIVE_BUFFER_BYTES
    s.fd = c_socket((<uint16_t*>pool.address)[0], SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if s.fd < 0:
        pool.short = is_shortage(errno)
        s.fd = NOT_OPEN
        return False
    setsockopt(s.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size))
    event.events = EPOLLIN
    event.data.u32 = pool.tag + which
    if ((pool.source_len and c_bind(s.fd, <const sockaddr*>pool.source, pool.source_len) != 0)
            or c_connect(s.fd, <const sockaddr*>pool.address, pool.address_len) != 0
            or epoll_ctl(rules.epoll_fd, EPOLL_CTL_ADD, s.fd, &event) != 0):
        pool.short = is_shortage(errno)
        close_socket(s)
        return False
    s.sent = 0
    s.local_known = False
    s.opened_ns = now_ns
    return True


cdef inline bint is_worn(const UdpSocket* s, const SocketRules* rules, uint64_t now_ns) noexcept nogil:
    """Whether the port has been in use for so long that it should change."""
    return s.sent >= SOCKET_QUERIES or now_ns - s.opened_ns > rules.max_age_ns


cdef uint32_t choose_socket(SocketPool* pool, const SocketRules* rules, Random* random,
                            uint64_t now_ns) noexcept nogil:
    cdef uint32_t which
    cdef uint32_t _i
    cdef UdpSocket* s
    cdef bint opens = True
    if pool.chosen != NO_SOCKET:
        return pool.chosen
    pool.short = False
    which = random_u32(random) % rules.count
    for _i in range(rules.count):
        s = &pool.sockets[which]
        if s.fd >= 0 and s.first == NO_ATTEMPT and opens and is_worn(s, rules, now_ns):
            close_socket(s)
        if s.fd == NOT_OPEN and opens:
            # Where one does not open (no descriptor, no route), the next one would not either.
            opens = open_socket(pool, which, rules, now_ns)
        if s.fd >= 0:
            pool.chosen = which
            # A worn one only where there is no other: without new queries it can be replaced soon.
            if not is_worn(s, rules, now_ns):
                break
        which = (which + 1) % rules.count
    return pool.chosen
