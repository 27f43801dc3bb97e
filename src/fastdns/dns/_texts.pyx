"""Numbers, names and addresses as text: see _texts.pxd."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastdns.dns._numbers cimport MAX_NAME_BYTES

from fastdns.dns import mnemonics

cdef enum:
    MAX_LABEL_BYTES = 63
    KNOWN_TYPES = 512           # those with higher numbers are few
    KNOWN_CLASSES = 256
    KNOWN_RCODES = 32
    MAX_HIGH_TYPES = 8

cdef struct Word:
    uint8_t length              # 0: the number has no name
    char text[MAX_WORD_BYTES]

cdef Word type_words[KNOWN_TYPES]
cdef Word class_words[KNOWN_CLASSES]
cdef Word rcode_words[KNOWN_RCODES]
cdef uint16_t high_types[MAX_HIGH_TYPES]
cdef Word high_type_words[MAX_HIGH_TYPES]
cdef uint32_t high_type_count = 0


cdef Word word_of(str text) except *:
    cdef Word word
    cdef bytes raw = text.encode()
    if not 0 < len(raw) <= MAX_WORD_BYTES:
        raise ValueError(text)
    word.length = len(raw)
    memcpy(word.text, <const char*>raw, word.length)
    return word


def _fill_words():
    global high_type_count
    for number, name in mnemonics.TYPES.items():
        if number < KNOWN_TYPES:
            type_words[number] = word_of(name)
            continue
        if high_type_count == MAX_HIGH_TYPES:
            raise ValueError("too many types with high numbers")
        high_types[high_type_count] = number
        high_type_words[high_type_count] = word_of(name)
        high_type_count += 1
    for number, name in mnemonics.CLASSES.items():
        class_words[number] = word_of(name)
    for number, name in mnemonics.RCODES.items():
        rcode_words[number] = word_of(name)


_fill_words()


cdef uint8_t* put_decimal(uint8_t* out, uint64_t value) noexcept nogil:
    cdef uint8_t digits[20]
    cdef uint32_t at = 20
    while True:
        at -= 1
        digits[at] = 48 + value % 10
        value //= 10
        if value == 0:
            break
    memcpy(out, &digits[at], 20 - at)
    return out + (20 - at)


cdef inline uint8_t* put_word(uint8_t* out, const Word* word) noexcept nogil:
    return put_bytes(out, word.text, word.length)


cdef uint8_t* put_type(uint8_t* out, uint16_t number) noexcept nogil:
    cdef uint32_t i
    if number < KNOWN_TYPES and type_words[number].length:
        return put_word(out, &type_words[number])
    for i in range(high_type_count):
        if high_types[i] == number:
            return put_word(out, &high_type_words[i])
    return put_decimal(put_bytes(out, b"TYPE", 4), number)


cdef uint8_t* put_class(uint8_t* out, uint16_t number) noexcept nogil:
    if number < KNOWN_CLASSES and class_words[number].length:
        return put_word(out, &class_words[number])
    return put_decimal(put_bytes(out, b"CLASS", 5), number)


cdef uint8_t* put_rcode(uint8_t* out, uint16_t number) noexcept nogil:
    if number < KNOWN_RCODES and rcode_words[number].length:
        return put_word(out, &rcode_words[number])
    return put_decimal(out, number)


cdef inline bint is_special(uint8_t byte) noexcept nogil:
    # What CoreDNS puts a backslash before.
    return (byte == b"." or byte == b" " or byte == b"'" or byte == b"@" or byte == b";" or byte == b"("
            or byte == b")" or byte == b'"' or byte == b"\\")


cdef uint8_t* put_label(uint8_t* out, const uint8_t* label, uint32_t length) noexcept nogil:
    """The bytes of a label; what does not print is \\DDD (RFC 1035 section 5.1)."""
    cdef uint32_t i
    cdef uint8_t byte
    for i in range(length):
        byte = label[i]
        if byte < 32 or byte > 126:
            out[0] = b"\\"
            out[1] = 48 + byte // 100
            out[2] = 48 + byte // 10 % 10
            out[3] = 48 + byte % 10
            out += 4
        else:
            if is_special(byte):
                out = put_byte(out, b"\\")
            out = put_byte(out, byte)
    return out


cdef uint8_t* put_name(uint8_t* out, const uint8_t* name) noexcept nogil:
    if name[0] == 0:
        return put_byte(out, b".")
    while name[0] != 0:
        out = put_label(out, name + 1, name[0])
        out = put_byte(out, b".")
        name += name[0] + 1
    return out


cdef inline bint is_digit(uint8_t byte) noexcept nogil:
    return 48 <= byte <= 57


cdef uint32_t parse_name(const uint8_t* text, uint32_t length, uint8_t* out) noexcept nogil:
    cdef uint32_t at = 0
    cdef uint32_t label = 0             # where in out the length of the label stands
    cdef uint32_t size = 1              # of out so far
    cdef uint8_t byte
    if length == 1 and text[0] == b".":
        out[0] = 0
        return 1
    while at < length:
        byte = text[at]
        at += 1
        if byte == b".":
            if size == label + 1 or size >= MAX_NAME_BYTES:
                return 0
            out[label] = size - label - 1
            label = size
            size += 1
            continue
        if byte == b"\\":
            if at >= length:
                return 0
            byte = text[at]
            at += 1
            if is_digit(byte) and at + 2 <= length and is_digit(text[at]) and is_digit(text[at + 1]):
                byte = (byte - 48) * 100 + (text[at] - 48) * 10 + (text[at + 1] - 48)
                at += 2
        if size - label > MAX_LABEL_BYTES or size >= MAX_NAME_BYTES:
            return 0
        out[size] = byte
        size += 1
    if size != label + 1:
        # It does not end in a dot.
        if size >= MAX_NAME_BYTES:
            return 0
        out[label] = size - label - 1
        label = size
        size += 1
    elif label == 0:
        return 0
    out[label] = 0
    return size


cdef uint8_t* put_ipv4(uint8_t* out, const uint8_t* address) noexcept nogil:
    cdef uint32_t i
    for i in range(4):
        if i:
            out = put_byte(out, b".")
        out = put_decimal(out, address[i])
    return out


cdef uint8_t* put_group(uint8_t* out, uint16_t group) noexcept nogil:
    cdef const char* digits = b"0123456789abcdef"
    cdef int32_t shift = 12
    while shift > 0 and group >> shift == 0:
        shift -= 4
    while shift >= 0:
        out = put_byte(out, digits[(group >> shift) & 0xF])
        shift -= 4
    return out


cdef uint8_t* put_ipv6(uint8_t* out, const uint8_t* address) noexcept nogil:
    """RFC 5952 section 4: the first of the longest runs of two or more zero groups is left out."""
    cdef uint16_t groups[8]
    cdef uint32_t i, run = 0, best = 1, best_at = 8
    for i in range(8):
        groups[i] = (<uint16_t>address[2 * i] << 8) | address[2 * i + 1]
        run = run + 1 if groups[i] == 0 else 0
        if run > best:
            best = run
            best_at = i + 1 - run
    i = 0
    while i < 8:
        if i == best_at:
            out = put_bytes(out, b"::", 2)
            i += best
            continue
        if i and i != best_at + best:
            out = put_byte(out, b":")
        out = put_group(out, groups[i])
        i += 1
    return out


cdef uint8_t* put_bare_address(uint8_t* out, const uint8_t* address, uint32_t length) noexcept nogil:
    return put_ipv4(out, address) if length == 4 else put_ipv6(out, address)


cdef uint8_t* put_address(uint8_t* out, const uint8_t* address, uint32_t length) noexcept nogil:
    if length == 4:
        return put_ipv4(out, address)
    return put_byte(put_ipv6(put_byte(out, b"["), address), b"]")


# ------------------------------------------------------------------------------------------------- for tests

def address_text(bytes address not None):
    """How an address of 4 or 16 bytes is written."""
    cdef uint8_t text[64]
    if len(address) not in (4, 16):
        raise ValueError("an address has 4 or 16 bytes")
    return text[:put_address(text, <const uint8_t*>address, len(address)) - text]
