"""Reports as JSON and as text. JSON has always the same keys; text has no line for what did not happen.

The JSON is the whole report; text and page are made from it. ``SCHEMA`` changes if a key is removed or changes its
meaning; new keys may be added.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastdns.bench import processes
from fastdns.bench.messages import RCODES
from fastdns.bench.result import PERCENTILES, Interval, Result, encoded
from fastdns.bench.usage import Usage
from fastdns.bench.versus import Series, Turn

SCHEMA = "fastdns-bench/1"
# The percentiles of the latency curve.
CURVE = (0, 10, 25, 50, 75, 90, 95, 97.5, 99, 99.5, 99.75, 99.9, 99.95, 99.99, 99.995, 99.999, 100)
SET_UP_PERCENTILES = (50.0, 99.0)
# From here on the generator may be the limit.
BUSY = 0.95
JSON = dict[str, Any]


def percent_name(percent: float) -> str:
    """p50, p99.9."""
    return f"p{percent:g}"


def rounded(value: float | None, digits: int) -> float | None:
    """A figure that may be missing."""
    return None if value is None else round(value, digits)


def spread(values: Sequence[float], digits: int) -> dict[str, float]:
    """The median, and the least and the most."""
    return {
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
    }


# ------------------------------------------------------------------------------------------------------ JSON


def latency(result: Result) -> JSON:
    """Latencies in microseconds, and the whole histogram in HdrHistogram's own form."""
    return {
        "min_us": round(result.min_ns / 1000, 3),
        "mean_us": round(result.mean_us, 3),
        "stddev_us": round(result.stddev_us, 3),
        **{f"{percent_name(percent)}_us": round(result.percentile_us(percent), 3) for percent in PERCENTILES},
        "max_us": round(result.max_ns / 1000, 3),
        "curve": [[percent, round(result.percentile_us(percent), 3)] for percent in CURVE],
        "hdr": encoded(result.histogram),
    }


def connections(result: Result) -> JSON | None:
    """Connections that were made, and how long that took; None where there are none."""
    times = result.set_ups
    if not times.histogram:
        return None
    return {
        "made": times.count,
        "resumed": result.resumed,
        "min_us": round(times.min_ns / 1000, 3),
        "mean_us": round(times.mean_us, 3),
        **{f"{percent_name(percent)}_us": round(times.percentile_us(percent), 3) for percent in SET_UP_PERCENTILES},
        "max_us": round(times.max_ns / 1000, 3),
    }


def figures(result: Result) -> JSON:
    """The figures of a result. Every key is always there."""
    return {
        "elapsed_s": round(result.elapsed_s, 6),
        "queries_per_second": round(result.per_second, 3),
        "sent": result.sent,
        "answered": result.answered,
        "lost": result.lost,
        "interrupted": result.interrupted,
        "unsent": result.unsent,
        "late": result.late,
        "duplicates": result.duplicates,
        "mismatched": result.mismatched,
        "truncated": result.truncated,
        "socket_errors": result.errors,
        "stream_errors": result.stream_errors,
        "reconnects": result.reconnects,
        "checked": result.checked,
        "wrong": result.wrong,
        "query_bytes": result.query_bytes,
        "answer_bytes": result.answer_bytes,
        "rcodes": dict(zip(RCODES, result.rcodes, strict=True)),
        "latency": latency(result),
        "connections": connections(result),
        "generator": {
            "processes": result.processes,
            "busy": round(result.busy, 3),
            "cpu_us_per_query": round(result.cpu_ns / 1000 / max(1, result.answered), 3),
        },
    }


def usage_figures(usage: Usage | None, result: Result) -> JSON | None:
    """CPU and memory of a server's processes; None if they were not measured."""
    if usage is None:
        return None
    return {
        "cpu_us_per_query": round(usage.us_per_answer(result.answered), 3),
        "cpu_s": round(usage.cpu_ns / 1e9, 6),
        "cpu_us_per_connection": rounded(usage.us_per_connection(result.first_connections), 3),
        "pss_kib": usage.pss_kib,
        "processes": usage.processes,
    }


def course_figures(course: Sequence[Interval]) -> list[JSON]:
    """The course of a run, by intervals."""
    return [
        {
            "end_s": round(one.end_s, 3),
            "answers_per_second": round(one.answered / one.length_s, 1) if one.length_s > 0 else 0.0,
            "sent": one.sent,
            "answered": one.answered,
            "lost": one.lost,
            "p50_us": round(one.p50_us, 3),
            "p99_us": round(one.p99_us, 3),
            "max_us": round(one.max_us, 3),
        }
        for one in course
    ]


