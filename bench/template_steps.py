"""CPU of a query through the step of template, beside a constant record.

    python -m bench.template_steps [--rounds 9] [--queries 5000]

All is one thread of this process, without sockets: each row is the CPU time of a question and its answer, and its
ratio to ``constant`` of the same round: medians, with the spread. What Python takes to call the worker is in every
row. ``python`` is only what the step in Python computes: without the way to the event loop and back.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence

from bench.calls import cpu_ns
from bench.limits import query
from fastdns.corefile import load
from fastdns.plugins.api import Runtime
from fastdns.plugins.python import Request
from fastdns.plugins.template.python_step import TemplatesInPython
from fastdns.process.assembly import build_tables
from fastdns.serve._worker import Worker

NAME = "ip-10-95-12-8.example"
MATCH = "match (^|[.])ip-(?P<a>[0-9]*)-(?P<b>[0-9]*)-(?P<c>[0-9]*)-(?P<d>[0-9]*)[.]example[.]$"
ADDRESS = "{{ .Group.a }}.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}"
FORWARD = "template IN A other {\n}"
# The options of a template for NAME; the last one that is tried.
ROWS = {
    "constant": ("", ['answer "{{ .Name }} 60 IN A 192.0.2.1"']),
    "NXDOMAIN with SOA": ("", ["rcode NXDOMAIN", 'authority "example. 60 {{ .Class }} SOA a. b. (1 60 60 60 60)"']),
    "behind 20 other zones": (FORWARD, ['answer "{{ .Name }} 60 IN A 192.0.2.1"']),
    "match, not found": ("", ["match ^x[.]", "fallthrough"]),
    "address in the name": ("", [MATCH, f'answer "{{{{ .Name }}}} 60 IN A {ADDRESS}"']),
    "the same, owner unknown": ("", [MATCH, f'answer "{{{{ index .Match 0 }}}} 60 IN A {ADDRESS}"']),
    "a variable": ("", ["var v 'x'", 'answer "{{ .Name }} 60 IN A 192.0.2.1"']),
    "address by variables": (
        "",
        [
            "match ^ip-(?P<ip>[0-9]+-[0-9]+-[0-9]+-[0-9]+)[.]example[.]$",
            "var ip replace(group('ip'), '-', '.')",
            "expr \"any(['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'], incidr(ip, #))\"",
            'answer "{{ .Name }} 60 IN A {{ .Var.ip }}"',
        ],
    ),
}


def corefile(name: str) -> str:
    """One template, in front of which others may stand."""
    before, options = ROWS[name]
    others = "\n".join([before] * 20) if before else ""
    return ". {\n" + others + "\ntemplate IN A example {\n" + "\n".join(options) + "\n}\nwhoami\n}"


def natively(name: str) -> Callable[[], object]:
    """A question and its answer."""
    tables, _ = build_tables(load(corefile(name), environ={}), Runtime(), {})
    worker = Worker(tables[0])
    message = query(NAME, "A")
    assert worker.serve(message) is not None
    return lambda: worker.serve(message)


def in_python(name: str) -> Callable[[], object]:
    """The same by the step in Python."""
    config = load(corefile(name), environ={}).blocks[0].plugins["template"]
    step = TemplatesInPython(config, None)
    message = query(NAME, "A")
    # Type, class and an OPT record stand behind the name.
    opt = (len(message) - 11, 11)
    end = opt[0] - 4

    async def send(_: bytes | None) -> bytes | None:
        return None

    def call() -> object:
        request = Request(
            message, b"\x7f\0\0\1", 5353, False, "dns://:53", b"", 5.0, {}, 0, ((b"\0", "."),), end, opt, send
        )
        task = step.serve(request)
        try:
            task.send(None)
        except StopIteration as stop:
            return None if stop.value is None else stop.value.pack()
        raise AssertionError("the step waits")

    return call


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.template_steps", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--queries", type=int, default=5000)
    how = parser.parse_args(arguments)
    calls = {name: (natively(name), how.queries) for name in ROWS}
    calls |= {
        f"python: {name}": (in_python(name), how.queries // 20) for name in ("constant", "address by variables")
    }
    took: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(how.rounds):
        for name, (call, count) in calls.items():
            took[name].append(cpu_ns(call, count))
    print(f"{'':32} {'ns':>8} {'of constant':>12} {'spread':>16}")
    for name, times in took.items():
        ratios = [one / constant for one, constant in zip(times, took["constant"], strict=True)]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(f"{name:32} {statistics.median(times):8.0f} {statistics.median(ratios):12.2f} {spread:>16}")


if __name__ == "__main__":
    main()
