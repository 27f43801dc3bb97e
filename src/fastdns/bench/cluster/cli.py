"""``fastdns bench cluster``, from the words of its command line to what it prints."""

from __future__ import annotations

import importlib.util
import json

from fastdns.bench.cluster.options import parse
from fastdns.bench.cluster.report import opening, plots, text
from fastdns.bench.cluster.run import run
from fastdns.bench.errors import BenchError
from fastdns.bench.page import page
from fastdns.bench.progress import Stages

# Packages of the optional group bench that the synthetic API server needs.
NEEDS = ("aiohttp", "cryptography")


def main(arguments: list[str]) -> int:
    """The words behind ``fastdns bench cluster``; returns the exit code. Raises BenchError."""
    how = parse(arguments)
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise BenchError(f"not installed: {', '.join(missing)}; pip install 'fastdns[bench]' installs them")
    try:
        with Stages(bar=False if how.no_progress else None) as stages:
            report = run(how, stages)
    except (OSError, RuntimeError) as error:
        raise BenchError(str(error)) from error
    lines = text(report)
    if how.html is not None:
        try:
            how.html.write_text(page("fastdns bench cluster", opening(report), plots(report), lines, report))
        except OSError as error:
            raise BenchError(f"{how.html}: {error.strerror}") from error
    print(json.dumps(report, indent=2) if how.json else "\n".join(lines))
    return 0
