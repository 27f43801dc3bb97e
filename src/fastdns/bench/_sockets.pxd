"""Shared by the generator and the echo: sockets, batches of datagrams, and the monotonic clock."""

from libc.stdint cimport uint64_t

cdef enum:
    BATCH = 64
    ADDRESS_ROOM = 32

cdef extern from "sys/socket.h" nogil:
    ctypedef unsigned int socklen_t
    struct iovec:
        void* iov_base
        size_t iov_len
    struct sockaddr:
        unsigned short sa_family
    struct msghdr:
        void* msg_name
        socklen_t msg_namelen
        iovec* msg_iov
        size_t msg_iovlen
        void* msg_control
        size_t msg_controllen
        int msg_flags
    struct mmsghdr:
        msghdr msg_hdr
        unsigned int msg_len
    int socket(int family, int kind, int protocol)
    int bind(int fd, const sockaddr* address, socklen_t size)
    int connect(int fd, const sockaddr* address, socklen_t size)
    int setsockopt(int fd, int level, int option, const void* value, socklen_t size)
    int getsockopt(int fd, int level, int option, void* value, socklen_t* size)
    ssize_t recv(int fd, void* room, size_t size, int flags)
    ssize_t send(int fd, const void* data, size_t size, int flags)
    int recvmmsg(int fd, mmsghdr* messages, unsigned int count, int flags, void* timeout)
    int sendmmsg(int fd, mmsghdr* messages, unsigned int count, int flags)
    enum:
        MSG_DONTWAIT
        MSG_TRUNC
        MSG_WAITFORONE
        MSG_NOSIGNAL
        SOCK_DGRAM
        SOCK_STREAM
        SOCK_NONBLOCK
        SOCK_CLOEXEC
        SOL_SOCKET
        SO_ERROR
        SO_RCVBUF
        SO_REUSEADDR
        SO_SNDBUF

cdef extern from "netinet/in.h" nogil:
    enum:
        IPPROTO_TCP

cdef extern from "netinet/tcp.h" nogil:
    enum:
        TCP_NODELAY

cdef extern from "unistd.h" nogil:
    int close(int fd)

cdef extern from "poll.h" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    enum:
        POLLIN
        POLLOUT

cdef extern from "time.h" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec* at)
    enum:
        CLOCK_MONOTONIC
        CLOCK_THREAD_CPUTIME_ID

cdef extern from "poll.h" nogil:
    int ppoll(pollfd* fds, unsigned long count, const timespec* timeout, const void* mask)


cdef inline uint64_t monotonic_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <uint64_t>now.tv_sec * 1000000000 + now.tv_nsec


cdef inline uint64_t thread_cpu_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now)
    return <uint64_t>now.tv_sec * 1000000000 + now.tv_nsec
