"""The forwarder's table of questions in flight: see _upstream.pxd for the shapes and the rules."""

import os
import socket as pysocket

from libc.errno cimport (
    EADDRINUSE, EAGAIN, ECONNREFUSED, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC, errno,
)
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset

from fastdns._chain cimport (
    ERROR_CLIENT_SHARE, ERROR_IN_FLIGHT, ERROR_MALFORMED, ERROR_MAX_CONCURRENT, ERROR_NO_HEALTHY, ERROR_REFUSED,
    ERROR_REPLAYS, ERROR_SEND, ERROR_STREAM, ERROR_TIMEOUT, ERROR_TOO_LONG, MAX_REPLAYS, NO_ERROR, OVER_UDP,
    PENDING, bare, monotonic_ns, next_random,
)
from fastdns._relay cimport MAX_ASKED_BYTES, is_bare_error, write_asked, write_error
from fastdns._stats cimport RCODE_SLOTS, Stats, duration_bucket
from fastdns._store cimport hash_bytes
from fastdns._wire cimport (
    ACCEPTED, FLAG_AD, FLAG_QR, FLAG_RD, FLAG_TC, FORMERR, HEADER_BYTES, MAX_ASKED_UDP_BYTES, NOTIMP, REFUSED,
    SERVFAIL, accept,
    answers_question, parse_reply, put_u16, reply_reset,
)
from fastdns.memory._atomics cimport compare_and_swap, load, publish_u64
from fastdns.memory._mapping cimport map_private, map_shared, unmap
from fastdns.memory._random cimport random_u32, random_u64
from fastdns.memory._ring cimport ring_done, ring_next, ring_room
from fastdns.memory._slabs cimport (
    MAX_BLOCK_BYTES, SLAB_UNITS, block_units, close_slabs, give_block, open_slabs, take_block,
)
from fastdns.memory._wheel cimport (
    NO_TIMER, WHEEL_TICK_NS, open_wheel, wheel_remove, wheel_set, wheel_take, wheel_turns,
)

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
    int c_socket "socket"(int family, int kind, int protocol)
    int c_bind "bind"(int fd, const sockaddr* address, socklen_t size)
    int c_connect "connect"(int fd, const sockaddr* address, socklen_t size)
    int setsockopt(int fd, int level, int name, const void* value, socklen_t size)
    int recvmmsg(int fd, mmsghdr* messages, unsigned int count, int flags, void* timeout)
    int sendmmsg(int fd, mmsghdr* messages, unsigned int count, int flags)
    enum:
        MSG_DONTWAIT
        MSG_TRUNC
        SOCK_DGRAM
        SOCK_NONBLOCK
        SOCK_CLOEXEC
        SOL_SOCKET
        SO_RCVBUF

cdef extern from "sys/epoll.h" nogil:
    ctypedef union epoll_data_t:
        uint32_t u32
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_ctl(int epfd, int op, int fd, epoll_event* event)
    enum:
        EPOLLIN
        EPOLL_CTL_ADD

cdef extern from "unistd.h" nogil:
    int c_close "close"(int fd)
    ssize_t c_read "read"(int fd, void* buffer, size_t size)
    ssize_t c_write "write"(int fd, const void* buffer, size_t size)

cdef enum:
    RECEIVE = 32                            # datagrams a call
    SEND = 64
    RECEIVE_ROOM = MAX_ASKED_UDP_BYTES      # a longer one came in fragments: it is asked for again over TCP
    RECEIVE_ROUNDS = 16
    RECEIVE_BUFFER_BYTES = 1048576
    FLUSH_ROUNDS = 8
    SUSPECT_SILENCES = 2
    MAX_RESENT = 2
    ID_TRIES = 64
    OPT_CLASS_AT = 3                        # of an OPT record: behind its owner and its type
    MANY = 1 << 24                          # more than can wait
    STANZA_SHARE = 8                        # of the room one eighth is never one stanza's, where there are others
    REFUSED_FD = -2                         # of a socket whose attempts are failing; it gets no new ones
    CLAIM_MS = 1000                         # how long others wait for who asks
    MS = 1000000

cdef uint64_t DEADLINE_NS = 5000000000      # of an exchange, as CoreDNS's forward has it
cdef uint64_t RTO_INITIAL_NS = 400000000
cdef uint64_t RTO_MIN_NS = 150000000
cdef uint64_t RTO_MAX_NS = 1000000000
cdef uint64_t STREAM_SILENCE_NS = 700000000  # connecting included: the other one answers within a second
cdef uint64_t PROBE_TIMEOUT_NS = 1000000000
cdef uint64_t DOUBT_NS = 5000000000
cdef uint64_t AGAIN_NS = 150000000          # before who has failed at once is asked again, where that has no bound
cdef uint64_t MALFORMED_NS = 100000000      # for a reply that can be read, after one that cannot
cdef uint64_t NO_STREAM_NS = 30000000000    # where TCP has failed: before it is tried again
cdef uint64_t STREAM_TRIAL_NS = 500000000   # and then: how long that client waits
cdef uint64_t UNSENT_NS = 16000000          # before what the kernel had no room for is sent again
cdef uint64_t GRACE_NS = 50000000           # for the slow thread to say why an attempt over a stream has failed
cdef uint64_t OTHERS_NS = 1000000           # how old the sum of the other threads' waiting queries may be


# ------------------------------------------------------------------------------------- the wheel of timers

cdef void schedule(Engine* e, uint32_t index) noexcept nogil:
    """Put the exchange where the first thing that may happen to it by time will be seen."""
    cdef Exchange* x = &e.exchanges[index]
    cdef uint64_t due = x.deadline_ns
    cdef uint32_t i
    if x.hedge_ns and x.hedge_ns < due:
        due = x.hedge_ns
    if x.stale_after_ns and x.stale_after_ns < due:
        due = x.stale_after_ns
    for i in range(MAX_ATTEMPTS):
        if x.attempts[i].state != FREE and x.attempts[i].expires_ns < due:
            due = x.attempts[i].expires_ns
    wheel_set(&e.wheel, index, due)


cdef inline void note_stale(Exchange* x, const Waiter* w) noexcept nogil:
    if w.stale_after_ns and (x.stale_after_ns == 0 or w.stale_after_ns < x.stale_after_ns):
        x.stale_after_ns = w.stale_after_ns


# ------------------------------------------------------------------------------------------- upstreams

cdef inline UpstreamCounters* counted(Engine* e, const Upstream* u) noexcept nogil:
    return &e.upstream_counters[u.slot]


cdef inline bint is_cut(const Engine* e, const Upstream* u) noexcept nogil:
    return load(&e.shared[u.slot].cut) != 0


cdef inline bint avoids_streams(const Engine* e, const Upstream* u) noexcept nogil:
    """Whether TCP has failed there a short while ago, so that a truncated reply is all that can be had."""
    return load(&e.shared[u.slot].no_stream_until_ns) > e.now_ns


cdef inline void stream_failed(Engine* e, const Exchange* x, const Upstream* u) noexcept nogil:
    """What was truncated could not be had over TCP. Other queries need not find that out for themselves."""
    if not (x.probe or x.stream or u.stream_only):
        publish_u64(&e.shared[u.slot].no_stream_until_ns, e.now_ns + NO_STREAM_NS)


cdef inline void stream_works(Engine* e, const Upstream* u) noexcept nogil:
    if load(&e.shared[u.slot].no_stream_until_ns):
        publish_u64(&e.shared[u.slot].no_stream_until_ns, 0)


cdef inline bint is_down(const Stanza* stanza, const Upstream* u) noexcept nogil:
    return stanza.max_fails != 0 and u.failed_probes > stanza.max_fails


cdef inline bint is_doubtful(const Engine* e, const Upstream* u) noexcept nogil:
    """Whether others go first. Not for ever: where it is not probed, only a question can tell that it is back."""
    return u.silences >= SUSPECT_SILENCES and e.now_ns - u.doubted_ns < DOUBT_NS


cdef inline void was_silent(Engine* e, Upstream* u) noexcept nogil:
    u.silences += 1
    u.doubted_ns = e.now_ns


cdef inline uint64_t timeout_of(const Upstream* u) noexcept nogil:
    """How long its silence is ordinary (RFC 6298 section 2)."""
    cdef uint64_t rto
    if u.srtt_ns == 0:
        return RTO_INITIAL_NS
    rto = u.srtt_ns + 4 * u.rttvar_ns
    if rto < RTO_MIN_NS:
        return RTO_MIN_NS
    return rto if rto < RTO_MAX_NS else RTO_MAX_NS


cdef void measure(Upstream* u, uint64_t took_ns) noexcept nogil:
    cdef uint64_t off
    if u.srtt_ns == 0:
        u.srtt_ns = took_ns | 1
        u.rttvar_ns = took_ns // 2
        return
    off = took_ns - u.srtt_ns if took_ns > u.srtt_ns else u.srtt_ns - took_ns
    u.rttvar_ns = (3 * u.rttvar_ns + off) // 4
    u.srtt_ns = (7 * u.srtt_ns + took_ns) // 8 | 1


cdef inline bint is_shortage(int error) noexcept nogil:
    """Whether a call failed for what this process or host has too little of: that says nothing of the upstream.

    EAGAIN: no port is free, or the socket's buffer is full. ENOSPC: nothing more can be waited for (epoll).
    """
    return error in (EAGAIN, EADDRINUSE, EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC)


cdef bint open_socket(Engine* e, uint32_t upstream, uint32_t which) noexcept nogil:
    """A connected socket: the kernel then drops what others send, and tells of refusals. Its port is random."""
    cdef Upstream* u = &e.upstreams[upstream]
    cdef UdpSocket* s = &u.sockets[which]
    cdef epoll_event event
    cdef int size = RECEIVE_BUFFER_BYTES
    s.fd = c_socket((<uint16_t*>u.address)[0], SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if s.fd < 0:
        u.short = is_shortage(errno)
        s.fd = -1
        return False
    setsockopt(s.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size))
    event.events = EPOLLIN
    event.data.u32 = e.tag + upstream * SOCKETS + which
    if ((u.source_len and c_bind(s.fd, <const sockaddr*>u.source, u.source_len) != 0)
            or c_connect(s.fd, <const sockaddr*>u.address, u.address_len) != 0
            or epoll_ctl(e.epoll_fd, EPOLL_CTL_ADD, s.fd, &event) != 0):
        u.short = is_shortage(errno)
        c_close(s.fd)
        s.fd = -1
        return False
    s.sent = 0
    s.opened_ns = e.now_ns
    return True


