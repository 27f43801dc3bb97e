"""The hot thread: see _udp.pxd."""

import os

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdlib cimport calloc, free, malloc

from libc.string cimport memcpy

from fastdns.memory._clock cimport monotonic_ns
from fastdns.memory._store cimport enter_epoch, leave_epoch
from fastdns.memory._syscalls cimport (
    AF_INET, CMSG_DATA, CMSG_FIRSTHDR, EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLLIN, IP_PKTINFO, IPPROTO_IP,
    MSG_DONTWAIT, POLLOUT, c_close, cmsghdr, epoll_create1, epoll_ctl, epoll_event, epoll_wait, in_pktinfo, iovec,
    mmsghdr, msghdr, ntohs, poll, pollfd, recvmmsg, sendmmsg, sockaddr_in, sockaddr_in6,
)
from fastdns.metrics._stats cimport (
    FAILED_EVICTED, FAILED_SEND, PLUGIN_COUNTERS, ThreadCounters, count_failed, zone_counters,
)
from fastdns.serve._chain cimport Ahead, begin_message, look_again, look_ahead, serve_ahead
from fastdns.serve._context cimport NO_SLOT, OVER_UDP, Context, Server, ServiceReply
from fastdns.serve._suspend cimport (
    Services, Suspended, any_outstanding, any_suspended, any_unsent, control_of, flush, give_up, on_event,
    on_time, peer_of, serve_resumed, wait_ms,
)
from fastdns.transports._newest cimport close_newest, open_newest, read_newest, take_newest
from fastdns.transports._proxies cimport NOTHING, Proxies, find_client

cdef enum:
    MAX_ROUNDS = 16             # batches of one socket before the others have their turn
    EVENTS = 64


cdef int run_batches(Hot* hot) noexcept nogil:
    cdef epoll_event events[EVENTS]
    cdef Context* ctx = hot.ctx
    cdef const ServiceTable* services = &hot.services
    cdef int ready, i, rounds, timeout_ms
    cdef uint32_t tag
    cdef uint64_t now_ns
    cdef uint64_t stopped_ns = 0
    cdef bint idle
    cdef bint waits
    cdef bint listens = True
    while True:
        now_ns = monotonic_ns()
        if hot.stopping and stopped_ns == 0:
            stopped_ns = now_ns
        if ctx.counters != NULL:
            ctx.counters.heartbeat_ns = now_ns
        timeout_ms = 0 if hot.stacked else WAIT_MS
        if hot.stopping:
            timeout_ms = 1 if any_suspended(services) and not hot.stacked else 0
        timeout_ms = wait_ms(services, timeout_ms)
        ready = epoll_wait(hot.epoll_fd, events, EVENTS, timeout_ms)
        if ready < 0:
            if errno == EINTR:
                continue
            return -1
        idle = True
        for i in range(ready):
            tag = events[i].data.u32
            if tag < hot.socket_count and hot.sockets[tag].newest != NULL:
                read_stack(hot, &hot.sockets[tag])
            elif tag < hot.socket_count:
                idle = False
                rounds = 0
                # A batch that is not full has emptied the socket; epoll tells of what came since.
                while rounds < MAX_ROUNDS and one_batch(hot, &hot.sockets[tag], tag) == BATCH:
                    rounds += 1
            elif tag >= SERVICE_TAG:
                on_event(services, tag)
                send_ready(hot)
            else:
                # It has woken us once; it stays readable, and there would be no waiting any more.
                epoll_ctl(hot.epoll_fd, EPOLL_CTL_DEL, hot.event_fd, NULL)
        if hot.stacked:
            idle = False
            serve_stacks(hot)
        if any_outstanding(services):
            on_time(services, monotonic_ns())
            send_ready(hot)
        if stopped_ns:
            now_ns = monotonic_ns() - stopped_ns
            waits = any_suspended(services)
            if not waits and (idle or now_ns > STOP_NS):
                return 0
            if waits and listens and now_ns > STOP_NS:
                # There are always some that wait, where always new ones come: others take these.
                listens = False
                for i in range(<int>hot.socket_count):
                    epoll_ctl(hot.epoll_fd, EPOLL_CTL_DEL, hot.sockets[i].fd, NULL)
            if waits and now_ns > STOP_WAITING_NS:
                give_up(services)
                send_ready(hot)
                return 0


