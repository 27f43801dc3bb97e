"""The machine that runs templates: see _program.pxd."""

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp

from fastdns.plugins.template._printing cimport (
    BOOLEAN, GROUPS, MATCH, NO_GROUP, NOTHING, SIGNED, STRING, UNSIGNED, Out, find_key, group_value, number_value,
    text_value, write, write_byte, write_formatted, write_value,
)
from fastdns.serve._values cimport read_value

cdef struct Machine:
    const Program* program
    const Data* data
    Out out
    Out strings                 # made on the way
    uint32_t used               # of the stack
    Value stack[MAX_STACK]
    Value places[MAX_PLACES]
    bint failed


# --------------------------------------------------------------------------------------------------- comparisons


cdef inline bint is_true(const Data* data, const Value* v) noexcept nogil:
    if v.kind == STRING:
        return v.size > 0
    if v.kind == MATCH:
        return v.size > <uint32_t>v.number
    if v.kind == GROUPS:
        return data.groups.key_count > 0
    return v.kind != NOTHING and v.number != 0


cdef inline bint is_number(const Value* v) noexcept nogil:
    return v.kind == SIGNED or v.kind == UNSIGNED


cdef int compare(const Value* one, const Value* two) noexcept nogil:
    """-1, 0 or 1; 2: they cannot be compared. Of truths only whether they are equal counts."""
    cdef uint32_t size
    cdef int order
    if is_number(one) and is_number(two):
        if one.kind == SIGNED and one.number < 0:
            if two.kind == SIGNED and two.number < 0:
                return (one.number > two.number) - (one.number < two.number)
            return -1
        if two.kind == SIGNED and two.number < 0:
            return 1
        return (<uint64_t>one.number > <uint64_t>two.number) - (<uint64_t>one.number < <uint64_t>two.number)
    if one.kind != two.kind:
        return 2
    if one.kind == STRING:
        size = one.size if one.size < two.size else two.size
        order = memcmp(one.text, two.text, size) if size else 0
        if order == 0:
            return (one.size > two.size) - (one.size < two.size)
        return 1 if order > 0 else -1
    if one.kind == BOOLEAN:
        return 0 if (one.number != 0) == (two.number != 0) else 1
    return 2


cdef bint equals(Machine* m, const Value* one, const Value* two) noexcept nogil:
    cdef int order
    if one.kind == NOTHING or two.kind == NOTHING:
        return one.kind == two.kind
    order = compare(one, two)
    if order == 2:
        m.failed = True
    return order == 0


cdef int order_of(Machine* m, const Value* one, const Value* two) noexcept nogil:
    cdef int order = compare(one, two)
    if order == 2 or one.kind == BOOLEAN:
        m.failed = True
    return order


# ------------------------------------------------------------------------------------------------- index and slice


cdef bint place_of(const Value* index, uint32_t most, uint32_t* place) noexcept nogil:
    if not is_number(index) or index.number < 0 or index.number > most:
        return False
    place[0] = <uint32_t>index.number
    return True


cdef bint index_by(const Data* data, Value* v, const Value* index) noexcept nogil:
    cdef uint32_t at
    if v.kind == STRING:
        if not place_of(index, v.size, &at) or at == v.size:
            return False
        v[0] = number_value(UNSIGNED, v.text[at])
        return True
    if v.kind == MATCH:
        if not place_of(index, v.size - <uint32_t>v.number, &at) or at == v.size - <uint32_t>v.number:
            return False
        v[0] = group_value(data, <uint32_t>v.number + at)
        return True
    if v.kind == GROUPS and index.kind == STRING:
        if not find_key(data, index.text, index.size, v):
            v[0] = text_value(NULL, 0)
        return True
    return False


cdef bint slice_by(Value* v, const Value* indexes, uint32_t count) noexcept nogil:
    cdef uint32_t size, i
    cdef uint32_t places[3]
    if v.kind == STRING:
        if count == 3:
            return False
        size = v.size
    elif v.kind == MATCH:
        size = v.size - <uint32_t>v.number
    else:
        return False
    places[0] = 0
    places[1] = size
    places[2] = size
    for i in range(count):
        if not place_of(&indexes[i], size, &places[i]):
            return False
    if places[0] > places[1] or (count == 3 and places[1] > places[2]):
        return False
    if v.kind == STRING:
        if v.text != NULL:
            v.text += places[0]
        v.size = places[1] - places[0]
    else:
        v.size = <uint32_t>v.number + places[1]
        v.number += places[0]
    return True


