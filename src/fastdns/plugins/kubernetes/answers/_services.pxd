from libc.stdint cimport uint16_t

from fastdns.serve._context cimport Context
from fastdns.plugins.kubernetes.answers._request cimport Alias, Conf, Found, Request

# What the labels left of SVC.NS.svc mean. False where they mean nothing.
cdef bint read_shape(const Conf* conf, Request* r) noexcept nogil
cdef Found answer_service(Context* ctx, const Conf* conf, Request* r, uint16_t qtype,
                          Alias* alias) noexcept nogil
