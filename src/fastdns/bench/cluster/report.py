"""What ``fastdns bench cluster`` prints for people, and the plots of its page."""

from __future__ import annotations

from typing import Any

from fastdns.bench import plot
from fastdns.bench.report import machine_line


def opening(report: dict[str, Any]) -> list[str]:
    """What was run, on what, and the result: a line each."""
    cluster, start, changes = report["cluster"], report["start"], report["changes"]
    delays = changes["to_answer_ms"]
    what = (
        f"{report['options']['command']} with {report['options']['workers']} workers, a cluster of "
        f"{cluster['services']:,} services and {cluster['endpoints']:,} endpoints, "
        f"{changes['churn_per_second']:,.0f} changes a second"
    )
    ready = "Never ready" if start["ready_s"] is None else f"Ready after {start['ready_s']:.2f} s"
    said = f"{ready}, {report['memory_mib']['steady']['all']:,.0f} MiB"
    if changes["timed"]:
        said += f"; a change shows within {delays['p50']:.2f} ms (p50), {delays['p99']:.2f} ms (p99)"
    return [what, machine_line(report), said]


def figure(value: float | None, unit: str, digits: int) -> str:
    """A right-aligned figure with its unit."""
    return f"{'-':>12}" if value is None else f"{value:>12,.{digits}f} {unit}".rstrip()


def memory_lines(says: str, sizes: dict[str, float] | None) -> list[str]:
    """A line with the sum, then a line for each process."""
    if sizes is None:
        return []
    parts = [f"  {name:<26}{figure(size, 'MiB', 1)}" for name, size in sizes.items() if name != "all"]
    return [f"{says:<28}{figure(sizes['all'], 'MiB', 1)}", *(parts if len(parts) > 1 else [])]


def memory_ratio(ratio: float | None) -> list[str]:
    """The most of a relist as a multiple of the steady memory."""
    return [] if ratio is None else [f"{'  of the steady':<28}{figure(ratio, '', 3)}"]


def text(report: dict[str, Any]) -> list[str]:
    """The report as text. What was not measured and what did not happen has no line."""
    cluster, memory, changes = report["cluster"], report["memory_mib"], report["changes"]
    options = report["options"]
    rows: list[tuple[str, float | None, str, int]] = [
        ("ready after", report["start"]["ready_s"], "s", 3),
        ("first right answer after", report["start"]["first_answer_s"], "s", 3),
        ("ready from a snapshot after", (report["restart"] or {}).get("ready_s"), "s", 3),
        ("first right answer of it", (report["restart"] or {}).get("first_answer_s"), "s", 3),
    ]
    after: list[tuple[str, float | None, str, int]] = [
        ("changes timed", changes["timed"], "", 0),
        *((f"change to answer {name}", value, "ms", 3) for name, value in changes["to_answer_ms"].items()),
        ("changes unseen", changes["unseen"], "", 0),
        ("queries meanwhile", changes["queries"], "", 0),
        ("failed queries", changes["failed"], "", 0),
        ("unanswered queries", changes["unanswered"], "", 0),
        ("changes a second", changes["churn_per_second"], "", 1),
        ("CPU of it meanwhile", changes["cpu_percent"], "%", 1),
        ("other work of all CPUs", report["other_work_percent"], "%", 1),
    ]
    return [
        f"command     {options['command']}",
        f"workers     {options['workers']}",
        f"cluster     {cluster['services']:,} services ({cluster['headless']:,} headless), "
        f"{cluster['slices']:,} slices, {cluster['endpoints']:,} endpoints",
        f"API server  {'HTTP' if options['no_tls'] else 'TLS'} on the loopback, the same machine",
        f"machine     {machine_line(report)}",
        "",
        *(f"{says:<28}{figure(value, unit, digits)}" for says, value, unit, digits in rows if value is not None),
        "",
        *memory_lines("memory, steady", memory["steady"]),
        *memory_lines("memory, most at the start", memory["start_peak"]),
        *memory_lines("memory, after the changes", memory["after_churn"]),
        *memory_lines("memory, most of a relist", memory["relist_peak"]),
        *memory_ratio(memory["relist_peak_of_steady"]),
        "",
        *(f"{says:<28}{figure(value, unit, digits)}" for says, value, unit, digits in after if value),
    ]


def plots(report: dict[str, Any]) -> list[str]:
    """The plots of the page: memory by process, and the distribution of the delays of changes."""
    memory = report["memory_mib"]
    shown = {"steady": "steady", "relist_peak": "most of a relist", "after_churn": "after the changes"}
    groups = [
        plot.Group(says, [plot.Bar(name, size) for name, size in memory[key].items()])
        for key, says in shown.items()
        if memory[key] is not None
    ]
    made = [plot.bars("Memory: proportional set size, MiB", groups, digits=1)]
    if report["changes"]["all_ms"]:
        delays = report["changes"]["all_ms"]
        x_label, y_label = "time from the change to the answer", "share of the changes"
        made.append(plot.shares("A change shows within", delays, unit="ms", x_label=x_label, y_label=y_label))
    return made
