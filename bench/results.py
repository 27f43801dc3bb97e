"""A report of bench.compare as text: a section of RESULTS.md, and the README's chart.

``python -m bench.results FILE`` writes both from a report that was saved with --save.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastdns.bench import plot

ROOT = Path(__file__).resolve().parents[1]
FILE = Path("bench/RESULTS.md")
PLOT = Path("docs/compare.svg")
WIDTH = 116
LABELS = {
    "knot": "Knot DNS", "nsd": "NSD", "unbound": "Unbound", "bind": "BIND", "coredns": "CoreDNS",
    "dnsdist+batches": "dnsdist, in batches",
}  # fmt: skip
# The chart: CPU as a multiple of the reference, one worker.
PLOTTED = {
    "hit": ("echo", "A of a service"),
    "mix": ("echo", "40% A, 30% AAAA without data, 20% NXDOMAIN, 10% SRV"),
    "nxdomain": ("echo", "NXDOMAIN of a search list"),
    "headless": ("echo", "headless service, 10 endpoints"),
    "srv": ("echo", "SRV"),
    "cached": ("echo", "an upstream's name, from the cache"),
}


def label(name: str) -> str:
    """A server's name as text."""
    return LABELS.get(name, name)


def spread(figure: dict[str, float] | None, digits: int) -> str:
    """Median, and the least and the most; empty without figures."""
    if figure is None:
        return ""
    return f"{figure['median']:.{digits}f} ({figure['min']:.{digits}f}-{figure['max']:.{digits}f})"


def median(figure: dict[str, float] | None, digits: int) -> str:
    """The median alone; empty without figures."""
    return "" if figure is None else f"{figure['median']:,.{digits}f}"


def rounded(value: float) -> str:
    """A count such as 100,000, rounded to its precision of a few digits."""
    digits = len(str(int(value)))
    step = 10 ** max(0, digits - 3)
    return f"{int(value / step + 0.5) * step:,}"


def in_order(figures: dict[str, Any]) -> list[tuple[str, Any]]:
    """The cheapest first; equal ones by name."""
    return sorted(figures.items(), key=lambda item: (item[1]["us_per_query"]["median"], item[0]))


def row(cells: Sequence[str]) -> str:
    """A line of a table."""
    return "| " + " | ".join(cells) + " |"


def table(scenario: dict[str, Any]) -> list[str]:
    """The figures of one scenario. Columns without figures are left out."""
    figures = scenario["figures"]
    references = list(next(iter(figures.values()))["ratio"])
    upstream = any(figure["upstream_us_per_query"] for figure in figures.values())
    tails = ["knot"] if scenario["rate"] and "knot" in figures else []
    head = ["server", "us CPU a query", *(f"x {label(name)}" for name in references), "answers a second"]
    head += ["p50 us", "p99 us", "p99.9 us", *(f"p99.9 x {label(name)}" for name in tails), "lost", "failed"]
    head += ["upstream us"] if upstream else []
    lines = [row(head), row(["---"] * len(head))]
    for name, figure in in_order(figures):
        cells = [label(name), spread(figure["us_per_query"], 2)]
        cells += [spread(figure["ratio"].get(reference), 2) for reference in references]
        cells += [rounded(figure["answers_per_second"]["median"])]
        cells += [median(figure[key], 0) for key in ("p50_us", "p99_us", "p999_us")]
        cells += [spread(figure["p999_ratio"].get(tail), 2) for tail in tails]
        cells += [f"{figure['lost'] + figure['unsent']:,}", f"{figure['failed']:,}"]
        if upstream:
            cells.append(median(figure["upstream_us_per_query"], 2))
        lines.append(row(cells))
    return lines


def wrapped(words: str) -> list[str]:
    """A paragraph in lines."""
    lines = [""]
    for word in words.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > WIDTH:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def about(name: str, scenario: dict[str, Any]) -> str:
    """The queries of a scenario, and how busy the machine was."""
    load = f"; {scenario['outstanding']} outstanding"
    if scenario["rate"]:
        load = f": {rounded(scenario['rate'])} a second"
    said = f"**{name}**: {scenario['says']}{load} on {scenario['sockets']} sockets"
    said += f"; answers {scenario['answer_minus_query_bytes']} bytes longer than queries; other work took "
    said += f"{scenario['other_work_percent']:g}% of the CPUs."
    for server, rcodes in scenario["other_rcodes"].items():
        seen = ", ".join(f"{code}: {count}" for code, count in sorted(rcodes.items()))
        said += f" {label(server)} answers otherwise (rcodes {seen} of 1000)."
    return said


