"""Reads profiles in pprof's format (profile.proto), apart from what writes them."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Read:
    """kinds: of the values, (name, unit). samples: (names of functions from the innermost on, values, labels)."""

    kinds: list[tuple[str, str]] = field(default_factory=list)
    samples: list[tuple[list[str], list[int], dict[str, str]]] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    took_ns: int = 0
    interval_ns: int = 0


def number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return value, at


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        key, at = number(data, at)
        if key & 7 == 0:
            value, at = number(data, at)
            yield key >> 3, value
        else:
            assert key & 7 == 2
            size, at = number(data, at)
            assert at + size <= len(data)
            yield key >> 3, data[at : at + size]
            at += size


def numbers(data: int | bytes) -> list[int]:
    assert isinstance(data, bytes)
    found, at = [], 0
    while at < len(data):
        value, at = number(data, at)
        found.append(value)
    return found


def single(data: int | bytes) -> dict[int, int]:
    """The fields of a message that are numbers, each once."""
    assert isinstance(data, bytes)
    return {key: value for key, value in fields(data) if isinstance(value, int)}


def read(body: bytes) -> Read:
    """Raises whatever what is no profile leads to."""
    messages = list(fields(gzip.decompress(body)))
    strings = [value.decode() for key, value in messages if key == 6 and isinstance(value, bytes)]
    assert strings[0] == ""
    functions = {one[1]: strings[one[2]] for one in (single(value) for key, value in messages if key == 5)}
    places = {}
    for value in (value for key, value in messages if key == 4):
        assert isinstance(value, bytes)
        [line] = [part for key, part in fields(value) if key == 4]
        places[single(value)[1]] = functions[single(line)[1]]
    made = Read()
    for key, value in messages:
        if key == 1:
            kind = single(value)
            made.kinds.append((strings[kind[1]], strings[kind[2]]))
        elif key == 2:
            assert isinstance(value, bytes)
            parts = list(fields(value))
            [locations] = [numbers(part) for key, part in parts if key == 1]
            [values] = [numbers(part) for key, part in parts if key == 2]
            labels = {strings[one[1]]: strings[one[2]] for one in (single(part) for key, part in parts if key == 3)}
            made.samples.append(([places[at] for at in locations], values, labels))
        elif key == 10:
            assert isinstance(value, int)
            made.took_ns = value
        elif key == 12:
            assert isinstance(value, int)
            made.interval_ns = value
        elif key == 13:
            assert isinstance(value, int)
            made.comments.append(strings[value])
    return made
