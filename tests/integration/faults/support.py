"""How long faults last, what chance they take, and how they say what came of them."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

from fastdns.bench.processes import pss_kib
from tests.integration.faults.load import Report, manifests
from tests.support import Server

# 0: the short form.
CHAOS_S = float(os.environ.get("FASTDNS_CHAOS_S", "0"))
SEED = int(os.environ.get("FASTDNS_CHAOS_SEED") or random.SystemRandom().randrange(1 << 32))
NAMES = 200
RATE = 5000
# A shared machine needs longer for everything; the promise holds on one that has its CPUs.
SLACK = 1.0 if CHAOS_S else 4.0


def seconds(short_s: float) -> float:
    """How long to go on: short_s, or as long as was asked for."""
    return CHAOS_S or short_s


def chance(name: str) -> random.Random:
    """The random numbers of a test. Prints what repeats them."""
    print(f"FASTDNS_CHAOS_SEED={SEED}")
    return random.Random(f"{SEED} {name}")


def server(folder: Path, corefile: str = "", **options: object) -> Server:
    """A fastdns that has the names of the load."""
    if corefile:
        options["corefile"] = corefile
    return Server(folder, manifests=manifests(NAMES), **options)  # type: ignore[arg-type]


def memory_mib(fastdns: Server) -> float:
    """What all its processes have, shared memory once."""
    return sum(pss_kib(fastdns.process.pid).values()) / 1024


def memory_at_rest_mib(fastdns: Server) -> float:
    """The same, once what a start leaves for later has been done."""
    now = memory_mib(fastdns)
    for _ in range(20):
        before = now
        time.sleep(0.5)
        now = memory_mib(fastdns)
        if now - before < 0.1:
            break
    return now


def stolen_s() -> float:
    """CPU time that the host of this machine has taken from it so far, in seconds (proc(5): steal)."""
    return int(Path("/proc/stat").read_text().split()[8]) / os.sysconf("SC_CLK_TCK")


def tell(report: Report, what: str, heal_s: float | None = None) -> None:
    """Say what came of it, where people see it, and in a file where FASTDNS_CHAOS_REPORT names one."""
    line = report.line(what, heal_s)
    print(line, *report.complaints, sep="\n")
    if path := os.environ.get("FASTDNS_CHAOS_REPORT"):
        with Path(path).open("a") as file:
            print(line, file=file)
