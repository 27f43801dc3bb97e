"""Several endpoints of one service, of which one is followed at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import NoReturn

# Between rounds in which all have failed.
FIRST_WAIT_S = 0.2
MOST_WAIT_S = 5.0


async def follow_in_turn(
    endpoints: Sequence[str],
    follow: Callable[[str], Awaitable[None]],
    note: Callable[[str, Exception], None],
    errors: tuple[type[Exception], ...],
) -> NoReturn:
    """Follow one endpoint until it fails, then the next one, for ever.

    follow: returns, or raises one of errors, when the endpoint can be followed no more. note: is told which, and
    why. A round in which all have failed at once is followed by a wait, which grows.
    """
    wait_s = FIRST_WAIT_S
    at = 0
    while True:
        endpoint = endpoints[at % len(endpoints)]
        began_s = time.monotonic()
        try:
            await follow(endpoint)
        except errors as error:
            note(endpoint, error)
        at += 1
        if time.monotonic() - began_s > MOST_WAIT_S:
            wait_s = FIRST_WAIT_S
        if at % len(endpoints) == 0:
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, MOST_WAIT_S)


async def together(coroutines: Sequence[Coroutine[None, None, None]]) -> None:
    """Run all to their ends. Where one fails, the others are cancelled, and its error is raised.

    Unlike asyncio.TaskGroup it raises the error itself, and a cancellation is never lost to an error of the same
    moment, which it is with a TaskGroup of Python 3.11.
    """
    tasks = [asyncio.create_task(one) for one in coroutines]
    try:
        if tasks:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
