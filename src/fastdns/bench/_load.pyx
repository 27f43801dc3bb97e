"""The load generator: queries over many UDP sockets or connections, in batches, without the GIL.

Closed loop: a fixed number of queries is outstanding, over all lanes. Open loop: query k is due k/rate after the
start. The latency of an answer counts from then, however late the query was sent, so that a server that stalls is
charged for every query that it kept waiting (no coordinated omission).
"""

import ipaddress
import os
import socket as py_socket
import struct as py_struct

from libc.errno cimport EPROTO, ETIMEDOUT
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from fastdns.bench._asking cimport Asking, due_by, due_ns, give_up, interrupt, most_bytes
from fastdns.bench._counts cimport Counts, counts_in
from fastdns.bench._connections cimport connect_all, give_up_opening, go_on_opening, nobody_accepts
from fastdns.bench._datagrams cimport Datagrams, free_datagrams, make_datagrams, send_queries, take_answers
from fastdns.bench._doh cimport DohClient, is_draining, write_requests
from fastdns.bench._group cimport LaneGroup, close_lane, close_lanes, make_lanes, open_lane, sleep_ns
from fastdns.bench._lanes cimport CLOSED, MAX_WINDOW, OPEN, Lane
from fastdns.bench._lines cimport Lines, write_lines
from fastdns.bench._questions cimport Questions
from fastdns.bench._signing cimport TsigSigner
from fastdns.bench._sockets cimport BATCH, monotonic_ns, sockaddr, thread_cpu_ns
from fastdns.bench._streams cimport flush_all, take_stream, write_queries
from fastdns.bench._tls cimport TlsClient

from fastdns.bench._counts import COUNTS_BYTES, read_result
from fastdns.bench.transport import ALPN, ENCRYPTED, OVER_QUIC, PORTS, HttpOptions, TlsOptions

cdef extern from "sched.h" nogil:
    int sched_yield()

cdef extern from "sys/prctl.h" nogil:
    int prctl(int option, unsigned long value, unsigned long, unsigned long, unsigned long)
    enum:
        PR_SET_TIMERSLACK

cdef enum:
    MAX_LANES = 16384
    MAX_MESSAGE_BYTES = 65535
    POLLED_LANES = 64           # from here on it is cheaper to ask the kernel which lanes have something
    YIELDS = 4                  # empty rounds before the CPU is given to others
    SPINS = 400                 # empty rounds before sleeping: the server does not pay for waking its client
    SLEEP_NS = 1000000
    SHORT_NS = 50000            # shorter sleeps are useless
    GIVE_UP_EVERY_NS = 1000000


def packed_address(str host not None, int port, int family=0):
    """(family, struct sockaddr as bytes, address as text) of a name or address. Raises OSError."""
    found, _, _, _, address = py_socket.getaddrinfo(host, port, family=family, type=py_socket.SOCK_DGRAM)[0]
    if found == py_socket.AF_INET:
        packed = py_struct.pack("=H", found) + py_struct.pack("!H4s8x", port, py_socket.inet_aton(address[0]))
        return found, packed, address[0]
    raw = ipaddress.IPv6Address(address[0].partition("%")[0]).packed
    packed = py_struct.pack("=H", found) + py_struct.pack("!HI16s", port, address[2], raw)
    return found, packed + py_struct.pack("=I", address[3]), address[0]


