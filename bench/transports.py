"""``python -m bench.transports``: what queries and connections cost a server over TCP, TLS, HTTPS and QUIC.

fastdns, CoreDNS, dnsdist, Unbound, Knot Resolver and BIND, each with one worker or one thread, answer one name from
what they have (``bench.listeners``). The generator of ``fastdns bench`` asks all of them. Parts:

- queries: CPU a query on connections that are there already, with one query outstanding on each and with four.
- connections: CPU of a connection with one query on it: with a full handshake, and with one that resumes a session.
- memory: what an idle connection that has had an answer adds to the PSS of a server that was started for it. What
  the kernel keeps for a socket is not in it. All of them have to answer again afterwards.
- generator: whether one core of the generator drives fastdns over TLS to its limit, with dnsperf by turns.

Each server and transport has its turn in each round. Ratios are of one round. CPU is what the scheduler counted for
all threads of the server's processes. At its limit a server is asked less often where a query costs it more, and
has fewer queries in each turn of its loop, which then cost more each: --qps has all transports be asked as often.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.certificates import write_certificate

from bench import dnsperf, versions
from bench.listeners import LISTENERS, NAME, OVER_TCP, SCHEMES, Job
from bench.servers import LeftOut, ready
from fastdns.bench import processes
from fastdns.bench._load import Load
from fastdns.bench._questions import Questions
from fastdns.bench.address import Server
from fastdns.bench.errors import BenchError
from fastdns.bench.exchange import query
from fastdns.bench.report import spread
from fastdns.bench.result import Result
from fastdns.bench.transport import PLAIN_HTTP, TlsOptions

# A server, a transport, and what was done.
Turn = tuple[str, str, str]
Rows = dict[Turn, list[float]]

PARTS = ("queries", "connections", "memory", "generator")
# Outstanding on each connection.
OUTSTANDING = (1, 4)
DRIVING = (4, 16)
WARM_S = 0.1
# Connections are made in groups, each from an address of its own: a handshake must not wait long for others.
GROUP = 50
# A server has had some connections before those whose memory is counted.
BEFORE = 10
# CoreDNS has room for 200 connections over QUIC.
MOST_IDLE = {("coredns", "doq"): 180}
# Connections that connect again for each query.
CONNECTING = 8
TIMEOUT_S = 10.0
SETTLE_S = 0.3


@dataclass(frozen=True, slots=True)
class Started:
    """A server that answers. ports: of the transports that do."""

    child: processes.Child
    ports: dict[str, int]


@dataclass(frozen=True, slots=True)
class Place:
    """The place of servers: programs by server, their files, the CPUs of servers. trees: environment by server."""

    programs: dict[str, str]
    trees: dict[str, dict[str, str]]
    folder: Path
    cpus: set[int]
    connections: int

    @contextlib.contextmanager
    def start(self, server: str, transports: Sequence[str]) -> Iterator[Started]:
        """A server that listens for all its transports, and answers on these. Raises LeftOut."""
        listener = LISTENERS.get(server, LISTENERS["fastdns"])
        home = self.folder / server
        home.mkdir(exist_ok=True)
        ports = {one: processes.free_port() for one in listener.transports}
        job = Job(self.programs[server], home, self.folder, ports, self.connections)
        setup = listener.setup(job)
        for file, text in setup.files.items():
            (home / file).write_text(text)
        environ = setup.environ | self.trees.get(server, {})
        with processes.Child(setup.words, cpus=self.cpus, log=home / "log", environ=environ) as child:
            try:
                ready(child, ports["tcp"], query(NAME))
            except (RuntimeError, TimeoutError) as error:
                raise LeftOut(f"it did not start: {error}") from error
            processes.pin(child.pid, self.cpus)
            yield Started(child, {one: port for one, port in ports.items() if one in transports})


def load(transport: str, port: int, connections: int, outstanding: int, **more: Any) -> Any:
    """A generator whose connections are made."""
    if transport != "tcp":
        more["tls"] = TlsOptions("localhost", resumes=more.pop("resumes", False))
    more["http"] = PLAIN_HTTP.towards(Server("127.0.0.1", port))
    questions = Questions([query(NAME)])
    more |= {"transport": transport, "sockets": connections, "outstanding": outstanding, "timeout_s": TIMEOUT_S}
    if transport in OVER_TCP:
        return Load("127.0.0.1", port, questions, **more)
    from fastdns.bench.quic import QuicLoad

    return QuicLoad("127.0.0.1", port, questions, **more)


def answered(result: Result) -> Result:
    """Raises LeftOut if it says that answers were not right, or that there were none."""
    if not result.answered or result.lost or result.stream_errors or result.rcodes[0] != result.answered:
        raise LeftOut(f"{result.answered} answered, {result.lost} lost, {result.stream_errors} refused, "
                      f"rcodes {result.rcodes[:6]}")  # fmt: skip
    return result


def probe(started: Started, transport: str) -> None:
    """Raises LeftOut if a transport does not answer."""
    try:
        one = load(transport, started.ports[transport], 1, 1)
        try:
            answered(one.run(count=1))
        finally:
            one.close()
    except (OSError, BenchError) as error:
        raise LeftOut(str(error)) from error


# -------------------------------------------------------------------------------------------------- the parts


def of_queries(started: Started, transport: str, each: int, how: argparse.Namespace) -> float:
    """Microseconds of the server's CPU a query, on connections that are there."""
    port = started.ports[transport]
    one = load(transport, port, how.connections, how.connections * each, rate=float(how.qps or 0))
    try:
        one.run(seconds=WARM_S)
        before = processes.cpu_ns(started.child.pid)
        result = answered(one.run(seconds=how.seconds))
        return (processes.cpu_ns(started.child.pid) - before) / 1000 / result.answered
    finally:
        one.close()


