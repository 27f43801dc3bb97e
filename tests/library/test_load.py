"""The load generator in Python."""

from __future__ import annotations

import pytest

from fastdns import BenchError, measure
from tests.bench.servers import tcp, udp
from tests.support import free_port

QUERIES = [("www.example.org", "A"), ("example.org", "MX")]


@pytest.mark.parametrize("over_tcp", [False, True])
def test_a_server_is_measured(over_tcp: bool) -> None:
    with (tcp if over_tcp else udp)() as port:
        transport = "tcp" if over_tcp else "udp"
        result = measure("127.0.0.1", QUERIES, port=port, count=60, clients=4, transport=transport)
    assert (result.sent, result.answered, result.lost) == (60, 60, 0)
    assert sum(result.rcodes) == 60 and result.per_second > 0
    assert 0 < result.percentile_us(50) <= result.percentile_us(99)


def test_an_open_loop_keeps_its_rate() -> None:
    with udp() as port:
        result = measure("127.0.0.1", QUERIES, port=port, seconds=0.5, rate=200)
    assert result.sent + result.unsent == pytest.approx(100, abs=2)


def test_nobody_listens() -> None:
    with pytest.raises(BenchError, match="connection refused: no program listens there over UDP"):
        measure("127.0.0.1", QUERIES, port=free_port(), seconds=20)


@pytest.mark.parametrize(
    ("queries", "options"),
    [
        (QUERIES, {}),
        ([], {"count": 1}),
        ([("a..b", "A")], {"count": 1}),
        ([("a", "NOTYPE")], {"count": 1}),
        (QUERIES, {"count": 1, "port": 0}),
        (QUERIES, {"count": 1, "clients": 1, "processes": 2}),
    ],
    ids=["no end", "no queries", "no name", "no type", "no port", "too few clients"],
)
def test_wrong_arguments_are_errors(queries: list[tuple[str, str]], options: dict[str, int]) -> None:
    with pytest.raises(BenchError):
        measure("127.0.0.1", queries, **options)  # type: ignore[arg-type]
