"""How the records of a cluster stand in the body of a snapshot file, one after the other:

    key length u32 | payload length u32 | key without the source's number | pad to 8 | payload | pad to 8

These are Services, ServiceImports, namespaces and pods. The records by address follow from them, and hold
references to one store: they are made anew.
"""

from libc.stdint cimport uint32_t, uint64_t

cdef packed struct Entry:
    uint32_t key_len
    uint32_t payload_len


cdef inline uint64_t padded(uint64_t size) noexcept nogil:
    return (size + 7) & ~<uint64_t>7
