"""The run: starts the API server and the server under measurement, and measures."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import signal
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastdns.bench import processes
from fastdns.bench.cluster.memory import Memory, memory_mib, steady
from fastdns.bench.cluster.options import command_words
from fastdns.bench.errors import BenchError
from fastdns.bench.exchange import wait_for_answer
from fastdns.bench.progress import Stages

if TYPE_CHECKING:
    from fastdns.bench.apiserver.process import Process

SCHEMA = "fastdns-bench-cluster/1"
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
START_S = 60.0
RELIST_S = 30.0
# A server's children end with it; until then they have its ports.
GONE_S = 20.0
RESOURCES = ("namespaces", "services", "endpointslices")
PERCENTS = (50, 90, 99)


def wait_until_ready(port: int, timeout_s: float) -> float | None:
    """Poll /ready until it is 200; returns time.monotonic of that moment, or None if it never was."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        with (
            contextlib.suppress(OSError, http.client.HTTPException),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=1),
        ):
            return time.monotonic()
        time.sleep(0.01)
    return None


def started(child: processes.Child, begin: float, ports: dict[str, int], first: bytes) -> dict[str, float | None]:
    """Seconds from exec to the first right answer, and to 200 of /ready (None: it never was)."""
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
    # A server that answers, and is not ready in time, has no /ready.
    waiting.join(30)
    ready = at[0] if at else None
    return {
        "ready_s": None if ready is None else round(ready - begin, 3),
        "first_answer_s": round(answered - begin, 3),
    }


def relist(api: Process, pid: int) -> dict[str, Any]:
    """Cut the connections and refuse to resume the watches (410 Gone), so that everything is listed again.

    Returns the largest memory sample during the relist, and the requests to the API server.
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
        # The relist is over when the processes have been almost idle for a second.
        while time.monotonic() < end and quiet < 2:
            time.sleep(0.5)
            now = processes.cpu_ns(pid)
            quiet = quiet + 1 if now - cpu < 25_000_000 else 0
            cpu = now
    api.clear("gone")
    asked = [describe(request) for request in api.get("requests")[before:]]
    return {"peak_mib": memory_mib(watched.peak), "requests": asked[:20], "looks": watched.looks}


def describe(request: dict[str, Any]) -> str:
    """A request in a line. Its query shows whether it lists, resumes a watch, or lists in a stream."""
    asked = {name: value for name, value in request["query"].items() if name != "timeoutSeconds"}
    return f"{request['status']} {request['path']} {asked}"


def percentile(values: list[float], percent: float) -> float | None:
    """The value that this percentage of the values does not exceed; None if there are no values."""
    if not values:
        return None
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))], 3)


def run(how: argparse.Namespace, stages: Stages) -> dict[str, Any]:
    """The whole run; returns what --json prints. Every key is always there."""
    from fastdns.bench.apiserver.process import Process
    from fastdns.bench.cluster.changes import make_probes, time_changes

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
                raise BenchError("the server has written no snapshot")
            ended = processes.tree(child.pid)
            os.kill(child.pid, signal.SIGKILL)
            processes.wait_until_ended(ended, GONE_S)
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
