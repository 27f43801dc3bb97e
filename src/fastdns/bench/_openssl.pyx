"""Finds libssl's and libcrypto's functions in the libraries that Python's ``ssl`` has loaded, else the system's."""

from fastdns.bench.errors import BenchError

cdef extern from "dlfcn.h" nogil:
    void* dlopen(const char* file, int flags)
    void* dlsym(void* handle, const char* name)
    int RTLD_NOW

NAMES = (
    "TLS_client_method", "SSL_CTX_new", "SSL_CTX_free", "SSL_CTX_ctrl", "SSL_CTX_set_alpn_protos",
    "SSL_CTX_set_verify", "SSL_CTX_load_verify_locations", "SSL_CTX_use_certificate_chain_file",
    "SSL_CTX_use_PrivateKey_file", "SSL_new", "SSL_free", "SSL_set_fd", "SSL_ctrl", "SSL_set1_host",
    "SSL_get0_param", "X509_VERIFY_PARAM_set1_ip_asc",
    "SSL_set_connect_state", "SSL_do_handshake", "SSL_read", "SSL_write", "SSL_has_pending", "SSL_get_error",
    "SSL_shutdown", "SSL_get1_session", "SSL_set_session", "SSL_session_reused", "SSL_SESSION_is_resumable",
    "SSL_SESSION_free", "SSL_get0_alpn_selected", "SSL_get_verify_result", "X509_verify_cert_error_string",
    "ERR_get_error", "ERR_clear_error", "ERR_reason_error_string", "EVP_get_digestbyname", "HMAC_CTX_new",
    "HMAC_CTX_free", "HMAC_Init_ex", "HMAC_Update", "HMAC_Final",
)
SYSTEM_LIBRARIES = ("libssl.so.3", "libssl.so.1.1")

cdef OpenSsl functions


cdef const OpenSsl* openssl() except NULL:
    cdef void** at = <void**>&functions
    cdef void* handle
    cdef bytes name
    if functions.HMAC_Final != NULL:
        return &functions
    if sizeof(OpenSsl) != len(NAMES) * sizeof(void*):
        raise AssertionError("each pointer has a name")
    import _ssl

    # A Python with OpenSSL linked into it exports nothing of it.
    for library in (getattr(_ssl, "__file__", None), *SYSTEM_LIBRARIES):
        # dlsym looks in a library and in those that it needs: libssl, and libcrypto.
        handle = dlopen(library.encode(), RTLD_NOW) if library else NULL
        if handle == NULL or dlsym(handle, b"SSL_new") == NULL or dlsym(handle, b"HMAC_Init_ex") == NULL:
            continue
        for i, name in enumerate(word.encode() for word in NAMES):
            at[i] = dlsym(handle, name)
            if at[i] == NULL:
                functions.HMAC_Final = NULL
                raise BenchError(f"{library}: {name.decode()} is missing: OpenSSL 1.1.1 or later is needed")
        return &functions
    raise BenchError("TLS and signatures need OpenSSL's libssl.so.3, and neither Python nor the system has it")
