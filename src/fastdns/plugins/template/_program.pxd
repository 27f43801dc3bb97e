"""A record's template as a native program: see program.py for its instructions.

It runs without the GIL, on the stack of the thread: the text that it prints and the strings that it makes have
MAX_TEXT_BYTES each, and it takes MAX_STEPS instructions. What exceeds a bound fails, as what fails in Go does.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from fastdns.plugins.template._printing cimport Data, Key, Piece, Value

cdef enum:
    MAX_TEXT_BYTES = 16384      # as limits.py
    MAX_STEPS = 20000
    MAX_PLACES = 64             # as program.py
    MAX_STACK = 256

# As program.py.
cdef enum Operation:
    TEXT
    PUSH
    FIELD
    GROUP
    NAMED
    META
    VARIABLE
    LOAD
    STORE
    DROP
    PRINT
    INDEX
    SLICE
    LEN
    NOT
    EQ
    NE
    LT
    LE
    GT
    GE
    JUMP
    UNLESS
    KEEP_TRUE
    KEEP_FALSE
    ITERATE
    NEXT
    ONE_VARIABLE
    SPRINT
    SPRINTLN
    SPRINTF
    PARSE_INT
    FAIL

cdef struct Instruction:
    uint16_t operation
    uint16_t small
    uint32_t large

cdef struct Program:
    Instruction* instructions
    uint32_t count
    Value* constants
    Key* names                  # texts only
    Piece** formats

# Run a program: out gets up to MAX_TEXT_BYTES, size how many. False where it fails.
cdef bint execute(const Program* program, const Data* data, uint8_t* out, uint32_t* size) noexcept nogil


cdef class NativeProgram:
    """code: instructions. constants: bytes, int or bool each. names: of keys. formats: pieces of each."""
    cdef Program program
    cdef list keep
