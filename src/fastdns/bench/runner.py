"""Runs the generator in processes of its own, side by side, and watches their counters.

The processes are forked with the queries in their memory. Each counts in a mapping that this process reads while it
runs. They begin at one moment, and end with this process, whatever ends it.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from fastdns.bench._counts import COUNTS_BYTES, read_result
from fastdns.bench._counts import stop as stop_counting
from fastdns.bench._load import Load
from fastdns.bench._questions import Questions
from fastdns.bench.address import Server
from fastdns.bench.errors import BenchError
from fastdns.bench.result import Histogram, Interval, Result, merge, percentile_ns
from fastdns.bench.transport import CONNECTED, OVER_QUIC, OVER_TCP, PLAIN_HTTP, PLAIN_TLS, HttpOptions, TlsOptions
from fastdns.bench.tsig import TsigKey
from fastdns.children import die_with_parent

READY = b"+"
FAILED = b"-"
# Delay from the moment when all are ready to the common start.
START_NS = 10_000_000
WATCH_S = 0.2
# A host says within this time that nobody listens on a port.
PROBE_S = 0.3
MAX_WATCH_S = 1.0
# Number of intervals of a run of known length.
INTERVALS = 100
MAX_WINDOW = 16384
OPEN_LOOP_MORE = 100


@dataclass(frozen=True, slots=True)
class How:
    """How a server is asked.

    outstanding: at a time, over all clients; None: 100, and in the open loop what comes due within a timeout.
    clients: sockets or connections. rate: queries a second, 0 for the closed loop. seconds, count: when it ends,
    whichever is first; 0 for no such bound. local_port: of the first client, and the next ones have the next ports;
    0: any. tsig: the key that queries are signed with. verbose: a line for each query that has ended. cpus: of the
    generator's processes, in turn; empty for any.
    """

    seconds: float = 0.0
    count: int = 0
    outstanding: int | None = None
    clients: int = 16
    processes: int = 1
    timeout_s: float = 5.0
    rate: float = 0.0
    transport: str = "udp"
    tls: TlsOptions = PLAIN_TLS
    http: HttpOptions = PLAIN_HTTP
    family: int = socket.AF_UNSPEC
    local_address: str | None = None
    buffer_bytes: int = 0
    queries_per_connection: int = 0
    local_port: int = 0
    tsig: TsigKey | None = None
    verbose: bool = False
    cpus: tuple[int, ...] = ()

    @property
    def most_outstanding(self) -> int:
        """The largest number of outstanding queries."""
        if self.outstanding is not None:
            return self.outstanding
        if not self.rate:
            return 100
        return min(MAX_WINDOW * self.clients, int(self.rate * self.timeout_s) + OPEN_LOOP_MORE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run, its course, and whether it was ended early."""

    result: Result
    course: tuple[Interval, ...]
    interrupted: bool


def part(whole: int, number: int, parts: int) -> int:
    """The size of one of equal parts of a whole."""
    return whole // parts + (number < whole % parts)


def generator(transport: str) -> Callable[..., Any]:
    """The class of the generator over a transport. Raises BenchError where a package is missing."""
    if transport not in OVER_QUIC:
        return Load
    from fastdns.bench.quic import QuicLoad

    return QuicLoad


def before(whole: int, number: int, parts: int) -> int:
    """The sum of the parts before this one."""
    return sum(part(whole, one, parts) for one in range(number))


