"""TLS of a lane: OpenSSL on the lane's socket, which does not block."""

from libc.stdint cimport uint32_t

from fastdns.bench._lanes cimport Lane
from fastdns.bench._openssl cimport OpenSsl

cdef enum:
    SHAKEN = 0
    WANTS_READ = 1
    WANTS_WRITE = 2
    FAILED = 3

# What read_tls and write_tls return besides a number of bytes; 0 is the end of a connection.
cdef enum:
    NOT_NOW = -1
    BROKEN = -2

cdef enum:
    WHY_BYTES = 160

cdef struct Tls:
    const OpenSsl* ssl
    void* context
    const char* sent_name       # NULL: none
    const char* verified_name   # of the certificate; NULL: nothing is verified
    bint verified_is_address
    const char* must_select     # the protocol that the server has to select by ALPN; NULL: none
    bint resumes
    char why[WHY_BYTES]         # the last handshake that failed


cdef class TlsClient:
    """Owns what all lanes of a process share."""

    cdef Tls tls
    cdef bytes name
    cdef bytes protocol
    cdef int _load(self, options) except -1
    cdef object _refused(self, path, str expected)


cdef int begin_tls(Tls* t, Lane* lane) noexcept nogil
cdef int shake_hands(Tls* t, Lane* lane) noexcept nogil
cdef void end_tls(Tls* t, Lane* lane) noexcept nogil
cdef void free_tls(Tls* t, Lane* lane) noexcept nogil
cdef ssize_t read_tls(Tls* t, Lane* lane, void* room, uint32_t size) noexcept nogil
cdef ssize_t write_tls(Tls* t, Lane* lane, const void* data, uint32_t size) noexcept nogil
