"""Blocks, keys, directives, snippets, imports, environment: the grammar, without any plugin's options."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdns.corefile import imports
from fastdns.corefile.parser import RawCorefile, parse
from fastdns.errors import CorefileError

DIRECTIVES = ("whoami", "errors", "health", "bind", "import_me")
ENVIRON = {"PORT": "1053", "NAME": "whoami", "TWO": "a b", "BRACE": "{", "LOOP": "{$LOOP}", "LINES": "x\ny"}

Blocks = list[tuple[list[str], dict[str, list[str]]]]


def read(text: str, file: str = "Corefile") -> RawCorefile:
    return parse(text, file, ENVIRON, DIRECTIVES)


def shape(raw: RawCorefile) -> Blocks:
    return [
        (
            [key.text for key in block.keys],
            {name: [token.text for token in tokens] for name, tokens in block.directives.items()},
        )
        for block in raw.blocks
    ]


@dataclass(frozen=True)
class Case:
    text: str
    blocks: Blocks
    why: str


WHOAMI = {"whoami": ["whoami"]}
CASES = [
    Case("", [], why="empty"),
    Case("# nothing\n", [], why="comments only"),
    Case(".", [(["."], {})], why="keys and nothing else"),
    Case(". {\n}", [(["."], {})], why="an empty block"),
    Case(".\n{\nwhoami\n}", [(["."], WHOAMI)], why="the brace of a block on its own line"),
    Case(". { whoami\n}", [(["."], WHOAMI)], why="a directive right after the brace"),
    Case(".\nwhoami\nerrors", [(["."], {**WHOAMI, "errors": ["errors"]})], why="no braces"),
    Case("a b {\nwhoami\n}", [(["a", "b"], WHOAMI)], why="keys separated by spaces"),
    Case("a, b,\nc {\nwhoami\n}", [(["a", "b", "c"], WHOAMI)], why="commas carry on to the next line"),
    Case("a,b {\n}", [(["a,b"], {})], why="a comma inside a word"),
    Case(".:53 {whoami}", [([".:53", "{whoami}"], {})], why="glued braces are keys"),
    Case("a {\n}\nb {\nwhoami\n}", [(["a"], {}), (["b"], WHOAMI)], why="two blocks"),
    Case(
        ". {\nhealth {\nlameduck 5s\n}\n}",
        [(["."], {"health": ["health", "{", "lameduck", "5s", "}"]})],
        why="a directive with a block",
    ),
    Case(
        ". {\nbind a\nwhoami\nbind b {\nexcept c\n}\n}",
        [(["."], {"bind": ["bind", "a", "bind", "b", "{", "except", "c", "}"], "whoami": ["whoami"]})],
        why="repeated directives are concatenated",
    ),
    Case('. {\nerrors "a\nb" c\nwhoami\n}', [(["."], {"errors": ["errors", "a\nb", "c"], **WHOAMI})],
         why="a quoted word over two lines"),
    Case(".:{$PORT} {\nwhoami\n}", [([".:1053"], WHOAMI)], why="environment in a key"),
    Case(".:{%PORT%} {\n}", [([".:1053"], {})], why="environment in the other syntax"),
    Case(". {\n{$NAME}\n}", [(["."], WHOAMI)], why="environment in a directive's name"),
    Case(". {\nerrors x{$TWO}y{$TWO}\n}", [(["."], {"errors": ["errors", "xa bya b"]})],
         why="a value with a space stays one word"),
    Case(". {\nerrors {$NONE} z\n}", [(["."], {"errors": ["errors", "", "z"]})], why="an unset variable"),
    Case(". {\nerrors {$LOOP}\n}", [(["."], {"errors": ["errors", "{$LOOP}"]})],
         why="a value is not searched again"),
    Case(". {\nerrors {$LINES}\nwhoami\n}", [(["."], {"errors": ["errors", "x\ny"], **WHOAMI})],
         why="a newline in a value starts no line"),
    Case(". {\nerrors {$} {$PORT {%%}\n}", [(["."], {"errors": ["errors", "{$}", "{$PORT", "{%%}"]})],
         why="what is no reference stays"),
    Case("(s) {\nwhoami\n}\n. {\nimport s\n}", [(["."], WHOAMI)], why="a snippet"),
    Case("(s) {\nwhoami\n}\n. {\nimport {$S}s\n}", [(["."], WHOAMI)], why="environment in an import"),
    Case("(s) {\na {\nwhoami\n}\n}\nimport s\n", [(["a"], WHOAMI)], why="a snippet of whole blocks"),
    Case("(s) {\na,\n}\nimport s\nb {\n}", [(["a", "b"], {})], why="a snippet of keys"),
    Case("(s) {\nlameduck 5s\n}\n. {\nhealth {\nimport s\n}\n}",
         [(["."], {"health": ["health", "{", "lameduck", "5s", "}"]})], why="a snippet of options"),
    Case("(s) {\nbind a\n}\n. {\nimport s\nimport s\n}", [(["."], {"bind": ["bind", "a", "bind", "a"]})],
         why="the same snippet twice in a row"),
    Case("(t) {\nwhoami\n}\n(s) {\nimport t\nerrors\n}\n. {\nimport s\n}",
         [(["."], {**WHOAMI, "errors": ["errors"]})], why="a snippet in a snippet"),
    Case("(s) {\n}\n. {\nimport s\nwhoami\n}", [(["."], WHOAMI)], why="an empty snippet"),
    Case("(s) {\n}\nimport s", [], why="an empty snippet at the end"),
    Case(". {\nerrors import\n}", [(["."], {"errors": ["errors", "import"]})],
         why="import inside a line is a word"),
    Case('"" {\nwhoami\n}', [], why="a block without a zone is ignored"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_blocks(case: Case) -> None:
    assert shape(read(case.text)) == case.blocks


@dataclass(frozen=True)
class Bad:
    text: str
    line: int
    message: str
    why: str


BAD = [
    Bad(". {\nwhoami\n", 1, "no closing '}'", why="a block without an end"),
    Bad(". {\nwhoami\n}\n}", 4, "unexpected '}'", why="a brace too many"),
    Bad(".\nwhoami\n}", 3, "unexpected '}'", why="a brace that closes nothing"),
    Bad(". { whoami }", 1, "line of its own", why="a block on one line"),
    Bad(". {\nhealth {\nlameduck 5s\n", 2, "block of health has no closing '}'", why="an open directive"),
    Bad(". {\nhealth\n{\n}\n}", 3, "line of health", why="the brace of a directive on the next line"),
    Bad(". {\nhealth {\n} whoami\n}", 3, "unexpected 'whoami'", why="a word after a closing brace"),
    Bad("a, {\n}", 1, "zone is expected after the comma", why="a comma before the brace"),
    Bad("a,", 1, "zone is expected after the comma", why="a comma at the end"),
    Bad(". {\n\nnothing\n}", 3, "unknown directive 'nothing'", why="an unknown directive"),
    Bad(". {\nwhoamy\n}", 2, "did you mean 'whoami'?", why="a misspelled directive"),
    Bad(". {\nproxy . 192.0.2.1\n}", 2, "'proxy'; CoreDNS has removed it: use forward", why="a removed directive"),
    Bad("import", 1, "import needs one argument", why="import without an argument"),
    Bad(". {\nimport\nwhoami\n}", 2, "import needs one argument", why="import and the next line"),
    Bad('import ""', 1, "import needs the name", why="import of nothing"),
    Bad("(s) {\n}\n. {\nimport s t\n}", 4, "only one argument", why="snippets take no arguments"),
    Bad("import no/such", 1, "not found: 'no/such'", why="import of a missing file"),
    Bad("import " + "a" * 5000, 1, "not found", why="import of a path that is too long"),
    Bad('import "no\x00such"', 1, "not found", why="import of no path at all"),
    Bad("import */*", 1, "at most one wildcard", why="two stars"),
    Bad("import ?a?", 1, "at most one wildcard", why="two question marks"),
    Bad("import [ab]", 1, "at most one wildcard", why="a character class"),
    Bad("(s) {\n}\n(s) {\n}", 3, "declared already", why="a snippet declared twice"),
    Bad("(s) {\nwhoami\nimport s\n}", 3, "'s' imports itself", why="a snippet that imports itself"),
    Bad("(s) {\nwhoami\n", 1, "no closing '}'", why="a snippet without an end"),
    Bad("(s)\nwhoami", 1, "needs a block", why="a snippet without braces"),
    Bad("(s)", 1, "needs a block", why="a snippet and nothing else"),
    Bad("(a) {\nimport b\n}\n(b) {\nimport a\n}\n. {\nimport a\n}", 5, "'a' imports itself",
        why="snippets that import each other"),
    Bad("}", 1, "unexpected '}'", why="a lone brace"),
]  # fmt: skip


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.why)
def test_errors(case: Bad) -> None:
    with pytest.raises(CorefileError) as caught:
        read(case.text)
    assert case.message in caught.value.message
    assert (caught.value.file, caught.value.line) == ("Corefile", case.line)
    assert str(caught.value).startswith(f"Corefile:{case.line} - ")


@dataclass(frozen=True)
class Files:
    files: dict[str, str]
    blocks: Blocks
    why: str
    warnings: list[str] = field(default_factory=list)


FILES = [
    Files({"Corefile": ". {\nimport a\n}", "a": "whoami\n"}, [(["."], WHOAMI)], why="a file of directives"),
    Files({"Corefile": "import a", "a": "a {\nwhoami\n}"}, [(["a"], WHOAMI)], why="a file of blocks"),
    Files(
        {"Corefile": "import d/a", "d/a": "import b", "d/b": "b {\n}"},
        [(["b"], {})],
        why="relative to the importing file",
    ),
    Files(
        {"Corefile": "import d/*.server", "d/2.server": "b {\n}", "d/1.server": "a {\n}", "d/x": "}"},
        [(["a"], {}), (["b"], {})],
        why="a pattern, in the order of names",
    ),
    Files({"Corefile": "import d/*", "d/.hidden": "a {\n}"}, [(["a"], {})], why="hidden files"),
    Files(
        {"Corefile": "import d/*.no\n. {\nimport d/?\nwhoami\n}"},
        [(["."], WHOAMI)],
        why="patterns that match nothing",
        warnings=[
            "No files matching import glob pattern: d/*.no",
            "No files matching import glob pattern: d/?",
        ],
    ),
    Files(
        {"Corefile": "(a) {\nwhoami\n}\n. {\nimport a\n}", "a": "errors"},
        [(["."], WHOAMI)],
        why="a snippet comes before a file",
    ),
    Files(
        {"Corefile": "import a\n. {\nimport s\n}", "a": "(s) {\nwhoami\n}"},
        [(["."], WHOAMI)],
        why="a file of snippets",
    ),
    Files({"Corefile": ". {\nimport a\nimport a\n}", "a": "bind x"},
          [(["."], {"bind": ["bind", "x", "bind", "x"]})], why="a file twice"),
    Files({"Corefile": ". {\nimport a\n}", "a": ""}, [(["."], {})], why="an empty file"),
]  # fmt: skip


def write(root: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root / "Corefile")


@pytest.mark.parametrize("case", FILES, ids=lambda case: case.why)
def test_imported_files(case: Files, tmp_path: Path) -> None:
    path = write(tmp_path, case.files)
    raw = read(Path(path).read_text(), path)
    assert shape(raw) == case.blocks
    assert raw.warnings == case.warnings


def test_tokens_of_an_imported_file_carry_its_path_and_lines(tmp_path: Path) -> None:
    path = write(tmp_path, {"Corefile": ". {\nimport a\nwhoami\n}", "a": "\nerrors\n"})
    raw = read(Path(path).read_text(), path)
    (errors,) = raw.blocks[0].directives["errors"]
    (whoami,) = raw.blocks[0].directives["whoami"]
    assert (errors.file, errors.line) == (str(tmp_path / "a"), 2)
    assert (whoami.file, whoami.line) == (path, 3)
    assert raw.files == [str(tmp_path / "a")]


def test_a_mistake_in_an_imported_file_is_told_of_that_file(tmp_path: Path) -> None:
    path = write(tmp_path, {"Corefile": ". {\nimport a\n}", "a": "\nnothing"})
    with pytest.raises(CorefileError) as caught:
        read(Path(path).read_text(), path)
    assert str(caught.value).startswith(f"{tmp_path / 'a'}:2 - ")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param({"Corefile": "import d", "d/a": ""}, "is a directory", id="a directory"),
        pytest.param({"Corefile": "import Corefile"}, "imports itself", id="a file that imports itself"),
        pytest.param(
            {"Corefile": "import a", "a": "import b", "b": "import a"},
            "imports itself",
            id="files that import each other",
        ),
        pytest.param(
            {"Corefile": "import d/a", "d/a": "import ../d/a"},
            "imports itself",
            id="a file that imports itself by another path",
        ),
        pytest.param(
            {"Corefile": "(s) {\nimport a\n}\n. {\nimport s\n}", "a": "import s"},
            "imports itself",
            id="a snippet around a file",
        ),
    ],
)
def test_bad_imports(files: dict[str, str], message: str, tmp_path: Path) -> None:
    path = write(tmp_path, files)
    with pytest.raises(CorefileError, match=message):
        read(Path(path).read_text(), path)


def doubling(depth: int) -> str:
    """Snippets of which each imports the one before twice."""
    snippets = ["(s0) {\nwhoami\n}"]
    snippets += [f"(s{i}) {{\nimport s{i - 1}\nimport s{i - 1}\n}}" for i in range(1, depth + 1)]
    return "\n".join([*snippets, f". {{\nimport s{depth}\n}}"])


def test_imports_multiply_up_to_the_cap() -> None:
    assert len(read(doubling(10)).blocks[0].directives["whoami"]) == 1024
    start = time.monotonic()
    with pytest.raises(CorefileError, match="more than 10000 imports of snippets"):
        read(doubling(40))
    assert time.monotonic() - start < 5.0


def test_file_imports_have_a_cap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "MAX_FILES", 3)
    path = write(tmp_path, {"Corefile": "import a\n" * 4, "a": ""})
    with pytest.raises(CorefileError, match="more than 3 imports of files") as caught:
        read(Path(path).read_text(), path)
    assert caught.value.line == 4


def test_imported_tokens_have_a_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "MAX_TOKENS", 5)
    with pytest.raises(CorefileError, match="more than 5 tokens"):
        read("(s) {\nwhoami\nerrors\n}\n. {\nimport s\nimport s\nimport s\n}")


PIECES = st.sampled_from(
    [".", "a", "{", "}", "import", "(s)", "s", "whoami", "health", ",", "\n", " ", '"', "#", "\\", "{$NAME}",
     "{$BRACE}", "*", "a,"]
)  # fmt: skip


@given(st.one_of(st.text(), st.lists(PIECES, max_size=60).map(" ".join), st.lists(PIECES).map("".join)))
def test_any_text_is_blocks_or_a_corefile_error(text: str) -> None:
    start = time.monotonic()
    try:
        parse(text, "/nonexistent/Corefile", ENVIRON, DIRECTIVES)
    except CorefileError as error:
        assert error.line >= 1
    assert time.monotonic() - start < 2.0
