"""Strings, numbers and arrays in expressions: see _functions.pxd."""

from libc.math cimport ceil, floor, isinf, round
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport strtod
from libc.string cimport memcmp, memcpy

from fastdns.expr._value cimport (
    ARRAY, FLOAT, INT, MAP, NIL, STRING, Run, Value, array_value, bool_value, compare, contains_value, fail,
    find_key, float_value, int_value, is_number, may_read, may_work, nil_value, real_of, string_value, take,
    take_items, to_int, to_text,
)

# In the order of functions.PLAIN.
cdef enum Plain:
    LEN, TO_INT, TO_FLOAT, TO_STRING, TRIM, TRIM_PREFIX, TRIM_SUFFIX, UPPER, LOWER, SPLIT, SPLIT_AFTER, REPLACE
    REPEAT, INDEX_OF, LAST_INDEX_OF, HAS_PREFIX, HAS_SUFFIX, JOIN, ABS, CEIL, FLOOR, ROUND, MAX, MIN, MEAN, MEDIAN
    FIRST, LAST, TAKE, REVERSE, UNIQ, CONCAT, FLATTEN, SORT, GET, KEYS, VALUES, BITAND, BITOR
    BITXOR, BITNAND, BITSHL, BITSHR, BITUSHR, BITNOT

cdef enum:
    MAX_NESTED = 32
    MAX_NUMBER_BYTES = 64
    EVERY = -1


# ------------------------------------------------------------------------------------------------- strings

cdef inline uint32_t rune_bytes(const uint8_t* text, uint32_t left) noexcept nogil:
    """The bytes of the character that begins here; 1 for what is no UTF-8."""
    cdef uint32_t size = 1, i
    if text[0] >= 0xF0:
        size = 4
    elif text[0] >= 0xE0:
        size = 3
    elif text[0] >= 0xC0:
        size = 2
    if size > left:
        return 1
    for i in range(1, size):
        if text[i] & 0xC0 != 0x80:
            return 1
    return size


cdef uint32_t count_runes(const Value* v) noexcept nogil:
    cdef uint32_t at = 0, count = 0
    while at < v.size:
        at += rune_bytes(v.text + at, v.size - at)
        count += 1
    return count


cdef bint begins_with(const Value* text, const Value* part) noexcept nogil:
    return part.size <= text.size and (part.size == 0 or memcmp(text.text, part.text, part.size) == 0)


cdef bint ends_with(const Value* text, const Value* part) noexcept nogil:
    return part.size <= text.size and (
        part.size == 0 or memcmp(text.text + text.size - part.size, part.text, part.size) == 0)


cdef long find_text(Run* run, const Value* text, const Value* part, uint32_t at) noexcept nogil:
    if part.size == 0:
        return at
    while at + <uint64_t>part.size <= text.size:
        if text.text[at] == part.text[0]:
            if not may_read(run, part.size):
                return -1
            if memcmp(text.text + at, part.text, part.size) == 0:
                return at
        at += 1
    return -1


cdef long find_last(Run* run, const Value* text, const Value* part) noexcept nogil:
    cdef long at = <long>text.size - <long>part.size
    while at >= 0:
        if not may_read(run, part.size):
            return -1
        if part.size == 0 or memcmp(text.text + at, part.text, part.size) == 0:
            return at
        at -= 1
    return -1


cdef Value join_two(Run* run, const Value* a, const Value* b) noexcept nogil:
    cdef uint8_t* out
    if a.size == 0:
        return b[0]
    if b.size == 0:
        return a[0]
    out = take(run, <uint64_t>a.size + b.size)
    if out == NULL or not may_read(run, a.size + b.size):
        return nil_value()
    memcpy(out, a.text, a.size)
    memcpy(out + a.size, b.text, b.size)
    return string_value(out, a.size + b.size)


cdef Value recased(Run* run, const Value* v, uint8_t first, uint8_t last) noexcept nogil:
    """ASCII letters in the other case. Other letters stay."""
    cdef uint8_t* out = take(run, v.size)
    cdef uint32_t i
    if out == NULL or not may_read(run, v.size):
        return nil_value()
    for i in range(v.size):
        out[i] = v.text[i] ^ 32 if first <= v.text[i] <= last else v.text[i]
    return string_value(out, v.size)


