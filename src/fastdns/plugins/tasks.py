"""Runs steps in Python on a worker's event loop: a task for each query, bounded, timed, and cancelled at the end.

Requests come from the services of both threads (serve/python/_service.pxd). A task has as long as its query waits.
A task that does not end when it is cancelled still counts: while as many tasks as queries may wait have not ended,
further queries get SERVFAIL.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, cast

from fastdns.corefile.labels import server_name
from fastdns.dns.names import wire_name
from fastdns.errors import FastdnsError
from fastdns.plugins.python import MAX_DEPTH, NoReplyError, Request, Silence, TooDeepError, UnreadableError
from fastdns.serve.python._service import (
    ANSWERED,
    FAILED,
    LATE,
    PASSED,
    SILENT,
    TOO_MANY_TASKS,
    UNFIT,
    PythonService,
)
from fastdns.transports._slow import PARKED
from fastdns.transports.table import STREAM, TRANSPORTS

if TYPE_CHECKING:
    from fastdns.corefile.model import ServerConfig
    from fastdns.metrics._stats import Stats
    from fastdns.plugins.python import PythonStep
    from fastdns.serve._zones import ServerTable
    from fastdns.serve.python._service import Taken
    from fastdns.serve.python._step import HandOver

log = logging.getLogger("fastdns")

# Requests of one thread in one iteration of the loop: others have theirs in between, TCP clients among them.
TAKE_MOST = 32
# How long a result waits that finds the ring back full.
RETRY_S = 0.01
MAX_REPLY_BYTES = 65535
# How long tasks, and then each step, have at the end.
CLOSE_S = 0.5


class Tasks:
    """All steps in Python of one worker. Only for the thread of its loop.

    steps: each with the number of its block. ask: as SlowPath.ask. failed: told of the number of the listener and
    an exception of a step.
    """

    def __init__(
        self,
        config: ServerConfig,
        steps: Sequence[tuple[int, HandOver]],
        ask: Callable[..., object],
        failed: Callable[[int, BaseException], None],
    ) -> None:
        from dnslib import DNSRecord

        self.record = DNSRecord
        self.steps = [step for _, step in steps]
        for number, step in enumerate(self.steps):
            step.number = number
        self.servers = [server_name(listener) for listener in config.listeners]
        # By listener and step.
        self.zones = [[zones_of(listener.zones, block) for block, _ in steps] for listener in config.listeners]
        self.ask = ask
        self.failed = failed
        self.services: list[PythonService] = []
        self.running: set[asyncio.Task[None]] = set()
        # Services that were given results, and whose threads are to be woken.
        self.given: set[PythonService] = set()
        self.closed = False

    def service(self, stats: Stats, slot: int, room: int, tables: list[ServerTable]) -> PythonService:
        """What the queries of one thread wait for. room: at most so many."""
        service = PythonService(stats, slot, room, tables)
        self.services.append(service)
        return service

    async def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin. Raises FastdnsError where a step cannot start."""
        self.loop = loop
        self.most = sum(service.room for service in self.services)
        for step in self.steps:
            try:
                await of(step).start()
            except Exception as error:
                raise FastdnsError(f"plugin/{step.plugin}: its step cannot start: {error!r}") from error
        for service in self.services:
            loop.add_reader(service.request_fd, self.take, service)

    def take(self, service: PythonService) -> None:
        """Begin tasks for the queries of one thread."""
        taken = service.take_requests(TAKE_MOST)
        if len(taken) == TAKE_MOST:
            self.loop.call_soon(self.take, service)
        for one in taken:
            self.begin(service, one)

    def begin(self, service: PythonService, taken: Taken) -> None:
        """A task for one query."""
        ticket, number, message, client, port, transport, listener, entry, _, *where = taken[:12]
        local, left_s, values, handed = taken[12:]
        name_end, opt_at, opt_len = where
        if self.closed or left_s <= 0:
            self.give(service, ticket, LATE)
            return
        if len(self.running) >= self.most:
            self.give(service, ticket, TOO_MANY_TASKS)
            return
        stream = TRANSPORTS[transport].delivery == STREAM
        request = Request(
            message, client, port, stream, self.servers[listener], local, left_s,
            dict(zip(of(self.steps[number]).values, values, strict=False)), entry[2], self.zones[listener][number],
            name_end, (opt_at, opt_len), partial(self.send, taken), handed,
        )  # fmt: skip
        task = self.loop.create_task(self.run(service, ticket, self.steps[number], listener, request))
        self.running.add(task)
        timer = self.loop.call_later(left_s, task.cancel)
        task.add_done_callback(partial(self.ended, timer))

    def ended(self, timer: asyncio.TimerHandle, task: asyncio.Task[None]) -> None:
        """A task has ended."""
        timer.cancel()
        self.running.discard(task)

    async def run(
        self, service: PythonService, ticket: int, step: HandOver, listener: int, request: Request
    ) -> None:
        """What the task of one query does. It ends in one result, whatever the step does."""
        result, reply = FAILED, None
        try:
            result, reply = self.result(step, request, await of(step).serve(request))
        except Silence:
            result = SILENT
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                result = LATE
            else:
                self.failed(listener, error)
        except (NoReplyError, UnreadableError) as error:
            # What was asked has said nothing, or something malformed: it is no error of the step.
            log.debug("plugin/%s: %s", step.plugin, error)
            result = UNFIT
        except Exception as error:
            self.failed(listener, error)
        self.give(service, ticket, result, reply)

    def result(self, step: HandOver, request: Request, answer: object) -> tuple[int, bytes | None]:
        """What a step has returned, as a result, and the reply's bytes."""
        if answer is None:
            return PASSED, None
        if isinstance(answer, bytes):
            reply = answer
        elif isinstance(answer, self.record):
            try:
                reply = bytes(answer.pack())
            except Exception as error:
                return self.unfit(step, f"its step returned a record that cannot be packed: {error!r}")
        else:
            return self.unfit(step, f"its step returned {answer!r:.200}; expected a DNSRecord, bytes or None")
        if len(reply) > MAX_REPLY_BYTES:
            return self.unfit(step, f"its step returned {len(reply)} bytes; expected {MAX_REPLY_BYTES} at most")
        if not request.is_answered_by(reply):
            return self.unfit(step, "its step returned a record that is no reply to the question")
        return ANSWERED, reply

    def unfit(self, step: HandOver, why: str) -> tuple[int, None]:
        """Log that what a step has returned is no reply."""
        log.error("plugin/%s: %s", step.plugin, why)
        return UNFIT, None

    def give(self, service: PythonService, ticket: int, result: int, reply: bytes | None = None) -> None:
        """Give a result to the thread whose query it is."""
        if not service.give(ticket, result, reply):
            self.loop.call_later(RETRY_S, self.give, service, ticket, result, reply)
        elif service not in self.given:
            self.given.add(service)
            self.loop.call_soon(self.wake, service)

    def wake(self, service: PythonService) -> None:
        """Wake a thread for all that was given in this iteration of the loop."""
        self.given.discard(service)
        service.wake()

    async def send(self, taken: Taken, message: bytes | None) -> bytes | None:
        """Ask for the sake of a query: see Request.send. Raises TooDeepError."""
        _, _, own, client, port, transport, listener, entry, depth, *_ = taken
        if depth >= MAX_DEPTH:
            raise TooDeepError(f"a question inside of more than {MAX_DEPTH} others")
        future: asyncio.Future[bytes | None] = self.loop.create_future()
        reply = self.ask(
            listener, own if message is None else message, client, port, partial(settle, future),
            transport=transport, depth=depth + 1, entry=entry if message is None else None, local=taken[12],
        )  # fmt: skip
        if reply is PARKED:
            return await future
        assert reply is None or isinstance(reply, bytes)
        return reply

    def name(self, number: int) -> str:
        """The plugin of a step."""
        return self.steps[number].plugin if number < len(self.steps) else ""

    async def close(self) -> None:
        """Cancel what runs, and let steps close what they have."""
        self.closed = True
        for task in self.running:
            task.cancel()
        if self.running:
            await asyncio.wait(self.running, timeout=CLOSE_S)
        for step in self.steps:
            try:
                await asyncio.wait_for(of(step).close(), CLOSE_S)
            except Exception as error:
                log.error("plugin/%s: its step cannot close: %r", step.plugin, error)


def of(step: HandOver) -> PythonStep:
    """The step in Python that a native one stands for."""
    return cast("PythonStep", step.python)


def settle(future: asyncio.Future[bytes | None], reply: bytes | None) -> None:
    """A reply has come; perhaps nobody waits for it any more."""
    if not future.done():
        future.set_result(reply)


def zones_of(zones: Sequence[tuple[str, int]], block: int) -> tuple[tuple[bytes, str], ...]:
    """The zones of one block of a listener, in wire form and as text, the longest first."""
    found = [(wire_name(zone), zone) for zone, number in zones if number == block]
    return tuple(sorted(found, key=lambda one: -len(one[0])))