cdef inline const uint8_t* address_of(const uint8_t* peer, uint16_t* size) noexcept nogil:
    if (<const uint16_t*>peer)[0] != AF_INET:
        size[0] = 16
        return <const uint8_t*>&(<const sockaddr_in6*>peer).sin6_addr
    size[0] = 4
    return <const uint8_t*>&(<const sockaddr_in*>peer).sin_addr


cdef inline uint16_t port_of(const uint8_t* peer) noexcept nogil:
    # It stands at the same place in both families.
    return ntohs((<const sockaddr_in*>peer).sin_port)


cdef inline void begin_datagram(Context* ctx, const msghdr* datagram, const ProxiedClient* proxied,
                                uint64_t received_ns, uint64_t token) noexcept nogil:
    """proxied: for whom its sender has passed it on; NULL: it is the sender's own."""
    cdef const uint8_t* peer = <const uint8_t*>datagram.msg_name
    cdef uint16_t client_len = 0
    cdef const uint8_t* client = address_of(peer, &client_len)
    cdef uint16_t port = port_of(peer)
    if proxied != NULL:
        client = <const uint8_t*>&proxied.address[0]
        client_len = proxied.address_len
        port = proxied.port
    begin_message(ctx, OVER_UDP, received_ns, token, client, client_len, port, peer, datagram.msg_namelen,
                  <const uint8_t*>datagram.msg_control, datagram.msg_controllen)


cdef void take_headers(Hot* hot, HotSocket* s, int count, uint64_t now_ns) noexcept nogil:
    """Take proxies' headers off the messages of a batch."""
    cdef mmsghdr* datagram
    cdef ProxiedClient* client
    cdef const uint8_t* peer
    cdef uint16_t size = 0
    cdef int i
    for i in range(count):
        datagram = hot.received[i]
        client = &hot.clients[i]
        peer = <const uint8_t*>datagram.msg_hdr.msg_name
        address = address_of(peer, &size)
        find_client(s.proxies, address, size, port_of(peer), message_of(datagram), datagram.msg_len, now_ns, client)
        if client.address_len:
            datagram.msg_hdr.msg_iov.iov_base = <uint8_t*>datagram.msg_hdr.msg_iov.iov_base + client.header_bytes
            datagram.msg_len -= client.header_bytes
        else:
            datagram.msg_len = 0
            if client.counts != NOTHING:
                count_dropped(hot, s, s.first_unserved + client.counts, 1)


cdef inline void leave_from(msghdr* message) noexcept nogil:
    """Let the control message that told where the query came to say where the reply leaves from."""
    cdef cmsghdr* control = CMSG_FIRSTHDR(message)
    if control != NULL and control.cmsg_level == IPPROTO_IP and control.cmsg_type == IP_PKTINFO:
        # The route decides the interface; only the source address is given.
        (<in_pktinfo*>CMSG_DATA(control)).ipi_ifindex = 0


cdef inline const uint8_t* message_of(const mmsghdr* datagram) noexcept nogil:
    return <const uint8_t*>datagram.msg_hdr.msg_iov.iov_base


cdef inline void look_at_group(Hot* hot, int first, int behind) noexcept nogil:
    """Have the memory fetched that the messages of a group will be answered from."""
    cdef int i
    for i in range(first, behind):
        # A message cut at QUERY_ROOM ends inside itself, and accept refuses it.
        look_ahead(hot.ctx, message_of(hot.received[i]), hot.received[i].msg_len, &hot.ahead[i - first])
    for i in range(first, behind):
        look_again(hot.ctx, &hot.ahead[i - first])


