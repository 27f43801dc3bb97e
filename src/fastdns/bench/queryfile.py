"""dnsperf's query files: lines of NAME TYPE. Empty lines and lines that begin with ``;`` or ``#`` are skipped."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from fastdns.bench.errors import BenchError
from fastdns.bench.messages import Query, message

STANDARD_INPUT = "(standard input)"


def lines(text: Iterable[str], file: str) -> Iterator[tuple[str, str]]:
    """(FILE:LINE, text) of each line that is not skipped. Raises BenchError if the text is not UTF-8."""
    number = 0
    try:
        for number, line in enumerate(text, 1):
            said = line.strip()
            if said and said[0] not in ";#":
                yield f"{file}:{number}", said
    except UnicodeDecodeError:
        raise BenchError(f"{file}:{number + 1} - not UTF-8") from None


def read_query(words: list[str], where: str) -> Query:
    """The query of a line's first two words. Raises BenchError."""
    if len(words) < 2:
        raise BenchError(
            f"{where} - NAME TYPE expected, got {words[0]!r} alone (-u reads files of dynamic updates)"
        )
    query = Query(words[0], words[1].upper())
    try:
        message(query)
    except ValueError as error:
        raise BenchError(f"{where} - {error}") from None
    return query


def parse_queries(text: Iterable[str], file: str) -> list[Query]:
    """Every query, in order. Raises BenchError with file and line."""
    queries = []
    for where, line in lines(text, file):
        words = line.split()
        query = read_query(words, where)
        if len(words) > 2:
            raise BenchError(f"{where} - NAME TYPE expected, got {' '.join(words[2:])!r} behind it")
        queries.append(query)
    if not queries:
        raise BenchError(f"{file}: no queries: lines of NAME TYPE expected")
    return queries


def name_of(path: Path | None) -> str:
    """A query file as errors and reports name it."""
    return STANDARD_INPUT if path is None or str(path) == "-" else str(path)


def read_bytes(path: Path | None) -> bytes:
    """A whole query file, or standard input (None or ``-``). Raises BenchError."""
    if path is None or str(path) == "-":
        if sys.stdin.isatty():
            print("Reading queries (NAME TYPE, end with Ctrl-D) from standard input; -d FILE reads a file",
                  file=sys.stderr)  # fmt: skip
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except OSError as error:
        raise BenchError(f"{path}: {error.strerror}") from None


def as_text(data: bytes) -> Iterable[str]:
    """The lines of a file that has been read; UnicodeDecodeError while they are read, unless they are UTF-8."""
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")
