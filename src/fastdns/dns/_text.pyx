"""Names between wire form and text: see _text.pxd."""

from fastdns.dns._numbers cimport MAX_NAME_BYTES

cdef enum:
    MAX_LABEL_BYTES = 63


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
