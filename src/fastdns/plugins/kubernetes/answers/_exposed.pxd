"""Where Services are reached from outside of the cluster: SVC.NS.ZONE, where ZONE is outside (see Zone)."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

from fastdns.serve._context cimport Context
from fastdns._wire cimport Section as ReplySection
from fastdns.plugins.kubernetes.answers._request cimport Alias, Conf, Found, Request
from fastdns.plugins.kubernetes.answers._services cimport Fixed

# A name left of the zone. headless: a Service without addresses of its own has those of its endpoints, and so has
# the name of an endpoint. alias gets the name that stands in place of addresses; fixed has the names that SRV
# records point to.
cdef Found answer_exposed(Context* ctx, const Conf* conf, Request* r, uint16_t qtype, bint headless, Alias* alias,
                          Fixed* fixed) noexcept nogil

# PTR records of the Services that are exposed at an address, in the primary zone. show: add them.
cdef Found answer_exposed_reverse(Context* ctx, const Conf* conf, const Request* r, const uint8_t* address,
                                  uint32_t size, bint show) noexcept nogil

# The addresses of the zone's nameserver, whose name is owner: at which the Services are exposed that have this host
# among their endpoints; where there are none, this host's. qtype 0: of both families.
cdef void add_exposed_nameservers(Context* ctx, const Conf* conf, ReplySection* section, const uint8_t* owner,
                                  uint16_t owner_len, uint16_t qtype, bint headless) noexcept nogil
