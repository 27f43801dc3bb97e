"""Signs queries at the moment when they are sent: RFC 8945 sections 4.2, 4.3 and 5.1."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastdns.bench._openssl cimport openssl

from fastdns.bench.errors import BenchError

cdef extern from "time.h" nogil:
    long time(long* at)

cdef enum:
    TSIG = 250
    ANY = 255
    TIME_BYTES = 6
    FUDGE_S = 300               # RFC 8945 section 10 recommends it; dnsperf has it as well
    FIXED_BYTES = 10            # type, class, TTL, length


cdef class TsigSigner:
    """key: a TsigKey. Raises BenchError if this OpenSSL does not offer its algorithm."""

    def __cinit__(self, key not None):
        cdef Signer* s = &self.signer
        cdef bytes digest = key.digest.encode()
        cdef bytes secret = key.secret
        cdef const void* kind
        s.ssl = openssl()
        s.hmac = s.ssl.HMAC_CTX_new()
        if s.hmac == NULL:
            raise MemoryError
        kind = s.ssl.EVP_get_digestbyname(digest)
        if kind == NULL or s.ssl.HMAC_Init_ex(s.hmac, <const char*>secret, len(secret), kind, NULL) != 1:
            raise BenchError(f"-y: {key.algorithm} is not offered by OpenSSL here")
        s.mac_bytes = key.mac_bytes
        times = bytes(TIME_BYTES) + FUDGE_S.to_bytes(2, "big")
        mac = s.mac_bytes.to_bytes(2, "big") + bytes(s.mac_bytes)
        # Original ID, no error, no other data.
        data = key.algorithm_name + times + mac + bytes(6)
        self.record = (key.name + TSIG.to_bytes(2, "big") + ANY.to_bytes(2, "big") + bytes(4)
                       + len(data).to_bytes(2, "big") + data)
        self.variables = bytearray(
            key.name + ANY.to_bytes(2, "big") + bytes(4) + key.algorithm_name + times + bytes(4))
        s.record = <const uint8_t*><const char*>self.record
        s.variables = <uint8_t*><char*>self.variables
        s.record_bytes = len(self.record)
        s.variables_bytes = len(self.variables)
        s.record_time_at = len(key.name) + FIXED_BYTES + len(key.algorithm_name)
        s.variables_time_at = len(key.name) + 2 + 4 + len(key.algorithm_name)
        s.mac_at = s.record_time_at + len(times) + 2

    def __dealloc__(self):
        if self.signer.hmac != NULL:
            self.signer.ssl.HMAC_CTX_free(self.signer.hmac)

    def signed(self, bytes message not None):
        """A message with its TSIG record, signed now."""
        cdef bytearray made = bytearray(message) + bytearray(self.signer.record_bytes)
        cdef uint32_t size = sign(&self.signer, <uint8_t*><char*>made, len(message))
        return bytes(made[:size])


cdef void put_time(uint8_t* out, uint64_t time_s) noexcept nogil:
    cdef int i
    for i in range(TIME_BYTES):
        out[i] = (time_s >> (8 * (TIME_BYTES - 1 - i))) & 0xFF


cdef uint32_t sign(const Signer* signer, uint8_t* message, uint32_t size) noexcept nogil:
    """Put a TSIG record behind a message of at least a header, which has its ID. Returns the new size.

    There has to be room for signer.record_bytes more.
    """
    cdef uint8_t* record = message + size
    cdef uint64_t now_s = <uint64_t>time(NULL)
    cdef uint32_t additional = ((<uint32_t>message[10] << 8) | message[11]) + 1
    cdef unsigned int mac_bytes = 0
    put_time(signer.variables + signer.variables_time_at, now_s)
    memcpy(record, signer.record, signer.record_bytes)
    put_time(record + signer.record_time_at, now_s)
    # With no key and no digest it starts anew with the ones that it has.
    signer.ssl.HMAC_Init_ex(signer.hmac, NULL, 0, NULL, NULL)
    signer.ssl.HMAC_Update(signer.hmac, message, size)
    signer.ssl.HMAC_Update(signer.hmac, signer.variables, signer.variables_bytes)
    signer.ssl.HMAC_Final(signer.hmac, record + signer.mac_at, &mac_bytes)
    record[signer.mac_at + signer.mac_bytes] = message[0]
    record[signer.mac_at + signer.mac_bytes + 1] = message[1]
    message[10] = (additional >> 8) & 0xFF
    message[11] = additional & 0xFF
    return size + signer.record_bytes
