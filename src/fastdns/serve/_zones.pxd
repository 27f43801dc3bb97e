"""The zones of a listener: which block a question belongs to, and the chain of steps that answers it.

The longest zone that holds the name comes first. Several blocks may have the same zone: of these the first one
whose filter takes the question answers it. Where none does, the next shorter zone is tried.

A filter sees the question, the client, the transport, the server's address (_arrival.pxd) and values (_values.pxd).
For a question that a step asks inside a query, the block is chosen by that question and the client of the query. A
resumed query stays in the block that it was suspended in, whatever its filter would say by then.
"""

from libc.stdint cimport uint32_t
from fastdns.serve._context cimport Chain, Context, Filter, Server, Step, ZoneEntry
from fastdns._wire cimport Query

# The block for a question. NULL: none takes it. ctx.q must be q; of a server without filters ctx may be NULL.
cdef const ZoneEntry* select_zone(Context* ctx, const Server* server, const Query* q) noexcept nogil


cdef class NativeStep:
    """A plugin's step: a subclass sets before, after and conf, and keeps what conf points to."""
    cdef Step step


cdef class NativeFilter:
    """A block's filter: a subclass sets accepts and conf, and keeps what conf points to."""
    cdef Filter filter


cdef class ServerTable:
    """The zones of one listener and their chains, built from Python, used without the GIL."""
    cdef Server server
    cdef Chain* chains
    cdef readonly unsigned int most_ahead     # steps of one chain that fetch ahead
    cdef unsigned int chain_count
    cdef readonly uint32_t zone_room        # how many zones must have counters
    cdef list keep
    cdef int make_index(self) except -1
    cdef uint32_t slot(self, given) except? 0xFFFFFFFF
    cdef int build(self, Chain* chain, list steps) except -1
