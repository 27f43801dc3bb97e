"""Text to tokens: words, quotes, comments, lines."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdns.corefile.lexer import Token, tokenize


@dataclass(frozen=True)
class Case:
    text: str
    tokens: list[str]
    why: str


CASES = [
    Case("", [], why="nothing"),
    Case(" \t\n\v\f\u00a0\u2003", [], why="whitespace only"),
    Case("a b\tc\nd", ["a", "b", "c", "d"], why="whitespace separates"),
    Case("a\u3000b\u0085c", ["a", "b", "c"], why="unicode whitespace separates"),
    Case("a\x1cb", ["a\x1cb"], why="a file separator is no whitespace in Go"),
    Case("\ufeffa", ["a"], why="byte order mark"),
    Case("a\r\nb\r\n", ["a", "b"], why="carriage return before newline"),
    Case("fo\ro", ["foo"], why="carriage return inside a word"),
    Case('"a b" c', ["a b", "c"], why="quotes hold whitespace"),
    Case('"a\nb"', ["a\nb"], why="quotes hold newlines"),
    Case('"a\r\nb"', ["a\r\nb"], why="quotes keep carriage returns"),
    Case('a"b c"', ['a"b', 'c"'], why="quotes open at the start of a word only"),
    Case('"a"b', ["a", "b"], why="a closing quote ends the word"),
    Case('"" x', ["", "x"], why="an empty quoted word"),
    Case(r'"a\"b"', ['a"b'], why="an escaped quote"),
    Case(r'"a\nb\\"', [r"a\nb\\"], why="nothing else is escaped"),
    Case(r"a\"b", [r"a\"b"], why="no escapes outside quotes"),
    Case('"open to\nthe end', ["open to\nthe end"], why="a quote that nothing closes"),
    Case('a "', ["a"], why="an empty quote that nothing closes"),
    Case('"a # b"', ["a # b"], why="no comments inside quotes"),
    Case("# all of it", [], why="comment line"),
    Case("a # rest\nb", ["a", "b"], why="comment to the end of the line"),
    Case("#a\r\nb", ["b"], why="comment line that ends in a carriage return"),
    Case("foo#bar baz", ["foo", "baz"], why="a glued comment ends at whitespace"),
    Case("foo#bar\nbaz", ["foo", "baz"], why="a glued comment ends at a newline"),
    Case('"foo"#bar baz\nqux', ["foo", "qux"], why="a comment right after a quoted word is a whole one"),
    Case("{a} {}", ["{a}", "{}"], why="braces are no separators"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_tokens(case: Case) -> None:
    assert [token.text for token in tokenize(case.text, "F")] == case.tokens


def test_lines() -> None:
    tokens = list(tokenize('a\n# x\n"b\nb" c\r\nd # y\n\ne', "F"))
    assert [(token.text, token.line, token.end_line) for token in tokens] == [
        ("a", 1, 1),
        ("b\nb", 3, 4),
        ("c", 4, 4),
        ("d", 5, 5),
        ("e", 7, 7),
    ]
    assert tokens[2].on_line_of(tokens[1])
    assert not tokens[1].on_line_of(tokens[0])


def test_the_same_line_of_another_import_is_another_line() -> None:
    assert not Token("b", "F", 1, 1, expansion=2).on_line_of(Token("a", "F", 1, 1, expansion=1))


@given(st.text())
def test_any_text_lexes_to_tokens_in_line_order(text: str) -> None:
    tokens = list(tokenize(text, "F"))
    lines = [line for token in tokens for line in (token.line, token.end_line)]
    assert lines == sorted(lines)
    assert not lines or lines[-1] <= text.count("\n") + 1


@pytest.mark.parametrize("piece", ['"', '\\"', "#", "a#", '"\\', "a\r", "\n", "{ "])
def test_long_texts_take_linear_time(piece: str) -> None:
    start = time.process_time()
    list(tokenize(piece * 200_000, "F"))
    assert time.process_time() - start < 5.0