cdef int one_batch(Hot* hot, HotSocket* s, uint32_t which) noexcept nogil:
    """Receive, serve and answer one batch. Returns how many messages came."""
    cdef mmsghdr* headers = <mmsghdr*>hot.headers_in
    cdef iovec* iovecs = <iovec*>hot.iovecs
    cdef int i, count
    for i in range(BATCH):
        hot.received[i] = &headers[i]
        iovecs[i].iov_base = hot.queries + i * QUERY_ROOM
        iovecs[i].iov_len = QUERY_ROOM
        headers[i].msg_hdr.msg_name = hot.addresses + i * ADDRESS_ROOM
        headers[i].msg_hdr.msg_namelen = ADDRESS_ROOM
        headers[i].msg_hdr.msg_iov = &iovecs[i]
        headers[i].msg_hdr.msg_iovlen = 1
        headers[i].msg_hdr.msg_control = hot.controls + i * CONTROL_ROOM if s.wildcard else NULL
        headers[i].msg_hdr.msg_controllen = CONTROL_ROOM if s.wildcard else 0
    count = recvmmsg(s.fd, headers, BATCH, MSG_DONTWAIT, NULL)
    if count <= 0:
        return 0
    serve_batch(hot, s, which, count)
    return count


cdef void read_stack(Hot* hot, HotSocket* s) noexcept nogil:
    """Read what a socket has; what is too old for its stack is dropped, and counted."""
    cdef uint32_t before = s.newest.count
    cdef uint32_t dropped = read_newest(s.newest, s.fd, s.wildcard)
    cdef ThreadCounters* counters = hot.ctx.counters
    hot.stacked += s.newest.count - before
    if dropped and counters != NULL:
        counters.queries += dropped
        counters.failed[<uint32_t>FAILED_EVICTED] += dropped
        count_dropped(hot, s, s.first_counter + DROPPED_QUERIES, dropped)


cdef void count_dropped(Hot* hot, const HotSocket* s, uint32_t counter, uint32_t count) noexcept nogil:
    cdef uint32_t slot = (<const Server*>s.server).dropped_slot
    if slot != NO_SLOT and hot.ctx.counters != NULL:
        zone_counters(hot.ctx.zone_banks, slot).plugins[counter] += count


cdef void serve_stacks(Hot* hot) noexcept nogil:
    """Answer some of what the stacks hold, the newest first."""
    cdef HotSocket* s
    cdef uint32_t which, _round
    cdef int count
    for which in range(hot.socket_count):
        s = &hot.sockets[which]
        if s.newest == NULL:
            continue
        for _round in range(<uint32_t>NEWEST_ROUNDS):
            count = 0
            while s.newest.count and count < BATCH:
                hot.received[count] = take_newest(s.newest)
                count += 1
            if count == 0:
                break
            hot.stacked -= count
            serve_batch(hot, s, which, count)


cdef void serve_batch(Hot* hot, HotSocket* s, uint32_t which, int count) noexcept nogil:
    """Answer the first messages of hot.received; they came to one socket."""
    cdef mmsghdr* out = <mmsghdr*>hot.headers_out
    cdef Context* ctx = hot.ctx
    cdef const mmsghdr* datagram
    cdef const ProxiedClient* proxied = NULL
    cdef uint64_t received_ns
    cdef int i, size
    cdef int first = 0
    cdef int behind = 0
    hot.sending_to = s
    ctx.server = <const Server*>s.server
    received_ns = monotonic_ns()
    if s.proxies != NULL:
        take_headers(hot, s, count, received_ns)
    if ctx.store != NULL:
        enter_epoch(ctx.store, hot.reader_slot)
    for i in range(count):
        if i == behind:
            first = i
            behind = first + GROUP if first + GROUP < count else count
            look_at_group(hot, first, behind)
        datagram = hot.received[i]
        if s.proxies != NULL:
            proxied = &hot.clients[i]
            if proxied.address_len == 0:
                continue
        begin_datagram(ctx, &datagram.msg_hdr, proxied, received_ns, which)
        if hot.used + REPLY_ROOM > REPLIES_BYTES:
            send_ready(hot)
        size = serve_ahead(ctx, &hot.ahead[i - first], message_of(datagram), datagram.msg_len,
                           hot.replies + hot.used, REPLY_ROOM)
        if size <= 0:
            continue
        out[hot.sending].msg_hdr = datagram.msg_hdr
        ready_to_send(hot, size, s.wildcard)
    if ctx.store != NULL:
        leave_epoch(ctx.store, hot.reader_slot)
    send_ready(hot)
    if any_unsent(&hot.services):
        flush(&hot.services)
        send_ready(hot)


