"""The expressions of a template, in expr-lang's language: var names what one comes to, expr is a condition.

They see what the query is, ``group(NAME)`` of the match, and the variables that stand before them. All programs of
a template share one run: its first variable is the table of groups, and the template's own stand behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastdns.expr import Program
    from fastdns.expr.types import Type

# As _expressions.pxd. With the table of groups they have the first half of the places of a run.
MAX_VARIABLES = 31
MAX_CONDITIONS = 64
NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
GROUP = "group"


@dataclass(frozen=True, slots=True)
class Expression:
    """name: of the variable; a condition has none."""

    name: str
    text: str


class Expressions:
    """The programs of a template. Raises ExprError."""

    def __init__(self, expressions: Iterable[Expression] = ()) -> None:
        self.variables: list[tuple[str, Program]] = []
        self.conditions: list[Program] = []
        for one in expressions:
            self.add(one)

    @property
    def programs(self) -> list[Program]:
        """All, in the order in which they are evaluated."""
        return [*(program for _, program in self.variables), *self.conditions]

    def add(self, one: Expression) -> Program:
        """Compile the next one. Raises ExprError."""
        from fastdns.expr import Program

        program = Program(one.text, variables=self.known())
        if one.name:
            self.variables.append((one.name, program))
        else:
            self.conditions.append(program)
        return program

    def known(self) -> list[tuple[str, Type]]:
        """Names and types of the variables so far."""
        from fastdns.expr.types import ANY, LOOKUP, NIL

        types = ((name, ANY if program.type == NIL else program.type) for name, program in self.variables)
        known = [(GROUP, LOOKUP), *types]
        # The places of all that may come: what let needs stands behind them.
        return [*known, *[("", ANY)] * (1 + MAX_VARIABLES - len(known))]

    def refusal(self, name: str) -> str:
        """Why a variable cannot have a name; "": it can."""
        from fastdns.expr import ExprError
        from fastdns.expr.functions import BUILTINS, QUERY
        from fastdns.expr.syntax import parse

        if not NAME.fullmatch(name):
            return f"invalid variable name {name!r}; expected a letter or _, and then letters, digits and _"
        try:
            is_name = parse(name, BUILTINS).kind == "name"
        except ExprError:
            is_name = False
        taken = {GROUP, *QUERY, *BUILTINS, *(known for known, _ in self.variables)}
        return f"variable name {name!r} is reserved" if name in taken or not is_name else ""
