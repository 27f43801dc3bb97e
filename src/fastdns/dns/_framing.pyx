"""The framing of DNS messages on a stream: two bytes of length, then as many bytes of message.

RFC 1035 section 4.2.2 for TCP, RFC 7858 section 3.3 for TLS, RFC 9250 section 4.2 for QUIC. Connections of clients
and connections to upstreams share it. It is native for its speed alone: these are a few calls for each query.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from fastdns.dns cimport _numbers

MAX_MESSAGE_BYTES = _numbers.MAX_MESSAGE_BYTES

cdef Py_ssize_t size_of(bytes message) except -1:
    cdef Py_ssize_t size = PyBytes_GET_SIZE(message)
    if size > _numbers.MAX_MESSAGE_BYTES:
        raise ValueError(f"a message of at most {_numbers.MAX_MESSAGE_BYTES} bytes expected, got {size}")
    return size


cdef inline void put(uint8_t* out, bytes message, Py_ssize_t size) noexcept:
    """Write a message of size bytes, with its length before it."""
    out[0] = size >> 8
    out[1] = size & 0xFF
    memcpy(out + LENGTH_BYTES, PyBytes_AS_STRING(message), size)


def message_at(bytearray data not None, Py_ssize_t at):
    """The message whose length stands at ``at``; None where it is not whole. The next one is at + 2 + its length.

    Raises IndexError for a place outside of data.
    """
    cdef const uint8_t* first = <const uint8_t*>PyByteArray_AS_STRING(data)
    cdef Py_ssize_t size = PyByteArray_GET_SIZE(data)
    cdef Py_ssize_t end
    if not 0 <= at <= size:
        raise IndexError(f"a place from 0 to {size} expected, got {at}")
    end = end_of(first, size, at)
    if end < 0:
        return None
    return PyBytes_FromStringAndSize(<const char*>first + at + LENGTH_BYTES, end - at - LENGTH_BYTES)


def count_messages(bytearray data not None):
    """How many whole messages data begins with."""
    cdef const uint8_t* first = <const uint8_t*>PyByteArray_AS_STRING(data)
    cdef Py_ssize_t at = 0
    cdef Py_ssize_t count = 0
    while (at := end_of(first, PyByteArray_GET_SIZE(data), at)) >= 0:
        count += 1
    return count


def framed(bytes message not None):
    """A message as it stands on a stream. Raises ValueError for one of more than MAX_MESSAGE_BYTES."""
    cdef Py_ssize_t size = size_of(message)
    cdef bytes out = PyBytes_FromStringAndSize(NULL, LENGTH_BYTES + size)
    put(<uint8_t*>PyBytes_AS_STRING(out), message, size)
    return out


def append_framed(bytearray out not None, bytes message not None):
    """The same at the end of out."""
    cdef Py_ssize_t before = PyByteArray_GET_SIZE(out)
    cdef Py_ssize_t size = size_of(message)
    PyByteArray_Resize(out, before + LENGTH_BYTES + size)
    put(<uint8_t*>PyByteArray_AS_STRING(out) + before, message, size)