cdef class Load:
    """Queries from many sockets to one server.

    queries: whole messages, or Questions; asked in this order, again and again, every step-th from first on; their
    IDs are replaced. outstanding: the number of outstanding queries, over all sockets. timeout_s: when a query is
    lost. rate: queries a second of all processes together, 0 for the closed loop; first and step are then this
    process's place among them. tls: TlsOptions, for transports that are encrypted. http: HttpOptions, for
    transports over HTTP. tsig: a TsigKey, to sign with. first_port: local, of the first socket; 0: any. verbose:
    print a line for each query that has ended. counters: memory of COUNTS_BYTES that other processes may read. Use
    from one thread at a time. Raises ValueError; BenchError for files of TLS; OSError if no socket can be opened or
    no connection is accepted.
    """

    cdef Questions questions
    cdef bytes peer
    cdef bytes local
    cdef object counters
    cdef Counts* counts
    cdef LaneGroup group
    cdef Asking asking
    cdef Datagrams datagrams
    cdef TlsClient tls
    cdef DohClient doh
    cdef TsigSigner signer
    cdef Lines lines
    cdef bint has_run
    cdef uint32_t turn
    cdef uint64_t queries_per_connection
    cdef bint asks              # whether there is more to ask in this run

    def __cinit__(self, str host not None, int port, queries not None, *, uint32_t outstanding=256,
                  uint32_t sockets=16, double timeout_s=1.0, str transport="udp", double rate=0.0, uint64_t first=0,
                  uint64_t step=1, int family=0, str local_address=None, int buffer_bytes=0,
                  uint64_t queries_per_connection=0, tls=None, http=None, tsig=None, uint32_t first_port=0,
                  bint verbose=False, counters=None):
        cdef uint32_t i, window, there, query_bytes
        if not 1 <= sockets <= MAX_LANES:
            raise ValueError(f"sockets must be 1 to {MAX_LANES}, got {sockets}")
        window = (outstanding + sockets - 1) // sockets
        if not 1 <= window <= MAX_WINDOW:
            raise ValueError(f"outstanding must be 1 to {MAX_WINDOW} for each socket, got {outstanding}")
        if transport not in PORTS or transport in OVER_QUIC:
            raise ValueError(f"transport: one of {', '.join(PORTS)} expected, not over QUIC, got {transport!r}")
        if rate < 0 or step < 1:
            raise ValueError("rate must be 0 or more, and step at least 1")
        self.questions = queries if isinstance(queries, Questions) else Questions(list(queries))
        self.queries_per_connection = queries_per_connection
        self.counters = bytearray(COUNTS_BYTES) if counters is None else counters
        self.counts = counts_in(self.counters, True)
        self.asking.table = self.questions.table
        self.asking.question_count = self.questions.count
        self.asking.first = first
        self.asking.next_question = first % self.questions.count
        self.asking.step = step
        self.asking.rate = rate
        self.asking.outstanding = outstanding
        self.asking.timeout_ns = <uint64_t>(timeout_s * 1e9)
        self.asking.random = int.from_bytes(os.urandom(8), "little") | 1
        self.asking.counts = self.counts
        if tsig is not None:
            self.signer = TsigSigner(tsig)
            self.asking.signer = &self.signer.signer
        if verbose:
            self.asking.lines = &self.lines
        self.group.over_tcp = transport != "udp"
        if transport == "doh":
            self.doh = DohClient(HttpOptions() if http is None else http, self.questions)
            self.group.doh = &self.doh.doh
            self.asking.by_stream = True
        if transport in ENCRYPTED and (http is None or http.is_secure):
            self.tls = TlsClient(TlsOptions() if tls is None else tls, ALPN[transport],
                                 must_select=transport == "doh")
            self.group.tls = &self.tls.tls
        self.group.buffer_bytes = buffer_bytes
        self.group.family, self.peer, _ = packed_address(host, port, family)
        self.group.first_port = first_port
        if first_port and local_address is None:
            local_address = "0.0.0.0" if self.group.family == py_socket.AF_INET else "::"
        self.local = packed_address(local_address, 0, self.group.family)[1] if local_address is not None else b""
        self.group.peer_at = <const sockaddr*><const char*>self.peer
        self.group.peer_size = len(self.peer)
        self.group.local_at = <const sockaddr*><const char*>self.local
        self.group.local_size = len(self.local)
        query_bytes = most_bytes(&self.asking, self.questions.most_bytes)
        if query_bytes > MAX_MESSAGE_BYTES:
            raise ValueError(f"queries of at most {MAX_MESSAGE_BYTES} bytes expected, with their signatures")
        if make_datagrams(&self.datagrams, query_bytes) < 0 or make_lanes(&self.group, sockets, window) < 0:
            raise MemoryError
        opening_ns = monotonic_ns()
        for i in range(sockets):
            open_lane(&self.group, &self.asking, i, opening_ns)
            if self.group.lanes[i].state == CLOSED and not self.group.over_tcp:
                raise OSError(self.group.open_errno, os.strerror(self.group.open_errno))
        if self.group.over_tcp:
            with nogil:
                there = connect_all(&self.group, &self.asking)
            if there == 0:
                failed = self.group.open_errno if self.group.open_errno else ETIMEDOUT
                said = f"TLS: {self.tls.tls.why.decode()}" if failed == EPROTO else os.strerror(failed)
                raise OSError(failed, said)

    def __dealloc__(self):
        close_lanes(&self.group)
        free_datagrams(&self.datagrams)

    def close(self):
        """Close the sockets; the object cannot run any more."""
        close_lanes(&self.group)

    def run(self, *, double seconds=0.0, uint64_t count=0, uint64_t start_ns=0):
        """Ask for seconds or count queries, whichever ends first, then wait for outstanding ones; returns a Result.

        start_ns: of the monotonic clock, when to begin; 0: at once.
        """
        if seconds <= 0 and count == 0:
            raise ValueError("neither seconds nor count")
        if self.group.lane_count == 0:
            raise ValueError("closed")
        # The connections of the first run are there already.
        memset(self.counts, 0, sizeof(Counts) if self.has_run
               else <uint8_t*>&self.counts.resumed - <uint8_t*>self.counts)
        self.has_run = True
        with nogil:
            prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)
            self.asking.begin_ns = monotonic_ns()
            if start_ns > self.asking.begin_ns:
                sleep_ns(&self.group, start_ns - self.asking.begin_ns, 0)
                self.asking.begin_ns = start_ns
            self.counts.begin_ns = self.counts.asked_ns = self.group.accepted_ns = self.asking.begin_ns
            self.ask_all(self.asking.begin_ns + <uint64_t>(seconds * 1e9) if seconds > 0 else ~<uint64_t>0,
                         count if count else ~<uint64_t>0)
            write_lines(&self.lines)
        return read_result(self.counters)

    # ------------------------------------------------------------------------------------------------ the loop

    cdef void ask_all(self, uint64_t end_ns, uint64_t count) noexcept nogil:
        cdef LaneGroup* g = &self.group
        cdef Asking* a = &self.asking
        cdef uint32_t i, at, moved, sent, idle = 0
        cdef uint64_t now = monotonic_ns()
        cdef uint64_t before = now, give_up_at = now + GIVE_UP_EVERY_NS, due, pause
        cdef uint64_t cpu_begin_ns = thread_cpu_ns(), cpu_ns, idle_from_ns = 0
        cdef bint looked, last_pass, gone
        self.asks = True
        while True:
            moved = 0
            looked = g.over_tcp or idle > 0 or g.lane_count > POLLED_LANES
            if looked:
                pause = 0
                if idle > SPINS:
                    pause = SLEEP_NS
                    if self.asks:
                        pause = self.until_due(now, end_ns, count, pause)
                elif idle > YIELDS:
                    # Other threads on this CPU go first.
                    sched_yield()
                sleep_ns(g, pause, g.lane_count)
            for i in range(g.lane_count):
                if not looked or g.polls[i].revents:
                    moved += self.take_from(i)
            now = monotonic_ns()
            if self.counts.stop:
                break
            if self.asks:
                last_pass = now >= end_ns
                gone = g.over_tcp and end_ns == ~<uint64_t>0 and nobody_accepts(g, a, now)
                while True:
                    # A query that is due at the end is not due before it.
                    due = due_by(a, now if now < end_ns else end_ns - 1, count)
                    sent = 0
                    if due > self.counts.sent and not (last_pass and a.rate == 0):
                        for i in range(g.lane_count):
                            at = self.turn + i
                            if at >= g.lane_count:
                                at -= g.lane_count
                            if due == self.counts.sent or a.under_way == a.outstanding:
                                break
                            sent += self.give_to(at, due - self.counts.sent, now)
                        self.turn = self.turn + 1 if self.turn + 1 < g.lane_count else 0
                    moved += sent
                    # At the end, due queries are sent as far as there is room.
                    if not last_pass or sent == 0:
                        break
                if g.over_tcp:
                    moved += flush_all(g, a)
                if moved == 0:
                    self.counts.idle_ns += now - before
                    cpu_ns = thread_cpu_ns()
                    if idle:
                        self.counts.idle_cpu_ns += cpu_ns - idle_from_ns
                    idle_from_ns = cpu_ns
                self.counts.asked_ns = now if now < end_ns else end_ns
                if last_pass or self.counts.sent >= count or gone:
                    self.asks = False
                    self.counts.cpu_ns = thread_cpu_ns() - cpu_begin_ns
                    if a.rate > 0 or gone:
                        self.counts.unsent = (count if gone else due) - self.counts.sent
            elif g.over_tcp:
                moved += flush_all(g, a)
            before = now
            if now >= give_up_at:
                give_up_at = now + GIVE_UP_EVERY_NS
                for i in range(g.lane_count):
                    give_up(a, &g.lanes[i], now)
                    if g.over_tcp:
                        give_up_opening(g, a, i, now)
            if not self.asks and a.under_way == 0:
                return
            if moved == 0 and a.lines != NULL and a.lines.size:
                write_lines(a.lines)
            idle = 0 if moved else idle + 1
        if self.asks:
            self.counts.cpu_ns = thread_cpu_ns() - cpu_begin_ns
            self.counts.asked_ns = now if now < end_ns else end_ns
            if a.rate > 0:
                due = due_by(a, now if now < end_ns else end_ns - 1, count)
                self.counts.unsent = due - self.counts.sent if due > self.counts.sent else 0
        for i in range(g.lane_count):
            interrupt(a, &g.lanes[i])

    cdef uint64_t until_due(self, uint64_t now, uint64_t end_ns, uint64_t count, uint64_t most) noexcept nogil:
        """The time until the next query is due, in nanoseconds."""
        cdef Asking* a = &self.asking
        cdef uint64_t due = end_ns
        if a.rate > 0 and self.counts.sent < count and a.under_way < a.outstanding:
            due = due_ns(a, self.counts.sent)
            if due > end_ns:
                due = end_ns
        if due <= now + SHORT_NS:
            return 0
        return most if due - now > most else due - now - SHORT_NS // 2

    cdef inline uint32_t take_from(self, uint32_t at) noexcept nogil:
        cdef LaneGroup* g = &self.group
        cdef Asking* a = &self.asking
        if not g.over_tcp:
            return take_answers(&self.datagrams, a, &g.lanes[at])
        return take_stream(g, a, at) if g.lanes[at].state == OPEN else go_on_opening(g, a, at)

    cdef inline uint32_t give_to(self, uint32_t at, uint64_t most, uint64_t now) noexcept nogil:
        """Send the next queries on a lane, as many as it has room for. Returns their number."""
        cdef LaneGroup* g = &self.group
        cdef Asking* a = &self.asking
        cdef Lane* lane = &g.lanes[at]
        cdef uint32_t n = a.outstanding - a.under_way
        if g.over_tcp:
            if lane.state == CLOSED and now >= lane.retry_ns:
                open_lane(g, a, at, now)
            if lane.state != OPEN:
                return 0
            if self.queries_per_connection:
                if lane.asked >= self.queries_per_connection:
                    if lane.under_way == 0:
                        close_lane(g, a, at, now)
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
        if g.doh != NULL:
            if is_draining(lane) and lane.under_way == 0:
                close_lane(g, a, at, now)
                return 0
            n = write_requests(g.doh, a, lane, n, now)
        elif g.over_tcp:
            n = write_queries(a, lane, n, now)
        else:
            n = send_queries(&self.datagrams, a, lane, n)
        a.under_way += n
        return n
