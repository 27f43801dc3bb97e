"""The values of expressions while they are evaluated, and the bounds of it.

Strings and arrays are references: to the constants of the program, to the values of the query, or to the arena of
the run, which holds what is made meanwhile. Nothing is freed before the run ends, and nothing is allocated.

A run that cannot go on has failed: fail() is the one way to say so, and every caller looks at run.failed where the
value that it got matters.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from fastdns.serve._context cimport Context

cdef enum:
    ARENA_BYTES = 32768         # of strings and arrays that one evaluation makes
    MAX_WORK = 20000            # parts of the tree, elements and blocks of 16 bytes that one evaluation looks at
    MAX_VARIABLES = 64          # those that a run begins with included

cdef enum Kind:
    NIL = 0
    BOOL = 1
    INT = 2
    FLOAT = 3
    STRING = 4
    ARRAY = 5
    MAP = 6                     # size pairs: a key, which is a string, and a value

cdef extern from *:
    """
    #include <stdint.h>
    #ifndef FASTDNS_EXPR_VALUE
    #define FASTDNS_EXPR_VALUE
    typedef struct fde_value {
        uint8_t kind;
        uint32_t size;
        union {
            int64_t number;
            double real;
            const uint8_t *text;
            const struct fde_value *items;
        };
    } fde_value;
    #endif
    """
    # 16 bytes: which one of the last four it has, kind says.
    ctypedef struct Value "fde_value":
        uint8_t kind
        uint32_t size           # bytes, elements or pairs
        int64_t number          # of INT and BOOL
        double real             # of FLOAT
        const uint8_t* text     # of STRING
        const Value* items      # of ARRAY and MAP

cdef struct Run:
    Context* ctx                # NULL: of constants only
    bint failed
    bint broken                 # a ?. has met nil: the chain around it is nil
    uint32_t work_left
    uint32_t used               # of the arena
    const Value* texts          # of plugins' values, by number; NULL: they are read from the query
    Value variables[MAX_VARIABLES]
    uint8_t arena[ARENA_BYTES]

cdef inline Value nil_value() noexcept nogil:
    cdef Value v
    v.kind = NIL
    v.size = 0
    v.number = 0
    return v

cdef inline Value bool_value(bint b) noexcept nogil:
    cdef Value v = nil_value()
    v.kind = BOOL
    v.number = b
    return v

cdef inline Value int_value(int64_t i) noexcept nogil:
    cdef Value v = nil_value()
    v.kind = INT
    v.number = i
    return v

cdef inline Value float_value(double f) noexcept nogil:
    cdef Value v = nil_value()
    v.kind = FLOAT
    v.real = f
    return v

cdef inline Value string_value(const uint8_t* text, uint32_t size) noexcept nogil:
    cdef Value v = nil_value()
    v.kind = STRING
    v.text = text
    v.size = size
    return v

cdef inline Value array_value(const Value* items, uint32_t size) noexcept nogil:
    cdef Value v = nil_value()
    v.kind = ARRAY
    v.items = items
    v.size = size
    return v

cdef inline Value fail(Run* run) noexcept nogil:
    run.failed = True
    return nil_value()

# Whether so much more may be looked at; else the run has failed.
cdef inline bint may_work(Run* run, uint32_t units) noexcept nogil:
    if run.work_left < units:
        run.work_left = 0
        run.failed = True
        return False
    run.work_left -= units
    return True

# The same for the bytes of texts.
cdef inline bint may_read(Run* run, uint32_t size) noexcept nogil:
    return may_work(run, 1 + (size >> 4))

# size bytes of the arena, aligned for a Value; NULL where they are used up: then the run has failed.
cdef inline uint8_t* take(Run* run, uint64_t size) noexcept nogil:
    cdef uint8_t* at
    size = (size + 15) & ~<uint64_t>15
    if run.failed or size > ARENA_BYTES - run.used:
        run.failed = True
        return NULL
    at = run.arena + run.used
    run.used += <uint32_t>size
    return at

cdef inline Value* take_items(Run* run, uint64_t count) noexcept nogil:
    if count > ARENA_BYTES // sizeof(Value):
        run.failed = True
        return NULL
    return <Value*>take(run, count * sizeof(Value))

cdef inline bint is_number(const Value* v) noexcept nogil:
    return v.kind == INT or v.kind == FLOAT

cdef inline double real_of(const Value* v) noexcept nogil:
    return v.real if v.kind == FLOAT else <double>v.number

# Numbers by value, texts by bytes, arrays and maps by what is in them; other kinds are different.
cdef bint equal(Run* run, const Value* a, const Value* b) noexcept nogil
# Below 0, 0 or above. It fails for what has no order.
cdef int compare(Run* run, const Value* a, const Value* b) noexcept nogil
# Whether an array has an element, or a map a key.
cdef bint contains_value(Run* run, const Value* needle, const Value* stack) noexcept nogil
# The value of a key; NULL where there is none.
cdef const Value* find_key(Run* run, const Value* map, const Value* key) noexcept nogil
# Go's int() of a number.
cdef int64_t to_int(Run* run, const Value* v) noexcept nogil
# Go's fmt.Sprint of any value: a string.
cdef Value to_text(Run* run, const Value* v) noexcept nogil
# As strconv.FormatFloat(f, format, -1, 64): as few digits as tell the number apart. format: g or f. Returns the
# length; room for 400 bytes.
cdef uint32_t put_float(uint8_t* out, double f, uint8_t format) noexcept nogil
