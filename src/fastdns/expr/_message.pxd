"""Expressions over a message, for steps in Python."""

from libc.stdint cimport uint32_t
from fastdns._wire cimport Query
from fastdns.expr._value cimport Run, Value
from fastdns.serve._context cimport Context, Server


cdef class MessageRun:
    cdef Query query
    cdef Context ctx
    cdef Server server
    cdef Run run
    cdef uint32_t variables
    cdef object values
    cdef list keep
    cdef int add_variable(self, const Value* value) except -1
