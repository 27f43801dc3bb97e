from collections.abc import Iterable
from typing import Any

from fastdns.expr.syntax import Node
from fastdns.serve._values import BlockValue

class Program:
    text: str
    values: tuple[str, ...]
    warnings: list[str]
    def __init__(self, text: str, *, tree: Node | None = None) -> None: ...
    def bind(self, values: Iterable[BlockValue]) -> None: ...
    def constant(self) -> tuple[Any] | None: ...

def constant_of(tree: Node) -> tuple[Any] | None: ...
