"""What bench.forward serves and asks, and whom it leaves out; its figures are not asserted."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from bench.forward import HIT, MISS

from bench import forward, population, servers
from fastdns.corefile import load
from fastdns.plugins import AVAILABLE

CALL = f"{sys.executable} -m fastdns.cli"
FIGURE = {"median": 2.0, "min": 1.0, "max": 3.0}
ROW = {
    "us_per_query": FIGURE,
    "of_dnsdist": FIGURE,
    "upstream_us_per_query": FIGURE,
    "answers_per_second": 1000,
    "p50_us": 1.0,
    "p99_us": 2.0,
    "rcodes": {0: 5},
    "lost": 0,
    "mismatched": 0,
}


@pytest.mark.parametrize(
    "mix", [MISS, pytest.param(HIT, marks=pytest.mark.skipif("cache" not in AVAILABLE, reason="no cache yet"))]
)
def test_its_corefiles_are_served(mix: str) -> None:
    config = load(forward.corefile(mix, 5300, 5301, 100))
    assert [*config.blocks[0].plugins] == ["bind", "errors", *(["cache"] if mix == HIT else []), "forward"]


@pytest.mark.parametrize(
    ("mix", "batches", "expected", "missing"),
    [
        (MISS, False, [":5301"], ["newPacketCache", "VectorSize"]),
        (MISS, True, [":5301", "VectorSize"], ["newPacketCache"]),
        (HIT, False, [":5301", "newPacketCache(200)"], ["VectorSize"]),
        (HIT, True, [":5301", "newPacketCache(200)", "VectorSize"], []),
    ],
)
def test_dnsdist_has_a_cache_for_hits_only(
    mix: str, batches: bool, expected: list[str], missing: list[str]
) -> None:
    conf = forward.dnsdist_conf(mix, 5300, 5301, 100, batches=batches)
    assert all(words in conf for words in ['setLocal("127.0.0.1:5300")', *expected])
    assert not any(words in conf for words in missing)


def test_a_cache_holds_more_than_all_names() -> None:
    assert "success 200" in forward.corefile(HIT, 5300, 5301, 100)
    assert "cache" not in forward.corefile(MISS, 5300, 5301, 100)


def test_every_host_is_in_the_zone_and_asked_for_once(tmp_path: Path) -> None:
    made = population.hosts(1000)
    population.write_outside(tmp_path / "zone", made)
    lines = (tmp_path / "zone").read_text().splitlines()
    assert len({name for name, _ in made}) == len({address for _, address in made}) == 1000
    assert [line for line in lines if line.startswith("host-")] == [
        f"{name}. A {address}" for name, address in made
    ]
    queries = population.asks_for(made)
    assert len(set(queries)) == len(queries) == 1000
    assert queries == population.asks_for(made)


def test_a_refused_corefile_is_told_with_its_reason(tmp_path: Path) -> None:
    corefile = tmp_path / "Corefile.fastdns"
    corefile.write_text(".:5300 {\n    errors\n    nonsense\n}\n")
    refused = servers.refusal(CALL, corefile)
    assert refused is not None
    assert "Corefile.fastdns:3" in refused
    assert "nonsense" in refused
    assert str(tmp_path) not in refused
    corefile.write_text(forward.corefile(MISS, 5300, 5301, 100))
    assert servers.refusal(CALL, corefile) is None


def test_whoever_says_nothing_is_refused_with_its_exit_code(tmp_path: Path) -> None:
    assert servers.refusal(f"{sys.executable} -c 'raise SystemExit(3)'", tmp_path / "none") == "exit code 3"


def test_the_report_names_who_is_left_out_and_how_busy_the_machine_was() -> None:
    about = {"says": "A of names", "answer_minus_query_bytes": 16, "other_work_percent": 12.5}
    lines = forward.text(
        {
            "machine": {"cpus": 2},
            "versions": {"fastdns": "fastdns-0", "dnsdist": "dnsdist 1"},
            "left_out": ["fastdns in hit: it refuses its Corefile: no cache"],
            "mixes": {MISS: about, HIT: about},
            "figures": {MISS: {"fastdns": ROW, "dnsdist": ROW}, HIT: {"dnsdist": ROW}},
        }
    ).splitlines()
    assert "fastdns in hit: it refuses its Corefile: no cache" in lines
    assert sum("other work took 12.5% of both CPUs" in line for line in lines) == 2
    assert [line.split()[0] for line in lines if line.startswith("  ")] == [
        "server", "fastdns", "dnsdist", "server", "dnsdist",
    ]  # fmt: skip


def test_the_defaults_are_the_load_of_the_anchors() -> None:
    how = forward.options([])
    assert (how.names, how.outstanding, how.sockets, how.mixes) == (10000, 128, 16, "miss,hit")
    assert forward.options(["--also", "old=python old.py"]).also == [("old", "python old.py")]
