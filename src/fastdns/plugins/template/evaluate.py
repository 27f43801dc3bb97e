"""A template's text for one query, in Python: what text/template's Execute does with a tree.

This is the whole language. The native program (compile.py) says the same wherever there is one; what it cannot say
runs here. Work and output are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fastdns.plugins.template import formats
from fastdns.plugins.template.formats import NO_VALUE, NoValue, Struct, UnprintableError, Unsigned
from fastdns.plugins.template.limits import MAX_RR_TEXT_BYTES, MAX_STEPS
from fastdns.plugins.template.tree import (
    Action,
    Bool,
    Branch,
    Call,
    Chain,
    Command,
    Dot,
    Field,
    Function,
    Leave,
    Nil,
    Node,
    Nodes,
    Number,
    Operand,
    Pipe,
    String,
    Text,
    Tree,
    Variable,
)  # fmt: skip

# Of templates that call templates.
MAX_CALLS = 16


class FailureError(Exception):
    """Go's Execute would have returned an error, or a bound is exceeded."""


class LeaveError(Exception):
    """break or continue."""

    def __init__(self, kind: str) -> None:
        self.kind = kind


class Missing:
    """There is no last argument from a pipeline."""


MISSING = Missing()


def execute(tree: Tree, data: Struct) -> bytes:
    """The text. Raises FailureError."""
    run = Run(tree, data)
    try:
        run.walk(data, tree.nodes)
    except UnprintableError as error:
        raise FailureError(f"can't print a value of type {error}") from None
    return bytes(run.out)


