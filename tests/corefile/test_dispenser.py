"""Dispenser: moving over tokens, lines and blocks."""

from __future__ import annotations

import pytest

from fastdns.corefile.dispenser import Dispenser
from fastdns.corefile.lexer import tokenize
from fastdns.errors import CorefileError


def dispenser(text: str) -> Dispenser:
    return Dispenser("p", list(tokenize(text, "F")), "F")


def test_nothing_is_current_before_the_first_token() -> None:
    d = dispenser("p")
    assert (d.text, d.file, d.line) == ("", "F", 0)
    assert d.next()
    assert (d.text, d.line) == ("p", 1)
    assert not d.next()
    assert d.text == "p"


def test_arguments_end_with_the_line() -> None:
    d = dispenser("p a b\nc")
    assert d.next() and d.next_arg() and d.next_arg()
    assert d.text == "b"
    assert not d.next_arg()
    assert d.next_line()
    assert (d.text, d.line) == ("c", 2)
    assert not d.next_line()


def test_next_line_stays_while_the_line_goes_on() -> None:
    d = dispenser("p a")
    assert d.next()
    assert not d.next_line()
    assert d.text == "p"


def test_remaining_args_end_before_a_block() -> None:
    d = dispenser("p a b {\nc d\n}")
    assert d.next()
    assert d.remaining_args() == ["a", "b"]
    assert d.remaining_args() == []


def test_a_block_is_its_options() -> None:
    d = dispenser("p {\na 1\nb\n}\np")
    options = []
    for _ in d.occurrences():
        while d.next_block():
            options.append((d.text, d.remaining_args()))
    assert options == [("a", ["1"]), ("b", [])]


@pytest.mark.parametrize("text", ["p", "p {\n}", "p\np"])
def test_no_options(text: str) -> None:
    d = dispenser(text)
    for _ in d.occurrences():
        assert not d.next_block()


def test_a_word_over_two_lines_ends_on_the_second() -> None:
    d = dispenser('p "a\nb" c\nd')
    assert d.next()
    assert d.remaining_args() == ["a\nb", "c"]


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        pytest.param("p\nq", "unexpected 'q'", 2, id="another word"),
        pytest.param("p {\n}", "p takes no options", 1, id="a block that nobody reads"),
        pytest.param("p\np", "only once", 2, id="a second occurrence"),
    ],
)
def test_what_is_left_unread_is_an_error(text: str, message: str, line: int) -> None:
    with pytest.raises(CorefileError, match=message) as caught:
        list(dispenser(text).occurrences(once=True))
    assert (caught.value.plugin, caught.value.file, caught.value.line) == ("p", "F", line)


def test_a_closing_brace_is_no_argument() -> None:
    d = dispenser("p {\na 1 }")
    assert d.next() and d.next_block()
    with pytest.raises(CorefileError, match="line of its own"):
        d.remaining_args()