cdef bint length_of(const Data* data, Value* v) noexcept nogil:
    if v.kind == STRING:
        v[0] = number_value(SIGNED, v.size)
    elif v.kind == MATCH:
        v[0] = number_value(SIGNED, v.size - v.number)
    elif v.kind == GROUPS:
        v[0] = number_value(SIGNED, data.groups.key_count)
    else:
        return False
    return True


# ------------------------------------------------------------------------------------------------------ parseInt


cdef inline uint32_t digit_of(uint8_t byte) noexcept nogil:
    if 48 <= byte <= 57:
        return byte - 48
    byte |= 0x20
    if 97 <= byte <= 122:
        return byte - 87
    return 99


cdef bint underscores_stand_well(const uint8_t* text, uint32_t size) noexcept nogil:
    """As strconv's underscoreOK: each stands between digits, or behind a prefix."""
    cdef uint32_t i = 0
    cdef uint8_t before = b"^"
    cdef uint8_t letter
    cdef bint hexadecimal = False
    if size >= 2 and text[0] == b"0":
        letter = text[1] | 0x20
        if letter == b"b" or letter == b"o" or letter == b"x":
            i = 2
            before = b"0"
            hexadecimal = letter == b"x"
    while i < size:
        if 48 <= text[i] <= 57 or (hexadecimal and digit_of(text[i]) < 16):
            before = b"0"
        elif text[i] == b"_":
            if before != b"0":
                return False
            before = b"_"
        else:
            if before == b"_":
                return False
            before = b"!"
        i += 1
    return before != b"_"


cdef bint parse_unsigned(const uint8_t* text, uint32_t size, int64_t base, int64_t bits,
                         uint64_t* out) noexcept nogil:
    """strconv.ParseUint"""
    cdef uint64_t value = 0, most
    cdef uint32_t i = 0, digit
    cdef uint8_t letter
    cdef bint underscores = False, free_base = base == 0
    if bits < 0 or bits > 64 or base < 0 or base == 1 or base > 36 or size == 0:
        return False
    most = (<uint64_t>1 << bits) - 1 if 0 < bits < 64 else <uint64_t>0xFFFFFFFFFFFFFFFF
    if free_base:
        base = 10
        if text[0] == b"0":
            letter = text[1] | 0x20 if size >= 3 else 0
            if letter == b"b" or letter == b"o" or letter == b"x":
                base = 2 if letter == b"b" else 8 if letter == b"o" else 16
                i = 2
            else:
                base = 8
                i = 1
    while i < size:
        if text[i] == b"_" and free_base:
            underscores = True
            i += 1
            continue
        digit = digit_of(text[i])
        if digit >= base or value > (most - digit) // <uint64_t>base:
            return False
        value = value * <uint64_t>base + digit
        i += 1
    if value > most or (underscores and not underscores_stand_well(text, size)):
        return False
    out[0] = value
    return True


# ------------------------------------------------------------------------------------------------------- a range


cdef bint begin_range(Machine* m, uint32_t place) noexcept nogil:
    cdef Value* v = &m.stack[m.used - 1]
    if v.kind == STRING or v.kind == BOOLEAN:
        return False
    m.places[place] = v[0]
    m.places[place + 1] = number_value(SIGNED, 0)
    m.used -= 1
    return True


cdef bint next_round(Machine* m, uint32_t place) noexcept nogil:
    """Whether there is one more; its index and element are then in the two places behind."""
    cdef const Value* over = &m.places[place]
    cdef int64_t at = m.places[place + 1].number
    cdef Value* index = &m.places[place + 2]
    cdef Value* element = &m.places[place + 3]
    cdef const Key* key
    if over.kind == MATCH:
        if over.number + at >= over.size:
            return False
        index[0] = number_value(SIGNED, at)
        element[0] = group_value(m.data, <uint32_t>(over.number + at))
    elif over.kind == GROUPS:
        if at >= m.data.groups.key_count:
            return False
        key = &m.data.groups.keys[at]
        index[0] = text_value(key.text, key.size)
        element[0] = group_value(m.data, key.group)
    elif over.kind == SIGNED:
        if at >= over.number:
            return False
        element[0] = number_value(SIGNED, at)
    elif over.kind == UNSIGNED:
        if <uint64_t>at >= <uint64_t>over.number:
            return False
        element[0] = number_value(UNSIGNED, at)
    else:
        return False
    m.places[place + 1].number += 1
    return True


# --------------------------------------------------------------------------------------------------- the machine


cdef void push(Machine* m, Value v) noexcept nogil:
    if m.used >= MAX_STACK:
        m.failed = True
        return
    m.stack[m.used] = v
    m.used += 1


