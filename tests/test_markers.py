"""The markers stand in the test files: ``alone`` and ``native``. No file lacks one by accident.

A file must be native where it imports a compiled module, itself or through modules of ``tests``. A file must be
alone where it imports what takes the whole machine. An exception has its reason here; a stale one fails.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.reading import ROOT, imports, modules

KNOWN = modules(ROOT / "src", "fastdns") | modules(ROOT, "tests")
COMPILED = {name for name, files in KNOWN.items() if any(path.suffix == ".pyx" for path in files)}
FILES = [
    path.relative_to(ROOT / "tests").as_posix()
    for path in sorted((ROOT / "tests").rglob("test_*.py"))
]  # fmt: skip

# What floods, or kills on all cores.
WHOLE_MACHINE = (
    "fastdns.bench._load",
    "tests.transports.hot_thread_peer",
    "tests.integration.faults.",
    "tests.integration.traffic",
    "tests.plugins.forward.engine.bursts",
)
NOT_ALONE = {
    "bench/test_load.py": "asks a few thousand queries at a time, and waits for their end",
    "deploy/monitoring/test_queries.py": "asks a few hundred times a second, so that a scraper sees something",
    "integration/faults/test_api_server.py": "asks 500 times a second; what fails is the API server",
    "integration/faults/test_leftovers.py": "asks next to nothing: it looks for what is left",
    "integration/test_accounting.py": "sends one burst, and waits until everything is counted",
    "integration/test_forward.py": "sends one burst, and waits for its end",
    "integration/test_reload.py": "a client that checks addresses asks at most 2,000 times a second",
    "integration/test_snapshot.py": "a client that checks addresses asks at most 500 times a second",
}
SERVERS = "starts whole servers, and waits shorter than a server under sanitizers takes"
NOT_NATIVE = {
    "deploy/monitoring/test_queries.py": SERVERS,
    "integration/test_extended_errors.py": SERVERS,
    "integration/test_readmes_boot.py": SERVERS,
    "integration/test_shapes.py": SERVERS,
    "plugins/forward/test_streams_quic.py": "what is native is tested with the other transports",
    "plugins/forward/test_streams_https3.py": "what is native is tested with the other transports",
    "plugins/https3/test_https3.py": SERVERS,
    "plugins/quic/test_quic.py": SERVERS,
    "transports/test_doh3.py": "what is native is tested by test_doh.py and test_datagrams.py",
    "transports/test_certificates.py": SERVERS,
    "transports/test_losses.py": SERVERS,
    "transports/test_quic.py": "what is native is tested by test_datagrams.py; the rest is Python and a library",
    "fuzz/test_fuzz.py": "make fuzz runs the same under sanitizers, and longer",
    "integration/faults/test_floods.py": SERVERS,
    "integration/faults/test_hostile.py": SERVERS,
    "integration/faults/test_loops.py": SERVERS,
    "integration/faults/test_resources.py": SERVERS,
    "integration/faults/test_upstreams.py": SERVERS,
    "integration/test_accounting.py": SERVERS,
    "integration/test_forward.py": SERVERS,
    "integration/test_nameserver_files.py": SERVERS,
    "plugins/autopath/test_answers.py": SERVERS,
    "plugins/autopath/test_clients.py": SERVERS,
    "plugins/autopath/test_reload.py": SERVERS,
    "plugins/dns64/test_answers.py": SERVERS,
    "plugins/dnstap/test_process.py": SERVERS,
    "plugins/k8s_external/test_answers.py": SERVERS,
    "plugins/rewrite/test_answers.py": SERVERS,
    "transports/test_rude_clients.py": SERVERS,
    "transports/test_same_answers.py": SERVERS,
    "plugins/test_alike.py": SERVERS,
    "plugins/rewrite/test_edns0.py": SERVERS,
    "plugins/trace/test_process.py": SERVERS,
    "plugins/sign/test_signing.py": "what is native is tested by tests/zonefiles and tests/rrsets",
    "plugins/forward/test_metrics.py": "asks native code only how many counters it has",
}


@cache
def imported(path: Path) -> frozenset[str]:
    """The modules that a file imports itself."""
    return frozenset(one.target for one in imports(path, KNOWN))


@cache
def reached(path: Path) -> frozenset[str]:
    """The modules that a file of tests imports, itself or through other files of tests."""
    found = set(imported(path))
    left = [name for name in found if name.startswith("tests.")]
    while left:
        for file in KNOWN[left.pop()]:
            new = imported(file) - found
            found |= new
            left += [name for name in new if name.startswith("tests.")]
    return frozenset(found)


def markers(path: Path) -> set[str]:
    """The names in `pytestmark = pytest.mark.name`, also of a list and of calls."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["pytestmark"]:
            marks = node.value.elts if isinstance(node.value, ast.List) else [node.value]
            return {ast.unparse(mark).removeprefix("pytest.mark.").partition("(")[0] for mark in marks}
    return set()


def lacking(marker: str, wanted: set[str], exceptions: dict[str, str]) -> tuple[set[str], set[str]]:
    """The files that ought to bear a marker and do not, and the exceptions that are none."""
    marked = {file for file in FILES if marker in markers(ROOT / "tests" / file)}
    return wanted - marked - exceptions.keys(), exceptions.keys() - (wanted - marked)


@pytest.mark.parametrize("marker", ["alone", "native"])
def test_a_file_bears_its_marker_or_has_a_reason(marker: str) -> None:
    if marker == "native":
        wanted = {file for file in FILES if reached(ROOT / "tests" / file) & COMPILED}
        exceptions = NOT_NATIVE
    else:
        wanted = {
            file
            for file in FILES
            if file.startswith("integration/faults/")
            or any(f"{name}.".startswith(WHOLE_MACHINE) for name in reached(ROOT / "tests" / file))
        }
        exceptions = NOT_ALONE
    assert len(wanted) > 10
    without, stale = lacking(marker, wanted, exceptions)
    assert not without, f"add `pytestmark = pytest.mark.{marker}`, or say in tests/test_markers.py why not"
    assert not stale, "no exceptions any more: remove them from tests/test_markers.py"


def test_markers_are_read(tmp_path: Path) -> None:
    path = tmp_path / "test_one.py"
    for text, expected in (
        ("import pytest\n", set()),
        ("pytestmark = pytest.mark.alone\n", {"alone"}),
        ("pytestmark = [pytest.mark.alone, pytest.mark.timeout(60)]\n", {"alone", "timeout"}),
    ):
        path.write_text(text)
        assert markers(path) == expected
