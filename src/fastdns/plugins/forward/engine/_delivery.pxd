"""An outstanding query ends: its waiters are resumed with what it has come to.

A reply that many wait for is given to RESUMED_AT_ONCE of them in each iteration of the thread, so that names of the
cluster do not wait until all have it. Meanwhile the reply is kept, in memory outside of the engine's.
"""

from libc.stdint cimport uint8_t, uint32_t
from fastdns.plugins.forward.engine._state cimport Engine, Outstanding

cdef enum:
    RESUMED_AT_ONCE = 256

# End with a reply. msg NULL: with the best one that was kept, or with the error that there was.
cdef void end_with(Engine* e, uint32_t place, const uint8_t* msg, uint32_t size) noexcept nogil
cdef void end_without(Engine* e, uint32_t place) noexcept nogil
# Resume some of the waiters that are left of the query that has ended first.
cdef void resume_more(Engine* e) noexcept nogil
# Resume those that have a stale answer and have waited long enough. The query goes on without them.
cdef void resume_stale(Engine* e, Outstanding* o) noexcept nogil
# Resume everybody, with what there is; nobody is suspended any more.
cdef void give_up_all(Engine* e) noexcept nogil
