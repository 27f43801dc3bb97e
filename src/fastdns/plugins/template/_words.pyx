"""Reading words: see _words.pxd.

Parentheses may enclose new lines, and a semicolon begins a comment. An escape is a backslash with a character, or
with three digits.
"""

from libc.string cimport memcpy

from fastdns._wire cimport MAX_NAME_BYTES

cdef extern from "arpa/inet.h" nogil:
    int inet_pton(int family, const char* text, void* into)
    enum:
        AF_INET

cdef enum:
    MAX_LABEL_BYTES = 63
    MAX_STRING_BYTES = 255

cdef uint64_t MAX_SECONDS = 0xFFFFFFFF


cdef void skip_comment(Reader* r) noexcept nogil:
    while r.at < r.size and r.text[r.at] != b"\n":
        r.at += 1


cdef void skip_blank(Reader* r) noexcept nogil:
    """Up to the next word, or the end of the line."""
    cdef uint8_t byte
    while r.at < r.size:
        byte = r.text[r.at]
        if byte == b";":
            skip_comment(r)
            continue
        if byte == b"(":
            r.depth += 1
        elif byte == b")":
            r.depth -= 1
            if r.depth < 0:
                r.wrong = True
                return
        elif byte == b"\n":
            if r.depth == 0:
                return
        elif byte != b" " and byte != b"\t" and byte != b"\r":
            return
        r.at += 1


cdef bint at_end(Reader* r) noexcept nogil:
    skip_blank(r)
    return r.wrong or r.at >= r.size or r.text[r.at] == b"\n"


cdef bint next_word(Reader* r, Word* word) noexcept nogil:
    cdef uint8_t byte
    cdef uint32_t begin
    if at_end(r):
        return False
    word.quoted = r.text[r.at] == b'"'
    if word.quoted:
        r.at += 1
    begin = r.at
    while r.at < r.size:
        byte = r.text[r.at]
        if byte == b"\\":
            r.at += 2
            continue
        if word.quoted:
            if byte == b'"':
                break
        elif (byte == b" " or byte == b"\t" or byte == b"\n" or byte == b"\r" or byte == b'"' or byte == b"("
              or byte == b")" or byte == b";"):
            break
        r.at += 1
    if r.at > r.size:
        # A backslash with nothing behind it.
        r.at = r.size
        r.wrong = True
        return False
    word.text = r.text + begin
    word.size = r.at - begin
    if word.quoted:
        if r.at >= r.size:
            r.wrong = True
            return False
        r.at += 1
    return True


cdef bint is_word(const Word* word, const uint8_t* text, uint32_t size) noexcept nogil:
    cdef uint32_t i
    if word.size != size:
        return False
    for i in range(size):
        if upper(word.text[i]) != text[i]:
            return False
    return True


# ------------------------------------------------------------------------------------------------- numbers, times

cdef bint read_number(const Word* word, uint64_t most, uint64_t* value) noexcept nogil:
    cdef uint32_t i
    cdef uint64_t found = 0
    if word.size == 0:
        return False
    for i in range(word.size):
        if not 48 <= word.text[i] <= 57:
            return False
        found = found * 10 + word.text[i] - 48
        if found > most:
            return False
    value[0] = found
    return True


cdef bint read_time(const Word* word, uint32_t* value) noexcept nogil:
    cdef uint64_t total = 0, number = 0
    cdef uint32_t i
    cdef uint8_t byte
    for i in range(word.size):
        byte = upper(word.text[i])
        if 48 <= byte <= 57:
            number = number * 10 + byte - 48
        else:
            if byte == b"S":
                total += number
            elif byte == b"M":
                total += number * 60
            elif byte == b"H":
                total += number * 3600
            elif byte == b"D":
                total += number * 86400
            elif byte == b"W":
                total += number * 604800
            else:
                return False
            number = 0
        if number > MAX_SECONDS or total > MAX_SECONDS:
            return False
    if total + number > MAX_SECONDS:
        return False
    value[0] = <uint32_t>(total + number)
    return True


# --------------------------------------------------------------------------------------------------------- writing


cdef void put_short(Written* out, uint16_t number) noexcept nogil:
    put_byte(out, number >> 8)
    put_byte(out, number & 0xFF)


cdef uint32_t unescaped(const uint8_t* text, uint32_t size, uint32_t at, uint8_t* byte) noexcept nogil:
    cdef uint32_t number
    if text[at] != b"\\":
        byte[0] = text[at]
        return 1
    if at + 1 >= size:
        return 0
    if at + 3 < size and 48 <= text[at + 1] <= 57 and 48 <= text[at + 2] <= 57 and 48 <= text[at + 3] <= 57:
        number = (text[at + 1] - 48) * 100 + (text[at + 2] - 48) * 10 + text[at + 3] - 48
        byte[0] = number & 0xFF
        return 4 if number < 256 else 0
    byte[0] = text[at + 1]
    return 2


