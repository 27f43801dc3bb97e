"""Random expressions, evaluated natively and in the plainest way: before a query, and with what a query says."""

from __future__ import annotations

import math
import random
from typing import Any

import dns.message
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.expr import ExprError, Program
from fastdns.expr.checker import check
from fastdns.expr.functions import BUILTINS
from fastdns.expr.syntax import parse
from tests.expr.generated import expression
from tests.expr.plain import Failure, Plain
from tests.expr.support import evaluate

pytestmark = pytest.mark.native

QUERY = dns.message.make_query("a.Example.org", "AAAA", use_edns=0, payload=1232, id=300)
# What the query's functions say of it.
ENV = {
    "name": lambda: "a.example.org.", "type": lambda: "AAAA", "class": lambda: "IN", "proto": lambda: "udp",
    "port": lambda: "5353", "client_ip": lambda: "127.0.0.1", "id": lambda: 300, "opcode": lambda: 0,
    "size": lambda: len(QUERY.to_wire()), "bufsize": lambda: 1232, "do": lambda: False,
}  # fmt: skip

def told_apart(value: Any) -> Any:
    """Values that Python takes for equal, and that are not."""
    if isinstance(value, list):
        return [told_apart(item) for item in value]
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    return type(value).__name__, value


@pytest.mark.parametrize("seed", range(10))
def test_as_the_plain_evaluator(seed: int) -> None:
    rng = random.Random(seed)
    compared = 0
    for _ in range(100):
        text = expression(rng.choice("sinbSI"), rng)
        tree = parse(text, BUILTINS)
        check(tree)
        try:
            expected: Any = told_apart(Plain(ENV).value(tree))
        except (Failure, TypeError):
            expected = None
        try:
            found = evaluate(Program(text), QUERY.to_wire())
        except ExprError as error:
            assert "divide by zero" in str(error) and expected is None, text
            continue
        assert (None if found is None else told_apart(found[0])) == expected, text
        compared += expected is not None
    assert compared > 50


WORDS = [
    "name()", "type()", "do()", "'a'", '"b"', "1", "2.5", "nil", "true", "(", ")", "[", "]", "{", "}", ",", ";",
    "?", ":", "??", "?.", ".", "..", "+", "-", "*", "/", "%", "**", "==", "!=", "<", "in", "not", "and", "||",
    "matches", "contains", "let", "x", "=", "if", "else", "#", "#acc", "#index", "len(", "filter(", "map(",
    "reduce(", "sort(", "incidr(", "metadata('a/b')", "|", "$env", "`", "'", "/*", "//", "\\", "\0", "é",
    "9999999999999999999",
]  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join) | st.text(max_size=20))
def test_any_text_is_compiled_or_is_an_error(text: str) -> None:
    try:
        program = Program(text)
    except ExprError as error:
        assert 0 <= error.at <= len(text)
        return
    evaluate(program, QUERY.to_wire())
