"""Memory that parent and children share goes on to be shared, and nothing that lives is touched by it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import Server

MIB = 1 << 20
IMMORTAL = sys.version_info >= (3, 12)
needs_immortals = pytest.mark.skipif(not IMMORTAL, reason="Python has immortal objects from 3.12 on (PEP 683)")


def run(program: str) -> str:
    """What a Python of its own prints: nothing that is made immortal here may stay so for other tests."""
    done = subprocess.run(
        [sys.executable, "-c", "from fastdns.process._sharing import *\n" + program],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_immortals
@pytest.mark.parametrize(
    ("what", "immortal"),
    [
        pytest.param("json.loads", True, id="function"),
        pytest.param("json.loads.__code__", True, id="code"),
        pytest.param("json.loads.__code__.co_names", True, id="what only code leads to"),
        pytest.param("json.JSONDecoder", True, id="type"),
        pytest.param("json", True, id="module"),
        pytest.param("json.__dict__", True, id="namespace"),
        pytest.param("table", True, id="dict of atoms, which the collector does not know"),
        pytest.param("table['a'*100]", True, id="what it holds"),
        pytest.param("file", False, id="open file"),
        pytest.param("generator", False, id="generator"),
        pytest.param("thing", True, id="instance of a class"),
        pytest.param("thing.name", True, id="what it has"),
        pytest.param("final", False, id="instance of a class with a finalizer"),
        pytest.param("bound", False, id="instance of a class whose base is native: a socket"),
        pytest.param("later", False, id="made afterwards"),
    ],
)
def test_what_is_made_immortal(what: str, immortal: bool) -> None:
    counted = run(
        "import gc, json, sys\n"
        "class Thing:\n    def __init__(self): self.name = 'n' * 100\n"
        "class Final:\n    def __del__(self): pass\n"
        "import socket\n"
        "table, thing, file = {'a' * 100: 'b' * 100}, Thing(), open('/dev/null')\n"
        "final, bound = Final(), socket.socket()\n"
        "generator = (i for i in 'ab')\n"
        "immortalize(); gc.freeze()\n"
        "later = [1]\n"
        f"print(sys.getrefcount({what}))"
    )
    assert (int(counted) > 1 << 31) is immortal


def test_a_program_goes_on_and_ends_as_before() -> None:
    """Immortal or not: new modules, collections, changed namespaces, an exit that runs what is to run then."""
    assert run(
        "import atexit, gc\n"
        "atexit.register(print, 'end')\n"
        "immortalize(); gc.freeze()\n"
        "import json.tool, decimal\n"
        "def f(): return json.dumps({'a': [decimal.Decimal(1) == 1]})\n"
        "json.dumps = json.dumps\n"
        "for _ in range(3): f = type(f)(f.__code__, globals()); gc.collect()\n"
        "print(f())"
    ) == '{"a": [true]}\nend\n'


def test_zeros_are_given_back_and_the_rest_stays() -> None:
    printed = run(
        "import re\n"
        "def private_kib():\n"
        "    return int(re.search(r'Private_Dirty: +(\\d+)', open('/proc/self/smaps_rollup').read())[1])\n"
        # Each page of both is written: only what is in it tells them apart.
        "zeros = bytearray(b'x') * (8 << 20); zeros[:] = bytes(8 << 20)\n"
        "mixed = (bytes(4095) + b'x') * 512\n"
        "before = private_kib(); given = give_back_zeros(); after = private_kib()\n"
        "print(given >= 8 << 20, before - after > 8000, zeros == bytes(8 << 20))\n"
        "print(mixed == (bytes(4095) + b'x') * 512, give_back_zeros() < 1 << 20)"
    )
    assert printed.split() == ["True"] * 5, printed


# Makes a heap full of holes, forks, and prints the pages that a child takes for what it allocates. The collector
# would write to what is shared, whenever its turn comes.
SCATTERED = """
import gc, os, re
gc.disable()
kept = [[bytes(size) for _ in range(16)] for _ in range(300) for size in (100, 300, 700, 900)]
kept = [some[1:] for some in kept]
def private_kib():
    return int(re.search(r'Private_Dirty: +(\\d+)', open('/proc/self/smaps_rollup').read())[1])
def taken():
    if pid := os.fork():
        os.waitpid(pid, 0)
        return
    private_kib()
    before = private_kib()
    news = [bytes(size) for size in (100, 300, 700, 900) for _ in range(100)]
    print(private_kib() - before, flush=True)
    os._exit(0)
"""


def test_what_a_child_allocates_lies_together() -> None:
    """230 KiB in 400 blocks lie on some 60 pages, in holes on up to 400. What a child takes besides is in both."""
    in_holes, together = map(int, run(SCATTERED + "taken(); fill_holes(); taken()").split())
    assert together + 300 < in_holes, (in_holes, together)


def test_holes_are_filled_anew_at_each_call() -> None:
    """What filled them is free again before: a server that is reloaded each day does not grow."""
    printed = run(
        SCATTERED + "first = fill_holes()\n"
        "for _ in range(10): tenth = fill_holes()\n"
        "for _ in range(50): last = fill_holes()\n"
        "print(first > 300 * 2000, last - tenth < 1 << 16)"
    )
    assert printed.split() == ["True", "True"], printed


def private_bytes(pid: int) -> int:
    """What only this process has."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return 1024 * sum(int(kib) for kib in re.findall(r"^Private_\w+: +(\d+) kB", rollup, re.MULTILINE))


def test_what_a_worker_costs(tmp_path: Path) -> None:
    """A worker has 2.4 MiB of its own with immortal objects, 4.4 without. 32 of the former fit into 150 MB."""
    with Server(tmp_path, workers=4) as fastdns:
        costs = [private_bytes(pid) for pid in fastdns.pids().workers.values()]
    assert len(costs) == 4
    assert max(costs) < (3.3 if IMMORTAL else 5.2) * MIB, [cost / MIB for cost in costs]
