"""Draws panels of the dashboard from a real Prometheus, and takes a picture of the upper ones: docs/dashboard.png.

    python -m tests.deploy.monitoring.picture [SECONDS]

It is not Grafana, which neither Debian nor PyPI has: the same queries, in order of the panels, drawn by the plots
of ``fastdns bench``. Needs prometheus and chromium-headless-shell, and the load of the tests.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from html import escape
from pathlib import Path
from typing import Any

from fastdns.bench.plot import Line, linear, lines
from tests.deploy.monitoring.load import loaded
from tests.deploy.monitoring.prometheus import JOB, Prometheus
from tests.deploy.monitoring.queries import DASHBOARD, filled
from tests.support import ROOT

PICTURE = ROOT / "docs" / "dashboard.png"
STEP_S = 3
# Lines and their labels, of which a small plot shows so many.
MOST_LINES = 3
MOST_LABEL = 18
STYLE = """
body{font:14px sans-serif;margin:12px;width:1400px;color:#333} h2{font-size:16px;margin:10px 0 4px}
.row{display:grid;grid-template-columns:repeat(3,1fr);gap:8px} .row svg{width:100%;border:1px solid #ddd}
.stats{display:grid;grid-template-columns:repeat(6,1fr);gap:8px} .stats div{border:1px solid #ddd;padding:8px}
.stats b{display:block;font-size:24px}
"""


def written(value: float, unit: str) -> str:
    """A value with its unit, as Grafana has it."""
    if unit == "percentunit":
        return f"{100 * value:.3g}%"
    if unit == "s":
        return f"{1000 * value:.3g} ms" if value < 1 else f"{value:.3g} s"
    if unit == "bytes":
        return f"{value / 2**20:.3g} MiB" if value >= 2**20 else f"{value:.3g} B"
    return f"{value:.3g}" + {"reqps": "/s", "ops": "/s"}.get(unit, "")


def label_of(legend: str, labels: dict[str, str]) -> str:
    """A legend with its labels filled in."""
    for name, value in labels.items():
        legend = legend.replace("{{" + name + "}}", value)
    return legend.replace("__auto", "")[:MOST_LABEL]


def drawn(panel: dict[str, Any], prometheus: Prometheus, instance: str, since: float, until: float) -> str:
    """One panel as a plot, or as a number."""
    unit = panel["fieldConfig"]["defaults"].get("unit", "none")
    found = []
    for target in panel["targets"]:
        query = filled(target["expr"], instance)
        answer = prometheus.ask("query_range", query=query, start=since, end=until, step=STEP_S)
        for series in answer["result"]:
            points = [(float(at) - since, float(value)) for at, value in series["values"] if value != "NaN"]
            if points:
                found.append(Line(label_of(target["legendFormat"], series["metric"]), points))
    if panel["type"] == "stat":
        value = written(found[0].points[-1][1], unit) if found else "no data"
        return f"<div>{escape(panel['title'])}<b>{escape(value)}</b></div>"
    found.sort(key=lambda one: -one.points[-1][1])
    found = found[:MOST_LINES]
    values = [value for one in found for _, value in one.points]
    across = linear([until - since], lambda value: f"{value:.0f} s")
    return lines(panel["title"], found, across, linear(values, lambda value: written(value, unit)))


def page(prometheus: Prometheus, instance: str, since: float, until: float) -> str:
    """The whole dashboard."""
    parts = ["<h1>fastdns</h1><div class=stats>"]
    for panel in DASHBOARD["panels"]:
        if panel["type"] == "row":
            parts.append(f"</div><h2>{escape(panel['title'])}</h2><div class=row>")
        else:
            parts.append(drawn(panel, prometheus, instance, since, until))
    return f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{''.join(parts)}</div>"


def main(seconds: float) -> None:
    """Load, scrape, draw, take the picture."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with loaded(folder) as server:
            port = server.ports["METRICS_PORT"]
            with Prometheus(folder / "prometheus", {JOB: port}) as prometheus:
                since = time.time()
                time.sleep(seconds)
                text = page(prometheus, f"127.0.0.1:{port}", since, time.time())
        html = folder / "page.html"
        html.write_text(text)
        subprocess.run(
            ["chromium-headless-shell", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'chromium'}",
             "--hide-scrollbars", "--window-size=1424,1515", f"--screenshot={PICTURE}", html.as_uri()],
            check=True, timeout=120,
        )  # fmt: skip


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 90.0)
