"""A template's tree as a native program, where it has one.

What the native machine does not know is left to Python (evaluate.py): the message as a whole, numbers with a
fraction, escaping for HTML, JavaScript and URLs, formats with rare verbs, and templates inside a template. What
would fail in Go whenever it is executed becomes an instruction that fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from fastdns.plugins.template import program as ops
from fastdns.plugins.template.evaluate import COUNTS
from fastdns.plugins.template.program import Instruction, Piece
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
    TemplateError,
    Text,
    Tree,
    Variable,
    pipes_of,
)  # fmt: skip

# The whole data of the query: no value of the machine.
ROOT = -1
FIELD_NUMBERS = {name: number for number, name in enumerate(ops.FIELDS)}
# Fields that hold texts and numbers, without parts of their own.
SIMPLE = frozenset(("Zone", "Name", "Class", "Type", "Remote", "Regex", "Match"))
NATIVE_VERBS = "svdxXob"
# Of variables.
NATIVE_TYPES = frozenset(("string", "int", "bool"))
COMPARISONS = {"ne": ops.NE, "lt": ops.LT, "le": ops.LE, "gt": ops.GT, "ge": ops.GE}
# Together they bound what is on the stack.
MAX_PARENTHESES = 16
MAX_ARGUMENTS = 15
assert MAX_PARENTHESES * MAX_ARGUMENTS < ops.MAX_STACK
PYTHON_FUNCTIONS = frozenset(("html", "js", "urlquery", "call"))


class NotNativeError(Exception):
    """The machine cannot do it. str() says what."""


@dataclass(slots=True)
class Compiled:
    """A program. names: of groups and keys. metas: names of plugins' values. variables: of expressions."""

    code: list[Instruction] = field(default_factory=list)
    constants: list[bytes | bool | int | None] = field(default_factory=list)
    formats: list[list[Piece]] = field(default_factory=list)


@dataclass(slots=True)
class Names:
    """What the programs of one template have in common: what they read by number. variables: and their types."""

    keys: list[bytes] = field(default_factory=list)
    metas: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)

    def key(self, name: str) -> int:
        """The number of a group's name."""
        text = name.encode("utf-8", "surrogateescape")
        if text not in self.keys:
            self.keys.append(text)
        return self.keys.index(text)

    def meta(self, name: str) -> int:
        """The number of a plugin's value."""
        if name not in self.metas:
            self.metas.append(name)
        return self.metas.index(name)


def compile_tree(tree: Tree, names: Names) -> Compiled:
    """Raises NotNativeError."""
    compiler = Compiler(names)
    compiler.nodes(ROOT, tree.nodes)
    if len(compiler.made.code) > ops.MAX_INSTRUCTIONS:
        raise NotNativeError("a template of this length")
    return compiler.made


def compile_nodes(nodes: Nodes, names: Names) -> Compiled:
    """The same for a part of a tree without templates of its own."""
    return compile_tree(Tree(nodes, {}), names)


@dataclass(slots=True)
class Loop:
    """Jumps out of a range that are not yet known, and where the next round begins."""

    breaks: list[int] = field(default_factory=list)
    continues: list[int] = field(default_factory=list)


