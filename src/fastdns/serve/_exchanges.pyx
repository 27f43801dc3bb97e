"""Exchanges with other servers: see _exchanges.pxd."""

from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free

from fastdns.serve._values cimport BlockValue


cdef class NativeObserver:
    pass


cdef class BlockObservers:
    """given: NativeObservers. named: the value of the block that names the server of an exchange."""

    def __cinit__(self, list given not None, BlockValue named=None):
        cdef NativeObserver one
        cdef uint32_t i
        self.keep = given
        self.named = named
        if named is not None:
            self.observers.named = &named.value
        self.observers.all = <Observer*>calloc(max(1, len(given)), sizeof(Observer))
        if self.observers.all == NULL:
            raise MemoryError
        for i in range(<uint32_t>len(given)):
            one = given[i]
            self.observers.all[i] = one.observer
        self.observers.count = len(given)

    def __dealloc__(self):
        free(self.observers.all)

    def __len__(self):
        return self.observers.count
