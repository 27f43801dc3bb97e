"""What a signed answer costs beside one that nobody asks to be signed, by turns on one server.

    python -m bench.dnssec [--rounds 7] [--seconds 0.5]

One worker on the first CPU, the generator on the last. ``native``: A of a Service, in a block without *dnssec*.
``plain``: the same behind *dnssec*, without the DO bit. ``hit``: with it; the signature is found. ``denied``: a
name that does not exist, whose proof is found. ``miss``: names that do not exist, each of which needs a signature
of its own, with a key of ECDSA P-256; ``miss rsa``: of RSA with 2048 bits. Each row is the CPU time of all
processes of the server for a query, its ratio to ``native`` in the same round, queries a second and times: medians,
with the spread.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.plugins.dnssec.keyfiles import P256, RSASHA256, make_key

from bench.python_step import OUTSTANDING, measure, query, report
from bench.rounds import How
from fastdns.bench import processes
from fastdns.bench.exchange import wait_for_answer

NAMES = 500
# More than the least number of signatures that are kept, so that none is there when its name comes again.
MISSES = 20_000
BLOCK = """\
ZONE:PORT {
    bind 127.0.0.1
    DNSSEC
    kubernetes ZONE {
        manifests MANIFESTS
    }
}
"""
OPT_WITH_DO = b"\0\0\x29\x10\0\0\0\x80\0\0\0"


def signed(message: bytes) -> bytes:
    """The question, with the DO bit."""
    return message[:11] + b"\1" + message[12:] + OPT_WITH_DO


def write(folder: Path, port: int) -> None:
    """All that the server reads."""
    services = [
        f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: s{number}, namespace: n}}\n"
        f"spec: {{clusterIP: 10.0.{number >> 8}.{number & 255}, clusterIPs: [10.0.{number >> 8}.{number & 255}], "
        f"ports: [{{port: 80}}]}}\n"
        for number in range(NAMES)
    ]
    (folder / "services.yaml").write_text("".join(services))
    text = BLOCK.replace("ZONE", "native.local").replace("    DNSSEC\n", "")
    for zone, algorithm in (("p256.local", P256), ("rsa.local", RSASHA256)):
        key = make_key(folder, f"{zone}.", algorithm)
        lines = f"dnssec {{\n        key file {key.base}\n        cache_capacity 0\n    }}"
        text += BLOCK.replace("ZONE", zone).replace("DNSSEC", lines)
    text = text.replace("MANIFESTS", str(folder / "services.yaml"))
    (folder / "Corefile").write_text(text.replace("PORT", str(port)))


def queries() -> dict[str, list[bytes]]:
    """The questions of each kind."""

    def services(zone: str) -> list[bytes]:
        return [query(f"s{number}.n.svc.{zone}") for number in range(NAMES)]

    def missing(zone: str, count: int) -> list[bytes]:
        return [signed(query(f"x{number}.n.svc.{zone}")) for number in range(count)]

    return {
        "native": services("native.local"),
        "plain": services("p256.local"),
        "hit": [signed(message) for message in services("p256.local")],
        "denied": missing("p256.local", 100),
        "miss": missing("p256.local", MISSES),
        "miss rsa": missing("rsa.local", MISSES),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.dnssec", description=__doc__.partition("\n")[0])
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
        command = [sys.executable, "-m", "fastdns", "-conf", str(folder / "Corefile")]
        environ = {"FASTDNS_WORKERS": "1"}
        with processes.Child(command, cpus={cpus[0]}, log=folder / "log", environ=environ) as child:
            for kind in ("native", "plain", "hit"):
                wait_for_answer(port, asked[kind][0], 30)
            os.sched_setaffinity(0, {cpus[-1]})
            rows = measure(how, child.pid, port, asked)
    report(rows, as_json=options.json)


if __name__ == "__main__":
    main()
