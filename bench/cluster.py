"""``python -m bench.cluster``: start, memory and the way of a change, at the size of a large cluster."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import ipaddress
import json
import os
import random
import shlex
import socket
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastdns.bench import processes
from fastdns.bench.apiserver import objects
from fastdns.bench.apiserver.process import Process
from fastdns.bench.exchange import query, wait_for_answer

COREFILE = """\
.:{port} {{
    bind 127.0.0.1
    errors
    health 127.0.0.1:{health}
    ready 127.0.0.1:{ready}
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig}
        pods insecure
    }}
    loadbalance
    {more}
}}
"""
START_S = 120.0
SETTLE_S = 3.0
SAMPLE_PSS_S = 0.05
RESOURCES = ("namespaces", "services", "endpointslices")
# Between two looks at a name that is to change; the resolution of what is measured.
LOOK_S = 0.0005
NAMESPACE = "default"
PROBE_FROM = int(ipaddress.IPv4Address("10.250.0.1"))


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.cluster", description=__doc__)
    parser.add_argument("--services", type=int, default=10000)
    parser.add_argument("--endpoints", type=int, default=10, help="of each service")
    parser.add_argument("--churn", type=float, default=50.0, help="changes a second of the cluster")
    parser.add_argument("--seconds", type=float, default=20.0, help="of churn, at least")
    parser.add_argument("--samples", type=int, default=300, help="changes that are timed, at least")
    parser.add_argument("--probes", type=int, default=2, help="services whose changes are timed")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds after which timing ends in any case")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--more", default="", help="further lines of the server block, such as cache 30")
    parser.add_argument("--no-tls", action="store_true", help="plain HTTP to the API server")
    parser.add_argument("--no-relist", action="store_true")
    parser.add_argument(
        "--command",
        default="{python} -m fastdns.cli -conf {corefile}",
        help="what is measured; {python}, {corefile} and {port} are filled in",
    )
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


# ------------------------------------------------------------------------------------------------- memory


class Memory(threading.Thread):
    """Looks at the memory of a process tree, over and over, and keeps the most."""

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
    """The sum, and each process by name, in MiB."""
    named: dict[str, float] = {"all": round(sum(sizes.values()) / 1024, 1)}
    for pid, kib in sizes.items():
        name = processes.name_of(pid)
        name = name if name.startswith("fastdns: ") else "first process"
        named[name] = round(named.get(name, 0.0) + kib / 1024, 1)
    return named


# ------------------------------------------------------------------------------------------------- changes


class Api:
    """The API server's control endpoint over one connection, for requests that must not wait for a handshake."""

    def __init__(self, control: str) -> None:
        host = control.removeprefix("http://")
        self._connection = http.client.HTTPConnection(host, timeout=30)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send_put(self, obj: objects.Object | list[objects.Object]) -> None:
        """Send what changes objects, without waiting for the answer."""
        self._connection.request("POST", "/-/put", json.dumps(obj), {"Content-Type": "application/json"})

    def finish(self) -> None:
        """Read the answer. Raises RuntimeError where it is a refusal."""
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"the API server refused: {body!r}")

    def close(self) -> None:
        self._connection.close()


@dataclass(slots=True)
class Probe:
    """A headless service of which one endpoint is replaced, and the socket that asks for it."""

    name: str
    api: Api
    asking: socket.socket
    addresses: list[str]
    message: bytes
    since: float | None = None  # of the change under way
    next_at: float = 0.0
    wanted: bytes = b""

    def slice(self) -> objects.Object:
        """Its slice as it is now."""
        ports = (("http", "TCP", 80),)
        return objects.slice_(
            f"{self.name}-slice",
            NAMESPACE,
            service=self.name,
            endpoints=[objects.endpoint(address) for address in self.addresses],
            ports=ports,
            family="IPv4",
            headless=True,
        )


def make_probes(control: str, port: int, count: int, endpoints: int) -> list[Probe]:
    """Headless services of their own in the API server, with as many endpoints as the others."""
    made = []
    for i in range(count):
        name = f"probe-{i}"
        addresses = [str(ipaddress.IPv4Address(PROBE_FROM + i * 65536 + j)) for j in range(max(1, endpoints))]
        asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        asking.setblocking(False)
        asking.connect(("127.0.0.1", port))
        message = query(f"{name}.{NAMESPACE}.svc.cluster.local")
        probe = Probe(name, Api(control), asking, addresses, message)
        probe.api.send_put([objects.service(name, NAMESPACE), probe.slice()])
        probe.api.finish()
        made.append(probe)
    return made


