"""Writes dashboard.json, Grafana's dashboard of fastdns, and prometheusrule.yaml, made of rules.yaml.

``python deploy/monitoring/dashboard.py`` writes them, with the packages of the extra ``monitoring``. What is
written is kept in the repository, so that nobody needs this to use it; a test compares. The library is of Grafana,
released with Grafana; grafanalib has had no release since 2024-01.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from grafana_foundation_sdk.builders import common, prometheus, stat, timeseries
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as models

HERE = Path(__file__).parent
# What stands for {@} in a query: the servers that the reader has chosen.
CHOSEN = '{job=~"$job",instance=~"$instance"}'
SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDTH = 24


@dataclass(frozen=True)
class Panel:
    """A graph. queries: expressions and their legends. unit: one of Grafana's. limit: what is not to be crossed."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    about: str = ""
    stacked: bool = False
    limit: float | None = None


def total(expr: str, by: str = "") -> str:
    """The sum of a counter's rates, by labels."""
    grouped = f"sum by ({by}) " if by else "sum"
    return f"{grouped}(rate({expr}[$__rate_interval]))"


def rates(title: str, family: str, by: str, legend: str = "", unit: str = "reqps", **more: Any) -> Panel:
    """A graph of a counter, by labels, one upon the other."""
    queries = ((total(family + "{@}", by), legend or "{{" + by + "}}"),)
    return Panel(title, unit, queries, stacked=True, **more)


def quantile(part: float, family: str, by: str = "", labels: str = "{@}") -> str:
    """A quantile of a histogram, by labels."""
    return f"histogram_quantile({part}, {total(f'{family}_bucket{labels}', ', '.join(filter(None, ('le', by))))})"


REQUESTS = "coredns_dns_requests_total"
DURATION = "coredns_dns_request_duration_seconds"
PROGRAMMING = "coredns_kubernetes_dns_programming_duration_seconds"
PROXY = "coredns_proxy_request_duration_seconds"
# As the alert DNSProgrammingSlow: stamps of Kubernetes have whole seconds.
SLOW_PROGRAMMING_S = 2.0

