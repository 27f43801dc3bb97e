"""The tree of an expression as native code, and its evaluation: see _program.pxd."""

from libc.math cimport pow as c_pow
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free

from fastdns.expr._functions cimport (
    begins_with, call_plain, ends_with, find_text, join_two, make_range, make_slice, read_order, sort_items,
)
from fastdns.expr._query cimport (
    Prefix, QueryFunction, client_in_prefix, of_query, read_prefix, text_in_prefix,
)
from fastdns.expr._value cimport (
    ARRAY, BOOL, FLOAT, INT, MAP, MAX_VARIABLES, MAX_WORK, NIL, STRING, array_value, bool_value, compare,
    contains_value, equal, fail, find_key, float_value, int_value, is_number, may_read, may_work, nil_value,
    real_of, string_value, take_items, to_int, to_text,
)
from fastdns.regex._pattern cimport Pattern
from fastdns.regex._regex cimport Regex, matches
from fastdns.serve._values cimport BlockValue, Value as QueryValue, read_value

from fastdns.expr.errors import ExprError, UnsupportedError
from fastdns.expr.functions import LOOP_NUMBERS, PLAIN_NUMBERS, QUERY_NUMBERS
from fastdns.expr.tree import BINARY_NUMBERS, compiled
from fastdns.regex import RegexError

cdef enum:
    # Of a tree. The parser makes none that is as deep.
    MOST_DEPTH = 200

cdef enum Operation:
    CONSTANT
    AND
    OR
    NOT
    NEGATE
    BINARY                      # number: of tree.BINARY_NUMBERS
    COALESCE
    CHOICE
    MEMBER                      # number: 1 for ?.
    CHAIN
    SLICE
    ARRAY_OF
    MAP_OF
    SEQUENCE
    LET                         # number: of the variable
    VARIABLE
    LOOKUP                      # number: of the variable, a map
    ELEMENT
    INDEX
    ACCUMULATOR
    QUERY                       # number: of the function
    METADATA                    # extra: the value; NULL until bound
    IN_NETWORK                  # extra: the network
    CLIENT_IN_NETWORK
    MATCHES                     # extra: the pattern
    IN_SORTED                   # the second child is a constant: strings or numbers in order
    BETWEEN                     # a whole number, from and to
    PLAIN                       # number: of the function
    LOOP                        # number: of the function
    FAILURE

OPERATIONS = {
    "const": CONSTANT, "&&": AND, "||": OR, "unary !": NOT, "unary -": NEGATE, "binary": BINARY, "??": COALESCE,
    "if": CHOICE,
    "member": MEMBER, "chain": CHAIN, "slice": SLICE, "array": ARRAY_OF, "map": MAP_OF, "sequence": SEQUENCE,
    "let": LET, "name": VARIABLE, "lookup": LOOKUP, "pointer": ELEMENT, "call": QUERY, "metadata": METADATA,
    "network": IN_NETWORK, "client network": CLIENT_IN_NETWORK, "matches": MATCHES, "in sorted": IN_SORTED,
    "between": BETWEEN, "plain": PLAIN, "loop": LOOP, "failure": FAILURE,
}

# In the order of tree.BINARY_NUMBERS.
cdef enum Binary:
    EQUAL, DIFFERENT, LESS, MORE, AT_MOST, AT_LEAST, ADD, SUBTRACT, MULTIPLY, DIVIDE, MODULO, POWER, IN, CONTAINS
    STARTS_WITH, ENDS_WITH, RANGE

# In the order of functions.LOOPS.
cdef enum Loop:
    ALL, NONE, ANY, ONE, COUNT, FIND_INDEX, FIND_LAST_INDEX, FIND, FIND_LAST, FILTER, MAP_EACH, SUM, REDUCE
    SORT_BY

# Inside a predicate.
cdef struct Scope:
    Value element
    int64_t index
    Value accumulator


cdef inline Value child(Run* run, const Code* code, const Node* node, uint32_t i, Scope* scope) noexcept nogil:
    return value_of_node(run, code, &code.nodes[node.children[i]], scope)


