"""Random expressions, whole and damaged: each is compiled or refused, and evaluated over a query."""

from __future__ import annotations

import random

import dns.message

from fastdns.expr import ExprError, Program
from tests.expr.generated import expression
from tests.expr.support import evaluate

QUERY = dns.message.make_query("a.Example.org", "AAAA", use_edns=0, payload=1232, id=300).to_wire()
PIECES = [
    *"()[]{}.,;:?#|+-*/%<>=!'\"`\\ 09ax", "??", "?.", "..", "**", "let x = ", "nil", "#acc", "reduce(",
    "sortBy(", "é",
]  # fmt: skip


def fuzz_expressions(count: int, seed: int) -> int:
    """Compile count expressions, and evaluate what can be; returns how many were."""
    rng = random.Random(seed)
    taken = 0
    for _ in range(count):
        text = expression(rng.choice("sinbSI"), rng)
        for _ in range(rng.choice((0, 0, 1, 3))):
            at = rng.randrange(len(text) + 1)
            text = text[:at] + rng.choice(PIECES) + text[at + rng.randrange(4) :]
        try:
            program = Program(text)
        except ExprError as error:
            assert 0 <= error.at <= len(text), text
            continue
        taken += 1
        evaluate(program, QUERY, stream=rng.random() < 0.5)
    return taken
