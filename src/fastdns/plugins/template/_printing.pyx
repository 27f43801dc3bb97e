"""Printing values: see _printing.pxd."""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp

cdef enum:
    MAX_DIGITS = 65


cdef void fill(Out* out, uint8_t byte, int32_t count) noexcept nogil:
    while count > 0 and not out.failed:
        write_byte(out, byte)
        count -= 1


cdef bint find_key(const Data* data, const uint8_t* text, uint32_t size, Value* found) noexcept nogil:
    cdef uint32_t i
    cdef const Key* key
    for i in range(data.groups.key_count):
        key = &data.groups.keys[i]
        if key.size == size and (size == 0 or memcmp(key.text, text, size) == 0):
            found[0] = group_value(data, key.group)
            return True
    return False


cdef uint32_t digits_of(uint64_t number, uint32_t base, bint upper, uint8_t* digits) noexcept nogil:
    """The digits, at the end of MAX_DIGITS bytes; returns where they begin."""
    cdef uint32_t at = MAX_DIGITS
    cdef uint32_t digit
    while True:
        digit = number % base
        at -= 1
        digits[at] = 48 + digit if digit < 10 else (55 if upper else 87) + digit
        number //= base
        if number == 0:
            return at


cdef inline uint64_t magnitude(const Value* v) noexcept nogil:
    if v.kind == SIGNED and v.number < 0:
        return 0 - <uint64_t>v.number
    return <uint64_t>v.number


cdef void write_number(Out* out, const Value* v) noexcept nogil:
    cdef uint8_t digits[MAX_DIGITS]
    cdef uint32_t at = digits_of(magnitude(v), 10, False, digits)
    if v.kind == SIGNED and v.number < 0:
        write_byte(out, b"-")
    write(out, digits + at, MAX_DIGITS - at)


cdef void write_value(const Data* data, Out* out, const Value* v) noexcept nogil:
    """As %v."""
    cdef uint32_t i
    cdef Value one
    if v.kind == STRING:
        write(out, v.text, v.size)
    elif v.kind == SIGNED or v.kind == UNSIGNED:
        write_number(out, v)
    elif v.kind == BOOLEAN:
        write(out, b"true" if v.number else b"false", 4 if v.number else 5)
    elif v.kind == MATCH:
        write_byte(out, b"[")
        for i in range(<uint32_t>v.number, v.size):
            if i > <uint32_t>v.number:
                write_byte(out, b" ")
            one = group_value(data, i)
            write(out, one.text, one.size)
        write_byte(out, b"]")
    elif v.kind == GROUPS:
        write(out, b"map[", 4)
        for i in range(data.groups.key_count):
            if i:
                write_byte(out, b" ")
            write(out, data.groups.keys[i].text, data.groups.keys[i].size)
            write_byte(out, b":")
            one = group_value(data, data.groups.keys[i].group)
            write(out, one.text, one.size)
        write_byte(out, b"]")
    else:
        write(out, b"<nil>", 5)


cdef void write_type(Out* out, const Value* v) noexcept nogil:
    if v.kind == STRING:
        write(out, b"string", 6)
    elif v.kind == SIGNED:
        write(out, b"int", 3)
    elif v.kind == UNSIGNED:
        write(out, b"uint64", 6)
    elif v.kind == BOOLEAN:
        write(out, b"bool", 4)


cdef void write_unfit(const Data* data, Out* out, const Piece* p, const Value* v) noexcept nogil:
    """Go's note of a verb that a value does not have. The value in it is as wide as was asked."""
    cdef Piece inner = p[0]
    inner.verb = b"v"
    write(out, b"%!", 2)
    write_byte(out, <uint8_t>p.verb)
    write_byte(out, b"(")
    if v.kind == NOTHING:
        write(out, b"<nil>", 5)
    else:
        write_type(out, v)
        write_byte(out, b"=")
        write_as(data, out, &inner, v)
    write_byte(out, b")")


cdef uint32_t characters(const uint8_t* text, uint32_t size) noexcept nogil:
    cdef uint32_t i, count = 0
    for i in range(size):
        count += text[i] & 0xC0 != 0x80
    return count


cdef void write_padded(Out* out, const Piece* p, const uint8_t* text, uint32_t size) noexcept nogil:
    cdef int32_t missing = p.width - <int32_t>characters(text, size)
    if not p.flags & FLAG_LEFT:
        fill(out, b"0" if p.flags & FLAG_ZERO else b" ", missing)
    write(out, text, size)
    if p.flags & FLAG_LEFT:
        fill(out, b" ", missing)