def of_connections(started: Started, transport: str, resumes: bool, how: argparse.Namespace) -> float:
    """Microseconds of the server's CPU for a connection with one query on it. Raises LeftOut if none resumes."""
    port = started.ports[transport]
    more = {} if transport == "tcp" else {"resumes": resumes}
    one = load(transport, port, CONNECTING, CONNECTING, queries_per_connection=1, **more)
    try:
        # The sessions that are resumed.
        one.run(count=2 * CONNECTING)
        before = processes.cpu_ns(started.child.pid)
        result = answered(one.run(seconds=how.seconds))
        used = processes.cpu_ns(started.child.pid) - before
    finally:
        one.close()
    if resumes and result.resumed < 0.9 * result.reconnects:
        raise LeftOut(f"{result.resumed} of {result.reconnects} sessions were resumed")
    return used / 1000 / max(1, result.reconnects)


def address(number: int) -> str:
    """A local address; 200 in a network."""
    return f"127.0.{1 + number // 200}.{1 + number % 200}"


def of_memory(started: Started, transport: str, count: int) -> float:
    """KiB of PSS that an idle connection adds. Raises LeftOut if one was closed, or if the PSS has not grown."""
    port = started.ports[transport]
    open_: list[tuple[Any, int]] = []
    try:
        first = load(transport, port, BEFORE, BEFORE)
        open_.append((first, BEFORE))
        answered(first.run(count=BEFORE))
        time.sleep(SETTLE_S)
        before = sum(processes.pss_kib(started.child.pid).values())
        for number in range(0, count, GROUP):
            size = min(GROUP, count - number)
            one = load(transport, port, size, size, local_address=address(number // GROUP))
            open_.append((one, size))
            answered(one.run(count=size))
        time.sleep(SETTLE_S)
        after = sum(processes.pss_kib(started.child.pid).values())
        closed = sum(answered(one.run(count=size)).reconnects for one, size in open_)
    finally:
        for one, _ in open_:
            one.close()
    if closed:
        raise LeftOut(f"{closed} of {count} idle connections were closed")
    if after <= before:
        raise LeftOut(f"it took {before - after} KiB less than before")
    return (after - before) / count


@dataclass(frozen=True, slots=True)
class Driven:
    """A generator against a server: answers, the seconds that they took, CPU seconds of both, the generator's word.

    busy: the part of the time in which the generator had something to do.
    """

    answered: int
    took_s: float
    server_s: float
    generator_s: float
    busy: float

    def figures(self) -> dict[str, float]:
        """What is shown."""
        return {
            "per_second": self.answered / self.took_s,
            "server_us": 1e6 * self.server_s / self.answered,
            "generator_us": 1e6 * self.generator_s / self.answered,
            "server_percent": 100 * self.server_s / self.took_s,
            "generator_percent": 100 * self.busy,
        }


def of_generator(started: Started, each: int, how: argparse.Namespace, file: Path) -> dict[str, Driven]:
    """Ours, and dnsperf's where it is there, over TLS, with so many outstanding on each connection.

    Of dnsperf, its start and its handshakes are in the figures.
    """
    port, pid = started.ports["dot"], started.child.pid
    one = load("dot", port, how.connections, each * how.connections)
    try:
        one.run(seconds=WARM_S)
        before = processes.cpu_ns(pid)
        result = answered(one.run(seconds=how.seconds))
        used_s = (processes.cpu_ns(pid) - before) / 1e9
    finally:
        one.close()
    ours = Driven(result.answered, result.elapsed_s, used_s, result.cpu_ns / 1e9, result.busy)
    done = {f"fastdns bench, {each} each": ours}
    if shutil.which("dnsperf"):
        words = [
            "dnsperf", "-s", "127.0.0.1", "-p", str(port), "-m", "dot", "-d", str(file), "-T", "1",
            "-l", str(max(1, round(how.seconds))), "-c", str(how.connections), "-q", str(each * how.connections),
        ]  # fmt: skip
        before, begun, mine = processes.cpu_ns(pid), time.monotonic(), children_s()
        said = subprocess.run(words, capture_output=True, text=True, check=True)
        took = time.monotonic() - begun
        used_s, its_s = (processes.cpu_ns(pid) - before) / 1e9, children_s() - mine
        figures = dnsperf.parse(said.stdout)
        done[f"dnsperf, {each} each"] = Driven(figures.answered, took, used_s, its_s, its_s / took)
    return done


def children_s() -> float:
    """CPU of children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


# ---------------------------------------------------------------------------------------------------- the run


def say(line: str) -> None:
    """Progress."""
    print(line, file=sys.stderr, flush=True)


def rounds(turns: list[tuple[Turn, Callable[[], float]]], count: int, left_out: dict[str, str]) -> Rows:
    """Each turn in each round. One that cannot be is left out from then on, with its reason."""
    rows: Rows = {}
    for number in range(count):
        say(f"round {number + 1} of {count}")
        at = number * len(turns) // count
        for turn, take in turns[at:] + turns[:at]:
            if " ".join(turn) in left_out:
                continue
            try:
                rows.setdefault(turn, []).append(take())
            except (LeftOut, OSError, BenchError) as error:
                left_out[" ".join(turn)] = str(error)
                rows.pop(turn, None)
    return rows


def in_rounds(started: dict[str, Started], how: argparse.Namespace, left_out: dict[str, str]) -> dict[str, Rows]:
    """Queries and connections."""
    made: dict[str, Rows] = {}
    pairs = [(server, transport) for server, one in started.items() for transport in one.ports]
    if "queries" in how.parts:
        turns = [
            (
                (server, transport, str(each)),
                lambda s=server, t=transport, e=each: of_queries(started[s], t, e, how),
            )
            for server, transport in pairs
            for each in OUTSTANDING
        ]
        made["queries"] = rounds(turns, how.rounds, left_out)
    if "connections" in how.parts:
        turns = [
            (
                (server, transport, "resumed" if resumes else "full"),
                lambda s=server, t=transport, r=resumes: of_connections(started[s], t, r, how),
            )
            for server, transport in pairs
            for resumes in (False, True)
            if transport != "tcp" or not resumes
        ]
        made["connections"] = rounds(turns, how.rounds, left_out)
    return made


def memory(place: Place, pairs: list[tuple[str, str]], how: argparse.Namespace, left_out: dict[str, str]) -> Rows:
    """Each server and transport, in a server of its own."""
    rows: Rows = {}
    for server, transport in pairs:
        say(f"memory: {server} {transport}")
        count = min(how.idle, MOST_IDLE.get((server, transport), how.idle))
        try:
            with place.start(server, [transport]) as started:
                rows[server, transport, f"{count} idle"] = [of_memory(started, transport, count)]
        except (LeftOut, OSError, BenchError) as error:
            left_out[f"{server} {transport} idle"] = str(error)
    return rows


def run(how: argparse.Namespace, folder: Path, place: Place, client: set[int]) -> dict[str, Any]:
    """The whole run."""
    left_out: dict[str, str] = {}
    report: dict[str, Any] = {"versions": found_versions(place), "left_out": left_out}
    queries = folder / "queries.txt"
    queries.write_text(f"{NAME} A\n")
    with contextlib.ExitStack() as stack:
        started: dict[str, Started] = {}
        for server in place.programs:
            if not place.programs[server]:
                left_out[server] = "not installed"
                continue
            try:
                one = stack.enter_context(place.start(server, how.transports))
            except LeftOut as error:
                left_out[server] = str(error)
                continue
            started[server] = one
            for transport in list(one.ports):
                try:
                    probe(one, transport)
                except LeftOut as error:
                    left_out[f"{server} {transport}"] = str(error)
                    del one.ports[transport]
        others = processes.OtherWork(place.cpus | client)
        report |= in_rounds(started, how, left_out)
        report["other_work_percent"] = others.percent()
        if "generator" in how.parts and "fastdns" in started and "dot" in started["fastdns"].ports:
            say("generator")
            turns = [
                {
                    name: driven
                    for each in DRIVING
                    for name, driven in of_generator(started["fastdns"], each, how, queries).items()
                }
                for _ in range(how.rounds)
            ]
            report["generator"] = {
                name: {
                    figure: spread([turn[name].figures()[figure] for turn in turns], 2)
                    for figure in turns[0][name].figures()
                }
                for name in turns[0]
            }
    if "memory" in how.parts:
        pairs = [(server, transport) for server, one in started.items() for transport in one.ports]
        report["memory"] = memory(place, pairs, how, left_out)
    return report


def found_versions(place: Place) -> dict[str, str]:
    """The versions of the servers and dnsperf, in their own words."""
    found = {
        server: versions.ask(LISTENERS[server].program, path)
        for server, path in place.programs.items()
        if path and server in LISTENERS and LISTENERS[server].program
    }
    if path := shutil.which("dnsperf"):
        found["dnsperf"] = versions.ask("dnsperf", path)
    return found


def options(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.transports", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    def words(known: Sequence[str]) -> Callable[[str], list[str]]:
        def parse(text: str) -> list[str]:
            given = text.split(",")
            if unknown := [word for word in given if word not in known]:
                raise argparse.ArgumentTypeError(f"some of {','.join(known)} expected, got {','.join(unknown)}")
            return given

        return parse

    transports = [one for one in SCHEMES if one in OVER_TCP or find_spec("qh3")]
    parser.add_argument("--servers", type=words(tuple(LISTENERS)), default=list(LISTENERS))
    parser.add_argument("--transports", type=words(transports), default=transports)
    parser.add_argument("--parts", type=words(PARTS), default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a turn")
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--idle", type=int, default=1000, help="idle connections; 180 at most of CoreDNS over QUIC")
    parser.add_argument("--qps", type=int, help="of each transport; default: what is answered")
    parser.add_argument("--coredns", default="coredns")
    parser.add_argument("--also", type=Path, help="another tree of fastdns with its extensions")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(argv)


def programs(how: argparse.Namespace) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """By server: its program, empty where it is not installed; and the environment of another tree."""
    ours = shlex.join([sys.executable, "-m", "fastdns"])
    found, trees = {}, {}
    for server in how.servers:
        program = how.coredns if server == "coredns" else LISTENERS[server].program
        found[server] = (shutil.which(program) or "") if program else ours
    if how.also:
        found["also"] = ours
        trees["also"] = {"PYTHONPATH": str(how.also.absolute() / "src")}
    return found, trees


def main(argv: Sequence[str] | None = None) -> None:
    how = options(argv)
    cpus = sorted(os.sched_getaffinity(0))
    server, client = {cpus[0]}, {cpus[-1]}
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.sched_setaffinity(0, client)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_certificate(folder)
        found, trees = programs(how)
        # Room for those before, those that are closed and not yet gone, and the probe.
        place = Place(found, trees, folder, server, max(how.idle, how.connections) + 500)
        report = run(how, folder, place, client)
    print(as_json(report) if how.json else "\n".join(lines(report)))


# --------------------------------------------------------------------------------------------------- the text


def ratio(rows: Rows, of: Turn, to: Turn) -> str:
    """The median, of rounds; empty where there is nothing to compare with."""
    if of == to or not all(rows.get(to, [0.0])):
        return ""
    return f"{spread([a / b for a, b in zip(rows[of], rows[to], strict=True)], 2)['median']:.2f}"


def in_words(figure: dict[str, float]) -> str:
    """Median (least-most)."""
    digits = 0 if figure["median"] >= 1000 else 1
    return f"{figure['median']:.{digits}f} ({figure['min']:.{digits}f}-{figure['max']:.{digits}f})"


UNITS = {"queries": "us a query", "connections": "us each", "memory": "KiB each"}


def lines(report: dict[str, Any]) -> Iterator[str]:
    """A line a server, transport and what was done. Ratios: to TCP, TLS and the full handshake, and to fastdns."""
    for part, unit in UNITS.items():
        if part not in report:
            continue
        rows: Rows = report[part]
        yield f"{part:15}{'over':6}{'each':>12}{unit:>24}{'x TCP':>8}{'x DoT':>8}{'x full':>8}{'x fastdns':>11}"
        for (server, transport, what), values in sorted(rows.items(), key=lambda row: (row[0][1:], row[1])):
            of = (server, transport, what)
            us = in_words(spread(values, 1))
            to = [(server, "tcp", what), (server, "dot", what), (server, transport, "full"), ("fastdns", *of[1:])]
            ratios = [ratio(rows, of, one) for one in to]
            yield (
                f"{server:15}{transport:6}{what:>12}{us:>24}"
                + "".join(f"{one:>8}" for one in ratios[:3])
                + (f"{ratios[3]:>11}")
            )
        yield ""
    if "generator" in report:
        columns = {"per_second": "answers a second", "server_us": "server, us", "generator_us": "its own us",
                   "server_percent": "server busy, %", "generator_percent": "itself busy, %"}  # fmt: skip
        yield f"{'over dot':24}" + "".join(f"{title:>24}" for title in columns.values())
        for name, figures in report["generator"].items():
            yield f"{name:24}" + "".join(f"{in_words(figures[column]):>24}" for column in columns)
        yield ""
    yield ", ".join(report["versions"].values())
    yield f"other work took {report['other_work_percent']}% of the CPUs"
    yield from (f"left out: {what}: {why}" for what, why in report["left_out"].items())


def as_json(report: dict[str, Any]) -> str:
    """The same for programs."""
    made = dict(report)
    for part in UNITS.keys() & report.keys():
        made[part] = [
            {"server": server, "transport": transport, "what": what, **spread(values, 2)}
            for (server, transport, what), values in report[part].items()
        ]
    return json.dumps(made, indent=2)


if __name__ == "__main__":
    main()