@dataclass(slots=True)
class Timed:
    """How long changes took, in milliseconds, and what became of the queries that looked for them."""

    took_ms: list[float] = field(default_factory=list)
    looks: int = 0
    failures: int = 0
    unseen: int = 0


def time_changes(probes: list[Probe], seconds: float, samples: int, limit_s: float, seed: int = 1) -> Timed:
    """Replace an endpoint of each probe, over and over, and ask until the answer has the new address.

    The time is from the moment the change is sent to the API server, so the API server's own work counts.
    """
    rng = random.Random(seed)
    timed = Timed()
    begin = time.monotonic()
    fresh = 0
    for probe in probes:
        probe.next_at = begin + rng.uniform(0, 0.1)
    while True:
        now = time.monotonic()
        enough = now - begin >= seconds and len(timed.took_ms) >= samples
        if now - begin >= limit_s:
            timed.unseen += sum(probe.since is not None for probe in probes)
            return timed
        if enough and all(probe.since is None for probe in probes):
            return timed
        for probe in probes:
            if probe.since is None:
                if not enough and now >= probe.next_at:
                    fresh += 1
                    start_change(probe, timed, fresh, rng)
            elif look(probe, timed):
                probe.next_at = time.monotonic() + rng.uniform(0.02, 0.1)
        time.sleep(LOOK_S)


def start_change(probe: Probe, timed: Timed, fresh: int, rng: random.Random) -> None:
    address = ipaddress.IPv4Address(PROBE_FROM + 0x200000 + fresh)
    probe.addresses[rng.randrange(len(probe.addresses))] = str(address)
    probe.wanted = address.packed
    obj = probe.slice()
    with contextlib.suppress(BlockingIOError):
        # What came for the change before this one.
        while True:
            probe.asking.recv(65535)
    probe.since = time.monotonic()
    probe.api.send_put(obj)


def look(probe: Probe, timed: Timed) -> bool:
    """Ask once; True where the answer has the new address."""
    assert probe.since is not None
    timed.looks += 1
    with contextlib.suppress(OSError):
        probe.asking.send(probe.message)
    end = time.monotonic() + 0.02
    while time.monotonic() < end:
        try:
            answer = probe.asking.recv(65535)
        except BlockingIOError:
            time.sleep(0.0001)
            continue
        except OSError:
            break
        now = time.monotonic()
        if answer[3] & 0xF:
            timed.failures += 1
        if probe.wanted not in answer[len(probe.message) :]:
            return False
        timed.took_ms.append((now - probe.since) * 1000)
        probe.api.finish()
        probe.since = None
        return True
    return False


# ------------------------------------------------------------------------------------------------- the run


