from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastdns.memory._store cimport Record
from fastdns.serve._context cimport Context
from fastdns.plugins.kubernetes.answers._request cimport Conf, Request, Seen

# The Services that have one of this host's addresses among their endpoints, one after the other.
cdef struct OwnServices:
    const uint8_t* local        # the address: its length, then its bytes
    const Record* record        # the references of this address
    uint32_t next               # of these
    uint32_t next_local

cdef inline void start_own_services(OwnServices* own) noexcept nogil:
    own.local = NULL
    own.record = NULL
    own.next = 0
    own.next_local = 0

# NULL: there are no more, or the work has reached its bound.
cdef const Record* next_own_service(Context* ctx, const Conf* conf, OwnServices* own, Seen* seen) noexcept nogil

cdef bint is_nameserver_name(const Request* r) noexcept nogil
cdef void answer_nameservers(Context* ctx, const Conf* conf, const Request* r, uint16_t qtype) noexcept nogil
