"""The process that reads zone files: dnspython's memory is gone with it, and nobody waits for its GIL.

    python -m fastdns.zonefiles.child

frames.py says what it is asked, and how it answers.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
from dataclasses import asdict
from typing import IO

from fastdns.children import die_with_parent
from fastdns.errors import FastdnsError
from fastdns.zonefiles.frames import FILE, FRAME, ROWS, Job, Read
from fastdns.zonefiles.reading import UnchangedError, read_zone

# Files that are included by files that are included: one that includes itself ends here.
MAX_OPEN_FILES = 100


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


def write_read(out: IO[bytes], read: Read) -> None:
    """What became of a job, which is the last of its frames."""
    write(out, FILE, json.dumps(asdict(read)).encode())
    out.flush()


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
        write_read(out, read(Job(**job), out, rows=asked["rows"]))


if __name__ == "__main__":
    main()
