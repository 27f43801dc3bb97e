"""Bounded counts of who asks most: see _sketch.pxd."""

import os

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memcpy, memset

from fastdns.memory._atomics cimport acquire_fence, load, publish_u64, release_fence
from fastdns.memory._hash cimport hash_bytes
from fastdns.memory._mapping cimport map_shared, unmap
from fastdns.serve._slots cimport slot_of
from fastdns.serve._worker cimport Worker

cdef enum:
    PAGE_BYTES = 4096
    # Of a set that changes while it is read: so often another try. A set whose writer was killed stays as it is
    # until there is a successor.
    MAX_TRIES = 1000
    # An entry of a client, which ends after an address.
    CLIENT_BYTES = 40
    MAX_THREADS = 8192
    MAX_TOP = 1000

BOUNDS = (MIN_SIZE, MAX_SIZE)
MOST = MAX_TOP
KEPT_NAME_BYTES = NAME_BYTES
# What is counted, by number.
KIND_NAMES = ("clients", "names", "nxdomains", "slow")
assert len(KIND_NAMES) == KINDS
assert sizeof(Entry) == 192 and sizeof(Ways) == 128 and sizeof(Head) == 64
assert sizeof(Entry) - NAME_BYTES + ADDRESS_BYTES <= CLIENT_BYTES

# What a set holds at one moment.
cdef struct SetCopy:
    Ways ways
    uint64_t refused
    uint64_t hashes[WAYS]
    uint32_t errors[WAYS]
    uint32_t refused_before[WAYS]


cdef inline Entry* entry_at(const Table* t, uint32_t at, uint32_t way) noexcept nogil:
    return <Entry*>(t.entries + (<size_t>at * WAYS + way) * t.entry_bytes)


cdef void begin_window(Sketch* s, uint64_t now_ns) noexcept nogil:
    cdef uint64_t window = now_ns // s.window_ns + 1
    cdef uint32_t which = window & 1
    s.window = <uint32_t>window
    s.window_ends_ns = window * s.window_ns
    s.tables = s.all[which]
    if s.head.windows[which] != window:
        store_relaxed(&s.head.queries[which], 0)
        publish_u64(&s.head.windows[which], window)


cdef void admit(Sketch* s, Table* t, uint32_t at, uint64_t hash, const uint8_t* data,
                uint32_t length) noexcept nogil:
    cdef SetState* state = &t.states[at]
    cdef uint64_t before = state.stamp
    cdef uint64_t now = <uint64_t>s.window << 32
    cdef Ways* ways = &t.ways[at]
    cdef uint32_t way
    cdef Entry* entry
    store_relaxed(&s.head.changing, t.first_set + at)
    release_fence()
    store_relaxed(&state.stamp, now | <uint32_t>(before + 1))
    release_fence()
    if before >> 32 != s.window:
        memset(ways, 0, sizeof(Ways))
        state.refused = 0
    way = lowest_bit(find_tag(ways.counts, least_count(ways.counts)))
    entry = entry_at(t, at, way)
    entry.hash = hash
    entry.error = ways.counts[way]
    entry.refused = <uint32_t>state.refused
    entry.length = <uint8_t>length
    memcpy(entry.data, data, length if length < t.room else t.room)
    ways.tags[way] = <uint32_t>hash | 1
    ways.counts[way] += 1
    publish_u64(&state.stamp, now | <uint32_t>(before + 2))