def head(mode: str, options: Mapping[str, Any], interrupted: bool) -> JSON:
    """The first keys of every report."""
    return {
        "schema": SCHEMA,
        "mode": mode,
        "options": dict(options),
        "machine": processes.machine(),
        "interrupted": interrupted,
    }


def run_report(
    options: Mapping[str, Any],
    result: Result,
    course: Sequence[Interval],
    usage: Usage | None,
    wrong: Sequence[Mapping[str, str]],
    interrupted: bool,
) -> JSON:
    """A run of one server."""
    return {
        **head("run", options, interrupted),
        "result": figures(result),
        "process": usage_figures(usage, result),
        "wrong_answers": [dict(one) for one in wrong],
        "course": course_figures(course),
    }


# Figures of each turn: name, digits, and how each is read.
COMPARED: dict[str, tuple[int, Callable[[Turn], float | None]]] = {
    "queries_per_second": (1, lambda turn: turn.result.per_second),
    "p50_us": (3, lambda turn: turn.result.percentile_us(50)),
    "p99_us": (3, lambda turn: turn.result.percentile_us(99)),
    "p99.9_us": (3, lambda turn: turn.result.percentile_us(99.9)),
    "cpu_us_per_query": (3, lambda turn: turn.usage.us_per_answer(turn.result.answered) if turn.usage else None),
    "set_up_p50_us": (3, lambda turn: turn.result.set_ups.percentile_us(50) or None),
    "cpu_us_per_connection": (
        3,
        lambda turn: turn.usage.us_per_connection(turn.result.first_connections) if turn.usage else None,
    ),
    "pss_kib": (0, lambda turn: turn.usage.pss_kib if turn.usage else None),
}


def series_figures(one: Series, first: Series) -> JSON:
    """Medians and spreads of a server's turns, and ratios to the first server's figures of the same round."""
    made: JSON = {"name": one.name, "server": str(one.server), "pid": one.pid}
    ratios: JSON = {}
    for name, (digits, read) in COMPARED.items():
        values = [value for turn in one.turns if (value := read(turn)) is not None]
        theirs = [value for turn in first.turns if (value := read(turn))]
        made[name] = spread(values, digits) if values else None
        # Ratios are of the same round: only if each round has both figures.
        comparable = bool(values) and len(values) == len(theirs) == len(one.turns)
        ratios[name] = spread([a / b for a, b in zip(values, theirs, strict=True)], 3) if comparable else None
    made["of_first"] = ratios
    for name in ("sent", "answered", "lost", "late", "duplicates", "mismatched", "truncated", "checked", "wrong"):
        made[name] = sum(getattr(turn.result, name) for turn in one.turns)
    made["socket_errors"] = sum(turn.result.errors for turn in one.turns)
    made["stream_errors"] = sum(turn.result.stream_errors for turn in one.turns)
    made["reconnects"] = sum(turn.result.reconnects for turn in one.turns)
    made["generator_busy"] = spread([turn.result.busy for turn in one.turns], 3) if one.turns else None
    counts = zip(*(turn.result.rcodes for turn in one.turns), strict=True)
    made["rcodes"] = dict(zip(RCODES, map(sum, counts) if one.turns else [0] * len(RCODES), strict=True))
    made["rounds"] = [
        {name: rounded(read(turn), digits)
         for name, (digits, read) in COMPARED.items()}
        for turn in one.turns
    ]  # fmt: skip
    return made


def versus_report(options: Mapping[str, Any], series: Sequence[Series], interrupted: bool) -> JSON:
    """Servers side by side."""
    return {
        **head("versus", options, interrupted),
        "rounds": len(series[0].turns),
        "servers": [series_figures(one, series[0]) for one in series],
    }


# ------------------------------------------------------------------------------------------------------ text


def duration(us: float) -> str:
    """A duration as text with its unit: ``812 ns`` to ``1.234 s``."""
    if us < 1:
        return f"{us * 1000:.0f} ns"
    if us < 1000:
        return f"{us:.1f} us"
    if us < 1_000_000:
        return f"{us / 1000:.2f} ms"
    return f"{us / 1_000_000:.3f} s"


def row(title: str, value: str, more: str = "") -> str:
    """A line of a report."""
    return f"{title:<20}{value:>14}{more}"


def share(title: str, part: int, whole: int) -> str:
    """A count, and its percentage of the whole."""
    return row(title, f"{part:,}", f"  {100 * part / whole:7.3f}%" if whole else "")


