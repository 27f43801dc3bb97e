"""What all parts of the evaluation do with values: see _value.pxd."""

from libc.math cimport isinf, isnan
from libc.stdio cimport snprintf
from libc.stdlib cimport strtod
from libc.string cimport memcmp, memcpy

from fastdns.dns._texts cimport put_decimal

cdef enum:
    MAX_FLOAT_BYTES = 400
    MAX_NESTED = 32


cdef bint equal_items(Run* run, const Value* a, const Value* b, uint32_t depth) noexcept nogil:
    cdef uint32_t i
    cdef const Value* found
    if not may_work(run, 1):
        return False
    if is_number(a) and is_number(b):
        if a.kind == INT and b.kind == INT:
            return a.number == b.number
        return real_of(a) == real_of(b)
    if a.kind != b.kind or depth == MAX_NESTED:
        return False
    if a.kind == BOOL:
        return a.number == b.number
    if a.kind == NIL:
        return True
    if a.size != b.size:
        return False
    if a.kind == STRING:
        return a.size == 0 or (may_read(run, a.size) and memcmp(a.text, b.text, a.size) == 0)
    for i in range(a.size):
        if a.kind == MAP:
            found = find_key(run, b, &a.items[2 * i])
            if found == NULL or not equal_items(run, &a.items[2 * i + 1], found, depth + 1):
                return False
        elif not equal_items(run, &a.items[i], &b.items[i], depth + 1):
            return False
    return True


cdef bint equal(Run* run, const Value* a, const Value* b) noexcept nogil:
    return equal_items(run, a, b, 0)


cdef int compare(Run* run, const Value* a, const Value* b) noexcept nogil:
    cdef uint32_t size
    cdef int order
    cdef double x, y
    if a.kind == INT and b.kind == INT:
        return (a.number > b.number) - (a.number < b.number)
    if is_number(a) and is_number(b):
        x = real_of(a)
        y = real_of(b)
        return (x > y) - (x < y)
    if a.kind != STRING or b.kind != STRING or not may_read(run, a.size):
        fail(run)
        return 0
    size = a.size if a.size < b.size else b.size
    order = memcmp(a.text, b.text, size) if size else 0
    return order if order else (a.size > b.size) - (a.size < b.size)


cdef const Value* find_key(Run* run, const Value* map, const Value* key) noexcept nogil:
    cdef uint32_t i
    if key.kind != STRING:
        return NULL
    for i in range(map.size):
        if equal(run, &map.items[2 * i], key):
            return &map.items[2 * i + 1]
    return NULL


cdef bint contains_value(Run* run, const Value* needle, const Value* stack) noexcept nogil:
    cdef uint32_t i
    if stack.kind == NIL:
        return False
    if stack.kind == MAP:
        return find_key(run, stack, needle) != NULL
    if stack.kind != ARRAY:
        fail(run)
        return False
    for i in range(stack.size):
        if equal(run, &stack.items[i], needle):
            return True
    return False


cdef int64_t to_int(Run* run, const Value* v) noexcept nogil:
    if v.kind == INT:
        return v.number
    # What lies outside has no value in Go either.
    if v.kind == FLOAT and -9.2e18 < v.real < 9.2e18:
        return <int64_t>v.real
    fail(run)
    return 0


cdef uint32_t shortest(char* out, double f, int* exponent) noexcept nogil:
    """As few digits as tell a finite number apart, without a point. exponent: of ten, of the first digit."""
    cdef int digits = 1
    cdef uint32_t size = 0
    cdef char text[48]
    cdef char* at
    cdef char* end
    while True:
        snprintf(text, 48, b"%.*e", digits - 1, f)
        if digits == 17 or strtod(text, NULL) == f:
            break
        # Of two texts that are as near, the one that reads as another number may have been taken.
        if digits > 1 and text[digits] != b"9":
            text[digits] += 1
            if strtod(text, NULL) == f:
                break
        digits += 1
    at = text
    while at[0] and at[0] != b"e":
        if b"0" <= at[0] <= b"9":
            out[size] = at[0]
            size += 1
        at += 1
    exponent[0] = <int>strtod(at + 1, &end) if at[0] else 0
    while size > 1 and out[size - 1] == b"0":
        size -= 1
    return size


