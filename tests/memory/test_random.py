"""Numbers that nobody can guess."""

from __future__ import annotations

import pytest

from tests.memory._parts import Numbers

pytestmark = pytest.mark.native


def test_numbers_do_not_repeat() -> None:
    """3000 draws, of several pages: of 32 bits two are equal by chance once in a thousand runs."""
    numbers = Numbers()
    assert len({numbers.draw() for _ in range(3000)}) >= 2999


def test_a_number_that_was_drawn_is_not_in_memory_any_more() -> None:
    numbers = Numbers()
    for _ in range(50):
        drawn = numbers.draw().to_bytes(4, "little")
        page = numbers.remembered
        assert all(page[at : at + 4] != drawn for at in range(0, len(page), 4))
