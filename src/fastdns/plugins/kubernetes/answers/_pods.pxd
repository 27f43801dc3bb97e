from libc.stdint cimport uint16_t

from fastdns.serve._context cimport Context
from fastdns.plugins.kubernetes.answers._request cimport Conf, Found, Request

cdef Found answer_pod(Context* ctx, const Conf* conf, Request* r, uint16_t qtype) noexcept nogil
