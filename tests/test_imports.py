"""No module imports a layer above its own, and none imports itself by way of others.

Every import counts: at the top of a module, in a function, for type checkers only; Python's and Cython's. The table
of layers is in ``tests/architecture.py``, which also makes the picture in docs/architecture.md.

The tables below hold what is not so yet. They may only shrink: an entry that is not needed any more fails, too.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import architecture
from tests.architecture import LAYERS, NAMES, all_imports, circles, layer_of, picture, with_picture, without_detours
from tests.reading import ROOT, Import, modules, tokens

KNOWN = modules(ROOT / "src", "fastdns")

# Importer and imported module, and who ends it.
UPWARD: dict[tuple[str, str], str] = {}
CIRCLES: dict[frozenset[str], str] = {}
# Imports of a module whose name is only known when the server runs: the reader of imports does not see them.
DYNAMIC = {
    "__init__.py": "the public names, when one is used",
    "plugins/order.py": "the plugin that a Corefile names",
    "plugins/steps.py": "what the steps of a configuration import, before the workers are forked",
}


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, str], Import]:
    """All imports, read once, and only where these tests run: that takes a second."""
    return all_imports(KNOWN)


def test_every_module_has_a_layer() -> None:
    without = sorted(module for module in KNOWN if layer_of(module) is None)
    assert not without, "add them to LAYERS in tests/architecture.py"


def test_no_import_runs_up(found: dict[tuple[str, str], Import]) -> None:
    assert len(found) > 300
    up = {}
    for edge, one in found.items():
        importer, target = (layer.name if (layer := layer_of(module)) else NAMES[0] for module in edge)
        if NAMES.index(importer) < NAMES.index(target):
            place = f"{one.file.relative_to(ROOT)}:{one.line}"
            up[edge] = f"{place}: the layer {importer} imports {one.target}, of the layer {target} above it"
    assert [message for edge, message in up.items() if edge not in UPWARD] == []
    assert UPWARD.keys() - up.keys() == set(), "these do not run up any more: remove them from UPWARD"


def test_no_circles(found: dict[tuple[str, str], Import]) -> None:
    there = set(circles(set(found)))
    assert [sorted(circle) for circle in there - CIRCLES.keys()] == []
    stale = CIRCLES.keys() - there
    assert [sorted(circle) for circle in stale] == [], "no circles any more: remove them from CIRCLES"


def test_imports_by_a_name_that_is_made_are_known() -> None:
    found = set()
    for files in KNOWN.values():
        for file in files:
            if {"import_module", "__import__"} & {token.text for token in tokens(file.read_text())}:
                found.add(file.relative_to(ROOT / "src" / "fastdns").as_posix())
    assert found - DYNAMIC.keys() == set()
    assert DYNAMIC.keys() - found == set(), "remove them from DYNAMIC"


def test_the_picture_is_what_the_imports_say(found: dict[tuple[str, str], Import]) -> None:
    page = architecture.PAGE.read_text()
    made = with_picture(page, picture(set(found)))
    assert page == made, "run: python -m tests.architecture --write"


# ------------------------------------------------------------------------------------- of the tests' own tools


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ("a-b b-c a-c", []),
        ("a-b b-a", ["ab"]),
        ("a-b b-c c-a c-d d-e e-d f-a", ["abc", "de"]),
        ("a-b b-a b-c c-b", ["abc"]),
    ],
)
def test_circles_are_found(edges: str, expected: list[str]) -> None:
    pairs = {(edge[0], edge[2]) for edge in edges.split()}
    assert sorted("".join(sorted(circle)) for circle in circles(pairs)) == expected


def test_edges_that_follow_from_others_are_left_out() -> None:
    edges = {("a", "b"), ("b", "c"), ("a", "c"), ("a", "d"), ("c", "d"), ("e", "d")}
    assert without_detours(edges) == {("a", "b"), ("b", "c"), ("c", "d"), ("e", "d")}


def test_a_module_belongs_to_the_longest_name() -> None:
    names = ("fastdns", "fastdns.corefile", "fastdns.corefile.lexer", "fastdns.corefile.config")
    by_name = {name: layer.name for name in names if (layer := layer_of(name)) is not None}
    assert by_name == {
        "fastdns": "basis",
        "fastdns.corefile": "configuration",
        "fastdns.corefile.lexer": "corefile",
        "fastdns.corefile.config": "configuration",
    }
    assert layer_of("fastdns.nowhere") is None
    listed = [name for layer in LAYERS for name in layer.modules]
    assert len(set(listed)) == len(listed)


def test_a_page_without_its_marks_is_refused(tmp_path: Path) -> None:
    page = f"before\n{architecture.BEGIN}\nold\n{architecture.END}\nafter\n"
    assert with_picture(page, "new") == page.replace("old", "new")
    with pytest.raises(SystemExit, match=re.escape(architecture.END)):
        with_picture(page.replace(architecture.END, ""), "new")


def test_an_import_that_runs_up_is_drawn(tmp_path: Path) -> None:
    edges = {("fastdns.cli", "fastdns.log"), ("fastdns._wire", "fastdns.cli")}
    edges |= {("fastdns.serve._chain", "fastdns._wire")}
    lines = picture(edges | {("fastdns.plugins.a.x", "fastdns.plugins.b.y")}).splitlines()
    assert [line.strip() for line in lines if "-> " in line] == [
        "commands --> basis", "serve --> dns", "dns -. to be removed .-> commands",
    ]  # fmt: skip
    assert lines[-1] == "Plugins that import another plugin: a imports b."