def run_text(report: JSON) -> str:
    """The text of a run."""
    options, result = report["options"], report["result"]
    sent, answered, times = result["sent"], result["answered"], result["latency"]
    lines = [
        f"{options['transport']} to {options['server']}: {options['load']}",
        f"{options['queries']:,} queries of {options['source']}",
        *(["ended before its time"] if report["interrupted"] else []),
        "",
        row("run time", f"{result['elapsed_s']:.3f} s"),
        row("queries sent", f"{sent:,}"),
        share("answered", answered, sent),
        # What did not happen has no line; that no answer was wrong is a result, where answers were checked.
        *(share(name, result[key], sent) for key, name in (("lost", "lost"), ("interrupted", "interrupted"))
          if result[key]),
        *(row(name, f"{result[key]:,}") for key, name in EVENTS.items()
          if result[key] or (key == "wrong" and result["checked"])),
        "",
        *answered_lines(result),
        row("generator busy", f"{100 * result['generator']['busy']:.1f}%"),
        *([row("its CPU a query", f"{result['generator']['cpu_us_per_query']:.2f} us")] if answered else []),
        *usage_lines(report["process"]),
        *([""] if answered else []),
        *(share(name, count, answered) for name, count in result["rcodes"].items() if count),
        *([""] if answered else []),
        *(
            row(f"latency {key.removesuffix('_us')}", duration(us))
            for key, us in times.items()
            if key.endswith("_us") and answered
        ),
        *connection_lines(result["connections"], result["reconnects"]),
        *wrong_lines(report["wrong_answers"]),
        *notes(report),
    ]  # fmt: skip
    return "\n".join(lines)


EVENTS = {
    "unsent": "not sent in time",
    "late": "late answers",
    "duplicates": "duplicate answers",
    "mismatched": "mismatched answers",
    "truncated": "truncated answers",
    "checked": "answers checked",
    "wrong": "wrong answers",
    "socket_errors": "socket errors",
    "stream_errors": "stream errors",
}


def answered_lines(result: JSON) -> list[str]:
    """Throughput and sizes; none without an answer."""
    if not result["answered"]:
        return []
    return [
        row("queries a second", f"{result['queries_per_second']:,.0f}"),
        row("bytes of a query", f"{result['query_bytes'] / result['sent']:.1f}"),
        row("bytes of an answer", f"{result['answer_bytes'] / result['answered']:.1f}"),
    ]


def connection_lines(made: JSON | None, reconnects: int) -> list[str]:
    """Connections, and how long it took to make them; none where there are none."""
    if made is None:
        return []
    counts = {"connections": made["made"], "reconnects": reconnects, "sessions resumed": made["resumed"]}
    times = {key.removesuffix("_us"): us for key, us in made.items() if key.endswith("_us")}
    return [
        "",
        *(row(name, f"{count:,}") for name, count in counts.items() if count),
        *(row(f"set-up {name}", duration(us)) for name, us in times.items()),
    ]


def machine_line(report: JSON) -> str:
    """What it was run on."""
    machine = report["machine"]
    return (
        f"{machine['cpus']} CPUs, {machine['model'] or 'of an unknown model'}, Linux {machine['kernel']}, "
        f"Python {machine['python']}, load {machine['load'][0]:.2f}"
    )


def run_opening(report: JSON) -> list[str]:
    """What was run, on what, and the result: a line each."""
    options, result, times = report["options"], report["result"], report["result"]["latency"]
    what = f"{options['transport']} to {options['server']}: {options['load']}; {options['queries']:,} queries of "
    if not result["answered"]:
        said = f"No answer to {result['sent']:,} queries."
    else:
        lost = 100 * result["lost"] / result["sent"]
        said = (
            f"{result['queries_per_second']:,.0f} queries a second; p50 {duration(times['p50_us'])}, "
            f"p99 {duration(times['p99_us'])}; {lost:.3g}% lost"
        )
    return [what + options["source"], machine_line(report), said]


def versus_opening(report: JSON) -> list[str]:
    """The same of servers side by side: each one's throughput, and the others' as a multiple of the first's."""
    options, servers = report["options"], report["servers"]
    names = " and ".join(f"{server['name']} ({server['server']})" for server in servers)
    what = f"{options['transport']} to {names}: {options['load']}; {report['rounds']} interleaved rounds"
    said = []
    for server in servers:
        rate, ratio = server["queries_per_second"], server["of_first"]["queries_per_second"]
        if rate is None:
            continue
        times = f" ({ratio['median']:.2f} x {servers[0]['name']})" if ratio and server is not servers[0] else ""
        said.append(f"{server['name']} {rate['median']:,.0f} queries a second{times}")
    return [what, machine_line(report), "; ".join(said) or "No round was whole."]