cdef inline bint is_worn(const Engine* e, const UdpSocket* s) noexcept nogil:
    """Whether its port has been in use for long enough: who forges replies has been looking for it meanwhile."""
    return s.sent >= SOCKET_QUERIES or e.now_ns - s.opened_ns > e.socket_ns


cdef uint32_t choose_socket(Engine* e, uint32_t upstream) noexcept nogil:
    """The socket for what is sent until the next flush, so that one call sends it all. NONE where none opens."""
    cdef Upstream* u = &e.upstreams[upstream]
    cdef uint32_t which
    cdef uint32_t _i
    cdef UdpSocket* s
    cdef bint opens = True
    if u.chosen != NONE:
        return u.chosen
    u.short = False
    which = random_u32(&e.random) % e.sockets
    for _i in range(e.sockets):
        s = &u.sockets[which]
        if s.fd >= 0 and s.first == NONE and opens and is_worn(e, s):
            c_close(s.fd)
            s.fd = -1
        if s.fd == -1 and opens:
            # Where one does not open (no descriptor, no route), the next one would not either.
            opens = open_socket(e, upstream, which)
        if s.fd >= 0:
            u.chosen = which
            # A worn one only where there is no other: without new queries it can be replaced soon.
            if not is_worn(e, s):
                break
        which = (which + 1) % e.sockets
    return u.chosen


# -------------------------------------------------------------------------------------------- attempts

cdef inline uint32_t id_slot(const Engine* e, uint32_t upstream, uint32_t which, uint16_t wire_id) noexcept nogil:
    return (wire_id ^ ((upstream * SOCKETS + which) * 40503)) & e.hash_mask


cdef void link_attempt(Engine* e, uint32_t index, uint32_t which) noexcept nogil:
    cdef Attempt* a = &e.exchanges[index].attempts[which]
    cdef uint32_t node = index * MAX_ATTEMPTS + which
    cdef uint32_t slot = id_slot(e, a.upstream, a.socket, a.id)
    cdef UdpSocket* s = &e.upstreams[a.upstream].sockets[a.socket]
    a.next_hashed = e.by_id[slot]
    e.by_id[slot] = node
    a.previous_out = NONE
    a.next_out = s.first
    if s.first != NONE:
        attempt_at(e, s.first).previous_out = node
    s.first = node


