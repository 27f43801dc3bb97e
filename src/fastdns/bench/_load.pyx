"""The load generator: queries over many UDP sockets or TCP connections, in batches, without the GIL.

Closed loop: so many queries are under way at a time, over all lanes. Open loop: query k is due k/rate after the
start; an answer's time counts from then, however late the query could be sent, so that a server that stalls is
charged for every query that it has kept waiting (no coordinated omission).
"""

import ipaddress
import os
import socket as py_socket
import struct as py_struct

from libc.errno cimport EAGAIN, EINPROGRESS, EINTR, ETIMEDOUT, errno
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memmove, memset

from fastdns.bench._answers cimport Said, read_said
from fastdns.bench._counts cimport SAMPLE_BYTES, SAMPLES, Counts, bucket_of, counts_in
from fastdns.bench._lanes cimport (
    ANSWERED, CLOSED, CONNECTING, GIVEN_UP, GONE, MAX_WINDOW, NO_PLACE, OPEN, UNDER_WAY, Gone, Lane, Place,
    free_lane, make_places, next_place, release_place, remember_gone, take_place,
)
from fastdns.bench._questions cimport EXACTLY, NOTHING, SOME, Question, Questions
from fastdns.bench._sockets cimport (
    BATCH, IPPROTO_TCP, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_TRUNC, POLLIN, POLLOUT, SO_ERROR, SO_RCVBUF, SO_SNDBUF,
    SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET, TCP_NODELAY, bind, close, connect, getsockopt,
    iovec, mmsghdr, monotonic_ns, pollfd, ppoll, recv, recvmmsg, send, sendmmsg, setsockopt, sockaddr, socket,
    socklen_t, thread_cpu_ns, timespec,
)

from fastdns.bench._counts import COUNTS_BYTES, read_result

cdef extern from "sched.h" nogil:
    int sched_yield()

cdef extern from "sys/prctl.h" nogil:
    int prctl(int option, unsigned long value, unsigned long, unsigned long, unsigned long)
    enum:
        PR_SET_TIMERSLACK

cdef enum:
    HEADER_BYTES = 12
    QR = 0x80
    TC = 0x02
    SLOT_BYTES = 512            # for a query; longer ones are sent in two pieces
    ROOM = 4096                 # of a datagram; a longer one is matched and counted, but not compared
    LENGTH_BYTES = 2            # before a message, RFC 1035 section 4.2.2
    INCOMING_BYTES = 66000      # a whole message
    OUTGOING_BYTES = 32768
    MAX_LANES = 16384
    POLLED_LANES = 64           # from here on it is cheaper to ask which of them have something
    YIELDS = 4                  # empty rounds before others may have the CPU
    SPINS = 400                 # empty rounds before sleeping: the server shall not pay for waking its client
    SLEEP_NS = 1000000
    SHORT_NS = 50000            # no use in sleeping for less
    GIVE_UP_EVERY_NS = 1000000
    RETRY_NS = 100000000
    BUFFER_BYTES_PER_QUERY = 4096
    MAX_BUFFER_BYTES = 8388608


def packed_address(str host not None, int port, int family=0):
    """(family, struct sockaddr as bytes, address as text) of a name or address. Raises OSError."""
    found, _, _, _, address = py_socket.getaddrinfo(host, port, family=family, type=py_socket.SOCK_DGRAM)[0]
    if found == py_socket.AF_INET:
        packed = py_struct.pack("=H", found) + py_struct.pack("!H4s8x", port, py_socket.inet_aton(address[0]))
        return found, packed, address[0]
    raw = ipaddress.IPv6Address(address[0].partition("%")[0]).packed
    packed = py_struct.pack("=H", found) + py_struct.pack("!HI16s", port, address[2], raw)
    return found, packed + py_struct.pack("=I", address[3]), address[0]


cdef inline bint same_question(const Question* question, const uint8_t* answer, uint32_t size) noexcept nogil:
    return size >= question.question_end and memcmp(
        answer + HEADER_BYTES, question.message + HEADER_BYTES, question.question_end - HEADER_BYTES) == 0


