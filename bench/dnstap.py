"""CPU of a query whose messages are written for a collector, beside one without.

    python -m bench.dnstap [--rounds 9] [--queries 1000]

All is one thread of this process, without sockets: each row is the CPU time of a question and its answer, and what
it has more than ``none`` of the same round: medians, with the spread. What Python takes to call the worker is in
every row. ``reading`` is what the supervisor takes to read the messages of one query, before it sends them.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence

from bench.calls import cpu_ns
from bench.limits import query
from fastdns.corefile import load
from fastdns.plugins.api import Runtime
from fastdns.plugins.dnstap._thread import ThreadTaps
from fastdns.plugins.dnstap.shared import HOT, make_rings
from fastdns.process.assembly import build_tables
from fastdns.serve._worker import Worker

NAME = "svc-7.namespace-3.svc.cluster.local"
ROWS = {
    "none": [],
    "on": ["dnstap a"],
    "full": ["dnstap a full"],
    "extra": ["dnstap a {", 'extra "{name} {type} {remote}"', "}"],
    "two taps": ["dnstap a", "dnstap b full"],
    "listen, nobody connected": ["dnstap listen a"],
}
BATCH_BYTES = 1 << 17


class Tapped:
    """A worker with these lines, whose rings are read between the rounds."""

    def __init__(self, lines: Sequence[str]) -> None:
        config = load("\n".join([". {", *lines, "whoami", "}"]), environ={})
        self.rings = make_rings(config, 1)
        tables, self.steps = build_tables(config, Runtime(prepared={"dnstap": self.rings}), {})
        self.worker = Worker(tables[0])
        self.taps = ThreadTaps(self.rings.of_thread(0, HOT))
        self.taps.attach(self.worker)
        self.message = query(NAME, "A")
        assert self.worker.serve(self.message) is not None

    def ask(self) -> None:
        self.worker.serve(self.message)

    def read(self) -> None:
        """As the supervisor does."""
        for ring in self.rings.of_thread(0, HOT):
            while ring.used_bytes:
                ring.take(BATCH_BYTES)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.dnstap", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    # As many as the smallest ring holds.
    parser.add_argument("--queries", type=int, default=1000)
    how = parser.parse_args(arguments)
    tapped = {name: Tapped(lines) for name, lines in ROWS.items()}
    took: dict[str, list[float]] = {name: [] for name in (*ROWS, "reading")}
    for _ in range(how.rounds):
        for name, one in tapped.items():
            one.read()
            took[name].append(cpu_ns(one.ask, how.queries))
            if name == "full":
                took["reading"].append(cpu_ns(one.read, 1) / how.queries)
    assert all(ring.dropped == 0 for one in tapped.values() for rings in one.rings.of for ring in rings)
    print(f"{'reading':26} {statistics.median(took['reading']):8.0f}")
    print(f"{'':26} {'ns':>8} {'more than none':>16} {'spread':>16}")
    for name in ROWS:
        times = took[name]
        more = [one - none for one, none in zip(times, took["none"], strict=True)]
        spread = f"{min(more):.0f} to {max(more):.0f}"
        print(f"{name:26} {statistics.median(times):8.0f} {statistics.median(more):16.0f} {spread:>16}")


if __name__ == "__main__":
    main()
