"""The search path of a client: see _search.pxd."""

from fastdns.serve._context cimport Context


cdef class NativeSearch:
    pass


cdef bint find_fixed(Context* ctx, const void* conf, SearchPath* path) noexcept nogil:
    path[0] = (<const SearchPath*>conf)[0]
    return True


cdef class FixedSearch(NativeSearch):
    """The same search path for every client: these domains, as lowercased wire names, and the root."""
    cdef SearchPath path
    cdef tuple names

    def __init__(self, tuple names not None):
        if len(names) >= MAX_SUFFIXES:
            raise ValueError("the search list is too long")
        self.names = names
        for name in names:
            add_suffix(&self.path, <bytes>name, len(<bytes>name))
        add_suffix(&self.path, b"\0", 1)
        self.search.find = find_fixed
        self.search.conf = &self.path
