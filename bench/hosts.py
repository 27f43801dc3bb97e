"""``python -m bench.hosts``: a block list in *hosts*: time to load and to reload, memory, CPU time of a hit.

fastdns and CoreDNS (where it is on PATH) serve the same list of ``0.0.0.0 NAME`` lines, one after the other. The
time of a start is that of a server with the list less that of one with an empty file; so is the memory. fastdns
also serves a cluster from another block, whose Services show what a hit costs otherwise. Processes and ports are
those of the tests.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dns.exception
import dns.message
import dns.query
from tests.plugins.beside import COREDNS, CoreDNS
from tests.support import WEB, Server

from bench.rrsets import block_list
from fastdns.bench.usage import Meter

COREFILE = """\
.:DNS_PORT {
    bind 127.0.0.1
    hosts list {
        reload 1s
        fallthrough
    }
    whoami
}
"""
CLUSTER = """\
cluster.local:DNS_PORT {
    bind 127.0.0.1
    kubernetes cluster.local {
        manifests MANIFESTS
    }
}
"""
MIB = 1 << 20


def texts(count: int) -> list[str]:
    """Names in presentation form."""
    found = []
    for name in block_list(count):
        labels, at = [], 0
        while name[at]:
            labels.append(name[at + 1 : at + 1 + name[at]].decode())
            at += name[at] + 1
        found.append(".".join(labels))
    return found


def wait_for(port: int, name: str, address: str, limit_s: float = 120.0) -> None:
    """Wait until a name has an address."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        try:
            reply = dns.query.udp(dns.message.make_query(name, "A"), "127.0.0.1", 1.0, port)
            if any(str(data) == address for rrset in reply.answer for data in rrset):
                return
        except (dns.exception.Timeout, OSError):
            pass
        time.sleep(0.005)
    raise SystemExit(f"{name} has not become {address}")


def write(folder: Path, names: list[str], address: str) -> None:
    """The list, and behind it a name that shows which one is served."""
    lines = [f"0.0.0.0 {name}\n" for name in names]
    (folder / "list.new").write_text("".join(lines) + f"{address} last.test\n")
    (folder / "list.new").replace(folder / "list")


def hit_us(folder: Path, port: int, pid: int, queries: list[str], seconds: int) -> float:
    """CPU microseconds of the server for each answer."""
    (folder / "queries").write_text("".join(f"{name} A\n" for name in queries))
    meter = Meter(pid)
    command = [
        sys.executable, "-m", "fastdns.cli", "bench", "-p", str(port), "-d", str(folder / "queries"),
        "-l", str(seconds), "--json",
    ]  # fmt: skip
    said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return meter.read().us_per_answer(said["result"]["answered"])


def measured(server: str, names: list[str], seconds: int) -> dict[str, float]:
    """Start with an empty list and with all of it; reload; ask."""
    found: dict[str, float] = {}
    for what, part in (("empty", []), ("full", names)):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            write(folder, part, "10.0.0.1")
            begun = time.monotonic()
            theirs = server == "coredns"
            with CoreDNS(folder, COREFILE) if theirs else Server(folder, COREFILE + CLUSTER, workers=1) as serving:
                wait_for(serving.port, "last.test", "10.0.0.1")
                found[f"{what}_start_s"] = time.monotonic() - begun
                pid = serving.process.pid
                time.sleep(1.0)
                found[f"{what}_mib"] = Meter(pid).read().pss_kib / 1024
                if not part:
                    continue
                found["hit_us"] = hit_us(folder, serving.port, pid, names[:: max(1, len(names) // 20_000)], seconds)
                if server == "fastdns":
                    found["cluster_hit_us"] = hit_us(folder, serving.port, pid, [WEB], seconds)
                    found["few_hits_us"] = hit_us(folder, serving.port, pid, names[:1], seconds)
                for turn in range(2, 5):
                    changed = [f"x{turn}{name}" if number % 10 == 0 else name for number, name in enumerate(part)]
                    begun = time.monotonic()
                    write(folder, changed, f"10.0.0.{turn}")
                    wait_for(serving.port, "last.test", f"10.0.0.{turn}")
                    found["reload_s"] = time.monotonic() - begun
                time.sleep(2.0)
                found["reloaded_mib"] = Meter(pid).read().pss_kib / 1024
    found["load_s"] = found["full_start_s"] - found["empty_start_s"]
    found["list_mib"] = found["full_mib"] - found["empty_mib"]
    return found


def main() -> None:
    """Print a row for each server."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", type=int, default=200_000)
    parser.add_argument("--seconds", type=int, default=3, help="of each load")
    how = parser.parse_args()
    names = texts(how.names)
    for server in ("fastdns", "coredns"):
        if server == "coredns" and COREDNS is None:
            print("coredns: it is not on PATH")
            continue
        row = measured(server, names, how.seconds)
        print(server, json.dumps({name: round(value, 3) for name, value in row.items()}), flush=True)


if __name__ == "__main__":
    main()
