"""Names for native addresses: of which file they are, by this process's map, and of which function, by its symbols.

All processes of the server are forked from one, with what they run on mapped at the same places, so the map of any
of them serves for all. Read in a process that ends afterwards.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

# ELF, 64 bits, little-endian: what x86-64 and AArch64 have.
MAGIC = b"\x7fELF\x02\x01"
SECTION = struct.Struct("<IIQQQQIIQQ")
SYMBOL = struct.Struct("<IBBHQQ")
SEGMENT = struct.Struct("<IIQQQQQQ")
SYMTAB, DYNSYM, LOAD, FUNCTION = 2, 11, 1, 2
MAX_FILE_BYTES = 256 << 20

# What Cython makes of a module's name: the length of each part, and the part.
CYTHON = re.compile(r"__pyx_(?:[a-z]+_)+(\d.*)")


@dataclass(frozen=True, slots=True)
class Mapped:
    """A part of a file in memory: from start up to end, from this offset of the file on."""

    start: int
    end: int
    offset: int
    file: str


@dataclass(slots=True)
class Symbols:
    """The functions of a file by where they begin, and its segments (offset, bytes, address)."""

    starts: list[int] = field(default_factory=list)
    functions: list[tuple[int, str]] = field(default_factory=list)
    segments: list[tuple[int, int, int]] = field(default_factory=list)

    def at(self, offset: int) -> str | None:
        """The function at an offset of the file."""
        for begins, size, address in self.segments:
            if begins <= offset < begins + size:
                at = offset - begins + address
                index = bisect_right(self.starts, at) - 1
                if index >= 0:
                    length, name = self.functions[index]
                    if at < self.starts[index] + max(length, 1):
                        return name
        return None


def mapped() -> list[Mapped]:
    """What of files this process may execute, by address."""
    found = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        place, rights, offset, _, _, *file = line.split(maxsplit=5)
        if "x" in rights:
            start, _, end = place.partition("-")
            found.append(Mapped(int(start, 16), int(end, 16), int(offset, 16), file[0] if file else ""))
    return sorted(found, key=lambda one: one.start)


@cache
def symbols_of(file: str) -> Symbols:
    """Those of a file; none of what is no such file, or cannot be read."""
    try:
        path = Path(file)
        if not file.startswith("/") or path.stat().st_size > MAX_FILE_BYTES:
            return Symbols()
        return read(path.read_bytes())
    except (OSError, struct.error, IndexError, ValueError, OverflowError):
        return Symbols()


def read(data: bytes) -> Symbols:
    """The symbols of an ELF file; those for linking at run time where it has been stripped. Raises struct.error."""
    if not data.startswith(MAGIC):
        return Symbols()
    program_at, sections_at = struct.unpack_from("<QQ", data, 32)
    program_size, program_count, section_size, section_count = struct.unpack_from("<HHHH", data, 54)
    segments = []
    for i in range(program_count):
        kind, _, offset, address, _, size, _, _ = SEGMENT.unpack_from(data, program_at + i * program_size)
        if kind == LOAD:
            segments.append((offset, size, address))
    sections = [SECTION.unpack_from(data, sections_at + i * section_size) for i in range(section_count)]
    found: dict[int, tuple[int, str]] = {}
    for wanted in (DYNSYM, SYMTAB):
        for _, kind, _, _, offset, size, link, _, _, entry in sections:
            if kind == wanted and entry == SYMBOL.size:
                names_at = sections[link][4]
                for name_at, info, _, _, value, length in SYMBOL.iter_unpack(data[offset : offset + size]):
                    if info & 15 == FUNCTION and value:
                        begins = names_at + name_at
                        found[value] = length, data[begins : data.index(b"\0", begins)].decode("utf-8", "replace")
    starts = sorted(found)
    return Symbols(starts, [found[start] for start in starts], segments)


def readable(name: str) -> str:
    """A function's name as its source has it: without what the compiler, and Cython, have made of it."""
    name = re.sub(r"(\.(isra|part|constprop|cold|lto_priv)(\.\d+)?)+$", "", name)
    made = CYTHON.fullmatch(name)
    if made is None:
        return name
    parts, rest = [], made[1]
    while (digits := re.match(r"\d+", rest)) is not None:
        size, at = int(digits[0]), digits.end()
        if size == 0 or at + size > len(rest) or rest[at + size : at + size + 1] not in ("", "_"):
            # The number of a function, not the length of a name.
            rest = rest[at:] or rest
            break
        parts.append(rest[at : at + size])
        rest = rest[at + size :].removeprefix("_")
    return ".".join([*parts, *([rest] if rest else [])])


class Names:
    """Looks native addresses up."""

    def __init__(self) -> None:
        self.mapped = mapped()
        self.starts = [one.start for one in self.mapped]

    def place(self, address: int) -> Mapped | None:
        """Of which file it is."""
        index = bisect_right(self.starts, address) - 1
        if index >= 0 and address < self.mapped[index].end:
            return self.mapped[index]
        return None

    def function(self, address: int) -> str:
        """Of which function; where there is no symbol, the file and the offset in it."""
        place = self.place(address)
        if place is None:
            return f"0x{address:x}"
        offset = address - place.start + place.offset
        name = symbols_of(place.file).at(offset)
        return readable(name) if name else f"{place.file.rpartition('/')[2] or '?'}+0x{offset:x}"
