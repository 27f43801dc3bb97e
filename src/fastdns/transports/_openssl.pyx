"""OpenSSL's functions for TLS: see _openssl.pxd."""

import ssl

from cpython.object cimport PyObject
from libc.stdlib cimport malloc
from libc.string cimport memcpy

cdef extern from "dlfcn.h" nogil:
    void* dlopen(const char* file, int mode)
    void* dlsym(void* library, const char* name)
    enum:
        RTLD_NOW

cdef enum:
    # Of OpenSSL's headers: bio.h, ssl.h.
    BIO_TYPE_SOURCE_SINK = 0x0400
    BIO_FLAGS_READ = 0x01
    BIO_FLAGS_WRITE = 0x02
    BIO_FLAGS_SHOULD_RETRY = 0x08
    BIO_CTRL_FLUSH = 11
    SSL_CTRL_MODE = 33
    SSL_MODE_RELEASE_BUFFERS = 0x10
    SSL_OP_NO_RENEGOTIATION = 1 << 30

# As Python's ssl names the sessions of servers.
cdef bytes SESSION_ID = b"Python"

# In the order of Library's fields.
NAMES = (
    b"SSL_new", b"SSL_free", b"SSL_set_bio", b"SSL_set_accept_state", b"SSL_set_session_id_context",
    b"SSL_set_options", b"SSL_ctrl", b"SSL_do_handshake", b"SSL_read", b"SSL_write", b"SSL_has_pending",
    b"SSL_shutdown", b"SSL_get_error", b"SSL_get_version", b"SSL_session_reused",
    b"SSL_CTX_get_verify_mode", b"BIO_meth_new", b"BIO_meth_set_read", b"BIO_meth_set_write", b"BIO_meth_set_ctrl",
    b"BIO_new", b"BIO_set_init", b"BIO_set_flags", b"BIO_clear_flags", b"ERR_clear_error", b"ERR_peek_last_error",
    b"ERR_reason_error_string",
)

cdef BIO_METHOD* method = NULL
cdef bint loaded = False


cdef int bio_read(BIO* bio, char* data, int size) noexcept nogil:
    cdef Py_ssize_t part = min(feed.size, size)
    lib.BIO_clear_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY)
    if part <= 0:
        lib.BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
        return -1
    memcpy(data, feed.data, part)
    feed.data += part
    feed.size -= part
    return part


cdef int bio_write(BIO* bio, const char* data, int size) noexcept nogil:
    lib.BIO_clear_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY)
    if size > MADE_BYTES - made.size:
        lib.BIO_set_flags(bio, BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY)
        return -1
    memcpy(made.data + made.size, data, size)
    made.size += size
    return size


cdef long bio_ctrl(BIO* bio, int what, long number, void* pointer) noexcept nogil:
    return what == BIO_CTRL_FLUSH


def load():
    """Look the functions up. Returns what is wrong where that cannot be done, else an empty text."""
    global method, loaded
    cdef void** functions = <void**>&lib
    cdef void* library
    cdef Py_ssize_t i
    if loaded:
        return ""
    import _ssl
    file = getattr(_ssl, "__file__", None)
    if file is None or sizeof(Library) != len(NAMES) * sizeof(void*):
        return "Python's OpenSSL is linked into it"
    library = dlopen(file.encode(), RTLD_NOW)
    if library == NULL:
        return f"{file} cannot be opened"
    for i, name in enumerate(NAMES):
        functions[i] = dlsym(library, <bytes>name)
        if functions[i] == NULL:
            return f"{name.decode()} is not found from {file}"
    made.data = <uint8_t*>malloc(MADE_BYTES)
    method = lib.BIO_meth_new(BIO_TYPE_SOURCE_SINK, "turn")
    if made.data == NULL or method == NULL:
        raise MemoryError
    lib.BIO_meth_set_read(method, bio_read)
    lib.BIO_meth_set_write(method, bio_write)
    lib.BIO_meth_set_ctrl(method, bio_ctrl)
    loaded = True
    return ""


cdef SSL_CTX* context_of(context) except NULL:
    """How CPython's PySSLContext begins, in all versions from 3.7 on: Modules/_ssl.c."""
    return (<SSL_CTX**>(<char*><PyObject*>context + sizeof(PyObject)))[0]


def may_use(context not None):
    """Whether sessions can be made of a context: not where the functions are not found, nor of one from which
    OpenSSL calls Python's ssl, which would look for an object of its own: for secrets in a file, and for names."""
    if load() or type(context) is not ssl.SSLContext:
        return False
    if context.keylog_filename is not None or context.sni_callback is not None:
        return False
    return (lib.SSL_CTX_get_verify_mode(context_of(context)) & 1) == (context.verify_mode != ssl.CERT_NONE)


cdef SSL* new_session(context) except? NULL:
    cdef SSL* session
    cdef BIO* bio
    if not may_use(context):
        raise ValueError("a context that may be used expected")
    session = lib.SSL_new(context_of(context))
    if session == NULL:
        return NULL
    bio = lib.BIO_new(method)
    if bio == NULL:
        lib.SSL_free(session)
        return NULL
    lib.BIO_set_init(bio, 1)
    # Both ways: the session takes one reference then.
    lib.SSL_set_bio(session, bio, bio)
    lib.SSL_set_accept_state(session)
    lib.SSL_ctrl(session, SSL_CTRL_MODE, SSL_MODE_RELEASE_BUFFERS, NULL)
    lib.SSL_set_options(session, SSL_OP_NO_RENEGOTIATION)
    lib.SSL_set_session_id_context(session, <const unsigned char*>SESSION_ID, len(SESSION_ID))
    return session
