"""Compiled expressions for native filters and steps.

    at build      program = Program(text)
                  program.bind([value_of(name, block, runtime) for name in program.values])
    in a query    is_true(ctx, &program.code)

Several programs may have one run, each with the values of those before as its variables:

    at build      Program(text, variables=[(name, type), …])
    in a query    begin_run(ctx, &run)
                  run.variables[i] = …
                  evaluate_next(&program.code, &run, &value)

It does not take the GIL, allocate or lock; all threads may use one program at once. The work and the memory of one
evaluation are bounded (_value.pxd). It has up to 64 KiB on the stack.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from fastdns.expr._value cimport Run, Value
from fastdns.serve._context cimport Context

# A part of the tree. What number, count and extra mean depends on the operation.
cdef struct Node:
    uint8_t operation
    uint16_t number
    uint32_t count              # of children
    uint32_t* children          # their places in the code
    Value value                 # of a constant
    const void* extra           # const Pattern*, Prefix* or const BlockValue's Value*

cdef struct Code:
    uint32_t root
    Node* nodes

# Evaluate for a query. False where it fails: then there is no value. The run must be kept as long as the value.
cdef bint evaluate(Context* ctx, const Code* code, Run* run, Value* value) noexcept nogil

# The same in a run that goes on: arena and work are for all of its programs together. After a failure nothing
# else is evaluated.
cdef void begin_run(Context* ctx, Run* run) noexcept nogil
cdef bint evaluate_next(const Code* code, Run* run, Value* value) noexcept nogil

# Whether it evaluates to true, and to nothing else.
cdef bint is_true(Context* ctx, const Code* code) noexcept nogil

# For Python: None, bool, int, float, str, list or dict.
cdef object to_python(const Value* value)
# The same the other way. keep: gets what the value refers to.
cdef int from_python(list keep, Value* value, constant) except -1


cdef class Program:
    cdef Code code
    cdef uint32_t count
    cdef readonly str text
    cdef readonly tuple values
    cdef readonly list warnings
    cdef readonly object type
    cdef dict places
    cdef list keep
    cdef uint32_t add(self, node, list names) except? 0xFFFFFFFF
    cdef int add_children(self, uint32_t place, list nodes, list names) except -1
    cdef int fill(self, uint32_t place, node, list names) except -1
