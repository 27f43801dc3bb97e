"""The types of a tree, as expr-lang checks them: what cannot work is an error before any query comes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from fastdns.expr.errors import ExprError, UnsupportedError
from fastdns.expr.functions import (
    ANY_BODY,
    BUILTINS,
    KINDS,
    LOOPS,
    PLAIN,
    QUERY,
    UNSUPPORTED,
    Function,
    counts,
    parameter,
)
from fastdns.expr.syntax import Node
from fastdns.expr.types import (
    ANY,
    ARRAY,
    BOOL,
    FLOAT,
    INT,
    INTS,
    LOOKUP,
    MAP,
    NIL,
    STRING,
    Type,
    array_of,
    comparable,
    either,
)

CONSTANTS = {type(None): NIL, bool: BOOL, int: INT, float: FLOAT, str: STRING}


Names = Sequence[tuple[str, Type]]


def check(node: Node, variables: Names = ()) -> None:
    """Set the type of each node. variables: that have a value before the evaluation. Raises ExprError."""
    Checker(variables).visit(node)


class Checker:
    """names: of variables, and their types. scopes: the element of each predicate around, the innermost last."""

    def __init__(self, variables: Names) -> None:
        self.names = list(variables)
        self.scopes: list[dict[str, Type]] = []

    def visit(self, node: Node) -> Type:
        """Check a node and all below it; its type."""
        node.type = getattr(self, f"on_{node.kind}")(node)
        return node.type

    def on_const(self, node: Node) -> Type:
        """A literal."""
        return CONSTANTS[type(node.value)]

    def on_name(self, node: Node) -> Type:
        """A variable."""
        for name, known in reversed(self.names):
            if name == node.value and known != LOOKUP:
                return known
        if node.value in QUERY or node.value in BUILTINS or (node.value, LOOKUP) in self.names:
            raise UnsupportedError(f"{node.value} is a function: {node.value}()", node.at)
        if node.value == "$env":
            raise UnsupportedError("$env is not supported", node.at)
        raise ExprError(f"unknown name {node.value}", node.at)

    def on_sequence(self, node: Node) -> Type:
        """The last one counts."""
        return [self.visit(arg) for arg in node.args][-1]

    def on_let(self, node: Node) -> Type:
        """A variable, and what it is for."""
        if node.value in QUERY or node.value in BUILTINS:
            raise ExprError(f"cannot redeclare {node.value}", node.at)
        if any(name == node.value for name, _ in self.names):
            raise ExprError(f"cannot redeclare variable {node.value}", node.at)
        self.names.append((node.value, self.visit(node.args[0])))
        body = self.visit(node.args[1])
        self.names.pop()
        return body

    def on_array(self, node: Node) -> Type:
        """Elements of one type, or of several."""
        types = [self.visit(arg) for arg in node.args]
        return array_of(types[0]) if types and all(one == types[0] for one in types) else ARRAY

    def on_map(self, node: Node) -> Type:
        """Keys are strings."""
        for key, value in zip(node.args[::2], node.args[1::2], strict=True):
            if not self.visit(key).may_be("string"):
                raise ExprError(f"a key of a map must be a string, got {key.type}", key.at)
            self.visit(value)
        return MAP

    def on_unary(self, node: Node) -> Type:
        """! of bool, + and - of numbers."""
        operand = self.visit(node.args[0])
        if node.value == "!" and operand.may_be("bool"):
            return BOOL
        if node.value != "!" and operand.may_be("int", "float"):
            return operand
        raise ExprError(f"invalid operation: {node.value} (mismatched type {operand})", node.at)

    def on_binary(self, node: Node) -> Type:
        """What an operator gives for these types."""
        *others, left, right = (self.visit(arg) for arg in node.args)
        found = self.operation(node, left, right)
        if not all(other.may_be("bool") for other in others):
            found = None
        if found is None:
            raise ExprError(f"invalid operation: {node.value} (mismatched types {left} and {right})", node.at)
        return found

    def operation(self, node: Node, left: Type, right: Type) -> Type | None:
        """The type of the result; None where the operator is not for these."""
        operator = node.value

        def both(*names: str) -> bool:
            return left.may_be(*names) and right.may_be(*names)

        numbers = both("int", "float")
        promoted = ANY if left.is_any or right.is_any else FLOAT if FLOAT in (left, right) else INT
        if operator in ("==", "!="):
            return BOOL if comparable(left, right) else None
        if operator in ("||", "&&"):
            return BOOL if both("bool") else None
        if operator in ("<", ">", "<=", ">="):
            return BOOL if numbers or both("string") else None
        if operator in ("-", "*"):
            return promoted if numbers else None
        if operator in ("/", "**"):
            return FLOAT if numbers else None
        if operator == "%":
            return INT if both("int") else None
        if operator == "+":
            return promoted if numbers else STRING if both("string") else None
        if operator in ("contains", "startsWith", "endsWith", "matches"):
            return BOOL if both("string") else None
        if operator == "..":
            return INTS if both("int") else None
        if operator == "??":
            return either(left, right)
        return self.membership(node, left, right)

    def membership(self, node: Node, left: Type, right: Type) -> Type | None:
        """in"""
        if right.name == "map" and not left.may_be("string"):
            raise ExprError(f"cannot use {left} as type string in map key", node.at)
        if right.elem is not None and not comparable(left, right.elem):
            raise ExprError(f"cannot use {left} as type {right.elem} in array", node.at)
        return BOOL if right.may_be("array", "map") else None

    def on_chain(self, node: Node) -> Type:
        """What is in it, or nil."""
        return self.visit(node.args[0])

    def on_member(self, node: Node) -> Type:
        """An element of an array or of a map."""
        base, key = (self.visit(arg) for arg in node.args)
        if base.is_any:
            return ANY
        if base.name == "map":
            if not key.may_be("string"):
                raise ExprError(f"cannot use {key} to get an element from a map", node.at)
            return ANY
        if base.elem is None:
            name = f"has no field {node.args[1].value}" if key.name == "string" else f"has no element [{key}]"
            raise ExprError(f"type {base} {name}", node.at)
        if not key.may_be("int"):
            raise ExprError(f"array elements can only be selected using an integer (got {key})", node.at)
        return base.elem

    def on_slice(self, node: Node) -> Type:
        """A part of an array or of a string."""
        base, *ends = (self.visit(arg) for arg in node.args)
        if not base.may_be("array", "string"):
            raise ExprError(f"cannot slice {base}", node.at)
        for end in ends:
            if not end.may_be("int", "nil"):
                raise ExprError(f"non-integer slice index {end}", node.at)
        return base

    def on_if(self, node: Node) -> Type:
        """One of two."""
        condition, then, otherwise = (self.visit(arg) for arg in node.args)
        if not condition.may_be("bool"):
            raise ExprError(f"non-bool expression (type {condition}) used as condition", node.at)
        return either(then, otherwise)

    def on_call(self, node: Node) -> Type:
        """A function of the query, or a variable that is called like one."""
        if (node.value, LOOKUP) in self.names:
            node.kind = "lookup"
            return self.arguments(node, Function("x", STRING))
        if node.value not in QUERY:
            raise ExprError(f"unknown name {node.value}", node.at)
        return self.arguments(node, QUERY[node.value])

    def on_pointer(self, node: Node) -> Type:
        """#, #index, #acc"""
        if not self.scopes:
            raise ExprError("cannot use pointer accessor outside predicate", node.at)
        if node.value not in self.scopes[-1]:
            raise ExprError(f"unknown pointer #{node.value}", node.at)
        return self.scopes[-1][node.value]

    def on_builtin(self, node: Node) -> Type:
        """A function of the language."""
        if node.value in UNSUPPORTED:
            raise UnsupportedError(f"the function {node.value} is not supported", node.at)
        if node.value in PLAIN:
            return self.arguments(node, PLAIN[node.value])
        return self.loop(node)

    def arguments(self, node: Node, function: Function) -> Type:
        """The result of a call, whose arguments must be what the function takes."""
        types = [self.visit(arg) for arg in node.args]
        least, most = counts(function.parameters)
        if len(types) < least:
            raise ExprError(f"not enough arguments to call {node.value}", node.at)
        if most is not None and len(types) > most:
            raise ExprError(f"too many arguments to call {node.value}", node.at)
        for place, known in enumerate(types):
            kinds = KINDS[parameter(function.parameters, place)]
            if kinds and not known.may_be(*kinds):
                raise ExprError(f"invalid argument for {node.value} (type {known})", node.args[place].at)
        if function.result is None:
            return types[0]
        if isinstance(function.result, str):
            return types[0].elem or ANY
        return function.result

    @contextmanager
    def scope(self, **pointers: Type) -> Iterator[None]:
        """Inside a predicate."""
        self.scopes.append({"": pointers.pop("elem"), **pointers})
        yield
        self.scopes.pop()

    def loop(self, node: Node) -> Type:
        """A function with a predicate."""
        array = self.visit(node.args[0])
        if not array.may_be("array"):
            raise ExprError(f"builtin {node.value} takes only array (got {array})", node.args[0].at)
        elem = body = array.elem or ANY
        if len(node.args) > 1:
            pointers = {"index": INT} if node.value in ("map", "reduce") else {}
            if node.value == "reduce":
                pointers["acc"] = ANY
            with self.scope(elem=elem, **pointers):
                body = self.visit(node.args[1])
            if node.value not in ANY_BODY and not body.may_be("bool"):
                raise ExprError(f"predicate should return boolean (got {body})", node.args[1].at)
        for more in node.args[2:]:
            kind = self.visit(more)
            if node.value == "sortBy" and not kind.may_be("string"):
                raise ExprError(f"sortBy order argument must be a string (got {kind})", more.at)
        result = LOOPS[node.value]
        if isinstance(result, Type):
            return result
        return {"elem": elem, "same": array_of(elem), "mapped": array_of(body), "body": body}[result]
