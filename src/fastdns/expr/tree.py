"""The checked tree made ready for native code: constants are evaluated, and what is known before is prepared.

metadata            value: the name
network             incidr of a constant network. value: the network
client network      incidr(client_ip(), NETWORK)
matches             value: the pattern
lookup              value: the variable
in sorted           a constant array of strings or of numbers, sorted
between             a whole number in a range
failure             what always fails
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastdns.expr.checker import Names, check
from fastdns.expr.errors import ExprError, UnsupportedError
from fastdns.expr.functions import BUILTINS, LOOPS
from fastdns.expr.syntax import Node, parse

# The value of a tree that asks nothing of a query; None where it fails. Raises ExprError where it is not possible.
Evaluate = Callable[[Node], tuple[Any] | None]

BINARY_NUMBERS = {
    operator: number
    for number, operator in enumerate((
        "==", "!=", "<", ">", "<=", ">=", "+", "-", "*", "/", "%", "**", "in", "contains", "startsWith", "endsWith",
        "..",
    ))
}  # fmt: skip
# Elements of a constant array, those inside of elements included.
MAX_ITEMS = 65536
# What depends on the query, or always fails.
OPEN = ("call", "metadata", "client network", "lookup", "failure")


def compiled(text: str, evaluate: Evaluate, warnings: list[str], variables: Names = ()) -> Node:
    """The tree of a text. warnings: what the author should know is added. Raises ExprError.

    variables: names and types of those that have a value before the evaluation.
    """
    root = parse(text, BUILTINS)
    check(root, variables)
    return prepare(root, evaluate, warnings)


def prepare(node: Node, evaluate: Evaluate, warnings: list[str]) -> Node:
    """The tree with what can be known before a query comes: the leaves first."""
    node.args = [prepare(arg, evaluate, warnings) for arg in node.args]
    if node.kind == "unary" and node.value == "+":
        return node.args[0]
    if node.kind == "binary":
        node = prepare_binary(node)
    elif node.kind == "call":
        node = prepare_call(node, evaluate, warnings)
    return folded(node, evaluate, warnings) if node.kind != "const" and is_closed(node, (), 0) else node


def is_closed(node: Node, names: tuple[str, ...], scopes: int, *, chained: bool = False) -> bool:
    """Whether it depends on nothing but itself: on no query, and on no variable, predicate or chain around it."""
    if node.kind in OPEN or (node.kind == "member" and node.value and not chained):
        return False
    if node.kind in ("chain", "member"):
        return all(is_closed(arg, names, scopes, chained=chained or node.kind == "chain") for arg in node.args)
    if node.kind == "name":
        return node.value in names
    if node.kind == "pointer":
        return scopes > 0
    if node.kind == "let":
        value, body = node.args
        return is_closed(value, names, scopes) and is_closed(body, (*names, node.value), scopes)
    inside = 1 if node.kind == "builtin" and node.value in LOOPS else None
    return all(is_closed(arg, names, scopes + (place == inside)) for place, arg in enumerate(node.args))


def folded(node: Node, evaluate: Evaluate, warnings: list[str]) -> Node:
    """The constant that it is. Raises ExprError."""
    if node.kind == "binary" and node.value == "%" and node.args[1].kind == "const" and node.args[1].value == 0:
        raise ExprError("integer divide by zero", node.at)
    if node.kind == "array" and all(arg.kind == "const" for arg in node.args):
        found: tuple[Any] | None = ([arg.value for arg in node.args],)
    else:
        found = evaluate(node)
    if found is None:
        warnings.append("a part of the expression always fails: where it is reached, the expression is not true")
        return Node("failure", node.at, type=node.type)
    if size(found[0]) > MAX_ITEMS:
        raise UnsupportedError(f"arrays of more than {MAX_ITEMS} elements are not supported", node.at)
    return Node("const", node.at, found[0], type=node.type)


def size(value: Any) -> int:
    """The elements of a constant, those inside of elements included."""
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + sum(map(size, value)) if isinstance(value, list) else 1


def prepare_binary(node: Node) -> Node:
    """Operators that need less work when one side is known."""
    if node.value in ("&&", "||"):
        return node
    left, right = node.args
    if node.value == "??" and left.kind == "const":
        return right if left.value is None else left
    if node.value == "matches":
        if right.kind != "const":
            raise UnsupportedError("the right side of matches must be a constant", right.at)
        if not isinstance(right.value, str):
            return Node("const", node.at, False, type=node.type)
        return Node("matches", right.at, right.value, [left], node.type)
    if node.value == "in" and (right.kind, right.value) == ("binary", "..") and left.type.name == "int":
        return Node("between", node.at, None, [left, *right.args], node.type)
    if node.value == "in" and right.kind == "const" and isinstance(right.value, list):
        kinds = {"number" if type(item) in (int, float) else type(item).__name__ for item in right.value}
        if kinds in ({"str"}, {"number"}):
            key = (lambda item: item.encode("utf-8", "surrogateescape")) if kinds == {"str"} else None
            items = Node("const", right.at, sorted(right.value, key=key), type=right.type)
            return Node("in sorted", node.at, None, [left, items], node.type)
    return node


def prepare_call(node: Node, evaluate: Evaluate, warnings: list[str]) -> Node:
    """Functions of the query whose arguments are known."""
    if node.value == "metadata":
        label = node.args[0]
        if label.kind != "const":
            raise UnsupportedError("the argument of metadata must be a constant", label.at)
        if not 0 < label.value.find("/") < len(label.value) - 1:
            warnings.append(f"metadata({label.value!r}) is always empty: expected PLUGIN/NAME")
        return Node("metadata", node.at, label.value, type=node.type)
    if node.value == "incidr" and node.args[1].kind == "const":
        address, network = node.args
        try:
            made = Node("network", node.at, network.value, [address], node.type)
            if (address.kind, address.value) == ("call", "client_ip"):
                made = Node("client network", node.at, network.value, type=node.type)
            # The network is read, whatever the address will be.
            evaluate(Node("network", node.at, network.value, [Node("const", node.at, "")]))
        except ExprError as error:
            warnings.append(f"incidr is never true: {error}")
            return Node("failure", node.at, type=node.type)
        return made
    return node