cdef void finish_change(Sketch* s) noexcept nogil:
    """Empty the set that a predecessor was killed at."""
    cdef uint64_t number = s.head.changing // s.sets
    cdef uint32_t at = <uint32_t>(s.head.changing % s.sets)
    cdef Table* t = &s.all[number // KINDS & 1][number % KINDS]
    cdef SetState* state = &t.states[at]
    if state.stamp & 1:
        memset(&t.ways[at], 0, sizeof(Ways))
        state.refused = 0
        publish_u64(&state.stamp, state.stamp + 1)


cdef bint copy_set(const Table* t, uint32_t at, uint32_t window, SetCopy* into) noexcept nogil:
    """A set as it is at one moment; False: it has nothing of the window, or is never at rest."""
    cdef uint64_t stamp
    cdef uint32_t _turn, i
    for _turn in range(MAX_TRIES):
        stamp = load(&t.states[at].stamp)
        if stamp >> 32 != window:
            return False
        if stamp & 1:
            continue
        memcpy(&into.ways, &t.ways[at], sizeof(Ways))
        into.refused = load_relaxed(&t.states[at].refused)
        for i in range(WAYS):
            if into.ways.counts[i]:
                into.hashes[i] = entry_at(t, at, i).hash
                into.errors[i] = entry_at(t, at, i).error
                into.refused_before[i] = entry_at(t, at, i).refused
        acquire_fence()
        if load(&t.states[at].stamp) == stamp:
            return True
    return False


cdef void look_up(const Table* t, uint32_t at, uint32_t window, uint64_t hash, Known* known) noexcept nogil:
    """Add what a table knows of a hash."""
    cdef SetCopy copy
    cdef uint32_t i
    cdef Entry entry
    if not copy_set(t, at, window, &copy):
        return
    for i in range(WAYS):
        if copy.ways.counts[i] and copy.hashes[i] == hash:
            known.least += copy.ways.counts[i] - copy.errors[i]
            known.most += <uint64_t>copy.ways.counts[i] + copy.refused_before[i]
            if known.length == 0:
                memcpy(&entry, entry_at(t, at, i), t.entry_bytes)
                acquire_fence()
                # It may have been given to another meanwhile.
                if entry.hash == hash and entry_at(t, at, i).hash == hash:
                    known.length = entry.length
                    known.kept = entry.length if entry.length < t.room else t.room
                    memcpy(known.data, entry.data, known.kept)
            return
    # It may have given way, or have been refused. Where there is a free way, nothing has.
    known.most += least_count(copy.ways.counts) + copy.refused


cdef int by_hash(const void* one, const void* other) noexcept nogil:
    cdef uint64_t a = (<const Item*>one).hash, b = (<const Item*>other).hash
    return (a > b) - (a < b)


cdef int by_least(const void* one, const void* other) noexcept nogil:
    cdef uint64_t a = (<const Item*>one).least, b = (<const Item*>other).least
    return (a < b) - (a > b)


cdef class Sketches:
    """The memory of all threads. The supervisor makes it before it forks them; memory is taken when used.

    threads: how many have counts, by number. size: entries of each table of a thread, made a multiple of WAYS.
    seed: of the hashes, for tests; else it is random and nobody can choose names that share a set.
    """

    def __cinit__(self, uint32_t threads, uint32_t size, uint64_t window_ns, seed=None):
        if not 0 < threads <= MAX_THREADS:
            raise ValueError(f"1 to {MAX_THREADS} threads expected, got {threads}")
        if not MIN_SIZE <= size <= MAX_SIZE:
            raise ValueError(f"{MIN_SIZE} to {MAX_SIZE} entries expected, got {size}")
        if window_ns < 1000000:
            raise ValueError(f"a window of a millisecond at least expected, got {window_ns} ns")
        self.threads = threads
        self.sets = (size + WAYS - 1) // WAYS
        self.size = self.sets * WAYS
        self.window_ns = window_ns
        self.seed = int.from_bytes(os.urandom(8), "little") if seed is None else seed
        self.thread_bytes = sizeof(Head) + WINDOWS * KINDS * <size_t>self.sets * (sizeof(SetState) + sizeof(Ways))
        self.thread_bytes += WINDOWS * <size_t>self.size * (entry_bytes(CLIENTS) + (KINDS - 1) * sizeof(Entry))
        self.thread_bytes = (self.thread_bytes + PAGE_BYTES - 1) // PAGE_BYTES * PAGE_BYTES
        self.memory = <uint8_t*>map_shared(self.threads * self.thread_bytes)
        if self.memory == NULL:
            raise OSError(f"{self.threads * self.thread_bytes >> 20} MiB cannot be mapped")

    def __dealloc__(self):
        unmap(self.memory, self.threads * self.thread_bytes)

    @property
    def window_s(self):
        """The length of a window."""
        return self.window_ns / 1e9

    @property
    def most_bytes(self):
        """What one thread can take."""
        return self.thread_bytes

    cdef void lay_out(self, uint32_t thread, Sketch* s) noexcept:
        """Where the tables of a thread are: what each query looks at comes first."""
        cdef uint8_t* at = self.memory + thread * self.thread_bytes
        cdef uint32_t which, kind
        cdef Table* t
        memset(s, 0, sizeof(Sketch))
        s.head = <Head*>at
        s.seed = self.seed
        s.window_ns = self.window_ns
        s.sets = self.sets
        s.tables = s.all[0]
        s.random = (self.seed ^ thread) | 1
        at += sizeof(Head)
        for which in range(WINDOWS):
            for kind in range(KINDS):
                t = &s.all[which][kind]
                t.first_set = <uint64_t>(which * KINDS + kind) * self.sets
                t.ways = <Ways*>at
                at += self.sets * sizeof(Ways)
        for which in range(WINDOWS):
            for kind in range(KINDS):
                t = &s.all[which][kind]
                t.states = <SetState*>at
                at += self.sets * sizeof(SetState)
        for which in range(WINDOWS):
            for kind in range(KINDS):
                t = &s.all[which][kind]
                t.entries = at
                t.entry_bytes = entry_bytes(kind)
                t.room = ADDRESS_BYTES if kind == CLIENTS else NAME_BYTES
                at += <size_t>self.size * t.entry_bytes

    def queries(self, uint64_t now_ns):
        """How many queries were counted in this window and the one before."""
        cdef Sketch s
        cdef uint32_t thread
        cdef uint64_t total = 0, window = now_ns // self.window_ns + 1
        for thread in range(self.threads):
            self.lay_out(thread, &s)
            for which in (window, window - 1):
                if load(&s.head.windows[which & 1]) == which:
                    total += load_relaxed(&s.head.queries[which & 1])
        return total

    def top(self, str kind not None, uint32_t count, uint64_t now_ns):
        """Who was counted most in this window and the one before: (data, length, least, most) of each.

        It was counted ``least`` times at least, which decides the order, and ``most`` times at most. data: an
        address, or a name in lowercased wire form, of which the first KEPT_NAME_BYTES are kept of ``length``.
        """
        cdef uint32_t which = KIND_NAMES.index(kind), i
        cdef uint64_t window = now_ns // self.window_ns + 1
        cdef size_t room = <size_t>self.threads * WINDOWS * self.size
        cdef size_t items = 0, merged = 0, at
        cdef Known known
        cdef Item* found
        if count > MAX_TOP:
            raise ValueError(f"at most {MAX_TOP} are told, got {count}")
        found = <Item*>malloc(room * sizeof(Item))
        if found == NULL:
            raise MemoryError
        try:
            for i in range(self.threads):
                items = self.collect(i, which, window, found, items)
            qsort(found, items, sizeof(Item), by_hash)
            for at in range(items):
                if merged and found[merged - 1].hash == found[at].hash:
                    found[merged - 1].least += found[at].least
                else:
                    found[merged] = found[at]
                    merged += 1
            qsort(found, merged, sizeof(Item), by_least)
            told = []
            for at in range(min(merged, <size_t>count)):
                self.know(found[at].hash, which, window, &known)
                # Its entries may have gone to others since.
                if known.length:
                    data = PyBytes_FromStringAndSize(<char*>known.data, known.kept)
                    told.append((data, known.length, known.least, known.most))
        finally:
            free(found)
        told.sort(key=by_count)
        return told

    cdef size_t collect(self, uint32_t thread, uint32_t kind, uint64_t window, Item* into, size_t items) noexcept:
        """Append what a thread has entries for."""
        cdef Sketch s
        cdef SetCopy copy
        cdef uint32_t at, way
        cdef uint64_t which
        cdef const Table* t
        self.lay_out(thread, &s)
        if not load(&s.head.seen):
            return items
        for which in range(window - 1, window + 1):
            if load(&s.head.windows[which & 1]) != which:
                continue
            t = &s.all[which & 1][kind]
            for at in range(self.sets):
                if not copy_set(t, at, <uint32_t>which, &copy):
                    continue
                for way in range(WAYS):
                    if copy.ways.counts[way]:
                        into[items].hash = copy.hashes[way]
                        into[items].least = copy.ways.counts[way] - copy.errors[way]
                        items += 1
        return items

    cdef void know(self, uint64_t hash, uint32_t kind, uint64_t window, Known* known) noexcept:
        """What all threads know of a hash."""
        cdef Sketch s
        cdef uint32_t thread, at = <uint32_t>(((hash >> 32) * self.sets) >> 32)
        cdef uint64_t which
        memset(known, 0, sizeof(Known))
        for thread in range(self.threads):
            self.lay_out(thread, &s)
            if not load(&s.head.seen):
                continue
            for which in range(window - 1, window + 1):
                if load(&s.head.windows[which & 1]) == which:
                    look_up(&s.all[which & 1][kind], at, <uint32_t>which, hash, known)


cdef uint32_t entry_bytes(uint32_t kind) noexcept nogil:
    """The size of an entry."""
    return CLIENT_BYTES if kind == CLIENTS else sizeof(Entry)


def by_count(one):
    """The order of what is told: the most first, equal ones by what they are."""
    data, _, least, most = one
    return -least, -most, data


@cython.no_gc_clear
cdef class ThreadSketch:
    """What one thread counts in. A predecessor's counts go on. Raises IndexError where there is no such thread."""

    def __cinit__(self, Sketches sketches not None, uint32_t thread):
        if thread >= sketches.threads:
            raise IndexError(f"thread {thread} of {sketches.threads}")
        self.workers = []
        self.sketches = sketches
        sketches.lay_out(thread, &self.sketch)
        finish_change(&self.sketch)
        publish_u64(&self.sketch.head.seen, 1)

    def __dealloc__(self):
        cdef Worker worker
        for worker in self.workers or ():
            worker.slots[slot_of("top")] = NULL

    def attach(self, Worker worker not None):
        """Let a worker count here. All workers of a sketch serve on one thread."""
        self.workers.append(worker)
        worker.slots[slot_of("top")] = &self.sketch

    def count(self, str kind not None, bytes data not None, uint64_t now_ns, uint32_t times=1):
        """Count some data so many times, as queries do; a name in lowercased wire form."""
        cdef uint32_t which = KIND_NAMES.index(kind), _turn
        cdef const uint8_t* at = data
        cdef uint64_t hash
        if not 0 < len(data) <= (ADDRESS_BYTES if which == CLIENTS else 255):
            raise ValueError(f"{len(data)} bytes are no {kind}")
        hash = hash_bytes(self.sketch.seed, at, <uint32_t>len(data))
        for _turn in range(times):
            enter_window(&self.sketch, now_ns)
            count_one(&self.sketch, <Kind>which, hash, at, <uint32_t>len(data))

    def leave_unfinished(self, str kind not None, bytes data not None):
        """For tests: as if the thread was killed while it changed the set of some data."""
        cdef Table* t = &self.sketch.tables[<uint32_t>KIND_NAMES.index(kind)]
        cdef uint64_t hash = hash_bytes(self.sketch.seed, data, <uint32_t>len(data))
        cdef uint32_t at = set_of(&self.sketch, hash)
        self.sketch.head.changing = t.first_set + at
        t.states[at].stamp |= 1
