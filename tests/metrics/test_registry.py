"""Each plugin has its own counters in a zone, each zone its own slot, and what does not fit is refused."""

from __future__ import annotations

import pytest

from fastdns.errors import FastdnsError
from fastdns.metrics import _stats
from fastdns.metrics.registry import MAX_COUNTERS, MAX_ZONES, CounterRegistry, ZoneRegistry

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


def labels(count: int) -> list[tuple[str, str, str]]:
    return [("dns://:53", f"{number}.", "") for number in range(count)]


def test_zones_keep_their_slots() -> None:
    registry = ZoneRegistry()
    registry.slots = registry.with_new([("dns://:53", "a.", ""), ("dns://:53", "a.", "lan")])
    assert registry.with_new([("dns://:53", "b.", ""), ("dns://:53", "a.", "lan")]) == {
        ("dns://:53", "a.", ""): 0, ("dns://:53", "a.", "lan"): 1, ("dns://:53", "b.", ""): 2,
    }  # fmt: skip
    assert len(registry.slots) == 2, "a configuration that is not served takes none"


def test_too_many_zones_are_an_error() -> None:
    assert _stats.MOST_ZONE_SLOTS == MAX_ZONES
    registry = ZoneRegistry()
    registry.slots = registry.with_new(labels(MAX_ZONES))
    assert sorted(registry.slots.values()) == list(range(MAX_ZONES))
    with pytest.raises(FastdnsError, match="the metrics of 16385 zones are too many: at most 16384"):
        registry.with_new(labels(MAX_ZONES + 1))
