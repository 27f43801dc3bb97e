"""``python -m bench.zonefiles``: a zone file of a million records, served by fastdns, CoreDNS, Knot DNS and NSD.

Each server is started by itself: the time from its start to its first right answer, and then its memory (PSS of all
its processes). Then they take turns: CPU time a query, for names at random, for names that do not exist, and for
names below a wildcard. A server that is not installed is left out.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import configs, rounds
from bench.configs import AUTHORITY, Setup, Task
from bench.servers import Peer
from fastdns.bench import processes
from fastdns.bench.exchange import ask
from fastdns.bench.messages import Query, message

ZONE = "big.test"
START_S = 300.0
A = "A"


def write_zone(path: Path, records: int) -> None:
    """An A and an AAAA record a name, a wildcard, and what a zone must have."""
    with path.open("w") as file:
        file.write(f"$ORIGIN {ZONE}.\n$TTL 300\n@ IN SOA ns host 1 7200 1800 86400 60\n@ IN NS ns\n")
        file.write("ns IN A 192.0.2.53\n*.wild IN A 192.0.2.77\n")
        for number in range(records // 2):
            file.write(f"host{number} IN A 10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}\n")
            file.write(f"host{number} IN AAAA 2001:db8::{number >> 16:x}:{number & 65535:x}\n")


def corefile(task: Task) -> str:
    return f"{task.zone}:{task.port} {{\n    bind 127.0.0.1\n    errors\n    file {task.zone_file}\n}}\n"


def fastdns(task: Task, home: Path) -> Setup:
    words = [sys.executable, "-m", "fastdns.cli", "-conf", str(home / "Corefile")]
    environ = {"FASTDNS_WORKERS": str(task.workers), "FASTDNS_STORE_MIB": "2048"}
    return Setup({"Corefile": corefile(task)}, words, environ)


def coredns(task: Task, home: Path) -> Setup:
    words = [task.program, "-conf", str(home / "Corefile")]
    return Setup({"Corefile": corefile(task)}, words, {"GOMAXPROCS": str(task.workers)})


SERVERS: dict[str, tuple[str, Callable[[Task, Path], Setup | None]]] = {
    "fastdns": ("", fastdns),
    "coredns": ("coredns", coredns),
    "knot": ("knotd", configs.knot),
    "nsd": ("nsd", configs.nsd),
}


def names(what: str, records: int, count: int, chance: random.Random) -> list[bytes]:
    """Queries of one kind."""
    made = {
        "hit": lambda: f"host{chance.randrange(records // 2)}.{ZONE}",
        "no such name": lambda: f"none{chance.randrange(1 << 30)}.{ZONE}",
        "wildcard": lambda: f"x{chance.randrange(1 << 30)}.wild.{ZONE}",
    }[what]
    return [message(Query(made(), A)) for _ in range(count)]


def start(
    name: str, task: Task, home: Path, stack: contextlib.ExitStack, cpus: set[int]
) -> tuple[Peer, float, float]:
    """A server that answers: it, the seconds that took, and its memory in MiB."""
    setup = SERVERS[name][1](task, home)
    assert setup is not None
    home.mkdir()
    for file, text in setup.files.items():
        (home / file).write_text(text)
    begins = time.monotonic()
    child = stack.enter_context(
        processes.Child(setup.words, cpus=cpus, log=home / "log", environ=setup.environ)
    )
    first = message(Query(f"host1.{ZONE}", A))
    while (answer := ask(task.port, first, 0.2)) is None or answer[3] & 15 or not answer[7]:
        child.check()
        if time.monotonic() > begins + START_S:
            raise TimeoutError(f"{name} does not answer")
        time.sleep(0.01)
    took_s = time.monotonic() - begins
    processes.pin(child.pid, cpus)
    time.sleep(2.0)
    memory = sum(processes.pss_kib(child.pid).values()) / 1024
    return Peer(name, child.pid, task.port, child.check), took_s, memory


def run(how: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    chance = random.Random(1)
    cpus = sorted(os.sched_getaffinity(0))
    of_server = {cpus[-1]}
    os.sched_setaffinity(0, set(cpus[:-1]) or of_server)
    found: dict[str, Any] = {"records": how.records, "servers": {}, "queries": {}}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_zone(folder / f"{ZONE}.zone", how.records)
        peers = []
        for name, (program, _) in SERVERS.items():
            path = shutil.which(program) or shutil.which(program, path="/usr/sbin") or ""
            if program and not path:
                say(f"{name} is not installed")
                continue
            task = Task(path, AUTHORITY, folder, processes.free_port(), 1, how.records // 2, zone=ZONE)
            peer, took_s, memory = start(name, task, folder / name, stack, of_server)
            peers.append(peer)
            found["servers"][name] = {"load_s": round(took_s, 2), "memory_mib": round(memory)}
            say(f"{name}: answers after {took_s:.2f} s, takes {memory:.0f} MiB")
        for what in ("hit", "no such name", "wildcard"):
            queries = names(what, how.records, how.names, chance)
            for peer in peers:
                rounds.warm_up(peer, queries[:1000])
            turns = rounds.How(how.seconds, how.rounds, outstanding=64, sockets=16)
            series = rounds.run(turns, what, peers, queries, ["knot"], say)
            found["queries"][what] = {name: rounds.figures(one) for name, one in series.items()}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.zonefiles", description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--names", type=int, default=50_000, help="different queries of a kind")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each turn")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write the figures here")
    how = parser.parse_args()
    found = run(how, lambda line: print(line, file=sys.stderr, flush=True))
    text = json.dumps(found, indent=2)
    if how.json is not None:
        how.json.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
