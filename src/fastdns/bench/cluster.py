"""``fastdns bench cluster``: start, memory and the way of a change, at the size of a large cluster."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import shlex
import signal
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastdns.bench import plot, processes
from fastdns.bench.errors import BenchError, BenchUsageError
from fastdns.bench.exchange import wait_for_answer
from fastdns.bench.options import Parser, _count, _number
from fastdns.bench.page import page
from fastdns.bench.progress import Stages

if TYPE_CHECKING:
    from fastdns.bench.apiserver.process import Process

SCHEMA = "fastdns-bench-cluster/1"
DESCRIPTION = """\
Starts a synthetic Kubernetes API server with a generated cluster, and a DNS server that watches it; gives the time
until it is ready, the memory of all its processes, and how long a changed endpoint takes to show in its answers
while the cluster changes.
"""
EPILOG = """\
Another server is measured with --command; {corefile} is a Corefile for it, with a kubeconfig:
  fastdns bench cluster --command "coredns -conf {corefile}" --probes 16

The Corefile is the one that kubeadm writes: its `cache 30` leaves the cluster's names out. It has no lameduck, and
nobody answers at its upstream.

Everything is on 127.0.0.1. Exit codes: 0 after a run, 1 for what cannot be run, 2 for a wrong command line.
"""
# As kubeadm writes it today (cmd/kubeadm/app/phases/addons/dns/manifests.go).
COREFILE = """\
.:{port} {{
    bind 127.0.0.1
    errors
    health 127.0.0.1:{health}
    ready 127.0.0.1:{ready}
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig}
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
        {snapshot}
    }}
    prometheus 127.0.0.1:{metrics}
    forward . {resolv} {{
        max_concurrent 1000
    }}
    cache 30 {{
        disable success cluster.local
        disable denial cluster.local
    }}
    loop
    reload
    loadbalance
    {more}
}}
"""
# Nothing listens there: only the probe of `loop` is sent to it.
RESOLV = "nameserver 127.0.0.1\n"
DEFAULT_COMMAND = "{python} -m fastdns.cli -conf {corefile}"
START_S = 120.0
SAMPLE_PSS_S = 0.05
RELIST_S = 30.0
# After the death of a server: until its children have followed it and its ports are free.
GONE_S = 1.0
RESOURCES = ("namespaces", "services", "endpointslices")
PERCENTS = (50, 90, 99)
MAX_PROBES = 32
# Packages of the group bench, without which the synthetic API server cannot be started.
NEEDS = ("aiohttp", "cryptography")


def parser() -> argparse.ArgumentParser:
    """Every option."""
    made = Parser(
        prog="fastdns bench cluster",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = made.add_argument_group("the cluster").add_argument
    add("--services", metavar="N", type=_count(1, 1_000_000), default=10000, help="default 10000")
    add("--endpoints", metavar="N", type=_count(1, 1000), default=10, help="of each service (default 10)")
    add("--churn", metavar="N", type=_rate, default=50.0, help="changes a second (default 50; 0: none)")
    add("--no-tls", action="store_true", help="plain HTTP to the API server")

    add = made.add_argument_group("the server").add_argument
    add("--command", default=DEFAULT_COMMAND, metavar="WORDS",
        help="what is measured; {corefile}, {python} and {port} are filled in (default: this fastdns)")  # fmt: skip
    add("--workers", metavar="N", type=_count(1, 1024), default=2, help="FASTDNS_WORKERS (default 2)")
    add("--more", default="", metavar="LINE", help="a further line of the server block, such as log")

    add = made.add_argument_group("what to measure").add_argument
    add("--seconds", metavar="SECONDS", type=_seconds, default=20.0, help="of changes, at least (default 20)")
    add("--samples", metavar="N", type=_count(1, 1_000_000), default=300,
        help="changes timed, at least (default 300)")  # fmt: skip
    add("--limit", metavar="SECONDS", type=_seconds, default=300.0,
        help="end timing then in any case (default 300)")  # fmt: skip
    add("--probes", metavar="N", type=_count(1, MAX_PROBES), default=2,
        help="services whose changes are timed (default 2)")  # fmt: skip
    add("--settle", metavar="SECONDS", type=_seconds, default=3.0,
        help="from ready to the steady memory (default 3)")  # fmt: skip
    add("--no-relist", action="store_true", help="leave out the memory that a full relist takes")
    add("--snapshot", action="store_true", help="keep one, and start once more from it after a kill -9 (fastdns)")

    add = made.add_argument_group("what to give").add_argument
    add("--json", action="store_true", help="for programs")
    add("--html", metavar="FILE", type=Path, help="a page with plots, too")
    add("--no-progress", action="store_true", help="no bar on a terminal")
    return made


def _rate(text: str) -> float:
    return _number(text, 0, 10_000, "changes a second")


def _seconds(text: str) -> float:
    return _number(text, 0.1, 86400, "seconds")


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line. Raises BenchUsageError; SystemExit(0) after -h."""
    how = parser().parse_args(arguments)
    words = command_words(how.command, Path("Corefile"), 53)
    if words == command_words(how.command, Path("other"), 54):
        raise BenchUsageError("--command: {corefile} or {port} expected in it, or it cannot know what to serve")
    return how


