"""What is due: attempts that expire, silences, deadlines, stale answers, and claims of other threads that ended."""

from libc.stdint cimport uint64_t
from fastdns.plugins.forward.engine._state cimport Engine

cdef void turn_wheel(Engine* e, uint64_t now_ns) noexcept nogil
# Milliseconds until turn_wheel has something to do; limit_ms at most.
cdef int until_turn_ms(const Engine* e, int limit_ms) noexcept nogil
