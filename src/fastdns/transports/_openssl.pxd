"""OpenSSL's functions for TLS, of the library that Python has loaded: no other may touch a context of Python's ssl.

They are looked up once (``load``). Sessions read what Feed points to, and write into Made, one session at a time:
neither has buffers of its own. All of it is only for the thread of the event loop.
"""

from libc.stdint cimport uint8_t

ctypedef void SSL
ctypedef void SSL_CTX
ctypedef void BIO
ctypedef void BIO_METHOD
ctypedef int (*bio_read_fn)(BIO* bio, char* data, int size) noexcept nogil
ctypedef int (*bio_write_fn)(BIO* bio, const char* data, int size) noexcept nogil
ctypedef long (*bio_ctrl_fn)(BIO* bio, int what, long number, void* pointer) noexcept nogil

cdef enum:
    SSL_ERROR_WANT_READ = 2
    SSL_ERROR_ZERO_RETURN = 6

    # What a session may write before it is taken: replies that are gathered, and the flight of a handshake.
    MADE_BYTES = 262144

cdef struct Library:
    SSL* (*SSL_new)(SSL_CTX* context) noexcept nogil
    void (*SSL_free)(SSL* ssl) noexcept nogil
    void (*SSL_set_bio)(SSL* ssl, BIO* rbio, BIO* wbio) noexcept nogil
    void (*SSL_set_accept_state)(SSL* ssl) noexcept nogil
    int (*SSL_set_session_id_context)(SSL* ssl, const unsigned char* name, unsigned int size) noexcept nogil
    unsigned long (*SSL_set_options)(SSL* ssl, unsigned long options) noexcept nogil
    long (*SSL_ctrl)(SSL* ssl, int what, long number, void* pointer) noexcept nogil
    int (*SSL_do_handshake)(SSL* ssl) noexcept nogil
    int (*SSL_read)(SSL* ssl, void* data, int size) noexcept nogil
    int (*SSL_write)(SSL* ssl, const void* data, int size) noexcept nogil
    int (*SSL_has_pending)(const SSL* ssl) noexcept nogil
    int (*SSL_shutdown)(SSL* ssl) noexcept nogil
    int (*SSL_get_error)(const SSL* ssl, int result) noexcept nogil
    const char* (*SSL_get_version)(const SSL* ssl) noexcept nogil
    int (*SSL_session_reused)(const SSL* ssl) noexcept nogil
    int (*SSL_CTX_get_verify_mode)(const SSL_CTX* context) noexcept nogil
    BIO_METHOD* (*BIO_meth_new)(int kind, const char* name) noexcept nogil
    int (*BIO_meth_set_read)(BIO_METHOD* method, bio_read_fn read) noexcept nogil
    int (*BIO_meth_set_write)(BIO_METHOD* method, bio_write_fn write) noexcept nogil
    int (*BIO_meth_set_ctrl)(BIO_METHOD* method, bio_ctrl_fn ctrl) noexcept nogil
    BIO* (*BIO_new)(const BIO_METHOD* method) noexcept nogil
    void (*BIO_set_init)(BIO* bio, int on) noexcept nogil
    void (*BIO_set_flags)(BIO* bio, int flags) noexcept nogil
    void (*BIO_clear_flags)(BIO* bio, int flags) noexcept nogil
    void (*ERR_clear_error)() noexcept nogil
    unsigned long (*ERR_peek_last_error)() noexcept nogil
    const char* (*ERR_reason_error_string)(unsigned long code) noexcept nogil

cdef Library lib

# What the session that is called now may read.
cdef struct Feed:
    const uint8_t* data
    Py_ssize_t size

cdef Feed feed

# What it has written.
cdef struct Made:
    uint8_t* data
    Py_ssize_t size

cdef Made made

# A session of a server with a context of Python's ssl, which must live as long; NULL without memory.
cdef SSL* new_session(context) except? NULL