def wait_until_ready(port: int, timeout_s: float) -> float:
    """Ask /ready until it says 200; gives time.monotonic of that moment."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=1):
            return time.monotonic()
        time.sleep(0.01)
    raise TimeoutError(f"not ready within {timeout_s} s")


def percentile(values: list[float], percent: float) -> float:
    if not values:
        return float("nan")
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))], 2)


def run(how: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """The whole run; gives what is printed with --json."""
    report: dict[str, Any] = {"machine": processes.machine()}
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fastdns-bench-")))
        api = stack.enter_context(Process(services=how.services, endpoints=how.endpoints, tls=not how.no_tls))
        report["cluster"] = {
            key: api.info[key] for key in ("namespaces", "services", "headless", "slices", "endpoints")
        }
        say(f"API server: {report['cluster']}")
        ports = {name: processes.free_port() for name in ("port", "health", "ready")}
        corefile = directory / "Corefile"
        corefile.write_text(COREFILE.format(**ports, kubeconfig=api.kubeconfig, more=how.more))
        probes = make_probes(api.info["control"], ports["port"], how.probes, how.endpoints)
        words = {"python": sys.executable, "corefile": str(corefile), "port": str(ports["port"])}
        command = [word.format(**words) for word in shlex.split(how.command)]
        begin = time.monotonic()
        child = stack.enter_context(
            processes.Child(command, log=directory / "log", environ={"FASTDNS_WORKERS": str(how.workers)})
        )
        with Memory(child.pid) as starting:
            report["start"] = started(child, begin, ports, probes[-1].message)
            time.sleep(SETTLE_S)
        say(f"start: {report['start']}")
        looks = []
        for _ in range(5):
            looks.append(processes.pss_kib(child.pid))
            time.sleep(0.2)
        steady = sorted(looks, key=lambda sizes: sum(sizes.values()))[len(looks) // 2]
        report["memory_mib"] = {"start_peak": memory_mib(starting.peak), "steady": memory_mib(steady)}
        if not how.no_relist:
            report["relist"] = relist(api, child.pid, report["memory_mib"])
        say(f"memory: {report['memory_mib']}")
        api.post("churn", {"per_second": how.churn})
        since, cpu = time.monotonic(), processes.cpu_ns(child.pid)
        timed = time_changes(probes, how.seconds, how.samples, how.limit)
        took, cpu = time.monotonic() - since, processes.cpu_ns(child.pid) - cpu
        changes = len(api.get("log"))
        api.post("churn", {"per_second": 0})
        child.check()
        report["memory_mib"]["after_churn"] = memory_mib(processes.pss_kib(child.pid))
        report["changes"] = {
            "seconds": round(took, 1),
            "churn_per_second": round(changes / took, 1),
            "samples": len(timed.took_ms),
            "to_answer_ms": {f"p{p}": percentile(timed.took_ms, p) for p in (50, 90, 99)}
            | {"max": round(max(timed.took_ms, default=float("nan")), 2)},
            "looks": timed.looks,
            "failed_looks": timed.failures,
            "unseen": timed.unseen,
            "cpu_percent": round(cpu / 1e7 / took, 1),
        }
        for probe in probes:
            probe.asking.close()
            probe.api.close()
    return report


def started(child: processes.Child, begin: float, ports: dict[str, int], first: bytes) -> dict[str, float]:
    """Seconds from exec to the first right answer and to /ready."""
    at: dict[str, float] = {}

    def wait() -> None:
        with contextlib.suppress(TimeoutError):
            at["ready_s"] = round(wait_until_ready(ports["ready"], START_S) - begin, 3)

    waiting = threading.Thread(target=wait)
    waiting.start()
    try:
        at["first_answer_s"] = round(wait_for_answer(ports["port"], first, START_S) - begin, 3)
    finally:
        waiting.join(START_S)
        child.check()
    return at


def relist(api: Process, pid: int, memory: dict[str, Any]) -> dict[str, Any]:
    """Cut the connections and refuse to resume the watches (410 Gone): everything is listed anew."""
    before = len(api.get("requests"))
    with Memory(pid) as watched:
        for resource in RESOURCES:
            api.fault("gone", resource=resource, verb="watch", times=1)
        api.post("disconnect")
        end = time.monotonic() + 30
        quiet = 0
        cpu = processes.cpu_ns(pid)
        time.sleep(2)
        # Over when the processes have had almost nothing to do for a second.
        while time.monotonic() < end and quiet < 2:
            time.sleep(0.5)
            now = processes.cpu_ns(pid)
            quiet = quiet + 1 if now - cpu < 25_000_000 else 0
            cpu = now
    memory["relist_peak"] = memory_mib(watched.peak)
    memory["relist_peak_of_steady"] = round(memory["relist_peak"]["all"] / memory["steady"]["all"], 2)
    api.clear("gone")
    asked = [describe(request) for request in api.get("requests")[before:]]
    return {"requests": asked[:20], "looks": watched.looks}


def describe(request: dict[str, Any]) -> str:
    """A request in a line: whether it lists, resumes, or lists in a stream shows in its query."""
    asked = {name: value for name, value in request["query"].items() if name != "timeoutSeconds"}
    return f"{request['status']} {request['path']} {asked}"


def text(report: dict[str, Any]) -> str:
    """The report for people."""
    lines = [
        f"{name}: {value}" for name, value in report.items() if name not in ("memory_mib", "changes", "relist")
    ]
    lines += [f"memory_mib {name}: {value}" for name, value in report["memory_mib"].items()]
    lines += [f"change {name}: {value}" for name, value in report["changes"].items()]
    return "\n".join(lines)


def main() -> None:
    how = options()
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    report = run(how, lambda line: print(line, file=sys.stderr, flush=True))
    print(json.dumps(report, indent=2) if how.json else text(report))


if __name__ == "__main__":
    main()