cdef inline void ready_to_send(Hot* hot, uint32_t size, bint wildcard) noexcept nogil:
    """The reply that has just been written joins the batch; its header has the address already."""
    cdef msghdr* header = &(<mmsghdr*>hot.headers_out)[hot.sending].msg_hdr
    cdef iovec* part = &(<iovec*>hot.iovecs)[BATCH + hot.sending]
    part.iov_base = hot.replies + hot.used
    part.iov_len = size
    header.msg_iov = part
    header.msg_iovlen = 1
    header.msg_flags = 0
    if wildcard:
        leave_from(header)
    hot.sending += 1
    hot.used += size


cdef void resume(void* owner, Suspended* query, ServiceReply* reply) noexcept nogil:
    """What the service calls for a query that was suspended."""
    cdef Hot* hot = <Hot*>owner
    cdef Context* ctx = hot.ctx
    cdef HotSocket* s = &hot.sockets[query.token]
    cdef msghdr* header
    cdef uint8_t* address
    cdef int size
    if hot.sending_to != s or hot.sending == BATCH or hot.used + REPLY_ROOM > REPLIES_BYTES:
        send_ready(hot)
    hot.sending_to = s
    # The suspended query's memory is given back before the batch is sent.
    address = hot.addresses + (BATCH + hot.sending) * ADDRESS_ROOM
    memcpy(address, peer_of(query), query.peer_len)
    header = &(<mmsghdr*>hot.headers_out)[hot.sending].msg_hdr
    header.msg_name = address
    header.msg_namelen = query.peer_len
    header.msg_control = NULL
    header.msg_controllen = query.control_len
    if query.control_len:
        header.msg_control = hot.controls + (BATCH + hot.sending) * CONTROL_ROOM
        memcpy(header.msg_control, control_of(query), query.control_len)
    ctx.server = <const Server*>s.server
    if ctx.store != NULL:
        enter_epoch(ctx.store, hot.reader_slot)
    size = serve_resumed(ctx, query, reply, hot.replies + hot.used, REPLY_ROOM)
    if ctx.store != NULL:
        leave_epoch(ctx.store, hot.reader_slot)
    if size > 0:
        ready_to_send(hot, size, s.wildcard)


cdef void send_ready(Hot* hot) noexcept nogil:
    """Send the replies that are ready; what the kernel refuses is counted, not tried for ever."""
    cdef mmsghdr* out = <mmsghdr*>hot.headers_out
    cdef uint32_t first = 0
    cdef int sent
    cdef pollfd waiting
    cdef bint waited = False
    while first < hot.sending:
        sent = sendmmsg(hot.sending_to.fd, &out[first], hot.sending - first, MSG_DONTWAIT)
        if sent > 0:
            first += sent
            waited = False
            continue
        if errno == EINTR:
            continue
        if errno == EAGAIN and not waited:
            waited = True
            waiting.fd = hot.sending_to.fd
            waiting.events = POLLOUT
            poll(&waiting, 1, 10)
            continue
        count_failed(hot.ctx.counters, FAILED_SEND)
        if hot.sending_to.newest != NULL:
            count_dropped(hot, hot.sending_to, hot.sending_to.first_counter + DROPPED_REPLIES, 1)
        first += 1
    hot.sending = 0
    hot.used = 0


