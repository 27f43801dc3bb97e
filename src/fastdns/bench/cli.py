"""``fastdns bench``: from the command line to the report.

Exit codes: 0 after a run; 1 if it cannot run, or if answers were wrong or missing; 2 for a wrong command line.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from fastdns.bench.errors import BenchError, BenchUsageError

FAILED = 1
USAGE = 2
INTERRUPTED = 130
KIB = 1024


def main(arguments: list[str]) -> int:
    """The words behind ``fastdns bench``; returns the exit code."""
    errors = sys.stderr
    try:
        if arguments and arguments[0] == "cluster":
            from fastdns.bench.cluster import cli as cluster

            return cluster.main(arguments[1:])
        from fastdns.bench.options import parse

        how = parse(arguments)
        if how.errors_to_stdout:
            errors = sys.stdout
        with contextlib.redirect_stderr(errors):
            return run(how)
    except BenchUsageError as error:
        print(f"fastdns bench: {error}\nfastdns bench -h lists the options", file=errors, flush=True)
        return USAGE
    except BenchError as error:
        print(f"fastdns bench: {error}", file=errors, flush=True)
        return FAILED
    except SystemExit as ended:
        # argparse's, after -h.
        return int(ended.code or 0)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of the report has closed its end. Do not write the rest of the buffer at exit.
        sys.stdout = None
        return FAILED


def run(how: argparse.Namespace) -> int:
    """Ask, report; returns the exit code. Raises BenchError."""
    from fastdns.bench import sources
    from fastdns.bench.page import page
    from fastdns.bench.pictures import run_plots, versus_plots
    from fastdns.bench.report import run_opening, run_text, versus_opening, versus_text

    asked = sources.read(how)
    report = versus_of(how, asked) if how.versus else run_of(how, asked)
    text = versus_text(report) if how.versus else run_text(report)
    if how.html is not None:
        plots = versus_plots(report) if how.versus else run_plots(report)
        title = " and ".join(name for name, _ in how.versus) if how.versus else report["options"]["server"]
        opening = versus_opening(report) if how.versus else run_opening(report)
        made = page(f"{title}: fastdns bench", opening, plots, text.splitlines(), report)
        try:
            how.html.write_text(made, encoding="utf-8")
        except OSError as error:
            raise BenchError(f"{how.html}: {error.strerror}") from None
    print(json.dumps(report, indent=2) if how.json else text, flush=True)
    return exit_code(report)


def exit_code(report: Mapping[str, Any]) -> int:
    """1 if an answer was wrong, or if a server that was asked has given no answer."""
    results = report["servers"] if report["mode"] == "versus" else [report["result"]]
    bad = any(result["wrong"] or (result["sent"] and not result["answered"]) for result in results)
    return FAILED if bad else 0


def how_to_ask(how: argparse.Namespace, queries: int) -> Any:
    """The runner's How."""
    from fastdns.bench.options import FAMILIES, VERSUS_SECONDS
    from fastdns.bench.runner import How
    from fastdns.bench.transport import METHODS, PLAIN_HTTP, TlsOptions

    seconds = how.limit or (VERSUS_SECONDS if how.versus and not how.runs else 0.0)
    runs = how.runs or (0 if seconds else 1)
    made = How(
        seconds=seconds,
        count=runs * queries,
        outstanding=how.outstanding,
        clients=how.clients,
        processes=how.threads,
        timeout_s=how.timeout,
        rate=how.rate or 0.0,
        transport=how.mode,
        tls=TlsOptions(how.tls_name or "", how.tls_ca, how.tls_cert, how.tls_key, how.resume),
        family=FAMILIES[how.family],
        local_address=how.local_address,
        buffer_bytes=(how.buffer or 0) * KIB,
        queries_per_connection=how.queries_per_connection or 0,
        cpus=how.cpus or (),
        local_port=how.local_port or 0,
        tsig=how.tsig,
        verbose=how.verbose,
        http=dataclasses.replace(how.doh_uri or PLAIN_HTTP, method=how.doh_method or METHODS[0]),
    )
    if made.most_outstanding < how.threads:
        raise BenchUsageError(f"-T {how.threads} needs at least as many outstanding queries: -q {how.threads}")
    return made


