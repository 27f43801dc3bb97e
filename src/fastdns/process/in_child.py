"""Work in a child of the supervisor that ends with it: it sees everything as it is now, and can hold up nothing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import Callable, Iterable

from fastdns.errors import FastdnsError
from fastdns.process.processes import Channel, fork_child

READ_BYTES = 64 * 1024
# More than this is an error of ours.
MAX_RESULT_BYTES = 64 << 20
# Says that the result is whole.
WHOLE = b"\n.\n"


class NoRoomError(FastdnsError):
    """The system has no room for a process, or no descriptor."""


async def in_child(
    title: str, call: Callable[[], bytes], keep_fds: Iterable[int] = (), limit_s: float = 10.0
) -> bytes:
    """What call returns, run in a fork of this process. keep_fds: what it needs of the open descriptors.

    Raises NoRoomError, and FastdnsError where call fails, which the log tells, or takes longer than limit_s. The
    child is reaped by whoever reaps all children.
    """
    try:
        here, there = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise NoRoomError(f"{title}: no pipe can be created: {os.strerror(error.errno or 0)}") from None

    def main(channel: Channel) -> int:
        channel.close()
        # What is needed once may stay until the end of the process.
        gc.disable()
        os.set_blocking(there, True)
        result = call() + WHOLE
        while result:
            result = result[os.write(there, result) :]
        return 0

    try:
        pid, channel = fork_child(f"fastdns: {title}", main, {there, *keep_fds})
    except OSError as error:
        os.close(here)
        raise NoRoomError(f"{title}: no process can be started: {os.strerror(error.errno or 0)}") from None
    finally:
        os.close(there)
    channel.close()
    try:
        return await result_of(title, here, limit_s)
    except BaseException:
        # It lives as long as its end of the pipe is open, so the process with this id is still the child, if any.
        if not at_end(here):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        raise
    finally:
        os.close(here)


async def result_of(title: str, pipe: int, limit_s: float) -> bytes:
    """What a child writes. Raises FastdnsError."""
    loop = asyncio.get_running_loop()
    parts: list[bytes] = []
    size = 0
    ended: asyncio.Future[None] = loop.create_future()

    def on_readable() -> None:
        nonlocal size
        with contextlib.suppress(BlockingIOError):
            part = os.read(pipe, READ_BYTES)
            parts.append(part)
            size += len(part)
            if (not part or size > MAX_RESULT_BYTES) and not ended.done():
                ended.set_result(None)

    loop.add_reader(pipe, on_readable)
    try:
        async with asyncio.timeout(limit_s):
            await ended
    except TimeoutError:
        raise FastdnsError(f"{title}: no result within {limit_s:g} s") from None
    finally:
        loop.remove_reader(pipe)
    result = b"".join(parts)
    if not result.endswith(WHOLE):
        raise FastdnsError(f"{title}: no result; the log lines above show why")
    return result.removesuffix(WHOLE)


def at_end(pipe: int) -> bool:
    """Whether nobody writes to a pipe any more, and all is read."""
    try:
        while os.read(pipe, READ_BYTES):
            pass
    except OSError:
        return False
    return True