cdef bint is_in_set(const Value* chars, const uint8_t* rune, uint32_t size) noexcept nogil:
    cdef uint32_t at = 0, length
    while at < chars.size:
        length = rune_bytes(chars.text + at, chars.size - at)
        if length == size and memcmp(chars.text + at, rune, size) == 0:
            return True
        at += length
    return False


cdef Value trimmed(Run* run, const Value* v, const Value* chars) noexcept nogil:
    """Without the characters of a set at both ends."""
    cdef uint32_t first = 0, last = v.size, size, back
    while first < last and may_read(run, chars.size):
        size = rune_bytes(v.text + first, last - first)
        if not is_in_set(chars, v.text + first, size):
            break
        first += size
    while last > first and may_read(run, chars.size):
        back = 1
        while back < 4 and back < last - first and v.text[last - back] & 0xC0 == 0x80:
            back += 1
        if rune_bytes(v.text + last - back, back) != back:
            back = 1
        if not is_in_set(chars, v.text + last - back, back):
            break
        last -= back
    return string_value(v.text + first, last - first)


cdef Value split(Run* run, const Value* v, const Value* separator, int64_t most, bint after) noexcept nogil:
    """Go's strings.SplitN and SplitAfterN."""
    cdef Value* items
    cdef uint32_t count = 1, begin = 0, i, keep
    cdef long at = 0
    if most == 0:
        return array_value(NULL, 0)
    if separator.size == 0:
        count = count_runes(v)
    else:
        at = find_text(run, v, separator, 0)
        while at >= 0 and not run.failed:
            count += 1
            at = find_text(run, v, separator, <uint32_t>at + separator.size)
    if most > 0 and count > most:
        count = <uint32_t>most
    items = take_items(run, count)
    if items == NULL or not may_work(run, count + v.size // 16):
        return nil_value()
    for i in range(count):
        if i + 1 == count:
            at = v.size
        elif separator.size == 0:
            at = begin + rune_bytes(v.text + begin, v.size - begin)
        else:
            at = find_text(run, v, separator, begin)
        if at < 0:
            return fail(run)
        keep = separator.size if after and i + 1 < count else 0
        items[i] = string_value(v.text + begin, <uint32_t>at - begin + keep)
        begin = <uint32_t>at + (separator.size if i + 1 < count else 0)
    return array_value(items, count)


cdef Value replaced(Run* run, const Value* v, const Value* old, const Value* new, int64_t most) noexcept nogil:
    """Go's strings.Replace: an empty old text stands before each character and at the end."""
    cdef uint8_t* out
    cdef uint64_t size, most_found = count_runes(v) + 1 if old.size == 0 else v.size // old.size
    cdef uint32_t from_at = 0, to_at = 0, step
    cdef long at
    if most < 0 or <uint64_t>most > most_found:
        most = most_found
    size = v.size + <uint64_t>most * new.size
    out = take(run, size)
    if out == NULL or not may_work(run, 1 + <uint32_t>(size >> 4)):
        return nil_value()
    while most > 0 and not run.failed:
        at = find_text(run, v, old, from_at)
        if at < 0:
            break
        memcpy(out + to_at, v.text + from_at, <uint32_t>at - from_at)
        to_at += <uint32_t>at - from_at
        memcpy(out + to_at, new.text, new.size)
        to_at += new.size
        from_at = <uint32_t>at + old.size
        if old.size == 0:
            if from_at == v.size:
                break
            step = rune_bytes(v.text + from_at, v.size - from_at)
            memcpy(out + to_at, v.text + from_at, step)
            to_at += step
            from_at += step
        most -= 1
    if from_at < v.size:
        memcpy(out + to_at, v.text + from_at, v.size - from_at)
        to_at += v.size - from_at
    return string_value(out, to_at)


cdef Value repeated(Run* run, const Value* v, int64_t times) noexcept nogil:
    cdef uint8_t* out
    cdef int64_t i
    if times < 0 or times > 1000000:
        return fail(run)
    out = take(run, <uint64_t>times * v.size)
    if out == NULL or v.size == 0 or not may_work(run, 1 + <uint32_t>times):
        return string_value(out, 0)
    for i in range(times):
        memcpy(out + i * v.size, v.text, v.size)
    return string_value(out, <uint32_t>(times * v.size))


cdef Value joined(Run* run, const Value* array, const Value* glue) noexcept nogil:
    cdef uint64_t size = 0
    cdef uint32_t i, at = 0
    cdef uint8_t* out
    for i in range(array.size):
        if array.items[i].kind != STRING or not may_work(run, 1):
            return fail(run)
        size += array.items[i].size + (glue.size if i else 0)
    out = take(run, size)
    if out == NULL or not may_work(run, 1 + <uint32_t>(size >> 4)):
        return nil_value()
    for i in range(array.size):
        if i and glue.size:
            memcpy(out + at, glue.text, glue.size)
            at += glue.size
        if array.items[i].size:
            memcpy(out + at, array.items[i].text, array.items[i].size)
            at += array.items[i].size
    return string_value(out, at)


# ------------------------------------------------------------------------------------------------- numbers

cdef Value parsed_int(Run* run, const Value* v) noexcept nogil:
    """strconv.Atoi"""
    cdef uint64_t total = 0, limit = <uint64_t>1 << 63
    cdef uint32_t i = 0
    cdef bint negative
    if v.size == 0:
        return fail(run)
    negative = v.text[0] == b"-"
    if negative or v.text[0] == b"+":
        i = 1
    if i == v.size or v.size > MAX_NUMBER_BYTES:
        return fail(run)
    if not negative:
        limit -= 1
    while i < v.size:
        if v.text[i] < b"0" or v.text[i] > b"9" or total > (limit - (v.text[i] - 48)) // 10:
            return fail(run)
        total = 10 * total + (v.text[i] - 48)
        i += 1
    return int_value(<int64_t>(0 - total) if negative else <int64_t>total)


cdef Value parsed_float(Run* run, const Value* v) noexcept nogil:
    """strconv.ParseFloat, of decimal numbers, inf and nan."""
    cdef char text[MAX_NUMBER_BYTES + 1]
    cdef char* end
    cdef double f
    cdef uint32_t i
    if v.size == 0 or v.size > MAX_NUMBER_BYTES:
        return fail(run)
    for i in range(v.size):
        # strtod skips blanks, and reads hexadecimal numbers without an exponent.
        if v.text[i] <= 32 or v.text[i] == b"x" or v.text[i] == b"X" or v.text[i] == b"(":
            return fail(run)
    memcpy(text, v.text, v.size)
    text[v.size] = 0
    f = strtod(text, &end)
    if end != text + v.size or (isinf(f) and b"0" <= text[0] <= b"9"):
        return fail(run)
    return float_value(f)


cdef Value rounded(Run* run, const Value* v, Plain how) noexcept nogil:
    cdef double f
    if not is_number(v):
        return fail(run)
    f = real_of(v)
    return float_value(ceil(f) if how == CEIL else floor(f) if how == FLOOR else round(f))


cdef Value bits(Run* run, Plain how, const Value* args) noexcept nogil:
    cdef uint64_t x, y = 0
    if args[0].kind != INT or (how != BITNOT and args[1].kind != INT):
        return fail(run)
    x = <uint64_t>args[0].number
    if how == BITNOT:
        return int_value(<int64_t>~x)
    y = <uint64_t>args[1].number
    if how == BITAND:
        x &= y
    elif how == BITOR:
        x |= y
    elif how == BITXOR:
        x ^= y
    elif how == BITNAND:
        x &= ~y
    elif args[1].number < 0:
        return fail(run)
    elif how == BITSHR:
        return int_value(args[0].number >> (y if y < 63 else 63))
    elif y > 63:
        x = 0
    else:
        x = x << y if how == BITSHL else x >> y
    return int_value(<int64_t>x)


# -------------------------------------------------------------------------------------------------- arrays

cdef Value make_range(Run* run, const Value* first, const Value* last) noexcept nogil:
    cdef int64_t begin = to_int(run, first), end = to_int(run, last), i
    cdef Value* items
    if run.failed or end < begin:
        return array_value(NULL, 0)
    if <uint64_t>end - <uint64_t>begin >= 1000000:
        return fail(run)
    items = take_items(run, end - begin + 1)
    if items == NULL or not may_work(run, <uint32_t>(end - begin + 1)):
        return nil_value()
    for i in range(end - begin + 1):
        items[i] = int_value(begin + i)
    return array_value(items, <uint32_t>(end - begin + 1))


cdef inline int64_t clamped(int64_t at, int64_t size) noexcept nogil:
    if at < 0:
        at = at + size if at >= -size else 0
    return at if at < size else size


cdef Value make_slice(Run* run, const Value* whole, const Value* first, const Value* last) noexcept nogil:
    cdef int64_t begin = 0, end = whole.size
    if whole.kind != STRING and whole.kind != ARRAY:
        return fail(run)
    if first.kind != NIL:
        begin = clamped(to_int(run, first), whole.size)
    if last.kind != NIL:
        end = clamped(to_int(run, last), whole.size)
    if begin > end:
        begin = end
    if whole.kind == STRING:
        return string_value(whole.text + begin, <uint32_t>(end - begin))
    return array_value(whole.items + begin, <uint32_t>(end - begin))


cdef Value best(Run* run, const Value* args, uint32_t count, int sign, uint32_t depth) noexcept nogil:
    """The largest number of all, with sign 1, or the smallest one; also of arrays."""
    cdef Value found = nil_value(), one
    cdef uint32_t i
    for i in range(count):
        if depth == MAX_NESTED or not may_work(run, 1):
            return fail(run)
        one = args[i]
        if one.kind == ARRAY:
            one = best(run, one.items, one.size, sign, depth + 1)
            if one.kind == NIL:
                continue
        elif not is_number(&one):
            return fail(run)
        if found.kind == NIL or compare(run, &found, &one) * sign < 0:
            found = one
    return found


cdef uint32_t flattened(Run* run, const Value* args, uint32_t count, Value* out, uint32_t depth) noexcept nogil:
    """What arrays in arrays hold, in order. out: NULL to count only. Returns how many."""
    cdef uint32_t i, found = 0
    for i in range(count):
        if depth == MAX_NESTED or not may_work(run, 1):
            run.failed = True
            return found
        if args[i].kind == ARRAY:
            found += flattened(run, args[i].items, args[i].size, NULL if out == NULL else out + found, depth + 1)
        else:
            if out != NULL:
                out[found] = args[i]
            found += 1
    return found


cdef Value flat(Run* run, const Value* args, uint32_t count) noexcept nogil:
    cdef uint32_t size = flattened(run, args, count, NULL, 0)
    cdef Value* items = NULL if run.failed else take_items(run, size)
    if items == NULL:
        return nil_value()
    flattened(run, args, count, items, 0)
    return array_value(items, size)


cdef Value average(Run* run, const Value* args, uint32_t count, bint middle) noexcept nogil:
    cdef Value all_of = flat(run, args, count)
    cdef double total = 0
    cdef uint32_t i
    if run.failed or all_of.size == 0:
        return float_value(0)
    for i in range(all_of.size):
        if not is_number(&all_of.items[i]):
            return fail(run)
        total += real_of(&all_of.items[i])
    if not middle:
        return float_value(total / all_of.size)
    sort_items(run, <Value*>all_of.items, <Value*>all_of.items, all_of.size, False)
    i = all_of.size // 2
    if all_of.size % 2:
        return float_value(real_of(&all_of.items[i]))
    return float_value((real_of(&all_of.items[i - 1]) + real_of(&all_of.items[i])) / 2)


cdef void sort_items(Run* run, Value* items, Value* keys, uint32_t count, bint descending) noexcept nogil:
    cdef uint32_t i, j
    cdef int order
    cdef Value item, key
    for i in range(1, count):
        item = items[i]
        key = keys[i]
        j = i
        while j:
            order = compare(run, &keys[j - 1], &key)
            if run.failed or not may_work(run, 1):
                return
            if (order >= 0 if descending else order <= 0):
                break
            items[j] = items[j - 1]
            keys[j] = keys[j - 1]
            j -= 1
        items[j] = item
        keys[j] = key


cdef bint read_order(Run* run, const Value* order) noexcept nogil:
    if order.kind == STRING and order.size == 4 and memcmp(order.text, b"desc", 4) == 0:
        return True
    if order.kind != STRING or order.size != 3 or memcmp(order.text, b"asc", 3) != 0:
        run.failed = True
    return False


cdef Value copied(Run* run, const Value* array, bint backwards) noexcept nogil:
    cdef Value* items = take_items(run, array.size)
    cdef uint32_t i
    if items == NULL or not may_work(run, array.size):
        return nil_value()
    for i in range(array.size):
        items[i] = array.items[array.size - 1 - i if backwards else i]
    return array_value(items, array.size)


cdef Value without_repeats(Run* run, const Value* array) noexcept nogil:
    cdef Value* items = take_items(run, array.size)
    cdef Value found
    cdef uint32_t i
    if items == NULL:
        return nil_value()
    found = array_value(items, 0)
    for i in range(array.size):
        if not contains_value(run, &array.items[i], &found):
            items[found.size] = array.items[i]
            found.size += 1
    return found


cdef Value concatenated(Run* run, const Value* args, uint32_t count) noexcept nogil:
    cdef uint64_t size = 0
    cdef uint32_t i, at = 0
    cdef Value* items
    for i in range(count):
        if args[i].kind != ARRAY:
            return fail(run)
        size += args[i].size
    items = take_items(run, size)
    if items == NULL or not may_work(run, <uint32_t>size):
        return nil_value()
    for i in range(count):
        if args[i].size:
            memcpy(items + at, args[i].items, args[i].size * sizeof(Value))
            at += args[i].size
    return array_value(items, at)


cdef Value got(Run* run, const Value* stack, const Value* key) noexcept nogil:
    """An element or the value of a key; nil where there is none."""
    cdef const Value* found
    cdef int64_t at
    if stack.kind == MAP:
        found = find_key(run, stack, key)
        return nil_value() if found == NULL else found[0]
    if stack.kind != ARRAY and stack.kind != STRING:
        return nil_value()
    at = to_int(run, key)
    if at < 0:
        at += stack.size
    if run.failed or not 0 <= at < stack.size:
        return nil_value()
    return stack.items[at] if stack.kind == ARRAY else int_value(stack.text[at])


cdef Value half_of_map(Run* run, const Value* map, uint32_t which) noexcept nogil:
    """Its keys, 0, or its values, 1, in the order of the keys."""
    cdef Value* keys = take_items(run, map.size)
    cdef Value* values = take_items(run, map.size)
    cdef uint32_t i
    if keys == NULL or values == NULL:
        return nil_value()
    for i in range(map.size):
        keys[i] = map.items[2 * i]
        values[i] = map.items[2 * i + 1]
    sort_items(run, values, keys, map.size, False)
    return array_value(values if which else keys, map.size)


# ------------------------------------------------------------------------------------------------ the call

cdef Value on_strings(Run* run, Plain which, const Value* args, uint32_t count) noexcept nogil:
    cdef uint32_t i
    cdef Value blanks = string_value(<const uint8_t*>b" \t\n\v\f\r\xc2\x85\xc2\xa0", 10)
    cdef Value blank = string_value(<const uint8_t*>b" ", 1)
    cdef const Value* second = &args[1] if count > 1 else &blank
    cdef int64_t most = EVERY
    cdef long at
    for i in range(count):
        if args[i].kind != STRING and not (which == REPEAT and i == 1) and not (
                (which == SPLIT or which == SPLIT_AFTER) and i == 2) and not (which == REPLACE and i == 3):
            return fail(run)
    if which == TRIM:
        return trimmed(run, &args[0], &args[1] if count > 1 else &blanks)
    if which == TRIM_PREFIX:
        i = second.size if begins_with(&args[0], second) else 0
        return string_value(args[0].text + i, args[0].size - i)
    if which == TRIM_SUFFIX:
        return string_value(args[0].text, args[0].size - (second.size if ends_with(&args[0], second) else 0))
    if which == UPPER:
        return recased(run, &args[0], b"a", b"z")
    if which == LOWER:
        return recased(run, &args[0], b"A", b"Z")
    if which == SPLIT or which == SPLIT_AFTER:
        if count > 2:
            most = to_int(run, &args[2])
        return split(run, &args[0], &args[1], most, which == SPLIT_AFTER)
    if which == REPLACE:
        if count > 3:
            most = to_int(run, &args[3])
        return replaced(run, &args[0], &args[1], &args[2], most)
    if which == REPEAT:
        return repeated(run, &args[0], to_int(run, &args[1]))
    if which == INDEX_OF:
        at = find_text(run, &args[0], &args[1], 0)
        return int_value(at)
    if which == LAST_INDEX_OF:
        at = find_last(run, &args[0], &args[1])
        return int_value(at)
    if which == HAS_PREFIX:
        return bool_value(begins_with(&args[0], &args[1]))
    return bool_value(ends_with(&args[0], &args[1]))


cdef Value on_arrays(Run* run, Plain which, const Value* args, uint32_t count) noexcept nogil:
    cdef Value found = string_value(NULL, 0)
    cdef int64_t most
    if which == CONCAT:
        return concatenated(run, args, count)
    if args[0].kind != ARRAY:
        # CoreDNS: nil.
        return nil_value() if which == FIRST or which == LAST else fail(run)
    if which == JOIN:
        if count > 1 and args[1].kind != STRING:
            return fail(run)
        return joined(run, &args[0], &args[1] if count > 1 else &found)
    if which == FIRST or which == LAST:
        if args[0].size == 0:
            return nil_value()
        return args[0].items[0 if which == FIRST else args[0].size - 1]
    if which == TAKE:
        most = args[1].number
        if args[1].kind != INT or most < 0:
            return fail(run)
        return array_value(args[0].items, <uint32_t>most if most < args[0].size else args[0].size)
    if which == REVERSE:
        return copied(run, &args[0], True)
    if which == UNIQ:
        return without_repeats(run, &args[0])
    if which == FLATTEN:
        return flat(run, args, 1)
    found = copied(run, &args[0], False)
    if not run.failed:
        sort_items(run, <Value*>found.items, <Value*>found.items, found.size,
                   count > 1 and read_order(run, &args[1]))
    return found


cdef Value call_plain(Run* run, uint32_t number, const Value* args, uint32_t count) noexcept nogil:
    cdef Plain which = <Plain>number
    cdef const Value* v = &args[0]
    if which == LEN:
        if v.kind == STRING:
            may_read(run, v.size)
            return int_value(count_runes(v))
        return int_value(v.size) if v.kind == ARRAY or v.kind == MAP else fail(run)
    if which == TO_INT:
        return parsed_int(run, v) if v.kind == STRING else int_value(to_int(run, v))
    if which == TO_FLOAT:
        if v.kind == STRING:
            return parsed_float(run, v)
        return float_value(real_of(v)) if is_number(v) else fail(run)
    if which == TO_STRING:
        return to_text(run, v)
    if TRIM <= which <= HAS_SUFFIX:
        return on_strings(run, which, args, count)
    if which == ABS:
        if v.kind == INT:
            return int_value(<int64_t>(0 - <uint64_t>v.number)) if v.number < 0 else v[0]
        if v.kind != FLOAT:
            return fail(run)
        return float_value(-v.real) if v.real < 0 else v[0]
    if CEIL <= which <= ROUND:
        return rounded(run, v, which)
    if which == MAX or which == MIN:
        return best(run, args, count, 1 if which == MAX else -1, 0)
    if which == MEAN or which == MEDIAN:
        return average(run, args, count, which == MEDIAN)
    if which == GET:
        return got(run, v, &args[1])
    if which == KEYS or which == VALUES:
        return half_of_map(run, v, which == VALUES) if v.kind == MAP else fail(run)
    if which >= BITAND:
        return bits(run, which, args)
    return on_arrays(run, which, args, count)
