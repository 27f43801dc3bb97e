"""Calls that may wait, beside an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

from fastdns.errors import FastdnsError

T = TypeVar("T")


async def in_thread(call: Callable[[], T]) -> T:
    """What call returns or raises, in a thread of its own, which is gone afterwards: forks like to find none.

    Unlike an executor's it does not delay the end of the process. Raises FastdnsError where the system has no room
    for a thread.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Callable[[], T]] = loop.create_future()

    def tell(outcome: Callable[[], T]) -> None:
        if not done.done():
            done.set_result(outcome)

    def run() -> None:
        try:
            result = call()
        except BaseException as error:
            outcome = raiser(error)
        else:
            outcome = lambda: result  # noqa: E731
        # The loop may have been closed meanwhile.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(tell, outcome)

    def raiser(error: BaseException) -> Callable[[], T]:
        def outcome() -> T:
            raise error

        return outcome

    thread = threading.Thread(target=run, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise FastdnsError(f"the system has no room for a thread: {error}") from None
    outcome = await done
    thread.join()
    return outcome()
