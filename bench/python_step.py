"""What a query costs that a step in Python answers, beside a hit of native code, by turns on one server.

    python -m bench.python_step [--rounds 7] [--seconds 0.5]

One worker on the first CPU, the generator on the last. ``native``: A of a Service. ``python``: A from a step that
makes the record anew. ``passed``: the step has nothing to say, and a Service's address follows. ``next``: the step
asks for that and returns it. Each row is the CPU time of all processes of the server for a query, its ratio to
``native`` in the same round, queries a second and times: medians, with the spread.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from bench.rounds import How
from fastdns.bench import processes
from fastdns.bench.exchange import wait_for_answer

NAMES = 500
# Fewer than the places of a worker.
OUTSTANDING = 64
KINDS = ("native", "python", "passed", "next")
PLUGIN = """\
from dnslib import A, QTYPE, RR
from fastdns.plugins.api import Plugin
from fastdns.plugins.python import PythonStep


class Step(PythonStep):
    async def serve(self, request):
        first = request.message[13:14]
        if first == b"p":
            return None
        if first == b"n":
            return await request.next()
        reply = request.record.reply()
        reply.add_answer(RR(request.question.qname, QTYPE.A, ttl=5, rdata=A("192.0.2.1")))
        return reply


class Measured(Plugin):
    name = "measured"
    before = "cache"

    def parse(self, tokens, context):
        for _ in tokens.occurrences():
            pass

    def python_step(self, config, block, runtime):
        return Step()


plugin = Measured()
"""
COREFILE = """\
cluster.local:PORT {
    bind 127.0.0.1
    kubernetes cluster.local {
        manifests MANIFESTS
    }
}
python.local:PORT {
    bind 127.0.0.1
    measured
    kubernetes python.local {
        manifests MANIFESTS
    }
}
"""


def write(folder: Path, port: int) -> None:
    """All that the server reads."""
    services = [
        f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: {letter}{number}, namespace: n}}\n"
        f"spec: {{clusterIP: 10.{place}.{number >> 8}.{number & 255}, "
        f"clusterIPs: [10.{place}.{number >> 8}.{number & 255}], ports: [{{port: 80}}]}}\n"
        for place, letter in enumerate("spn")
        for number in range(NAMES)
    ]
    (folder / "services.yaml").write_text("".join(services))
    corefile = COREFILE.replace("PORT", str(port)).replace("MANIFESTS", str(folder / "services.yaml"))
    (folder / "Corefile").write_text(corefile)
    (folder / "measured_step.py").write_text(PLUGIN)
    info = folder / "measured-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: measured\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[fastdns.plugins]\nmeasured = measured_step:plugin\n")


def query(name: str) -> bytes:
    """A question for an address."""
    wire = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
    return b"\0\7\1\0\0\1\0\0\0\0\0\0" + wire + b"\0\0\1\0\1"


def queries() -> dict[str, list[bytes]]:
    """The questions of each kind."""
    zones = {kind: (letter, "python") for kind, letter in zip(KINDS, "sspn", strict=True)}
    zones["native"] = ("s", "cluster")
    return {
        kind: [query(f"{letter}{number}.n.svc.{zone}.local") for number in range(NAMES)]
        for kind, (letter, zone) in zones.items()
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.python_step", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    cpus = sorted(os.sched_getaffinity(0))
    how = How(options.seconds, options.rounds, OUTSTANDING, 16)
    asked = queries()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        port = processes.free_port()
        write(folder, port)
        environ = {"FASTDNS_WORKERS": "1", "PYTHONPATH": str(folder)}
        command = [sys.executable, "-m", "fastdns", "-conf", str(folder / "Corefile")]
        with processes.Child(command, cpus={cpus[0]}, log=folder / "log", environ=environ) as child:
            for kind in KINDS:
                wait_for_answer(port, asked[kind][0], 30)
            os.sched_setaffinity(0, {cpus[-1]})
            rows = measure(how, child.pid, port, asked)
    report(rows, as_json=options.json)


def report(rows: dict[str, dict[str, tuple[float, ...]]], *, as_json: bool) -> None:
    """Print a line a kind, or JSON."""
    if as_json:
        print(json.dumps(rows))
        return
    for kind, row in rows.items():
        cells = (f"{title} {median:g} ({least:g}-{most:g})" for title, (median, least, most) in row.items())
        print(f"{kind:8}", *cells, sep="  ")


def measure(
    how: How, pid: int, port: int, asked: dict[str, list[bytes]]
) -> dict[str, dict[str, tuple[float, ...]]]:
    """Each kind has its turn in each round. Ratios are to the first one."""
    kinds = tuple(asked)
    seen: dict[str, dict[str, list[float]]] = {kind: {} for kind in kinds}
    for number in range(how.rounds):
        turns = {}
        for kind in kinds[number % len(kinds) :] + kinds[: number % len(kinds)]:
            load = how.load(port, asked[kind])
            load.run(seconds=0.1)
            before = processes.cpu_ns(pid)
            result = load.run(seconds=how.seconds)
            turns[kind] = (processes.cpu_ns(pid) - before) / 1000 / max(1, result.answered)
            load.close()
            time.sleep(0.05)
            assert sum(result.rcodes[1:]) == 0, f"{kind}: {result.rcodes}"
            figures = {"us": turns[kind], "q/s": result.per_second, "mean us": result.mean_us, "lost": result.lost}
            for title, value in figures.items():
                seen[kind].setdefault(title, []).append(float(value))
        for kind in kinds:
            seen[kind].setdefault("ratio", []).append(turns[kind] / turns[kinds[0]])
    rows = {}
    for kind, figures in seen.items():
        rows[kind] = {}
        for title, values in figures.items():
            ordered = sorted(values)
            rows[kind][title] = tuple(round(v, 2) for v in (ordered[len(ordered) // 2], ordered[0], ordered[-1]))
    return rows


if __name__ == "__main__":
    main()
