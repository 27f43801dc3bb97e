"""A worker process: the hot thread answers UDP, this thread's event loop TCP and everything that may wait.

It tells the supervisor ``ready`` once both listen, and ends after ``drain``: what its sockets hold is answered,
TCP connections finish what they have asked. A hot thread that ends by itself ends the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import uvloop

from fastdns._wire import error_reply
from fastdns.corefile.labels import server_name
from fastdns.corefile.model import ServerConfig
from fastdns.memory._store import Store
from fastdns.metrics._stats import Stats
from fastdns.plugins.api import InWorker, Runtime
from fastdns.plugins.order import used
from fastdns.plugins.steps import python_steps
from fastdns.process._sharing import give_back_zeros
from fastdns.process.assembly import Recovery, build_tables, limits_of, listener_limits_of, recovery_of, settings_of
from fastdns.process.descriptors import Files
from fastdns.process.leaving import answer_rest, leave
from fastdns.process.processes import Channel
from fastdns.process.sockets import TCP_BACKLOG, Pair
from fastdns.serve._suspend import NativeService
from fastdns.serve._worker import Worker
from fastdns.transports import Deliver, Serve
from fastdns.transports._slow import PARKED, SlowPath, serving
from fastdns.transports._sockets import Sockets
from fastdns.transports._udp import HotLoop
from fastdns.transports.accepting import Accepting
from fastdns.transports.clients import Clients
from fastdns.transports.kinds import KINDS
from fastdns.transports.table import TCP, UDP, Transport

if TYPE_CHECKING:
    from fastdns.plugins.tasks import Tasks
    from fastdns.process.quic import QuicListening
    from fastdns.servertls import ServerTls
    from fastdns.transports._proxies import Proxies
    from fastdns.transports.places import Places
    from fastdns.transports.stream import ClientStream
    from fastdns.transports.tls import Handshakes

log = logging.getLogger("fastdns")

BEAT_S = 0.25
# Who still waits for an upstream so long after a drain gets an error; connections are closed soon after it.
GIVE_UP_S = 3.8
# Over TCP and what it stands for so much less may be in flight than over UDP: this many times.
SLOW_PART = 4
# Where threads compete for CPUs, the slow one has a third of the hot one's weight (setpriority(2), sched(7)).
SLOW_NICE = 5
SERVFAIL = 2
# In the text of an error: the plugin of a step in Python.
STEP = "{step}"


@dataclass(frozen=True, slots=True)
class Slots:
    """A worker's places in the shared tables: one a thread, for its epoch and for its counters."""

    hot: int
    slow: int


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """All that a worker needs, made by the supervisor before the fork.

    pairs: the sockets of each listener, by its index. zone_slots: (server name, zone, view) to the slot of its
    counters. files: how many connections and sockets it may have. max_in_flight: this worker's part of the
    questions that may be in flight. max_python_queries: its part of the queries that steps in Python may work on.
    max_held_bytes: its part of what TCP connections may hold. workers: how many serve the configuration.
    """

    config: ServerConfig
    pairs: tuple[tuple[Pair, ...], ...]
    zone_slots: Mapping[tuple[str, str, str], int]
    runtime: Runtime
    store: Store
    stats: Stats
    slots: Slots
    files: Files
    max_held_bytes: int
    max_in_flight: int
    max_python_queries: int
    index: int
    generation: int
    workers: int
    log_lines_s: int


def give_way() -> None:
    """Let this thread, but none that there is already, come after others where there are not CPUs enough.

    Names of the cluster over UDP are served first, whatever there is to do over streams. The kernel weighs the
    threads of a container against each other only, so a busy neighbour does not come first for it.
    """
    thread = threading.get_native_id()
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + SLOW_NICE)


# What makes the connection of a socket that was accepted.
Connect = Callable[[], Any]