def generator(checked: dict[str, Any]) -> list[str]:
    """The comparison of our generator with dnsperf."""
    lines = [
        "",
        "### The generator beside dnsperf",
        "",
        *wrapped(
            f"{label(checked['server'])}, one worker, {rounded(checked['rate'])} queries a second asked for, "
            "100 outstanding on 16 sockets, turn and turn about."
        ),
        "",
        row(["generator", "answers a second", "mean us", "us CPU of the server a query", "lost"]),
        row(["---"] * 5),
    ]
    for name in ("fastdns bench", "dnsperf"):
        figure = checked[name]
        cells = [name, spread(figure["per_second"], 0), spread(figure["mean_us"], 1)]
        lines.append(row([*cells, spread(figure["us_per_query"], 2), f"{figure['lost']['max']:.0f}"]))
    return lines


def section(report: dict[str, Any]) -> list[str]:
    """The section as lines of Markdown. Equal reports give equal lines."""
    machine = report["machine"]
    call = f"python -m bench.compare {report['arguments']}".strip()
    others = [version for name, version in report["versions"].items() if name != "fastdns"]
    at = f" at {report['commit']}" if report["commit"] else ""
    lines = [
        f"## {report['date']}: everything side by side",
        "",
        *wrapped(
            f"`{call}`: {report['names']:,} names, {report['rounds']} interleaved rounds of "
            f"{report['seconds']:g} s. {report['versions']['fastdns']}{at}; {', '.join(others)}. "
            f"{machine['cpus']} CPUs ({machine['model']}), Linux {machine['kernel']}, Python {machine['python']}, "
            "loopback. Median (least-most of rounds)."
        ),
    ]
    if report["left_out"]:
        lines += [""]
        lines += [f"- left out: {label(name)}: {why.splitlines()[0]}" for name, why in report["left_out"].items()]
    for count, measured in report["workers"].items():
        cpus = ", ".join(map(str, measured["server_cpus"]))
        where = ", ".join(map(str, measured["client_cpus"]))
        shares = " (shared: there is no CPU outside)" if measured["shared"] else ""
        heading = "One worker, one core" if count == "1" else f"{count} workers, {count} cores"
        lines += ["", f"### {heading}", "", f"Servers on CPU {cpus}, generator on CPU {where}{shares}."]
        for name, scenario in measured["scenarios"].items():
            lines += ["", *wrapped(about(name, scenario)), "", *table(scenario)]
    return lines + (generator(report["dnsperf"]) if report["dnsperf"] else [])


def insert(text: str, new: Sequence[str]) -> str:
    """RESULTS.md with the section before all others. A section of the same title is replaced."""
    title = new[0]
    before, found, after = text.partition("\n## ")
    sections = [f"## {part}" for part in (found + after).split("\n## ")[1:]]
    kept = [part.strip("\n") for part in sections if part.partition("\n")[0] != title]
    return "\n\n".join([before.strip("\n"), "\n".join(new), *kept]) + "\n"


def picture(report: dict[str, Any]) -> str:
    """CPU a query of each server as a multiple of the echo's, one worker."""
    groups = []
    for name, (reference, says) in PLOTTED.items():
        scenario = report["workers"]["1"]["scenarios"].get(name)
        if scenario is None:
            continue
        ratios = {server: figure["ratio"].get(reference) for server, figure in scenario["figures"].items()}
        bars = [
            plot.Bar(label(server), ratio["median"], ratio["min"], ratio["max"])
            for server, ratio in sorted(ratios.items(), key=lambda item: (item[1] or {"median": 0})["median"])
            if ratio and server != reference
        ]
        groups.append(plot.Group(says, bars))
    return plot.bars("CPU of an answered query, in multiples of a bare socket echo", groups, mark=1.0)


def write(report: dict[str, Any], root: Path = ROOT) -> None:
    """The section and the plot."""
    results = root / FILE
    results.write_text(insert(results.read_text(), section(report)))
    (root / PLOT).write_text(picture(report))


if __name__ == "__main__":
    write(json.loads(Path(sys.argv[1]).read_text()))
