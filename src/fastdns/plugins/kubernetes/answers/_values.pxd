from libc.stdint cimport uint8_t, uint32_t

from fastdns.serve._context cimport Context
from fastdns.plugins.kubernetes.answers._request cimport Conf

cdef enum Part:
    KIND = 0
    NAMESPACE = 1
    SERVICE = 2
    ENDPOINT = 3
    PORT_NAME = 4
    PROTOCOL = 5
    CLUSTER = 6
    ZONE = 7
    PARSE_ERROR = 8

cdef struct Asked:
    const Conf* conf
    Part part

# Write a part of the question's name; there is room for a name as text. Returns its length, 0: there is none.
cdef uint32_t put_part(const Context* ctx, const Conf* conf, Part part, uint8_t* out) noexcept nogil
