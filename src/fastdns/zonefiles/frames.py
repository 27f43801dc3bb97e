"""What the child that reads zone files is asked, and how it answers: both sides know it.

It is given JSON: the process that it ends with, whether RRs are wanted, and the files. What it writes is a row of
frames: the length of the rest (u32, big endian), a letter, and its bytes. For each file there are frames with RRs
(R, as Draft.add_rows takes them) and one with what else is to say of it (F, JSON), or only the latter.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from fastdns.dns.names import wire_name
from fastdns.rrsets._draft import Draft

FRAME = struct.Struct("!Ic")
ROWS, FILE = b"R", b"F"


@dataclass(frozen=True, slots=True)
class Job:
    """A file, and the zone that it holds. known_serial: with this one it is not read; None: whatever it has."""

    file: str
    zone: str
    known_serial: int | None = None

    @property
    def place(self) -> str:
        """Where the zone comes from."""
        return self.file

    def draft(self) -> Draft:
        """What its RRs are put into."""
        return Draft(wire_name(self.zone))


@dataclass(slots=True)
class Read:
    """What became of a job. error: why nothing was read; unreadable: because the file cannot be opened.

    unchanged: it has the known serial. said: what is left out, the first of left_out.
    """

    error: str = ""
    unreadable: bool = False
    unchanged: bool = False
    serial: int = 0
    rrs: int = 0
    left_out: int = 0
    said: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
