"""Each query of our dashboard and rules, and of public dashboards and alerts, returns data from a real Prometheus.

Those that return none are listed with the reason. docs/reference/dashboards.md is made of what this finds:
``FASTDNS_WRITE_DOCS=1 pytest tests/deploy/monitoring/test_queries.py`` writes it. Where the program prometheus is
not installed, all of this is skipped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.deploy.monitoring.load import loaded
from tests.deploy.monitoring.page import PAGE, page
from tests.deploy.monitoring.prometheus import JOB, Prometheus
from tests.deploy.monitoring.queries import PUBLISHED, filled, of_dashboard, of_rules, ours
from tests.deploy.monitoring.without import reason
from tests.support import wait_until

pytestmark = [pytest.mark.timeout(180)]
SOURCES = ours() | PUBLISHED


class Answers:
    """What Prometheus returns for the queries."""

    def __init__(self, prometheus: Prometheus, instance: str) -> None:
        self.prometheus = prometheus
        self.instance = instance
        self.waiting = sorted({query for queries in SOURCES.values() for query in queries if not reason(query)})
        self.without: list[str] = []

    def all_have_data(self) -> bool:
        """Whether each query that ought to has had data."""
        self.waiting = [query for query in self.waiting if not self.has_data(query)]
        return not self.waiting

    def has_data(self, query: str) -> bool:
        return bool(self.prometheus.series(filled(query, self.instance)))


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answers]:
    """After all have data, or a minute."""
    folder = tmp_path_factory.mktemp("server")
    port_of = "METRICS_PORT"
    with (
        loaded(folder) as server,
        Prometheus(tmp_path_factory.mktemp("prometheus"), {JOB: server.ports[port_of]}) as prometheus,
    ):
        found = Answers(prometheus, f"127.0.0.1:{server.ports[port_of]}")
        try:
            wait_until(found.all_have_data, 60, "data for every query")
        except AssertionError:
            print("\n".join(found.waiting))
        with_a_reason = [query for queries in SOURCES.values() for query in queries if reason(query)]
        found.without = [query for query in with_a_reason if not found.has_data(query)]
        yield found


def test_every_query_returns_data(answers: Answers) -> None:
    assert answers.waiting == []


def test_those_without_data_have_a_reason_that_is_true(answers: Answers) -> None:
    assert set(answers.without) == {query for queries in SOURCES.values() for query in queries if reason(query)}


def test_none_of_ours_is_without() -> None:
    assert [query for query in (*of_dashboard(), *of_rules()) if reason(query)] == []


def test_every_query_is_right(answers: Answers) -> None:
    """As it stands, comparisons included."""
    for query in of_rules():
        answers.prometheus.series(query)


def test_the_page_says_what_is_so(answers: Answers) -> None:
    text = page(SOURCES)
    if os.environ.get("FASTDNS_WRITE_DOCS"):
        PAGE.write_text(text)
    assert PAGE.read_text() == text
