"""How long names of the cluster take over UDP while hostile clients do their worst on every other transport.

    python -m bench.floods [--seconds 10] [--rate 2000] [--only 'https resets' 'quic initials' …]

A server with every transport, and one worker unless --workers says otherwise, has one CPU; the clients have the
others. Before the first flood and after the last one, names are asked for alone. Each line is one flood: how long
answers to --rate queries each second took, from the call that sent the query to the kernel's time of the answer;
queries that were lost; the CPU of the server; its memory (PSS of all its processes) at its highest and right after;
and what the flood has sent each second.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import socket
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.certificates import write_certificate
from tests.integration.faults.floods import FLOODS, Flooding
from tests.integration.faults.load import manifests, name_of

from bench.servers import ready
from fastdns.bench import processes
from fastdns.bench.messages import Query, message

NAMES = 200
LOST_S = 2.0
# asm-generic/socket.h, and struct timespec.
SO_TIMESTAMPNS = 35
TIMESPEC = struct.Struct("@qq")
COREFILE = """\
{keys} {{
    bind 127.0.0.1
    tls {folder}/cert.pem {folder}/key.pem
    errors
    kubernetes cluster.local {{
        manifests {folder}/cluster.yaml
    }}
}}
"""
SCHEMES = ("tls", "https", "grpc", "quic", "https3")
NONE = "none"


def corefile(folder: Path, at: Mapping[str, int]) -> str:
    """One zone at every transport."""
    keys = [f"{'dns' if scheme == 'tcp' else scheme}://cluster.local:{port}" for scheme, port in at.items()]
    return COREFILE.format(keys=" ".join(keys), folder=folder)


@dataclass
class Asked:
    """What came of queries: how many were sent, and how long each answer took, in ms."""

    sent: int
    took_ms: list[float]

    def part(self, percent: float) -> float:
        """So many percent of the answers took no longer, in ms."""
        took = sorted(self.took_ms)
        return took[min(len(took) - 1, int(len(took) * percent / 100))] if took else float("nan")


def ask(port: int, rate: int, seconds: float) -> Asked:
    """Ask at a steady rate. An answer has come when the kernel has put it into the socket, not when this process
    has had a CPU to read it."""
    queries = [message(Query(name_of(number), "A"))[2:] for number in range(NAMES)]
    found = Asked(0, [])
    # By ID, when it was sent.
    sent_at: dict[int, float] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.connect(("127.0.0.1", port))
        sock.setblocking(False)
        begun = time.monotonic()
        while (now := time.monotonic() - begun) < seconds + LOST_S:
            due = int(min(now, seconds) * rate) - found.sent
            if due > rate // 20:
                # This process has had no CPU.
                begun += due / rate
                continue
            for _ in range(due):
                found.sent += 1
                sent_at[found.sent & 0xFFFF] = time.clock_gettime(time.CLOCK_REALTIME)
                sock.send((found.sent & 0xFFFF).to_bytes(2) + queries[found.sent % NAMES])
            with contextlib.suppress(BlockingIOError):
                while True:
                    reply, [(_, _, data)], _, _ = sock.recvmsg(2048, 64)
                    came_at = TIMESPEC.unpack(data)
                    at = sent_at.pop(int.from_bytes(reply[:2]), None)
                    if at is not None and reply[3] & 15 == 0:
                        found.took_ms.append((came_at[0] - at + came_at[1] / 1e9) * 1e3)
            if now > seconds and not sent_at:
                break
            select.select([sock], [], [], 1 / rate)
    return found


class Watch:
    """The most memory that a server has while the block runs, in MiB."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.most = 0.0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        while not self.over.wait(0.5):
            self.most = max(self.most, memory_mib(self.pid))

    def __enter__(self) -> Watch:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.over.set()
        self.thread.join()


def memory_mib(pid: int) -> float:
    return sum(processes.pss_kib(pid).values()) / 1024


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.floods", description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="of each flood")
    parser.add_argument("--rate", type=int, default=2000, help="queries a second")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=FLOODS, metavar="FLOOD", default=list(FLOODS))
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    cpus = sorted(os.sched_getaffinity(0))
    server_cpus = {cpus[0]}
    os.sched_setaffinity(0, set(cpus[1:]) or server_cpus)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_certificate(folder)
        (folder / "cluster.yaml").write_text(manifests(NAMES))
        needed = {"tcp", *(FLOODS[flood][0] for flood in args.only)}
        at = {scheme: processes.free_port() for scheme in ("tcp", *SCHEMES) if scheme in needed}
        (folder / "Corefile").write_text(corefile(folder, at))
        with processes.Child(
            [sys.executable, "-m", "fastdns", "-conf", str(folder / "Corefile")], cpus=server_cpus,
            log=folder / "log", environ={"FASTDNS_WORKERS": str(args.workers)},
        ) as child:  # fmt: skip
            ready(child, at["tcp"], message(Query(name_of(0), "A")))
            figures = []
            if not args.json:
                print(f"{'':40}{'p50 ms':>8}{'p99 ms':>8}{'p99.9':>8}{'most':>8}{'lost':>6}{'CPU %':>6}{'MiB':>8}"
                      f"{'after':>8}  each second")  # fmt: skip
            for flood in (NONE, *args.only, NONE):
                figures.append(measured(flood, child, at, args))
                if not args.json:
                    show(figures[-1])
    if args.json:
        print(json.dumps(figures, indent=2))


def measured(
    flood: str, child: processes.Child, at: Mapping[str, int], args: argparse.Namespace
) -> dict[str, object]:
    """The figures of one flood."""
    before = processes.cpu_ns(child.pid)
    flooding = Flooding(at, [flood] if flood != NONE else [])
    with Watch(child.pid) as watch, flooding:
        asked = ask(at["tcp"], args.rate, args.seconds)
    used_s = (processes.cpu_ns(child.pid) - before) / 1e9
    child.check()
    sent = flooding.sent.get(flood, {})
    return {
        "flood": flood, "a second": {what: round(count / args.seconds) for what, count in sent.items()},
        "p50_ms": round(asked.part(50), 2), "p99_ms": round(asked.part(99), 2),
        "p99.9_ms": round(asked.part(99.9), 2), "most_ms": round(asked.part(100), 2),
        "lost": asked.sent - len(asked.took_ms), "cpu_percent": round(100 * used_s / args.seconds),
        "memory_mib": round(watch.most, 1), "memory_after_mib": round(memory_mib(child.pid), 1),
    }  # fmt: skip


def show(found: Mapping[str, object]) -> None:
    """Print a line of the table."""
    sent = found["a second"]
    assert isinstance(sent, dict)
    said = ", ".join(f"{count} {what}" for what, count in sent.items())
    print(
        f"{found['flood']:40}{found['p50_ms']:8}{found['p99_ms']:8}{found['p99.9_ms']:8}{found['most_ms']:8}"
        f"{found['lost']:6}{found['cpu_percent']:6}{found['memory_mib']:8}{found['memory_after_mib']:8}  {said}",
        flush=True,
    )


if __name__ == "__main__":
    main()
