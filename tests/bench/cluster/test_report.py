"""What ``fastdns bench cluster`` prints, and its page."""

from __future__ import annotations

import json
from typing import Any

from fastdns.bench.cluster.report import opening, plots, text
from fastdns.bench.cluster.run import SCHEMA, percentile
from fastdns.bench.page import page


def report(**changes: Any) -> dict[str, Any]:
    sizes = {"all": 80.0, "server": 16.0, "watcher": 64.0}
    made = {
        "schema": SCHEMA,
        "machine": {"cpus": 2, "model": "a <CPU>", "kernel": "6", "python": "3", "load": [0.5, 0.1, 0.1]},
        "other_work_percent": 3.0,
        "options": {"command": "server {corefile}", "workers": 2, "no_tls": False},
        "cluster": {"namespaces": 1, "services": 20, "headless": 2, "slices": 21, "endpoints": 60},
        "start": {"ready_s": 1.5, "first_answer_s": 1.25},
        "restart": None,
        "memory_mib": {
            "steady": sizes, "start_peak": sizes, "relist_peak": sizes, "relist_peak_of_steady": 1.0,
            "after_churn": sizes,
        },
        "relist": {"requests": [], "looks": 1},
        "changes": {
            "elapsed_s": 1.0, "churn_per_second": 50.0, "timed": 2, "unseen": 0,
            "to_answer_ms": {"p50": 2.0, "p90": 3.0, "p99": 3.0, "max": 3.0}, "queries": 9, "failed": 0,
            "unanswered": 0, "cpu_percent": 4.0, "all_ms": [2.0, 3.0],
        },
    }  # fmt: skip
    return made | changes


def test_what_was_not_measured_has_no_line() -> None:
    def labels(made: dict[str, Any]) -> list[str]:
        return [line[:28].strip() for line in text(made)[5:]]

    nothing = report(
        start={"ready_s": None, "first_answer_s": 1.0},
        changes=report()["changes"]
        | {"to_answer_ms": dict.fromkeys(("p50", "p90", "p99", "max")), "timed": 0, "all_ms": []},
    )
    rest = iter(labels(report()))
    assert all(label in rest for label in labels(nothing)), "the same lines in the same order"
    assert "ready after" not in labels(nothing) and "changes timed" not in labels(nothing)
    assert "failed queries" not in labels(report())
    assert "never ready" in opening(nothing)[-1].lower()
    assert len(plots(nothing)) == len(plots(report())) - 1


def test_percentiles_are_of_what_there_is() -> None:
    values = [float(value) for value in range(1, 101)]
    assert (percentile(values, 50), percentile(values, 99)) == (51.0, 100.0)
    assert percentile([], 99) is None


def test_a_page_holds_everything_and_asks_for_nothing() -> None:
    made = report()
    shown = page("a <title>", opening(made), plots(made), text(made), made | {"command": "</script><b>"})
    result = "Ready after 1.50 s, 80 MiB; a change shows within 2.00 ms (p50), 3.00 ms (p99)"
    assert f'</h1>\n<p class="result">{result}</p>' in shown
    assert "20 services and 60 endpoints, 50 changes a second" in shown
    assert "a &lt;title&gt;" in shown
    assert "a &lt;CPU&gt;" in shown
    assert shown.count("</script>") == 1
    assert "src=" not in shown and "href=" not in shown and "@import" not in shown
    kept = shown.partition('id="report">')[2].partition("</script>")[0]
    assert json.loads(kept)["command"] == "</script><b>"
