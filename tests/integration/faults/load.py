"""Asks names whose addresses are known, at a steady rate, each once; in a process of its own.

    python -m tests.integration.faults.load --port 53 --rate 5000 --names 200

Query n asks for name n modulo the number of names (``name_of``, ``address_of``). It runs until stdin ends, then
waits for what is still due and prints one JSON object, a Report.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import select
import selectors
import socket
import struct
import sys
import time
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

import dns.message

from tests.integration.faults.sender import SenderProcess
from tests.support import service

SOCKETS = 32
TICK_S = 0.005
# A client that asks once waits as long as resolvers do at least.
LOST_S = 2.0
LATE_S = 0.1
MAX_REMEMBERED = 100_000


def name_of(number: int) -> str:
    """The nth name."""
    return f"s{number}.shop.svc.cluster.local."


def address_of(number: int) -> str:
    """The nth name's address."""
    return f"10.97.{number >> 8}.{number & 255}"


def manifests(count: int) -> str:
    """The Services of these names."""
    return "".join(service(f"s{number}", address_of(number)) for number in range(count))


@dataclass
class Report:
    """What came of the queries. Times are CLOCK_MONOTONIC, which all processes share."""

    sent: int = 0
    answered: int = 0
    wrong: int = 0
    late: int = 0
    too_late: int = 0           # of the lost: the right answer came after all
    skipped: int = 0            # not sent, for this process had no CPU
    # When those were sent that were lost, and what was wrong with the first few wrong ones.
    lost_at_s: list[float] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    longest_gap_s: float = 0.0  # between two answers
    worst_s: float = 0.0        # latency
    p99_s: float = 0.0

    @property
    def lost(self) -> int:
        """Queries without an answer."""
        return len(self.lost_at_s)

    def unsent(self) -> str:
        """What there was no CPU for, where there was none."""
        return f" ({self.skipped} not, for want of a CPU)" if self.skipped else ""

    def lost_between(self, begin_s: float, end_s: float) -> int:
        """Queries sent in a time that were lost."""
        return sum(begin_s <= at <= end_s for at in self.lost_at_s)

    def lost_outside(self, spans: Iterable[tuple[float, float]]) -> list[float]:
        """When those were sent that were lost at other times than these: begins and ends."""
        spans = list(spans)
        return [at for at in self.lost_at_s if not any(begin <= at <= end for begin, end in spans)]

    def healed_after(self, begin_s: float) -> float:
        """From a fault to the last query that was lost, in seconds; 0 where none was."""
        return max((at - begin_s for at in self.lost_at_s if at >= begin_s), default=0.0)

    def line(self, what: str, heal_s: float | None = None) -> str:
        """One line for people."""
        text = (
            f"{what}: {self.sent} sent{self.unsent()}, "
            f"{self.lost} lost ({self.too_late} of them answered after {LOST_S:.0f} s), "
            f"{self.wrong} wrong, {self.late} late (over {LATE_S * 1e3:.0f} ms; worst {self.worst_s * 1e3:.0f}; "
            f"p99 {self.p99_s * 1e3:.1f}), "
            f"longest silence {self.longest_gap_s:.3f} s"
        )
        return text if heal_s is None else f"{text}, healed after {heal_s:.2f} s"


class KnownAnswers(SenderProcess):
    """``with KnownAnswers(port) as load: ...``: the load while the block runs; ``load.report`` after it."""

    def __init__(self, port: int, rate: int = 5000, names: int = 200, host: str = "127.0.0.1") -> None:
        super().__init__("tests.integration.faults.load", host=host, port=port, rate=rate, names=names)
        self.report = Report()

    def take(self, out: str) -> None:
        self.report = Report(**json.loads(out))
        # Otherwise nothing lost of nothing sent would be as good.
        assert self.report.sent > self.report.skipped, "this machine has no CPU left to ask with"


