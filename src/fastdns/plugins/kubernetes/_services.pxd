from libc.stdint cimport uint16_t

from fastdns._chain cimport Context
from fastdns._store cimport Record
from fastdns.plugins.kubernetes._request cimport Conf, Found, Request

cdef Found answer_service(Context* ctx, const Conf* conf, Request* r, uint16_t qtype,
                          const Record** external) noexcept nogil
