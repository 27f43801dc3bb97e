"""CPU that the step of top adds to a query, without sockets.

    python -m bench.top_step [--rounds 9] [--queries 20000]

All is one thread of this process. Each round asks a worker without top and one with it the same queries, by turns,
for each row: one name and one client; 10,000 names of 5,000 clients in proportion to 1/k; names that come once
each, as in a flood. What Python takes to call the worker is in both, so the difference is the step's. Beside a hit
of a whole server, of which the step may take 2%, it is measured by ``python -m bench.compare --scenarios hit
--servers fastdns+none,fastdns+top --reference fastdns+none``.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Sequence
from itertools import accumulate

from bench.limits import query
from fastdns.plugins.top._sketch import Sketches, ThreadSketch
from fastdns.plugins.top._step import TopStep
from fastdns.plugins.whoami._step import WhoamiStep
from fastdns.serve._worker import Worker
from fastdns.serve._zones import NativeStep, ServerTable

Load = list[tuple[bytes, bytes]]
NAMES, CLIENTS = 10_000, 5_000
WINDOW_NS = 60_000_000_000


def loads(queries: int) -> dict[str, Load]:
    """Messages and clients of each row."""
    rng = random.Random(1)

    def zipf(population: int) -> list[int]:
        return rng.choices(range(population), cum_weights=list(accumulate(1 / k for k in range(1, population + 1))),
                           k=queries)  # fmt: skip

    names = [query(f"service-{number}.namespace-{number % 100}.svc.cluster.local", "A") for number in range(NAMES)]
    clients = [b"\x0a\x80" + number.to_bytes(2, "big") for number in range(CLIENTS)]
    return {
        "one name": [(names[0], clients[0])] * queries,
        "10,000 names, 1/k": [(names[n], clients[c]) for n, c in zip(zipf(NAMES), zipf(CLIENTS), strict=True)],
        "a flood": [(query(f"{rng.randbytes(8).hex()}.namespace.svc.cluster.local", "A"), clients[0])
                    for _ in range(queries)],
    }  # fmt: skip


def worker(*steps: NativeStep) -> Worker:
    """A worker with these steps, and one that answers."""
    return Worker(ServerTable([(".", 0, None)], [[*steps, WhoamiStep()]]))


def cpu_ns(one: Worker, load: Load) -> float:
    """The CPU time of a query."""
    begun = time.thread_time_ns()
    for message, client in load:
        one.serve(message, client=client)
    return (time.thread_time_ns() - begun) / len(load)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.top_step", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--queries", type=int, default=20_000)
    how = parser.parse_args(arguments)
    sketch = ThreadSketch(Sketches(1, 4096, WINDOW_NS), 0)
    without, with_top = worker(), worker(TopStep(100_000_000))
    sketch.attach(with_top)
    print(f"{'':20} {'without, ns':>12} {'with, ns':>10} {'more, ns':>10} {'spread':>16}")
    for row, load in loads(how.queries).items():
        cpu_ns(with_top, load)
        pairs = [(cpu_ns(without, load), cpu_ns(with_top, load)) for _ in range(how.rounds)]
        more = [after - before for before, after in pairs]
        before, after = (statistics.median(side) for side in zip(*pairs, strict=True))
        spread = f"{min(more):.0f} to {max(more):.0f}"
        print(f"{row:20} {before:12.0f} {after:10.0f} {statistics.median(more):10.0f} {spread:>16}")


if __name__ == "__main__":
    main()
