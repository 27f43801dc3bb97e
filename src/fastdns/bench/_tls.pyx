"""TLS from the client's side, by OpenSSL on sockets that do not block.

OpenSSL reads ahead: one system call brings as many records as have come. A session is kept for each lane, so that
its next connection can resume it (RFC 8446 section 2.2); nothing is sent before a handshake has ended (no 0-RTT).
"""

from libc.stdint cimport uint32_t
from libc.string cimport memcmp, strlen, strncpy

from fastdns.bench._openssl cimport (
    SSL_CTRL_MODE, SSL_CTRL_SET_MIN_PROTO_VERSION, SSL_CTRL_SET_READ_AHEAD, SSL_CTRL_SET_SESS_CACHE_MODE,
    SSL_CTRL_SET_TLSEXT_HOSTNAME, SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE, SSL_ERROR_ZERO_RETURN,
    SSL_FILETYPE_PEM, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER, SSL_MODE_ENABLE_PARTIAL_WRITE, SSL_SESS_CACHE_OFF,
    SSL_VERIFY_PEER, TLS1_2_VERSION, openssl,
)

import os

from fastdns.bench.errors import BenchError

cdef enum:
    TLSEXT_NAMETYPE_HOST_NAME = 0
    X509_V_OK = 0


cdef class TlsClient:
    """options: what the command line says of TLS. protocol: offered by ALPN. Raises BenchError with the file.

    must_select: a connection fails unless the server selects the protocol.
    """

    def __cinit__(self, options not None, str protocol not None, *, bint must_select=False):
        cdef Tls* t = &self.tls
        cdef bytes offered
        t.ssl = openssl()
        self.name = options.name.encode()
        self.protocol = protocol.encode()
        if options.name and not options.name_is_address:
            # An address is never sent (RFC 6066 section 3).
            t.sent_name = self.name
        if options.authorities is not None:
            t.verified_name = self.name
            t.verified_is_address = options.name_is_address
        if must_select:
            t.must_select = self.protocol
        t.resumes = options.resumes
        t.context = t.ssl.SSL_CTX_new(t.ssl.TLS_client_method())
        if t.context == NULL:
            raise MemoryError
        t.ssl.SSL_CTX_ctrl(t.context, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, NULL)
        t.ssl.SSL_CTX_ctrl(t.context, SSL_CTRL_SET_READ_AHEAD, 1, NULL)
        t.ssl.SSL_CTX_ctrl(t.context, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, NULL)
        t.ssl.SSL_CTX_ctrl(
            t.context, SSL_CTRL_MODE, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER, NULL)
        offered = bytes([len(self.protocol)]) + self.protocol
        t.ssl.SSL_CTX_set_alpn_protos(t.context, <const unsigned char*><const char*>offered, len(offered))
        self._load(options)

    def __dealloc__(self):
        if self.tls.context != NULL:
            self.tls.ssl.SSL_CTX_free(self.tls.context)

    cdef int _load(self, options) except -1:
        """Read the files of the options."""
        cdef Tls* t = &self.tls
        cdef bytes path
        for file in (options.authorities, options.certificate, options.key):
            try:
                open(file or os.devnull, "rb").close()
            except OSError as error:
                raise BenchError(f"{file}: {error.strerror}") from None
        t.ssl.ERR_clear_error()
        if options.authorities is not None:
            t.ssl.SSL_CTX_set_verify(t.context, SSL_VERIFY_PEER, NULL)
            path = os.fsencode(options.authorities)
            if t.ssl.SSL_CTX_load_verify_locations(t.context, path, NULL) != 1:
                raise self._refused(options.authorities, "certificates in PEM format")
        if options.certificate is not None:
            path = os.fsencode(options.certificate)
            if t.ssl.SSL_CTX_use_certificate_chain_file(t.context, path) != 1:
                raise self._refused(options.certificate, "a certificate in PEM format")
            path = os.fsencode(options.key)
            if t.ssl.SSL_CTX_use_PrivateKey_file(t.context, path, SSL_FILETYPE_PEM) != 1:
                raise self._refused(options.key, f"the key of {options.certificate}, in PEM format,")
        return 0

    cdef object _refused(self, path, str expected):
        cdef const char* reason = self.tls.ssl.ERR_reason_error_string(self.tls.ssl.ERR_get_error())
        return BenchError(f"{path}: {expected} expected" + (f": {reason.decode()}" if reason != NULL else ""))


