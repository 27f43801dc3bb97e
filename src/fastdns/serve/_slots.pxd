"""Where a plugin has what is one thread's: a place in ``ctx.slots`` for each name that asks for one.

    at build      conf.slot = slot_of("NAME")           of the step, in every process alike
    at start      put(worker, slot_of("NAME"), thing)   for each Worker of the thread
    in a query    thing = ctx.slots[conf.slot]          NULL: this thread has none
"""

from libc.stdint cimport uint32_t

cdef enum:
    MAX_SLOTS = 256             # plugins, those of other packages included, that have something for each thread

# The number of a name: the same one each time. Raises ValueError where there are too many names.
cdef uint32_t slot_of(str name) except? MAX_SLOTS