cdef void write_text_as(Out* out, const Piece* p, const Value* v) noexcept nogil:
    """A string, by the verbs s, v, x and X."""
    cdef uint32_t size = v.size
    cdef uint32_t i, count = 0
    cdef int32_t missing
    cdef const uint8_t* digits = b"0123456789ABCDEF" if p.verb == b"X" else b"0123456789abcdef"
    if p.verb == b"s" or p.verb == b"v":
        if p.precision >= 0:
            size = 0
            while size < v.size:
                count += v.text[size] & 0xC0 != 0x80
                if count > <uint32_t>p.precision:
                    break
                size += 1
        write_padded(out, p, v.text, size)
        return
    if p.precision >= 0 and size > <uint32_t>p.precision:
        size = <uint32_t>p.precision
    missing = p.width - 2 * <int32_t>size
    if not p.flags & FLAG_LEFT:
        fill(out, b"0" if p.flags & FLAG_ZERO else b" ", missing)
    for i in range(size):
        write_byte(out, digits[v.text[i] >> 4])
        write_byte(out, digits[v.text[i] & 15])
    if p.flags & FLAG_LEFT:
        fill(out, b" ", missing)


cdef void write_number_as(Out* out, const Piece* p, const Value* v) noexcept nogil:
    """A number, by the verbs d, v, x, X, o and b."""
    cdef uint8_t digits[MAX_DIGITS]
    cdef uint32_t base = (2 if p.verb == b"b" else 8 if p.verb == b"o" else
                          16 if p.verb == b"x" or p.verb == b"X" else 10)
    cdef uint32_t at = digits_of(magnitude(v), base, p.verb == b"X", digits)
    cdef int32_t size = MAX_DIGITS - at
    cdef bint negative = v.kind == SIGNED and v.number < 0
    cdef int32_t zeros = 0, missing
    if p.precision >= 0:
        if p.precision == 0 and v.number == 0:
            size = 0
        zeros = p.precision - size
    elif p.flags & FLAG_ZERO and not p.flags & FLAG_LEFT:
        zeros = p.width - negative - size
    if zeros < 0:
        zeros = 0
    missing = p.width - negative - zeros - size
    if not p.flags & FLAG_LEFT:
        fill(out, b" ", missing)
    if negative:
        write_byte(out, b"-")
    fill(out, b"0", zeros)
    write(out, digits + MAX_DIGITS - size, <uint32_t>size)
    if p.flags & FLAG_LEFT:
        fill(out, b" ", missing)


cdef void write_as(const Data* data, Out* out, const Piece* p, const Value* v) noexcept nogil:
    cdef uint32_t i
    cdef Value one
    cdef bint of_numbers = p.verb != b"s"
    cdef bint of_texts = p.verb == b"s" or p.verb == b"v" or p.verb == b"x" or p.verb == b"X"
    if v.kind == NOTHING:
        if p.verb == b"v":
            write_padded(out, p, b"<nil>", 5)
        else:
            write_unfit(data, out, p, v)
    elif v.kind == STRING and of_texts:
        write_text_as(out, p, v)
    elif (v.kind == SIGNED or v.kind == UNSIGNED) and of_numbers:
        write_number_as(out, p, v)
    elif v.kind == BOOLEAN and p.verb == b"v":
        write_padded(out, p, b"true" if v.number else b"false", 4 if v.number else 5)
    elif v.kind == MATCH:
        write_byte(out, b"[")
        for i in range(<uint32_t>v.number, v.size):
            if i > <uint32_t>v.number:
                write_byte(out, b" ")
            one = group_value(data, i)
            write_as(data, out, p, &one)
        write_byte(out, b"]")
    elif v.kind == GROUPS:
        write(out, b"map[", 4)
        for i in range(data.groups.key_count):
            if i:
                write_byte(out, b" ")
            one = text_value(data.groups.keys[i].text, data.groups.keys[i].size)
            write_as(data, out, p, &one)
            write_byte(out, b":")
            one = group_value(data, data.groups.keys[i].group)
            write_as(data, out, p, &one)
        write_byte(out, b"]")
    else:
        write_unfit(data, out, p, v)


cdef void write_formatted(const Data* data, Out* out, const Piece* p, const Value* values) noexcept nogil:
    while True:
        write(out, p.literal, p.literal_size)
        if p.verb == 0:
            return
        write_as(data, out, p, values)
        values += 1
        p += 1