cdef int begin_tls(Tls* t, Lane* lane) noexcept nogil:
    """TLS begins on a connection. Returns -1 without memory."""
    lane.tls = t.ssl.SSL_new(t.context)
    if lane.tls == NULL:
        return -1
    t.ssl.SSL_set_fd(lane.tls, lane.fd)
    t.ssl.SSL_set_connect_state(lane.tls)
    if t.sent_name != NULL:
        t.ssl.SSL_ctrl(lane.tls, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_HOST_NAME, <void*>t.sent_name)
    if t.verified_name != NULL:
        if t.verified_is_address:
            t.ssl.X509_VERIFY_PARAM_set1_ip_asc(t.ssl.SSL_get0_param(lane.tls), t.verified_name)
        else:
            t.ssl.SSL_set1_host(lane.tls, t.verified_name)
    if lane.session != NULL:
        t.ssl.SSL_set_session(lane.tls, lane.session)
    return 0


cdef int shake_hands(Tls* t, Lane* lane) noexcept nogil:
    """Go on with a handshake. Returns SHAKEN, WANTS_READ, WANTS_WRITE, or FAILED, which the field why explains."""
    cdef const unsigned char* selected = NULL
    cdef unsigned int size = 0
    cdef int done, error
    t.ssl.ERR_clear_error()
    done = t.ssl.SSL_do_handshake(lane.tls)
    if done != 1:
        error = t.ssl.SSL_get_error(lane.tls, done)
        if error == SSL_ERROR_WANT_READ:
            return WANTS_READ
        if error == SSL_ERROR_WANT_WRITE:
            return WANTS_WRITE
        explain(t, lane)
        return FAILED
    if t.must_select != NULL:
        t.ssl.SSL_get0_alpn_selected(lane.tls, &selected, &size)
        if size != strlen(t.must_select) or memcmp(selected, t.must_select, size) != 0:
            strncpy(t.why, b"the server did not select the protocol (ALPN)", WHY_BYTES - 1)
            return FAILED
    return SHAKEN


cdef void explain(Tls* t, Lane* lane) noexcept nogil:
    """Keep the reason why a handshake failed."""
    cdef long verified = t.ssl.SSL_get_verify_result(lane.tls)
    cdef const char* reason
    if verified != X509_V_OK and t.verified_name != NULL:
        reason = t.ssl.X509_verify_cert_error_string(verified)
    else:
        reason = t.ssl.ERR_reason_error_string(t.ssl.ERR_get_error())
    if reason == NULL:
        reason = b"the server closed the connection"
    strncpy(t.why, reason, WHY_BYTES - 1)


cdef void end_tls(Tls* t, Lane* lane) noexcept nogil:
    """A connection is about to be closed: tell the server, and keep the session if it is to be resumed."""
    cdef void* session
    if lane.tls == NULL:
        return
    t.ssl.ERR_clear_error()
    t.ssl.SSL_shutdown(lane.tls)
    if t.resumes:
        session = t.ssl.SSL_get1_session(lane.tls)
        if session != NULL and t.ssl.SSL_SESSION_is_resumable(session):
            t.ssl.SSL_SESSION_free(lane.session)
            lane.session = session
        else:
            t.ssl.SSL_SESSION_free(session)
    t.ssl.SSL_free(lane.tls)
    lane.tls = NULL


cdef void free_tls(Tls* t, Lane* lane) noexcept nogil:
    """The lane itself ends."""
    end_tls(t, lane)
    t.ssl.SSL_SESSION_free(lane.session)
    lane.session = NULL


cdef ssize_t read_tls(Tls* t, Lane* lane, void* room, uint32_t size) noexcept nogil:
    """What has come, decrypted, as far as there is room; 0 at the end, NOT_NOW, or BROKEN."""
    cdef uint32_t came = 0
    cdef int got
    t.ssl.ERR_clear_error()
    while came < size:
        got = t.ssl.SSL_read(lane.tls, <char*>room + came, <int>(size - came))
        if got <= 0:
            return came if came else ended(t, lane, got)
        came += got
        if not t.ssl.SSL_has_pending(lane.tls):
            break
    return came


cdef ssize_t write_tls(Tls* t, Lane* lane, const void* data, uint32_t size) noexcept nogil:
    """The number of bytes that were taken; 0 at the end, NOT_NOW, or BROKEN."""
    cdef int sent
    t.ssl.ERR_clear_error()
    sent = t.ssl.SSL_write(lane.tls, data, <int>size)
    return sent if sent > 0 else ended(t, lane, sent)


cdef ssize_t ended(Tls* t, Lane* lane, int returned) noexcept nogil:
    cdef int error = t.ssl.SSL_get_error(lane.tls, returned)
    if error == SSL_ERROR_WANT_READ or error == SSL_ERROR_WANT_WRITE:
        return NOT_NOW
    return 0 if error == SSL_ERROR_ZERO_RETURN else BROKEN
