"""The search path of a client: which suffixes its resolver puts behind names, in order (resolv.conf(5)).

A plugin that knows it provides a NativeSearch (Plugin.search), for plugins that complete names in place of the
client.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from fastdns.serve._context cimport Context

cdef enum:
    # Kubernetes takes 32 domains of a pod; three of a cluster and the root come with these.
    MAX_SUFFIXES = 40

# Lowercased wire names, good until the reply is written. The last one is the root: the name as it was given.
cdef struct SearchPath:
    uint32_t count
    uint16_t lengths[MAX_SUFFIXES]
    const uint8_t* names[MAX_SUFFIXES]

# The path of ctx.client for a question like ctx.q. False: it is not known.
ctypedef bint (*search_fn)(Context* ctx, const void* conf, SearchPath* path) noexcept nogil

cdef struct Search:
    search_fn find
    const void* conf

# False where the path is full.
cdef inline bint add_suffix(SearchPath* path, const uint8_t* name, uint16_t length) noexcept nogil:
    if path.count == MAX_SUFFIXES:
        return False
    path.names[path.count] = name
    path.lengths[path.count] = length
    path.count += 1
    return True


cdef class NativeSearch:
    """A subclass sets find and conf, and keeps what conf points to."""
    cdef Search search
