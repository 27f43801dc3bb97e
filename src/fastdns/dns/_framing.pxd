"""The framing of DNS messages on a stream, where they lie: see _framing.pyx."""

from libc.stdint cimport uint8_t

cdef enum:
    LENGTH_BYTES = 2

# Where the message ends whose length stands at ``at``, which is at most size; -1 where it is not whole.
cdef inline Py_ssize_t end_of(const uint8_t* data, Py_ssize_t size, Py_ssize_t at) noexcept nogil:
    cdef Py_ssize_t end
    if size - at < LENGTH_BYTES:
        return -1
    end = at + LENGTH_BYTES + ((<Py_ssize_t>data[at] << 8) | data[at + 1])
    return end if end <= size else -1