cdef class HotLoop:
    """sockets: (fd, ServerTable, wildcard). The fds stay the caller's; run ends after stop.

    services: that queries may wait for. newest_first: of which sockets the newest queries are answered first under
    overload, by descriptor; where each counts in its listener's zone "dropped" (Dropped). proxied: to which sockets
    proxies send, by descriptor: their Proxies, and where each counts what it does not let in (Unserved).
    """

    def __cinit__(self, Worker worker not None, list sockets, list services=None, dict newest_first=None,
                  dict proxied=None):
        cdef Proxies proxies
        cdef Hot* hot = &self.hot
        cdef uint32_t i
        cdef uint32_t most_ahead = 0
        cdef int fd
        cdef ServerTable table
        cdef epoll_event event
        hot.epoll_fd = -1
        hot.event_fd = -1
        if len(sockets) > MAX_SOCKETS:
            raise ValueError(f"a worker takes {MAX_SOCKETS} UDP sockets at most, got {len(sockets)}")
        self.worker = worker
        self.services = Services(services or [])
        newest_first = newest_first or {}
        proxied = proxied or {}
        self.keep = [sockets, proxied]
        self.stacks = <Newest*>calloc(max(1, len(newest_first)), sizeof(Newest))
        hot.ctx = &worker.ctx
        hot.reader_slot = worker.reader_slot
        hot.queries = <uint8_t*>malloc(BATCH * QUERY_ROOM)
        hot.replies = <uint8_t*>malloc(REPLIES_BYTES)
        hot.controls = <uint8_t*>calloc(2 * BATCH, CONTROL_ROOM)
        hot.addresses = <uint8_t*>calloc(2 * BATCH, ADDRESS_ROOM)
        hot.headers_in = calloc(BATCH, sizeof(mmsghdr))
        hot.headers_out = calloc(BATCH, sizeof(mmsghdr))
        hot.iovecs = calloc(2 * BATCH, sizeof(iovec))
        hot.ahead = <Ahead*>calloc(GROUP, sizeof(Ahead))
        if not (self.stacks and hot.ahead and hot.queries and hot.replies and hot.controls and hot.addresses
                and hot.headers_in and hot.headers_out and hot.iovecs):
            raise MemoryError
        hot.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
        hot.event_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        for i in range(len(sockets)):
            fd, table, wildcard = sockets[i]
            worker.expect_counters(table)
            hot.sockets[i].fd = fd
            hot.sockets[i].wildcard = wildcard
            hot.sockets[i].server = <void*>&table.server
            hot.sockets[i].newest = NULL
            if fd in newest_first:
                if newest_first[fd] + DROPPED_REPLIES >= PLUGIN_COUNTERS:
                    raise ValueError("counters out of range")
                if not open_newest(&self.stacks[self.stack_count]):
                    raise MemoryError
                hot.sockets[i].newest = &self.stacks[self.stack_count]
                hot.sockets[i].first_counter = newest_first[fd]
                self.stack_count += 1
            hot.sockets[i].proxies = NULL
            if fd in proxied:
                proxies, hot.sockets[i].first_unserved = proxied[fd]
                hot.sockets[i].proxies = &proxies.rules
                if hot.sockets[i].first_unserved + NOTHING > PLUGIN_COUNTERS:
                    raise ValueError("counters out of range")
            most_ahead = max(most_ahead, table.most_ahead)
            event.events = EPOLLIN
            event.data.u32 = i
            if epoll_ctl(hot.epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0:
                raise OSError(errno, "epoll_ctl")
        hot.socket_count = len(sockets)
        event.events = EPOLLIN
        event.data.u32 = WAKE_TAG
        if epoll_ctl(hot.epoll_fd, EPOLL_CTL_ADD, hot.event_fd, &event) != 0:
            raise OSError(errno, "epoll_ctl")
        hot.hashes = <uint64_t*>calloc(max(1, GROUP * most_ahead), sizeof(uint64_t))
        if hot.hashes == NULL:
            raise MemoryError
        for i in range(GROUP):
            hot.ahead[i].hashes = hot.hashes + i * most_ahead
        self.services.attach([worker], hot.epoll_fd, SERVICE_TAG, worker.reply, resume, hot)
        hot.services = self.services.table

    def __dealloc__(self):
        cdef Hot* hot = &self.hot
        cdef uint32_t i
        for i in range(self.stack_count):
            close_newest(&self.stacks[i])
        free(self.stacks)
        free(hot.queries)
        free(hot.replies)
        free(hot.controls)
        free(hot.addresses)
        free(hot.headers_in)
        free(hot.headers_out)
        free(hot.iovecs)
        free(hot.ahead)
        free(hot.hashes)
        if hot.epoll_fd >= 0:
            c_close(hot.epoll_fd)
        if hot.event_fd >= 0:
            c_close(hot.event_fd)

    def run(self):
        """Serve until stop is called, without the GIL. For a thread of its own."""
        with nogil:
            run_batches(&self.hot)

    def stop(self):
        """End run after what the sockets hold has been answered and no query is suspended. From any thread.

        It ends all the same after STOP_NS of load, and STOP_WAITING_NS of waiting: who waits then gets an error.
        """
        self.hot.stopping = 1
        os.eventfd_write(self.hot.event_fd, 1)
