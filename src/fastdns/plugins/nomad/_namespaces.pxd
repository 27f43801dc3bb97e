"""The namespaces that queries are counted for, by number, in memory that all threads of all workers share.

A thread that finds a service in a namespace that has no number takes the next free one for it, by one
compare-and-swap. Numbers are never given back. There are COUNTED of them; 0 is for all other namespaces.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    COUNTED = 15

cdef struct Namespace:
    uint64_t state              # FREE, TAKEN or KNOWN
    uint8_t label[64]           # in wire form, in lower case

cdef enum:
    FREE = 0
    TAKEN = 1                   # a thread writes the label
    KNOWN = 2

# The number of a namespace, from 1; 0 where it has none. claims: it gets one, if there is one.
cdef uint32_t number_of(Namespace* table, const uint8_t* label, bint claims) noexcept nogil


cdef class Namespaces:
    """The table, made by the supervisor before it forks."""
    cdef Namespace* table
