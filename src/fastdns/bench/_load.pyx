"""The load generator: a closed loop of queries over many UDP sockets, in batches, without the GIL.

Each socket has a window of queries under way. A query's ID holds its place in the window in the low bits and is
random above them, so that an answer finds its query without a search, and one to an earlier query does not fit.
"""

import os
import socket

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memset

from fastdns.bench._sockets cimport (
    BATCH, MSG_DONTWAIT, MSG_TRUNC, iovec, mmsghdr, monotonic_ns, recvmmsg, sendmmsg,
)
from fastdns.bench.result import Result

cdef extern from "poll.h" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd* fds, unsigned long count, int timeout)
    enum:
        POLLIN

cdef extern from *:
    int leading_zeros "__builtin_clzll"(unsigned long long value) noexcept nogil

cdef enum:
    HEADER_BYTES = 12
    QR = 0x80
    TC = 0x02
    ROOM = 1024                 # of an answer only header and question are looked at
    SUB_BITS = 10               # as in result.py
    SUBS = 1024
    BUCKETS = 29696
    MAX_WINDOW = 4096           # of one socket: four bits of an ID stay random at least
    MAX_SOCKETS = 1024
    SPINS = 400                 # empty rounds before sleeping: the server shall not pay for waking its client
    SLEEP_MS = 1
    LOST_EVERY_NS = 10000000

cdef struct Question:
    const uint8_t* message
    uint32_t size
    uint32_t question_end       # offset behind QCLASS

cdef struct Place:
    uint64_t sent_ns            # 0: nothing under way
    uint32_t question
    uint8_t id[2]

cdef struct Lane:
    int fd
    uint32_t free_count
    uint16_t* free_places
    Place* places

cdef struct Counts:
    uint64_t sent
    uint64_t answered
    uint64_t lost
    uint64_t mismatched
    uint64_t truncated
    uint64_t errors
    uint64_t answer_bytes
    uint64_t max_ns
    uint64_t last_ns
    uint64_t rcodes[16]
    uint64_t buckets[BUCKETS]


cdef inline uint32_t bucket_of(uint64_t value) noexcept nogil:
    if value < SUBS:
        return <uint32_t>value
    cdef uint32_t octave = 63 - leading_zeros(value) - SUB_BITS
    cdef uint32_t bucket = (octave << SUB_BITS) + <uint32_t>(value >> octave)
    return bucket if bucket < BUCKETS else BUCKETS - 1


cdef uint32_t end_of_question(const uint8_t* message, uint32_t size) noexcept nogil:
    """The offset behind the only question, or 0 where there is none."""
    cdef uint32_t at = HEADER_BYTES
    if size < HEADER_BYTES + 5 or message[4] != 0 or message[5] != 1:
        return 0
    while at < size and message[at] != 0:
        if message[at] > 63:
            return 0
        at += message[at] + 1
    return at + 5 if at + 5 <= size else 0


