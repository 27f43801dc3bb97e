"""Each plugin has its own counters in a zone, and what does not fit is refused, not ignored."""

from __future__ import annotations

import pytest

from fastdns.errors import FastdnsError
from fastdns.metrics import _stats
from fastdns.metrics.registry import MAX_COUNTERS, CounterRegistry

pytestmark = pytest.mark.native


def test_as_many_as_there_is_room_for() -> None:
    assert _stats.layout()["plugins"][1] == (MAX_COUNTERS,)


def test_places_do_not_overlap_and_stay() -> None:
    registry = CounterRegistry()
    assert registry.register("one", ("a", "b")) == 0
    assert registry.register("none", ()) == 2
    assert registry.register("two", ("a",)) == 2
    assert registry.register("one", ("a", "b")) == 0, "a reload asks again"
    assert registry.first == {"one": 0, "none": 2, "two": 2}


def test_too_many_are_an_error() -> None:
    registry = CounterRegistry()
    registry.register("most", [str(number) for number in range(MAX_COUNTERS - 1)])
    with pytest.raises(FastdnsError, match="plugin/more: it has 2 counters, and there is room for 1"):
        registry.register("more", ("a", "b"))
    assert registry.register("last", ("a",)) == MAX_COUNTERS - 1
