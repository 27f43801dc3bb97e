"""``python -m bench.hit``: CPU of an answered query, in multiples of what the sockets alone cost."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import population, rounds, servers
from fastdns.bench import processes

COREFILE = """\
{zone}:{port} {{
    errors
    kubernetes {zone} {{
        manifests "{manifests}"
    }}
    {more}
}}
"""
# What stands in the server block besides errors and kubernetes.
VARIANTS: dict[str, Callable[[], list[str]]] = {
    "fastdns": lambda: ["bind 127.0.0.1", "loadbalance"],
    "fastdns+prometheus": lambda: [
        "bind 127.0.0.1",
        "loadbalance",
        f"prometheus 127.0.0.1:{processes.free_port()}",
    ],
    "fastdns+wildcard": lambda: ["loadbalance"],
}
# A listener on every address is for those who ask for it.
USUAL = ("fastdns", "fastdns+prometheus")
BESIDE = ("echo",)


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.hit", description=__doc__)
    parser.add_argument("--names", type=int, default=10000, help="services with an address")
    parser.add_argument("--endpoints", type=int, default=10, help="of a headless service")
    parser.add_argument("--mixes", default="hit,mix,headless")
    parser.add_argument("--variants", default=",".join(USUAL), help=f"of {', '.join(VARIANTS)}; --also: the first")
    parser.add_argument("--no-knot", action="store_true", help="leave out Knot DNS where it is installed")
    rounds.add_options(parser, outstanding=256, rounds=7, seconds=3.0)
    return parser.parse_args(arguments)


def start_fastdns(place: servers.Place, first: bytes, *, name: str, variant: str, command: str) -> servers.Peer:
    """fastdns with the cluster's manifests."""
    port = processes.free_port()
    corefile = COREFILE.format(
        zone=population.ZONE,
        port=port,
        manifests=place.directory / "cluster.json",
        more="\n    ".join(VARIANTS[variant]()),
    )
    return servers.start_fastdns(place, name, command, corefile, port, first)


def run(how: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """All rounds; gives what is printed with --json."""
    seen: dict[str, Any] = {}
    left_out = []
    figures: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fastdns-bench-")))
        place = servers.Place(stack, directory, how.server_cpu)
        made = population.services(how.names, how.endpoints)
        population.write_manifests(directory / "cluster.json", made)
        mixes = [mix for mix in population.mixes(made) if mix.name in how.mixes.split(",")]
        first = population.mixes(made)[0].queries[0]
        variants = how.variants.split(",")
        builds = [(name, name, how.command) for name in variants]
        builds += [(name, variants[0], command) for name, command in how.also]
        peers = [
            start_fastdns(place, first, name=name, variant=variant, command=command)
            for name, variant, command in builds
        ]
        reference = peers[0]
        population.write_zone(directory / "zone", made)
        knot = None
        if not how.no_knot:
            knot = servers.start_knot(place, "knot", population.ZONE, directory / "zone", first)
        if knot is None:
            left_out.append("knot")
        else:
            peers.append(knot)
        os.sched_setaffinity(0, {how.client_cpu})
        for mix in mixes:
            extra, rcodes = rounds.answers_of(reference.port, mix.queries, mix.name)
            seen[mix.name] = {"says": mix.says, "answer_minus_query_bytes": extra, "rcodes": dict(rcodes)}
            if knot is not None:
                seen[mix.name]["rcodes_knot"] = dict(rounds.answers_of(knot.port, mix.queries, mix.name)[1])
            peers.append(servers.start_echo(place, mix.name, extra, mix.queries[0]))
        for mix in mixes:
            here = [peer for peer in peers if peer.only in (None, mix.name)]
            rows, others = rounds.run(how, mix.name, here, mix.queries, BESIDE, say)
            seen[mix.name]["other_work_percent"] = others
            figures[mix.name] = {name: rounds.figures(series) for name, series in rows.items()}
    return {
        "machine": processes.machine(),
        "options": rounds.echoed_options(how),
        "left_out": left_out,
        "mixes": seen,
        "figures": figures,
    }


def text(report: dict[str, Any]) -> str:
    """The report for people."""
    lines = [f"{report['machine']}"]
    for name in report["left_out"]:
        lines.append(f"left out or not installed: {name}")
    for mix, rows in report["figures"].items():
        about = report["mixes"][mix]
        lines += [
            "",
            f"{mix}: {about['says']}; rcodes {about['rcodes']}; answers {about['answer_minus_query_bytes']} bytes "
            f"longer than queries; other work took {about['other_work_percent']}% of both CPUs",
            *rounds.table(rows, BESIDE),
        ]
    return "\n".join(lines)


def main() -> None:
    how = options()
    report = run(how, lambda line: print(line, file=sys.stderr, flush=True))
    print(json.dumps(report, indent=2) if how.json else text(report))


if __name__ == "__main__":
    main()
