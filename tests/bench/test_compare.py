"""bench.compare: set-ups, versions, the run and its report; no figure is asserted."""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bench.configs import AUTHORITY, CACHED, MISS, SERVERS, Task
from bench.plugin_lines import LEFT_OUT, LINES
from bench.rounds import How
from bench.scenarios import SCENARIOS

from bench import compare, configs, dnsperf, population, results, servers, versions
from fastdns.bench import processes
from fastdns.bench.exchange import ask, query, rcode
from fastdns.corefile import load
from fastdns.plugins.order import ORDER, available

CALL = f"{sys.executable} -m fastdns.cli"


def test_every_plugin_is_measured_or_has_a_reason() -> None:
    assert not LINES.keys() & LEFT_OUT.keys()
    assert set(available()) <= LINES.keys() | LEFT_OUT.keys() <= set(ORDER)


def task(directory: Path, role: str, **changes: Any) -> Task:
    made = {"program": CALL, "role": role, "directory": directory, "port": 5300, "workers": 2, "names": 100}
    return Task(**(made | {"upstream": 5301} | changes))


# ------------------------------------------------------------------------------------------------- set-ups


@pytest.mark.parametrize(
    ("name", "role", "expected", "missing"),
    [
        ("fastdns", AUTHORITY, ["bind 127.0.0.1", "manifests", "loadbalance"], ["cache", "forward", "prometheus"]),
        ("fastdns+prometheus", AUTHORITY, ["prometheus 127.0.0.1:"], ["cache"]),
        ("fastdns+none", AUTHORITY, ["bind 127.0.0.1", "manifests"], ["errors", "pods"]),
        ("fastdns+autopath", AUTHORITY, ["autopath @kubernetes", "pods verified"], ["cache"]),
        (
            "fastdns+everything", AUTHORITY,
            ["errors", "manifests", "loadbalance", "prometheus 127.0.0.1:", "cache 30", "forward . 127.0.0.1:"],
            ["    log"],
        ),
        ("fastdns+everything", MISS, ["forward . 127.0.0.1:5301"], ["cache"]),
        ("fastdns+wildcard", AUTHORITY, ["loadbalance"], ["bind"]),
        ("fastdns", MISS, ["forward . 127.0.0.1:5301"], ["cache"]),
        ("fastdns", CACHED, ["forward . 127.0.0.1:5301", "success 200", "denial 200"], []),
        ("coredns", AUTHORITY, ["file {zone} cluster.local", "cache 3600", "success 200"], ["forward"]),
        ("coredns", MISS, ["forward . 127.0.0.1:5301"], ["cache"]),
        ("knot", AUTHORITY, ["listen: 127.0.0.1@5300", "udp-workers: 2", "{zone}"], []),
        ("nsd", AUTHORITY, ["server-count: 2", "reuseport: yes", "rrl-ratelimit: 0", "{zone}"], []),
        ("unbound", AUTHORITY, ["num-threads: 2", "cluster.local.", "static"], ["forward-zone", "ttl"]),
        ("unbound", MISS, ["forward-addr: 127.0.0.1@5301", "cache-max-ttl: 0"], ["local-zone"]),
        ("unbound", CACHED, ["forward-addr: 127.0.0.1@5301"], ["cache-max-ttl", "local-zone"]),
        ("bind", AUTHORITY, ["listen-on port 5300 { 127.0.0.1; }", "recursion no", "{zone}"], ["forwarders"]),
        ("bind", MISS, ["forwarders { 127.0.0.1 port 5301; }", "max-cache-ttl 0"], ["recursion no", "zone "]),
        ("bind", CACHED, ["forwarders { 127.0.0.1 port 5301; }"], ["max-cache-ttl"]),
        ("dnsdist", MISS, ["setLocal", "addLocal", "reusePort", ":5301"], ["newPacketCache", "VectorSize"]),
        ("dnsdist", CACHED, ["newPacketCache(200)"], ["VectorSize"]),
        ("dnsdist+batches", MISS, ["VectorSize(64)"], ["newPacketCache"]),
    ],
)  # fmt: skip
def test_a_server_is_set_up_for_its_role(
    tmp_path: Path, name: str, role: str, expected: list[str], missing: list[str]
) -> None:
    given = task(tmp_path, role)
    setup = SERVERS[name].setup(given, tmp_path / "home")
    assert setup is not None
    file, text = next(iter(setup.files.items()))
    assert all(words.replace("{zone}", str(given.zone_file)) in text for words in expected)
    assert not any(words in text for words in missing)
    assert str(tmp_path / "home" / file) in setup.words


