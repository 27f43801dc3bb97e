"""``python -m bench.transfers``: zones of a million records go out while names of a cluster are asked for.

One worker serves a cluster and a zone file. Cluster names are asked for at a fixed rate, in turns: with no
transfer, and with so many clients that each take the whole zone (AXFR), again and again. The latency of an answer
counts from when its query was due. A client reads as fast as it can, and does nothing with what it has read. CPU
time of a record is what the server used in a turn beyond the turn without transfers, by the records that have gone
out. Memory is the PSS of all processes of the server, the most of what was seen.

Where Knot DNS is installed, it is started as a secondary at last: the seconds until it answers from the zone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dns.message
from tests.support import WEB, Server, free_port

from bench.rounds import How
from bench.zonefiles import ZONE, write_zone
from fastdns.bench import processes
from fastdns.bench.exchange import ask
from fastdns.bench.messages import Query, message

COREFILE = f"""\
cluster.local:DNS_PORT {{
    bind 127.0.0.1
    kubernetes cluster.local {{
        manifests MANIFESTS
    }}
}}
{ZONE}:DNS_PORT {{
    bind 127.0.0.1
    errors
    file {ZONE}.zone
    transfer {{
        to *
    }}
}}
"""
KNOT = """\
server:
    rundir: "{folder}"
    listen: 127.0.0.1@{port}
database:
    storage: "{folder}"
remote:
  - id: primary
    address: 127.0.0.1@{primary}
zone:
  - domain: {zone}
    storage: "{folder}"
    master: primary
    zonefile-sync: -1
"""
# SOA twice, NS, the nameserver's address, a wildcard.
MORE_RECORDS = 5
START_S = 300.0


def take(port: int, records: int) -> None:
    """Take the zone again and again. Writes a byte for each time to standard output."""
    query = dns.message.make_query(f"{ZONE}.", "AXFR").to_wire()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        stream = connection.makefile("rb", buffering=1 << 20)
        while True:
            connection.sendall(struct.pack(">H", len(query)) + query)
            left = records
            while left > 0:
                size = int.from_bytes(stream.read(2), "big")
                if not size:
                    raise SystemExit("the transfer was cut off")
                left -= int.from_bytes(stream.read(size)[6:8], "big")
            os.write(1, b".")


@contextlib.contextmanager
def takers(count: int, port: int, records: int) -> Iterator[Callable[[], int]]:
    """So many clients. Yields what says how often they have had the zone."""
    words = [sys.executable, "-m", "bench.transfers", "--take", str(port), "--records", str(records)]
    clients = [subprocess.Popen(words, stdout=subprocess.PIPE) for _ in range(count)]
    taken = [0] * count

    def follow(number: int) -> None:
        stream = clients[number].stdout
        assert stream is not None
        while stream.read(1):
            taken[number] += 1

    threads = [threading.Thread(target=follow, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield lambda: sum(taken)
    finally:
        for client in clients:
            client.terminate()
        for client, thread in zip(clients, threads, strict=True):
            client.wait()
            thread.join()


def memory_mib(server: Server) -> float:
    return sum(processes.pss_kib(server.process.pid).values()) / 1024


def turn(how: argparse.Namespace, server: Server, clients: int) -> dict[str, float]:
    """One turn of so many clients."""
    queries = [message(Query(WEB, "A"))]
    load = How(how.seconds, 1, outstanding=256, sockets=16, rate=how.rate).load(server.port, queries)
    with contextlib.closing(load), takers(clients, server.port, how.records + MORE_RECORDS) as taken:
        deadline = time.monotonic() + START_S
        while clients and not taken():
            if time.monotonic() > deadline:
                raise TimeoutError(f"no zone was taken: {server.log}")
            time.sleep(0.05)
        load.run(seconds=0.2)
        before, begins, seen = processes.cpu_ns(server.process.pid), time.monotonic(), taken()
        result = load.run(seconds=how.seconds)
        memory = memory_mib(server)
        # The transfer that goes on is counted when it ends: in the middle, half of one is missing for each client.
        whole = taken() - seen
        return {
            "p50_us": result.percentile_us(50),
            "p99_us": result.percentile_us(99),
            "p99.9_us": result.percentile_us(99.9),
            "lost": float(result.lost),
            "cpu_percent": (processes.cpu_ns(server.process.pid) - before) / (time.monotonic() - begins) / 1e7,
            "records_s": whole * how.records / (time.monotonic() - begins),
            "memory_mib": memory,
        }


def to_knot(server: Server, folder: Path) -> float | None:
    """Seconds from Knot's start to its first answer. None: it is not installed."""
    program = shutil.which("knotd") or shutil.which("knotd", path="/usr/sbin")
    if program is None:
        return None
    folder.mkdir()
    port = free_port()
    config = folder / "knot.conf"
    config.write_text(KNOT.format(folder=folder, port=port, primary=server.port, zone=ZONE))
    begins = time.monotonic()
    with processes.Child([program, "-c", str(config)], cpus=os.sched_getaffinity(0), log=folder / "log") as child:
        first = message(Query(f"host1.{ZONE}", "A"))
        while (answer := ask(port, first, 0.2)) is None or answer[3] & 15 or not answer[7]:
            child.check()
            if time.monotonic() > begins + START_S:
                raise TimeoutError((folder / "log").read_text())
            time.sleep(0.01)
        return round(time.monotonic() - begins, 2)


def run(how: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    found: dict[int, list[dict[str, float]]] = {clients: [] for clients in (0, *how.clients)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_zone(folder / f"{ZONE}.zone", how.records)
        environ = {"FASTDNS_STORE_MIB": "2048"}
        with Server(folder, COREFILE, workers=1, environ=environ, wait=False) as server:
            server.wait_for_log("\nfastdns-", START_S)
            for number in range(how.rounds):
                for clients, turns in found.items():
                    turns.append(turn(how, server, clients))
                    said = "  ".join(f"{key} {value:.0f}" for key, value in turns[-1].items())
                    say(f"{number + 1}/{how.rounds} {clients} clients: {said}")
            knot_s = to_knot(server, folder / "knot")
    alone = statistics.median(one["cpu_percent"] for one in found[0])
    figures: dict[str, Any] = {"records": how.records, "rate": how.rate, "knot_s": knot_s, "clients": {}}
    for clients, turns in found.items():
        row = {key: round(statistics.median(one[key] for one in turns), 1) for key in turns[0]}
        row["p99_us_most"] = round(max(one["p99_us"] for one in turns), 1)
        row["memory_mib"] = round(max(one["memory_mib"] for one in turns), 1)
        if row["records_s"]:
            row["us_a_record"] = round((row["cpu_percent"] - alone) * 1e4 / row["records_s"], 3)
        figures["clients"][clients] = row
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.transfers", description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--clients", type=lambda text: [int(one) for one in text.split(",")], default=[1, 8])
    parser.add_argument("--rate", type=float, default=2000.0, help="of cluster names, a second")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each turn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--take", type=int, metavar="PORT", help=argparse.SUPPRESS)
    how = parser.parse_args()
    if how.take is not None:
        take(how.take, how.records)
    found = run(how, lambda line: print(line, file=sys.stderr, flush=True))
    text = json.dumps(found, indent=2)
    if how.json is not None:
        how.json.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
