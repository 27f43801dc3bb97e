from libc.stdint cimport uint16_t

from fastdns.serve._context cimport Context
from fastdns.plugins.kubernetes.answers._request cimport Conf, Request

cdef bint is_nameserver_name(const Request* r) noexcept nogil
cdef void answer_nameservers(Context* ctx, const Conf* conf, const Request* r, uint16_t qtype) noexcept nogil
