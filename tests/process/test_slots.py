"""Slots are nobody's twice, and come back."""

from __future__ import annotations

import pytest

from fastdns.errors import FastdnsError
from fastdns.process.cpus import MAX_WORKERS
from fastdns.process.slots import SlotTable


def test_two_generations_of_the_most_workers_fit() -> None:
    table = SlotTable()
    taken = [table.take() for _ in range(2 * MAX_WORKERS)]
    numbers = [number for slots in taken for number in (slots.hot, slots.slow)]
    assert len(set(numbers)) == len(numbers) == 4 * MAX_WORKERS
    assert SlotTable.TOTALS not in numbers
    assert max(numbers) < table.total
    with pytest.raises(FastdnsError, match=f"at most {2 * MAX_WORKERS} workers can run at a time"):
        table.take()
    table.release(taken[5])
    assert table.take() == taken[5]


def test_counted_are_those_in_use_and_the_totals() -> None:
    table = SlotTable()
    one, other = table.take(), table.take()
    assert set(table.counted()) == {SlotTable.TOTALS, one.hot, one.slow, other.hot, other.slow}
    table.release(one)
    assert set(table.counted()) == {SlotTable.TOTALS, other.hot, other.slow}


def test_low_numbers_are_used_again_first() -> None:
    """The tables' pages beyond them are never touched."""
    table = SlotTable()
    for _ in range(100):
        slots = [table.take(), table.take()]
        assert max(slots[1].hot, slots[1].slow) <= 4
        for one in slots:
            table.release(one)
