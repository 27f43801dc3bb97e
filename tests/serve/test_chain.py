"""Chains of any length, and any number of steps that fetch memory ahead."""

from __future__ import annotations

import pytest

from tests.serve._steps import Answer, Look, Rewrite
from tests.serve.support import parse, query, shown, trial, wire

pytestmark = pytest.mark.native

ADDRESS = bytes([192, 0, 2, 1])


def test_a_chain_of_many_steps() -> None:
    """48 were possible."""
    count = 100
    steps = [Rewrite(wire(f"{number}.test."), wire(f"{number + 1}.test.")) for number in range(count)]
    server = trial(*steps, Answer(wire(f"{count}.test."), ADDRESS))
    assert shown(parse(server.ask(query("a.0.test.")))) == ["an a.0.test. A 192.0.2.1"]
    # Of the zone's own name, in the middle of the chain.
    assert shown(parse(server.ask(query("a.60.test.")))) == ["an a.60.test. A 192.0.2.1"]
    assert [step.rewritten for step in steps] == [1] * 60 + [2] * 40


@pytest.mark.parametrize("count", [1, 2, 3, 20])
def test_each_step_that_fetches_ahead_is_asked(count: int) -> None:
    """Two were; a third one was passed over in silence."""
    steps = [Look(number) for number in range(count)]
    server = trial(*steps, Answer(wire("."), ADDRESS))
    for _ in range(3):
        assert shown(parse(server.ask_ahead(query("a.")))) == ["an a. A 192.0.2.1"]
    # The first one leaves no hash.
    assert [step.looks for step in steps] == [(3, 0, 0)] + [(3, 3, 0)] * (count - 1)


def test_blocks_of_one_table_may_have_different_numbers_of_them() -> None:
    few, many = [Look(1)], [Look(number) for number in range(1, 9)]
    server = trial(
        zones={"few.": 0, "many.": 1},
        blocks=[[*few, Answer(wire("few."), ADDRESS)], [*many, Answer(wire("many."), ADDRESS)]],
    )
    assert parse(server.ask_ahead(query("many."))).rr
    assert parse(server.ask_ahead(query("few."))).rr
    assert [step.looks for step in (*few, *many)] == [(1, 1, 0)] * 9
    # Nobody looks at what is no query.
    assert server.ask_ahead(b"short") is None
