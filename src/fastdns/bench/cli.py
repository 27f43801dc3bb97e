"""``fastdns bench``: from the command line to the report.

Exit codes: 0 after a run, 1 for what cannot be run, wrong answers or none at all, 2 for a wrong command line.
"""

from __future__ import annotations

import importlib
import sys

from fastdns.bench.errors import BenchError, BenchUsageError

FAILED = 1
USAGE = 2


def main(arguments: list[str]) -> int:
    """The words behind ``fastdns bench``; returns the exit code."""
    try:
        if arguments and arguments[0] == "cluster":
            code: int = importlib.import_module("fastdns.bench.cluster").main(arguments[1:])
            return code
        from fastdns.bench.options import parse

        parse(arguments)
        raise BenchError("only `fastdns bench cluster` can be run so far")
    except BenchUsageError as error:
        print(f"fastdns bench: {error}\nfastdns bench -h lists the options", file=sys.stderr, flush=True)
        return USAGE
    except BenchError as error:
        print(f"fastdns bench: {error}", file=sys.stderr, flush=True)
        return FAILED
