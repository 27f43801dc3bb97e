"""``python -m bench.forward``: CPU of a forwarded miss and of a cached answer, in multiples of dnsdist's."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import population, rounds, servers
from fastdns.bench import processes

MISS, HIT = "miss", "hit"
SAYS = {
    MISS: "A of {names} names, each forwarded to one upstream on the loopback",
    HIT: "A of {names} names of the same upstream, from the cache",
}
# fastdns and CoreDNS read the same.
COREFILE = """\
.:{port} {{
    bind 127.0.0.1
    errors
    forward . 127.0.0.1:{upstream}
{cache}}}
"""
# The usual capacity is a little less than the usual number of names, and that of a part of the cache is exact.
CACHE = """\
    cache 300 {{
        success {entries}
    }}
"""
DNSDIST_CONF = """\
setLocal("127.0.0.1:{port}")
setACL("127.0.0.0/8")
setSecurityPollSuffix("")
newServer({{address="127.0.0.1:{upstream}"}}):setUp()
{more}"""
DNSDIST_CACHE = 'getPool(""):setCache(newPacketCache({entries}))\n'
# What makes it receive and send in batches; it does not by itself.
DNSDIST_BATCHES = "setUDPMultipleMessagesVectorSize(64)\n"
LOST_S = 0.5
BESIDE = {MISS: ("dnsdist",), HIT: ("dnsdist", "echo")}


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.forward", description=__doc__)
    parser.add_argument("--names", type=int, default=10000)
    parser.add_argument("--mixes", default=f"{MISS},{HIT}")
    parser.add_argument("--coredns", default="coredns", metavar="PATH", help="CoreDNS's program")
    parser.add_argument("--no-coredns", action="store_true", help="leave out CoreDNS where it is installed")
    rounds.add_options(parser, outstanding=128, rounds=12, seconds=0.5)
    return parser.parse_args(arguments)


def corefile(mix: str, port: int, upstream: int, names: int) -> str:
    """What fastdns and CoreDNS serve in a mix."""
    cache = CACHE.format(entries=2 * names) if mix == HIT else ""
    return COREFILE.format(port=port, upstream=upstream, cache=cache)


def dnsdist_conf(mix: str, port: int, upstream: int, names: int, *, batches: bool = False) -> str:
    """What dnsdist serves in a mix."""
    more = DNSDIST_CACHE.format(entries=2 * names) if mix == HIT else ""
    return DNSDIST_CONF.format(port=port, upstream=upstream, more=more + (DNSDIST_BATCHES if batches else ""))


def start_peers(
    place: servers.Place, how: argparse.Namespace, mix: str, upstream: int, first: bytes
) -> tuple[list[servers.Peer], list[str]]:
    """All that take part in a mix but the echo, and who does not and why."""
    peers: list[servers.Peer] = []
    left_out: list[str] = []
    for name, command in [("fastdns", how.command), *how.also]:
        port = processes.free_port()
        written = corefile(mix, port, upstream, how.names)
        checked = place.directory / f"Corefile.{name}"
        checked.write_text(written)
        refused = servers.refusal(command, checked)
        if refused is not None:
            left_out.append(f"{name} in {mix}: it refuses its Corefile: {refused}")
            continue
        peers.append(servers.start_fastdns(place, name, command, written, port, first))
    dnsdist = shutil.which("dnsdist")
    for name, batches in (("dnsdist", False), ("dnsdist+batches", True)):
        if dnsdist is None:
            left_out.append(f"{name} in {mix}: not installed")
            continue
        port = processes.free_port()
        conf = place.directory / f"{name}.conf"
        conf.write_text(dnsdist_conf(mix, port, upstream, how.names, batches=batches))
        words = [dnsdist, "--supervised", "--disable-syslog", "-C", str(conf)]
        peers.append(place.start(name, words, port, first))
    coredns = None if how.no_coredns else shutil.which(how.coredns)
    if coredns is None:
        left_out.append(f"coredns in {mix}: left out or not installed")
    else:
        port = processes.free_port()
        conf = place.directory / "Corefile.coredns"
        conf.write_text(corefile(mix, port, upstream, how.names))
        peers.append(place.start("coredns", [coredns, "-conf", str(conf)], port, first))
    return peers, left_out


def versions(how: argparse.Namespace) -> dict[str, str]:
    """What is compared, as it calls itself."""
    programs = {"dnsdist": "--version", "knotd": "-V"}
    if not how.no_coredns:
        programs[how.coredns] = "-version"
    found = {"fastdns": servers.version_of(how.command, "-version")}
    for name, flag in programs.items():
        program = shutil.which(name)
        if program is not None:
            found[Path(program).name] = servers.version_of(program, flag)
    return found


def run(how: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """All rounds; gives what is printed with --json."""
    seen: dict[str, Any] = {}
    left_out: list[str] = []
    figures: dict[str, Any] = {}
    for mix in how.mixes.split(","):
        with contextlib.ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fastdns-bench-")))
            made = population.hosts(how.names)
            queries = population.asks_for(made)
            population.write_outside(directory / "zone", made)
            beside = servers.Place(stack, directory, how.client_cpu)
            upstream = servers.start_knot(beside, "upstream", population.OUTSIDE, directory / "zone", queries[0])
            if upstream is None:
                raise SystemExit("bench.forward: no upstream: Knot DNS is not installed (apt-get install knot)")
            place = servers.Place(stack, directory, how.server_cpu)
            peers, missing = start_peers(place, how, mix, upstream.port, queries[0])
            left_out += missing
            os.sched_setaffinity(0, {how.client_cpu})
            extra, rcodes = rounds.answers_of(upstream.port, queries, "the upstream")
            if mix == HIT:
                peers.append(servers.start_echo(place, mix, extra, queries[0]))
            rows, others = rounds.run(
                how,
                mix,
                peers,
                queries,
                BESIDE[mix],
                say,
                # All names are in the caches when a turn begins.
                warm=len(queries) if mix == HIT else 0,
                lost_s=LOST_S,
                upstream=upstream,
            )
            seen[mix] = {
                "says": SAYS[mix].format(names=how.names),
                "answer_minus_query_bytes": extra,
                "rcodes_upstream": dict(rcodes),
                "other_work_percent": others,
            }
            figures[mix] = {name: rounds.figures(series) for name, series in rows.items()}
    return {
        "machine": processes.machine(),
        "versions": versions(how),
        "options": rounds.echoed_options(how),
        "left_out": left_out,
        "mixes": seen,
        "figures": figures,
    }


def text(report: dict[str, Any]) -> str:
    """The report for people."""
    lines = [f"{report['machine']}", ", ".join(report["versions"].values()), *report["left_out"]]
    for mix, rows in report["figures"].items():
        about = report["mixes"][mix]
        lines += [
            "",
            f"{mix}: {about['says']}; answers {about['answer_minus_query_bytes']} bytes longer than queries; "
            f"other work took {about['other_work_percent']}% of both CPUs",
            *rounds.table(rows, BESIDE[mix], upstream=True),
        ]
    return "\n".join(lines)


def main() -> None:
    how = options()
    report = run(how, lambda line: print(line, file=sys.stderr, flush=True))
    print(json.dumps(report, indent=2) if how.json else text(report))


if __name__ == "__main__":
    main()
