"""A summary as lines of text, as wide as a terminal is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

WIDTH = 100
BOLD, DIM, RED, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[0m"
TITLES = {"names": "NAME", "clients": "CLIENT", "nxdomains": "NO SUCH NAME", "slow": "SLOW NAME"}
NONE = "-"


def number(value: float | None) -> str:
    """A count or a rate, short."""
    if value is None:
        return NONE
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e4)):
        if value >= size:
            return f"{value / (1e3 if unit == 'k' else size):.1f}{unit}"
    return f"{value:.1f}" if value < 100 and value != int(value) else f"{value:.0f}"


def seconds(value: float | None) -> str:
    """A duration."""
    if value is None:
        return NONE
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("m", 60.0)):
        if value >= 2 * size:
            return f"{value / size:.0f}{unit}"
    if value >= 1:
        return f"{value:.1f}s" if value < 10 else f"{value:.0f}s"
    return f"{value * 1e3:.1f}ms" if value >= 1e-3 else f"{value * 1e6:.0f}us"


def percentiles(found: Mapping[str, float] | None) -> str:
    """Percentiles, one after the other."""
    return "  ".join(f"{name} {seconds(value)}" for name, value in (found or {}).items()) or NONE


def printable(text: str) -> str:
    """What others have named is shown, and not obeyed by the terminal."""
    return "".join(one if one.isprintable() else "?" for one in text)


def rates(found: Mapping[str, float], width: int) -> str:
    """Rates by name, as many as fit."""
    text = ""
    for name, rate in found.items():
        one = f"{printable(name)} {number(rate)}/s"
        if text and len(text) + len(one) + 2 > width:
            break
        text += ("  " if text else "") + one
    return text or NONE


def head(s: Mapping[str, Any], width: int) -> list[str]:
    """What the server does as a whole."""
    memory = s["memory_bytes"]
    cache = s["cache"]
    ratio = cache and cache["hit_ratio"]
    lines = [
        f"fastdns {s['version'] or NONE} at {s['url']}, up {seconds(s['uptime_seconds'])}",
        f"queries   {number(s['queries_per_second'])}/s   CPUs {s['cpus']:.2f}   "
        f"memory {f'{memory / (1 << 20):.0f} MiB' if memory else NONE}",
        f"latency   {percentiles(s['latency_seconds'])}",
        f"rcodes    {rates(s['rcodes'], width - 10)}",
        f"types     {rates(s['types'], width - 10)}",
    ]
    if s["failed"]:
        lines.append(f"failed    {rates(s['failed'], width - 10)}")
    if cache:
        shown = NONE if ratio is None else f"{100 * ratio:.1f}%"
        lines.append(f"cache     {shown} hits, {cache['entries']} entries")
    if (cluster := s["kubernetes"]) is not None:
        changes, delay = number(cluster["changes_per_second"]), percentiles(cluster["programming_seconds"])
        lines.append(f"cluster   changes {changes}/s, in answers after {delay}")
        lines += [
            f"snapshot  {printable(zone)} is {seconds(age)} old: the API server has not answered yet"
            for zone, age in cluster["snapshot_age_seconds"].items()
            if age
        ]
    return lines


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Columns: the first one takes what the others leave."""
    sizes = [max(len(row[i]) for row in (titles, *rows)) for i in range(len(titles))]
    sizes[0] = max(8, min(sizes[0], width - sum(sizes[1:]) - 2 * (len(sizes) - 1)))
    return [
        "  ".join(
            [shortened(row[0], sizes[0]).ljust(sizes[0]),
             *(cell.rjust(size) for cell, size in zip(row[1:], sizes[1:], strict=True))]
        ).rstrip()
        for row in (titles, *rows)
    ]  # fmt: skip


def shortened(text: str, width: int) -> str:
    """The beginning of a text that is too wide."""
    return text if len(text) <= width else text[: width - 1] + "…"


def workers(s: Mapping[str, Any], width: int) -> list[str]:
    """Processes and what they do."""
    rows = [
        [one["process"], str(one["pid"] or NONE), f"{one['cpus']:.2f}", number(one["queries_per_second"])]
        for one in s["workers"]
    ]
    return table(("WORKER", "PID", "CPUS", "QUERIES/S"), rows, width) if rows else []


def upstreams(s: Mapping[str, Any], width: int) -> list[str]:
    """Upstreams and how they do."""
    rows = [
        [
            printable(one["to"]) + (" (loop)" if one["loop"] else ""),
            number(one["replies_per_second"]),
            *(seconds((one["latency_seconds"] or {}).get(name)) for name in ("p50", "p99")),
            number(one["failures_per_second"]),
        ]
        for one in s["upstreams"]
    ]
    return table(("UPSTREAM", "REPLIES/S", "P50", "P99", "FAILED/S"), rows, width) if rows else []


def what(row: Mapping[str, Any]) -> str:
    """A name, or an address and whose it is."""
    if "name" in row:
        return printable(row["name"]) + ("…" if row.get("cut") else "")
    owner = "/".join(printable(row[key]) for key in ("namespace", "pod", "service") if key in row)
    kind = "" if "pod" in row or "service" not in row else "service "
    return f"{row['address']}  {kind}{owner}".rstrip()


def most(tables: Mapping[str, Any], kind: str, width: int) -> list[str]:
    """One table of who asks most."""
    span, total = tables["seconds"], tables["queries"]
    title = TITLES[kind]
    if kind == "slow":
        title += f" ({seconds(tables['slow_seconds'])} or more)"
    rows = [
        [
            what(row),
            # What may be more than that is not exact.
            number(row["queries"]) + ("+" if row["at_most"] > row["queries"] else ""),
            number(row["queries"] / span) if span else NONE,
            f"{100 * row['queries'] / total:.1f}%" if total else NONE,
        ]
        for row in tables[kind]
    ]
    return table((title, "QUERIES", "EACH S", "OF ALL"), rows, width) if rows else []


def lines(s: Mapping[str, Any], width: int = WIDTH, *, colour: bool = False) -> list[str]:
    """All of it. Nothing is wider than the width."""
    found = [shortened(line, width) for line in head(s, width)]
    if colour:
        found[0] = f"{BOLD}{found[0]}{PLAIN}"
        found = [f"{RED}{line}{PLAIN}" if line.startswith("failed ") else line for line in found]
    tables = s["top"]
    parts = [workers(s, width), upstreams(s, width)]
    if tables is not None:
        parts += [most(tables, kind, width) for kind in TITLES]
    for part in parts:
        if part:
            title, *rows = part
            found += ["", f"{BOLD}{title}{PLAIN}" if colour else title, *rows]
    if tables is None:
        hint = "Who asks most is not counted: the Corefile has no top."
        found += ["", f"{DIM}{hint}{PLAIN}" if colour else hint]
    else:
        hint = f"Tables: the last {seconds(tables['seconds'])}, {number(tables['queries'])} queries. +: at least."
        found += ["", f"{DIM}{hint}{PLAIN}" if colour else hint]
    return found
