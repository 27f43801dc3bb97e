"""What the services that tests play have in common: nothing is sent, nothing arrives, and time does nothing."""

from libc.stdint cimport uint32_t, uint64_t
from fastdns.serve._suspend cimport Service

cdef inline void nothing(void* state) noexcept nogil:
    pass

cdef inline void no_event(void* state, uint32_t tag) noexcept nogil:
    pass

cdef inline void no_time(void* state, uint64_t now_ns) noexcept nogil:
    pass

cdef inline int as_long(void* state, int limit_ms) noexcept nogil:
    return limit_ms

# All of the table but suspend.
cdef inline void make_idle(Service* service, void* state) noexcept nogil:
    service.state = state
    service.flush = nothing
    service.on_event = no_event
    service.on_time = no_time
    service.wait_ms = as_long
    service.give_up = nothing
