"""Values: what plugins know of a query, as texts with names, computed only where somebody reads them.

    at build      value = value_of(NAME, block, runtime)        of plugins/values.py; who reads it keeps the object
                  conf.value = &value.value
    in a query    length = read_value(ctx, conf.value, &text)   0: there is no value

A value is computed at most once for a question, and then kept for it. An empty one is not kept: what a later step
finds out may be read by the steps above it. A question that a step asks inside a query has values of its own, and a
resumed query computes them again.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from fastdns.serve._context cimport Context

cdef enum:
    MAX_VALUE_BYTES = 1024

# Write the value for the question ctx.q: room bytes at most, which is MAX_VALUE_BYTES. Returns its length, 0: there
# is none. A filter may read it, so it cannot count on any step to have run.
ctypedef uint32_t (*compute_fn)(Context* ctx, const void* conf, uint8_t* out, uint32_t room) noexcept nogil

cdef struct ValueZone:
    const uint8_t* name             # lowercased wire form
    uint16_t name_len

cdef struct Value:
    compute_fn compute              # NULL: nobody provides it
    const void* conf
    bint everywhere                 # found out while a query is served: readable in the names of all zones
    uint32_t zone_count
    ValueZone* zones                # the names of which it may be read

# The text is good until the reply to the question is written.
cdef uint32_t read_value(Context* ctx, const Value* value, const uint8_t** text) noexcept nogil


cdef class NativeValue:
    """A plugin's value: a subclass sets compute and conf, perhaps everywhere, and keeps what conf points to."""
    cdef Value value


cdef class BlockValue:
    """A value as it is read in one block. provided: None where no plugin of the block provides it."""
    cdef Value value
    cdef readonly NativeValue provided
    cdef list names