cdef class Load:
    """Queries from many sockets to one server.

    queries: whole messages, or Questions; asked in this order, over and over, every step-th from first on; their
    IDs are replaced. outstanding: how many are under way at a time, over all sockets. timeout_s: when a query is
    lost. rate: queries a second of all processes that take part, 0 for the closed loop; first and step are then
    this process's place among them. counters: memory of COUNTS_BYTES that others may read. Use from one thread at a
    time. Raises ValueError; OSError where no socket can be opened or nobody accepts connections.
    """

    cdef Questions questions
    cdef const Question* table
    cdef uint32_t question_count
    cdef uint64_t next_question
    cdef uint64_t first
    cdef uint64_t step
    cdef bint over_tcp
    cdef double rate
    cdef uint32_t lane_count
    cdef uint32_t outstanding
    cdef uint32_t under_way
    cdef uint32_t turn
    cdef uint64_t timeout_ns
    cdef uint64_t random
    cdef uint64_t queries_per_connection
    cdef int family
    cdef int buffer_bytes
    cdef bytes peer
    cdef bytes local
    cdef const sockaddr* peer_at
    cdef const sockaddr* local_at
    cdef socklen_t peer_size
    cdef socklen_t local_size
    cdef object counters
    cdef Lane* lanes
    cdef pollfd* polls
    cdef uint8_t* room
    cdef uint8_t* slots
    cdef mmsghdr* headers_in
    cdef mmsghdr* headers_out
    cdef iovec* iovecs_in
    cdef iovec* iovecs_out
    cdef Counts* counts
    cdef uint64_t begin_ns
    cdef int open_errno
    cdef uint64_t accepted_ns
    cdef bint asking

    def __cinit__(self, str host not None, int port, queries not None, *, uint32_t outstanding=256,
                  uint32_t sockets=16, double timeout_s=1.0, bint tcp=False, double rate=0.0, uint64_t first=0,
                  uint64_t step=1, int family=0, str local_address=None, int buffer_bytes=0,
                  uint64_t queries_per_connection=0, counters=None):
        cdef uint32_t i, window
        cdef int k
        if not 1 <= sockets <= MAX_LANES:
            raise ValueError(f"sockets must be 1 to {MAX_LANES}, got {sockets}")
        window = (outstanding + sockets - 1) // sockets
        if not 1 <= window <= MAX_WINDOW:
            raise ValueError(f"outstanding must be 1 to {MAX_WINDOW} for each socket, got {outstanding}")
        if rate < 0 or step < 1:
            raise ValueError("rate must be 0 or more, and step at least 1")
        self.questions = queries if isinstance(queries, Questions) else Questions(list(queries))
        self.table = self.questions.table
        self.question_count = self.questions.count
        self.first = first
        self.next_question = first % self.question_count
        self.step = step
        self.over_tcp = tcp
        self.rate = rate
        self.outstanding = outstanding
        self.timeout_ns = <uint64_t>(timeout_s * 1e9)
        self.random = int.from_bytes(os.urandom(8), "little") | 1
        self.queries_per_connection = queries_per_connection
        self.buffer_bytes = buffer_bytes
        self.family, self.peer, _ = packed_address(host, port, family)
        self.local = packed_address(local_address, 0, self.family)[1] if local_address is not None else b""
        self.peer_at = <const sockaddr*><const char*>self.peer
        self.peer_size = len(self.peer)
        self.local_at = <const sockaddr*><const char*>self.local
        self.local_size = len(self.local)
        self.counters = bytearray(COUNTS_BYTES) if counters is None else counters
        self.counts = counts_in(self.counters, True)
        self.lanes = <Lane*>calloc(sockets, sizeof(Lane))
        self.polls = <pollfd*>calloc(sockets, sizeof(pollfd))
        self.room = <uint8_t*>calloc(BATCH, ROOM)
        self.slots = <uint8_t*>calloc(BATCH, SLOT_BYTES)
        self.headers_in = <mmsghdr*>calloc(BATCH, sizeof(mmsghdr))
        self.headers_out = <mmsghdr*>calloc(BATCH, sizeof(mmsghdr))
        self.iovecs_in = <iovec*>calloc(BATCH, sizeof(iovec))
        self.iovecs_out = <iovec*>calloc(2 * BATCH, sizeof(iovec))
        if not (self.lanes and self.polls and self.room and self.slots and self.headers_in
                and self.headers_out and self.iovecs_in and self.iovecs_out):
            raise MemoryError
        for k in range(BATCH):
            self.iovecs_in[k].iov_base = self.room + k * ROOM
            self.iovecs_in[k].iov_len = ROOM
            self.headers_in[k].msg_hdr.msg_iov = &self.iovecs_in[k]
            self.headers_in[k].msg_hdr.msg_iovlen = 1
            self.headers_out[k].msg_hdr.msg_iov = &self.iovecs_out[2 * k]
        for i in range(sockets):
            self.lanes[i].fd = -1
            self.polls[i].fd = -1
        self.lane_count = sockets
        for i in range(sockets):
            if make_places(&self.lanes[i], window) < 0:
                raise MemoryError
            if tcp:
                self.lanes[i].incoming = <uint8_t*>calloc(1, INCOMING_BYTES)
                self.lanes[i].outgoing = <uint8_t*>calloc(1, OUTGOING_BYTES)
                if self.lanes[i].incoming == NULL or self.lanes[i].outgoing == NULL:
                    raise MemoryError
        for i in range(sockets):
            self.open_lane(i, 0)
            if self.lanes[i].state == CLOSED and not tcp:
                raise OSError(self.open_errno, os.strerror(self.open_errno))
        if tcp:
            self.wait_for_connections()

    def __dealloc__(self):
        cdef uint32_t i
        if self.lanes != NULL:
            for i in range(self.lane_count):
                if self.lanes[i].fd >= 0:
                    close(self.lanes[i].fd)
                free_lane(&self.lanes[i])
        free(self.lanes)
        free(self.polls)
        free(self.room)
        free(self.slots)
        free(self.headers_in)
        free(self.headers_out)
        free(self.iovecs_in)
        free(self.iovecs_out)

    def close(self):
        """Close the sockets; the object cannot run any more."""
        cdef uint32_t i
        for i in range(self.lane_count):
            if self.lanes[i].fd >= 0:
                close(self.lanes[i].fd)
                self.lanes[i].fd = -1
            free_lane(&self.lanes[i])
        self.lane_count = 0

    def run(self, *, double seconds=0.0, uint64_t count=0, uint64_t start_ns=0):
        """Ask for so long or so often, whichever ends first, and wait for what is under way; gives a Result.

        start_ns: of the monotonic clock, when to begin; 0: at once.
        """
        if seconds <= 0 and count == 0:
            raise ValueError("neither seconds nor count")
        if self.lane_count == 0:
            raise ValueError("closed")
        memset(self.counts, 0, sizeof(Counts))
        with nogil:
            prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)
            self.begin_ns = monotonic_ns()
            if start_ns > self.begin_ns:
                self.sleep(start_ns - self.begin_ns, 0)
                self.begin_ns = start_ns
            self.counts.begin_ns = self.counts.asked_ns = self.accepted_ns = self.begin_ns
            self.ask_all(self.begin_ns + <uint64_t>(seconds * 1e9) if seconds > 0 else ~<uint64_t>0,
                         count if count else ~<uint64_t>0)
        return read_result(self.counters)

    # ------------------------------------------------------------------------------------------------ the loop

    cdef void ask_all(self, uint64_t end_ns, uint64_t count) noexcept nogil:
        cdef uint32_t i, at, moved, sent, idle = 0
        cdef uint64_t now = monotonic_ns()
        cdef uint64_t before = now, give_up_at = now + GIVE_UP_EVERY_NS, due, pause
        cdef uint64_t cpu_begin_ns = thread_cpu_ns(), cpu_ns, idle_from_ns = 0
        cdef bint looked, last_pass, gone
        self.asking = True
        while True:
            moved = 0
            looked = self.over_tcp or idle > 0 or self.lane_count > POLLED_LANES
            if looked:
                pause = 0
                if idle > SPINS:
                    pause = SLEEP_NS
                    if self.asking:
                        pause = self.until_due(now, end_ns, count, pause)
                elif idle > YIELDS:
                    # Who shares this CPU goes first.
                    sched_yield()
                self.sleep(pause, self.lane_count)
            for i in range(self.lane_count):
                if not looked or self.polls[i].revents:
                    moved += self.take_from(i)
            now = monotonic_ns()
            if self.counts.stop:
                break
            if self.asking:
                last_pass = now >= end_ns
                gone = self.over_tcp and end_ns == ~<uint64_t>0 and self.nobody_accepts(now)
                while True:
                    # What is due at the end is not due before it.
                    due = self.due_by(now if now < end_ns else end_ns - 1, count)
                    sent = 0
                    if due > self.counts.sent and not (last_pass and self.rate == 0):
                        for i in range(self.lane_count):
                            at = self.turn + i
                            if at >= self.lane_count:
                                at -= self.lane_count
                            if due == self.counts.sent or self.under_way == self.outstanding:
                                break
                            sent += self.give_to(at, due - self.counts.sent, now)
                        self.turn = self.turn + 1 if self.turn + 1 < self.lane_count else 0
                    moved += sent
                    # In the end what is due goes out as far as there is room.
                    if not last_pass or sent == 0:
                        break
                if self.over_tcp:
                    moved += self.flush_all()
                if moved == 0:
                    self.counts.idle_ns += now - before
                    cpu_ns = thread_cpu_ns()
                    if idle:
                        self.counts.idle_cpu_ns += cpu_ns - idle_from_ns
                    idle_from_ns = cpu_ns
                self.counts.asked_ns = now if now < end_ns else end_ns
                if last_pass or self.counts.sent >= count or gone:
                    self.asking = False
                    self.counts.cpu_ns = thread_cpu_ns() - cpu_begin_ns
                    if self.rate > 0 or gone:
                        self.counts.unsent = (count if gone else due) - self.counts.sent
            elif self.over_tcp:
                moved += self.flush_all()
            before = now
            if now >= give_up_at:
                give_up_at = now + GIVE_UP_EVERY_NS
                for i in range(self.lane_count):
                    self.give_up(&self.lanes[i], now)
            if not self.asking and self.under_way == 0:
                return
            idle = 0 if moved else idle + 1
        if self.asking:
            self.counts.cpu_ns = thread_cpu_ns() - cpu_begin_ns
            self.counts.asked_ns = now if now < end_ns else end_ns
            if self.rate > 0:
                due = self.due_by(now if now < end_ns else end_ns - 1, count)
                self.counts.unsent = due - self.counts.sent if due > self.counts.sent else 0
        self.counts.interrupted = self.under_way
        for i in range(self.lane_count):
            while self.lanes[i].first != NO_PLACE:
                self.forget(&self.lanes[i], self.lanes[i].first)

    cdef inline uint64_t due_by(self, uint64_t now, uint64_t count) noexcept nogil:
        """How many queries of this process are due by then."""
        cdef double position
        cdef uint64_t due
        if self.rate == 0:
            return count
        # Query k of all processes is due at k / rate; ours are k = first, first + step, ...
        position = (now - self.begin_ns) * self.rate / 1e9 - self.first
        if position < 0:
            return 0
        due = <uint64_t>(position / self.step) + 1
        return due if due < count else count

    cdef inline uint64_t due_ns(self, uint64_t number) noexcept nogil:
        """When the process's query of this number is due."""
        return self.begin_ns + <uint64_t>((self.first + number * self.step) * 1e9 / self.rate)

    cdef uint64_t until_due(self, uint64_t now, uint64_t end_ns, uint64_t count, uint64_t most) noexcept nogil:
        """How long nothing needs to be sent, in nanoseconds."""
        cdef uint64_t due = end_ns
        if self.rate > 0 and self.counts.sent < count and self.under_way < self.outstanding:
            due = self.due_ns(self.counts.sent)
            if due > end_ns:
                due = end_ns
        if due <= now + SHORT_NS:
            return 0
        return most if due - now > most else due - now - SHORT_NS // 2

    cdef void sleep(self, uint64_t ns, uint32_t lanes) noexcept nogil:
        """Wait until a lane has something, or so long."""
        cdef uint32_t i
        cdef timespec pause
        pause.tv_sec = ns // 1000000000
        pause.tv_nsec = ns % 1000000000
        if ppoll(self.polls, lanes, &pause, NULL) < 0:
            for i in range(lanes):
                self.polls[i].revents = 0

    cdef inline uint32_t take_from(self, uint32_t at) noexcept nogil:
        if not self.over_tcp:
            return self.take_answers(&self.lanes[at])
        if self.lanes[at].state == CONNECTING:
            return self.connected(at)
        return self.take_stream(at) if self.lanes[at].state == OPEN else 0

    cdef inline uint32_t give_to(self, uint32_t at, uint64_t most, uint64_t now) noexcept nogil:
        """Send the next queries on a lane, as many as it has room for. Returns how many."""
        cdef Lane* lane = &self.lanes[at]
        cdef uint32_t n = self.outstanding - self.under_way
        if self.over_tcp:
            if lane.state == CLOSED and now >= lane.retry_ns:
                self.open_lane(at, now)
            if lane.state != OPEN:
                return 0
            if self.queries_per_connection:
                if lane.asked >= self.queries_per_connection:
                    if lane.under_way == 0:
                        self.close_lane(at, now)
                    return 0
                if n > self.queries_per_connection - lane.asked:
                    n = <uint32_t>(self.queries_per_connection - lane.asked)
        if n > lane.window - lane.under_way:
            n = lane.window - lane.under_way
        if n > most:
            n = <uint32_t>most
        if n > BATCH:
            n = BATCH
        if n == 0:
            return 0
        n = self.write_queries(lane, n, now) if self.over_tcp else self.send_queries(lane, n)
        self.under_way += n
        return n

    # ---------------------------------------------------------------------------------------------- answers

    cdef uint32_t take_answers(self, Lane* lane) noexcept nogil:
        """Match what a UDP socket holds, up to a batch. Returns how many messages came."""
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
            self.match(lane, <const uint8_t*>self.iovecs_in[i].iov_base, self.headers_in[i].msg_len, ROOM, now)
        self.counts.last_ns = now
        return came

    cdef void match(self, Lane* lane, const uint8_t* answer, uint32_t size, uint32_t room,
                    uint64_t now) noexcept nogil:
        """Find the query that an answer is to. Of longer ones only the first room bytes are there."""
        cdef uint16_t at
        cdef uint64_t took
        cdef Place* place
        cdef const Question* question
        if size < HEADER_BYTES or not answer[2] & QR:
            self.counts.mismatched += 1
            return
        at = ((<uint16_t>answer[0] << 8) | answer[1]) & lane.place_mask
        place = &lane.places[at]
        question = &self.table[place.question]
        if (place.state != UNDER_WAY or place.id[0] != answer[0] or place.id[1] != answer[1]
                or not same_question(question, answer, size)):
            self.sort_out(lane, place, answer, size)
            return
        took = now - place.due_ns
        self.counts.answered += 1
        self.counts.answer_bytes += size
        self.counts.rcodes[answer[3] & 0xF] += 1
        if answer[2] & TC:
            self.counts.truncated += 1
        elif question.expects != NOTHING and size <= room:
            self.compare(question, place.question, answer, size)
        self.counts.buckets[bucket_of(took)] += 1
        self.counts.sum_ns += took
        if took > self.counts.max_ns:
            self.counts.max_ns = took
        if took < self.counts.min_ns or self.counts.answered == 1:
            self.counts.min_ns = took
        self.under_way -= 1
        release_place(lane, at, ANSWERED)

    cdef void sort_out(self, Lane* lane, const Place* place, const uint8_t* answer, uint32_t size) noexcept nogil:
        """Count an answer that is to no query under way: a second one, a late one, or to something else."""
        cdef uint32_t i
        cdef Gone* gone
        cdef uint16_t id_ = (<uint16_t>answer[0] << 8) | answer[1]
        if (place.state == ANSWERED and place.id[0] == answer[0] and place.id[1] == answer[1]
                and same_question(&self.table[place.question], answer, size)):
            self.counts.duplicates += 1
            return
        for i in range(GONE):
            gone = &lane.gone[i]
            if gone.known and gone.id == id_ and same_question(&self.table[gone.question], answer, size):
                gone.known = 0
                self.counts.late += 1
                return
        self.counts.mismatched += 1

    cdef void compare(self, const Question* question, uint32_t number, const uint8_t* answer,
                      uint32_t size) noexcept nogil:
        """Whether an answer says what is expected; keep the first ones that do not."""
        cdef Said said
        cdef bint right
        cdef uint64_t i
        self.counts.checked += 1
        right = (answer[3] & 0xF) == question.rcode and read_said(
            answer, size, question.question_end, question.qtype, &said) == 0
        if right and question.expects == EXACTLY:
            right = said.records == question.records and said.digest == question.digest
        elif right and question.expects == SOME:
            right = said.records > 0
        if right:
            return
        self.counts.wrong += 1
        i = self.counts.sample_count
        if i < SAMPLES:
            self.counts.samples[i].question = number
            self.counts.samples[i].size = size if size < SAMPLE_BYTES else SAMPLE_BYTES
            memcpy(self.counts.samples[i].answer, answer, self.counts.samples[i].size)
            self.counts.sample_count = i + 1

    cdef void give_up(self, Lane* lane, uint64_t now) noexcept nogil:
        """Count as lost what has been under way for too long."""
        # Some were sent after that now.
        while lane.first != NO_PLACE and now > lane.places[lane.first].sent_ns + self.timeout_ns:
            remember_gone(lane, &lane.places[lane.first])
            self.counts.lost += 1
            self.forget(lane, lane.first)

    cdef inline void forget(self, Lane* lane, uint16_t at) noexcept nogil:
        """A query is not waited for any more."""
        self.under_way -= 1
        release_place(lane, at, GIVEN_UP)

    # ---------------------------------------------------------------------------------------------- queries

    cdef inline uint32_t prepare(self, Lane* lane, uint32_t ahead) noexcept nogil:
        """Give the next query but so many its ID and its place. Returns which query it is."""
        cdef uint16_t at = next_place(lane, ahead)
        cdef Place* place = &lane.places[at]
        cdef uint64_t x = self.random
        cdef uint32_t id_
        x ^= x >> 12
        x ^= x << 25
        x ^= x >> 27
        self.random = x
        id_ = (<uint32_t>((x * <uint64_t>0x2545F4914F6CDD1D) >> 48) & ~lane.place_mask) | at
        place.state = GIVEN_UP
        place.id[0] = (id_ >> 8) & 0xFF
        place.id[1] = id_ & 0xFF
        place.question = <uint32_t>((self.next_question + ahead * self.step) % self.question_count)
        return place.question

    cdef inline void under_way_now(self, Lane* lane, uint32_t n, uint64_t now) noexcept nogil:
        """The next n queries of a lane are sent."""
        cdef uint32_t i
        for i in range(n):
            take_place(lane, self.due_ns(self.counts.sent + i) if self.rate > 0 else now, now)
        self.next_question = (self.next_question + n * self.step) % self.question_count
        self.counts.sent += n

    cdef uint32_t send_queries(self, Lane* lane, uint32_t n) noexcept nogil:
        """Send the next queries from a UDP socket. Returns how many were sent."""
        cdef uint32_t i, number
        cdef int sent
        cdef uint64_t now, query_bytes = 0
        cdef const Question* question
        cdef uint8_t* slot
        cdef uint8_t* id_
        for i in range(n):
            number = self.prepare(lane, i)
            question = &self.table[number]
            id_ = lane.places[next_place(lane, i)].id
            if question.size <= SLOT_BYTES:
                # The kernel takes one piece faster than two, by more than the copy costs.
                slot = self.slots + i * SLOT_BYTES
                memcpy(slot, question.message, question.size)
                slot[0] = id_[0]
                slot[1] = id_[1]
                self.iovecs_out[2 * i].iov_base = slot
                self.iovecs_out[2 * i].iov_len = question.size
                self.headers_out[i].msg_hdr.msg_iovlen = 1
            else:
                self.iovecs_out[2 * i].iov_base = id_
                self.iovecs_out[2 * i].iov_len = 2
                self.iovecs_out[2 * i + 1].iov_base = <void*>(question.message + 2)
                self.iovecs_out[2 * i + 1].iov_len = question.size - 2
                self.headers_out[i].msg_hdr.msg_iovlen = 2
        now = monotonic_ns()
        sent = sendmmsg(lane.fd, self.headers_out, n, MSG_DONTWAIT)
        if sent <= 0:
            if errno != EAGAIN and errno != EINTR:
                self.counts.errors += 1
            return 0
        for i in range(<uint32_t>sent):
            query_bytes += self.iovecs_out[2 * i].iov_len
            if self.headers_out[i].msg_hdr.msg_iovlen == 2:
                query_bytes += self.iovecs_out[2 * i + 1].iov_len
        self.counts.query_bytes += query_bytes
        self.under_way_now(lane, sent, now)
        return sent

    # ------------------------------------------------------------------------------------------ connections

    cdef void open_lane(self, uint32_t at, uint64_t now) noexcept nogil:
        """Open a socket; a connection is there when it can be written to. open_errno says why it stays closed."""
        cdef Lane* lane = &self.lanes[at]
        cdef int one = 1, wanted = self.buffer_bytes
        cdef int kind = SOCK_STREAM if self.over_tcp else SOCK_DGRAM
        cdef int fd = socket(self.family, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
        if fd < 0:
            self.open_errno = errno
            lane.retry_ns = now + RETRY_NS
            self.counts.errors += 1
            return
        if wanted == 0 and not self.over_tcp and lane.window > 16:
            # The answers to a whole window may come at once.
            wanted = lane.window * BUFFER_BYTES_PER_QUERY
            if wanted > MAX_BUFFER_BYTES:
                wanted = MAX_BUFFER_BYTES
        if wanted:
            setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &wanted, sizeof(int))
            setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof(int))
        if self.over_tcp:
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(int))
        if (self.local_size > 0 and bind(fd, self.local_at, self.local_size) < 0) or (
                connect(fd, self.peer_at, self.peer_size) < 0 and errno != EINPROGRESS):
            self.open_errno = errno
            close(fd)
            lane.retry_ns = now + RETRY_NS
            self.counts.errors += 1
            return
        lane.fd = fd
        self.polls[at].fd = fd
        self.polls[at].events = POLLOUT if self.over_tcp else POLLIN
        lane.state = CONNECTING if self.over_tcp else OPEN

    cdef void close_lane(self, uint32_t at, uint64_t retry_ns) noexcept nogil:
        """Close a connection. What is under way on it is lost."""
        cdef Lane* lane = &self.lanes[at]
        close(lane.fd)
        lane.fd = self.polls[at].fd = -1
        self.polls[at].revents = 0
        lane.state = CLOSED
        lane.retry_ns = retry_ns
        lane.asked = lane.heard = 0
        lane.incoming_size = lane.outgoing_size = lane.outgoing_sent = 0
        while lane.first != NO_PLACE:
            self.counts.lost += 1
            self.forget(lane, lane.first)

    cdef uint32_t connected(self, uint32_t at) noexcept nogil:
        """A connection is there, or has failed."""
        cdef Lane* lane = &self.lanes[at]
        cdef int failed = 0
        cdef socklen_t size = sizeof(int)
        getsockopt(lane.fd, SOL_SOCKET, SO_ERROR, &failed, &size)
        if failed:
            self.open_errno = failed
            self.counts.errors += 1
            self.close_lane(at, monotonic_ns() + RETRY_NS)
            return 0
        lane.state = OPEN
        self.polls[at].events = POLLIN
        lane.connections += 1
        if lane.connections > 1:
            self.counts.reconnects += 1
        return 1

    cdef wait_for_connections(self):
        """Until each lane is connected or has failed. Raises OSError where none is connected in time."""
        cdef uint32_t i, connecting = 1, connected = 0
        cdef uint64_t end_ns = monotonic_ns() + self.timeout_ns
        with nogil:
            while connecting and monotonic_ns() < end_ns:
                self.sleep(SLEEP_NS, self.lane_count)
                connecting = connected = 0
                for i in range(self.lane_count):
                    if self.lanes[i].state == CONNECTING and self.polls[i].revents:
                        self.connected(i)
                    connecting += self.lanes[i].state == CONNECTING
                    connected += self.lanes[i].state == OPEN
        if connected == 0:
            failed = self.open_errno if self.open_errno else ETIMEDOUT
            raise OSError(failed, os.strerror(failed))

    cdef bint nobody_accepts(self, uint64_t now) noexcept nogil:
        """Whether for a whole timeout no lane has had a connection."""
        cdef uint32_t i
        for i in range(self.lane_count):
            if self.lanes[i].state == OPEN:
                self.accepted_ns = now
                return False
        return now > self.accepted_ns + self.timeout_ns

    cdef uint32_t write_queries(self, Lane* lane, uint32_t n, uint64_t now) noexcept nogil:
        """Put the next queries into a connection's buffer, as far as there is room. Returns how many."""
        cdef uint32_t i, number, size, at, written = 0
        cdef uint8_t* out
        cdef const Place* place
        for i in range(n):
            number = self.prepare(lane, i)
            size = self.table[number].size
            at = lane.outgoing_size
            if at + LENGTH_BYTES + size > OUTGOING_BYTES:
                break
            out = lane.outgoing + at
            place = &lane.places[next_place(lane, i)]
            out[0] = size >> 8
            out[1] = size & 0xFF
            memcpy(out + LENGTH_BYTES, self.table[number].message, size)
            out[2] = place.id[0]
            out[3] = place.id[1]
            lane.outgoing_size = at + LENGTH_BYTES + size
            self.counts.query_bytes += size
            written += 1
        lane.asked += written
        self.under_way_now(lane, written, now)
        return written

    cdef uint32_t flush_all(self) noexcept nogil:
        """Hand what waits in the connections' buffers to the kernel. Returns on how many anything went."""
        cdef uint32_t i, moved = 0
        cdef ssize_t sent
        cdef Lane* lane
        for i in range(self.lane_count):
            lane = &self.lanes[i]
            if lane.state != OPEN or lane.outgoing_sent == lane.outgoing_size:
                continue
            sent = send(lane.fd, lane.outgoing + lane.outgoing_sent, lane.outgoing_size - lane.outgoing_sent,
                        MSG_DONTWAIT | MSG_NOSIGNAL)
            if sent < 0:
                if errno != EAGAIN and errno != EINTR:
                    self.counts.errors += 1
                    self.close_lane(i, monotonic_ns() + (0 if lane.heard else RETRY_NS))
                continue
            moved += 1
            lane.outgoing_sent += <uint32_t>sent
            if lane.outgoing_sent == lane.outgoing_size:
                lane.outgoing_sent = lane.outgoing_size = 0
        return moved

    cdef uint32_t take_stream(self, uint32_t at) noexcept nogil:
        """Match the messages that a connection holds. Returns how many came, or 1 where it was closed."""
        cdef Lane* lane = &self.lanes[at]
        cdef uint32_t size, begin = 0, came = 0
        cdef uint64_t now
        cdef ssize_t got = recv(lane.fd, lane.incoming + lane.incoming_size, INCOMING_BYTES - lane.incoming_size,
                                MSG_DONTWAIT)
        if got < 0 and (errno == EAGAIN or errno == EINTR):
            return 0
        now = monotonic_ns()
        if got <= 0:
            if got < 0:
                self.counts.errors += 1
            # One who closes each connection before any answer is not asked as fast as connections can be made.
            self.close_lane(at, now if lane.heard else now + RETRY_NS)
            return 1
        lane.incoming_size += <uint32_t>got
        while lane.incoming_size - begin >= LENGTH_BYTES:
            size = (<uint32_t>lane.incoming[begin] << 8) | lane.incoming[begin + 1]
            if lane.incoming_size - begin - LENGTH_BYTES < size:
                break
            self.match(lane, lane.incoming + begin + LENGTH_BYTES, size, size, now)
            begin += LENGTH_BYTES + size
            came += 1
        if begin:
            memmove(lane.incoming, lane.incoming + begin, lane.incoming_size - begin)
            lane.incoming_size -= begin
        lane.heard += came
        if came:
            self.counts.last_ns = now
        return came