cdef inline Attempt* attempt_at(Engine* e, uint32_t node) noexcept nogil:
    return &e.exchanges[node // MAX_ATTEMPTS].attempts[node % MAX_ATTEMPTS]


cdef void end_attempt(Engine* e, uint32_t index, uint32_t which) noexcept nogil:
    """Nothing that comes for it counts any more."""
    cdef Attempt* a = &e.exchanges[index].attempts[which]
    cdef uint32_t node = index * MAX_ATTEMPTS + which
    cdef uint32_t* at
    cdef UdpSocket* s
    if a.state == OVER_DATAGRAMS:
        at = &e.by_id[id_slot(e, a.upstream, a.socket, a.id)]
        while at[0] != node:
            at = &attempt_at(e, at[0]).next_hashed
        at[0] = a.next_hashed
        s = &e.upstreams[a.upstream].sockets[a.socket]
        if a.previous_out == NONE:
            s.first = a.next_out
        else:
            attempt_at(e, a.previous_out).next_out = a.next_out
        if a.next_out != NONE:
            attempt_at(e, a.next_out).previous_out = a.previous_out
    a.state = FREE


cdef uint32_t find_attempt(Engine* e, uint32_t upstream, uint32_t which, uint16_t wire_id) noexcept nogil:
    cdef uint32_t node = e.by_id[id_slot(e, upstream, which, wire_id)]
    cdef Attempt* a
    while node != NONE:
        a = attempt_at(e, node)
        if a.id == wire_id and a.upstream == upstream and a.socket == which:
            return node
        node = a.next_hashed
    return NONE


cdef void was_unsent(Engine* e, uint32_t index, uint32_t which) noexcept nogil:
    """An attempt found no room on its way out. It is sent soon again; if it was sent before, its time will tell."""
    cdef Exchange* x = &e.exchanges[index]
    if x.attempts[which].resent == 0:
        x.attempts[which].unsent = True
        x.hedge_ns = e.now_ns + UNSENT_NS


cdef void push_out(Engine* e, uint32_t index, uint32_t which) noexcept nogil:
    if e.outbox_count == OUTBOX:
        # (Not sent from here: that may serve other queries again, and one is being served.)
        was_unsent(e, index, which)
        return
    e.outbox[e.outbox_count].exchange = index
    e.outbox[e.outbox_count].attempt = which
    e.outbox_count += 1


cdef bint start_attempt(Engine* e, uint32_t index, uint32_t upstream, bint stream) noexcept nogil:
    """Ask an upstream. False where that cannot even be tried; nothing has changed then."""
    cdef Exchange* x = &e.exchanges[index]
    cdef Upstream* u = &e.upstreams[upstream]
    cdef Attempt* a = NULL
    cdef uint32_t which = 0
    cdef uint32_t tries = 0
    cdef uint32_t chosen
    while which < MAX_ATTEMPTS and x.attempts[which].state != FREE:
        which += 1
    if which == MAX_ATTEMPTS:
        return False
    a = &x.attempts[which]
    a.upstream = upstream
    a.resent = 0
    a.again = False
    a.malformed = False
    a.unsent = False
    a.error_flags = 0
    a.sent_ns = e.now_ns
    a.id = random_u32(&e.random) & 0xFFFF
    if stream or u.stream_only:
        a.expires_ns = e.now_ns + (PROBE_TIMEOUT_NS if x.probe else x.stanza.read_timeout_ns)
        if not x.probe and (x.stream or u.stream_only):
            # Connecting takes its part. (Where datagrams have led here there may be a reply to fall back on.)
            a.expires_ns += x.stanza.read_timeout_ns
        elif load(&e.shared[u.slot].no_stream_until_ns):
            # It has failed before. One query tries it again, and does not wait for long; the others go on without.
            if a.expires_ns > e.now_ns + STREAM_TRIAL_NS:
                a.expires_ns = e.now_ns + STREAM_TRIAL_NS
            stream_failed(e, x, u)
        if a.expires_ns > x.deadline_ns:
            a.expires_ns = x.deadline_ns
        if not request_stream(e, index, which):
            return False
        a.state = OVER_STREAM
    else:
        chosen = choose_socket(e, upstream)
        while chosen != NONE and tries < ID_TRIES and find_attempt(e, upstream, chosen, a.id) != NONE:
            tries += 1
            a.id = random_u32(&e.random) & 0xFFFF
        if chosen == NONE or tries == ID_TRIES:
            x.error = ERROR_SEND
            x.error_upstream = u.slot
            u.short |= chosen != NONE
            if not u.short:
                # There is no way to it.
                was_silent(e, u)
            return False
        if not x.probe:
            counted(e, u).connections[u.sockets[chosen].sent != 0 or u.sockets[chosen].first != NONE][0] += 1
        a.socket = chosen
        put_u16(a.id_wire, a.id)
        a.expires_ns = e.now_ns + (PROBE_TIMEOUT_NS if x.probe else x.stanza.read_timeout_ns)
        a.state = OVER_DATAGRAMS
        link_attempt(e, index, which)
        x.hedge_ns = e.now_ns + timeout_of(u)
        push_out(e, index, which)
        return True
    x.hedge_ns = e.now_ns + STREAM_SILENCE_NS
    return True


cdef uint32_t place_of(const Stanza* stanza, uint32_t upstream) noexcept nogil:
    cdef uint32_t i
    for i in range(stanza.upstream_count):
        if stanza.upstreams[i] == upstream:
            return i
    return 0


cdef inline bint was_asked(const Exchange* x, uint32_t place) noexcept nogil:
    return (x.passed[place >> 6] >> (place & 63)) & 1


cdef uint32_t candidate(Engine* e, Exchange* x, bint asked_too, bint suspects_too) noexcept nogil:
    """The next place of the stanza's list in turn that may be asked, or NONE."""
    cdef const Stanza* stanza = x.stanza
    cdef uint32_t i, place, k
    cdef Upstream* u
    cdef bint out
    for i in range(stanza.upstream_count):
        place = (x.first + x.turn + i) % stanza.upstream_count
        u = &e.upstreams[stanza.upstreams[place]]
        if is_cut(e, u) or is_down(stanza, u):
            continue
        if not suspects_too and is_doubtful(e, u):
            continue
        if was_asked(x, place):
            if not asked_too:
                continue
            out = False
            for k in range(MAX_ATTEMPTS):
                if x.attempts[k].state != FREE and x.attempts[k].upstream == stanza.upstreams[place]:
                    out = True
            if out:
                continue
        x.turn = (x.turn + i) % stanza.upstream_count
        return place
    return NONE


cdef bint any_up(Engine* e, const Stanza* stanza) noexcept nogil:
    cdef uint32_t i
    cdef Upstream* u
    for i in range(stanza.upstream_count):
        u = &e.upstreams[stanza.upstreams[i]]
        if not (is_down(stanza, u) or is_cut(e, u)):
            return True
    return False


cdef bint ask_place(Engine* e, uint32_t index, uint32_t place) noexcept nogil:
    cdef Exchange* x = &e.exchanges[index]
    cdef Upstream* u = &e.upstreams[x.stanza.upstreams[place]]
    if u.silences >= SUSPECT_SILENCES:
        # One question tries it; the others wait for what comes of that.
        u.doubted_ns = e.now_ns
    x.passed[place >> 6] |= <uint64_t>1 << (place & 63)
    x.turn = (place + x.stanza.upstream_count - x.first + 1) % x.stanza.upstream_count
    return start_attempt(e, index, x.stanza.upstreams[place], x.stream)


cdef inline bint all_out(const Exchange* x) noexcept nogil:
    """Whether an exchange has no place for another attempt."""
    cdef uint32_t i
    for i in range(MAX_ATTEMPTS):
        if x.attempts[i].state == FREE:
            return False
    return True


cdef bint ask_next(Engine* e, uint32_t index, bint asked_too) noexcept nogil:
    """Start an attempt at the next upstream that may be asked. False where there is none.

    asked_too: also one that this exchange has asked before and that is no longer out. Where all upstreams are
    down, one of them gets a last chance, unless the stanza says otherwise.
    """
    cdef Exchange* x = &e.exchanges[index]
    cdef const Stanza* stanza = x.stanza
    cdef uint32_t _tries, place, i, k
    if x.last_chance or all_out(x) or (stanza.max_attempts and x.failed >= stanza.max_attempts):
        return False
    for _tries in range(stanza.upstream_count):
        place = candidate(e, x, False, False)
        if place == NONE:
            place = candidate(e, x, False, True)
        if place == NONE and asked_too:
            place = candidate(e, x, True, True)
        if place == NONE:
            break
        if ask_place(e, index, place):
            return True
    if any_up(e, stanza) or not asked_too:
        return False
    if e.counters != NULL:
        e.counters.all_down += 1
    if stanza.failfast:
        return False
    x.last_chance = True
    i = random_u32(&e.random) % stanza.upstream_count
    for k in range(stanza.upstream_count):
        place = (i + k) % stanza.upstream_count
        if not is_cut(e, &e.upstreams[stanza.upstreams[place]]):
            return ask_place(e, index, place)
    return False


cdef bint anything_out(const Exchange* x) noexcept nogil:
    cdef uint32_t i
    for i in range(MAX_ATTEMPTS):
        if x.attempts[i].state != FREE:
            return True
    return False


cdef inline uint32_t worth(const uint8_t* msg) noexcept nogil:
    """Of a reply that others may better: 0 for an error, 1 for a truncated one, 2 where that has answers."""
    if not msg[2] & (FLAG_TC >> 8) or msg[3] & 0xF:
        return 0
    return 2 if msg[6] | msg[7] else 1


cdef inline bint is_error(uint32_t rcode) noexcept nogil:
    """Whether a code says that the upstream will not or cannot answer."""
    return rcode == SERVFAIL or rcode == REFUSED or rcode == FORMERR or rcode == NOTIMP


cdef void keep_fallback(Engine* e, Exchange* x, const uint8_t* msg, uint32_t size) noexcept nogil:
    """Remember a reply that others may better: the last, but a truncated one that is good is better than an error.

    Of one that is too long for a block the question and the flags remain.
    """
    cdef uint8_t* block
    cdef uint32_t kept = size if size <= MAX_PARKED_BYTES else HEADER_BYTES + x.name_len + 4
    if x.fallback != NULL and worth(msg) <= worth(x.fallback) and worth(x.fallback) > 0:
        return
    block = take_block(&e.memory, kept)
    if block == NULL:
        return
    if x.fallback != NULL:
        give_block(&e.memory, x.fallback)
    memcpy(block, msg, kept)
    if kept < size:
        memset(block + 6, 0, 6)
    x.fallback = block
    x.fallback_len = kept


cdef void attempt_failed(Engine* e, uint32_t index, uint32_t which, uint8_t error,
                         bint shortage=False) noexcept nogil:
    """The upstream gave nothing that can be used. Others are asked; when there is none, the exchange ends.

    shortage: it was not even asked, as something of ours was used up.
    """
    cdef Exchange* x = &e.exchanges[index]
    cdef uint32_t upstream = x.attempts[which].upstream
    cdef Upstream* u = &e.upstreams[upstream]
    cdef bint at_once = e.now_ns - x.attempts[which].sent_ns < AGAIN_NS
    if x.attempts[which].state == OVER_STREAM and error != ERROR_MALFORMED and not shortage:
        stream_failed(e, x, u)
    end_attempt(e, index, which)
    x.failed += 1
    x.error = error
    x.error_upstream = u.slot
    if x.probe:
        if not shortage:
            u.failed_probes += 1
            counted(e, u).failed_probes += 1
        # on_time asks again after the interval.
        x.hedge_ns = x.started_ns + PROBE_TIMEOUT_NS + x.stanza.probe_interval_ns
        x.deadline_ns = x.hedge_ns + DEADLINE_NS
        schedule(e, index)
        return
    if not shortage:
        start_probe(e, x.stanza, upstream)
    if at_once and x.stanza.max_attempts == 0 and x.fallback == NULL and not anything_out(x):
        # Not asked again and again as fast as it can fail; on_time goes on.
        if not ask_next(e, index, False):
            x.hedge_ns = e.now_ns + AGAIN_NS
        schedule(e, index)
        return
    # Who has been asked is not asked again where there is a reply already.
    go_on(e, index, x.fallback == NULL)


cdef void go_on(Engine* e, uint32_t index, bint asked_too) noexcept nogil:
    """An attempt has ended without a good reply: ask another, wait for those that are out, or end."""
    cdef Exchange* x = &e.exchanges[index]
    if e.now_ns < x.deadline_ns and ask_next(e, index, asked_too):
        schedule(e, index)
    elif anything_out(x):
        schedule(e, index)
    else:
        end_without(e, index)


# ------------------------------------------------------------------------------------------------- claims

cdef inline uint64_t mark_of(uint64_t hashed, bint given_back, uint64_t now_ns) noexcept nogil:
    return (hashed >> 33 << 33) | <uint64_t>given_back << 32 | <uint32_t>(now_ns // MS)


cdef inline int32_t ms_since(uint64_t mark, uint64_t now_ns) noexcept nogil:
    """Somewhat less than 0 where another thread's clock was ahead. Of a mark of weeks ago it may say anything."""
    return <int32_t>(<uint32_t>(now_ns // MS) - <uint32_t>mark)


cdef void claim_question(Engine* e, Exchange* x, uint64_t* claim, uint64_t hashed,
                         uint64_t received_ns) noexcept nogil:
    """Take the right to ask a question, or follow who has it. Neither where another question is in the way."""
    cdef uint64_t seen = load(claim)
    cdef uint64_t mine = mark_of(hashed, False, e.now_ns)
    cdef bint same = seen and seen >> 33 == mine >> 33
    cdef bint given_back = seen >> 32 & 1
    cdef int32_t age_ms = ms_since(seen, e.now_ns)
    cdef bint recent = seen and -CLAIM_MS < age_ms < CLAIM_MS
    cdef bint taken = recent and not given_back
    if same and recent and given_back and age_ms <= ms_since(mark_of(hashed, False, received_ns), e.now_ns):
        # The answer has come since this query looked for it in the cache.
        taken = True
    if not taken and compare_and_swap(claim, seen, mine):
        x.claim = claim
        x.claimed = mine
        return
    if not taken:
        seen = load(claim)
        same = seen and seen >> 33 == mine >> 33
    if same and e.follower_count < MAX_FOLLOWERS:
        x.claim = claim
        x.claimed = seen & ~(<uint64_t>1 << 32)
        x.follows = True
        e.followers[e.follower_count] = x - e.exchanges
        e.follower_count += 1


cdef void give_back(Engine* e, Exchange* x) noexcept nogil:
    """Let others ask, or follow no more."""
    cdef uint32_t i
    if x.claim == NULL:
        return
    if not x.follows:
        compare_and_swap(x.claim, x.claimed, mark_of(x.claimed, True, monotonic_ns()))
    else:
        for i in range(e.follower_count):
            if &e.exchanges[e.followers[i]] == x:
                e.follower_count -= 1
                e.followers[i] = e.followers[e.follower_count]
                break
    x.claim = NULL
    x.follows = False


cdef void look_at_claims(Engine* e) noexcept nogil:
    """Serve those again whose question has been answered to another thread."""
    cdef uint32_t i = e.follower_count
    cdef uint32_t index
    while i:
        # Backwards, as the last one takes the place of one that ends; who follows meanwhile is seen next time.
        i -= 1
        if i >= e.follower_count:
            continue
        index = e.followers[i]
        if load(e.exchanges[index].claim) != e.exchanges[index].claimed:
            end_exchange(e, index, NULL, 0)


# ------------------------------------------------------------------------------------------- exchanges

cdef uint32_t take_exchange(Engine* e) noexcept nogil:
    cdef uint32_t index = e.free_exchange
    cdef Exchange* x
    cdef uint32_t generation
    if index != NONE:
        e.free_exchange = e.exchanges[index].next_hashed
    elif e.used < e.room:
        index = e.used
        e.used += 1
    else:
        return NONE
    x = &e.exchanges[index]
    generation = x.generation + 1
    memset(x, 0, sizeof(Exchange))
    x.generation = generation
    x.timer.slot = NO_TIMER
    x.next_hashed = NONE
    x.started_ns = e.now_ns
    x.deadline_ns = e.now_ns + DEADLINE_NS
    e.out += 1
    return index


cdef void detach(Engine* e, uint32_t index) noexcept nogil:
    """Take an exchange out of every table; its memory stays."""
    cdef Exchange* x = &e.exchanges[index]
    cdef uint32_t* at
    cdef uint32_t i
    for i in range(MAX_ATTEMPTS):
        if x.attempts[i].state != FREE:
            end_attempt(e, index, i)
    wheel_remove(&e.wheel, index)
    if x.hashed:
        at = &e.by_question[x.hash & e.hash_mask]
        while at[0] != index:
            at = &e.exchanges[at[0]].next_hashed
        at[0] = x.next_hashed
        x.hashed = False


cdef void give_exchange(Engine* e, uint32_t index) noexcept nogil:
    cdef Exchange* x = &e.exchanges[index]
    if x.query != NULL:
        give_block(&e.memory, x.query)
    if x.fallback != NULL:
        give_block(&e.memory, x.fallback)
    give_back(e, x)
    x.query = NULL
    x.fallback = NULL
    x.generation += 1
    x.next_hashed = e.free_exchange
    e.free_exchange = index
    e.out -= 1


cdef void end_exchange(Engine* e, uint32_t index, const uint8_t* msg, uint32_t size) noexcept nogil:
    """Serve everybody who waits again: with msg, or with the exchange's error where that is NULL."""
    cdef Exchange* x = &e.exchanges[index]
    cdef UpstreamReply reply
    cdef uint8_t name[256]
    cdef uint32_t i
    detach(e, index)
    # Whoever comes back to this place finds it ended, though it may serve for a while.
    x.generation += 1
    memset(&reply, 0, sizeof(reply))
    if msg == NULL and x.fallback != NULL:
        msg = x.fallback
        size = x.fallback_len
        reply.cut = (msg[2] & (FLAG_TC >> 8)) != 0
    reply.msg = msg
    reply.msg_len = size
    reply.received_ns = e.now_ns
    reply.error = x.error if x.error else ERROR_NO_HEALTHY
    reply.error_upstream = x.error_upstream
    reply.rcode = SERVFAIL
    for i in range(x.name_len):
        name[i] = lowered(x.query[HEADER_BYTES + i])
    reply.name = name
    reply.name_len = x.name_len
    if x.query != NULL:
        reply.qtype = (<uint16_t>x.query[HEADER_BYTES + x.name_len] << 8) | x.query[HEADER_BYTES + x.name_len + 1]
    serve_waiters(e, x, &reply, x.follows)
    if x.waiters != NULL and not put_off(e, index, &reply):
        while x.waiters != NULL:
            serve_waiters(e, x, &reply, x.follows)
    if x.waiters == NULL:
        give_exchange(e, index)


cdef void serve_waiters(Engine* e, Exchange* x, UpstreamReply* reply, bint follows) noexcept nogil:
    """Serve some of those again who wait for an exchange that has ended. follows: it did before."""
    cdef Waiter* w
    cdef uint32_t left = SERVED_AT_ONCE
    while x.waiters != NULL and left:
        left -= 1
        w = x.waiters
        x.waiters = w.next
        reply.followed = follows or w.follows
        reply.asker = x.stanza
        if reply.followed:
            reply.asker = NULL
        e.waiting -= 1
        hold_room(e, x.stanza, w, -<int32_t>w.units)
        if e.counters != NULL:
            e.counters.waiting[x.stanza.number] -= 1
        e.again(e.owner, w, reply)
        give_block(&e.memory, w)


cdef bint put_off(Engine* e, uint32_t index, const UpstreamReply* reply) noexcept nogil:
    """Keep a reply for those who are left. False where there is no memory for it, or no later."""
    cdef Ended* ended = NULL
    if not e.closed:
        ended = <Ended*>malloc(sizeof(Ended) + reply.msg_len)
    if ended == NULL:
        return False
    ended.next = NULL
    ended.exchange = index
    ended.follows = e.exchanges[index].follows
    ended.reply = reply[0]
    memcpy(ended.name, reply.name, reply.name_len)
    ended.reply.name = ended.name
    if reply.msg != NULL:
        memcpy(<uint8_t*>ended + sizeof(Ended), reply.msg, reply.msg_len)
        ended.reply.msg = <uint8_t*>ended + sizeof(Ended)
    # The others have the answer from the first ones.
    give_back(e, &e.exchanges[index])
    if e.ended == NULL:
        e.ended = ended
    else:
        e.last_ended.next = ended
    e.last_ended = ended
    return True


cdef void serve_ended(Engine* e) noexcept nogil:
    """Serve some of those who are left of the exchange that has ended first."""
    cdef Ended* ended = e.ended
    cdef Exchange* x
    if ended == NULL:
        return
    x = &e.exchanges[ended.exchange]
    serve_waiters(e, x, &ended.reply, ended.follows)
    if x.waiters == NULL:
        e.ended = ended.next
        give_exchange(e, ended.exchange)
        free(ended)


cdef void end_without(Engine* e, uint32_t index) noexcept nogil:
    end_exchange(e, index, NULL, 0)


cdef inline uint8_t lowered(uint8_t byte) noexcept nogil:
    return byte | (<uint8_t>(<uint8_t>(byte - 65) < 26) << 5)


cdef void randomize_case(Engine* e, Exchange* x) noexcept nogil:
    """Give each letter of the name a random case (draft-vixie-dnsext-dns0x20): more for a forger to guess."""
    cdef uint32_t i
    cdef uint32_t bits = 0
    cdef uint8_t byte
    for i in range(x.name_len):
        if i & 31 == 0:
            bits = random_u32(&e.random)
        byte = lowered(x.query[HEADER_BYTES + i])
        if byte >= 97 and byte <= 122 and bits & 1:
            byte ^= 32
        x.query[HEADER_BYTES + i] = byte
        bits >>= 1


cdef uint64_t question_hash(Engine* e, const Stanza* stanza, Context* ctx, bint stream) noexcept nogil:
    """Over what a forged reply has to match: questions that are alike have the same, whatever else is in them."""
    cdef uint64_t kind = <uint64_t>ctx.q.qtype << 48 | <uint64_t>ctx.q.qclass << 32
    return hash_bytes((e.seed + <size_t>stanza + stream) ^ kind, ctx.q.name, ctx.q.name_len)


cdef bint same_question(const Exchange* x, const Stanza* stanza, Context* ctx, bint stream, const uint8_t* asked,
                        uint32_t size) noexcept nogil:
    """Whether the upstream would see the same as what is to be asked, but for the ID and the case of the name."""
    cdef uint32_t rest = HEADER_BYTES + ctx.q.name_len
    cdef uint32_t i
    if (x.stanza != stanza or x.stream != stream or x.query_len != size or x.name_len != ctx.q.name_len
            or memcmp(x.query + 2, asked + 2, HEADER_BYTES - 2) != 0
            or memcmp(x.query + rest, asked + rest, size - rest) != 0):
        return False
    for i in range(x.name_len):
        if lowered(x.query[HEADER_BYTES + i]) != ctx.q.name[i]:
            return False
    return True


cdef uint32_t alike_at(Engine* e, uint64_t hashed, uint32_t place) noexcept nogil:
    """Of the exchanges with this hash the one at a place; there are more than that."""
    cdef uint32_t index = e.by_question[hashed & e.hash_mask]
    while True:
        if e.exchanges[index].hash == hashed:
            if place == 0:
                return index
            place -= 1
        index = e.exchanges[index].next_hashed


# ------------------------------------------------------------------------------------------------ shares

cdef inline void hold_room(Engine* e, const Stanza* stanza, const Waiter* w, int32_t units) noexcept nogil:
    """A query takes so much room, or gives it back."""
    e.held[0][w.client_slots[0]] += units
    e.held[1][w.client_slots[1]] += units
    e.stanza_held[stanza.number] += units


cdef inline uint32_t less(uint32_t one, uint32_t other) noexcept nogil:
    return one if one < other else other


cdef uint32_t units_of(const Context* ctx, uint32_t asked_len, bint joins) noexcept nogil:
    """What a query will take."""
    cdef uint32_t units = block_units(sizeof(Waiter) + waiting_bytes(ctx))
    if joins:
        return units
    units += block_units(asked_len)
    return units if units > UNITS_A_PLACE else UNITS_A_PLACE


cdef uint8_t no_room(Engine* e, const Stanza* stanza, uint32_t concurrent, const uint16_t* client_slots,
                     uint32_t units, bint joins) noexcept nogil:
    """Why the query may not wait, or NO_ERROR. concurrent: how many more max_concurrent lets wait.

    Only what is counted is looked at: that memory is in pieces shows when it is taken.
    """
    cdef uint32_t left = e.stanza_most - less(e.stanza_held[stanza.number], e.stanza_most)
    if units > left or (e.out == e.room and not joins):
        return ERROR_IN_FLIGHT
    left = less(left, less(e.memory.empty * SLAB_UNITS, concurrent * UNITS_A_PLACE))
    if not joins:
        left = less(left, (e.room - e.out) * UNITS_A_PLACE)
    if less(e.held[0][client_slots[0]], e.held[1][client_slots[1]]) > SHARE * left:
        return ERROR_CLIENT_SHARE
    return NO_ERROR


cdef inline uint32_t waiting_bytes(const Context* ctx) noexcept nogil:
    """Of the message that will be served again. A background refresh is served from the question that it is of."""
    return ctx.q.msg_len if ctx.background else ctx.msg_len


cdef Waiter* new_waiter(Engine* e, Context* ctx) noexcept nogil:
    """What it takes to serve ctx's query again."""
    cdef const uint8_t* msg = ctx.q.msg if ctx.background else ctx.msg
    cdef uint32_t msg_len = waiting_bytes(ctx)
    cdef Waiter* w
    w = <Waiter*>take_block(&e.memory, sizeof(Waiter) + msg_len)
    if w == NULL:
        return NULL
    w.next = NULL
    w.received_ns = ctx.received_ns
    # An inner question's stale answer is not the query's.
    w.stale_after_ns = ctx.stale_after_ns if ctx.depth == 0 else 0
    w.token = ctx.token
    w.chain = ctx.chain
    w.step = ctx.background_step
    w.zone_slot = ctx.zone_slot
    w.msg_len = msg_len
    w.client_port = ctx.client_port
    w.client_len = ctx.client_len
    w.client_at = ctx.client - ctx.peer if ctx.peer_len else 0
    w.transport = ctx.transport
    w.replays = ctx.replays
    w.background = ctx.background
    w.follows = False
    w.peer_len = ctx.peer_len
    w.control_len = ctx.control_len
    if ctx.peer_len:
        memcpy(w.peer, ctx.peer, ctx.peer_len)
    if ctx.control_len:
        memcpy(w.control, ctx.control, ctx.control_len)
    memcpy(waiter_msg(w), msg, msg_len)
    if ctx.background and ctx.q.has_opt:
        # It goes on from the step that refreshes, where bufsize has done its part already.
        put_u16(waiter_msg(w) + ctx.q.opt_at + OPT_CLASS_AT, ctx.q.asked_udp_bytes)
    return w


cdef Outcome refuse(Context* ctx, uint8_t error, uint16_t rcode) noexcept nogil:
    ctx.error = error
    return bare(ctx, rcode)


cdef uint32_t concurrent_left(Engine* e, const Stanza* stanza) noexcept nogil:
    """How many more queries max_concurrent lets wait at the stanza, counting all threads of all workers."""
    cdef uint32_t slot, sum
    if stanza.max_concurrent == 0 or e.counters == NULL:
        return MANY
    if e.now_ns - e.others_at_ns > OTHERS_NS:
        e.others_at_ns = e.now_ns
        memset(e.waiting_elsewhere, 0, sizeof(e.waiting_elsewhere))
    if e.waiting_elsewhere[stanza.number] == 0:
        # One more than there are, so that nothing is not summed up again and again.
        sum = 1
        for slot in range(load(&e.shared[0].counter_slots)):
            if &e.all_counters[slot] != e.counters:
                sum += e.all_counters[slot].waiting[stanza.number]
        e.waiting_elsewhere[stanza.number] = sum
    sum = e.counters.waiting[stanza.number] + e.waiting_elsewhere[stanza.number] - 1
    return less(stanza.max_concurrent - less(sum, stanza.max_concurrent), MANY)


cdef void first_place(Engine* e, Exchange* x) noexcept nogil:
    cdef const Stanza* stanza = x.stanza
    if stanza.policy == ROUND_ROBIN:
        e.turns[stanza.number] += 1
        x.first = e.turns[stanza.number] % stanza.upstream_count
    elif stanza.policy == RANDOM and stanza.upstream_count > 1:
        x.first = random_u32(&e.random) % stanza.upstream_count
    else:
        x.first = 0


cdef Outcome park(Context* ctx, const Stanza* stanza) noexcept nogil:
    cdef Engine* e = <Engine*>ctx.exchanges
    cdef Exchange* x
    cdef Waiter* w
    cdef uint32_t index
    cdef uint64_t hashed
    cdef bint stream
    cdef uint8_t asked[MAX_ASKED_BYTES]
    cdef uint32_t asked_len
    cdef uint8_t* query
    cdef uint32_t concurrent, units
    cdef uint64_t client
    cdef uint16_t slots[2]
    cdef uint8_t error
    cdef uint32_t alike = 0
    cdef bint follows = False
    if e == NULL or stanza.upstream_count == 0:
        return refuse(ctx, ERROR_NO_HEALTHY, SERVFAIL)
    if e.closed:
        return refuse(ctx, ERROR_TIMEOUT, SERVFAIL)
    if ctx.replays >= MAX_REPLAYS:
        return refuse(ctx, ERROR_REPLAYS, SERVFAIL)
    if (ctx.peer_len > PEER_ROOM or ctx.control_len > CONTROL_ROOM or waiting_bytes(ctx) > MAX_PARKED_BYTES
            or sizeof(Waiter) + waiting_bytes(ctx) > MAX_BLOCK_BYTES):
        return refuse(ctx, ERROR_TOO_LONG, SERVFAIL)
    e.now_ns = monotonic_ns()
    concurrent = concurrent_left(e, stanza)
    if concurrent == 0:
        if e.counters != NULL:
            e.counters.concurrent_rejects += 1
        return refuse(ctx, ERROR_MAX_CONCURRENT, REFUSED)
    stream = stanza.force_tcp or (ctx.transport != OVER_UDP and not stanza.prefer_udp)
    asked_len = write_asked(ctx.q, ctx.q.flags | FLAG_AD if ctx.want_ad else ctx.q.flags, asked)
    hashed = question_hash(e, stanza, ctx, stream)
    index = e.by_question[hashed & e.hash_mask]
    while index != NONE:
        x = &e.exchanges[index]
        if x.hash == hashed:
            if same_question(x, stanza, ctx, stream, asked, asked_len):
                break
            alike += 1
        index = x.next_hashed
    if index == NONE and alike >= MAX_ALIKE:
        if e.now_ns - ctx.received_ns >= DEADLINE_NS:
            return refuse(ctx, ERROR_TIMEOUT, SERVFAIL)
        # Any of them: each that ends makes room for one.
        index = alike_at(e, hashed, next_random(ctx) % alike)
        follows = True
    client = hash_bytes(e.seed, ctx.client, ctx.client_len)
    slots[0] = client & (CLIENT_SLOTS - 1)
    slots[1] = (client >> 32) & (CLIENT_SLOTS - 1)
    units = units_of(ctx, asked_len, index != NONE)
    error = no_room(e, stanza, concurrent, slots, units, index != NONE)
    if error != NO_ERROR:
        return refuse(ctx, error, SERVFAIL)
    w = new_waiter(e, ctx)
    if w == NULL:
        return refuse(ctx, ERROR_IN_FLIGHT, SERVFAIL)
    w.units = units
    w.client_slots[0] = slots[0]
    w.client_slots[1] = slots[1]
    if index == NONE:
        index = take_exchange(e)
        query = take_block(&e.memory, asked_len) if index != NONE else NULL
        if query == NULL:
            if index != NONE:
                give_exchange(e, index)
            give_block(&e.memory, w)
            return refuse(ctx, ERROR_IN_FLIGHT, SERVFAIL)
        x = &e.exchanges[index]
        x.stanza = stanza
        x.stream = stream
        x.query = query
        x.query_len = asked_len
        x.name_len = ctx.q.name_len
        memcpy(query, asked, asked_len)
        if stanza.randomize_case:
            randomize_case(e, x)
        x.hash = hashed
        x.hashed = True
        x.next_hashed = e.by_question[hashed & e.hash_mask]
        e.by_question[hashed & e.hash_mask] = index
        first_place(e, x)
        if ctx.claim != NULL:
            claim_question(e, x, ctx.claim, ctx.claim_hash, ctx.received_ns)
        if x.follows:
            x.hedge_ns = e.now_ns + <uint64_t>CLAIM_MS * MS
            if e.counters != NULL:
                e.counters.joined += 1
        elif not ask_next(e, index, True):
            ctx.error = x.error if x.error else ERROR_NO_HEALTHY
            ctx.error_upstream = x.error_upstream
            detach(e, index)
            give_exchange(e, index)
            give_block(&e.memory, w)
            return bare(ctx, SERVFAIL)
    else:
        x = &e.exchanges[index]
        if e.counters != NULL:
            e.counters.joined += 1
    if follows:
        # Behind one that gets the reply, so that the cache has it by then.
        w.follows = True
        w.next = x.waiters.next
        x.waiters.next = w
    else:
        w.next = x.waiters
        x.waiters = w
    note_stale(x, w)
    schedule(e, index)
    e.waiting += 1
    hold_room(e, stanza, w, w.units)
    if e.counters != NULL:
        e.counters.parked += 1
        e.counters.waiting[stanza.number] += 1
    ctx.parked = True
    return PENDING


# ------------------------------------------------------------------------------------------------- probes

cdef void start_probe(Engine* e, const Stanza* stanza, uint32_t upstream) noexcept nogil:
    """Find out whether an upstream is well; until it answers, once an interval."""
    cdef Upstream* u = &e.upstreams[upstream]
    cdef Exchange* x
    cdef uint32_t index
    cdef uint8_t* query
    cdef uint32_t size = HEADER_BYTES + stanza.probe_name_len + 4
    if stanza.max_fails == 0 or u.probing:
        return
    index = take_exchange(e)
    query = take_block(&e.memory, size) if index != NONE else NULL
    if query == NULL:
        if index != NONE:
            give_exchange(e, index)
        return
    x = &e.exchanges[index]
    memset(query, 0, HEADER_BYTES)
    put_u16(query + 2, FLAG_RD if stanza.probe_rd else 0)
    query[5] = 1
    memcpy(query + HEADER_BYTES, stanza.probe_name, stanza.probe_name_len)
    put_u16(query + size - 4, 2)
    put_u16(query + size - 2, 1)
    x.probe = True
    x.stanza = stanza
    x.stream = stanza.force_tcp
    x.query = query
    x.query_len = size
    x.name_len = stanza.probe_name_len
    x.first = place_of(stanza, upstream)
    u.probing = True
    send_probe(e, index)


cdef void send_probe(Engine* e, uint32_t index) noexcept nogil:
    cdef Exchange* x = &e.exchanges[index]
    cdef uint32_t upstream = x.stanza.upstreams[x.first]
    x.started_ns = e.now_ns
    x.deadline_ns = e.now_ns + DEADLINE_NS
    if not start_attempt(e, index, upstream, x.stream):
        if not (x.stream or e.upstreams[upstream].stream_only or e.upstreams[upstream].short):
            # There is no way to it. Where there is no room for a probe, nobody knows how the upstream is.
            e.upstreams[upstream].failed_probes += 1
        x.hedge_ns = e.now_ns + x.stanza.probe_interval_ns
        schedule(e, index)
        return
    if not x.attempts[0].unsent:
        # A probe is neither hedged nor sent twice.
        x.hedge_ns = 0
    schedule(e, index)


cdef void probe_answered(Engine* e, uint32_t index) noexcept nogil:
    cdef Upstream* u = &e.upstreams[e.exchanges[index].stanza.upstreams[e.exchanges[index].first]]
    u.probing = False
    u.failed_probes = 0
    u.silences = 0
    detach(e, index)
    give_exchange(e, index)


# ------------------------------------------------------------------------------------------------ replies

cdef void wait_for_better(Engine* e, uint32_t index, uint32_t which, uint64_t wait_ns) noexcept nogil:
    """A datagram that cannot be read, or an error that may be anybody's, must not displace a reply to the question:
    that has a moment to come. Others are asked."""
    cdef Exchange* x = &e.exchanges[index]
    cdef Attempt* a = &x.attempts[which]
    if not a.malformed:
        a.malformed = True
        if a.expires_ns > e.now_ns + wait_ns:
            a.expires_ns = e.now_ns + wait_ns
        ask_next(e, index, False)
        schedule(e, index)


cdef void believe_error(Engine* e, uint32_t index, uint32_t which) noexcept nogil:
    """Nothing better than an error reply without a question has come: it is the upstream's reply."""
    cdef Exchange* x = &e.exchanges[index]
    cdef Attempt* a = &x.attempts[which]
    cdef uint8_t msg[MAX_ASKED_BYTES]
    cdef uint32_t size = write_error(x.query, x.name_len, a.error_flags, msg)
    e.upstreams[a.upstream].silences = 0
    take_reply(e, index, which, msg, size, a.error_flags & 0xF, a.error_ns - a.sent_ns)


cdef void take_reply(Engine* e, uint32_t index, uint32_t which, const uint8_t* msg, uint32_t size, uint32_t rcode,
                     uint64_t took_ns) noexcept nogil:
    """A reply that is the upstream's: it ends the exchange, unless another upstream may have a better one."""
    cdef Exchange* x = &e.exchanges[index]
    cdef Upstream* u = &e.upstreams[x.attempts[which].upstream]
    if rcode >= RCODE_SLOTS:
        rcode = RCODE_SLOTS - 1
    counted(e, u).duration[rcode][duration_bucket(took_ns)] += 1
    counted(e, u).duration_sum_ns[rcode] += took_ns
    if x.attempts[which].state != OVER_DATAGRAMS:
        if is_error(rcode) and x.fallback != NULL and worth(x.fallback) == 2:
            # The records that are there are better; another upstream may have all of them.
            if rcode == REFUSED or rcode == NOTIMP:
                # Said of the way, not of this question.
                stream_failed(e, x, u)
            counted(e, u).passed_over += 1
            end_attempt(e, index, which)
            go_on(e, index, False)
            return
        stream_works(e, u)
    if (rcode == SERVFAIL or (x.stanza.failover_rcodes >> rcode) & 1) and x.stanza.upstream_count > 1:
        counted(e, u).passed_over += 1
        keep_fallback(e, x, msg, size)
        end_attempt(e, index, which)
        go_on(e, index, False)
        return
    end_exchange(e, index, msg, size)


cdef void on_reply(Engine* e, uint32_t index, uint32_t which, uint8_t* msg, uint32_t size) noexcept nogil:
    """A reply to an attempt, from the upstream that was asked and with its ID. It may still be a lie."""
    cdef Exchange* x = &e.exchanges[index]
    cdef Attempt* a = &x.attempts[which]
    cdef Upstream* u = &e.upstreams[a.upstream]
    cdef uint32_t upstream = a.upstream
    cdef bint over_datagrams = a.state == OVER_DATAGRAMS
    cdef uint64_t took_ns
    if x.probe and msg[2] & (FLAG_QR >> 8):
        # Whatever it says, somebody is there.
        probe_answered(e, index)
        return
    if accept(x.query, x.query_len, &e.query) != ACCEPTED:
        attempt_failed(e, index, which, ERROR_MALFORMED)
        return
    if not answers_question(msg, size, e.query.name, e.query.name_len, e.query.qtype, e.query.qclass):
        if is_bare_error(msg, size) and a.error_flags == 0:
            a.error_flags = (<uint16_t>msg[2] << 8) | msg[3]
            a.error_ns = e.now_ns
            if over_datagrams:
                # As long as the upstream's own reply may take, if others have shown that.
                wait_for_better(e, index, which, timeout_of(u) if u.srtt_ns else MALFORMED_NS)
            else:
                believe_error(e, index, which)
            return
        if e.counters != NULL:
            e.counters.mismatched += 1
        if not over_datagrams:
            attempt_failed(e, index, which, ERROR_MALFORMED)
        return
    if (over_datagrams and x.stanza.randomize_case
            and memcmp(msg + HEADER_BYTES, x.query + HEADER_BYTES, x.name_len) != 0):
        # Forged, or the upstream does not keep the case: a stream decides, where nobody forges.
        if e.counters != NULL:
            e.counters.mismatched += 1
        if not a.again:
            a.again = True
            start_attempt(e, index, upstream, True)
            schedule(e, index)
        return
    took_ns = e.now_ns - a.sent_ns
    u.silences = 0
    if a.resent == 0 and over_datagrams:
        # RFC 6298 section 3: a reply to what was sent twice tells nothing.
        measure(u, took_ns)
    if over_datagrams and msg[2] & (FLAG_TC >> 8):
        counted(e, u).truncated += 1
        keep_fallback(e, x, msg, size)
        end_attempt(e, index, which)
        if avoids_streams(e, u) or not start_attempt(e, index, upstream, True):
            go_on(e, index, False)
        else:
            schedule(e, index)
        return
    reply_reset(e.reply)
    if not parse_reply(msg, size, &e.query, e.reply):
        if e.counters != NULL:
            e.counters.malformed += 1
        if over_datagrams:
            wait_for_better(e, index, which, MALFORMED_NS)
        else:
            attempt_failed(e, index, which, ERROR_MALFORMED)
        return
    take_reply(e, index, which, msg, size, e.reply.rcode, took_ns)


cdef void socket_refused(Engine* e, uint32_t upstream, uint32_t which) noexcept nogil:
    """The port is closed: all that is out on this socket has failed."""
    cdef UdpSocket* s = &e.upstreams[upstream].sockets[which]
    cdef uint32_t node
    e.upstreams[upstream].chosen = NONE
    counted(e, &e.upstreams[upstream]).refused += 1
    was_silent(e, &e.upstreams[upstream])
    c_close(s.fd)
    s.fd = REFUSED_FD
    # Each failure takes its attempt off the list; what is asked again goes out on another socket.
    while s.first != NONE:
        node = s.first
        attempt_failed(e, node // MAX_ATTEMPTS, node % MAX_ATTEMPTS, ERROR_REFUSED)
    s.fd = -1


cdef void receive(Engine* e, uint32_t upstream, uint32_t which) noexcept nogil:
    cdef mmsghdr* headers = <mmsghdr*>e.headers
    cdef UdpSocket* s = &e.upstreams[upstream].sockets[which]
    cdef uint8_t* msg
    cdef uint32_t node, size
    cdef int i, count = RECEIVE
    cdef int rounds = 0
    while count == RECEIVE and rounds < RECEIVE_ROUNDS and s.fd >= 0:
        rounds += 1
        count = recvmmsg(s.fd, headers, RECEIVE, MSG_DONTWAIT, NULL)
        if count < 0:
            if errno == ECONNREFUSED:
                socket_refused(e, upstream, which)
            return
        for i in range(count):
            msg = e.received + i * RECEIVE_ROOM
            size = headers[i].msg_len
            node = NONE
            if size >= HEADER_BYTES:
                node = find_attempt(e, upstream, which, (<uint16_t>msg[0] << 8) | msg[1])
            if node == NONE:
                if e.counters != NULL:
                    e.counters.mismatched += 1
                continue
            if headers[i].msg_hdr.msg_flags & MSG_TRUNC:
                msg[2] |= FLAG_TC >> 8
            on_reply(e, node // MAX_ATTEMPTS, node % MAX_ATTEMPTS, msg, size)
        if e.outbox_count > OUTBOX // 2:
            flush(e)


# ------------------------------------------------------------------------------------------------- sending

cdef int send_group(Engine* e, const Outgoing* group, uint32_t count, uint32_t upstream,
                    uint32_t which) noexcept nogil:
    """Send attempts of one socket with as few calls as possible. Returns how many went; errno tells of the next."""
    cdef mmsghdr headers[SEND]
    cdef iovec parts[2 * SEND]
    cdef Exchange* x
    cdef Attempt* a
    cdef uint32_t i
    if count > SEND:
        count = SEND
    memset(headers, 0, count * sizeof(mmsghdr))
    for i in range(count):
        x = &e.exchanges[group[i].exchange]
        a = &x.attempts[group[i].attempt]
        parts[2 * i].iov_base = a.id_wire
        parts[2 * i].iov_len = 2
        parts[2 * i + 1].iov_base = x.query + 2
        parts[2 * i + 1].iov_len = x.query_len - 2
        headers[i].msg_hdr.msg_iov = &parts[2 * i]
        headers[i].msg_hdr.msg_iovlen = 2
    return sendmmsg(e.upstreams[upstream].sockets[which].fd, headers, count, MSG_DONTWAIT)


cdef void flush_some(Engine* e) noexcept nogil:
    """Send what the outbox holds; what cannot be sent fails, and may put more into it."""
    cdef Outgoing pending[OUTBOX]
    cdef Outgoing group[OUTBOX]
    cdef uint32_t left = e.outbox_count
    cdef uint32_t i, grouped, kept, upstream, which
    cdef Attempt* a
    memcpy(pending, e.outbox, left * sizeof(Outgoing))
    e.outbox_count = 0
    for i in range(e.upstream_count):
        e.upstreams[i].chosen = NONE
    while left:
        grouped = 0
        kept = 0
        upstream = NONE
        which = 0
        for i in range(left):
            a = &e.exchanges[pending[i].exchange].attempts[pending[i].attempt]
            if a.state != OVER_DATAGRAMS:
                continue
            if upstream == NONE:
                upstream = a.upstream
                which = a.socket
            if a.upstream == upstream and a.socket == which:
                group[grouped] = pending[i]
                grouped += 1
            else:
                pending[kept] = pending[i]
                kept += 1
        left = kept
        if grouped:
            send_all(e, group, grouped, upstream, which)


cdef void send_all(Engine* e, Outgoing* group, uint32_t count, uint32_t upstream, uint32_t which) noexcept nogil:
    cdef uint32_t first = 0
    cdef uint32_t i, kept
    cdef Attempt* a
    cdef int sent
    while first < count:
        if e.upstreams[upstream].sockets[which].fd < 0:
            return
        sent = send_group(e, &group[first], count - first, upstream, which)
        if sent > 0:
            e.upstreams[upstream].sockets[which].sent += sent
            first += sent
            continue
        if errno == EINTR:
            continue
        if errno == ECONNREFUSED:
            # What an earlier datagram met with; it took this one's place in the kernel's answer.
            socket_refused(e, upstream, which)
            return
        if is_shortage(errno):
            e.now_ns = monotonic_ns()
            was_unsent(e, group[first].exchange, group[first].attempt)
            schedule(e, group[first].exchange)
        else:
            # There is no way to the upstream.
            attempt_failed(e, group[first].exchange, group[first].attempt, ERROR_SEND)
            # That may have ended what stands further on, too.
            kept = first + 1
            for i in range(first + 1, count):
                a = &e.exchanges[group[i].exchange].attempts[group[i].attempt]
                if a.state == OVER_DATAGRAMS and a.upstream == upstream and a.socket == which:
                    group[kept] = group[i]
                    kept += 1
            count = kept
        first += 1


cdef void flush(Engine* e) noexcept nogil:
    cdef int rounds = 0
    cdef uint64_t one = 1
    while e.outbox_count and rounds < FLUSH_ROUNDS:
        rounds += 1
        flush_some(e)
    if e.has_requests:
        e.has_requests = False
        c_write(e.request_event_fd, &one, 8)


# ------------------------------------------------------------------------------------------------- time

cdef void hedge(Engine* e, uint32_t index) noexcept nogil:
    """Whoever was asked last has been silent for longer than it uses to be: ask another, or the same again."""
    cdef Exchange* x = &e.exchanges[index]
    cdef Attempt* last = NULL
    cdef Upstream* u
    cdef uint32_t i, which = 0
    for i in range(MAX_ATTEMPTS):
        if x.attempts[i].state != FREE and (last == NULL or x.attempts[i].sent_ns >= last.sent_ns):
            last = &x.attempts[i]
            which = i
    x.hedge_ns = 0
    if last == NULL:
        # A pause, see attempt_failed; or who is followed has been silent for too long.
        if x.follows:
            give_back(e, x)
        go_on(e, index, True)
        return
    u = &e.upstreams[last.upstream]
    if last.unsent:
        last.unsent = False
        last.sent_ns = e.now_ns
        x.hedge_ns = 0 if x.probe else e.now_ns + timeout_of(u)
        push_out(e, index, which)
        return
    if last.resent == 0:
        was_silent(e, u)
        counted(e, u).silent += 1
        if last.state == OVER_STREAM:
            # If its reply comes after all, that is taken back.
            stream_failed(e, x, u)
    if u.silences >= SUSPECT_SILENCES:
        start_probe(e, x.stanza, last.upstream)
    if ask_next(e, index, False):
        return
    if last.state == OVER_DATAGRAMS and last.resent < MAX_RESENT and e.upstreams[last.upstream].sockets[
            last.socket].fd >= 0:
        last.resent += 1
        push_out(e, index, which)
        x.hedge_ns = e.now_ns + (timeout_of(u) << last.resent)


cdef void tell_stale(Engine* e, Exchange* x) noexcept nogil:
    """Serve those again who have a stale answer and have waited long enough. The exchange goes on without them."""
    cdef UpstreamReply reply
    cdef Waiter* w = x.waiters
    if x.stale_after_ns == 0 or x.stale_after_ns > e.now_ns:
        return
    x.stale_after_ns = 0
    memset(&reply, 0, sizeof(reply))
    reply.stale = True
    reply.received_ns = e.now_ns
    reply.rcode = SERVFAIL
    reply.error = ERROR_TIMEOUT
    reply.asker = x.stanza
    while w != NULL:
        if w.stale_after_ns and w.stale_after_ns <= e.now_ns:
            w.stale_after_ns = 0
            e.again(e.owner, w, &reply)
            w.background = True
        note_stale(x, w)
        w = w.next


cdef void on_due(Engine* e, uint32_t index) noexcept nogil:
    """Time has come for something that may happen to an exchange."""
    cdef Exchange* x = &e.exchanges[index]
    cdef uint32_t generation = x.generation
    cdef uint32_t i
    if x.probe and not anything_out(x):
        if x.hedge_ns <= e.now_ns:
            send_probe(e, index)
        else:
            schedule(e, index)
        return
    tell_stale(e, x)
    for i in range(MAX_ATTEMPTS):
        if x.attempts[i].state != FREE and x.attempts[i].expires_ns <= e.now_ns:
            if x.attempts[i].error_flags:
                believe_error(e, index, i)
            elif x.attempts[i].malformed:
                attempt_failed(e, index, i, ERROR_MALFORMED)
            elif x.attempts[i].unsent:
                attempt_failed(e, index, i, ERROR_SEND, True)
            else:
                counted(e, &e.upstreams[x.attempts[i].upstream]).timeouts += 1
                attempt_failed(e, index, i, ERROR_TIMEOUT)
            if x.generation != generation or x.probe:
                return
    if e.now_ns >= x.deadline_ns:
        if x.error == 0:
            x.error = ERROR_TIMEOUT
        end_without(e, index)
        return
    if x.hedge_ns and x.hedge_ns <= e.now_ns:
        hedge(e, index)
    if x.generation == generation:
        schedule(e, index)


cdef void on_time(Engine* e, uint64_t now_ns) noexcept nogil:
    cdef uint32_t index, bound
    e.now_ns = now_ns
    serve_ended(e)
    look_at_claims(e)
    while wheel_turns(&e.wheel, now_ns):
        bound = e.room
        index = wheel_take(&e.wheel)
        while index != NO_TIMER:
            on_due(e, index)
            if e.outbox_count > OUTBOX // 2:
                flush(e)
            bound -= 1
            index = wheel_take(&e.wheel) if bound else NO_TIMER
    flush(e)


cdef void give_up(Engine* e) noexcept nogil:
    cdef uint32_t index
    e.now_ns = monotonic_ns()
    e.closed = True
    while e.ended != NULL:
        serve_ended(e)
    for index in range(e.used):
        if e.exchanges[index].waiters != NULL:
            if e.exchanges[index].error == 0:
                e.exchanges[index].error = ERROR_TIMEOUT
            end_without(e, index)


cdef int wait_ms(Engine* e, int limit_ms) noexcept nogil:
    if e.out == 0:
        return limit_ms
    if e.ended != NULL:
        return 0
    if e.follower_count:
        return 1
    return WHEEL_TICK_NS // MS if limit_ms > WHEEL_TICK_NS // MS else limit_ms


# ------------------------------------------------------------------------------------- the slow thread's part

cdef bint request_stream(Engine* e, uint32_t index, uint32_t which) noexcept nogil:
    """Ask the slow thread for an attempt over a stream. False where its ring is full."""
    cdef Exchange* x = &e.exchanges[index]
    cdef StreamTicket ticket
    cdef uint64_t end = 0
    cdef uint8_t* at = ring_room(e.requests, sizeof(StreamTicket) + x.query_len, &end)
    if at == NULL:
        if e.counters != NULL:
            e.counters.streams_shed += 1
        x.error = ERROR_IN_FLIGHT
        return False
    ticket.exchange = index
    ticket.generation = x.generation
    ticket.attempt = which
    ticket.upstream = x.attempts[which].upstream
    ticket.id = x.attempts[which].id
    ticket.failed = 0
    ticket.timeout_ns = x.attempts[which].expires_ns - e.now_ns
    # It says why it has failed before this thread gives it up.
    if ticket.timeout_ns > 2 * GRACE_NS:
        ticket.timeout_ns -= GRACE_NS
    memcpy(at, &ticket, sizeof(StreamTicket))
    memcpy(at + sizeof(StreamTicket), x.query, x.query_len)
    put_u16(at + sizeof(StreamTicket), ticket.id)
    publish_u64(&e.requests.head, end)
    e.has_requests = True
    return True


cdef void take_stream_answers(Engine* e) noexcept nogil:
    cdef uint64_t size = 0
    cdef uint64_t ignored
    cdef StreamTicket ticket
    cdef Exchange* x
    cdef uint8_t* at
    c_read(e.answer_event_fd, &ignored, 8)
    while True:
        at = ring_next(e.answers, &size)
        if at == NULL:
            return
        memcpy(&ticket, at, sizeof(StreamTicket))
        x = &e.exchanges[ticket.exchange]
        if (ticket.exchange < e.used and x.generation == ticket.generation
                and x.attempts[ticket.attempt].state == OVER_STREAM
                and x.attempts[ticket.attempt].id == ticket.id):
            if ticket.failed == HAD_NO_ROOM:
                if e.counters != NULL:
                    e.counters.streams_shed += 1
                attempt_failed(e, ticket.exchange, ticket.attempt, ERROR_IN_FLIGHT, True)
            elif ticket.failed or size < sizeof(StreamTicket) + HEADER_BYTES:
                counted(e, &e.upstreams[ticket.upstream]).broken += 1
                attempt_failed(e, ticket.exchange, ticket.attempt, ERROR_STREAM)
            else:
                on_reply(e, ticket.exchange, ticket.attempt, at + sizeof(StreamTicket),
                         size - sizeof(StreamTicket))
        ring_done(e.answers, size)


cdef void on_event(Engine* e, uint32_t tag) noexcept nogil:
    cdef uint32_t which = tag - e.tag
    e.now_ns = monotonic_ns()
    if which == MAX_UPSTREAMS * SOCKETS:
        take_stream_answers(e)
    elif which < e.upstream_count * SOCKETS:
        receive(e, which // SOCKETS, which % SOCKETS)
    flush(e)


# --------------------------------------------------------------------------------------------- for Python

cdef class Upstreams:
    """What every process knows of each upstream, by slot. Made by the supervisor before it forks."""

    def __cinit__(self):
        self.table = <SharedUpstream*>map_shared(MAX_UPSTREAMS * sizeof(SharedUpstream))
        if self.table == NULL:
            raise OSError("the table of upstreams cannot be mapped")

    def __dealloc__(self):
        unmap(self.table, MAX_UPSTREAMS * sizeof(SharedUpstream))

    cdef SharedUpstream* of(self, uint32_t slot) except NULL:
        if slot >= MAX_UPSTREAMS:
            raise IndexError(slot)
        return &self.table[slot]

    def arm(self, uint32_t slot, uint64_t high, uint64_t low, uint64_t until_ns):
        """A loop probe with this token goes out to the upstream; it counts if it comes back until then."""
        cdef SharedUpstream* u = self.of(slot)
        u.armed_until_ns = 0
        u.seen_ns = 0
        u.token[0] = high
        u.token[1] = low
        publish_u64(&u.armed_until_ns, until_ns)

    def seen(self, uint32_t slot):
        """Whether the probe has come back."""
        return load(&self.of(slot).seen_ns) != 0

    def cut(self, uint32_t slot, bint cut):
        """Nobody asks an upstream that is cut off."""
        publish_u64(&self.of(slot).cut, cut)

    def avoid_streams(self, uint32_t slot, uint64_t until_ns):
        """What the upstream truncates is not asked for over TCP before a time of CLOCK_MONOTONIC."""
        publish_u64(&self.of(slot).no_stream_until_ns, until_ns)

    def avoids_streams(self, uint32_t slot):
        """Whether TCP is known to fail there."""
        return load(&self.of(slot).no_stream_until_ns) != 0

    def is_cut(self, uint32_t slot):
        """Whether a loop was found behind the upstream."""
        return load(&self.of(slot).cut) != 0


cdef int put_address(uint8_t* out, tuple address) except -1:
    """(IP text, port) or (IP text, port, 0, scope) as a struct sockaddr; returns its size."""
    family = pysocket.AF_INET6 if ":" in address[0] else pysocket.AF_INET
    host = address[0].partition("%")[0]
    raw = pysocket.inet_pton(family, host)
    (<uint16_t*>out)[0] = family
    put_u16(out + 2, address[1])
    if family == pysocket.AF_INET:
        memset(out + 4, 0, 12)
        memcpy(out + 4, <const uint8_t*><bytes>raw, 4)
        return 16
    memset(out + 4, 0, 24)
    memcpy(out + 8, <const uint8_t*><bytes>raw, 16)
    if len(address) > 3:
        (<uint32_t*>(out + 24))[0] = address[3]
    return 28


cdef class Exchanges:
    """One thread's table.

    upstreams: (address as socket_address makes it, source address likewise | None, stream only, slot) each; stanzas
    name them by their place here. room: the most questions in flight. stats, counter_slot: this thread's counters.
    stanzas: how many share the room. socket_s: a UDP socket that is older is replaced before it is used again.
    sockets: how many there may be to one upstream.
    """

    def __cinit__(self, list upstreams, Upstreams shared not None, Stats stats not None, uint32_t counter_slot,
                  uint32_t room=16384, uint32_t stanzas=1, double socket_s=SOCKET_S, uint32_t sockets=SOCKETS):
        cdef Engine* e = &self.engine
        cdef uint32_t i, k, slots
        cdef mmsghdr* headers
        cdef iovec* iovecs
        e.epoll_fd = e.request_event_fd = e.answer_event_fd = -1
        if len(upstreams) > MAX_UPSTREAMS:
            raise ValueError(f"at most {MAX_UPSTREAMS} upstreams, got {len(upstreams)}")
        if not 0 < room <= 1 << 20:
            raise ValueError(f"1 to {1 << 20} questions in flight, got {room}")
        if not 0 < sockets <= SOCKETS:
            raise ValueError(f"1 to {SOCKETS} sockets an upstream, got {sockets}")
        self.stats = stats
        self.shared = shared
        self.keep = [upstreams]
        e.sockets = sockets
        e.room = room
        e.socket_ns = <uint64_t>(socket_s * 1e9)
        e.free_exchange = NONE
        if not open_slabs(&e.memory, <uint64_t>room * PLACE_BYTES + (1 << 20)):
            raise MemoryError
        e.stanza_most = e.memory.count * SLAB_UNITS
        if stanzas > 1:
            e.stanza_most = room * UNITS_A_PLACE // STANZA_SHARE * (STANZA_SHARE - 1)
        e.exchanges = <Exchange*>map_private(room * sizeof(Exchange))
        e.requests = <ByteRing*>map_private(2 * sizeof(ByteRing))
        if e.exchanges == NULL or e.requests == NULL:
            raise MemoryError
        e.answers = e.requests + 1
        slots = 1 << (<object>room - 1).bit_length()
        e.hash_mask = slots - 1
        e.by_question = <uint32_t*>malloc(2 * slots * sizeof(uint32_t))
        e.upstreams = <Upstream*>calloc(max(1, len(upstreams)), sizeof(Upstream))
        e.received = <uint8_t*>malloc(RECEIVE * RECEIVE_ROOM)
        e.headers = calloc(RECEIVE, sizeof(mmsghdr))
        e.iovecs = calloc(RECEIVE, sizeof(iovec))
        if not (e.by_question and e.upstreams and e.received and e.headers and e.iovecs):
            raise MemoryError
        e.by_id = e.by_question + slots
        memset(e.by_question, 0xFF, 2 * slots * sizeof(uint32_t))
        open_wheel(&e.wheel, &e.exchanges[0].timer, sizeof(Exchange), monotonic_ns())
        headers = <mmsghdr*>e.headers
        iovecs = <iovec*>e.iovecs
        for i in range(RECEIVE):
            iovecs[i].iov_base = e.received + i * RECEIVE_ROOM
            iovecs[i].iov_len = RECEIVE_ROOM
            headers[i].msg_hdr.msg_iov = &iovecs[i]
            headers[i].msg_hdr.msg_iovlen = 1
        for i in range(len(upstreams)):
            address, source, stream_only, slot = upstreams[i]
            if slot >= MAX_UPSTREAMS:
                raise ValueError(f"upstream slot {slot} of {MAX_UPSTREAMS}")
            e.upstreams[i].address_len = put_address(e.upstreams[i].address, address)
            if source is not None:
                e.upstreams[i].source_len = put_address(e.upstreams[i].source, source)
            e.upstreams[i].stream_only = stream_only
            e.upstreams[i].slot = slot
            e.upstreams[i].chosen = NONE
            for k in range(SOCKETS):
                e.upstreams[i].sockets[k].fd = -1
                e.upstreams[i].sockets[k].first = NONE
        e.upstream_count = len(upstreams)
        e.shared = shared.table
        e.counters = stats.block(counter_slot)
        e.all_counters = stats.block(0)
        if load(&e.shared[0].counter_slots) <= counter_slot:
            publish_u64(&e.shared[0].counter_slots, counter_slot + 1)
        e.upstream_counters = e.counters.upstreams
        e.seed = random_u64(&e.random)
        e.request_event_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        e.answer_event_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def __dealloc__(self):
        cdef Engine* e = &self.engine
        cdef uint32_t i, k
        for i in range(e.upstream_count):
            for k in range(SOCKETS):
                if e.upstreams[i].sockets[k].fd >= 0:
                    c_close(e.upstreams[i].sockets[k].fd)
        for fd in (e.request_event_fd, e.answer_event_fd):
            if fd >= 0:
                c_close(fd)
        while e.ended != NULL:
            e.last_ended = e.ended.next
            free(e.ended)
            e.ended = e.last_ended
        close_slabs(&e.memory)
        unmap(e.exchanges, e.room * sizeof(Exchange))
        unmap(e.requests, 2 * sizeof(ByteRing))
        free(e.by_question)
        free(e.upstreams)
        free(e.received)
        free(e.headers)
        free(e.iovecs)

    cdef int attach(self, int epoll_fd, uint32_t tag, Reply* reply, again_fn again, void* owner) except -1:
        """Say where the sockets are waited for, and who serves queries again. Once, before anything is parked."""
        cdef epoll_event event
        self.engine.epoll_fd = epoll_fd
        self.engine.tag = tag
        self.engine.reply = reply
        self.engine.again = again
        self.engine.owner = owner
        event.events = EPOLLIN
        event.data.u32 = tag + MAX_UPSTREAMS * SOCKETS
        if epoll_ctl(epoll_fd, EPOLL_CTL_ADD, self.engine.answer_event_fd, &event) != 0:
            raise OSError(errno, "epoll_ctl")
        return 0

    @property
    def request_fd(self):
        """Readable when take_requests has something to give."""
        return self.engine.request_event_fd

    @property
    def out(self):
        """How many questions are in flight, probes included."""
        return self.engine.out

    def take_requests(self, uint32_t most):
        """What is to be asked over streams: (ticket, upstream, message, timeout in seconds) each.

        For the slow thread, which answers each with give_answer once. Where there are as many as that there may be
        more, which do not make request_fd readable again.
        """
        cdef uint64_t size = 0
        cdef uint64_t ignored
        cdef uint8_t* at
        cdef StreamTicket* ticket
        c_read(self.engine.request_event_fd, &ignored, 8)
        taken = []
        while <uint32_t>len(taken) < most:
            at = ring_next(self.engine.requests, &size)
            if at == NULL:
                break
            ticket = <StreamTicket*>at
            taken.append((
                at[:sizeof(StreamTicket)], ticket.upstream,
                at[sizeof(StreamTicket):size], ticket.timeout_ns / 1e9,
            ))
            ring_done(self.engine.requests, size)
        return taken

    def give_answer(self, bytes ticket not None, bytes message, bint had_no_room=False):
        """What came of a request; message None: nothing. False where there is no room now: try again later.

        had_no_room: nothing, as it was not asked for want of a place or a descriptor of ours.

        The table's thread looks at it after the next wake.
        """
        cdef uint64_t end = 0
        cdef uint32_t size = len(message) if message is not None else 0
        cdef uint8_t* at
        if len(ticket) != sizeof(StreamTicket):
            raise ValueError("no ticket")
        at = ring_room(self.engine.answers, sizeof(StreamTicket) + size, &end)
        if at == NULL:
            return False
        memcpy(at, <const uint8_t*>ticket, sizeof(StreamTicket))
        (<StreamTicket*>at).failed = REPLIED
        if message is None:
            (<StreamTicket*>at).failed = HAD_NO_ROOM if had_no_room else FAILED
        if size:
            memcpy(at + sizeof(StreamTicket), <const uint8_t*>message, size)
        publish_u64(&self.engine.answers.head, end)
        return True

    def wake(self):
        """Wake the table's thread for what has been given."""
        cdef uint64_t one = 1
        c_write(self.engine.answer_event_fd, &one, 8)
