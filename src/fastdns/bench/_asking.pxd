"""The queries that a process asks, and the answers that end them: what the loop, UDP and TCP share."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastdns.bench._counts cimport Counts
from fastdns.bench._lanes cimport GIVEN_UP, Lane, Place, next_place, take_place
from fastdns.bench._lines cimport Lines
from fastdns.bench._questions cimport Question
from fastdns.bench._signing cimport Signer, sign

cdef struct Asking:
    const Question* table
    uint32_t question_count
    uint64_t next_question
    uint64_t first              # of all processes' queries this process asks first, first + step, ...
    uint64_t step
    double rate                 # queries a second of all processes; 0: as fast as answers come
    uint64_t begin_ns
    uint64_t timeout_ns
    uint32_t outstanding        # how many may be under way at a time, over all lanes
    uint32_t under_way
    uint64_t random
    bint by_stream              # queries are known by their streams, and have an ID of 0
    Counts* counts
    const Signer* signer        # NULL: queries are not signed
    Lines* lines                # NULL: nothing is printed


cdef void match_answer(Asking* a, Lane* lane, const uint8_t* answer, uint32_t size, uint32_t room,
                       uint64_t now) noexcept nogil
cdef void match_at(Asking* a, Lane* lane, uint16_t at, const uint8_t* answer, uint32_t size, uint32_t room,
                   uint64_t now) noexcept nogil
cdef void lose(Asking* a, Lane* lane, uint16_t at) noexcept nogil
cdef void interrupt(Asking* a, Lane* lane) noexcept nogil
cdef void give_up(Asking* a, Lane* lane, uint64_t now) noexcept nogil
cdef uint64_t due_by(const Asking* a, uint64_t now, uint64_t count) noexcept nogil


cdef inline uint64_t due_ns(const Asking* a, uint64_t number) noexcept nogil:
    """The time when this process's query of this number is due."""
    return a.begin_ns + <uint64_t>((a.first + number * a.step) * 1e9 / a.rate)


cdef inline uint32_t prepare(Asking* a, Lane* lane, uint32_t ahead) noexcept nogil:
    """Give the query that many places ahead its ID and its place. Returns its number."""
    cdef uint16_t at = next_place(lane, ahead)
    cdef Place* place = &lane.places[at]
    cdef uint64_t x = a.random
    cdef uint32_t id_
    x ^= x >> 12
    x ^= x << 25
    x ^= x >> 27
    a.random = x
    id_ = (<uint32_t>((x * <uint64_t>0x2545F4914F6CDD1D) >> 48) & ~lane.place_mask) | at
    place.state = GIVEN_UP
    if a.by_stream:
        id_ = 0
    place.id[0] = (id_ >> 8) & 0xFF
    place.id[1] = id_ & 0xFF
    place.question = <uint32_t>((a.next_question + ahead * a.step) % a.question_count)
    return place.question


cdef inline uint32_t most_bytes(const Asking* a, uint32_t of_messages) noexcept nogil:
    """The room for a query whose message has at most so many bytes."""
    return of_messages + (a.signer.record_bytes if a.signer != NULL else 0)


cdef inline uint32_t write_message(const Asking* a, const Question* question, const Place* place,
                                   uint8_t* out) noexcept nogil:
    """Write a query with its ID, signed if queries are. Returns its size. For the room: most_bytes."""
    memcpy(out, question.message, question.size)
    if question.size >= 2:
        out[0] = place.id[0]
        out[1] = place.id[1]
    return question.size if a.signer == NULL else sign(a.signer, out, question.size)


cdef inline void under_way_now(Asking* a, Lane* lane, uint32_t n, uint64_t now) noexcept nogil:
    """The next n queries of a lane are sent."""
    cdef uint32_t i
    for i in range(n):
        take_place(lane, due_ns(a, a.counts.sent + i) if a.rate > 0 else now, now)
    a.next_question = (a.next_question + n * a.step) % a.question_count
    a.counts.sent += n
