"""The functions of libssl and libcrypto that the generator calls: pointers into the libraries that Python loads.

Nothing is linked: a generator that speaks no TLS and signs nothing needs neither library. The pointers are in the
order of NAMES in the pyx.
"""

cdef extern from *:
    """
    /* openssl/ssl.h, openssl/tls1.h, openssl/x509_vfy.h: part of the libraries' binary interface since 1.1.1. */
    #define SSL_CTRL_MODE 33
    #define SSL_CTRL_SET_READ_AHEAD 41
    #define SSL_CTRL_SET_SESS_CACHE_MODE 44
    #define SSL_CTRL_SET_TLSEXT_HOSTNAME 55
    #define SSL_CTRL_SET_MIN_PROTO_VERSION 123
    #define SSL_MODE_ENABLE_PARTIAL_WRITE 1
    #define SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER 2
    #define SSL_SESS_CACHE_OFF 0
    #define SSL_FILETYPE_PEM 1
    #define SSL_VERIFY_PEER 1
    #define SSL_ERROR_SSL 1
    #define SSL_ERROR_WANT_READ 2
    #define SSL_ERROR_WANT_WRITE 3
    #define SSL_ERROR_SYSCALL 5
    #define SSL_ERROR_ZERO_RETURN 6
    #define TLS1_2_VERSION 0x0303
    """
    enum:
        SSL_CTRL_MODE
        SSL_CTRL_SET_READ_AHEAD
        SSL_CTRL_SET_SESS_CACHE_MODE
        SSL_CTRL_SET_TLSEXT_HOSTNAME
        SSL_CTRL_SET_MIN_PROTO_VERSION
        SSL_MODE_ENABLE_PARTIAL_WRITE
        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
        SSL_SESS_CACHE_OFF
        SSL_FILETYPE_PEM
        SSL_VERIFY_PEER
        SSL_ERROR_SSL
        SSL_ERROR_WANT_READ
        SSL_ERROR_WANT_WRITE
        SSL_ERROR_SYSCALL
        SSL_ERROR_ZERO_RETURN
        TLS1_2_VERSION

cdef struct OpenSsl:
    const void* (*TLS_client_method)() noexcept nogil
    void* (*SSL_CTX_new)(const void* method) noexcept nogil
    void (*SSL_CTX_free)(void* context) noexcept nogil
    long (*SSL_CTX_ctrl)(void* context, int command, long value, void* more) noexcept nogil
    int (*SSL_CTX_set_alpn_protos)(void* context, const unsigned char* protocols, unsigned int size) noexcept nogil
    void (*SSL_CTX_set_verify)(void* context, int mode, void* callback) noexcept nogil
    int (*SSL_CTX_load_verify_locations)(void* context, const char* file, const char* folder) noexcept nogil
    int (*SSL_CTX_use_certificate_chain_file)(void* context, const char* file) noexcept nogil
    int (*SSL_CTX_use_PrivateKey_file)(void* context, const char* file, int kind) noexcept nogil
    void* (*SSL_new)(void* context) noexcept nogil
    void (*SSL_free)(void* ssl) noexcept nogil
    int (*SSL_set_fd)(void* ssl, int fd) noexcept nogil
    long (*SSL_ctrl)(void* ssl, int command, long value, void* more) noexcept nogil
    int (*SSL_set1_host)(void* ssl, const char* name) noexcept nogil
    void* (*SSL_get0_param)(void* ssl) noexcept nogil
    int (*X509_VERIFY_PARAM_set1_ip_asc)(void* wanted, const char* address) noexcept nogil
    void (*SSL_set_connect_state)(void* ssl) noexcept nogil
    int (*SSL_do_handshake)(void* ssl) noexcept nogil
    int (*SSL_read)(void* ssl, void* room, int size) noexcept nogil
    int (*SSL_write)(void* ssl, const void* data, int size) noexcept nogil
    int (*SSL_has_pending)(const void* ssl) noexcept nogil
    int (*SSL_get_error)(const void* ssl, int returned) noexcept nogil
    int (*SSL_shutdown)(void* ssl) noexcept nogil
    void* (*SSL_get1_session)(void* ssl) noexcept nogil
    int (*SSL_set_session)(void* ssl, void* session) noexcept nogil
    int (*SSL_session_reused)(const void* ssl) noexcept nogil
    int (*SSL_SESSION_is_resumable)(const void* session) noexcept nogil
    void (*SSL_SESSION_free)(void* session) noexcept nogil
    void (*SSL_get0_alpn_selected)(const void* ssl, const unsigned char** name, unsigned int* size) noexcept nogil
    long (*SSL_get_verify_result)(const void* ssl) noexcept nogil
    const char* (*X509_verify_cert_error_string)(long code) noexcept nogil
    unsigned long (*ERR_get_error)() noexcept nogil
    void (*ERR_clear_error)() noexcept nogil
    const char* (*ERR_reason_error_string)(unsigned long code) noexcept nogil
    const void* (*EVP_get_digestbyname)(const char* name) noexcept nogil
    void* (*HMAC_CTX_new)() noexcept nogil
    void (*HMAC_CTX_free)(void* context) noexcept nogil
    int (*HMAC_Init_ex)(void* context, const void* key, int size, const void* digest, void* engine) noexcept nogil
    int (*HMAC_Update)(void* context, const unsigned char* data, size_t size) noexcept nogil
    int (*HMAC_Final)(void* context, unsigned char* mac, unsigned int* size) noexcept nogil


# The functions, loaded once. Raises BenchError where neither Python's library nor the system's has them.
cdef const OpenSsl* openssl() except NULL
