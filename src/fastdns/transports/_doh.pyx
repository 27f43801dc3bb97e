"""DNS over HTTPS, whatever version of HTTP carries it: see _doh.pxd."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcmp

from fastdns.dns._cursor cimport Cursor, lower, put_u16, read_u16, read_u32, skip
from fastdns.dns._numbers cimport (
    FLAG_QR, HEADER_BYTES, MAX_MESSAGE_BYTES, NOERROR, NXDOMAIN, TYPE_AXFR, TYPE_IXFR, TYPE_OPT, TYPE_SOA,
)

PATH = b"/dns-query"
MEDIA_TYPE = b"application/dns-message"

cdef enum:
    PATH_BYTES = 10
    KEY_BYTES = 3
    MEDIA_TYPE_BYTES = 23
    # CoreDNS's plugin/pkg/dnsutil: of replies that are no answer, and at most.
    DEFAULT_AGE_S = 5
    MAX_AGE_S = 3600

cdef const uint8_t* PATH_TEXT = <const uint8_t*>b"/dns-query"
cdef const uint8_t* KEY_TEXT = <const uint8_t*>b"dns"
cdef const uint8_t* MEDIA_TYPE_TEXT = <const uint8_t*>b"application/dns-message"


cdef Method method_of(const uint8_t* name, uint32_t size) noexcept nogil:
    if size == 4 and memcmp(name, b"POST", 4) == 0:
        return POST
    if size == 3 and memcmp(name, b"GET", 3) == 0:
        return GET
    return HEAD if size == 4 and memcmp(name, b"HEAD", 4) == 0 else OTHER_METHOD


cdef inline int hex_digit(uint8_t byte) noexcept nogil:
    if 48 <= byte <= 57:
        return byte - 48
    byte = lower(byte)
    return byte - 87 if 97 <= byte <= 102 else -1


cdef inline int next_byte(Cursor* c) noexcept nogil:
    """The next byte of a URL, percent-decoded (RFC 3986 section 2.1)."""
    cdef int high, low
    cdef uint8_t byte = c.msg[c.pos]
    c.pos += 1
    if byte != b"%":
        return byte
    if c.length - c.pos < 2:
        c.failed = True
        return 0
    high = hex_digit(c.msg[c.pos])
    low = hex_digit(c.msg[c.pos + 1])
    c.pos += 2
    c.failed |= high < 0 or low < 0
    return high << 4 | low


cdef inline int sextet(int byte) noexcept nogil:
    """The number of a character of base64url (RFC 4648 section 5); -1 for any other."""
    if 65 <= byte <= 90:
        return byte - 65
    if 97 <= byte <= 122:
        return byte - 71
    if 48 <= byte <= 57:
        return byte + 4
    return 62 if byte == 45 else 63 if byte == 95 else -1


cdef int32_t read_value(Cursor* c, uint8_t* out) noexcept nogil:
    """The bytes of the value at the cursor; -1 where it is no base64url without padding."""
    cdef uint32_t size = 0
    cdef uint32_t bits = 0
    cdef uint32_t count = 0
    cdef int digit
    while c.pos < c.length and c.msg[c.pos] != b"&":
        digit = sextet(next_byte(c))
        if digit < 0 or c.failed:
            return -1
        bits = bits << 6 | digit
        count += 1
        if count == 4:
            out[size] = bits >> 16
            put_u16(out + size + 1, bits)
            size += 3
            bits = count = 0
    if count == 1:
        return -1
    if count == 2:
        out[size] = bits >> 4
        size += 1
    elif count == 3:
        put_u16(out + size, bits >> 2)
        size += 2
    return size


cdef int32_t read_target(const uint8_t* target, uint32_t size, uint8_t* out) noexcept nogil:
    cdef Cursor c
    cdef uint32_t at = 0
    cdef int32_t found = -1
    cdef int byte
    c.msg = target
    c.length = size
    c.pos = 0
    c.failed = False
    while c.pos < size and target[c.pos] != b"?":
        if at == PATH_BYTES or next_byte(&c) != PATH_TEXT[at]:
            return -NOT_FOUND
        at += 1
    if at != PATH_BYTES:
        return -NOT_FOUND
    # Behind the question mark, and behind each ampersand, begins a parameter.
    while c.pos < size:
        c.pos += 1
        at = 0
        while c.pos < size and target[c.pos] != b"&" and target[c.pos] != b"=":
            byte = next_byte(&c)
            at = at + 1 if at < KEY_BYTES and byte == KEY_TEXT[at] else KEY_BYTES + 1
        if at != KEY_BYTES:
            while c.pos < size and target[c.pos] != b"&":
                c.pos += 1
            continue
        if found >= 0 or c.pos == size or target[c.pos] == b"&":
            return -BAD_REQUEST
        c.pos += 1
        found = read_value(&c, out)
        if found < 0:
            return -BAD_REQUEST
    return found if found >= 0 else -BAD_REQUEST


cdef bint is_dns_message(const uint8_t* media_type, uint32_t size) noexcept nogil:
    cdef uint32_t i
    if size < MEDIA_TYPE_BYTES:
        return False
    for i in range(MEDIA_TYPE_BYTES):
        if lower(media_type[i]) != MEDIA_TYPE_TEXT[i]:
            return False
    return size == MEDIA_TYPE_BYTES or media_type[MEDIA_TYPE_BYTES] in (b";", b" ", b"\t")


cdef bint is_question(const uint8_t* message, uint32_t size) noexcept nogil:
    return HEADER_BYTES <= size <= MAX_MESSAGE_BYTES and message[2] & (FLAG_QR >> 8) == 0


cdef void skip_name(Cursor* c) noexcept nogil:
    """Step over a name, whose pointer is not followed."""
    cdef uint8_t length
    while c.pos < c.length:
        length = c.msg[c.pos]
        if length & 0xC0:
            skip(c, 2)
            return
        c.pos += 1
        if length == 0:
            return
        skip(c, length)
        if c.failed:
            return
    c.failed = True


cdef uint32_t max_age_s(const uint8_t* reply, uint32_t size) noexcept nogil:
    cdef Cursor c
    cdef uint32_t questions, answers, authorities, records, ttl_s, rdlength, number, i
    cdef uint32_t age_s = MAX_AGE_S
    cdef uint32_t seen = 0
    cdef uint16_t rrtype
    cdef uint8_t rcode
    cdef bint denied = False
    if size < HEADER_BYTES:
        return DEFAULT_AGE_S
    c.msg = reply
    c.length = size
    c.pos = 4
    c.failed = False
    rcode = reply[3] & 0xF
    questions = read_u16(&c)
    answers = read_u16(&c)
    authorities = read_u16(&c)
    records = answers + authorities + read_u16(&c)
    # An answer, or a denial; what is neither, or an update, a notice or a transfer, is fresh for a moment only.
    if reply[2] & 0x78 or not (rcode == NOERROR or rcode == NXDOMAIN and answers == 0):
        return DEFAULT_AGE_S
    for i in range(questions):
        skip_name(&c)
        rrtype = read_u16(&c)
        skip(&c, 2)
        if i == 0 and (rrtype == TYPE_AXFR or rrtype == TYPE_IXFR):
            return DEFAULT_AGE_S
    for number in range(records):
        skip_name(&c)
        rrtype = read_u16(&c)
        skip(&c, 2)
        ttl_s = read_u32(&c)
        rdlength = read_u16(&c)
        if c.failed or rdlength > c.length - c.pos:
            return DEFAULT_AGE_S
        c.pos += rdlength
        if rrtype == TYPE_OPT:
            continue
        seen += 1
        if answers == 0 and rrtype == TYPE_SOA and number < authorities:
            denied = True
            # The MINIMUM field is the last one.
            if rdlength >= 4:
                c.pos -= 4
                i = read_u32(&c)
                ttl_s = i if i < ttl_s else ttl_s
        age_s = ttl_s if ttl_s < age_s else age_s
    # A referral has authorities only.
    if seen == 0 or (answers == 0 and rcode == NOERROR and authorities and not denied):
        return DEFAULT_AGE_S
    return age_s


def question(bytes method not None, bytes target not None, bytes media_type, bytes content not None):
    """What a request asks: 200 and a DNS message, or the status of a refusal and b"".

    target: the path with what follows it. media_type: None where the request names none. Section numbers are RFC
    8484's: the path is CoreDNS's; GET and HEAD have the message in the parameter dns, once, in base64url without
    padding (4.1); POST has it as its content (4.1, 4.2.1).
    """
    cdef Method asked = method_of(<const uint8_t*>PyBytes_AS_STRING(method), PyBytes_GET_SIZE(method))
    cdef bytes message = PyBytes_FromStringAndSize(NULL, PyBytes_GET_SIZE(target))
    cdef int32_t found = read_target(<const uint8_t*>PyBytes_AS_STRING(target), PyBytes_GET_SIZE(target),
                                     <uint8_t*>PyBytes_AS_STRING(message))
    if found == -NOT_FOUND:
        return NOT_FOUND, b""
    if asked == OTHER_METHOD:
        return METHOD_NOT_ALLOWED, b""
    if asked == POST:
        if media_type is None or not is_dns_message(<const uint8_t*>PyBytes_AS_STRING(media_type),
                                                    PyBytes_GET_SIZE(media_type)):
            return UNSUPPORTED_MEDIA_TYPE, b""
        message = content
    elif found < 0:
        return BAD_REQUEST, b""
    else:
        message = message[:found]
    if PyBytes_GET_SIZE(message) > MAX_MESSAGE_BYTES:
        return CONTENT_TOO_LARGE, b""
    if not is_question(<const uint8_t*>PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message)):
        return BAD_REQUEST, b""
    return OK, message


def fresh_s(bytes reply not None):
    """For how many seconds a reply is fresh: max-age of Cache-Control."""
    return max_age_s(<const uint8_t*>PyBytes_AS_STRING(reply), PyBytes_GET_SIZE(reply))
