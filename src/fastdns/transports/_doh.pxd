"""DNS over HTTPS (RFC 8484), whatever version of HTTP carries it: what a request asks, how long a reply is fresh.

A request is a method, a target, the media type of its content, and the content. It comes to a DNS message or to the
status of a refusal.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t

cdef enum Method:
    OTHER_METHOD = 0
    GET = 1
    HEAD = 2
    POST = 3

cdef enum:
    OK = 200
    BAD_REQUEST = 400
    NOT_FOUND = 404
    METHOD_NOT_ALLOWED = 405
    CONTENT_TOO_LARGE = 413
    UNSUPPORTED_MEDIA_TYPE = 415
    HEADERS_TOO_LARGE = 431
    SERVER_ERROR = 500

cdef Method method_of(const uint8_t* name, uint32_t size) noexcept nogil

# The message of a target such as /dns-query?dns=AAAB... out has room for size bytes. Returns its size, or with a
# minus the status of a refusal.
cdef int32_t read_target(const uint8_t* target, uint32_t size, uint8_t* out) noexcept nogil

# Whether a media type is that of DNS messages, with or without parameters.
cdef bint is_dns_message(const uint8_t* media_type, uint32_t size) noexcept nogil

# Whether a message can be a question, so that a server has anything to say to it.
cdef bint is_question(const uint8_t* message, uint32_t size) noexcept nogil

# For how long a reply is fresh: the least TTL of its records, as CoreDNS has it; for a denial not more than the
# MINIMUM of its SOA record (RFC 8484 section 5.1).
cdef uint32_t max_age_s(const uint8_t* reply, uint32_t size) noexcept nogil