class Run:
    """One execution. variables: name and value of each, the innermost last."""

    def __init__(self, tree: Tree, data: Struct) -> None:
        self.tree = tree
        self.out = bytearray()
        self.variables: list[list[Any]] = [["$", data]]
        self.steps = 0
        self.made = 0
        self.calls = 0

    def write(self, text: bytes) -> None:
        """Raises FailureError where the text gets too long."""
        self.out += text
        if len(self.out) > MAX_RR_TEXT_BYTES:
            raise FailureError("the text is too long")

    def step(self) -> None:
        """Raises FailureError where it is too much work."""
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise FailureError("too much work")

    # ------------------------------------------------------------------------------------------------- nodes

    def walk(self, dot: Any, nodes: Nodes) -> None:
        """Print nodes."""
        for node in nodes:
            self.step()
            self.node(dot, node)

    def node(self, dot: Any, node: Node) -> None:
        """Print one."""
        if isinstance(node, Text):
            self.write(node.value)
        elif isinstance(node, Action):
            value = self.pipe(dot, node.pipe)
            if not node.pipe.variables:
                self.write(b"<no value>" if isinstance(value, NoValue) else formats.plain(value))
        elif isinstance(node, Leave):
            raise LeaveError(node.kind)
        elif isinstance(node, Call):
            self.call_template(dot, node)
        elif isinstance(node, Branch):
            mark = len(self.variables)
            if node.kind == "range":
                self.range(dot, node)
            else:
                value = self.pipe(dot, node.pipe)
                if is_true(value):
                    self.walk(value if node.kind == "with" else dot, node.body)
                else:
                    self.walk(dot, node.otherwise or ())
            del self.variables[mark:]

    def range(self, dot: Any, node: Branch) -> None:
        """The body for each element."""
        value = self.pipe(dot, node.pipe)
        mark = len(self.variables)
        if isinstance(value, bool) or not isinstance(value, int | list | dict | NoValue):
            raise FailureError(f"range can't iterate over {value!r}")
        if isinstance(value, int) and len(node.pipe.variables) > 1:
            raise FailureError(f"can't use {value} to iterate over more than one variable")
        ran = False
        for index, element in elements(value):
            ran = True
            self.step()
            self.bind(node.pipe, index, element)
            try:
                self.walk(element, node.body)
            except LeaveError as leave:
                if leave.kind == "break":
                    break
            finally:
                del self.variables[mark:]
        if not ran:
            self.walk(dot, node.otherwise or ())

    def bind(self, pipe: Pipe, index: Any, element: Any) -> None:
        """Give the variables of a range their values."""
        names = pipe.variables
        if not names:
            return
        if pipe.assigns:
            self.set(names[0], index if len(names) > 1 else element)
            if len(names) > 1:
                self.set(names[1], element)
            return
        self.variables[-1][1] = element
        if len(names) > 1:
            self.variables[-2][1] = index

    def call_template(self, dot: Any, node: Call) -> None:
        """``{{ template }}``: it sees no variables but $."""
        nodes = self.tree.defined.get(node.name)
        if nodes is None:
            raise FailureError(f"template {node.name!r} not defined")
        if self.calls == MAX_CALLS:
            raise FailureError("templates call each other too often")
        value = NO_VALUE if node.pipe is None else self.pipe(dot, node.pipe)
        kept, self.variables = self.variables, [["$", value]]
        self.calls += 1
        self.walk(value, nodes)
        self.calls -= 1
        self.variables = kept

    # --------------------------------------------------------------------------------------------- pipelines

    def set(self, name: str, value: Any) -> None:
        """Assign to the innermost variable of a name."""
        for variable in reversed(self.variables):
            if variable[0] == name:
                variable[1] = value
                return
        raise FailureError(f"undefined variable: {name}")

    def variable(self, name: str) -> Any:
        """The value of the innermost variable of a name."""
        for known, value in reversed(self.variables):
            if known == name:
                return value
        raise FailureError(f"undefined variable: {name}")

    def pipe(self, dot: Any, pipe: Pipe) -> Any:
        """What the last command comes to."""
        value: Any = MISSING
        for command in pipe.commands:
            self.step()
            value = self.command(dot, command, value)
        for name in pipe.variables:
            if pipe.assigns:
                self.set(name, value)
            else:
                self.variables.append([name, value])
        return value

    def command(self, dot: Any, command: Command, final: Any) -> Any:
        """final: the value of the command before."""
        first, arguments = command.operands[0], command.operands[1:]
        if isinstance(first, Field):
            return self.fields(dot, dot, first.names, arguments, final)
        if isinstance(first, Chain):
            return self.fields(dot, self.argument(dot, first.operand), first.names, arguments, final)
        if isinstance(first, Variable) and first.names:
            return self.fields(dot, self.variable(first.name), first.names, arguments, final)
        if isinstance(first, Function):
            return self.function(dot, first.name, arguments, final)
        if arguments or final is not MISSING:
            raise FailureError(f"can't give argument to non-function {first}")
        if isinstance(first, Nil):
            raise FailureError("nil is not a command")
        return self.argument(dot, first)

    def argument(self, dot: Any, operand: Operand) -> Any:
        """The value of an operand without arguments of its own."""
        self.step()
        if isinstance(operand, Dot):
            return dot
        if isinstance(operand, Nil):
            return NO_VALUE
        if isinstance(operand, Bool):
            return operand.value
        if isinstance(operand, String):
            return operand.value
        if isinstance(operand, Number):
            return constant(operand)
        if isinstance(operand, Variable):
            value = self.variable(operand.name)
            return self.fields(dot, value, operand.names, (), MISSING) if operand.names else value
        if isinstance(operand, Field):
            return self.fields(dot, dot, operand.names, (), MISSING)
        if isinstance(operand, Chain):
            if isinstance(operand.operand, Nil):
                raise FailureError("indirection through explicit nil")
            return self.fields(dot, self.argument(dot, operand.operand), operand.names, (), MISSING)
        if isinstance(operand, Function):
            return self.function(dot, operand.name, (), MISSING)
        return self.pipe(dot, operand)

    def fields(
        self, dot: Any, value: Any, names: tuple[str, ...], arguments: tuple[Operand, ...], final: Any
    ) -> Any:
        """``value.a.b``; the last may be a method with arguments."""
        for name in names[:-1]:
            value = self.field(dot, value, name, (), MISSING)
        return self.field(dot, value, names[-1], arguments, final)

    def field(self, dot: Any, value: Any, name: str, arguments: tuple[Operand, ...], final: Any) -> Any:
        """A field, a method or a key."""
        if isinstance(value, NoValue):
            return NO_VALUE
        given = bool(arguments) or final is not MISSING
        if isinstance(value, Struct):
            if name in value.methods:
                values = [self.argument(dot, one) for one in arguments] + ([final] if final is not MISSING else [])
                count, method = value.methods[name]
                if len(values) != count:
                    raise FailureError(f"wrong number of args for {name}: want {count} got {len(values)}")
                return method(*values)
            if name in value.fields:
                if given:
                    raise FailureError(f"{name} has arguments but cannot be invoked as function")
                return value.fields[name]
        if isinstance(value, dict):
            if given:
                raise FailureError(f"{name} is not a method but has arguments")
            return value.get(name.encode("utf-8", "surrogateescape"), NO_VALUE)
        raise FailureError(f"can't evaluate field {name} in type {formats.type_name(value).decode()}")

    # --------------------------------------------------------------------------------------------- functions

    def function(self, dot: Any, name: str, arguments: tuple[Operand, ...], final: Any) -> Any:
        """Call one."""
        count = len(arguments) + (final is not MISSING)
        least, most = COUNTS[name]
        if count < least or (most is not None and count > most):
            raise FailureError(f"wrong number of args for {name}: got {count}")
        if name in ("and", "or"):
            value: Any = NO_VALUE
            for one in arguments:
                value = self.argument(dot, one)
                if is_true(value) == (name == "or"):
                    return value
            return value if final is MISSING else final
        if name == "parseInt":
            values = [typed(dot, self, one, at) for at, one in enumerate(arguments)]
        else:
            values = [self.argument(dot, one) for one in arguments]
        if final is not MISSING:
            values.append(final)
        value = CALLS[name](*values)
        if name in MAKING:
            self.made += len(value)
            if self.made > MAX_RR_TEXT_BYTES:
                raise FailureError("strings are too long")
        return value


