"""CPU of a query through the step of etcd: names with one service and with many, and names that lead to each other.

    python -m bench.service_steps [--rounds 9]

All is one thread of this process, without sockets. Each row is the CPU time of a question and its answer, over TCP:
the median of the rounds. What Python takes to call the worker is in every row.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

from bench.limits import query
from fastdns.dns.names import wire_name
from fastdns.memory._store import Store, Writer
from fastdns.plugins.etcd._step import EtcdStep
from fastdns.plugins.etcd.keys import Keys
from fastdns.plugins.etcd.services import TYPE_SERVICE, record_of
from fastdns.rrsets._draft import Draft
from fastdns.rrsets._writer import ZoneWriter
from fastdns.serve._worker import Worker
from fastdns.serve._zones import ServerTable

# Name, type, questions a round, what it is.
ROWS = (
    ("i1.s5.z.", "A", 5000, "one service"),
    ("s5.z.", "A", 5000, "five services below a name"),
    ("s5.z.", "SRV", 5000, "the same, ports and addresses"),
    ("none.z.", "A", 5000, "no such name"),
    ("many.z.", "A", 20, "4,096 services below a name"),
    ("n1.z.", "SRV", 10, "60 names of which each leads to all others"),
)


def services() -> dict[str, dict[str, object]]:
    """All keys."""
    found: dict[str, dict[str, object]] = {
        f"/z/s{i % 1000}/i{i // 1000}": {"host": f"10.0.{i >> 8}.{i & 255}", "port": 80} for i in range(5000)
    }
    found |= {f"/z/many/k{i}": {"host": f"10.9.{i >> 8}.{i & 255}", "port": 80} for i in range(4096)}
    pairs = ((one, other) for one in range(60) for other in range(60) if one != other)
    found |= {f"/z/n{one}/k{other}": {"host": f"n{other}.z."} for one, other in pairs}
    return found


def worker_of(store: Store) -> Worker:
    """A worker whose step has all keys."""
    writer = Writer(store)
    draft = Draft(b"\0")
    keys = Keys.of(["z."], "")
    for text, value in services().items():
        key = text.encode()
        name = keys.name_of(key)
        assert name is not None
        draft.add(name, TYPE_SERVICE, 0, record_of(key, name, json.dumps(value).encode(), 0))
    ZoneWriter(writer, 1, max_changes=0).replace(draft)
    writer.set_source(1, synced=True)
    step = EtcdStep(source=1, zones=[wire_name("z.")], fall=[], min_lease_ttl_s=30, max_lease_ttl_s=86400, unread=1)
    return Worker(ServerTable([(".", 0, None)], [[step]]), store, 0)


def main() -> None:
    """Print a line for each row."""
    parser = argparse.ArgumentParser(description="CPU of a query through the step of etcd")
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    worker = worker_of(Store(1 << 27))
    for name, kind, count, what in ROWS:
        message = query(name, kind)
        taken = []
        for _ in range(rounds):
            began_s = time.thread_time()
            for _ in range(count):
                worker.serve(message, tcp=True)
            taken.append((time.thread_time() - began_s) / count * 1e6)
        print(f"{statistics.median(taken):9.2f} us  {name} {kind}: {what}")


if __name__ == "__main__":
    main()
