"""Has a child process read zone files: all at once, for a check; or one after the other, into drafts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import asdict
from typing import Protocol, TypeVar

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
MAX_COMPLAINT_BYTES = 4096


class Wanted(Protocol):
    """A zone that a child is to read. place: where it comes from, for errors."""

    @property
    def place(self) -> str: ...

    def draft(self) -> Draft:
        """What its RRs are put into."""


J = TypeVar("J", bound=Wanted)


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


async def read_files(jobs: Sequence[Job]) -> AsyncGenerator[tuple[Job, Read, Draft], None]:
    """Read zone files: a job, what became of it, and its zone, in order for a ZoneWriter.

    The event loop goes on meanwhile. Raises SourceError if reading fails as a whole.
    """
    async with aclosing(drafts_of(COMMAND, request(jobs, rows=True, nice=NICE), jobs, "zone files")) as drafts:
        async for one in drafts:
            yield one


async def drafts_of(
    command: Sequence[str], asked: bytes, jobs: Sequence[J], what: str
) -> AsyncGenerator[tuple[J, Read, Draft], None]:
    """Start a child, give it what it is asked, and read its frames: those of each job, in their order.

    what: it reads, for errors. The event loop goes on meanwhile. Raises SourceError if reading fails as a whole.
    """
    if not jobs:
        return
    try:
        child = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except OSError as error:
        raise SourceError(f"no process to read {what} can be started: {error.strerror}") from None
    assert child.stdin is not None and child.stdout is not None and child.stderr is not None
    complaint = asyncio.ensure_future(end_of(child.stderr))
    try:
        child.stdin.write(asked)
        child.stdin.write_eof()
        for job in jobs:
            draft = job.draft()
            try:
                async with asyncio.timeout(LIMIT_S):
                    read = await one_file(child.stdout, draft)
            except (asyncio.IncompleteReadError, OSError):
                raise SourceError(f"{job.place}: {last_words(await complaint, what)}") from None
            except TimeoutError:
                raise SourceError(f"{job.place} was not read within {LIMIT_S:g} s") from None
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


async def end_of(pipe: asyncio.StreamReader) -> bytes:
    """The last bytes of what a child complains of."""
    end = b""
    while more := await pipe.read(MAX_COMPLAINT_BYTES):
        end = (end + more)[-MAX_COMPLAINT_BYTES:]
    return end


def last_words(complaint: bytes, what: str = "zone files") -> str:
    """Why a child has ended early."""
    lines = complaint.decode("utf-8", "replace").strip().splitlines()
    return f"the process that reads {what} has ended: {lines[-1] if lines else 'killed'}"