class Child:
    """One process of the generator."""

    def __init__(self, server: Server, questions: Questions, how: How, number: int) -> None:
        self.counters = mmap.mmap(-1, COUNTS_BYTES)
        self.said, said = os.pipe()
        begin, self.begin = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                os.close(self.said)
                os.close(self.begin)
                self._work(server, questions, how, number, said, begin, parent)
                code = 0
            except Exception:
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(said)
        os.close(begin)

    def _work(
        self, server: Server, questions: Questions, how: How, number: int, said: int, begin: int, parent: int
    ) -> None:
        """In the child: get ready, wait for the start, ask."""
        die_with_parent(parent)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            if how.cpus:
                os.sched_setaffinity(0, {how.cpus[number % len(how.cpus)]})
            load = generator(how.transport)(
                server.host,
                server.port,
                questions,
                outstanding=part(how.most_outstanding, number, how.processes),
                sockets=part(how.clients, number, how.processes),
                timeout_s=how.timeout_s,
                transport=how.transport,
                tls=how.tls.towards(how.http.host or server.host),
                http=how.http.towards(server),
                tsig=how.tsig,
                first_port=how.local_port and how.local_port + before(how.clients, number, how.processes),
                verbose=how.verbose,
                rate=how.rate,
                first=number,
                step=how.processes,
                family=how.family,
                local_address=how.local_address,
                buffer_bytes=how.buffer_bytes,
                queries_per_connection=how.queries_per_connection,
                counters=self.counters,
            )
        except (OSError, ValueError, BenchError) as error:
            os.write(said, FAILED + str(getattr(error, "strerror", None) or error).encode())
            return
        os.write(said, READY)
        word = os.read(begin, 8)
        # If the pipe is closed, the parent has ended.
        if len(word) == 8:
            load.run(
                seconds=how.seconds,
                count=part(how.count, number, how.processes),
                start_ns=int.from_bytes(word, "little"),
            )

    def wait_until_ready(self) -> None:
        """Wait until the child is ready. Raises BenchError with the reason if it cannot be."""
        word = os.read(self.said, 4096)
        if word[:1] != READY:
            raise BenchError(word[1:].decode() or self._how_it_ended())

    def start(self, at_ns: int) -> None:
        """Let the child begin at this moment of the monotonic clock."""
        os.write(self.begin, at_ns.to_bytes(8, "little"))

    def _how_it_ended(self) -> str:
        code = self.reap()
        why = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"a process of the generator has ended: {why}"

    def reap(self) -> int:
        """Wait for its end; returns the exit code, negative for a signal."""
        if self.pid:
            _, status = os.waitpid(self.pid, 0)
            self.pid = 0
            self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def check(self) -> None:
        """After its end: raises BenchError unless it ended in order."""
        if self.reap():
            raise BenchError(self._how_it_ended())

    def close(self) -> None:
        """End it if it runs, and free its resources here."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            self.reap()
        os.close(self.said)
        os.close(self.begin)
        self.counters.close()


class Watch:
    """Cuts a run into intervals while it goes on."""

    def __init__(self) -> None:
        self.intervals: list[Interval] = []
        # The end of each interval, and the counts then; the first is the start.
        self._marks: list[tuple[float, Result | None]] = [(0.0, None)]

    def end(self, now: Result, at_s: float, interval_s: float) -> Interval | None:
        """The last interval. What is left of one, at the end, is part of the interval before it.

        Returns what has happened since the last call; None if that is too little for a rate, and nothing was lost.
        """
        rest = self.add(now, at_s)
        if rest.length_s >= interval_s / 2 or len(self.intervals) < 2:
            return rest
        del self.intervals[-2:], self._marks[-2:]
        self.add(now, at_s)
        return rest if rest.lost else None

    def add(self, now: Result, at_s: float) -> Interval:
        """The interval since the last call. at_s: seconds from the start."""
        began_s, before = self._marks[-1]
        fresh = difference(now.histogram, before.histogram if before else ())
        interval = Interval(
            end_s=at_s,
            length_s=at_s - began_s,
            sent=now.sent - (before.sent if before else 0),
            answered=now.answered - (before.answered if before else 0),
            lost=now.lost - (before.lost if before else 0),
            p50_us=percentile_ns(fresh, 50) / 1000,
            p99_us=percentile_ns(fresh, 99) / 1000,
            max_us=percentile_ns(fresh, 100) / 1000,
        )
        self.intervals.append(interval)
        self._marks.append((at_s, now))
        return interval


def difference(now: Histogram, before: Histogram) -> Histogram:
    """The counts between two moments."""
    known = dict(before)
    return tuple((bucket, count - known.get(bucket, 0)) for bucket, count in now if count > known.get(bucket, 0))


Tell = Callable[[Result, Interval], None]


@contextlib.contextmanager
def interrupts() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM in the list that it yields; the second one raises KeyboardInterrupt."""
    seen: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        if len(seen) > 1:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield seen
        return
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(
    server: Server,
    questions: Questions,
    how: How,
    *,
    tell: Tell | None = None,
    interval_s: float | None = None,
    start: Callable[[], None] | None = None,
) -> Outcome:
    """Ask a server. tell: called with the progress at each interval. Raises BenchError if it cannot be asked.

    start: called when all connections are made, just before the first query. Ctrl-C ends the run at once; the
    outcome has the counts until then.
    """
    if interval_s is None:
        interval_s = min(MAX_WATCH_S, max(WATCH_S, how.seconds / INTERVALS))
    with interrupts() as seen, contextlib.ExitStack() as stack:
        children = []
        for number in range(how.processes):
            children.append(Child(server, questions, how, number))
            stack.callback(children[-1].close)
        for child in children:
            try:
                child.wait_until_ready()
            except BenchError as error:
                raise BenchError(f"{server}: {in_words(str(error), how.transport)}") from None
        if start is not None:
            start()
        begin_ns = time.monotonic_ns() + START_NS
        for child in children:
            child.start(begin_ns)
        watch = watch_until_end(children, begin_ns, interval_s, seen, tell, lambda: is_refused(server, how))
        for child in children:
            child.check()
        result = merge(read_result(child.counters) for child in children)
        return Outcome(result, tuple(watch.intervals), bool(seen))


