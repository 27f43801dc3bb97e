"""Corefiles as trees."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastdns import CorefileError, CorefileLine, parse_corefile

SHAPES = sorted((Path(__file__).parents[1] / "integration/shapes").glob("*/Corefile"))


def tree(line: CorefileLine) -> object:
    """A line without places."""
    return (line.name, *line.arguments, *([[tree(one) for one in line.lines]] if line.lines else []))


def test_lines_belong_to_the_line_before_their_brace() -> None:
    text = """\
a:53, b {
    rewrite stop {
        name regex (.*)\\.a {1}.b
        answer name x y
    }
    cache 30 {
        disable success cluster.local
    }
    cache
    unknown of {
        deeper {
            deepest "two words"
        }
        beside
    }
}
c {
    log
}
"""
    first, second = parse_corefile(text)
    assert (first.keys, first.line, second.keys) == (("a:53", "b"), 1, ("c",))
    assert [tree(line) for line in first.lines] == [
        ("rewrite", "stop", [("name", "regex", "(.*)\\.a", "{1}.b"), ("answer", "name", "x", "y")]),
        ("cache", "30", [("disable", "success", "cluster.local")]),
        ("cache",),
        ("unknown", "of", [("deeper", [("deepest", "two words")]), ("beside",)]),
    ]
    assert [line.line for line in first.lines] == [2, 6, 9, 10]
    assert first.get("cache") is first.lines[1] and first.get("log") is None


def test_imports_and_the_environment(tmp_path: Path) -> None:
    (tmp_path / "more").write_text("forward . {$UPSTREAM}\n")
    text = "(common) {\n    errors\n    loop\n}\n. {\n    import common\n    import more\n}\n"
    [block] = parse_corefile(text, str(tmp_path / "Corefile"), environ={"UPSTREAM": "192.0.2.1"})
    assert [tree(line) for line in block.lines] == [("errors",), ("loop",), ("forward", ".", "192.0.2.1")]
    assert block.lines[-1].file == str(tmp_path / "more")


@pytest.mark.parametrize("path", SHAPES, ids=[path.parent.name for path in SHAPES])
def test_corefiles_that_people_have(path: Path) -> None:
    blocks = parse_corefile(path.read_text(), str(path))
    assert blocks and all(block.lines for block in blocks)
    # Every word of the file that stands outside of comments and imports is in the tree.
    lines = [line for block in blocks for line in block.lines]
    while lines:
        line = lines.pop()
        lines += line.lines
        assert line.name not in ("{", "}", "") and not {"{", "}"} & set(line.arguments)


@pytest.mark.parametrize("text", [". {", "a {\n    import absent\n}\n", ". {\n    log {\n}\n"])
def test_broken_grammar_has_its_place(text: str) -> None:
    with pytest.raises(CorefileError) as caught:
        parse_corefile(text, "here")
    assert caught.value.file == "here" and caught.value.line >= 1
