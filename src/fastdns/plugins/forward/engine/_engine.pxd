"""The engine of one serving thread, put together: see the package's docstring."""

from libc.stdint cimport uint32_t
from fastdns.metrics._stats cimport Stats
from fastdns.plugins.forward.engine._shared cimport Upstreams
from fastdns.plugins.forward.engine._state cimport Engine
from fastdns.plugins.forward.engine._streams cimport StreamRings
from fastdns.serve._suspend cimport NativeService
from fastdns.serve._worker cimport Worker


cdef class ForwardEngine(NativeService):
    cdef Engine engine
    cdef readonly Stats stats
    cdef readonly StreamRings streams
    cdef Upstreams shared
    cdef Worker worker
    cdef int take_upstream(self, uint32_t number, tuple given) except -1
