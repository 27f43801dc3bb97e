"""Has a child process read zone files: all at once, for a check; or one after the other, into drafts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict

from fastdns.dns.names import wire_name
from fastdns.errors import SourceError
from fastdns.rrsets._draft import Draft
from fastdns.threads import in_thread
from fastdns.zonefiles.frames import FILE, FRAME, Job, Read

COMMAND = (sys.executable, "-m", "fastdns.zonefiles.child")
# A million RRs take seconds; what takes longer than this never ends.
LIMIT_S = 600.0
# The server's own processes come first.
NICE = 5
MAX_FRAME_BYTES = 16 << 20


def request(jobs: Sequence[Job], *, rows: bool, nice: int) -> bytes:
    """What the child is given."""
    asked = {"parent": os.getpid(), "rows": rows, "nice": nice, "jobs": [asdict(job) for job in jobs]}
    return json.dumps(asked).encode()


def look_at(jobs: Sequence[Job]) -> list[Read]:
    """Read zone files to see whether they can be served. Waits for all. Raises SourceError if reading fails."""
    if not jobs:
        return []
    try:
        done = subprocess.run(
            COMMAND, input=request(jobs, rows=False, nice=0), capture_output=True, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise SourceError(f"zone files were not read within {LIMIT_S:g} s: {jobs[0].file} …") from None
    except OSError as error:
        raise SourceError(f"no process to read zone files can be started: {error.strerror}") from None
    found: list[Read] = []
    at = 0
    while at + FRAME.size <= len(done.stdout):
        size, _ = FRAME.unpack_from(done.stdout, at)
        found.append(Read(**json.loads(done.stdout[at + FRAME.size : at + FRAME.size + size - 1])))
        at += FRAME.size + size - 1
    if len(found) != len(jobs):
        raise SourceError(f"{jobs[len(found)].file}: {last_words(done.stderr)}")
    return found


async def read_files(jobs: Sequence[Job]) -> AsyncIterator[tuple[Job, Read, Draft]]:
    """Read zone files: a job, what became of it, and its zone, in order for a ZoneWriter.

    The event loop goes on meanwhile. Raises SourceError if reading fails as a whole.
    """
    if not jobs:
        return
    try:
        child = await asyncio.create_subprocess_exec(
            *COMMAND, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except OSError as error:
        raise SourceError(f"no process to read zone files can be started: {error.strerror}") from None
    assert child.stdin is not None and child.stdout is not None and child.stderr is not None
    # What it complains of is bounded by what a pipe holds.
    complaint = asyncio.ensure_future(child.stderr.read(4096))
    try:
        child.stdin.write(request(jobs, rows=True, nice=NICE))
        child.stdin.write_eof()
        for job in jobs:
            draft = Draft(wire_name(job.zone))
            try:
                async with asyncio.timeout(LIMIT_S):
                    read = await one_file(child.stdout, draft)
            except (asyncio.IncompleteReadError, OSError):
                raise SourceError(f"{job.file}: {last_words(await complaint)}") from None
            except TimeoutError:
                raise SourceError(f"{job.file} was not read within {LIMIT_S:g} s") from None
            yield job, read, draft
    finally:
        complaint.cancel()
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


async def one_file(pipe: asyncio.StreamReader, draft: Draft) -> Read:
    """The frames of one file."""
    while True:
        size, letter = FRAME.unpack(await pipe.readexactly(FRAME.size))
        if size > MAX_FRAME_BYTES:
            raise asyncio.IncompleteReadError(b"", size)
        data = await pipe.readexactly(size - 1)
        if letter == FILE:
            await in_thread(draft.prepare)
            return Read(**json.loads(data))
        draft.add_rows(data)


def last_words(complaint: bytes) -> str:
    """Why a child has ended early."""
    lines = complaint.decode("utf-8", "replace").strip().splitlines()
    return f"the process that reads zone files has ended: {lines[-1] if lines else 'killed'}"
