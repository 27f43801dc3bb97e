"""``python -m bench.compare``: all installed servers, side by side, in one run."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench import dnsperf, population, results, rounds, versions
from bench.configs import AUTHORITY, CACHED, SERVERS, UPSTREAM_ZONE, Task
from bench.plugin_lines import LINES
from bench.rounds import How
from bench.scenarios import SCENARIOS, SOCKETS, Scenario
from bench.servers import LeftOut, Peer, Place, find
from fastdns.bench import processes

Say = Callable[[str], None]
DNSPERF_ROUNDS = 5
DNSPERF_QPS = 5000
# Each plugin beside kubernetes alone, and all of them together: what a word of --servers stands for.
PLUGINS = "plugins"
USUAL = [name for name, server in SERVERS.items() if server.usual]


def names_of(known: Sequence[str]) -> Callable[[str], list[str]]:
    """Names of a list, with commas between. "plugins" stands for the servers that show what plugins cost."""

    def parse(words: str) -> list[str]:
        names = [name for name in words.split(",") if name]
        if PLUGINS in names and "fastdns+none" in known:
            at = names.index(PLUGINS)
            names[at : at + 1] = ["fastdns+none", *(f"fastdns+{name}" for name in LINES), "fastdns+all"]
        wrong = [name for name in names if name not in known]
        if wrong or not names:
            raise argparse.ArgumentTypeError(f"of {', '.join(known)} expected, got {words!r}")
        return names

    return parse


def build(words: str) -> tuple[str, str]:
    """A name and the command of that build of fastdns, from NAME=COMMAND."""
    name, equals, command = words.partition("=")
    if not name or not equals or not command or name in SERVERS:
        raise argparse.ArgumentTypeError(f"NAME=COMMAND with a new name expected, got {words!r}")
    return name, command


def workers(words: str) -> list[int]:
    """Numbers of workers, with commas between."""
    try:
        counts = [int(word) for word in words.split(",")]
    except ValueError:
        counts = [0]
    if min(counts) < 1:
        raise argparse.ArgumentTypeError(f"numbers of workers such as 1,2 expected, got {words!r}")
    return counts


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("--scenarios", type=names_of([*SCENARIOS]), default=[*SCENARIOS], help=",".join(SCENARIOS))
    parser.add_argument(
        "--servers", type=names_of([*SERVERS]), default=USUAL, help=f"{','.join(SERVERS)}; or {PLUGINS}: the last"
    )
    parser.add_argument(
        "--reference", choices=[*SERVERS], metavar="SERVER",
        help="CPU of the others is also compared with this one's",
    )  # fmt: skip
    parser.add_argument("--workers", type=workers, default=[1, 2], help="cores and workers (default 1,2)")
    parser.add_argument("--names", type=int, default=10000, help="services with an address; names of the upstream")
    parser.add_argument("--endpoints", type=int, default=10, help="of a headless service")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="of one measurement")
    parser.add_argument("--outstanding", type=int, help="instead of each scenario's own")
    parser.add_argument("--sockets", type=int, help="instead of each scenario's own")
    parser.add_argument("--command", default=f"{sys.executable} -m fastdns.cli", help="how fastdns is called")
    parser.add_argument(
        "--also", action="append", default=[], type=build, metavar="NAME=COMMAND", help="another build as a peer"
    )
    parser.add_argument("--coredns", default="coredns", metavar="PATH", help="CoreDNS's program")
    parser.add_argument("--no-dnsperf", action="store_true", help="leave out the check of the generator")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--save", type=Path, metavar="FILE", help="the report as JSON, too")
    parser.add_argument("--write", action="store_true", help=f"a section of {results.FILE}, and {results.PLOT}")
    how = parser.parse_args(arguments)
    if how.write and ("hit" not in how.scenarios or 1 not in how.workers):
        parser.error("--write is of a run that has hit and one worker")
    return how


def cpus_for(count: int, available: Sequence[int]) -> tuple[set[int], set[int]]:
    """CPUs of the servers and of the generator: other CPUs if there are enough, else the servers' last one."""
    servers = set(available[:count])
    rest = set(available[count:])
    return servers, rest or {available[-1]}


