"""The parameters of a service in SVCB and HTTPS records (RFC 9460)."""

from fastdns.plugins.template._words cimport Reader, Written

# All that stands up to the end, by ascending key; False: something is wrong, or there is no room.
cdef bint put_parameters(Reader* r, Written* out) noexcept nogil