def command_words(command: str, corefile: Path, port: int) -> list[str]:
    """The words that start the server. Raises BenchUsageError."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise BenchUsageError(f"--command: {error}") from None
    if not words:
        raise BenchUsageError("--command is empty")
    fill = {"{python}": sys.executable, "{corefile}": str(corefile), "{port}": str(port)}
    for placeholder, value in fill.items():
        words = [word.replace(placeholder, value) for word in words]
    return words


# ------------------------------------------------------------------------------------------------- memory


class Memory(threading.Thread):
    """Looks at the memory of a process tree, over and over, and keeps the most; a context manager."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._ended = threading.Event()
        self.peak: dict[int, int] = {}
        self.looks = 0

    def run(self) -> None:
        while not self._ended.wait(SAMPLE_PSS_S):
            seen = processes.pss_kib(self._pid)
            self.looks += 1
            if sum(seen.values()) > sum(self.peak.values()):
                self.peak = seen

    def __enter__(self) -> Memory:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self.join()


def memory_mib(sizes: dict[int, int]) -> dict[str, float]:
    """The sum of proportional set sizes, and each process by name, in MiB. sizes: KiB by process id."""
    named: dict[str, float] = {"all": round(sum(sizes.values()) / 1024, 1)}
    for pid, kib in sorted(sizes.items()):
        name = processes.name_of(pid) or "ended since"
        if name != "ended since":
            name = name.removeprefix("fastdns: ") if name.startswith("fastdns: ") else "server"
        named[name] = round(named.get(name, 0.0) + kib / 1024, 1)
    return named