class Stage:
    """The started servers of one role and one number of workers, and their queries."""

    def __init__(self, how: argparse.Namespace, role: str, count: int, stack: contextlib.ExitStack) -> None:
        self.how = how
        self.role = role
        self.count = count
        self.directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fastdns-bench-")))
        available = sorted(os.sched_getaffinity(0))
        self.server_cpus, self.client_cpus = cpus_for(count, available)
        self.place = Place(stack, self.directory, self.server_cpus)
        self.upstream: Peer | None = None
        self.left_out: dict[str, str] = {}
        self.mixes: dict[str, list[bytes]] = {}
        self.warm: set[str] = set()
        if role == AUTHORITY:
            self.write_cluster()
        else:
            self.start_upstream(stack)
        os.sched_setaffinity(0, self.client_cpus)
        # Restore the affinity of this process, which later children inherit.
        stack.callback(os.sched_setaffinity, 0, set(available))
        self.peers = self.start_peers()

    def write_cluster(self) -> None:
        """The cluster in the form that each server reads."""
        made = population.services(self.how.names, self.how.endpoints)
        task = self.task("", 0)
        population.write_manifests(task.manifests, made)
        population.write_zone(task.zone_file, made)
        population.write_local_data(task.local_data, made)
        self.mixes = {mix.name: mix.queries for mix in population.mixes(made)}
        self.first = self.mixes["hit"][0]

    def start_upstream(self, stack: contextlib.ExitStack) -> None:
        """Knot DNS on the generator's CPU, with names that are not the cluster's."""
        made = population.hosts(self.how.names)
        self.mixes = {"": population.asks_for(made)}
        self.first = self.mixes[""][0]
        program = shutil.which("knotd")
        if program is None:
            raise LeftOut("no upstream: Knot DNS is not installed (apt-get install knot)")
        port = processes.free_port()
        task = Task(program, AUTHORITY, self.directory, port, 1, self.how.names, zone=UPSTREAM_ZONE)
        population.write_outside(task.zone_file, made)
        beside = Place(stack, self.directory, self.client_cpus)
        self.upstream = beside.start("upstream", SERVERS["knot"], task, self.first)

    def task(self, program: str, port: int) -> Task:
        """The task of a server of this stage."""
        upstream = self.upstream.port if self.upstream else 0
        return Task(program, self.role, self.directory, port, self.count, self.how.names, upstream)

    def start_peers(self) -> list[Peer]:
        """The servers that can take part. The others are left out, with their names and reasons."""
        peers = []
        servers = [(name, SERVERS[name], self.how.command) for name in self.how.servers]
        servers += [(name, SERVERS["fastdns"], command) for name, command in self.how.also]
        for name, server, command in servers:
            program = find(server, command, self.how.coredns)
            try:
                peer = self.place.start(name, server, self.task(program, processes.free_port()), self.first)
            except LeftOut as reason:
                self.left_out[name] = str(reason)
                continue
            peers += [peer] if peer is not None else []
        if not peers:
            raise LeftOut(f"no server: {self.left_out}")
        return peers

    def run(self, scenario: Scenario, say: Say) -> dict[str, Any]:
        """All rounds of a scenario."""
        queries = self.mixes[scenario.mix]
        if scenario.role == AUTHORITY and scenario.mix not in self.warm:
            self.warm.add(scenario.mix)
            for peer in self.peers:
                rounds.warm_up(peer, queries)
        others = processes.OtherWork(self.server_cpus | self.client_cpus)
        sampled = {peer.name: rounds.answers_of(peer.port, queries, peer.name) for peer in self.peers}
        extra, rcodes = sampled.get("fastdns") or next(iter(sampled.values()))
        peers = list(self.peers)
        how = How(
            self.how.seconds,
            self.how.rounds,
            self.how.outstanding or scenario.outstanding,
            self.how.sockets or scenario.sockets,
            tcp=scenario.tcp,
            # All names are in the caches before a turn begins.
            warm=len(queries) if scenario.role == CACHED else 0,
            lost_s=scenario.lost_s,
        )
        if scenario.echo:
            echo = self.place.start_echo(scenario.name, extra, self.count, queries[0])
            peers.append(echo)
            if scenario.half_rate:
                how = at_half_rate(how, echo, queries)
        title = f"{scenario.name}, {self.count} worker{'s' if self.count > 1 else ''}"
        references = (*scenario.references, *([self.how.reference] if self.how.reference else []))
        rows = rounds.run(how, title, peers, queries, references, say, self.upstream)
        return {
            "says": scenario.says,
            "answer_minus_query_bytes": extra,
            "outstanding": how.outstanding,
            "sockets": how.sockets,
            "rate": round(how.rate),
            "rcodes": dict(rcodes),
            # A server whose answers differ from the others' does different work.
            "other_rcodes": {name: dict(seen) for name, (_, seen) in sampled.items() if seen != rcodes},
            "other_work_percent": others.percent(),
            "figures": {name: rounds.figures(series) for name, series in rows.items()},
        }


