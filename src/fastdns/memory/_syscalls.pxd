"""Calls of the kernel for sockets, epoll and descriptors, which Cython itself does not declare."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

cdef extern from "sys/socket.h" nogil:
    ctypedef unsigned int socklen_t
    struct sockaddr:
        pass
    struct iovec:
        void* iov_base
        size_t iov_len
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
    struct cmsghdr:
        size_t cmsg_len
        int cmsg_level
        int cmsg_type
    int c_socket "socket"(int family, int kind, int protocol)
    int c_bind "bind"(int fd, const sockaddr* address, socklen_t size)
    int c_connect "connect"(int fd, const sockaddr* address, socklen_t size)
    int setsockopt(int fd, int level, int name, const void* value, socklen_t size)
    ssize_t c_recv "recv"(int fd, void* buffer, size_t size, int flags)
    ssize_t c_send "send"(int fd, const void* buffer, size_t size, int flags)
    int recvmmsg(int fd, mmsghdr* messages, unsigned int count, int flags, void* timeout)
    int sendmmsg(int fd, mmsghdr* messages, unsigned int count, int flags)
    cmsghdr* CMSG_FIRSTHDR(msghdr* message)
    uint8_t* CMSG_DATA(cmsghdr* control)
    enum:
        MSG_DONTWAIT
        MSG_NOSIGNAL
        MSG_TRUNC
        SOCK_DGRAM
        SOCK_NONBLOCK
        SOCK_CLOEXEC
        SOL_SOCKET
        SO_RCVBUF

cdef extern from "netinet/in.h" nogil:
    struct sockaddr_in:
        uint16_t sin_port
        uint32_t sin_addr
    struct in6_addr:
        pass
    struct sockaddr_in6:
        uint16_t sin6_port
        in6_addr sin6_addr
    struct in_pktinfo:
        int ipi_ifindex
    struct in6_pktinfo:
        unsigned int ipi6_ifindex
    enum:
        AF_INET
        AF_INET6
        IPPROTO_IP
        IP_PKTINFO
        IPPROTO_IPV6
        IPV6_PKTINFO
    uint16_t ntohs(uint16_t value)

cdef extern from "sys/epoll.h" nogil:
    ctypedef union epoll_data_t:
        uint32_t u32
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epfd, int op, int fd, epoll_event* event)
    int epoll_wait(int epfd, epoll_event* events, int maxevents, int timeout)
    enum:
        EPOLLIN
        EPOLLOUT
        EPOLL_CLOEXEC
        EPOLL_CTL_ADD
        EPOLL_CTL_DEL
        EPOLL_CTL_MOD

cdef extern from "poll.h" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd* fds, unsigned long count, int timeout)
    enum:
        POLLOUT

cdef extern from "unistd.h" nogil:
    int c_close "close"(int fd)
    ssize_t c_read "read"(int fd, void* buffer, size_t size)
    ssize_t c_write "write"(int fd, const void* buffer, size_t size)

cdef extern from "sys/eventfd.h" nogil:
    int c_eventfd "eventfd"(unsigned int count, int flags)
    enum:
        EFD_CLOEXEC
        EFD_NONBLOCK
