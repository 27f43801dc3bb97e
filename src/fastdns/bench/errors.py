"""Errors that end a bench before it has figures."""

from __future__ import annotations

from fastdns.errors import FastdnsError


class BenchError(FastdnsError):
    """A run cannot be made: what is missing, or what is wrong in a file, with file and line. Exit code 1."""


class BenchUsageError(BenchError):
    """A wrong command line: what is wrong with it. Exit code 2."""
