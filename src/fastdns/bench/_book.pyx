"""The queries of a process whose connections are made in Python: what is due, and what has become of each.

It counts as the native loop of ``Load`` does, of which it is the part without sockets. A lane is a connection here;
queries are known by their streams and have an ID of 0.
"""

import os

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fastdns.bench._asking cimport (
    Asking, due_by, due_ns, give_up, interrupt, lose, match_at, most_bytes, prepare, under_way_now, write_message,
)
from fastdns.bench._counts cimport Counts, add_latency, counts_in
from fastdns.bench._lanes cimport MAX_WINDOW, NO_PLACE, UNDER_WAY, Lane, free_lane, make_places, next_place
from fastdns.bench._lines cimport Lines, write_lines
from fastdns.bench._questions cimport Questions
from fastdns.bench._signing cimport TsigSigner
from fastdns.bench._sockets cimport monotonic_ns, thread_cpu_ns

from fastdns.bench._counts import COUNTS_BYTES, read_result

cdef enum:
    MAX_MESSAGE_BYTES = 65535
    LONGEST_NS = 10000000       # between two looks at what is due


cdef class Book:
    """The arguments are those of Load; lanes is the number of connections. Raises ValueError."""

    cdef Questions questions
    cdef object counters
    cdef Counts* counts
    cdef Asking asking
    cdef TsigSigner signer
    cdef Lines lines
    cdef Lane* lanes
    cdef uint32_t lane_count
    cdef uint64_t end_ns
    cdef uint64_t count
    cdef uint64_t cpu_begin_ns
    cdef uint8_t* room
    cdef bint has_run
    cdef readonly bint asks     # whether there is more to ask

    def __cinit__(self, Questions questions not None, *, uint32_t lanes, uint32_t outstanding, double timeout_s,
                  double rate=0.0, uint64_t first=0, uint64_t step=1, tsig=None, bint verbose=False, counters=None):
        cdef uint32_t i, window = (outstanding + lanes - 1) // lanes
        if not 1 <= window <= MAX_WINDOW:
            raise ValueError(f"outstanding must be 1 to {MAX_WINDOW} for each connection, got {outstanding}")
        self.questions = questions
        self.counters = bytearray(COUNTS_BYTES) if counters is None else counters
        self.counts = counts_in(self.counters, True)
        self.asking.table = questions.table
        self.asking.question_count = questions.count
        self.asking.first = first
        self.asking.next_question = first % questions.count
        self.asking.step = step
        self.asking.rate = rate
        self.asking.outstanding = outstanding
        self.asking.timeout_ns = <uint64_t>(timeout_s * 1e9)
        self.asking.random = int.from_bytes(os.urandom(8), "little") | 1
        self.asking.counts = self.counts
        self.asking.by_stream = True
        if tsig is not None:
            self.signer = TsigSigner(tsig)
            self.asking.signer = &self.signer.signer
        if verbose:
            self.asking.lines = &self.lines
        if most_bytes(&self.asking, questions.most_bytes) > MAX_MESSAGE_BYTES:
            raise ValueError(f"queries of at most {MAX_MESSAGE_BYTES} bytes expected, with their signatures")
        self.room = <uint8_t*>calloc(1, MAX_MESSAGE_BYTES)
        self.lanes = <Lane*>calloc(lanes, sizeof(Lane))
        if self.lanes == NULL or self.room == NULL:
            raise MemoryError
        self.lane_count = lanes
        for i in range(lanes):
            if make_places(&self.lanes[i], window) < 0:
                raise MemoryError

    def __dealloc__(self):
        cdef uint32_t i
        for i in range(self.lane_count):
            free_lane(&self.lanes[i])
        free(self.lanes)
        free(self.room)

    @property
    def under_way(self):
        return self.asking.under_way

    @property
    def stopped(self):
        """Whether the run is to end at once."""
        return self.counts.stop != 0

    cdef Lane* _lane(self, uint32_t at) except NULL:
        if at >= self.lane_count:
            raise IndexError(at)
        return &self.lanes[at]

    cdef uint64_t _due(self, uint64_t now) noexcept nogil:
        # A query that is due at the end is not due before it.
        return due_by(&self.asking, now if now < self.end_ns else self.end_ns - 1, self.count)

    def begin(self, double seconds, uint64_t count, uint64_t begin_ns):
        """A run begins. Of seconds and count, what ends it first; 0 for no such bound."""
        if seconds <= 0 and count == 0:
            raise ValueError("neither seconds nor count")
        # The connections of the first run are there already.
        memset(self.counts, 0, sizeof(Counts) if self.has_run
               else <uint8_t*>&self.counts.resumed - <uint8_t*>self.counts)
        self.has_run = self.asks = True
        self.asking.begin_ns = self.counts.begin_ns = self.counts.asked_ns = begin_ns
        self.end_ns = begin_ns + <uint64_t>(seconds * 1e9) if seconds > 0 else ~<uint64_t>0
        self.count = count if count else ~<uint64_t>0
        self.cpu_begin_ns = thread_cpu_ns()

    def take(self, uint32_t lane_at):
        """The place and the message of the next query of a connection; None if none is due, or there is no room."""
        cdef Lane* lane = self._lane(lane_at)
        cdef uint64_t now = monotonic_ns()
        cdef uint32_t number, size
        cdef uint16_t at
        if (not self.asks or self.asking.under_way == self.asking.outstanding or lane.under_way == lane.window
                or (self.asking.rate == 0 and now >= self.end_ns) or self._due(now) <= self.counts.sent):
            return None
        number = prepare(&self.asking, lane, 0)
        at = next_place(lane, 0)
        size = write_message(&self.asking, &self.asking.table[number], &lane.places[at], self.room)
        self.counts.query_bytes += size
        under_way_now(&self.asking, lane, 1, now)
        self.asking.under_way += 1
        return at, (<const char*>self.room)[:size]

    def waits(self, uint32_t lane_at):
        """Whether a connection has queries under way."""
        return self._lane(lane_at).under_way > 0

    def look(self):
        """After each round of takes: whether the run still asks, and which queries are lost."""
        cdef uint64_t now = monotonic_ns()
        cdef uint32_t i
        if self.asks:
            self.counts.asked_ns = now if now < self.end_ns else self.end_ns
            self.counts.cpu_ns = thread_cpu_ns() - self.cpu_begin_ns
            if now >= self.end_ns or self.counts.sent >= self.count:
                self.asks = False
                if self.asking.rate > 0:
                    self.counts.unsent = self._due(now) - self.counts.sent
        for i in range(self.lane_count):
            give_up(&self.asking, &self.lanes[i], now)
        if self.lines.size:
            write_lines(&self.lines)

    def wait_ns(self):
        """For how long nothing becomes due, at most LONGEST_NS."""
        cdef uint64_t now = monotonic_ns(), at = now + LONGEST_NS
        if self.asks:
            if (self.asking.rate > 0 and self.asking.under_way < self.asking.outstanding
                    and self.counts.sent < self.count):
                at = min(at, due_ns(&self.asking, self.counts.sent))
            at = min(at, self.end_ns)
        return at - now if at > now else 0

    def waited(self, uint64_t ns):
        """Nothing was to do for so long."""
        if self.asks:
            self.counts.idle_ns += ns

    def has_answer(self, uint32_t lane_at, uint16_t place, bytes answer not None):
        """A message has come on the stream of a query."""
        cdef Lane* lane = self._lane(lane_at)
        cdef uint32_t size = <uint32_t>len(answer)
        cdef uint64_t now = monotonic_ns()
        match_at(&self.asking, lane, place & lane.place_mask, <const uint8_t*><const char*>answer, size, size, now)
        self.counts.last_ns = now

    def is_late(self):
        """A message has come on the stream of a query that has been given up, and whose place another one has."""
        self.counts.late += 1

    def is_refused(self, uint32_t lane_at, uint16_t place):
        """The server has ended the stream of a query without an answer."""
        cdef Lane* lane = self._lane(lane_at)
        place &= lane.place_mask
        self.counts.stream_errors += 1
        if lane.places[place].state == UNDER_WAY:
            lose(&self.asking, lane, place)

    def is_closed(self, uint32_t lane_at, bint failed):
        """A connection has ended; its queries are lost. failed: not as the server wanted it."""
        cdef Lane* lane = self._lane(lane_at)
        self.counts.errors += failed
        while lane.first != NO_PLACE:
            lose(&self.asking, lane, lane.first)

    def is_ready(self, uint64_t took_ns, bint resumed, bint again):
        """A connection can be asked on. again: it is not the first one of its client."""
        add_latency(&self.counts.set_ups, took_ns)
        self.counts.resumed += resumed
        self.counts.reconnects += again

    def end(self, *, bint gone=False):
        """The run has ended; returns its Result. gone: nobody has accepted connections any more."""
        cdef uint64_t now = monotonic_ns()
        cdef uint32_t i
        if self.asks:
            self.counts.asked_ns = now if now < self.end_ns else self.end_ns
            self.counts.cpu_ns = thread_cpu_ns() - self.cpu_begin_ns
            if gone and self.count != ~<uint64_t>0:
                self.counts.unsent = self.count - self.counts.sent
            elif self.asking.rate > 0 and self._due(now) > self.counts.sent:
                self.counts.unsent = self._due(now) - self.counts.sent
            self.asks = False
        for i in range(self.lane_count):
            interrupt(&self.asking, &self.lanes[i])
        write_lines(&self.lines)
        return read_result(self.counters)
