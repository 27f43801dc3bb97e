"""Random patterns and names: what Python's re finds where both syntaxes mean the same, and what always holds."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdns.regex import Regex
from tests.fuzz.patterns import fuzz_patterns

pytestmark = pytest.mark.native

LETTERS = "abc.-1"
# Each means the same to both; \Z is Python's word for \z.
CHARACTERS = st.sampled_from(
    ["a", "b", "c", "1", r"\.", "-", ".", "[ab]", "[^a]", "[a-c1]", r"\d", r"\w", r"\D", r"\W", r"[\d.]", "(?i:B)"]
)
PLACES = st.sampled_from(["^", r"\b", r"\B", r"\A", r"\Z", "(?m:^)", "(?m:$)"])
COUNTS = st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{2,}", "{0,2}", "*?", "+?", "??", "{1,3}?"])


def never_empty(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """What reads a character at least: repetitions of what may be empty mean other things in Python."""
    return st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda parts: f"(?:{parts[0]}|{parts[1]})"),
        st.tuples(inner, inner).map(lambda parts: f"({parts[0]}|{parts[1]})"),
        inner.map(lambda part: f"({part})"),
        st.tuples(inner, st.sampled_from(["+", "{2}", "{1,3}", "{2,}", "+?", "{1,3}?"])).map(
            lambda parts: f"(?:{parts[0]}){parts[1]}"
        ),
    )


READING = st.recursive(CHARACTERS, never_empty, max_leaves=6)
PARTS = st.one_of(
    READING,
    PLACES,
    st.tuples(READING, COUNTS).map(lambda parts: f"(?:{parts[0]}){parts[1]}"),
    st.tuples(READING, COUNTS).map(lambda parts: f"({parts[0]}){parts[1]}"),
)
PATTERNS = st.lists(PARTS, min_size=1, max_size=5).map("".join)
# Python finds \\B in no empty text, which is a fault that 3.14 mends.
TEXTS = st.text(alphabet=LETTERS + "B\n", min_size=1, max_size=24)


@settings(max_examples=300, deadline=None)
@given(PATTERNS, st.lists(TEXTS, min_size=1, max_size=5))
def test_python_finds_the_same_where_it_means_the_same(pattern: str, texts: list[str]) -> None:
    ours = Regex(pattern.replace(r"\Z", r"\z"))
    python = re.compile(pattern, re.ASCII)
    for text in texts:
        found = python.search(text)
        wanted = found and tuple(one for number in range(ours.groups + 1) for one in found.span(number))
        assert ours.search(text) == wanted
        assert ours.matches(text) == (found is not None)


def test_random_patterns_and_texts() -> None:
    """A short run of the fuzzer; `make fuzz` runs it for longer, under sanitizers."""
    assert fuzz_patterns(500, seed=1) > 150
