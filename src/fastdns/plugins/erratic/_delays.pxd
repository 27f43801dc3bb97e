"""Queries that wait for a time: one service for each serving thread.

Each has a place, with a timer, and its message in a block of bounded memory. When its time has come it is served
again; so it is when there is a stale answer to give, or no more time for any, and nobody waits for it then.
"""

from libc.stdint cimport uint32_t, uint64_t
from fastdns.memory._slabs cimport Slabs
from fastdns.memory._wheel cimport Timer, Wheel
from fastdns.serve._suspend cimport NativeService, Service, Suspended, resume_fn

# What a step gives to suspend: how long it is. A query that is served again finds it as the asker of its reply.
cdef struct Delay:
    uint64_t ns

cdef struct Place:
    uint32_t next_free
    Timer timer
    Suspended* query                # a block; NULL: the place is free
    uint64_t due_ns

cdef struct Delays:
    Service service
    Slabs memory
    Place* places
    uint32_t room                   # places
    uint32_t used                   # places ever used
    uint32_t free                   # list through next_free of those that were given back
    bint closed                     # nobody waits any more
    Wheel wheel
    resume_fn resume
    void* owner


cdef class DelayService(NativeService):
    cdef Delays delays
