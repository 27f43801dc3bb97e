"""Names as text: whether one matches, and what takes its place. All memory is the caller's."""

from libc.stdint cimport int32_t, uint8_t, uint32_t
from fastdns.regex._regex cimport Pattern

cdef enum Kind:
    EXACT = 0
    PREFIX = 1
    SUFFIX = 2
    SUBSTRING = 3
    REGEX = 4

cdef enum:
    NO_GROUP = 0xFFFFFFFF
    NO_MATCH = -1
    NO_ROOM = -2

# Literal text, or what a group has matched.
cdef struct Piece:
    const uint8_t* text
    uint32_t length
    uint32_t group              # NO_GROUP: text

# text, in lower case, is what is looked for, without regard to case; of REGEX it is the pattern, which sees a name
# as it is. The pieces take the place of what is found, or of the whole name where that is a REGEX or EXACT.
cdef struct Replacing:
    Kind kind
    const uint8_t* text
    uint32_t length
    const Pattern* pattern
    uint32_t piece_count
    Piece* pieces

cdef bint found_in(const Replacing* r, const uint8_t* text, uint32_t length) noexcept nogil

# Write what takes the place of a text. Returns the length; NO_MATCH; or NO_ROOM: it is longer than room.
cdef int32_t replace(const Replacing* r, const uint8_t* text, uint32_t length, uint8_t* out,
                     uint32_t room) noexcept nogil
