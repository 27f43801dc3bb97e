"""The types that are known of values before a query comes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Type:
    """name: nil, bool, int, float, string, array, map, any or lookup. elem: of an array."""

    name: str
    elem: Type | None = None

    def __str__(self) -> str:
        return f"[]{self.elem}" if self.elem is not None else self.name

    @property
    def is_any(self) -> bool:
        """Whether nothing is known."""
        return self.name == "any"

    @property
    def is_number(self) -> bool:
        """Whether it is one."""
        return self.name in ("int", "float")

    def may_be(self, *names: str) -> bool:
        """Whether a value of the type may have one of these types."""
        return self.is_any or self.name in names


NIL, BOOL, INT, FLOAT, STRING, ANY, MAP = (Type(n) for n in ("nil", "bool", "int", "float", "string", "any", "map"))
# A map of texts that is called like a function, with a text or a number.
LOOKUP = Type("lookup")
ARRAY = Type("array", ANY)
STRINGS = Type("array", STRING)
INTS = Type("array", INT)


def array_of(elem: Type) -> Type:
    """An array."""
    return Type("array", elem)


def comparable(left: Type, right: Type) -> bool:
    """Whether == and in are defined between them."""
    return (
        left.is_any or right.is_any or "nil" in (left.name, right.name) or (left.is_number and right.is_number)
        or left.name == right.name
    )  # fmt: skip


def either(left: Type, right: Type) -> Type:
    """The type of what is one or the other."""
    if left.name == "nil":
        return right
    if right.name in ("nil", left.name):
        return left
    return ANY
