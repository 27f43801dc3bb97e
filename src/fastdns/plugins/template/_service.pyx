"""Parameters of a service: see _service.pxd."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memset, strlen

from fastdns._wire cimport put_u16
from fastdns.plugins.template._words cimport (
    Digits, Word, at_end, end_base64, next_word, put_address, put_base64, put_byte, put_octets, put_short,
    read_number, unescaped,
)

cdef extern from "arpa/inet.h" nogil:
    enum:
        AF_INET
        AF_INET6

cdef enum:
    MAX_STRING_BYTES = 255
    MAX_PARAMETERS = 64

cdef enum:
    PARAM_MANDATORY = 0
    PARAM_ALPN = 1
    PARAM_NO_DEFAULT_ALPN = 2
    PARAM_PORT = 3
    PARAM_IPV4HINT = 4
    PARAM_ECH = 5
    PARAM_IPV6HINT = 6
    PARAM_DOHPATH = 7
    PARAM_OHTTP = 8

cdef const char* PARAM_NAMES[9]
PARAM_NAMES[0] = b"mandatory"
PARAM_NAMES[1] = b"alpn"
PARAM_NAMES[2] = b"no-default-alpn"
PARAM_NAMES[3] = b"port"
PARAM_NAMES[4] = b"ipv4hint"
PARAM_NAMES[5] = b"ech"
PARAM_NAMES[6] = b"ipv6hint"
PARAM_NAMES[7] = b"dohpath"
PARAM_NAMES[8] = b"ohttp"

# One of them, as it is written: value is NULL where there is none.
cdef struct Parameter:
    uint16_t key
    Word value


cdef bint parameter_key(const Word* word, uint16_t* key) noexcept nogil:
    cdef uint32_t i
    cdef uint64_t number
    cdef Word digits
    for i in range(9):
        if word.size == strlen(PARAM_NAMES[i]) and memcmp(word.text, PARAM_NAMES[i], word.size) == 0:
            key[0] = <uint16_t>i
            return True
    if word.size <= 3 or memcmp(word.text, b"key", 3) != 0 or (word.size > 4 and word.text[3] == b"0"):
        return False
    digits.text = word.text + 3
    digits.size = word.size - 3
    if not read_number(&digits, 65534, &number):
        return False
    key[0] = <uint16_t>number
    return True


cdef bint next_item(const Word* value, uint32_t* at, Word* item) noexcept nogil:
    """The next part of a list with commas. False behind the last one."""
    cdef uint32_t begin = at[0]
    if begin > value.size:
        return False
    item.text = value.text + begin
    item.quoted = False
    while at[0] < value.size and value.text[at[0]] != b",":
        at[0] += 1
    item.size = at[0] - begin
    at[0] += 1
    return True


cdef bint put_alpn(Written* out, const Word* value) noexcept nogil:
    """Identifiers with lengths. Escapes are resolved twice (RFC 9460 appendix A.1): \\, is a comma in one."""
    cdef uint32_t begin = out.size, at = 0, width
    cdef uint8_t byte
    cdef bint escaped = False
    put_byte(out, 0)
    while at < value.size:
        width = unescaped(value.text, value.size, at, &byte)
        if width == 0 or out.failed:
            return False
        at += width
        if not escaped and byte == b"\\":
            escaped = True
            continue
        if not escaped and byte == b",":
            if out.size - begin == 1:
                return False
            begin = out.size
            put_byte(out, 0)
            continue
        escaped = False
        put_byte(out, byte)
        if out.failed or out.size - begin - 1 > MAX_STRING_BYTES:
            return False
        out.at[begin] = <uint8_t>(out.size - begin - 1)
    return not out.failed and out.size - begin > 1


cdef bint put_keys(Written* out, const Word* value) noexcept nogil:
    """The keys of mandatory, ascending; none twice."""
    cdef uint16_t keys[MAX_PARAMETERS]
    cdef uint16_t key
    cdef uint32_t count = 0, at = 0, i
    cdef Word item
    while next_item(value, &at, &item):
        if count == MAX_PARAMETERS or not parameter_key(&item, &key) or key == PARAM_MANDATORY:
            return False
        i = count
        while i > 0 and keys[i - 1] > key:
            keys[i] = keys[i - 1]
            i -= 1
        if i > 0 and keys[i - 1] == key:
            return False
        keys[i] = key
        count += 1
    for i in range(count):
        put_short(out, keys[i])
    return not out.failed


cdef bint put_parameter(Written* out, const Parameter* p) noexcept nogil:
    """The value of one."""
    cdef Word item
    cdef uint64_t number
    cdef uint32_t at = 0
    cdef Digits digits
    if p.key == PARAM_NO_DEFAULT_ALPN or p.key == PARAM_OHTTP:
        return p.value.size == 0
    if p.key == PARAM_MANDATORY:
        return put_keys(out, &p.value)
    if p.key == PARAM_ALPN:
        return put_alpn(out, &p.value)
    if p.key == PARAM_PORT:
        if not read_number(&p.value, 0xFFFF, &number):
            return False
        put_short(out, <uint16_t>number)
        return not out.failed
    if p.key == PARAM_IPV4HINT or p.key == PARAM_IPV6HINT:
        while next_item(&p.value, &at, &item):
            if not put_address(out, &item, AF_INET if p.key == PARAM_IPV4HINT else AF_INET6):
                return False
        return True
    if p.key == PARAM_ECH:
        memset(&digits, 0, sizeof(digits))
        return p.value.size > 0 and put_base64(out, &p.value, &digits) and end_base64(out, &digits)
    return put_octets(out, &p.value)


cdef bint read_parameter(Reader* r, Parameter* p) noexcept nogil:
    """``key``, ``key=value`` or ``key="value"``."""
    cdef Word word
    cdef uint32_t i
    if not next_word(r, &word) or word.quoted:
        return False
    p.value.text = NULL
    p.value.size = 0
    p.value.quoted = False
    for i in range(word.size):
        if word.text[i] == b"=":
            p.value.text = word.text + i + 1
            p.value.size = word.size - i - 1
            word.size = i
            break
    if p.value.text != NULL and p.value.size == 0 and r.at < r.size and r.text[r.at] == b'"':
        if not next_word(r, &p.value):
            return False
        # Something must stand between it and the next one.
        if r.at < r.size and r.text[r.at] != b" " and r.text[r.at] != b"\t" and not at_end(r):
            return False
    return parameter_key(&word, &p.key)


cdef bint put_parameters(Reader* r, Written* out) noexcept nogil:
    """All of them, by ascending key; none twice."""
    cdef Parameter parameters[MAX_PARAMETERS]
    cdef Parameter one
    cdef uint32_t count = 0, i, length_at
    while not at_end(r):
        if count == MAX_PARAMETERS or not read_parameter(r, &one):
            return False
        i = count
        while i > 0 and parameters[i - 1].key > one.key:
            parameters[i] = parameters[i - 1]
            i -= 1
        if i > 0 and parameters[i - 1].key == one.key:
            return False
        parameters[i] = one
        count += 1
    for i in range(count):
        put_short(out, parameters[i].key)
        length_at = out.size
        put_short(out, 0)
        if out.failed or not put_parameter(out, &parameters[i]) or out.size - length_at - 2 > 0xFFFF:
            return False
        put_u16(out.at + length_at, <uint16_t>(out.size - length_at - 2))
    return not out.failed and not r.wrong