cdef class Load:
    """Queries from many sockets to one server.

    queries: whole messages, asked in this order, over and over; their IDs are replaced. outstanding: how many are
    under way at a time, over all sockets. timeout_s: when a query is lost. Use from one thread at a time.
    """

    cdef list sockets
    cdef list queries
    cdef uint32_t lane_count
    cdef uint32_t window
    cdef uint32_t place_mask
    cdef uint32_t question_count
    cdef uint32_t next_question
    cdef uint64_t timeout_ns
    cdef uint64_t random
    cdef Question* questions
    cdef Lane* lanes
    cdef pollfd* polls
    cdef uint8_t* room
    cdef mmsghdr* headers_in
    cdef mmsghdr* headers_out
    cdef iovec* iovecs_in
    cdef iovec* iovecs_out
    cdef Counts counts

    def __cinit__(self, str host not None, int port, list queries not None, *, uint32_t outstanding=256,
                  uint32_t sockets=16, double timeout_s=1.0):
        cdef uint32_t i, j
        cdef int k
        if not 1 <= sockets <= MAX_SOCKETS:
            raise ValueError(f"sockets must be 1 to {MAX_SOCKETS}, got {sockets}")
        if outstanding < sockets or outstanding % sockets or outstanding > MAX_WINDOW * sockets:
            raise ValueError(f"outstanding must be 1 to {MAX_WINDOW} for each socket, equally: got {outstanding}")
        if not queries:
            raise ValueError("no queries to ask")
        self.queries = [bytes(query) for query in queries]
        self.question_count = len(queries)
        self.lane_count = sockets
        self.window = outstanding // sockets
        self.place_mask = 1
        while self.place_mask < self.window:
            self.place_mask *= 2
        self.place_mask -= 1
        self.timeout_ns = <uint64_t>(timeout_s * 1e9)
        self.random = int.from_bytes(os.urandom(8), "little") | 1
        self.questions = <Question*>calloc(self.question_count, sizeof(Question))
        self.lanes = <Lane*>calloc(sockets, sizeof(Lane))
        self.polls = <pollfd*>calloc(sockets, sizeof(pollfd))
        self.room = <uint8_t*>calloc(BATCH, ROOM)
        self.headers_in = <mmsghdr*>calloc(BATCH, sizeof(mmsghdr))
        self.headers_out = <mmsghdr*>calloc(BATCH, sizeof(mmsghdr))
        self.iovecs_in = <iovec*>calloc(BATCH, sizeof(iovec))
        self.iovecs_out = <iovec*>calloc(2 * BATCH, sizeof(iovec))
        if not (self.questions and self.lanes and self.polls and self.room and self.headers_in
                and self.headers_out and self.iovecs_in and self.iovecs_out):
            raise MemoryError
        for i in range(self.question_count):
            self.questions[i].message = <const uint8_t*><bytes>self.queries[i]
            self.questions[i].size = len(self.queries[i])
            self.questions[i].question_end = end_of_question(self.questions[i].message, self.questions[i].size)
            if self.questions[i].question_end == 0:
                raise ValueError(f"query {i} is no message with one question")
        for k in range(BATCH):
            self.iovecs_in[k].iov_base = self.room + k * ROOM
            self.iovecs_in[k].iov_len = ROOM
            self.headers_in[k].msg_hdr.msg_iov = &self.iovecs_in[k]
            self.headers_in[k].msg_hdr.msg_iovlen = 1
            self.iovecs_out[2 * k].iov_len = 2
            self.headers_out[k].msg_hdr.msg_iov = &self.iovecs_out[2 * k]
            self.headers_out[k].msg_hdr.msg_iovlen = 2
        self.sockets = []
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        for i in range(sockets):
            made = socket.socket(family, kind, protocol)
            self.sockets.append(made)
            made.setblocking(False)
            made.connect(address)
            self.lanes[i].fd = made.fileno()
            self.polls[i].fd = made.fileno()
            self.polls[i].events = POLLIN
            self.lanes[i].places = <Place*>calloc(self.window, sizeof(Place))
            self.lanes[i].free_places = <uint16_t*>calloc(self.window, sizeof(uint16_t))
            if self.lanes[i].places == NULL or self.lanes[i].free_places == NULL:
                raise MemoryError
            for j in range(self.window):
                self.lanes[i].free_places[j] = j
            self.lanes[i].free_count = self.window

    def __dealloc__(self):
        cdef uint32_t i
        if self.lanes != NULL:
            for i in range(self.lane_count):
                free(self.lanes[i].places)
                free(self.lanes[i].free_places)
        free(self.questions)
        free(self.lanes)
        free(self.polls)
        free(self.room)
        free(self.headers_in)
        free(self.headers_out)
        free(self.iovecs_in)
        free(self.iovecs_out)

    def close(self):
        """Close the sockets; the object cannot run any more."""
        for made in self.sockets:
            made.close()
        self.lane_count = 0

    def run(self, *, double seconds=0.0, uint64_t count=0):
        """Ask for so long or so often, whichever ends first, and wait for what is under way; gives a Result."""
        cdef uint64_t begin_ns
        cdef int i
        if seconds <= 0 and count == 0:
            raise ValueError("neither seconds nor count")
        if self.lane_count == 0:
            raise ValueError("closed")
        memset(&self.counts, 0, sizeof(Counts))
        with nogil:
            begin_ns = monotonic_ns()
            self.ask_all(begin_ns + <uint64_t>(seconds * 1e9) if seconds > 0 else ~<uint64_t>0,
                         count if count else ~<uint64_t>0)
        c = &self.counts
        return Result(
            sent=c.sent, answered=c.answered, lost=c.lost, mismatched=c.mismatched, truncated=c.truncated,
            errors=c.errors, answer_bytes=c.answer_bytes,
            elapsed_s=(c.last_ns - begin_ns) / 1e9 if c.last_ns > begin_ns else 0.0, max_ns=c.max_ns,
            rcodes=tuple([c.rcodes[i] for i in range(16)]),
            histogram=tuple([(i, c.buckets[i]) for i in range(BUCKETS) if c.buckets[i]]),
        )

    cdef int ask_all(self, uint64_t end_ns, uint64_t count) noexcept nogil:
        cdef uint32_t i, moved, idle = 0
        cdef uint64_t now = monotonic_ns()
        cdef uint64_t lost_at = now + LOST_EVERY_NS
        while True:
            moved = 0
            for i in range(self.lane_count):
                moved += self.take_answers(&self.lanes[i])
                if now < end_ns and self.counts.sent < count:
                    moved += self.send_queries(&self.lanes[i], count - self.counts.sent)
            now = monotonic_ns()
            if now >= lost_at:
                lost_at = now + LOST_EVERY_NS
                for i in range(self.lane_count):
                    self.give_up(&self.lanes[i], now)
            if moved:
                idle = 0
                continue
            if (now >= end_ns or self.counts.sent >= count) and (
                    self.counts.answered + self.counts.lost == self.counts.sent):
                return 0
            idle += 1
            if idle > SPINS:
                poll(self.polls, self.lane_count, SLEEP_MS)

    cdef uint32_t take_answers(self, Lane* lane) noexcept nogil:
        """Match what a socket holds, up to a batch. Returns how many messages came."""
        cdef int i, came
        cdef uint64_t now
        came = recvmmsg(lane.fd, self.headers_in, BATCH, MSG_DONTWAIT | MSG_TRUNC, NULL)
        if came <= 0:
            if came < 0 and errno != EAGAIN and errno != EINTR:
                # A connected socket reports what ICMP says of its earlier datagrams.
                self.counts.errors += 1
            return 0
        now = monotonic_ns()
        for i in range(came):
            self.match(lane, <const uint8_t*>self.iovecs_in[i].iov_base, self.headers_in[i].msg_len, now)
        self.counts.last_ns = now
        return came

    cdef void match(self, Lane* lane, const uint8_t* answer, uint32_t size, uint64_t now) noexcept nogil:
        cdef uint32_t at
        cdef uint64_t took
        cdef Place* place
        cdef const Question* question
        if size < HEADER_BYTES or not answer[2] & QR:
            self.counts.mismatched += 1
            return
        at = ((<uint32_t>answer[0] << 8) | answer[1]) & self.place_mask
        if at >= self.window:
            self.counts.mismatched += 1
            return
        place = &lane.places[at]
        question = &self.questions[place.question]
        if (place.sent_ns == 0 or place.id[0] != answer[0] or place.id[1] != answer[1]
                or size < question.question_end
                or memcmp(answer + HEADER_BYTES, question.message + HEADER_BYTES,
                          question.question_end - HEADER_BYTES) != 0):
            self.counts.mismatched += 1
            return
        took = now - place.sent_ns
        self.counts.answered += 1
        self.counts.answer_bytes += size
        self.counts.rcodes[answer[3] & 0xF] += 1
        if answer[2] & TC:
            self.counts.truncated += 1
        self.counts.buckets[bucket_of(took)] += 1
        if took > self.counts.max_ns:
            self.counts.max_ns = took
        self.release(lane, at)

    cdef inline void release(self, Lane* lane, uint32_t at) noexcept nogil:
        lane.places[at].sent_ns = 0
        lane.free_places[lane.free_count] = at
        lane.free_count += 1

    cdef uint32_t send_queries(self, Lane* lane, uint64_t most) noexcept nogil:
        """Send the next queries from a socket's free places, up to a batch. Returns how many were sent."""
        cdef uint32_t i, at, id_, n = BATCH
        cdef int sent
        cdef uint64_t now, x = self.random
        cdef Question* question
        cdef Place* place
        if n > lane.free_count:
            n = lane.free_count
        if n > most:
            n = <uint32_t>most
        if n == 0:
            return 0
        for i in range(n):
            at = lane.free_places[lane.free_count - 1 - i]
            place = &lane.places[at]
            x ^= x >> 12
            x ^= x << 25
            x ^= x >> 27
            id_ = (<uint32_t>((x * <uint64_t>0x2545F4914F6CDD1D) >> 48) & ~self.place_mask) | at
            place.id[0] = id_ >> 8
            place.id[1] = id_ & 0xFF
            place.question = (self.next_question + i) % self.question_count
            question = &self.questions[place.question]
            self.iovecs_out[2 * i].iov_base = place.id
            self.iovecs_out[2 * i + 1].iov_base = <void*>(question.message + 2)
            self.iovecs_out[2 * i + 1].iov_len = question.size - 2
        self.random = x
        now = monotonic_ns()
        sent = sendmmsg(lane.fd, self.headers_out, n, MSG_DONTWAIT)
        if sent <= 0:
            if errno != EAGAIN and errno != EINTR:
                self.counts.errors += 1
            return 0
        for i in range(<uint32_t>sent):
            lane.places[lane.free_places[lane.free_count - 1 - i]].sent_ns = now
        lane.free_count -= sent
        self.next_question = (self.next_question + sent) % self.question_count
        self.counts.sent += sent
        return sent

    cdef void give_up(self, Lane* lane, uint64_t now) noexcept nogil:
        """Count as lost what has been under way for too long."""
        cdef uint32_t at
        for at in range(self.window):
            if lane.places[at].sent_ns and now - lane.places[at].sent_ns > self.timeout_ns:
                self.counts.lost += 1
                self.release(lane, at)
