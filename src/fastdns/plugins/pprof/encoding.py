"""A profile in pprof's format: profile.proto of github.com/google/pprof, compressed by gzip."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from fastdns.plugins.pprof.profiler import Profile
from fastdns.plugins.pprof.stacks import Frame, stacks

GZIP = 16


def varint(value: int) -> bytes:
    """A number of up to 64 bits."""
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    made.append(value)
    return bytes(made)


def number(field: int, value: int) -> bytes:
    """A field that is a number."""
    return varint(field << 3) + varint(value)


def piece(field: int, value: bytes) -> bytes:
    """A field that is a string or a message."""
    return varint(field << 3 | 2) + varint(len(value)) + value


def packed(field: int, values: Iterable[int]) -> bytes:
    """A field that repeats a number."""
    return piece(field, b"".join(map(varint, values)))


class Encoder:
    """The tables of a profile, filled as samples are added. Numbers of strings begin at 0, those of others at 1."""

    def __init__(self) -> None:
        self.strings: dict[str, int] = {"": 0}
        self.functions: dict[tuple[str, str, int], int] = {}
        self.locations: dict[Frame, int] = {}

    def string(self, text: str) -> int:
        """The number of a string."""
        return self.strings.setdefault(text, len(self.strings))

    def location(self, frame: Frame) -> int:
        """The number of a place in the program."""
        key = (frame.function, frame.file, frame.first_line)
        self.functions.setdefault(key, len(self.functions) + 1)
        return self.locations.setdefault(frame, len(self.locations) + 1)

    def value_type(self, kind: str, unit: str) -> bytes:
        """What a value is."""
        return number(1, self.string(kind)) + number(2, self.string(unit))

    def label(self, key: str, value: str) -> bytes:
        """A word beside a sample."""
        return piece(3, number(1, self.string(key)) + number(2, self.string(value)))

    def encode(self, profile: Profile) -> bytes:
        """The whole message."""
        kind = "delay" if profile.wall else "cpu"
        parts = [piece(1, self.value_type("samples", "count")), piece(1, self.value_type(kind, "nanoseconds"))]
        for one in stacks(profile):
            labels = self.label("process", one.process) + self.label("thread", one.thread)
            values = packed(2, (one.count, one.count * profile.interval_ns))
            parts.append(piece(2, packed(1, map(self.location, one.frames)) + values + labels))
        for frame, at in self.locations.items():
            function = self.functions[frame.function, frame.file, frame.first_line]
            line = number(1, function) + number(2, frame.line)
            parts.append(piece(4, number(1, at) + piece(4, line)))
        for (name, file, first), at in self.functions.items():
            text = self.string(name)
            fields = number(2, text) + number(3, text) + number(4, self.string(file)) + number(5, first)
            parts.append(piece(5, number(1, at) + fields))
        parts += [number(9, profile.begun_ns), number(10, profile.took_ns)]
        parts += [piece(11, self.value_type(kind, "nanoseconds")), number(12, profile.interval_ns)]
        if profile.lost:
            parts.append(number(13, self.string(f"{profile.lost} samples are missing: there was no room")))
        parts += [piece(6, text.encode()) for text in self.strings]
        return b"".join(parts)


def encoded(profile: Profile) -> bytes:
    """The profile as tools read it."""
    return zlib.compress(Encoder().encode(profile), 6, zlib.MAX_WBITS | GZIP)
