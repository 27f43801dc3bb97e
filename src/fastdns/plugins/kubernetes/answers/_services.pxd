from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastdns.memory._store cimport Record
from fastdns.serve._context cimport Context
from fastdns.plugins.kubernetes.answers._request cimport Alias, Conf, Found, Request

# What a service is reached at beside its endpoints.
cdef struct Fixed:
    const uint8_t* ip4
    const uint8_t* ip6
    const uint8_t* names        # wire form, one after the other: targets of SRV records
    uint32_t ip4_count
    uint32_t ip6_count
    uint32_t name_count
    uint32_t names_len

# What the labels left of SVC.NS mean. False where they mean nothing.
cdef bint read_shape(const Conf* conf, Request* r) noexcept nogil

# Records of fixed addresses and names: A, AAAA, or SRV with the addresses of its targets. Returns how many ports of
# the service match.
cdef uint32_t answer_fixed(Context* ctx, const Conf* conf, const Request* r, const Record* record, uint16_t qtype,
                           const Fixed* fixed) noexcept nogil

# Records of a service's endpoints. 0 where it has none that the question is about.
cdef uint64_t answer_endpoints(Context* ctx, const Conf* conf, const Request* r, const Record* record,
                               uint16_t qtype, bint any_zone, Alias* alias) noexcept nogil

# A name of at least three labels that ends in svc. alias gets the target of an ExternalName or FQDN slice.
cdef Found answer_service(Context* ctx, const Conf* conf, Request* r, uint16_t qtype,
                          Alias* alias) noexcept nogil