cdef bint put_name(Written* out, const Word* word) noexcept nogil:
    cdef uint32_t begin = out.size, label = out.size, at = 0, width
    cdef uint8_t byte
    if word.quoted or word.size == 0:
        return False
    if word.size == 1 and (word.text[0] == b"." or word.text[0] == b"@"):
        put_byte(out, 0)
        return not out.failed
    put_byte(out, 0)
    while at < word.size:
        if word.text[at] == b".":
            # The label before it must not be empty.
            if out.size - label == 1:
                return False
            at += 1
            if at < word.size:
                label = out.size
                put_byte(out, 0)
                if out.failed:
                    return False
                continue
            break
        width = unescaped(word.text, word.size, at, &byte)
        if width == 0:
            return False
        at += width
        put_byte(out, byte)
        if out.failed or out.size - label - 1 > MAX_LABEL_BYTES or out.size - begin >= MAX_NAME_BYTES:
            return False
        out.at[label] = <uint8_t>(out.size - label - 1)
    put_byte(out, 0)
    return not out.failed and out.size - begin <= MAX_NAME_BYTES


cdef bint put_string(Written* out, const Word* word, bint several) noexcept nogil:
    cdef uint32_t at = 0, width, begin = out.size, length = 0
    cdef uint8_t byte
    put_byte(out, 0)
    while at < word.size:
        width = unescaped(word.text, word.size, at, &byte)
        if width == 0 or out.failed:
            return False
        at += width
        if length == MAX_STRING_BYTES:
            if not several:
                return False
            begin = out.size
            length = 0
            put_byte(out, 0)
        put_byte(out, byte)
        length += 1
        if not out.failed:
            out.at[begin] = <uint8_t>length
    return not out.failed


cdef bint put_octets(Written* out, const Word* word) noexcept nogil:
    cdef uint32_t at = 0, width
    cdef uint8_t byte
    while at < word.size:
        width = unescaped(word.text, word.size, at, &byte)
        if width == 0:
            return False
        at += width
        put_byte(out, byte)
    return not out.failed


cdef bint put_address(Written* out, const Word* word, int family) noexcept nogil:
    cdef char text[64]
    cdef uint8_t address[16]
    if word.quoted or word.size == 0 or word.size >= sizeof(text):
        return False
    memcpy(text, word.text, word.size)
    text[word.size] = 0
    if inet_pton(family, text, address) != 1:
        return False
    put(out, address, 4 if family == AF_INET else 16)
    return not out.failed


cdef inline int32_t hex_digit(uint8_t byte) noexcept nogil:
    if 48 <= byte <= 57:
        return byte - 48
    byte |= 0x20
    return byte - 87 if 97 <= byte <= 102 else -1


cdef bint put_hex(Reader* r, Written* out) noexcept nogil:
    cdef Word word
    cdef uint32_t i
    cdef int32_t digit, half = -1
    cdef bint any = False
    while next_word(r, &word):
        if word.quoted:
            return False
        for i in range(word.size):
            digit = hex_digit(word.text[i])
            if digit < 0:
                return False
            if half < 0:
                half = digit
            else:
                put_byte(out, <uint8_t>(half << 4 | digit))
                half = -1
        any = True
    return any and half < 0 and not out.failed and not r.wrong


cdef inline int32_t base64_digit(uint8_t byte) noexcept nogil:
    if 65 <= byte <= 90:
        return byte - 65
    if 97 <= byte <= 122:
        return byte - 71
    if 48 <= byte <= 57:
        return byte + 4
    return 62 if byte == b"+" else 63 if byte == b"/" else -1


cdef bint put_base64(Written* out, const Word* word, Digits* d) noexcept nogil:
    cdef uint32_t i
    cdef int32_t digit
    for i in range(word.size):
        if word.text[i] == b"=":
            d.padding += 1
            continue
        digit = base64_digit(word.text[i])
        if digit < 0 or d.padding:
            return False
        d.bits = d.bits << 6 | <uint32_t>digit
        d.count += 1
        if d.count == 4:
            put_byte(out, d.bits >> 16 & 0xFF)
            put_byte(out, d.bits >> 8 & 0xFF)
            put_byte(out, d.bits & 0xFF)
            d.count = 0
            d.bits = 0
    return not out.failed


cdef bint end_base64(Written* out, const Digits* d) noexcept nogil:
    """What is left of the last four digits; they are padded, and have no bits too many."""
    if d.count == 0:
        return d.padding == 0
    if d.count == 1 or d.count + d.padding != 4:
        return False
    if d.count == 2:
        put_byte(out, d.bits >> 4 & 0xFF)
    else:
        put_byte(out, d.bits >> 10 & 0xFF)
        put_byte(out, d.bits >> 2 & 0xFF)
    return not out.failed