def steady(pid: int) -> dict[str, float]:
    """The median of five looks, a fifth of a second apart."""
    looks = []
    for _ in range(5):
        looks.append(processes.pss_kib(pid))
        time.sleep(0.2)
    return memory_mib(sorted(looks, key=lambda sizes: sum(sizes.values()))[len(looks) // 2])


# ------------------------------------------------------------------------------------------------- the run


def wait_until_ready(port: int, timeout_s: float) -> float | None:
    """Ask /ready until it says 200; time.monotonic of that moment, or None where that never came."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=1):
            return time.monotonic()
        time.sleep(0.01)
    return None


def started(child: processes.Child, begin: float, ports: dict[str, int], first: bytes) -> dict[str, float | None]:
    """Seconds from exec to the first right answer, and to 200 of /ready (None: it never said so)."""
    at: list[float | None] = []
    waiting = threading.Thread(target=lambda: at.append(wait_until_ready(ports["ready"], START_S)), daemon=True)
    waiting.start()
    end = begin + START_S
    while True:
        child.check()
        try:
            answered = wait_for_answer(ports["port"], first, 1.0)
            break
        except TimeoutError:
            if time.monotonic() > end:
                raise BenchError(f"no right answer within {START_S:g} s of the start") from None
    # Who answers and does not say ready in time has no such endpoint.
    waiting.join(30)
    ready = at[0] if at else None
    return {
        "ready_s": None if ready is None else round(ready - begin, 3),
        "first_answer_s": round(answered - begin, 3),
    }


def relist(api: Process, pid: int) -> dict[str, Any]:
    """Cut the connections and refuse to resume the watches (410 Gone): everything is listed anew.

    Gives the most memory that was seen meanwhile, and what was asked of the API server.
    """
    before = len(api.get("requests"))
    with Memory(pid) as watched:
        for resource in RESOURCES:
            api.fault("gone", resource=resource, verb="watch", times=1)
        api.post("disconnect")
        end = time.monotonic() + RELIST_S
        quiet = 0
        cpu = processes.cpu_ns(pid)
        time.sleep(2)
        # Over when the processes have had almost nothing to do for a second.
        while time.monotonic() < end and quiet < 2:
            time.sleep(0.5)
            now = processes.cpu_ns(pid)
            quiet = quiet + 1 if now - cpu < 25_000_000 else 0
            cpu = now
    api.clear("gone")
    asked = [describe(request) for request in api.get("requests")[before:]]
    return {"peak_mib": memory_mib(watched.peak), "requests": asked[:20], "looks": watched.looks}


def describe(request: dict[str, Any]) -> str:
    """A request in a line: whether it lists, resumes, or lists in a stream shows in its query."""
    asked = {name: value for name, value in request["query"].items() if name != "timeoutSeconds"}
    return f"{request['status']} {request['path']} {asked}"


def percentile(values: list[float], percent: float) -> float | None:
    """The value within which so many percent are; None where there are none."""
    if not values:
        return None
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))], 3)


def run(how: argparse.Namespace, stages: Stages) -> dict[str, Any]:
    """The whole run; gives what is printed with --json. Every key is always there."""
    from fastdns.bench.apiserver.process import Process
    from fastdns.bench.changes import make_probes, time_changes

    machine = processes.machine()
    others = processes.OtherWork(set(range(machine["cpus"])))
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fastdns-bench-")))
        stages.stage(f"API server with {how.services:,} services")
        api = stack.enter_context(Process(services=how.services, endpoints=how.endpoints, tls=not how.no_tls))
        cluster = {key: api.info[key] for key in ("namespaces", "services", "headless", "slices", "endpoints")}
        ports = {name: processes.free_port() for name in ("port", "health", "ready", "metrics")}
        corefile = directory / "Corefile"
        snapshot = f"snapshot {directory / 'snapshot'}" if how.snapshot else ""
        resolv = directory / "resolv.conf"
        resolv.write_text(RESOLV)
        fill = {"kubeconfig": api.kubeconfig, "snapshot": snapshot, "resolv": resolv, "more": how.more}
        corefile.write_text(COREFILE.format(**ports, **fill))
        probes = make_probes(api.info["control"], ports["port"], how.probes, how.endpoints)
        for probe in probes:
            stack.callback(probe.close)
        command = command_words(how.command, corefile, ports["port"])
        stages.stage("start")
        begin = time.monotonic()
        environ = {"FASTDNS_WORKERS": str(how.workers), "PYTHONUNBUFFERED": "1"}
        child = stack.enter_context(processes.Child(command, log=directory / "log", environ=environ))
        with Memory(child.pid) as starting:
            start = started(child, begin, ports, probes[-1].message)
            stages.stage("memory")
            time.sleep(how.settle)
        memory: dict[str, Any] = {"steady": steady(child.pid), "start_peak": memory_mib(starting.peak)}
        memory["relist_peak"] = memory["relist_peak_of_steady"] = None
        listed = None
        if not how.no_relist:
            stages.stage("relist")
            listed = relist(api, child.pid)
            memory["relist_peak"] = listed.pop("peak_mib")
            memory["relist_peak_of_steady"] = round(memory["relist_peak"]["all"] / memory["steady"]["all"], 3)
        stages.stage(f"changes, {how.churn:g} a second")
        api.post("churn", {"per_second": how.churn})
        since, cpu = time.monotonic(), processes.cpu_ns(child.pid)
        timed = time_changes(probes, how.seconds, how.samples, how.limit, stages.done)
        took, cpu = time.monotonic() - since, processes.cpu_ns(child.pid) - cpu
        changes = len(api.get("log"))
        api.post("churn", {"per_second": 0})
        child.check()
        memory["after_churn"] = memory_mib(processes.pss_kib(child.pid))
        restart = None
        if how.snapshot:
            stages.stage("restart from the snapshot")
            if not (directory / "snapshot").exists():
                raise BenchError("the server has kept no snapshot")
            os.kill(child.pid, signal.SIGKILL)
            time.sleep(GONE_S)
            begin = time.monotonic()
            child = stack.enter_context(processes.Child(command, log=directory / "log", environ=environ))
            restart = started(child, begin, ports, probes[-1].message)
    return {
        "schema": SCHEMA,
        "machine": machine,
        "other_work_percent": others.percent(),
        "options": {key: value for key, value in vars(how).items() if key not in ("json", "html", "no_progress")},
        "cluster": cluster,
        "start": start,
        "restart": restart,
        "memory_mib": memory,
        "relist": listed,
        "changes": {
            "elapsed_s": round(took, 1),
            "churn_per_second": round(changes / took, 1),
            "timed": len(timed.took_ms),
            "unseen": timed.unseen,
            "to_answer_ms": {
                **{f"p{percent}": percentile(timed.took_ms, percent) for percent in PERCENTS},
                "max": percentile(timed.took_ms, 100),
            },
            "queries": timed.queries,
            "failed": timed.failed,
            "unanswered": timed.unanswered,
            "cpu_percent": round(cpu / 1e7 / took, 1),
            "all_ms": [round(value, 3) for value in sorted(timed.took_ms)],
        },
    }


# ------------------------------------------------------------------------------------------------- the report


def figure(value: float | None, unit: str, digits: int) -> str:
    """A right-aligned figure with its unit."""
    return f"{'-':>12}" if value is None else f"{value:>12,.{digits}f} {unit}".rstrip()


def memory_lines(says: str, sizes: dict[str, float] | None) -> list[str]:
    """The sum, and below it each process."""
    if sizes is None:
        return [f"{says:<28}{'-':>12}"]
    parts = [f"  {name:<26}{figure(size, 'MiB', 1)}" for name, size in sizes.items() if name != "all"]
    return [f"{says:<28}{figure(sizes['all'], 'MiB', 1)}", *(parts if len(parts) > 1 else [])]


def text(report: dict[str, Any]) -> list[str]:
    """The report for people: the same lines in the same order, whatever they hold."""
    cluster, memory, changes = report["cluster"], report["memory_mib"], report["changes"]
    machine, options = report["machine"], report["options"]
    rows: list[tuple[str, float | None, str, int]] = [
        ("ready after", report["start"]["ready_s"], "s", 3),
        ("first right answer after", report["start"]["first_answer_s"], "s", 3),
        ("ready from a snapshot after", (report["restart"] or {}).get("ready_s"), "s", 3),
        ("first right answer of it", (report["restart"] or {}).get("first_answer_s"), "s", 3),
    ]
    after: list[tuple[str, float | None, str, int]] = [
        ("changes timed", changes["timed"], "", 0),
        *((f"change to answer {name}", value, "ms", 3) for name, value in changes["to_answer_ms"].items()),
        ("changes unseen", changes["unseen"], "", 0),
        ("queries meanwhile", changes["queries"], "", 0),
        ("failed queries", changes["failed"], "", 0),
        ("unanswered queries", changes["unanswered"], "", 0),
        ("changes a second", changes["churn_per_second"], "", 1),
        ("CPU of it meanwhile", changes["cpu_percent"], "%", 1),
        ("other work of all CPUs", report["other_work_percent"], "%", 1),
    ]
    return [
        f"command     {options['command']}",
        f"workers     {options['workers']}",
        f"cluster     {cluster['services']:,} services ({cluster['headless']:,} headless), "
        f"{cluster['slices']:,} slices, {cluster['endpoints']:,} endpoints",
        f"API server  {'HTTP' if options['no_tls'] else 'TLS'} on the loopback, the same machine",
        f"machine     {machine['cpus']} CPUs, {machine['model']}, Linux {machine['kernel']}, "
        f"Python {machine['python']}, load {machine['load'][0]:.2f}",
        "",
        *(f"{says:<28}{figure(value, unit, digits)}" for says, value, unit, digits in rows),
        "",
        *memory_lines("memory, steady", memory["steady"]),
        *memory_lines("memory, most at the start", memory["start_peak"]),
        *memory_lines("memory, after the changes", memory["after_churn"]),
        *memory_lines("memory, most of a relist", memory["relist_peak"]),
        f"{'  of the steady':<28}{figure(memory['relist_peak_of_steady'], '', 3)}",
        "",
        *(f"{says:<28}{figure(value, unit, digits)}" for says, value, unit, digits in after),
    ]


def plots(report: dict[str, Any]) -> list[str]:
    """What the page shows: memory by process, and how many changes showed within which time."""
    memory = report["memory_mib"]
    shown = {"steady": "steady", "relist_peak": "most of a relist", "after_churn": "after the changes"}
    groups = [
        plot.Group(says, [plot.Bar(name, size) for name, size in memory[key].items()])
        for key, says in shown.items()
        if memory[key] is not None
    ]
    made = [plot.bars("Memory: proportional set size, MiB", groups, digits=1)]
    if report["changes"]["all_ms"]:
        made.append(plot.shares("A change shows within", report["changes"]["all_ms"], unit="ms"))
    return made


def main(arguments: list[str]) -> int:
    """The words behind ``fastdns bench cluster``; returns the exit code. Raises BenchError."""
    how = parse(arguments)
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise BenchError(f"missing here: {', '.join(missing)}; pip install 'fastdns[bench]' brings them")
    try:
        with Stages(bar=False if how.no_progress else None) as stages:
            report = run(how, stages)
    except (OSError, RuntimeError) as error:
        raise BenchError(str(error)) from error
    lines = text(report)
    if how.html is not None:
        try:
            how.html.write_text(page("fastdns bench cluster", plots(report), lines, report))
        except OSError as error:
            raise BenchError(f"{how.html}: {error.strerror}") from error
    print(json.dumps(report, indent=2) if how.json else "\n".join(lines))
    return 0
