"""The zones of a listener: which one a question belongs to, and the chain of steps that answers it."""

from fastdns.serve._context cimport Chain, Server, Step, ZoneEntry
from fastdns._wire cimport Query

# The longest zone that holds the qname. NULL: none does.
cdef const ZoneEntry* select_zone(const Server* server, const Query* q) noexcept nogil


cdef class NativeStep:
    """A plugin's step: a subclass sets before, after and conf, and keeps what conf points to."""
    cdef Step step


cdef class ServerTable:
    """The zones of one listener and their chains, built from Python, used without the GIL."""
    cdef Server server
    cdef Chain* chains
    cdef readonly unsigned int most_ahead     # steps of one chain that fetch ahead
    cdef unsigned int chain_count
    cdef list keep
    cdef int build(self, Chain* chain, list steps) except -1
