"""Half an hour of everything at once: ``make soak``.

    python -m tests.integration.faults.soak --seconds 1800 --seed 1 --report build/soak.txt

A cluster of an API server that churns, an upstream for all other names, and a load of known answers of both, over
UDP and TCP. Meanwhile workers and the watcher are killed, Corefiles reloaded, good and broken, and the API server
fails in every way, each chosen by the seed. Each minute has a line: what was asked, lost and wrong, and what the
processes hold. It ends with a verdict, and with exit code 1 where a promise was broken.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dns.exception
import dns.message

from fastdns.bench.apiserver import namespace
from fastdns.bench.apiserver.process import Process
from fastdns.bench.processes import pss_kib
from tests.integration.faults.load import KnownAnswers, Report, address_of, name_of
from tests.integration.faults.support import NAMES
from tests.integration.faults.test_api_server import AT_REQUESTS, FAULTS, known
from tests.integration.faults.test_processes import BROKEN, WHOLE, kill
from tests.plugins.forward.engine.support import Asked, Upstream, a, response
from tests.support import COREFILE, Server, wait_until

MINUTE_S = 60.0
# Of 20,000 queries around a kill of a worker; the watcher's, a reload and a fault of the API server lose none.
LOST_A_KILL = 100
# When those were sent that a kill may lose, in seconds before and after it.
LOST_BEFORE_S, LOST_AFTER_S = 0.1, 1.0
FLAT = 1.05
ROLES = ("worker 1", "worker 2", "watcher")
WORLD = """\
.:DNS_PORT {
    bind 127.0.0.1
    errors
    cache 5
    forward . UPSTREAM {
        max_fails 0
    }
}
"""


def world_address(name: str) -> str:
    """The address of a name of the world: w7.example.org has 192.0.2.7."""
    return f"192.0.2.{name.split('.')[0].lstrip('w')}"


def world(asked: Asked) -> bytes:
    """What the upstream says."""
    return a(response(asked.message), world_address(asked.message.question[0].name.to_text()), ttl_s=3)


@dataclass
class Minute:
    """What came of one minute. Sizes in MiB; fds: of the supervisor, which lives as long as the server.

    killed_at_s: when workers were killed, by CLOCK_MONOTONIC.
    """

    report: Report
    events: Counter[str]
    killed_at_s: list[float]
    slowest_reload_s: float
    supervisor_mib: float
    total_mib: float
    fds: int
    processes: int

    def line(self, number: int) -> str:
        """For people."""
        happened = ", ".join(f"{count} {what}" for what, count in sorted(self.events.items()))
        return (
            f"{self.report.line(f'minute {number}')}; {self.total_mib:.1f} MiB in {self.processes} processes, "
            f"supervisor {self.supervisor_mib:.1f} MiB and {self.fds} descriptors; {happened} "
            f"(slowest {self.slowest_reload_s:.1f} s)"
        )


@dataclass
class Others:
    """Questions over TCP and to the upstream, one after the other; what is wrong with the answers."""

    fastdns: Server
    answered: int = 0
    failed: int = 0
    wrong: list[str] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        """Until done."""
        number = 0
        while not self.done.wait(0.01):
            number += 1
            tcp = number % 3 == 0
            if number % 2:
                name, wanted = name_of(number % NAMES), address_of(number % NAMES)
            else:
                name = f"w{number % 250 + 1}.example.org."
                wanted = world_address(name)
            try:
                reply = self.fastdns.query(name, tcp=tcp, timeout_s=3.0)
            except (OSError, EOFError, dns.exception.DNSException):
                # A process that was killed takes its connections with it.
                self.failed += 1
                continue
            self.answered += 1
            got = [str(data) for rrset in reply.answer for data in rrset]
            if got != [wanted]:
                self.wrong.append(f"{name} {'over TCP' if tcp else 'over UDP'}: {reply.rcode()} {got}")


class Soak:
    """The run. ``minutes`` holds what came of it."""

    def __init__(
        self, api: Process, fastdns: Server, corefile: tuple[str, str], chance: random.Random, rate: int
    ) -> None:
        self.api = api
        self.fastdns = fastdns
        self.cluster, self.world = corefile
        self.chance = chance
        self.rate = rate
        self.minutes: list[Minute] = []
        self.reloaded = self.refused = 0
        self.events: Counter[str] = Counter()
        self.killed_at_s: list[float] = []
        self.slowest_reload_s = 0.0

    def a_kill(self) -> None:
        """kill -9, and a successor."""
        role = self.chance.choice(ROLES)
        if role != "watcher":
            self.killed_at_s.append(time.monotonic())
        kill(self.fastdns, role)
        self.events["kills"] += 1

    def a_reload(self) -> None:
        """Another Corefile, which can be served."""
        cluster = self.chance.choice(WHOLE)(self.cluster)
        # A line of each query is a file too large to wait in.
        cluster = cluster.replace("    log\n", "    log {\n        class error\n    }\n")
        self.fastdns.write_corefile(cluster + self.world)
        self.reloaded += 1
        self.events["reloads"] += 1
        begun_s = time.monotonic()
        self.fastdns.send_signal(signal.SIGUSR1)
        self.fastdns.wait_for_log("Reloading complete", 60, self.reloaded)
        self.slowest_reload_s = max(self.slowest_reload_s, time.monotonic() - begun_s)
        # Kills need two workers, and three are no more.
        wait_until(lambda: len(self.fastdns.pids().workers) >= 2)

    def a_refused_reload(self) -> None:
        """Another Corefile, which cannot."""
        self.fastdns.write_corefile(self.chance.choice(BROKEN)(self.cluster + self.world))
        self.refused += 1
        self.events["broken reloads"] += 1
        self.fastdns.send_signal(signal.SIGUSR1)
        self.fastdns.wait_for_log("Restart failed: ", 60, self.refused)

    def a_fault(self) -> None:
        """The API server fails in one way, for a while."""
        fault, how = self.chance.choice(FAULTS)
        self.events["API server faults"] += 1
        self.api.fault(fault, **how)
        if fault in AT_REQUESTS:
            self.api.post("disconnect")
        time.sleep(self.chance.uniform(0.2, 2.0))
        self.api.clear()

    def another_cluster(self) -> None:
        """Restored from scratch."""
        self.events["other clusters"] += 1
        self.api.fault("refuse")
        self.api.post("replace", {"services": 200, "endpoints": 10, "seed": self.chance.randrange(1000)})
        self.api.post("put", [namespace("kube-system"), namespace("shop"), *known()])
        self.api.post("churn", {"per_second": 20, "seed": 1})
        self.api.clear()

    def one_minute(self) -> Minute:
        """Faults, one after the other; then a pause, in which all is weighed."""
        happens: list[tuple[int, Callable[[], None]]] = [
            (4, self.a_kill), (4, self.a_reload), (2, self.a_refused_reload), (3, self.a_fault),
            (1, self.another_cluster),
        ]  # fmt: skip
        self.events = Counter()
        self.killed_at_s = []
        self.slowest_reload_s = 0.0
        ends_s = time.monotonic() + MINUTE_S - 3.0
        with KnownAnswers(self.fastdns.port, self.rate, NAMES) as load:
            while time.monotonic() < ends_s:
                time.sleep(self.chance.uniform(0.5, 3.0))
                self.chance.choices([what for _, what in happens], [weight for weight, _ in happens])[0]()
            time.sleep(2.0)
        time.sleep(1.0)
        pid = self.fastdns.process.pid
        sizes = pss_kib(pid)
        return Minute(
            load.report, self.events, self.killed_at_s, self.slowest_reload_s, sizes[pid] / 1024,
            sum(sizes.values()) / 1024, sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()), len(sizes),
        )  # fmt: skip

    def later(self, third: int) -> tuple[list[Minute], list[Minute]]:
        """The minutes of the second and of the last third."""
        return self.minutes[-2 * third : -third], self.minutes[-third:]

    def verdict(self, others: Others) -> Iterator[str]:
        """What was promised and not kept."""
        wrong = sum(minute.report.wrong for minute in self.minutes)
        if wrong or others.wrong:
            complaints = [one for minute in self.minutes for one in minute.report.complaints]
            yield f"{wrong + len(others.wrong)} wrong answers: {[*complaints, *others.wrong][:10]}"
        for number, minute in enumerate(self.minutes, 1):
            killed = len(minute.killed_at_s)
            spans = [(at_s - LOST_BEFORE_S, at_s + LOST_AFTER_S) for at_s in minute.killed_at_s]
            if minute.report.lost > LOST_A_KILL * killed:
                yield f"minute {number}: {minute.report.lost} lost of {killed} kills of workers"
            if away := minute.report.lost_outside(spans):
                yield f"minute {number}: {len(away)} lost that no kill of a worker was near"
        killed = sum(len(minute.killed_at_s) for minute in self.minutes)
        # They ask one after the other: a kill ends at most one of them.
        if others.failed > killed:
            yield f"one by one: {others.failed} failed of {killed} kills of workers"
        # In the first third caches, tables and allocators fill up; what leaks grows in the others, too.
        third = len(self.minutes) // 3
        if not third:
            yield f"memory: {len(self.minutes)} minutes are too few to tell"
            return
        sizes: list[tuple[str, Callable[[Minute], float]]] = [
            ("all processes", lambda minute: minute.total_mib / minute.processes),
            ("the supervisor", lambda minute: minute.supervisor_mib),
        ]
        for whose, of in sizes:
            before, after = (statistics.median(map(of, part)) for part in self.later(third))
            if after > FLAT * before:
                yield f"memory of {whose} has grown from {before:.1f} to {after:.1f} MiB"
        before, after = (min(minute.fds for minute in part) for part in self.later(third))
        if after > before:
            yield f"descriptors of the supervisor have grown from {before} to {after}"


def soak(seconds: float, seed: int, rate: int, tell: Callable[[str], None]) -> bool:
    """Run, tell a line a minute, and the verdict. Returns whether every promise was kept."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        api = stack.enter_context(
            Process(services=200, endpoints=10, kubeconfig=folder / "kubeconfig", bookmark_every=1)
        )
        up = stack.enter_context(Upstream(world, tcp=world))
        api.post("put", [namespace("kube-system"), namespace("shop"), *known()])
        api.post("churn", {"per_second": 20, "seed": seed})
        corefile = (
            COREFILE.replace('manifests "MANIFESTS"', f'kubeconfig "{folder}/kubeconfig"'),
            WORLD.replace("UPSTREAM", up.to),
        )
        fastdns = stack.enter_context(Server(folder, "".join(corefile)))
        wait_until(lambda: fastdns.http("/ready")[0] == 200, 30)
        others = Others(fastdns)
        asking = threading.Thread(target=others.ask)
        run = Soak(api, fastdns, corefile, random.Random(seed), rate)
        tell(f"seed {seed}, {seconds:.0f} s, {rate} q/s")
        asking.start()
        try:
            ends_s = time.monotonic() + seconds
            while time.monotonic() < ends_s:
                run.minutes.append(run.one_minute())
                tell(run.minutes[-1].line(len(run.minutes)))
        except BaseException:
            tell(f"the log ends with:\n{fastdns.log[-5000:]}")
            raise
        finally:
            others.done.set()
            asking.join()
        tell(f"one by one over UDP and TCP: {others.answered} answered, {others.failed} failed")
        if "Traceback" in fastdns.log:
            tell(f"a traceback in the log:\n{fastdns.log[max(0, fastdns.log.index('Traceback') - 2000) :][:6000]}")
        broken = [*run.verdict(others), *(["a traceback in the log"] if "Traceback" in fastdns.log else [])]
        for one in broken:
            tell(f"BROKEN: {one}")
        if not broken:
            tell(f"every promise was kept for {len(run.minutes)} minutes")
        code = fastdns.stop()
        if code:
            tell(f"BROKEN: exit code {code} after SIGTERM")
        return not broken and code == 0


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Everything at once, for long.")
    parser.add_argument("--seconds", type=float, default=1800.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--rate", type=int, default=5000, help="known answers a second")
    parser.add_argument("--report", type=Path, help="a file for the lines")
    args = parser.parse_args()
    if args.report:
        args.report.parent.mkdir(exist_ok=True)
        args.report.write_text("")

    def tell(line: str) -> None:
        print(line, flush=True)
        if args.report:
            with args.report.open("a") as file:
                print(line, file=file)

    sys.exit(not soak(args.seconds, args.seed, args.rate, tell))


if __name__ == "__main__":
    main()