def usage_lines(process: JSON | None) -> list[str]:
    """CPU and memory of a server's processes."""
    if process is None:
        return []
    return [
        row("server CPU a query", f"{process['cpu_us_per_query']:.2f} us"),
        *([] if process["cpu_us_per_connection"] is None else
          [row("its CPU a set-up", f"{process['cpu_us_per_connection']:.1f} us")]),
        row("server memory (PSS)", f"{process['pss_kib'] / 1024:.1f} MiB"),
        row("server processes", f"{process['processes']:,}"),
    ]


def wrong_lines(wrong: Sequence[Mapping[str, str]]) -> list[str]:
    """The first answers that were not as expected."""
    if not wrong:
        return []
    lines = ["", "wrong answers, the first ones:"]
    for one in wrong:
        lines += [
            f"  {one['where']}: {one['name']} {one['type']}",
            f"    expected  {one['expected']}",
            f"    got       {one['got']}",
        ]
    return lines


def notes(report: JSON) -> list[str]:
    """Notes that a reader of the figures needs."""
    result = report["result"]
    said = []
    if result["generator"]["busy"] > BUSY and report["options"]["loop"] == "closed":
        said.append("the generator was busy all the time: it may be the limit; try -T with more processes")
    if result["unsent"]:
        said.append("queries could not be sent when they were due: the server is slower than -Q, or -q is too low")
    return ["", *(f"note: {one}" for one in said)] if said else []


NAME_WIDTH = 16
# Columns of the table: key, title, digits, and the divisor of the key's unit.
COLUMNS = (
    ("queries_per_second", "queries/s", 0, 1),
    ("cpu_us_per_query", "CPU us", 2, 1),
    ("set_up_p50_us", "set-up p50 us", 1, 1),
    ("cpu_us_per_connection", "CPU us a set-up", 1, 1),
    ("p50_us", "p50 us", 1, 1),
    ("p99_us", "p99 us", 1, 1),
    ("p99.9_us", "p99.9 us", 1, 1),
    ("pss_kib", "PSS MiB", 1, 1024),
)


def cell(value: Mapping[str, float] | None, digits: int, unit: float = 1) -> str:
    """``median (least-most)``."""
    if value is None:
        return "-"
    median, least, most = (f"{value[key] / unit:,.{digits}f}" for key in ("median", "min", "max"))
    return f"{median} ({least}-{most})"


def versus_text(report: JSON) -> str:
    """The text of servers side by side."""
    options, servers = report["options"], report["servers"]
    lines = [
        f"{options['transport']}: {options['load']}; {report['rounds']} rounds, interleaved",
        f"{options['queries']:,} queries of {options['source']}",
        *(["ended before its time: the rounds that were whole"] if report["interrupted"] else []),
    ]
    first = servers[0]["name"]
    for key, title, digits, unit in COLUMNS:
        if all(server[key] is None for server in servers):
            continue
        lines += ["", f"{title:<{NAME_WIDTH}} {'median (least-most)':>34} {f'x {first}':>24}"]
        for server in servers:
            ratio = cell(server["of_first"][key], 3)
            lines.append(f"  {server['name']:<{NAME_WIDTH - 2}} {cell(server[key], digits, unit):>34} {ratio:>24}")
    # What happened to none has no column.
    counts = [key for key in COUNTS if key in ("sent", "answered") or any(server[key] for server in servers)]
    lines += ["", f"{'counts':<{NAME_WIDTH}}" + "".join(f" {COUNTS[key]:>10}" for key in counts)]
    for server in servers:
        cells = "".join(f" {server[key]:>10,}" for key in counts)
        lines.append(f"  {server['name']:<{NAME_WIDTH - 2}}{cells}")
    lines += ["", "rcodes"]
    for server in servers:
        rcodes = ", ".join(f"{name} {count:,}" for name, count in server["rcodes"].items() if count)
        lines.append(f"  {server['name']:<{NAME_WIDTH - 2}} {rcodes or 'none'}")
    busy = [server["name"] for server in servers
            if server["generator_busy"] and server["generator_busy"]["median"] > BUSY]  # fmt: skip
    if busy and options["loop"] == "closed":
        lines += ["", f"note: the generator was busy all the time with {', '.join(busy)}: it may be the limit"]
    return "\n".join(lines)


COUNTS = {
    "sent": "sent",
    "answered": "answered",
    "lost": "lost",
    "late": "late",
    "duplicates": "duplicate",
    "mismatched": "mismatched",
    "truncated": "truncated",
    "wrong": "wrong",
    "stream_errors": "stream err.",
}
