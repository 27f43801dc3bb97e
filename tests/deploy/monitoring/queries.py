"""The queries of our dashboard and rules, and of public dashboards and alerts, as Prometheus is asked for them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.monitoring.prometheus import JOB, LABELS, MONITORING

PUBLISHED: dict[str, list[str]] = yaml.safe_load((Path(__file__).parent / "published.yaml").read_text())
DASHBOARD: dict[str, Any] = json.loads((MONITORING / "dashboard.json").read_text())
RULES: dict[str, Any] = yaml.safe_load((MONITORING / "rules.yaml").read_text())


def of_dashboard() -> list[str]:
    """The queries of our panels and variables."""
    panels = [one for panel in DASHBOARD["panels"] for one in (panel, *panel.get("panels", ()))]
    found = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    return [*found, *(one["query"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query")]


def of_rules() -> list[str]:
    """The expressions of our rules."""
    return [" ".join(rule["expr"].split()) for group in RULES["groups"] for rule in group["rules"]]


def ours() -> dict[str, list[str]]:
    """By source, as PUBLISHED."""
    return {"deploy/monitoring/dashboard.json": of_dashboard(), "deploy/monitoring/rules.yaml": of_rules()}


def measured(query: str) -> str:
    """What an alert compares, without the comparison: no alert is meant to have data in a healthy cluster."""
    query = re.sub(r"^absent\((.*) == 1\)$", r"\1", query)
    return re.sub(r" (?:[<>]=?|==) [\d.]+$", "", query)


def filled(query: str, instance: str) -> str:
    """A query as Grafana asks it, with its variables filled."""
    if values := re.fullmatch(r"label_values\((.*), ?(\w+)\)", query):
        selector = values[1].removesuffix("}") + ("," if values[1].endswith("}") else "{")
        query = f'count by ({values[2]}) ({selector}{values[2]}!=""}})'
    known = {
        "$__rate_interval": "1m", "$job": JOB, "$instance": instance, "$cluster": LABELS["cluster"],
        "$protocol": "udp",
    }  # fmt: skip
    # Where dashboards choose pods by that name.
    query = query.replace('pod=~"$instance"', f'pod=~"{LABELS["pod"]}"')
    for name, value in known.items():
        query = query.replace(name, value)
    return measured(query)