cdef Value arithmetic(Run* run, Binary which, const Value* a, const Value* b) noexcept nogil:
    cdef bint whole = a.kind == INT and b.kind == INT
    # Whole numbers wrap, as in Go.
    cdef uint64_t x = <uint64_t>a.number, y = <uint64_t>b.number
    if which == ADD and a.kind == STRING and b.kind == STRING:
        return join_two(run, a, b)
    if not is_number(a) or not is_number(b):
        return fail(run)
    if which == ADD:
        return int_value(<int64_t>(x + y)) if whole else float_value(real_of(a) + real_of(b))
    if which == SUBTRACT:
        return int_value(<int64_t>(x - y)) if whole else float_value(real_of(a) - real_of(b))
    if which == MULTIPLY:
        return int_value(<int64_t>(x * y)) if whole else float_value(real_of(a) * real_of(b))
    if which == DIVIDE:
        return float_value(real_of(a) / real_of(b))
    if which == POWER:
        return float_value(c_pow(real_of(a), real_of(b)))
    if not whole or b.number == 0:
        return fail(run)
    return int_value(0 if b.number == -1 else a.number % b.number)


cdef Value binary(Run* run, Binary which, const Value* a, const Value* b) noexcept nogil:
    if which == EQUAL or which == DIFFERENT:
        return bool_value(equal(run, a, b) == (which == EQUAL))
    if LESS <= which <= AT_LEAST:
        return ordered(run, which, a, b)
    if ADD <= which <= POWER:
        return arithmetic(run, which, a, b)
    if which == IN:
        return bool_value(contains_value(run, a, b))
    if which == RANGE:
        return make_range(run, a, b)
    if a.kind == NIL or b.kind == NIL:
        return bool_value(False)
    if a.kind != STRING or b.kind != STRING or not may_read(run, a.size):
        return fail(run)
    if which == CONTAINS:
        return bool_value(find_text(run, a, b, 0) >= 0)
    return bool_value(begins_with(a, b) if which == STARTS_WITH else ends_with(a, b))


cdef Value ordered(Run* run, Binary which, const Value* a, const Value* b) noexcept nogil:
    cdef int order = compare(run, a, b)
    # Nothing is less or more than what is no number.
    if is_number(a) and (real_of(a) != real_of(a) or real_of(b) != real_of(b)):
        return bool_value(False)
    if which == LESS:
        return bool_value(order < 0)
    if which == MORE:
        return bool_value(order > 0)
    return bool_value(order <= 0 if which == AT_MOST else order >= 0)


cdef bint in_sorted(Run* run, const Value* needle, const Value* stack) noexcept nogil:
    """Whether a string or a number is in a sorted array of such."""
    cdef uint32_t low = 0, high = stack.size, middle
    cdef int order
    if needle.kind != STRING and not is_number(needle) or real_of(needle) != real_of(needle):
        return False
    while low < high:
        middle = low + (high - low) // 2
        if (stack.items[middle].kind == STRING) != (needle.kind == STRING):
            return False
        order = compare(run, &stack.items[middle], needle)
        if order == 0:
            return not run.failed
        if order < 0:
            low = middle + 1
        else:
            high = middle
    return False


cdef Value member(Run* run, const Value* base, const Value* key) noexcept nogil:
    cdef const Value* found
    cdef int64_t at
    if base.kind == MAP:
        found = find_key(run, base, key)
        return nil_value() if found == NULL else found[0]
    if base.kind != ARRAY and base.kind != STRING:
        return fail(run)
    at = to_int(run, key)
    if at < 0:
        at += base.size
    if run.failed or not 0 <= at < base.size:
        return fail(run)
    return base.items[at] if base.kind == ARRAY else int_value(base.text[at])


cdef inline bint truth(Run* run, const Value* v) noexcept nogil:
    """Of a condition, which must be a bool."""
    if v.kind != BOOL:
        run.failed = True
        return False
    return v.number != 0 and not run.failed


cdef Value all_or_any(Run* run, const Code* code, const Node* node, Scope* scope, bint ends_at) noexcept nogil:
    """&& and ||: the first operand that decides, or the last one."""
    cdef Value v = nil_value()
    cdef uint32_t i
    for i in range(node.count):
        v = child(run, code, node, i, scope)
        if run.failed or i + 1 == node.count:
            break
        if v.kind != BOOL:
            return fail(run)
        if (v.number != 0) == ends_at:
            break
    return v


