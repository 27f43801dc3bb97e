"""Tokens to a tree, with expr-lang's precedences.

    kind        value               args
    const       the value
    name        the name
    call        the function        arguments
    builtin     the function        arguments; a predicate is the second one
    unary       "!", "-", "+"       operand
    binary      the operator        left, right; && and || may have more
    member      whether it is ?.    object, name or index
    chain                           what has ?. in it: nil ends all of it
    slice                           object, from, to: a nil constant where there is none
    if                              condition, then, else
    let         the name            value, body
    pointer     "", index, acc
    array                           elements
    map                             key, value, key, value …
    sequence                        all; the last one counts
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fastdns.expr.errors import ExprError
from fastdns.expr.lexer import END, NAME, NUMBER, OPERATOR, STRING, Token, tokens
from fastdns.expr.types import ANY, Type

# As in expr-lang; and how deep parentheses and operators may be nested, which takes room on the stack.
MAX_NODES = 10000
MAX_DEPTH = 60
# And how deep the tree may be: evaluating it takes room on the stack.
MAX_TREE_DEPTH = 120

UNARY = {"not": 50, "!": 50, "-": 90, "+": 90}
BINARY = {
    "|": 0, "or": 10, "||": 10, "and": 15, "&&": 15, "==": 20, "!=": 20, "<": 20, ">": 20, ">=": 20, "<=": 20,
    "in": 20, "matches": 20, "contains": 20, "startsWith": 20, "endsWith": 20, "..": 25, "+": 30, "-": 30, "*": 60,
    "/": 60, "%": 60, "**": 100, "^": 100, "??": 500,
}  # fmt: skip
RIGHT = {"**", "^"}
NEGATED = {"contains", "matches", "startsWith", "endsWith", "in"}
COMPARISONS = {"<", ">", ">=", "<="}
# One word for one thing.
SAME = {"or": "||", "and": "&&", "not": "!", "^": "**"}

# Of the functions with predicates: how many arguments are needed, and which one is the predicate's.
PREDICATES = {
    "all": 2, "none": 2, "any": 2, "one": 2, "filter": 2, "map": 2, "count": 1, "sum": 1, "find": 2, "findIndex": 2,
    "findLast": 2, "findLastIndex": 2, "groupBy": 2, "sortBy": 2, "reduce": 2,
}  # fmt: skip
MOST = {"sortBy": 3, "reduce": 3}


@dataclass(slots=True)
class Node:
    """See above. at: where it stands in the text. type: what the checker knows of its value. depth: of the tree."""

    kind: str
    at: int
    value: Any = None
    args: list[Node] = field(default_factory=list)
    type: Type = ANY
    depth: int = 1


def parse(text: str, builtins: set[str]) -> Node:
    """The tree of an expression. builtins: the names that are functions of the language. Raises ExprError."""
    return Parser(text, builtins).whole()


class Parser:
    """One text."""

    def __init__(self, text: str, builtins: set[str]) -> None:
        self.tokens = tokens(text)
        self.builtins = builtins
        self.at = 0
        self.predicates = 0
        self.nodes = 0
        self.depth = 0

    @property
    def token(self) -> Token:
        """Where it stands."""
        return self.tokens[self.at]

    def next(self) -> Token:
        """The token where it stands; it moves on."""
        token = self.token
        self.at += token.kind != END
        return token

    def unexpected(self, token: Token) -> ExprError:
        """The error about a token."""
        if token.kind == END:
            return ExprError("unexpected end of expression", token.at)
        return ExprError(f"unexpected {token.text!r}", token.at)

    def expect(self, kind: str, text: str = "") -> Token:
        """The token, which must be this one."""
        if self.token.kind != kind or (text and self.token.text != text):
            raise self.unexpected(self.token)
        return self.next()

    def accept(self, text: str) -> bool:
        """Whether this operator or bracket stands here; then it moves on."""
        if self.token.kind in (OPERATOR, "bracket") and self.token.text == text:
            self.next()
            return True
        return False

    def make(self, kind: str, at: int, value: Any = None, args: list[Node] | None = None) -> Node:
        """A node."""
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise ExprError(f"the expression has more than {MAX_NODES} parts", at)
        node = Node(kind, at, value, args or [])
        node.depth = 1 + max((arg.depth for arg in node.args), default=0)
        if node.depth > MAX_TREE_DEPTH:
            raise ExprError(f"parts are nested more than {MAX_TREE_DEPTH} times", at)
        return node

    # The grammar, from the top

    def whole(self) -> Node:
        """All of the text."""
        node = self.sequence()
        if self.token.kind != END:
            raise self.unexpected(self.token)
        return node

    def sequence(self) -> Node:
        """Expressions with semicolons between them."""
        nodes = [self.expression(0)]
        while self.accept(";"):
            if self.token.kind == END:
                break
            nodes.append(self.expression(0))
        return nodes[0] if len(nodes) == 1 else self.make("sequence", nodes[0].at, args=nodes)

    def expression(self, precedence: int) -> Node:
        """Operators that bind at least so tightly."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ExprError(f"the expression is nested more than {MAX_DEPTH} times", self.token.at)
        if precedence == 0 and self.token.is_operator("let"):
            node = self.let()
        elif precedence == 0 and self.token.is_operator("if"):
            node = self.condition()
        else:
            node = self.operators(precedence)
        self.depth -= 1
        return node

    def operators(self, precedence: int) -> Node:
        """A primary expression and the operators behind it."""
        left = self.primary()
        before = ""
        while self.token.is_operator():
            begin, negated = self.at, self.token
            negate = self.accept("not")
            token = self.token
            if negate and not token.is_operator(*NEGATED):
                raise self.unexpected(token)
            if token.text not in BINARY or BINARY[token.text] < precedence:
                self.at = begin
                break
            self.next()
            if before == "??" and token.text not in ("??", "|"):
                raise ExprError(f"?? and {token.text} cannot be mixed: use parentheses", token.at)
            if token.text == "|":
                name = self.expect(NAME)
                left = self.call(name, [left])
            elif token.text in COMPARISONS:
                left = self.comparison(left, token)
            else:
                right = self.expression(BINARY[token.text] + (token.text not in RIGHT))
                operator = SAME.get(token.text, token.text)
                # a && b && c is one part with three operands, however many there are.
                several = operator in ("&&", "||") and (left.kind, left.value) == ("binary", operator)
                left = self.make("binary", token.at, operator, [*(left.args if several else [left]), right])
                if negate:
                    left = self.make("unary", negated.at, "!", [left])
            before = token.text
        return self.ternary(left) if precedence == 0 else left

    def comparison(self, left: Node, token: Token) -> Node:
        """a < b < c is a < b && b < c."""
        root = None
        while True:
            right = self.expression(BINARY[token.text] + 1)
            one = self.make("binary", token.at, token.text, [left, right])
            root = one if root is None else self.make("binary", token.at, "&&", [root, one])
            if not self.token.is_operator(*COMPARISONS):
                return root
            left, token = right, self.next()

    def ternary(self, node: Node) -> Node:
        """condition ? a : b, and a ?: b."""
        while self.token.is_operator("?"):
            at = self.next().at
            if self.accept(":"):
                then = node
            else:
                then = self.expression(0)
                self.expect(OPERATOR, ":")
            node = self.make("if", at, args=[node, then, self.expression(0)])
        return node

    def let(self) -> Node:
        """let NAME = VALUE; BODY"""
        at = self.expect(OPERATOR, "let").at
        name = self.expect(NAME).text
        self.expect(OPERATOR, "=")
        value = self.expression(0)
        self.expect(OPERATOR, ";")
        return self.make("let", at, name, [value, self.sequence()])

    def condition(self) -> Node:
        """if CONDITION { A } else { B }"""
        at = self.expect(OPERATOR, "if").at
        node = self.expression(0)
        then = self.braced()
        self.expect(OPERATOR, "else")
        otherwise = self.condition() if self.token.is_operator("if") else self.braced()
        return self.make("if", at, args=[node, then, otherwise])

    def braced(self) -> Node:
        """{ … }"""
        self.expect("bracket", "{")
        node = self.sequence()
        self.expect("bracket", "}")
        return node

    def primary(self) -> Node:
        """What has no operator before it but unary ones."""
        token = self.token
        if token.is_operator(*UNARY):
            self.next()
            operand = self.expression(UNARY[token.text])
            return self.postfix(self.make("unary", token.at, SAME.get(token.text, token.text), [operand]))
        if token.is_bracket("("):
            self.next()
            self.depth += 1
            node = self.sequence()
            self.depth -= 1
            self.expect("bracket", ")")
            return self.postfix(node)
        if self.predicates and token.is_operator("#", "."):
            name = ""
            if self.accept("#") and self.token.kind == NAME and self.token.at == token.at + 1:
                name = self.next().text
            return self.postfix(self.make("pointer", token.at, name))
        if self.accept("::"):
            return self.postfix(self.call(self.expect(NAME), []))
        return self.secondary()

    def secondary(self) -> Node:
        """Names, calls and literals."""
        token = self.token
        if token.kind == NAME:
            self.next()
            if token.text in ("true", "false", "nil"):
                return self.make("const", token.at, {"true": True, "false": False}.get(token.text))
            if self.token.is_bracket("("):
                return self.postfix(self.call(token, []))
            return self.postfix(self.make("name", token.at, token.text))
        if token.kind == NUMBER:
            self.next()
            return self.make("const", token.at, number(token))
        if token.kind == STRING:
            self.next()
            return self.postfix(self.make("const", token.at, token.text))
        if token.is_bracket("["):
            return self.postfix(self.array())
        if token.is_bracket("{"):
            return self.postfix(self.map())
        raise self.unexpected(token)

    def call(self, name: Token, given: list[Node]) -> Node:
        """The arguments of a function, behind what a pipe has given."""
        if name.text in PREDICATES:
            return self.predicate_call(name, given)
        self.expect("bracket", "(")
        args = list(given)
        while not self.token.is_bracket(")"):
            if len(args) > len(given):
                self.expect(OPERATOR, ",")
                if self.token.is_bracket(")"):
                    break
            args.append(self.expression(0))
        self.expect("bracket", ")")
        return self.make("builtin" if name.text in self.builtins else "call", name.at, name.text, args)

    def predicate_call(self, name: Token, given: list[Node]) -> Node:
        self.expect("bracket", "(")
        args = list(given)
        for place in range(len(given), MOST.get(name.text, 2)):
            if self.token.is_bracket(")"):
                break
            if place > 0 and not (place == len(given) and given):
                self.expect(OPERATOR, ",")
            args.append(self.predicate() if place == 1 else self.expression(0))
        self.accept(",")
        if len(args) < PREDICATES[name.text]:
            raise ExprError(f"not enough arguments to call {name.text}", name.at)
        self.expect("bracket", ")")
        return self.make("builtin", name.at, name.text, args)

    def predicate(self) -> Node:
        """An expression of the element #, with or without braces."""
        self.predicates += 1
        node = self.braced() if self.token.is_bracket("{") else self.expression(0)
        self.predicates -= 1
        return node

    def array(self) -> Node:
        """[a, b]"""
        at = self.expect("bracket", "[").at
        nodes: list[Node] = []
        while not self.token.is_bracket("]"):
            if nodes:
                self.expect(OPERATOR, ",")
                if self.token.is_bracket("]"):
                    break
            nodes.append(self.expression(0))
        self.expect("bracket", "]")
        return self.make("array", at, args=nodes)

    def map(self) -> Node:
        """{a: 1, "b": 2, (c): 3}"""
        at = self.expect("bracket", "{").at
        nodes: list[Node] = []
        while not self.token.is_bracket("}"):
            if nodes:
                self.expect(OPERATOR, ",")
                if self.token.is_bracket("}"):
                    break
            token = self.token
            if token.kind in (NUMBER, STRING, NAME):
                self.next()
                nodes.append(self.make("const", token.at, token.text))
            elif token.is_bracket("("):
                nodes.append(self.expression(0))
            else:
                raise self.unexpected(token)
            self.expect(OPERATOR, ":")
            nodes.append(self.expression(0))
        self.expect("bracket", "}")
        return self.make("map", at, args=nodes)

    def postfix(self, node: Node) -> Node:
        """Members, indexes and slices."""
        while True:
            token = self.token
            optional = token.is_operator("?.")
            if optional and self.tokens[self.at + 1].is_bracket("["):
                self.next()
                node = self.chained(node, True, self.bracketed)
            elif optional or token.is_operator("."):
                self.next()
                node = self.chained(node, optional, self.member)
            elif token.is_bracket("["):
                node = self.bracketed(node, False)
            else:
                return node

    def chained(self, node: Node, optional: bool, build: Callable[[Node, bool], Node]) -> Node:
        """A part of a chain: nil where it is optional ends the chain as a whole."""
        is_chain = node.kind == "chain"
        made = build(node.args[0] if is_chain else node, optional)
        return self.make("chain", made.at, args=[made]) if is_chain or optional else made

    def member(self, node: Node, optional: bool) -> Node:
        """.name"""
        name = self.next()
        if name.kind != NAME and not (name.kind == OPERATOR and name.text.isalpha()):
            raise ExprError("expected name", name.at)
        if self.token.is_bracket("("):
            raise ExprError(f"there is no method {name.text}", name.at)
        key = self.make("const", name.at, name.text)
        return self.make("member", name.at, optional, [node, key])

    def bracketed(self, node: Node, optional: bool) -> Node:
        """[index] or [from:to]"""
        at = self.expect("bracket", "[").at
        first = None if self.token.is_operator(":") else self.expression(0)
        if self.accept(":"):
            last = None if self.token.is_bracket("]") else self.expression(0)
            nothing = [self.make("const", at) for _ in range(2)]
            node = self.make("slice", at, args=[node, first or nothing[0], last or nothing[1]])
        else:
            assert first is not None
            node = self.make("member", at, optional, [node, first])
        self.expect("bracket", "]")
        return node


def number(token: Token) -> int | float:
    """The value of a number. Raises ExprError."""
    text = token.text.replace("_", "").lower()
    try:
        if text[:2] in ("0x", "0o", "0b"):
            value: int | float = int(text, 0)
        elif "." in text or "e" in text:
            value = float(text)
        else:
            value = int(text, 10)
    except ValueError:
        raise ExprError(f"invalid number: {token.text!r}", token.at) from None
    if (isinstance(value, int) and value >= 1 << 63) or value == float("inf"):
        raise ExprError(f"the number is too large: {token.text}", token.at)
    return value