# One number each, at the top.
STATS = (
    Panel("Servers up", "none", (("sum(up{@})", ""),)),
    Panel("Queries per second", "reqps", ((total("coredns_dns_requests_total{@}"), ""),)),
    Panel("Queries that fail", "percentunit", ((
        f"{total('fastdns_queries_failed_total{@}')} / {total('fastdns_queries_total{@}')}", ""),)),
    Panel("Answered within (p99)", "s", ((quantile(0.99, DURATION), ""),)),
    Panel("Answers from the cache", "percentunit", ((
        f"{total('coredns_cache_hits_total{@}')} / {total('coredns_cache_requests_total{@}')}", ""),)),
    Panel("DNS programming (p99)", "s", ((quantile(0.99, PROGRAMMING), ""),), limit=SLOW_PROGRAMMING_S),
)  # fmt: skip

ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    ("Queries and replies", (
        rates("Queries by type", REQUESTS, "type"),
        rates("Replies by code", "coredns_dns_responses_total", "rcode"),
        Panel("Time to the reply", "s", (
            (quantile(0.5, DURATION), "p50"), (quantile(0.9, DURATION), "p90"), (quantile(0.99, DURATION), "p99")),
            "From a query's arrival to its reply, upstreams included."),
        rates("Queries by zone", REQUESTS, "zone"),
        rates("Queries by transport", REQUESTS, "proto, family", "{{proto}}, family {{family}}"),
        rates("Queries that fail, by reason", "fastdns_queries_failed_total", "reason, reply",
              "{{reason}}: {{reply}}", about="Each query that did not get what it asked for, once."),
        Panel("Size of queries and replies (p99)", "bytes", (
            (quantile(0.99, "coredns_dns_request_size_bytes", "proto"), "query, {{proto}}"),
            (quantile(0.99, "coredns_dns_response_size_bytes", "proto"), "reply, {{proto}}"))),
        rates("Queries by server", REQUESTS, "instance"),
        rates("Queries with the DO bit", "coredns_dns_do_requests_total", "zone"),
    )),
    ("Kubernetes", (
        Panel("DNS programming", "s", tuple(
            (quantile(part, PROGRAMMING, "service_kind"), f"p{part * 100:.0f} {{{{service_kind}}}}")
            for part in (0.5, 0.99)),
            "From a change, as Kubernetes stamps it in whole seconds, to the moment at which it is answered.",
            limit=SLOW_PROGRAMMING_S),
        rates("Changes per second", PROGRAMMING + "_count", "service_kind", unit="ops"),
        rates("Requests to the API server", "coredns_kubernetes_rest_client_requests_total", "method, code",
              "{{method}} {{code}}"),
        rates("Objects that are not served whole", "fastdns_kubernetes_left_out_total", "resource, what",
              "{{resource}}: {{what}}", "ops"),
        rates("Listed again", "fastdns_kubernetes_relists_total", "resource, why", "{{resource}}: {{why}}", "ops"),
        Panel("Age of the snapshot that is served", "s",
              (("max by (instance) (fastdns_kubernetes_snapshot_age_seconds{@})", "{{instance}}"),),
              "0 after the API server has listed the cluster."),
    )),
    ("Upstreams", (
        rates("Queries by upstream", PROXY + "_count", "to"),
        Panel("Time to an upstream's reply (p99)", "s", ((quantile(0.99, PROXY, "to"), "{{to}}"),)),
        rates("Upstreams' replies by code", PROXY + "_count", "rcode"),
        Panel("Attempts that fail", "ops", (
            (total("fastdns_forward_timeouts_total{@}", "to"), "timeout {{to}}"),
            (total("fastdns_forward_refused_total{@}", "to"), "refused {{to}}"),
            (total("fastdns_forward_broken_total{@}", "to"), "broken {{to}}"),
            (total("coredns_proxy_healthcheck_failures_total{@}", "to"), "health check {{to}}"),
            (total("coredns_forward_healthcheck_broken_total{@}"), "all are down"))),
        Panel("Queries that wait", "none", (
            ("sum by (instance) (fastdns_forward_waiting{@})", "{{instance}}"),
            (total("coredns_forward_max_concurrent_rejects_total{@}"), "rejected per second"))),
        Panel("Connections to upstreams", "ops", (
            (total("coredns_proxy_conn_cache_hits_total{@}", "proto"), "used again, {{proto}}"),
            (total("coredns_proxy_conn_cache_misses_total{@}", "proto"), "opened, {{proto}}"))),
    )),
    ("Cache", (
        Panel("Hits and misses", "reqps", (
            (total("coredns_cache_hits_total{@}", "type"), "hit: {{type}}"),
            (total("coredns_cache_misses_total{@}"), "miss")), stacked=True),
        Panel("Entries", "none", (("sum by (type) (coredns_cache_entries{@})", "{{type}}"),)),
        Panel("Evictions, fetches ahead, expired answers", "ops", (
            (total("coredns_cache_evictions_total{@}"), "evicted"),
            (total("coredns_cache_prefetch_total{@}"), "fetched ahead"),
            (total("coredns_cache_served_stale_total{@}"), "served after expiry"))),
    )),
    ("The servers themselves", (
        Panel("CPU", "none", ((total("process_cpu_seconds_total{@}", "instance"), "{{instance}}"),),
              "CPUs of all processes of a server."),
        Panel("Memory", "bytes", (("process_resident_memory_bytes{@}", "{{instance}}"),),
              "Of all processes of a server; shared pages count once."),
        Panel("Zone store", "percentunit", (
            ("fastdns_store_taken_bytes{@} / fastdns_store_max_bytes{@}", "{{instance}}"),), limit=0.9),
        Panel("Workers", "none", (
            ("fastdns_workers{@}", "{{instance}}"),
            ("sum by (role) (increase(fastdns_child_deaths_total{@}[$__rate_interval]))", "died: {{role}}"))),
        Panel("Health check of the server itself (p99)", "s",
              ((quantile(0.99, "coredns_health_request_duration_seconds", "instance"), "{{instance}}"),)),
        Panel("Reloads that failed, unexpected errors", "none", (
            ("sum by (instance) (increase(coredns_reload_failed_total{@}[$__rate_interval]))",
             "reload {{instance}}"),
            ("sum by (instance) (increase(coredns_panics_total{@}[$__rate_interval]))", "error {{instance}}"))),
        Panel("TCP connections", "none", (
            ("sum by (instance) (fastdns_tcp_connections_open{@})", "open {{instance}}"),
            (total("fastdns_tcp_connections_closed_total{@}", "reason"), "closed per second: {{reason}}"))),
        Panel("Lines that were not logged", "ops", (
            (total("fastdns_log_dropped_total{@}"), "log"), (total("fastdns_errors_unlogged_total{@}"), "errors"))),
        Panel("Versions", "none", (("count by (version) (coredns_build_info{@})", "{{version}}"),)),
    )),
)  # fmt: skip