cdef uint32_t put_float(uint8_t* out, double f, uint8_t format) noexcept nogil:
    cdef char digits[48]
    cdef int exponent = 0, i, _zeros
    cdef uint32_t count, size = 0
    if isnan(f):
        memcpy(out, b"NaN", 3)
        return 3
    if isinf(f):
        memcpy(out, b"+Inf" if f > 0 else b"-Inf", 4)
        return 4
    if f < 0 or (f == 0 and 1 / f < 0):
        out[0] = b"-"
        size = 1
        f = -f
    count = shortest(digits, f, &exponent)
    if format == b"g" and (exponent < -4 or exponent >= 6):
        out[size] = digits[0]
        size += 1
        if count > 1:
            out[size] = b"."
            memcpy(out + size + 1, digits + 1, count - 1)
            size += count
        return size + <uint32_t>snprintf(<char*>out + size, 8, b"e%+03d", exponent)
    if exponent < 0:
        memcpy(out + size, b"0.", 2)
        size += 2
        for _zeros in range(-exponent - 1):
            out[size] = b"0"
            size += 1
        memcpy(out + size, digits, count)
        return size + count
    for i in range(exponent + 1):
        out[size] = digits[i] if i < <int>count else <uint8_t>b"0"
        size += 1
    if <int>count > exponent + 1:
        out[size] = b"."
        memcpy(out + size + 1, digits + exponent + 1, count - exponent - 1)
        size += count - exponent
    return size


cdef bint append(Run* run, uint8_t* out, uint32_t* size, const uint8_t* text, uint32_t length) noexcept nogil:
    """Add to the text that stands last in the arena."""
    if length > ARENA_BYTES - run.used - size[0]:
        run.failed = True
        return False
    if length:
        memcpy(out + size[0], text, length)
    size[0] += length
    return True


cdef void append_value(Run* run, uint8_t* out, uint32_t* size, const Value* v, uint32_t depth) noexcept nogil:
    cdef uint8_t number[MAX_FLOAT_BYTES]
    cdef uint8_t* end = number
    cdef uint32_t i
    cdef uint64_t magnitude
    if depth == MAX_NESTED or not may_read(run, v.size):
        run.failed = True
    elif v.kind == NIL:
        append(run, out, size, <const uint8_t*>b"<nil>", 5)
    elif v.kind == BOOL:
        append(run, out, size, <const uint8_t*>(b"true" if v.number else b"false"), 4 if v.number else 5)
    elif v.kind == INT:
        magnitude = <uint64_t>v.number
        if v.number < 0:
            end[0] = b"-"
            end += 1
            magnitude = 0 - magnitude
        end = put_decimal(end, magnitude)
        append(run, out, size, number, end - number)
    elif v.kind == FLOAT:
        append(run, out, size, number, put_float(number, v.real, b"g"))
    elif v.kind == STRING:
        append(run, out, size, v.text, v.size)
    else:
        append(run, out, size, <const uint8_t*>(b"[" if v.kind == ARRAY else b"map["), 1 if v.kind == ARRAY else 4)
        for i in range(v.size):
            if i:
                append(run, out, size, <const uint8_t*>b" ", 1)
            if v.kind == MAP:
                append_value(run, out, size, &v.items[2 * i], depth + 1)
                append(run, out, size, <const uint8_t*>b":", 1)
            append_value(run, out, size, &v.items[2 * i + 1 if v.kind == MAP else i], depth + 1)
        append(run, out, size, <const uint8_t*>b"]", 1)


cdef Value to_text(Run* run, const Value* v) noexcept nogil:
    cdef uint8_t* out = run.arena + run.used
    cdef uint32_t size = 0
    if v.kind == STRING:
        return v[0]
    append_value(run, out, &size, v, 0)
    if take(run, size) == NULL:
        return nil_value()
    return string_value(out, size)


def float_text(double f, str format="g"):
    """How a number is written, as Go does."""
    cdef uint8_t out[MAX_FLOAT_BYTES]
    return out[:put_float(out, f, <uint8_t>ord(format))].decode()
