from collections.abc import Sequence
from typing import Protocol

from fastdns.serve._values import BlockValue
from fastdns.serve._zones import NativeStep

NAME: str
TIME_BOUNDS_S: tuple[float, ...]
RESULT_NAMES: tuple[str, ...]
SHED_NAMES: tuple[str, ...]
COUNTERS: tuple[str, ...]

class Timed(Protocol):
    @property
    def timeout_s(self) -> float: ...
    @property
    def cacheable(self) -> bool: ...

class HandOver(NativeStep):
    def __init__(
        self, step: Timed, plugin: str, first_counter: int = 0, values: Sequence[BlockValue] = ()
    ) -> None: ...
    @property
    def python(self) -> Timed: ...
    @property
    def plugin(self) -> str: ...
    @property
    def number(self) -> int: ...
    @number.setter
    def number(self, number: int) -> None: ...