class Sender:
    """The loop of the process."""

    def __init__(self, host: str, port: int, rate: int, names: int) -> None:
        self.rate = rate
        self.names = names
        self.queries = [dns.message.make_query(name_of(number), "A", id=0).to_wire()[2:] for number in range(names)]
        self.addresses = [socket.inet_aton(address_of(number)) for number in range(names)]
        self.selector = selectors.DefaultSelector()
        self.sockets = []
        # By socket: the number of the query that has an ID, and when it was due.
        self.waiting: list[dict[int, tuple[int, float]]] = [{} for _ in range(SOCKETS)]
        for index in range(SOCKETS):
            one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            one.connect((host, port))
            one.setblocking(False)
            self.selector.register(one, selectors.EVENT_READ, index)
            self.sockets.append(one)
        # Those that were given up.
        self.expired: list[dict[int, int]] = [{} for _ in range(SOCKETS)]
        self.report = Report()
        self.latencies = array("f")
        self.heard_s = 0.0

    def run(self) -> Report:
        """Until stdin ends."""
        begun = self.heard_s = time.monotonic()
        print("begun", flush=True)
        number = turn = 0
        while not select.select([sys.stdin], [], [], 0)[0]:
            now = time.monotonic()
            due = int((now - begun) * self.rate) - number
            if due > self.rate // 10:
                # This process has had no CPU. A burst would measure the buffers of sockets.
                begun += due / self.rate
                self.report.skipped += due
                self.heard_s = now
                due = 0
            if due > 0:
                self.send(turn % SOCKETS, number, due, now)
                number += due
                turn += 1
            self.receive(TICK_S)
            self.forget(time.monotonic())
        self.report.sent = number
        ends = time.monotonic() + LOST_S
        while any(self.waiting) and time.monotonic() < ends:
            self.receive(0.02)
        self.forget(ends + LOST_S)
        if self.latencies:
            self.report.p99_s = sorted(self.latencies)[len(self.latencies) * 99 // 100]
        return self.report

    def send(self, index: int, first: int, count: int, now: float) -> None:
        """Ask count names, from one socket."""
        for number in range(first, first + count):
            self.waiting[index][number & 0xFFFF] = (number % self.names, now)
            wire = struct.pack(">H", number & 0xFFFF) + self.queries[number % self.names]
            try:
                self.sockets[index].send(wire)
            except OSError:
                # What an earlier datagram has met with is said to this one: nobody listens (yet).
                with contextlib.suppress(OSError):
                    self.sockets[index].send(wire)

    def receive(self, limit_s: float) -> None:
        """Take what has come, and look at it."""
        for key, _ in self.selector.select(limit_s):
            with contextlib.suppress(OSError):
                while True:
                    self.look(key.data, self.sockets[key.data].recv(4096))

    def look(self, index: int, reply: bytes) -> None:
        """Compare an answer with what is known."""
        now = time.monotonic()
        number, flags = struct.unpack_from(">HH", reply)
        if number in self.waiting[index]:
            place, asked_s = self.waiting[index].pop(number)
            self.report.answered += 1
            self.report.longest_gap_s = max(self.report.longest_gap_s, now - self.heard_s)
            self.heard_s = now
            self.report.worst_s = max(self.report.worst_s, now - asked_s)
            self.latencies.append(now - asked_s)
            self.report.late += now - asked_s > LATE_S
        elif number in self.expired[index]:
            place = self.expired[index].pop(number)
            self.report.too_late += 1
        else:
            self.complain(f"an answer to no question, or a second one: {reply.hex()}")
            return
        question = self.queries[place]
        if flags & 0xF or reply[6:8] != b"\0\1" or reply[-4:] != self.addresses[place] or not reply.startswith(
            question[10:], 12
        ):
            self.complain(f"{name_of(place)}: {reply.hex()}")

    def complain(self, what: str) -> None:
        """One more answer is wrong."""
        self.report.wrong += 1
        if len(self.report.complaints) < 10:
            self.report.complaints.append(what)

    def forget(self, now: float) -> None:
        """What has no answer for LOST_S is lost."""
        for waiting, expired in zip(self.waiting, self.expired, strict=True):
            while waiting:
                number, (place, asked_s) = next(iter(waiting.items()))
                if now - asked_s < LOST_S:
                    break
                del waiting[number]
                expired[number] = place
                if len(self.report.lost_at_s) < MAX_REMEMBERED:
                    self.report.lost_at_s.append(asked_s)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=int, default=5000)
    parser.add_argument("--names", type=int, default=200)
    args = parser.parse_args()
    report = Sender(args.host, args.port, args.rate, args.names).run()
    json.dump(dataclasses.asdict(report), sys.stdout)


if __name__ == "__main__":
    main()
