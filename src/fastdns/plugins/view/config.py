"""The options of view: a name, and the expressions that must be true."""

from __future__ import annotations

from dataclasses import dataclass

from fastdns.corefile.context import BlockContext
from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.options import one, read_options
from fastdns.expr import ExprError, Program


@dataclass(frozen=True, slots=True)
class Config:
    """name: of the view. expressions: all must be true for a query that the block takes."""

    name: str
    expressions: tuple[str, ...] = ()


def parse(d: Dispenser, block: BlockContext) -> Config:
    """Parse the directive, which a block may have once. Raises CorefileError."""
    name = ""
    expressions: list[str] = []

    def expression(d: Dispenser, fields: dict[str, object]) -> None:
        expressions.append(_checked(d, " ".join(d.remaining_args()), block))

    for _ in d.occurrences(once=True):
        name = one(d, "the name of the view")
        read_options(d, {"expr": expression}, {})
    return Config(name, tuple(expressions))


def _checked(d: Dispenser, text: str, block: BlockContext) -> str:
    """The text of an expression that can be compiled. Raises CorefileError."""
    try:
        program = Program(text)
    except ExprError as error:
        raise d.error(f"{error}, at character {error.at + 1} of {text!r}") from None
    warnings = list(program.warnings)
    if program.values and block.value_zones is None:
        warnings.append(f"{program.values[0]} is always empty: the block has no metadata, so values cannot be read")
    block.warnings.extend(f"plugin/view: {d.file}:{d.line} - {warning}" for warning in warnings)
    return text
