"""The filter of a view, and its name as a value."""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from fastdns.expr._program cimport Code, Program, is_true
from fastdns.serve._context cimport Context
from fastdns.serve._values cimport NativeValue
from fastdns.serve._zones cimport NativeFilter

cdef struct Conf:
    uint32_t count
    const Code** codes


cdef bint accepts(Context* ctx, const void* opaque) noexcept nogil:
    """Whether all expressions are true. One that fails is not."""
    cdef const Conf* conf = <const Conf*>opaque
    cdef uint32_t i
    for i in range(conf.count):
        if not is_true(ctx, conf.codes[i]):
            return False
    return True


cdef class ViewFilter(NativeFilter):
    """programs: each with its values bound."""
    cdef Conf conf
    cdef list programs

    def __init__(self, programs):
        cdef uint32_t i
        self.programs = list(programs)
        self.conf.codes = <const Code**>calloc(len(self.programs) + 1, sizeof(Code*))
        if self.conf.codes == NULL:
            raise MemoryError
        for i in range(<uint32_t>len(self.programs)):
            self.conf.codes[i] = &(<Program?>self.programs[i]).code
        self.conf.count = len(self.programs)
        self.filter.accepts = accepts
        self.filter.conf = &self.conf

    def __dealloc__(self):
        free(self.conf.codes)


cdef struct Name:
    const uint8_t* text
    uint32_t length


cdef uint32_t put_name(Context* ctx, const void* opaque, uint8_t* out, uint32_t room) noexcept nogil:
    cdef const Name* name = <const Name*>opaque
    if name.length > room:
        return 0
    memcpy(out, name.text, name.length)
    return name.length


cdef class ViewName(NativeValue):
    """The value view/name."""
    cdef Name name
    cdef bytes kept

    def __init__(self, bytes name not None):
        self.kept = name
        self.name.text = <const uint8_t*>self.kept
        self.name.length = len(name)
        self.value.compute = put_name
        self.value.conf = &self.name
