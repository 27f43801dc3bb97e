"""A layer of a connection: see _layer.pxd."""

from cpython.buffer cimport PyBUF_SIMPLE, Py_buffer, PyBuffer_Release, PyObject_GetBuffer


cdef class Layer:
    """What layers have in common: a layer has the half of it that its place asks for."""

    def data_received(self, data):
        """Take what has come."""
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            self.receive(<const uint8_t*>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)

    cdef int receive(self, const uint8_t* data, Py_ssize_t size) except -1:
        raise NotImplementedError

    cdef bint put(self, const uint8_t* data, Py_ssize_t size) except -1:
        raise NotImplementedError

    cdef bint put_parts(self, const uint8_t* data, const Py_ssize_t* ends, int parts) except -1:
        return self.put(data, ends[parts - 1])

    cdef Py_ssize_t unsent_bytes(self) noexcept:
        return 0

    cdef bint has_turn(self) except -1:
        return True
