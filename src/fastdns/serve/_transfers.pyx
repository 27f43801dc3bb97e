"""Zones that others may transfer: see _transfers.pxd."""


cdef class NativeTransfer:
    pass
