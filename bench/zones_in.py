"""``python -m bench.zones_in``: a zone of a million records comes from Knot DNS, beside queries for cluster names.

fastdns serves a small cluster at a steady rate of queries, in windows of half a second: before the transfer, while
the zone comes, and while 10,000 of its names change (IXFR). Printed are the times from a NOTIFY to the answer, the
p99 of cluster names in the windows of each part, the most memory that the watcher has of its own, and its CPU time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dns.message

from bench.zonefiles import ZONE, write_zone
from fastdns.bench import processes
from fastdns.bench._load import Load
from fastdns.bench.exchange import ask, query, wait_for_answer
from fastdns.dns.names import wire_name

CHANGED = 10_000
WINDOW_S = 0.5
LIMIT_S = 900.0
KNOT = """\
server:
    rundir: "{home}"
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: "{home}"
acl:
  - id: all
    address: 127.0.0.1
    action: transfer
zone:
  - domain: {zone}
    file: "{home}/zone"
    zonefile-sync: -1
    zonefile-load: difference
    journal-content: changes
    acl: all
"""
COREFILE = """\
cluster.local:{port} {{
    bind 127.0.0.1
    errors
    kubernetes {{
        manifests {home}/cluster.yaml
    }}
}}
{zone}:{port} {{
    bind 127.0.0.1
    errors
    secondary {{
        transfer from 127.0.0.1:{primary}
    }}
}}
"""
SERVICE = """\
---
apiVersion: v1
kind: Service
metadata: {{name: web{number}, namespace: shop}}
spec: {{clusterIP: 10.96.{high}.{low}, ports: [{{name: http, port: 80, protocol: TCP}}]}}
"""
SERVICES = 1000


def notify(port: int) -> None:
    """Say that the zone has changed, as a primary does."""
    message = struct.pack("!6H", 7, 0x2400, 1, 0, 0, 0) + wire_name(ZONE) + b"\0\6\0\1"
    if ask(port, message) is None:
        raise TimeoutError("the NOTIFY is not answered")


def serial(port: int) -> int:
    """Of the zone's SOA record; 0: it is not there."""
    answer = ask(port, query(ZONE, "SOA"), 0.5)
    found = dns.message.from_wire(answer).answer if answer is not None else []
    return int(found[0][0].serial) if found else 0


def watcher_of(pid: int) -> int:
    for one in processes.tree(pid):
        if b"watcher" in Path(f"/proc/{one}/cmdline").read_bytes():
            return one
    raise LookupError("there is no watcher")


def own_memory_mib(pid: int) -> float:
    """What a process has of its own, without the store."""
    found = re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


@dataclass
class Part:
    """What was seen in a part of the run."""

    p99_us: list[float] = field(default_factory=list)
    lost: int = 0
    memory_mib: float = 0.0

    def told(self) -> dict[str, Any]:
        return {
            "windows": len(self.p99_us),
            "p99_us_median": round(statistics.median(self.p99_us), 1),
            "p99_us_most": round(max(self.p99_us), 1),
            "lost": self.lost,
            "watcher_mib_most": round(self.memory_mib, 1),
        }


def watch(load: Load, watcher: int, done: Callable[[], bool], part: Part) -> float:
    """Windows until something is there. Returns how long that took."""
    begun = time.monotonic()
    while not done():
        result = load.run(seconds=WINDOW_S)
        part.p99_us.append(result.percentile_us(99))
        part.lost += result.lost
        part.memory_mib = max(part.memory_mib, own_memory_mib(watcher))
        if time.monotonic() > begun + LIMIT_S:
            raise TimeoutError("the zone does not come")
    return time.monotonic() - begun


def change(zone: Path) -> None:
    """The zone with another serial, and other addresses of some of its names."""
    text = zone.read_text().replace("host 1 7200", "host 2 7200", 1)
    text = re.sub(r"^(host\d+ IN A )10\.", r"\g<1>11.", text, count=CHANGED, flags=re.MULTILINE)
    (zone.parent / "zone.new").write_text(text)
    (zone.parent / "zone.new").replace(zone)


def run(how: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    program = shutil.which("knotd") or shutil.which("knotd", path="/usr/sbin")
    if program is None:
        raise SystemExit("knotd is not installed")
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_zone(home / "zone", how.records)
        port, primary = processes.free_port(), processes.free_port()
        services = (SERVICE.format(number=n, high=n >> 8, low=n & 255) for n in range(SERVICES))
        (home / "cluster.yaml").write_text("".join(services))
        (home / "Corefile").write_text(COREFILE.format(port=port, home=home, zone=ZONE, primary=primary))
        (home / "knot.conf").write_text(KNOT.format(home=home, port=primary, zone=ZONE))
        words = [sys.executable, "-m", "fastdns.cli", "-conf", str(home / "Corefile")]
        environ = {"FASTDNS_WORKERS": "1", "FASTDNS_STORE_MIB": "2048"}
        cpus = os.sched_getaffinity(0)
        server = stack.enter_context(processes.Child(words, cpus=cpus, log=home / "log", environ=environ))
        names = [query(f"web{n}.shop.svc.cluster.local") for n in range(SERVICES)]
        wait_for_answer(port, names[0], 60.0)
        watcher = watcher_of(server.pid)
        load = Load("127.0.0.1", port, names, outstanding=1000, sockets=16, timeout_s=5.0, rate=how.rate)
        before, during, changing = Part(), Part(), Part()
        ends = time.monotonic() + how.seconds
        watch(load, watcher, lambda: time.monotonic() > ends, before)
        say(f"before: {before.told()}")
        knot = stack.enter_context(
            processes.Child([program, "-c", str(home / "knot.conf")], cpus=cpus, log=home / "knot.log", environ={})
        )
        while serial(primary) != 1:
            knot.check()
            time.sleep(0.05)
        used_before = processes.cpu_ns(watcher)
        notify(port)
        took_s = watch(load, watcher, lambda: serial(port) == 1, during)
        used_s = (processes.cpu_ns(watcher) - used_before) / 1e9
        say(f"while {how.records} records come, {took_s:.1f} s: {during.told()}")
        change(home / "zone")
        os.kill(knot.pid, 1)
        while serial(primary) != 2:
            knot.check()
            time.sleep(0.05)
        notify(port)
        changed_s = watch(load, watcher, lambda: serial(port) == 2, changing)
        say(f"while {CHANGED} names change, {changed_s:.1f} s: {changing.told()}")
        load.close()
        log = (home / "log").read_text(errors="replace")
        assert log.count("Transferred: ") == 2, log
        return {
            "records": how.records,
            "rate": how.rate,
            "before": before.told(),
            "transfer_s": round(took_s, 2),
            "watcher_cpu_s": round(used_s, 2),
            "transfer": during.told(),
            "changes_s": round(changed_s, 2),
            "changes": changing.told(),
        }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.zones_in", description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rate", type=float, default=5000.0, help="queries a second for cluster names")
    parser.add_argument("--seconds", type=float, default=5.0, help="before the transfer")
    print(json.dumps(run(parser.parse_args(), lambda line: print(line, file=sys.stderr, flush=True)), indent=2))


if __name__ == "__main__":
    main()