def _filled(panel: Panel, built: Any, width: int, height: int) -> Any:
    """A builder of either kind of panel with what all panels have."""
    built = built.title(panel.title).description(panel.about).datasource(SOURCE).unit(panel.unit)
    built = built.span(width).height(height)
    for index, (expr, legend) in enumerate(panel.queries):
        query = prometheus.Dataquery().expr(expr.replace("{@}", CHOSEN)).legend_format(legend or "__auto")
        built = built.with_target(query.range().ref_id(chr(ord("A") + index)))
    if panel.limit is not None:
        steps = [models.Threshold(value=None, color="green"), models.Threshold(value=panel.limit, color="red")]
        built = built.thresholds(builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
    return built


def _stat(panel: Panel) -> Any:
    """A number, over a small graph of it."""
    built = _filled(panel, stat.Panel(), WIDTH // len(STATS), 4).graph_mode(shapes.BigValueGraphMode.AREA)
    return built.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))


def _graph(panel: Panel) -> Any:
    """Lines over time."""
    legend = common.VizLegendOptions().show_legend(True).placement(shapes.LegendPlacement.BOTTOM)
    built = _filled(panel, timeseries.Panel(), WIDTH // 3, 8).min(0).fill_opacity(10).legend(
        legend.display_mode(shapes.LegendDisplayMode.LIST)
    ).tooltip(common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI))  # fmt: skip
    if panel.stacked:
        built = built.stacking(common.StackingConfig().mode(shapes.StackingMode.NORMAL).group("A"))
    if panel.limit is not None:
        style = common.GraphThresholdsStyleConfig().mode(shapes.GraphThresholdsStyleMode.LINE)
        built = built.thresholds_style(style)
    return built


def _variable(name: str, label: str, query: str) -> Any:
    """What the reader may choose of the values of a label; all of them at first."""
    return (
        builders.QueryVariable(name).label(label).datasource(SOURCE).query(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(True).include_all(True).all_value(".*")
        .current(models.VariableOption(selected=True, text="All", value="$__all"))
    )  # fmt: skip


def dashboard() -> str:
    """The dashboard as JSON."""
    built = (
        builders.Dashboard("fastdns").uid("fastdns").tags(["dns", "coredns", "fastdns", "kubernetes"])
        .description("Cluster DNS by fastdns. Servers need `prometheus` in their Corefile.")
        .time("now-1h", "now").refresh("30s").timezone("browser").tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(builders.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(_variable("job", "Job", "label_values(coredns_build_info, job)"))
        .with_variable(_variable("instance", "Server", 'label_values(coredns_build_info{job=~"$job"}, instance)'))
    )  # fmt: skip
    for panel in STATS:
        built = built.with_panel(_stat(panel))
    for title, panels in ROWS:
        built = built.with_row(builders.Row(title))
        for panel in panels:
            built = built.with_panel(_graph(panel))
    return json.dumps(built.build(), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def prometheusrule() -> str:
    """rules.yaml as an object of the Prometheus Operator."""
    groups = yaml.safe_load((HERE / "rules.yaml").read_text())["groups"]
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "fastdns"},
        "spec": {"groups": groups},
    }
    return "# Written by dashboard.py from rules.yaml.\n" + yaml.safe_dump(rule, sort_keys=False, width=116)


if __name__ == "__main__":
    (HERE / "dashboard.json").write_text(dashboard())
    (HERE / "prometheusrule.yaml").write_text(prometheusrule())