@pytest.mark.parametrize(
    ("name", "role"),
    [("knot", MISS), ("knot", CACHED), ("nsd", MISS), ("nsd", CACHED), ("dnsdist", AUTHORITY)],
)
def test_a_server_without_the_role_takes_no_part(tmp_path: Path, name: str, role: str) -> None:
    assert SERVERS[name].setup(task(tmp_path, role), tmp_path) is None


def test_one_worker_shares_no_socket(tmp_path: Path) -> None:
    for name, role in (("nsd", AUTHORITY), ("dnsdist", MISS)):
        setup = SERVERS[name].setup(task(tmp_path, role, workers=1), tmp_path)
        assert setup is not None
        [text] = setup.files.values()
        assert "reuseport: no" in text if name == "nsd" else "reusePort" not in text


@pytest.mark.parametrize("role", [AUTHORITY, MISS, CACHED])
@pytest.mark.parametrize("name", ["fastdns", "fastdns+everything", "fastdns+wildcard"])
def test_its_corefiles_are_served(tmp_path: Path, name: str, role: str) -> None:
    given = task(tmp_path, role)
    population.write_manifests(given.manifests, population.services(3, 2))
    setup = SERVERS[name].setup(given, tmp_path)
    assert setup is not None
    assert setup.environ == {"FASTDNS_WORKERS": "2"}
    plugins = load(setup.files["Corefile"]).blocks[0].plugins
    everything = name == "fastdns+everything" and role == AUTHORITY
    assert ("kubernetes" in plugins, "cache" in plugins) == (role == AUTHORITY, everything or role == CACHED)


@pytest.mark.parametrize("name", ["none", *LINES, "all"])
def test_the_lines_of_a_plugin_are_served(tmp_path: Path, name: str) -> None:
    given = task(tmp_path, AUTHORITY)
    population.write_manifests(given.manifests, population.services(3, 2))
    setup = SERVERS[f"fastdns+{name}"].setup(given, tmp_path)
    assert setup is not None
    for file, text in setup.files.items():
        (tmp_path / file).write_text(text)
    plugins = load(setup.files["Corefile"]).blocks[0].plugins
    assert plugins.keys() & LINES.keys() == ({"none": set(), "all": LINES.keys()}.get(name, {name}))


INSTALLED = [name for name, server in SERVERS.items() if not server.program or shutil.which(server.program)]


@pytest.mark.parametrize("name", [name for name in INSTALLED if "+" not in name or name == "fastdns+all"])
def test_what_is_installed_starts_and_answers_alike(tmp_path: Path, name: str) -> None:
    """Each as authority, or as forwarder where it is none: the same rcodes for what the mixes ask."""
    cpus = {min(os.sched_getaffinity(0))}
    made = population.services(20, 3)
    with contextlib.ExitStack() as stack:
        place = servers.Place(stack, tmp_path, cpus)
        given = task(tmp_path, AUTHORITY, program=CALL, port=processes.free_port(), workers=1, upstream=0)
        population.write_manifests(given.manifests, made)
        population.write_zone(given.zone_file, made)
        population.write_local_data(given.local_data, made)
        mixes = {mix.name: mix.queries for mix in population.mixes(made)}
        first = mixes["hit"][0]
        role = AUTHORITY
        upstream = 0
        if name == "dnsdist":
            role = MISS
            beside = place.start("fastdns", SERVERS["fastdns"], given, first)
            assert beside is not None
            upstream = beside.port
        program = servers.find(SERVERS[name], CALL, "coredns")
        given = task(tmp_path, role, program=program, port=processes.free_port(), workers=1, upstream=upstream)
        peer = place.start(name, SERVERS[name], given, first)
        assert peer is not None
        asked = [*mixes["mix"], *mixes["headless"], *mixes["nxdomain"], *mixes["srv"]]
        seen = [ask(peer.port, message, 5.0) for message in asked]
        assert all(answer is not None for answer in seen)
        codes = [rcode(answer) for answer in seen if answer is not None]
        assert codes[22:42] == [3] * 20
        assert codes[20:22] == [0, 0] and codes[42:] == [0] * 20
        assert codes[:20].count(3) == 4 and codes[:20].count(0) == 16