class WorkerProcess:
    """The running worker. run returns the exit code."""

    def __init__(self, plan: WorkerPlan, channel: Channel) -> None:
        self.plan = plan
        self.channel = channel
        self.settings = [settings_of(plan.config, listener) for listener in plan.config.listeners]
        # Of each listener.
        self.proxies = [one.proxied.proxies() if one.proxied is not None else None for one in self.settings]
        tables, self.steps = build_tables(plan.config, plan.runtime, plan.zone_slots)
        self.tables = tables
        self.tasks = self.python_tasks()
        self.hot_worker = hot_worker = Worker(tables[0], plan.store, plan.slots.hot, plan.stats, plan.slots.hot)
        self.slow_workers = [
            Worker(table, plan.store, plan.slots.slow, plan.stats, plan.slots.slow) for table in tables
        ]
        self.parts: dict[str, InWorker] = {}
        for plugin in used(plan.config):
            part = plugin.in_worker(self)
            if part is not None:
                self.parts[plugin.name] = part
        self.hot = HotLoop(
            hot_worker,
            [
                (pair.udp.fileno(), tables[index], pair.place.wildcard)
                for index, pairs in enumerate(plan.pairs)
                for pair in pairs
                if pair.udp is not None
            ],
            self.services(plan.slots.hot, plan.max_in_flight),
            self.newest_first(),
            self.proxied(),
        )
        room = max(1, plan.max_in_flight // SLOW_PART)
        self.slow = SlowPath(self.slow_workers, self.services(plan.slots.slow, room))
        self.slow_timer: asyncio.TimerHandle | None = None
        self.asking: asyncio.Handle | None = None
        self.recoveries = [
            recovery_of(server_name(listener), settings)
            for listener, settings in zip(plan.config.listeners, self.settings, strict=True)
        ]
        self.handshakes: Handshakes | None = None
        # By the index of a listener.
        self.places: dict[int, Places] = {}
        self.accepting: list[Accepting] = []
        self.quic: QuicListening | None = None
        self.left: list[socket.socket] = []
        self.done = asyncio.Event()
        self.hot_ended = asyncio.Event()
        self.code = 0
        self.crash: BaseException | None = None

    # What plugins may know: see plugins.api.WorkerView.

    @property
    def config(self) -> ServerConfig:
        """What is served."""
        return self.plan.config

    @property
    def index(self) -> int:
        """Among the workers of this generation."""
        return self.plan.index

    @property
    def runtime(self) -> Runtime:
        """What the workers of this generation share."""
        return self.plan.runtime

    @property
    def stats(self) -> Stats:
        """The counters."""
        return self.plan.stats

    @property
    def slow_slot(self) -> int:
        """Where this thread counts."""
        return self.plan.slots.slow

    @property
    def log_lines_s(self) -> int:
        """The most lines a second of each thread that a log of queries may have."""
        return self.plan.log_lines_s

    def allowed(self, name: str) -> int:
        """How many there may be of what a plugin has demanded."""
        return self.plan.files.allowed[name]

    def part(self, name: str) -> Any:
        """Another plugin's part of this worker."""
        return self.parts[name]

    def explain(self, text: str, slot: int) -> str:
        """Why a reply failed, as the log says it."""
        if STEP in text and self.tasks is not None:
            return text.replace(STEP, self.tasks.name(slot))
        return next(filter(None, (part.explain(text, slot) for part in self.parts.values())), text)

    def services(self, slot: int, room: int) -> list[NativeService]:
        """What queries of the thread with this slot wait for."""
        found = (part.service(slot, room) for part in self.parts.values())
        services = [one for one in found if one is not None]
        if self.tasks is not None:
            # As many on either thread: what steps ask goes by way of this one.
            plan = self.plan
            services.append(self.tasks.service(plan.stats, slot, plan.max_python_queries, self.tables))
        return services

    def newest_first(self) -> dict[int, int]:
        """The UDP sockets of which the newest queries come first, and where each counts what it drops for that."""
        counters = self.plan.runtime.first_counters
        return {
            pair.udp.fileno(): counters[settings.newest_first]
            for settings, pairs in zip(self.settings, self.plan.pairs, strict=True)
            if settings.newest_first is not None
            for pair in pairs
            if pair.udp is not None
        }

    def proxied(self) -> dict[int, tuple[Proxies, int]]:
        """The UDP sockets to which proxies send, and where each counts what it does not let in."""
        counters = self.plan.runtime.first_counters
        return {
            pair.udp.fileno(): (proxies, counters[settings.proxied.counters])
            for settings, proxies, pairs in zip(self.settings, self.proxies, self.plan.pairs, strict=True)
            if settings.proxied is not None and proxies is not None
            for pair in pairs
            if pair.udp is not None
        }

    def python_tasks(self) -> Tasks | None:
        """What runs the steps in Python, where there are any."""
        steps = python_steps(self.plan.config, self.steps)
        if not steps:
            return None
        from fastdns.plugins.tasks import Tasks

        return Tasks(self.plan.config, steps, self.ask_inside, self.step_failed)

    async def run(self) -> int:
        """Serve until drained. Raises what the debug plugin keeps from being recovered from."""
        loop = asyncio.get_running_loop()
        self.clients = Clients(
            loop, self.plan.files.clients, self.plan.stats, self.plan.slots.slow, self.plan.max_held_bytes
        )
        if self.tasks is not None:
            await self.tasks.start(loop)
        self.listen(loop)
        thread = threading.Thread(target=self.run_hot, args=(loop,), name="hot", daemon=True)
        give_back_zeros()
        thread.start()
        give_way()
        loop.add_reader(self.channel.fileno(), self.on_message)
        if self.slow.may_wait:
            loop.add_reader(self.slow.fd, self.slow.process)
        tasks = [loop.create_task(self.beat())]
        for part in self.parts.values():
            tasks += part.start(loop)
        self.channel.send(ready=True)
        await self.done.wait()
        if self.crash is None:
            await self.drain()
        for task in tasks:
            task.cancel()
        if self.tasks is not None:
            await self.tasks.close()
        for part in self.parts.values():
            part.beat(last=True)
        for part in self.parts.values():
            part.close()
        if self.crash is not None:
            raise self.crash
        return self.code

    def tell_skipped(self, file: str, lines: int) -> None:
        """Lines of a file that cannot be used, which all workers find: the first tells of them."""
        self.channel.send(skipped={file: lines})

    def run_hot(self, loop: asyncio.AbstractEventLoop) -> None:
        """The hot thread."""
        try:
            self.hot.run()
        finally:
            # Where something else has ended this process there may be no loop any more.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self.hot_ended.set)
            if not self.done.is_set():
                log.error("the UDP thread ended unexpectedly; this worker ends and is replaced")
                self.code = 1
                loop.call_soon_threadsafe(self.done.set)

    def listeners(self) -> Iterator[tuple[socket.socket, Connect]]:
        """The sockets that accept, and what makes a connection of each."""
        for index, pairs in enumerate(self.plan.pairs):
            limits = limits_of(self.settings[index])
            for pair in pairs:
                if pair.stream.proto == "udp":
                    continue
                serve = self.serve_at(index, pair.stream, b"")
                serve_at = partial(self.serve_at, index, pair.stream) if pair.place.wildcard else None
                plain = partial(self.connection(index, pair.stream), serve, limits, self.clients, serve_at)
                connect: Callable[..., Any] = plain
                files = self.settings[index].tls
                if pair.stream.alpn and files is not None:
                    connect = self.encrypted(plain, files, pair.stream.alpn)
                proxies = self.proxies[index]
                if proxies is not None:
                    from fastdns.transports.proxied import ProxiedConnection

                    connect = partial(ProxiedConnection, connect, proxies, limits, self.clients)
                yield pair.tcp, connect

    def connection(self, index: int, stream: Transport) -> Callable[..., ClientStream]:
        """What makes the connections of a transport to a listener."""
        made = KINDS[stream.scheme].connection()
        limits = listener_limits_of(self.settings[index], stream.scheme)
        if limits is None:
            return made
        places = self.places_of(index, limits.max_connections)
        return partial(made, count=self.counter(index, stream), places=places, max_streams=limits.max_streams)

    def counter(self, index: int, stream: Transport) -> Callable[[int], object]:
        """What counts the responses of a listener, where they are counted."""
        if not (self.settings[index].counted and KINDS[stream.scheme].statuses):
            return lambda status: None
        from fastdns.metrics.responses import responses

        return responses().counter(stream.scheme, server_name(self.plan.config.listeners[index]))

    def places_of(self, index: int, most: int) -> Places:
        """The connections that a listener may have in this worker, however many sockets it has."""
        from fastdns.transports.places import Places

        if index not in self.places:
            # Rounded up: no worker has none.
            self.places[index] = Places(-(-most // self.plan.workers))
        return self.places[index]

    def encrypted(
        self, connect: Callable[..., ClientStream], files: ServerTls, alpn: tuple[str, ...]
    ) -> Callable[..., Any]:
        """What makes connections with TLS around those of connect."""
        from fastdns.metrics.handshakes import handshakes
        from fastdns.servertls import served
        from fastdns.transports._openssl import may_use
        from fastdns.transports._tls import TlsLayer
        from fastdns.transports.tls import Handshakes, TlsConnection

        if self.handshakes is None:
            self.handshakes = Handshakes(asyncio.get_running_loop(), handshakes())
        certificates = served(files, alpn)
        certificates.accept()
        layer = TlsLayer if may_use(certificates.context) else TlsConnection
        return partial(layer, connect, lambda: certificates.context, self.handshakes)

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Accept connections on this worker's listeners."""
        self.sockets = Sockets(loop, self.clients.turns)
        self.accepting = [
            Accepting(loop, self.sockets, listener, connect, TCP_BACKLOG) for listener, connect in self.listeners()
        ]
        for index, pairs in enumerate(self.plan.pairs):
            for pair in pairs:
                if pair.stream.proto == "udp":
                    self.listen_quic(index, pair)

    def listen_quic(self, index: int, pair: Pair) -> None:
        """Take connections over QUIC at one place of a listener."""
        if self.quic is None:
            from fastdns.process.quic import QuicListening
            from fastdns.transports.quic_ids import Owner

            self.quic = QuicListening(Owner(self.plan.index, self.plan.generation & 0xFFFF), self.plan.workers)
        self.quic.listen(
            index, pair.tcp, pair.stream, self.settings[index], self.clients,
            partial(self.serve_at, index, pair.stream), self.counter(index, pair.stream), self.proxies[index],
        )  # fmt: skip

    def stop_listening(self) -> None:
        """Accept no more; who has connected is served."""
        for accepting in self.accepting:
            accepting.close(TCP_BACKLOG)
        if self.quic is not None:
            self.quic.stop()

    def serve(
        self, index: int, message: bytes, client: bytes, client_port: int, deliver: Deliver,
        *, transport: Transport = TCP, local: bytes = b"",
    ) -> object:
        """One message to a listener, outside the hot thread. What goes wrong with it costs no other one.

        Returns the reply, None for silence, or PARKED: then deliver gets either of these later. local: of a
        listener on every address, the one that the message came to; empty where it is not known.
        """
        try:
            reply = self.slow.serve(
                index, message, client, client_port, deliver, transport=transport.number, local=local
            )
        except Exception as error:
            return self.recover(self.recoveries[index], message, error, transport)
        if reply is PARKED or (self.slow_timer is None and self.slow.in_flight):
            self.ask_soon()
        return reply

    def serve_at(self, index: int, transport: Transport, local: bytes) -> Serve:
        """What serves the messages of a connection. local: of a listener on every address, the one it came to."""
        serve = partial(self.serve, index, transport=transport, local=local)
        return serving(self.slow, index, transport.number, serve, self.ask_soon, local)

    def serve_datagrams(self, index: int) -> Callable[..., object]:
        """What serves messages that lie in a UDP socket of a listener, outside the hot thread."""
        serve = partial(self.serve, index, transport=UDP)
        proxied = self.settings[index].proxied
        if proxied is None:
            return serve
        from fastdns.transports.proxied import behind

        # Of its own: sessions are the hot thread's.
        return behind(proxied.proxies(), serve)

    def ask_inside(
        self, listener: int, message: bytes, client: bytes, client_port: int, deliver: Deliver, *, transport: int,
        depth: int, entry: tuple[int, int, int] | None, local: bytes,
    ) -> object:  # fmt: skip
        """What a step in Python asks: see SlowPath.ask."""
        reply = self.slow.ask(
            listener, message, client, client_port, deliver, transport=transport, depth=depth, entry=entry,
            local=local,
        )
        if reply is PARKED or (self.slow_timer is None and self.slow.in_flight):
            self.ask_soon()
        return reply

    def step_failed(self, listener: int, error: BaseException) -> None:
        """A step in Python has raised an exception. Where its query is answered it is counted."""
        self.recovered(self.recoveries[listener], error)

    def ask_soon(self) -> None:
        """Send what has come together in this turn of the loop to upstreams. Not at once: whoever serves a message
        is not ready yet for what may be delivered then."""
        if self.asking is None:
            self.asking = asyncio.get_running_loop().call_soon(self.ask)

    def ask(self) -> None:
        """Send it, and let the clock run."""
        self.asking = None
        self.slow.flush()
        if self.slow_timer is None and self.slow.in_flight:
            self.keep_time()

    def keep_time(self) -> None:
        """Let the slow thread's table see the clock for as long as questions are in flight."""
        again_s = self.slow.tick()
        self.slow_timer = None
        self.slow.timed = again_s is not None
        if again_s is not None:
            self.slow_timer = asyncio.get_running_loop().call_later(again_s, self.keep_time)

    def recover(self, recovery: Recovery, message: bytes, error: Exception, transport: Transport) -> bytes | None:
        """The reply to a message that could not be answered for an error of ours."""
        if not self.recovered(recovery, error):
            return None
        self.plan.stats.count_panic(self.plan.slots.slow)
        return error_reply(message, SERVFAIL, transport.max_reply_bytes)

    def recovered(self, recovery: Recovery, error: BaseException) -> bool:
        """Log an error of ours, and go on; False where the worker is to end instead."""
        if recovery.debug:
            self.crash = error
            self.done.set()
            return False
        trace = error if recovery.stacktrace else None
        log.error('Recovered from panic in server: "%s" %r', recovery.server, error, exc_info=trace)
        return True

    def on_message(self) -> None:
        """The supervisor has said something, or is gone."""
        messages = self.channel.receive()
        for message in messages or []:
            if "rest" in message and "fds" in message:
                # Of a reload that has failed: who was to read this socket never came.
                udp = socket.socket(fileno=message["fds"][0])
                answer_rest(self.serve_datagrams(message["rest"]), udp, udp)
                # Queries that wait for an upstream keep it.
                del udp
        if messages is None or any("drain" in message for message in messages):
            self.done.set()

    async def beat(self) -> None:
        """Say that this thread lives, and let time pass for the plugins."""
        while True:
            self.plan.stats.beat(self.plan.slots.slow, time.monotonic_ns())
            if self.handshakes is not None or self.quic is not None:
                from fastdns.servertls import look_for_changes

                look_for_changes()
            for part in self.parts.values():
                part.beat(last=False)
            await asyncio.sleep(BEAT_S)

    async def drain(self) -> None:
        """Finish what has been asked. The supervisor's patience ends it otherwise."""
        self.hot.stop()
        self.stop_listening()
        self.clients.drain()
        asyncio.get_running_loop().call_later(GIVE_UP_S, self.slow.give_up)
        await self.hot_ended.wait()
        for index, pairs in enumerate(self.plan.pairs):
            for pair in pairs:
                if pair.udp is None:
                    continue
                sender = leave(self.serve_datagrams(index), pair.udp, self.slow.may_wait)
                if sender is not None:
                    self.left.append(sender)
        while self.clients.busy or self.slow.waits or (self.quic is not None and self.quic.busy):
            await asyncio.sleep(0.02)
        for part in self.parts.values():
            await part.drain()


def worker_main(plan: WorkerPlan, channel: Channel) -> int:
    """The body of a worker process; returns its exit code."""

    async def body() -> int:
        return await WorkerProcess(plan, channel).run()

    return uvloop.run(body())