def at_half_rate(how: How, echo: Peer, queries: list[bytes]) -> How:
    """The scenario at half of the rate that the echo answers in a closed loop, as a median of three."""
    closed = How(how.seconds, 3, 256, SOCKETS)
    load = closed.load(echo.port, queries)
    limit = statistics.median(load.run(seconds=closed.seconds).per_second for _ in range(closed.rounds))
    load.close()
    return How(how.seconds, how.rounds, how.outstanding, how.sockets, rate=limit / 2, lost_s=how.lost_s)


def check_generator(stage: Stage, say: Say) -> dict[str, Any] | None:
    """dnsperf and our generator on the same server, at the same rate; None if dnsperf is not installed."""
    program = shutil.which("dnsperf")
    if program is None or stage.how.no_dnsperf:
        return None
    peer = next((peer for peer in stage.peers if peer.name == "knot"), stage.peers[0])
    say(f"dnsperf and our generator ask {peer.name}")
    how = How(max(1.0, stage.how.seconds), DNSPERF_ROUNDS, 100, SOCKETS, rate=DNSPERF_QPS, lost_s=1.0)
    return dnsperf.check(program, peer, stage.mixes["hit"], how, stage.directory)


def run(how: argparse.Namespace, say: Say) -> dict[str, Any]:
    """The whole run; returns what --json prints."""
    commit = versions.commit()
    left_out: dict[str, str] = {}
    counts: dict[str, Any] = {}
    checked = None
    scenarios = [SCENARIOS[name] for name in how.scenarios]
    for count in how.workers:
        done: dict[str, Any] = {}
        for role in dict.fromkeys(scenario.role for scenario in scenarios):
            asked = [scenario for scenario in scenarios if scenario.role == role]
            with contextlib.ExitStack() as stack:
                try:
                    stage = Stage(how, role, count, stack)
                except LeftOut as reason:
                    left_out |= {scenario.name: str(reason) for scenario in asked}
                    continue
                for scenario in asked:
                    try:
                        done[scenario.name] = stage.run(scenario, say)
                    except (TimeoutError, RuntimeError) as error:
                        # A server that ends or hangs does not end the run.
                        left_out[f"{scenario.name} with {count}"] = str(error)
                if role == AUTHORITY and checked is None:
                    checked = check_generator(stage, say)
                left_out |= stage.left_out
        if not done:
            raise SystemExit(f"bench.compare: nothing can be asked: {left_out}")
        server_cpus, client_cpus = cpus_for(count, sorted(os.sched_getaffinity(0)))
        counts[str(count)] = {
            "server_cpus": sorted(server_cpus),
            "client_cpus": sorted(client_cpus),
            "shared": bool(server_cpus & client_cpus),
            # In the order of the command line, whatever role came first.
            "scenarios": {scenario.name: done[scenario.name] for scenario in scenarios if scenario.name in done},
        }
    if checked is None and shutil.which("dnsperf") is None:
        left_out["dnsperf"] = "not installed"
    return {
        "schema": "fastdns-compare/1",
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": processes.machine(),
        "commit": commit,
        "versions": found_versions(how),
        "arguments": shlex.join(echoed(how)),
        "names": how.names,
        "rounds": how.rounds,
        "seconds": how.seconds,
        "left_out": left_out,
        "workers": counts,
        "dnsperf": checked,
    }


def echoed(how: argparse.Namespace) -> list[str]:
    """The part of the command line that a report shows: what differs from the defaults, without paths."""
    usual = vars(options([]))
    made = []
    for name, value in vars(how).items():
        if value == usual[name] or name in ("json", "save", "write", "command", "coredns", "also"):
            continue
        flag = f"--{name.replace('_', '-')}"
        words = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        made += [flag] if value is True else [flag, words]
    return made


def found_versions(how: argparse.Namespace) -> dict[str, str]:
    """The versions of the servers, in their own words."""
    found = {"fastdns": versions.fastdns_version(how.command)}
    for name in how.servers:
        program = SERVERS[name].program
        path = find(SERVERS[name], "", how.coredns)
        if program and path:
            found[program] = versions.ask(program, path)
    dnsperf_path = shutil.which("dnsperf")
    if dnsperf_path and not how.no_dnsperf:
        found["dnsperf"] = versions.ask("dnsperf", dnsperf_path)
    return found


def main() -> None:
    how = options()
    report = run(how, lambda line: print(line, file=sys.stderr, flush=True))
    if how.save:
        how.save.write_text(json.dumps(report, indent=1) + "\n")
    if how.write:
        results.write(report)
    print(json.dumps(report, indent=2) if how.json else "\n".join(results.section(report)))


if __name__ == "__main__":
    main()