def test_what_is_missing_is_left_out_by_name(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack, pytest.raises(servers.LeftOut, match="not installed"):
        place = servers.Place(stack, tmp_path, {0})
        place.start("knot", SERVERS["knot"], task(tmp_path, AUTHORITY, program=""), b"")


def test_a_refused_corefile_is_told_with_its_reason(tmp_path: Path) -> None:
    corefile = tmp_path / "Corefile"
    corefile.write_text(".:5300 {\n    errors\n    nonsense\n}\n")
    refused = servers.refusal(CALL, corefile)
    assert refused is not None
    assert "Corefile:3" in refused and "nonsense" in refused
    assert str(tmp_path) not in refused
    assert servers.refusal(f"{sys.executable} -c 'raise SystemExit(3)'", tmp_path / "none") == "exit code 3"


def test_local_data_and_the_zone_hold_the_same_records(tmp_path: Path) -> None:
    made = population.services(30, 3)
    population.write_zone(tmp_path / "zone", made)
    population.write_local_data(tmp_path / "local", made)
    zone = {tuple(line.split()) for line in (tmp_path / "zone").read_text().splitlines()[5:]}
    local = [line.split("'")[1].split() for line in (tmp_path / "local").read_text().splitlines()[2:]]
    short = f".{population.ZONE}."
    assert {tuple(word.removesuffix(short) for word in (name, *rest)) for name, _, *rest in local} == zone


# ------------------------------------------------------------------------------------------------- versions


@pytest.mark.parametrize(
    ("program", "said", "expected"),
    [
        ("knotd", "knotd (Knot DNS), version 3.2.6\n", "Knot DNS 3.2.6"),
        ("nsd", "NSD version 4.6.1\nWritten by NLnet Labs.\n", "NSD 4.6.1"),
        ("unbound", "Version 1.17.1\n\nConfigure line: --build=x86_64\n", "Unbound 1.17.1"),
        ("named", "BIND 9.18.49-1~deb12u3-Debian (Extended Support Version) <id:>\n", "BIND 9.18.49"),
        ("named", "BIND 9.20.0 (Stable Release) <id:>\n", "BIND 9.20.0"),
        ("dnsdist", "dnsdist 1.7.3 (Lua 5.1.4 [LuaJIT 2.1.0-beta3])\nEnabled features:\n", "dnsdist 1.7.3"),
        ("coredns", "CoreDNS-1.14.7\nlinux/amd64, go1.26.8, \n", "CoreDNS 1.14.7"),
        ("dnsperf", "Usage: dnsperf\nDNS Performance Testing Tool\nVersion 2.10.0\n", "dnsperf 2.10.0"),
        ("kresd", "Knot Resolver, version 5.6.0\n", "Knot Resolver 5.6.0"),
        ("nsd", "something else\nentirely\n", "something else"),
    ],
)
def test_versions_are_found(program: str, said: str, expected: str) -> None:
    assert versions.version(program, said) == expected


def test_every_program_is_asked_for_its_version() -> None:
    assert {server.program for server in SERVERS.values() if server.program} <= set(versions.ASK)


# ------------------------------------------------------------------------------------------------- dnsperf

SAID = """\
Statistics:

  Queries sent:         5000
  Queries completed:    4990 (99.80%)
  Queries lost:         10 (0.20%)

  Response codes:       NOERROR 4990 (100.00%)
  Run time (s):         1.000100
  Queries per second:   4989.501050

  Average Latency (s):  0.000123 (min 0.000020, max 0.004000)
"""


def test_dnsperf_is_read() -> None:
    assert dnsperf.parse(SAID) == dnsperf.Figures(5000, 4990, 10, 4989.50105, 0.000123)
    with pytest.raises(ValueError, match="no lost"):
        dnsperf.parse(SAID.replace("Queries lost", "Queries"))


def test_dnsperf_asks_the_same_in_the_same_way(tmp_path: Path) -> None:
    dnsperf.query_file(tmp_path / "q", [query("a.example"), query("_http._tcp.b.example", "SRV")])
    assert (tmp_path / "q").read_text() == "a.example A\n_http._tcp.b.example SRV\n"
    words = dnsperf.words("dnsperf", 53, tmp_path / "q", How(2.0, 5, 100, 16, rate=5000.0))
    asked = dict(zip(words[1::2], words[2::2], strict=True))
    assert (asked["-c"], asked["-q"], asked["-Q"], asked["-l"]) == ("16", "100", "5000", "2")


# ------------------------------------------------------------------------------------------------- the run


def test_cpus_of_the_generator_are_outside_where_they_can_be() -> None:
    assert compare.cpus_for(1, [0, 1]) == ({0}, {1})
    assert compare.cpus_for(2, [0, 1]) == ({0, 1}, {1})
    assert compare.cpus_for(2, [0, 1, 2, 3]) == ({0, 1}, {2, 3})
    assert compare.cpus_for(1, [5]) == ({5}, {5})


def test_the_defaults_are_everything() -> None:
    how = compare.options([])
    assert how.scenarios == [*SCENARIOS]
    assert set(how.servers) == {
        "fastdns", "knot", "nsd", "unbound", "bind", "dnsdist", "dnsdist+batches", "coredns",
    }  # fmt: skip
    assert (how.workers, how.names) == ([1, 2], 10000)
    assert compare.echoed(how) == []
    some = compare.options(["--workers", "1", "--no-dnsperf", "--save", "x", "--scenarios", "hit,mix"])
    assert compare.echoed(some) == [
        "--scenarios", "hit,mix", "--workers", "1", "--no-dnsperf",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [["--servers", "nobody"], ["--scenarios", ""], ["--workers", "0"], ["--also", "knot=x"], ["--also", "old"],
     ["--write", "--workers", "2"]],
    ids=" ".join,
)  # fmt: skip
def test_a_wrong_command_line_is_told_so(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        compare.options(words)
    assert ended.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_another_build_needs_a_name_and_a_command() -> None:
    assert compare.build("old=python -m fastdns.cli -a=b") == ("old", "python -m fastdns.cli -a=b")
    with pytest.raises(argparse.ArgumentTypeError):
        compare.build("=command")


def test_a_small_run_from_end_to_end(tmp_path: Path) -> None:
    """fastdns and the echo, one round, and what is made of it."""
    call = [sys.executable, "-m", "bench.compare", "--servers", "fastdns", "--workers", "1", "--names", "50"]
    call += ["--rounds", "1", "--seconds", "0.05", "--scenarios", "hit,tcp,rate", "--no-dnsperf", "--json"]
    ended = subprocess.run(call, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)
    scenarios = report["workers"]["1"]["scenarios"]
    assert [*scenarios] == ["hit", "tcp", "rate"]
    assert {*scenarios["hit"]["figures"]} == {"fastdns", "echo"}
    for scenario in scenarios.values():
        figure = scenario["figures"]["fastdns"]
        assert figure["us_per_query"]["median"] > 0 and figure["answers_per_second"]["median"] > 0
        assert (figure["failed"], figure["mismatched"]) == (0, 0)
    assert scenarios["rate"]["rate"] > 0
    assert any(line.startswith("| fastdns |") for line in results.section(report))
    assert results.picture(report).count("<rect") >= 2


def test_without_an_upstream_what_needs_one_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "knotd" else which(name))
    words = (
        "--servers fastdns,knot --workers 1 --names 50 --rounds 1 --seconds 0.05 --scenarios hit,miss --no-dnsperf"
    )
    made = compare.run(compare.options(words.split()), lambda line: None)
    assert [*made["workers"]["1"]["scenarios"]] == ["hit"]
    assert made["left_out"]["knot"] == "not installed"
    assert "no upstream" in made["left_out"]["miss"]
    with pytest.raises(SystemExit, match="nothing can be asked"):
        compare.run(compare.options(["--scenarios", "miss", "--workers", "1"]), lambda line: None)


# ------------------------------------------------------------------------------------------------- the report


def figure(us: float, **changes: Any) -> dict[str, Any]:
    def three(value: float) -> dict[str, float]:
        return {"median": value, "min": value - 0.1, "max": value + 0.1}

    made = {
        "us_per_query": three(us), "ratio": {"echo": three(us / 3), "knot": three(us / 4)}, "p999_ratio": {},
        "upstream_us_per_query": None, "answers_per_second": three(123456.0), "p50_us": three(10.0),
        "p99_us": three(20.0), "p999_us": three(1234.5), "rcodes": {"0": 5}, "failed": 0, "lost": 0,
        "mismatched": 0, "unsent": 0,
    }  # fmt: skip
    return made | changes


def report() -> dict[str, Any]:
    scenario = {
        "says": "A of names", "answer_minus_query_bytes": 16, "outstanding": 256, "sockets": 16, "rate": 0,
        "rcodes": {"0": 1000}, "other_rcodes": {"nsd": {"0": 999, "3": 1}}, "other_work_percent": 12.5,
        "figures": {"knot": figure(4.0), "echo": figure(3.0), "fastdns": figure(3.5)},
    }  # fmt: skip
    three = {"median": 5000.0, "min": 4999.0, "max": 5001.0}
    generator = {"per_second": three, "mean_us": three, "us_per_query": three, "lost": three}
    return {
        "date": "2026-11-27", "commit": "abc1234", "arguments": "--rounds 3", "names": 100, "rounds": 3,
        "seconds": 0.5,
        "machine": {"cpus": 2, "model": "a CPU", "kernel": "6", "python": "3.11", "load": [1, 1, 1]},
        "versions": {"fastdns": "fastdns-0.1.0", "knotd": "Knot DNS 3.2.6"},
        "left_out": {"coredns": "not installed\nmore"},
        "workers": {
            "1": {"server_cpus": [0], "client_cpus": [1], "shared": False, "scenarios": {"hit": scenario}},
            "2": {"server_cpus": [0, 1], "client_cpus": [1], "shared": True, "scenarios": {"hit": scenario}},
        },
        "dnsperf": {"server": "knot", "rate": 5000, "fastdns bench": generator, "dnsperf": generator},
    }  # fmt: skip


def test_a_section_names_what_a_figure_depends_on() -> None:
    lines = results.section(report())
    text = "\n".join(lines)
    for words in (
        "## 2026-11-27: ", "python -m bench.compare --rounds 3", "fastdns-0.1.0 at abc1234", "Knot DNS 3.2.6",
        "2 CPUs (a CPU)", "- left out: CoreDNS: not installed", "other work took 12.5% of the CPUs",
        "shared: there is no CPU outside", "NSD answers otherwise (rcodes 0: 999, 3: 1 of 1000)", "| dnsperf |",
    ):  # fmt: skip
        assert words in " ".join(text.split()), words
    assert [line.split(" | ")[0] for line in lines if line.startswith("| ")][1:5] == [
        "| ---", "| echo", "| fastdns", "| Knot DNS",
    ]  # fmt: skip
    assert "123,000" in text
    assert all(len(line) <= 116 for line in lines if not line.startswith("|"))


def test_a_report_makes_the_same_section_and_plot_again() -> None:
    one, other = report(), copy.deepcopy(report())
    # Peers in another order, as another round began with another one.
    figures = other["workers"]["1"]["scenarios"]["hit"]["figures"]
    other["workers"]["1"]["scenarios"]["hit"]["figures"] = dict(reversed(figures.items()))
    assert results.section(one) == results.section(other)
    assert results.picture(one) == results.picture(other)
    assert "Knot DNS" in results.picture(one) and ">echo<" not in results.picture(one)


def test_sections_are_kept_newest_first_and_a_day_is_replaced(tmp_path: Path) -> None:
    text = "# Results\n\nAbout.\n\n## older\n\nkept\n\n## 2026-11-27: everything side by side\n\nreplaced\n"
    made = results.insert(text, results.section(report()))
    assert made.startswith("# Results\n\nAbout.\n\n## 2026-11-27: everything side by side\n\n`python")
    assert "replaced" not in made and made.endswith("## older\n\nkept\n")
    assert results.insert(made, results.section(report())) == made
    (tmp_path / "bench").mkdir()
    (tmp_path / "docs").mkdir()
    (tmp_path / results.FILE).write_text(text)
    results.write(report(), tmp_path)
    assert (tmp_path / results.FILE).read_text() == made
    assert (tmp_path / results.PLOT).read_text() == results.picture(report())


def test_roles_are_those_of_the_scenarios() -> None:
    assert {scenario.role for scenario in SCENARIOS.values()} == {configs.AUTHORITY, configs.MISS, configs.CACHED}
    mixes = {mix.name for mix in population.mixes(population.services(100, 2))}
    assert {scenario.mix for scenario in SCENARIOS.values()} - {""} <= mixes


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
