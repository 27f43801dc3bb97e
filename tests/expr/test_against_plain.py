"""Random expressions, evaluated natively and in the plainest way: before a query, and with what a query says."""

from __future__ import annotations

import math
import random
import re
from typing import Any

import dns.message
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.expr import ExprError, Program
from fastdns.expr.checker import check
from fastdns.expr.functions import BUILTINS
from fastdns.expr.syntax import parse
from tests.expr._evaluate import evaluate
from tests.expr.plain import Failure, Plain

pytestmark = pytest.mark.native

QUERY = dns.message.make_query("a.Example.org", "AAAA", use_edns=0, payload=1232, id=300)
# What the query's functions say of it.
ENV = {
    "name": lambda: "a.example.org.", "type": lambda: "AAAA", "class": lambda: "IN", "proto": lambda: "udp",
    "port": lambda: "5353", "client_ip": lambda: "127.0.0.1", "id": lambda: 300, "opcode": lambda: 0,
    "size": lambda: len(QUERY.to_wire()), "bufsize": lambda: 1232, "do": lambda: False,
}  # fmt: skip

# Of each type, what has no parts: s string, i whole number, n number, b bool, S strings, I numbers.
LEAVES = {
    "s": ["''", "'a'", "'example'", "'.'", "'a.example.org.'", '"x"', "'127'", "name()", "type()", "proto()",
          "port()", "client_ip()", "class()"],
    "i": ["0", "1", "2", "-1", "7", "300", "1232", "9223372036854775807", "0x10", "id()", "opcode()", "size()",
          "bufsize()"],
    "n": ["0.5", "1.0", "300.0", "-2.5", "1e10", "3", "id()"],
    "b": ["true", "false", "do()"],
    "S": ["['a', 'b']", "['AAAA', type()]", "split(name(), '.')", "[]"],
    "I": ["[1, 2.5, 300]", "0..9", "[]"],
}  # fmt: skip
# And what has some: a letter behind a dollar sign stands for a part, a word for one of CHOICES.
FORMS = {
    "s": ["($s + $s)", "$case($s)", "$trim($s, $s)", "replace($s, $s, $s)", "join($S, $s)", "$s[$i:$i]", "$s[:$i]",
          "($b ? $s : $s)", "$S[$i]", "(first($S) ?? $s)", "(let v = $s; v + v)", "(if $b {$s} else {$s})"],
    "i": ["($i $whole $i)", "-($i)", "len($s)", "len($S)", "len($I)", "abs($i)", "$find($s, $s)", "$bits($i, $i)",
          "bitnot($i)", "count($S, # $text $s)", "($s | len())"],
    "n": ["$i", "($n $number $n)", "sum($I)", "($i ** 2)", "+$n", "abs($n)"],
    "b": ["($b $logic $b)", "!$b", "(not $b)", "($s $text $s)", "($n $order $n)", "($s $in $S)", "($n in $I)",
          "($i in $range)", "$has($s, $s)", "($s $matches $pattern)", "$loop($S, # $in $S)", "($S == $S)",
          "($I != $I)", "($n < $n <= $n)"],
    "S": ["[$s, $s, $s]", "split($s, $s)", "reverse($S)", "filter($S, {# != $s})", "map($S, # + $s)", "$S[$i:]",
          "concat($S, $S)"],
    "I": ["[$n, $n]", "($begin..$end)", "map($I, # * $i)", "map($S, {len(#) + #index})"],
}  # fmt: skip
CHOICES = {
    "case": ["upper", "lower", "trim"], "trim": ["trimPrefix", "trimSuffix", "trim"], "whole": ["+", "-", "*", "%"],
    "find": ["indexOf", "lastIndexOf"], "bits": ["bitand", "bitor", "bitxor"], "number": ["+", "-", "*", "/"],
    "text": ["==", "!=", "<", "<=", ">", ">=", "contains", "startsWith", "endsWith", "not contains"],
    "logic": ["&&", "||", "and", "==", "!="], "order": ["==", "!=", "<", "<=", ">", ">="],
    "in": ["in", "not in"], "range": ["0..9", "-1..300", "5..1"], "has": ["hasPrefix", "hasSuffix"],
    "matches": ["matches", "not matches"], "pattern": ["'^a'", "'[a-z]+$'", "'A{4}'"],
    "loop": ["all", "any", "none", "one"], "begin": ["0", "1", "-3"], "end": ["5", "id() - 295"],
}  # fmt: skip
# A part at this depth has no parts.
DEPTH = 4


def expression(kind: str, rng: random.Random, depth: int = 0) -> str:
    """A random expression of a type."""
    if depth == DEPTH or rng.random() < 0.15:
        return rng.choice(LEAVES[kind])

    def part(match: re.Match[str]) -> str:
        return rng.choice(CHOICES[match[1]]) if match[1] in CHOICES else expression(match[1], rng, depth + 1)

    return re.sub(r"\$([a-z]+|[SI])", part, rng.choice(FORMS[kind]))


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
