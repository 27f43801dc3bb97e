"""The header of the PROXY protocol: see _proxy_header.pxd."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int32_t
from libc.string cimport memchr, memcmp, memcpy, strcmp

from fastdns.dns._networks cimport is_mapped

cdef extern from "arpa/inet.h" nogil:
    int inet_pton(int family, const char* src, void* dst)
    enum:
        AF_INET
        AF_INET6

cdef enum:
    SIGNATURE_BYTES = 12
    FIXED_BYTES = 16            # of version 2
    MAX_WORD_BYTES = 40         # an address of IPv6 has 39
    # The upper half of version 2's 14th byte.
    UNSPECIFIED = 0
    IPV4 = 1
    IPV6 = 2
    UNIX = 3

cdef const uint8_t* SIGNATURE = <const uint8_t*>b"\r\n\r\n\0\r\nQUIT\n"


cdef inline bint begins_with(const uint8_t* data, uint32_t size, const uint8_t* text,
                             uint32_t text_len) noexcept nogil:
    """Whether data begins with a text, or is the beginning of it."""
    return memcmp(data, text, size if size < text_len else text_len) == 0


cdef inline void take_address(ProxyHeader* header, const uint8_t* address, uint8_t size,
                              uint16_t port) noexcept nogil:
    if size == 16 and is_mapped(address):
        address += 12
        size = 4
    memcpy(header.address, address, size)
    header.address_len = size
    header.port = port


cdef HeaderFound read_binary(const uint8_t* data, uint32_t size, ProxyHeader* header) noexcept nogil:
    cdef uint32_t length, family, addresses
    if size < FIXED_BYTES:
        return NOT_WHOLE
    length = (<uint32_t>data[14] << 8) | data[15]
    family = data[13] >> 4
    if data[12] >> 4 != 2 or (data[12] & 15) > 1 or family > UNIX or (data[13] & 15) > 2:
        return MALFORMED
    if FIXED_BYTES + length > MAX_PROXY_HEADER_BYTES:
        return MALFORMED
    if size < FIXED_BYTES + length:
        return NOT_WHOLE
    header.size = FIXED_BYTES + length
    header.version = 2
    header.address_len = 0
    if data[12] & 15 == 0 or family not in (IPV4, IPV6):
        return HEADER
    addresses = 12 if family == IPV4 else 36
    if length < addresses:
        return MALFORMED
    # Both addresses, then both ports; the client's first.
    take_address(header, data + FIXED_BYTES, 4 if family == IPV4 else 16,
                 (<uint16_t>data[FIXED_BYTES + addresses - 4] << 8) | data[FIXED_BYTES + addresses - 3])
    return HEADER


cdef int32_t take_word(const uint8_t* line, uint32_t* at, uint32_t end, char* word) noexcept nogil:
    """The next word of a line, behind one space, as a string of C. Returns its length; -1 where there is none."""
    cdef uint32_t size = 0
    if at[0] >= end or line[at[0]] != b" ":
        return -1
    at[0] += 1
    while at[0] < end and line[at[0]] != b" ":
        if size == MAX_WORD_BYTES or line[at[0]] == 0:
            return -1
        word[size] = line[at[0]]
        size += 1
        at[0] += 1
    word[size] = 0
    return size


cdef int32_t port_of(const char* word, int32_t size) noexcept nogil:
    """-1 where it is none."""
    cdef int32_t value = 0
    cdef int32_t i
    if size < 1 or size > 5 or (size > 1 and word[0] == b"0"):
        return -1
    for i in range(size):
        if word[i] < b"0" or word[i] > b"9":
            return -1
        value = 10 * value + word[i] - 48
    return value if value < 65536 else -1


cdef HeaderFound read_text(const uint8_t* data, uint32_t size, ProxyHeader* header) noexcept nogil:
    cdef char word[MAX_WORD_BYTES + 1]
    cdef uint8_t address[16]
    cdef uint8_t other[16]
    cdef uint32_t most = size if size < MAX_TEXT_BYTES else MAX_TEXT_BYTES
    cdef const uint8_t* newline = <const uint8_t*>memchr(data, b"\n", most)
    cdef uint32_t end
    cdef uint32_t at = 5
    cdef int family
    cdef int32_t port
    if newline == NULL:
        return NOT_WHOLE if size < MAX_TEXT_BYTES else MALFORMED
    end = newline - data
    header.size = end + 1
    header.version = 1
    header.address_len = 0
    if end == 0 or data[end - 1] != b"\r":
        return MALFORMED
    end -= 1
    if take_word(data, &at, end, word) < 0:
        return MALFORMED
    if strcmp(word, b"UNKNOWN") == 0:
        # What follows means nothing.
        return HEADER
    if strcmp(word, b"TCP4") == 0:
        family = AF_INET
    elif strcmp(word, b"TCP6") == 0:
        family = AF_INET6
    else:
        return MALFORMED
    if take_word(data, &at, end, word) < 0 or inet_pton(family, word, address) != 1:
        return MALFORMED
    if take_word(data, &at, end, word) < 0 or inet_pton(family, word, other) != 1:
        return MALFORMED
    port = port_of(word, take_word(data, &at, end, word))
    if port < 0 or port_of(word, take_word(data, &at, end, word)) < 0 or at != end:
        return MALFORMED
    take_address(header, address, 4 if family == AF_INET else 16, <uint16_t>port)
    return HEADER


cdef HeaderFound read_proxy_header(const uint8_t* data, uint32_t size, ProxyHeader* header) noexcept nogil:
    if size == 0:
        return NOT_WHOLE
    if begins_with(data, size, SIGNATURE, SIGNATURE_BYTES):
        return read_binary(data, size, header)
    if begins_with(data, size, <const uint8_t*>b"PROXY", 5):
        return read_text(data, size, header)
    return NO_HEADER


def proxy_header(data not None):
    """What the beginning of a stream holds, as (found, size, address, port): see _proxy_header.pyi."""
    cdef const uint8_t[::1] view = data
    cdef ProxyHeader header
    cdef HeaderFound found = NOT_WHOLE
    header.address_len = 0
    header.size = header.port = 0
    if view.shape[0]:
        # A header is shorter than what is looked at.
        found = read_proxy_header(&view[0], <uint32_t>min(view.shape[0], MAX_PROXY_HEADER_BYTES), &header)
    if found != HEADER:
        return found, 0, b"", 0
    address = PyBytes_FromStringAndSize(<char*>header.address, header.address_len)
    return found, header.size, address, header.port if header.address_len else 0
