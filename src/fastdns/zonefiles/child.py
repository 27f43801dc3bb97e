"""The process that reads zone files: dnspython's memory is gone with it, and nobody waits for its GIL.

    python -m fastdns.zonefiles.child

It is given JSON: the process that it ends with, whether RRs are wanted, and the files. What it writes is a row of
frames: the length of the rest (u32, big endian), a letter, and its bytes. For each file there are frames with RRs
(R, as Draft.add_rows takes them) and one with what else is to say of it (F, JSON), or only the latter.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import struct
import sys
from dataclasses import asdict, dataclass, field
from typing import IO

from fastdns.children import die_with_parent
from fastdns.errors import FastdnsError
from fastdns.zonefiles.reading import UnchangedError, read_zone

FRAME = struct.Struct("!Ic")
ROWS, FILE = b"R", b"F"
# Files that are included by files that are included: one that includes itself ends here.
MAX_OPEN_FILES = 100


@dataclass(frozen=True, slots=True)
class Job:
    """A file, and the zone that it holds. known_serial: with this one it is not read; None: whatever it has."""

    file: str
    zone: str
    known_serial: int | None = None


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


def read(job: Job, out: IO[bytes], *, rows: bool) -> Read:
    """Do one job. What is no zone file raises nothing."""
    try:
        text = read_zone(job.file, job.zone, job.known_serial)
    except UnchangedError:
        return Read(unchanged=True)
    except OSError as error:
        return Read(error=f"open {job.file}: {error.strerror}", unreadable=True)
    except (FastdnsError, ValueError, MemoryError) as error:
        return Read(error=str(error) or type(error).__name__)
    if rows:
        for batch in text.rows:
            write(out, ROWS, batch)
    return Read(serial=text.serial, rrs=text.rrs, left_out=text.left_out, said=text.said, files=text.files)


def write(out: IO[bytes], letter: bytes, data: bytes) -> None:
    """One frame."""
    out.write(FRAME.pack(len(data) + 1, letter) + data)


def main() -> None:
    """Do the jobs of stdin."""
    asked = json.load(sys.stdin)
    die_with_parent(asked["parent"])
    # What is needed once may stay until the end of the process.
    gc.disable()
    os.nice(asked["nice"])
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_OPEN_FILES, MAX_OPEN_FILES))
    out = sys.stdout.buffer
    for job in asked["jobs"]:
        write(out, FILE, json.dumps(asdict(read(Job(**job), out, rows=asked["rows"]))).encode())
        out.flush()


if __name__ == "__main__":
    main()