def constant(number: Number) -> Any:
    """A number where nothing asks for a kind."""
    if number.is_float:
        return number.real
    if number.integer is None:
        raise FailureError(f"{number.text} overflows int")
    return number.integer


def typed(dot: Any, run: Run, operand: Operand, at: int) -> Any:
    """An argument of parseInt: a string, then two integers. 1e1 is an integer there."""
    if isinstance(operand, Number):
        if at == 0 or operand.integer is None:
            raise FailureError(f"expected {'string' if at == 0 else 'integer'}; found {operand}")
        return operand.integer
    return run.argument(dot, operand)


def is_true(value: Any) -> bool:
    """Whether a value is not the zero of its type."""
    if isinstance(value, Struct):
        return True
    return not isinstance(value, NoValue) and bool(value)


def elements(value: Any) -> Any:
    """Index and element of what a range goes over."""
    if isinstance(value, int):
        # Of a number one variable is the element.
        kind = type(value)
        return ((NO_VALUE, kind(number)) for number in range(max(0, value)))
    if isinstance(value, list):
        return enumerate(value)
    if isinstance(value, dict):
        return [(key, value[key]) for key in sorted(value)]
    return ()


def kind_of(value: Any) -> str:
    """What comparisons tell apart; empty: no basic kind."""
    for kind, name in ((bool, "bool"), (Unsigned, "int"), (int, "int"), (float, "float"), (bytes, "string")):
        if isinstance(value, kind):
            return name
    return ""


def equal(first: Any, *others: Any) -> bool:
    """eq"""
    for other in others:
        one, two = kind_of(first), kind_of(other)
        if isinstance(first, NoValue) or isinstance(other, NoValue):
            same = isinstance(first, NoValue) and isinstance(other, NoValue)
        elif one != two or not one:
            raise FailureError("incompatible types for comparison")
        else:
            same = bool(first == other)
        if same:
            return True
    return False


def less(one: Any, two: Any) -> bool:
    """lt"""
    kinds = kind_of(one), kind_of(two)
    if kinds[0] != kinds[1] or kinds[0] in ("", "bool"):
        raise FailureError("invalid type for comparison")
    return bool(one < two)


def less_or_equal(one: Any, two: Any) -> bool:
    """le"""
    return less(one, two) or equal(one, two)


def place(index: Any, most: int) -> int:
    """An index that is at most so much."""
    if isinstance(index, bool) or not isinstance(index, int):
        raise FailureError("cannot index slice/array with this type")
    if not 0 <= index <= most:
        raise FailureError(f"index out of range: {index}")
    return int(index)


def index_of(value: Any, *indexes: Any) -> Any:
    """index"""
    if isinstance(value, NoValue):
        raise FailureError("index of untyped nil")
    for one in indexes:
        if isinstance(value, list | bytes):
            at = place(one, len(value))
            if at == len(value):
                raise FailureError(f"index out of range: {at}")
            value = Unsigned(value[at]) if isinstance(value, bytes) else value[at]
        elif isinstance(value, dict):
            if not isinstance(one, bytes):
                raise FailureError("value has the wrong type for a key")
            value = value.get(one, b"")
        else:
            raise FailureError("can't index item of this type")
    return value


