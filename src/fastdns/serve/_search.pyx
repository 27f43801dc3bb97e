"""The search path of a client: see _search.pxd."""


cdef class NativeSearch:
    pass
