"""The command line of ``fastdns bench cluster``."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from fastdns.bench.errors import BenchUsageError
from fastdns.bench.options import Parser, _count, _number

DESCRIPTION = """\
Starts a synthetic Kubernetes API server with a generated cluster, and a DNS server that watches it. Measures the
time until the server is ready, the memory of all its processes, and how long a changed endpoint takes to show in
its answers while the cluster changes.
"""
EPILOG = """\
Another server is measured with --command; {corefile} is a Corefile for it, with a kubeconfig:
  fastdns bench cluster --command "coredns -conf {corefile}" --probes 16

The Corefile is the one that kubeadm writes: its `cache 30` excludes names of the cluster. It has no lameduck, and
its upstream does not answer.

Everything is on 127.0.0.1. Exit codes: 0 after a run, 1 if it cannot run, 2 for a wrong command line.
"""
DEFAULT_COMMAND = "{python} -m fastdns.cli -conf {corefile}"
MAX_PROBES = 32


def parser() -> argparse.ArgumentParser:
    """Every option."""
    made = Parser(
        prog="fastdns bench cluster",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = made.add_argument_group("the cluster").add_argument
    add("--services", metavar="N", type=_count(1, 1_000_000), default=10000, help="default 10000")
    add("--endpoints", metavar="N", type=_count(1, 1000), default=10, help="endpoints of each service (default 10)")
    add("--churn", metavar="N", type=_rate, default=50.0, help="changes a second (default 50; 0: none)")
    add("--no-tls", action="store_true", help="plain HTTP to the API server")

    add = made.add_argument_group("the server").add_argument
    add("--command", default=DEFAULT_COMMAND, metavar="WORDS",
        help="the server; {corefile}, {python} and {port} are filled in (default: this fastdns)")  # fmt: skip
    add("--workers", metavar="N", type=_count(1, 1024), default=2, help="FASTDNS_WORKERS (default 2)")
    add("--more", default="", metavar="LINE", help="one more line of the server block, such as log")

    add = made.add_argument_group("what to measure").add_argument
    add("--seconds", metavar="SECONDS", type=_seconds, default=20.0, help="of changes, at least (default 20)")
    add("--samples", metavar="N", type=_count(1, 1_000_000), default=300,
        help="timed changes, at least (default 300)")  # fmt: skip
    add("--limit", metavar="SECONDS", type=_seconds, default=300.0,
        help="duration of the changes, at most (default 300)")  # fmt: skip
    add("--probes", metavar="N", type=_count(1, MAX_PROBES), default=2,
        help="services whose changes are timed (default 2)")  # fmt: skip
    add("--settle", metavar="SECONDS", type=_seconds, default=3.0,
        help="time from ready to the measurement of steady memory (default 3)")  # fmt: skip
    add("--no-relist", action="store_true", help="do not measure the memory of a full relist")
    add("--snapshot", action="store_true", help="also measure a start from a snapshot after a kill -9 (fastdns)")

    add = made.add_argument_group("what to print").add_argument
    add("--json", action="store_true", help="for programs")
    add("--html", metavar="FILE", type=Path, help="also write a page with plots")
    add("--no-progress", action="store_true", help="no progress bar on a terminal")
    return made


def _rate(text: str) -> float:
    return _number(text, 0, 10_000, "changes a second")


def _seconds(text: str) -> float:
    return _number(text, 0.1, 86400, "seconds")


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line. Raises BenchUsageError; SystemExit(0) after -h."""
    how = parser().parse_args(arguments)
    words = command_words(how.command, Path("Corefile"), 53)
    if words == command_words(how.command, Path("other"), 54):
        raise BenchUsageError("--command needs {corefile} or {port}, or the server does not know what to serve")
    return how


def command_words(command: str, corefile: Path, port: int) -> list[str]:
    """The words that start the server. Raises BenchUsageError."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise BenchUsageError(f"--command: {error}") from None
    if not words:
        raise BenchUsageError("--command is empty")
    fill = {"{python}": sys.executable, "{corefile}": str(corefile), "{port}": str(port)}
    for placeholder, value in fill.items():
        words = [word.replace(placeholder, value) for word in words]
    return words