class Compiler:
    """Dot is ROOT, or the number of a place."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.made = Compiled()
        self.scope: list[tuple[str, int]] = [("$", ROOT)]
        self.places = 0
        self.loops: list[Loop] = []
        self.depth = 0

    # ---------------------------------------------------------------------------------------- instructions

    def emit(self, operation: int, small: int = 0, large: int = 0) -> int:
        """Returns where it stands."""
        if small > 0xFFFF:
            raise NotNativeError("so many arguments")
        self.made.code.append((operation, small, large))
        return len(self.made.code) - 1

    def jump_here(self, at: int) -> None:
        """Let a jump lead to what comes next."""
        operation, small, _ = self.made.code[at]
        self.made.code[at] = (operation, small, len(self.made.code))

    def constant(self, value: bytes | bool | int | None) -> int:
        """Its number."""
        for number, known in enumerate(self.made.constants):
            if type(known) is type(value) and known == value:
                return number
        self.made.constants.append(value)
        return len(self.made.constants) - 1

    def place(self, count: int = 1) -> int:
        """The first of so many new places."""
        self.places += count
        if self.places > ops.MAX_PLACES:
            raise NotNativeError("so many variables")
        return self.places - count

    def fail(self) -> None:
        """What comes here fails."""
        self.emit(ops.FAIL)

    # ----------------------------------------------------------------------------------------------- nodes

    def nodes(self, dot: int, nodes: Nodes) -> None:
        """Print nodes."""
        for node in nodes:
            self.node(dot, node)

    def node(self, dot: int, node: Node) -> None:
        """Print one."""
        if isinstance(node, Text):
            self.emit(ops.TEXT, 0, self.constant(node.value))
        elif isinstance(node, Action):
            self.pipe(dot, node.pipe)
            if node.pipe.variables:
                self.declare(node.pipe)
            else:
                self.emit(ops.PRINT)
        elif isinstance(node, Leave):
            loop = self.loops[-1]
            at = self.emit(ops.JUMP)
            (loop.breaks if node.kind == "break" else loop.continues).append(at)
        elif isinstance(node, Branch):
            known = len(self.scope)
            if node.kind == "range":
                self.range(dot, node)
            else:
                self.branch(dot, node)
            del self.scope[known:]
        else:
            assert isinstance(node, Call)
            raise NotNativeError("a template inside a template")

    def declare(self, pipe: Pipe) -> None:
        """Pop the value into the variable of a pipeline."""
        (name,) = pipe.variables
        if pipe.assigns:
            self.emit(ops.STORE, self.assigned(name))
        else:
            self.scope.append((name, self.place()))
            self.emit(ops.STORE, self.scope[-1][1])

    def assigned(self, name: str) -> int:
        """The place of a variable."""
        place = self.place_of(name)
        if place == ROOT:
            raise NotNativeError(f"an assignment to {name}")
        return place

    def branch(self, dot: int, node: Branch) -> None:
        """if and with."""
        self.pipe(dot, node.pipe)
        inner = dot
        if node.pipe.variables:
            self.declare(node.pipe)
            inner_place = self.assigned(node.pipe.variables[0])
            self.emit(ops.LOAD, inner_place)
        if node.kind == "with":
            # With a place of its own: what is assigned to the variable does not change dot.
            inner = self.place()
            self.emit(ops.STORE, inner)
            self.emit(ops.LOAD, inner)
        unless = self.emit(ops.UNLESS)
        self.block(inner, node.body)
        if node.otherwise:
            end = self.emit(ops.JUMP)
            self.jump_here(unless)
            self.block(dot, node.otherwise)
            self.jump_here(end)
        else:
            self.jump_here(unless)

    def block(self, dot: int, nodes: Nodes) -> None:
        """Nodes whose variables end with them."""
        known = len(self.scope)
        self.nodes(dot, nodes)
        del self.scope[known:]

    def range(self, dot: int, node: Branch) -> None:
        """The body for each element; see ITERATE and NEXT."""
        pipe = node.pipe
        if pipe.assigns:
            # Without a round the variable has what the range goes over.
            raise NotNativeError("a range that assigns")
        self.pipe(dot, pipe)
        state = self.place(4)
        self.emit(ops.ITERATE, state)
        if len(pipe.variables) > 1:
            self.emit(ops.ONE_VARIABLE, state)
        targets = self.range_variables(pipe)
        none = self.emit(ops.NEXT, state)
        body = len(self.made.code)
        for source, target in targets:
            self.emit(ops.LOAD, state + source)
            self.emit(ops.STORE, target)
        element = self.place()
        self.emit(ops.LOAD, state + 3)
        self.emit(ops.STORE, element)
        loop = Loop()
        self.loops.append(loop)
        self.block(element, node.body)
        self.loops.pop()
        for at in loop.continues:
            self.jump_here(at)
        last = self.emit(ops.NEXT, state)
        self.emit(ops.JUMP, 0, body)
        self.jump_here(none)
        if node.otherwise and pipe.variables:
            raise NotNativeError("a range with variables and else")
        self.block(dot, node.otherwise or ())
        self.jump_here(last)
        for at in loop.breaks:
            self.jump_here(at)

    def range_variables(self, pipe: Pipe) -> list[tuple[int, int]]:
        """Which of a round's places (2: index, 3: element) go to which variables."""
        sources = (3,) if len(pipe.variables) == 1 else (2, 3)
        found = []
        for source, name in zip(sources, pipe.variables, strict=False):
            # Before the first round both have what the range goes over; only {{ else }} could see that.
            self.scope.append((name, self.place()))
            found.append((source, self.assigned(name)))
        return found

    # ------------------------------------------------------------------------------------------- pipelines

    def pipe(self, dot: int, pipe: Pipe) -> None:
        """Push its value."""
        self.depth += 1
        if self.depth > MAX_PARENTHESES:
            raise NotNativeError("parentheses so deep")
        final: Operand | None = None
        for number, command in enumerate(pipe.commands):
            self.command(dot, command, number > 0, final)
            # A constant may be a method's argument.
            final = command.operands[0] if len(command.operands) == 1 else None
        self.depth -= 1

    def command(self, dot: int, command: Command, piped: bool, final: Operand | None) -> None:
        """Push its value; piped: the value of the command before is on the stack, and goes away."""
        first, arguments = command.operands[0], command.operands[1:]
        if isinstance(first, Function):
            self.function(dot, first.name, arguments, piped)
            return
        names, base = self.path(dot, first)
        if names and names[0] == "Meta" and base == ROOT:
            self.meta(names, arguments, piped, final)
            return
        if isinstance(first, Chain) and (arguments or piped):
            raise NotNativeError("a method of an expression")
        if arguments or piped or isinstance(first, Nil):
            # Only functions and methods take arguments; Meta is the one method of the data that is native.
            if base == ROOT and names and names[0] in ("Message", "Question"):
                raise NotNativeError(f".{names[0]}")
            self.fail_instead(piped)
            return
        self.operand(dot, first)

    def fail_instead(self, piped: bool) -> None:
        """Fail, with the stack as if there were a value."""
        if piped:
            self.emit(ops.DROP)
        self.fail()

    def path(self, dot: int, operand: Operand) -> tuple[tuple[str, ...], int]:
        """The fields of an operand, and the place (or ROOT) that they are of. -2: they are of something else."""
        if isinstance(operand, Field):
            return operand.names, dot
        if isinstance(operand, Variable) and operand.names:
            return operand.names, self.place_of(operand.name)
        return (), -2

    def place_of(self, name: str) -> int:
        """Of a variable."""
        for known, place in reversed(self.scope):
            if known == name:
                return place
        # As in Go, an assignment is enough to be read; it fails when it is executed.
        raise NotNativeError(f"{name}, which is assigned to before it is declared")

    def meta(
        self, names: tuple[str, ...], arguments: tuple[Operand, ...], piped: bool, final: Operand | None
    ) -> None:
        """``.Meta "plugin/name"``"""
        given = (*arguments, *((final,) if piped else ()))
        if piped:
            self.emit(ops.DROP)
        if len(given) != 1 or len(names) != 1:
            self.fail()
            return
        name = given[0]
        if not isinstance(name, String):
            raise NotNativeError(".Meta of a name that is not constant")
        self.emit(ops.META, self.names.meta(name.value.decode("utf-8", "replace")))

    def operand(self, dot: int, operand: Operand) -> None:
        """Push the value of an operand."""
        if isinstance(operand, Bool | String):
            self.emit(ops.PUSH, 0, self.constant(operand.value))
        elif isinstance(operand, Nil):
            self.emit(ops.PUSH, 0, self.constant(None))
        elif isinstance(operand, Number):
            self.number(operand)
        elif isinstance(operand, Dot):
            self.load(dot)
        elif isinstance(operand, Variable):
            self.fields(self.place_of(operand.name), operand.names)
        elif isinstance(operand, Field):
            self.fields(dot, operand.names)
        elif isinstance(operand, Chain):
            if isinstance(operand.operand, Nil):
                self.fail()
                return
            if isinstance(operand.operand, Pipe) and self.is_root(dot, operand.operand):
                self.fields(ROOT, operand.names)
                return
            self.operand(dot, operand.operand)
            self.keys(operand.names)
        elif isinstance(operand, Function):
            self.function(dot, operand.name, (), False)
        else:
            self.pipe(dot, operand)

    def is_root(self, dot: int, pipe: Pipe) -> bool:
        """Whether a pipeline is nothing but the whole data."""
        first = pipe.commands[0].operands[0]
        return (
            len(pipe.commands) == 1
            and len(pipe.commands[0].operands) == 1
            and (
                (isinstance(first, Dot) and dot == ROOT)
                or (isinstance(first, Variable) and not first.names and self.place_of(first.name) == ROOT)
            )
        )

    def number(self, number: Number) -> None:
        """A number where nothing asks for a kind."""
        if number.is_float:
            raise NotNativeError("a number with a fraction")
        if number.integer is None:
            self.fail()
        else:
            self.emit(ops.PUSH, 0, self.constant(number.integer))

    def load(self, place: int) -> None:
        """Push what is in a place."""
        if place == ROOT:
            raise NotNativeError("the whole data as a value")
        self.emit(ops.LOAD, place)

    def fields(self, place: int, names: tuple[str, ...]) -> None:
        """Push a field of the data, or a key of what is in a place."""
        if not names:
            self.load(place)
            return
        if place != ROOT:
            self.load(place)
            self.keys(names)
            return
        first, *rest = names
        if first in SIMPLE:
            self.emit(ops.FIELD, FIELD_NUMBERS[first])
            self.keys(tuple(rest))
        elif first == "Group":
            if rest:
                self.emit(ops.GROUP, self.names.key(rest[0]))
                self.keys(tuple(rest[1:]))
            else:
                self.emit(ops.FIELD, FIELD_NUMBERS["Group"])
        elif first == "Var":
            self.variable(tuple(rest))
        elif first == "Question" and rest and ".".join(names[:2]) in FIELD_NUMBERS:
            self.emit(ops.FIELD, FIELD_NUMBERS[".".join(names[:2])])
            self.keys(tuple(rest[1:]))
        elif first in ("Question", "Message"):
            raise NotNativeError(str(Field(names)))
        else:
            # Meta without its argument, or no field at all.
            self.fail()

    def variable(self, names: tuple[str, ...]) -> None:
        """``.Var.name``"""
        if not names:
            raise NotNativeError(".Var as a value")
        known = self.names.variables.get(names[0])
        if known is None:
            self.emit(ops.PUSH, 0, self.constant(None))
        elif known in NATIVE_TYPES:
            self.emit(ops.VARIABLE, list(self.names.variables).index(names[0]))
        else:
            raise NotNativeError(f".Var.{names[0]}, which is of type {known}")
        self.keys(names[1:])

    def keys(self, names: tuple[str, ...]) -> None:
        """Keys of the value on top, each of the one before."""
        for name in names:
            self.emit(ops.NAMED, self.names.key(name))

    # ------------------------------------------------------------------------------------------- functions

    def function(self, dot: int, name: str, arguments: tuple[Operand, ...], piped: bool) -> None:
        """Push what it returns. A piped value is its last argument: it is on the stack, below the others."""
        count = len(arguments) + piped
        least, most = COUNTS[name]
        if name in PYTHON_FUNCTIONS:
            raise NotNativeError(f"the function {name}")
        if count > MAX_ARGUMENTS:
            raise NotNativeError("so many arguments")
        if count < least or (most is not None and count > most):
            self.fail_instead(piped)
            return
        if name in ("and", "or"):
            self.short(dot, name, arguments, piped)
            return
        last: int | None = None
        if piped and arguments:
            last = self.place()
            self.emit(ops.STORE, last)
        for at, one in enumerate(arguments):
            if name == "printf" and at == 0:
                continue
            if name == "parseInt" and isinstance(one, Number):
                self.typed_number(at, one)
            else:
                self.operand(dot, one)
        if last is not None:
            self.emit(ops.LOAD, last)
        CALLS[name](self, arguments, count)

    def typed_number(self, at: int, number: Number) -> None:
        """An argument of parseInt: 1e1 is an integer there, and no number is a string."""
        if at == 0 or number.integer is None:
            self.fail()
        else:
            self.emit(ops.PUSH, 0, self.constant(number.integer))

    def short(self, dot: int, name: str, arguments: tuple[Operand, ...], piped: bool) -> None:
        """and, or: the first argument that decides, or the last one."""
        operation = ops.KEEP_TRUE if name == "or" else ops.KEEP_FALSE
        last: int | None = None
        if piped and arguments:
            last = self.place()
            self.emit(ops.STORE, last)
        ends: list[int] = []
        for number, one in enumerate(arguments):
            self.operand(dot, one)
            if number < len(arguments) - 1 or last is not None:
                ends.append(self.emit(operation))
        if last is not None:
            self.emit(ops.LOAD, last)
        for at in ends:
            self.jump_here(at)

    def printf(self, arguments: tuple[Operand, ...], count: int) -> None:
        """With a constant format; its values are on the stack."""
        form = arguments[0] if arguments else None
        if not isinstance(form, String):
            raise NotNativeError("a format that is not constant")
        pieces = parse_format(form.value)
        if len(pieces) != count:
            raise NotNativeError("a format that does not fit its values")
        self.made.formats.append(pieces)
        self.emit(ops.SPRINTF, count - 1, len(self.made.formats) - 1)


