"""What ends a bench before it has figures."""

from __future__ import annotations

from fastdns.errors import FastdnsError


class BenchError(FastdnsError):
    """A run that cannot be made: what it lacks, or what a file says wrong, with file and line. Exit code 1."""


class BenchUsageError(BenchError):
    """A wrong command line: what is wrong with it. Exit code 2."""
