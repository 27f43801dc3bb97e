"""docs/reference/dashboards.md, made of the queries and of the reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import yaml

from tests.deploy.monitoring.prometheus import MONITORING
from tests.deploy.monitoring.without import reason
from tests.support import ROOT

PAGE = ROOT / "docs" / "reference" / "dashboards.md"
OLD = {
    rule["record"]
    for group in yaml.safe_load((MONITORING / "old-names.yaml").read_text())["groups"]
    for rule in group["rules"]
}
HEAD = """\
# Dashboards and alerts

What the files of `deploy/monitoring/` ask for. How to use them:
[Monitor with Prometheus](../how-to/monitor-with-prometheus.md).

A test runs fastdns under load (*kubernetes*, *forward*, *cache*, *health*, *reload* and what a cluster's Corefile
has otherwise), lets Debian's Prometheus scrape it, and asks each query of these files and of public dashboards and
alerts of CoreDNS. This page is what it found.

Of an alert, the query is what it compares: without data it could never fire. **with old-names.yaml**: the query
asks for a metric of an older CoreDNS, which `deploy/monitoring/old-names.yaml` computes from the one of today.

| queries of | all | with data | of these, with old-names.yaml | without |
| --- | --- | --- | --- | --- |
"""


def needs_old_names(query: str) -> bool:
    """Whether a query has no data without old-names.yaml: each alternative asks for an old name."""
    alternatives = query.split(") or ") if " or " in query else [query]
    return all(any(name in one for name in OLD) for one in alternatives)


def page(sources: Mapping[str, Sequence[str]]) -> str:
    """The text."""
    summary, tables = "", ""
    for source, queries in sources.items():
        without = sum(1 for query in queries if reason(query))
        old = sum(1 for query in queries if needs_old_names(query) and not reason(query))
        summary += f"| {source} | {len(queries)} | {len(queries) - without} | {old} | {without} |\n"
        tables += f"\n## {source}\n\n| query | data |\n| --- | --- |\n"
        for query in queries:
            found = reason(query) or ("with old-names.yaml" if needs_old_names(query) else "yes")
            cell = query.replace("|", "\\|")
            tables += f"| `{cell}` | {found if not reason(query) else 'none: ' + found} |\n"
    return HEAD + summary + tables