cdef void make_string(Machine* m, const Instruction* one) noexcept nogil:
    """SPRINT, SPRINTLN and SPRINTF: the values on top become one string."""
    cdef Value* values = &m.stack[m.used - one.small]
    cdef uint32_t begin = m.strings.size
    cdef uint32_t i
    if one.operation == SPRINTF:
        write_formatted(m.data, &m.strings, m.program.formats[one.large], values)
    else:
        for i in range(one.small):
            if i and (one.operation == SPRINTLN or (values[i].kind != STRING and values[i - 1].kind != STRING)):
                write_byte(&m.strings, b" ")
            write_value(m.data, &m.strings, &values[i])
        if one.operation == SPRINTLN:
            write_byte(&m.strings, b"\n")
    m.used -= one.small
    push(m, text_value(m.strings.at + begin, m.strings.size - begin))


cdef void compare_top(Machine* m, const Instruction* one) noexcept nogil:
    """EQ to GE."""
    cdef uint32_t count = one.small + 1 if one.operation == EQ else 2
    cdef Value* values = &m.stack[m.used - count]
    cdef uint32_t i
    cdef bint said = False
    if one.operation == EQ:
        for i in range(1, count):
            if equals(m, &values[0], &values[i]):
                said = True
                break
            if m.failed:
                return
    elif one.operation == NE:
        said = not equals(m, &values[0], &values[1])
    elif one.operation == LT:
        said = order_of(m, &values[0], &values[1]) < 0
    elif one.operation == LE:
        said = order_of(m, &values[0], &values[1]) <= 0
    elif one.operation == GT:
        said = order_of(m, &values[0], &values[1]) > 0
    else:
        said = order_of(m, &values[0], &values[1]) >= 0
    m.used -= count
    push(m, number_value(BOOLEAN, said))


cdef void look_into(Machine* m, const Instruction* one) noexcept nogil:
    """INDEX, SLICE and NAMED: the value below the indexes becomes the part."""
    cdef const Key* name
    cdef Value* v
    cdef uint32_t i
    if one.operation == NAMED:
        v = &m.stack[m.used - 1]
        name = &m.program.names[one.small]
        if v.kind == GROUPS:
            if not find_key(m.data, name.text, name.size, v):
                v.kind = NOTHING
        elif v.kind != NOTHING:
            m.failed = True
        return
    v = &m.stack[m.used - one.small - 1]
    if one.operation == SLICE:
        m.failed = not slice_by(v, v + 1, one.small)
    elif v.kind == NOTHING:
        m.failed = True
    else:
        for i in range(one.small):
            if not index_by(m.data, v, v + 1 + i):
                m.failed = True
                return
    m.used -= one.small


cdef void parse_top(Machine* m) noexcept nogil:
    cdef Value* v = &m.stack[m.used - 3]
    cdef uint64_t number = 0
    if (v[0].kind != STRING or v[1].kind != SIGNED or v[2].kind != SIGNED
            or not parse_unsigned(v.text, v.size, v[1].number, v[2].number, &number)):
        m.failed = True
        return
    v[0] = number_value(UNSIGNED, <int64_t>number)
    m.used -= 2


cdef void push_meta(Machine* m, uint32_t number) noexcept nogil:
    cdef const uint8_t* text = NULL
    cdef uint32_t size = read_value(m.data.ctx, m.data.metas[number], &text)
    push(m, text_value(text, size))


cdef void push_group(Machine* m, uint32_t name) noexcept nogil:
    cdef uint16_t group = m.data.groups.by_name[name]
    cdef Value v
    if group == NO_GROUP:
        v.kind = NOTHING
        push(m, v)
    else:
        push(m, group_value(m.data, group))


