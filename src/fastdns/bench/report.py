"""Figures as text that diffs well, and as JSON: the same fields in the same order, whatever they hold."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from fastdns.bench.messages import RCODES
from fastdns.bench.result import PERCENTILES, Result, encoded

SCHEMA = "fastdns-bench/1"


def percent_name(percent: float) -> str:
    """p50, p99.9."""
    return f"p{percent:g}"


def spread(values: Sequence[float], digits: int) -> dict[str, float]:
    """The median, and the least and the most."""
    return {
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
    }


def latency(result: Result) -> dict[str, Any]:
    """Times of answers in microseconds, and the whole histogram in HdrHistogram's own form."""
    return {
        "min_us": round(result.min_ns / 1000, 3),
        "mean_us": round(result.mean_us, 3),
        "stddev_us": round(result.stddev_us, 3),
        **{f"{percent_name(percent)}_us": round(result.percentile_us(percent), 3) for percent in PERCENTILES},
        "max_us": round(result.max_ns / 1000, 3),
        "hdr": encoded(result.histogram),
    }


def figures(result: Result) -> dict[str, Any]:
    """A result as JSON. Every key is always there."""
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
        "reconnects": result.reconnects,
        "checked": result.checked,
        "wrong": result.wrong,
        "query_bytes": result.query_bytes,
        "answer_bytes": result.answer_bytes,
        "rcodes": dict(zip(RCODES, result.rcodes, strict=True)),
        "latency": latency(result),
        "generator": {"processes": result.processes, "busy": round(result.busy, 3)},
    }


def duration(us: float) -> str:
    """A time for people, with its unit: ``812 ns`` to ``1.234 s``."""
    if us < 1:
        return f"{us * 1000:.0f} ns"
    if us < 1000:
        return f"{us:.1f} us"
    if us < 1_000_000:
        return f"{us / 1000:.2f} ms"
    return f"{us / 1_000_000:.3f} s"


def share(part: int, whole: int) -> str:
    """A count, and how much of the whole it is."""
    return f"{part:>12,}" + (f"  {100 * part / whole:.3f}%" if whole else "")


# Others are printed where there are any; what a run always has is always there.
ALWAYS = ("NOERROR", "SERVFAIL", "NXDOMAIN", "REFUSED")


def lines(result: Result) -> list[str]:
    """A result for people."""
    sent = result.sent
    out = [
        f"run time            {result.elapsed_s:>12.3f} s",
        f"queries sent        {sent:>12,}",
        f"answered            {share(result.answered, sent)}",
        f"lost                {share(result.lost, sent)}",
        f"interrupted         {share(result.interrupted, sent)}",
        f"not sent in time    {result.unsent:>12,}",
        f"late answers        {result.late:>12,}",
        f"duplicate answers   {result.duplicates:>12,}",
        f"mismatched answers  {result.mismatched:>12,}",
        f"truncated answers   {result.truncated:>12,}",
        f"socket errors       {result.errors:>12,}",
        f"reconnects          {result.reconnects:>12,}",
        f"answers checked     {result.checked:>12,}",
        f"wrong answers       {result.wrong:>12,}",
        "",
        f"queries a second    {result.per_second:>12,.0f}",
        f"bytes of a query    {result.query_bytes / sent if sent else 0:>12.1f}",
        f"bytes of an answer  {result.answer_bytes / result.answered if result.answered else 0:>12.1f}",
        f"generator busy      {100 * result.busy:>12.1f}%",
        "",
        *(
            f"rcode {name:<14}{share(count, result.answered)}"
            for name, count in zip(RCODES, result.rcodes, strict=True)
            if count or name in ALWAYS
        ),
        "",
        *(f"latency {name:<12}{duration(us):>12}" for name, us in times(result)),
    ]
    return out


def times(result: Result) -> list[tuple[str, float]]:
    """What is said of the times of answers, in microseconds."""
    return [
        ("min", result.min_ns / 1000),
        ("mean", result.mean_us),
        ("stddev", result.stddev_us),
        *((percent_name(percent), result.percentile_us(percent)) for percent in PERCENTILES),
        ("max", result.max_ns / 1000),
    ]
