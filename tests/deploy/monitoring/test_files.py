"""The files of deploy/monitoring: rules, the dashboard that code has written; and what chart and kustomize make."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest
import yaml

from tests.deploy.monitoring.prometheus import MONITORING, promtool
from tests.deploy.monitoring.queries import DASHBOARD, RULES
from tests.deploy.objects import named, problems
from tests.deploy.render import CHART, build, chart

HERE = Path(__file__).parent


@pytest.mark.parametrize("name", ["rules.yaml", "old-names.yaml"])
def test_promtool_finds_no_fault(name: str) -> None:
    assert "SUCCESS" in promtool("check", "rules", "--lint-fatal", MONITORING / name)


def test_rules_say_what_is_wrong_and_nothing_else() -> None:
    assert "SUCCESS" in promtool("test", "rules", HERE / "rules_test.yaml")


def test_what_code_writes_is_what_is_here() -> None:
    """It is written by ``python deploy/monitoring/dashboard.py``, with the packages of the extra monitoring."""
    pytest.importorskip("grafana_foundation_sdk")
    written = runpy.run_path(str(MONITORING / "dashboard.py"))
    assert (MONITORING / "dashboard.json").read_text() == written["dashboard"]()
    assert (MONITORING / "prometheusrule.yaml").read_text() == written["prometheusrule"]()


def test_the_object_has_the_rules() -> None:
    found = yaml.safe_load((MONITORING / "prometheusrule.yaml").read_text())
    assert problems(found) == []
    assert found["spec"] == RULES


def test_each_panel_has_a_place_of_its_own() -> None:
    taken = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        here = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not here & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= here


def test_kustomize_makes_monitor_rules_and_dashboard() -> None:
    objects = build(MONITORING)
    assert [text for one in objects for text in problems(one)] == []
    assert json.loads(named(objects, "ConfigMap")["data"]["fastdns.json"]) == DASHBOARD
    assert named(objects, "PrometheusRule")["spec"] == RULES
    assert named(objects, "ServiceMonitor")["spec"]["endpoints"][0]["port"] == "metrics"


def test_the_chart_has_the_same_files() -> None:
    for name in ("dashboard.json", "prometheusrule.yaml"):
        assert (CHART / "files" / name).resolve() == MONITORING / name
    objects = chart(None, "prometheus.rules.enabled=true", "prometheus.dashboard.enabled=true")
    assert json.loads(named(objects, "ConfigMap", "coredns-dashboard")["data"]["fastdns.json"]) == DASHBOARD
    assert named(objects, "ConfigMap", "coredns-dashboard")["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert named(objects, "PrometheusRule")["spec"] == RULES
    assert not any(one["kind"] == "PrometheusRule" for one in chart())
