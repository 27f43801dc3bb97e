"""The words of a record's text (RFC 1035 section 5.1), and what they say in wire form."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

# What is written to. The room is checked where something is written.
cdef struct Written:
    uint8_t* at
    uint32_t size
    uint32_t room
    bint failed

# Where the reader is. depth: of parentheses.
cdef struct Reader:
    const uint8_t* text
    uint32_t size
    uint32_t at
    int32_t depth
    bint wrong

# A word as it is written, escapes included.
cdef struct Word:
    const uint8_t* text
    uint32_t size
    bint quoted

# Digits of base 64 that have come so far.
cdef struct Digits:
    uint32_t bits
    uint32_t count
    uint32_t padding

cdef inline uint8_t upper(uint8_t byte) noexcept nogil:
    return byte - 32 if 97 <= byte <= 122 else byte

cdef inline void put(Written* out, const uint8_t* data, uint32_t size) noexcept nogil:
    if size > out.room - out.size:
        out.failed = True
        return
    if size:
        memcpy(out.at + out.size, data, size)
    out.size += size

cdef inline void put_byte(Written* out, uint8_t byte) noexcept nogil:
    if out.size >= out.room:
        out.failed = True
        return
    out.at[out.size] = byte
    out.size += 1

cdef inline void begin_reading(Reader* r, const uint8_t* text, uint32_t size) noexcept nogil:
    r.text = text
    r.size = size
    r.at = 0
    r.depth = 0
    r.wrong = False

# Whether nothing but blanks and a comment stands up to the end of the line.
cdef bint at_end(Reader* r) noexcept nogil
# A word in quotes, or up to the next blank, quote, parenthesis or comment. False at the end of the line.
cdef bint next_word(Reader* r, Word* word) noexcept nogil
# Whether it is a text in upper case, in any case.
cdef bint is_word(const Word* word, const uint8_t* text, uint32_t size) noexcept nogil

cdef bint read_number(const Word* word, uint64_t most, uint64_t* value) noexcept nogil
# Seconds, also as 1h30m.
cdef bint read_time(const Word* word, uint32_t* value) noexcept nogil
# The byte that is written at a place, and how long that is: itself, a backslash and a character, or three digits
# behind it. 0: it is none.
cdef uint32_t unescaped(const uint8_t* text, uint32_t size, uint32_t at, uint8_t* byte) noexcept nogil

# Each writes what a word says. False where it is none, or out.failed is set: there is no room.
cdef void put_short(Written* out, uint16_t number) noexcept nogil
# A domain name; without a dot at its end it is one all the same.
cdef bint put_name(Written* out, const Word* word) noexcept nogil
# A character-string; where several may stand, what is longer than 255 bytes is several.
cdef bint put_string(Written* out, const Word* word, bint several) noexcept nogil
cdef bint put_octets(Written* out, const Word* word) noexcept nogil
cdef bint put_address(Written* out, const Word* word, int family) noexcept nogil
# Digits in all words up to the end.
cdef bint put_hex(Reader* r, Written* out) noexcept nogil
# Digits may go on in the next word.
cdef bint put_base64(Written* out, const Word* word, Digits* d) noexcept nogil
cdef bint end_base64(Written* out, const Digits* d) noexcept nogil
