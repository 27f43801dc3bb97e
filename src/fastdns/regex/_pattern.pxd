"""What a compiled pattern is in memory, and how a text is read as the kinds of characters that it tells apart.

A Pattern is written once, when the Corefile is read. From then on all threads, and all processes that are forked
later, only read it. Matching keeps what it needs on the stack: the bounds below say how much that may be.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    # As in program.py.
    MAX_INSTRUCTIONS = 16384
    # Of 64 bits, one for each instruction.
    INSTRUCTION_WORDS = MAX_INSTRUCTIONS >> 6
    MAX_KINDS = 4096
    KIND_BYTES = MAX_KINDS >> 3
    MAX_MEMBERS_BYTES = 1 << 18
    # Offsets that one step of a simulation keeps: those of a thread, times the threads. 128 KiB, twice.
    MAX_CELLS = 32768
    MAX_SLOTS = 4096

cdef enum Operation:
    MATCH
    ONE_OF
    SPLIT
    ASSERT
    CAPTURE

# What is known of a character, or of the edge of the text.
cdef enum Trait:
    NEWLINE = 1
    WORD = 2
    EDGE = 4

# What holds between two characters (syntax.py).
cdef enum Condition:
    BEGIN_TEXT = 1
    END_TEXT = 2
    BEGIN_LINE = 4
    END_LINE = 8
    WORD_BOUNDARY = 16
    NO_WORD_BOUNDARY = 32

# argument: of ONE_OF the number of a set, of SPLIT the way that is tried second, of ASSERT the condition, of
# CAPTURE the cell. thread: a number of its own for each ONE_OF and MATCH, from 0 on.
cdef struct Instruction:
    uint16_t operation
    uint16_t next
    uint16_t argument
    uint16_t thread

cdef struct Pattern:
    Instruction* instructions
    uint32_t instruction_count
    uint32_t thread_count
    uint32_t start
    # How many offsets search gives: two of the whole match, and two of each group.
    uint32_t slots
    # It can only be found at the begin of the text.
    bint anchored
    # The kind of each ASCII character; of others, that of the last interval that begins at or before them.
    uint16_t ascii[128]
    uint32_t* begins
    uint16_t* interval_kinds
    uint32_t intervals
    uint32_t kinds
    # Of each kind its traits.
    uint8_t* traits
    # Of each set member_bytes, with a bit for each kind.
    uint8_t* members
    uint32_t member_bytes
    # Of each state a row: for each kind, and last for the end of the text, where the next row begins. In the first
    # row nothing can be found any more, in the second something is found. NULL: the table would be too large.
    uint32_t* table
    uint32_t stride
    uint32_t first_row
    uint32_t table_rows


cdef inline uint32_t read_code_point(const uint8_t* text, int32_t left, int32_t* width) noexcept nogil:
    """The character that begins with a byte of 0x80 or more; as in Go, a byte that begins none is U+FFFD."""
    cdef uint32_t lead = text[0], code, least
    cdef int32_t size, i
    if 0xC2 <= lead <= 0xDF:
        size, code, least = 2, lead & 0x1F, 0x80
    elif 0xE0 <= lead <= 0xEF:
        size, code, least = 3, lead & 0x0F, 0x800
    elif 0xF0 <= lead <= 0xF4:
        size, code, least = 4, lead & 0x07, 0x10000
    else:
        size, code, least = 1, 0, 1
    width[0] = 1
    if size > left:
        return 0xFFFD
    for i in range(1, size):
        if text[i] & 0xC0 != 0x80:
            return 0xFFFD
        code = code << 6 | (text[i] & 0x3F)
    if code < least or code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        return 0xFFFD
    width[0] = size
    return code


cdef inline uint32_t kind_of(const Pattern* pattern, uint32_t code) noexcept nogil:
    """The kind of a character that is not ASCII."""
    cdef uint32_t low = 0, high = pattern.intervals, middle
    while high - low > 1:
        middle = low + (high - low) // 2
        if pattern.begins[middle] <= code:
            low = middle
        else:
            high = middle
    return pattern.interval_kinds[low]


cdef inline uint32_t next_kind(
    const Pattern* pattern, const uint8_t* text, int32_t size, int32_t* at
) noexcept nogil:
    """The kind of the character at ``at``, which is before the end; ``at`` is then behind it."""
    cdef uint32_t code = text[at[0]]
    cdef int32_t width
    if code < 0x80:
        at[0] += 1
        return pattern.ascii[code]
    code = read_code_point(text + at[0], size - at[0], &width)
    at[0] += width
    return kind_of(pattern, code)


cdef inline bint is_member(const Pattern* pattern, uint32_t number, uint32_t kind) noexcept nogil:
    """Whether the set of this number has characters of this kind."""
    return pattern.members[number * pattern.member_bytes + (kind >> 3)] >> (kind & 7) & 1


cdef inline uint32_t words_of(const Pattern* pattern) noexcept nogil:
    """Words of 64 bits with a bit for each instruction."""
    return (pattern.instruction_count + 63) >> 6


cdef inline uint32_t conditions(uint32_t before, uint32_t behind) noexcept nogil:
    """What holds between characters with these traits."""
    cdef uint32_t held = WORD_BOUNDARY if (before ^ behind) & WORD else NO_WORD_BOUNDARY
    if before & EDGE:
        held |= BEGIN_TEXT | BEGIN_LINE
    elif before & NEWLINE:
        held |= BEGIN_LINE
    if behind & EDGE:
        held |= END_TEXT | END_LINE
    elif behind & NEWLINE:
        held |= END_LINE
    return held
