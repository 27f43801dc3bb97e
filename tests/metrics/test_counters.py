"""How the shared counters are read."""

from __future__ import annotations

from pathlib import Path

import dns.message
import pytest

from fastdns.metrics._stats import Stats, layout, upstream_layout
from fastdns.metrics.counters import Layout, added, buckets, part
from fastdns.plugins.prometheus._step import PrometheusStep
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable

pytestmark = pytest.mark.native


def test_buckets_are_cumulative() -> None:
    assert buckets((0.5, 1, 16000), [1, 0, 2, 4]) == [("0.5", 1), ("1", 1), ("16000", 3), ("+Inf", 7)]
    with pytest.raises(ValueError):
        buckets((1, 2), [1, 2])


def test_threads_add_up() -> None:
    assert added(iter([[1, 2], [10, 20], [0, 5]])) == [11, 27]


@pytest.mark.parametrize("of", [layout(), upstream_layout()], ids=["zone", "upstream"])
def test_rows_of_a_table_do_not_overlap(of: Layout) -> None:
    width = max(at + extent(shape) for at, shape in of.values())
    values = list(range(width))
    seen: list[int] = []
    for name, (_, shape) in of.items():
        if len(shape) == 2:
            for row in range(shape[0]):
                seen += part(of, values, name, row)
        else:
            found = part(of, values, name)
            seen += found if isinstance(found, list) else [found]
    assert sorted(seen) == values


def extent(shape: tuple[int, ...]) -> int:
    size = 1
    for one in shape:
        size *= one
    return size


def test_connections_of_one_thread() -> None:
    stats = Stats(2)
    stats.count_connections(1, 3, "tcp-tls", False, 2)
    stats.count_connections(1, 3, "tcp-tls", True, 5)
    stats.count_connections(1, 3, "udp", True, 1)
    values = stats.upstream_values(1, 3)
    assert sum(values) == 8
    assert part(upstream_layout(), values, "connections", 0) == [0, 0, 2, 0, 0]
    assert part(upstream_layout(), values, "connections", 1) == [1, 0, 5, 0, 0]
    assert not any(stats.upstream_values(1, 2)) and not any(stats.upstream_values(0, 3))


@pytest.mark.parametrize(
    ("place", "error"),
    [((2, 0, "udp"), IndexError), ((1, 128, "udp"), IndexError), ((1, 0, "sctp"), ValueError)],
    ids=str,
)
def test_connections_that_have_no_place(place: tuple[int, int, str], error: type[Exception]) -> None:
    stats = Stats(2)
    with pytest.raises(error):
        stats.count_connections(*place, True, 1)


def pages() -> int:
    """The pages of shared memory that this process has touched."""
    return int(Path("/proc/self/statm").read_text().split()[2])


def ask(stats: Stats, thread: int, zone: int) -> None:
    """One query on a thread, counted for a zone."""
    table = ServerTable([(".", 0, zone)], [[PrometheusStep()]])
    Worker(table, None, 0, stats, thread).serve(dns.message.make_query("a.org.", "A").to_wire())


def test_zones_of_several_banks() -> None:
    stats = Stats(3)
    stats.reserve_zones(130)
    assert stats.zone_room == 192
    for thread, zone in ((1, 0), (1, 129), (2, 129), (2, 64)):
        ask(stats, thread, zone)
    requests = {
        zone: sum(part(layout(), values, "requests", 0))
        for zone in range(192)
        if (values := stats.zone_values([0, 1, 2], zone)) is not None
    }
    assert requests == {0: 1, 64: 1, 129: 2}
    assert stats.zone_values([0, 2], 0) is None, "another thread's"
    stats.fold(1, 0)
    assert stats.zone_values([1], 129) is None, "its next user begins at nothing"
    assert sum(part(layout(), stats.zone_values([0, 1, 2], 129) or [], "requests", 0)) == 2
    stats.fold(1, 0)
    assert sum(part(layout(), stats.zone_values([0], 129) or [], "requests", 0)) == 1


def test_room_is_added_and_stays() -> None:
    stats = Stats(1)
    assert stats.zone_room == 64
    ask(stats, 0, 63)
    stats.reserve_zones(65)
    stats.reserve_zones(1)
    assert stats.zone_room == 128
    assert stats.zone_values([0], 63) is not None


def test_reading_zones_that_nobody_asked_takes_no_memory() -> None:
    """Even a look at a page of the mapping takes it: 16,384 zones of one thread would be 57 MiB."""
    stats = Stats(2)
    stats.reserve_zones(16384)
    ask(stats, 1, 16383)
    before = pages()
    assert [zone for zone in range(16384) if stats.zone_values([0, 1], zone)] == [16383]
    assert pages() - before < 2 * 256 + 64, "a page of each thread and bank"


def test_zones_that_have_no_counters() -> None:
    stats = Stats(2)
    with pytest.raises(ValueError, match="at most 16384 zones are counted, got 16385"):
        stats.reserve_zones(16385)
    for slots, zone in (([0], 64), ([2], 0)):
        with pytest.raises(IndexError):
            stats.zone_values(slots, zone)
    with pytest.raises(ValueError, match="counters for 65 zones expected, got 64"):
        ask(stats, 1, 64)
    with pytest.raises(ValueError, match="counter slot out of range"):
        ServerTable([(".", 0, 16384)], [[]])
    with pytest.raises(ValueError, match="counter slot out of range"):
        ServerTable([(".", 0, None)], [[]], -1)
