"""How the shared counters are read."""

from __future__ import annotations

import pytest

from fastdns.metrics._stats import Stats, layout, upstream_layout
from fastdns.metrics.counters import Layout, added, buckets, part

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
    assert part(upstream_layout(), values, "connections", 0) == [0, 0, 2, 0]
    assert part(upstream_layout(), values, "connections", 1) == [1, 0, 5, 0]
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
