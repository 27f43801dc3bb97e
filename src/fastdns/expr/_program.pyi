from collections.abc import Iterable
from typing import Any

from fastdns.expr.checker import Names
from fastdns.expr.syntax import Node
from fastdns.expr.types import Type
from fastdns.serve._values import BlockValue

class Program:
    text: str
    values: tuple[str, ...]
    warnings: list[str]
    type: Type
    def __init__(self, text: str, *, tree: Node | None = None, variables: Names = ()) -> None: ...
    def bind(self, values: Iterable[BlockValue]) -> None: ...
    def constant(self) -> tuple[Any] | None: ...

def constant_of(tree: Node) -> tuple[Any] | None: ...