CALLS: dict[str, Callable[[Compiler, tuple[Operand, ...], int], object]] = {
    "not": lambda c, arguments, count: c.emit(ops.NOT),
    "len": lambda c, arguments, count: c.emit(ops.LEN),
    "index": lambda c, arguments, count: c.emit(ops.INDEX, count - 1),
    "slice": lambda c, arguments, count: c.emit(ops.SLICE, count - 1),
    "print": lambda c, arguments, count: c.emit(ops.SPRINT, count),
    "println": lambda c, arguments, count: c.emit(ops.SPRINTLN, count),
    "printf": Compiler.printf,
    "eq": lambda c, arguments, count: c.emit(ops.EQ, count - 1),
    "parseInt": lambda c, arguments, count: c.emit(ops.PARSE_INT),
}
for _name, _operation in COMPARISONS.items():
    CALLS[_name] = lambda c, arguments, count, operation=_operation: c.emit(operation)  # type: ignore[misc]


def parse_format(form: bytes) -> list[Piece]:
    """The pieces of a format, the last one without a verb. Raises NotNativeError."""
    pieces: list[Piece] = []
    literal = bytearray()
    at = 0
    while at < len(form):
        if form[at : at + 1] != b"%":
            literal.append(form[at])
            at += 1
            continue
        at += 1
        flags, width, precision = 0, -1, -1
        while form[at : at + 1] in (b"-", b"0"):
            flags |= ops.LEFT if form[at : at + 1] == b"-" else ops.ZERO
            at += 1
        at, width = _digits(form, at)
        if form[at : at + 1] == b".":
            at, precision = _digits(form, at + 1)
            precision = max(precision, 0)
        verb = form[at : at + 1].decode("ascii", "replace")
        at += 1
        if verb == "%" and (flags, width, precision) == (0, -1, -1):
            literal += b"%"
        elif verb and verb in NATIVE_VERBS:
            pieces.append((bytes(literal), verb, flags, width, precision))
            literal.clear()
        else:
            raise NotNativeError(f"the format %{verb}")
    return [*pieces, (bytes(literal), "", 0, -1, -1)]


def _digits(form: bytes, at: int) -> tuple[int, int]:
    """A number that stands here; -1: none."""
    end = at
    while form[end : end + 1].isdigit():
        end += 1
    if end - at > 3:
        raise NotNativeError("so wide a format")
    return end, int(form[at:end]) if end > at else -1


def check_metas(tree: Tree) -> None:
    """Raises TemplateError for a value of a plugin whose name is not constant: nobody could look for it before."""
    metas_of(tree)


def metas_of(tree: Tree) -> list[str]:
    """The names of plugins' values that a template reads. Raises TemplateError."""
    found: list[str] = []
    for nodes in (tree.nodes, *tree.defined.values()):
        for pipe in pipes_of(nodes):
            before: Operand | None = None
            for number, command in enumerate(pipe.commands):
                first = command.operands[0]
                names = first.names if isinstance(first, Field | Variable | Chain) else ()
                if names and names[-1] == "Meta":
                    given = (*command.operands[1:], *((before,) if number else ()))
                    if len(given) == 1 and isinstance(given[0], String):
                        found.append(given[0].value.decode("utf-8", "replace"))
                    elif given:
                        raise TemplateError(f"{command}: expected a constant name behind .Meta")
                before = first if len(command.operands) == 1 else Nil()
    return found
