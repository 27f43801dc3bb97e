"""What rules of rewrite cost a query, beside a hit without rules, by turns on one server.

    python -m bench.rewrite [--rounds 7] [--seconds 0.5]

One worker on the first CPU, the generator on the last. Every kind is A of a Service. Each has a server block of its
own, and all blocks have the same records.

    none        no rules
    one         one rule, which does not match
    twenty      twenty rules, four of each type of match; none matches
    exact       a name that one rule replaces, and puts back
    suffix      the same by suffix, with answer auto
    regex       the same by regular expressions, with answer name
    option      an EDNS option, which nobody below reads

Each row is the CPU time of all processes of the server for a query, its ratio to ``none`` in the same round,
queries a second and times: medians, with the spread.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from bench.python_step import measure, query, report
from bench.rounds import How
from fastdns.bench import processes
from fastdns.bench.exchange import wait_for_answer

NAMES = 500
OUTSTANDING = 64
UNMATCHED = [
    f"rewrite {field} {kind} {text}"
    for number in range(4)
    for field, kind, text in (
        ("name", "exact", f"other{number}.example.org elsewhere.example.org"),
        ("name", "prefix", f"other{number} elsewhere"),
        ("name", "suffix", f".other{number}.example.org .example.org"),
        ("name", "substring", f"other{number}.example elsewhere.example"),
        ("name", "regex", rf"^(.*)\.other{number}\.example\.org\.$ {{1}}.example.org"),
    )
]
# By kind: the rules, and how a name is asked for.
KINDS = {
    "none": ([], "s{}.n.svc.none.local"),
    "one": (UNMATCHED[:1], "s{}.n.svc.one.local"),
    "twenty": (UNMATCHED, "s{}.n.svc.twenty.local"),
    "exact": (["rewrite name a.exact.local s7.n.svc.exact.local"], "a.exact.local"),
    "suffix": (["rewrite name suffix .suffix.local .n.svc.suffix.local answer auto"], "s{}.suffix.local"),
    "regex": (
        [
            r"rewrite name regex (.*)\.regex\.local {1}.n.svc.regex.local "
            r"answer name (.*)\.n\.svc\.regex\.local {1}.regex.local"
        ],
        "s{}.regex.local",
    ),
    "option": (["rewrite edns0 local set 0xffee abcd"], "s{}.n.svc.option.local"),
}


def write(folder: Path, port: int) -> None:
    """All that the server reads."""
    services = [
        f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: s{number}, namespace: n}}\n"
        f"spec: {{clusterIP: 10.0.{number >> 8}.{number & 255}, "
        f"clusterIPs: [10.0.{number >> 8}.{number & 255}], ports: [{{port: 80}}]}}\n"
        for number in range(NAMES)
    ]
    (folder / "services.yaml").write_text("".join(services))
    blocks = [
        "\n".join(
            (
                f"{kind}.local:{port} {{",
                "bind 127.0.0.1",
                *rules,
                f"kubernetes {kind}.local {{\nmanifests {folder / 'services.yaml'}\n}}",
                "}\n",
            )
        )
        for kind, (rules, _) in KINDS.items()
    ]
    (folder / "Corefile").write_text("".join(blocks))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.rewrite", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    cpus = sorted(os.sched_getaffinity(0))
    how = How(options.seconds, options.rounds, OUTSTANDING, 16)
    asked = {kind: [query(name.format(number)) for number in range(NAMES)] for kind, (_, name) in KINDS.items()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        port = processes.free_port()
        write(folder, port)
        command = [sys.executable, "-m", "fastdns", "-conf", str(folder / "Corefile")]
        environ = {"FASTDNS_WORKERS": "1"}
        with processes.Child(command, cpus={cpus[0]}, log=folder / "log", environ=environ) as child:
            for questions in asked.values():
                wait_for_answer(port, questions[0], 30)
            os.sched_setaffinity(0, {cpus[-1]})
            rows = measure(how, child.pid, port, asked)
    report(rows, as_json=options.json)


if __name__ == "__main__":
    main()
