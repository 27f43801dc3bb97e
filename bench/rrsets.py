"""``python -m bench.rrsets``: zones of RRsets in the store: time to load and to change, memory, a lookup's time.

A block list (names of all the world in the root zone, one A record each), and a zone of 1,000,000 records (an A and
an AAAA record a name). Lookups are timed by the tests' own extension, which ``make build`` makes: of names at
random, so that most of what is read is in no cache of the CPU, and of 50 names again and again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.rrsets._reading import lookup_ns

from fastdns.memory._store import Store, Writer
from fastdns.rrsets._draft import Draft
from fastdns.rrsets._writer import ZoneWriter
from fastdns.rrsets.changes import Change

STORE_BYTES = 1 << 30
MIB = 1 << 20
SOURCE = 2
A, SOA, AAAA = 1, 6, 28
ROOT, ZONE = b"\0", b"\7example\0"
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def wire(*labels: str) -> bytes:
    """Labels as they begin a name."""
    return b"".join(bytes((len(label),)) + label.encode() for label in labels)


def words(chance: random.Random, count: int) -> list[str]:
    """Words as in host names."""
    return ["".join(chance.choices(LETTERS, k=chance.randrange(3, 10))) for _ in range(count)]


def block_list(count: int) -> list[bytes]:
    """Host names: 26 bytes each on average, at 100,000 different second levels."""
    chance = random.Random(1)
    some = words(chance, 30_000)

    def name(number: int) -> bytes:
        second = f"{chance.choice(some)}-{chance.choice(some)}"
        return wire(f"{chance.choice(some)}{number % 9}", second, chance.choice(ENDS)) + ROOT

    return list(map(name, range(count)))


ENDS = ("com", "net", "org", "info")


def one_zone(count: int) -> list[bytes]:
    """Names of one zone, on up to two labels."""
    chance = random.Random(2)
    some = words(chance, 30_000)
    return [
        wire(f"{chance.choice(some)}{number}", *chance.choices(some, k=number % 2)) + ZONE
        for number in range(count)
    ]


def draft_of(zone: bytes, names: list[bytes], kinds: tuple[int, ...], changed: int = 0) -> Draft:
    """The zone; each ``changed``th name with another address."""
    draft = Draft(zone)
    if zone != ROOT:
        draft.add(zone, SOA, 300, b"\0\0" + bytes(16) + (changed + 1).to_bytes(4, "big"))
    for number, name in enumerate(names):
        other = bool(changed) and number % changed == 0
        for kind in kinds:
            draft.add(name, kind, 3600, bytes(3 if kind == A else 15) + bytes((other,)))
    return draft


def rss_bytes() -> int:
    """What this process has in memory of its own, now."""
    fields = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return sum(int(words[1]) << 10 for words in fields if words and words[0] == "RssAnon:")


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What work returns, and its CPU seconds."""
    begun = time.process_time()
    made = work()
    return made, time.process_time() - begun


def measured(zone: bytes, names: list[bytes], kinds: tuple[int, ...]) -> dict[str, float]:
    """Load, change, look up."""
    store = Store(STORE_BYTES)
    writer = ZoneWriter(Writer(store), SOURCE)
    before = rss_bytes()
    draft, adding = timed(lambda: draft_of(zone, names, kinds))
    _, publishing = timed(partial(writer.replace, draft))
    peak = rss_bytes() - before
    del draft
    found = {
        "names": writer.counts(zone)[0], "rrs": writer.counts(zone)[1],
        "load_cpu_s": adding + publishing, "publish_cpu_s": publishing, "writer_peak_mib": peak / MIB,
        "used_mib": store.used_bytes / MIB, "taken_mib": store.taken_bytes / MIB,
        "bytes_a_name": store.used_bytes / writer.counts(zone)[0],
    }  # fmt: skip
    same = draft_of(zone, names, kinds)
    found["same_again_cpu_s"] = timed(partial(writer.replace, same))[1]
    del same
    hundredth = draft_of(zone, names, kinds, changed=100)
    found["hundredth_cpu_s"] = timed(partial(writer.replace, hundredth))[1]
    del hundredth
    changes = []
    for number in range(100):
        change = Change(zone)
        change.add(wire(f"new{number}") + zone, A, 60, b"\1\2\3\4")
        changes.append(timed(partial(writer.apply, change))[1])
    found["one_change_us"] = sorted(changes)[50] * 1e6
    found["take_over_cpu_s"] = timed(lambda: ZoneWriter(writer.writer, SOURCE))[1]
    chance = random.Random(3)
    asked = chance.sample(names, 20_000)
    missing = [wire("nothing") + name for name in asked]
    found["hit_ns"] = lookup_ns(store, SOURCE, zone, asked, 3)
    found["hit_again_ns"] = lookup_ns(store, SOURCE, zone, asked[:50], 1000)
    found["missing_ns"] = lookup_ns(store, SOURCE, zone, missing, 3)
    found["missing_again_ns"] = lookup_ns(store, SOURCE, zone, missing[:50], 1000)
    return found


def in_fork(work: Callable[[], dict[str, float]]) -> dict[str, float]:
    """What work returns, in a process of its own: each shape begins with the same memory."""
    reading, writing = os.pipe()
    if pid := os.fork():
        os.close(writing)
        with os.fdopen(reading, "rb") as file:
            said = file.read()
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
            raise SystemExit("a measurement has failed")
        return json.loads(said)
    code = 1
    try:
        os.write(writing, json.dumps(work()).encode())
        code = 0
    finally:
        os._exit(code)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.rrsets", description=__doc__)
    parser.add_argument("--hosts", type=int, default=200_000, help="names of the block list")
    parser.add_argument("--names", type=int, default=500_000, help="names of the zone, of two records each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    hosts, names = block_list(options.hosts), one_zone(options.names)
    shapes = {
        "block list": lambda: measured(ROOT, hosts, (A,)),
        "zone": lambda: measured(ZONE, names, (A, AAAA)),
    }
    rounds = [{shape: in_fork(work) for shape, work in shapes.items()} for _ in range(options.rounds)]
    if options.json:
        print(json.dumps(rounds))
        return
    print(f"{'median (least-most)':20}" + "".join(f"{shape:>28}" for shape in shapes))
    for figure in rounds[0]["zone"]:
        row = f"{figure:20}"
        for shape in shapes:
            values = sorted(one[shape][figure] for one in rounds)
            row += f"{values[len(values) // 2]:>14,.2f} ({values[0]:,.2f}-{values[-1]:,.2f})"
        print(row)


if __name__ == "__main__":
    main()
