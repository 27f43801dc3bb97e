"""The table of a pattern: a row for each set of instructions that may be under way (the subset construction).

It is made when the pattern is compiled and never changed, so matching neither allocates nor locks. Where it would
get too large, or would take too long to make, there is none, and matching simulates the automaton.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport malloc
from libc.string cimport memset

from fastdns.regex._pattern cimport (
    ASSERT, BEGIN_LINE, BEGIN_TEXT, EDGE, INSTRUCTION_WORDS, KIND_BYTES, MATCH, MAX_INSTRUCTIONS, NEWLINE,
    NO_WORD_BOUNDARY, ONE_OF, SPLIT, WORD, WORD_BOUNDARY, Instruction, Pattern, conditions, is_member, words_of,
)

cdef extern from *:
    int __builtin_ctzll(uint64_t bits) noexcept nogil

cdef enum:
    # Of rows times kinds: 1 MiB.
    MAX_NUMBERS = 1 << 18
    # Instructions that are looked at: some 150 ms.
    MAX_WORK = 50000000
    DEAD = 0
    FOUND = 1
    # No combination of traits.
    NOTHING = 0xFF

cdef struct Closure:
    # What waits for a character, and whether a match was reached.
    uint16_t waiting[MAX_INSTRUCTIONS]
    uint32_t count
    bint found


cdef uint32_t close(
    const Pattern* pattern, const uint16_t* begin, uint32_t count, uint32_t held, Closure* closure
) noexcept nogil:
    """What these instructions lead to without reading, where the conditions ``held`` hold.

    Returns how many instructions it looked at.
    """
    cdef uint64_t visited[INSTRUCTION_WORDS]
    cdef uint16_t tasks[MAX_INSTRUCTIONS]
    cdef uint32_t left = 0, i, at, seen = count
    cdef const Instruction* one
    memset(visited, 0, words_of(pattern) * 8)
    closure.count = 0
    closure.found = False
    for i in range(count):
        at = begin[i]
        while True:
            while not visited[at >> 6] >> (at & 63) & 1:
                visited[at >> 6] |= <uint64_t>1 << (at & 63)
                seen += 1
                one = &pattern.instructions[at]
                if one.operation == MATCH:
                    closure.found = True
                    break
                if one.operation == ONE_OF:
                    closure.waiting[closure.count] = <uint16_t>at
                    closure.count += 1
                    break
                if one.operation == ASSERT and not held & one.argument:
                    break
                if one.operation == SPLIT:
                    tasks[left] = one.argument
                    left += 1
                at = one.next
            if not left:
                break
            left -= 1
            at = tasks[left]
    return seen


cdef class Builder:
    """The rows of one table. A row's key: what came before, and the instructions that are under way, in order."""
    cdef Pattern* pattern
    cdef dict numbers
    cdef list keys
    cdef list rows
    cdef uint64_t work

    cdef int row_of(self, uint32_t before, const uint64_t* under_way) except -1:
        """The number of the row for these instructions, a bit each."""
        cdef uint16_t begin[MAX_INSTRUCTIONS + 1]
        cdef Closure closure
        cdef uint64_t bits
        cdef uint32_t count = 0, i, words = words_of(self.pattern), held
        cdef bytes key
        for i in range(words):
            bits = under_way[i]
            while bits:
                begin[1 + count] = <uint16_t>(64 * i + __builtin_ctzll(bits))
                count += 1
                bits &= bits - 1
        self.work += words + count
        if not count:
            return DEAD
        begin[0] = <uint16_t>before
        key = (<uint8_t*>begin)[:2 * (count + 1)]
        number = self.numbers.get(key)
        if number is None:
            # Whether something is found already, whatever comes.
            held = conditions(before, 0) & (BEGIN_TEXT | BEGIN_LINE)
            self.work += close(self.pattern, begin + 1, count, held, &closure)
            if closure.found:
                number = FOUND
            else:
                number = len(self.keys) + 2
                self.keys.append(key)
            self.numbers[key] = number
        return number

    cdef int add_row(self, bytes key, uint32_t relevant) except -1:
        """The row of this key, for each kind of character and for the end."""
        cdef const uint16_t* begin = <const uint16_t*><const uint8_t*>key
        cdef uint32_t count = <uint32_t>len(key) // 2 - 1
        cdef Closure closure
        cdef uint64_t under_way[INSTRUCTION_WORDS]
        cdef uint8_t read[KIND_BYTES]
        cdef uint32_t kind, behind, closed_for = NOTHING
        cdef list row = []
        # Of each combination of traits the row after a character that no instruction waits for.
        cdef int unread[8]
        for kind in range(self.pattern.kinds + 1):
            behind = EDGE if kind == self.pattern.kinds else self.pattern.traits[kind]
            if behind != closed_for:
                self.work += close(self.pattern, begin + 1, count, conditions(begin[0], behind), &closure)
                self.work += self.readable(&closure, read)
                closed_for = behind
                unread[behind] = -1
            if closure.found or kind == self.pattern.kinds:
                row.append(FOUND if closure.found else DEAD)
                continue
            if read[kind >> 3] >> (kind & 7) & 1:
                row.append(self.after(&closure, kind, behind & relevant, under_way))
                continue
            if unread[behind] < 0:
                unread[behind] = self.after(&closure, kind, behind & relevant, under_way)
            row.append(unread[behind])
        self.rows.append(row)
        return 0

    cdef uint32_t readable(self, const Closure* closure, uint8_t* read) noexcept:
        """Sets the bit of each kind that a waiting instruction reads; returns how many bytes it looked at."""
        cdef uint32_t size = self.pattern.member_bytes, i, place
        cdef const uint8_t* members
        memset(read, 0, size)
        for i in range(closure.count):
            members = self.pattern.members + self.pattern.instructions[closure.waiting[i]].argument * size
            for place in range(size):
                read[place] |= members[place]
        return closure.count * size

    cdef int after(self, const Closure* closure, uint32_t kind, uint32_t before, uint64_t* under_way) except -1:
        """The number of the row after a character of this kind; under_way is room to work in."""
        cdef uint32_t i, at
        memset(under_way, 0, words_of(self.pattern) * 8)
        for i in range(closure.count):
            at = closure.waiting[i]
            if is_member(self.pattern, self.pattern.instructions[at].argument, kind):
                at = self.pattern.instructions[at].next
                under_way[at >> 6] |= <uint64_t>1 << (at & 63)
        if not self.pattern.anchored:
            under_way[self.pattern.start >> 6] |= <uint64_t>1 << (self.pattern.start & 63)
        self.work += closure.count
        return self.row_of(before, under_way)

    cdef bint build(self) except -1:
        """All rows; False: they would be too many."""
        cdef uint64_t under_way[INSTRUCTION_WORDS]
        cdef uint32_t relevant = 0, i, asserted = 0
        for i in range(self.pattern.instruction_count):
            if self.pattern.instructions[i].operation == ASSERT:
                asserted |= self.pattern.instructions[i].argument
        if asserted & BEGIN_LINE:
            relevant |= NEWLINE
        if asserted & (WORD_BOUNDARY | NO_WORD_BOUNDARY):
            relevant |= WORD
        memset(under_way, 0, sizeof(under_way))
        under_way[self.pattern.start >> 6] |= <uint64_t>1 << (self.pattern.start & 63)
        first = self.row_of(EDGE, under_way)
        while len(self.rows) < len(self.keys):
            if (len(self.keys) + 2) * self.pattern.stride > MAX_NUMBERS or self.work > MAX_WORK:
                return False
            self.add_row(self.keys[len(self.rows)], relevant)
        if (len(self.keys) + 2) * self.pattern.stride > MAX_NUMBERS:
            return False
        self.pattern.first_row = first * self.pattern.stride
        return True


cdef int build_table(Pattern* pattern) except -1:
    """Gives the pattern its table, or none where it would be too large."""
    cdef Builder builder = Builder()
    cdef Closure closure
    cdef uint16_t start = <uint16_t>pattern.start
    cdef uint32_t* at
    cdef uint32_t number
    # Whether it could begin behind the begin of the text.
    close(pattern, &start, 1, ~<uint32_t>BEGIN_TEXT, &closure)
    pattern.anchored = not closure.found and not closure.count
    pattern.stride = pattern.kinds + 1
    builder.pattern = pattern
    builder.numbers = {}
    builder.keys = []
    builder.rows = []
    builder.work = 0
    if not builder.build():
        return 0
    pattern.table_rows = <uint32_t>len(builder.rows) + 2
    pattern.table = at = <uint32_t*>malloc(pattern.table_rows * pattern.stride * sizeof(uint32_t))
    if at == NULL:
        raise MemoryError
    for number in range(2):
        for _ in range(pattern.stride):
            at[0] = number * pattern.stride
            at += 1
    for row in builder.rows:
        for number in row:
            at[0] = number * pattern.stride
            at += 1
    return 0
