"""Expressions evaluated in the plainest way, over the tree as written: what the native code is compared with."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from fastdns.expr.syntax import Node

WORD = 1 << 64
ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}
TEXTS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda a, b: b in a,
    "startsWith": lambda a, b: a.startswith(b),
    "endsWith": lambda a, b: a.endswith(b),
    "matches": lambda a, b: re.search(b, a) is not None,
}


class Failure(Exception):
    """It has no value."""


def wrapped(number: int) -> int:
    """64 bits, as Go computes."""
    return (number + WORD // 2) % WORD - WORD // 2


def is_number(value: Any) -> bool:
    return type(value) in (int, float)


def same(a: Any, b: Any) -> bool:
    """=="""
    if is_number(a) and is_number(b):
        return bool(a == b)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and bool(a == b)


def need(condition: object) -> None:
    if not condition:
        raise Failure


def arithmetic(operator: str, a: Any, b: Any) -> Any:
    if operator == "+" and isinstance(a, str) and isinstance(b, str):
        return a + b
    need(is_number(a) and is_number(b))
    whole = isinstance(a, int) and isinstance(b, int)
    if operator in "+-*" and operator != "**":
        found = a + b if operator == "+" else a - b if operator == "-" else a * b
        return wrapped(found) if whole else float(found)
    if operator == "/":
        if b == 0:
            return math.nan if a == 0 or a != a else math.copysign(math.inf, a) * math.copysign(1, b)
        return float(a) / float(b)
    if operator == "**":
        try:
            found = math.pow(a, b)
        except OverflowError:
            found = math.inf if a > 0 or b % 2 == 0 else -math.inf
        except ValueError:
            found = math.inf if a == 0 else math.nan
        return found
    need(whole and b != 0)
    return wrapped(int(math.copysign(1, a)) * (abs(a) % abs(b)))


class Plain:
    """env: the functions of the query."""

    def __init__(self, env: dict[str, Callable[..., Any]]) -> None:
        self.env = env
        self.names: dict[str, Any] = {}
        self.scopes: list[dict[str, Any]] = []

    def value(self, node: Node) -> Any:
        """Of a node. Raises Failure."""
        return getattr(self, f"on_{node.kind}")(node)

    def on_const(self, node: Node) -> Any:
        return node.value

    def on_name(self, node: Node) -> Any:
        return self.names[node.value]

    def on_call(self, node: Node) -> Any:
        return self.env[node.value](*map(self.value, node.args))

    def on_array(self, node: Node) -> Any:
        return [self.value(arg) for arg in node.args]

    def on_let(self, node: Node) -> Any:
        self.names[node.value] = self.value(node.args[0])
        return self.value(node.args[1])

    def on_if(self, node: Node) -> Any:
        condition = self.value(node.args[0])
        need(isinstance(condition, bool))
        return self.value(node.args[1 if condition else 2])

    def on_pointer(self, node: Node) -> Any:
        return self.scopes[-1][node.value]

    def on_unary(self, node: Node) -> Any:
        operand = self.value(node.args[0])
        if node.value == "!":
            need(isinstance(operand, bool))
            return not operand
        need(is_number(operand))
        return operand if node.value == "+" else wrapped(-operand) if isinstance(operand, int) else -operand

    def on_binary(self, node: Node) -> Any:
        operator = node.value
        if operator in ("&&", "||"):
            return self.decided(node.args, operator == "||")
        a = self.value(node.args[0])
        if operator == "??":
            return self.value(node.args[1]) if a is None else a
        b = self.value(node.args[1])
        if operator in ("==", "!="):
            return same(a, b) is (operator == "==")
        if operator in ORDERS:
            need((is_number(a) and is_number(b)) or (isinstance(a, str) and isinstance(b, str)))
            return ORDERS[operator](a, b) if is_number(a) else ORDERS[operator](a.encode(), b.encode())
        if operator in TEXTS:
            if a is None or b is None:
                return False
            need(isinstance(a, str) and isinstance(b, str))
            return TEXTS[operator](a, b)
        if operator == "..":
            need(b - a < 500)
            return list(range(a, b + 1))
        if operator == "in":
            need(isinstance(b, list))
            return any(same(item, a) for item in b)
        return arithmetic(operator, a, b)

    def decided(self, args: list[Node], by: bool) -> Any:
        """The first operand that decides, or the last one."""
        for arg in args[:-1]:
            operand = self.value(arg)
            need(isinstance(operand, bool))
            if operand is by:
                return operand
        return self.value(args[-1])

    def on_member(self, node: Node) -> Any:
        base, key = map(self.value, node.args)
        need(isinstance(base, list) and isinstance(key, int))
        at = key + len(base) if key < 0 else key
        need(0 <= at < len(base))
        return base[at]

    def on_slice(self, node: Node) -> Any:
        base, first, last = map(self.value, node.args)
        text = base.encode() if isinstance(base, str) else base
        found = text[slice(first, last)]
        return found.decode("utf-8", "surrogateescape") if isinstance(base, str) else found

    def on_builtin(self, node: Node) -> Any:
        name = node.value
        if hasattr(self, f"loop_{name}"):
            items = self.value(node.args[0])
            need(isinstance(items, list))
            return getattr(self, f"loop_{name}")(items, node.args[1:])
        args = [self.value(arg) for arg in node.args]
        return BUILTINS[name](*args)

    def bodies(self, items: list[Any], body: Node | None) -> list[Any]:
        """What a predicate says of each element."""
        found = []
        for index, item in enumerate(items):
            self.scopes.append({"": item, "index": index})
            found.append(item if body is None else self.value(body))
            self.scopes.pop()
        return found

    def truths(self, items: list[Any], args: list[Node]) -> list[bool]:
        found = self.bodies(items, args[0] if args else None)
        need(all(isinstance(one, bool) for one in found))
        return found

    def loop_all(self, items: list[Any], args: list[Node]) -> Any:
        return all(self.truths(items, args))

    def loop_any(self, items: list[Any], args: list[Node]) -> Any:
        return any(self.truths(items, args))

    def loop_none(self, items: list[Any], args: list[Node]) -> Any:
        return not any(self.truths(items, args))

    def loop_one(self, items: list[Any], args: list[Node]) -> Any:
        return sum(self.truths(items, args)) == 1

    def loop_count(self, items: list[Any], args: list[Node]) -> Any:
        return sum(self.truths(items, args))

    def loop_filter(self, items: list[Any], args: list[Node]) -> Any:
        return [item for item, holds in zip(items, self.truths(items, args), strict=True) if holds]

    def loop_map(self, items: list[Any], args: list[Node]) -> Any:
        return self.bodies(items, args[0])

    def loop_sum(self, items: list[Any], args: list[Node]) -> Any:
        total: Any = 0
        for one in self.bodies(items, args[0] if args else None):
            total = arithmetic("+", one, total)
        return total


def split(text: str, separator: str) -> list[str]:
    return text.split(separator) if separator else list(text)


BUILTINS: dict[str, Callable[..., Any]] = {
    "len": len,
    "upper": lambda text: text.upper(),
    "lower": lambda text: text.lower(),
    "trim": lambda text, chars=" \t\n": text.strip(chars) if chars else text,
    "trimPrefix": lambda text, part: text.removeprefix(part),
    "trimSuffix": lambda text, part: text.removesuffix(part),
    "split": split,
    "replace": lambda text, old, new: text.replace(old, new),
    "indexOf": lambda text, part: text.find(part),
    "lastIndexOf": lambda text, part: text.rfind(part),
    "hasPrefix": lambda text, part: text.startswith(part),
    "hasSuffix": lambda text, part: text.endswith(part),
    "join": lambda items, glue="": glue.join(items),
    "abs": lambda number: wrapped(abs(number)) if isinstance(number, int) else abs(number),
    "reverse": lambda items: items[::-1],
    "concat": lambda *arrays: [item for array in arrays for item in array],
    "first": lambda items: items[0] if items else None,
    "last": lambda items: items[-1] if items else None,
    "bitand": lambda a, b: a & b,
    "bitor": lambda a, b: a | b,
    "bitxor": lambda a, b: a ^ b,
    "bitnot": lambda a: ~a,
}