cdef uint32_t step(Machine* m, uint32_t at) noexcept nogil:
    """Do one instruction. Returns which is next."""
    cdef const Instruction* one = &m.program.instructions[at]
    cdef const Value* constant
    cdef uint16_t operation = one.operation
    at += 1
    if operation == TEXT:
        constant = &m.program.constants[one.large]
        write(&m.out, constant.text, constant.size)
    elif operation == PUSH:
        push(m, m.program.constants[one.large])
    elif operation == FIELD:
        push(m, m.data.fields[one.small])
    elif operation == GROUP:
        push_group(m, one.small)
    elif operation == META:
        push_meta(m, one.small)
    elif operation == VARIABLE:
        push(m, m.data.variables[one.small])
    elif operation == LOAD:
        push(m, m.places[one.small])
    elif operation == STORE:
        m.used -= 1
        m.places[one.small] = m.stack[m.used]
    elif operation == DROP:
        m.used -= 1
    elif operation == PRINT:
        m.used -= 1
        if m.stack[m.used].kind == NOTHING:
            write(&m.out, b"<no value>", 10)
        else:
            write_value(m.data, &m.out, &m.stack[m.used])
    elif operation == INDEX or operation == SLICE or operation == NAMED:
        look_into(m, one)
    elif operation == LEN:
        m.failed = not length_of(m.data, &m.stack[m.used - 1])
    elif operation == NOT:
        m.stack[m.used - 1] = number_value(BOOLEAN, not is_true(m.data, &m.stack[m.used - 1]))
    elif EQ <= operation <= GE:
        compare_top(m, one)
    elif operation == JUMP:
        at = one.large
    elif operation == UNLESS:
        m.used -= 1
        if not is_true(m.data, &m.stack[m.used]):
            at = one.large
    elif operation == KEEP_TRUE or operation == KEEP_FALSE:
        if is_true(m.data, &m.stack[m.used - 1]) == (operation == KEEP_TRUE):
            at = one.large
        else:
            m.used -= 1
    elif operation == ITERATE:
        m.failed = not begin_range(m, one.small)
    elif operation == NEXT:
        if not next_round(m, one.small):
            at = one.large
    elif operation == ONE_VARIABLE:
        m.failed = is_number(&m.places[one.small])
    elif operation == SPRINT or operation == SPRINTLN or operation == SPRINTF:
        make_string(m, one)
    elif operation == PARSE_INT:
        parse_top(m)
    else:
        m.failed = True
    return at


cdef bint execute(const Program* program, const Data* data, uint8_t* out, uint32_t* size) noexcept nogil:
    cdef Machine m
    cdef uint8_t strings[MAX_TEXT_BYTES]
    cdef uint32_t at = 0, steps = 0
    m.program = program
    m.data = data
    m.out.at = out
    m.out.size = 0
    m.out.room = MAX_TEXT_BYTES
    m.out.failed = False
    m.strings.at = strings
    m.strings.size = 0
    m.strings.room = MAX_TEXT_BYTES
    m.strings.failed = False
    m.used = 0
    m.failed = False
    while at < program.count:
        at = step(&m, at)
        steps += 1
        if m.failed or m.out.failed or m.strings.failed or steps > MAX_STEPS:
            return False
    size[0] = m.out.size
    return True


# ---------------------------------------------------------------------------------------------------- from Python


cdef void* room_for(size_t count, size_t size) except NULL:
    cdef void* memory = calloc(count if count else 1, size)
    if memory == NULL:
        raise MemoryError
    return memory


cdef class NativeProgram:
    def __cinit__(self, list code not None, list constants not None, list names not None, list formats not None):
        cdef uint32_t i, j
        cdef Value* v
        cdef Piece* p
        self.keep = [list(constants), list(names), list(formats)]
        self.program.instructions = <Instruction*>room_for(len(code), sizeof(Instruction))
        self.program.count = <uint32_t>len(code)
        for i, (operation, small, large) in enumerate(code):
            self.program.instructions[i].operation = operation
            self.program.instructions[i].small = small
            self.program.instructions[i].large = large
        self.program.constants = <Value*>room_for(len(constants), sizeof(Value))
        for i, constant in enumerate(constants):
            v = &self.program.constants[i]
            if constant is None:
                v.kind = NOTHING
            elif isinstance(constant, bytes):
                v[0] = text_value(<const uint8_t*><bytes>constant, <uint32_t>len(constant))
            elif isinstance(constant, bool):
                v[0] = number_value(BOOLEAN, constant)
            else:
                v[0] = number_value(SIGNED, constant)
        self.program.names = <Key*>room_for(len(names), sizeof(Key))
        for i, name in enumerate(names):
            self.program.names[i].text = <const uint8_t*><bytes>name
            self.program.names[i].size = <uint32_t>len(name)
        self.program.formats = <Piece**>room_for(len(formats), sizeof(Piece*))
        for i, pieces in enumerate(formats):
            p = <Piece*>room_for(len(pieces), sizeof(Piece))
            self.program.formats[i] = p
            for j, (literal, verb, flags, width, precision) in enumerate(pieces):
                p[j].literal = <const uint8_t*><bytes>literal
                p[j].literal_size = <uint32_t>len(literal)
                p[j].verb = ord(verb) if verb else 0
                p[j].flags = flags
                p[j].width = width
                p[j].precision = precision

    def __dealloc__(self):
        cdef uint32_t i
        if self.program.formats != NULL and self.keep is not None:
            for i in range(<uint32_t>len(self.keep[2])):
                free(self.program.formats[i])
        free(self.program.formats)
        free(self.program.instructions)
        free(self.program.constants)
        free(self.program.names)
