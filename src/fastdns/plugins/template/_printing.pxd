"""The values of a template while it runs, what they are made of, and how they are printed (formats.py)."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy
from fastdns.serve._context cimport Context
from fastdns.serve._values cimport Value as BlockValueOf

cdef enum:
    FIELD_ZONE
    FIELD_NAME
    FIELD_CLASS
    FIELD_TYPE
    FIELD_REMOTE
    FIELD_REGEX
    FIELD_MATCH
    FIELD_GROUP
    FIELD_QUESTION_NAME
    FIELD_QUESTION_TYPE
    FIELD_QUESTION_CLASS

cdef enum Kind:
    NOTHING             # a missing key, nil
    STRING
    SIGNED
    UNSIGNED
    BOOLEAN
    MATCH               # groups from number to size
    GROUPS              # all groups of the pattern, by name

cdef struct Value:
    Kind kind
    uint32_t size       # of text
    int64_t number      # an unsigned one has the same bits
    const uint8_t* text

# A group of a pattern under a name: its number, or the name that it was given. In the order of the names.
cdef struct Key:
    const uint8_t* text
    uint32_t size
    uint32_t group

# What a program must know of a pattern. by_name: of each name in the programs of the template the group, or
# NO_GROUP.
cdef struct Groups:
    const uint8_t* regex
    uint32_t regex_size
    uint32_t group_count        # the whole match included
    uint32_t key_count
    Key* keys
    uint16_t* by_name

cdef enum:
    NO_GROUP = 0xFFFF
    FIELDS_OF_TEXT = 11

# What a template knows of one query. fields: the texts among them, FIELD_MATCH and FIELD_GROUP excluded. offsets:
# of the match in the name.
cdef struct Data:
    Context* ctx
    Value fields[FIELDS_OF_TEXT]
    const Groups* groups
    const int32_t* offsets
    const BlockValueOf** metas
    const Value* variables

cdef struct Piece:
    const uint8_t* literal
    uint32_t literal_size
    char verb                   # 0: the format ends
    uint8_t flags
    int16_t width
    int16_t precision

cdef enum:
    FLAG_LEFT = 1
    FLAG_ZERO = 2

# What is printed to. size: so far.
cdef struct Out:
    uint8_t* at
    uint32_t size
    uint32_t room
    bint failed

cdef inline void write(Out* out, const uint8_t* text, uint32_t size) noexcept nogil:
    if out.failed or size > out.room - out.size:
        out.failed = True
        return
    if size:
        memcpy(out.at + out.size, text, size)
    out.size += size

cdef inline void write_byte(Out* out, uint8_t byte) noexcept nogil:
    if out.failed or out.size >= out.room:
        out.failed = True
        return
    out.at[out.size] = byte
    out.size += 1

cdef inline Value text_value(const uint8_t* text, uint32_t size) noexcept nogil:
    cdef Value v
    v.kind = STRING
    v.text = text
    v.size = size
    v.number = 0
    return v

cdef inline Value number_value(Kind kind, int64_t number) noexcept nogil:
    cdef Value v
    v.kind = kind
    v.number = number
    v.text = NULL
    v.size = 0
    return v

cdef inline Value group_value(const Data* data, uint32_t group) noexcept nogil:
    """A group that takes no part in the match is empty."""
    cdef int32_t begin = data.offsets[2 * group]
    if begin < 0:
        return text_value(NULL, 0)
    return text_value(data.fields[FIELD_NAME].text + begin, <uint32_t>(data.offsets[2 * group + 1] - begin))

# The group of a key; False: there is none.
cdef bint find_key(const Data* data, const uint8_t* text, uint32_t size, Value* found) noexcept nogil

# As %v.
cdef void write_value(const Data* data, Out* out, const Value* v) noexcept nogil

# As a format asks for it; each of its pieces but the last takes one of the values.
cdef void write_formatted(const Data* data, Out* out, const Piece* p, const Value* values) noexcept nogil
