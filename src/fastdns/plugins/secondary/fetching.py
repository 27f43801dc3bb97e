"""Has a child process transfer a zone, into a draft."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from dataclasses import asdict

from fastdns.dns.names import wire_name
from fastdns.errors import SourceError
from fastdns.plugins.secondary.frames import Job, Transferred
from fastdns.rrsets._draft import Draft
from fastdns.threads import in_thread
from fastdns.zonefiles.frames import FILE, FRAME

COMMAND = (sys.executable, "-m", "fastdns.plugins.secondary.child")
LIMIT_S = 600.0
MAX_FRAME_BYTES = 16 << 20


async def fetch(job: Job) -> tuple[Transferred, Draft]:
    """Transfer a zone: what became of it, and the zone, in order for a ZoneWriter. Raises SourceError."""
    try:
        child = await asyncio.create_subprocess_exec(
            *COMMAND, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except OSError as error:
        raise SourceError(f"no process to transfer zones can be started: {error.strerror}") from None
    assert child.stdin is not None and child.stdout is not None and child.stderr is not None
    complaint = asyncio.ensure_future(child.stderr.read(4096))
    draft = Draft(wire_name(job.zone))
    try:
        child.stdin.write(json.dumps({"parent": os.getpid(), "job": asdict(job)}).encode())
        child.stdin.write_eof()
        async with asyncio.timeout(LIMIT_S):
            while True:
                size, letter = FRAME.unpack(await child.stdout.readexactly(FRAME.size))
                if size > MAX_FRAME_BYTES:
                    raise SourceError("the process that transfers zones says too much")
                data = await child.stdout.readexactly(size - 1)
                if letter == FILE:
                    await in_thread(draft.prepare)
                    return Transferred(**json.loads(data)), draft
                draft.add_rows(data)
    except TimeoutError:
        raise SourceError(f"the transfer took longer than {LIMIT_S:g} s") from None
    except (asyncio.IncompleteReadError, OSError):
        lines = (await complaint).decode("utf-8", "replace").strip().splitlines()
        why = lines[-1] if lines else "killed"
        raise SourceError(f"the process that transfers zones has ended: {why}") from None
    finally:
        complaint.cancel()
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
