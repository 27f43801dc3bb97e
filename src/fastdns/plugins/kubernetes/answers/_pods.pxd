from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastdns.serve._context cimport Context
from fastdns.plugins.kubernetes.answers._request cimport Conf, Found, Request

# The namespace, a label, of the pods that have an address; NULL: there are none, or they are of several. It is good
# until the reply is written. Pods are known where they are verified.
cdef const uint8_t* namespace_at(const Context* ctx, const Conf* conf, const uint8_t* address,
                                 uint32_t size) noexcept nogil

# One of the texts that are kept of the pod that has an address: its length; 0: there is none, or the address is of
# several pods. It is good until the reply is written.
cdef uint32_t description_at(const Context* ctx, const Conf* conf, const uint8_t* address, uint32_t size,
                             uint32_t number, const uint8_t** text) noexcept nogil

cdef Found answer_pod(Context* ctx, const Conf* conf, Request* r, uint16_t qtype) noexcept nogil
