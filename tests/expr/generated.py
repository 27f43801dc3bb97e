"""Random expressions with types that fit."""

from __future__ import annotations

import random
import re

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
