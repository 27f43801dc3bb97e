"""``python -m bench.transports``: what a query costs the server over TCP, TLS, HTTPS and QUIC, beside CoreDNS.

Each server has one worker, or one thread of Go, and answers one name from *template*. dnsperf asks with one query
outstanding on each connection, and with four; over QUIC ``bench.quic_load`` does, where qh3 is there. Each server
and transport has its turn in each round. CPU is what the scheduler counted for all threads of the server's
processes, by the queries answered. Ratios are of one round: to TCP and to TLS of the same server, and to CoreDNS
over the same transport. A turn has its handshakes in it: let turns be long beside them.

At its limit dnsperf asks less often over HTTPS than over TLS, so that the server has fewer queries in each turn of
its loop, which then cost more each: --qps has it ask as often over all transports.

CoreDNS is left out where PATH has none.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from tests.certificates import write_certificate

from bench.dnsperf import parse
from bench.servers import ready
from fastdns.bench import processes
from fastdns.bench.messages import Query, message
from fastdns.bench.report import spread

# A server, a transport, and how many queries are outstanding on each connection.
Turn = tuple[str, str, int]
# Microseconds of each round.
Costs = dict[Turn, list[float]]

NAME = "a.example.org"
# dnsperf's names, and the schemes of keys.
TRANSPORTS = {"tcp": "dns", "dot": "tls", "doh": "https"} | ({"doq": "quic"} if find_spec("qh3") else {})
# Outstanding on each connection.
OUTSTANDING = (1, 4)
# dnsperf 2.10 aborts at times where two responses of HTTP/2 come together.
TRIALS = 5
# It loses responses of HTTP/2 that come together, and waits for them.
LEFT_OUT = {("doh", 4)}
BLOCK = """\
{key} {{
    bind 127.0.0.1
    {tls}
    template IN A example.org {{
        answer "{{{{ .Name }}}} 60 IN A 192.0.2.1"
    }}
}}
"""


def corefile(ports: dict[str, int], folder: Path) -> str:
    """A block for each transport. folder: of the certificate."""
    return "".join(
        BLOCK.format(
            key=f"{TRANSPORTS[transport]}://example.org:{port}",
            tls="" if transport == "tcp" else f"tls {folder}/cert.pem {folder}/key.pem",
        )
        for transport, port in ports.items()
    )


def turn(pid: int, transport: str, port: int, file: Path, args: argparse.Namespace, outstanding: int) -> float:
    """Microseconds of the server's CPU a query."""
    words = [
        "dnsperf", "-s", "127.0.0.1", "-p", str(port), "-m", transport, "-d", str(file), "-l", str(args.seconds),
        "-c", str(args.connections), "-q", str(args.connections * outstanding), "-T", "1",
        *(["-Q", str(args.qps)] if args.qps else []),
    ]  # fmt: skip
    if transport == "doq":
        numbers = [port, args.seconds, args.connections, outstanding]
        words = [sys.executable, "-m", "bench.quic_load", *map(str, numbers)]
    for _ in range(TRIALS):
        before = processes.cpu_ns(pid)
        ended = subprocess.run(words, capture_output=True, text=True)
        used = processes.cpu_ns(pid) - before
        if ended.returncode == 0:
            answered = int(ended.stdout) if transport == "doq" else parse(ended.stdout).answered
            return used / 1000 / max(1, answered)
    sys.exit(f"bench.transports: {' '.join(words)} failed {TRIALS} times: {ended.stderr}")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.transports", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="of a turn")
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--qps", type=int, help="of each transport; default: what dnsperf can do")
    parser.add_argument("--coredns", default="coredns")
    parser.add_argument(
        "--also", type=Path, help="another tree of fastdns with its extensions, such as an earlier one"
    )
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    if shutil.which("dnsperf") is None:
        sys.exit("bench.transports: dnsperf expected in PATH")
    commands = {"fastdns": [sys.executable, "-m", "fastdns"]}
    environ = {"FASTDNS_WORKERS": "1", "GOMAXPROCS": "1"}
    trees = {}
    if args.also:
        commands["also"] = commands["fastdns"]
        trees["also"] = {"PYTHONPATH": str(args.also.absolute() / "src")}
    if shutil.which(args.coredns):
        commands["coredns"] = [args.coredns]
    costs: Costs = {}
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        write_certificate(folder)
        queries = folder / "queries.txt"
        queries.write_text(f"{NAME} A\n")
        started = {}
        for server, words in commands.items():
            ports = {transport: processes.free_port() for transport in TRANSPORTS}
            file = folder / f"Corefile.{server}"
            file.write_text(corefile(ports, folder))
            child = stack.enter_context(
                processes.Child(
                    [*words, "-conf", str(file)], log=folder / f"{server}.log",
                    environ=environ | trees.get(server, {}),
                )
            )  # fmt: skip
            ready(child, ports["tcp"], message(Query(NAME, "A")))
            started[server] = (child, ports)
        for number in range(args.rounds):
            turns = [
                (server, transport, each)
                for server in started
                for transport in TRANSPORTS
                for each in OUTSTANDING
                if (transport, each) not in LEFT_OUT
            ]
            for server, transport, each in turns[number % len(turns) :] + turns[: number % len(turns)]:
                child, ports = started[server]
                child.check()
                us = turn(child.pid, transport, ports[transport], queries, args, each)
                costs.setdefault((server, transport, each), []).append(us)
    show(costs, as_json=args.json)


def ratio(costs: Costs, of: Turn, to: Turn) -> str:
    """The median, of rounds."""
    if of == to or to not in costs:
        return ""
    return f"{spread([a / b for a, b in zip(costs[of], costs[to], strict=True)], 2)['median']:.2f}"


def show(costs: Costs, *, as_json: bool) -> None:
    """Print a line a server, transport and number of outstanding queries."""
    if as_json:
        rows = [
            {"server": server, "transport": transport, "outstanding": each, "us": spread(values, 2)}
            for (server, transport, each), values in costs.items()
        ]
        print(json.dumps(rows, indent=2))
        return
    print(f"{'server':10}{'over':6}{'each':>5}{'us a query':>22}{'x TCP':>8}{'x DoT':>8}{'x CoreDNS':>11}")
    for (server, transport, each), values in sorted(costs.items(), reverse=True):
        of = (server, transport, each)
        figures = spread(values, 1)
        us = f"{figures['median']} ({figures['min']}-{figures['max']})"
        beside = ratio(costs, of, ("coredns", transport, each))
        to = [ratio(costs, of, (server, other, each)) for other in ("tcp", "dot")]
        print(f"{server:10}{transport:6}{each:5}{us:>22}{to[0]:>8}{to[1]:>8}{beside:>11}")


if __name__ == "__main__":
    main()
