from libc.stdint cimport uint16_t

from fastdns.serve._context cimport Context
from fastdns.plugins.kubernetes.answers._request cimport Alias, Conf, Found, Request

cdef Found answer_service(Context* ctx, const Conf* conf, Request* r, uint16_t qtype,
                          Alias* alias) noexcept nogil