cdef Value array_of(Run* run, const Code* code, const Node* node, Scope* scope, bint pairs) noexcept nogil:
    cdef Value* items = take_items(run, node.count)
    cdef Value made
    cdef uint32_t i
    if items == NULL:
        return nil_value()
    for i in range(node.count):
        items[i] = child(run, code, node, i, scope)
        if run.failed or (pairs and i % 2 == 0 and items[i].kind != STRING):
            return fail(run)
    made = array_value(items, node.count // 2 if pairs else node.count)
    if pairs:
        made.kind = MAP
    return made


cdef Value loop(Run* run, const Code* code, const Node* node, Scope* outer) noexcept nogil:
    """A function with a predicate, element by element."""
    cdef Loop which = <Loop>node.number
    cdef Value array = child(run, code, node, 0, outer)
    cdef Scope scope
    cdef Value body, total = int_value(0)
    cdef Value* items = NULL
    cdef Value* keys = NULL
    cdef uint32_t step, at, found = 0
    cdef bint holds, descending = False
    if run.failed or array.kind != ARRAY:
        return fail(run)
    scope.accumulator = nil_value()
    if which == FILTER or which == MAP_EACH or which == SORT_BY:
        items = take_items(run, array.size)
    if which == SORT_BY:
        keys = take_items(run, array.size)
        if node.count > 2:
            body = child(run, code, node, 2, outer)
            descending = read_order(run, &body)
    if which == REDUCE:
        if node.count > 2:
            scope.accumulator = child(run, code, node, 2, outer)
        elif array.size == 0:
            return fail(run)
        else:
            scope.accumulator = array.items[0]
            found = 1
    if run.failed:
        return nil_value()
    for step in range(found if which == REDUCE else 0, array.size):
        at = array.size - 1 - step if which == FIND_LAST or which == FIND_LAST_INDEX else step
        scope.element = array.items[at]
        scope.index = at
        if not may_work(run, 1):
            return nil_value()
        body = child(run, code, node, 1, &scope) if node.count > 1 else scope.element
        if run.failed:
            return nil_value()
        if which == MAP_EACH:
            items[step] = body
        elif which == SUM:
            total = arithmetic(run, ADD, &body, &total)
        elif which == REDUCE:
            scope.accumulator = body
        elif which == SORT_BY:
            items[step] = scope.element
            keys[step] = body
        else:
            holds = truth(run, &body)
            if run.failed:
                return nil_value()
            if which == ALL and not holds:
                return bool_value(False)
            if (which == ANY or which == NONE) and holds:
                return bool_value(which == ANY)
            if holds and (which == FIND or which == FIND_LAST):
                return scope.element
            if holds and (which == FIND_INDEX or which == FIND_LAST_INDEX):
                return int_value(at)
            if holds and which == FILTER:
                items[found] = scope.element
            found += holds
    if which == ALL or which == NONE or which == ANY:
        return bool_value(which != ANY)
    if which == ONE:
        return bool_value(found == 1)
    if which == COUNT:
        return int_value(found)
    if which == FILTER:
        return array_value(items, found)
    if which == MAP_EACH:
        return array_value(items, array.size)
    if which == SORT_BY:
        sort_items(run, items, keys, array.size, descending)
        return array_value(items, array.size)
    if which == SUM:
        return total
    return scope.accumulator if which == REDUCE else nil_value()


cdef Value call(Run* run, const Code* code, const Node* node, Scope* scope) noexcept nogil:
    """A function of the language without a predicate."""
    cdef Value* args = take_items(run, node.count)
    cdef uint32_t i
    if args == NULL:
        return nil_value()
    for i in range(node.count):
        args[i] = child(run, code, node, i, scope)
        if run.failed:
            return nil_value()
    return call_plain(run, node.number, args, node.count)


cdef Value in_network(Run* run, const Code* code, const Node* node, Scope* scope) noexcept nogil:
    """incidr of two texts. The second one is read before, where it is a constant."""
    cdef Value address = child(run, code, node, 0, scope)
    cdef Value network
    cdef Prefix prefix
    if run.failed or address.kind != STRING:
        return fail(run)
    if node.extra != NULL:
        return bool_value(text_in_prefix(run, &address, <const Prefix*>node.extra))
    network = child(run, code, node, 1, scope)
    if run.failed or network.kind != STRING or not read_prefix(network.text, network.size, &prefix):
        return fail(run)
    return bool_value(text_in_prefix(run, &address, &prefix))


cdef Value metadata(Run* run, const Node* node) noexcept nogil:
    cdef const uint8_t* text = NULL
    cdef uint32_t size = 0
    if run.texts != NULL:
        return run.texts[node.number]
    if node.extra != NULL and run.ctx != NULL:
        size = read_value(run.ctx, <const QueryValue*>node.extra, &text)
    return string_value(text if size else <const uint8_t*>b"", size)


cdef Value looked_up(Run* run, const Value* map, const Value* key) noexcept nogil:
    """A text of a map under a text, or a number as text. Empty where there is none."""
    cdef const Value* found = NULL
    cdef Value text = key[0]
    if key.kind == INT:
        text = to_text(run, key)
    if text.kind == STRING and not run.failed:
        found = find_key(run, map, &text)
    return string_value(<const uint8_t*>b"", 0) if found == NULL else found[0]


cdef Value matched(Run* run, const Value* text, const Node* node) noexcept nogil:
    if text.kind == NIL:
        return bool_value(False)
    # Matching looks at each byte.
    if text.kind != STRING or not may_work(run, 1 + text.size):
        return fail(run)
    return bool_value(matches(<const Pattern*>node.extra, text.text, <int>text.size))


cdef Value unary_or_pair(Run* run, const Code* code, const Node* node, Scope* scope) noexcept nogil:
    """What evaluates its children first."""
    cdef uint8_t operation = node.operation
    cdef Value a = child(run, code, node, 0, scope)
    cdef Value b = nil_value(), c = nil_value()
    if run.failed or (run.broken and (operation == MEMBER or operation == SLICE)):
        return nil_value()
    if operation == MEMBER and node.number and a.kind == NIL:
        run.broken = True
        return a
    if node.count > 1:
        b = child(run, code, node, 1, scope)
    if node.count > 2:
        c = child(run, code, node, 2, scope)
    if run.failed:
        return nil_value()
    if operation == BINARY:
        return binary(run, <Binary>node.number, &a, &b)
    if operation == NOT:
        return bool_value(not truth(run, &a))
    if operation == NEGATE:
        if a.kind == INT:
            return int_value(<int64_t>(0 - <uint64_t>a.number))
        return float_value(-a.real) if a.kind == FLOAT else fail(run)
    if operation == MEMBER:
        return member(run, &a, &b)
    if operation == SLICE:
        return make_slice(run, &a, &b, &c)
    if operation == MATCHES:
        return matched(run, &a, node)
    if operation == IN_SORTED:
        return bool_value(in_sorted(run, &a, &b))
    # BETWEEN
    if not is_number(&a):
        return bool_value(False)
    return bool_value(compare(run, &a, &b) >= 0 and compare(run, &a, &c) <= 0)


cdef Value value_of_node(Run* run, const Code* code, const Node* node, Scope* scope) noexcept nogil:
    cdef uint8_t operation = node.operation
    cdef Value v
    cdef uint32_t i
    cdef bint broken
    if operation == CONSTANT:
        return node.value
    if not may_work(run, 1):
        return nil_value()
    if operation == AND or operation == OR:
        return all_or_any(run, code, node, scope, operation == OR)
    if operation == QUERY:
        return of_query(run, <QueryFunction>node.number)
    if operation == METADATA:
        return metadata(run, node)
    if operation == CLIENT_IN_NETWORK:
        return bool_value(client_in_prefix(run, <const Prefix*>node.extra)) if run.ctx != NULL else fail(run)
    if operation == IN_NETWORK:
        return in_network(run, code, node, scope)
    if operation == PLAIN:
        return call(run, code, node, scope)
    if operation == LOOP:
        return loop(run, code, node, scope)
    if operation == CHOICE:
        v = child(run, code, node, 0, scope)
        return child(run, code, node, 1 if truth(run, &v) else 2, scope) if not run.failed else v
    if operation == COALESCE:
        v = child(run, code, node, 0, scope)
        return child(run, code, node, 1, scope) if v.kind == NIL and not run.failed else v
    if operation == CHAIN:
        broken = run.broken
        run.broken = False
        v = child(run, code, node, 0, scope)
        run.broken = broken
        return v
    if operation == LET:
        run.variables[node.number] = child(run, code, node, 0, scope)
        return child(run, code, node, 1, scope) if not run.failed else nil_value()
    if operation == VARIABLE:
        return run.variables[node.number]
    if operation == LOOKUP:
        v = child(run, code, node, 0, scope)
        return looked_up(run, &run.variables[node.number], &v) if not run.failed else nil_value()
    if operation == ELEMENT:
        return scope.element
    if operation == INDEX:
        return int_value(scope.index)
    if operation == ACCUMULATOR:
        return scope.accumulator
    if operation == ARRAY_OF or operation == MAP_OF:
        return array_of(run, code, node, scope, operation == MAP_OF)
    if operation == SEQUENCE:
        v = nil_value()
        for i in range(node.count):
            v = child(run, code, node, i, scope)
        return v
    if operation == FAILURE:
        return fail(run)
    return unary_or_pair(run, code, node, scope)


cdef void begin_run(Context* ctx, Run* run) noexcept nogil:
    run.ctx = ctx
    run.failed = False
    run.work_left = MAX_WORK
    run.used = 0
    run.texts = NULL


cdef bint evaluate_next(const Code* code, Run* run, Value* value) noexcept nogil:
    cdef Scope scope
    scope.element = nil_value()
    scope.accumulator = nil_value()
    scope.index = 0
    run.broken = False
    if not run.failed:
        value[0] = value_of_node(run, code, &code.nodes[code.root], &scope)
    return not run.failed


cdef bint evaluate(Context* ctx, const Code* code, Run* run, Value* value) noexcept nogil:
    begin_run(ctx, run)
    return evaluate_next(code, run, value)


cdef bint is_true(Context* ctx, const Code* code) noexcept nogil:
    cdef Run run
    cdef Value value
    return evaluate(ctx, code, &run, &value) and value.kind == BOOL and value.number != 0


cdef object to_python(const Value* v):
    cdef uint32_t i
    if v.kind == NIL:
        return None
    if v.kind == BOOL:
        return v.number != 0
    if v.kind == INT:
        return v.number
    if v.kind == FLOAT:
        return v.real
    if v.kind == STRING:
        return v.text[:v.size].decode("utf-8", "surrogateescape") if v.size else ""
    if v.kind == ARRAY:
        return [to_python(&v.items[i]) for i in range(v.size)]
    made = {}
    for i in range(v.size):
        made.setdefault(to_python(&v.items[2 * i]), to_python(&v.items[2 * i + 1]))
    return made


cdef int from_python(list keep, Value* value, constant) except -1:
    cdef bytearray items
    cdef Value* at
    cdef uint32_t i
    cdef list flat
    if constant is None:
        value[0] = nil_value()
    elif constant is True or constant is False:
        value[0] = bool_value(constant)
    elif isinstance(constant, int):
        value[0] = int_value(constant)
    elif isinstance(constant, float):
        value[0] = float_value(constant)
    elif isinstance(constant, str):
        text = constant.encode("utf-8", "surrogateescape")
        keep.append(text)
        value[0] = string_value(<const uint8_t*><bytes>text, len(text))
    else:
        flat = list(constant)
        if isinstance(constant, dict):
            flat = [part for pair in constant.items() for part in pair]
        items = bytearray(max(1, len(flat)) * sizeof(Value))
        keep.append(items)
        at = <Value*><uint8_t*>items
        for i in range(len(flat)):
            from_python(keep, &at[i], flat[i])
        value[0] = array_value(at, len(constant))
        if isinstance(constant, dict):
            value.kind = MAP
    return 0


def constant_of(tree):
    """(value,) of a tree, None where it fails. Raises ExprError."""
    return Program("", tree=tree).constant()


cdef class Program:
    """An expression, compiled. Raises ExprError.

    variables: names and types of those that the run has, the first ones of run.variables. values: the names of the
    values that it reads. warnings: what the author should know. type: of the result, as far as it is known.
    """

    def __init__(self, str text, *, tree=None, variables=()):
        cdef uint32_t total
        self.text = text
        self.keep = []
        self.places = {}
        self.warnings = []
        if len(variables) > MAX_VARIABLES:
            raise UnsupportedError(f"at most {MAX_VARIABLES} variables are supported", 0)
        root = compiled(text, constant_of, self.warnings, variables) if tree is None else tree
        self.type = root.type
        total = size_of(root, 0)
        self.code.nodes = <Node*>calloc(total, sizeof(Node))
        if self.code.nodes == NULL:
            raise MemoryError
        self.code.root = self.add(root, [name for name, _ in variables])
        self.values = tuple(self.places)

    def __dealloc__(self):
        cdef uint32_t i
        if self.code.nodes != NULL:
            for i in range(self.count):
                free(self.code.nodes[i].children)
        free(self.code.nodes)

    cdef uint32_t add(self, node, list names) except? 0xFFFFFFFF:
        cdef uint32_t place = self.count
        cdef Node* made = &self.code.nodes[place]
        self.count += 1
        kind = node.kind
        if kind == "builtin":
            kind = "loop" if node.value in LOOP_NUMBERS else "plain"
        elif kind == "binary" and node.value in OPERATIONS:
            kind = node.value
        elif kind == "unary":
            kind = f"unary {node.value}"
        made.operation = <uint8_t><int>OPERATIONS[kind]
        self.fill(place, node, names)
        return place

    cdef int add_children(self, uint32_t place, list nodes, list names) except -1:
        cdef uint32_t i
        cdef Node* made = &self.code.nodes[place]
        made.children = <uint32_t*>calloc(len(nodes) + 1, sizeof(uint32_t))
        if made.children == NULL:
            raise MemoryError
        made.count = len(nodes)
        for i in range(made.count):
            made.children[i] = self.add(nodes[i], names)
        return 0

    cdef int fill(self, uint32_t place, node, list names) except -1:
        cdef Node* made = &self.code.nodes[place]
        cdef Regex regex
        cdef bytearray prefix
        if made.operation == CONSTANT:
            return from_python(self.keep, &made.value, node.value)
        if made.operation == BINARY:
            made.number = BINARY_NUMBERS[node.value]
        elif made.operation == QUERY:
            if node.value == "incidr":
                made.operation = IN_NETWORK
            made.number = QUERY_NUMBERS[node.value]
        elif made.operation == PLAIN:
            made.number = PLAIN_NUMBERS[node.value]
        elif made.operation == LOOP:
            made.number = LOOP_NUMBERS[node.value]
        elif made.operation == MEMBER:
            made.number = bool(node.value)
        elif made.operation == ELEMENT:
            made.operation = {"": ELEMENT, "index": INDEX, "acc": ACCUMULATOR}[node.value]
        elif made.operation == VARIABLE or made.operation == LOOKUP:
            made.number = len(names) - 1 - names[::-1].index(node.value)
        elif made.operation == METADATA:
            self.places.setdefault(node.value, []).append(place)
            made.number = list(self.places).index(node.value)
        elif made.operation == MATCHES:
            try:
                regex = Regex(node.value)
            except RegexError as error:
                raise ExprError(str(error), node.at) from None
            self.keep.append(regex)
            made.extra = &regex.pattern
        elif made.operation == IN_NETWORK or made.operation == CLIENT_IN_NETWORK:
            prefix = bytearray(sizeof(Prefix))
            text = node.value.encode()
            if not read_prefix(<const uint8_t*><bytes>text, len(text), <Prefix*><uint8_t*>prefix):
                raise ExprError(f"invalid CIDR address: {node.value}", node.at)
            self.keep.append(prefix)
            made.extra = <uint8_t*>prefix
        elif made.operation == LET:
            if len(names) == MAX_VARIABLES:
                raise UnsupportedError(f"at most {MAX_VARIABLES} variables are supported", node.at)
            made.number = len(names)
            made.children = <uint32_t*>calloc(2, sizeof(uint32_t))
            if made.children == NULL:
                raise MemoryError
            made.count = 2
            made.children[0] = self.add(node.args[0], names)
            made.children[1] = self.add(node.args[1], [*names, node.value])
            return 0
        return self.add_children(place, node.args, names)

    def bind(self, values):
        """Let it read these values: a BlockValue for each of self.values."""
        cdef BlockValue value
        cdef uint32_t place
        values = list(values)
        self.keep.append(values)
        for name, value in zip(self.values, values, strict=True):
            for place in self.places[name]:
                self.code.nodes[place].extra = &value.value

    def constant(self):
        """(value,) of an expression that asks nothing of a query, None where it fails."""
        cdef Run run
        cdef Value value
        cdef bint done
        with nogil:
            done = evaluate(NULL, &self.code, &run, &value)
        return (to_python(&value),) if done else None


cdef uint32_t size_of(node, uint32_t depth) except? 0xFFFFFFFF:
    """The nodes of a tree. Raises ExprError where it is too deep."""
    cdef uint32_t total = 1
    if depth == MOST_DEPTH:
        raise UnsupportedError("parts are nested too deeply", node.at)
    for arg in node.args:
        total += size_of(arg, depth + 1)
    return total
