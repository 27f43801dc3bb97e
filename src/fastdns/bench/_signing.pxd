"""TSIG records at the ends of queries (RFC 8945), as clients make them."""

from libc.stdint cimport uint8_t, uint32_t

from fastdns.bench._openssl cimport OpenSsl

cdef struct Signer:
    const OpenSsl* ssl
    void* hmac                  # with the key
    const uint8_t* record       # the TSIG record; time, MAC and original ID are filled in
    uint8_t* variables          # what is signed behind a message (RFC 8945 section 4.3.3); its time is filled in
    uint32_t record_bytes
    uint32_t variables_bytes
    uint32_t record_time_at
    uint32_t variables_time_at
    uint32_t mac_at
    uint32_t mac_bytes


cdef class TsigSigner:
    """Owns a Signer."""

    cdef Signer signer
    cdef bytes record
    cdef bytearray variables


cdef uint32_t sign(const Signer* signer, uint8_t* message, uint32_t size) noexcept nogil
