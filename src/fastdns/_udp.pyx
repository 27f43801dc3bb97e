"""The hot thread: see _udp.pxd."""

import os

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdlib cimport calloc, free, malloc

from fastdns._chain cimport OVER_UDP, Context, Server, monotonic_ns, serve
from fastdns._store cimport enter_epoch, leave_epoch

cdef extern from "sys/socket.h" nogil:
    ctypedef unsigned int socklen_t
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
    int recvmmsg(int fd, mmsghdr* messages, unsigned int count, int flags, void* timeout)
    int sendmmsg(int fd, mmsghdr* messages, unsigned int count, int flags)
    cmsghdr* CMSG_FIRSTHDR(msghdr* message)
    uint8_t* CMSG_DATA(cmsghdr* control)
    enum:
        MSG_DONTWAIT
        MSG_TRUNC

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
    enum:
        AF_INET
        AF_INET6
        IPPROTO_IP
        IP_PKTINFO
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
        EPOLL_CTL_ADD
        EPOLL_CLOEXEC

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

cdef enum:
    ADDRESS_ROOM = 32
    MAX_ROUNDS = 16             # batches of one socket before the others have their turn


cdef class HotLoop:
    """sockets: (fd, ServerTable, wildcard). The fds stay the caller's; run ends after stop."""

    def __cinit__(self, Worker worker not None, list sockets):
        cdef uint32_t i
        cdef int fd
        cdef ServerTable table
        cdef epoll_event event
        self.epoll_fd = -1
        self.event_fd = -1
        if not 0 < len(sockets) <= MAX_SOCKETS:
            raise ValueError(f"a worker takes 1 to {MAX_SOCKETS} UDP sockets, got {len(sockets)}")
        self.worker = worker
        self.keep = [sockets]
        self.queries = <uint8_t*>malloc(BATCH * QUERY_ROOM)
        self.replies = <uint8_t*>malloc(REPLIES_BYTES)
        self.controls = <uint8_t*>calloc(BATCH, CONTROL_ROOM)
        self.addresses = calloc(BATCH, ADDRESS_ROOM)
        self.headers_in = calloc(BATCH, sizeof(mmsghdr))
        self.headers_out = calloc(BATCH, sizeof(mmsghdr))
        self.iovecs = calloc(2 * BATCH, sizeof(iovec))
        if not (self.queries and self.replies and self.controls and self.addresses and self.headers_in
                and self.headers_out and self.iovecs):
            raise MemoryError
        self.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
        self.event_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        for i in range(len(sockets)):
            fd, table, wildcard = sockets[i]
            self.sockets[i].fd = fd
            self.sockets[i].wildcard = wildcard
            self.sockets[i].server = <void*>&table.server
            event.events = EPOLLIN
            event.data.u32 = i
            if epoll_ctl(self.epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0:
                raise OSError(errno, "epoll_ctl")
        self.socket_count = len(sockets)
        event.events = EPOLLIN
        event.data.u32 = MAX_SOCKETS
        if epoll_ctl(self.epoll_fd, EPOLL_CTL_ADD, self.event_fd, &event) != 0:
            raise OSError(errno, "epoll_ctl")

    def __dealloc__(self):
        free(self.queries)
        free(self.replies)
        free(self.controls)
        free(self.addresses)
        free(self.headers_in)
        free(self.headers_out)
        free(self.iovecs)
        if self.epoll_fd >= 0:
            c_close(self.epoll_fd)
        if self.event_fd >= 0:
            c_close(self.event_fd)

    def run(self):
        """Serve until stop is called, without the GIL. For a thread of its own."""
        with nogil:
            self.run_batches()

    def stop(self):
        """End run after what the sockets hold has been answered, or after STOP_NS. From any thread."""
        self.stopping = 1
        os.eventfd_write(self.event_fd, 1)

    cdef int run_batches(self) noexcept nogil:
        cdef epoll_event events[32]
        cdef Context* ctx = &self.worker.ctx
        cdef int ready, i, rounds
        cdef uint32_t which
        cdef uint64_t stopped_ns = 0
        while True:
            if self.stopping and stopped_ns == 0:
                stopped_ns = monotonic_ns()
            if ctx.counters != NULL:
                ctx.counters.heartbeat_ns = monotonic_ns()
            ready = epoll_wait(self.epoll_fd, events, 32, 0 if self.stopping else WAIT_MS)
            if ready < 0:
                if errno == EINTR:
                    continue
                return -1
            for i in range(ready):
                which = events[i].data.u32
                if which >= self.socket_count:
                    continue
                rounds = 0
                # A batch that is not full has emptied the socket; epoll tells of what came since.
                while rounds < MAX_ROUNDS and self.one_batch(&self.sockets[which]) == BATCH:
                    rounds += 1
            if stopped_ns and (ready == 0 or (ready == 1 and events[0].data.u32 == MAX_SOCKETS)
                               or monotonic_ns() - stopped_ns > STOP_NS):
                return 0

    cdef int one_batch(self, HotSocket* s) noexcept nogil:
        """Receive, serve and answer one batch. Returns how many messages came."""
        cdef mmsghdr* headers = <mmsghdr*>self.headers_in
        cdef mmsghdr* out = <mmsghdr*>self.headers_out
        cdef iovec* iovecs = <iovec*>self.iovecs
        cdef Context* ctx = &self.worker.ctx
        cdef uint8_t* address
        cdef cmsghdr* control
        cdef uint32_t sending = 0, used = 0
        cdef int i, count, size
        for i in range(BATCH):
            iovecs[i].iov_base = self.queries + i * QUERY_ROOM
            iovecs[i].iov_len = QUERY_ROOM
            headers[i].msg_hdr.msg_name = <uint8_t*>self.addresses + i * ADDRESS_ROOM
            headers[i].msg_hdr.msg_namelen = ADDRESS_ROOM
            headers[i].msg_hdr.msg_iov = &iovecs[i]
            headers[i].msg_hdr.msg_iovlen = 1
            headers[i].msg_hdr.msg_control = self.controls + i * CONTROL_ROOM if s.wildcard else NULL
            headers[i].msg_hdr.msg_controllen = CONTROL_ROOM if s.wildcard else 0
        count = recvmmsg(s.fd, headers, BATCH, MSG_DONTWAIT, NULL)
        if count <= 0:
            return 0
        ctx.transport = OVER_UDP
        ctx.server = <const Server*>s.server
        ctx.received_ns = monotonic_ns()
        if ctx.store != NULL:
            enter_epoch(ctx.store, self.worker.reader_slot)
        for i in range(count):
            address = <uint8_t*>headers[i].msg_hdr.msg_name
            if (<uint16_t*>address)[0] == AF_INET:
                ctx.client = <uint8_t*>&(<sockaddr_in*>address).sin_addr
                ctx.client_len = 4
                ctx.client_port = ntohs((<sockaddr_in*>address).sin_port)
            else:
                ctx.client = <uint8_t*>&(<sockaddr_in6*>address).sin6_addr
                ctx.client_len = 16
                ctx.client_port = ntohs((<sockaddr_in6*>address).sin6_port)
            if used + REPLY_ROOM > REPLIES_BYTES:
                self.send_all(s.fd, sending)
                sending = 0
                used = 0
            # A message cut at QUERY_ROOM ends inside itself, and accept refuses it.
            size = serve(ctx, self.queries + i * QUERY_ROOM, headers[i].msg_len, self.replies + used, REPLY_ROOM)
            if size <= 0:
                continue
            iovecs[BATCH + sending].iov_base = self.replies + used
            iovecs[BATCH + sending].iov_len = size
            out[sending].msg_hdr = headers[i].msg_hdr
            out[sending].msg_hdr.msg_iov = &iovecs[BATCH + sending]
            out[sending].msg_hdr.msg_flags = 0
            if s.wildcard:
                control = CMSG_FIRSTHDR(&out[sending].msg_hdr)
                if control != NULL and control.cmsg_level == IPPROTO_IP and control.cmsg_type == IP_PKTINFO:
                    # The route decides the interface; only the source address is given.
                    (<in_pktinfo*>CMSG_DATA(control)).ipi_ifindex = 0
            sending += 1
            used += size
        if ctx.store != NULL:
            leave_epoch(ctx.store, self.worker.reader_slot)
        self.send_all(s.fd, sending)
        return count

    cdef int send_all(self, int fd, uint32_t count) noexcept nogil:
        """Send the first count replies; what the kernel refuses is counted, not tried for ever."""
        cdef mmsghdr* out = <mmsghdr*>self.headers_out
        cdef uint32_t first = 0
        cdef int sent
        cdef pollfd waiting
        cdef bint waited = False
        while first < count:
            sent = sendmmsg(fd, &out[first], count - first, MSG_DONTWAIT)
            if sent > 0:
                first += sent
                waited = False
                continue
            if errno == EINTR:
                continue
            if errno == EAGAIN and not waited:
                waited = True
                waiting.fd = fd
                waiting.events = POLLOUT
                poll(&waiting, 1, 10)
                continue
            if self.worker.ctx.counters != NULL:
                self.worker.ctx.counters.send_errors += 1
            first += 1
        return 0