def watch_until_end(
    children: list[Child],
    begin_ns: int,
    interval_s: float,
    seen: list[int],
    tell: Tell | None,
    refused: Callable[[], str],
) -> Watch:
    """Read the counters at each interval, until every process has closed its pipe.

    refused: says why nobody answers where it is known, else "". Raises BenchError with it.
    """
    watch = Watch()
    asked_why = False
    running = {child.said for child in children}
    due_s = interval_s
    stopped = False
    while running:
        now_s = (time.monotonic_ns() - begin_ns) / 1e9
        readable, _, _ = select.select(list(running), [], [], max(0.0, min(due_s - now_s, WATCH_S)))
        running -= {fd for fd in readable if not os.read(fd, 4096)}
        if seen and not stopped:
            stopped = True
            for child in children:
                stop_counting(child.counters)
        now_s = (time.monotonic_ns() - begin_ns) / 1e9
        if now_s < due_s and running and (asked_why or now_s < WATCH_S):
            continue
        now = merge(read_result(child.counters) for child in children)
        if not asked_why and now.sent:
            asked_why = True
            if now.errors and not now.answered and (why := refused()):
                raise BenchError(why)
        if now_s >= due_s or not running:
            interval = watch.add(now, now_s) if running else watch.end(now, now_s, interval_s)
            due_s = now_s + interval_s
            if tell and interval is not None:
                tell(now, interval)
    return watch


def in_words(reason: str, transport: str) -> str:
    """Why a server cannot be asked, and what that says of it."""
    if reason == os.strerror(errno.ECONNREFUSED):
        protocol = "TCP" if transport in OVER_TCP else "UDP"
        return f"connection refused: no program listens there over {protocol}"
    return reason


def is_refused(server: Server, how: How) -> str:
    """Why a server that has not answered over UDP cannot be asked: its host says that nobody listens; else ""."""
    if how.transport in CONNECTED:
        return ""
    for family, kind, protocol, _, address in socket.getaddrinfo(
        server.host, server.port, how.family, socket.SOCK_DGRAM
    ):
        with socket.socket(family, kind, protocol) as probe:
            probe.settimeout(PROBE_S)
            try:
                probe.connect(address)
                # No message at all: a server passes it over.
                probe.send(b"")
                probe.recv(1)
            except TimeoutError:
                return ""
            except OSError as error:
                return f"{server}: {in_words(error.strerror or str(error), how.transport)}"
    return ""
