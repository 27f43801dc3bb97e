from libc.stdint cimport uint8_t, uint32_t

from fastdns.serve._context cimport Context
from fastdns._wire cimport Query
from fastdns.plugins.kubernetes.answers._request cimport Conf, Found, Request

cdef bint is_reverse(const Query* q) noexcept nogil
cdef uint32_t reverse_address(const Query* q, uint8_t* address) noexcept nogil
cdef Found answer_reverse(Context* ctx, const Conf* conf, Request* r, const uint8_t* address,
                          uint32_t size) noexcept nogil