def sliced(value: Any, *indexes: Any) -> Any:
    """slice"""
    if not isinstance(value, list | bytes):
        raise FailureError("can't slice item of this type")
    if isinstance(value, bytes) and len(indexes) == 3:
        raise FailureError("cannot 3-index slice a string")
    places = [place(one, len(value)) for one in indexes]
    begin, end = [*places, *[0, len(value)][len(places) :]][:2]
    if begin > end or (len(places) == 3 and end > places[2]):
        raise FailureError("invalid slice index")
    return value[begin:end]


def length(value: Any) -> int:
    """len"""
    if isinstance(value, list | dict | bytes):
        return len(value)
    raise FailureError("len of this type")


def parse_int(text: Any, base: Any, bits: Any) -> Unsigned:
    """strconv.ParseUint"""
    for number in (base, bits):
        if isinstance(number, bool | Unsigned) or not isinstance(number, int):
            raise FailureError("wrong type for value; expected int")
    if not isinstance(text, bytes):
        raise FailureError("wrong type for value; expected string")
    value = parse_uint(text, base, bits)
    if value is None:
        raise FailureError(f"strconv.ParseUint: parsing {text!r}")
    return Unsigned(value)


def parse_uint(text: bytes, base: int, bits: int) -> int | None:
    """None: it is no number of this base, or has more bits (0: 64). base 0: as the prefix says, and underscores."""
    if bits < 0 or bits > 64 or base < 0 or base == 1 or base > 36 or not text:
        return None
    digits = text.lower()
    if base == 0:
        prefix = digits[:2] if len(digits) >= 3 else b""
        base = {b"0b": 2, b"0o": 8, b"0x": 16}.get(prefix, 8 if digits[:1] == b"0" else 10)
        digits = digits[2:] if prefix in (b"0b", b"0o", b"0x") else digits[base == 8 :]
        if b"_" in digits and not _UNDERSCORES.fullmatch(text):
            return None
        digits = digits.replace(b"_", b"")
    value = 0
    for byte in digits:
        digit = byte - 48 if 48 <= byte <= 57 else byte - 87 if 97 <= byte <= 122 else 99
        value = value * base + digit
        if digit >= base or value >= 1 << (bits or 64):
            return None
    return value


# Each stands between digits, or behind a prefix.
_UNDERSCORES = re.compile(rb"(?:0[xX]_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*|(?:0[bBoO]_?)?[0-9]+(?:_[0-9]+)*)")


def no_call(function: Any, *_: Any) -> Any:
    """call: no value of a template's data is a function."""
    raise FailureError("call of a value that is no function")


# They make a string.
MAKING = frozenset(("print", "printf", "println", "html", "js", "urlquery"))
# How many arguments there may be.
COUNTS: Mapping[str, tuple[int, int | None]] = {
    "and": (1, None), "or": (1, None), "not": (1, 1), "len": (1, 1), "index": (1, None), "slice": (1, 4),
    "print": (0, None), "printf": (1, None), "println": (0, None), "html": (0, None), "js": (0, None),
    "urlquery": (0, None), "call": (1, None), "eq": (2, None), "ne": (2, 2), "lt": (2, 2), "le": (2, 2),
    "gt": (2, 2), "ge": (2, 2), "parseInt": (3, 3),
}  # fmt: skip


def format_with(form: Any, *values: Any) -> bytes:
    """printf"""
    if not isinstance(form, bytes):
        raise FailureError("wrong type for value; expected string")
    return formats.formatted(form, values)


CALLS: Mapping[str, Any] = {
    "not": lambda value: not is_true(value),
    "len": length,
    "index": index_of,
    "slice": sliced,
    "print": lambda *values: formats.printed(values),
    "printf": format_with,
    "println": lambda *values: formats.printed_line(values),
    "html": lambda *values: formats.html(formats.printed(shown(values))),
    "js": lambda *values: formats.js(formats.printed(shown(values))),
    "urlquery": lambda *values: formats.urlquery(formats.printed(shown(values))),
    "call": no_call,
    "eq": equal,
    "ne": lambda one, two: not equal(one, two),
    "lt": less,
    "le": less_or_equal,
    "gt": lambda one, two: not less_or_equal(one, two),
    "ge": lambda one, two: not less(one, two),
    "parseInt": parse_int,
}


def shown(values: tuple[Any, ...]) -> list[Any]:
    """As the escaping functions see their arguments."""
    return [b"<no value>" if isinstance(value, NoValue) else value for value in values]
