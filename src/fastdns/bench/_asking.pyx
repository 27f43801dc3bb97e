"""Matches answers with the queries that are under way, and gives up those that have none in time."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from fastdns.bench._answers cimport Said, read_said
from fastdns.bench._counts cimport SAMPLE_BYTES, SAMPLES, add_latency
from fastdns.bench._lanes cimport (
    ANSWERED, GIVEN_UP, GONE, NO_PLACE, UNDER_WAY, Gone, Lane, Place, release_place, remember_gone,
)
from fastdns.bench._lines cimport answered_line, unanswered_line
from fastdns.bench._questions cimport EXACTLY, NOTHING, SOME, Question

cdef enum:
    HEADER_BYTES = 12
    QR = 0x80
    TC = 0x02
    OPCODE = 0x78
    UPDATE = 0x28


cdef inline bint same_question(const Question* question, const uint8_t* answer, uint32_t size) noexcept nogil:
    if answer[4] == 0 and answer[5] == 0 and (answer[3] & 0xF or answer[2] & OPCODE == UPDATE):
        # A refusal may come without the question; so may the answer to an update (RFC 2136 section 3.8).
        return True
    return size >= question.question_end and memcmp(
        answer + HEADER_BYTES, question.message + HEADER_BYTES, question.question_end - HEADER_BYTES) == 0


cdef uint64_t due_by(const Asking* a, uint64_t now, uint64_t count) noexcept nogil:
    """The number of queries of this process that are due by then."""
    cdef double position
    cdef uint64_t due
    if a.rate == 0:
        return count
    # Query k of all processes is due at k / rate; ours are k = first, first + step, ...
    position = (now - a.begin_ns) * a.rate / 1e9 - a.first
    if position < 0:
        return 0
    due = <uint64_t>(position / a.step) + 1
    return due if due < count else count


cdef void match_answer(Asking* a, Lane* lane, const uint8_t* answer, uint32_t size, uint32_t room,
                       uint64_t now) noexcept nogil:
    """Find the query of an answer by its ID. Of a longer answer only the first room bytes are there."""
    cdef uint16_t at = 0
    if size >= HEADER_BYTES:
        at = ((<uint16_t>answer[0] << 8) | answer[1]) & lane.place_mask
    match_at(a, lane, at, answer, size, room, now)


cdef void match_at(Asking* a, Lane* lane, uint16_t at, const uint8_t* answer, uint32_t size, uint32_t room,
                   uint64_t now) noexcept nogil:
    """Take an answer to the query at a place, if it is one."""
    cdef Place* place
    cdef const Question* question
    if size < HEADER_BYTES or not answer[2] & QR:
        a.counts.mismatched += 1
        return
    place = &lane.places[at]
    question = &a.table[place.question]
    if (place.state != UNDER_WAY or place.id[0] != answer[0] or place.id[1] != answer[1]
            or not same_question(question, answer, size)):
        sort_out(a, lane, place, answer, size)
        return
    a.counts.answer_bytes += size
    a.counts.rcodes[answer[3] & 0xF] += 1
    if answer[2] & TC:
        a.counts.truncated += 1
    elif question.expects != NOTHING and size <= room:
        compare(a, question, place.question, answer, size)
    add_latency(&a.counts.answers, now - place.due_ns)
    if a.lines != NULL:
        answered_line(a.lines, answer[3] & 0xF, question.text, now - place.due_ns)
    a.under_way -= 1
    release_place(lane, at, ANSWERED)


cdef void sort_out(Asking* a, Lane* lane, const Place* place, const uint8_t* answer, uint32_t size) noexcept nogil:
    """Count an answer to no outstanding query: a duplicate, a late one, or a mismatched one."""
    cdef uint32_t i
    cdef Gone* gone
    cdef uint16_t id_ = (<uint16_t>answer[0] << 8) | answer[1]
    if (place.state == ANSWERED and place.id[0] == answer[0] and place.id[1] == answer[1]
            and same_question(&a.table[place.question], answer, size)):
        a.counts.duplicates += 1
        return
    for i in range(GONE):
        gone = &lane.gone[i]
        if gone.known and gone.id == id_ and same_question(&a.table[gone.question], answer, size):
            gone.known = 0
            a.counts.late += 1
            return
    a.counts.mismatched += 1


cdef void compare(Asking* a, const Question* question, uint32_t number, const uint8_t* answer,
                  uint32_t size) noexcept nogil:
    """Compare an answer with the expected one; keep the first wrong ones."""
    cdef Said said
    cdef bint right
    cdef uint64_t i
    a.counts.checked += 1
    right = (answer[3] & 0xF) == question.rcode and read_said(
        answer, size, question.question_end, question.qtype, &said) == 0
    if right and question.expects == EXACTLY:
        right = said.records == question.records and said.digest == question.digest
    elif right and question.expects == SOME:
        right = said.records > 0
    if right:
        return
    a.counts.wrong += 1
    i = a.counts.sample_count
    if i < SAMPLES:
        a.counts.samples[i].question = number
        a.counts.samples[i].size = size if size < SAMPLE_BYTES else SAMPLE_BYTES
        memcpy(a.counts.samples[i].answer, answer, a.counts.samples[i].size)
        a.counts.sample_count = i + 1


cdef void give_up(Asking* a, Lane* lane, uint64_t now) noexcept nogil:
    """Count as lost the queries that have been outstanding for too long."""
    # Some were sent after this time was read.
    while lane.first != NO_PLACE and now > lane.places[lane.first].sent_ns + a.timeout_ns:
        remember_gone(lane, &lane.places[lane.first])
        lose(a, lane, lane.first)


cdef void lose(Asking* a, Lane* lane, uint16_t at) noexcept nogil:
    """A query has no answer, and none is waited for any more."""
    a.counts.lost += 1
    forget(a, lane, at, b"T")


cdef void interrupt(Asking* a, Lane* lane) noexcept nogil:
    """The run ends before the answers to a lane's queries."""
    while lane.first != NO_PLACE:
        a.counts.interrupted += 1
        forget(a, lane, lane.first, b"I")


cdef inline void forget(Asking* a, Lane* lane, uint16_t at, const char* why) noexcept nogil:
    if a.lines != NULL:
        unanswered_line(a.lines, why, a.table[lane.places[at].question].text)
    a.under_way -= 1
    release_place(lane, at, GIVEN_UP)