def load_text(how: Any) -> str:
    """The load, in words."""
    bounds = [f"{how.seconds:g} s"] if how.seconds else []
    bounds += [f"{how.count:,} queries"] if how.count else []
    rate = f"open loop, {how.rate:,g} a second" if how.rate else "closed loop"
    return (
        f"{rate}, at most {how.most_outstanding:,} outstanding, {how.clients:,} clients, {how.processes} "
        f"process{'es' if how.processes > 1 else ''}, {' or '.join(bounds)}"
    )


def options_of(how: argparse.Namespace, asked: Any, load: Any) -> dict[str, Any]:
    """The part of the command line that a report shows."""
    return {
        "transport": how.mode,
        "loop": "open" if load.rate else "closed",
        "load": load_text(load),
        "source": asked.source,
        "queries": len(asked.queries),
        "seconds": load.seconds,
        "count": load.count,
        "outstanding": load.most_outstanding,
        "rate": load.rate,
        "clients": load.clients,
        "processes": load.processes,
        "timeout_s": load.timeout_s,
        "edns": bool(how.edns or how.dnssec_ok or how.edns_option),
        "dnssec_ok": how.dnssec_ok,
        "warm_s": how.warm or 0.0,
    }


def run_of(how: argparse.Namespace, asked: Any) -> dict[str, Any]:
    """Measure one server. Raises BenchError."""
    from fastdns.bench import progress, versus
    from fastdns.bench.address import Server
    from fastdns.bench.report import run_report
    from fastdns.bench.transport import PORTS

    load = how_to_ask(how, len(asked.queries))
    server = Server(how.server or "127.0.0.1", how.port or PORTS[how.mode])
    pid = how.pid[0][1] if how.pid else None
    with progress.live(load.seconds, not (how.no_progress or how.interval or how.verbose)) as display:
        tell = progress.print_line if how.interval else display
        outcome, usage = versus.ask(
            server, asked.questions, load, how.warm or 0.0, pid, tell=tell, interval_s=how.interval
        )
    options = {"server": str(server), **options_of(how, asked, load)}
    wrong = explain(asked, outcome.result.wrong_samples)
    return run_report(options, outcome.result, outcome.course, usage, wrong, outcome.interrupted)


def versus_of(how: argparse.Namespace, asked: Any) -> dict[str, Any]:
    """Measure servers side by side. Raises BenchError."""
    from fastdns.bench import progress, versus
    from fastdns.bench.options import VERSUS_ROUNDS
    from fastdns.bench.report import versus_report

    load = how_to_ask(how, len(asked.queries))
    rounds = how.rounds or VERSUS_ROUNDS
    quiet = how.no_progress or not sys.stderr.isatty()
    series, interrupted = versus.run(
        how.versus,
        asked.questions,
        load,
        rounds=rounds,
        warm_s=how.warm or 0.0,
        pids=dict(how.pid),
        tell=None if quiet else progress.turn_teller(rounds),
    )
    return versus_report(options_of(how, asked, load), series, interrupted)


def explain(asked: Any, samples: Sequence[Any]) -> list[dict[str, str]]:
    """Wrong answers, as text: the question, the expected answer with its place in the file, and the answer."""
    from fastdns.bench.expected import key_of
    from fastdns.bench.messages import said_by

    out = []
    for sample in samples:
        query = asked.queries[sample.query]
        one = asked.expected[key_of(query)]
        out.append({"where": one.where, "name": query.name, "type": query.type, "expected": one.text,
                    "got": said_by(sample.answer)})  # fmt: skip
    return out
