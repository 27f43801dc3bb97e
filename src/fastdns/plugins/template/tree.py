"""The tree of a template. str() of a node is its text in Go's own spelling, which is what metrics call it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fastdns.errors import FastdnsError


class TemplateError(FastdnsError):
    """A text that is no template: what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Dot:
    """``.``"""

    def __str__(self) -> str:
        return "."


@dataclass(frozen=True, slots=True)
class Nil:
    """``nil``"""

    def __str__(self) -> str:
        return "nil"


@dataclass(frozen=True, slots=True)
class Bool:
    """``true`` or ``false``."""

    value: bool

    def __str__(self) -> str:
        return "true" if self.value else "false"


@dataclass(frozen=True, slots=True)
class Number:
    """A number, as each kind that it can be. is_float: its kind where nothing else asks for one."""

    text: str
    integer: int | None
    unsigned: int | None
    real: float | None
    is_float: bool

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class String:
    """A string: as it is written, and what it says."""

    text: str
    value: bytes

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Field:
    """``.a.b``"""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return "".join(f".{name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class Variable:
    """``$x.a.b``; the name has the dollar sign."""

    name: str
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ".".join((self.name, *self.names))


@dataclass(frozen=True, slots=True)
class Function:
    """The name of a function."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Chain:
    """Fields of what an operand comes to: ``(…).a.b``."""

    operand: Operand
    names: tuple[str, ...]

    def __str__(self) -> str:
        inner = f"({self.operand})" if isinstance(self.operand, Pipe) else str(self.operand)
        return inner + "".join(f".{name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class Command:
    """Operands: a function, method or field with its arguments, or one value."""

    operands: tuple[Operand, ...]

    def __str__(self) -> str:
        return " ".join(f"({one})" if isinstance(one, Pipe) else str(one) for one in self.operands)


@dataclass(frozen=True, slots=True)
class Pipe:
    """Commands, each the last argument of the next one. variables: that are declared (or assigned) by it."""

    commands: tuple[Command, ...]
    variables: tuple[str, ...] = ()
    assigns: bool = False

    def __str__(self) -> str:
        left = ", ".join(self.variables) + (" = " if self.assigns else " := ") if self.variables else ""
        return left + " | ".join(map(str, self.commands))


@dataclass(frozen=True, slots=True)
class Text:
    """What stands between actions."""

    value: bytes

    def __str__(self) -> str:
        return self.value.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Action:
    """``{{ pipeline }}``: its value is printed, unless it declares a variable."""

    pipe: Pipe

    def __str__(self) -> str:
        return f"{{{{{self.pipe}}}}}"


@dataclass(frozen=True, slots=True)
class Branch:
    """if, with or range."""

    kind: str
    pipe: Pipe
    body: Nodes
    otherwise: Nodes | None

    def __str__(self) -> str:
        otherwise = "" if self.otherwise is None else f"{{{{else}}}}{spelled(self.otherwise)}"
        return f"{{{{{self.kind} {self.pipe}}}}}{spelled(self.body)}{otherwise}{{{{end}}}}"


@dataclass(frozen=True, slots=True)
class Leave:
    """break or continue."""

    kind: str

    def __str__(self) -> str:
        return f"{{{{{self.kind}}}}}"


@dataclass(frozen=True, slots=True)
class Call:
    """``{{ template "name" pipeline }}``"""

    name: str
    pipe: Pipe | None

    def __str__(self) -> str:
        return f"{{{{template {quoted(self.name)}{'' if self.pipe is None else f' {self.pipe}'}}}}}"


Operand = Dot | Nil | Bool | Number | String | Field | Variable | Function | Chain | Pipe
Node = Text | Action | Branch | Leave | Call
Nodes = tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """A template. defined: those that it defines itself, by name."""

    nodes: Nodes
    defined: dict[str, Nodes]

    def __str__(self) -> str:
        return spelled(self.nodes)


def spelled(nodes: Nodes) -> str:
    """The text of nodes, as Go prints them."""
    return "".join(map(str, nodes))


def pipes_of(nodes: Nodes) -> Iterator[Pipe]:
    """Every pipeline of nodes, those inside of others included."""
    for node in nodes:
        if isinstance(node, Action | Branch | Call) and node.pipe is not None:
            yield from _inner_pipes(node.pipe)
        if isinstance(node, Branch):
            yield from pipes_of(node.body)
            yield from pipes_of(node.otherwise or ())


def _inner_pipes(pipe: Pipe) -> Iterator[Pipe]:
    yield pipe
    for command in pipe.commands:
        for one in command.operands:
            inner = one.operand if isinstance(one, Chain) else one
            if isinstance(inner, Pipe):
                yield from _inner_pipes(inner)


def quoted(text: str) -> str:
    """As Go quotes it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
